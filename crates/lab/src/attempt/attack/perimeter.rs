//! From the Internet: what is not published, fragments, packets without a connection.
//!
//! In comes the attacker's view of a model; out go attempts. Never: expects a fragment of an allowed flow to be stopped.

use super::{Attacker, SPORT, family, first_of_each_family, packet};
use crate::{
    attempt::{Attempt, Deed, Expected, Group},
    expect,
    outside::{ATTACKER, CLIENT},
    packet::{Body, Packet, Shape, flag},
};
use catalog::Class;
use site::{
    model::{EdgeKind, Flow, Party, Publish},
    special,
};
use std::net::IpAddr;
use words::Proto;

/// Ports a lax filter trusts as a source: answers of DNS and NTP.
const TRUSTED_SOURCES: [u16; 2] = [53, 123];
/// What no connection begins with.
const ODD: [(&str, u8); 5] = [
    ("SYN+FIN", flag::SYN | flag::FIN),
    ("no flags", 0),
    ("all flags", flag::SYN | flag::FIN | flag::RST | flag::PSH | flag::ACK | flag::URG),
    ("SYN+ACK", flag::SYN | flag::ACK),
    ("ACK alone", flag::ACK),
];

impl<'a> Attacker<'a> {
    pub(super) fn internet_attacks(&self, all: &mut Vec<Attempt>) {
        let classes =
            [Class::Api, Class::Admin, Class::Metrics, Class::Debug, Class::Database, Class::Control, Class::Storage, Class::Login];
        for t in self.targets(&classes) {
            for dst in first_of_each_family(t.host) {
                let Some(src) = self.address(ATTACKER, dst.is_ipv6()) else { continue };
                let what = format!("attacker -> {} at {dst}", t.words());
                all.extend(self.stopped(Group::Internet, what, ATTACKER, packet(src, dst, SPORT, t.port, t.proto), Some(t.host)));
            }
            for publish in self.model.publishes.iter().filter(|p| p.host == t.host.name) {
                for dst in publish.at.iter().filter(|a| !t.host.addresses().any(|own| own == **a)) {
                    let Some(src) = self.address(ATTACKER, dst.is_ipv6()) else { continue };
                    if self.model.publishes.iter().any(|p| p.at.contains(dst) && p.port == t.port)
                        || self.model.edge.kind != EdgeKind::Ravelin
                    {
                        continue;
                    }
                    let what = format!("attacker -> {} at public {dst}", t.words());
                    all.extend(self.stopped(Group::Internet, what, ATTACKER, packet(src, *dst, SPORT, t.port, t.proto), None));
                }
            }
        }
        self.inner_addresses(all);
    }

    /// Inner addresses from outside, as a neighbour on the provider's segment can route them: the private address behind a
    /// publication, and echo requests to the edge's addresses in inner zones.
    fn inner_addresses(&self, all: &mut Vec<Attempt>) {
        if self.model.edge.kind != EdgeKind::Ravelin {
            return;
        }
        for (publish, _, _) in self.published() {
            let Some(host) = self.model.hosts.get(&publish.host) else { continue };
            for dst in host.addresses().filter(|a| !publish.at.contains(a) && !special::is_public(a)) {
                let Some(src) = self.address(ATTACKER, dst.is_ipv6()) else { continue };
                let what = format!("attacker -> {} {}/tcp, published, at its inner {dst}", publish.host, publish.host_port);
                let p = packet(src, dst, SPORT + 4, publish.host_port, Proto::Tcp);
                all.extend(self.stopped(Group::Internet, what, ATTACKER, p, Some(host)));
            }
        }
        let edges = self.model.edge.nodes.iter().filter_map(|n| self.model.hosts.get(n));
        for edge in edges {
            for dst in edge.interfaces.iter().filter(|i| !i.zone.is_internet()).flat_map(|i| i.addresses.iter().map(|n| n.addr())) {
                let Some(src) = self.address(ATTACKER, dst.is_ipv6()) else { continue };
                let kind = if dst.is_ipv6() { 128 } else { 8 };
                let p = Packet { body: Body::Icmp { kind, code: 0 }, ..packet(src, dst, 0, 0, Proto::Tcp) };
                all.extend(self.stopped(Group::Internet, format!("attacker -> echo request to {dst} of {}", edge.name), ATTACKER, p, None));
            }
        }
    }

    pub(super) fn fragments(&self, all: &mut Vec<Attempt>) {
        for t in self.targets(&[Class::Api, Class::Database]) {
            for dst in first_of_each_family(t.host) {
                let Some(src) = self.address(ATTACKER, dst.is_ipv6()) else { continue };
                let p = Packet { shape: Shape::Fragments, ..packet(src, dst, SPORT, t.port, t.proto) };
                all.extend(self.stopped(
                    Group::Fragments,
                    format!("attacker -> {} in fragments, {}", t.words(), family(dst)),
                    ATTACKER,
                    p,
                    Some(t.host),
                ));
            }
        }
        for (publish, dst, flow) in self.published() {
            let Some(src) = self.address(CLIENT, dst.is_ipv6()) else { continue };
            let p = Packet { shape: Shape::Fragments, ..packet(src, dst, SPORT + 1, publish.port, Proto::Tcp) };
            all.push(Attempt {
                group: Group::Fragments,
                what: format!("client -> {} {}/tcp published at {dst}, in fragments", publish.host, publish.port),
                node: CLIENT.into(),
                taken_over: false,
                via: None,
                deed: Deed::Send(p),
                expected: Expected::Reaches(publish.host.as_str().to_owned()),
                flow: Some(flow),
            });
        }
    }

    /// Published TCP endpoints, by public address, with the flow that allows them.
    fn published(&self) -> Vec<(&'a Publish, IpAddr, String)> {
        let mut all = Vec::new();
        for p in self.model.publishes.iter().filter(|p| p.proto.contains(&Proto::Tcp)) {
            for dst in &p.at {
                let of =
                    |f: &&Flow| f.to == Party::Host(p.host.clone()) && f.target.proto == Proto::Tcp && f.target.ports.contains(p.host_port);
                let outside = |f: &&Flow| expect::is_outside(&f.from);
                if let Some(flow) = self.model.flows.iter().filter(outside).find(of) {
                    all.push((p, *dst, flow.id.to_string()));
                }
            }
        }
        all
    }

    /// Packets that belong to no connection, to what is published, and source ports a lax filter trusts.
    pub(super) fn state(&self, all: &mut Vec<Attempt>) {
        for (publish, dst, _) in self.published() {
            let Some(src) = self.address(ATTACKER, dst.is_ipv6()) else { continue };
            for (name, flags) in ODD {
                let p = Packet { body: Body::Tcp { sport: SPORT + 2, dport: publish.port, flags }, ..packet(src, dst, 0, 0, Proto::Tcp) };
                let what = format!("attacker -> {} {}/tcp published at {dst}, {name}", publish.host, publish.port);
                all.extend(self.stopped(Group::State, what, ATTACKER, p, self.model.hosts.get(&publish.host)));
            }
        }
        for t in self.targets(&[Class::Api]) {
            for dst in first_of_each_family(t.host) {
                let Some(src) = self.address(ATTACKER, dst.is_ipv6()) else { continue };
                let p =
                    Packet { body: Body::Tcp { sport: SPORT + 3, dport: t.port, flags: flag::ACK }, ..packet(src, dst, 0, 0, Proto::Tcp) };
                all.extend(self.stopped(
                    Group::State,
                    format!("attacker -> {}, ACK alone, {}", t.words(), family(dst)),
                    ATTACKER,
                    p,
                    Some(t.host),
                ));
                for sport in TRUSTED_SOURCES {
                    let what = format!("attacker from port {sport} -> {} {}/udp, {}", t.host.name, t.port, family(dst));
                    all.extend(self.stopped(Group::State, what, ATTACKER, packet(src, dst, sport, t.port, Proto::Udp), Some(t.host)));
                }
            }
        }
    }
}
