//! The proof as the verbs ask for it. In come a model and its plan, out comes what is wrong with them over all packets, and what
//! one plan lets through that another does not.

use crate::{planning, progress};
use plan::Plan;
use reach::{Change, Network, Prover, Violation};
use ruleset::Ruleset;
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
        let rulesets = planning::enforced(model);
        progress::during("proving", || {
            let mut prover = Prover::new();
            reach::check(&mut Network::new(&mut prover, model, &rulesets, &BTreeMap::new()))
        })
    })
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
