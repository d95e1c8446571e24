//! NET008: from a zone to a machine, both with both families, no port is open in IPv6 that is closed in IPv4.

use super::Cx;
use crate::{eval::Past, field::Field, network::Via, set::Set};
use site::model::Party;
use words::Family;

const HELP: &str = "give the flow its IPv4 leg, or close the IPv6 one";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let forget: Vec<Field> = Field::ALL.into_iter().filter(|f| !matches!(f, Field::Proto | Field::Dport)).rev().collect();
    let addresses: Vec<_> = cx.net.model.hosts.values().flat_map(|h| h.addresses()).collect();
    let known = crate::network::sources(cx.net.store(), addresses.iter());
    for h in cx.hosts() {
        let both = |list: &mut dyn Iterator<Item = Family>| {
            let all: Vec<Family> = list.collect();
            Family::ALL.iter().all(|f| all.contains(f))
        };
        let Some(m) = cx.net.machine(&h) else { continue };
        if m.rules().is_none() || !both(&mut m.place.own.iter().map(Family::of)) {
            continue;
        }
        let excused = excused(cx, &h);
        for z in cx.zones() {
            let subnets = &cx.net.model.zones[&z].subnets;
            if !z.is_internet() && !both(&mut subnets.iter().map(|n| Family::of(&n.addr()))) {
                continue;
            }
            let ways = cx.net.deliveries(&z, &h, Past::Any);
            let store = cx.net.store();
            let all = store.any(ways.iter().map(|d| d.delivered).collect::<Vec<_>>());
            let spoken = store.rows(&[Field::Proto], &[vec![(6, 6)], vec![(17, 17)], vec![(132, 132)]]);
            let all = store.and(all, spoken);
            let (v4, v6) = (store.value(Field::Family, 0), store.value(Field::Family, 1));
            let (four, six) = (store.and(all, v4), store.and(all, v6));
            // Twice: for anybody, and for those whom no line of the site file names.
            let mut hit = Set::EMPTY;
            for without in [Set::EMPTY, known] {
                let (four, six) = (store.minus(four, without), store.minus(six, without));
                let open4 = store.forget_all(four, &forget);
                let open6 = store.forget_all(six, &forget);
                let more = store.minus(open6, open4);
                let more = store.minus(more, excused);
                let more = store.and(six, more);
                hit = store.or(hit, more);
            }
            if hit.is_empty() {
                continue;
            }
            let via = ways.iter().map(|d| d.via.clone()).find(Via::known).unwrap_or(Via::Zone);
            let message = |p: &crate::Packet| format!("from zone {z}, {h} is open on {}/{} in IPv6 but not in IPv4", p.dport(), p.proto());
            cx.delivered(&z, &h, &via, hit, message, HELP);
        }
    }
}

/// Ports of flows whose other side has no IPv4 at all.
fn excused(cx: &mut Cx<'_, '_>, h: &words::HostName) -> Set {
    let model = cx.net.model;
    let six_only = |p: &Party| match p {
        Party::Host(x) => model.hosts.get(x).is_some_and(|x| !x.addresses().any(|a| a.is_ipv4())),
        Party::Outside(_, nets) => !nets.iter().any(|n| n.addr().is_ipv4()),
        _ => false,
    };
    let targets: Vec<_> = cx.flows.to.get(h).into_iter().flatten().filter(|f| six_only(&f.from)).map(|f| f.target.clone()).collect();
    let store = cx.net.store();
    let sets: Vec<Set> = targets.iter().map(|t| crate::network::ports(store, t)).collect();
    store.any(sets)
}
