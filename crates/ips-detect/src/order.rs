//! The order in which rules are tried and take precedence: by action, then those that set bits before those that ask for them, then by
//! priority, then by number. As the peer sorts, and rules that both ask and set behind those that set what they ask for.

use ips_rules::{
    Rule,
    condition::{Bit, Check, Effect, Scope},
    header::Action,
};
use rustc_hash::FxHashMap;

/// What a rule does with one kind of state. Rules that have nothing to do with it come last, as with the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Touch {
    Sets,
    Both,
    Asks,
    None,
}

fn touch(sets: bool, asks: bool) -> Touch {
    match (sets, asks) {
        (true, true) => Touch::Both,
        (true, false) => Touch::Sets,
        (false, true) => Touch::Asks,
        (false, false) => Touch::None,
    }
}

fn changed(effect: &Effect) -> Option<&Bit> {
    match effect {
        Effect::Set(b, _) | Effect::Unset(b) | Effect::Toggle(b) => Some(b),
        _ => None,
    }
}

fn asked(check: &Check) -> &[Bit] {
    if let Check::Bits { any, .. } = check { any } else { &[] }
}

fn bits(rule: &Rule, of: fn(Scope) -> bool) -> Touch {
    touch(rule.effects.iter().filter_map(changed).any(|b| of(b.scope)), rule.checks.iter().flat_map(asked).any(|b| of(b.scope)))
}

fn ints(rule: &Rule) -> Touch {
    touch(
        rule.effects.iter().any(|e| matches!(e, Effect::FlowInt { .. })),
        rule.checks.iter().any(|c| matches!(c, Check::FlowInt { .. } | Check::FlowIntSet { .. })),
    )
}

/// Precedence of actions: the peer's default. One kind of rejecting stands for all.
pub(crate) const ACTIONS: [Action; 4] = [Action::Pass, Action::Drop, Action::RejectSource, Action::Alert];

/// Where an action stands in the order.
fn action(a: Action, order: &[Action]) -> usize {
    let a = if matches!(a, Action::RejectDestination | Action::RejectBoth) { Action::RejectSource } else { a };
    order.iter().position(|o| *o == a).unwrap_or(order.len())
}

/// Longest chain of rules that set what the next asks for.
const MAX_CHAIN: u8 = 8;

/// How many rules that ask and set must have been tried before each.
fn depths(rules: &[Rule]) -> Vec<u8> {
    let flow = |b: &&Bit| b.scope == Scope::Flow;
    let both: Vec<bool> = rules.iter().map(|r| bits(r, |s| s == Scope::Flow) == Touch::Both).collect();
    let mut depth = vec![0u8; rules.len()];
    let mut of: FxHashMap<&str, u8> = FxHashMap::default();
    for _ in 0..MAX_CHAIN {
        let mut more = false;
        for (i, rule) in rules.iter().enumerate().filter(|(i, _)| both[*i]) {
            let asks = rule.checks.iter().flat_map(asked).filter(flow);
            let need = asks.filter_map(|b| of.get(b.name.as_str())).max().map_or(0, |d| d + 1).min(MAX_CHAIN);
            depth[i] = depth[i].max(need);
            for b in rule.effects.iter().filter_map(changed).filter(flow) {
                let entry = of.entry(b.name.as_str()).or_insert(0);
                if *entry < depth[i] {
                    *entry = depth[i];
                    more = true;
                }
            }
        }
        if !more {
            break;
        }
    }
    depth
}

/// Sorts.
pub(crate) fn sort(rules: Vec<Rule>, order: &[Action]) -> Vec<Rule> {
    let depth = depths(&rules);
    let mut keyed: Vec<_> = rules
        .into_iter()
        .enumerate()
        .map(|(i, r)| {
            let key = (
                action(r.header.action, order),
                bits(&r, |s| s == Scope::Flow),
                depth[i],
                ints(&r),
                bits(&r, |s| matches!(s, Scope::Source | Scope::Destination)),
                bits(&r, |s| s == Scope::Pair),
                r.meta.priority,
                (r.meta.sid, r.meta.gid),
                i,
            );
            (key, r)
        })
        .collect();
    keyed.sort_by_key(|(key, _)| *key);
    keyed.into_iter().map(|(_, r)| r).collect()
}
