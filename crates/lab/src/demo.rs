//! The demonstration: one site file, from reading to attacks, on real kernels, in one run.
use crate::{
    listen::Ports,
    stage::Stage,
    topology::Role,
    trial::Row,
    truth,
};

/// Ports opened on every machine: the whole catalogue's, so that what nobody should reach is there to be reached.
pub fn ports(stage: &Stage) -> Ports {
    let all = truth::catalogue_ports(catalog::builtin().values().map(AsRef::as_ref), &stage.model);
    let nodes = stage.lab.topology.nodes.values().filter(|n| n.role != Role::Router);
    nodes.map(|n| (n.name.clone(), all.clone())).collect()
}

/// One line of the table.
pub fn line(row: &Row) -> String {
    let verdict = if row.right { "ok" } else { "WRONG" };
    let by = row.decided.first().map(|d| format!("{} on {} ({})", d.id, d.node, d.line)).unwrap_or_default();
    format!("{verdict:5} {:16} {:70} {:18} {:24} {by}", row.attempt.group.words(), row.attempt.what, row.attempt.expected.to_string(), row.seen)
}
