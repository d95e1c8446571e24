//! Differences in meaning between what a machine must hold and what it holds. In come two rulesets, out come differences
//! that name chain, rule or element by id. Tables that are not expected are not looked at: they belong to others. Never:
//! reports handles, readings, comments or another order of what has none.

use crate::canonical;
use crate::{Chain, Element, Rule, Ruleset, Set, Table, Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How the live state differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Expected, not there.
    Missing,
    /// There, not expected.
    Added,
    /// There, but otherwise.
    Changed,
}

/// One difference.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// How.
    pub change: Change,
    /// Where: `chain input`, `set in/4`, `table inet ravelin`.
    pub place: String,
    /// Ravelin's id of the rule or element, where it has one.
    pub id: Option<String>,
    /// What, in words.
    pub what: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.change {
            Change::Missing => "is missing",
            Change::Added => "was added",
            Change::Changed => "was changed",
        };
        write!(f, "{}: {} {word}", self.place, self.what)
    }
}

/// What of the expected tables is missing, added or changed in the live ruleset. Empty: they mean the same.
pub fn compare(expected: &Ruleset, live: &Ruleset) -> Vec<Difference> {
    let mut out = Vec::new();
    for want in &expected.tables {
        let place = format!("table {:?} {}", want.family, want.name).to_lowercase();
        let copies = live.tables.iter().filter(|t| t.family == want.family && t.name == want.name).count();
        match live.table(want.family, &want.name) {
            None => out.push(Difference { change: Change::Missing, place, id: None, what: "the whole table".to_owned() }),
            Some(_) if copies > 1 => {
                out.push(Difference { change: Change::Changed, place, id: None, what: format!("{copies} tables of one name") })
            }
            Some(have) => tables(&canonical::table(want), &canonical::table(have), &mut out),
        }
    }
    out
}

fn tables(want: &Table, have: &Table, out: &mut Vec<Difference>) {
    let chains = |t: &'_ Table| t.chains.iter().map(|c| (c.name.clone(), c.clone())).collect::<BTreeMap<String, Chain>>();
    let (w, h) = (chains(want), chains(have));
    for (name, chain) in &w {
        match h.get(name) {
            None => out.push(whole(Change::Missing, "chain", name)),
            Some(other) => self::chains(chain, other, out),
        }
    }
    out.extend(h.keys().filter(|n| !w.contains_key(*n)).map(|n| whole(Change::Added, "chain", n)));
    for (name, set) in &want.sets {
        match have.sets.get(name) {
            None => whole_set(Change::Missing, name, set, out),
            Some(other) => sets(name, set, other, out),
        }
    }
    for (name, set) in have.sets.iter().filter(|(n, _)| !want.sets.contains_key(*n)) {
        whole_set(Change::Added, name, set, out);
    }
}

fn whole(change: Change, kind: &str, name: &str) -> Difference {
    Difference { change, place: format!("{kind} {name}"), id: None, what: format!("the whole {kind}") }
}

/// A set with everything in it: the elements are what an operator knows.
fn whole_set(change: Change, name: &str, set: &Set, out: &mut Vec<Difference>) {
    out.push(whole(change, "set", name));
    out.extend(set.elements.iter().map(|e| element(change, &format!("set {name}"), set, e)));
}

fn chains(want: &Chain, have: &Chain, out: &mut Vec<Difference>) {
    let place = format!("chain {}", want.name);
    if want.base != have.base {
        let word = |c: &Chain| match &c.base {
            None => "no base chain".to_owned(),
            Some(b) => format!("{:?} hook {:?} priority {} policy {:?}", b.kind, b.hook, b.priority, b.policy).to_lowercase(),
        };
        let what = format!("its base (expected {}, found {})", word(want), word(have));
        out.push(Difference { change: Change::Changed, place: place.clone(), id: None, what });
    }
    let (missing, added) = unmatched(&want.rules, &have.rules);
    if missing.is_empty() && added.is_empty() && !same_order(&want.rules, &have.rules) {
        out.push(Difference { change: Change::Changed, place: place.clone(), id: None, what: "the order of its rules".to_owned() });
    }
    out.extend(missing.into_iter().map(|r| rule(Change::Missing, &place, r)));
    out.extend(added.into_iter().map(|r| rule(Change::Added, &place, r)));
}

fn same_order(a: &[Rule], b: &[Rule]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| x.statements == y.statements)
}

/// Rules of each side that the other has not, as often as they occur. Rules are looked up by their serialised meaning.
fn unmatched<'a>(want: &'a [Rule], have: &'a [Rule]) -> (Vec<&'a Rule>, Vec<&'a Rule>) {
    let key = |r: &Rule| serde_json::to_string(&r.statements).unwrap_or_default();
    let mut left: BTreeMap<String, Vec<&Rule>> = BTreeMap::new();
    for r in want {
        left.entry(key(r)).or_default().push(r);
    }
    let mut added = Vec::new();
    for r in have {
        if left.get_mut(&key(r)).and_then(Vec::pop).is_none() {
            added.push(r);
        }
    }
    // `pop` took from the end; what remains is the beginning, which for equal rules is as good.
    (left.into_values().flatten().collect(), added)
}

fn rule(change: Change, place: &str, r: &Rule) -> Difference {
    let what = match &r.id {
        Some(id) => format!("rule {id}"),
        None => format!("a rule without id: {}", serde_json::to_string(&r.statements).unwrap_or_default()),
    };
    Difference { change, place: place.to_owned(), id: r.id.clone(), what }
}

fn sets(name: &str, want: &Set, have: &Set, out: &mut Vec<Difference>) {
    let place = format!("set {name}");
    let shape = |s: &Set| (s.types.clone(), s.map.clone(), s.interval, s.dynamic, s.timeout, s.counter, s.size);
    if shape(want) != shape(have) {
        out.push(Difference { change: Change::Changed, place: place.clone(), id: None, what: "its type or flags".to_owned() });
        return;
    }
    let index = |s: &Set| s.elements.iter().map(|e| (e.key.clone(), e.clone())).collect::<BTreeMap<Vec<Value>, Element>>();
    let (w, h) = (index(want), index(have));
    for (key, e) in &w {
        match h.get(key) {
            None => out.push(element(Change::Missing, &place, want, e)),
            Some(other) if other.data != e.data || other.timeout != e.timeout => out.push(element(Change::Changed, &place, want, e)),
            Some(_) => {}
        }
    }
    out.extend(h.iter().filter(|(k, _)| !w.contains_key(*k)).map(|(_, e)| element(Change::Added, &place, have, e)));
}

fn element(change: Change, place: &str, set: &Set, e: &Element) -> Difference {
    let key: Vec<String> = e.key.iter().zip(&set.types).map(|(v, t)| value(t, v)).collect();
    let id = e.id.as_deref().map(|i| format!(" ({i})")).unwrap_or_default();
    Difference { change, place: place.to_owned(), id: e.id.clone(), what: format!("element {}{id}", key.join(" . ")) }
}

fn value(nft_type: &str, v: &Value) -> String {
    let number = |n: u128| match nft_type {
        "ipv4_addr" => u32::try_from(n).map_or_else(|_| n.to_string(), |a| Ipv4Addr::from(a).to_string()),
        "ipv6_addr" => Ipv6Addr::from(n).to_string(),
        _ => n.to_string(),
    };
    match v {
        Value::Range(a, b) if a == b => number(*a),
        Value::Range(a, b) => format!("{}-{}", number(*a), number(*b)),
        Value::Name(n) => n.clone(),
        Value::NamePrefix(n) => format!("{n}*"),
    }
}
