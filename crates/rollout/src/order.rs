//! Who changes when. In come the site, the machines that change and which node of a pair is active, out come waves. Pure.
//!
//! The edge first: what it will not let pass any more is shut before a host behind it opens, and a pair's standby is changed while the other
//! node carries the traffic. Then hosts: who is asked changes before those who ask it, so that a new flow has its receiver when its sender
//! first tries it. One machine of each kind goes ahead of the others. The operators' own machines come last: until then they hold what is
//! known to work.

use crate::wave::Wave;
use site::model::{Flow, FlowKind, Host, Model, Party};
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

/// Most machines in a wave: what fails is noticed on no more than these at once.
pub const MOST: usize = 25;
/// Most layers of hosts: a longer chain of dependencies is folded into the last one, since each wave adds to the time machines wait.
pub const LAYERS: usize = 3;

/// The waves for these machines. `active` is the pair's node that holds the addresses, where one does.
pub fn waves(model: &Model, changed: &BTreeSet<HostName>, active: Option<&HostName>) -> Vec<Wave> {
    let mut out = edge(model, changed, active);
    let hosts: BTreeSet<&HostName> = changed.iter().filter(|h| !model.edge.nodes.contains(*h)).collect();
    let operators = operators(model, &hosts);
    let layers = layers(model, &hosts.difference(&operators).copied().collect());
    let mut known = BTreeSet::new();
    for layer in layers {
        out.extend(batches(model, layer, &mut known, "who is asked before those who ask"));
    }
    out.extend(batches(model, operators.into_iter().collect(), &mut known, "the operators' own machines last"));
    out
}

fn wave(machines: Vec<HostName>, drained: Option<HostName>, why: &str) -> Wave {
    Wave { machines, drained, why: why.to_owned() }
}

fn edge(model: &Model, changed: &BTreeSet<HostName>, active: Option<&HostName>) -> Vec<Wave> {
    let mut nodes: Vec<&HostName> = model.edge.nodes.iter().filter(|n| changed.contains(*n)).collect();
    // Where nobody is active yet, the second one of the site file counts as the standby.
    nodes.reverse();
    nodes.sort_by_key(|n| Some(*n) == active);
    let pair = model.edge.nodes.len() > 1;
    let one = |n: &HostName| {
        let is_active = Some(n) == active;
        let why = match (pair, is_active) {
            (true, true) => "the node of the pair that was active, after it has handed over",
            (true, false) => "the node of the pair that stands by",
            (false, _) => "the edge before what is behind it",
        };
        wave(vec![n.clone()], (pair && is_active).then(|| n.clone()), why)
    };
    nodes.into_iter().map(one).collect()
}

/// Machines operators come from. Where that is everybody it says nothing, and nobody is.
fn operators<'a>(model: &Model, hosts: &BTreeSet<&'a HostName>) -> BTreeSet<&'a HostName> {
    let from: Vec<_> =
        model.flows.iter().filter(|f| f.kind == FlowKind::Management).flat_map(|f| &f.legs).flat_map(|l| l.src.iter().copied()).collect();
    let sits = |h: &&&HostName| {
        let mut own = model.hosts.get(**h).into_iter().flat_map(Host::addresses);
        own.any(|a| from.iter().any(|n| n.contains(&a)))
    };
    let found: BTreeSet<&HostName> = hosts.iter().filter(sits).copied().collect();
    if found.len() == hosts.len() { BTreeSet::new() } else { found }
}

/// Hosts by how long a chain of asking begins at them, shortest first. Who asks one another stands in one layer.
fn layers<'a>(model: &Model, hosts: &BTreeSet<&'a HostName>) -> Vec<Vec<&'a HostName>> {
    let mut asks: BTreeMap<&HostName, BTreeSet<&HostName>> = BTreeMap::new();
    let is_work = |f: &&Flow| f.kind != FlowKind::Management;
    for flow in model.flows.iter().filter(is_work) {
        if let (Party::Host(from), Party::Host(to)) = (&flow.from, &flow.to)
            && let (Some(from), Some(to)) = (hosts.get(from), hosts.get(to))
            && from != to
        {
            asks.entry(from).or_default().insert(to);
        }
    }
    let mut layer: BTreeMap<&HostName, usize> = hosts.iter().map(|h| (*h, 0)).collect();
    // A circle would rise for ever: the number of layers bounds it.
    for _ in 0..LAYERS {
        let risen: BTreeMap<&HostName, usize> = layer
            .keys()
            .map(|h| {
                let above = asks.get(h).into_iter().flatten().filter_map(|t| layer.get(*t)).map(|l| l + 1).max();
                (*h, above.unwrap_or(0).min(LAYERS - 1))
            })
            .collect();
        if risen == layer {
            break;
        }
        layer = risen;
    }
    let mut out = vec![Vec::new(); LAYERS];
    for host in hosts {
        if let Some(all) = layer.get(host).and_then(|l| out.get_mut(*l)) {
            all.push(*host);
        }
    }
    out.retain(|l| !l.is_empty());
    out
}

/// One of each kind that was not met yet goes ahead, the others follow in batches.
fn batches(model: &Model, hosts: Vec<&HostName>, known: &mut BTreeSet<Vec<String>>, why: &str) -> Vec<Wave> {
    let (first, rest): (Vec<&HostName>, Vec<&HostName>) = hosts.into_iter().partition(|h| known.insert(kind(model, h)));
    let named = |all: &[&HostName]| all.iter().map(|h| (*h).clone()).collect::<Vec<_>>();
    let ahead = first.chunks(MOST).map(|c| wave(named(c), None, &format!("{why}; one of each kind ahead")));
    let others = rest.chunks(MOST).map(|c| wave(named(c), None, why));
    ahead.chain(others).collect()
}

/// What makes two machines alike: what runs there.
fn kind(model: &Model, host: &HostName) -> Vec<String> {
    let instances = model.hosts.get(host).into_iter().flat_map(|h| &h.instances);
    let mut out: Vec<String> = instances.map(|i| i.service.name.to_string()).collect();
    out.sort();
    out
}
