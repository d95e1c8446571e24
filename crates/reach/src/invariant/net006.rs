//! NET006: the management path is open on every machine it leads to and through, answers included, whatever happened
//! before: no rate limit, ban list or unread rule may stand in its way.

use super::{Cx, Violation};
use crate::{
    eval::Past,
    field::{Field, device, state},
    network::{Network, Stage},
    packet::Packet,
    policy::{Gather, crossing, pair},
    set::Set,
};
use site::model::{Flow, FlowKind};
use std::collections::BTreeMap;
use words::{Family, HostName, ZoneName};

const HELP: &str = "accept the management path before any limit, ban or refusal; the local console stays the last way in";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let model = cx.net.model;
    if model.management.zones.is_empty() && model.management.nets.is_empty() {
        let Some(any) = model.hosts.keys().next().filter(|h| cx.concerns(h)) else { return };
        let mut v = Violation::new(
            cx.code,
            any,
            "nobody is declared to manage this site",
            "say from where in `[site] management = { from = [...] }`",
        );
        v.blame_origins(std::slice::from_ref(&model.management.origin));
        cx.out.push(v);
        return;
    }
    let like = like(cx);
    for h in cx.hosts() {
        let (mut opening, mut back) = (Gather::default(), Gather::default());
        let mut origins = Vec::new();
        for f in cx.flows.to.get(&h).into_iter().flatten().filter(|f| manages(f)) {
            for l in &f.legs {
                opening.between(l.family, &l.src, &l.dst, &f.target);
                back.between(l.family, &l.dst, &l.src, &f.target);
            }
            origins.extend(f.origins.clone());
        }
        let store = cx.net.store();
        let (opening, back) = (opening.on(Field::Dport, store), back.on(Field::Sport, store));
        let cut = to_machine(cx, &h, opening, back, &like);
        if let Some((w, what)) = cut {
            let mut v = Violation::new(cx.code, &h, format!("{h} may cut the management path: {what}"), HELP);
            v.witness = Some(w);
            v.blame_origins(&origins);
            v.blame(model);
            cx.out.push(v);
        }
    }
    if cx.site {
        through_edge(cx, &like);
    }
}

/// A manager's likely packet: from somebody in the first management zone.
fn like(cx: &Cx<'_, '_>) -> Packet {
    cx.net.model.management.zones.first().map_or_else(|| Packet::opening(Family::V4), |z| cx.net.like(z, z))
}

fn to_machine(cx: &mut Cx<'_, '_>, h: &HostName, opening: Set, back: Set, like: &Packet) -> Option<(Packet, &'static str)> {
    if opening.is_empty() {
        return None;
    }
    let (machines, prover) = cx.net.parts();
    let m = machines.get(h)?;
    m.rules()?;
    let wire = prover.arriving(m);
    let own = crate::network::sources(prover.store(), m.place.own.iter());
    let store = prover.store();
    let new = store.value(Field::State, state::NEW);
    let wire = store.and(wire, new);
    let mut wire = store.minus(wire, own);
    if m.host.edge {
        let honest = m.place.reverse_path(store);
        wire = store.and(wire, honest);
    }
    let cut = match prover.verdict(m, Stage::Inbound, Past::Any) {
        Some(v) => {
            let cut = prover.store().minus(opening, v.must);
            prover.store().and(cut, wire)
        }
        None => {
            let wire = prover.store().and(wire, opening);
            prover.through(m, Stage::Inbound, Past::Any, wire).dropped
        }
    };
    if let Some(w) = prover.store().pick(cut, like) {
        return Some((w, "it may drop the packet that opens the connection"));
    }
    let answer = prover.store().row(&[Field::In, Field::State], &[(0, 0), (state::ESTABLISHED, state::ESTABLISHED)]);
    let cut = match prover.verdict(m, Stage::Outbound, Past::Any) {
        Some(v) => {
            let store = prover.store();
            let answer = store.and(answer, back);
            // Over any output device first: hardly ever anything is left to route.
            if store.within(answer, v.must) {
                Set::EMPTY
            } else {
                let sent = prover.routed(m, answer);
                prover.store().minus(sent, v.must)
            }
        }
        None => {
            let answer = prover.store().and(answer, back);
            prover.through(m, Stage::Outbound, Past::Any, answer).dropped
        }
    };
    prover.store().pick(cut, like).map(|w| (w, "it may drop its own answer"))
}

/// Openings of the management path that an edge node forwards, by pair of zones.
pub(crate) type Managing = BTreeMap<(ZoneName, ZoneName), Set>;

/// What an edge node must forward of it.
pub(super) fn managing(net: &mut Network<'_>) -> Managing {
    let model = net.model;
    let gathered = crossing(model, model.flows.iter().filter(|f| manages(f)), pair, Gather::add);
    gathered.into_iter().map(|(k, g)| (k, g.on(Field::Dport, net.store()))).collect()
}

pub(super) fn manages(f: &Flow) -> bool {
    f.kind == FlowKind::Management
}

fn through_edge(cx: &mut Cx<'_, '_>, like: &Packet) {
    let model = cx.net.model;
    let edges: Vec<HostName> = cx.net.edges().into_iter().filter(|e| cx.concerns(e)).cloned().collect();
    if edges.is_empty() {
        return;
    }
    let made;
    let managing = match cx.managing {
        Some(known) => known,
        None => {
            made = managing(cx.net);
            &made
        }
    };
    for e in &edges {
        let (machines, prover) = cx.net.parts();
        let Some(m) = machines.get(e).filter(|m| m.rules().is_some()) else { continue };
        let wire = prover.arriving(m);
        let own = crate::network::sources(prover.store(), m.place.own.iter());
        let new = prover.store().value(Field::State, state::NEW);
        let wire = prover.store().and(wire, new);
        let wire = prover.store().minus(wire, own);
        for ((from, to), opening) in managing {
            let (machines, prover) = cx.net.parts();
            let Some((m, d)) = machines.get(e).and_then(|m| Some((m, m.devices.get(from)?))) else { continue };
            let here = prover.store().value(Field::In, device(d));
            let wire = prover.store().all([wire, *opening, here]);
            let cut = prover.through(m, Stage::Judged, Past::Any, wire).dropped;
            if let Some(w) = prover.store().pick(cut, like) {
                let mut v = Violation::new(cx.code, e, format!("{e} may cut the management path from {from} to {to}"), HELP);
                v.witness = Some(w);
                let between =
                    |f: &&Flow| manages(f) && !model.edge.has_end_of(f) && f.legs.iter().any(|l| l.from_zone == *from && l.to_zone == *to);
                for f in model.flows.iter().filter(between) {
                    v.blame_origins(&f.origins);
                }
                cx.out.push(v);
            }
        }
    }
}
