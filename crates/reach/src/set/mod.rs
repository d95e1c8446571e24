//! Packet sets as interval decision diagrams: hash-consed nodes, one level per field, edges as sorted disjoint intervals
//! that cover the field's whole domain. Two sets are equal exactly where their handles are.
//!
//! In come intervals of fields and rows of them, out come sets, and from sets packets and boxes. Never: a set that
//! depends on the order in which it was made.

mod build;
mod ops;
mod rewind;
mod view;

pub(crate) use build::Cell;
pub(crate) use rewind::Mark;
pub use view::Boxed;

use crate::field::Field;
use rustc_hash::{FxHashMap, FxHasher};
use std::hash::Hasher;

/// A set of packets: a handle into the [`Store`] that made it. By default no packet is in it.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set(u32);

impl Set {
    /// No packet.
    pub const EMPTY: Set = Set(0);
    /// Every packet.
    pub const FULL: Set = Set(1);
    /// Whether no packet is in it.
    pub fn is_empty(self) -> bool {
        self == Set::EMPTY
    }
}

/// Level of the two terminals: below every field.
const TERMINAL: u8 = u8::MAX;

#[derive(Debug, Clone, Copy)]
struct Node {
    level: u8,
    start: u32,
    len: u32,
    /// Next node with the same hash, 0 for none.
    next: u32,
}

/// Entries after which a memo table is emptied: about 100 MB at the most over all tables.
const MEMO_LIMIT: usize = 1 << 20;

/// Where sets live. Handles of one store mean nothing in another.
#[derive(Debug)]
pub struct Store {
    nodes: Vec<Node>,
    /// Last value of each edge; the first is one past the last of the edge before.
    lasts: Vec<u128>,
    /// Where each edge leads.
    children: Vec<Set>,
    unique: FxHashMap<u64, u32>,
    memo: [FxHashMap<u64, Set>; 3],
    forgotten: FxHashMap<u64, Set>,
    /// Spare edge lists, so that recursion does not allocate.
    spare: Vec<Vec<(u128, Set)>>,
}

impl Default for Store {
    fn default() -> Self {
        Self::new()
    }
}

impl Store {
    /// An empty store.
    pub fn new() -> Self {
        let terminal = Node { level: TERMINAL, start: 0, len: 0, next: 0 };
        Self {
            nodes: vec![terminal, terminal],
            lasts: Vec::new(),
            children: Vec::new(),
            unique: FxHashMap::default(),
            memo: [FxHashMap::default(), FxHashMap::default(), FxHashMap::default()],
            forgotten: FxHashMap::default(),
            spare: Vec::new(),
        }
    }

    /// Nodes made so far: a measure of memory.
    pub fn nodes(&self) -> usize {
        self.nodes.len()
    }
    /// Edges made so far: a measure of memory, 20 bytes each.
    pub fn edges(&self) -> usize {
        self.lasts.len()
    }

    fn level(&self, s: Set) -> u8 {
        self.nodes[s.0 as usize].level
    }

    /// Edges of a node as a range into `lasts` and `children`.
    fn range(&self, s: Set) -> std::ops::Range<usize> {
        let n = &self.nodes[s.0 as usize];
        n.start as usize..(n.start + n.len) as usize
    }

    fn buffer(&mut self) -> Vec<(u128, Set)> {
        self.spare.pop().unwrap_or_default()
    }

    /// Appends an edge, merging it with the one before where both lead to the same place.
    fn push(edges: &mut Vec<(u128, Set)>, last: u128, child: Set) {
        match edges.last_mut() {
            Some(e) if e.1 == child => e.0 = last,
            _ => edges.push((last, child)),
        }
    }

    /// The node with these edges, which must cover the domain and differ from neighbour to neighbour.
    fn node(&mut self, level: u8, mut edges: Vec<(u128, Set)>) -> Set {
        let made = match edges.as_slice() {
            [] => Set::EMPTY,
            [(_, child)] => *child,
            _ => self.unique(level, &edges),
        };
        edges.clear();
        self.spare.push(edges);
        made
    }

    fn unique(&mut self, level: u8, edges: &[(u128, Set)]) -> Set {
        let hash = hash(level, edges.iter().copied());
        let first = self.unique.get(&hash).copied().unwrap_or(0);
        let mut at = first;
        while at != 0 {
            let n = self.nodes[at as usize];
            let r = n.start as usize..(n.start + n.len) as usize;
            if n.level == level
                && n.len as usize == edges.len()
                && r.clone().zip(edges).all(|(i, e)| self.lasts[i] == e.0 && self.children[i] == e.1)
            {
                return Set(at);
            }
            at = n.next;
        }
        let id = index(self.nodes.len());
        self.nodes.push(Node { level, start: index(self.lasts.len()), len: index(edges.len()), next: first });
        self.lasts.extend(edges.iter().map(|e| e.0));
        self.children.extend(edges.iter().map(|e| e.1));
        self.unique.insert(hash, id);
        Set(id)
    }

    /// Packets whose field lies in `first..=last`; both are cut to the field's domain.
    pub fn interval(&mut self, field: Field, first: u128, last: u128) -> Set {
        self.span(field, (first, last), Set::FULL)
    }

    /// Packets whose field has this value.
    pub fn value(&mut self, field: Field, value: u128) -> Set {
        self.interval(field, value, value)
    }
}

fn hash(level: u8, edges: impl Iterator<Item = (u128, Set)>) -> u64 {
    let mut h = FxHasher::default();
    h.write_u8(level);
    for (last, child) in edges {
        h.write_u128(last);
        h.write_u32(child.0);
    }
    h.finish()
}

/// Four billion nodes would need a hundred gigabytes first: running past that is a bug, and stopping is the safe side.
fn index(n: usize) -> u32 {
    u32::try_from(n).unwrap_or_else(|_| panic!("bug: more than u32::MAX nodes or edges in a store of packet sets"))
}
