//! What one machine lets through under each plan, as sets over packets on a wire. In comes a machine, out come its output, its input and
//! what it passes on. The wire a packet is on stands in the input device's place, as the zone's number. Never: a mark, a connection state
//! or a hop limit; they do not tell two packets apart here.

use super::side::{Both, PLANS, Sides};
use crate::{
    eval::Past,
    field::{Field, device},
    network::{Machine, Prover, Stage},
    set::{Set, Store},
};
use std::collections::{BTreeMap, BTreeSet};
use words::ZoneName;

/// Fields that one machine gives a packet and the next one does not see.
const OF_ONE_MACHINE: [Field; 6] = [Field::Out, Field::State, Field::SkUid, Field::Hop, Field::Mark, Field::CtMark];
/// What a translation leaves behind.
const TRANSLATED: [Field; 3] = [Field::Dnat, Field::OrigDst4, Field::OrigDport];
/// Highest hop limit of a packet that was passed on.
const ROUTED: u128 = 254;

/// One machine's part, by plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Part {
    /// What it may let through.
    pub may: [Set; 2],
    /// What each plan is known to let through here: nothing where the filter is not known, so that nothing is taken to be allowed already.
    pub plan: [Set; 2],
}

impl Part {
    fn of(m: &Both<'_>, may: [Set; 2]) -> Self {
        let plan = PLANS.map(|p| if m.is_known(p) { may[p] } else { Set::EMPTY });
        Self { may, plan }
    }
    /// What some plan may let through.
    pub fn either(&self, store: &mut Store) -> Set {
        store.or(self.may[0], self.may[1])
    }
    /// The part of it that is in a set too.
    pub fn within(&self, store: &mut Store, set: Set) -> Self {
        Self { may: self.may.map(|s| store.and(s, set)), plan: self.plan.map(|s| store.and(s, set)) }
    }
    /// Both plans let the same through.
    pub fn is_same(&self) -> bool {
        self.may[0] == self.may[1] && self.plan == self.may
    }
}

/// What a machine sends, on which wire it may be.
pub(super) fn sent(sides: &Sides<'_>, prover: &mut Prover, past: Past, m: &Both<'_>) -> Part {
    let mut may = [Set::EMPTY; 2];
    for p in PLANS {
        if p == 1 && !m.changes() {
            may[1] = may[0];
            continue;
        }
        if !m.is_there(p) {
            continue;
        }
        let one = m.under(p);
        let start = prover.leaving(one);
        let passed = match prover.verdict(one, Stage::Outbound, past) {
            Some(v) => {
                let routed = prover.routed(one, start);
                prover.store().and(routed, v.may)
            }
            None => prover.through(one, Stage::Outbound, past, start).passed,
        };
        let parts: Vec<Set> = one
            .devices
            .iter()
            .map(|(z, d)| {
                let here = prover.store().at(passed, Field::Out, device(d));
                let here = bare(prover, here);
                on_wire(prover, here, sides.number(z))
            })
            .collect();
        may[p] = prover.store().any(parts);
    }
    Part::of(m, may)
}

/// What a machine takes from a zone's wire; `routed` where it was passed on before.
pub(super) fn taken(prover: &mut Prover, past: Past, m: &Both<'_>, zone: &ZoneName, routed: bool) -> Part {
    let mut may = [Set::EMPTY; 2];
    for p in PLANS {
        if p == 1 && !m.changes() {
            may[1] = may[0];
            continue;
        }
        let one = m.under(p);
        let Some(d) = one.devices.get(zone).filter(|_| m.is_there(p)) else { continue };
        let (own, fresh) = (prover.own(one), prover.fresh());
        let here = prover.store().value(Field::In, device(d));
        let wire = prover.store().all([own, here, fresh]);
        let passed = match prover.verdict(one, Stage::Inbound, past) {
            Some(v) => prover.store().and(v.may, wire),
            None => prover.through(one, Stage::Inbound, past, wire).passed,
        };
        let low = if routed { prover.store().interval(Field::Hop, 0, ROUTED) } else { Set::FULL };
        let passed = prover.store().and(passed, low);
        let passed = prover.store().forget(passed, Field::In);
        may[p] = bare(prover, passed);
    }
    Part::of(m, may)
}

/// What a machine passes on, by the zone it leaves for.
#[derive(Debug, Clone, Default)]
pub(super) struct Passed {
    /// As it came: every packet keeps its addresses.
    pub plain: BTreeMap<ZoneName, Part>,
    /// With another destination than it came with.
    pub turned: BTreeMap<ZoneName, Part>,
    /// Zones behind which sources are translated: packets are there as they look afterwards, and not to be told apart.
    pub masked: BTreeSet<ZoneName>,
    /// Before sources are translated, by zone.
    pub judged: BTreeMap<ZoneName, Part>,
}

/// What a machine passes on of these packets, by plan; their wire stands in the input device's place.
pub(super) fn passed(sides: &Sides<'_>, prover: &mut Prover, past: Past, m: &Both<'_>, start: [Set; 2]) -> Passed {
    let mut out = Passed::default();
    for p in PLANS {
        let one = m.under(p);
        if !m.is_there(p) {
            continue;
        }
        if p == 1 && !m.changes() && start[0] == start[1] {
            for zones in [&mut out.plain, &mut out.turned, &mut out.judged] {
                zones.values_mut().for_each(|part| part.may[1] = part.may[0]);
            }
            continue;
        }
        let arriving = arriving(sides, prover, one, start[p]);
        let judged = prover.through(one, Stage::Judged, past, arriving).passed;
        let after = prover.through(one, Stage::Forward, past, arriving).passed;
        for (to, d) in &one.devices {
            let judged = leaving(sides, prover, one, judged, d);
            let after = leaving(sides, prover, one, after, d);
            if !prover.store().within(after, judged) {
                out.masked.insert(to.clone());
            }
            for (zones, set, turned) in [(&mut out.plain, after, 0), (&mut out.turned, after, 1), (&mut out.judged, judged, 0)] {
                let set = prover.store().at(set, Field::Dnat, turned);
                let set = if turned == 0 { prover.store().forget_all(set, &TRANSLATED) } else { set };
                if !set.is_empty() {
                    zones.entry(to.clone()).or_default().may[p] = set;
                }
            }
        }
    }
    for zones in [&mut out.plain, &mut out.turned, &mut out.judged] {
        zones.values_mut().for_each(|part| *part = Part::of(m, part.may));
    }
    out
}

/// Packets on wires as a machine's devices take them.
fn arriving(sides: &Sides<'_>, prover: &mut Prover, m: &Machine<'_>, start: Set) -> Set {
    let all = prover.arriving(m);
    if start == Set::FULL {
        return all;
    }
    let mut parts = Vec::new();
    for (z, d) in &m.devices {
        let here = prover.store().at(start, Field::In, sides.number(z));
        parts.push(on_wire(prover, here, device(d)));
    }
    let there = prover.store().any(parts);
    prover.store().and(all, there)
}

/// What leaves on a device, with the wire it came from and what its translation left behind.
fn leaving(sides: &Sides<'_>, prover: &mut Prover, m: &Machine<'_>, set: Set, out: &str) -> Set {
    let there = prover.store().at(set, Field::Out, device(out));
    let mut parts = Vec::new();
    for (z, d) in &m.devices {
        let from = prover.store().at(there, Field::In, device(d));
        let from = prover.store().forget_all(from, &OF_ONE_MACHINE);
        parts.push(on_wire(prover, from, sides.number(z)));
    }
    prover.store().any(parts)
}

fn on_wire(prover: &mut Prover, set: Set, number: u128) -> Set {
    prover.store().assign(set, Field::In, number, number)
}

/// Without what is one machine's business.
fn bare(prover: &mut Prover, set: Set) -> Set {
    let set = prover.store().forget_all(set, &OF_ONE_MACHINE);
    prover.store().forget_all(set, &TRANSLATED)
}
