//! Prefixes taken out of sets. In come elements of which one address is a prefix, out come groups that share that prefix,
//! or the same few, and are exact in everything else, and what is left.
//!
//! A group becomes a rule that compares the prefixes once and looks the rest up in an exact hash set. Managers in one subnet
//! who may log in everywhere would otherwise fill an interval set with every host of the site, and such a set costs a new
//! connection several times as much as a hash set, the more the larger it is (`docs/performance.md`).
//! Never: changes which packets are allowed.

use ruleset::Value;
use std::collections::BTreeMap;

/// Elements with the id of the flow each is for.
pub(crate) type Elements = BTreeMap<Vec<Value>, String>;

/// Most groups of one chain: every packet that gets so far is compared with each prefix, and about ten comparisons cost as
/// much as one look into an interval set.
pub(crate) const MOST_GROUPS: usize = 8;

/// Elements that share prefixes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Which dimension the prefixes stood in.
    pub dimension: usize,
    /// The prefixes, in order.
    pub prefixes: Vec<Value>,
    /// The elements without that dimension: exact.
    pub elements: Elements,
}

fn exact(v: &Value) -> bool {
    matches!(v, Value::Range(a, b) if a == b)
}

/// The largest groups and what is left; the first `addresses` dimensions are addresses.
pub(crate) fn hoist(elements: Elements, addresses: usize) -> (Vec<Group>, Elements) {
    let mut groups: BTreeMap<(usize, Value), Elements> = BTreeMap::new();
    let mut rest = Elements::new();
    for (key, id) in elements {
        let mut wide = key.iter().enumerate().filter(|(_, v)| !exact(v)).map(|(n, _)| n);
        match (wide.next(), wide.next()) {
            (Some(dimension), None) if dimension < addresses => {
                let mut short = key;
                let prefix = short.remove(dimension);
                groups.entry((dimension, prefix)).or_default().insert(short, id);
            }
            _ => {
                rest.insert(key, id);
            }
        }
    }
    // A zone with a hole in it is several prefixes that open the same.
    let mut alike: BTreeMap<(usize, Elements), Vec<Value>> = BTreeMap::new();
    for ((dimension, prefix), elements) in groups {
        alike.entry((dimension, elements)).or_default().push(prefix);
    }
    let mut groups: Vec<Group> =
        alike.into_iter().map(|((dimension, elements), prefixes)| Group { dimension, prefixes, elements }).collect();
    groups.sort_by(|a, b| (a.dimension, &a.prefixes).cmp(&(b.dimension, &b.prefixes)));
    // Stable: groups of one size stay in the order of their prefixes.
    groups.sort_by_key(|g| std::cmp::Reverse(g.elements.len()));
    for group in groups.split_off(groups.len().min(MOST_GROUPS)) {
        for prefix in &group.prefixes {
            rest.extend(group.elements.iter().map(|(key, id)| {
                let mut key = key.clone();
                key.insert(group.dimension, prefix.clone());
                (key, id.clone())
            }));
        }
    }
    (groups, rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn element(src: (u128, u128), dst: (u128, u128), port: (u128, u128)) -> (Vec<Value>, String) {
        let key = [src, dst, (6, 6), port].map(|(a, b)| Value::Range(a, b)).to_vec();
        (key, format!("f{src:?}{dst:?}{port:?}"))
    }

    /// The elements again, as if nothing had been taken out.
    fn flat(groups: &[Group], rest: &Elements) -> Elements {
        let mut out = rest.clone();
        for g in groups {
            for (prefix, (key, id)) in g.prefixes.iter().flat_map(|p| g.elements.iter().map(move |e| (p, e))) {
                let mut key = key.clone();
                key.insert(g.dimension, prefix.clone());
                assert_eq!(out.insert(key, id.clone()), None, "an element stands in two places");
            }
        }
        out
    }

    #[test]
    fn what_shares_a_prefix_is_exact_afterwards() {
        let elements: Elements = (100..150).map(|host| element((0, 15), (host, host), (22, 22))).collect();
        let (groups, rest) = hoist(elements.clone(), 2);
        assert_eq!((groups.len(), rest.len()), (1, 0));
        assert!(groups[0].elements.keys().flatten().all(exact));
        assert_eq!(flat(&groups, &rest), elements);
    }

    #[test]
    fn prefixes_that_open_the_same_are_one_group() {
        let of = |src, host: u128| (element(src, (host, host), (22, 22)).0, "f".to_owned());
        let elements: Elements = (100..110).flat_map(|host| [of((0, 15), host), of((32, 47), host)]).collect();
        let (groups, rest) = hoist(elements.clone(), 2);
        assert_eq!((groups.len(), groups[0].prefixes.len(), rest.len()), (1, 2, 0));
        assert_eq!(flat(&groups, &rest), elements);
    }

    #[test]
    fn two_prefixes_and_port_ranges_stay() {
        let elements: Elements = [element((0, 15), (16, 31), (22, 22)), element((1, 1), (2, 2), (80, 90))].into();
        let (groups, rest) = hoist(elements.clone(), 2);
        assert_eq!((groups.len(), rest), (0, elements));
    }

    #[test]
    fn no_more_than_the_most_and_the_largest_of_them() {
        let many = |n: u128| (0..=n).map(move |host| element((n * 16, n * 16 + 15), (host, host), (22, 22)));
        let elements: Elements = (0..12).flat_map(many).collect();
        let (groups, rest) = hoist(elements.clone(), 2);
        assert_eq!(groups.len(), MOST_GROUPS);
        assert!(groups.iter().all(|g| g.elements.len() > 4), "the smallest are left");
        assert_eq!(flat(&groups, &rest), elements);
    }
}
