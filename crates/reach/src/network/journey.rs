//! One packet's way over the whole site, hop by hop, each rule by name: how a witness is confirmed and a "no" explained.

use super::{Machine, Network};
use crate::{
    eval::Past,
    field::{Field, device},
    packet::Packet,
    trace::{self, Step, Trace},
};
use ruleset::form::Hook;
use serde::Serialize;
use site::model::EdgeKind;
use words::{HostName, ZoneName};

/// A packet at one hook of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hop {
    /// The machine.
    pub host: HostName,
    /// The hook, in nft's word.
    pub hook: &'static str,
    /// What happened.
    pub trace: Trace,
}

/// Why a packet does not arrive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    /// A rule or policy dropped it.
    Rule {
        /// Where.
        host: HostName,
        /// At which hook.
        hook: &'static str,
        /// By what.
        step: Option<Step>,
    },
    /// Nobody has the address.
    NoHolder,
    /// No route leads there.
    NoRoute(HostName),
    /// The two have no address family in common.
    NoFamily,
    /// Nothing listens there, or on loopback only.
    NoListener,
}

/// A packet's way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Journey {
    /// As the sender put it on the wire.
    pub sent: Packet,
    /// Hooks it passed, in order.
    pub hops: Vec<Hop>,
    /// Who got it; `None` with no stop for somebody outside.
    pub received: Option<HostName>,
    /// Why it did not arrive.
    pub stop: Option<Stop>,
    /// Things that had to be assumed on the way.
    pub assumed: Vec<String>,
}

impl Journey {
    /// Whether it arrived.
    pub fn arrived(&self) -> bool {
        self.stop.is_none()
    }
    /// Ids of the rules and elements that decided, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.hops.iter().flat_map(|h| h.trace.steps.iter().filter_map(|s| s.id.as_deref())).collect()
    }
}

impl Network<'_> {
    /// A packet sent by a machine, through its own filter, by its own routes.
    pub fn send(&self, from: &HostName, packet: Packet, past: Past, wanted: bool) -> Journey {
        let mut j = Journey { sent: packet, hops: Vec::new(), received: None, stop: None, assumed: Vec::new() };
        let Some(m) = self.machines.get(from) else { return j };
        if m.place.own.contains(&packet.dst()) {
            j.received = Some(from.clone());
            return j;
        }
        let Some(link) = m.place.route(packet.dst()) else {
            j.stop = Some(Stop::NoRoute(from.clone()));
            return j;
        };
        let out = fresh(packet).with(Field::Out, device(&link.device));
        let Some(out) = self.at(&mut j, m, &[Hook::Output, Hook::Postrouting], out, past, wanted) else { return j };
        match m.zone(&link.device).cloned() {
            // From the Internet's own segment to the Internet: the edge is not on the way.
            Some(zone) if zone.is_internet() && self.holder(&out.dst()).is_none() && !self.inside(&out) => {}
            Some(zone) => self.wire(&mut j, &zone, out, past, wanted),
            None => j.stop = Some(Stop::NoRoute(from.clone())),
        }
        j
    }

    /// A packet put on a zone's wire by somebody who does as he likes.
    pub fn inject(&self, zone: &ZoneName, packet: Packet, past: Past, wanted: bool) -> Journey {
        let mut j = Journey { sent: packet, hops: Vec::new(), received: None, stop: None, assumed: Vec::new() };
        self.wire(&mut j, zone, packet, past, wanted);
        j
    }

    fn wire(&self, j: &mut Journey, zone: &ZoneName, packet: Packet, past: Past, wanted: bool) {
        let holder = self.holder(&packet.dst()).and_then(|h| self.machines.get(h));
        if let Some(m) = holder.filter(|m| m.devices.contains_key(zone)) {
            // An edge node's own address may be translated to a machine's behind it.
            if m.host.edge {
                return self.over(j, m, zone, packet, past, wanted);
            }
            return self.receive(j, m, zone, packet, past, wanted);
        }
        if self.model.edge.kind != EdgeKind::Ravelin {
            if self.model.edge.kind == EdgeKind::External {
                j.assumed.push("the external firewall passes it".to_owned());
            }
            return match holder {
                Some(m) => {
                    let zone = m.host.default_zone.clone();
                    self.receive(j, m, &zone, packet, past, wanted);
                }
                None if !self.inside(&packet) => {}
                None => j.stop = Some(Stop::NoHolder),
            };
        }
        // Over the edge; where the two nodes differ, the way to what is wanted.
        let mut last = None;
        for e in self.model.edge.nodes.iter().filter_map(|n| self.machines.get(n)) {
            let mut way = j.clone();
            self.over(&mut way, e, zone, packet, past, wanted);
            let good = way.arrived() == wanted;
            if good || last.is_none() {
                last = Some(way);
            }
            if good {
                break;
            }
        }
        match last {
            Some(way) => *j = way,
            None => j.stop = Some(Stop::NoHolder),
        }
    }

    fn over(&self, j: &mut Journey, e: &Machine<'_>, zone: &ZoneName, packet: Packet, past: Past, wanted: bool) {
        let Some(d) = e.devices.get(zone) else {
            j.stop = Some(Stop::NoRoute(e.host.name.clone()));
            return;
        };
        let at = fresh(packet).with(Field::In, device(d));
        let Some(at) = self.at(j, e, &[Hook::Ingress, Hook::Prerouting], at, past, wanted) else { return };
        if e.place.own.contains(&at.dst()) {
            if self.at(j, e, &[Hook::Input], at, past, wanted).is_some() {
                j.received = Some(e.host.name.clone());
            }
            return;
        }
        let Some((link, out)) = e.place.route(at.dst()).and_then(|l| e.zone(&l.device).map(|z| (l, z.clone()))) else {
            j.stop = Some(Stop::NoRoute(e.host.name.clone()));
            return;
        };
        let at = at.with(Field::Out, device(&link.device));
        let Some(at) = self.at(j, e, &[Hook::Forward, Hook::Postrouting], at, past, wanted) else { return };
        match self.holder(&at.dst()).and_then(|h| self.machines.get(h)) {
            Some(m) if m.devices.contains_key(&out) && !m.host.edge => self.receive(j, m, &out, at, past, wanted),
            _ if out.is_internet() && !self.inside(&at) => {}
            _ => j.stop = Some(Stop::NoHolder),
        }
    }

    fn receive(&self, j: &mut Journey, m: &Machine<'_>, zone: &ZoneName, packet: Packet, past: Past, wanted: bool) {
        let Some(d) = m.devices.get(zone) else {
            j.stop = Some(Stop::NoHolder);
            return;
        };
        let at = fresh(packet).with(Field::In, device(d));
        let Some(at) = self.at(j, m, &[Hook::Ingress, Hook::Prerouting], at, past, wanted) else { return };
        // An engine sends on to its guests what was for this machine: the rest of its way is the forwarding chains'.
        let translated = at.get(Field::Dnat) == 1 && !m.place.own.contains(&at.dst());
        let guests = m.place.route(at.dst()).filter(|l| translated && m.zone(&l.device).is_none());
        let (at, hooks): (Packet, &[Hook]) = match guests {
            Some(link) => (at.with(Field::Out, device(&link.device)), &[Hook::Forward, Hook::Postrouting]),
            None => (at, &[Hook::Input]),
        };
        if self.at(j, m, hooks, at, past, wanted).is_some() {
            j.received = Some(m.host.name.clone());
        }
    }

    fn at(&self, j: &mut Journey, m: &Machine<'_>, hooks: &[Hook], mut packet: Packet, past: Past, wanted: bool) -> Option<Packet> {
        let Some(rules) = m.rules() else {
            if !m.host.managed {
                j.assumed.push(format!("{} is not managed: what it filters is not known", m.host.name));
            }
            return Some(packet);
        };
        for h in hooks {
            let trace = trace::hook(rules, &m.place, past, *h, packet, wanted);
            packet = trace.packet;
            j.assumed.extend(trace.assumed.iter().map(|a| format!("{}: {a}", m.host.name)));
            let (passed, step) = (trace.passed, trace.steps.last().cloned());
            if !trace.steps.is_empty() || !passed {
                j.hops.push(Hop { host: m.host.name.clone(), hook: h.name(), trace });
            }
            if !passed {
                j.stop = Some(Stop::Rule { host: m.host.name.clone(), hook: h.name(), step });
                return None;
            }
        }
        Some(packet)
    }

    /// Whether an address belongs to a zone of the site.
    fn inside(&self, packet: &Packet) -> bool {
        self.model.zones.values().flat_map(|z| &z.subnets).any(|n| n.contains(&packet.dst()))
    }
}

/// As the next machine sees it: its own marks, its own tracking, no device yet.
fn fresh(p: Packet) -> Packet {
    [Field::In, Field::Out, Field::Dnat, Field::Mark, Field::CtMark].into_iter().fold(p, |p, f| p.with(f, 0))
}
