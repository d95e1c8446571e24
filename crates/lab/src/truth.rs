//! The whole truth of a small site: every ordered pair of nodes, every port, both families, kernel against prediction.
//!
//! In come a model and a topology; out come shots with what must become of each, by the plainest reading of the model's
//! flows ([`crate::expect`]). A packet that a filter must stop is right only when a rule counted it. Never: asks the
//! rulesets what they think.

mod hostile;
mod sample;
pub mod under_way;

pub use hostile::{answers, hostile};
pub use sample::sample;

use crate::{
    expect,
    packet::{Body, Packet, Shape, flag},
    topology::{Node, Role, Topology},
    volley::{Report, Sent, Shot},
};
use catalog::{PortDefault, Service};
use ipnet::IpNet;
use serde::Serialize;
use site::model::{EdgeKind, Model};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{HostName, Proto, ZoneName};

/// First source port of probes: above every port the catalogue knows, so that no probe looks like an answer.
const FIRST_SOURCE_PORT: u16 = 50_000;
/// Source ports used in turn.
const SOURCE_PORTS: u16 = 15_000;

/// What must become of a shot.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fate {
    /// It lands on this node, and nowhere else.
    Lands {
        /// Node.
        on: String,
        /// Flow that allows it; `None` where no filter stands in its way.
        flow: Option<String>,
    },
    /// The sender's own filter refuses it.
    Refused,
    /// A rule on its way, or at its end, counts and drops it.
    Stopped,
}

/// A shot with its fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Case {
    /// What is sent.
    pub shot: Shot,
    /// What must become of it.
    pub fate: Fate,
}

/// A shot that met another fate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Disagreement {
    /// What was predicted.
    pub case: Case,
    /// What the kernel did.
    pub sent: Sent,
    /// Where it landed.
    pub landed: BTreeMap<String, IpAddr>,
}

impl std::fmt::Display for Disagreement {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let p = &self.case.shot.packet;
        write!(f, "{}: {} -> {} {:?}: predicted {:?}, ", self.case.shot.node, p.src, p.dst, p.body, self.case.fate)?;
        write!(f, "seen {:?}, landed on {:?}", self.sent, self.landed.keys().collect::<Vec<_>>())
    }
}

/// Every port of the catalogue, and every port the model's machines use.
pub fn catalogue_ports<'a>(services: impl IntoIterator<Item = &'a Service>, model: &Model) -> BTreeSet<(Proto, u16)> {
    let mut ports = BTreeSet::new();
    for service in services {
        for e in &service.endpoints {
            let some = match &e.port {
                PortDefault::Fixed(p) => vec![*p],
                PortDefault::Range(r) => vec![r.first(), r.last()],
                PortDefault::Random { suggest, .. } => vec![*suggest],
                PortDefault::None { .. } => vec![],
            };
            ports.extend(e.proto.iter().flat_map(|proto| some.iter().map(move |p| (*proto, *p))));
        }
    }
    for listen in model.hosts.values().flat_map(|h| &h.instances).flat_map(|i| &i.listens) {
        let ends = listen.ports.ranges().iter().flat_map(|r| [r.first(), r.last()]);
        ports.extend(ends.flat_map(|p| listen.proto.iter().map(move |proto| (*proto, p))));
    }
    ports.retain(|(proto, _)| matches!(proto, Proto::Tcp | Proto::Udp));
    ports
}

/// Where probes begin and end: nodes that may send, and addresses that may be asked.
struct Ends<'a> {
    model: &'a Model,
    topology: &'a Topology,
}

/// Every ordered pair of nodes, every address of both, every port. `chosen` restricts the pairs by name.
pub fn cross(model: &Model, topology: &Topology, ports: &BTreeSet<(Proto, u16)>, chosen: impl Fn(&str, &str) -> bool) -> Vec<Case> {
    let ends = Ends { model, topology };
    let mut cases = Vec::new();
    let mut sport: u16 = 0;
    for from in topology.nodes.values().filter(|n| n.role.speaks()) {
        for to in topology.nodes.values().filter(|n| n.role.speaks() && chosen(&from.name, &n.name)) {
            if from.name == to.name || (from.role == Role::Outside && to.role == Role::Outside) {
                continue;
            }
            for (src, dst) in pairs(from, to) {
                for (proto, dport) in ports {
                    sport = (sport + 1) % SOURCE_PORTS;
                    let packet = probe(src, dst, *proto, FIRST_SOURCE_PORT + sport, *dport);
                    cases.push(Case { fate: ends.fate(from, to, &packet), shot: Shot { node: from.name.clone(), packet } });
                }
            }
        }
    }
    cases
}

/// Every published address and port, and its neighbours, from every machine of the Internet.
pub fn published(model: &Model, topology: &Topology, ports: &BTreeSet<(Proto, u16)>) -> Vec<Case> {
    let ends = Ends { model, topology };
    let mut cases = Vec::new();
    let at: BTreeSet<IpAddr> =
        model.publishes.iter().flat_map(|p| p.at.iter().copied()).filter(|a| topology.holder(*a, None).is_none()).collect();
    let mut asked: BTreeSet<(Proto, u16)> = ports.clone();
    asked.extend(model.publishes.iter().flat_map(|p| p.proto.iter().map(|proto| (*proto, p.port))));
    let mut sport: u16 = 0;
    for from in topology.nodes.values().filter(|n| n.role == Role::Outside) {
        for dst in &at {
            for src in addresses(from).filter(|s| s.is_ipv4() == dst.is_ipv4()) {
                for (proto, dport) in &asked {
                    sport = (sport + 1) % SOURCE_PORTS;
                    let packet = probe(src, *dst, *proto, FIRST_SOURCE_PORT + sport, *dport);
                    cases.push(Case { fate: ends.published_fate(&packet), shot: Shot { node: from.name.clone(), packet } });
                }
            }
        }
    }
    cases
}

fn probe(src: IpAddr, dst: IpAddr, proto: Proto, sport: u16, dport: u16) -> Packet {
    let body = match proto {
        Proto::Udp => Body::Udp { sport, dport },
        _ => Body::Tcp { sport, dport, flags: flag::SYN },
    };
    Packet { src, dst, body, shape: Shape::Whole }
}

fn addresses(node: &Node) -> impl Iterator<Item = IpAddr> + '_ {
    node.ports.iter().flat_map(|p| p.addresses.iter().map(IpNet::addr))
}

fn pairs(from: &Node, to: &Node) -> Vec<(IpAddr, IpAddr)> {
    addresses(from).flat_map(|s| addresses(to).filter(move |d| d.is_ipv4() == s.is_ipv4()).map(move |d| (s, d))).collect()
}

impl Ends<'_> {
    fn fate(&self, from: &Node, to: &Node, packet: &Packet) -> Fate {
        let Some((proto, dport)) = target(packet) else { return Fate::Stopped };
        if from.role == Role::Outside && !self.on_link(from, packet.dst) && expect::is_inner(self.model, packet.dst) {
            return Fate::Stopped;
        }
        if let Some(flow) = expect::allowing(self.model, packet.src, packet.dst, proto, dport) {
            return Fate::Lands { on: to.name.clone(), flow: Some(flow.id.to_string()) };
        }
        if from.managed {
            return Fate::Refused;
        }
        let crosses = !self.on_link(from, packet.dst);
        if to.managed || (crosses && self.model.edge.kind == EdgeKind::Ravelin) {
            return Fate::Stopped;
        }
        Fate::Lands { on: to.name.clone(), flow: None }
    }

    fn published_fate(&self, packet: &Packet) -> Fate {
        let Some((proto, dport)) = target(packet) else { return Fate::Stopped };
        let hit = self.model.publishes.iter().find(|p| p.at.contains(&packet.dst) && p.port == dport && p.proto.contains(&proto));
        let Some(publish) = hit else { return Fate::Stopped };
        let translated = self.model.flows.iter().flat_map(|f| f.publish.iter().map(move |d| (f, d)));
        let found = translated.into_iter().find(|(f, d)| d.at == packet.dst && d.port == dport && f.target.proto == proto);
        let allowed = found.and_then(|(_, d)| expect::allowing(self.model, packet.src, d.to, proto, d.to_port));
        match allowed {
            Some(flow) => Fate::Lands { on: publish.host.as_str().to_owned(), flow: Some(flow.id.to_string()) },
            None => Fate::Stopped,
        }
    }

    /// Whether the sender reaches the address without a router.
    fn on_link(&self, from: &Node, dst: IpAddr) -> bool {
        let internet = from.ports.iter().any(|p| p.segment == ZoneName::INTERNET);
        let there = self.topology.nodes.values().flat_map(|n| &n.ports).filter(|p| p.segment == ZoneName::INTERNET);
        let on_internet = there.flat_map(|p| &p.addresses).any(|a| a.addr() == dst);
        (internet && on_internet) || from.ports.iter().flat_map(|p| &p.addresses).any(|a| a.contains(&dst))
    }
}

fn target(packet: &Packet) -> Option<(Proto, u16)> {
    match packet.body {
        Body::Tcp { dport, .. } => Some((Proto::Tcp, dport)),
        Body::Udp { dport, .. } => Some((Proto::Udp, dport)),
        Body::Icmp { .. } | Body::Error { .. } | Body::Vrrp { .. } | Body::Other { .. } => None,
    }
}

/// Compares prediction and kernel, shot by shot. A shot that a rule must stop and that did not land is right as a member of
/// a volley whose every packet is accounted for; see [`Report::unaccounted`].
pub fn compare(cases: &[Case], report: &Report) -> Vec<Disagreement> {
    let differs = |(case, outcome): (&Case, &crate::volley::Outcome)| {
        let right = match &case.fate {
            Fate::Lands { on, .. } => outcome.landed.len() == 1 && outcome.landed.contains_key(on),
            Fate::Refused => outcome.landed.is_empty() && outcome.sent != Sent::Out,
            Fate::Stopped => outcome.landed.is_empty(),
        };
        (!right).then(|| Disagreement { case: case.clone(), sent: outcome.sent, landed: outcome.landed.clone() })
    };
    cases.iter().zip(&report.outcomes).filter_map(differs).collect()
}

/// The nodes that filter: managed hosts and edge nodes of a model.
pub fn filtering(model: &Model) -> Vec<String> {
    model.hosts.values().filter(|h| h.managed).map(|h| h.name.as_str().to_owned()).collect()
}

/// A host of the model by its node's name.
pub fn host<'m>(model: &'m Model, node: &str) -> Option<&'m HostName> {
    model.hosts.keys().find(|h| h.as_str() == node)
}
