//! Where machines stand: interfaces to zones and addresses. In come interfaces, out come zones named after their VLAN or
//! numbered, and each machine's addresses in them.

use super::{Machine, usable};
use crate::special::is_public;
use facts::Interface;
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{HostName, ZoneName};

/// A network the machines share.
pub(crate) struct Zone {
    pub name: String,
    pub vlan: Option<u16>,
    pub subnets: Vec<IpNet>,
}

/// All networks.
pub(crate) struct Places {
    pub zones: Vec<Zone>,
}

/// Devices of container engines, hypervisors and tunnels: their networks are no zones of the site.
const INNER: [&str; 14] =
    ["lo", "docker", "br-", "veth", "virbr", "vnet", "cni", "podman", "lxdbr", "incusbr", "tailscale", "wg", "tun", "flannel"];

/// Where an ssh session's listener is.
const SSH: u16 = 22;

pub(crate) fn outer(i: &Interface) -> bool {
    !INNER.iter().any(|p| i.name.starts_with(p)) && i.kind.as_deref() != Some("wireguard")
}

impl Places {
    /// The zones of all machines: one per private network; v6 networks belong to the v4 network of the same device.
    pub fn of(machines: &[Machine<'_>]) -> Self {
        let mut groups: BTreeMap<IpNet, (Option<u16>, BTreeSet<IpNet>)> = BTreeMap::new();
        for i in machines.iter().flat_map(|m| &m.facts.interfaces).filter(|i| outer(i)) {
            let nets: Vec<IpNet> = i.addresses.iter().filter(|a| usable(a.addr())).map(IpNet::trunc).collect();
            let private: Vec<IpNet> = nets.iter().copied().filter(|n| !is_public(&n.addr())).collect();
            let v4: Vec<IpNet> = private.iter().copied().filter(|n| n.addr().is_ipv4()).collect();
            let Some(lead) = v4.first().or(private.first()) else { continue };
            for n in &v4 {
                groups.entry(*n).or_insert_with(|| (i.vlan, BTreeSet::new())).1.insert(*n);
            }
            // A public v6 prefix on a device with a private v4 network is that VLAN's own, not the Internet.
            let own = nets.iter().filter(|n| n.addr().is_ipv6() && (!is_public(&n.addr()) || !v4.is_empty()));
            groups.entry(*lead).or_insert_with(|| (i.vlan, BTreeSet::new())).1.extend(own);
        }
        let mut zones: Vec<Zone> = Vec::new();
        let mut taken: BTreeSet<IpNet> = BTreeSet::new();
        for (vlan, subnets) in groups.into_values() {
            // Another network that holds it, or is it, was there first (two machines that disagree about the length).
            let subnets: Vec<IpNet> = subnets.into_iter().filter(|n| !taken.iter().any(|t| t.contains(n) || n.contains(t))).collect();
            if subnets.is_empty() {
                continue;
            }
            taken.extend(&subnets);
            let wish = vlan.map_or_else(|| format!("net{}", zones.len() + 1), |v| format!("vlan{v}"));
            let name = if zones.iter().any(|z| z.name == wish) { format!("{wish}-{}", zones.len() + 1) } else { wish };
            let vlan = vlan.filter(|v| !zones.iter().any(|z| z.vlan == Some(*v)));
            zones.push(Zone { name, vlan, subnets });
        }
        Self { zones }
    }

    /// The zone that holds an address; `internet` for public ones outside every zone.
    pub fn zone(&self, address: IpAddr) -> Option<&str> {
        let inside = self.zones.iter().find(|z| z.subnets.iter().any(|n| n.contains(&address)));
        inside.map(|z| z.name.as_str()).or_else(|| is_public(&address).then_some(ZoneName::INTERNET))
    }

    /// A network of its own for an address seen from afar.
    pub fn add(&mut self, address: IpAddr) {
        /// The size most networks have: /24 and /64.
        const USUAL: (u8, u8) = (24, 64);
        let length = if address.is_ipv4() { USUAL.0 } else { USUAL.1 };
        let Ok(net) = IpNet::new(address, length) else { return };
        let net = net.trunc();
        let clash = self.zones.iter().flat_map(|z| &z.subnets).any(|n| n.contains(&net) || net.contains(n));
        let net = if clash { IpNet::from(address) } else { net };
        self.zones.push(Zone { name: format!("net{}", self.zones.len() + 1), vlan: None, subnets: vec![net] });
    }

    /// A machine's addresses by zone.
    pub fn addresses(&self, m: &Machine<'_>) -> BTreeMap<&str, Vec<String>> {
        let mut out: BTreeMap<&str, Vec<String>> = BTreeMap::new();
        for a in m.facts.interfaces.iter().filter(|i| outer(i)).flat_map(|i| &i.addresses).map(IpNet::addr).filter(|a| usable(*a)) {
            if let Some(zone) = self.zone(a) {
                let list = out.entry(zone).or_default();
                let text = a.to_string();
                if !list.contains(&text) {
                    list.push(text);
                }
            }
        }
        out
    }

    /// Where ssh sessions come from: zones, and addresses outside.
    pub fn operators(&self, machines: &[Machine<'_>]) -> Vec<String> {
        let mut out = BTreeSet::new();
        for s in
            machines.iter().flat_map(|m| &m.facts.sockets).filter(|s| s.local.port() == SSH && s.state == facts::SocketState::Established)
        {
            let Some(remote) = s.remote.map(|r| r.ip()).filter(|a| usable(*a)) else { continue };
            match self.zone(remote) {
                Some(zone) if zone != ZoneName::INTERNET => drop(out.insert(zone.to_owned())),
                _ => drop(out.insert(IpNet::from(remote).to_string())),
            }
        }
        out.into_iter().collect()
    }
}

/// A host's name as the site file takes it, unique among those already given.
pub(crate) fn host_name(raw: &str, given: &mut BTreeSet<String>) -> String {
    let first = raw.split('.').next().unwrap_or_default();
    let mut clean: String =
        first.chars().map(|c| c.to_ascii_lowercase()).map(|c| if c.is_ascii_alphanumeric() || c == '-' { c } else { '-' }).collect();
    clean = clean.trim_matches('-').chars().take(words::name::MAX_NAME - 4).collect();
    let clean = if HostName::new(&clean).is_ok() { clean } else { "host".to_owned() };
    let mut name = clean.clone();
    let mut n = 2;
    while !given.insert(name.clone()) {
        name = format!("{clean}-{n}");
        n += 1;
    }
    name
}
