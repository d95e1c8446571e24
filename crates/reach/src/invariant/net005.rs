//! NET005: hosts that dial whoever a stranger names (libp2p, deal downloads) reach no private addresses but those of
//! machines the site itself declares for them: otherwise a stranger's peer list or URL points them inwards.

use super::{Cx, Violation};
use crate::{
    eval::Past,
    field::{self, Field},
    network::Stage,
    packet::Packet,
    policy::flow_set,
    set::{Set, Store},
};
use catalog::Role;
use site::model::{FlowKind, Party};
use words::Family;

const HELP: &str = "name the machine it needs as a host of the site; give strangers' services no private ranges";

pub(super) fn check(cx: &mut Cx<'_, '_>) {
    let private = private(cx.net.store());
    for h in cx.hosts() {
        let strangers =
            cx.net.machine(&h).is_some_and(|m| m.host.speaks_libp2p() || m.host.instances.iter().any(|i| i.service.role == Role::Market));
        if !strangers {
            continue;
        }
        let model = cx.net.model;
        let mine = |p: &Party| matches!(p, Party::Zone(z) if model.hosts.get(&h).is_some_and(|x| x.interface(z).is_some()));
        let of_zone = cx.flows.of_zones.iter().copied().filter(|f| mine(&f.from));
        let mut derived = Set::EMPTY;
        let own = cx.flows.from.get(&h).cloned().unwrap_or_default();
        for f in own.into_iter().chain(of_zone).filter(|f| matches!(f.to, Party::Host(_)) || f.kind == FlowKind::Infrastructure) {
            let one = flow_set(cx.net.store(), f);
            derived = cx.net.store().or(derived, one);
        }
        let (machines, prover) = cx.net.parts();
        let Some(m) = machines.get(&h) else { continue };
        if m.rules().is_none() {
            continue;
        }
        let start = prover.leaving(m);
        let verdict = prover.verdict(m, Stage::Outbound, Past::Any);
        let passed = match verdict {
            Some(v) => v.may,
            None => {
                let aimed = prover.store().and(start, private);
                prover.through(m, Stage::Outbound, Past::Any, aimed).passed
            }
        };
        let store = prover.store();
        let own = store.rows(&[Field::Proto], &[vec![(6, 6)], vec![(17, 17)]]);
        let hit = store.and(passed, own);
        let hit = store.minus(hit, derived);
        let dhcp = store.row(&[Field::Proto, Field::Dport], &[(17, 17), (67, 67)]);
        let dhcp6 = store.row(&[Field::Proto, Field::Dport], &[(17, 17), (547, 547)]);
        let lease = store.or(dhcp, dhcp6);
        let hit = store.minus(hit, lease);
        let mut hit = store.minus(hit, cx.accepted);
        if verdict.is_some() {
            // What is left of the verdict over everything, cut to what the machine may send at all.
            hit = store.and(hit, private);
            let sent = prover.routed(m, start);
            hit = prover.store().and(hit, sent);
        }
        let store = prover.store();
        let Some(w) = store.pick(hit, &Packet::opening(Family::V4)) else { continue };
        let mut v = Violation::new(
            cx.code,
            &h,
            format!("{h}, which speaks with strangers, may open {}/{} to the private address {}", w.dport(), w.proto(), w.dst()),
            HELP,
        );
        v.witness = Some(w);
        v.journey = Some(cx.net.send(&h, w, Past::Any, true));
        v.blame(model);
        cx.out.push(v);
    }
}

/// Every address that is no public peer's.
fn private(store: &mut Store) -> Set {
    let mut parts = Vec::new();
    for f in Family::ALL {
        let public = site::special::public(f, &[]);
        let rows: Vec<_> = public.iter().map(|n| vec![field::prefix(n)]).collect();
        let public = store.rows(&[field::dst(f)], &rows);
        let family = store.value(Field::Family, field::family(f));
        parts.push(store.minus(family, public));
    }
    store.any(parts)
}
