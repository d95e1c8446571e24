//! A site's forwarded IPv4 policy in plain terms: what an operator would type into a list. In comes a model, out come the
//! router's devices, one line per permission, and the exact permissions the bench sends packets for.

use crate::Error;
use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use site::model::{Flow, Leg, Model, Party};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
};
use words::{Family, HostName, ZoneName};

/// Transport protocols the bench sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Proto {
    /// Protocol number.
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
        }
    }
    /// As iptables writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// A zone and the router's device in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Zone {
    /// The router's device.
    pub device: String,
    /// Its subnets.
    pub subnets: Vec<Ipv4Net>,
}

/// One permission: this host may open this port of that host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Permit {
    /// Protocol.
    pub proto: Proto,
    /// Who opens.
    pub src: Ipv4Addr,
    /// Who listens.
    pub dst: Ipv4Addr,
    /// On which port.
    pub port: u16,
    /// Index of the opener's zone.
    pub from: usize,
    /// Index of the listener's zone.
    pub to: usize,
}

/// One side of a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Side {
    /// Addresses.
    Net(Ipv4Net),
    /// Whatever is behind this device: how a list writes "the Internet".
    Device(String),
}

/// One line of a list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Line {
    /// Who opens.
    pub from: Side,
    /// Who listens.
    pub to: Side,
    /// Protocol.
    pub proto: Proto,
    /// First and last port.
    pub ports: (u16, u16),
}

/// Everything the router forwards.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Number of hosts of the site.
    pub hosts: usize,
    /// Zones.
    pub zones: Vec<Zone>,
    /// Exact permissions, sorted: what is sent.
    pub permits: Vec<Permit>,
    /// All lines, sorted: what a list says.
    pub lines: Vec<Line>,
    /// Published services: address and port outside, address and port inside.
    pub published: Vec<(Proto, Ipv4Addr, u16, Ipv4Addr, u16)>,
    /// The device to the Internet.
    pub uplink: String,
}

/// The policy of an edge node with these devices.
pub fn of(model: &Model, node: &HostName, devices: &BTreeMap<ZoneName, String>) -> Result<Policy, Error> {
    let index: BTreeMap<&ZoneName, usize> = devices.keys().enumerate().map(|(n, z)| (z, n)).collect();
    let zones: Vec<Zone> = devices.iter().map(|(z, device)| Zone { device: device.clone(), subnets: subnets(model, z) }).collect();
    let uplink = devices.iter().find(|(z, _)| z.is_internet()).map(|(_, d)| d.clone());
    let uplink = uplink.ok_or_else(|| Error::Invalid(format!("{node} has no device to the Internet")))?;
    let (mut permits, mut lines, mut published) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
    for flow in model.flows.iter().filter(|f| !model.edge.has_end_of(f)) {
        let Some(proto) = proto(flow) else { continue };
        for dnat in &flow.publish {
            if let (IpAddr::V4(at), IpAddr::V4(to)) = (dnat.at, dnat.to) {
                published.insert((proto, at, dnat.port, to, dnat.to_port));
            }
        }
        for leg in flow.legs.iter().filter(|l| l.from_zone != l.to_zone && l.family == Family::V4) {
            let (Some(&from), Some(&to)) = (index.get(&leg.from_zone), index.get(&leg.to_zone)) else { continue };
            for (src, dst, ports) in triples(flow, leg, &uplink) {
                if let (Side::Net(s), Side::Net(d), (first, last)) = (&src, &dst, ports)
                    && s.prefix_len() == 32
                    && d.prefix_len() == 32
                    && first == last
                {
                    permits.insert(Permit { proto, src: s.addr(), dst: d.addr(), port: first, from, to });
                }
                lines.insert(Line { from: src, to: dst, proto, ports });
            }
        }
    }
    let hosts = model.hosts.len();
    let sorted = (permits.into_iter().collect(), lines.into_iter().collect(), published.into_iter().collect());
    Ok(Policy { hosts, zones, permits: sorted.0, lines: sorted.1, published: sorted.2, uplink })
}

fn proto(flow: &Flow) -> Option<Proto> {
    match flow.target.proto {
        words::Proto::Tcp => Some(Proto::Tcp),
        words::Proto::Udp => Some(Proto::Udp),
        _ => None,
    }
}

/// A zone's IPv4 subnets; the Internet is what is nowhere else.
fn subnets(model: &Model, zone: &ZoneName) -> Vec<Ipv4Net> {
    if zone.is_internet() {
        return vec![Ipv4Net::default()];
    }
    let nets = model.zones.get(zone).map(|z| z.subnets.as_slice()).unwrap_or_default();
    nets.iter().filter_map(|n| if let ipnet::IpNet::V4(n) = n { Some(*n) } else { None }).collect()
}

fn triples(flow: &Flow, leg: &Leg, uplink: &str) -> Vec<(Side, Side, (u16, u16))> {
    let side = |party: &Party, nets: &[ipnet::IpNet]| match party {
        Party::Public => vec![Side::Device(uplink.to_owned())],
        _ => nets.iter().filter_map(|n| if let ipnet::IpNet::V4(n) = n { Some(Side::Net(*n)) } else { None }).collect(),
    };
    let (from, to) = (side(&flow.from, &leg.src), side(&flow.to, &leg.dst));
    let mut out = Vec::new();
    for src in &from {
        for dst in &to {
            out.extend(flow.target.ports.ranges().iter().map(|r| (src.clone(), dst.clone(), (r.first(), r.last()))));
        }
    }
    out
}
