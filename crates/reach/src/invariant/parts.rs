//! A whole proof on several threads. In come a model and its machines' rulesets, out comes what is violated, as one thread would
//! find it.
//!
//! What a machine's filter must hold is told of that machine and of the edge nodes before it. Each thread therefore proves some
//! of the hosts in a store of its own, edge nodes' ways included; the first also proves the edge nodes themselves and what is
//! told of the site as a whole. Never: a machine that no thread looks at.

use super::{Allowed, Violation, run};
use crate::{
    conform::of_machines,
    network::{Devices, Network, Prover},
};
use ruleset::form::Ruleset;
use site::model::Model;
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

/// Hosts that the thread with the edge nodes leaves to the others, of a hundred: in a profile of 1,000 hosts the edge nodes
/// were about a sixth of the proof.
const LEFT_OF_100: usize = 20;

/// Everything that is violated, by code and then by machine.
pub fn prove(model: &Model, rulesets: &BTreeMap<HostName, Ruleset>, devices: &Devices, threads: usize) -> Vec<Violation> {
    let parts = parts(model, threads.max(1));
    let mut found = std::thread::scope(|scope| {
        let workers: Vec<_> = parts.iter().skip(1).map(|part| scope.spawn(move || one(model, rulesets, devices, part, false))).collect();
        let mut found = parts.first().map(|part| one(model, rulesets, devices, part, true)).unwrap_or_default();
        for worker in workers {
            match worker.join() {
                Ok(more) => found.extend(more),
                // A bug in one part is a bug of the whole: nothing is proved.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    // Stable: what one machine violates of one code stays in its order.
    found.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
    found
}

fn one(model: &Model, rulesets: &BTreeMap<HostName, Ruleset>, devices: &Devices, part: &BTreeSet<HostName>, site: bool) -> Vec<Violation> {
    let mut prover = Prover::once();
    let mut net = Network::new(&mut prover, model, rulesets, devices);
    let allowed = Allowed::new(&mut net, |h| part.contains(h));
    let deviations = of_machines(&mut net, &allowed.policy, |h| part.contains(h));
    run(&mut net, allowed.accepted, &deviations, Some(part), site)
}

/// The machines of each thread; edge nodes are the first one's.
fn parts(model: &Model, threads: usize) -> Vec<BTreeSet<HostName>> {
    let mut parts = vec![BTreeSet::new(); threads];
    parts[0].extend(model.hosts.iter().filter(|(_, h)| h.edge).map(|(n, _)| n.clone()));
    let hosts: Vec<&HostName> = model.hosts.iter().filter(|(_, h)| !h.edge).map(|(n, _)| n).collect();
    let share = 100 / threads;
    for (i, host) in hosts.iter().enumerate() {
        // Dealt one by one, so that every thread gets some of each kind of host.
        let of = if i % 100 < LEFT_OF_100.min(share * (threads - 1)) && threads > 1 { 1 + i % (threads - 1) } else { i % threads };
        parts[of].insert((*host).clone());
    }
    parts
}
