//! Rules that can never match and set elements that never decide. In come a ruleset and where it stands, out come the
//! dead ones, each with whether nothing reaches it or nothing that reaches it matches.

use crate::{
    eval::{Eval, Past, RuleAt, Seen},
    field::Field,
    place::Place,
    set::{Set, Store},
};
use ruleset::form::{Hook, Ruleset, Statement};
use serde::Serialize;
use std::collections::BTreeMap;

/// Why it is dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Rules before it take every packet.
    NotReached,
    /// No packet that reaches it matches it whole.
    NotMatched,
    /// Every packet the element names is taken before, or cannot come here.
    Shadowed,
}

/// Something that never takes part in a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dead {
    /// Table.
    pub table: String,
    /// Chain.
    pub chain: String,
    /// Rule's place in the chain.
    pub rule: usize,
    /// Ravelin's id of the rule or the element.
    pub id: Option<String>,
    /// Element's place in its set, where it is one element that is dead.
    pub element: Option<(String, usize)>,
    /// Why.
    pub reason: Reason,
}

/// Every rule, and every element of the sets that rules look up, that never decides for any packet at any hook.
pub fn dead(store: &mut Store, rules: &Ruleset, place: &Place) -> Vec<Dead> {
    let seen = record(store, rules, place);
    let mut out = Vec::new();
    let mut needed: BTreeMap<(usize, &str), Vec<Seen>> = BTreeMap::new();
    let mut lookups: BTreeMap<(usize, &str), (RuleAt, Vec<ruleset::form::Key>)> = BTreeMap::new();
    for (t, table) in rules.tables.iter().enumerate() {
        for (c, chain) in table.chains.iter().enumerate() {
            for (r, rule) in chain.rules.iter().enumerate() {
                let at = RuleAt { table: t, chain: c, rule: r };
                let nothing = Seen { reached: Set::EMPTY, matched: Set::EMPTY };
                let s = seen.get(&at).copied().unwrap_or(nothing);
                let dead = |reason| Dead {
                    table: table.name.clone(),
                    chain: chain.name.clone(),
                    rule: r,
                    id: rule.id.clone(),
                    element: None,
                    reason,
                };
                if s.reached.is_empty() {
                    out.push(dead(Reason::NotReached));
                } else if s.matched.is_empty() {
                    out.push(dead(Reason::NotMatched));
                }
                for st in &rule.statements {
                    if let Statement::Lookup { keys, set, negated: false } = st {
                        needed.entry((t, set)).or_default().push(s);
                        lookups.entry((t, set)).or_insert((at, keys.clone()));
                    }
                }
            }
        }
    }
    for ((t, name), at) in needed {
        let table = &rules.tables[t];
        let Some(set) = table.sets.get(name).filter(|s| !s.dynamic) else { continue };
        let reached = store.any(at.iter().map(|s| s.matched).collect::<Vec<_>>());
        if reached.is_empty() {
            continue;
        }
        let (rule, keys) = &lookups[&(t, name)];
        for (i, e) in set.elements.iter().enumerate() {
            let may = Eval::new(store, rules, place, Past::Any).element_set(keys, e);
            if !store.meets(may, reached) {
                out.push(Dead {
                    table: table.name.clone(),
                    chain: table.chains[rule.chain].name.clone(),
                    rule: rule.rule,
                    id: e.id.clone(),
                    element: Some((name.to_owned(), i)),
                    reason: Reason::Shadowed,
                });
            }
        }
    }
    out
}

fn record(store: &mut Store, rules: &Ruleset, place: &Place) -> BTreeMap<RuleAt, Seen> {
    let local = place.local(store);
    let sides = place.leaving(store);
    let none = store.row(&[Field::Out], &[(0, 0)]);
    let mut e = Eval::new(store, rules, place, Past::Any).recording();
    let wire = e.hooks(&[Hook::Ingress, Hook::Prerouting], none).passed;
    let here = e.store.and(wire, local);
    e.hooks(&[Hook::Input], here);
    let routed = |e: &mut Eval<'_>, set: Set| {
        let mut parts = Vec::new();
        for (d, there) in &sides {
            let part = e.store.and(set, *there);
            parts.push(e.store.assign(part, Field::Out, *d, *d));
        }
        e.store.any(parts)
    };
    let away = routed(&mut e, wire);
    e.hooks(&[Hook::Forward, Hook::Postrouting], away);
    let from_here = e.store.value(Field::In, 0);
    let out = routed(&mut e, from_here);
    let lo = crate::field::device("lo");
    let own = e.store.assign(from_here, Field::Out, lo, lo);
    let own = e.store.and(own, local);
    let all = e.store.or(out, own);
    e.hooks(&[Hook::Output, Hook::Postrouting], all);
    e.seen().cloned().unwrap_or_default()
}
