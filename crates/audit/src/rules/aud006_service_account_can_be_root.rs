//! AUD006: ways from a service account to uid 0, from the closure.

use super::prelude::*;
use breach::{Closure, Edge, Node, graph::Way};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD006"),
    title: "a service account can become root",
    risk: Risk::High,
    needs: &[Source::Accounts, Source::Groups, Source::Sudoers, Source::Units, Source::Paths, Source::Sweep],
    means: "a taken-over daemon is root a few steps later; the account was for nothing",
    fix: "close the first step",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    ways(view, |end| *end == Node::Root)
}

/// Ways of every account whose end is of this kind, as what was seen.
pub(super) fn ways(view: &View, wanted: impl Fn(&Node) -> bool) -> Vec<Seen> {
    let closure = &view.closure;
    let machine = breach::Machine::new(view.facts);
    let mut out = Vec::new();
    for account in &closure.accounts {
        for way in &account.ways {
            let steps = closure.steps(way);
            if let Some(last) = steps.last().filter(|e| wanted(&e.to)) {
                out.push(seen(closure, &machine, &account.account, way, &steps, last));
            }
        }
    }
    out
}

fn seen(closure: &Closure, machine: &breach::Machine, account: &str, way: &Way, steps: &[&Edge], last: &Edge) -> Seen {
    let line = closure.line(way);
    let mut seen = Seen::new(account, if way.certain { line } else { format!("{line} (cannot be excluded)") });
    for e in steps {
        for (n, evidence) in e.evidence.iter().enumerate() {
            let place = match (&evidence.file, evidence.line) {
                (Some(f), Some(l)) => format!(" [{f}:{l}]"),
                (Some(f), None) => format!(" [{f}]"),
                _ => String::new(),
            };
            let begin = if n == 0 { format!("{}: ", e.technique.title()) } else { String::new() };
            seen = seen.and(format!("{begin}{}{place}", evidence.seen));
        }
    }
    // Where it can be mended: the last place that was seen, which is the narrowest.
    let places = || steps.iter().flat_map(|e| &e.evidence);
    if let Some(place) = places().rfind(|e| e.line.is_some()).or_else(|| places().find(|e| e.file.is_some())) {
        seen = seen.at(place.file.clone().unwrap_or_default(), place.line.unwrap_or(0));
    }
    let commands = steps.iter().filter_map(|e| breach::fix::of_edge(machine, e)).flat_map(|f| f.steps).map(|s| s.command());
    let commands: Vec<String> = commands.collect();
    let first = steps.first().map_or(last, |e| e);
    let seen = seen.fix(if commands.is_empty() { first.technique.close().to_owned() } else { commands.join("; ") });
    if way.certain { seen } else { seen.risk(Risk::Medium) }
}
