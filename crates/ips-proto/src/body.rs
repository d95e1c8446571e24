//! A growing buffer: a body or file whose bytes come by and by, of which the first part is kept whole and later a window is slid along, as
//! the peer does. It never holds more than its limit and never gives a byte twice, but for the window before what is new.

use crate::{
    digest::{Digests, Running, Which},
    transaction::Piece,
};

/// How a body is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Bytes that are kept at most; those behind are not looked at.
    pub limit: u64,
    /// It is looked at when this many bytes are there, or it has ended.
    pub minimum: u64,
    /// Bytes of what was seen before that stay in front of what is new; of a piece as long as this, a quarter.
    pub window: u64,
    /// It is looked at as it comes, so that what is passed on has been seen.
    pub inline: bool,
    /// Digests that are made of it.
    pub digests: Which,
}

/// A growing buffer.
#[derive(Debug)]
pub struct Body {
    window: Window,
    bytes: Vec<u8>,
    /// Where `bytes` begins.
    start: u64,
    seen: u64,
    ended: bool,
    seen_end: bool,
    cut: bool,
    running: Option<Box<Running>>,
    digests: Option<Box<Digests>>,
}

impl Body {
    /// An empty one.
    pub fn new(window: Window) -> Self {
        let running = window.digests.any().then(|| Box::new(Running::new(window.digests)));
        Self { window, bytes: Vec::new(), start: 0, seen: 0, ended: false, seen_end: false, cut: false, running, digests: None }
    }

    /// Takes bytes, as far as the limit allows. Returns how many.
    pub fn push(&mut self, bytes: &[u8]) -> usize {
        let room = usize::try_from(self.window.limit.saturating_sub(self.total())).unwrap_or(usize::MAX);
        let take = room.min(bytes.len());
        self.cut |= take < bytes.len();
        self.bytes.extend_from_slice(&bytes[..take]);
        if let Some(r) = &mut self.running {
            r.push(&bytes[..take]);
        }
        take
    }

    /// Nothing more comes.
    pub fn end(&mut self) {
        self.ended = true;
        if let Some(r) = self.running.take() {
            self.digests = Some(Box::new(r.end()));
        }
    }

    /// The digests, once nothing more comes.
    pub fn digests(&self) -> Option<&Digests> {
        self.digests.as_deref()
    }

    /// Whether nothing more comes.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Bytes came that went over the limit.
    pub fn cut(&self) -> bool {
        self.cut
    }

    /// Bytes taken so far.
    pub fn total(&self) -> u64 {
        self.start + self.bytes.len() as u64
    }

    /// There is something that was not seen, and enough of it.
    pub fn ready(&self) -> bool {
        let enough = self.window.inline || self.ended || self.total() >= self.window.minimum.min(self.window.limit);
        enough && (self.total() > self.seen || (self.ended && !self.seen_end && self.total() > 0))
    }

    /// What there is to look at.
    pub fn piece(&self) -> Option<Piece<'_>> {
        if self.total() == 0 {
            return None;
        }
        let Window { window, minimum, .. } = self.window;
        let offset = if self.seen > minimum {
            let new = self.total() - self.seen;
            if new < window { self.seen.saturating_sub(window - new) } else { self.seen.saturating_sub(window / 4) }
        } else {
            0
        };
        let from = usize::try_from(offset.saturating_sub(self.start)).unwrap_or(usize::MAX).min(self.bytes.len());
        Some(Piece { bytes: &self.bytes[from..], offset: self.start + from as u64, last: self.ended || self.total() >= self.window.limit })
    }

    /// All there was has been looked at; what no later piece needs is forgotten.
    pub fn looked(&mut self) {
        if !self.ready() {
            return;
        }
        self.seen = self.total();
        self.seen_end |= self.ended;
        if self.seen > self.window.minimum {
            let keep = self.seen.saturating_sub(self.window.window);
            let gone = usize::try_from(keep.saturating_sub(self.start)).unwrap_or(0).min(self.bytes.len());
            // Bytes are moved only once as many have gone as stay, so that each is moved a bounded number of times.
            if gone > self.bytes.len() / 2 {
                self.bytes.drain(..gone);
                self.start += gone as u64;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SMALL: Window =
        Window { limit: 100, minimum: 20, window: 8, inline: false, digests: Which { md5: false, sha1: false, sha256: false } };

    #[test]
    fn waits_for_the_minimum_or_the_end() {
        let mut b = Body::new(SMALL);
        b.push(b"0123456789");
        assert!(!b.ready());
        b.end();
        assert!(b.ready());
        assert_eq!(b.piece().unwrap().bytes, b"0123456789");
        b.looked();
        assert!(!b.ready());
        assert!(!Body::new(SMALL).ready(), "what is empty is not looked at");
    }

    #[test]
    fn stops_at_its_limit() {
        let mut b = Body::new(SMALL);
        assert_eq!(b.push(&[0; 200]), 100);
        assert!(b.cut() && b.piece().unwrap().last);
        assert_eq!(b.push(b"x"), 0);
    }

    proptest! {
        /// Whatever the cuts: every byte is seen, in its place, and each piece holds the window before what is new.
        #[test]
        fn every_byte_is_seen(cuts in proptest::collection::vec(1usize..30, 0..20), inline: bool) {
            let all: Vec<u8> = (0..100).collect();
            let mut b = Body::new(Window { inline, ..SMALL });
            let mut seen = 0usize;
            let mut at = 0;
            for c in cuts.into_iter().chain([100]) {
                let to = (at + c).min(all.len());
                b.push(&all[at..to]);
                at = to;
                if at == all.len() { b.end(); }
                if b.ready() {
                    let p = b.piece().unwrap();
                    let from = usize::try_from(p.offset).unwrap();
                    prop_assert_eq!(p.bytes, &all[from..at]);
                    prop_assert!(from <= seen);
                    prop_assert!(from == 0 || seen > from);
                    seen = at;
                }
                b.looked();
            }
            prop_assert_eq!(seen, all.len());
        }
    }
}
