//! The form: tables, chains, rules, sets, in the kernel's own terms. Numbers are `u128` throughout, so that addresses of
//! both families, ports, marks and enumerations share one interval type.

use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that filters on one machine (one network namespace).
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Ruleset {
    /// Tables, in no particular order: the kernel orders base chains by hook and priority.
    pub tables: Vec<Table>,
    /// Things that may filter or translate but cannot be read (tc, XDP, legacy iptables): each turns a "cannot reach"
    /// into "unproven".
    pub unread: Vec<String>,
}

impl Ruleset {
    /// The table of this family and name.
    pub fn table(&self, family: TableFamily, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.family == family && t.name == name)
    }
}

/// Family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "nft's own words")]
pub enum TableFamily {
    Ip,
    Ip6,
    Inet,
    Arp,
    Bridge,
    Netdev,
}

/// Who wrote a table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Writer {
    /// nft.
    #[default]
    Nft,
    /// iptables-nft: read through iptables-save, since nft's JSON shows its matches only in part.
    Iptables,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Table {
    /// Family.
    pub family: TableFamily,
    /// Name, e.g. `ravelin`.
    pub name: String,
    /// Who wrote it.
    pub writer: Writer,
    /// Chains, in order of definition.
    pub chains: Vec<Chain>,
    /// Named sets and maps.
    pub sets: BTreeMap<String, Set>,
}

impl Table {
    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|c| c.name == name)
    }
}

/// A chain; a base chain where it has a hook.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Chain {
    /// Name.
    pub name: String,
    /// Where it hooks in; `None` for a chain that is only jumped to.
    pub base: Option<Base>,
    /// Rules in order.
    pub rules: Vec<Rule>,
}

/// Where a base chain hooks in.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Base {
    /// Type.
    pub kind: ChainKind,
    /// Hook.
    pub hook: Hook,
    /// Priority as a number (filter is 0, raw -300, mangle -150, dstnat -100, security 50, srcnat 100).
    pub priority: i32,
    /// What happens to packets that reach the end.
    pub policy: Policy,
    /// Devices, for ingress and egress hooks.
    pub devices: Vec<String>,
}

/// Type of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "nft's own words")]
pub enum ChainKind {
    Filter,
    Nat,
    Route,
}

/// Hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "nft's own words")]
pub enum Hook {
    Ingress,
    Prerouting,
    Input,
    Forward,
    Output,
    Postrouting,
    Egress,
}

impl Hook {
    /// nft's word for it.
    pub fn name(self) -> &'static str {
        match self {
            Hook::Ingress => "ingress",
            Hook::Prerouting => "prerouting",
            Hook::Input => "input",
            Hook::Forward => "forward",
            Hook::Output => "output",
            Hook::Postrouting => "postrouting",
            Hook::Egress => "egress",
        }
    }
}

/// Policy of a base chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "nft's own words")]
pub enum Policy {
    Accept,
    Drop,
}

/// A rule: statements evaluated left to right; a match that fails ends the rule.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Rule {
    /// Ravelin's rule id, carried in the comment (`f1a2b3c4`, `NET001`); for others' rules the comment, if any.
    pub id: Option<String>,
    /// Statements.
    pub statements: Vec<Statement>,
    /// The text it was read from or will be written as, for people; not part of the meaning.
    pub text: Option<String>,
    /// Packets and bytes, where it was read from a kernel and counts.
    pub counted: Option<Counted>,
}

/// A counter's reading.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Counted {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// What a packet is asked.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Key {
    /// Input device name; values are [`Value::Name`].
    Iifname,
    /// Output device name.
    Oifname,
    /// Network protocol: 2 is v4, 10 is v6 (NFPROTO numbers).
    NfProto,
    /// Transport protocol number (`meta l4proto`; for v6 the last header).
    L4Proto,
    /// IPv4 source. Implies v4.
    Ip4Saddr,
    /// IPv4 destination. Implies v4.
    Ip4Daddr,
    /// IPv6 source. Implies v6.
    Ip6Saddr,
    /// IPv6 destination. Implies v6.
    Ip6Daddr,
    /// Transport source port (`th sport`, `tcp sport`, `udp sport`).
    Sport,
    /// Transport destination port.
    Dport,
    /// ICMP type (v4). Implies ICMP.
    IcmpType,
    /// ICMP code (v4).
    IcmpCode,
    /// ICMPv6 type. Implies ICMPv6.
    Icmp6Type,
    /// ICMPv6 code.
    Icmp6Code,
    /// TCP flags byte (fin 1, syn 2, rst 4, psh 8, ack 16, urg 32).
    TcpFlags,
    /// Connection state bits as nft prints them: invalid 1, established 2, related 4, new 8, untracked 64.
    CtState,
    /// Connection status bits (dnat 32, snat 16, assured 4, ...).
    CtStatus,
    /// 0 original, 1 reply.
    CtDirection,
    /// Connection mark.
    CtMark,
    /// Packet mark.
    Mark,
    /// Packet type: 0 unicast, 1 broadcast, 2 multicast.
    PktType,
    /// Address type of the destination by the routing table (`fib daddr type`; numbers of `rtm_type`: unicast 1, local 2, broadcast 3, multicast 5).
    FibDaddrType,
    /// Whether the route back to the source leaves through the device it came in on (`fib saddr . iif oif`): 0 is missing.
    FibReversePath,
    /// Hop limit or TTL.
    HopLimit,
    /// Fragment offset and more-fragments (`ip frag-off`), or presence of the v6 fragment header.
    Fragment,
    /// Type of the IPv6 routing header (`rt type`). A packet without one has none.
    RoutingType,
    /// User id of the sending socket (`meta skuid`).
    SkUid,
    /// Original destination before translation (`ct original ip daddr`), v4.
    CtOrigIp4Daddr,
    /// Original destination port before translation (`ct original proto-dst`).
    CtOrigDport,
    /// Anything else, by nft's name for it: never decided, may be any value.
    Other(String),
}

/// One value or interval of a key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Value {
    /// `first..=last`; a single number where they are equal. Prefixes are intervals.
    Range(u128, u128),
    /// A device name, exactly.
    Name(String),
    /// A device name's beginning (`br-*`).
    NamePrefix(String),
}

impl Value {
    /// A single number.
    pub fn one(n: impl Into<u128>) -> Self {
        let n = n.into();
        Value::Range(n, n)
    }
}

/// How a key is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Op {
    /// In any of the values.
    In,
    /// In none of them.
    NotIn,
}

/// One statement of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Statement {
    /// `key & mask` is (not) in the values. `mask` is `None` for all bits. For bit fields (`ct state`, `tcp flags`):
    /// `ct state new,established` is `In` over the single bits, without mask; `tcp flags & (fin|syn) == syn` has the mask.
    Match {
        /// What is asked.
        key: Key,
        /// Bits looked at.
        mask: Option<u128>,
        /// How.
        op: Op,
        /// Values; for `In` any of them.
        values: Vec<Value>,
    },
    /// The concatenated keys are (not) in a named set. A dynamic set's content depends on the past: may, but not must.
    Lookup {
        /// Keys, in the set's order.
        keys: Vec<Key>,
        /// The set.
        set: String,
        /// Not in it.
        negated: bool,
    },
    /// Jump by verdict map.
    VerdictMap {
        /// Keys, in the map's order.
        keys: Vec<Key>,
        /// The map.
        map: MapRef,
    },
    /// Ends the rule.
    Verdict(Verdict),
    /// Counts.
    Counter,
    /// Logs; matches always.
    Log {
        /// Text before the packet's description.
        prefix: Option<String>,
        /// nflog group; the kernel log otherwise.
        group: Option<u16>,
        /// Bytes of the packet handed over.
        snaplen: Option<u32>,
    },
    /// Goes on only while the rate is below (or, with `over`, above) the limit: may, but not must.
    Limit {
        /// Units.
        rate: u64,
        /// `second`, `minute`, `hour`, `day`.
        per: String,
        /// Burst in units.
        burst: u64,
        /// Inverted.
        over: bool,
        /// Rate is in bytes, not packets.
        bytes: bool,
    },
    /// `ct count`: goes on only while below (or over) so many connections: may, but not must.
    ConnLimit {
        /// Connections.
        count: u32,
        /// Inverted.
        over: bool,
    },
    /// Adds to or updates a dynamic set, with statements per element (a limit makes the match depend on the past).
    Dynamic {
        /// `add`, `update`, `delete`.
        op: String,
        /// Keys, in the set's order.
        keys: Vec<DynKey>,
        /// The set.
        set: String,
        /// Per-element statements.
        statements: Vec<Statement>,
    },
    /// Translates.
    Nat(Nat),
    /// Writes a mark, `(old & !mask) | value`, or the hop limit, as a whole.
    SetMark {
        /// [`Key::Mark`], [`Key::CtMark`] or [`Key::HopLimit`].
        key: Key,
        /// Bits written; all where `None`.
        mask: Option<u32>,
        /// Value; `None` where it is copied from the other mark.
        value: Option<u32>,
    },
    /// Leaves tracking.
    Notrack,
    /// Answers SYNs with cookies.
    Synproxy,
    /// Hands over to user space.
    Queue {
        /// First queue.
        first: u16,
        /// Last queue.
        last: u16,
        /// Accept where nobody listens.
        bypass: bool,
    },
    /// Not understood: may match or not, may do anything short of a verdict, unless `verdict` says otherwise.
    Unknown {
        /// What it was.
        text: String,
    },
}

/// A key of a dynamic set, masked where `/64` accounting is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DynKey {
    /// The key.
    pub key: Key,
    /// Bits kept.
    pub mask: Option<u128>,
}

/// A map, named or written in place.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MapRef {
    /// In [`Table::sets`].
    Named(String),
    /// In place.
    Inline(Vec<Element>),
}

/// What becomes of the packet.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// This base chain is done; later ones still see it.
    Accept,
    /// Gone.
    Drop,
    /// Gone, with an answer (`tcp reset`, `icmpx admin-prohibited`, ...).
    Reject(String),
    /// Call.
    Jump(String),
    /// Call without return.
    Goto(String),
    /// Back to the caller; the policy in a base chain.
    Return,
    /// Next rule.
    Continue,
}

/// A translation.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Nat {
    /// Kind.
    pub kind: NatKind,
    /// Family it applies to; both where `None` (masquerade, redirect).
    pub family: Option<words::Family>,
    /// New address or addresses.
    pub address: NatTarget,
    /// New port or ports.
    pub port: Option<(u16, u16)>,
    /// `random`, `persistent`, ...
    pub flags: Vec<String>,
}

/// Kind of translation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "nft's own words")]
pub enum NatKind {
    Snat,
    Dnat,
    Masquerade,
    Redirect,
}

/// Where a translation gets its address from.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatTarget {
    /// Unchanged, or the interface's own.
    None,
    /// One address or a range.
    Addr(u128, u128),
    /// From a map of `keys -> address` or `keys -> address . port`; no element, no translation.
    Map {
        /// Keys, in the map's order.
        keys: Vec<Key>,
        /// The map.
        map: MapRef,
    },
}

/// A named set or map.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Set {
    /// nft type per dimension: `ipv4_addr`, `ipv6_addr`, `inet_proto`, `inet_service`, `ifname`, `mark`, ...
    pub types: Vec<String>,
    /// For maps: `verdict`, or the value's type per dimension.
    pub map: Option<Vec<String>>,
    /// Elements may be intervals.
    pub interval: bool,
    /// Filled from the packet path, or with timeouts: content depends on the past.
    pub dynamic: bool,
    /// Default lifetime of an element in seconds.
    pub timeout: Option<u64>,
    /// Most elements.
    pub size: Option<u32>,
    /// Each element counts.
    pub counter: bool,
    /// Ravelin's note.
    pub comment: Option<String>,
    /// Elements.
    pub elements: Vec<Element>,
}

/// An element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Element {
    /// One value per dimension.
    pub key: Vec<Value>,
    /// What a map holds for it.
    pub data: Option<Data>,
    /// Ravelin's rule id (`f1a2b3c4`).
    pub id: Option<String>,
    /// Seconds it lives.
    pub timeout: Option<u64>,
    /// Reading, where it counts.
    pub counted: Option<Counted>,
}

/// What a map holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// A verdict.
    Verdict(Verdict),
    /// Address, or address and port, or a mark: one number per dimension.
    Numbers(Vec<u128>),
}
