//! The table made short enough to be read: attempts that differ in nothing that matters become one line.
//!
//! In come rows in order; out come lines. A flow is one line, whatever its families and legs; attacks are one line where
//! kind, sender, target, what was expected, what was seen and the deciding rule are the same. Never: folds a row that is
//! not as expected.

use super::table::line;
use crate::{attempt::Group, trial::Row};
use std::collections::{BTreeMap, BTreeSet};

/// What rows of one line share.
type Key<'r> = (Group, Vec<&'r str>, String, Option<&'r str>);

/// Rows that became one line, in the order they came.
struct Fold<'r> {
    first: &'r Row,
    count: usize,
    families: BTreeSet<&'static str>,
}

/// The lines, each with whether it is as expected.
pub fn folded(rows: &[Row]) -> Vec<(String, bool)> {
    let mut order: Vec<Fold<'_>> = Vec::new();
    let mut places: BTreeMap<Key<'_>, usize> = BTreeMap::new();
    for row in rows {
        let family = if row.attempt.dst().is_ipv4() { "v4" } else { "v6" };
        let place = if row.right { *places.entry(key(row)).or_insert(order.len()) } else { order.len() };
        match order.get_mut(place) {
            Some(fold) => {
                fold.count += 1;
                fold.families.insert(family);
            }
            None => order.push(Fold { first: row, count: 1, families: [family].into() }),
        }
    }
    order.iter().map(|f| (text(f), f.first.right)).collect()
}

fn key(row: &Row) -> Key<'_> {
    let a = &row.attempt;
    match &a.flow {
        Some(flow) if a.group == Group::Legitimate => (a.group, vec![flow.as_str()], row.seen.clone(), None),
        _ => {
            let (from, to) = ends(row);
            (a.group, vec![from, to], format!("{} {}", a.expected, row.seen), row.decided.first().map(|d| d.id.as_str()))
        }
    }
}

/// Who tries, and whom: the words before the arrow, the first one after it.
fn ends(row: &Row) -> (&str, &str) {
    let (from, to) = row.attempt.what.split_once(" -> ").unwrap_or((row.attempt.what.as_str(), ""));
    (from, to.split([' ', ',']).next().unwrap_or_default())
}

fn text(fold: &Fold<'_>) -> String {
    if fold.count == 1 {
        return line(fold.first);
    }
    let families = fold.families.iter().copied().collect::<Vec<_>>().join(" ");
    let mut row = fold.first.clone();
    row.attempt.what = if row.attempt.group == Group::Legitimate {
        let what = row.attempt.what.replace(", v4", "").replace(", v6", "");
        format!("{what}, {families}")
    } else {
        let (from, to) = ends(fold.first);
        format!("{from} -> {to}: {} attempts, {families}", fold.count)
    };
    line(&row)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        attempt::{Attempt, Deed, Expected},
        packet::Packet,
        trial::Decision,
    };

    fn row(what: &str, dst: &str, id: &str, right: bool) -> Row {
        let dst: std::net::IpAddr = dst.parse().expect("address");
        let deed = Deed::Send(Packet::syn(dst, dst, 1, 2));
        let attempt = Attempt {
            group: Group::Inside,
            what: what.into(),
            node: "a".into(),
            taken_over: true,
            via: None,
            deed,
            expected: Expected::Stopped,
            flow: None,
        };
        let decided = vec![Decision { node: "fw".into(), id: id.into(), what: String::new(), line: "site.toml:1".into() }];
        Row { attempt, seen: "dropped on fw".into(), right, decided }
    }

    #[test]
    fn only_what_agrees_is_folded_and_nothing_unexpected_is() {
        let rows = [
            row("a -> b ssh, v4", "10.0.0.1", "deny", true),
            row("a -> b ssh, v6", "fd00::1", "deny", true),
            row("a -> b dns, v4", "10.0.0.1", "deny", true),
            row("a -> b dns, v6", "fd00::1", "other", true),
            row("a -> c dns, v6", "fd00::1", "deny", true),
            row("a -> b nfs, v4", "10.0.0.1", "deny", false),
            row("a -> b nfs, v4", "10.0.0.1", "deny", false),
        ];
        let lines = folded(&rows);
        assert_eq!(lines.len(), 5, "{lines:?}");
        assert!(lines[0].0.contains("a -> b: 3 attempts, v4 v6"), "{lines:?}");
        assert!(lines[1].0.contains("a -> b dns, v6") && lines[2].0.contains("a -> c dns"));
        assert!(lines[3..].iter().all(|(l, right)| !right && l.contains("a -> b nfs, v4")));
    }
}
