//! The proof as the verbs ask for it. In come a model and its plan, out comes what is wrong with them over all packets, and what
//! one plan lets through that another does not.

use crate::{planning, progress};
use plan::{Devices, Options, Plan, TABLE};
use reach::{Change, Maker, Network, Prover, Violation, diff::Direction};
use ruleset::{Ruleset, form::TableFamily};
use site::model::{Mode, Model};
use std::collections::BTreeMap;
use words::HostName;

/// The planned rulesets by machine.
pub fn rulesets(plan: &Plan) -> BTreeMap<HostName, Ruleset> {
    plan.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect()
}

/// The same site with its network layer in force, unless that is off.
pub fn enforced(model: &Model) -> Model {
    let mut model = model.clone();
    if model.layers.network == Mode::Observe {
        model.layers.network = Mode::Enforce;
    }
    model
}

/// Every violated invariant of a site as it is in force: in observe mode, as it would be, so that going to `enforce` holds no
/// surprise. Nothing is proven of a network layer that is off.
pub fn violations(model: &Model) -> Option<Vec<Violation>> {
    (model.layers.network != Mode::Off).then(|| {
        progress::during("proving", || {
            let devices = Devices::default();
            let rulesets = plan::Rulesets::new(model, &devices, Mode::Enforce, Options::default());
            let edges = model.edge.nodes.iter().filter_map(|n| Some((n.clone(), rulesets.of(n)?))).collect();
            let make = |name: &HostName| rulesets.of(name);
            reach::prove_made(model, &edges, &Maker(&make), &devices.reported, planning::threads())
        })
    })
}

/// A machine's planned rules together with everybody else's tables, which stay: UFW's chains as they are there, not as it ships them.
pub fn compose(planned: &mut Ruleset, live: &Ruleset, ufw: Option<&facts::Ufw>, machine: Option<&plan::MachinePlan>) {
    let ours = |t: &ruleset::Table| t.family == TableFamily::Inet && t.name == TABLE;
    planned.tables.retain(ours);
    planned.tables.extend(live.tables.iter().filter(|t| !ours(t)).cloned());
    planned.unread.extend(live.unread.iter().cloned());
    if let Some(found) = ufw {
        emit::ufw::in_force(planned, found, machine.and_then(|m| m.ufw.as_ref()));
    }
}

/// One machine as it is: what its devices are called and everything it filters now.
pub struct Here<'a> {
    /// The machine.
    pub host: &'a HostName,
    /// Its devices.
    pub devices: &'a Devices,
    /// Every table it holds now, ours included.
    pub live: &'a Ruleset,
    /// UFW, where it is installed.
    pub ufw: Option<&'a facts::Ufw>,
}

impl Here<'_> {
    /// The planned rulesets of the site; on this machine together with everybody else's tables, which stay.
    pub fn composed(&self, plan: &Plan) -> BTreeMap<HostName, Ruleset> {
        let mut all = rulesets(plan);
        if let Some(own) = all.get_mut(self.host) {
            compose(own, self.live, self.ufw, plan.machines.get(self.host));
        }
        all
    }

    /// As [`violations`], over the very rulesets that `apply` puts here and what stands beside them.
    pub fn violations(&self, model: &Model) -> Option<Vec<Violation>> {
        let model = &enforced(model);
        (model.layers.network != Mode::Off).then(|| {
            let rulesets = self.composed(&planning::plan_with(model, self.devices));
            progress::during("proving", || {
                let mut prover = Prover::new();
                reach::check(&mut Network::new(&mut prover, model, &rulesets, &self.devices.reported))
            })
        })
    }

    /// What this machine would let through that it does not let through now.
    pub fn opened(&self, model: &Model, plan: &Plan) -> Vec<Change> {
        let mut after = self.composed(plan);
        after.retain(|h, _| h == self.host);
        let before = BTreeMap::from([(self.host.clone(), self.live.clone())]);
        progress::during("comparing with what is in force", || {
            let mut prover = Prover::new();
            let then = reach::snapshot(&mut Network::new(&mut prover, model, &before, &self.devices.reported));
            let mut network = Network::new(&mut prover, model, &after, &self.devices.reported);
            let now = reach::snapshot(&mut network);
            let all = reach::difference(&then, &now, &mut network);
            all.into_iter().filter(|c| c.direction == Direction::Opened).collect()
        })
    }
}

/// What becomes reachable and what no longer is, from one plan to another.
pub fn changes(old: (&Model, &Plan), new: (&Model, &Plan)) -> Vec<Change> {
    let (before, after) = (rulesets(old.1), rulesets(new.1));
    progress::during("comparing what is reachable", || {
        let mut prover = Prover::new();
        let then = reach::snapshot(&mut Network::new(&mut prover, old.0, &before, &BTreeMap::new()));
        let mut network = Network::new(&mut prover, new.0, &after, &BTreeMap::new());
        let now = reach::snapshot(&mut network);
        reach::difference(&then, &now, &mut network)
    })
}
