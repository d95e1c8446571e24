//! What attackers try, from the Internet and from taken-over machines.
//!
//! In comes a model; out come attempts that must all be stopped, and a few controls that must pass, so that a dead network
//! is not mistaken for a safe one. [`perimeter`] holds what comes from the Internet, [`within`] what comes from inside, [`pair`]
//! what speaks in the name of an edge node.
//! Never: lists what a flow allows or what no filter of Ravelin's could stop.

mod pair;
mod perimeter;
mod within;

use super::{Attempt, Deed, Expected, Group};
use crate::{
    expect,
    packet::{Body, Packet},
    topology::Topology,
};
use catalog::Class;
use ipnet::IpNet;
use site::model::{EdgeKind, Host, Listen, Model};
use std::net::IpAddr;
use words::{Proto, ZoneName};

/// Source port of attacks: unprivileged and not the catalogue's.
const SPORT: u16 = 47_666;
/// Everything that is tried.
pub fn attempts(model: &Model, topology: &Topology) -> Vec<Attempt> {
    let a = Attacker { model, topology };
    let mut all = Vec::new();
    a.internet_attacks(&mut all);
    a.spoofed(&mut all);
    a.around(&mut all);
    a.inside(&mut all);
    a.egress(&mut all);
    a.fragments(&mut all);
    a.state(&mut all);
    a.control_messages(&mut all);
    a.as_a_node(&mut all);
    a.nevers(&mut all);
    all
}

struct Attacker<'a> {
    model: &'a Model,
    topology: &'a Topology,
}

/// What an attacker wants to reach.
struct Target<'a> {
    host: &'a Host,
    listen: &'a Listen,
    service: &'a str,
    port: u16,
    proto: Proto,
}

impl Target<'_> {
    fn words(&self) -> String {
        format!("{} {}.{} {}/{}", self.host.name, self.service, self.listen.endpoint, self.port, self.proto)
    }
}

impl<'a> Attacker<'a> {
    /// Endpoints of some classes, everywhere.
    fn targets(&self, classes: &[Class]) -> Vec<Target<'a>> {
        let mut all = Vec::new();
        for host in self.model.hosts.values() {
            for instance in &host.instances {
                for listen in instance.listens.iter().filter(|l| classes.contains(&l.class)) {
                    let proto = listen.proto.iter().copied().find(|p| matches!(p, Proto::Tcp | Proto::Udp));
                    let port = listen.ports.ranges().first().map(|r| r.first());
                    if let (Some(proto), Some(port)) = (proto, port) {
                        all.push(Target { host, listen, service: instance.service.name.as_str(), port, proto });
                    }
                }
            }
        }
        all
    }

    /// An attempt with one packet that no flow allows and some filter can stop; `None` otherwise.
    fn stopped(&self, group: Group, what: String, node: &str, packet: Packet, to: Option<&Host>) -> Option<Attempt> {
        let target = match packet.body {
            Body::Tcp { dport, .. } => Some((Proto::Tcp, dport)),
            Body::Udp { dport, .. } => Some((Proto::Udp, dport)),
            _ => None,
        };
        let allowed = target.is_some_and(|(proto, port)| expect::allowing(self.model, packet.src, packet.dst, proto, port).is_some());
        let ours = to.is_none_or(|h| h.managed) || self.model.edge.kind == EdgeKind::Ravelin;
        let sender = self.topology.nodes.get(node)?;
        let direct = sender.ports.iter().flat_map(|p| &p.addresses).any(|a| a.contains(&packet.dst));
        let stoppable = if direct { to.is_some_and(|h| h.managed) } else { ours };
        if allowed && group != Group::Spoofed && group != Group::State || !stoppable {
            return None;
        }
        let taken_over = sender.managed;
        Some(Attempt {
            group,
            what,
            node: node.to_owned(),
            taken_over,
            via: None,
            deed: Deed::Send(packet),
            expected: Expected::Stopped,
            flow: None,
        })
    }

    /// A node's first address of a family.
    fn address(&self, node: &str, v6: bool) -> Option<IpAddr> {
        self.topology.nodes.get(node)?.ports.iter().flat_map(|p| &p.addresses).map(IpNet::addr).find(|a| a.is_ipv6() == v6)
    }

    /// A managed machine that stands in none of these zones, with an address of the family.
    fn bystander(&self, zones: &[&ZoneName], v6: bool) -> Option<String> {
        let far = |h: &&Host| h.managed && !h.edge && !h.interfaces.iter().any(|i| zones.contains(&&i.zone));
        let found = self.model.hosts.values().filter(far).find(|h| h.addresses().any(|a| a.is_ipv6() == v6));
        found.map(|h| h.name.as_str().to_owned())
    }
}

fn packet(src: IpAddr, dst: IpAddr, sport: u16, dport: u16, proto: Proto) -> Packet {
    if proto == Proto::Udp { Packet::udp(src, dst, sport, dport) } else { Packet::syn(src, dst, sport, dport) }
}

fn family(a: IpAddr) -> words::Family {
    words::Family::of(&a)
}

/// A host's first v4 and first v6 address.
fn first_of_each_family(host: &Host) -> Vec<IpAddr> {
    [false, true].into_iter().filter_map(|v6| host.addresses().find(|a| a.is_ipv6() == v6)).collect()
}

/// The zone in which a host has this address.
fn zone_of(host: &Host, address: IpAddr) -> Option<ZoneName> {
    host.interfaces.iter().find(|i| i.addresses.iter().any(|a| a.addr() == address)).map(|i| i.zone.clone())
}

/// The address a host would use towards another: on a common subnet, else in its default zone.
fn source_of(host: &Host, dst: IpAddr) -> Option<IpAddr> {
    let near = host.interfaces.iter().flat_map(|i| &i.addresses).find(|a| a.contains(&dst)).map(IpNet::addr);
    let usual = || {
        host.interface(&host.default_zone).into_iter().flat_map(|i| &i.addresses).map(IpNet::addr).find(|a| a.is_ipv6() == dst.is_ipv6())
    };
    near.or_else(usual)
}
