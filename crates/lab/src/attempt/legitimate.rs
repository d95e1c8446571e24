//! Every flow of the model, once per leg: what honest programs do.
//!
//! In come flows; out come connections between machines that stand for the flow's parties. Never: leaves a flow out
//! silently; legs nobody in the lab can play are given back by name.

use super::{Attempt, Deed, Expected, Group};
use crate::{
    outside::{CLIENT, WORLD},
    packet::{Body, Packet, Shape, VRRP},
    topology::{Node, Role, Topology},
};
use ipnet::IpNet;
use site::model::{Flow, Leg, Model, Party};
use std::net::{IpAddr, SocketAddr};
use words::{Family, Proto};

/// Port asked where a flow allows any.
pub const ANY_PORT: u16 = 443;
/// Priority of an ordinary advertisement (RFC 9568 5.2.4).
const ORDINARY: u8 = 100;
/// ICMP echo request, v4 and v6.
const ECHO: [u8; 2] = [8, 128];

/// Attempts for every flow, and the legs that could not be played.
pub fn attempts(model: &Model, topology: &Topology) -> (Vec<Attempt>, Vec<String>) {
    let mut all = Vec::new();
    let mut unplayed = Vec::new();
    for flow in &model.flows {
        for leg in &flow.legs {
            match attempt(topology, flow, leg) {
                Some(a) => all.push(a),
                None => unplayed.push(format!("{} {} -> {} {} {}", flow.id, flow.from, flow.to, flow.target, leg.family)),
            }
        }
    }
    (all, unplayed)
}

fn attempt(topology: &Topology, flow: &Flow, leg: &Leg) -> Option<Attempt> {
    let (to, listener) = end(topology, &flow.to, &leg.dst, leg.family, WORLD, None)?;
    let (from, src) = end(topology, &flow.from, &leg.src, leg.family, CLIENT, Some(&to.name))?;
    let dport = flow.target.ports.ranges().first().map(|r| r.first()).filter(|p| *p > 0 && !flow.target.ports.is_all()).unwrap_or(ANY_PORT);
    let published = flow.publish.iter().find(|d| d.to == listener && from.role == Role::Outside);
    let dst = published.map_or(SocketAddr::new(listener, dport), |d| SocketAddr::new(d.at, d.port));
    let proto = flow.target.proto;
    let deed = match proto {
        Proto::Tcp | Proto::Udp => Deed::Connect { src, dst, proto },
        Proto::Icmp | Proto::Icmp6 => {
            let kind = ECHO[usize::from(src.is_ipv6())];
            Deed::Send(Packet { src, dst: listener, body: Body::Icmp { kind, code: 0 }, shape: Shape::Whole })
        }
        Proto::Other(VRRP) => Deed::Send(Packet { src, dst: listener, body: Body::Vrrp { priority: ORDINARY }, shape: Shape::Whole }),
        Proto::Other(proto) => Deed::Send(Packet { src, dst: listener, body: Body::Other { proto }, shape: Shape::Whole }),
    };
    let service = flow.service.as_ref().map_or(String::new(), |(s, e, _)| format!(" {s}.{e}"));
    Some(Attempt {
        group: Group::Legitimate,
        what: format!("{} -> {}{service} {}, {}", from.name, to.name, port_words(flow, dst), leg.family),
        node: from.name.clone(),
        taken_over: false,
        via: None,
        deed,
        expected: Expected::Reaches(to.name.clone()),
        flow: Some(flow.id.to_string()),
    })
}

fn port_words(flow: &Flow, dst: SocketAddr) -> String {
    if flow.target.proto.has_ports() { format!("{}/{}", dst.port(), flow.target.proto) } else { flow.target.proto.to_string() }
}

/// A node that plays a party, with the address it uses: the party's own, or anybody whose address is in the leg.
fn end<'t>(
    topology: &'t Topology,
    party: &Party,
    nets: &[IpNet],
    family: Family,
    stand_in: &str,
    not: Option<&str>,
) -> Option<(&'t Node, IpAddr)> {
    let fits = |a: &IpAddr| Family::of(a) == family && nets.iter().any(|n| n.contains(a));
    let address = |n: &&Node| n.ports.iter().flat_map(|p| &p.addresses).map(IpNet::addr).find(fits);
    let usable = |n: &&Node| n.role != Role::Router && not != Some(n.name.as_str());
    let node = match party {
        Party::Host(h) => topology.nodes.get(h.as_str()).filter(usable).filter(|n| address(n).is_some()),
        Party::Public => topology.nodes.get(stand_in).filter(|n| address(n).is_some()),
        Party::Zone(_) => topology.nodes.values().filter(usable).filter(|n| n.role != Role::Edge).find(|n| address(n).is_some()),
        Party::Outside(..) => topology.nodes.values().filter(usable).find(|n| address(n).is_some()),
    };
    node.and_then(|n| address(&n).map(|a| (n, a)))
}
