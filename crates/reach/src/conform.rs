//! Conformance: each machine's filter lets through exactly what the model's flows ask for. In comes a network and its
//! policy, out come differences with a witness: wider (lets through what no flow allows) and narrower (cuts a flow).
//!
//! ICMP is left to its own rules: what a network needs of it is the same on every site. Narrower is asked with nothing out
//! of the ordinary in the past, wider with anything.

use crate::{
    eval::Past,
    field::{self, Field, device, state},
    network::{Network, Stage},
    packet::Packet,
    policy::{Gather, Moved, Policy, crossing, pair},
    set::Set,
    trace::{self, Step},
};
use ruleset::form::Hook;
use serde::Serialize;
use site::model::Leg;
use std::collections::BTreeMap;
use words::{Family, HostName, ProtoPorts, ZoneName};

/// Which way a filter differs from the model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Lets through what no flow allows.
    Wider,
    /// Cuts what a flow needs.
    Narrower,
}

/// A difference between a machine's filter and the model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deviation {
    /// Which way.
    pub side: Side,
    /// The machine.
    pub host: HostName,
    /// Where on it: `input`, `output`, `forward dmz -> chain`, `replies`.
    pub place: String,
    /// A packet of the difference, as it looks there.
    pub witness: Packet,
    /// The rule that decides it, where the walk of the witness finds one.
    pub step: Option<Step>,
}

/// Every difference, at most one for each machine and place.
pub fn conformance(net: &mut Network<'_>, policy: &Policy) -> Vec<Deviation> {
    of_machines(net, policy, |_| true)
}

/// The differences of these machines.
pub(crate) fn of_machines(net: &mut Network<'_>, policy: &Policy, concerns: impl Fn(&HostName) -> bool) -> Vec<Deviation> {
    let edges = net.model.edge.nodes.iter().any(&concerns);
    let required = if edges { required(net) } else { Required::default() };
    of_these(net, policy, &required, concerns)
}

/// The same, with what the edge must let through already known.
pub(crate) fn of_these(
    net: &mut Network<'_>,
    policy: &Policy,
    required: &Required,
    concerns: impl Fn(&HostName) -> bool,
) -> Vec<Deviation> {
    let hosts: Vec<HostName> = net.machines().iter().filter(|(h, m)| concerns(h) && m.rules().is_some()).map(|(h, _)| h.clone()).collect();
    hosts.iter().flat_map(|h| one_machine(net, policy, h, required)).collect()
}

/// Packets the edge must let through.
#[derive(Debug, Default)]
pub(crate) struct Required {
    /// Opening, to published addresses, by zone pair: before translation.
    published: BTreeMap<(ZoneName, ZoneName), Set>,
    /// Destinations that are reached from outside only under another address, by zone pair.
    hidden: BTreeMap<(ZoneName, ZoneName), Set>,
    /// Answers, by the zone they come from.
    replies: BTreeMap<ZoneName, Set>,
}

impl Required {
    /// Brings the answers up to date. What is published stays.
    pub(crate) fn follow<'m>(&mut self, net: &mut Network<'_>, moved: &Moved<'m>) {
        let model = net.model;
        moved.bring(net.store(), model, &mut self.replies, Field::Sport, |l| l.to_zone.clone(), answers);
    }
}

/// Answers to what a leg opens.
fn answers<'m>(gather: &mut Gather<'m>, leg: &'m Leg, target: &'m ProtoPorts) {
    gather.between(leg.family, &leg.dst, &leg.src, target);
}

pub(crate) fn required(net: &mut Network<'_>) -> Required {
    let model = net.model;
    let store = net.store();
    let mut out = Required::default();
    let replies = crossing(model, &model.flows, |l| l.to_zone.clone(), answers);
    out.replies = replies.into_iter().map(|(k, g)| (k, g.on(Field::Sport, store))).collect();
    for flow in model.flows.iter().filter(|f| !f.publish.is_empty() && !model.edge.has_end_of(f)) {
        for leg in flow.legs.iter().filter(|l| l.from_zone != l.to_zone) {
            let (f, key) = (leg.family, pair(leg));
            for d in flow.publish.iter().filter(|d| Family::of(&d.at) == f && d.at != d.to && leg.from_zone.is_internet()) {
                let exact = |a: std::net::IpAddr| (field::address(a), field::address(a));
                let ports = (u128::from(d.port), u128::from(d.port));
                let proto = u128::from(flow.target.proto.number());
                let rows: Vec<_> = leg.src.iter().map(|s| vec![field::prefix(s), exact(d.at), (proto, proto), ports]).collect();
                let there = store.rows(&[field::src(f), field::dst(f), Field::Proto, Field::Dport], &rows);
                let family = store.value(Field::Family, field::family(f));
                let there = store.and(there, family);
                let old = out.published.entry(key.clone()).or_insert(Set::EMPTY);
                *old = store.or(*old, there);
                let behind = store.row(
                    &[Field::Family, field::dst(f), Field::Dport],
                    &[(field::family(f), field::family(f)), exact(d.to), (d.to_port.into(), d.to_port.into())],
                );
                let old = out.hidden.entry(key.clone()).or_insert(Set::EMPTY);
                *old = store.or(*old, behind);
            }
        }
    }
    out
}

fn one_machine(net: &mut Network<'_>, policy: &Policy, h: &HostName, required: &Required) -> Vec<Deviation> {
    let mut out = Vec::new();
    let near = neighbour(net, h);
    let (machines, prover) = net.parts();
    let Some(m) = machines.get(h) else { return out };
    let own = prover.own(m);
    let arriving = prover.arriving(m);
    let icmp = icmp(prover.store());
    let aside = own_business(prover.store());
    let mut found = |side, place: String, hooks: Vec<Hook>, w: Option<Packet>, past| {
        if let Some(witness) = w {
            let step = decide(m, &hooks, witness, past, side == Side::Wider);
            out.push(Deviation { side, host: h.clone(), place, witness, step });
        }
    };
    let like = Packet::opening(Family::V4);
    let allowed = policy.into.get(h).copied().unwrap_or(Set::EMPTY);
    // To the machine itself. Where the filter only judges, its verdict over everything is compared first and cut to the wire
    // afterwards: of what conforms nothing is left to cut.
    let wire = prover.store().and(arriving, own);
    let passed = match prover.verdict(m, Stage::Inbound, Past::Any) {
        Some(v) => v.may,
        None => prover.through(m, Stage::Inbound, Past::Any, wire).passed,
    };
    let store = prover.store();
    let excess = store.minus(passed, allowed);
    let excess = store.minus(excess, aside);
    let excess = store.and(excess, wire);
    found(Side::Wider, "input".into(), vec![Hook::Prerouting, Hook::Input], store.pick(excess, &near), Past::Any);
    let new = store.value(Field::State, state::NEW);
    let start = store.and(wire, new);
    // A packet with the machine's own address as source is rightly refused although a flow's prefix names it.
    let of_own = crate::network::sources(store, m.place.own.iter());
    let start = store.minus(start, of_own);
    let start = if m.host.edge {
        // A source that does not stand behind the device is refused, whatever a flow says.
        let reverse = m.place.reverse_path(store);
        store.and(start, reverse)
    } else {
        start
    };
    let cut = match prover.verdict(m, Stage::Inbound, Past::Quiet) {
        Some(v) => {
            let cut = prover.store().minus(allowed, v.must);
            prover.store().and(cut, start)
        }
        None => {
            let needed = prover.store().and(start, allowed);
            prover.through(m, Stage::Inbound, Past::Quiet, needed).dropped
        }
    };
    let cut = prover.store().minus(cut, icmp);
    found(Side::Narrower, "input".into(), vec![Hook::Prerouting, Hook::Input], prover.store().pick(cut, &near), Past::Quiet);
    // From the machine itself.
    let start = prover.leaving(m);
    let allowed = policy.out.get(h).copied().unwrap_or(Set::EMPTY);
    let excess = match prover.verdict(m, Stage::Outbound, Past::Any) {
        Some(v) => {
            let store = prover.store();
            let excess = store.minus(v.may, allowed);
            let excess = store.minus(excess, aside);
            let sent = prover.routed(m, start);
            prover.store().and(excess, sent)
        }
        None => {
            let passed = prover.through(m, Stage::Outbound, Past::Any, start).passed;
            let excess = prover.store().minus(passed, allowed);
            prover.store().minus(excess, aside)
        }
    };
    let store = prover.store();
    found(Side::Wider, "output".into(), vec![Hook::Output, Hook::Postrouting], store.pick(excess, &like), Past::Any);
    let start = store.and(start, new);
    let cut = match prover.verdict(m, Stage::Outbound, Past::Quiet) {
        Some(v) => {
            let cut = prover.store().minus(allowed, v.must);
            let sent = prover.routed(m, start);
            prover.store().and(cut, sent)
        }
        None => {
            let needed = prover.store().and(start, allowed);
            prover.through(m, Stage::Outbound, Past::Quiet, needed).dropped
        }
    };
    let cut = prover.store().minus(cut, icmp);
    found(Side::Narrower, "output".into(), vec![Hook::Output, Hook::Postrouting], prover.store().pick(cut, &like), Past::Quiet);
    if !m.host.edge {
        return out;
    }
    // Between zones.
    let judged = prover.through(m, Stage::Judged, Past::Any, arriving).passed;
    for (from, d_in) in &m.devices {
        let from_zone = prover.store().at(judged, Field::In, device(d_in));
        for (to, d_out) in &m.devices {
            let store = prover.store();
            let passed = store.at(from_zone, Field::Out, device(d_out));
            let allowed = policy.forward.get(&(from.clone(), to.clone())).copied().unwrap_or(Set::EMPTY);
            let excess = store.minus(passed, allowed);
            let excess = store.minus(excess, icmp);
            let w = store.pick(excess, &like).map(|w| w.with(Field::In, device(d_in)).with(Field::Out, device(d_out)));
            found(Side::Wider, format!("forward {from} -> {to}"), vec![Hook::Forward], w, Past::Any);
            let key = (from.clone(), to.clone());
            let published = required.published.get(&key).copied().unwrap_or(Set::EMPTY);
            let hidden = required.hidden.get(&key).copied().unwrap_or(Set::EMPTY);
            let fresh = prover.arriving(m);
            let store = prover.store();
            let straight = store.minus(allowed, hidden);
            let needed = store.or(straight, published);
            let needed = store.minus(needed, of_own);
            let here = store.value(Field::In, device(d_in));
            let needed = store.all([needed, fresh, here, new]);
            let cut = prover.through(m, Stage::Judged, Past::Quiet, needed).dropped;
            // The node has the public address itself: what is not translated ends at the node, and nobody drops it on the way.
            let public = prover.store().and(needed, published);
            let arrived = prover.through(m, Stage::Prerouting, Past::Quiet, public).passed;
            let kept = prover.store().and(arrived, own);
            let cut = prover.store().or(cut, kept);
            let cut = prover.store().minus(cut, icmp);
            let hooks = vec![Hook::Prerouting, Hook::Forward];
            let w = prover.store().pick(cut, &like).map(|w| if w.get(Field::Out) == 0 { w.with(Field::Out, device(d_out)) } else { w });
            found(Side::Narrower, format!("forward {from} -> {to}"), hooks, w, Past::Quiet);
        }
        if let Some(back) = required.replies.get(from).copied() {
            let store = prover.store();
            let here = store.row(&[Field::In, Field::State], &[(device(d_in), device(d_in)), (state::ESTABLISHED, state::ESTABLISHED)]);
            let back = store.and(back, here);
            let cut = prover.through(m, Stage::JudgedOnly, Past::Quiet, back).dropped;
            found(Side::Narrower, format!("replies from {from}"), vec![Hook::Forward], prover.store().pick(cut, &like), Past::Quiet);
        }
    }
    out
}

/// A packet as somebody in the machine's own zone would send it: a witness of what may come in should be one that a kernel
/// takes from the wire at all, which it does not with a source of zeros.
fn neighbour(net: &Network<'_>, h: &HostName) -> Packet {
    let mut p = Packet::opening(Family::V4);
    if let Some(m) = net.machine(h) {
        for f in Family::ALL {
            if let Some(a) = net.somebody(&m.host.default_zone, f) {
                p.set(field::src(f), field::address(a));
            }
        }
    }
    p
}

fn icmp(store: &mut crate::set::Store) -> Set {
    store.rows(&[Field::Proto], &[vec![(1, 1)], vec![(58, 58)]])
}

/// What is left to its own rules: ICMP, and what a machine has to say to its link.
pub(crate) fn own_business(store: &mut crate::set::Store) -> Set {
    let (icmp, essential) = (icmp(store), essential(store));
    store.or(icmp, essential)
}

/// DHCP: a machine's own business with its link, not a flow.
fn essential(store: &mut crate::set::Store) -> Set {
    let one = |n: u128| (n, n);
    let dhcp = [(0, 67, 68), (0, 68, 67), (1, 547, 546), (1, 546, 547)];
    let rows: Vec<_> = dhcp.iter().map(|(f, s, d)| vec![one(*f), one(17), one(*s), one(*d)]).collect();
    store.rows(&[Field::Family, Field::Proto, Field::Sport, Field::Dport], &rows)
}

fn decide(m: &crate::network::Machine<'_>, hooks: &[Hook], mut p: Packet, past: Past, wanted: bool) -> Option<Step> {
    let rules = m.rules()?;
    let mut last = None;
    for h in hooks {
        let t = trace::hook(rules, &m.place, past, *h, p, wanted);
        last = t.steps.last().cloned().or(last);
        if !t.passed {
            break;
        }
        p = t.packet;
    }
    last
}
