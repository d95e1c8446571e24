//! The proof as the verbs ask for it. In come a model and its plan, out comes what is wrong with them over all packets.

use crate::{planning, progress};
use plan::Plan;
use reach::{Network, Prover, conform::Deviation, conform::Side};
use ruleset::Ruleset;
use serde::Serialize;
use site::model::{Mode, Model};
use std::collections::BTreeMap;
use words::HostName;

/// What the proof found.
#[derive(Debug, Serialize)]
pub struct Proof {
    /// Machines whose ruleset was held against the model.
    pub machines: usize,
    /// Where a planned ruleset lets through more or less than the model's flows.
    pub deviations: Vec<Deviation>,
}

/// The planned rulesets by machine.
pub fn rulesets(plan: &Plan) -> BTreeMap<HostName, Ruleset> {
    plan.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect()
}

impl Proof {
    /// Proves a site as it is in force: in observe mode, as it would be, so that going to `enforce` holds no surprise.
    pub fn of(model: &Model) -> Self {
        let model = &enforced(model);
        let rulesets = rulesets(&planning::plan(model));
        let deviations = progress::during("proving", || {
            let mut prover = Prover::new();
            let policy = reach::policy::policy(prover.store(), model);
            let mut network = Network::new(&mut prover, model, &rulesets, &BTreeMap::new());
            reach::conform::conformance(&mut network, &policy)
        });
        Self { machines: rulesets.len(), deviations }
    }
    /// Whether a change may be made.
    pub fn holds(&self) -> bool {
        self.deviations.is_empty()
    }
}

/// The same site with its network layer in force, unless that is off.
pub fn enforced(model: &Model) -> Model {
    let mut model = model.clone();
    if model.layers.network == Mode::Observe {
        model.layers.network = Mode::Enforce;
    }
    model
}

/// A deviation in words.
pub fn words(d: &Deviation) -> String {
    let what = match d.side {
        Side::Wider => "lets through what no flow allows",
        Side::Narrower => "cuts what a flow needs",
    };
    let by = d.step.as_ref().and_then(|s| s.id.as_deref()).map(|id| format!(", decided by {id}")).unwrap_or_default();
    format!("{} {}: {what}: {}{by}", d.host, d.place, d.witness)
}
