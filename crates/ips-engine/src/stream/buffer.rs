//! Bytes of one direction. In come segments by their place in the stream, out come bytes in order, for the application and for rules on the
//! stream apart from each other. Never: holds more than its bounds, gives a byte twice.

use super::{
    event::{StreamEvent, StreamEvents},
    policy::Policy,
};
use ips_wire::pieces::{Part, Pieces};

/// Pieces of one direction: more come only from somebody who wants to tire us.
const MAX_PIECES: usize = 2048;
/// Bytes ahead of what was given that are kept: far more than windows in use, far less than the largest.
const MAX_AHEAD: u64 = 4 << 20;
/// Bytes in front that may stay before the rest is moved down.
const MAX_FRONT: usize = 16 << 10;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Bytes from here to there.
    Bytes(u64, u64),
    /// So many were acknowledged and never seen.
    Gap(u64),
    /// Nothing yet.
    Nothing,
}

/// A part of what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept<'a> {
    /// Bytes.
    Bytes(&'a [u8]),
    /// So many were not seen.
    Missing(u64),
}

/// One direction's bytes.
#[derive(Debug, Default)]
pub struct Buffer {
    /// Where `data[front]` stands in the stream.
    base: u64,
    front: usize,
    data: Vec<u8>,
    pieces: Pieces,
    /// Up to where the application has them.
    pub app: u64,
    /// Up to where rules on the stream have looked.
    pub raw: u64,
    /// No more bytes are taken: the depth is reached.
    pub full: bool,
    /// Bytes that were never seen.
    pub lost: u64,
}

impl Buffer {
    /// As new, memory kept.
    pub fn clear(&mut self) {
        let mut data = std::mem::take(&mut self.data);
        let mut pieces = std::mem::take(&mut self.pieces);
        data.clear();
        pieces.clear();
        *self = Self { data, pieces, ..Self::default() };
    }

    /// What it holds in memory, in bytes.
    pub fn memory(&self) -> usize {
        self.data.capacity() + self.pieces.bytes()
    }

    /// Takes a segment that begins at `at`. `edge`: up to here both ends have agreed already, the bytes before it do not change any more.
    pub fn insert(&mut self, at: u64, bytes: &[u8], edge: u64, policy: Policy, depth: u64) -> StreamEvents {
        let mut events = StreamEvents::NONE;
        let mut segment = (at, at + bytes.len() as u64);
        let whole = segment;
        let base = self.base;
        if segment.1 <= base {
            events.add(StreamEvent::ReassemblySegmentBeforeBaseSeq);
            return events;
        }
        segment.0 = segment.0.max(base);
        if depth > 0 && segment.1 > depth {
            segment.1 = depth;
            if !self.full {
                self.full = true;
                events.add(StreamEvent::ReassemblyDepthReached);
            }
        }
        segment.1 = segment.1.min(self.app + MAX_AHEAD);
        if segment.0 >= segment.1 || self.pieces.len() >= MAX_PIECES {
            return events;
        }
        let place = |offset: u64| self.front + (offset - base) as usize;
        let needed = place(segment.1);
        if self.data.len() < needed {
            self.data.resize(needed, 0);
        }
        let (front, data, given) = (self.front, &mut self.data, self.app.max(edge));
        self.pieces.lay(
            segment,
            // Where the segment itself began counts, not where its rest does.
            |old, _| policy.new_counts(old, whole),
            |part| {
                let (Part::New(a, b) | Part::Over(a, b) | Part::Kept(a, b)) = part;
                let new = &bytes[(a - at) as usize..(b - at) as usize];
                let old = &mut data[front + (a - base) as usize..front + (b - base) as usize];
                if !matches!(part, Part::New(..)) && old != new {
                    events.add(StreamEvent::ReassemblyOverlapDifferentData);
                }
                match part {
                    Part::New(..) => old.copy_from_slice(new),
                    Part::Over(a, _) => {
                        let from = (given.max(a) - a).min(old.len() as u64) as usize;
                        old[from..].copy_from_slice(&new[from..]);
                    }
                    Part::Kept(..) => {}
                }
            },
        );
        events
    }

    fn next(&self, from: u64, edge: u64, acked: u64) -> Next {
        let reach = self.pieces.reach(from).min(edge);
        if reach > from {
            return Next::Bytes(from, reach);
        }
        let there = self.pieces.next(from).unwrap_or(u64::MAX);
        // Nothing behind what is lost: not lost, but the end.
        let end = there == u64::MAX && acked == u64::MAX;
        if acked > from && there > from && !end { Next::Gap(there.min(acked) - from) } else { Next::Nothing }
    }

    /// What comes next for the application: bytes up to `edge`; `acked`: the receiver said that it has everything before.
    pub fn next_app(&self, edge: u64, acked: u64) -> Next {
        self.next(self.app, edge, acked)
    }

    /// What comes behind this place.
    pub fn behind(&self, from: u64, edge: u64, acked: u64) -> Next {
        self.next(from, edge, acked)
    }

    /// What comes next for rules on the stream.
    pub fn next_raw(&self, edge: u64, acked: u64) -> Next {
        self.next(self.raw, edge, acked)
    }

    /// Bytes that are there.
    pub fn bytes(&self, from: u64, to: u64) -> &[u8] {
        let place = |offset: u64| self.front + offset.saturating_sub(self.base) as usize;
        self.data.get(place(from)..place(to)).unwrap_or_default()
    }

    /// What is kept, in order: bytes that are there, and how many are missing before the next ones.
    pub fn kept(&self) -> impl Iterator<Item = Kept<'_>> {
        let mut at = self.base;
        std::iter::from_fn(move || {
            let reach = self.pieces.reach(at);
            let from = at;
            if reach > from {
                at = reach;
                return Some(Kept::Bytes(self.bytes(from, reach)));
            }
            let next = self.pieces.next(from)?;
            at = next;
            (next > from).then_some(Kept::Missing(next - from))
        })
    }

    /// Where the bytes that are kept begin.
    pub fn base(&self) -> u64 {
        self.base
    }

    /// Behind the last byte that is there.
    pub fn end(&self) -> u64 {
        self.pieces.end().unwrap_or(self.base).max(self.base)
    }

    /// Nobody asks for bytes before `upto` any more.
    pub fn slide(&mut self, upto: u64) {
        if upto <= self.base {
            return;
        }
        self.pieces.forget(upto);
        self.front += (upto - self.base) as usize;
        self.base = upto;
        if self.front >= self.data.len() {
            self.data.clear();
            self.front = 0;
        } else if self.front > MAX_FRONT {
            self.data.drain(..self.front);
            self.front = 0;
        }
    }

    /// Gives memory back that a flood of bytes has left.
    pub fn shrink(&mut self) {
        if self.data.is_empty() && self.data.capacity() > 4 * MAX_FRONT {
            self.data = Vec::new();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn text(b: &mut Buffer, edge: u64) -> String {
        let mut out = String::new();
        while let Next::Bytes(from, to) = b.next_app(edge, 0) {
            out += &String::from_utf8_lossy(b.bytes(from, to));
            b.app = to;
            b.raw = to;
            b.slide(to);
        }
        out
    }

    fn put(b: &mut Buffer, at: u64, bytes: &str, policy: Policy) -> StreamEvents {
        b.insert(at, bytes.as_bytes(), 0, policy, 0)
    }

    #[test]
    fn bytes_come_in_order_up_to_the_edge() {
        let mut b = Buffer::default();
        put(&mut b, 3, "def", Policy::Bsd);
        assert_eq!(text(&mut b, 100), "");
        put(&mut b, 0, "abc", Policy::Bsd);
        assert_eq!(text(&mut b, 4), "abcd");
        assert_eq!(text(&mut b, 100), "ef");
        assert!(put(&mut b, 2, "cd", Policy::Bsd).has(StreamEvent::ReassemblySegmentBeforeBaseSeq));
        // What was acknowledged and never seen is a gap; what was only not seen yet is none.
        put(&mut b, 10, "klm", Policy::Bsd);
        assert_eq!((b.next_app(100, 6), b.next_app(100, 8), b.next_app(100, 12)), (Next::Nothing, Next::Gap(2), Next::Gap(4)));
    }

    #[test]
    fn overlaps_go_by_policy_and_are_told() {
        for (policy, wanted) in [(Policy::Bsd, "abcYZf"), (Policy::First, "abcdef"), (Policy::Last, "abcYZf"), (Policy::Linux, "abcYZf")] {
            let mut b = Buffer::default();
            put(&mut b, 3, "def", policy);
            assert!(put(&mut b, 2, "XYZ", policy).has(StreamEvent::ReassemblyOverlapDifferentData), "{policy:?}");
            // Begins before both and reaches into what the second brought; the same bytes are no difference.
            let e = put(&mut b, 0, "abc", policy);
            assert!(e.has(StreamEvent::ReassemblyOverlapDifferentData));
            let wanted = if policy == Policy::First { wanted.replace('c', "X") } else { wanted.to_owned() };
            assert_eq!(text(&mut b, 100), wanted, "{policy:?}");
        }
    }

    #[test]
    fn depth_and_what_was_given_hold() {
        let mut b = Buffer::default();
        let e = b.insert(0, b"abcdef", 0, Policy::Bsd, 4);
        assert!(e.has(StreamEvent::ReassemblyDepthReached) && b.full);
        assert_eq!(text(&mut b, 100), "abcd");
        assert!(b.insert(4, b"ef", 0, Policy::Bsd, 4).is_empty());
        assert_eq!(text(&mut b, 100), "");
        // Bytes the application has do not change any more.
        let mut b = Buffer::default();
        put(&mut b, 0, "abc", Policy::Last);
        b.app = 2;
        put(&mut b, 0, "xyz", Policy::Last);
        assert_eq!(b.bytes(0, 3), b"abz");
        // Far ahead is not kept.
        put(&mut b, 1 << 30, "x", Policy::Last);
        assert!(b.memory() < 8 << 20);
    }

    proptest! {
        /// However a text is cut, repeated and shuffled, it comes out whole.
        #[test]
        fn any_cut_gives_the_same(cuts in prop::collection::vec((0usize..200, 1usize..40), 0..40), seed in any::<u64>()) {
            let whole: Vec<u8> = (0..200).map(|i| (i as u8).wrapping_mul(31) ^ seed as u8).collect();
            let mut parts: Vec<(usize, usize)> = cuts.into_iter().map(|(a, l)| (a, (a + l).min(200))).collect();
            parts.extend((0..200).step_by(20).map(|a| (a, a + 20)));
            let n = parts.len();
            parts.rotate_left(seed as usize % n);
            for policy in [Policy::Bsd, Policy::Linux, Policy::Solaris, Policy::First, Policy::Last] {
                let mut b = Buffer::default();
                let mut out = Vec::new();
                for &(from, to) in &parts {
                    let e = b.insert(from as u64, &whole[from..to], 0, policy, 0);
                    prop_assert!(!e.has(StreamEvent::ReassemblyOverlapDifferentData));
                    while let Next::Bytes(f, t) = b.next_app(u64::MAX, 0) {
                        out.extend_from_slice(b.bytes(f, t));
                        b.app = t;
                        b.raw = t;
                        b.slide(t);
                    }
                }
                prop_assert_eq!(&out, &whole);
            }
        }
    }
}
