//! NET004: an edge node passes nothing whose source does not stand behind the device it came in on.

use super::{Cx, Violation};
use crate::{
    eval::Past,
    field::{Field, device},
    network::Stage,
    packet::Packet,
};
use words::Family;

const HELP: &str = "bind each zone's sources to its device before anything else is judged";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let edges: Vec<_> = cx.net.edges().into_iter().cloned().collect();
    for e in edges {
        let (machines, prover) = cx.net.parts();
        let Some(m) = machines.get(&e) else { continue };
        if m.rules().is_none() {
            continue;
        }
        let start = prover.arriving(m);
        let judged = prover.through(m, Stage::Judged, Past::Any, start).passed;
        let honest = m.place.reverse_path(prover.store());
        let spoofed = prover.store().minus(judged, honest);
        let mut hits = Vec::new();
        for (zone, d) in &m.devices {
            let here = prover.store().value(Field::In, device(d));
            hits.push((zone.clone(), prover.store().and(spoofed, here)));
        }
        let zones: Vec<_> = m.devices.keys().cloned().collect();
        let mut found = Vec::new();
        for (zone, hit) in hits {
            // Somebody in this zone speaking in another zone's name.
            let like =
                zones.iter().find(|z| **z != zone && !z.is_internet()).map_or_else(|| Packet::opening(Family::V4), |z| cx.net.like(z, z));
            if let Some(w) = cx.net.store().pick(hit, &like) {
                found.push((zone, w));
            }
        }
        for (zone, w) in found {
            let mut v = Violation::new(
                cx.code,
                &e,
                format!("{e} forwards packets from zone {zone} with the source {}, which does not stand there", w.src()),
                HELP,
            );
            v.witness = Some(w);
            v.journey = Some(cx.net.inject(&zone, w, Past::Any, true));
            if let Some(z) = cx.net.model.zones.get(&zone) {
                v.blame_origins(std::slice::from_ref(&z.origin));
            }
            cx.out.push(v);
        }
    }
}
