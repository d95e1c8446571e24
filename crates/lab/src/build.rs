//! Builds a topology: namespaces, bridges, links, addresses, routes, by a handful of `ip -batch` runs.
//!
//! Must be called inside (see [`crate::enter`]). All bridges live in one namespace, the switch. Two ways of finding
//! neighbours: dynamic, where the filters under test must let ARP's and neighbour discovery's packets pass; fixed, where a
//! volley of thousands of packets shall meet filters only. Never: decides anything about the site.

use crate::{
    error::LabError,
    space::{Space, run_program},
    topology::{Node, Role, Topology, Virtual},
};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    fmt::Write,
    net::{IpAddr, Ipv4Addr, UdpSocket},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use words::Family;

/// The namespace that holds the bridges. Capitals cannot clash with host names.
pub const SWITCH: &str = "Switch";
/// Threads that configure nodes; the work waits on the kernel's network lock more than on processors.
const BUILDERS: usize = 4;

/// RFC 863.
const DISCARD: u16 = 9;
/// The kernel asks three times for a neighbour, a second apart (`mcast_solicit`, `retrans_time_ms`); in a lab the first is answered.
const ANSWERED_WITHIN: Duration = Duration::from_secs(2);

/// How nodes find each other's hardware addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbours {
    /// As in life.
    Dynamic,
    /// Permanent entries.
    Fixed,
}

/// A standing lab.
#[derive(Debug)]
pub struct Lab {
    /// What was built.
    pub topology: Topology,
    /// The edge node that holds the virtual addresses.
    pub active: Option<String>,
    spaces: BTreeMap<String, Space>,
    neighbours: Neighbours,
}

impl Lab {
    /// Builds everything but virtual and translated addresses, which are the plan's to put on. On an error the caller leaves the namespaces, which takes down what stands already.
    pub fn build(topology: Topology, neighbours: Neighbours) -> Result<Self, LabError> {
        let mut names = format!("netns add {SWITCH}\n");
        for name in topology.nodes.keys() {
            let _ = writeln!(names, "netns add {name}");
        }
        batch(&names)?;
        let lab = Self { active: topology.edges.first().cloned(), spaces: open(&topology)?, topology, neighbours };
        lab.space(SWITCH)?.sysctl(&quiet_switch())?;
        for node in lab.topology.nodes.values() {
            lab.space(&node.name)?.sysctl(&base_settings(node))?;
        }
        lab.plug()?;
        lab.configure()?;
        lab.fix_neighbours()?;
        Ok(lab)
    }

    /// Opens a lab that stands already, in the namespaces this process is in.
    pub fn open(topology: Topology, neighbours: Neighbours, active: Option<String>) -> Result<Self, LabError> {
        Ok(Self { active, spaces: open(&topology)?, topology, neighbours })
    }

    /// A node's namespace.
    pub fn space(&self, name: &str) -> Result<&Space, LabError> {
        self.spaces.get(name).ok_or_else(|| LabError::NoNode {
            name: name.to_owned(),
            known: self.topology.nodes.keys().cloned().collect::<Vec<_>>().join(", "),
        })
    }

    /// A guest of an engine on one of the machines: a namespace behind a device of that machine's own, in no zone.
    pub fn add_guest(&mut self, host: &str, guest: Node, device: &str, gateways: &[IpNet]) -> Result<(), LabError> {
        /// The machine's own end.
        const MAC: [u8; 6] = [0x02, 0x52, 0x57, 0, 0, 1];
        let Some(port) = guest.ports.first() else { return Ok(()) };
        let (name, inner, mac) = (&guest.name, &port.device, mac_text(port.mac));
        batch(&format!("netns add {name}\n"))?;
        self.spaces.insert(name.clone(), Space::open(name)?);
        self.space(name)?.sysctl(&base_settings(&guest))?;
        batch(&format!(
            "link add dev {device} netns {host} address {} type veth peer name {inner} address {mac} netns {name}\n",
            mac_text(MAC)
        ))?;
        let (mut outside, mut inside) = (String::new(), String::from("link set dev lo up\n"));
        let nodad = |a: &IpNet| if a.addr().is_ipv6() { " nodad" } else { "" };
        for (lines, own, on) in [(&mut outside, gateways, device), (&mut inside, port.addresses.as_slice(), inner.as_str())] {
            for a in own {
                let _ = writeln!(lines, "addr add {a} dev {on}{}", nodad(a));
            }
            let _ = writeln!(lines, "link set dev {on} up");
        }
        for a in &port.addresses {
            let _ = writeln!(outside, "neigh replace {} lladdr {mac} dev {device} nud permanent", a.addr());
        }
        for a in gateways {
            let _ = writeln!(inside, "neigh replace {} lladdr {} dev {inner} nud permanent", a.addr(), mac_text(MAC));
            let _ = writeln!(inside, "route add default via {} dev {inner}", a.addr());
        }
        self.batch(host, &outside)?;
        self.batch(name, &inside)?;
        self.topology.nodes.insert(guest.name.clone(), guest);
        Ok(())
    }

    /// Removes every namespace again, for a process that builds several labs in turn.
    pub fn remove(self) -> Result<(), LabError> {
        let lines: String = self.spaces.keys().map(|n| format!("netns del {n}\n")).collect();
        drop(self.spaces);
        batch(&lines)
    }

    /// Moves the virtual addresses to another edge node, as a failover would.
    pub fn move_virtuals(&mut self, to: &str) -> Result<(), LabError> {
        self.space(to)?;
        if let Some(old) = self.active.take() {
            let lines = self.virtual_lines(&old, |v, device| format!("addr flush dev {device} to {}", IpNet::from(v.address)));
            self.batch(&old, &lines)?;
        }
        self.active = Some(to.to_owned());
        self.batch(to, &self.virtual_lines(to, added))?;
        if self.neighbours == Neighbours::Dynamic {
            for name in self.topology.nodes.keys() {
                self.batch(name, "neigh flush all\n")?;
            }
        }
        self.fix_neighbours()
    }

    /// Puts the virtual addresses on the active node by hand, as they were before Ravelin: for a site that is not enforced yet.
    pub fn by_hand(&self) -> Result<(), LabError> {
        let Some(active) = &self.active else { return Ok(()) };
        let lines = self.virtual_lines(active, |v, device| if v.translated { String::new() } else { added(v, device) });
        self.batch(active, &lines)
    }

    fn virtual_lines(&self, on: &str, line: impl Fn(&Virtual, &str) -> String) -> String {
        let ports = self.topology.nodes.get(on).map(|n| n.ports.as_slice()).unwrap_or_default();
        let there = self.topology.virtuals.iter().filter_map(|v| Some((v, ports.iter().find(|p| p.segment == v.segment)?)));
        there.map(|(v, port)| line(v, &port.device) + "\n").collect()
    }

    /// Who answers a node's question for an IPv4 address on one of its segments, by the node's own list of neighbours.
    pub fn answers(&self, node: &str, address: Ipv4Addr) -> Result<Option<String>, LabError> {
        self.space(node)?.run(|| {
            let socket = UdpSocket::bind("0.0.0.0:0").map_err(LabError::io("open a socket"))?;
            // What it says does not matter: before the first packet the kernel asks for the neighbour.
            let _ = socket.send_to(&[0], (address, DISCARD));
            let begun = Instant::now();
            loop {
                let table = std::fs::read_to_string("/proc/thread-self/net/arp").map_err(LabError::io("read the neighbours"))?;
                let mut rows = table.lines().skip(1).map(|l| l.split_whitespace().collect::<Vec<_>>());
                // Address, hardware type, flags, hardware address. Flags without ATF_COM of `if_arp.h`: nobody has answered yet.
                let row = rows.find(|w| w.first().is_some_and(|a| *a == address.to_string()) && w.get(2).is_some_and(|f| *f != "0x0"));
                if let Some(mac) = row.and_then(|w| w.get(3).copied().map(str::to_owned)) {
                    return Ok(Some(mac));
                }
                if begun.elapsed() > ANSWERED_WITHIN {
                    return Ok(None);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        })
    }

    /// Bridges, and a cable from each to every port on its segment.
    fn plug(&self) -> Result<(), LabError> {
        let mut bridges = String::new();
        let mut cables = String::new();
        let mut masters = String::new();
        let mut n = 0;
        for (i, segment) in self.topology.segments.iter().enumerate() {
            let _ = writeln!(bridges, "link add dev br{i} type bridge forward_delay 0 mcast_snooping 0\nlink set dev br{i} up");
            for node in self.topology.nodes.values() {
                for port in node.ports.iter().filter(|p| &p.segment == segment) {
                    n += 1;
                    let mac = mac_text(port.mac);
                    let (name, device) = (&node.name, &port.device);
                    let _ = writeln!(cables, "link add dev p{n} netns {SWITCH} type veth peer name {device} address {mac} netns {name}");
                    let _ = writeln!(masters, "link set dev p{n} master br{i} up");
                }
            }
        }
        self.batch(SWITCH, &bridges)?;
        batch(&cables)?;
        self.batch(SWITCH, &masters)
    }

    fn configure(&self) -> Result<(), LabError> {
        self.each_node(|node| {
            let mut lines = String::from("link set dev lo up\n");
            for port in &node.ports {
                for a in &port.addresses {
                    let nodad = if a.addr().is_ipv6() { " nodad" } else { "" };
                    let _ = writeln!(lines, "addr add {a} dev {}{nodad}", port.device);
                }
                let _ = writeln!(lines, "link set dev {} up", port.device);
            }
            self.batch(&node.name, &lines)?;
            for (family, flag) in [(Family::V4, "-4"), (Family::V6, "-6")] {
                let own = node.routes.iter().filter(|(f, _)| *f == family);
                let lines: String = own.map(|(_, line)| format!("{line}\n")).collect();
                if !lines.is_empty() {
                    self.space(&node.name)?.program("ip", &[flag, "-batch", "-"], Some(&lines))?;
                }
            }
            Ok(())
        })
    }

    fn fix_neighbours(&self) -> Result<(), LabError> {
        if self.neighbours == Neighbours::Dynamic {
            return Ok(());
        }
        self.each_node(|node| {
            let mut lines = String::new();
            for port in &node.ports {
                for (address, mac) in self.topology.neighbours(&port.segment, self.active.as_deref()) {
                    if mac != port.mac {
                        let _ = writeln!(lines, "neigh replace {address} lladdr {} dev {} nud permanent", mac_text(mac), port.device);
                    }
                }
            }
            self.batch(&node.name, &lines)
        })
    }

    /// Runs `f` for every node on a few threads; the first trouble is told.
    fn each_node(&self, f: impl Fn(&Node) -> Result<(), LabError> + Sync) -> Result<(), LabError> {
        let todo = Mutex::new(self.topology.nodes.values());
        std::thread::scope(|s| {
            let work = || {
                loop {
                    let next = todo.lock().unwrap_or_else(PoisonError::into_inner).next();
                    match next {
                        Some(node) => f(node)?,
                        None => return Ok(()),
                    }
                }
            };
            let workers: Vec<_> = (0..BUILDERS).map(|_| s.spawn(work)).collect();
            workers.into_iter().try_for_each(|w| w.join().unwrap_or_else(|_| Err(LabError::Other("a builder panicked".into()))))
        })
    }

    /// Lines for `ip -batch`, run in a node. (`ip -n` would mount a fresh sysfs, which some containers refuse.)
    fn batch(&self, node: &str, lines: &str) -> Result<(), LabError> {
        if lines.is_empty() {
            return Ok(());
        }
        self.space(node)?.program("ip", &["-batch", "-"], Some(lines)).map(drop)
    }

    /// The address of a family a node has on a segment.
    pub fn address(&self, node: &str, segment: &str, v6: bool) -> Option<IpAddr> {
        let port = self.topology.nodes.get(node)?.ports.iter().find(|p| p.segment == segment)?;
        port.addresses.iter().map(IpNet::addr).find(|a| a.is_ipv6() == v6)
    }
}

fn open(topology: &Topology) -> Result<BTreeMap<String, Space>, LabError> {
    topology.nodes.keys().map(String::as_str).chain([SWITCH]).map(|n| Space::open(n).map(|s| (n.to_owned(), s))).collect()
}

fn added(v: &Virtual, device: &str) -> String {
    let nodad = if v.address.is_ipv6() { " nodad" } else { "" };
    format!("addr add {} dev {device}{nodad}", IpNet::from(v.address))
}

/// Lines for `ip -batch`, run where the lab's own processes stand.
fn batch(lines: &str) -> Result<(), LabError> {
    run_program("ip", &["-batch", "-"], Some(lines), "the lab's own namespace").map(drop)
}

/// A hardware address as `ip` writes it.
pub fn mac_text(mac: [u8; 6]) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}

/// A switch switches: it must not hand frames to anybody's filter.
fn quiet_switch() -> Vec<(String, String)> {
    let mut all = vec![("net.ipv6.conf.default.disable_ipv6".to_owned(), "1".to_owned())];
    if std::path::Path::new("/proc/sys/net/bridge").exists() {
        let keys = ["bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables"];
        all.extend(keys.map(|k| (format!("net.bridge.{k}"), "0".to_owned())));
    }
    all
}

/// What every node needs to be usable at once: no waiting for duplicate addresses, no addresses from elsewhere.
fn base_settings(node: &Node) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for scope in ["all", "default"] {
        for (key, value) in [("accept_dad", "0"), ("accept_ra", "0"), ("autoconf", "0"), ("router_solicitations", "0")] {
            all.push((format!("net.ipv6.conf.{scope}.{key}"), value.to_owned()));
        }
    }
    if matches!(node.role, Role::Edge | Role::Router) {
        all.push(("net.ipv4.ip_forward".into(), "1".into()));
        all.push(("net.ipv6.conf.all.forwarding".into(), "1".into()));
    }
    all
}
