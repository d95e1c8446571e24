//! Fragments of IPv4 and IPv6 put together. In come fragments, out comes a datagram once it is whole; where fragments overlap the target's
//! policy says whose bytes count. Memory, time and the number of pieces are bounded; buffers are used again.

use crate::{
    packet::Packet,
    pieces::{Part, Pieces},
};
use rustc_hash::FxHashMap;
use std::{collections::VecDeque, net::IpAddr};

/// Whose bytes count where fragments overlap (Novak, Target-Based Fragmentation Reassembly, 2005).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Those that begin not later; on a tie those that came first.
    #[default]
    Bsd,
    /// Those that begin not earlier; on a tie those that came last.
    BsdRight,
    /// Those that begin earlier; on a tie those that came last.
    Linux,
    /// Those that came first, except where the new ones reach beyond them at both ends.
    Windows,
    /// As Windows; the new ones may also end together with them.
    Solaris,
    /// Those that came first.
    First,
    /// Those that came last.
    Last,
}

impl Policy {
    /// By the peer's name.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "bsd" => Self::Bsd,
            "bsd-right" => Self::BsdRight,
            "linux" => Self::Linux,
            "windows" => Self::Windows,
            "solaris" => Self::Solaris,
            "first" => Self::First,
            "last" => Self::Last,
            _ => return None,
        })
    }
    fn new_counts(self, old: (u64, u64), new: (u64, u64)) -> bool {
        match self {
            Self::Bsd => new.0 < old.0,
            Self::BsdRight => new.0 >= old.0,
            Self::Linux => new.0 <= old.0,
            Self::Windows => new.0 < old.0 && new.1 > old.1,
            Self::Solaris => new.0 < old.0 && new.1 >= old.1,
            Self::First => false,
            Self::Last => true,
        }
    }
}

/// Bounds and policy; defaults are the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whose bytes count.
    pub policy: Policy,
    /// A datagram that is not whole after so many microseconds is forgotten.
    pub timeout: u64,
    /// Datagrams that may wait.
    pub trackers: usize,
    /// Bytes that may wait.
    pub memory: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self { policy: Policy::Bsd, timeout: 60_000_000, trackers: 65_535, memory: 32 << 20 }
    }
}

/// Pieces of one datagram: more come only from somebody who wants to tire us.
const MAX_PIECES: usize = 1024;
/// Largest datagram without its header in bytes.
const MAX_DATA: u32 = 65_535;
/// Buffers that are kept for later use.
const MAX_POOL: usize = 64;

/// Which datagram a fragment belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Key {
    source: IpAddr,
    destination: IpAddr,
    id: u32,
    /// IPv6 tells datagrams apart without it (RFC 8200, 4.5).
    protocol: u8,
    vlans: [u16; 3],
    depth: u8,
}

impl Key {
    /// Of a packet and its identification.
    pub fn of(packet: &Packet<'_>, id: u32) -> Self {
        let protocol = if packet.source.is_ipv4() { packet.protocol } else { 0 };
        Self { source: packet.source, destination: packet.destination, id, protocol, vlans: packet.vlans, depth: packet.depth }
    }
}

/// A fragment.
#[derive(Debug)]
pub struct Fragment<'a> {
    /// Of which datagram.
    pub key: Key,
    /// When, in microseconds.
    pub time: u64,
    /// Headers before its data, without a fragment header.
    pub header: &'a [u8],
    /// IPv6: where in `header` the number of the fragment header stands.
    pub next_header_at: usize,
    /// IPv6: what the fragment header says that follows.
    pub next_header: u8,
    /// Where its data begin.
    pub offset: u32,
    /// It is not the last.
    pub more: bool,
    /// Its data.
    pub data: &'a [u8],
}

/// What became of a fragment.
#[derive(Debug, Default)]
pub struct Added {
    /// The datagram with its header, where this made it whole.
    pub whole: Option<Vec<u8>>,
    /// It overlaps others.
    pub overlap: bool,
}

#[derive(Debug, Default)]
struct Tracker {
    key: Option<Key>,
    born: u64,
    /// Counts up when the slot is used again.
    turn: u32,
    header: Vec<u8>,
    data: Vec<u8>,
    pieces: Pieces,
    /// Where the last fragment ends.
    end: Option<u32>,
}

impl Tracker {
    fn bytes(&self) -> usize {
        self.data.capacity() + self.header.capacity() + self.pieces.bytes()
    }
}

/// All datagrams that wait.
#[derive(Debug)]
pub struct Fragments {
    settings: Settings,
    known: FxHashMap<Key, usize>,
    slots: Vec<Tracker>,
    free: Vec<usize>,
    /// Slots by age, with their turn: an entry of an older turn means nothing.
    age: VecDeque<(usize, u32)>,
    memory: usize,
    pool: Vec<Vec<u8>>,
}

impl Fragments {
    /// With nothing waiting.
    pub fn new(settings: Settings) -> Self {
        Self {
            settings,
            known: FxHashMap::default(),
            slots: Vec::new(),
            free: Vec::new(),
            age: VecDeque::new(),
            memory: 0,
            pool: Vec::new(),
        }
    }

    /// How many datagrams wait.
    pub fn waiting(&self) -> usize {
        self.known.len()
    }

    /// A buffer of [`Added::whole`] is not needed any more.
    pub fn give_back(&mut self, mut buffer: Vec<u8>) {
        if self.pool.len() < MAX_POOL {
            buffer.clear();
            self.pool.push(buffer);
        }
    }

    /// Takes a fragment.
    pub fn add(&mut self, fragment: &Fragment<'_>) -> Added {
        self.expire(fragment.time);
        let start = fragment.offset;
        let Some(end) = u32::try_from(fragment.data.len()).ok().map(|l| start.saturating_add(l)).filter(|e| *e <= MAX_DATA) else {
            return Added::default();
        };
        let slot = self.slot(fragment);
        let tracker = &mut self.slots[slot];
        let before = tracker.bytes();
        if tracker.pieces.len() >= MAX_PIECES {
            self.forget(slot);
            return Added::default();
        }
        if start == 0 && tracker.header.is_empty() {
            tracker.header.extend_from_slice(fragment.header);
            if fragment.key.source.is_ipv6()
                && let Some(named) = tracker.header.get_mut(fragment.next_header_at)
            {
                *named = fragment.next_header;
            }
        }
        if !fragment.more && tracker.end.is_none() {
            tracker.end = Some(end);
        }
        if tracker.data.len() < end as usize {
            tracker.data.resize(end as usize, 0);
        }
        let mut overlap = false;
        let (policy, bytes, data) = (self.settings.policy, fragment.data, &mut tracker.data);
        tracker.pieces.lay(
            (u64::from(start), u64::from(end)),
            |old, new| policy.new_counts(old, new),
            |part| {
                overlap |= !matches!(part, Part::New(..));
                if let Part::New(a, b) | Part::Over(a, b) = part {
                    let (a, b) = (a as usize, b as usize);
                    data[a..b].copy_from_slice(&bytes[a - start as usize..b - start as usize]);
                }
            },
        );
        self.memory = (self.memory + tracker.bytes()).saturating_sub(before);
        let whole = tracker.end.is_some_and(|end| tracker.pieces.reach(0) >= u64::from(end)) && !tracker.header.is_empty();
        let whole = whole.then(|| {
            let mut out = self.pool.pop().unwrap_or_default();
            let tracker = &self.slots[slot];
            let length = tracker.end.unwrap_or(0) as usize;
            out.extend_from_slice(&tracker.header);
            out.extend_from_slice(&tracker.data[..length]);
            finish(&mut out, tracker.header.len(), fragment.key.source.is_ipv4());
            self.forget(slot);
            out
        });
        while self.memory > self.settings.memory && self.oldest() {}
        Added { whole, overlap }
    }

    fn slot(&mut self, fragment: &Fragment<'_>) -> usize {
        if let Some(&slot) = self.known.get(&fragment.key) {
            return slot;
        }
        while self.known.len() >= self.settings.trackers && self.oldest() {}
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Tracker::default());
            self.slots.len() - 1
        });
        let tracker = &mut self.slots[slot];
        tracker.key = Some(fragment.key);
        tracker.born = fragment.time;
        self.memory += tracker.bytes();
        self.age.push_back((slot, tracker.turn));
        self.known.insert(fragment.key, slot);
        slot
    }

    fn expire(&mut self, now: u64) {
        while let Some(&(slot, turn)) = self.age.front() {
            let tracker = &self.slots[slot];
            if tracker.turn == turn && now.saturating_sub(tracker.born) < self.settings.timeout {
                break;
            }
            self.oldest();
        }
    }

    /// Forgets the oldest; false where there is none.
    fn oldest(&mut self) -> bool {
        let Some((slot, turn)) = self.age.pop_front() else { return false };
        if self.slots[slot].turn == turn {
            self.forget(slot);
        }
        true
    }

    fn forget(&mut self, slot: usize) {
        let tracker = &mut self.slots[slot];
        self.memory = self.memory.saturating_sub(tracker.bytes());
        if let Some(key) = tracker.key.take() {
            self.known.remove(&key);
            self.free.push(slot);
        }
        tracker.turn = tracker.turn.wrapping_add(1);
        tracker.header.clear();
        tracker.pieces.clear();
        tracker.end = None;
        // What a free slot keeps counts for nothing, so it keeps little; what has been used is zeroed by `resize` when it grows again.
        tracker.data = Vec::new();
    }
}

/// Lengths and checksum of what was put together.
fn finish(out: &mut [u8], header: usize, v4: bool) {
    if v4 && out.len() >= 20 {
        let total = u16::try_from(out.len()).unwrap_or(u16::MAX).to_be_bytes();
        out[2..4].copy_from_slice(&total);
        out[6..8].fill(0);
        out[10..12].fill(0);
        let sum = crate::checksum::of(&out[..header.min(out.len())]).to_be_bytes();
        out[10..12].copy_from_slice(&sum);
    } else if !v4 && out.len() >= 40 {
        let length = u16::try_from(out.len() - 40).unwrap_or(u16::MAX).to_be_bytes();
        out[4..6].copy_from_slice(&length);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::Ipv4Addr;

    fn key(id: u32) -> Key {
        let a = IpAddr::V4(Ipv4Addr::LOCALHOST);
        Key { source: a, destination: a, id, protocol: 17, vlans: [0; 3], depth: 0 }
    }

    fn header() -> [u8; 20] {
        let mut h = [0; 20];
        h[0] = 0x45;
        h
    }

    /// Each fragment: where it begins and its letters; the last ends the datagram.
    fn reassembled(policy: Policy, parts: &[(u32, &str)], end: u32) -> Option<String> {
        let mut fragments = Fragments::new(Settings { policy, ..Settings::default() });
        let mut out = None;
        for (offset, data) in parts {
            let more = offset + data.len() as u32 != end;
            let f = Fragment {
                key: key(1),
                time: 0,
                header: &header(),
                next_header_at: 0,
                next_header: 0,
                offset: *offset,
                more,
                data: data.as_bytes(),
            };
            out = out.or(fragments.add(&f).whole);
        }
        out.map(|w| String::from_utf8_lossy(&w[20..]).into_owned())
    }

    #[test]
    fn each_policy_decides_as_its_system() {
        // The new fragment begins before the old one; behind it; at the same place; reaches beyond it at both ends.
        type Parts = &'static [(u32, &'static str)];
        let cases: [(Parts, [&str; 7]); 5] = [
            (&[(2, "bb"), (0, "aaa"), (4, "c")], ["aaabc", "aabbc", "aaabc", "aabbc", "aabbc", "aabbc", "aaabc"]),
            (&[(0, "aaa"), (2, "bb"), (4, "c")], ["aaabc", "aabbc", "aaabc", "aaabc", "aaabc", "aaabc", "aabbc"]),
            (&[(0, "aa"), (0, "bb"), (2, "c")], ["aac", "bbc", "bbc", "aac", "aac", "aac", "bbc"]),
            (&[(1, "b"), (0, "aaa"), (3, "c")], ["aaac", "abac", "aaac", "aaac", "aaac", "abac", "aaac"]),
            (&[(1, "bb"), (0, "aaa"), (3, "c")], ["aaac", "abbc", "aaac", "abbc", "aaac", "abbc", "aaac"]),
        ];
        let policies = [Policy::Bsd, Policy::BsdRight, Policy::Linux, Policy::Windows, Policy::Solaris, Policy::First, Policy::Last];
        for (parts, wanted) in cases {
            let end = parts.last().map_or(0, |(o, d)| o + d.len() as u32);
            for (policy, text) in policies.into_iter().zip(wanted) {
                assert_eq!(reassembled(policy, parts, end).as_deref(), Some(text), "{policy:?} {parts:?}");
            }
        }
    }

    #[test]
    fn time_and_memory_are_bounded() {
        let mut fragments = Fragments::new(Settings { trackers: 10, memory: 100_000, ..Settings::default() });
        let add = |f: &mut Fragments, id: u32, time: u64, offset: u32, more: bool| {
            f.add(&Fragment { key: key(id), time, header: &header(), next_header_at: 0, next_header: 0, offset, more, data: &[7; 800] })
                .whole
        };
        for id in 0..100 {
            assert!(add(&mut fragments, id, 0, 0, true).is_none());
        }
        assert_eq!(fragments.waiting(), 10);
        for id in 200..300 {
            add(&mut fragments, id, 0, 64_000, true);
        }
        assert!(fragments.waiting() <= 2 && fragments.memory <= 100_000, "{} {}", fragments.waiting(), fragments.memory);
        // A minute later the rest is too late.
        assert!(add(&mut fragments, 400, 1, 0, true).is_none());
        assert!(add(&mut fragments, 400, 60_000_001, 800, false).is_none());
        assert_eq!(fragments.waiting(), 1);
        assert!(add(&mut fragments, 400, 60_000_002, 0, true).is_some());
        assert_eq!(fragments.waiting(), 0);
        assert_eq!(fragments.memory, 0);
    }

    proptest! {
        #[test]
        fn any_order_gives_the_same_without_overlap(order in Just((0u32..12).collect::<Vec<_>>()).prop_shuffle(), last in 1usize..8) {
            let text: String = (0..12).map(|i| char::from(b'a' + i).to_string().repeat(8)).collect();
            let text = &text[..11 * 8 + last];
            let parts: Vec<(u32, &str)> = order.iter().map(|i| (i * 8, &text[*i as usize * 8..(*i as usize * 8 + 8).min(text.len())])).collect();
            prop_assert_eq!(reassembled(Policy::Bsd, &parts, text.len() as u32), Some(text.to_owned()));
        }

        #[test]
        fn any_fragments_are_taken(parts in prop::collection::vec((0u32..300, 0usize..40, any::<bool>()), 0..60), policy in 0usize..7) {
            let policies = [Policy::Bsd, Policy::BsdRight, Policy::Linux, Policy::Windows, Policy::Solaris, Policy::First, Policy::Last];
            let mut fragments = Fragments::new(Settings { policy: policies[policy], ..Settings::default() });
            for (i, (offset, length, more)) in parts.into_iter().enumerate() {
                let data = vec![i as u8; length];
                let f = Fragment { key: key(1), time: 0, header: &header(), next_header_at: 0, next_header: 0, offset, more, data: &data };
                fragments.add(&f);
                for s in &fragments.slots {
                    prop_assert!(s.pieces.len() <= MAX_PIECES + 2);
                }
            }
        }
    }
}
