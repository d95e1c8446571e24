//! What flows share: bits of hosts and pairs, counts, tags, sets and reputations. One per engine, or one per worker. Bounded: what has
//! run out goes first, and where all is taken nothing new is kept.

use crate::{counter::Counter, state::Tag};
use ips_rules::condition::SetAct;
use rustc_hash::{FxHashMap, FxHashSet};
use std::net::IpAddr;

/// Most entries of each kind: about 16 MB each at the most.
const MAX_ENTRIES: usize = 1 << 17;

/// Whose bit it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Owner {
    Host(IpAddr),
    Pair(IpAddr, IpAddr),
}

impl Owner {
    /// Two hosts, either way round.
    pub fn pair(a: IpAddr, b: IpAddr) -> Self {
        if a <= b { Self::Pair(a, b) } else { Self::Pair(b, a) }
    }
}

/// By what is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum CountKey {
    Host(u32, IpAddr),
    Pair(u32, IpAddr, IpAddr),
    Rule(u32),
}

/// What flows share.
#[derive(Debug, Default)]
pub struct Memory {
    bits: FxHashMap<(Owner, u16), u64>,
    counts: FxHashMap<CountKey, (Counter, u64)>,
    tags: FxHashMap<IpAddr, Tag>,
    swept: u64,
    pub(crate) sets: Sets,
    pub(crate) reputations: Vec<Reputation>,
}

impl Memory {
    pub(crate) fn of(sets: usize, categories: usize) -> Self {
        let mut out = Self::default();
        out.sets.0.resize_with(sets, Set::default);
        out.reputations.resize_with(categories, Reputation::default);
        out
    }

    /// Puts values into a set: its index in [`crate::Tables::sets`], each value with its reputation where it has one. Strings as they
    /// are, digests as bytes, addresses as 4 or 16 bytes.
    pub fn load(&mut self, set: usize, values: impl IntoIterator<Item = (Vec<u8>, Option<u16>)>) {
        if let Some(s) = self.sets.0.get_mut(set) {
            for (value, reputation) in values {
                if let Some(r) = reputation {
                    s.reputations.insert(value.clone().into(), r);
                }
                s.values.insert(value.into());
            }
        }
    }

    /// Puts values with what is known of them, JSON that alerts show, into a set; the first of a value stays.
    pub fn load_known(&mut self, set: usize, values: impl IntoIterator<Item = (Vec<u8>, String)>) {
        if let Some(s) = self.sets.0.get_mut(set) {
            for (value, known) in values {
                s.known.entry(value.clone().into()).or_insert_with(|| known.into());
                s.values.insert(value.into());
            }
        }
    }

    /// Values of this set are domains: a name below one of them is in it too.
    pub fn match_subdomains(&mut self, set: usize) {
        if let Some(s) = self.sets.0.get_mut(set) {
            s.below = true;
        }
    }

    /// All values of a set, for the caller to keep; in no order.
    pub fn values(&self, set: usize) -> impl Iterator<Item = &[u8]> {
        self.sets.0.get(set).into_iter().flat_map(|s| s.values.iter().map(AsRef::as_ref))
    }

    /// Gives addresses a reputation: category by its index in [`crate::Tables::categories`], the prefix's length in bits.
    pub fn reputation(&mut self, category: usize, address: IpAddr, length: u8, value: u8) {
        if let Some(r) = self.reputations.get_mut(category) {
            r.set(address, length, value);
        }
    }

    pub(crate) fn has(&self, owner: Owner, bit: u16, now: u64) -> bool {
        self.bits.get(&(owner, bit)).is_some_and(|until| now < *until)
    }

    pub(crate) fn set(&mut self, owner: Owner, bit: u16, now: u64, until: u64) {
        if self.bits.len() >= MAX_ENTRIES && !self.bits.contains_key(&(owner, bit)) {
            self.sweep(now);
            if self.bits.len() >= MAX_ENTRIES {
                return;
            }
        }
        self.bits.insert((owner, bit), until);
    }

    pub(crate) fn unset(&mut self, owner: Owner, bit: u16) {
        self.bits.remove(&(owner, bit));
    }

    /// The count of a key and whether it is new; none where there is no more room.
    pub(crate) fn count(&mut self, key: CountKey, now: u64, seconds: u32) -> Option<(&mut Counter, bool)> {
        let known = self.counts.contains_key(&key);
        if !known && self.counts.len() >= MAX_ENTRIES {
            self.sweep(now);
            if self.counts.len() >= MAX_ENTRIES {
                return None;
            }
        }
        let until = now.saturating_add(u64::from(seconds) * 1_000_000);
        let entry = self.counts.entry(key).or_insert((Counter::default(), until));
        entry.1 = entry.1.max(until);
        Some((&mut entry.0, !known))
    }

    pub(crate) fn tag(&mut self, host: IpAddr, tag: Tag) {
        if self.tags.len() < MAX_ENTRIES || self.tags.contains_key(&host) {
            self.tags.insert(host, tag);
        }
    }

    pub(crate) fn tagged(&mut self, host: IpAddr, use_up: impl FnOnce(&mut Tag) -> bool) -> bool {
        if self.tags.is_empty() {
            return false;
        }
        let Some(tag) = self.tags.get_mut(&host) else { return false };
        let holds = use_up(tag);
        if !holds {
            self.tags.remove(&host);
        }
        holds
    }

    /// Takes out what has run out, at most once a second.
    fn sweep(&mut self, now: u64) {
        if now.saturating_sub(self.swept) < 1_000_000 {
            return;
        }
        self.swept = now;
        self.bits.retain(|_, until| now < *until);
        self.counts.retain(|_, (_, until)| now < *until);
    }
}

/// Values that rules compare buffers with and put buffers into.
#[derive(Debug, Default)]
pub(crate) struct Sets(pub Vec<Set>);

#[derive(Debug, Default)]
pub(crate) struct Set {
    values: FxHashSet<Box<[u8]>>,
    /// What is known of values.
    known: FxHashMap<Box<[u8]>, std::sync::Arc<str>>,
    /// Values are domains.
    below: bool,
    reputations: FxHashMap<Box<[u8]>, u16>,
}

impl Set {
    /// The value that is in the set: this one, or a domain that it is below of.
    fn find<'a>(&self, value: &'a [u8]) -> Option<&'a [u8]> {
        if self.values.contains(value) {
            return Some(value);
        }
        if !self.below {
            return None;
        }
        let dots = value.iter().enumerate().skip(1).filter(|(_, b)| **b == b'.').map(|(i, _)| i);
        dots.flat_map(|i| [i, i + 1]).map(|i| &value[i..]).find(|v| self.values.contains(*v))
    }
}

impl Sets {
    /// What is known of a value.
    pub fn known(&self, set: u16, value: &[u8]) -> Option<&std::sync::Arc<str>> {
        let s = self.0.get(usize::from(set))?;
        if s.known.is_empty() { None } else { s.known.get(s.find(value)?) }
    }
    /// Asks or changes; whether it holds, or changed something.
    pub fn act(&mut self, set: u16, act: SetAct, value: &[u8]) -> bool {
        let Some(s) = self.0.get_mut(usize::from(set)) else { return false };
        match act {
            SetAct::Isset => s.find(value).is_some(),
            SetAct::Isnotset => s.find(value).is_none(),
            SetAct::Unset => s.values.remove(value),
            SetAct::Set => {
                if s.values.contains(value) || s.values.len() >= MAX_ENTRIES * 8 {
                    return false;
                }
                s.values.insert(value.into())
            }
        }
    }
    pub fn reputation(&self, set: u16, value: &[u8]) -> Option<u16> {
        self.0.get(usize::from(set))?.reputations.get(value).copied()
    }
    pub fn holds(&self, set: u16, value: &[u8]) -> bool {
        self.0.get(usize::from(set)).is_some_and(|s| s.values.contains(value))
    }
}

/// One category of reputations: the longest prefix counts.
#[derive(Debug, Default)]
pub(crate) struct Reputation {
    by_prefix: FxHashMap<(u8, u128), u8>,
    /// Lengths that occur, longest first; of IPv4 counted behind the 96 bits of its mapping.
    lengths: Vec<u8>,
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => a.to_ipv6_mapped().to_bits(),
        IpAddr::V6(a) => a.to_bits(),
    }
}

fn cut(address: u128, length: u8) -> u128 {
    if length == 0 { 0 } else { address >> (128 - u32::from(length)) << (128 - u32::from(length)) }
}

impl Reputation {
    fn set(&mut self, address: IpAddr, length: u8, value: u8) {
        let length = if address.is_ipv4() { length.saturating_add(96) } else { length }.min(128);
        self.by_prefix.insert((length, cut(mapped(address), length)), value);
        if !self.lengths.contains(&length) {
            self.lengths.push(length);
            self.lengths.sort_unstable_by(|a, b| b.cmp(a));
        }
    }
    pub fn get(&self, address: IpAddr) -> Option<u8> {
        let address = mapped(address);
        self.lengths.iter().find_map(|l| self.by_prefix.get(&(*l, cut(address, *l))).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts() {
        let mut m = Memory::of(1, 1);
        m.reputation(0, "10.0.0.0".parse().expect("it reads"), 8, 3);
        m.reputation(0, "10.1.0.0".parse().expect("it reads"), 16, 9);
        let r = |a: &str| m.reputations[0].get(a.parse().expect("it reads"));
        assert_eq!((r("10.1.2.3"), r("10.2.2.3"), r("11.0.0.1"), r("::1")), (Some(9), Some(3), None, None));
        m.load(0, [(b"x".to_vec(), Some(7)), (b"y".to_vec(), None)]);
        assert!(m.sets.act(0, SetAct::Isset, b"y") && m.sets.act(0, SetAct::Set, b"z") && !m.sets.act(0, SetAct::Set, b"z"));
        assert_eq!((m.sets.reputation(0, b"x"), m.sets.reputation(0, b"y")), (Some(7), None));
    }

    #[test]
    fn no_more_is_kept_than_there_is_room_for() {
        let mut m = Memory::default();
        for i in 0..(MAX_ENTRIES as u32 + 10) {
            m.set(Owner::Host(IpAddr::V4(i.into())), 1, 5_000_000, 9_000_000);
        }
        assert_eq!(m.bits.len(), MAX_ENTRIES);
        m.set(Owner::Host(IpAddr::V4(u32::MAX.into())), 1, 10_000_000, 19_000_000);
        assert_eq!(m.bits.len(), 1, "what has run out goes");
    }
}
