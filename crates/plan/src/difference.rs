//! What would change, per machine, in words. In come two plans, out come lines that name rules and elements by id with their
//! reason. Newly reachable flows are `reach`'s to say; this is the text of it. Never: a difference without a line.

use crate::{MachinePlan, Plan};
use ruleset::Change;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

/// What would change on one machine.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct MachineDifference {
    /// Lines that begin with `+`, `-` or `~`.
    pub lines: Vec<String>,
}

/// What would change from one plan to another, by machine; machines that stay as they are are not there.
pub fn difference(old: &Plan, new: &Plan) -> BTreeMap<HostName, MachineDifference> {
    let hosts: BTreeSet<&HostName> = old.machines.keys().chain(new.machines.keys()).collect();
    let mut out = BTreeMap::new();
    for host in hosts {
        let lines = match (old.machines.get(host), new.machines.get(host)) {
            (None, Some(_)) => vec!["+ the machine comes under management".to_owned()],
            (Some(_), None) => vec!["- the machine is no longer managed".to_owned()],
            (Some(a), Some(b)) => machine(a, b),
            (None, None) => Vec::new(),
        };
        if !lines.is_empty() {
            out.insert(host.clone(), MachineDifference { lines });
        }
    }
    out
}

fn machine(old: &MachinePlan, new: &MachinePlan) -> Vec<String> {
    let mut lines = Vec::new();
    if old.mode != new.mode {
        lines.push(format!("~ mode {:?} becomes {:?}", old.mode, new.mode).to_lowercase());
    }
    for (table, sign) in [(&old.ruleset, '-'), (&new.ruleset, '+')] {
        let other = if sign == '-' { &new.ruleset } else { &old.ruleset };
        let gone = table.tables.iter().filter(|t| other.table(t.family, &t.name).is_none());
        lines.extend(gone.map(|t| format!("{sign} the whole table {}", t.name)));
    }
    let both = ruleset::Ruleset {
        tables: old.ruleset.tables.iter().filter(|t| new.ruleset.table(t.family, &t.name).is_some()).cloned().collect(),
        unread: Vec::new(),
    };
    for d in ruleset::compare(&both, &new.ruleset) {
        let (sign, rules) = match d.change {
            Change::Missing => ('-', &old.rules),
            Change::Added => ('+', &new.rules),
            Change::Changed => ('~', &new.rules),
        };
        let why = d.id.as_ref().and_then(|id| rules.get(id)).map(|r| format!(": {}", r.what)).unwrap_or_default();
        lines.push(format!("{sign} {}: {}{why}", d.place, d.what));
    }
    let settings = |m: &MachinePlan| m.sysctls.iter().map(|s| (s.key.clone(), s.value.clone())).collect::<BTreeMap<_, _>>();
    let (a, b) = (settings(old), settings(new));
    for key in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
        match (a.get(key), b.get(key)) {
            (Some(x), None) => lines.push(format!("- setting {key} = {x}")),
            (None, Some(y)) => lines.push(format!("+ setting {key} = {y}")),
            (Some(x), Some(y)) if x != y => lines.push(format!("~ setting {key} = {x} becomes {y}")),
            _ => {}
        }
    }
    let told = |all: &[crate::Address]| {
        let line = |a: &crate::Address| format!("address {} on {}: {}", a.address, a.device, a.why);
        all.iter().map(line).collect::<BTreeSet<_>>()
    };
    // What is left as it is neither comes nor goes.
    lines.extend(told(old.wanted_addresses()).difference(&told(&new.addresses)).map(|l| format!("- {l}")));
    lines.extend(told(new.wanted_addresses()).difference(&told(old.wanted_addresses())).map(|l| format!("+ {l}")));
    let elected = |m: &MachinePlan, proposed: bool| {
        m.pair.as_ref().filter(|p| !p.proposed || proposed).map(crate::PairPlan::lines).unwrap_or_default()
    };
    // An election that is there goes on while the layer observes.
    lines.extend(elected(old, false).difference(&elected(new, true)).map(|l| format!("- {l}")));
    lines.extend(elected(new, false).difference(&elected(old, false)).map(|l| format!("+ {l}")));
    let system = |m: &MachinePlan| m.system.as_ref().map(crate::system::SystemPlan::lines).unwrap_or_default();
    let (a, b) = (system(old), system(new));
    lines.extend(a.difference(&b).map(|l| format!("- {l}")));
    lines.extend(b.difference(&a).map(|l| format!("+ {l}")));
    lines
}
