//! Scenes before anything is built: reading, proof, plan. Pure.

use super::Seen;
use plan::{Devices, Options};
use reach::{Network, Prover, invariant};
use site::model::{FlowKind, Model};
use std::collections::BTreeMap;

/// Lines shown of a long list.
const SHOWN: usize = 8;

pub(super) fn read(model: &Model) -> Seen {
    let mut kinds: BTreeMap<FlowKind, usize> = BTreeMap::new();
    for f in &model.flows {
        *kinds.entry(f.kind).or_default() += 1;
    }
    let counted: Vec<String> = kinds.iter().map(|(k, n)| format!("{n} {}", format!("{k:?}").to_lowercase())).collect();
    let zones = model.zones.keys().filter(|z| !z.is_internet()).count();
    let mut lines =
        vec![format!("{} machines in {zones} zones, {} flows derived: {}", model.hosts.len(), model.flows.len(), counted.join(", "))];
    for flow in model.flows.iter().filter(|f| f.kind == FlowKind::Derived).take(SHOWN) {
        let origin = flow.origins.first().map(ToString::to_string).unwrap_or_default();
        lines.push(format!("{} {} -> {} {}: {} [{origin}]", flow.id, flow.from, flow.to, flow.target, flow.why));
    }
    lines.push("`ravelin flows` prints them all".into());
    Seen { lines, right: !model.flows.is_empty() }
}

pub(super) fn prove(model: &Model) -> Seen {
    let plan = plan::plan(model, &Devices::default(), Options::default());
    let rulesets = plan.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect();
    let devices = plan.machines.iter().map(|(h, m)| (h.clone(), m.devices.clone())).collect();
    let mut prover = Prover::new();
    let mut network = Network::new(&mut prover, model, &rulesets, &devices);
    let violations = invariant::check(&mut network);
    let mut lines: Vec<String> = invariant::ALL
        .iter()
        .map(|i| {
            let held = match violations.iter().filter(|v| v.code == i.code).map(|v| v.certain).max() {
                None => "holds",
                Some(true) => "VIOLATED",
                Some(false) => "unproven",
            };
            format!("{} {held}: {}", i.code, i.title)
        })
        .collect();
    lines.extend(violations.iter().map(|v| format!("{} {}: {}", v.code, v.host, v.message)));
    let rules: usize = plan.machines.values().flat_map(|m| &m.ruleset.tables).flat_map(|t| &t.chains).map(|c| c.rules.len()).sum();
    let elements: usize =
        plan.machines.values().flat_map(|m| &m.ruleset.tables).flat_map(|t| t.sets.values()).map(|s| s.elements.len()).sum();
    lines.push(format!("plan {}: {} machines, {rules} rules, {elements} set elements", plan.digest, plan.machines.len()));
    Seen { lines, right: !violations.iter().any(|v| v.certain) }
}
