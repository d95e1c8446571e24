//! NET007: both edge nodes pass the same packets between the same zones, so that a failover changes nothing. What each
//! refuses in its own name differs and is left out.

use super::{Cx, Violation};
use crate::{
    eval::Past,
    field::{Field, device},
    network::Stage,
    set::Set,
};
use words::HostName;

const HELP: &str = "apply the same plan to both nodes; `ravelin drift` shows which one departed";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let edges: Vec<HostName> = cx.net.edges().into_iter().cloned().collect();
    let [a, others @ ..] = edges.as_slice() else { return };
    for b in others {
        let (machines, prover) = cx.net.parts();
        let (Some(ma), Some(mb)) = (machines.get(a), machines.get(b)) else { continue };
        if ma.rules().is_none() || mb.rules().is_none() {
            continue;
        }
        let own: Vec<_> = ma.place.own.union(&mb.place.own).copied().collect();
        let from_them = crate::network::sources(prover.store(), own.iter());
        let to_them = {
            let (x, y) = (prover.own(ma), prover.own(mb));
            prover.store().or(x, y)
        };
        let theirs = prover.store().or(from_them, to_them);
        let (sa, sb) = (prover.arriving(ma), prover.arriving(mb));
        let ja = prover.through(ma, Stage::Forward, Past::Any, sa).passed;
        let jb = prover.through(mb, Stage::Forward, Past::Any, sb).passed;
        let mut found = Vec::new();
        for (from, da) in &ma.devices {
            for (to, oa) in &ma.devices {
                let store = prover.store();
                let x = cut(store, ja, da, oa, theirs);
                let y = match (mb.devices.get(from), mb.devices.get(to)) {
                    (Some(db), Some(ob)) => cut(store, jb, db, ob, theirs),
                    _ => Set::EMPTY,
                };
                if x == y {
                    continue;
                }
                let (only_a, only_b) = (store.minus(x, y), store.minus(y, x));
                found.push((a, b, from.clone(), to.clone(), only_a));
                found.push((b, a, from.clone(), to.clone(), only_b));
            }
        }
        for (yes, no, from, to, only) in found {
            let like = cx.net.like(&from, &to);
            let Some(w) = cx.net.store().pick(only, &like) else { continue };
            let mut v = Violation::new(cx.code, yes, format!("{yes} passes from {from} to {to} what {no} does not"), HELP);
            v.witness = Some(w);
            v.blame_origins(std::slice::from_ref(&cx.net.model.edge.origin));
            cx.out.push(v);
        }
    }
}

fn cut(store: &mut crate::set::Store, set: Set, d_in: &str, d_out: &str, without: Set) -> Set {
    let set = store.at(set, Field::In, device(d_in));
    let set = store.at(set, Field::Out, device(d_out));
    store.minus(set, without)
}
