//! Whether the model allows a flow, and whether anything of Ravelin's lies on its way. In come model and flow, out comes
//! a verdict with its reason. A flow between machines that no filter of ours stands between is never cut.

use crate::seen::Key;
use ipnet::IpNet;
use serde::Serialize;
use site::model::{EdgeKind, Flow, Host, Model};
use std::net::IpAddr;
use words::{HostName, Proto, ZoneName};

/// What would become of a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The model allows it, by this flow.
    Allowed(String),
    /// It would be cut, and by whom.
    Cut(Vec<Stop>),
    /// Nothing of ours is on its way.
    NotOurs,
    /// Loopback, link-local, multicast, ICMP: decided by built-in rules, not by flows.
    BuiltIn,
}

/// What would cut a flow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// The opener's own filter.
    Output(HostName),
    /// The edge, between two zones.
    Edge(ZoneName, ZoneName),
    /// The listener's own filter.
    Input(HostName),
}

/// An end of a flow as the model knows it.
#[derive(Debug, Clone)]
pub struct End<'a> {
    /// Address.
    pub address: IpAddr,
    /// Machine with this address.
    pub host: Option<&'a Host>,
    /// Zone it lies in; `internet` where no zone's subnet holds it.
    pub zone: ZoneName,
}

/// The end with this address.
pub fn end(model: &Model, address: IpAddr) -> End<'_> {
    let host = model.hosts.values().find(|h| h.addresses().any(|a| a == address));
    let best = |nets: &[IpNet]| nets.iter().filter(|n| n.contains(&address)).map(IpNet::prefix_len).max();
    let zone = model.zones.values().filter_map(|z| Some((best(&z.subnets)?, &z.name))).max();
    End { address, host, zone: zone.map_or_else(ZoneName::internet, |(_, z)| z.clone()) }
}

/// What would become of this flow.
pub fn judge(model: &Model, key: &Key) -> Verdict {
    let (listener, port) = key.listener();
    if !matches!(key.proto, Proto::Tcp | Proto::Udp) || [key.from, key.to].into_iter().any(never_routed) || key.from == listener {
        return Verdict::BuiltIn;
    }
    if let Some(flow) = model.flows.iter().find(|f| allows(f, key, listener, port)) {
        return Verdict::Allowed(flow.id.to_string());
    }
    let (from, to) = (end(model, key.from), end(model, listener));
    let mut stops = Vec::new();
    let filters = |e: &End<'_>| e.host.filter(|h| h.managed).map(|h| h.name.clone());
    stops.extend(filters(&from).map(Stop::Output));
    if from.zone != to.zone && model.edge.kind == EdgeKind::Ravelin {
        stops.push(Stop::Edge(from.zone, to.zone.clone()));
    }
    stops.extend(filters(&to).map(Stop::Input));
    if stops.is_empty() { Verdict::NotOurs } else { Verdict::Cut(stops) }
}

fn allows(flow: &Flow, key: &Key, listener: IpAddr, port: u16) -> bool {
    let proto = flow.target.proto == key.proto;
    let from = |leg: &site::model::Leg| leg.src.iter().any(|n| n.contains(&key.from));
    let straight = flow.target.ports.contains(port) && flow.legs.iter().any(|l| from(l) && l.dst.iter().any(|n| n.contains(&listener)));
    // Seen before translation, for instance by the opener: the public address and port.
    let translated = || flow.publish.iter().any(|d| d.at == key.to && d.port == key.port) && flow.legs.iter().any(from);
    proto && (straight || translated())
}

/// Addresses that never leave a link or a machine.
fn never_routed(address: IpAddr) -> bool {
    let link_local = match address {
        IpAddr::V4(a) => a.is_link_local() || a.is_broadcast(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    link_local || address.is_loopback() || address.is_multicast() || address.is_unspecified()
}
