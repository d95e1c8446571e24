//! From inside: machines that were taken over, with root, on their own segment and beyond.
//!
//! In comes the attacker's view of a model; out go attempts. Never: expects a filter between two machines where there is
//! none (an unmanaged neighbour, the same segment).

use super::{Attacker, SPORT, family, first_of_each_family, packet, source_of, zone_of};
use crate::{
    attempt::{Attempt, Group},
    expect,
    outside::ATTACKER,
    packet::{Body, Packet, Shape},
    topology::Node,
};
use catalog::Class;
use ipnet::IpNet;
use site::model::{EdgeKind, Host, Model, Party};
use std::{collections::BTreeSet, net::IpAddr};
use words::{Proto, ZoneName};

/// Places no machine of a provider has business with: private ranges and the clouds' metadata address.
const FORBIDDEN: [&str; 5] = ["10.66.6.6", "172.31.66.6", "192.168.66.6", "169.254.169.254", "fd66::6"];
/// What libp2p dials.
const LIBP2P_PORT: u16 = 4001;
/// ICMP redirect (v4, v6) and router advertisement.
const REDIRECT4: u8 = 5;
const REDIRECT6: u8 = 137;
const ADVERTISEMENT6: u8 = 134;

impl<'a> Attacker<'a> {
    /// A real flow's own addresses and ports, sent from where its opener does not stand.
    pub(super) fn spoofed(&self, all: &mut Vec<Attempt>) {
        if self.model.edge.kind != EdgeKind::Ravelin {
            return;
        }
        let mut seen = BTreeSet::new();
        for flow in &self.model.flows {
            for leg in flow.legs.iter().filter(|l| l.from_zone != l.to_zone && !l.from_zone.is_internet() && !l.to_zone.is_internet()) {
                let (Party::Host(from), Party::Host(to)) = (&flow.from, &flow.to) else { continue };
                let (Some(src), Some(dst)) = (leg.src.first(), leg.dst.first()) else { continue };
                let Some(port) = flow.target.ports.ranges().first().map(|r| r.first()) else { continue };
                if !matches!(flow.target.proto, Proto::Tcp | Proto::Udp)
                    || !seen.insert((leg.from_zone.clone(), leg.to_zone.clone(), leg.family))
                {
                    continue;
                }
                let p = packet(src.addr(), dst.addr(), SPORT, port, flow.target.proto);
                let words = format!("as {from} -> {to} {port}/{}, {}", flow.target.proto, leg.family);
                let liar = self.bystander(&[&leg.from_zone, &leg.to_zone], src.addr().is_ipv6());
                for node in [Some(ATTACKER.to_owned()), liar].into_iter().flatten() {
                    all.extend(self.stopped(Group::Spoofed, format!("{node} {words}"), &node, p, self.model.hosts.get(to)));
                }
            }
        }
    }

    /// From a taken-over machine by other ways than the gateway: the standby node's own address, a machine in two zones.
    pub(super) fn around(&self, all: &mut Vec<Attempt>) {
        for t in self.targets(&[Class::Database, Class::Control, Class::Api]) {
            for dst in first_of_each_family(t.host) {
                let Some(zone) = zone_of(t.host, dst) else { continue };
                let Some(liar) = self.bystander(&[&zone], dst.is_ipv6()) else { continue };
                let Some(node) = self.topology.nodes.get(&liar) else { continue };
                for (relay, hop) in self.relays(node, &zone, dst.is_ipv6()) {
                    let Some(src) = source_towards(node, hop) else { continue };
                    let what = format!("{liar} by {relay} -> {}, {}", t.words(), family(dst));
                    let attempt = self.stopped(Group::Hop, what, &liar, packet(src, dst, SPORT, t.port, t.proto), Some(t.host));
                    all.extend(attempt.map(|a| Attempt { via: Some(hop), ..a }));
                }
            }
        }
    }

    /// Nodes that stand both beside `node` and in `zone`: the second edge node and machines in several zones.
    fn relays(&self, node: &Node, zone: &ZoneName, v6: bool) -> Vec<(String, IpAddr)> {
        let mut all = Vec::new();
        for relay in self.topology.nodes.values().filter(|r| r.name != node.name && r.managed) {
            if !relay.ports.iter().any(|p| p.segment == zone.as_str()) || self.topology.edges.first() == Some(&relay.name) {
                continue;
            }
            let beside = relay.ports.iter().filter(|p| p.segment != zone.as_str() && node.ports.iter().any(|own| own.segment == p.segment));
            if let Some(hop) = beside.flat_map(|p| &p.addresses).map(IpNet::addr).find(|a| a.is_ipv6() == v6) {
                all.push((relay.name.clone(), hop));
            }
        }
        all
    }

    /// From one taken-over machine of every zone, and of the target's own zone, to what it has no business with.
    pub(super) fn inside(&self, all: &mut Vec<Attempt>) {
        for t in self.targets(&[Class::Database, Class::Control, Class::Api, Class::Admin, Class::Storage]) {
            for dst in first_of_each_family(t.host) {
                let mut zones = BTreeSet::new();
                for from in self.model.hosts.values().filter(|h| h.managed && !h.edge && h.name != t.host.name) {
                    let Some(src) = source_of(from, dst) else { continue };
                    if !zones.insert(zone_of(from, src)) || expect::allowing(self.model, src, dst, t.proto, t.port).is_some() {
                        continue;
                    }
                    let what = format!("{} -> {}, {}", from.name, t.words(), family(dst));
                    let attempt =
                        self.stopped(Group::Inside, what, from.name.as_str(), packet(src, dst, SPORT, t.port, t.proto), Some(t.host));
                    if attempt.is_none() {
                        zones.remove(&zone_of(from, src));
                    }
                    all.extend(attempt);
                }
            }
        }
    }

    pub(super) fn egress(&self, all: &mut Vec<Attempt>) {
        let own = |a: IpAddr| self.model.zones.values().flat_map(|z| &z.subnets).any(|n| n.contains(&a));
        for host in self.model.hosts.values().filter(|h| h.managed && !h.edge && h.speaks_libp2p()) {
            for dst in FORBIDDEN.iter().filter_map(|a| a.parse().ok()).filter(|a| !own(*a)) {
                let Some(src) = source_of(host, dst) else { continue };
                let p = packet(src, dst, SPORT, LIBP2P_PORT, Proto::Tcp);
                let what = format!("{} -> {dst} {LIBP2P_PORT}/tcp", host.name);
                let Some(attempt) = self.stopped(Group::Egress, what, host.name.as_str(), p, None) else { continue };
                let polite = Attempt { taken_over: false, what: format!("{} (as a service)", attempt.what), ..attempt.clone() };
                all.push(polite);
                if self.model.edge.kind == EdgeKind::Ravelin {
                    all.push(Attempt { what: format!("{} (taken over)", attempt.what), ..attempt });
                }
            }
        }
    }

    /// Messages that would turn a neighbour's routes.
    pub(super) fn control_messages(&self, all: &mut Vec<Attempt>) {
        let Some(victim) = self.model.hosts.values().find(|h| h.managed && !h.edge && self.neighbour(h).is_some()) else { return };
        let Some(liar) = self.neighbour(victim) else { return };
        for dst in first_of_each_family(victim) {
            let Some(src) = source_of(liar, dst) else { continue };
            let kinds: &[(u8, &str)] = if dst.is_ipv4() {
                &[(REDIRECT4, "redirect")]
            } else {
                &[(REDIRECT6, "redirect"), (ADVERTISEMENT6, "router advertisement")]
            };
            for (kind, name) in kinds {
                let p = Packet { src, dst, body: Body::Icmp { kind: *kind, code: 0 }, shape: Shape::Whole };
                let what = format!("{} -> {} ICMP {name}, {}", liar.name, victim.name, family(dst));
                all.extend(self.stopped(Group::State, what, liar.name.as_str(), p, Some(victim)));
            }
        }
    }

    fn neighbour(&self, of: &Host) -> Option<&'a Host> {
        self.model.hosts.values().find(|h| h.managed && !h.edge && h.name != of.name && neighbours(h, of))
    }

    /// `[[never]]`, tried by a machine that stands for each side.
    pub(super) fn nevers(&self, all: &mut Vec<Attempt>) {
        for never in &self.model.nevers {
            let port =
                never.target.as_ref().and_then(|t| t.ports.ranges().first().map(|r| r.first())).filter(|p| *p > 0).unwrap_or(LIBP2P_PORT);
            let proto = never.target.as_ref().map_or(Proto::Tcp, |t| t.proto);
            let Some(to) = hosts_of(self.model, &never.to).next() else { continue };
            for dst in first_of_each_family(to) {
                let inside =
                    hosts_of(self.model, &never.from).find(|h| h.name != to.name).and_then(|h| Some((h.name.as_str(), source_of(h, dst)?)));
                let outside =
                    || expect::is_outside(&never.from).then(|| self.address(ATTACKER, dst.is_ipv6()).map(|a| (ATTACKER, a))).flatten();
                let Some((from, src)) = inside.or_else(outside) else { continue };
                let what = format!("{from} -> {} {port}/{proto}, {} ({})", to.name, family(dst), never.origin);
                all.extend(self.stopped(Group::Never, what, from, packet(src, dst, SPORT, port, proto), Some(to)));
            }
        }
    }
}

/// The address a node has beside a next hop.
fn source_towards(node: &Node, hop: IpAddr) -> Option<IpAddr> {
    node.ports.iter().flat_map(|p| &p.addresses).find(|a| a.contains(&hop)).map(IpNet::addr)
}

/// The machines a party stands for, edge nodes left out.
fn hosts_of<'m>(model: &'m Model, party: &'m Party) -> impl Iterator<Item = &'m Host> {
    model.hosts.values().filter(move |h| match party {
        Party::Host(name) => &h.name == name,
        Party::Zone(z) => !h.edge && h.interfaces.iter().any(|i| &i.zone == z),
        Party::Outside(..) | Party::Public => false,
    })
}

/// Whether two machines stand on a common segment.
fn neighbours(a: &Host, b: &Host) -> bool {
    a.interfaces.iter().any(|i| b.interface(&i.zone).is_some())
}
