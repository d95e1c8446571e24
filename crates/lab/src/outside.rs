//! Who stands on the Internet of a lab: an attacker, a client, a server of the wide world, the operator, named places.
//!
//! In comes a model; out come names and addresses. Addresses are ordinary public ones, not documentation prefixes, because
//! anti-spoofing rightly treats those as never seen on the Internet. Never: takes an address the site uses itself.

use site::model::{Host, Model};
use std::{collections::BTreeSet, net::IpAddr};

/// Who fires attacks from the Internet.
pub const ATTACKER: &str = "attacker";
/// An honest user of what the site publishes.
pub const CLIENT: &str = "client";
/// A server anywhere: libp2p peers, package mirrors, whatever egress may reach.
pub const WORLD: &str = "world";
/// The operator's place outside, where the site file names one.
pub const OPERATOR: &str = "operator";
/// What a node's name gets in front where a host of the site has it already.
const CLASH: &str = "outside-";

/// A machine on the Internet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outsider {
    /// Name in the lab.
    pub name: String,
    /// Addresses, at most a few.
    pub addresses: Vec<IpAddr>,
}

/// Most addresses a named place outside gets in the lab; further prefixes add nothing to the truth.
const MOST_ADDRESSES: usize = 8;

/// Everybody on the Internet of this site.
pub fn outsiders(model: &Model) -> Vec<Outsider> {
    let mut taken: BTreeSet<IpAddr> = model.hosts.values().flat_map(Host::addresses).collect();
    let mut all = Vec::new();
    let fixed: [(&str, [&str; 2]); 3] = [
        (ATTACKER, ["45.83.64.66", "2a0b:f4c2:6666::66"]),
        (CLIENT, ["52.10.20.30", "2600:1f18:2030::30"]),
        (WORLD, ["44.55.66.77", "2604:a880:77::77"]),
    ];
    for (name, addresses) in fixed {
        let addresses = addresses.iter().filter_map(|a| a.parse().ok()).collect();
        add(model, &mut all, &mut taken, name, addresses);
    }
    add(model, &mut all, &mut taken, OPERATOR, model.management.nets.iter().map(first_host).collect());
    for (name, external) in &model.externals {
        add(model, &mut all, &mut taken, name, external.nets.iter().map(first_host).collect());
    }
    all
}

fn add(model: &Model, all: &mut Vec<Outsider>, taken: &mut BTreeSet<IpAddr>, name: &str, addresses: Vec<IpAddr>) {
    let addresses: Vec<IpAddr> = addresses.into_iter().filter(|a| taken.insert(*a)).take(MOST_ADDRESSES).collect();
    if addresses.is_empty() {
        return;
    }
    let clashes = model.hosts.keys().any(|h| h.as_str() == name) || all.iter().any(|o| o.name == name);
    let name = if clashes { format!("{CLASH}{name}") } else { name.to_owned() };
    all.push(Outsider { name, addresses });
}

/// A usable address of a prefix: the address itself for a single one, the first after the network's own otherwise.
pub fn first_host(net: &ipnet::IpNet) -> IpAddr {
    net.hosts().next().unwrap_or_else(|| net.addr())
}
