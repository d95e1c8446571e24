//! The normal form: two tables that mean the same have the same one. In comes a table as planned or as read back, out
//! comes it without readings, texts and implied checks, with matches, elements and chains in one order.
//!
//! What changes nothing is normalised away: the order of matches in a row, of values, elements and chains; touching
//! intervals; a family or protocol check that an address or ICMP field implies; elements of dynamic sets (they are state,
//! not policy). Rule order stays. Never: merges what differs in a verdict, a translation or a limit.

use crate::{Chain, Data, Element, Key, MapRef, NatTarget, Op, Rule, Ruleset, Set, Statement, Table, Value};
use words::Digest;

const V4: u128 = 2;
const V6: u128 = 10;

/// The normal form of a whole ruleset, tables sorted.
pub fn ruleset(ruleset: &Ruleset) -> Ruleset {
    let mut tables: Vec<Table> = ruleset.tables.iter().map(table).collect();
    tables.sort_by(|a, b| (a.family, &a.name).cmp(&(b.family, &b.name)));
    Ruleset { tables, unread: ruleset.unread.clone() }
}

/// The normal form of a table. Ids stay, so that differences can be named; [`digest`] leaves them out.
pub fn table(table: &Table) -> Table {
    let mut chains: Vec<Chain> = table.chains.iter().map(chain).collect();
    chains.sort_by(|a, b| a.name.cmp(&b.name));
    let sets = table.sets.iter().map(|(n, s)| (n.clone(), set(s))).collect();
    Table { family: table.family, name: table.name.clone(), writer: table.writer, chains, sets }
}

/// The digest of a ruleset's meaning: equal for what was planned and what a kernel gives back of it.
pub fn digest(ruleset: &Ruleset) -> Digest {
    let mut normal = self::ruleset(ruleset);
    for t in &mut normal.tables {
        t.chains.iter_mut().flat_map(|c| &mut c.rules).for_each(|r| r.id = None);
        t.sets.values_mut().flat_map(|s| &mut s.elements).for_each(|e| e.id = None);
    }
    // These types always serialise: text keys, no floats.
    Digest::of(&serde_json::to_vec(&normal.tables).unwrap_or_default())
}

fn chain(chain: &Chain) -> Chain {
    let mut base = chain.base.clone();
    if let Some(b) = &mut base {
        b.devices.sort();
    }
    Chain { name: chain.name.clone(), base, rules: chain.rules.iter().map(rule).collect() }
}

/// The normal form of a rule.
pub fn rule(rule: &Rule) -> Rule {
    let implied = implied(&rule.statements);
    let mut statements: Vec<Statement> = Vec::new();
    let mut run: Vec<Statement> = Vec::new();
    for s in rule.statements.iter().filter(|s| !implied.contains(*s)) {
        match s {
            Statement::Match { .. } => run.push(statement(s)),
            other => {
                flush(&mut statements, &mut run);
                statements.push(statement(other));
            }
        }
    }
    flush(&mut statements, &mut run);
    Rule { id: rule.id.clone(), statements, text: None, counted: None }
}

/// Matches in a row commute.
fn flush(out: &mut Vec<Statement>, run: &mut Vec<Statement>) {
    run.sort_by_cached_key(|s| match s {
        Statement::Match { key, mask, op, values } => Some((key.clone(), *mask, *op == Op::NotIn, values.clone())),
        _ => None,
    });
    run.dedup();
    out.append(run);
}

/// Checks that another match of the same rule makes anyway.
fn implied(statements: &[Statement]) -> Vec<Statement> {
    let keys: Vec<&Key> = statements
        .iter()
        .flat_map(|s| match s {
            Statement::Match { key, .. } => std::slice::from_ref(key).iter(),
            Statement::Lookup { keys, negated: false, .. } => keys.iter(),
            _ => [].iter(),
        })
        .collect();
    let has = |list: &[Key]| keys.iter().any(|k| list.contains(k));
    let is = |key, n: u128| Statement::Match { key, mask: None, op: Op::In, values: vec![Value::one(n)] };
    let mut out = Vec::new();
    let icmp = has(&[Key::IcmpType, Key::IcmpCode]);
    let icmp6 = has(&[Key::Icmp6Type, Key::Icmp6Code]);
    if has(&[Key::Ip4Saddr, Key::Ip4Daddr, Key::CtOrigIp4Daddr]) || icmp {
        out.push(is(Key::NfProto, V4));
    }
    if has(&[Key::Ip6Saddr, Key::Ip6Daddr]) || icmp6 {
        out.push(is(Key::NfProto, V6));
    }
    if icmp {
        out.push(is(Key::L4Proto, 1));
    }
    if icmp6 {
        out.push(is(Key::L4Proto, 58));
    }
    out
}

fn statement(s: &Statement) -> Statement {
    match s {
        Statement::Match { key, mask, op, values } => Statement::Match { key: key.clone(), mask: *mask, op: *op, values: merged(values) },
        Statement::VerdictMap { keys, map } => Statement::VerdictMap { keys: keys.clone(), map: map_ref(map) },
        Statement::Nat(n) => {
            let mut n = n.clone();
            if let NatTarget::Map { map, .. } = &mut n.address {
                *map = map_ref(map);
            }
            n.flags.sort();
            Statement::Nat(n)
        }
        Statement::Dynamic { op, keys, set, statements } => Statement::Dynamic {
            op: op.clone(),
            keys: keys.clone(),
            set: set.clone(),
            statements: statements.iter().map(statement).collect(),
        },
        Statement::SetMark { key, mask, value } => {
            Statement::SetMark { key: key.clone(), mask: mask.filter(|m| *m != u32::MAX), value: *value }
        }
        other => other.clone(),
    }
}

fn map_ref(map: &MapRef) -> MapRef {
    match map {
        MapRef::Inline(list) => MapRef::Inline(elements(list, 0)),
        named => named.clone(),
    }
}

/// Sorted, without duplicates, touching intervals joined.
pub fn merged(values: &[Value]) -> Vec<Value> {
    let mut sorted = values.to_vec();
    sorted.sort();
    let mut out: Vec<Value> = Vec::new();
    for v in sorted {
        match (out.last_mut(), &v) {
            (Some(Value::Range(_, last)), Value::Range(first, end)) if *first <= last.saturating_add(1) => *last = (*last).max(*end),
            (Some(last), v) if last == v => {}
            _ => out.push(v),
        }
    }
    out
}

fn set(set: &Set) -> Set {
    let mut out = set.clone();
    out.comment = None;
    if set.dynamic {
        out.elements.clear();
    } else {
        out.size = None;
        let joinable = if set.interval && set.map.is_none() && set.types.len() == 1 { 1 } else { 0 };
        out.elements = elements(&set.elements, joinable);
    }
    out
}

/// Sorted elements without readings; in an interval set of one dimension (`joinable`) touching elements are joined.
fn elements(list: &[Element], joinable: usize) -> Vec<Element> {
    let mut out: Vec<Element> = list.iter().map(|e| Element { counted: None, ..e.clone() }).collect();
    out.sort_by(|a, b| (&a.key, data(a)).cmp(&(&b.key, data(b))));
    if joinable == 1 {
        let mut joined: Vec<Element> = Vec::new();
        for e in out {
            if let (Some(last), [Value::Range(first, end)]) = (joined.last_mut(), e.key.as_slice())
                && let [Value::Range(_, until)] = last.key.as_mut_slice()
                && last.timeout == e.timeout
                && *first <= until.saturating_add(1)
            {
                *until = (*until).max(*end);
                continue;
            }
            joined.push(e);
        }
        out = joined;
    }
    out
}

fn data(e: &Element) -> (Option<crate::Verdict>, Vec<u128>) {
    match &e.data {
        Some(Data::Verdict(v)) => (Some(v.clone()), Vec::new()),
        Some(Data::Numbers(n)) => (None, n.clone()),
        None => (None, Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_an_address_implies_is_not_a_difference() {
        let is = |key, n: u128| Statement::Match { key, mask: None, op: Op::In, values: vec![Value::one(n)] };
        let a = Rule { statements: vec![is(Key::NfProto, V4), is(Key::Ip4Saddr, 7)], ..Rule::default() };
        let b = Rule { statements: vec![is(Key::Ip4Saddr, 7)], text: Some("x".into()), ..Rule::default() };
        assert_eq!(rule(&a), rule(&b));
        let c = Rule { statements: vec![is(Key::NfProto, V6), is(Key::L4Proto, 6)], ..Rule::default() };
        assert_eq!(rule(&c).statements.len(), 2);
    }

    proptest! {
        #[test]
        fn merging_keeps_the_set(raw in proptest::collection::vec((0u128..40, 0u128..6), 0..10), probe in 0u128..50) {
            let values: Vec<Value> = raw.iter().map(|&(a, n)| Value::Range(a, a + n)).collect();
            let slow = raw.iter().any(|&(a, n)| a <= probe && probe <= a + n);
            let m = merged(&values);
            let hits = m.iter().filter(|v| matches!(v, Value::Range(a, b) if *a <= probe && probe <= *b)).count();
            prop_assert_eq!(hits, usize::from(slow));
            prop_assert_eq!(merged(&m), m);
        }
    }
}
