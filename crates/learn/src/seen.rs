//! Flows that really happened. In come facts of machines over time, out comes each flow once: who opened, to whom, on
//! which port, how often, and the processes at the ends that were observed.
//!
//! Two sources, put together: the tracking table (which knows who opened, and what is translated) and sockets (which know
//! the process, and exist on machines that track nothing).

use facts::{Facts, Socket, SocketState, Tuple, net::status};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use words::{HostName, Proto};

/// What one machine reported at one time.
#[derive(Debug, Clone)]
pub struct Observation {
    /// The machine, by its name in the site file.
    pub machine: HostName,
    /// What it reported.
    pub facts: Facts,
}

/// One flow, all its connections together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// Protocol.
    pub proto: Proto,
    /// Who opened, before translation.
    pub from: IpAddr,
    /// Who was meant, before translation.
    pub to: IpAddr,
    /// Port there, before translation; 0 for protocols without ports.
    pub port: u16,
    /// Who answered, where that is somebody else than was meant.
    pub real: Option<(IpAddr, u16)>,
}

impl Key {
    /// Where it ended up: address and port of who answered.
    pub fn listener(&self) -> (IpAddr, u16) {
        self.real.unwrap_or((self.to, self.port))
    }
}

/// A process at one end of a flow.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Who {
    /// Machine.
    pub machine: HostName,
    /// It opened the flow; otherwise it was called.
    pub opener: bool,
    /// Short name.
    pub process: String,
    /// Account.
    pub account: Option<String>,
    /// systemd unit.
    pub unit: Option<String>,
    /// Container, by name where it is known, else by id.
    pub container: Option<String>,
}

/// How often and by whom.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Connections, told apart by the opener's port.
    pub connections: BTreeSet<u16>,
    /// First seen, seconds since 1970-01-01 UTC.
    pub first: u64,
    /// Last seen.
    pub last: u64,
    /// Processes at either end.
    pub who: BTreeSet<Who>,
    /// Something came back at least once.
    pub answered: bool,
}

/// All flows of these observations.
pub fn flows(observations: &[Observation]) -> BTreeMap<Key, Tally> {
    let mut out: BTreeMap<Key, Tally> = BTreeMap::new();
    for o in observations {
        let owners = Owners::of(o);
        for c in &o.facts.connections {
            let (back, meant) = (c.reply, c.original);
            let real = (back.src, back.sport);
            let key = Key {
                proto: c.proto,
                from: meant.src,
                to: meant.dst,
                port: meant.dport,
                real: (real != (meant.dst, meant.dport) && c.proto.has_ports()).then_some(real),
            };
            let answered = c.status & status::SEEN_REPLY != 0;
            add(&mut out, key, meant.sport, answered, &o.facts, owners.ends(c.proto, meant, back));
        }
        for (tuple, proto) in owners.connected() {
            let key = Key { proto, from: tuple.src, to: tuple.dst, port: tuple.dport, real: None };
            add(&mut out, key, tuple.sport, true, &o.facts, owners.ends(proto, tuple, tuple.reversed()));
        }
    }
    out
}

fn add(out: &mut BTreeMap<Key, Tally>, key: Key, port: u16, answered: bool, facts: &Facts, who: BTreeSet<Who>) {
    let t = out.entry(key).or_insert_with(|| Tally { first: facts.taken_at, ..Tally::default() });
    t.connections.insert(port);
    t.first = t.first.min(facts.taken_at);
    t.last = t.last.max(facts.taken_at);
    t.answered |= answered;
    t.who.extend(who);
}

/// Sockets of one machine by their ends.
struct Owners<'a> {
    observation: &'a Observation,
    by_ends: BTreeMap<(Proto, SocketAddr, SocketAddr), &'a Socket>,
    listeners: BTreeMap<(Proto, u16), Vec<&'a Socket>>,
    own: BTreeSet<IpAddr>,
}

impl<'a> Owners<'a> {
    fn of(observation: &'a Observation) -> Self {
        let mut by_ends = BTreeMap::new();
        let mut listeners: BTreeMap<(Proto, u16), Vec<&Socket>> = BTreeMap::new();
        for s in &observation.facts.sockets {
            if let Some(remote) = s.remote {
                by_ends.insert((s.proto, s.local, remote), s);
            } else if s.listens() {
                listeners.entry((s.proto, s.local.port())).or_default().push(s);
            }
        }
        let own = observation.facts.addresses().collect();
        Self { observation, by_ends, listeners, own }
    }

    /// Connections that sockets hold, in the direction in which they were opened: who has a listener on the local port was
    /// called.
    fn connected(&self) -> Vec<(Tuple, Proto)> {
        let alive = |s: &Socket| match s.proto {
            Proto::Tcp => !matches!(s.state, SocketState::SynSent | SocketState::TimeWait | SocketState::Close | SocketState::Listen),
            _ => true,
        };
        let held = self.by_ends.values().filter(|s| alive(s));
        held.filter_map(|s| {
            let remote = s.remote?;
            let called = self.listeners.contains_key(&(s.proto, s.local.port()));
            let (from, to) = if called { (remote, s.local) } else { (s.local, remote) };
            let tuple = Tuple { src: from.ip(), dst: to.ip(), sport: from.port(), dport: to.port() };
            Some((tuple, s.proto))
        })
        .collect()
    }

    /// Who is at the ends of a connection, as far as they are on this machine.
    fn ends(&self, proto: Proto, original: Tuple, reply: Tuple) -> BTreeSet<Who> {
        let mut out = BTreeSet::new();
        let (from, to) = (SocketAddr::new(original.src, original.sport), SocketAddr::new(reply.src, reply.sport));
        let seen_by_opener = SocketAddr::new(original.dst, original.dport);
        let seen_by_listener = SocketAddr::new(reply.dst, reply.dport);
        if let Some(s) = self.by_ends.get(&(proto, from, seen_by_opener)) {
            out.extend(self.holders(s, true));
        } else if self.own.contains(&from.ip()) {
            // An unconnected UDP socket that sends.
            out.extend(self.waiting(proto, from).into_iter().flat_map(|s| self.holders(s, true)));
        }
        if let Some(s) = self.by_ends.get(&(proto, to, seen_by_listener)) {
            out.extend(self.holders(s, false));
        } else if self.own.contains(&to.ip()) {
            out.extend(self.waiting(proto, to).into_iter().flat_map(|s| self.holders(s, false)));
        }
        out
    }

    fn waiting(&self, proto: Proto, at: SocketAddr) -> Vec<&'a Socket> {
        let all = self.listeners.get(&(proto, at.port())).into_iter().flatten();
        all.filter(|s| s.on_any_address() || s.local.ip() == at.ip()).copied().collect()
    }

    fn holders(&self, socket: &Socket, opener: bool) -> Vec<Who> {
        let facts = &self.observation.facts;
        let containers = |id: &str| facts.containers.iter().find(|c| c.id == id).map_or(id.to_owned(), |c| c.name.clone());
        let who = |pid: &u32| {
            let p = facts.process(*pid)?;
            Some(Who {
                machine: self.observation.machine.clone(),
                opener,
                process: p.comm.clone(),
                account: p.user.clone().or_else(|| Some(format!("uid {}", p.uid))),
                unit: p.unit.clone(),
                container: p.container.as_deref().map(containers),
            })
        };
        socket.pids.iter().filter_map(who).collect()
    }
}
