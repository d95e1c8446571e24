//! Many byte strings at once, whatever their case. In come bytes in small letters, out come the rules whose string is in them; each
//! string once per look. Strings of 1 to 3 bytes stay out of the automaton: they would be found nearly everywhere, and slow it for all.

use daachorse::{DoubleArrayAhoCorasick, DoubleArrayAhoCorasickBuilder};
use rustc_hash::FxHashMap;

/// Shortest string of the automaton.
const LONG: usize = 4;

/// Strings with the rules they belong to.
#[derive(Default)]
pub(crate) struct Builder {
    patterns: FxHashMap<Vec<u8>, Vec<u32>>,
}

impl Builder {
    /// Adds one; case is ignored here, as what is found is looked at again.
    pub fn add(&mut self, bytes: &[u8], rule: u32) {
        self.patterns.entry(bytes.to_ascii_lowercase()).or_default().push(rule);
    }
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
    }
    pub fn build(self) -> Matcher {
        let mut sorted: Vec<(Vec<u8>, Vec<u32>)> = self.patterns.into_iter().collect();
        sorted.sort_unstable();
        let mut out = Matcher::default();
        let mut long: Vec<(Vec<u8>, u32)> = Vec::new();
        for (bytes, rules) in sorted {
            let pattern = u32::try_from(out.starts.len()).unwrap_or(u32::MAX);
            out.starts.push(u32::try_from(out.rules.len()).unwrap_or(u32::MAX));
            out.rules.extend(rules);
            match bytes.as_slice() {
                [] => {}
                [one] => out.single.push((*one, pattern)),
                [a, b] => out.pair(*a, *b, None, pattern),
                [a, b, c] => out.pair(*a, *b, Some(*c), pattern),
                _ => {
                    debug_assert!(bytes.len() >= LONG);
                    long.push((bytes, pattern));
                }
            }
        }
        out.starts.push(u32::try_from(out.rules.len()).unwrap_or(u32::MAX));
        out.pairs.sort_unstable();
        if !long.is_empty() {
            out.long = DoubleArrayAhoCorasickBuilder::new().build_with_values(long).ok();
        }
        out
    }
}

/// Strings, ready to be looked for.
#[derive(Default)]
pub(crate) struct Matcher {
    long: Option<DoubleArrayAhoCorasick<u32>>,
    single: Vec<(u8, u32)>,
    /// First two bytes, third byte, string; sorted.
    pairs: Vec<(u16, Option<u8>, u32)>,
    /// Which first two bytes occur: one bit each.
    known: Vec<u64>,
    /// Rules of each string lie between two of these.
    starts: Vec<u32>,
    rules: Vec<u32>,
}

/// Which strings were seen in this look; used again and again.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    look: u32,
    seen: Vec<u32>,
}

impl Marks {
    /// A new look.
    fn begin(&mut self, patterns: usize) {
        if self.seen.len() < patterns {
            self.seen.resize(patterns, 0);
        }
        self.look = self.look.wrapping_add(1);
        if self.look == 0 {
            self.seen.fill(0);
            self.look = 1;
        }
    }
    fn first(&mut self, pattern: u32) -> bool {
        match self.seen.get_mut(pattern as usize) {
            Some(at) => std::mem::replace(at, self.look) != self.look,
            None => false,
        }
    }
}

impl Matcher {
    fn pair(&mut self, a: u8, b: u8, c: Option<u8>, pattern: u32) {
        if self.known.is_empty() {
            self.known.resize(1024, 0);
        }
        let both = u16::from_be_bytes([a, b]);
        self.known[usize::from(both) / 64] |= 1 << (both % 64);
        self.pairs.push((both, c, pattern));
    }

    fn take(&self, pattern: u32, marks: &mut Marks, into: &mut Vec<u32>) {
        if marks.first(pattern) {
            let at = pattern as usize;
            into.extend_from_slice(&self.rules[self.starts[at] as usize..self.starts[at + 1] as usize]);
        }
    }

    /// Appends the rules whose string is in `lower`.
    pub fn scan(&self, lower: &[u8], marks: &mut Marks, into: &mut Vec<u32>) {
        if lower.is_empty() || self.starts.len() < 2 {
            return;
        }
        marks.begin(self.starts.len() - 1);
        if let Some(long) = self.long.as_ref().filter(|_| lower.len() >= LONG) {
            for m in long.find_overlapping_iter(lower) {
                self.take(m.value(), marks, into);
            }
        }
        for (byte, pattern) in &self.single {
            if memchr::memchr(*byte, lower).is_some() {
                self.take(*pattern, marks, into);
            }
        }
        if self.known.is_empty() {
            return;
        }
        for (at, pair) in lower.windows(2).enumerate() {
            let both = u16::from_be_bytes([pair[0], pair[1]]);
            if self.known[usize::from(both) / 64] >> (both % 64) & 1 == 0 {
                continue;
            }
            let from = self.pairs.partition_point(|(p, _, _)| *p < both);
            for (_, third, pattern) in self.pairs[from..].iter().take_while(|(p, _, _)| *p == both) {
                if third.is_none() || *third == lower.get(at + 2).copied() {
                    self.take(*pattern, marks, into);
                }
            }
        }
    }

    /// Bytes of memory, about.
    pub fn memory(&self) -> usize {
        self.long.as_ref().map_or(0, DoubleArrayAhoCorasick::heap_bytes)
            + (self.rules.len() + self.starts.len()) * 4
            + self.pairs.len() * 8
            + self.known.len() * 8
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn as_a_slow_oracle_says(patterns in proptest::collection::vec("[abAB\\x00]{1,6}", 1..12), text in "[abAB\\x00c]{0,60}") {
            let mut b = Builder::default();
            patterns.iter().enumerate().for_each(|(i, p)| b.add(p.as_bytes(), i as u32));
            let m = b.build();
            let lower = text.to_ascii_lowercase();
            let (mut marks, mut got) = (Marks::default(), Vec::new());
            for _ in 0..2 {
                got.clear();
                m.scan(lower.as_bytes(), &mut marks, &mut got);
                got.sort_unstable();
                let want: Vec<u32> = (0..patterns.len() as u32).filter(|i| lower.contains(&patterns[*i as usize].to_ascii_lowercase())).collect();
                prop_assert_eq!(&got, &want);
            }
        }
    }
}
