//! A proof that is kept and brought up to date: one changed host costs one host. In comes a network, then other rulesets
//! for machines of it, out come the violations as a whole proof would find them.
//!
//! What a host's own filter holds has a part in no other machine's verdict, only in the ways of its witnesses. Edge nodes
//! have a part in everything: with one of them changed everything is proved again, with the evaluations that still hold.

use super::{Flows, Violation, accepted, run};
use crate::{
    conform::{Deviation, conformance, of_host},
    network::Network,
    policy::{Policy, policy},
    set::Set,
};
use ruleset::form::Ruleset;
use std::collections::BTreeSet;
use words::HostName;

/// A proof that can be brought up to date.
#[derive(Debug)]
pub struct Proof<'n, 'a> {
    net: &'n mut Network<'a>,
    flows: Flows<'a>,
    policy: Policy,
    /// What weakenings of the site file accept.
    accepted: Set,
    violations: Vec<Violation>,
}

impl<'n, 'a> Proof<'n, 'a> {
    /// Proves everything.
    pub fn new(net: &'n mut Network<'a>) -> Self {
        let model = net.model;
        let (policy, accepted) = (policy(net.store(), model), accepted(net));
        let mut proof = Self { net, flows: Flows::new(model), policy, accepted, violations: Vec::new() };
        proof.whole();
        proof
    }

    /// What is violated, by code and then in the model's order.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// The same with another ruleset on one machine.
    pub fn replace(&mut self, host: &HostName, rules: &'a Ruleset) -> &[Violation] {
        self.net.replace(host, rules);
        // What `[[never]]` forbids and machines that may route unasked are told of the site as a whole.
        let alone = self.net.model.nevers.is_empty() && self.net.machine(host).is_some_and(|m| !m.host.edge && !m.forwards);
        let passed_by = self.violations.iter().any(|v| v.host != *host && v.journey.iter().flat_map(|j| &j.hops).any(|h| h.host == *host));
        if !alone || passed_by {
            self.whole();
            return &self.violations;
        }
        let deviations: Vec<Deviation> = of_host(self.net, &self.policy, host);
        let only = BTreeSet::from([host.clone()]);
        let found = run(self.net, &self.flows, self.accepted, &deviations, Some(&only), false);
        self.violations.retain(|v| v.host != *host);
        self.violations.extend(found);
        // Stable: what one machine violates of one code stays in its order.
        self.violations.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
        &self.violations
    }

    fn whole(&mut self) {
        let deviations = conformance(self.net, &self.policy);
        self.violations = run(self.net, &self.flows, self.accepted, &deviations, None, true);
        self.violations.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
    }
}
