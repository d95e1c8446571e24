//! Where a ruleset stands: the machine's own addresses, its devices and what lies behind each. In comes what the plan
//! or the machine says, out come routing decisions. Never: a guess; what is not known is `None`.

use crate::{
    field::{self, Field, device},
    set::{Set, Store},
};
use ipnet::IpNet;
use serde::Serialize;
use std::{collections::BTreeSet, net::IpAddr};
use words::Family;

/// A device and what is reached through it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Link {
    /// Device name.
    pub device: String,
    /// Prefixes directly behind it.
    pub nets: Vec<IpNet>,
    /// Everything that lies behind no other device leaves here.
    pub default: bool,
}

/// One machine as its packet filter sees it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Place {
    /// Its own addresses, virtual ones included.
    pub own: BTreeSet<IpAddr>,
    /// Its devices, loopback not among them.
    pub links: Vec<Link>,
    /// Its addresses are not known: any destination may be its own.
    pub anywhere: bool,
}

impl Place {
    /// The device on which packets to an address leave.
    pub fn route(&self, to: IpAddr) -> Option<&Link> {
        let inside = self.links.iter().flat_map(|l| l.nets.iter().filter(|n| n.contains(&to)).map(move |n| (n.prefix_len(), l)));
        inside.max_by_key(|(len, _)| *len).map(|(_, l)| l).or_else(|| self.links.iter().find(|l| l.default))
    }
    /// Packets to the machine itself.
    pub fn local(&self, store: &mut Store) -> Set {
        if self.anywhere {
            return Set::FULL;
        }
        let parts = Family::ALL.map(|f| self.local_of(store, f));
        store.or(parts[0], parts[1])
    }
    fn local_of(&self, store: &mut Store, f: Family) -> Set {
        let mut rows: Vec<Vec<(u128, u128)>> =
            self.own.iter().filter(|a| Family::of(a) == f).map(|a| vec![(field::address(*a), field::address(*a))]).collect();
        // Loopback: 127.0.0.0/8 and ::1.
        rows.push(vec![if f == Family::V4 { (127 << 24, (128 << 24) - 1) } else { (1, 1) }]);
        let here = store.rows(&[field::dst(f)], &rows);
        let family = store.value(Field::Family, field::family(f));
        store.and(family, here)
    }
    /// Multicast destinations of both families.
    pub fn multicast(&self, store: &mut Store) -> Set {
        let v4 = store.row(&[Field::Family, Field::Dst4], &[(0, 0), (0xe000_0000, 0xefff_ffff)]);
        let v6 = store.row(&[Field::Family, Field::Dst6], &[(1, 1), (0xff << 120, u128::MAX)]);
        store.or(v4, v6)
    }
    /// Broadcast destinations: the limited one and each v4 prefix's own.
    pub fn broadcast(&self, store: &mut Store) -> Set {
        let nets = self.links.iter().flat_map(|l| &l.nets).filter(|n| matches!(n, IpNet::V4(n) if n.prefix_len() < 31));
        let mut rows: Vec<Vec<(u128, u128)>> = nets.map(|n| vec![(0, 0), (field::prefix(n).1, field::prefix(n).1)]).collect();
        rows.push(vec![(0, 0), (0xffff_ffff, 0xffff_ffff)]);
        store.rows(&[Field::Family, Field::Dst4], &rows)
    }
    /// For each device the packets that leave on it, by destination; longest prefix first, what is local left out.
    pub fn leaving(&self, store: &mut Store) -> Vec<(u128, Set)> {
        let local = self.local(store);
        let rest = store.not(local);
        self.sides(store, rest, Field::Dst4, Field::Dst6)
    }
    /// Packets whose source is routed back through the device they came in on.
    pub fn reverse_path(&self, store: &mut Store) -> Set {
        let sides = self.sides(store, Set::FULL, Field::Src4, Field::Src6);
        let mut parts = Vec::new();
        for (d, set) in sides {
            let from = store.value(Field::In, d);
            parts.push(store.and(from, set));
        }
        store.any(parts)
    }
    fn sides(&self, store: &mut Store, mut rest: Set, v4: Field, v6: Field) -> Vec<(u128, Set)> {
        let mut nets: Vec<(u8, IpNet, u128)> =
            self.links.iter().flat_map(|l| l.nets.iter().map(|n| (n.prefix_len(), *n, device(&l.device)))).collect();
        nets.sort_unstable_by_key(|(len, net, _)| (std::cmp::Reverse(*len), *net));
        let mut out: Vec<(u128, Set)> = Vec::new();
        for (_, net, d) in nets {
            let (f, level) = if matches!(net, IpNet::V4(_)) { (0, v4) } else { (1, v6) };
            let there = store.row(&[Field::Family, level], &[(f, f), field::prefix(&net)]);
            let part = store.and(rest, there);
            rest = store.minus(rest, there);
            out.push((d, part));
        }
        for l in self.links.iter().filter(|l| l.default) {
            out.push((device(&l.device), rest));
        }
        let mut devices: Vec<u128> = out.iter().map(|o| o.0).collect();
        devices.sort_unstable();
        devices.dedup();
        devices.into_iter().map(|d| (d, store.any(out.iter().filter(|o| o.0 == d).map(|o| o.1).collect::<Vec<_>>()))).collect()
    }
}
