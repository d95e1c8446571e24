//! The difference of two states in words: what is newly reachable, what no longer is. In come two networks of one prover
//! (the same sites or not), out come changes as rows of source, destination and port. Never: compares text.

use crate::{
    eval::Past,
    field::{Field, device, state},
    network::{Network, Stage},
    packet::Packet,
    set::{Boxed, Set, Store},
};
use serde::Serialize;
use std::{collections::BTreeSet, net::IpAddr};
use words::{Family, HostName, Proto, ZoneName};

/// Which way something changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// Newly reachable.
    Opened,
    /// No longer reachable.
    Closed,
}

/// One change at one place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Opened or closed.
    pub direction: Direction,
    /// The machine whose filter changed.
    pub host: HostName,
    /// `into`, `from`, `ZONE -> ZONE`.
    pub place: String,
    /// Rows: what it is, in words; at most [`ROWS`].
    pub rows: Vec<String>,
    /// More rows than are shown.
    pub more: bool,
    /// A packet of the difference.
    pub witness: Packet,
}

/// Rows of one change that are told; past that a person wants the witness and the count of places.
pub const ROWS: usize = 16;

/// A machine's reach, place by place.
fn places(net: &mut Network<'_>, h: &HostName) -> Vec<(String, Set)> {
    let (machines, prover) = net.parts();
    let Some(m) = machines.get(h) else { return Vec::new() };
    let mut out = Vec::new();
    let arriving = prover.arriving(m);
    let own = prover.own(m);
    let wire = prover.store().and(arriving, own);
    let passed = prover.through(m, Stage::Inbound, Past::Any, wire).passed;
    out.push(("into".to_owned(), plain(prover.store(), passed)));
    let start = prover.leaving(m);
    let passed = prover.through(m, Stage::Outbound, Past::Any, start).passed;
    out.push(("from".to_owned(), plain(prover.store(), passed)));
    if m.host.edge {
        let judged = prover.through(m, Stage::Judged, Past::Any, arriving).passed;
        for (from, i) in &m.devices {
            for (to, o) in &m.devices {
                let store = prover.store();
                let way = store.row(&[Field::In, Field::Out], &[(device(i), device(i)), (device(o), device(o))]);
                let there = store.and(judged, way);
                out.push((format!("{from} -> {to}"), plain(store, there)));
            }
        }
    }
    out
}

/// Opening packets, by what a person asks about.
fn plain(store: &mut Store, set: Set) -> Set {
    let new = store.value(Field::State, state::NEW);
    let set = store.and(set, new);
    let boring = [Field::OrigDport, Field::OrigDst4, Field::SkUid, Field::Hop, Field::Flags, Field::Code, Field::Type, Field::Sport];
    let set = store.forget_all(set, &boring);
    store.forget_all(set, &[Field::CtMark, Field::Mark, Field::Dnat, Field::State, Field::Out, Field::In])
}

/// What changed from one state to the other. Machines that only one of them has count as filtering everything there.
/// The new network is looked at after the old one is done: one prover serves both.
pub fn difference(before: &Snapshot, after: &Snapshot, net: &mut Network<'_>) -> Vec<Change> {
    let mut out = Vec::new();
    let keys: BTreeSet<&(HostName, String)> = before.0.keys().chain(after.0.keys()).collect();
    for key in keys {
        let old = before.0.get(key).copied().unwrap_or(Set::EMPTY);
        let new = after.0.get(key).copied().unwrap_or(Set::EMPTY);
        if old == new {
            continue;
        }
        for (direction, a, b) in [(Direction::Opened, new, old), (Direction::Closed, old, new)] {
            let set = net.store().minus(a, b);
            let Some(witness) = net.store().pick(set, &Packet::opening(Family::V4)) else { continue };
            let boxes = net.store().boxes(set, ROWS + 1);
            let more = boxes.len() > ROWS;
            let rows = boxes.iter().take(ROWS).map(|b| row(net, b)).collect();
            out.push(Change { direction, host: key.0.clone(), place: key.1.clone(), rows, more, witness });
        }
    }
    out
}

/// What every machine of a network lets through, for a later comparison with the same prover.
#[derive(Debug, Clone, Default)]
pub struct Snapshot(std::collections::BTreeMap<(HostName, String), Set>);

/// Takes a snapshot.
pub fn snapshot(net: &mut Network<'_>) -> Snapshot {
    let hosts: Vec<HostName> = net.machines().iter().filter(|(_, m)| m.rules().is_some()).map(|(h, _)| h.clone()).collect();
    let mut out = Snapshot::default();
    for h in hosts {
        for (place, set) in places(net, &h) {
            out.0.insert((h.clone(), place), set);
        }
    }
    out
}

fn row(net: &Network<'_>, b: &Boxed) -> String {
    let families = b.get(Field::Family);
    let family = if families == (0, 1) {
        "v4 and v6"
    } else if families.0 == 0 {
        "v4"
    } else {
        "v6"
    };
    let (src, dst) = if families.0 == 0 { (Field::Src4, Field::Dst4) } else { (Field::Src6, Field::Dst6) };
    let v4 = families.0 == 0;
    let who = |f: Field| party(net, b.get(f), v4, f.top());
    let (p, q) = b.get(Field::Proto);
    let (a, z) = b.get(Field::Dport);
    let port = if (a, z) == (0, Field::Dport.top()) {
        "any port".to_owned()
    } else if a == z {
        a.to_string()
    } else {
        format!("{a}-{z}")
    };
    let what = if (p, q) == (0, 255) {
        "any protocol".to_owned()
    } else if p == q {
        let proto = Proto::from_number(u8::try_from(p).unwrap_or(u8::MAX));
        if proto.has_ports() { format!("{port}/{proto}") } else { proto.to_string() }
    } else {
        format!("protocols {p}-{q} {port}")
    };
    format!("{} -> {} {what} {family}", who(src), who(dst))
}

fn party(net: &Network<'_>, (a, b): (u128, u128), v4: bool, top: u128) -> String {
    if (a, b) == (0, top) {
        return "anybody".to_owned();
    }
    let address = |n: u128| -> IpAddr { if v4 { IpAddr::V4(u32::try_from(n).unwrap_or(u32::MAX).into()) } else { IpAddr::V6(n.into()) } };
    if a == b {
        return net
            .holder(&address(a))
            .filter(|h| net.machine(h).is_some_and(|m| !m.place.anywhere))
            .map_or_else(|| address(a).to_string(), ToString::to_string);
    }
    let zone: Option<&ZoneName> = net
        .model
        .zones
        .values()
        .find(|z| z.subnets.iter().any(|n| crate::field::prefix(n) == (a, b) && n.addr().is_ipv4() == v4))
        .map(|z| &z.name);
    zone.map_or_else(|| format!("{}-{}", address(a), address(b)), |z| format!("zone {z}"))
}

impl std::fmt::Display for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let word = match self.direction {
            Direction::Opened => "newly reachable",
            Direction::Closed => "no longer reachable",
        };
        for r in &self.rows {
            writeln!(f, "{word} ({} {}): {r}", self.host, self.place)?;
        }
        if self.more {
            writeln!(f, "{word} ({} {}): and more", self.host, self.place)?;
        }
        Ok(())
    }
}
