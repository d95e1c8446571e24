//! What comes out: rules that matched, and what becomes of the packet and its flow.

use ips_rules::header::Action;

/// A rule that matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Hit {
    /// Index of the rule in [`crate::Tables::rules`]; smaller ones take precedence.
    pub rule: u32,
    /// What it does; a rate filter may have changed it.
    pub action: Action,
    /// The transaction it matched in.
    pub tx: Option<u64>,
    /// It matched in the stream rather than in the packet.
    pub stream: bool,
    /// It is to be told. Set by [`crate::Tables::settle`].
    pub told: bool,
    /// It counts for the whole flow: not only for this packet.
    pub flow: bool,
}

/// What a set knows of a value that a rule found in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// The rule, as in [`Hit::rule`].
    pub rule: u32,
    /// The set: its index in [`crate::Tables::sets`].
    pub set: u16,
    /// JSON.
    pub json: std::sync::Arc<str>,
}

/// Rules that matched with one packet.
#[derive(Debug, Default)]
pub struct Hits {
    /// Which; in order of precedence after [`crate::Tables::settle`].
    pub list: Vec<Hit>,
    /// How many were to be told beyond the bound, and were not.
    pub discarded: u32,
    /// What sets know of values that rules found in them.
    pub contexts: Vec<Context>,
}

impl Hits {
    /// Forgets them, for the next packet.
    pub fn clear(&mut self) {
        self.list.clear();
        self.discarded = 0;
        self.contexts.clear();
    }
}

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[must_use]
pub struct Verdict {
    /// Goes no further.
    pub drop: bool,
    /// All of the flow goes no further.
    pub drop_flow: bool,
    /// Let through whatever later rules say.
    pub pass: bool,
    /// All of the flow is let through unseen.
    pub pass_flow: bool,
    /// The source is told that it was dropped.
    pub reject_source: bool,
    /// The destination is told.
    pub reject_destination: bool,
    /// The flow need not be looked at any further, whatever comes.
    pub bypass: bool,
    /// The packet is to be kept with what a rule tagged.
    pub tagged: bool,
    /// A rule tags with this packet.
    pub tags: bool,
    /// Nothing is to be logged of the transaction, the flow.
    pub quiet_tx: bool,
    /// Nothing is to be logged of the flow.
    pub quiet_flow: bool,
    /// Which hit decided on dropping.
    pub dropped_by: Option<u32>,
    /// It drops because a rate filter says so.
    pub dropped_by_rate: bool,
}
