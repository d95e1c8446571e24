//! Legitimate flows and attacks against a standing lab: one row each, with the rule and the site line that decided it.

use super::trouble;
use crate::{
    args::{Format, Global},
    exit::Exit,
    face::{Face, show},
    input,
    paint::{BAD, DIM, GOOD, paint},
    trouble::Trouble,
};
use lab::{
    attempt::{attack, legitimate},
    build::Neighbours,
    enter,
    stage::Stage,
    trial::{Row, Trial},
};
use plan::Options;
use serde::Serialize;
use std::path::Path;

#[derive(Serialize)]
struct Attacked {
    right: usize,
    wrong: usize,
    /// Flows that the lab cannot play, with the reason.
    unplayed: Vec<String>,
    rows: Vec<Row>,
}

impl Face for Attacked {
    fn text(&self) -> String {
        let unplayed: String = self.unplayed.iter().map(|u| format!("{}\n", paint(DIM, format!("not played: {u}")))).collect();
        format!("{unplayed}{} as expected, {} not\n", self.right, self.wrong)
    }
}

/// One row for people.
fn line(row: &Row) -> String {
    let verdict = if row.right { paint(GOOD, "ok   ") } else { paint(BAD, "WRONG") };
    let by = row.decided.first().map(|d| format!("{} on {} ({})", d.id, d.node, d.line)).unwrap_or_default();
    let a = &row.attempt;
    format!("{verdict} {:<18} {:<66} {:<10} {:<24} {}\n", a.group.words(), a.what, a.expected.to_string(), row.seen, paint(DIM, by))
}

/// Runs inside a standing lab.
pub fn attack(site: &Path, global: &Global) -> Result<Exit, Trouble> {
    if !enter::is_inside() {
        return Err(Trouble::usage("this verb is the lab's own", "ravelin lab attack"));
    }
    let (model, _) = input::model(site, global)?;
    let stage = Stage::open(model, Options::default(), Neighbours::Dynamic, None).map_err(trouble)?;
    let (flows, unplayed) = legitimate::attempts(&stage.model, &stage.lab.topology);
    let attacks = attack::attempts(&stage.model, &stage.lab.topology);
    let mut trial = Trial::new(&stage.lab, &stage.model, &stage.plan).map_err(trouble)?;
    let people = global.format() == Format::Text;
    // A reader that is gone is noticed when the result is shown.
    let tell = |row: &Row| people.then(|| crate::face::print(&line(row))).map_or((), drop);
    let mut rows = trial.together(&flows).map_err(trouble)?;
    rows.iter().for_each(tell);
    rows.extend(trial.run(&attacks, tell).map_err(trouble)?);
    let wrong = rows.iter().filter(|r| !r.right).count();
    show(global, &Attacked { right: rows.len() - wrong, wrong, unplayed, rows })?;
    Ok(Exit::found(wrong > 0))
}
