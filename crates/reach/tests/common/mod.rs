//! Example sites with the rulesets the plan makes for them.
#![allow(dead_code)]

pub mod mini;
pub mod sabotage;

use reach::{Network, Prover};
use ruleset::form::Ruleset;
use site::model::{Mode, Model};
use std::collections::BTreeMap;
use words::{HostName, SourceFile};

/// A site as it stands after `plan`, with the network layer in force.
pub struct Planned {
    pub source: SourceFile,
    pub model: Model,
    pub rulesets: BTreeMap<HostName, Ruleset>,
}

impl Planned {
    pub fn read(name: &str, text: &str) -> Self {
        let source = SourceFile::new(name, text);
        let outcome = site::read(&source, "2026-01-01");
        let rendered = outcome.render(&source);
        let mut model = outcome.model.unwrap_or_else(|| panic!("no model: {rendered}"));
        model.layers.network = Mode::Enforce;
        let plan = plan::plan(&model, &plan::Devices::default(), plan::Options::default());
        let rulesets = plan.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect();
        Self { source, model, rulesets }
    }
    pub fn example(name: &str) -> Self {
        let path = format!("{}/../../examples/{name}/site.toml", env!("CARGO_MANIFEST_DIR"));
        Self::read("site.toml", &std::fs::read_to_string(path).expect("example"))
    }
    pub fn network<'a>(&'a self, prover: &'a mut Prover) -> Network<'a> {
        Network::new(prover, &self.model, &self.rulesets, &BTreeMap::new())
    }
}

pub fn host(name: &str) -> HostName {
    HostName::new(name).expect("host")
}
