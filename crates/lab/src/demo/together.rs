//! The scene of a rollout: one change for many machines, staged wave by wave with the real applier, in which one host dies half-way. Everybody
//! must hold what was there before, by their own account and by packets.

use super::Seen;
use crate::{
    enter,
    error::LabError,
    stage::{self, Stage},
};
use bundle::Bundle;
use plan::{Devices, Options};
use reach::{mixture, probes};
use rollout::{
    Agreed, Bundles, Class, Driver, Outcome, Partial, Place, Planned, Prove, Setup, Step, Target, Times, Transport, Unreachable, Watch,
    ask::{Answer, Status},
    order,
    transport::Namespaces,
};
use site::model::{FlowKind, Model, Party};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use words::HostName;

/// Machines without which there is no half-way.
const FEWEST: usize = 3;
/// Witnesses told.
const TOLD: usize = 3;

/// A rollout that one machine does not live through.
pub(super) fn dies_half_way(stage: &Stage) -> Result<Seen, LabError> {
    let Some((asker, model)) = narrowed(&stage.model) else {
        return Ok(Seen { lines: vec!["nobody asks several machines here: there is nothing to change together".into()], right: true });
    };
    let mut planner = Planner { stage, plan: plan::plan(&model, &Devices::default(), Options::default()), model, told: Vec::new() };
    let inner = Namespaces {
        enter: Vec::new(),
        handles: enter::NETNS_DIR.into(),
        states: stage::STATE.into(),
        applier: stage::applier_beside(),
        reason: "the demonstration".into(),
    };
    let before = all(stage, &inner)?;
    let changes = planner.changed(&before)?;
    if changes.len() < FEWEST {
        let line = format!("{} machines change together: too few for a half-way", changes.len());
        return Ok(Seen { lines: vec![line], right: true });
    }
    let waves = order::waves(&planner.model, &changes, None);
    // Somebody in the wave in the middle, so that others hold what is new and others do not.
    let victim = waves.get(waves.len() / 2).and_then(|w| w.machines.last()).cloned().unwrap_or_else(|| asker.clone());
    let watch = Waves::default();
    let setup = Setup {
        id: "demo".into(),
        machines: before.keys().cloned().collect(),
        partial: Partial::Refuse,
        dry: false,
        times: Times::default(),
    };
    let transport = Arc::new(Dies { inner: inner.clone(), victim: victim.clone() });
    let began = Instant::now();
    let driver = Driver { transport, book: &mut Unkept, watch: &watch, inject: None };
    let report = driver.run(setup, &mut planner);
    let took = began.elapsed();
    let after = all(stage, &inner)?;
    let held =
        |m: &HostName, s: &Status| s.pending.is_none() && s.drift.is_empty() && before.get(m).is_some_and(|b| b.confirmed == s.confirmed);
    let same = after.iter().filter(|(m, s)| held(m, s)).count();
    let held_new = watch.0.lock().unwrap_or_else(PoisonError::into_inner).len();
    let mut lines = vec![format!("{asker} shall not ask the others any more: {} machines change, in {} waves", changes.len(), waves.len())];
    lines.append(&mut planner.told);
    lines.push(format!("{held_new} machines hold what is new and wait; the applier on {victim} is killed in the middle of its commit"));
    lines.extend(report.failures.iter().take(TOLD).map(ToString::to_string));
    lines.push(format!(
        "everything went back in {:.1} s: {same} of {} machines hold what they held before, to the letter",
        took.as_secs_f32(),
        after.len()
    ));
    lines.push(format!(
        "{} connections along proved flows were tried on the way, {} as proved",
        report.probed.tried, report.probed.as_proved
    ));
    let named = report.failures.iter().any(|f| f.machine.as_ref() == Some(&victim));
    Ok(Seen {
        lines,
        right: report.outcome == Outcome::TakenBack && named && held_new > 0 && same == after.len() && report.probed.as_proved > 0,
    })
}

/// The site without what the host that asks most others asks of them.
fn narrowed(model: &Model) -> Option<(HostName, Model)> {
    let mut asks: BTreeMap<&HostName, BTreeSet<&HostName>> = BTreeMap::new();
    for flow in model.flows.iter().filter(|f| f.kind == FlowKind::Derived) {
        if let (Party::Host(from), Party::Host(to)) = (&flow.from, &flow.to) {
            asks.entry(from).or_default().insert(to);
        }
    }
    let (asker, asked) = asks.into_iter().max_by_key(|(_, to)| to.len())?;
    let (asker, enough) = (asker.clone(), asked.len() >= FEWEST - 1);
    let mut after = model.clone();
    after.flows.change(|flows| flows.retain(|f| f.kind != FlowKind::Derived || f.from != Party::Host(asker.clone())));
    enough.then_some((asker, after))
}

/// What every managed machine holds.
fn all(stage: &Stage, way: &Namespaces) -> Result<BTreeMap<HostName, Status>, LabError> {
    let one = |host: &HostName| {
        let out = way.command(host, &["--json".to_owned(), "status".into()]).output().map_err(LabError::io("start the applier"))?;
        let status = serde_json::from_slice(&out.stdout).map_err(|e| LabError::Other(format!("the status of {host}: {e}")))?;
        Ok((host.clone(), status))
    };
    stage.plan.machines.keys().map(one).collect()
}

struct Planner<'a> {
    stage: &'a Stage,
    model: Model,
    plan: plan::Plan,
    told: Vec<String>,
}

impl Planner<'_> {
    fn bundle(&self, machine: &HostName, status: &Status) -> Result<Bundle, LabError> {
        let planned = self.plan.machines.get(machine).ok_or_else(|| LabError::Other(format!("{machine} is not planned")))?;
        let draft = self.stage.draft(planned, status.next_generation, status.confirmed.as_ref().map(|c| c.digest), &[]);
        Bundle::seal(draft).map_err(|e| LabError::Other(format!("the bundle of {machine}: {e}")))
    }
    fn changed(&self, statuses: &BTreeMap<HostName, Status>) -> Result<BTreeSet<HostName>, LabError> {
        let mut out = BTreeSet::new();
        for (machine, status) in statuses {
            let policy = self.bundle(machine, status)?.draft().policy();
            if status.confirmed.as_ref().is_none_or(|c| c.policy != policy) {
                out.insert(machine.clone());
            }
        }
        Ok(out)
    }
}

impl Prove for Planner<'_> {
    fn prove(&mut self, statuses: &BTreeMap<HostName, Status>, _: &BTreeMap<HostName, String>) -> Result<(Agreed, Bundles), Vec<String>> {
        let told = |e: LabError| vec![e.to_string()];
        let (mut agreed, mut bundles) = (Agreed::default(), Bundles::new());
        let changed = self.changed(statuses).map_err(told)?;
        for (machine, status) in statuses {
            let bundle = self.bundle(machine, status).map_err(told)?;
            let (digest, generation) = (bundle.digest(), bundle.draft().generation);
            let (before, unchanged) = (status.confirmed.as_ref().map(|c| c.digest), !changed.contains(machine));
            agreed.targets.insert(machine.clone(), Target { digest, generation, before, unchanged });
            bundles.insert(machine.clone(), bundle.to_bytes());
        }
        // No election runs here: nobody hands over.
        agreed.waves = order::waves(&self.model, &changed, None);
        let rules = |p: &plan::Plan| p.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect::<BTreeMap<_, _>>();
        let (old, new, none) = (rules(&self.stage.plan), rules(&self.plan), BTreeMap::new());
        let before = mixture::State { model: &self.stage.model, rulesets: &old, devices: &none };
        let after = mixture::State { model: &self.model, rulesets: &new, devices: &none };
        let mixed = mixture::mixture(before, after);
        if !mixed.is_proved() {
            return Err(mixed.wider.iter().map(ToString::to_string).chain(mixed.unproven).take(TOLD).collect());
        }
        self.told.push(format!(
            "proved beforehand: no mixture of old and new over {} machines lets through what neither does",
            mixed.changed.len()
        ));
        for (machine, list) in probes::probes(before, after) {
            let class = |k| match k {
                probes::Kind::Kept => Class::Kept,
                probes::Kind::New => Class::New,
                probes::Kind::Gone => Class::Gone,
            };
            let one = |a: probes::Aimed| Planned { trial: a.trial, class: class(a.kind), passes: vec![a.to] };
            agreed.probes.insert(machine, list.trials.into_iter().map(one).collect());
        }
        Ok((agreed, bundles))
    }
}

/// One machine's applier is killed when it commits.
struct Dies {
    inner: Namespaces,
    victim: HostName,
}

impl Transport for Dies {
    fn call(&self, machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
        if *machine == self.victim && words.iter().any(|w| w == "apply") {
            return self.inner.call(machine, &[words, &["--inject=commit=kill".to_owned()]].concat(), input, within);
        }
        self.inner.call(machine, words, input, within)
    }
    fn console(&self) -> Option<String> {
        self.inner.console()
    }
}

/// Machines that held what is new at some time.
#[derive(Default)]
struct Waves(Mutex<BTreeSet<HostName>>);

impl Watch for Waves {
    fn begins(&self, _: Step, _: Option<usize>, _: usize, _: usize) {}
    fn at(&self, machine: &HostName, place: &Place) {
        if *place == Place::Waiting {
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(machine.clone());
        }
    }
}

/// The demonstration keeps no ledger.
struct Unkept;

impl rollout::Book for Unkept {
    fn record(&mut self, _: &str, _: &rollout::Line, _: &Bundles) -> Result<(), String> {
        Ok(())
    }
}
