//! Everything that may come in over a machine's wires, as sets: before its rules, at its sockets, and past its forwarding. In come
//! machine and rules, out come sets for one socket or one forwarded port. Never: a packet from an address of the machine itself.

use super::Machine;
use crate::{
    eval::{Eval, Past},
    field::{self, Field, device, state},
    policy::{destinations_of, sources_of},
    set::{Set, Store},
};
use facts::Socket;
use ipnet::IpNet;
use ruleset::form::Hook;
use std::net::{IpAddr, SocketAddr};
use words::{Family, Proto};

/// Addresses nobody sends from over a wire: this network, loopback, multicast and what is above it.
const NO_SOURCE: [&str; 6] = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/128", "::1/128", "ff00::/8"];
/// Loopback: no wire brings it.
const LOOPBACK: [&str; 2] = ["127.0.0.0/8", "::1/128"];
/// Addresses of the wire itself, the same on every one.
const LINK_LOCAL: [&str; 2] = ["169.254.0.0/16", "fe80::/10"];
/// Forwarded ports that are told apart at most: engines write one rule for each.
const FORWARDS: usize = 4096;
/// A TCP packet that opens a connection: SYN alone.
const SYN: u128 = 2;

/// A port whose packets are translated and go elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Forward {
    pub proto: Proto,
    pub port: u16,
    /// The address before, where it is one.
    pub at: Option<IpAddr>,
    pub to: SocketAddr,
}

/// Sets of a machine.
pub(super) struct Arrived {
    /// Before any rule.
    start: Set,
    /// At the sockets.
    input: Set,
    /// Past the forwarding chains, before sources are translated.
    forwarded: Set,
    /// Translated to elsewhere, loopback addresses as destinations included.
    turned: Set,
    /// From the wire itself, not from behind a router.
    near: Set,
    /// To many at once.
    many: Set,
}

/// Prefixes of every wire itself.
pub(super) fn link_local() -> Vec<IpNet> {
    nets(&LINK_LOCAL)
}

fn nets(texts: &[&str]) -> Vec<IpNet> {
    texts.iter().filter_map(|t| t.parse().ok()).collect()
}

/// Prefixes that lie on each wire itself.
pub(super) fn wires(machine: &Machine<'_>) -> Vec<(String, Vec<IpNet>)> {
    const MAIN: u32 = 254;
    let on = |device: &str| {
        let routes = machine.facts.routes.iter().filter(|r| r.table == MAIN && r.kind == "unicast" && r.via.is_none());
        let mut nets: Vec<IpNet> =
            routes.filter(|r| r.device.as_deref() == Some(device) && r.to.prefix_len() > 0).map(|r| r.to.trunc()).collect();
        nets.sort();
        nets.dedup();
        nets
    };
    machine.place.links.iter().map(|l| (l.device.clone(), on(&l.device))).collect()
}

impl Arrived {
    pub(super) fn new(store: &mut Store, machine: &Machine<'_>) -> Self {
        let place = &machine.place;
        let any_to = opening(store, machine);
        let here_only = destinations_of(store, &nets(&LOOPBACK));
        let start = store.minus(any_to, here_only);
        let local = place.local(store);
        let (multicast, broadcast) = (place.multicast(store), place.broadcast(store));
        let many = store.or(multicast, broadcast);
        let near = near(store, machine);
        let mut eval = Eval::new(store, machine.rules, place, Past::Any);
        let before = [Hook::Ingress, Hook::Prerouting];
        let (all, pre) = (eval.hooks(&before, any_to).passed, eval.hooks(&before, start).passed);
        let store = &mut *eval.store;
        // One for many comes from the wire it is on.
        let shared = store.and(near, many);
        let shared = store.and(pre, shared);
        let own = store.and(pre, local);
        let own = store.minus(own, many);
        let at_input = store.or(own, shared);
        let elsewhere = store.or(local, many);
        let onward = store.minus(pre, elsewhere);
        let mut parts = Vec::new();
        for (d, there) in place.leaving(store) {
            let part = store.and(onward, there);
            parts.push(store.assign(part, Field::Out, d, d));
        }
        let onward = store.any(parts);
        let translated = store.value(Field::Dnat, 1);
        let turned = store.and(all, translated);
        let turned = store.minus(turned, local);
        let input = eval.hook(Hook::Input, at_input).passed;
        let forwards = machine.facts.sysctls.get("net.ipv4.ip_forward").is_none_or(|v| v.trim() != "0");
        let v4 = eval.store.value(Field::Family, 0);
        let onward = if forwards { onward } else { eval.store.minus(onward, v4) };
        let forwarded = eval.hook(Hook::Forward, onward).passed;
        Self { start, input, forwarded, turned, near, many }
    }

    /// Sources of everything that may come in.
    pub(super) fn sources(&self, store: &mut Store) -> Set {
        by_source(store, self.start)
    }

    /// Packets that come to a socket, as they look there.
    pub(super) fn at_socket(&self, store: &mut Store, machine: &Machine<'_>, socket: &Socket, family: Family) -> Set {
        let mine = to_socket(store, machine, socket, family, self.many);
        store.and(self.input, mine)
    }

    /// Packets that are sent to a socket.
    pub(super) fn asking_socket(&self, store: &mut Store, machine: &Machine<'_>, socket: &Socket, family: Family) -> Set {
        let mine = to_socket(store, machine, socket, family, Set::EMPTY);
        store.and(self.start, mine)
    }

    /// Ports whose packets are translated to elsewhere.
    pub(super) fn forwards(&self, store: &mut Store) -> Vec<Forward> {
        let mut out = Vec::new();
        for f in Family::ALL {
            let told = [Field::Family, field::dst(f), Field::Proto, Field::Dport, Field::OrigDst4, Field::OrigDport];
            let others: Vec<Field> = Field::ALL.into_iter().filter(|x| !told.contains(x)).rev().collect();
            let of = store.value(Field::Family, field::family(f));
            let mine = store.and(self.turned, of);
            let mine = store.forget_all(mine, &others);
            for b in store.boxes(mine, FORWARDS) {
                let proto = Proto::from_number(u8::try_from(b.get(Field::Proto).0).unwrap_or(u8::MAX));
                let (first, last) = b.get(Field::OrigDst4);
                let at = (f == Family::V4 && first == last).then(|| address(f, first));
                let port = |field: Field| u16::try_from(b.get(field).0).unwrap_or(u16::MAX);
                let to = SocketAddr::new(address(f, b.get(field::dst(f)).0), port(Field::Dport));
                out.push(Forward { proto, port: port(Field::OrigDport), at, to });
            }
        }
        joined(out)
    }

    /// Packets that come to where a port is forwarded: translated, or straight from a neighbour who sends them there himself.
    pub(super) fn at_forward(&self, store: &mut Store, machine: &Machine<'_>, f: &Forward) -> Set {
        let there = self.to_forward(store, f);
        let passed = store.and(self.forwarded, there);
        let (straight, turned) = (store.value(Field::Dnat, 0), store.value(Field::Dnat, 1));
        let sent_here = store.value(Field::OrigDport, f.port.into());
        let at = match f.at {
            Some(a @ IpAddr::V4(_)) => store.value(Field::OrigDst4, field::address(a)),
            _ => Set::FULL,
        };
        let turned = store.all([turned, sent_here, at]);
        let near = self.near;
        let straight = if site::special::is_public(&f.to.ip()) { straight } else { store.and(straight, near) };
        let both = store.or(straight, turned);
        let passed = store.and(passed, both);
        // Who stands on the same wire as the target needs nobody's forwarding.
        let wire = machine.place.route(f.to.ip()).map(|l| device(&l.device));
        match wire {
            Some(d) => {
                let inside = store.value(Field::In, d);
                store.minus(passed, inside)
            }
            None => passed,
        }
    }

    fn to_forward(&self, store: &mut Store, f: &Forward) -> Set {
        let family = Family::of(&f.to.ip());
        let (a, p, n) = (field::address(f.to.ip()), u128::from(f.to.port()), u128::from(f.proto.number()));
        let fields = [Field::Family, field::dst(family), Field::Proto, Field::Dport];
        let v = field::family(family);
        store.row(&fields, &[(v, v), (a, a), (n, n), (p, p)])
    }

    /// Packets that are sent to a forwarded port.
    pub(super) fn asking_forward(&self, store: &mut Store, machine: &Machine<'_>, f: &Forward) -> Set {
        let family = Family::of(&f.to.ip());
        let sent_to = f.at.map_or_else(|| own(machine, family, |_| true), |at| vec![at]);
        let to = to(store, family, sent_to, f.proto, f.port);
        store.and(self.start, to)
    }
}

/// Rules for one address each are one port; those for every address of the machine are one without an address.
fn joined(all: Vec<Forward>) -> Vec<Forward> {
    let mut out: Vec<Forward> = Vec::new();
    let mut all = all;
    all.sort();
    all.dedup();
    for f in &all {
        let open = all.iter().any(|o| o.at.is_none() && (o.proto, o.port, o.to) == (f.proto, f.port, f.to));
        if f.at.is_none() || !open {
            out.push(f.clone());
        }
    }
    out
}

/// What remains of packets when only their sources matter.
pub(super) fn by_source(store: &mut Store, set: Set) -> Set {
    let kept = [Field::Family, Field::In, Field::Src4, Field::Src6];
    let others: Vec<Field> = Field::ALL.into_iter().filter(|f| !kept.contains(f)).rev().collect();
    store.forget_all(set, &others)
}

/// Opening TCP and UDP packets on every wire, from sources whose answers leave there.
fn opening(store: &mut Store, machine: &Machine<'_>) -> Set {
    let new = state::NEW;
    let tcp = store.row(&[Field::State, Field::Proto, Field::Flags], &[(new, new), (6, 6), (SYN, SYN)]);
    let udp = store.row(&[Field::State, Field::Proto], &[(new, new), (17, 17)]);
    let fresh = store.row(&[Field::Out, Field::Dnat, Field::Mark, Field::CtMark], &[(0, 0); 4]);
    let kinds = store.or(tcp, udp);
    let rows: Vec<_> = wires(machine).iter().map(|(d, _)| vec![(device(d), device(d))]).collect();
    let wires = store.rows(&[Field::In], &rows);
    let back = if machine.several { Set::FULL } else { machine.place.reverse_path(store) };
    let link_local = sources_of(store, &nets(&LINK_LOCAL));
    let back = store.or(back, link_local);
    let own: Vec<IpNet> = machine.place.own.iter().map(|a| IpNet::from(*a)).chain(nets(&NO_SOURCE)).collect();
    let own = sources_of(store, &own);
    let back = store.minus(back, own);
    store.all([kinds, fresh, wires, back])
}

/// Packets whose source lies on the wire they come in on.
fn near(store: &mut Store, machine: &Machine<'_>) -> Set {
    let mut parts = Vec::new();
    for (d, mut on) in wires(machine) {
        on.extend(nets(&LINK_LOCAL));
        let from = sources_of(store, &on);
        let wire = store.value(Field::In, device(&d));
        parts.push(store.and(from, wire));
    }
    store.any(parts)
}

/// The machine's own addresses of a family, loopback left out.
fn own(machine: &Machine<'_>, family: Family, wanted: impl Fn(&IpAddr) -> bool) -> Vec<IpAddr> {
    let own = machine.place.own.iter().filter(|a| Family::of(a) == family);
    own.filter(|a| wanted(a)).copied().collect()
}

/// Packets to these addresses and this port.
fn to(store: &mut Store, family: Family, addresses: Vec<IpAddr>, proto: Proto, port: u16) -> Set {
    let (f, p, n) = (field::family(family), u128::from(port), u128::from(proto.number()));
    let one = |a: IpAddr| vec![(f, f), (field::address(a), field::address(a)), (n, n), (p, p)];
    let rows: Vec<_> = addresses.into_iter().map(one).collect();
    store.rows(&[Field::Family, field::dst(family), Field::Proto, Field::Dport], &rows)
}

/// Packets that the kernel gives to a socket, as they look at the end. `many` is what else one on every address hears.
fn to_socket(store: &mut Store, machine: &Machine<'_>, s: &Socket, family: Family, many: Set) -> Set {
    let port = s.local.port();
    // A socket on exactly one address is asked before one on every address.
    let taken = |a: &IpAddr| {
        let of = |o: &&Socket| o.listens() && o.proto == s.proto && o.device.is_none() && o.local == SocketAddr::new(*a, port);
        machine.facts.sockets.iter().any(|o| of(&o))
    };
    let addresses = match s.local.ip() {
        a if a.is_unspecified() => own(machine, family, |a| !taken(a)),
        a => vec![a],
    };
    let mut set = to(store, family, addresses, s.proto, port);
    if s.on_any_address() && s.proto == Proto::Udp {
        let (f, p, n) = (field::family(family), u128::from(port), u128::from(s.proto.number()));
        let heard = store.row(&[Field::Family, Field::Proto, Field::Dport], &[(f, f), (n, n), (p, p)]);
        let heard = store.and(heard, many);
        set = store.or(set, heard);
    }
    match &s.device {
        Some(d) => {
            let wire = store.value(Field::In, device(d));
            store.and(set, wire)
        }
        None => set,
    }
}

/// An address by its number.
pub(super) fn address(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => IpAddr::V4(u32::try_from(number).unwrap_or(u32::MAX).into()),
        Family::V6 => IpAddr::V6(number.into()),
    }
}
