//! What rules keep with a flow and with a transaction. Made empty by the engine, dropped with the flow.

use crate::counter::Counter;

/// Most rules that may wait in one transaction; beyond, further ones are tried once only.
pub(crate) const MAX_WAITING: usize = 4_096;

/// What rules keep with a flow.
#[derive(Debug, Default)]
pub struct FlowState {
    /// Names of bits that are set, sorted.
    pub(crate) bits: Vec<u16>,
    /// Variables with their values.
    pub(crate) ints: Vec<(u16, u32)>,
    /// Rules by address only were tried, by direction.
    pub(crate) addresses: [bool; 2],
    /// Counts by rule.
    pub(crate) counts: Vec<(u32, Counter)>,
    /// What was tagged.
    pub(crate) tag: Option<Tag>,
    /// Bytes that expressions kept, by name; told with the flow.
    pub captures: Vec<(u16, Vec<u8>)>,
    /// A rule let all of the flow through.
    pub passed: bool,
    /// A rule dropped all of the flow.
    pub dropped: bool,
    /// A rule left the flow to go by itself.
    pub bypassed: bool,
}

impl FlowState {
    /// Empties it for another flow, and keeps its room.
    pub fn clear(&mut self) {
        self.bits.clear();
        self.ints.clear();
        self.counts.clear();
        self.captures.clear();
        self.addresses = [false; 2];
        self.tag = None;
        (self.passed, self.dropped, self.bypassed) = (false, false, false);
    }
    pub(crate) fn has(&self, bit: u16) -> bool {
        self.bits.binary_search(&bit).is_ok()
    }
    pub(crate) fn set(&mut self, bit: u16) {
        if let Err(at) = self.bits.binary_search(&bit) {
            self.bits.insert(at, bit);
        }
    }
    pub(crate) fn unset(&mut self, bit: u16) {
        if let Ok(at) = self.bits.binary_search(&bit) {
            self.bits.remove(at);
        }
    }
    pub(crate) fn int(&self, name: u16) -> Option<u32> {
        self.ints.iter().find(|(n, _)| *n == name).map(|(_, v)| *v)
    }
    pub(crate) fn set_int(&mut self, name: u16, value: u32) {
        match self.ints.iter_mut().find(|(n, _)| *n == name) {
            Some((_, v)) => *v = value,
            None => self.ints.push((name, value)),
        }
    }
    /// Numbers of the bits that are set; their names are in [`crate::Tables::name`].
    pub fn bits(&self) -> &[u16] {
        &self.bits
    }
    /// Numbers and values of its variables.
    pub fn ints(&self) -> &[(u16, u32)] {
        &self.ints
    }
}

/// How long packets are kept after a match.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tag {
    pub left: u32,
    pub unit: Unit,
    pub since: u64,
}

/// What a tag is measured in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unit {
    Packets,
    Seconds,
    Bytes,
}

/// What rules keep with a transaction. One for both directions.
#[derive(Debug, Default)]
pub struct TxState {
    pub(crate) sides: [SideState; 2],
    /// Rules that look at both directions.
    pub(crate) both: Vec<Waiting>,
    /// Names of bits that are set.
    pub(crate) bits: Vec<u16>,
}

impl TxState {
    /// Empties it for another transaction, and keeps its room: nothing is allocated for the next one.
    pub fn clear(&mut self) {
        for side in &mut self.sides {
            side.scanned.fill(0);
            side.grown.clear();
            side.rules.clear();
            (side.events, side.closed) = (0, false);
        }
        self.both.clear();
        self.bits.clear();
    }
}

/// One direction.
#[derive(Debug, Default)]
pub(crate) struct SideState {
    /// Places that were looked for contents in: one bit each.
    pub scanned: Vec<u64>,
    /// For growing places: how far; place and end.
    pub grown: Vec<(u16, u64)>,
    /// Events that were looked at.
    pub events: usize,
    /// Rules that wait or are done, by rule.
    pub rules: Vec<Waiting>,
    /// Everything was decided.
    pub closed: bool,
}

/// A rule that was tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Waiting {
    pub rule: u32,
    /// Groups and conditions that hold: one bit each; all bits: the rule is done.
    pub holds: u64,
}

/// The rule has been decided.
pub(crate) const DONE: u64 = u64::MAX;

/// Finds a rule's entry.
pub(crate) fn find(list: &[Waiting], rule: u32) -> Result<usize, usize> {
    list.binary_search_by_key(&rule, |w| w.rule)
}

/// Keeps what is known of a rule.
pub(crate) fn keep(list: &mut Vec<Waiting>, rule: u32, holds: u64) {
    match find(list, rule) {
        Ok(at) => list[at].holds = holds,
        Err(at) if list.len() < MAX_WAITING => list.insert(at, Waiting { rule, holds }),
        Err(_) => {}
    }
}
