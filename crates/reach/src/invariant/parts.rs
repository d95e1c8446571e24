//! A whole proof on several threads. In come a model and its machines' rulesets, or what makes them, out comes what is violated, as
//! one thread would find it.
//!
//! What a machine's filter must hold is told of that machine and of the edge nodes before it. Each thread therefore proves some
//! of the hosts in a store of its own, edge nodes' ways included; the first also proves the edge nodes themselves and what is
//! told of the site as a whole. A thread takes its hosts in turns, and after each gives back their rulesets and forgets what it
//! evaluated for them alone: memory grows with the edge nodes' rules, not with the number of hosts.
//! Never: a machine that no thread looks at.

use super::{Flows, Violation, accepted, check, run};
use crate::{
    conform::of_machines,
    network::{Devices, Maker, Network, Prover},
    policy::{Sides, part},
};
use ruleset::form::Ruleset;
use site::model::Model;
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

/// Hosts that the thread with the edge nodes leaves to the others, of a hundred: in a profile of 1,000 hosts the edge nodes
/// were about a sixth of the proof.
const LEFT_OF_100: usize = 20;

/// Hosts proved in one turn: their sets then fit into a processor's second-level cache, and what is asked once for all of them
/// does not count.
const TURN: usize = 64;

/// What the threads share.
struct Shared<'a> {
    model: &'a Model,
    known: &'a BTreeMap<HostName, Ruleset>,
    maker: &'a Maker<'a>,
    devices: &'a Devices,
    flows: &'a Flows<'a>,
    sides: &'a Sides<'a>,
}

/// Everything that is violated, by code and then by machine.
pub fn prove(model: &Model, rulesets: &BTreeMap<HostName, Ruleset>, devices: &Devices, threads: usize) -> Vec<Violation> {
    prove_made(model, rulesets, &Maker(&|_| None), devices, threads)
}

/// The same, with rulesets made by need except the `known` ones, which should be the edge nodes'.
pub fn prove_made(
    model: &Model,
    known: &BTreeMap<HostName, Ruleset>,
    maker: &Maker<'_>,
    devices: &Devices,
    threads: usize,
) -> Vec<Violation> {
    let parts = parts(model, threads.max(1));
    let shared = &Shared { model, known, maker, devices, flows: &Flows::new(model), sides: &Sides::new(model) };
    let found = std::thread::scope(|scope| {
        let workers: Vec<_> = parts.iter().skip(1).map(|part| scope.spawn(move || one(shared, part, false))).collect();
        let mut found = parts.first().map_or_else(|| Some(Vec::new()), |part| one(shared, part, true));
        for worker in workers {
            match worker.join() {
                Ok(more) => found = found.zip(more).map(|(found, more)| [found, more].concat()),
                // A bug in one part is a bug of the whole: nothing is proved.
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        found
    });
    let mut found = found.unwrap_or_else(|| whole(shared));
    // Stable: what one machine violates of one code stays in its order.
    found.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
    found
}

/// One thread's part. `None` where a machine routes that nobody asked to: it has a part in other machines' verdicts.
fn one(shared: &Shared<'_>, part_of: &[HostName], site: bool) -> Option<Vec<Violation>> {
    let mut prover = Prover::once();
    let mut net = Network::made(&mut prover, shared.model, shared.known, shared.maker, shared.devices);
    let accepted = accepted(&mut net);
    let mut found = Vec::new();
    let mut mark = None;
    for (n, turn) in part_of.chunks(TURN).enumerate() {
        let turn: BTreeSet<HostName> = turn.iter().cloned().collect();
        if net.routes_unasked(&turn) {
            return None;
        }
        let policy = part(net.store(), shared.sides, shared.model.hosts.keys().filter(|h| turn.contains(*h)));
        let deviations = of_machines(&mut net, &policy, |h| turn.contains(h));
        found.extend(run(&mut net, shared.flows, accepted, &deviations, None, Some(&turn), site && n == 0));
        // What the first turn asked of edge nodes and zones the others ask too: it is kept.
        let mark = *mark.get_or_insert_with(|| net.mark());
        net.rewind(mark);
    }
    Some(found)
}

/// Everything at once, on one thread.
fn whole(shared: &Shared<'_>) -> Vec<Violation> {
    let mut prover = Prover::once();
    let mut net = Network::made(&mut prover, shared.model, shared.known, shared.maker, shared.devices);
    net.routes_unasked(&shared.model.hosts.keys().cloned().collect());
    check(&mut net)
}

/// The machines of each thread; edge nodes are the first one's, and come first.
fn parts(model: &Model, threads: usize) -> Vec<Vec<HostName>> {
    let mut parts = vec![Vec::new(); threads];
    parts[0].extend(model.hosts.iter().filter(|(_, h)| h.edge).map(|(n, _)| n.clone()));
    let hosts: Vec<&HostName> = model.hosts.iter().filter(|(_, h)| !h.edge).map(|(n, _)| n).collect();
    let share = 100 / threads;
    for (i, host) in hosts.iter().enumerate() {
        // Dealt one by one, so that every thread gets some of each kind of host.
        let of = if i % 100 < LEFT_OF_100.min(share * (threads - 1)) && threads > 1 { 1 + i % (threads - 1) } else { i % threads };
        parts[of].push((*host).clone());
    }
    parts
}
