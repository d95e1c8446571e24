//! Which bytes of a datagram or stream are there, and from where each came. In come ranges one by one and who wins where two overlap; out
//! comes which bytes are to be written. Sorted and disjoint at all times; work per range grows with the ranges it overlaps.

/// Bytes that are there: where they stand, and where what brought them began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Piece {
    /// First.
    pub start: u64,
    /// Behind the last.
    pub end: u64,
    /// What brought them: from, to.
    pub from: (u64, u64),
}

/// Bytes that are there.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pieces {
    list: Vec<Piece>,
    scratch: Vec<Piece>,
}

/// What is done with a part of a new range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing was there: to be written.
    New(u64, u64),
    /// Something was there, and the new bytes count: to be written.
    Over(u64, u64),
    /// Something was there, and stays.
    Kept(u64, u64),
}

impl Pieces {
    /// Lays a range among the others. `new_counts` is told from where to where the old and the new ones came; `each` what is to be done with
    /// every part of the new range, in order.
    pub fn lay(&mut self, new: (u64, u64), new_counts: impl Fn((u64, u64), (u64, u64)) -> bool, mut each: impl FnMut(Part)) {
        let (start, end) = new;
        if start >= end {
            return;
        }
        // What comes in order is most of all that comes.
        if self.list.last().is_none_or(|l| l.end <= start) {
            each(Part::New(start, end));
            self.list.push(Piece { start, end, from: new });
            return;
        }
        let first = self.list.partition_point(|p| p.end <= start);
        let behind = self.list.partition_point(|p| p.start < end);
        self.scratch.clear();
        let mut at = start;
        for old in &self.list[first..behind] {
            if old.start > at {
                each(Part::New(at, old.start));
                self.scratch.push(Piece { start: at, end: old.start, from: new });
                at = old.start;
            }
            let upto = old.end.min(end);
            if new_counts(old.from, new) {
                if old.start < start {
                    self.scratch.push(Piece { end: start, ..*old });
                }
                each(Part::Over(at, upto));
                self.scratch.push(Piece { start: at, end: upto, from: new });
                if old.end > end {
                    self.scratch.push(Piece { start: end, ..*old });
                }
            } else {
                each(Part::Kept(at, upto));
                self.scratch.push(*old);
            }
            at = upto;
        }
        if at < end {
            each(Part::New(at, end));
            self.scratch.push(Piece { start: at, end, from: new });
        }
        self.list.splice(first..behind, self.scratch.drain(..));
    }

    /// Up to where everything from `from` on is there.
    pub fn reach(&self, from: u64) -> u64 {
        let mut at = from;
        for p in &self.list[self.list.partition_point(|p| p.end <= from)..] {
            if p.start > at {
                break;
            }
            at = p.end;
        }
        at
    }

    /// Where the first bytes behind `from` stand that are not right there.
    pub fn next(&self, from: u64) -> Option<u64> {
        self.list.get(self.list.partition_point(|p| p.end <= from)).map(|p| p.start.max(from))
    }

    /// Behind the last byte.
    pub fn end(&self) -> Option<u64> {
        self.list.last().map(|p| p.end)
    }

    /// Forgets what stands before `upto`.
    pub fn forget(&mut self, upto: u64) {
        let gone = self.list.partition_point(|p| p.end <= upto);
        self.list.drain(..gone);
        if let Some(first) = self.list.first_mut() {
            first.start = first.start.max(upto);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.list.clear();
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// What they hold in memory, in bytes.
    pub fn bytes(&self) -> usize {
        (self.list.capacity() + self.scratch.capacity()) * size_of::<Piece>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Held against a byte by byte model.
        #[test]
        fn laid_as_byte_by_byte(ranges in prop::collection::vec((0u64..60, 0u64..20), 0..20), forget in 0u64..40, who in 0usize..3) {
            let counts = |old: (u64, u64), new: (u64, u64)| [new.0 < old.0, true, new.1 > old.1][who];
            let mut pieces = Pieces::default();
            let mut model: Vec<Option<(u64, u64)>> = vec![None; 100];
            for (start, length) in ranges {
                let new = (start, start + length);
                let mut told = Vec::new();
                pieces.lay(new, counts, |p| told.push(p));
                let mut at = start;
                for p in told {
                    let (a, b) = match p { Part::New(a, b) | Part::Over(a, b) | Part::Kept(a, b) => (a, b) };
                    prop_assert_eq!(a, at);
                    at = b;
                    for cell in &mut model[a as usize..b as usize] {
                        match (p, *cell) {
                            (Part::New(..), old) => { prop_assert!(old.is_none()); *cell = Some(new); }
                            (Part::Over(..), old) => { prop_assert!(old.is_some_and(|o| counts(o, new))); *cell = Some(new); }
                            (Part::Kept(..), old) => prop_assert!(old.is_some_and(|o| !counts(o, new))),
                        }
                    }
                }
                prop_assert_eq!(at, start + length);
                prop_assert!(pieces.list.windows(2).all(|w| w[0].end <= w[1].start) && pieces.list.iter().all(|p| p.start < p.end));
            }
            for from in 0..80u64 {
                let reach = (from..100).find(|i| model[*i as usize].is_none()).unwrap_or(100);
                prop_assert_eq!(pieces.reach(from), reach);
                prop_assert_eq!(pieces.next(from), (from..100).find(|i| model[*i as usize].is_some()));
            }
            pieces.forget(forget);
            prop_assert_eq!(pieces.next(0), (forget..100).find(|i| model[*i as usize].is_some()));
        }
    }
}
