//! Many byte strings at once, whatever their case. In come bytes in small letters, out come the rules whose string is in them; each
//! string once per look.
//!
//! Of each string four bytes in a row are chosen that few strings have. Wherever four bytes of the haystack might be among them (one
//! bit of a table that stays in the nearest cache; four places are asked at once), the strings that they stand for are compared. No more than [`BUCKET`] strings share
//! four bytes, so that the work per byte is bounded whatever is looked through; strings that find no place go into an automaton, which
//! runs only where there are any. Strings of 1 to 3 bytes are looked for by themselves: they would be found nearly everywhere.

use daachorse::{DoubleArrayAhoCorasick, DoubleArrayAhoCorasickBuilder};
use rustc_hash::FxHashMap;

/// Bytes that are chosen of each string.
const GRAM: usize = 4;
/// Most strings that share their chosen bytes.
const BUCKET: usize = 8;
/// Bytes of the table, as powers of two: for few strings one that leaves the cache to others, and else 32 KiB.
const SMALL: u32 = 10;
const LARGE: u32 = 15;
/// Strings that the small table is for: one of its bits in thirty-two is set at the most.
const FEW: usize = 256;
/// Spreads four bytes over the table (Knuth: the golden ratio).
const SPREAD: u32 = 0x9e37_79b1;

/// Strings with the rules they belong to.
#[derive(Default)]
pub(crate) struct Builder {
    patterns: FxHashMap<Vec<u8>, Vec<u32>>,
}

fn number(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn gram(bytes: &[u8]) -> u32 {
    match bytes {
        [a, b, c, d, ..] => u32::from_le_bytes([*a, *b, *c, *d]),
        _ => 0,
    }
}

/// How common four bytes are in themselves: letters and digits are, zeros most of all.
fn common(gram: u32) -> u32 {
    let one = |b: u8| match b {
        0 | 0xff => 8,
        b'a'..=b'z' | b'0'..=b'9' | b' ' => 4,
        b'.' | b'/' | b'-' | b':' | b'=' | b'\r' | b'\n' => 3,
        _ => 1,
    };
    gram.to_le_bytes().map(one).iter().sum()
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
            let pattern = number(out.starts.len());
            out.starts.push(number(out.rules.len()));
            out.rules.extend(rules);
            match bytes.as_slice() {
                [] => {}
                [one] => out.single.push((*one, pattern)),
                [a, b] => out.pair(*a, *b, None, pattern),
                [a, b, c] => out.pair(*a, *b, Some(*c), pattern),
                _ => long.push((bytes, pattern)),
            }
        }
        out.starts.push(number(out.rules.len()));
        out.pairs.sort_unstable();
        out.grams(long);
        out
    }
}

/// A string under its chosen bytes.
#[derive(Clone, Copy)]
struct Entry {
    gram: u32,
    pattern: u32,
    /// Where the chosen bytes stand in it.
    at: u32,
    /// Its bytes.
    from: u32,
    to: u32,
}

/// Strings, ready to be looked for.
#[derive(Default)]
pub(crate) struct Matcher {
    /// Which four bytes may be chosen ones: one bit each.
    table: Option<Table>,
    /// Entries of each byte of the table lie between two of these.
    heads: Vec<u32>,
    entries: Vec<Entry>,
    bytes: Vec<u8>,
    /// Strings that found no place.
    rest: Option<DoubleArrayAhoCorasick<u32>>,
    single: Vec<(u8, u32)>,
    /// First two bytes, third byte, string; sorted.
    pairs: Vec<(u16, Option<u8>, u32)>,
    /// Which first two bytes occur: one bit each.
    known: Option<Box<[u64; 1024]>>,
    /// Rules of each string lie between two of these.
    starts: Vec<u32>,
    rules: Vec<u32>,
}

/// A table of bits: the byte by a product's highest bits, the bit in it by the next three.
enum Table {
    Small(Box<[u8; 1 << SMALL]>),
    Large(Box<[u8; 1 << LARGE]>),
}

impl Table {
    fn bits(&self) -> u32 {
        match self {
            Self::Small(_) => SMALL,
            Self::Large(_) => LARGE,
        }
    }
    fn set(&mut self, gram: u32) {
        let (byte, bit) = place(gram, self.bits());
        match self {
            Self::Small(t) => t[byte] |= 1 << bit,
            Self::Large(t) => t[byte] |= 1 << bit,
        }
    }
}

/// Byte and bit of a table of so many bits of bytes.
#[inline(always)]
fn place(gram: u32, bits: u32) -> (usize, u32) {
    let product = gram.wrapping_mul(SPREAD);
    ((product >> (32 - bits)) as usize, product >> (29 - bits) & 7)
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
    fn known(&self, pattern: u32) -> bool {
        self.seen.get(pattern as usize) == Some(&self.look)
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
        let both = u16::from_le_bytes([a, b]);
        self.known.get_or_insert_with(|| Box::new([0; 1024]))[usize::from(both) / 64] |= 1 << (both % 64);
        self.pairs.push((both, c, pattern));
    }

    /// Chooses four bytes of each string, and puts them into the table.
    fn grams(&mut self, long: Vec<(Vec<u8>, u32)>) {
        if long.is_empty() {
            return;
        }
        let mut uses: FxHashMap<u32, u32> = FxHashMap::default();
        for w in long.iter().flat_map(|(bytes, _)| bytes.windows(GRAM)) {
            *uses.entry(gram(w)).or_default() += 1;
        }
        let mut table = if long.len() <= FEW { Table::Small(Box::new([0; 1 << SMALL])) } else { Table::Large(Box::new([0; 1 << LARGE])) };
        let bits = table.bits();
        let mut full: FxHashMap<u32, usize> = FxHashMap::default();
        let mut rest: Vec<(Vec<u8>, u32)> = Vec::new();
        for (bytes, pattern) in long {
            let free =
                bytes.windows(GRAM).enumerate().map(|(at, w)| (gram(w), at)).filter(|(g, _)| full.get(g).is_none_or(|n| *n < BUCKET));
            let best = free.min_by_key(|(g, at)| (uses.get(g).copied().unwrap_or(0), common(*g), *at));
            let Some((gram, at)) = best else {
                rest.push((bytes, pattern));
                continue;
            };
            *full.entry(gram).or_default() += 1;
            let from = number(self.bytes.len());
            self.bytes.extend_from_slice(&bytes);
            self.entries.push(Entry { gram, pattern, at: number(at), from, to: number(self.bytes.len()) });
        }
        self.entries.sort_by_key(|e| (place(e.gram, bits).0, e.gram, e.pattern));
        self.heads = vec![0; (1 << bits) + 1];
        for e in &self.entries {
            table.set(e.gram);
            self.heads[place(e.gram, bits).0 + 1] += 1;
        }
        for i in 1..self.heads.len() {
            self.heads[i] += self.heads[i - 1];
        }
        self.table = Some(table);
        if !rest.is_empty() {
            self.rest = DoubleArrayAhoCorasickBuilder::new().build_with_values(rest).ok();
        }
    }

    fn take(&self, pattern: u32, marks: &mut Marks, into: &mut Vec<u32>) {
        if marks.first(pattern) {
            let at = pattern as usize;
            into.extend_from_slice(&self.rules[self.starts[at] as usize..self.starts[at + 1] as usize]);
        }
    }

    /// Compares the strings that the bytes at `at` may be a part of.
    #[inline(never)]
    fn compare(&self, bits: u32, at: usize, lower: &[u8], marks: &mut Marks, into: &mut Vec<u32>) {
        let here = &lower[at..];
        if here.len() >= GRAM && self.table.is_some() {
            let gram = gram(here);
            let byte = place(gram, bits).0;
            for e in &self.entries[self.heads[byte] as usize..self.heads[byte + 1] as usize] {
                if e.gram != gram || marks.known(e.pattern) {
                    continue;
                }
                let Some(from) = at.checked_sub(e.at as usize) else { continue };
                let bytes = &self.bytes[e.from as usize..e.to as usize];
                if lower.get(from..from + bytes.len()) == Some(bytes) {
                    self.take(e.pattern, marks, into);
                }
            }
        }
        if let (Some(_), [a, b, rest @ ..]) = (&self.known, here) {
            let both = u16::from_le_bytes([*a, *b]);
            let from = self.pairs.partition_point(|(p, _, _)| *p < both);
            for (_, third, pattern) in self.pairs[from..].iter().take_while(|(p, _, _)| *p == both) {
                if third.is_none() || *third == rest.first().copied() {
                    self.take(*pattern, marks, into);
                }
            }
        }
    }

    /// Goes over the haystack, four places at once, by a table and where there are any by the beginnings of short strings.
    #[inline(always)]
    fn pass<const SIZE: usize>(
        &self,
        table: &[u8; SIZE],
        known: Option<&[u64; 1024]>,
        lower: &[u8],
        marks: &mut Marks,
        into: &mut Vec<u32>,
    ) {
        let bits = SIZE.ilog2();
        let asked = |gram: u32| {
            let (byte, bit) = place(gram, bits);
            u32::from(table[byte & (SIZE - 1)]) >> bit & 1
        };
        let short = |gram: u32| known.map_or(0, |k| u32::from(k[(gram & 0xffff) as usize / 64] >> (gram % 64) & 1 != 0));
        let mut at = 0;
        while let Some(Ok(eight)) = lower.get(at..at + 8).map(<[u8; 8]>::try_from) {
            let eight = u64::from_le_bytes(eight);
            #[allow(clippy::cast_possible_truncation, reason = "four bytes of the eight")]
            let (a, b, c, d) = (eight as u32, (eight >> 8) as u32, (eight >> 16) as u32, (eight >> 24) as u32);
            let (a, b, c, d) = (asked(a) | short(a), asked(b) | short(b), asked(c) | short(c), asked(d) | short(d));
            if a | b | c | d != 0 {
                for (i, hit) in [a, b, c, d].iter().enumerate() {
                    if *hit != 0 {
                        self.compare(bits, at + i, lower, marks, into);
                    }
                }
            }
            at += 4;
        }
        // The last few places one by one.
        for at in at..lower.len() {
            self.compare(bits, at, lower, marks, into);
        }
    }

    /// Appends the rules whose string is in `lower`.
    pub fn scan(&self, lower: &[u8], marks: &mut Marks, into: &mut Vec<u32>) {
        if lower.is_empty() || self.starts.len() < 2 {
            return;
        }
        marks.begin(self.starts.len() - 1);
        // Where there are short strings only, the table has no bit set.
        match (&self.table, self.known.as_deref()) {
            (Some(Table::Small(t)), None) => self.pass(t, None, lower, marks, into),
            (Some(Table::Large(t)), None) => self.pass(t, None, lower, marks, into),
            (Some(Table::Small(t)), known) => self.pass(t, known, lower, marks, into),
            (Some(Table::Large(t)), known) => self.pass(t, known, lower, marks, into),
            (None, Some(known)) => self.pass(&[0; 1 << SMALL], Some(known), lower, marks, into),
            (None, None) => {}
        }
        if let Some(rest) = &self.rest {
            for m in rest.find_overlapping_iter(lower) {
                self.take(m.value(), marks, into);
            }
        }
        for (byte, pattern) in &self.single {
            if memchr::memchr(*byte, lower).is_some() {
                self.take(*pattern, marks, into);
            }
        }
    }

    /// Bytes of memory, about.
    pub fn memory(&self) -> usize {
        self.rest.as_ref().map_or(0, DoubleArrayAhoCorasick::heap_bytes)
            + self.table.as_ref().map_or(0, |t| 1 << t.bits())
            + self.known.as_ref().map_or(0, |k| k.len() * 8)
            + self.pairs.len() * 8
            + self.entries.len() * size_of::<Entry>()
            + self.bytes.len()
            + (self.rules.len() + self.starts.len() + self.heads.len()) * 4
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn found(patterns: &[String], text: &str) -> Vec<u32> {
        let mut b = Builder::default();
        patterns.iter().enumerate().for_each(|(i, p)| b.add(p.as_bytes(), i as u32));
        let m = b.build();
        let (mut marks, mut got) = (Marks::default(), Vec::new());
        for _ in 0..2 {
            got.clear();
            m.scan(text.to_ascii_lowercase().as_bytes(), &mut marks, &mut got);
            got.sort_unstable();
        }
        got
    }

    fn wanted(patterns: &[String], text: &str) -> Vec<u32> {
        let lower = text.to_ascii_lowercase();
        (0..patterns.len() as u32).filter(|i| lower.contains(&patterns[*i as usize].to_ascii_lowercase())).collect()
    }

    proptest! {
        #[test]
        fn as_a_slow_oracle_says(patterns in proptest::collection::vec("[abAB\\x00]{1,9}", 1..60), text in "[abAB\\x00c]{0,90}") {
            prop_assert_eq!(found(&patterns, &text), wanted(&patterns, &text));
        }
    }

    #[test]
    fn strings_beyond_a_full_bucket_are_found() {
        let patterns: Vec<String> = (4..30).map(|n| "a".repeat(n)).collect();
        let mut b = Builder::default();
        patterns.iter().enumerate().for_each(|(i, p)| b.add(p.as_bytes(), i as u32));
        assert!(b.build().rest.is_some());
        for n in 0..32 {
            assert_eq!(found(&patterns, &"a".repeat(n)), wanted(&patterns, &"a".repeat(n)));
        }
    }
}
