//! What the model says about a single packet: the plainest reading of its flows, independent of plan, emitter and proof.
//!
//! In come a model and a packet's path; out comes whether a flow allows it, or which filters stand in its way. It is the
//! third opinion beside `reach` and the kernel: simple enough to be checked by eye. Never: reads a ruleset.

use ipnet::IpNet;
use site::{
    model::{EdgeKind, Flow, Leg, Model, Party},
    special,
};
use std::net::IpAddr;
use words::{HostName, Proto};

/// The first flow whose addresses and ports contain the packet, as the listener sees it (after translation). A zone means
/// the machines in it, not the edge nodes that have an address there as its gateway.
pub fn allowing(model: &Model, src: IpAddr, dst: IpAddr, proto: Proto, dport: u16) -> Option<&Flow> {
    all_allowing(model, src, dst, proto, dport).next()
}

/// Every flow that does; two may, where one says by name what another says for everybody.
pub fn all_allowing(model: &Model, src: IpAddr, dst: IpAddr, proto: Proto, dport: u16) -> impl Iterator<Item = &Flow> {
    let inside = |nets: &[IpNet], a: IpAddr| nets.iter().any(|n| n.contains(&a));
    let leg = move |l: &Leg| inside(&l.src, src) && inside(&l.dst, dst);
    let gateway = move |a: IpAddr| model.hosts.values().any(|h| h.edge && h.addresses().any(|own| own == a));
    let plays = move |party: &Party, a: IpAddr| !matches!(party, Party::Zone(z) if !z.is_internet() && gateway(a));
    let parties = move |f: &Flow| plays(&f.from, src) && plays(&f.to, dst);
    model.flows.iter().filter(move |f| f.target.proto == proto && f.target.ports.contains(dport) && f.legs.iter().any(leg) && parties(f))
}

/// Whether any filter of Ravelin's stands between a sender and a receiver on given zones.
pub fn filtered(model: &Model, from: Option<&HostName>, from_zone: &str, to: Option<&HostName>, to_zone: &str) -> bool {
    let managed = |h: Option<&HostName>| h.and_then(|h| model.hosts.get(h)).is_some_and(|h| h.managed);
    managed(from) || managed(to) || (from_zone != to_zone && model.edge.kind == EdgeKind::Ravelin)
}

/// Whether a party of a flow is outside the site.
pub fn is_outside(party: &Party) -> bool {
    matches!(party, Party::Outside(..) | Party::Public) || matches!(party, Party::Zone(z) if z.is_internet())
}

/// Whether an address is one that nobody outside may name: a private one of a zone behind Ravelin's edge, which is published at
/// a public address or not at all, or an edge node's in an inner zone.
pub fn is_inner(model: &Model, a: IpAddr) -> bool {
    let subnets = || model.zones.values().filter(|z| !z.name.is_internet()).flat_map(|z| &z.subnets);
    let private = !special::is_public(&a) && subnets().any(|n| n.contains(&a));
    let of_edge = model.hosts.values().filter(|h| h.edge).flat_map(|h| &h.interfaces).filter(|i| !i.zone.is_internet());
    let shared = model.edge.vip.iter().filter(|(z, _)| !z.is_internet()).any(|(_, all)| all.contains(&a));
    model.edge.kind == EdgeKind::Ravelin && (private || shared || of_edge.flat_map(|i| &i.addresses).any(|n| n.addr() == a))
}
