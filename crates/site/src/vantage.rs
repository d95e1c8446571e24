//! What somebody who stands at an address must be able to open, and what not. In come the model and the addresses that a
//! vantage point sends from, out come attempts with what the site file says about each. `ravelin verify` makes them with packets, so
//! that a firewall that is not ours is held against the site file too. Never: opens a connection.

use crate::model::{Flow, FlowId, Host, Model};
use ipnet::IpNet;
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use words::{HostName, PortSet, Proto, ZoneName};

/// Ranges wider than this are tried at both ends only: every port of an OSD range tells nothing the ends do not.
const WHOLE_RANGE: u32 = 16;

/// One TCP connection to try. UDP is left out: silence proves nothing there.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Attempt {
    /// Machine that is meant.
    pub host: HostName,
    /// What listens there by the site file, `service.endpoint`; nothing where no service of this host uses the port.
    pub endpoint: Option<String>,
    /// The address it comes from.
    pub from: IpAddr,
    /// Where to connect.
    pub to: SocketAddr,
    /// The flow that allows it; without one it must not be possible.
    pub flow: Option<FlowId>,
}

/// The zone an address stands in; `None` is the Internet.
pub fn zone_of(model: &Model, address: IpAddr) -> Option<&ZoneName> {
    model.zones.values().find(|z| z.subnets.iter().any(|n| n.contains(&address))).map(|z| &z.name)
}

/// Everything to try, sorted. `source` tells which address a packet to a target would come from; `None` where there is no way.
pub fn attempts(model: &Model, source: impl Fn(IpAddr) -> Option<IpAddr>) -> Vec<Attempt> {
    let ports = site_ports(model);
    let mut out = BTreeSet::new();
    for (target, host) in targets(model) {
        // From outside only what is routed there can be reached at all; a machine does not probe itself.
        let usable = |from: &IpAddr| *from != target && (zone_of(model, *from).is_some() || routed(model, &target));
        let Some(from) = source(target).filter(usable) else { continue };
        for &port in &ports {
            let to = SocketAddr::new(target, port);
            let flow = model.flows.iter().find(|f| allows(f, from, to)).map(|f| f.id.clone());
            out.insert(Attempt { host: host.name.clone(), endpoint: endpoint(model, host, to), from, to, flow });
        }
    }
    out.into_iter().collect()
}

/// Every machine's own addresses, and the public ones it is published at.
fn targets(model: &Model) -> BTreeMap<IpAddr, &Host> {
    let own = model.hosts.values().flat_map(|h| h.addresses().map(move |a| (a, h)));
    let published = model.publishes.iter().filter_map(|p| Some((p, model.hosts.get(&p.host)?)));
    published.flat_map(|(p, h)| p.at.iter().map(move |a| (*a, h))).chain(own).collect()
}

fn routed(model: &Model, address: &IpAddr) -> bool {
    crate::special::is_public(address) || model.edge.public.iter().any(|n| n.contains(address))
}

/// Every TCP port that any service of the site listens on or is published at.
fn site_ports(model: &Model) -> BTreeSet<u16> {
    let listens = model.hosts.values().flat_map(|h| &h.instances).flat_map(|i| &i.listens);
    let listened = listens.filter(|l| l.proto.contains(&Proto::Tcp)).flat_map(|l| few(&l.ports));
    listened.chain(model.publishes.iter().map(|p| p.port)).collect()
}

fn few(ports: &PortSet) -> Vec<u16> {
    let ends = |r: &words::PortRange| {
        if u32::from(r.last() - r.first()) < WHOLE_RANGE { (r.first()..=r.last()).collect() } else { vec![r.first(), r.last()] }
    };
    ports.ranges().iter().flat_map(ends).collect()
}

fn allows(flow: &Flow, source: IpAddr, to: SocketAddr) -> bool {
    let covers = |nets: &[IpNet], a: IpAddr| nets.iter().any(|n| n.contains(&a));
    let from_here = || flow.legs.iter().filter(|l| covers(&l.src, source));
    let direct = flow.target.ports.contains(to.port()) && from_here().any(|l| covers(&l.dst, to.ip()));
    let translated = flow.publish.iter().any(|d| d.at == to.ip() && d.port == to.port()) && from_here().next().is_some();
    flow.target.proto == Proto::Tcp && (direct || translated)
}

fn endpoint(model: &Model, host: &Host, to: SocketAddr) -> Option<String> {
    let published = model.publishes.iter().find(|p| p.port == to.port() && p.at.contains(&to.ip()));
    if let Some(p) = published {
        return host.instances.iter().find(|i| i.name == p.instance).map(|i| format!("{}.{}", i.service.name, p.endpoint));
    }
    let listens = host.instances.iter().flat_map(|i| i.listens.iter().map(move |l| (i, l)));
    listens
        .filter(|(_, l)| l.proto.contains(&Proto::Tcp))
        .find(|(_, l)| l.ports.contains(to.port()))
        .map(|(i, l)| format!("{}.{}", i.service.name, l.endpoint))
}
