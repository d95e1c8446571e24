//! Who may send: machines and zones of the site, neighbours on each wire, private networks behind a router, the Internet. In come
//! packets that reach a socket, out comes by whom, each with a packet and what lets it through. Everybody is one of them.

use super::{Machine, arrive, arrive::Arrived, walk};
use crate::{
    eval::{Eval, Past},
    field::{self, Field, device},
    packet::Packet,
    policy::sources_of,
    set::{Set, Store},
    trace::Step,
};
use ipnet::IpNet;
use ruleset::form::Hook;
use serde::Serialize;
use site::{
    model::Model,
    special::{NOT_PUBLIC_V4, PUBLIC_V6},
};
use std::{fmt, net::IpAddr};
use words::{Family, HostName, ZoneName};

/// Ranges of sources that are told; more are only counted.
const SPANS: usize = 8;
/// Sources of a typical packet: documentation ranges (RFC 5737, RFC 3849) are nobody's.
const SOMEBODY: [&str; 2] = ["198.51.100.66", "2001:db8:ffff::66"];

/// Who may send.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Peer {
    /// Machines in a zone of the site.
    Zone(ZoneName),
    /// Whoever is on the same wire.
    Wire(String),
    /// Private addresses behind a router.
    Private,
    /// Public addresses behind a router.
    Internet,
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Peer::Zone(z) => write!(f, "zone {z}"),
            Peer::Wire(d) => write!(f, "the wire at {d}"),
            Peer::Private => f.write_str("private networks behind a router"),
            Peer::Internet => f.write_str("the Internet"),
        }
    }
}

/// Addresses in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// The first.
    pub first: IpAddr,
    /// The last.
    pub last: IpAddr,
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.first);
        }
        let size = field::address(self.first) ^ field::address(self.last);
        let bits = u8::try_from(128 - size.leading_zeros()).unwrap_or(128);
        let width = if self.first.is_ipv4() { 32 } else { 128 };
        match IpNet::new(self.first, width - bits.min(width)) {
            Ok(net) if (net.network(), net.broadcast()) == (self.first, self.last) => write!(f, "{net}"),
            _ => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

impl Serialize for Span {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}

/// One of them, and how.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct By {
    /// Who.
    pub peer: Peer,
    /// Every address of theirs.
    pub all: bool,
    /// More than half of their addresses: who is let in is not told by name, who is kept out may be.
    #[serde(skip)]
    pub most: bool,
    /// Which addresses, where not all: the first of them.
    pub sources: Vec<Span>,
    /// How many ranges of addresses are not told.
    pub more: usize,
    /// Machines of the site among them.
    pub hosts: Vec<HostName>,
    /// A packet that arrives, as it is sent; `None` where no single one could be followed.
    pub packet: Option<Packet>,
    /// What lets it through: rules in order, the last decides.
    pub steps: Vec<Step>,
    /// What had to be assumed.
    pub assumed: Vec<String>,
}

/// Everybody who may send to a machine.
pub(super) struct Peers {
    each: Vec<(Peer, Set)>,
    hosts: Vec<(HostName, Set)>,
    like: Packet,
}

impl Peers {
    pub(super) fn new(store: &mut Store, machine: &Machine<'_>, arrived: &Arrived, here: Option<(&Model, &HostName)>) -> Self {
        let sources = arrived.sources(store);
        let (mut each, mut rest) = (Vec::new(), sources);
        let mut take = |store: &mut Store, peer: Peer, of: Set| {
            let mine = store.and(rest, of);
            rest = store.minus(rest, of);
            if !mine.is_empty() {
                each.push((peer, mine));
            }
        };
        let mut hosts = Vec::new();
        if let Some((model, own)) = here {
            for z in model.zones.values().filter(|z| !z.name.is_internet()) {
                let nets = sources_of(store, &z.subnets);
                take(store, Peer::Zone(z.name.clone()), nets);
            }
            for h in model.hosts.values().filter(|h| h.name != *own) {
                let nets: Vec<IpNet> = h.addresses().map(IpNet::from).collect();
                let from = sources_of(store, &nets);
                hosts.push((h.name.clone(), store.and(from, sources)));
            }
        }
        for (d, mut nets) in arrive::wires(machine) {
            nets.extend(arrive::link_local());
            let (from, wire) = (sources_of(store, &nets), store.value(Field::In, device(&d)));
            let near = store.and(from, wire);
            take(store, Peer::Wire(d), near);
        }
        let special = sources_of(store, &NOT_PUBLIC_V4);
        let (six, public) = (store.value(Field::Family, 1), sources_of(store, &[PUBLIC_V6]));
        let special_six = store.minus(six, public);
        let private = store.or(special, special_six);
        take(store, Peer::Private, private);
        take(store, Peer::Internet, Set::FULL);
        Self { each, hosts, like: like(machine) }
    }

    /// By whom these packets, as they look at their end, may be sent.
    pub(super) fn reaching(&self, store: &mut Store, machine: &Machine<'_>, reached: Set) -> Vec<By> {
        let mut out = Vec::new();
        for (peer, from) in &self.each {
            let mine = store.and(reached, *from);
            if leaves(store, machine, mine) {
                out.extend(self.by(store, machine, peer, *from, mine));
            }
        }
        out
    }

    fn by(&self, store: &mut Store, machine: &Machine<'_>, peer: &Peer, from: Set, mine: Set) -> Option<By> {
        let of_families = store.project(mine, Field::Family);
        let in_them = of_families.iter().fold(Set::EMPTY, |all, (a, b)| {
            let one = store.interval(Field::Family, *a, *b);
            store.or(all, one)
        });
        let could = store.and(from, in_them);
        let (could, can) = (sources_only(store, could), sources_only(store, mine));
        let (of_could, spans) = (spans(store, could), spans(store, can));
        let most = width(&spans) > width(&of_could) / 2;
        let mut hosts = Vec::new();
        for (h, set) in &self.hosts {
            if store.meets(mine, *set) {
                hosts.push(h.clone());
            }
        }
        let packet = self.typical(store, mine)?;
        let walked = walk::arrived(machine, packet);
        let all = could == can;
        Some(By {
            peer: peer.clone(),
            all,
            most,
            more: if all { 0 } else { spans.len().saturating_sub(SPANS) },
            sources: if all { Vec::new() } else { spans.into_iter().take(SPANS).collect() },
            hosts,
            packet: walked.as_ref().map(|w| w.sent),
            assumed: walked
                .as_ref()
                .map_or_else(|| vec!["no single packet could be followed; the sets say one arrives".to_owned()], |w| w.assumed.clone()),
            steps: walked.map(|w| w.steps).unwrap_or_default(),
        })
    }

    /// One packet of a set, from somebody outside where there is a choice.
    pub(super) fn typical(&self, store: &Store, set: Set) -> Option<Packet> {
        store.pick(set, &self.like)
    }
}

/// A packet from somebody outside to the machine, on the wire that leads there.
fn like(machine: &Machine<'_>) -> Packet {
    let mut like = Packet::opening(Family::V4);
    for a in SOMEBODY.iter().filter_map(|a| a.parse::<IpAddr>().ok()) {
        like.set(field::src(Family::of(&a)), field::address(a));
    }
    let Some(link) = machine.place.links.iter().find(|l| l.default).or(machine.place.links.first()) else { return like };
    for a in machine.place.own.iter().filter(|a| link.nets.iter().any(|n| n.contains(*a))) {
        like.set(field::dst(Family::of(a)), field::address(*a));
    }
    like.with(Field::In, device(&link.device))
}

/// Whether something of a set that was forwarded also leaves; what has no output device is at its socket.
fn leaves(store: &mut Store, machine: &Machine<'_>, set: Set) -> bool {
    let at_socket = store.at(set, Field::Out, 0);
    if set.is_empty() || !at_socket.is_empty() {
        return !set.is_empty();
    }
    let mut eval = Eval::new(store, machine.rules, &machine.place, Past::Any);
    !eval.hook(Hook::Postrouting, set).passed.is_empty()
}

fn sources_only(store: &mut Store, set: Set) -> Set {
    let set = arrive::by_source(store, set);
    store.forget(set, Field::In)
}

/// How many addresses.
fn width(spans: &[Span]) -> u128 {
    let one = |s: &Span| (field::address(s.last) - field::address(s.first)).saturating_add(1);
    spans.iter().map(one).fold(0, u128::saturating_add)
}

fn spans(store: &mut Store, sources: Set) -> Vec<Span> {
    let mut out = Vec::new();
    for f in Family::ALL {
        let of = store.value(Field::Family, field::family(f));
        let mine = store.and(sources, of);
        if !mine.is_empty() {
            let all = store.project(mine, field::src(f));
            out.extend(all.into_iter().map(|(a, b)| Span { first: arrive::address(f, a), last: arrive::address(f, b) }));
        }
    }
    out
}
