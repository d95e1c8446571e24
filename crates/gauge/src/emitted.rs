//! What Ravelin emits for an edge node of a generated site. In comes a number of hosts, out come the policy in plain terms
//! and the ruleset that the plan wants there. Nothing here is made for the bench: generator, plan and printer are the product's.

use crate::{
    Error,
    policy::{self, Policy},
};
use ruleset::{Ruleset, TableFamily};
use words::SourceFile;

/// Seed of the generated sites.
const SEED: u64 = 1;
/// Date the site file is read at: generated sites have nothing that ends.
const TODAY: &str = "2026-01-01";

/// An edge node of a generated site.
#[derive(Debug, Clone)]
pub struct Edge {
    /// What it forwards.
    pub policy: Policy,
    /// What it holds.
    pub ruleset: Ruleset,
}

/// The text of the generated site with so many hosts.
pub fn site_file(hosts: usize) -> String {
    site::generate(hosts, SEED)
}

/// The first edge node of a generated site with so many hosts, everything in force.
pub fn edge(hosts: usize) -> Result<Edge, Error> {
    let source = SourceFile::new("generated.toml", site_file(hosts));
    let outcome = site::read(&source, TODAY);
    let errors = || Error::Invalid(outcome.render(&source));
    let mut model = outcome.model.clone().ok_or_else(errors)?;
    model.layers.network = site::model::Mode::Enforce;
    let node = model.edge.nodes.first().cloned().ok_or_else(|| Error::Invalid("a generated site without an edge".into()))?;
    let devices = plan::Devices::default();
    let host = model.hosts.get(&node).ok_or_else(|| Error::Invalid(format!("no host {node}")))?;
    let policy = policy::of(&model, &node, &devices.of(&model, host))?;
    let mut plan = plan::plan(&model, &devices, plan::Options::default());
    let machine = plan.machines.remove(&node).ok_or_else(|| Error::Invalid(format!("no plan for {node}")))?;
    Ok(Edge { policy, ruleset: machine.ruleset })
}

impl Edge {
    /// As text for `nft -f`.
    pub fn script(&self) -> String {
        emit::nft::script(&self.ruleset, TableFamily::Inet, plan::TABLE)
    }
    /// Elements of all sets and maps.
    pub fn elements(&self) -> usize {
        self.ruleset.tables.iter().flat_map(|t| t.sets.values()).map(|s| s.elements.len()).sum()
    }
    /// The same with a counter in every element, as while observing.
    pub fn counting_by_flow(mut self) -> Self {
        self.sets(|s| s.counter = !s.dynamic && s.map.is_none());
        self
    }
    /// The same without ids in elements.
    pub fn without_ids(mut self) -> Self {
        self.sets(|s| s.elements.iter_mut().for_each(|e| e.id = None));
        self
    }
    /// The same with the number of elements declared: the kernel then takes its fixed hash table, else the growing one.
    pub fn sized(mut self) -> Self {
        self.sets(|s| {
            if !s.dynamic && !s.elements.is_empty() {
                s.size = u32::try_from(s.elements.len()).ok();
            }
        });
        self
    }
    fn sets(&mut self, change: impl FnMut(&mut ruleset::Set)) {
        self.ruleset.tables.iter_mut().flat_map(|t| t.sets.values_mut()).for_each(change);
    }
}

/// Only tracking: what any stateful ruleset costs at least.
pub fn tracking() -> String {
    "table inet tracking {\n chain forward {\n  type filter hook forward priority 0; policy accept;\n  ct state invalid drop\n }\n}\n"
        .into()
}
