//! The flow table: bounded, with a time limit per kind and state. In come keys and times, out come slots; what has been silent for too long
//! is given back to the caller to be closed. Each packet costs the same however many flows there are: a flow stands in the list of its kind
//! and state, longest silent first. Never: holds more flows than it may.

use crate::key::Key;
use foldhash::quality::FixedState;
use hashbrown::HashTable;

/// How a flow is timed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the protocols")]
pub enum Kind {
    Tcp,
    Udp,
    Icmp,
    Other,
}

impl Kind {
    /// Of a protocol over IP.
    pub fn of(protocol: u8) -> Self {
        match protocol {
            6 => Self::Tcp,
            17 => Self::Udp,
            1 | 58 => Self::Icmp,
            _ => Self::Other,
        }
    }
}

/// How far a flow has come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Phase {
    /// One end has spoken, or the handshake is not over.
    #[default]
    New,
    /// Both have.
    Established,
    /// TCP has ended it.
    Closed,
}

impl Phase {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Closed => "closed",
        }
    }
}

/// Microseconds of silence after which a flow is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// By kind (TCP, UDP, ICMP, others), then phase (new, established, closed).
    pub by_kind: [[u64; 3]; 4],
}

const SECOND: u64 = 1_000_000;

impl Timeouts {
    const fn seconds(rows: [[u64; 3]; 4]) -> Self {
        let mut by_kind = rows;
        let mut k = 0;
        while k < 4 {
            let mut p = 0;
            while p < 3 {
                by_kind[k][p] *= SECOND;
                p += 1;
            }
            k += 1;
        }
        Self { by_kind }
    }
    /// The peer's defaults.
    pub const USUAL: Self = Self::seconds([[60, 600, 60], [30, 300, 30], [30, 300, 30], [30, 300, 30]]);
    /// The peer's defaults while there is too little room.
    pub const EMERGENCY: Self = Self::seconds([[5, 100, 10], [10, 100, 10], [10, 100, 10], [10, 100, 0]]);
}

/// Bounds. Defaults are the peer's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Bytes that flows may take, their streams apart.
    pub memory: usize,
    /// The emergency is over once so much of the room is free, in percent.
    pub recovery: usize,
    /// Time limits.
    pub usual: Timeouts,
    /// Time limits in an emergency.
    pub emergency: Timeouts,
}

impl Default for Settings {
    fn default() -> Self {
        Self { memory: 128 << 20, recovery: 30, usual: Timeouts::USUAL, emergency: Timeouts::EMERGENCY }
    }
}

/// No slot.
const NONE: u32 = u32::MAX;
/// Lists: kinds times phases.
const LISTS: usize = 12;
/// In which order room is made: what is new or over goes before what is under way.
const LEAST_WORTH: [usize; LISTS] = [2, 5, 8, 11, 0, 6, 9, 3, 7, 10, 4, 1];

#[derive(Debug)]
struct Slot<F> {
    key: Key,
    hash: u64,
    list: u8,
    last: u64,
    before: u32,
    after: u32,
    flow: Option<F>,
}

#[derive(Debug, Clone, Copy)]
struct List {
    oldest: u32,
    newest: u32,
}

/// The table.
#[derive(Debug)]
pub struct Table<F> {
    settings: Settings,
    seed: FixedState,
    index: HashTable<u32>,
    slots: Vec<Slot<F>>,
    free: Vec<u32>,
    lists: [List; LISTS],
    most: usize,
    emergency: bool,
    now: u64,
}

fn list_of(kind: Kind, phase: Phase) -> usize {
    kind as usize * 3 + phase as usize
}

impl<F> Table<F> {
    /// Empty. `seed`: a number that nobody outside knows. `beside`: bytes that a flow holds beside its slot.
    pub fn new(settings: Settings, seed: u64, beside: usize) -> Self {
        // A slot, its place in the index (with room for growth), and what it points to.
        let each = size_of::<Slot<F>>() + 8 + beside;
        let most = (settings.memory / each).clamp(1, NONE as usize - 1);
        Self {
            settings,
            seed: FixedState::with_seed(seed),
            index: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            lists: [List { oldest: NONE, newest: NONE }; LISTS],
            most,
            emergency: false,
            now: 0,
        }
    }
    /// How many flows there are.
    pub fn len(&self) -> usize {
        self.index.len()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }
    /// How many there may be.
    pub fn most(&self) -> usize {
        self.most
    }
    /// Whether there is too little room.
    pub fn emergency(&self) -> bool {
        self.emergency
    }
    /// The flow with this key.
    pub fn find(&self, key: &Key) -> Option<u32> {
        let hash = key.hash(&self.seed);
        self.index.find(hash, |s| self.slots[*s as usize].key == *key).copied()
    }
    /// A flow.
    pub fn get(&self, slot: u32) -> Option<&F> {
        self.slots.get(slot as usize)?.flow.as_ref()
    }
    /// A flow, to change it.
    pub fn get_mut(&mut self, slot: u32) -> Option<&mut F> {
        self.slots.get_mut(slot as usize)?.flow.as_mut()
    }
    /// Whether it has been silent for too long at this time.
    pub fn is_over(&self, slot: u32, now: u64) -> bool {
        let s = &self.slots[slot as usize];
        now.saturating_sub(s.last) >= self.limit(usize::from(s.list))
    }
    fn limit(&self, list: usize) -> u64 {
        let t = if self.emergency { &self.settings.emergency } else { &self.settings.usual };
        t.by_kind[list / 3][list % 3]
    }

    /// Puts a flow in; none where there is no room: the caller makes some with [`Table::least_worth`].
    pub fn insert(&mut self, key: Key, kind: Kind, now: u64, flow: F) -> Option<u32> {
        if self.len() >= self.most {
            self.emergency = true;
            return None;
        }
        let hash = key.hash(&self.seed);
        let list = list_of(kind, Phase::New);
        #[allow(clippy::cast_possible_truncation, reason = "there are 12 lists")]
        let new = Slot { key, hash, list: list as u8, last: now, before: NONE, after: NONE, flow: Some(flow) };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.slots[slot as usize] = new;
                slot
            }
            None => {
                self.slots.push(new);
                u32::try_from(self.slots.len() - 1).ok()?
            }
        };
        let slots = &self.slots;
        self.index.insert_unique(hash, slot, |s| slots[*s as usize].hash);
        self.push(slot, list);
        Some(slot)
    }

    /// It has just been heard of.
    pub fn touch(&mut self, slot: u32, kind: Kind, phase: Phase, now: u64) {
        self.unlink(slot);
        self.slots[slot as usize].last = now;
        self.push(slot, list_of(kind, phase));
    }

    /// Takes a flow out.
    pub fn remove(&mut self, slot: u32) -> Option<F> {
        let s = self.slots.get_mut(slot as usize)?;
        let flow = s.flow.take()?;
        let hash = s.hash;
        self.unlink(slot);
        if let Ok(entry) = self.index.find_entry(hash, |s| *s == slot) {
            entry.remove();
        }
        self.free.push(slot);
        if self.emergency && self.len() * 100 <= self.most * (100 - self.settings.recovery.min(99)) {
            self.emergency = false;
        }
        Some(flow)
    }

    /// One that has been silent for too long, longest first within its list.
    pub fn over(&mut self, now: u64) -> Option<u32> {
        self.now = self.now.max(now);
        (0..LISTS).map(|l| self.lists[l].oldest).find(|s| *s != NONE && self.is_over(*s, self.now))
    }

    /// The one that is missed least.
    pub fn least_worth(&self) -> Option<u32> {
        LEAST_WORTH.iter().map(|l| self.lists[*l].oldest).find(|s| *s != NONE)
    }

    /// Any one; for closing all at the end, in the order in which they stand.
    pub fn any(&self) -> Option<u32> {
        self.slots.iter().position(|s| s.flow.is_some()).and_then(|p| u32::try_from(p).ok())
    }

    /// Every slot that is in use.
    pub fn slots(&self) -> impl Iterator<Item = u32> + use<'_, F> {
        (0..u32::try_from(self.slots.len()).unwrap_or(u32::MAX)).filter(|s| self.slots[*s as usize].flow.is_some())
    }

    fn push(&mut self, slot: u32, list: usize) {
        let newest = self.lists[list].newest;
        let s = &mut self.slots[slot as usize];
        #[allow(clippy::cast_possible_truncation, reason = "there are 12 lists")]
        {
            s.list = list as u8;
        }
        s.before = newest;
        s.after = NONE;
        if newest == NONE {
            self.lists[list].oldest = slot;
        } else {
            self.slots[newest as usize].after = slot;
        }
        self.lists[list].newest = slot;
    }

    fn unlink(&mut self, slot: u32) {
        let s = &self.slots[slot as usize];
        let (list, before, after) = (usize::from(s.list), s.before, s.after);
        match before {
            NONE => self.lists[list].oldest = after,
            b => self.slots[b as usize].after = after,
        }
        match after {
            NONE => self.lists[list].newest = before,
            a => self.slots[a as usize].before = before,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::{Apart, Ends};
    use ips_wire::Packet;
    use std::net::{IpAddr, Ipv4Addr};

    fn key(n: u32) -> Key {
        let mut p = Packet::new(0, 0);
        p.source = IpAddr::V4(Ipv4Addr::from_bits(n));
        p.protocol = 6;
        Key::of(&p, &Ends::of(&p), Apart::default())
    }

    fn table(flows: usize) -> Table<u32> {
        let each = size_of::<Slot<u32>>() + 8;
        Table::new(Settings { memory: flows * each, ..Settings::default() }, 7, 0)
    }

    #[test]
    fn flows_are_found_and_time_out_by_kind_and_phase() {
        let mut t = table(1000);
        let tcp = t.insert(key(1), Kind::Tcp, 0, 1).expect("there is room");
        let udp = t.insert(key(2), Kind::Udp, 0, 2).expect("there is room");
        t.touch(tcp, Kind::Tcp, Phase::Established, 0);
        assert_eq!((t.find(&key(1)), t.find(&key(2)), t.find(&key(3))), (Some(tcp), Some(udp), None));
        assert_eq!(t.over(29 * SECOND), None);
        assert_eq!(t.over(30 * SECOND), Some(udp));
        assert_eq!(t.remove(udp), Some(2));
        assert_eq!((t.over(599 * SECOND), t.over(600 * SECOND)), (None, Some(tcp)));
        t.touch(tcp, Kind::Tcp, Phase::Closed, 600 * SECOND);
        assert_eq!((t.over(600 * SECOND), t.over(660 * SECOND)), (None, Some(tcp)));
        assert_eq!((t.remove(tcp), t.find(&key(1)), t.len()), (Some(1), None, 0));
        assert_eq!(t.remove(tcp), None);
    }

    #[test]
    fn room_is_bounded_and_emergency_ends() {
        let mut t = table(100);
        for n in 0..100 {
            assert!(t.insert(key(n), Kind::Tcp, u64::from(n), n).is_some());
        }
        assert!(t.insert(key(200), Kind::Tcp, 100, 200).is_none() && t.emergency());
        let old = t.find(&key(5)).expect("it is there");
        t.touch(old, Kind::Tcp, Phase::Established, 100);
        // New ones go first, the longest silent of them first of all; and they go sooner.
        assert_eq!(t.least_worth(), t.find(&key(0)));
        assert_eq!(t.over(6 * SECOND), t.find(&key(0)));
        for n in 0..30 {
            let slot = t.least_worth().expect("there is one");
            assert!(t.emergency(), "{n}");
            t.remove(slot);
        }
        assert!(!t.emergency() && t.len() == 70 && t.find(&key(5)).is_some());
        assert!(t.insert(key(200), Kind::Tcp, 100, 200).is_some());
    }
}
