//! Builds a topology: namespaces, bridges, links, addresses, routes, by a handful of `ip -batch` runs.
//!
//! Must be called inside (see [`crate::enter`]). All bridges live in one namespace, the switch. Two ways of finding
//! neighbours: dynamic, where the filters under test must let ARP's and neighbour discovery's packets pass; fixed, where a
//! volley of thousands of packets shall meet filters only. Never: decides anything about the site.

use crate::{
    error::LabError,
    space::{Space, run_program},
    topology::{Node, Role, Topology},
};
use ipnet::IpNet;
use std::{
    collections::BTreeMap,
    fmt::Write,
    net::IpAddr,
    sync::{Mutex, PoisonError},
};
use words::Family;

/// The namespace that holds the bridges. Capitals cannot clash with host names.
pub const SWITCH: &str = "Switch";
/// Threads that configure nodes; the work waits on the kernel's network lock more than on processors.
const BUILDERS: usize = 4;

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
    /// Builds everything. On an error the caller leaves the namespaces, which takes down what stands already.
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
        if let Some(active) = lab.active.clone() {
            lab.place_virtuals(&active)?;
        }
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
            let lines = self.virtual_lines(&old, "del");
            self.batch(&old, &lines)?;
        }
        self.active = Some(to.to_owned());
        self.place_virtuals(to)?;
        if self.neighbours == Neighbours::Dynamic {
            for name in self.topology.nodes.keys() {
                self.batch(name, "neigh flush all\n")?;
            }
        }
        self.fix_neighbours()
    }

    fn place_virtuals(&self, on: &str) -> Result<(), LabError> {
        self.batch(on, &self.virtual_lines(on, "add"))
    }

    fn virtual_lines(&self, on: &str, verb: &str) -> String {
        let mut lines = String::new();
        let Some(node) = self.topology.nodes.get(on) else { return lines };
        for v in &self.topology.virtuals {
            let Some(port) = node.ports.iter().find(|p| p.segment == v.segment) else { continue };
            let nodad = if verb == "add" && v.address.is_ipv6() { " nodad" } else { "" };
            let _ = writeln!(lines, "addr {verb} {} dev {}{nodad}", IpNet::from(v.address), port.device);
        }
        lines
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
