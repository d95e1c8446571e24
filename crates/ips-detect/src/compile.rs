//! Typed rules to tables: names become numbers, tests programs, contents matchers. Never: changes what a rule means; where it is looked
//! for first is the only choice made here.

mod checks;
mod places;

use crate::{
    check::{BitAt, Cond, IntWith, app_bit, app_bits},
    order,
    program::{self, Names},
    state::Unit,
    tables::{Act, Group, Kind, Layer, Options, Place, Rate, Ready, Refused, Tables},
    transform::Step,
};
use checks::{Checks, checks};
use ips_rules::{
    Rule,
    buffer::{Buffer, Over, Side},
    condition::{Bit, Dataset, Effect, Operand, Scope, Test, Transform},
    config::{Change, Override},
    header::{Action, Direction, Protocol},
};
use places::{packets, transactions};
use rustc_hash::FxHashMap;
use std::sync::Arc;

/// Groups and conditions on a transaction that one rule may have: one bit each, two for other use.
const MAX_PARTS: usize = 60;
/// Seconds that a bit of a host or pair lasts where the rule does not say: the peer's defaults.
const HOST_SECONDS: u32 = 300;
const PAIR_SECONDS: u32 = 30;

/// Names with their numbers.
#[derive(Default)]
struct Interner {
    numbers: FxHashMap<String, u16>,
    names: Vec<String>,
    sets: Vec<Dataset>,
    categories: Vec<String>,
    places: Vec<Place>,
    known: FxHashMap<(Buffer, Vec<Transform>), u16>,
}

fn short(n: usize) -> u16 {
    u16::try_from(n).unwrap_or(u16::MAX)
}

impl Names for Interner {
    fn name(&mut self, name: &str) -> u16 {
        if let Some(n) = self.numbers.get(name) {
            return *n;
        }
        let n = short(self.names.len());
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), n);
        n
    }
    fn set(&mut self, set: &Dataset) -> u16 {
        if let Some(at) = self.sets.iter().position(|s| s.name == set.name) {
            let known = &mut self.sets[at];
            if known.kind.is_none() {
                known.kind.clone_from(&set.kind);
            }
            for s in set.settings.iter().filter(|s| !known.settings.contains(s)).cloned().collect::<Vec<_>>() {
                known.settings.push(s);
            }
            return short(at);
        }
        self.sets.push(set.clone());
        short(self.sets.len() - 1)
    }
}

impl Interner {
    fn category(&mut self, name: &str) -> u16 {
        let at = self.categories.iter().position(|c| c == name).unwrap_or_else(|| {
            self.categories.push(name.to_owned());
            self.categories.len() - 1
        });
        short(at)
    }
    fn place(&mut self, buffer: Buffer, transforms: &[Transform]) -> u16 {
        let key = (buffer, transforms.to_vec());
        if let Some(p) = self.known.get(&key) {
            return *p;
        }
        let p = short(self.places.len());
        self.places.push(Place { buffer, steps: transforms.iter().map(Step::of).collect() });
        self.known.insert(key, p);
        p
    }
    fn bit(&mut self, bit: &Bit) -> BitAt {
        BitAt { scope: bit.scope, name: self.name(&bit.name) }
    }
    fn with(&mut self, with: &Operand) -> IntWith {
        match with {
            Operand::Number(n) => IntWith::Is(*n),
            Operand::Variable(v) => IntWith::Of(self.name(v)),
        }
    }
}

/// Whether a buffer is the packet's own.
pub(crate) fn of_packet(buffer: Buffer) -> bool {
    buffer != Buffer::Base64 && !matches!(buffer.row().over, Over::Apps(_))
}

/// Directions a buffer is looked at in.
fn sides_of(buffer: Buffer) -> u8 {
    match buffer {
        // Answers repeat the question; the peer looks at it in the question only.
        Buffer::DnsQuery => 1,
        _ => side_bits(buffer.row().side),
    }
}

fn side_bits(side: Side) -> u8 {
    match side {
        Side::Client => 1,
        Side::Server => 2,
        Side::Both => 3,
    }
}

/// For each group of the rule: whether it is about the packet, and its number among those.
type Numbering = Vec<Option<(bool, usize)>>;

fn groups(rule: &Rule, names: &mut Interner) -> (Vec<Group>, Vec<Group>, Numbering) {
    let decoded: Vec<Test> = rule.groups.iter().filter(|g| g.buffer == Buffer::Base64).flat_map(|g| g.tests.clone()).collect();
    let (mut packet, mut tx, mut at) = (Vec::new(), Vec::new(), Vec::new());
    for g in &rule.groups {
        if g.buffer == Buffer::Base64 {
            at.push(None);
            continue;
        }
        let has_base64 = g.tests.iter().any(|t| matches!(t, Test::Base64 { .. }));
        let group = Group {
            place: names.place(g.buffer, &g.transforms),
            buffer: g.buffer,
            ops: program::compile(&g.tests, names).into(),
            decoded: (has_base64 && !decoded.is_empty()).then(|| program::compile(&decoded, names).into()),
            absent: g.tests.iter().find_map(|t| if let Test::Absent { or_else } = t { Some(*or_else) } else { None }),
            sides: sides_of(g.buffer),
        };
        let list = if of_packet(g.buffer) { &mut packet } else { &mut tx };
        at.push(Some((of_packet(g.buffer), list.len())));
        list.push(group);
    }
    (packet, tx, at)
}

fn acts(rule: &Rule, names: &mut Interner) -> (Vec<Act>, bool) {
    let (mut out, mut noalert) = (Vec::new(), rule.header.action == Action::Config);
    for e in &rule.effects {
        out.push(match e {
            Effect::Set(b, seconds) => {
                let usual = if b.scope == Scope::Pair { PAIR_SECONDS } else { HOST_SECONDS };
                Act::Set(names.bit(b), seconds.unwrap_or(usual))
            }
            Effect::Unset(b) => Act::Unset(names.bit(b)),
            Effect::Toggle(b) => Act::Toggle(names.bit(b)),
            Effect::FlowInt { name, operation, by } => {
                Act::FlowInt(names.name(name), operation.as_bytes().first().copied().unwrap_or(b'='), names.with(by))
            }
            Effect::NoAlert => {
                noalert = true;
                continue;
            }
            Effect::Alert => {
                noalert = false;
                continue;
            }
            Effect::Tag { host, count, unit } => Act::Tag {
                host: *host,
                count: *count,
                unit: match unit.as_str() {
                    "seconds" => Unit::Seconds,
                    "bytes" => Unit::Bytes,
                    _ => Unit::Packets,
                },
            },
            Effect::Bypass => Act::Bypass,
            Effect::Config { what, scope, .. } if what == "logging" => {
                if scope == "flow" {
                    Act::QuietFlow
                } else {
                    Act::QuietTx
                }
            }
            Effect::StoreFile(..) | Effect::StoreCertificate | Effect::Config { .. } => continue,
        });
    }
    (out, noalert)
}

fn layer(p: Protocol) -> Layer {
    match p {
        Protocol::Ip => Layer::Ip,
        Protocol::Ipv4 => Layer::Ipv4,
        Protocol::Ipv6 => Layer::Ipv6,
        Protocol::Tcp | Protocol::TcpPackets | Protocol::TcpBytes => Layer::Tcp,
        Protocol::Udp => Layer::Udp,
        Protocol::Icmp => Layer::Icmp,
        Protocol::Icmpv4 => Layer::Icmpv4,
        Protocol::Icmpv6 => Layer::Icmpv6,
        Protocol::Sctp => Layer::Sctp,
        Protocol::PacketHeader | Protocol::App(_) => Layer::Any,
    }
}

/// Classes of packets a rule may be about: TCP, UDP, ICMP, ICMPv6, others.
fn classes(p: Protocol) -> &'static [usize] {
    match layer(p) {
        Layer::Tcp => &[0],
        Layer::Udp => &[1],
        Layer::Icmp => &[2, 3],
        Layer::Icmpv4 => &[2],
        Layer::Icmpv6 => &[3],
        Layer::Sctp => &[4],
        _ if matches!(p, Protocol::App(_)) => &[0, 1],
        _ => &[0, 1, 2, 3, 4],
    }
}

/// A rule, and how its groups are numbered.
fn ready(rule: &Rule, names: &mut Interner, overrides: &[Override]) -> Result<(Ready, Checks, Numbering), String> {
    let mut checks = checks(rule, names)?;
    let (packet_groups, groups, at) = groups(rule, names);
    let both = rule.header.direction == Direction::Transaction;
    for g in &groups {
        if let Over::Apps(apps) = g.buffer.row().over {
            checks.about(apps.iter().map(|a| app_bit(*a)).fold(0, |a, b| a | b));
        }
        if !both {
            checks.sides &= g.sides;
        }
    }
    if let Protocol::App(app) = rule.header.protocol {
        checks.about(app_bits(app));
    }
    let transaction = !groups.is_empty() || !checks.tx.is_empty();
    if groups.len() + checks.tx.len() > MAX_PARTS {
        return Err(format!("more than {MAX_PARTS} buffers and conditions on a transaction"));
    }
    let (acts, noalert) = acts(rule, names);
    let payload: Vec<&Test> = rule.groups.iter().filter(|g| g.buffer == Buffer::Payload).flat_map(|g| &g.tests).collect();
    checks.packet |= rule.header.protocol == Protocol::TcpPackets;
    checks.packet |= packet_groups.iter().any(|g| g.buffer != Buffer::Payload);
    checks.stream |= rule.header.protocol == Protocol::TcpBytes;
    let placed = payload.iter().any(|t| matches!(t, Test::Content(c) if c.depth.is_some() || c.offset.is_some() || c.startswith));
    let (in_stream, in_packet) = match (checks.stream, checks.packet) {
        (false, false) => (true, placed),
        pair => pair,
    };
    let only_sets = |a: &Act| matches!(a, Act::Set(BitAt { scope: Scope::Flow, .. }, _) | Act::Tag { .. });
    let by_address = packet_groups.is_empty()
        && !transaction
        && checks.apps == 0
        && checks.sides == 3
        && checks.conds.iter().all(|c| matches!(c, Cond::Reputation { .. }))
        && acts.iter().all(only_sets);
    let kind = match (transaction, by_address) {
        (true, _) => Kind::Transaction,
        (_, true) => Kind::Addresses,
        _ => Kind::Packet,
    };
    let found_now = kind == Kind::Packet
        && packet_groups.is_empty()
        && checks.conds.iter().all(|c| matches!(c, Cond::Application { .. }))
        && !checks.conds.is_empty();
    let h = &rule.header;
    let mut limit = rule.limit;
    let (mut suppress, mut rates) = (Vec::new(), Vec::new());
    let mut quiet = false;
    for o in overrides.iter().filter(|o| (o.gid == 0 || o.gid == rule.meta.gid) && (o.sid == 0 || o.sid == rule.meta.sid)) {
        match &o.change {
            // A rule's own limit is stronger than one for all.
            Change::Threshold(l) if o.sid != 0 || rule.limit.is_none() => limit = Some(*l),
            Change::Threshold(_) => {}
            Change::Suppress(None) => quiet = true,
            Change::Suppress(Some((track, addresses))) => suppress.push(Some((*track, addresses.clone()))),
            Change::Rate { track, count, seconds, action, timeout } => rates.push(Rate {
                track: *track,
                count: *count,
                seconds: *seconds,
                timeout: *timeout,
                action: match action.as_str() {
                    "drop" => Action::Drop,
                    "reject" => Action::RejectSource,
                    "pass" => Action::Pass,
                    _ => Action::Alert,
                },
            }),
        }
    }
    let ready = Ready {
        kind,
        layer: layer(h.protocol),
        direction: h.direction,
        source: Arc::clone(&h.source),
        destination: Arc::clone(&h.destination),
        source_ports: Arc::clone(&h.source_ports),
        destination_ports: Arc::clone(&h.destination_ports),
        any_address: h.source.is_any() && h.destination.is_any(),
        any_port: h.source_ports.is_all() && h.destination_ports.is_all(),
        apps: checks.apps,
        sides: checks.sides,
        conds: std::mem::take(&mut checks.conds).into(),
        packet_groups: packet_groups.into(),
        groups: groups.into(),
        tx_conds: std::mem::take(&mut checks.tx).into(),
        in_stream,
        in_packet,
        only_stream: rule.flow().is_some_and(|f| f.stream == Some(true)),
        found_now,
        once: false,
        variables: short(rule.groups.iter().map(|g| program::variables(&g.tests)).max().unwrap_or(0)),
        acts: acts.into(),
        action: h.action,
        noalert: noalert || quiet,
        of_flow: kind != Kind::Packet || checks.apps != 0 || found_now,
        limit,
        suppress: suppress.into(),
        rates: rates.into(),
    };
    Ok((ready, checks, at))
}

/// Where a rule is looked for.
struct Looked {
    /// Bytes in the payload.
    payload: Option<Vec<u8>>,
    /// Bytes in a place of a transaction.
    place: Option<(u16, Vec<u8>)>,
    event: Option<String>,
}

/// Tables.
pub(crate) fn build(rules: Vec<Rule>, options: &Options) -> (Tables, Vec<Refused>) {
    let mut names = Interner::default();
    let (mut kept, mut refused) = (Vec::new(), Vec::new());
    let mut out = Tables { most_told: options.most_told, ..Tables::default() };
    let mut looked: Vec<Looked> = Vec::new();
    for rule in order::sort(rules, &options.order) {
        let (mut r, checks, at) = match ready(&rule, &mut names, &options.overrides) {
            Ok(r) => r,
            Err(why) => {
                refused.push(Refused { sid: rule.meta.sid, why });
                continue;
            }
        };
        let found = rule.prefilter.as_ref().and_then(|p| Some((p, at.get(p.group).copied().flatten()?)));
        let (mut payload, mut place) = (None, None);
        match found {
            Some((p, (true, at))) if r.packet_groups[at].buffer == Buffer::Payload && rule.groups[p.group].transforms.is_empty() => {
                payload = Some(p.bytes.clone());
            }
            Some((p, (false, at))) => {
                place = Some((r.groups[at].place, p.bytes.clone()));
                r.once = r.direction != Direction::Transaction && !crate::transaction::grows(r.groups[at].buffer);
            }
            _ => {}
        }
        looked.push(Looked { payload, place, event: checks.event });
        out.variables = out.variables.max(usize::from(r.variables));
        out.ready.push(r);
        kept.push(rule);
    }
    packets(&mut out, &kept, &looked);
    transactions(&mut out, &looked);
    out.rules = kept;
    out.names = names.names;
    out.sets = names.sets;
    out.categories = names.categories;
    out.places = names.places;
    (out, refused)
}
