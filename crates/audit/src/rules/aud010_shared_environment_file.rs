//! AUD010: one EnvironmentFile in the units of different services.

use super::prelude::*;
use std::collections::BTreeMap;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD010"),
    title: "two services read the same environment file",
    risk: Risk::Medium,
    needs: &[Source::Units],
    means: "daemon and miner read the same LOTUS_* names: what binds one binds the other, and each holds the secrets of both",
    fix: "one EnvironmentFile for each unit",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let mut users: BTreeMap<&str, BTreeMap<&str, &str>> = BTreeMap::new();
    for (service, unit) in &view.units {
        for file in unit.environment_files() {
            users.entry(file.trim_start_matches('-')).or_default().insert(service.name.as_str(), &unit.name);
        }
    }
    let shared = users.into_iter().filter(|(_, u)| u.len() > 1);
    shared
        .map(|(file, units)| {
            let units: Vec<&str> = units.into_values().collect();
            Seen::new(file, format!("read by {}", units.join(" and "))).at(file, 0)
        })
        .collect()
}
