//! The algebra: and, or, minus, not, forgetting and assigning a field. Depth is bounded by the number of fields.

use super::{MEMO_LIMIT, Set, Store, TERMINAL};
use crate::field::Field;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    And = 0,
    Or = 1,
    Minus = 2,
}

impl Op {
    /// The result where one look at the two is enough.
    fn shortcut(self, a: Set, b: Set) -> Option<Set> {
        match self {
            Op::And if a == b || b == Set::FULL => Some(a),
            Op::And if a == Set::FULL => Some(b),
            Op::And if a.is_empty() || b.is_empty() => Some(Set::EMPTY),
            Op::Or if a == b || b.is_empty() => Some(a),
            Op::Or if a.is_empty() => Some(b),
            Op::Or if a == Set::FULL || b == Set::FULL => Some(Set::FULL),
            Op::Minus if a == b || a.is_empty() || b == Set::FULL => Some(Set::EMPTY),
            Op::Minus if b.is_empty() => Some(a),
            _ => None,
        }
    }
    /// The result where the left side alone decides.
    fn left(self, a: Set) -> Option<Set> {
        match self {
            Op::And | Op::Minus if a.is_empty() => Some(Set::EMPTY),
            Op::Or if a == Set::FULL => Some(Set::FULL),
            _ => None,
        }
    }
    /// The result where the right side alone decides.
    fn right(self, b: Set) -> Option<Set> {
        match self {
            Op::And if b.is_empty() => Some(Set::EMPTY),
            Op::Or if b == Set::FULL => Some(Set::FULL),
            Op::Minus if b == Set::FULL => Some(Set::EMPTY),
            _ => None,
        }
    }
}

impl Store {
    /// In both.
    pub fn and(&mut self, a: Set, b: Set) -> Set {
        self.apply(Op::And, a, b)
    }
    /// In either.
    pub fn or(&mut self, a: Set, b: Set) -> Set {
        self.apply(Op::Or, a, b)
    }
    /// In `a` and not in `b`.
    pub fn minus(&mut self, a: Set, b: Set) -> Set {
        self.apply(Op::Minus, a, b)
    }
    /// Not in `a`.
    pub fn not(&mut self, a: Set) -> Set {
        self.apply(Op::Minus, Set::FULL, a)
    }
    /// Whether every packet of `a` is in `b`.
    pub fn within(&mut self, a: Set, b: Set) -> bool {
        self.minus(a, b).is_empty()
    }
    /// Whether some packet is in both.
    pub fn meets(&mut self, a: Set, b: Set) -> bool {
        !self.and(a, b).is_empty()
    }
    /// In any of them: balanced, so that many small sets do not drag one large one along.
    pub fn any(&mut self, sets: impl IntoIterator<Item = Set>) -> Set {
        let mut round: Vec<Set> = sets.into_iter().collect();
        while round.len() > 1 {
            round = round.chunks(2).map(|c| if let [a, b] = c { self.or(*a, *b) } else { c[0] }).collect();
        }
        round.first().copied().unwrap_or(Set::EMPTY)
    }
    /// In all of them.
    pub fn all(&mut self, sets: impl IntoIterator<Item = Set>) -> Set {
        sets.into_iter().fold(Set::FULL, |a, b| self.and(a, b))
    }

    fn apply(&mut self, op: Op, a: Set, b: Set) -> Set {
        if let Some(done) = op.shortcut(a, b) {
            return done;
        }
        // And and or are symmetric: one order, twice the memo hits.
        let (a, b) = if op != Op::Minus && b < a { (b, a) } else { (a, b) };
        let key = u64::from(a.0) << 32 | u64::from(b.0);
        if let Some(known) = self.memo[op as usize].get(&key) {
            return *known;
        }
        let level = self.level(a).min(self.level(b));
        let max = Field::ALL[usize::from(level)].top();
        let (ra, rb) = (self.range(a), self.range(b));
        let (fa, fb) = (self.level(a) == level, self.level(b) == level);
        let (mut i, mut j) = (ra.start, rb.start);
        let mut edges = self.buffer();
        loop {
            let (la, ca) = if fa { (self.lasts[i], self.children[i]) } else { (max, a) };
            let (lb, cb) = if fb { (self.lasts[j], self.children[j]) } else { (max, b) };
            let (last, child) = if let Some(r) = op.left(ca) {
                (la, r)
            } else if let Some(r) = op.right(cb) {
                (lb, r)
            } else {
                (la.min(lb), self.apply(op, ca, cb))
            };
            Self::push(&mut edges, last, child);
            if last == max {
                break;
            }
            if fa {
                i = self.seek(i, ra.end, last);
            }
            if fb {
                j = self.seek(j, rb.end, last);
            }
        }
        let made = self.node(level, edges);
        let memo = &mut self.memo[op as usize];
        if memo.len() >= MEMO_LIMIT {
            memo.clear();
        }
        memo.insert(key, made);
        made
    }

    /// The first edge at or after `i` that reaches beyond `last`: one step mostly, galloping where the other side skips far.
    fn seek(&self, i: usize, end: usize, last: u128) -> usize {
        if self.lasts[i] > last {
            return i;
        }
        let mut step = 1;
        let mut low = i;
        while low + step < end && self.lasts[low + step] <= last {
            low += step;
            step *= 2;
        }
        let high = (low + step + 1).min(end);
        low + self.lasts[low..high].partition_point(|l| *l <= last)
    }

    /// Packets that are in the set for some value of the field.
    pub fn forget(&mut self, set: Set, field: Field) -> Set {
        self.forget_mask(set, 1 << field.level())
    }

    /// The same node with each child replaced.
    pub(super) fn each_child(&mut self, set: Set, mut change: impl FnMut(&mut Self, Set) -> Set) -> Set {
        debug_assert!(self.level(set) != TERMINAL, "bug: a terminal has no children");
        let mut edges = self.buffer();
        for i in self.range(set) {
            let (last, child) = (self.lasts[i], self.children[i]);
            let child = change(self, child);
            Self::push(&mut edges, last, child);
        }
        let level = self.level(set);
        self.node(level, edges)
    }

    /// The packets with their field set to a value in `first..=last`, whatever it was before.
    pub fn assign(&mut self, set: Set, field: Field, first: u128, last: u128) -> Set {
        let open = self.forget(set, field);
        let there = self.interval(field, first, last);
        self.and(open, there)
    }
    /// Forgets several fields, in one walk.
    pub fn forget_all(&mut self, set: Set, fields: &[Field]) -> Set {
        let mask = fields.iter().fold(0, |m, f| m | 1u32 << f.level());
        self.forget_mask(set, mask)
    }

    fn forget_mask(&mut self, set: Set, mask: u32) -> Set {
        let level = self.level(set);
        // Nothing to forget at this level or below.
        if level == TERMINAL || mask >> level == 0 {
            return set;
        }
        let key = u64::from(set.0) << 32 | u64::from(mask >> level << level);
        if let Some(known) = self.forgotten.get(&key) {
            return *known;
        }
        let made = if mask >> level & 1 == 1 {
            let mut children: Vec<Set> = self.range(set).map(|i| self.children[i]).collect();
            children.sort_unstable();
            children.dedup();
            if children.contains(&Set::FULL) {
                Set::FULL
            } else {
                let below: Vec<Set> = children.into_iter().map(|c| self.forget_mask(c, mask)).collect();
                self.any(below)
            }
        } else {
            self.each_child(set, |store, child| store.forget_mask(child, mask))
        };
        if self.forgotten.len() >= MEMO_LIMIT {
            self.forgotten.clear();
        }
        self.forgotten.insert(key, made);
        made
    }
    /// The packets of the set whose field has this value, with the field forgotten.
    pub fn at(&mut self, set: Set, field: Field, value: u128) -> Set {
        let there = self.value(field, value);
        let cut = self.and(set, there);
        self.forget(cut, field)
    }
}
