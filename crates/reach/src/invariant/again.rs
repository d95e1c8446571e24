//! A proof that is kept and brought up to date: what changed on some machines is all that is proved again. In comes a network, then
//! other rulesets for machines of it, out come the violations as a whole proof would find them.
//!
//! What a host's own filter holds has a part in no other machine's verdict, only in the ways of its witnesses. Edge nodes have a part in
//! everybody's; where the elements of their sets alone changed, only in those of the machines that these elements send packets to.

use super::{
    Flows, SITE_ONLY, Violation, accepted,
    line::line,
    net006::{Managing, manages, managing},
    run,
};
use crate::{
    conform::{Required, of_these, required},
    field::{self, Field},
    network::Network,
    policy::{Gather, Policy, pair, policy},
    set::Set,
};
use ruleset::form::Ruleset;
use site::model::Model;
use std::collections::BTreeSet;
use words::{Family, HostName};

/// A proof that can be brought up to date.
#[derive(Debug)]
pub struct Proof<'n, 'a> {
    net: &'n mut Network<'a>,
    policy: Policy,
    required: Required,
    managing: Managing,
    /// What weakenings of the site file accept.
    accepted: Set,
    violations: Vec<Violation>,
}

impl<'n, 'a> Proof<'n, 'a> {
    /// Proves everything.
    pub fn new(net: &'n mut Network<'a>) -> Self {
        let model = net.model;
        let (policy, required, managing, accepted) = (policy(net.store(), model), required(net), managing(net), accepted(net));
        let mut proof = Self { net, policy, required, managing, accepted, violations: Vec::new() };
        proof.whole();
        proof
    }

    /// What is violated, by code and then in the model's order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The same with other rulesets on these machines: both edge nodes of a pair, or a line's two ends, in one go.
    pub fn replace(&mut self, changes: &[(&HostName, &'a Ruleset)]) -> &[Violation] {
        self.again(changes, BTreeSet::new(), false, false)
    }

    /// The same after a line of the site file has changed: with its model and the rulesets that differ. `None` where the line changes
    /// what every machine's part stands on (zones, addresses, the edge, published services, what must never be): that is a new
    /// network, and nothing was changed here.
    pub fn follow(&mut self, model: &'a Model, changes: &[(&HostName, &'a Ruleset)]) -> Option<&[Violation]> {
        let line = line(self.net.model, model)?;
        self.net.follow(model);
        self.policy.follow(self.net.store(), model, &line.parties, &line.moved);
        self.required.follow(self.net, &line.moved);
        line.moved.only(manages).bring(self.net.store(), model, &mut self.managing, Field::Dport, pair, Gather::add);
        let accepted = accepted(self.net);
        // What is violated cites lines, and any of these may stand elsewhere now.
        let whole = !self.violations.is_empty() || accepted != self.accepted;
        self.accepted = accepted;
        let mut hosts = line.hosts;
        if line.crosses {
            hosts.extend(model.edge.nodes.iter().cloned());
        }
        Some(self.again(changes, hosts, line.crosses, whole))
    }

    /// Proves again these machines and what the changed rulesets have a part in; what is told of the `site` as a whole where asked.
    fn again(&mut self, changes: &[(&HostName, &'a Ruleset)], hosts: BTreeSet<HostName>, site: bool, whole: bool) -> &[Violation] {
        // What `[[never]]` forbids is told of the site as a whole.
        let mut site = site || !self.net.model.nevers.is_empty();
        let mut only: BTreeSet<HostName> = changes.iter().map(|(h, _)| (*h).clone()).chain(hosts).collect();
        let passed_by =
            |v: &Violation| !only.contains(&v.host) && v.journey.iter().flat_map(|j| &j.hops).any(|hop| only.contains(&hop.host));
        let mut apart = !whole && !self.violations.iter().any(passed_by);
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
        let of_only = Flows::of(self.net.model, |h| only.contains(h));
        let found = run(self.net, &of_only, self.accepted, &deviations, Some(&self.managing), Some(&only), site);
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
            let of_family = store.value(Field::Family, field::family(f));
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
        self.violations = run(self.net, &Flows::new(self.net.model), self.accepted, &deviations, Some(&self.managing), None, true);
        self.in_order();
    }

    /// Stable: what one machine violates of one code stays in its order.
    fn in_order(&mut self) {
        self.violations.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
    }
}
