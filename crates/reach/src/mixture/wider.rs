//! What mixtures let through. In come all machines under both plans, out come witnesses.
//!
//! On a way whose machines only judge, the union over all mixtures is what each machine lets through under either plan, all taken
//! together; what either plan lets through whole is taken off. A translation makes another packet: there the packet it was belongs to
//! what is compared, published endpoint by published endpoint. Where that is lost (sources behind a translation), a mixture is compared
//! with the plan whose translation it has, and what is left is called unsure.

use super::{
    MOST, Wider,
    sets::{Part, Passed, passed, sent, taken},
    side::{Both, PLANS, Sides},
    way::{Way, mixed},
};
use crate::{
    eval::Past,
    field::{self, Field},
    network::{Prover, Sender, Stage},
    packet::Packet,
    set::{Set, Store},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Family, HostName, ZoneName};

/// A search under way.
struct Search<'s, 'a> {
    sides: &'s Sides<'a>,
    prover: &'s mut Prover,
    past: Past,
    /// Changed machines with what they send.
    senders: Vec<(&'s HostName, Part)>,
    /// All of that together.
    honest: Part,
    /// Endpoints that some plan translates.
    published: BTreeSet<(IpAddr, u16)>,
    found: Vec<Wider>,
    more: bool,
}

/// Everything that mixtures let through beyond both plans, at most [`MOST`], and whether there is more.
pub(super) fn wider(sides: &Sides<'_>, prover: &mut Prover, past: Past) -> (Vec<Wider>, bool) {
    let changed = sides.machines.iter().filter(|(_, m)| m.changes() && m.is_certain());
    let senders: Vec<_> = changed.map(|(h, m)| (h, sent(sides, prover, past, m))).filter(|(_, p)| !p.is_same()).collect();
    let store = prover.store();
    let gather = |store: &mut Store, of: fn(&Part) -> [Set; 2]| PLANS.map(|p| store.any(senders.iter().map(|(_, s)| of(s)[p])));
    let honest = Part { may: gather(store, |p| p.may), plan: gather(store, |p| p.plan) };
    let flows = sides.states.iter().flat_map(|s| s.model.flows.iter());
    // What is published under its own address is not translated.
    let turned = flows.flat_map(|f| &f.publish).filter(|d| !d.at.is_unspecified() && (d.at, d.port) != (d.to, d.to_port));
    let published = turned.map(|d| (d.at, d.port)).collect();
    let mut search = Search { sides, prover, past, senders, honest, published, found: Vec::new(), more: false };
    search.straight();
    search.over();
    search.found.sort_by(|a, b| (&a.path, &a.new, a.packet).cmp(&(&b.path, &b.new, b.packet)));
    search.found.dedup();
    search.more |= search.found.len() > MOST;
    search.found.truncate(MOST);
    (search.found, search.more)
}

impl<'s> Search<'s, '_> {
    /// From sender to receiver without a filter between.
    fn straight(&mut self) {
        let sides = self.sides;
        for (name, m) in sides.machines.iter().filter(|(_, m)| m.changes()) {
            for zone in m.zones() {
                let taken = taken(self.prover, self.past, m, zone, false);
                if taken.is_same() {
                    continue;
                }
                let wires = sides.straight_to(m, zone);
                let rows: Vec<_> = wires.iter().map(|n| [(*n, *n)]).collect();
                let near = self.prover.store().rows(&[Field::In], &rows);
                let taken = taken.within(self.prover.store(), near);
                self.honest_way(&[name], &[taken], None, None, false);
            }
        }
    }

    /// Over a machine that passes on.
    fn over(&mut self) {
        let sides = self.sides;
        for (name, m) in sides.machines.iter().filter(|(_, m)| m.may_forward()) {
            let all = passed(sides, self.prover, self.past, m, [Set::FULL; 2]);
            if all.judged.is_empty() && all.turned.is_empty() {
                continue;
            }
            let elsewhere = self.turns_elsewhere(m);
            self.leave(name, &all);
            let near: BTreeSet<&ZoneName> = all.plain.keys().chain(all.turned.keys()).collect();
            let sends = self.sends_to_published();
            // Zones in which a machine as it was may get something from a mixture of a sender and this machine.
            let behind = self.behind(&all);
            for (to, r) in sides.machines.iter().filter(|(to, _)| *to != name) {
                let concerned = |z: &&ZoneName| near.contains(z) && (r.changes() || sends || behind.contains(*z));
                for zone in r.zones().into_iter().filter(concerned) {
                    let into = taken(self.prover, self.past, r, zone, true);
                    let part = |of: &BTreeMap<ZoneName, Part>| of.get(zone).copied().unwrap_or_default();
                    let blurred = all.masked.contains(zone);
                    self.anybody(&[name, to], &[part(&all.plain), into], blurred.then_some(0), None);
                    self.honest_way(&[name, to], &[part(&all.plain), into], blurred.then_some(0), None, false);
                    let turned = [part(&all.turned), into];
                    let candidates = !mixed(self.prover.store(), &turned, Some(0)).is_empty();
                    if candidates || sends {
                        self.published_ways(name, m, to, zone, into, elsewhere);
                    }
                }
            }
        }
    }

    /// Zones that a mixture of some sender and this machine lets into what neither plan does, whoever is there.
    fn behind(&mut self, all: &Passed) -> BTreeSet<ZoneName> {
        let honest = self.honest;
        let mut reached = |(zone, part): (&ZoneName, &Part)| {
            let blurred = all.masked.contains(zone).then_some(1);
            let open = !mixed(self.prover.store(), &[honest, *part], blurred).is_empty();
            open.then(|| zone.clone())
        };
        all.plain.iter().filter_map(&mut reached).collect()
    }

    /// From a sender to the Internet: sources are not translated yet.
    fn leave(&mut self, name: &'s HostName, all: &Passed) {
        for (_, part) in all.judged.iter().filter(|(z, _)| z.is_internet()) {
            self.honest_way(&[name], &[*part], None, None, true);
        }
    }

    /// Whether some machine's own packets go to a published endpoint.
    fn sends_to_published(&mut self) -> bool {
        if self.published.is_empty() || self.honest.is_same() {
            return false;
        }
        let points: Vec<_> = self.published.iter().copied().collect();
        let store = self.prover.store();
        let there: Vec<Set> = points.into_iter().map(|p| point(store, p)).collect();
        let there = store.any(there);
        let sent = self.honest.either(store);
        store.meets(sent, there)
    }

    /// Whether a machine translates what is sent to anything but the published endpoints.
    fn turns_elsewhere(&mut self, m: &Both<'_>) -> Set {
        let points: Vec<_> = self.published.iter().copied().collect();
        let store = self.prover.store();
        let there: Vec<Set> = points.into_iter().map(|p| point(store, p)).collect();
        let there = store.any(there);
        let rest = store.not(there);
        let turns = PLANS.iter().any(|p| {
            let one = m.under(*p);
            let start = self.prover.arriving(one);
            let start = self.prover.store().and(start, rest);
            let out = self.prover.through(one, Stage::Prerouting, self.past, start).passed;
            !self.prover.store().at(out, Field::Dnat, 1).is_empty()
        });
        if turns { rest } else { Set::EMPTY }
    }

    /// Ways with a translated destination: each published endpoint for itself, then what else is translated.
    fn published_ways(&mut self, name: &'s HostName, m: &Both<'_>, to: &'s HostName, zone: &ZoneName, into: Part, elsewhere: Set) {
        let (sides, past) = (self.sides, self.past);
        for at in self.published.clone() {
            let start = point(self.prover.store(), at);
            let part = turned_to(&passed(sides, self.prover, past, m, [start; 2]), zone, self.prover.store());
            let blurred = None;
            self.anybody(&[name, to], &[part, into], blurred, Some(at));
            // What a sender may send there goes through the translation with the sender's own sources.
            let senders: Vec<_> = self.senders.iter().map(|(h, p)| (*h, p.within(self.prover.store(), start))).collect();
            for (h, p) in senders.into_iter().filter(|(h, p)| *h != name && *h != to && p.may != [Set::EMPTY; 2]) {
                let store = self.prover.store();
                let sources = Part { may: p.may.map(|s| of_sender(store, s)), plan: p.plan.map(|s| of_sender(store, s)) };
                self.tell(&Way {
                    sender: Some(h),
                    machines: vec![name, to],
                    parts: vec![sources, part, into],
                    blurred,
                    sent_to: Some(at),
                    outside: false,
                });
            }
        }
        if !elsewhere.is_empty() {
            let part = turned_to(&passed(sides, self.prover, past, m, [elsewhere; 2]), zone, self.prover.store());
            self.anybody(&[name, to], &[part, into], Some(0), None);
            self.honest_way(&[name, to], &[part, into], Some(0), None, false);
        }
    }

    /// From anybody on a wire.
    fn anybody(&mut self, machines: &[&'s HostName], parts: &[Part], blurred: Option<usize>, sent_to: Option<(IpAddr, u16)>) {
        self.tell(&Way { sender: None, machines: machines.to_vec(), parts: parts.to_vec(), blurred, sent_to, outside: false });
    }

    /// From machines with a filter of their own: all at once, one by one where there is something.
    fn honest_way(
        &mut self,
        machines: &[&'s HostName],
        parts: &[Part],
        blurred: Option<usize>,
        sent_to: Option<(IpAddr, u16)>,
        outside: bool,
    ) {
        if self.honest.is_same() {
            return;
        }
        let with = |sender: Part| [&[sender], parts].concat();
        let blurred = blurred.map(|b| b + 1);
        if mixed(self.prover.store(), &with(self.honest), blurred).is_empty() {
            return;
        }
        for (h, part) in self.senders.clone() {
            // A machine is under one plan at a time: it is no other's neighbour of itself.
            if machines.contains(&h) {
                continue;
            }
            self.tell(&Way { sender: Some(h), machines: machines.to_vec(), parts: with(part), blurred, sent_to, outside });
        }
    }

    /// Witnesses of a way.
    fn tell(&mut self, way: &Way<'s>) {
        for (plan, set) in mixed(self.prover.store(), &way.parts, way.blurred) {
            if self.found.len() > MOST {
                self.more = true;
                return;
            }
            let like = self.like(way);
            let Some(mut w) = self.prover.store().pick(set, &like) else { continue };
            let from = match way.sender {
                Some(h) => Sender::Host(h.clone()),
                None => Sender::Zone(self.sides.zone(w.get(Field::In)).cloned().unwrap_or_else(ZoneName::internet)),
            };
            if let (None, Sender::Zone(z)) = (way.sender, &from) {
                // Now that the wire is known, somebody who stands on it.
                let near = self.somebody(z, like).with(Field::In, w.get(Field::In));
                w = self.prover.store().pick(set, &near).filter(|p| p.get(Field::In) == w.get(Field::In)).unwrap_or(w);
            }
            let arrives = [Field::In, Field::Dnat, Field::OrigDst4, Field::OrigDport].into_iter().fold(w, |w, f| w.with(f, 0));
            let packet = way.sent_to.map_or(arrives, |(a, port)| arrives.to(a).with(Field::Dport, port.into()));
            let path: Vec<HostName> = way.sender.into_iter().chain(way.machines.iter().copied()).cloned().collect();
            let of = |wanted: usize| {
                let here = path.iter().zip(way.parts.iter().zip(&plan));
                here.filter(|(_, (part, p))| !part.is_same() && **p == wanted).map(|(h, _)| h.clone()).collect::<BTreeSet<_>>()
            };
            let (old, new) = (of(0), of(1));
            let unsure = way.blurred.is_some() || way.parts.iter().any(|p| p.plan != p.may);
            self.found.push(Wider { packet, arrives, from, path, outside: way.outside, old, new, unsure });
        }
    }

    /// What a packet of a way usually looks like.
    fn like(&self, way: &Way<'_>) -> Packet {
        let mut p = Packet::opening(Family::V4);
        let mut of = |name: Option<&HostName>, on: fn(Family) -> Field| {
            let machine = name.and_then(|n| self.sides.machines.get(n));
            for plan in PLANS.into_iter().rev() {
                for a in machine.into_iter().flat_map(|m| &m.under(plan).place.own) {
                    p.set(on(Family::of(a)), field::address(*a));
                }
            }
        };
        of(way.sender, field::src);
        of(way.machines.last().copied().filter(|_| !way.outside), field::dst);
        p
    }

    /// Somebody on a zone's wire, as a source.
    fn somebody(&self, zone: &ZoneName, mut p: Packet) -> Packet {
        let zones = self.sides.states.iter().filter_map(|s| s.model.zones.get(zone));
        for net in zones.flat_map(|z| &z.subnets) {
            let f = Family::of(&net.addr());
            let (first, last) = field::prefix(net);
            p.set(field::src(f), last.saturating_sub(1).max(first));
        }
        if zone.is_internet() {
            // Documentation ranges (RFC 5737, RFC 3849): nobody's.
            p.set(Field::Src4, u128::from(u32::from_be_bytes([198, 51, 100, 66])));
            p.set(Field::Src6, u128::from(std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x66)));
        }
        p
    }
}

/// Packets to an endpoint.
fn point(store: &mut Store, (at, port): (IpAddr, u16)) -> Set {
    let (f, a, port) = (Family::of(&at), field::address(at), u128::from(port));
    store.row(&[Field::Family, field::dst(f), Field::Dport], &[(field::family(f), field::family(f)), (a, a), (port, port)])
}

/// What one endpoint's packets became, without where they went before: that is known.
fn turned_to(all: &Passed, zone: &ZoneName, store: &mut Store) -> Part {
    let part = all.turned.get(zone).copied().unwrap_or_default();
    let mut bare = |s: Set| store.forget_all(s, &[Field::OrigDst4, Field::OrigDport]);
    Part { may: part.may.map(&mut bare), plan: part.plan.map(&mut bare) }
}

/// What a sender sends to one endpoint, for any destination: it is translated next.
fn of_sender(store: &mut Store, set: Set) -> Set {
    store.forget_all(set, &[Field::Dst4, Field::Dst6, Field::Dport])
}
