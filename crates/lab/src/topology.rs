//! What to build for a model: nodes, segments, addresses, routes. Pure; the same model gives the same topology.
//!
//! A zone is a segment (a bridge), a host is a node with one port per zone it stands in, named as the plan names devices.
//! Virtual and translated addresses are expected on the active edge node, which has them from its plan. Where the site has no edge node of its own, a plain router without
//! any filter joins the zones: then what is denied is denied by the hosts. The Internet is one segment; its machines have
//! on-link routes to each other and send everything else to the site, private destinations included, as an attacker on
//! the next hop could. Never: invents an address inside a zone unless the zone has no gateway and needs one.

use crate::outside::{Outsider, first_host, outsiders};
use ipnet::IpNet;
use plan::{Devices, device::default_device};
use site::model::{EdgeKind, Host, Model, Zone};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Family, ZoneName};

/// The filterless router's name, where the site has no edge node of its own. Capitals cannot clash with host names.
pub const ROUTER: &str = "Router";
/// The segment between the edge nodes.
pub const SYNC: &str = "sync";
/// What the filterless router holds on the Internet side where the site file names no public prefix.
const ROUTER_OUTSIDE: [&str; 2] = ["192.88.99.1/24", "2001:db8:ffff::1/64"];

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A machine of the site.
    Host,
    /// An edge node of the site.
    Edge,
    /// The filterless router.
    Router,
    /// A machine of the Internet.
    Outside,
    /// A container behind a machine of the site: in no zone, asked by nobody under its own address.
    Guest,
}

impl Role {
    /// Whether it sends, and is sent to, by an address of its own.
    pub fn speaks(self) -> bool {
        !matches!(self, Role::Router | Role::Guest)
    }
}

/// A node: one network namespace.
#[derive(Debug, Clone)]
pub struct Node {
    /// Name; the host's name for hosts.
    pub name: String,
    /// What it is.
    pub role: Role,
    /// Ravelin manages its filter.
    pub managed: bool,
    /// Its devices.
    pub ports: Vec<Port>,
    /// Routes and rules in the words of `ip -batch`, by family.
    pub routes: Vec<(Family, String)>,
}

/// A device of a node.
#[derive(Debug, Clone)]
pub struct Port {
    /// The segment it is plugged into: the zone's name.
    pub segment: String,
    /// Device name in the node.
    pub device: String,
    /// Hardware address.
    pub mac: [u8; 6],
    /// Addresses with prefix length.
    pub addresses: Vec<IpNet>,
}

/// A virtual or translated address and where it lives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Virtual {
    /// Segment.
    pub segment: String,
    /// Address.
    pub address: IpAddr,
    /// Services are published at it, or private sources leave by it: before Ravelin nobody had it.
    pub translated: bool,
}

/// A whole lab, before it is built.
#[derive(Debug, Clone)]
pub struct Topology {
    /// Segments in order; each becomes a bridge.
    pub segments: BTreeSet<String>,
    /// Nodes by name.
    pub nodes: BTreeMap<String, Node>,
    /// Virtual and translated addresses of the edge, as the model has them: what the plan makes of it is what is tried.
    pub virtuals: Vec<Virtual>,
    /// Edge nodes in order of preference; the virtual addresses begin on the first.
    pub edges: Vec<String>,
}

/// The topology of a model, with the plan's device names.
pub fn topology(model: &Model, devices: &Devices) -> Topology {
    let mut t = Topology { segments: BTreeSet::new(), nodes: BTreeMap::new(), virtuals: Vec::new(), edges: Vec::new() };
    t.segments.extend(model.zones.keys().map(|z| z.as_str().to_owned()));
    t.segments.insert(ZoneName::INTERNET.to_owned());
    t.edges.extend(model.edge.nodes.iter().map(|n| n.as_str().to_owned()));
    if model.edge.kind == EdgeKind::Ravelin {
        for (zone, addresses) in &model.edge.vip {
            let own = |a: &IpAddr| model.edge.nodes.iter().filter_map(|n| model.hosts.get(n)).any(|h| h.addresses().any(|x| x == *a));
            t.virtuals.extend(addresses.iter().filter(|a| !own(a)).map(|a| Virtual {
                segment: zone.as_str().to_owned(),
                address: *a,
                translated: false,
            }));
        }
        let segment = ZoneName::INTERNET;
        let translated = site::translated(model).into_keys();
        t.virtuals.extend(translated.map(|address| Virtual { segment: segment.to_owned(), address, translated: true }));
    } else {
        add_router(model, &mut t);
    }
    for host in model.hosts.values() {
        add_host(model, devices, host, &mut t);
    }
    add_sync(model, &mut t);
    for outsider in outsiders(model) {
        add_outsider(&outsider, &mut t);
    }
    add_internet_routes(&mut t);
    number_ports(&mut t);
    t
}

fn add_host(model: &Model, devices: &Devices, host: &Host, t: &mut Topology) {
    let name = host.name.as_str().to_owned();
    let port = |(zone, device): (ZoneName, String)| Port {
        segment: zone.as_str().to_owned(),
        device,
        mac: [0; 6],
        addresses: host.interface(&zone).map(|i| i.addresses.clone()).unwrap_or_default(),
    };
    let ports: Vec<Port> = devices.of(model, host).into_iter().map(port).collect();
    let routes =
        if host.edge || host.interfaces.iter().any(|i| i.zone.is_internet()) { Vec::new() } else { host_routes(model, t, host, &ports) };
    let role = if host.edge { Role::Edge } else { Role::Host };
    t.nodes.insert(name.clone(), Node { name, role, managed: host.managed, ports, routes });
}

/// Default routes by every gateway, and the gateway of its own zone for each source address, so that a machine in several
/// zones answers where it was asked.
fn host_routes(model: &Model, t: &Topology, host: &Host, ports: &[Port]) -> Vec<(Family, String)> {
    /// First private routing table and rule priority; the kernel's own begin at 253 and 32766.
    const FIRST_TABLE: usize = 100;
    /// Metric of the default route that leaves by the host's default zone; the others count from the table's number.
    const BEST_METRIC: usize = 50;
    let mut lines = Vec::new();
    for family in Family::ALL {
        let mut several = Vec::new();
        for (n, port) in ports.iter().enumerate() {
            let Some(gateway) = gateway(model, t, &port.segment, family) else { continue };
            if !port.addresses.iter().any(|a| Family::of(&a.addr()) == family) {
                continue;
            }
            let table = FIRST_TABLE + n;
            let metric = if host.default_zone.as_str() == port.segment { BEST_METRIC } else { table };
            lines.push((family, format!("route add default via {gateway} dev {} metric {metric} onlink", port.device)));
            several.push((family, format!("route add default via {gateway} dev {} table {table} onlink", port.device)));
            let sources = port.addresses.iter().filter(|a| Family::of(&a.addr()) == family);
            several.extend(sources.map(|a| (family, format!("rule add priority {} from {} lookup {table}", 1000 + n, a.addr()))));
        }
        if ports.len() > 1 && !several.is_empty() {
            lines.push((family, "rule add priority 900 lookup main suppress_prefixlength 0".to_owned()));
            lines.append(&mut several);
        }
    }
    lines
}

/// The gateway of a zone: the model's, else an edge node's own address there, else the filterless router's.
fn gateway(model: &Model, t: &Topology, zone: &str, family: Family) -> Option<IpAddr> {
    let fits = |a: &IpAddr| Family::of(a) == family;
    let named = model.zones.iter().find(|(z, _)| z.as_str() == zone).and_then(|(_, z)| z.gateways.iter().copied().find(fits));
    let own = || {
        let nodes = model.edge.nodes.iter().filter_map(|n| model.hosts.get(n));
        nodes.flat_map(|h| &h.interfaces).filter(|i| i.zone.as_str() == zone).flat_map(|i| &i.addresses).map(IpNet::addr).find(fits)
    };
    let routed = || {
        let router = t.nodes.get(ROUTER)?;
        router.ports.iter().find(|p| p.segment == zone)?.addresses.iter().map(IpNet::addr).find(fits)
    };
    named.or_else(own).or_else(routed)
}

fn add_router(model: &Model, t: &mut Topology) {
    let mut ports = Vec::new();
    for zone in model.zones.values().filter(|z| !z.name.is_internet()) {
        let addresses = zone.subnets.iter().filter_map(|net| router_address(model, zone, net)).collect();
        let segment = zone.name.as_str().to_owned();
        ports.push(Port { device: default_device(&zone.name), segment, mac: [0; 6], addresses });
    }
    let segment = ZoneName::INTERNET.to_owned();
    let addresses = ROUTER_OUTSIDE.iter().filter_map(|a| a.parse().ok()).collect();
    ports.push(Port { device: segment.clone(), segment, mac: [0; 6], addresses });
    t.nodes.insert(ROUTER.into(), Node { name: ROUTER.into(), role: Role::Router, managed: false, ports, routes: Vec::new() });
}

/// The zone's declared gateway in this subnet, or a free address near its end.
fn router_address(model: &Model, zone: &Zone, net: &IpNet) -> Option<IpNet> {
    if let Some(g) = zone.gateways.iter().find(|g| net.contains(*g)) {
        return IpNet::new(*g, net.prefix_len()).ok();
    }
    let used: BTreeSet<IpAddr> = model.hosts.values().flat_map(Host::addresses).collect();
    let last = match net {
        IpNet::V4(n) => IpAddr::V4(std::net::Ipv4Addr::from(u32::from(n.broadcast()).checked_sub(1)?)),
        IpNet::V6(n) => IpAddr::V6(std::net::Ipv6Addr::from(u128::from(n.broadcast()).checked_sub(1)?)),
    };
    let free = (net.contains(&last) && !used.contains(&last)).then_some(last);
    free.or_else(|| net.hosts().find(|a| !used.contains(a))).and_then(|a| IpNet::new(a, net.prefix_len()).ok())
}

fn add_sync(model: &Model, t: &mut Topology) {
    let Some(net) = model.edge.sync else { return };
    if t.edges.len() < 2 {
        return;
    }
    t.segments.insert(SYNC.into());
    for (address, edge) in net.hosts().zip(t.edges.clone()) {
        let Some(node) = t.nodes.get_mut(&edge) else { continue };
        if node.ports.iter().any(|p| p.segment == SYNC) {
            continue;
        }
        let addresses = IpNet::new(address, net.prefix_len()).into_iter().collect();
        node.ports.push(Port { segment: SYNC.into(), device: SYNC.into(), mac: [0; 6], addresses });
    }
}

fn add_outsider(outsider: &Outsider, t: &mut Topology) {
    let single = |a: &IpAddr| IpNet::from(*a);
    let port = Port {
        segment: ZoneName::INTERNET.into(),
        device: ZoneName::INTERNET.into(),
        mac: [0; 6],
        addresses: outsider.addresses.iter().map(single).collect(),
    };
    let name = outsider.name.clone();
    t.nodes.insert(name.clone(), Node { name, role: Role::Outside, managed: false, ports: vec![port], routes: Vec::new() });
}

/// Everybody on the Internet segment reaches everybody there directly; outsiders send the rest to the site.
fn add_internet_routes(t: &mut Topology) {
    let internet = ZoneName::INTERNET;
    let mut there: Vec<(String, IpAddr)> = t
        .nodes
        .values()
        .flat_map(|n| n.ports.iter().filter(|p| p.segment == internet).flat_map(|p| p.addresses.iter().map(|a| (n.name.clone(), a.addr()))))
        .collect();
    there.extend(t.virtuals.iter().filter(|v| v.segment == internet).map(|v| (String::new(), v.address)));
    let entrance = |family: Family| {
        let ours = |name: &str| name.is_empty() || t.nodes.get(name).is_some_and(|n| n.role != Role::Outside);
        let fits = |(name, a): &&(String, IpAddr)| ours(name) && Family::of(a) == family;
        let virtuals = there.iter().filter(|(name, _)| name.is_empty());
        virtuals.chain(there.iter()).find(fits).map(|(_, a)| *a)
    };
    let entrances: Vec<(Family, Option<IpAddr>)> = Family::ALL.iter().map(|f| (*f, entrance(*f))).collect();
    for node in t.nodes.values_mut() {
        let Some(port) = node.ports.iter().find(|p| p.segment == internet) else { continue };
        for (family, entrance) in &entrances {
            if node.role != Role::Outside {
                node.routes.push((*family, format!("route add default dev {} metric 50", port.device)));
                continue;
            }
            let others = there.iter().filter(|(name, a)| *name != node.name && Family::of(a) == *family);
            node.routes.extend(others.map(|(_, a)| (*family, format!("route add {a} dev {}", port.device))));
            if let Some(e) = entrance {
                node.routes.push((*family, format!("route add default via {e} dev {} onlink", port.device)));
            }
        }
    }
}

/// Hardware addresses by count: locally administered, unique, the same in every run.
fn number_ports(t: &mut Topology) {
    let mut n: u32 = 0;
    for port in t.nodes.values_mut().flat_map(|node| &mut node.ports) {
        n += 1;
        let [_, b, c, d] = n.to_be_bytes();
        port.mac = [0x02, 0x52, 0x56, b, c, d];
    }
}

impl Topology {
    /// Every address on a segment with the hardware address that answers for it; virtual ones on `active`, without translated ones:
    /// the edge must answer for those itself.
    pub fn neighbours(&self, segment: &str, active: Option<&str>) -> Vec<(IpAddr, [u8; 6])> {
        let ports = self.nodes.values().flat_map(|n| n.ports.iter().map(move |p| (n, p))).filter(|(_, p)| p.segment == segment);
        let mut all: Vec<(IpAddr, [u8; 6])> = Vec::new();
        for (node, port) in ports {
            all.extend(port.addresses.iter().map(|a| (a.addr(), port.mac)));
            if active == Some(node.name.as_str()) {
                all.extend(self.virtuals.iter().filter(|v| v.segment == segment && !v.translated).map(|v| (v.address, port.mac)));
            }
        }
        all
    }

    /// Without the machines of the site that `keep` does not name; edge nodes and everybody outside stay.
    pub fn cut(mut self, keep: impl Fn(&str) -> bool) -> Self {
        self.nodes.retain(|name, node| node.role != Role::Host || keep(name));
        self
    }

    /// The node that holds an address; for a virtual one, `active`.
    pub fn holder(&self, address: IpAddr, active: Option<&str>) -> Option<&Node> {
        let own = self.nodes.values().find(|n| n.ports.iter().any(|p| p.addresses.iter().any(|a| a.addr() == address)));
        own.or_else(|| self.virtuals.iter().any(|v| v.address == address).then(|| self.nodes.get(active?)).flatten())
    }
}

/// A usable address in a prefix that nobody of the model holds; for attackers that make one up.
pub fn unused(model: &Model, net: &IpNet) -> IpAddr {
    let used: BTreeSet<IpAddr> =
        model.hosts.values().flat_map(Host::addresses).chain(model.zones.values().flat_map(|z| z.gateways.clone())).collect();
    net.hosts().find(|a| !used.contains(a)).unwrap_or_else(|| first_host(net))
}
