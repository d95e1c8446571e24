//! AUD001: a catalogue service that has an account of its own runs with effective uid 0.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD001"),
    title: "a service runs as root",
    risk: Risk::High,
    needs: &[Source::Processes],
    means: "whoever takes the service over owns the machine: every key on it, its firewall and its logs",
    fix: "run it under an account of its own: User= in the unit, ownership of its directories moved to that account",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let at_home = |r: &&Running| r.service.account.is_some() && r.process.uid == 0;
    let root = view.running.iter().filter(at_home).filter(|r| !leaves_root(view, r));
    root.map(|r| {
        let mut seen = Seen::new(r.service.name.as_str(), format!("pid {} ({}) runs with uid 0", r.process.pid, r.process.comm));
        if let Some(unit) = r.unit {
            let user = unit.user().map_or("has no User=".to_owned(), |u| format!("has User={u}"));
            seen = seen.and(format!("{} {user}", unit.name)).at(unit.files.first().cloned().unwrap_or_default(), 0);
        }
        if let Some(c) = r.container {
            seen = seen.and(format!("in container {} (image {})", c.name, c.image));
        }
        match &r.service.account {
            Some(a) => seen.fix(format!(
                "run it under the account `{}`: User={} in the unit, and move the ownership of its directories",
                a.name, a.name
            )),
            None => seen,
        }
    })
    .collect()
}

/// A master process that keeps root only to start workers under an account (nginx, haproxy, named) is not meant.
fn leaves_root(view: &View, r: &Running) -> bool {
    matches!(r.service.role, catalog::Role::Proxy | catalog::Role::Monitoring | catalog::Role::Infrastructure)
        && view.facts.processes.iter().any(|p| p.parent == r.process.pid && p.uid != 0)
}
