//! AUD013: proving services with PrivateTmp and the parameter cache at its default place.

use super::prelude::*;
use catalog::Role;
use facts::Unit;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD013"),
    title: "PrivateTmp hides the proof parameters",
    risk: Risk::Medium,
    needs: &[Source::Units],
    means: "PrivateTmp also replaces /var/tmp, where the parameters lie by default: more than 100 GiB are fetched again at each restart, and a proof is missed meanwhile",
    fix: "set FIL_PROOFS_PARAMETER_CACHE and FIL_PROOFS_PARENT_CACHE to a directory outside /tmp and /var/tmp, move the files, then keep PrivateTmp",
    reference: None,
    check,
};

const CACHE: &str = "FIL_PROOFS_PARAMETER_CACHE";

fn check(view: &View) -> Vec<Seen> {
    let proving = view.units.iter().filter(|(s, _)| matches!(s.role, Role::Miner | Role::Worker | Role::ClusterNode));
    proving
        .filter(|(_, u)| u.get("Service", "PrivateTmp").is_some_and(|v| truth(v) || v == "disconnected"))
        .filter(|(_, u)| !moved(view, u))
        .map(|(s, u)| {
            let (file, line) = directive(u, "Service", "PrivateTmp").map_or((String::new(), 0), |d| (d.file.clone(), d.line));
            Seen::new(s.name.as_str(), format!("{}: PrivateTmp is on, {CACHE} is not set to a place outside /tmp and /var/tmp", u.name))
                .at(file, line)
        })
        .collect()
}

fn moved(view: &View, unit: &Unit) -> bool {
    let elsewhere = |text: &str| {
        let value = text.split_once(&format!("{CACHE}=")).map(|(_, v)| v.trim_start_matches(['"', '\'']));
        value.is_some_and(|v| v.starts_with('/') && !v.starts_with("/tmp") && !v.starts_with("/var/tmp"))
    };
    unit.all("Service", "Environment").iter().any(|v| elsewhere(v))
        || unit
            .environment_files()
            .iter()
            .filter_map(|f| view.facts.file(f.trim_start_matches('-')))
            .any(|f| f.text.as_deref().is_some_and(elsewhere))
}
