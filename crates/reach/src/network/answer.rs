//! Can A reach B: yes with a witness and the rule at each hop, no with what stops it, or unproven with the reason.

use super::{Journey, Network, Stage, Stop, Via};
use crate::{
    eval::Past,
    field::{self, Field, device, state},
    packet::Packet,
    set::Set,
};
use serde::Serialize;
use std::net::IpAddr;
use words::{Family, HostName, ProtoPorts, ZoneName};

/// Who sends.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sender {
    /// A machine that behaves: its own addresses, its own filter.
    Host(HostName),
    /// A machine somebody has taken over: any source, no filter of its own, any way out of the zones it stands in.
    TakenOver(HostName),
    /// Somebody in a zone, `internet` included: any source.
    Zone(ZoneName),
}

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Who sends.
    pub from: Sender,
    /// To which machine.
    pub to: HostName,
    /// On which ports at the receiver; any where `None`.
    pub target: Option<ProtoPorts>,
    /// In which family; either where `None`.
    pub family: Option<Family>,
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[must_use = "an answer nobody reads proves nothing"]
pub enum Answer {
    /// It can.
    Yes {
        /// A packet that arrives, as it is sent, and its way.
        journey: Journey,
        /// Only while limits are not reached and nobody is banned.
        within_limits: bool,
    },
    /// It cannot, over all packets.
    No {
        /// What stops a typical packet.
        stop: Stop,
        /// That packet's way.
        journey: Option<Journey>,
    },
    /// It cannot be told.
    Unproven {
        /// Why.
        why: Vec<String>,
        /// A packet that may arrive, where there is one.
        journey: Option<Journey>,
    },
}

impl Answer {
    /// `yes`, `no` or `unproven`.
    pub fn word(&self) -> &'static str {
        match self {
            Answer::Yes { .. } => "yes",
            Answer::No { .. } => "no",
            Answer::Unproven { .. } => "unproven",
        }
    }
}

impl Network<'_> {
    /// Answers a question over all packets that open a connection or belong to none.
    pub fn reach(&mut self, q: &Question) -> Answer {
        let mut best: Option<Answer> = None;
        for (via, zone, delivered) in self.delivered(q, Past::Any) {
            let wanted = self.wanted(q);
            let mut set = self.prover.store.and(delivered, wanted);
            if set.is_empty() {
                continue;
            }
            // A connection opens rather than something out of state, where both are there.
            let new = self.prover.store.value(Field::State, state::NEW);
            let opening = self.prover.store.and(set, new);
            if !opening.is_empty() {
                set = opening;
            }
            let answer = self.explain(q, &via, &zone, set);
            match (&answer, &best) {
                (Answer::Yes { within_limits: false, .. }, _) => return answer,
                (Answer::Yes { .. }, _) | (_, None) => best = Some(answer),
                _ => {}
            }
        }
        best.unwrap_or_else(|| self.refused(q))
    }

    fn wanted(&mut self, q: &Question) -> Set {
        let store = &mut self.prover.store;
        let target = q.target.as_ref().map_or(Set::FULL, |t| ports(store, t));
        let family = q.family.map_or(Set::FULL, |f| store.value(Field::Family, field::family(f)));
        store.and(target, family)
    }

    /// What arrives past the receiver's filter, per way, with the zone it was sent in.
    fn delivered(&mut self, q: &Question, past: Past) -> Vec<(Via, ZoneName, Set)> {
        let zones: Vec<ZoneName> = match &q.from {
            Sender::Zone(z) => vec![z.clone()],
            Sender::TakenOver(h) => self.zones_of(h).into_iter().collect(),
            Sender::Host(h) => return self.honest(h.clone(), q, past),
        };
        let mut out = Vec::new();
        for z in zones {
            out.extend(self.deliveries(&z, &q.to, past).into_iter().map(|d| (d.via, z.clone(), d.delivered)));
        }
        out
    }

    /// An honest machine: what its output lets out, over the wire it leaves on.
    fn honest(&mut self, from: HostName, q: &Question, past: Past) -> Vec<(Via, ZoneName, Set)> {
        let mut out = Vec::new();
        let (Some(s), Some(r)) = (self.machines.get(&from), self.machines.get(&q.to)) else { return out };
        let prover = &mut *self.prover;
        let own_dst = prover.own(r);
        let fresh = prover.fresh();
        let start = prover.leaving(s);
        let sent = prover.through(s, Stage::Outbound, past, start).passed;
        for (zone, d) in &s.devices {
            let wire = prover.store.at(sent, Field::Out, device(d));
            let wire = prover.store.forget_all(wire, &[Field::In, Field::Dnat, Field::Mark, Field::CtMark, Field::State]);
            if wire.is_empty() {
                continue;
            }
            let mut ways: Vec<(Via, ZoneName, Set)> = Vec::new();
            if r.devices.contains_key(zone) {
                ways.push((Via::Zone, zone.clone(), prover.store.and(wire, own_dst)));
            } else if self.model.edge.kind != site::model::EdgeKind::Ravelin {
                let via = if self.model.edge.kind == site::model::EdgeKind::None {
                    Via::Open
                } else {
                    Via::Unknown("the external firewall".into())
                };
                ways.push((via, r.host.default_zone.clone(), prover.store.and(wire, own_dst)));
            }
            for e in
                self.model.edge.nodes.iter().filter_map(|n| self.machines.get(n)).filter(|e| e.host.name != q.to && e.host.name != from)
            {
                let Some(d_in) = e.devices.get(zone) else { continue };
                let at_edge = prover.store.and(wire, fresh);
                let at_edge = prover.store.assign(at_edge, Field::In, device(d_in), device(d_in));
                let passed = prover.through(e, Stage::Forward, past, at_edge).passed;
                for z in r.devices.keys() {
                    let Some(d_out) = e.devices.get(z) else { continue };
                    let there = prover.store.at(passed, Field::Out, device(d_out));
                    let mine = prover.store.and(there, own_dst);
                    ways.push((
                        Via::Edge(e.host.name.clone()),
                        z.clone(),
                        prover.store.forget_all(mine, &[Field::In, Field::State, Field::Dnat, Field::Mark, Field::CtMark]),
                    ));
                }
            }
            for (via, z, packets) in ways {
                let Some(d) = r.devices.get(&z) else { continue };
                let arrived = prover.store.and(packets, fresh);
                let arrived = prover.store.assign(arrived, Field::In, device(d), device(d));
                let delivered = prover.through(r, Stage::Inbound, past, arrived).passed;
                out.push((via, zone.clone(), delivered));
            }
        }
        out
    }

    /// A witness of a set of delivered packets, walked through the concrete rules.
    fn explain(&mut self, q: &Question, via: &Via, zone: &ZoneName, set: Set) -> Answer {
        let like = self.typical(q);
        let Some(w) = self.prover.store.pick(set, &like) else { return self.refused(q) };
        let journey = self.confirm(&q.from, zone, &q.to, w);
        let mut why: Vec<String> = match via {
            Via::Unknown(who) => vec![format!("what passes {who} is not known")],
            _ => Vec::new(),
        };
        why.extend(self.unread(q));
        match journey {
            Some((j, quiet)) => {
                if why.is_empty() {
                    return Answer::Yes { within_limits: !j.assumed.is_empty() || !quiet, journey: j };
                }
                Answer::Unproven { why, journey: Some(j) }
            }
            None => {
                why.push(format!("no single packet like {w} could be walked through; the sets say it may arrive"));
                Answer::Unproven { why, journey: None }
            }
        }
    }

    /// The packet as it must have been sent to arrive as `w`, with its way: as it is, or to a published address. The flag
    /// says that it arrives when nothing out of the ordinary has happened before.
    pub(crate) fn confirm(&self, from: &Sender, zone: &ZoneName, to: &HostName, w: Packet) -> Option<(Journey, bool)> {
        let mut tries = Vec::new();
        for p in self.model.publishes.iter().filter(|p| p.host == *to && p.host_port == w.dport()) {
            tries.extend(p.at.iter().filter(|a| Family::of(a) == w.family()).map(|a| w.to(*a).with(Field::Dport, p.port.into())));
        }
        // From outside the published address comes first: the private one is only for who stands on the last wire.
        let outside = matches!(from, Sender::Zone(z) if z.is_internet());
        tries.insert(if outside { tries.len() } else { 0 }, w);
        for past in [Past::Quiet, Past::Any] {
            for t in &tries {
                let j = match from {
                    Sender::Host(h) => self.send(h, *t, past, true),
                    Sender::TakenOver(_) | Sender::Zone(_) => self.inject(zone, *t, past, true),
                };
                if j.arrived() && j.received.as_ref() == Some(to) {
                    return Some((j, past == Past::Quiet));
                }
            }
        }
        None
    }

    /// Nothing arrives: what stops a typical packet.
    fn refused(&mut self, q: &Question) -> Answer {
        let why = self.unread(q);
        let w = self.typical(q);
        let (zone, common) = match &q.from {
            Sender::Host(h) | Sender::TakenOver(h) => {
                let zones = self.zones_of(h);
                let near = zones.iter().find(|z| self.machines.get(&q.to).is_some_and(|m| m.devices.contains_key(*z)));
                (near.or(zones.first()).cloned(), self.addresses(h, w.family()).next().is_some())
            }
            Sender::Zone(z) => (Some(z.clone()), true),
        };
        let holds = self.addresses(&q.to, w.family()).next().is_some() || self.machines.get(&q.to).is_some_and(|m| m.place.anywhere);
        if !common || !holds {
            return Answer::No { stop: Stop::NoFamily, journey: None };
        }
        let Some(zone) = zone else { return Answer::No { stop: Stop::NoFamily, journey: None } };
        let j = match &q.from {
            Sender::Host(h) => self.send(h, w, Past::Quiet, false),
            _ => self.inject(&zone, w, Past::Quiet, false),
        };
        if !why.is_empty() {
            return Answer::Unproven { why, journey: Some(j) };
        }
        match j.stop.clone() {
            Some(stop) => Answer::No { stop, journey: Some(j) },
            None => Answer::Unproven {
                why: vec![format!("the sets say nothing arrives, but {w} does: a defect of the proof")],
                journey: Some(j),
            },
        }
    }

    fn addresses(&self, h: &HostName, f: Family) -> impl Iterator<Item = IpAddr> + '_ {
        self.machines.get(h).into_iter().flat_map(|m| m.place.own.iter().copied()).filter(move |a| Family::of(a) == f)
    }

    /// Rules on the way that could not be read.
    fn unread(&self, q: &Question) -> Vec<String> {
        let sender = match &q.from {
            Sender::Host(h) => Some(h),
            _ => None,
        };
        let machines = [Some(&q.to), sender].into_iter().flatten().chain(&self.model.edge.nodes);
        let rules = machines.filter_map(|h| self.machines.get(h)).filter_map(|m| m.rules().map(|r| (m, r)));
        rules.flat_map(|(m, r)| r.unread.iter().map(move |u| format!("{}: {u} cannot be read", m.host.name))).collect()
    }

    /// What a packet of this question usually looks like.
    pub(crate) fn typical(&self, q: &Question) -> Packet {
        let of = |h: &HostName, f| self.addresses(h, f).next();
        let common = Family::ALL.into_iter().find(|f| {
            let sends = match &q.from {
                Sender::Host(h) | Sender::TakenOver(h) => of(h, *f).is_some(),
                Sender::Zone(_) => true,
            };
            sends && of(&q.to, *f).is_some()
        });
        let f = q.family.or(common).unwrap_or(Family::V4);
        let mut p = Packet::opening(f);
        // Both families are filled in, so that a set of the other one finds a likely packet too.
        for g in Family::ALL {
            let src = match &q.from {
                Sender::Host(h) | Sender::TakenOver(h) => of(h, g),
                Sender::Zone(z) => self.somebody(z, g),
            };
            if let Some(a) = src {
                p.set(field::src(g), field::address(a));
            }
            if let Some(a) = of(&q.to, g) {
                p.set(field::dst(g), field::address(a));
            }
        }
        if let Some(t) = &q.target {
            p = p.with(Field::Proto, t.proto.number().into()).with(Field::Dport, t.ports.ranges().first().map_or(0, |r| r.first()).into());
        } else if let Some(l) =
            self.machines.get(&q.to).and_then(|m| m.host.instances.iter().flat_map(|i| &i.listens).find(|l| !l.ports.is_empty()))
        {
            let proto = l.proto.first().map_or(6, |p| p.number());
            p = p.with(Field::Proto, proto.into()).with(Field::Dport, l.ports.ranges().first().map_or(0, |r| r.first()).into());
        }
        p
    }

    /// A likely packet from somebody in one zone to some machine in another.
    pub(crate) fn like(&self, from: &ZoneName, to: &ZoneName) -> Packet {
        let mut p = Packet::opening(Family::V4);
        for g in Family::ALL {
            if let Some(a) = self.somebody(from, g) {
                p.set(field::src(g), field::address(a));
            }
            let holder =
                self.model.hosts.values().filter(|h| !h.edge).filter_map(|h| h.interface(to)).flat_map(|i| &i.addresses).map(|n| n.addr());
            if let Some(a) = holder.into_iter().find(|a| Family::of(a) == g).or_else(|| self.somebody(to, g)) {
                p.set(field::dst(g), field::address(a));
            }
        }
        p
    }

    /// An address of somebody in a zone: one that no machine of the site has.
    pub fn somebody(&self, zone: &ZoneName, f: Family) -> Option<IpAddr> {
        /// Tries before a zone counts as full.
        const TRIES: u128 = 4096;
        if zone.is_internet() {
            // Documentation ranges (RFC 5737, RFC 3849): nobody's, so a witness can be shown and sent in a lab.
            return Some(match f {
                Family::V4 => IpAddr::from([198, 51, 100, 66]),
                Family::V6 => IpAddr::from([0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 0x66]),
            });
        }
        let net = self.model.zones.get(zone)?.subnets.iter().find(|n| Family::of(&n.addr()) == f)?;
        let (first, last) = field::prefix(net);
        let taken = |a: &IpAddr| self.by_address.contains_key(a);
        let from_top = (0..TRIES).filter_map(|i| last.checked_sub(i + 1)).take_while(|n| *n > first);
        from_top
            .map(|n| match f {
                Family::V4 => IpAddr::V4(u32::try_from(n).unwrap_or(0).into()),
                Family::V6 => IpAddr::V6(n.into()),
            })
            .find(|a| !taken(a))
    }
}

/// Packets to these ports.
pub(crate) fn ports(store: &mut crate::set::Store, t: &ProtoPorts) -> Set {
    let proto = u128::from(t.proto.number());
    if !t.proto.has_ports() {
        return store.value(Field::Proto, proto);
    }
    let rows: Vec<_> = t.ports.ranges().iter().map(|r| vec![(proto, proto), (r.first().into(), r.last().into())]).collect();
    store.rows(&[Field::Proto, Field::Dport], &rows)
}

/// Packets from these addresses.
pub(crate) fn sources<'a>(store: &mut crate::set::Store, addresses: impl Iterator<Item = &'a IpAddr> + Clone) -> Set {
    let mut parts = Vec::new();
    for f in Family::ALL {
        let n = field::family(f);
        let rows: Vec<_> =
            addresses.clone().filter(|a| Family::of(a) == f).map(|a| vec![(n, n), (field::address(*a), field::address(*a))]).collect();
        parts.push(store.rows(&[Field::Family, field::src(f)], &rows));
    }
    store.any(parts)
}
