//! A proof that is kept and brought up to date: what changed on some machines is all that is proved again. In comes a network, then
//! other rulesets for machines of it, out come the violations as a whole proof would find them.
//!
//! What a host's own filter holds has a part in no other machine's verdict, only in the ways of its witnesses. Edge nodes have a part in
//! everybody's; where the elements of their sets alone changed, only in those of the machines that these elements send packets to.

use super::{Flows, SITE_ONLY, Violation, accepted, run};
use crate::{
    conform::{Required, of_these, required},
    field,
    network::Network,
    policy::{Policy, policy},
    set::Set,
};
use ruleset::form::Ruleset;
use std::collections::BTreeSet;
use words::{Family, HostName};

/// A proof that can be brought up to date.
#[derive(Debug)]
pub struct Proof<'n, 'a> {
    net: &'n mut Network<'a>,
    flows: Flows<'a>,
    policy: Policy,
    required: Required,
    /// What weakenings of the site file accept.
    accepted: Set,
    violations: Vec<Violation>,
}

impl<'n, 'a> Proof<'n, 'a> {
    /// Proves everything.
    pub fn new(net: &'n mut Network<'a>) -> Self {
        let model = net.model;
        let (policy, required, accepted) = (policy(net.store(), model), required(net), accepted(net));
        let mut proof = Self { net, flows: Flows::new(model), policy, required, accepted, violations: Vec::new() };
        proof.whole();
        proof
    }

    /// What is violated, by code and then in the model's order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The same with other rulesets on these machines: both edge nodes of a pair, or a line's two ends, in one go.
    pub fn replace(&mut self, changes: &[(&HostName, &'a Ruleset)]) -> &[Violation] {
        // What `[[never]]` forbids is told of the site as a whole.
        let mut site = !self.net.model.nevers.is_empty();
        let mut only: BTreeSet<HostName> = changes.iter().map(|(h, _)| (*h).clone()).collect();
        let passed_by =
            |v: &Violation| !only.contains(&v.host) && v.journey.iter().flat_map(|j| &j.hops).any(|hop| only.contains(&hop.host));
        let mut apart = !self.violations.iter().any(passed_by);
        for (host, rules) in changes {
            let (edge, routes) = self.net.machine(host).map_or((false, false), |m| (m.host.edge, m.forwards));
            match self.net.replace(host, rules) {
                Some(touched) => only.extend(self.behind(touched)),
                // A machine that may route unasked has a part in its neighbours' verdicts.
                None => apart &= !edge && !routes,
            }
            site |= edge;
        }
        if !apart {
            self.whole();
            return &self.violations;
        }
        let deviations = of_these(self.net, &self.policy, &self.required, |h| only.contains(h));
        let found = run(self.net, &self.flows, self.accepted, &deviations, Some(&only), site);
        let again = |v: &Violation| only.contains(&v.host) || site && SITE_ONLY.contains(&v.code);
        self.violations.retain(|v| !again(v));
        self.violations.extend(found);
        self.in_order();
        &self.violations
    }

    /// The machines that these packets are sent to.
    fn behind(&mut self, packets: Set) -> Vec<HostName> {
        let mut there = Vec::new();
        for f in Family::ALL {
            let store = self.net.store();
            let of_family = store.value(field::Field::Family, field::family(f));
            let of_family = store.and(packets, of_family);
            let ranges = if of_family.is_empty() { Vec::new() } else { store.project(of_family, field::dst(f)) };
            there.push((f, ranges));
        }
        let hit = |a: &std::net::IpAddr| {
            let n = field::address(*a);
            there.iter().any(|(f, ranges)| {
                *f == Family::of(a) && ranges.get(ranges.partition_point(|(_, last)| *last < n)).is_some_and(|(first, _)| *first <= n)
            })
        };
        let machines = self.net.machines().values();
        machines.filter(|m| m.place.anywhere || m.place.own.iter().any(hit)).map(|m| m.host.name.clone()).collect()
    }

    fn whole(&mut self) {
        let deviations = of_these(self.net, &self.policy, &self.required, |_| true);
        self.violations = run(self.net, &self.flows, self.accepted, &deviations, None, true);
        self.in_order();
    }

    /// Stable: what one machine violates of one code stays in its order.
    fn in_order(&mut self) {
        self.violations.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
    }
}
