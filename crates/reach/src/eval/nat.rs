//! Translations as images of sets. Where the new value is not one exact value the image is every value it can be.

use super::{Eval, elements};
use crate::{
    field::{self, Field, state},
    set::Set,
};
use ruleset::form::{Data, Nat, NatKind, NatTarget, Table};
use words::Family;

/// Most destination intervals whose original address is kept through a translation; beyond, it is forgotten.
const ORIGINALS: usize = 256;

impl<'a> Eval<'a> {
    /// Gives the translated packets and those without a translation (a map without a fitting element).
    pub(super) fn translate(&mut self, table: &'a Table, nat: &'a Nat, hits: Set) -> (Set, Set) {
        let families: &[Family] = match nat.family {
            Some(Family::V4) => &[Family::V4],
            Some(Family::V6) => &[Family::V6],
            None => &Family::ALL,
        };
        let (mut turned, mut missed) = (Vec::new(), hits);
        for f in families {
            let of = self.store.value(Field::Family, field::family(*f));
            let mine = self.store.and(hits, of);
            if mine.is_empty() {
                continue;
            }
            match &nat.address {
                NatTarget::None => {
                    missed = self.store.minus(missed, of);
                    turned.push(self.image(nat, *f, None, nat.port.map(|p| (p.0.into(), p.1.into())), mine));
                }
                NatTarget::Addr(a, b) => {
                    missed = self.store.minus(missed, of);
                    turned.push(self.image(nat, *f, Some((*a, *b)), nat.port.map(|p| (p.0.into(), p.1.into())), mine));
                }
                NatTarget::Map { keys, map } => {
                    let Some((all, dynamic)) = elements(table, map) else {
                        // The map is not there to be read: to anywhere.
                        turned.push(self.image(nat, *f, Some((0, field::dst(*f).top())), None, mine));
                        continue;
                    };
                    for e in all {
                        let Some(Data::Numbers(to)) = &e.data else { continue };
                        let m = self.element(keys, e);
                        let chosen = self.store.and(mine, m.may);
                        if !dynamic {
                            missed = self.store.minus(missed, m.must);
                        }
                        if let (false, Some(a)) = (chosen.is_empty(), to.first()) {
                            let port = to.get(1).map(|p| (*p, *p)).or(nat.port.map(|p| (p.0.into(), p.1.into())));
                            turned.push(self.image(nat, *f, Some((*a, *a)), port, chosen));
                        }
                    }
                }
            }
        }
        (self.store.any(turned), missed)
    }

    fn image(&mut self, nat: &Nat, f: Family, address: Option<(u128, u128)>, port: Option<(u128, u128)>, hits: Set) -> Set {
        match nat.kind {
            NatKind::Dnat | NatKind::Redirect => {
                let kept = self.keep_original(hits, f);
                let moved = match (nat.kind, address) {
                    (NatKind::Redirect, _) => self.own(kept, f, field::dst(f)),
                    (_, Some((a, b))) => self.store.assign(kept, field::dst(f), a, b),
                    (_, None) => kept,
                };
                let moved = match port {
                    Some((a, b)) => self.store.assign(moved, Field::Dport, a, b),
                    None => moved,
                };
                self.store.assign(moved, Field::Dnat, 1, 1)
            }
            NatKind::Snat | NatKind::Masquerade => {
                let moved = match (nat.kind, address) {
                    (NatKind::Masquerade, _) => self.own(hits, f, field::src(f)),
                    (_, Some((a, b))) => self.store.assign(hits, field::src(f), a, b),
                    (_, None) => hits,
                };
                // The kernel keeps the source port where it can.
                match port {
                    Some((a, b)) => self.store.assign(moved, Field::Sport, a, b),
                    None => self.store.forget(moved, Field::Sport),
                }
            }
        }
    }

    /// The address becomes one of the machine's own.
    fn own(&mut self, hits: Set, f: Family, to: Field) -> Set {
        let rows: Vec<Vec<(u128, u128)>> =
            self.place.own.iter().filter(|a| Family::of(a) == f).map(|a| vec![(field::address(*a), field::address(*a))]).collect();
        let open = self.store.forget(hits, to);
        if rows.is_empty() {
            return open;
        }
        let own = self.store.rows(&[to], &rows);
        self.store.and(open, own)
    }

    fn keep_original(&mut self, hits: Set, f: Family) -> Set {
        let mut set = hits;
        for (now, before) in [(Field::Dst4, Field::OrigDst4), (Field::Dport, Field::OrigDport)] {
            if now == Field::Dst4 && f == Family::V6 {
                continue;
            }
            let there = self.store.project(set, now);
            if there.len() > ORIGINALS {
                set = self.store.forget(set, before);
                continue;
            }
            let mut parts = Vec::new();
            for (a, b) in there {
                let cut = self.store.interval(now, a, b);
                let part = self.store.and(set, cut);
                parts.push(self.store.assign(part, before, a, b));
            }
            set = self.store.any(parts);
        }
        set
    }

    /// Packets that nat chains see: those that open a connection. Errors about one are translated by its own entry.
    pub(super) fn for_nat(&mut self, packets: Set) -> Set {
        let new = self.store.value(Field::State, state::NEW);
        let related = self.store.value(Field::State, state::RELATED);
        let icmp = self.store.rows(&[Field::Proto], &[vec![(1, 1)], vec![(58, 58)]]);
        let announced = self.store.minus(related, icmp);
        let both = self.store.or(new, announced);
        self.store.and(packets, both)
    }
}
