//! Scenes of attempts: everything legitimate, every attack, and the same through the second edge node.

use super::{Demo, Progress, Seen, close};
use crate::{
    attempt::{Attempt, Group, attack, legitimate},
    error::LabError,
    stage::Stage,
    trial::{Row, Trial},
};
use site::model::Leg;
use std::{collections::BTreeMap, time::Instant};

pub(super) fn everything(stage: &Stage, demo: &mut Demo, tell: &mut dyn FnMut(Progress<'_>)) -> Result<(), LabError> {
    let (legitimate, unplayed) = legitimate::attempts(&stage.model, &stage.lab.topology);
    let attacks = attack::attempts(&stage.model, &stage.lab.topology);
    let title = "Every legitimate flow and every attack, with real packets";
    let unplayed = unplayed.into_iter().map(|u| format!("nobody in the lab plays {u}")).collect();
    play(stage, &legitimate, &attacks, title, unplayed, demo, tell)
}

/// What crosses the edge, through the second node; attacks that differ from those already made only in their family or
/// next hop are left out.
pub(super) fn standby(stage: &Stage, second: &str, demo: &mut Demo, tell: &mut dyn FnMut(Progress<'_>)) -> Result<(), LabError> {
    let crosses =
        |id: &str| stage.model.flows.iter().filter(|f| f.id.0 == id).flat_map(|f| &f.legs).any(|l: &Leg| l.from_zone != l.to_zone);
    let renamed = |a: Attempt| Attempt { what: format!("{} (by {second})", a.what), ..a };
    let (legitimate, _) = legitimate::attempts(&stage.model, &stage.lab.topology);
    let legitimate: Vec<Attempt> = legitimate.into_iter().filter(|a| a.flow.as_deref().is_some_and(crosses)).map(renamed).collect();
    let groups = [Group::Internet, Group::Spoofed, Group::Fragments, Group::State];
    let attacks: Vec<Attempt> =
        attack::attempts(&stage.model, &stage.lab.topology).into_iter().filter(|a| groups.contains(&a.group)).map(renamed).collect();
    let title = format!("The virtual addresses move to {second}: the same policy there");
    play(stage, &legitimate, &attacks, &title, Vec::new(), demo, tell)
}

fn play(
    stage: &Stage,
    legitimate: &[Attempt],
    attacks: &[Attempt],
    title: &str,
    mut lines: Vec<String>,
    demo: &mut Demo,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<(), LabError> {
    tell(Progress::Begins(title));
    let start = Instant::now();
    let mut trial = Trial::new(&stage.lab, &stage.model, &stage.plan)?;
    let mut rows = trial.together(legitimate)?;
    rows.iter().for_each(|r| tell(Progress::Attempt(r)));
    rows.extend(trial.run(attacks, |r| tell(Progress::Attempt(r)))?);
    lines.extend(summary(&rows));
    let right = !rows.is_empty() && rows.iter().all(|r| r.right);
    demo.rows.append(&mut rows);
    close(demo, tell, title, Seen { lines, right }, start.elapsed());
    Ok(())
}

/// Right and all, by kind.
pub fn summary(rows: &[Row]) -> Vec<String> {
    let mut kinds: BTreeMap<Group, (usize, usize)> = BTreeMap::new();
    for row in rows {
        let (right, all) = kinds.entry(row.attempt.group).or_default();
        *right += usize::from(row.right);
        *all += 1;
    }
    kinds.into_iter().map(|(g, (right, all))| format!("{}: {right} of {all} as expected", g.words())).collect()
}
