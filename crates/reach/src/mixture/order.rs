//! Mixtures against the order of a rollout. In come mixtures and an order, out comes whether the order meets one; or from mixtures alone
//! an order that meets none. Never: a promise about a rollout that is taken back, which has no order.

use super::{Cut, Wider};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

/// How to get from the old plan to the new one without a wider mixture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum WayOut {
    /// Any order does.
    Any,
    /// Machine by machine in this order, as long as nothing is taken back; machines that are not named may come at any time.
    Order(Vec<HostName>),
    /// In two rollouts: first close what the new plan closes, then open what it opens. The first has mixtures no wider than the old
    /// plan, the second none wider than the new one, whatever the order. It serves always.
    TwoRollouts,
}

/// An order of the machines that the mixtures are about, or two rollouts.
pub fn way_out(wider: &[Wider]) -> WayOut {
    if wider.is_empty() {
        return WayOut::Any;
    }
    let mut left: BTreeSet<&HostName> = wider.iter().flat_map(|w| w.old.iter().chain(&w.new)).collect();
    let (mut done, mut order) = (BTreeSet::new(), Vec::new());
    while !left.is_empty() {
        // A mixture stands once all its new machines are done and none of its old ones.
        let safe = |h: &&&HostName| {
            let now = |x: &HostName| x == **h || done.contains(x);
            !wider.iter().any(|w| w.new.iter().all(&now) && !w.old.iter().any(&now))
        };
        let Some(next) = left.iter().find(safe).copied() else { return WayOut::TwoRollouts };
        left.remove(next);
        done.insert(next.clone());
        order.push(next.clone());
    }
    WayOut::Order(order)
}

/// Whether machines `new` may hold the new plan while machines `old` hold the old one. Within a wave any machine may be first; machines
/// that are in no wave keep the old plan.
fn stands(old: &BTreeSet<HostName>, new: &BTreeSet<HostName>, waves: &[Vec<HostName>]) -> bool {
    let at: BTreeMap<&HostName, usize> = waves.iter().enumerate().flat_map(|(n, w)| w.iter().map(move |h| (h, n))).collect();
    let wave = |h: &HostName| at.get(h).copied().unwrap_or(usize::MAX);
    let last_new = new.iter().map(wave).max();
    let first_old = old.iter().map(wave).min();
    match (last_new, first_old) {
        (Some(usize::MAX), _) => false,
        (Some(n), Some(o)) => n <= o,
        _ => true,
    }
}

impl Wider {
    /// Whether a rollout in these waves may meet it on its way forward.
    pub fn on_the_way(&self, waves: &[Vec<HostName>]) -> bool {
        stands(&self.old, &self.new, waves)
    }
}

impl Cut {
    /// Whether a rollout in these waves may meet it on its way forward.
    pub fn on_the_way(&self, waves: &[Vec<HostName>]) -> bool {
        if self.order.is_empty() {
            return self.machines.len() > 1;
        }
        let later = self.order.iter().zip(self.order.iter().skip(1));
        let set = |of: &[HostName]| of.iter().cloned().collect::<BTreeSet<_>>();
        // Each step whole before the next one begins.
        later.into_iter().any(|(first, then)| {
            then.iter().any(|t| first.iter().any(|f| stands(&set(std::slice::from_ref(f)), &set(std::slice::from_ref(t)), waves)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{network::Sender, packet::Packet};
    use words::Family;

    fn names(of: &[&str]) -> Vec<HostName> {
        of.iter().map(|h| HostName::new(h).expect("host")).collect()
    }

    fn one(old: &[&str], new: &[&str]) -> Wider {
        let p = Packet::opening(Family::V4);
        Wider {
            packet: p,
            arrives: p,
            from: Sender::Host(names(&["s"])[0].clone()),
            path: names(&["a", "b"]),
            outside: false,
            old: names(old).into_iter().collect(),
            new: names(new).into_iter().collect(),
            unsure: false,
        }
    }

    #[test]
    fn an_order_that_closes_before_it_opens_is_found() {
        let w = [one(&["a"], &["b"])];
        assert_eq!(way_out(&w), WayOut::Order(names(&["a", "b"])));
        assert!(!w[0].on_the_way(&[names(&["a"]), names(&["b"])]));
        assert!(w[0].on_the_way(&[names(&["b"]), names(&["a"])]));
        assert!(w[0].on_the_way(&[names(&["a", "b"])]), "within a wave any machine may be first");
        assert!(w[0].on_the_way(&[names(&["b"])]), "a machine left out keeps the old plan");
        assert!(!w[0].on_the_way(&[names(&["a"])]));
    }

    #[test]
    fn mixtures_both_ways_want_two_rollouts() {
        assert_eq!(way_out(&[one(&["a"], &["b"]), one(&["b"], &["a"])]), WayOut::TwoRollouts);
        assert_eq!(way_out(&[]), WayOut::Any);
        let three = [one(&["a", "b"], &["c"]), one(&["b"], &["a"])];
        assert_eq!(way_out(&three), WayOut::Order(names(&["b", "a", "c"])));
    }
}
