//! Rules, compiled: what is looked for where, and the room that looking needs. Built once; read by all workers at once.

use crate::{
    check::{BitAt, Cond, IntWith},
    inspect::Room,
    matcher::{Marks, Matcher},
    memory::Memory,
    ports::ByPort,
    program::Op,
    stats::{Clock, RuleStats},
    transform::Step,
};
use ips_rules::{
    Rule,
    buffer::Buffer,
    condition::{Dataset, Limit, Target, Track},
    config::Override,
    group::{Addresses, Ports},
    header::{Action, Direction},
    num::Number,
};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Hits told with one packet: the peer's default (`packet-alert-max`).
const MOST_TOLD: usize = 15;

/// Settings.
#[derive(Debug, Clone)]
pub struct Options {
    /// Hits told with one packet; further ones are counted.
    pub most_told: usize,
    /// Lines of threshold files.
    pub overrides: Vec<Override>,
    /// Which action takes precedence over which; one kind of rejecting stands for all.
    pub order: Vec<Action>,
}

impl Default for Options {
    fn default() -> Self {
        Self { most_told: MOST_TOLD, overrides: Vec::new(), order: crate::order::ACTIONS.to_vec() }
    }
}

/// A rule that cannot be compiled, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Its number.
    pub sid: u32,
    /// Why.
    pub why: String,
}

/// A set that rules name: the caller loads and keeps it.
pub type SetInfo = Dataset;

/// A group: conditions on one buffer.
#[derive(Debug)]
pub(crate) struct Group {
    pub place: u16,
    pub buffer: Buffer,
    pub ops: Box<[Op]>,
    /// Tests on what its `base64_decode` yields.
    pub decoded: Option<Box<[Op]>>,
    /// The buffer is not there; true: or its tests hold.
    pub absent: Option<bool>,
    /// Directions it may be looked at in: one bit each.
    pub sides: u8,
}

/// Kinds of digests of files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DigestKind {
    Md5,
    Sha1,
    Sha256,
}

/// What is asked of a transaction beside its buffers.
#[derive(Debug)]
pub(crate) enum TxCond {
    Quantity(ips_rules::condition::Quantity, Number),
    /// Keyword, value, negated.
    Named(String, String, bool),
    /// Any of the first, none of the second.
    NamedSet(&'static str, Vec<String>, Vec<String>),
    Event(String),
    /// `notbefore` or `notafter` of a certificate.
    Date(&'static str, Number),
    InForce(bool),
    Operations(Vec<(u16, u16)>),
    /// A call goes to an interface; only its first fragment counts where not any does.
    Interface {
        uuid: [u8; 16],
        version: Option<Number>,
        any_fragment: bool,
    },
    FileName {
        negated: bool,
        text: Vec<u8>,
        extension: bool,
    },
    FileMagic {
        negated: bool,
        text: Vec<u8>,
    },
    FileDigest {
        kind: DigestKind,
        set: u16,
        negated: bool,
    },
}

/// What a match changes.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    Set(BitAt, u32),
    Unset(BitAt),
    Toggle(BitAt),
    /// Name, `=`, `+` or `-`, by what.
    FlowInt(u16, u8, IntWith),
    Tag {
        host: Option<Target>,
        count: u32,
        unit: crate::state::Unit,
    },
    Bypass,
    QuietTx,
    QuietFlow,
}

/// What kind of rule it is: where it is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Addresses and ports only: once in each direction of a flow.
    Addresses,
    /// Packets, and the stream.
    Packet,
    /// Transactions.
    Transaction,
}

/// Which layers a rule is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layer {
    Any,
    Ip,
    Ipv4,
    Ipv6,
    Tcp,
    Udp,
    Icmp,
    Icmpv4,
    Icmpv6,
    Sctp,
}

/// A rule, ready to be tried.
#[derive(Debug)]
pub(crate) struct Ready {
    pub kind: Kind,
    pub layer: Layer,
    pub direction: Direction,
    pub source: Arc<Addresses>,
    pub destination: Arc<Addresses>,
    pub source_ports: Arc<Ports>,
    pub destination_ports: Arc<Ports>,
    pub any_address: bool,
    pub any_port: bool,
    /// Applications; 0 for all.
    pub apps: u64,
    /// Directions: one bit each.
    pub sides: u8,
    pub conds: Box<[Cond]>,
    /// Groups about the packet.
    pub packet_groups: Box<[Group]>,
    /// Groups about the transaction.
    pub groups: Box<[Group]>,
    pub tx_conds: Box<[TxCond]>,
    /// Payload is looked for in the stream, in the packet.
    pub in_stream: bool,
    pub in_packet: bool,
    /// Holds only where its payload is found in the stream.
    pub only_stream: bool,
    /// Only where the application was found just now.
    pub found_now: bool,
    /// It comes up once in a transaction's direction: nothing need be kept of it once it is decided.
    pub once: bool,
    pub variables: u16,
    pub acts: Box<[Act]>,
    pub action: Action,
    pub noalert: bool,
    /// Its action is the flow's, rather than the packet's.
    pub of_flow: bool,
    pub limit: Option<Limit>,
    pub suppress: Box<[Option<(Track, Addresses)>]>,
    pub rates: Box<[Rate]>,
}

/// A rate filter.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rate {
    pub track: Track,
    pub count: u32,
    pub seconds: u32,
    pub timeout: u32,
    pub action: Action,
}

/// A buffer with what is done to its bytes.
#[derive(Debug)]
pub(crate) struct Place {
    pub buffer: Buffer,
    pub steps: Vec<Step>,
}

/// Rules about packets of one protocol in one direction at one group of ports.
#[derive(Default)]
pub(crate) struct PacketGroup {
    /// Looked for in packets.
    pub packet: Arc<Matcher>,
    /// Looked for in the stream, and in packets that are not part of it.
    pub stream: Arc<Matcher>,
    /// Tried always.
    pub plain: Vec<u32>,
}

/// Rules about packets of one protocol in one direction.
#[derive(Default)]
pub(crate) struct PacketTable {
    pub ports: ByPort,
    pub groups: Vec<PacketGroup>,
}

/// Contents of one place of an application.
pub(crate) struct Engine {
    pub place: u16,
    pub buffer: Buffer,
    pub matcher: Arc<Matcher>,
}

/// Rules about transactions of one application in one direction.
#[derive(Default)]
pub(crate) struct AppTable {
    pub engines: Vec<Engine>,
    /// Tried always.
    pub plain: Vec<u32>,
    pub events: FxHashMap<String, Vec<u32>>,
}

/// Protocols that packets are sorted by.
pub(crate) const PROTOCOLS: usize = 5;
/// Applications there are, at the most: one bit each.
pub(crate) const APPS: usize = 64;

/// Rules, compiled.
#[derive(Default)]
pub struct Tables {
    pub(crate) rules: Vec<Rule>,
    pub(crate) ready: Vec<Ready>,
    pub(crate) places: Vec<Place>,
    pub(crate) names: Vec<String>,
    pub(crate) sets: Vec<SetInfo>,
    pub(crate) categories: Vec<String>,
    /// By protocol and direction.
    pub(crate) packets: Vec<[PacketTable; 2]>,
    /// Rules by address only, by protocol and direction.
    pub(crate) addresses: Vec<[Vec<u32>; 2]>,
    /// By application and direction.
    pub(crate) apps: Vec<[AppTable; 2]>,
    /// Rules about what was unusual in a packet or stream.
    pub(crate) decode_events: FxHashMap<String, Vec<u32>>,
    pub(crate) stream_events: FxHashMap<String, Vec<u32>>,
    pub(crate) app_events: FxHashMap<String, Vec<u32>>,
    pub(crate) most_told: usize,
    pub(crate) variables: usize,
}

impl Tables {
    /// Compiles rules; those that cannot be are named. Rules are tried and take precedence in the order of [`Tables::rules`].
    pub fn build(rules: Vec<Rule>, options: &Options) -> (Self, Vec<Refused>) {
        crate::compile::build(rules, options)
    }

    /// The rules, in order of precedence; [`crate::Hit::rule`] is an index into them.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }
    /// Sets that rules name. The index is that of [`Memory::load`].
    pub fn sets(&self) -> &[SetInfo] {
        &self.sets
    }
    /// Digests of files that rules ask for: parsers are to make them.
    pub fn digests(&self) -> ips_proto::digest::Which {
        let mut out = ips_proto::digest::Which::default();
        for c in self.ready.iter().flat_map(|r| &r.tx_conds) {
            if let TxCond::FileDigest { kind, .. } = c {
                match kind {
                    DigestKind::Md5 => out.md5 = true,
                    DigestKind::Sha1 => out.sha1 = true,
                    DigestKind::Sha256 => out.sha256 = true,
                }
            }
        }
        let keeps = |e: &ips_rules::condition::Effect| matches!(e, ips_rules::condition::Effect::StoreFile(..));
        // What is kept is named by it, as with the peer.
        out.sha256 |= self.rules.iter().flat_map(|r| &r.effects).any(keeps);
        out
    }
    /// Categories of reputations that rules name. The index is that of [`Memory::reputation`].
    pub fn categories(&self) -> &[String] {
        &self.categories
    }
    /// The name of a bit or variable.
    pub fn name(&self, number: u16) -> &str {
        self.names.get(usize::from(number)).map_or("", String::as_str)
    }
    /// Empty memory for these rules.
    pub fn memory(&self) -> Memory {
        Memory::of(self.sets.len(), self.categories.len())
    }
    /// Room for one worker.
    pub fn scratch(&self) -> Scratch {
        let mut out = Scratch { stats: vec![RuleStats::default(); self.rules.len()], ..Scratch::default() };
        out.room.vars.resize(self.variables, 0);
        out
    }
    /// Bytes of memory of the matchers, about.
    pub fn matcher_memory(&self) -> usize {
        let engines = self.apps.iter().flatten().flat_map(|t| &t.engines).map(|e| e.matcher.memory());
        let groups = self.packets.iter().flatten().flat_map(|t| &t.groups).map(|g| g.packet.memory() + g.stream.memory());
        engines.sum::<usize>() + groups.sum::<usize>()
    }
}

/// A buffer of the transaction that is being looked at.
#[derive(Debug, Default)]
pub(crate) struct Slot {
    pub place: u16,
    pub toward: usize,
    pub index: usize,
    pub there: bool,
    pub bytes: Vec<u8>,
    pub lower: Vec<u8>,
    pub lowered: bool,
    pub offset: u64,
    pub last: bool,
}

/// Room that one worker looks in; nothing of it outlives a packet but the statistics.
#[derive(Debug, Default)]
pub struct Scratch {
    pub(crate) room: Room,
    pub(crate) marks: Marks,
    pub(crate) lower: Vec<u8>,
    pub(crate) chunk_lower: Vec<u8>,
    pub(crate) candidates: Vec<u32>,
    /// Rules about transactions whose content was found in this packet.
    pub(crate) carried: Vec<u32>,
    pub(crate) slots: Vec<Slot>,
    pub(crate) used: usize,
    pub(crate) raw: Vec<u8>,
    pub(crate) spare: Vec<u8>,
    /// How often each rule was tried; index as in [`Tables::rules`].
    pub stats: Vec<RuleStats>,
    /// Where set, the time of each try is counted.
    pub clock: Option<Clock>,
}

impl Scratch {
    /// Puts what a rule did into its statistics.
    pub(crate) fn count(&mut self, rule: u32, matched: bool, begun: Option<u64>) {
        if let Some(s) = self.stats.get_mut(rule as usize) {
            s.checks += 1;
            s.matches += u64::from(matched);
            if let (Some(clock), Some(begun)) = (self.clock, begun) {
                s.ticks += clock().saturating_sub(begun);
            }
        }
    }
}
