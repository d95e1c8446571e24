//! Looking into a set: membership, a witness, the boxes it is made of, how many packets.

use super::{Set, Store, TERMINAL};
use crate::{
    field::{FIELDS, Field},
    packet::Packet,
};

/// One box of a set: an interval per field, `None` where the field does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Boxed(pub [Option<(u128, u128)>; FIELDS]);

impl Boxed {
    /// The interval of a field; the whole domain where it does not matter.
    pub fn get(&self, field: Field) -> (u128, u128) {
        self.0[usize::from(field.level())].unwrap_or((0, field.top()))
    }
}

impl Store {
    /// Whether the packet is in the set.
    pub fn contains(&self, set: Set, packet: &Packet) -> bool {
        let mut at = set;
        while self.level(at) != TERMINAL {
            let value = packet.raw(self.level(at));
            let r = self.range(at);
            let i = r.start + self.lasts[r.clone()].partition_point(|l| *l < value);
            at = if i < r.end { self.children[i] } else { Set::EMPTY };
        }
        at == Set::FULL
    }

    /// A packet of the set, as near to `like` as a walk from the root gets: each field keeps the value of `like` where
    /// it can, else takes the lowest that works.
    pub fn pick(&self, set: Set, like: &Packet) -> Option<Packet> {
        if set.is_empty() {
            return None;
        }
        let mut packet = *like;
        let mut at = set;
        while self.level(at) != TERMINAL {
            let level = self.level(at);
            let wanted = like.raw(level);
            let mut first = 0;
            let mut chosen = None;
            for i in self.range(at) {
                let (last, child) = (self.lasts[i], self.children[i]);
                if !child.is_empty() {
                    if (first..=last).contains(&wanted) {
                        chosen = Some((wanted, child));
                        break;
                    }
                    chosen = chosen.or(Some((first, child)));
                }
                first = last.wrapping_add(1);
            }
            let (value, child) = chosen?;
            packet.set_raw(level, value);
            at = child;
        }
        Some(packet)
    }

    /// The boxes of the set, disjoint, in ascending order, at most `limit` of them.
    pub fn boxes(&self, set: Set, limit: usize) -> Vec<Boxed> {
        let mut out = Vec::new();
        self.walk(set, &mut Boxed([None; FIELDS]), limit, &mut out);
        out
    }

    fn walk(&self, at: Set, path: &mut Boxed, limit: usize, out: &mut Vec<Boxed>) {
        if at.is_empty() || out.len() >= limit {
            return;
        }
        let level = self.level(at);
        if level == TERMINAL {
            out.push(*path);
            return;
        }
        let mut first = 0;
        for i in self.range(at) {
            path.0[usize::from(level)] = Some((first, self.lasts[i]));
            self.walk(self.children[i], path, limit, out);
            first = self.lasts[i].wrapping_add(1);
        }
        path.0[usize::from(level)] = None;
    }

    /// The intervals of one field for which the set is not empty, ascending, disjoint, not touching.
    pub fn project(&mut self, set: Set, field: Field) -> Vec<(u128, u128)> {
        let others: Vec<Field> = Field::ALL.into_iter().filter(|f| *f != field).rev().collect();
        let only = self.forget_all(set, &others);
        self.boxes(only, usize::MAX).iter().map(|b| b.get(field)).collect()
    }
}
