//! Lines out of a stream that comes in pieces: bytes in, lines out, each with whether it was cut at a limit. It keeps at most one line.

use std::ops::ControlFlow;

/// The line that is not whole.
#[derive(Debug)]
pub(crate) struct Lines {
    held: Vec<u8>,
    limit: usize,
    /// More came of the line than the limit.
    cut: bool,
}

/// A line without its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    pub(crate) text: &'a [u8],
    /// It was longer.
    pub(crate) cut: bool,
}

impl Lines {
    pub(crate) fn new(limit: usize) -> Self {
        Self { held: Vec::new(), limit, cut: false }
    }

    /// Takes one line's bytes from the front of `bytes`. Gives what is behind it, and whether the line is whole: then `take` has it.
    fn fill<'a>(&mut self, bytes: &'a [u8]) -> (&'a [u8], bool) {
        let end = memchr::memchr(b'\n', bytes);
        let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |n| n + 1));
        let part = part.strip_suffix(b"\n").unwrap_or(part);
        let room = self.limit.saturating_sub(self.held.len());
        self.cut |= part.len() > room;
        self.held.extend_from_slice(&part[..part.len().min(room)]);
        (rest, end.is_some())
    }

    /// Gives each whole line to `each` until it breaks; returns what lies behind the last one given, nothing where all was taken.
    pub(crate) fn push<'a>(&mut self, mut bytes: &'a [u8], mut each: impl FnMut(Line<'_>) -> ControlFlow<()>) -> &'a [u8] {
        while !bytes.is_empty() {
            let (rest, whole) = self.fill(bytes);
            bytes = rest;
            if whole {
                let held = std::mem::take(&mut self.held);
                let text = held.strip_suffix(b"\r").unwrap_or(&held);
                let flow = each(Line { text, cut: std::mem::take(&mut self.cut) });
                self.held = held;
                self.held.clear();
                if flow.is_break() {
                    return bytes;
                }
            }
        }
        &[]
    }

    pub(crate) fn clear(&mut self) {
        self.held.clear();
        self.cut = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn cuts_change_nothing(text in "[ab\r\n]{0,60}", cuts in proptest::collection::vec(1usize..9, 0..20)) {
            let all = |cuts: &[usize]| {
                let mut lines = Lines::new(5);
                let mut out = Vec::new();
                let mut rest = text.as_bytes();
                for c in cuts.iter().copied().chain([rest.len()]) {
                    let (a, b) = rest.split_at(c.min(rest.len()));
                    lines.push(a, |l| { out.push((l.text.to_vec(), l.cut)); ControlFlow::Continue(()) });
                    rest = b;
                }
                (out, lines.held.clone())
            };
            let whole = all(&[]);
            prop_assert_eq!(&all(&cuts), &whole);
            prop_assert!(whole.0.iter().all(|(t, _)| t.len() <= 5));
        }
    }
}
