//! NET010: what the site file says must never be reachable (`[[never]]`) is not. Accepted weakenings do not excuse it.

use super::{Cx, Violation};
use crate::{
    eval::Past,
    field::{Field, device},
    network::Stage,
    packet::Packet,
    policy::{destinations_of, sources_of},
    set::Set,
};
use site::model::{Never, Party};
use words::{Family, HostName, ZoneName};

const HELP: &str = "one of the two lines is wrong: what must never be, or what allows it";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let accepted = std::mem::replace(&mut cx.accepted, Set::EMPTY);
    for never in &cx.net.model.nevers {
        let before = cx.out.len();
        one(cx, never);
        for v in &mut cx.out[before..] {
            v.blame_origins(std::slice::from_ref(&never.origin));
        }
    }
    cx.accepted = accepted;
}

fn one(cx: &mut Cx<'_, '_>, never: &Never) {
    let model = cx.net.model;
    let mut wanted = never.target.as_ref().map_or(Set::FULL, |t| crate::network::ports(cx.net.store(), t));
    if never.target.is_none() {
        // What every network needs of ICMP is not what anybody means by "reach".
        let icmp = cx.net.store().rows(&[Field::Proto], &[vec![(1, 1)], vec![(58, 58)]]);
        wanted = cx.net.store().minus(wanted, icmp);
    }
    let zones: Vec<ZoneName> = match &never.from {
        Party::Zone(z) => vec![z.clone()],
        Party::Host(h) => {
            let own: Vec<_> = cx.net.machine(h).map(|m| m.place.own.iter().map(|a| ipnet::IpNet::from(*a)).collect()).unwrap_or_default();
            let src = sources_of(cx.net.store(), &own);
            wanted = cx.net.store().and(wanted, src);
            cx.net.zones_of(h).into_iter().collect()
        }
        Party::Outside(_, nets) => {
            let src = sources_of(cx.net.store(), nets);
            wanted = cx.net.store().and(wanted, src);
            vec![ZoneName::internet()]
        }
        Party::Public => vec![ZoneName::internet()],
    };
    let from = never.from.to_string();
    match &never.to {
        Party::Host(h) => to_host(cx, &zones, h, wanted, &from, &never.from),
        Party::Zone(z) => {
            let members: Vec<HostName> =
                model.hosts.values().filter(|h| h.interface(z).is_some() && !h.edge).map(|h| h.name.clone()).collect();
            for h in members {
                to_host(cx, &zones, &h, wanted, &from, &never.from);
            }
            let nets = model.zones.get(z).map(|z| z.subnets.clone()).unwrap_or_default();
            let there = if z.is_internet() { Set::FULL } else { destinations_of(cx.net.store(), &nets) };
            let wanted = cx.net.store().and(wanted, there);
            over_edge(cx, &zones, z, wanted, &from);
        }
        Party::Outside(name, nets) => {
            let there = destinations_of(cx.net.store(), nets);
            let wanted = cx.net.store().and(wanted, there);
            over_edge(cx, &zones, &ZoneName::internet(), wanted, &format!("{from} to {name}"));
        }
        Party::Public => over_edge(cx, &zones, &ZoneName::internet(), wanted, &from),
    }
}

fn to_host(cx: &mut Cx<'_, '_>, zones: &[ZoneName], h: &HostName, wanted: Set, from: &str, party: &Party) {
    if *party == Party::Host(h.clone()) {
        return;
    }
    for z in zones {
        if let Some((via, hit)) = cx.exposed(z, h, wanted).into_iter().next() {
            let message = |p: &Packet| format!("{h} is reachable from {from} on {}/{}, which must never be", p.dport(), p.proto());
            cx.delivered(z, h, &via, hit, message, HELP);
            return;
        }
    }
}

/// Through an edge node to wherever in a zone, machines nobody declared included.
fn over_edge(cx: &mut Cx<'_, '_>, zones: &[ZoneName], to: &ZoneName, wanted: Set, from: &str) {
    let edges: Vec<HostName> = cx.net.edges().into_iter().cloned().collect();
    for e in edges {
        let (machines, prover) = cx.net.parts();
        let Some(m) = machines.get(&e) else { continue };
        let start = prover.arriving(m);
        let judged = prover.through(m, Stage::Judged, Past::Any, start).passed;
        let mut found = None;
        for z in zones.iter().filter(|z| *z != to) {
            let (Some(i), Some(o)) = (m.devices.get(z), m.devices.get(to)) else { continue };
            let store = prover.store();
            let way = store.row(&[Field::In, Field::Out], &[(device(i), device(i)), (device(o), device(o))]);
            let hit = store.all([judged, way, wanted]);
            found = found.or(store.pick(hit, &Packet::opening(Family::V4)).map(|w| (z.clone(), w)));
        }
        if let Some((z, w)) = found {
            let mut v = Violation::new(
                cx.code,
                &e,
                format!("zone {to} is reachable from {from} on {}/{}, which must never be", w.dport(), w.proto()),
                HELP,
            );
            v.witness = Some(w);
            v.journey = Some(cx.net.inject(&z, w, Past::Any, true));
            v.blame(cx.net.model);
            cx.out.push(v);
            return;
        }
    }
}
