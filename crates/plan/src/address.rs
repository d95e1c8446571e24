//! Addresses an edge node must hold besides its own: the virtual ones, which are the zones' gateways, and public ones at which
//! services are published or private sources leave. In comes an edge node of the model, out come addresses with device and
//! reason. Never: one that a machine of the site has itself.

use crate::Address;
use crate::build::Build;
use ipnet::IpNet;
use std::net::IpAddr;
use words::{Family, Origin, ZoneName};

/// What the node must hold. Of a pair whose nodes elect one it is neither: the active one is told by the election. While the layer
/// observes nothing is elected, and it is the first node.
pub(crate) fn of(b: &Build<'_>, elected: bool) -> Vec<Address> {
    if elected || b.model.edge.nodes.first() != Some(&b.host.name) {
        return Vec::new();
    }
    shared(b)
}

/// What the node holds while it is the active one.
pub(crate) fn shared(b: &Build<'_>) -> Vec<Address> {
    let mut out = Vec::new();
    for (zone, addresses) in &b.model.edge.vip {
        let why = if zone.is_internet() { "the site's public address" } else { "the gateway of its zone" };
        out.extend(addresses.iter().filter_map(|a| held(b, zone, *a, why, vec![b.model.edge.origin.clone()])));
    }
    let internet = ZoneName::internet();
    for (address, origins) in site::translated(b.model) {
        let why = if b.model.edge.egress_address == Some(address) { "private sources leave by it" } else { "services are published at it" };
        out.extend(held(b, &internet, address, why, origins));
    }
    out.sort();
    out
}

fn held(b: &Build<'_>, zone: &ZoneName, address: IpAddr, why: &str, origins: Vec<Origin>) -> Option<Address> {
    // An address of either node is its own, whatever else the site file says of it.
    let own = |n: &words::HostName| b.model.hosts.get(n).is_some_and(|h| h.addresses().any(|a| a == address));
    if b.model.edge.nodes.iter().any(own) {
        return None;
    }
    let beside = b.host.interface(zone).is_some_and(|i| i.addresses.iter().any(|n| Family::of(&n.addr()) == Family::of(&address)));
    // What is on the link the node's own address says. Where it has none the zone's subnet does; of the Internet nobody knows.
    let on_link = || b.model.zones.get(zone)?.subnets.iter().find(|n| n.contains(&address)).map(IpNet::prefix_len);
    let single = IpNet::from(address);
    let net = if beside { single } else { on_link().and_then(|length| IpNet::new(address, length).ok()).unwrap_or(single) };
    let device = b.devices.get(zone)?.clone();
    Some(Address { zone: zone.clone(), device, address: net, source: !beside, why: why.to_owned(), origins })
}
