//! Rules compiled beside the ones in force. In come rules that were read, out comes everything an engine needs to go on with them. Never: touches
//! the ones in force; a reload that fails here has changed nothing.

use ips_detect::{Memory, Options, Tables};
use ips_io::sets;
use ips_rules::{header::Action, rule::Rule};
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

/// Rules, ready.
pub struct Fresh {
    /// Compiled.
    pub tables: Arc<Tables>,
    /// What they share between flows, their sets loaded.
    pub memory: Memory,
    /// Rules that are in them, and that are not.
    pub rules: (usize, usize),
    /// What they were read against: names of classes, beginnings of references.
    pub read_against: ips_rules::Tables,
}

impl std::fmt::Debug for Fresh {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fresh").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Makes rules with these numbers drop that only alert; every other one stays what it is. Gives back the numbers that no rule has.
pub fn curate(rules: &mut [Rule], drop: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut missing = drop.clone();
    for rule in rules {
        if drop.contains(&rule.meta.sid) {
            missing.remove(&rule.meta.sid);
            if rule.header.action == Action::Alert {
                rule.header.action = Action::Drop;
            }
        }
    }
    missing
}

/// Compiles. `failed`: how many rules were not even understood. What could not be loaded beside is said.
pub fn compile(
    rules: Vec<Rule>,
    failed: usize,
    options: &Options,
    directories: &[PathBuf],
    read_against: ips_rules::Tables,
) -> (Fresh, Vec<String>) {
    let (tables, refused) = Tables::build(rules, options);
    let mut faults: Vec<String> = refused.iter().map(|r| format!("rule {} is not loaded: {}", r.sid, r.why)).collect();
    let mut memory = tables.memory();
    faults.extend(sets::load(&tables, &mut memory, directories));
    let rules = (tables.rules().len(), failed + refused.len());
    (Fresh { tables: Arc::new(tables), memory, rules, read_against }, faults)
}
