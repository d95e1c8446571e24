//! Two rulesets of one machine that differ in the elements of sets alone: what a changed line of a site does to an edge node. In come
//! both, out come the sets that differ and the packets whose fate may differ with them. Never: a guess. Where more than that differs, or
//! where such a set is asked before destinations are translated, there is no answer.

use super::{Eval, Past, element_verdict, elements};
use crate::{
    field::Field,
    place::Place,
    set::{Set, Store},
};
use ruleset::form::{ChainKind, Element, Hook, Ruleset, Statement, Table, Verdict};
use std::collections::{BTreeMap, BTreeSet, HashSet};

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Touched {
    /// The packets, as they look to the filters behind destination translation.
    pub packets: Set,
    /// The sets, by table and name.
    pub sets: BTreeSet<(usize, String)>,
}

/// Fields that the way through a machine gives a packet; which device or mark it was says nothing about the elements.
const ON_THE_WAY: [Field; 4] = [Field::In, Field::Out, Field::Mark, Field::CtMark];

/// Elements of one of two versions of a set alone, by table and name of the set.
type Changed<'e> = BTreeMap<(usize, &'e str), Vec<&'e Element>>;

/// What a machine's packets can tell of `new` in place of `old`.
pub(crate) fn touched(store: &mut Store, place: &Place, old: &Ruleset, new: &Ruleset) -> Option<Touched> {
    let changed = changed(old, new)?;
    let mut eval = Eval::new(store, new, place, Past::Any);
    let mut parts = Vec::new();
    for (t, table) in new.tables.iter().enumerate() {
        let late = late(table);
        for (c, chain) in table.chains.iter().enumerate() {
            for rule in &chain.rules {
                let asked = rule.statements.iter().any(|s| looks_into(t, s, &changed));
                if !asked {
                    continue;
                }
                if !late.contains(&c) {
                    return None;
                }
                let mut all = Set::FULL;
                for s in &rule.statements {
                    let one = match s {
                        Statement::Lookup { keys, set, .. } => match changed.get(&(t, set.as_str())) {
                            Some(elements) => eval.rows(keys, elements.iter().copied()).may,
                            None => continue,
                        },
                        Statement::Match { key, mask, op, values } => eval.matching(key, *mask, *op, values, Set::FULL).may,
                        _ => continue,
                    };
                    all = eval.store.and(all, one);
                }
                parts.push(eval.store.forget_all(all, &ON_THE_WAY));
            }
        }
    }
    let packets = store.any(parts);
    let sets = changed.keys().map(|(t, name)| (*t, (*name).to_owned())).collect();
    Some(Touched { packets, sets })
}

fn looks_into(t: usize, s: &Statement, changed: &Changed<'_>) -> bool {
    matches!(s, Statement::Lookup { set, .. } if changed.contains_key(&(t, set.as_str())))
}

/// The elements that one of both has alone; `None` where the two differ in anything else that decides.
fn changed<'e>(old: &'e Ruleset, new: &'e Ruleset) -> Option<Changed<'e>> {
    if old.unread != new.unread || old.tables.len() != new.tables.len() {
        return None;
    }
    let mut out = Changed::new();
    for (t, (a, b)) in old.tables.iter().zip(&new.tables).enumerate() {
        let heads = (a.family, &a.name) == (b.family, &b.name);
        let chains = a.chains.len() == b.chains.len()
            && a.chains.iter().zip(&b.chains).all(|(x, y)| {
                (&x.name, &x.base) == (&y.name, &y.base)
                    && x.rules.len() == y.rules.len()
                    && x.rules.iter().zip(&y.rules).all(|(r, s)| r.statements == s.statements)
            });
        if !heads || !chains || !a.sets.keys().eq(b.sets.keys()) {
            return None;
        }
        for ((name, x), y) in a.sets.iter().zip(b.sets.values()) {
            if x.elements == y.elements && shape(x) == shape(y) {
                continue;
            }
            if shape(x) != shape(y) || x.map.is_some() || x.dynamic {
                return None;
            }
            let alone = alone(&x.elements, &y.elements);
            if !alone.is_empty() {
                out.insert((t, name), alone);
            }
        }
    }
    Some(out)
}

fn shape(s: &ruleset::form::Set) -> (&[String], &Option<Vec<String>>, bool, bool, Option<u64>) {
    (&s.types, &s.map, s.interval, s.dynamic, s.timeout)
}

/// What either list has and the other has not, by key. What both begin and end with is passed over.
fn alone<'e>(old: &'e [Element], new: &'e [Element]) -> Vec<&'e Element> {
    let same = |(x, y): &(&Element, &Element)| x.key == y.key && x.timeout == y.timeout;
    let head = old.iter().zip(new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let keys = |of: &'e [Element]| of.iter().map(|e| (&e.key, e.timeout)).collect::<HashSet<_>>();
    let (before, after) = (keys(old), keys(new));
    let gone = old.iter().filter(|e| !after.contains(&(&e.key, e.timeout)));
    gone.chain(new.iter().filter(|e| !before.contains(&(&e.key, e.timeout)))).collect()
}

/// Chains that see a packet behind destination translation and before source translation, and never elsewhere.
fn late(table: &Table) -> BTreeSet<usize> {
    let mut reached = [BTreeSet::new(), BTreeSet::new()];
    for (c, chain) in table.chains.iter().enumerate() {
        let Some(base) = &chain.base else { continue };
        let late = base.kind == ChainKind::Filter && matches!(base.hook, Hook::Input | Hook::Forward);
        follow(table, c, &mut reached[usize::from(late)]);
    }
    let [early, late] = reached;
    late.difference(&early).copied().collect()
}

fn follow(table: &Table, c: usize, reached: &mut BTreeSet<usize>) {
    if !reached.insert(c) {
        return;
    }
    for s in table.chains[c].rules.iter().flat_map(|r| &r.statements) {
        let verdicts: Vec<&Verdict> = match s {
            Statement::Verdict(v) => vec![v],
            Statement::VerdictMap { map, .. } => {
                elements(table, map).map(|(e, _)| e.iter().filter_map(element_verdict).collect()).unwrap_or_default()
            }
            _ => continue,
        };
        for v in verdicts {
            if let Verdict::Jump(name) | Verdict::Goto(name) = v
                && let Some(next) = table.chains.iter().position(|c| c.name == *name)
            {
                follow(table, next, reached);
            }
        }
    }
}
