//! What may arrive: for a machine, from everybody who stands in a zone, over each way there is. Senders are taken to be
//! hostile: any source address, any destination, no filter of their own.

use super::{Network, Stage};
use crate::{
    eval::Past,
    field::{Field, device},
    set::Set,
};
use serde::Serialize;
use site::model::EdgeKind;
use words::{HostName, ZoneName};

/// A way from a zone to a machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Via {
    /// In the same zone: no firewall between.
    Zone,
    /// Through an edge node.
    Edge(HostName),
    /// The host layer is the perimeter: whatever routes in between passes everything.
    Open,
    /// Through somebody else's firewall, or a machine that is not managed: what it passes is not known.
    Unknown(String),
}

impl Via {
    /// Whether what filters on this way is known.
    pub fn known(&self) -> bool {
        !matches!(self, Via::Unknown(_))
    }
}

/// What may arrive over one way.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// The way.
    pub via: Via,
    /// Zone whose device the packets come in on.
    pub zone: ZoneName,
    /// Past the receiver's own filter: what a socket may see.
    pub delivered: Set,
}

impl Network<'_> {
    /// Everything that somebody standing in `from` may get to the machine.
    pub fn deliveries(&mut self, from: &ZoneName, to: &HostName, past: Past) -> Vec<Delivery> {
        let mut out = Vec::new();
        let Some(m) = self.machines.get(to) else { return out };
        let own = self.prover.own(m);
        let mut ways: Vec<(Via, ZoneName, Set)> = Vec::new();
        let (machines, model, prover) = (&self.machines, self.model, &mut *self.prover);
        let fresh = prover.fresh();
        for zone in m.devices.keys() {
            if zone == from {
                ways.push((Via::Zone, zone.clone(), own));
            }
        }
        for e in model.edge.nodes.iter().filter_map(|n| machines.get(n)).filter(|e| e.host.name != *to) {
            let Some(d_in) = e.devices.get(from) else { continue };
            let all = prover.arriving(e);
            let forwarded = prover.through(e, Stage::Forward, past, all).passed;
            let from_zone = prover.store.at(forwarded, Field::In, device(d_in));
            for zone in m.devices.keys() {
                let Some(d_out) = e.devices.get(zone) else { continue };
                let there = prover.store.at(from_zone, Field::Out, device(d_out));
                // Once for all machines behind this device: which of them it is says nothing about these fields.
                let there = prover.store.forget_all(
                    there,
                    &[Field::State, Field::Dnat, Field::Mark, Field::CtMark, Field::Hop, Field::OrigDst4, Field::OrigDport],
                );
                ways.push((Via::Edge(e.host.name.clone()), zone.clone(), prover.store.and(there, own)));
            }
        }
        let in_zone = m.devices.contains_key(from);
        if !in_zone && !m.host.edge {
            let zone = m.host.default_zone.clone();
            match model.edge.kind {
                EdgeKind::None => ways.push((Via::Open, zone, own)),
                EdgeKind::External => ways.push((Via::Unknown("the external firewall".into()), zone, own)),
                EdgeKind::Ravelin => {}
            }
        }
        let routers = self.routers.iter().filter_map(|(r, said)| Some((machines.get(r)?, said)));
        for (r, said) in routers.filter(|(r, _)| r.host.name != *to && r.devices.contains_key(from)) {
            for zone in m.devices.keys().filter(|z| *z != from && r.devices.contains_key(*z)) {
                ways.push((Via::Unknown(said.clone()), zone.clone(), own));
            }
        }
        for (via, zone, packets) in ways {
            let Some(d) = m.devices.get(&zone) else { continue };
            if packets.is_empty() {
                continue;
            }
            let here = prover.store.value(Field::In, device(d));
            let wire = prover.store.and(fresh, here);
            let delivered = if let Some(verdict) = prover.verdict(m, Stage::Inbound, past) {
                // The verdict, cut to this device once, serves every sender.
                let mine = prover.store.and(verdict.may, own);
                let mine = prover.store.and(mine, wire);
                prover.store.and(packets, mine)
            } else {
                let arrived = prover.store.and(packets, wire);
                prover.through(m, Stage::Inbound, past, arrived).passed
            };
            out.push(Delivery { via, zone, delivered });
        }
        out
    }

    /// What may leave for the Internet from a zone through an edge node: as it looks on the outside, before translation
    /// where that can be told.
    pub fn leaving(&mut self, from: &ZoneName, past: Past) -> Set {
        let (machines, model, prover) = (&self.machines, self.model, &mut *self.prover);
        let mut parts = Vec::new();
        for e in model.edge.nodes.iter().filter_map(|n| machines.get(n)) {
            let outside = e.devices.iter().find(|(z, _)| z.is_internet()).map(|(_, d)| device(d));
            let (Some(d_in), Some(d_out)) = (e.devices.get(from), outside) else { continue };
            let all = prover.arriving(e);
            let forwarded = prover.through(e, Stage::Forward, past, all).passed;
            let from_zone = prover.store.at(forwarded, Field::In, device(d_in));
            parts.push(prover.store.at(from_zone, Field::Out, d_out));
        }
        prover.store.any(parts)
    }
}
