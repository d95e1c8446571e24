//! The builder of one machine's table. In come small wishes ("this chain refuses the rest under this id"), out comes the
//! table with an explanation for every id in it. Never: decides who may talk to whom.

use crate::index::Index;
use crate::{Devices, MachinePlan, Options, RuleInfo, TABLE};
use ruleset::{Base, Chain, ChainKind, Hook, Key, Op, Policy, Rule, Ruleset, Set, Statement, Table, TableFamily, Value, Verdict, Writer};
use site::model::{Flow, Host, Mode, Model};
use std::collections::BTreeMap;
use words::{Digest, Family, Origin, ZoneName};

/// Log lines per second and rule: enough to see an attack, too few to fill a disk (10/s is under 200 MB a day).
pub const LOG_PER_SECOND: u64 = 10;
/// Log lines in a burst.
pub const LOG_BURST: u64 = 20;
/// Longest id in bytes: the kernel's log prefix has 127 (`NF_LOG_PREFIXLEN`), the words before it take 19.
pub const MAX_ID: usize = 100;

/// NFPROTO numbers.
pub(crate) const NF_V4: u128 = 2;
pub(crate) const NF_V6: u128 = 10;

/// One machine's table while it grows.
pub(crate) struct Build<'a> {
    pub model: &'a Model,
    pub index: &'a Index<'a>,
    pub host: &'a Host,
    pub options: Options,
    pub mode: Mode,
    pub devices: BTreeMap<ZoneName, String>,
    pub table: Table,
    pub rules: BTreeMap<String, RuleInfo>,
    /// The flows the machine may have a part in.
    pub flows: Vec<&'a Flow>,
    /// Whether UFW filters the machine.
    pub ufw: bool,
    /// Whether the reasons are kept: a proof asks for the ruleset alone.
    pub explains: bool,
}

impl<'a> Build<'a> {
    pub fn new(index: &'a Index<'a>, host: &'a Host, devices: &Devices, mode: Mode, options: Options) -> Self {
        let table =
            Table { family: TableFamily::Inet, name: TABLE.to_owned(), writer: Writer::Nft, chains: Vec::new(), sets: BTreeMap::new() };
        let flows = index.flows_of(host);
        let ufw = crate::ufw::rules(host, mode, &devices.ufw);
        let devices = devices.of(index.model, host);
        Self { model: index.model, index, host, options, mode, devices, table, rules: BTreeMap::new(), flows, ufw, explains: true }
    }

    /// Whether refusals only count.
    pub fn observing(&self) -> bool {
        self.mode == Mode::Observe
    }

    /// Whether each element that lets a flow pass counts on its own. An edge node in force counts by pair of zones: a counter of its own is a
    /// cache line of its own for every new connection (`docs/performance.md`), and the host at the flow's end counts it by flow anyway.
    pub fn counts_by_flow(&self) -> bool {
        self.observing() || !self.model.edge.nodes.contains(&self.host.name)
    }

    /// Adds a base chain that drops what reaches its end, or, while observing, lets it pass.
    pub fn base(&mut self, name: &str, kind: ChainKind, hook: Hook, priority: i32, policy: Policy, rules: Vec<Rule>) {
        let policy = if self.observing() { Policy::Accept } else { policy };
        let base = Base { kind, hook, priority, policy, devices: Vec::new() };
        self.table.chains.push(Chain { name: name.to_owned(), base: Some(base), rules });
    }

    /// Adds a chain that is jumped to.
    pub fn chain(&mut self, name: String, rules: Vec<Rule>) {
        self.table.chains.push(Chain { name, base: None, rules });
    }

    /// Adds a set.
    pub fn set(&mut self, name: &str, set: Set) {
        self.table.sets.insert(name.to_owned(), set);
    }

    /// Remembers why an id is there: what it does, what for, where it comes from. The first reason stays.
    pub fn explain(&mut self, id: &str, reason: impl FnOnce() -> (String, String, Vec<Origin>)) {
        if !self.explains || self.rules.contains_key(id) {
            return;
        }
        let (what, why, origins) = reason();
        self.rules.insert(id.to_owned(), RuleInfo { what, why, origins, host: self.host.name.clone() });
    }

    /// A rule of Ravelin's own under an id, explained.
    pub fn builtin(&mut self, id: &str, what: &str, why: &str, statements: Vec<Statement>) -> Rule {
        let id = short(id);
        self.explain(&id, || (what.to_owned(), why.to_owned(), vec![Origin::Builtin { code: id.clone(), why: why.to_owned() }]));
        Rule { id: Some(id), statements, ..Rule::default() }
    }

    /// The two rules that refuse what `when` describes: a rate-limited log line with the id, and a counted drop. While
    /// observing the drop is an accept, and the log line says `would-drop`.
    pub fn refuse(&mut self, id: &str, what: &str, why: &str, when: Vec<Statement>) -> Vec<Rule> {
        let (word, verdict) = if self.observing() { ("would-drop", Verdict::Accept) } else { ("drop", Verdict::Drop) };
        let prefix = format!("ravelin {word} {} ", short(id));
        let log = Statement::Log { prefix: Some(prefix), group: None, snaplen: None };
        let limit = Statement::Limit { rate: LOG_PER_SECOND, per: "second".to_owned(), burst: LOG_BURST, over: false, bytes: false };
        let first = [when.clone(), vec![limit, log]].concat();
        let second = [when, vec![Statement::Counter, Statement::Verdict(verdict)]].concat();
        vec![self.builtin(id, what, why, first), self.builtin(id, what, why, second)]
    }

    /// What a chain does with packets past a limit: as [`Build::refuse`], but while observing the packet goes on, since the
    /// chains behind still have to judge it.
    pub fn exceed(&mut self, id: &str, what: &str, why: &str) -> Vec<Rule> {
        let mut rules = self.refuse(id, what, why, Vec::new());
        if self.observing() {
            rules.iter_mut().for_each(|r| r.statements.retain(|s| !matches!(s, Statement::Verdict(_))));
        }
        rules
    }

    /// The finished plan of this machine.
    pub fn finish(self, role: crate::Role, sysctls: Vec<crate::Sysctl>) -> MachinePlan {
        MachinePlan {
            host: self.host.name.clone(),
            role,
            mode: self.mode,
            devices: self.devices,
            ruleset: Ruleset { tables: vec![self.table], unread: Vec::new() },
            ufw: None,
            sysctls,
            addresses: Vec::new(),
            leaves_addresses: false,
            pair: None,
            rules: self.rules,
            system: None,
            selinux: None,
        }
    }
}

/// An id no longer than [`MAX_ID`]: longer ones keep their beginning and get eight digits of their digest.
pub(crate) fn short(id: &str) -> String {
    if id.len() <= MAX_ID {
        return id.to_owned();
    }
    let cut: String = id.chars().take(MAX_ID - 9).collect();
    format!("{cut}~{}", Digest::of(id.as_bytes()).short())
}

/// `key` is one of these values.
pub(crate) fn is(key: Key, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::Match { key, mask: None, op: Op::In, values: values.into_iter().collect() }
}

/// `key` is none of these values.
pub(crate) fn is_not(key: Key, values: impl IntoIterator<Item = Value>) -> Statement {
    Statement::Match { key, mask: None, op: Op::NotIn, values: values.into_iter().collect() }
}

/// `key` is one of these numbers.
pub(crate) fn one_of(key: Key, numbers: &[u128]) -> Statement {
    is(key, numbers.iter().map(|&n| Value::one(n)))
}

/// Keys of a family: source and destination address.
pub(crate) fn addresses(family: Family) -> (Key, Key) {
    match family {
        Family::V4 => (Key::Ip4Saddr, Key::Ip4Daddr),
        Family::V6 => (Key::Ip6Saddr, Key::Ip6Daddr),
    }
}

/// nft's type of an address of a family.
pub(crate) fn address_type(family: Family) -> String {
    match family {
        Family::V4 => "ipv4_addr",
        Family::V6 => "ipv6_addr",
    }
    .to_owned()
}

/// The digit families have in names of sets.
pub(crate) fn digit(family: Family) -> char {
    match family {
        Family::V4 => '4',
        Family::V6 => '6',
    }
}

/// A named set of prefixes of one family; prefixes inside others are left out, since an interval set refuses them.
pub(crate) fn prefix_set(family: Family, nets: &[ipnet::IpNet]) -> Set {
    let mut nets: Vec<ipnet::IpNet> = nets.iter().filter(|n| Family::of(&n.addr()) == family).map(ipnet::IpNet::trunc).collect();
    // Single addresses are a hash set: one lookup instead of a tree.
    let interval = nets.iter().any(|n| n.prefix_len() != n.max_prefix_len());
    if interval {
        nets = ipnet::IpNet::aggregate(&nets);
    } else {
        nets.sort_unstable();
        nets.dedup();
    }
    let elements = nets
        .iter()
        .map(|n| ruleset::Element { key: vec![crate::grant::interval(n)], data: None, id: None, timeout: None, counted: None })
        .collect();
    Set { types: vec![address_type(family)], interval, elements, ..Set::default() }
}
