//! Listening sockets held against the packet filter. In come a machine's facts and its rules, and the site where there is one; out
//! comes for each socket and each port an engine forwards: on loopback, filtered, or reachable, and by whom, with a packet and
//! the rule that decides. Never: takes a ruleset that is there for a filter that works, or what could not be read for a filter.
//!
//! Over all opening packets that may come in over the machine's wires from where their answers would go. A packet with a
//! source that is routed elsewhere (forged) is not among them: no conversation comes of it.

mod arrive;
mod peers;
mod walk;

pub use peers::{By, Peer, Span};

use crate::{packet::Packet, place::Place, set::Store, trace::Step};
use arrive::Arrived;
use facts::{Facts, Process, Socket};
use peers::Peers;
use ruleset::form::Ruleset;
use serde::Serialize;
use site::model::Model;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use words::{Family, HostName, Proto};

/// Everything that listens on a machine, and what may come to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposures {
    /// By port.
    pub all: Vec<Exposed>,
    /// Filters that no tool shows: while there are any, nothing is called filtered.
    pub unread: Vec<String>,
}

/// One socket, or one forwarded port, in one family.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exposed {
    /// TCP or UDP.
    pub proto: Proto,
    /// Family of the packets; a socket on every IPv6 address may take IPv4 as well, and then stands here twice.
    pub family: Family,
    /// What listens.
    pub end: End,
    /// What may come to it.
    pub verdict: Verdict,
}

/// What listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A socket of this machine.
    Socket {
        /// Address and port it is bound to.
        local: SocketAddr,
        /// Device it is bound to.
        device: Option<String>,
        /// Who holds it; empty where that could not be seen.
        holders: Vec<Holder>,
    },
    /// A port whose packets are translated and forwarded, as container engines publish them.
    Forwarded {
        /// The port they are sent to.
        port: u16,
        /// The address they are sent to, where it is one.
        at: Option<IpAddr>,
        /// Where they go.
        to: SocketAddr,
        /// Containers that publish this port, by the engine's list.
        containers: Vec<String>,
    },
}

/// A process that holds a socket.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Holder {
    /// Its name.
    pub process: String,
    /// Its id.
    pub pid: u32,
    /// Its account.
    pub account: String,
    /// Its unit.
    pub unit: Option<String>,
    /// The container it runs in: its name, or its id where no engine names it.
    pub container: Option<String>,
}

/// What may come to a socket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Bound to loopback, and nothing is translated to it.
    Loopback,
    /// The machine has no address of this family that others could use.
    NoAddress,
    /// No packet comes to it from outside.
    Filtered {
        /// A packet that would.
        packet: Box<Packet>,
        /// What stops it; `None` where the machine forwards nothing.
        by: Option<Step>,
    },
    /// Packets come to it.
    Reachable(Vec<By>),
    /// No packet that could be followed comes to it, but not every filter could be read.
    Unproven,
}

impl Verdict {
    /// Who may reach it.
    pub fn by(&self) -> &[By] {
        match self {
            Verdict::Reachable(by) => by,
            _ => &[],
        }
    }
    /// Whether it is proven that nobody outside reaches it.
    pub fn closed(&self) -> bool {
        matches!(self, Verdict::Loopback | Verdict::NoAddress | Verdict::Filtered { .. })
    }
}

/// Every packet filter that facts tell of, in the one form. An error where a ruleset was not read or is not understood.
pub fn rulesets(facts: &Facts) -> Result<Ruleset, String> {
    let Some(json) = &facts.rulesets.nft_json else {
        let said = facts.failures.iter().find(|f| f.source == facts::Source::Nft).map(|f| f.reason.clone());
        return Err(said.unwrap_or_else(|| "nft gave nothing".to_owned()));
    };
    let nft = ruleset::nft::read(json).map_err(|e| e.to_string())?;
    let text = |saved: &'_ Option<String>| saved.clone().filter(|t| !t.trim().is_empty());
    let (v4, v6) = (text(&facts.rulesets.iptables_save), text(&facts.rulesets.ip6tables_save));
    let mut all = ruleset::iptables::compose(nft, v4.as_deref(), v6.as_deref()).map_err(|e| e.to_string())?;
    all.unread.extend(facts.rulesets.unread.iter().cloned());
    Ok(all)
}

/// A machine with everything its packets meet.
struct Machine<'a> {
    rules: &'a Ruleset,
    facts: &'a Facts,
    place: Place,
    /// Routes may depend on more than the destination.
    several: bool,
}

/// Holds every listening socket and every forwarded port against the rules. `here` is the site and this machine's name in it.
pub fn exposures(facts: &Facts, rules: &Ruleset, here: Option<(&Model, &HostName)>) -> Exposures {
    let (mut place, several) = crate::cut::place(facts);
    // What is redirected gets an address of the device, and no wire brings anything for loopback.
    place.own.retain(|a| !a.is_loopback());
    place.links.retain(|l| !is_port(facts, &l.device));
    let machine = Machine { rules, facts, place, several };
    let mut store = Store::new();
    let arrived = Arrived::new(&mut store, &machine);
    let peers = Peers::new(&mut store, &machine, &arrived, here);
    let mut all = Vec::new();
    for (socket, holders) in listening(facts) {
        let families = match socket.local.ip() {
            IpAddr::V6(a) if a.is_unspecified() && socket.dual => vec![Family::V4, Family::V6],
            a => vec![Family::of(&a)],
        };
        for family in families {
            let verdict = of_socket(&mut store, &machine, &arrived, &peers, socket, family);
            let end = End::Socket { local: socket.local, device: socket.device.clone(), holders: holders.clone() };
            all.push(Exposed { proto: socket.proto, family, end, verdict });
        }
    }
    for forward in arrived.forwards(&mut store) {
        let verdict = of_forward(&mut store, &machine, &arrived, &peers, &forward);
        let (proto, family) = (forward.proto, Family::of(&forward.to.ip()));
        let end = End::Forwarded { port: forward.port, at: forward.at, to: forward.to, containers: containers(facts, &forward) };
        all.push(Exposed { proto, family, end, verdict });
    }
    if !rules.unread.is_empty() {
        for e in all.iter_mut().filter(|e| matches!(e.verdict, Verdict::Filtered { .. })) {
            e.verdict = Verdict::Unproven;
        }
    }
    let port = |e: &Exposed| match &e.end {
        End::Socket { local, .. } => local.port(),
        End::Forwarded { port, .. } => *port,
    };
    all.sort_by(|a, b| (port(a), a.proto, &a.end, a.family).cmp(&(port(b), b.proto, &b.end, b.family)));
    Exposures { all, unread: rules.unread.clone() }
}

/// Loopback, and devices whose packets come in as their bridge's or bond's.
fn is_port(facts: &Facts, device: &str) -> bool {
    const JOINED: [&str; 3] = ["bridge", "bond", "team"];
    let of = |name: &str| facts.interfaces.iter().find(|i| i.name == name);
    let kind = of(device).and_then(|i| of(i.master.as_deref()?)).and_then(|m| m.kind.as_deref());
    device == "lo" || kind.is_some_and(|k| JOINED.contains(&k))
}

fn of_socket(store: &mut Store, machine: &Machine<'_>, arrived: &Arrived, peers: &Peers, socket: &Socket, family: Family) -> Verdict {
    let reached = arrived.at_socket(store, machine, socket, family);
    if !reached.is_empty() {
        return Verdict::Reachable(peers.reaching(store, machine, reached));
    }
    if socket.on_loopback() {
        return Verdict::Loopback;
    }
    let asked = arrived.asking_socket(store, machine, socket, family);
    filtered(store, machine, peers, asked)
}

fn of_forward(store: &mut Store, machine: &Machine<'_>, arrived: &Arrived, peers: &Peers, f: &arrive::Forward) -> Verdict {
    let reached = arrived.at_forward(store, machine, f);
    let by = peers.reaching(store, machine, reached);
    if !by.is_empty() {
        return Verdict::Reachable(by);
    }
    if f.at.is_some_and(|a| a.is_loopback()) {
        return Verdict::Loopback;
    }
    let asked = arrived.asking_forward(store, machine, f);
    filtered(store, machine, peers, asked)
}

/// Nothing arrives: what stops a typical packet.
fn filtered(store: &Store, machine: &Machine<'_>, peers: &Peers, asked: crate::set::Set) -> Verdict {
    match peers.typical(store, asked) {
        None => Verdict::NoAddress,
        Some(packet) => Verdict::Filtered { packet: Box::new(packet), by: walk::stopped(machine, packet) },
    }
}

/// What a socket is bound to.
type Bound<'a> = (Proto, SocketAddr, Option<&'a str>);

/// Listening sockets; those that share address and port (`SO_REUSEPORT`) are one.
fn listening(facts: &Facts) -> Vec<(&Socket, Vec<Holder>)> {
    let mut by_end: BTreeMap<Bound<'_>, (&Socket, BTreeSet<u32>)> = BTreeMap::new();
    for s in facts.sockets.iter().filter(|s| s.listens()) {
        let (kept, pids) = by_end.entry((s.proto, s.local, s.device.as_deref())).or_insert((s, BTreeSet::new()));
        pids.extend(&s.pids);
        if s.dual {
            *kept = s;
        }
    }
    let holders = |pids: BTreeSet<u32>| pids.into_iter().map(|pid| holder(facts, pid)).collect();
    by_end.into_values().map(|(s, pids)| (s, holders(pids))).collect()
}

fn holder(facts: &Facts, pid: u32) -> Holder {
    let Some(p) = facts.processes.iter().find(|p| p.pid == pid) else {
        return Holder { pid, ..Holder::default() };
    };
    let account = |p: &Process| {
        let known = || facts.account(p.uid).map(|a| a.name.clone());
        p.user.clone().or_else(known).unwrap_or_else(|| p.uid.to_string())
    };
    let container = |id: &String| facts.containers.iter().find(|c| c.id == *id).map_or_else(|| id.clone(), |c| c.name.clone());
    Holder { process: p.comm.clone(), pid, account: account(p), unit: p.unit.clone(), container: p.container.as_ref().map(container) }
}

/// Containers whose engine says it published this.
fn containers(facts: &Facts, f: &arrive::Forward) -> Vec<String> {
    let publishes = |p: &facts::PortMapping| {
        let here = p.address.is_unspecified() || f.at.is_none_or(|a| a == p.address);
        p.proto == f.proto && p.host == f.port && p.inside == f.to.port() && here
    };
    facts.containers.iter().filter(|c| c.ports.iter().any(publishes)).map(|c| c.name.clone()).collect()
}
