//! Typed rules to tables: names become numbers, tests programs, contents matchers. Never: changes what a rule means; where it is looked
//! for first is the only choice made here.

use crate::{
    check::{AppMode, BitAt, Cond, Ends, IntCompare, IntWith, Sum, app_bit, app_bits},
    fields, matcher, order,
    ports::ByPort,
    program::{self, Names},
    seen::Known,
    state::Unit,
    tables::{
        APPS, Act, AppTable, Engine, Group, Kind, Layer, Options, PROTOCOLS, PacketGroup, PacketTable, Place, Rate, Ready, Refused, Tables,
        TxCond,
    },
    transform::Step,
};
use ips_rules::{
    Rule,
    buffer::{Buffer, Over, Side},
    condition::{Bit, Check, Dataset, Effect, FileCheck, Flow, Operand, Quantity, Scope, Test, Transform},
    config::{Change, Override},
    header::{Action, App, Direction, Protocol},
    ranges::Ranges,
};
use rustc_hash::FxHashMap;
use std::{collections::BTreeMap, sync::Arc};

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

fn side_bits(side: Side) -> u8 {
    match side {
        Side::Client => 1,
        Side::Server => 2,
        Side::Both => 3,
    }
}

/// Applications of names in events and keywords, by what stands before the first dot or underscore.
fn apps_named(name: &str) -> u64 {
    let head = name.split(['.', '_']).next().unwrap_or_default();
    match head {
        "http" => app_bits(App::Http),
        "http2" => app_bit(App::Http2) | app_bit(App::Http),
        "dns" | "mdns" => app_bits(App::Dns),
        "tls" | "ssl" => app_bit(App::Tls),
        "ssh" => app_bit(App::Ssh),
        "smtp" => app_bit(App::Smtp),
        "ftp" => app_bit(App::Ftp),
        "ftpdata" => app_bit(App::FtpData),
        "smb" => app_bit(App::Smb),
        "dcerpc" => app_bits(App::Dcerpc),
        "quic" => app_bit(App::Quic),
        "websocket" => app_bit(App::Websocket),
        _ => 0,
    }
}

const FILES: [App; 8] = [App::Http, App::Http1, App::Http2, App::Smtp, App::Smb, App::FtpData, App::Ftp, App::Nfs];

fn files() -> u64 {
    FILES.iter().map(|a| app_bit(*a)).fold(0, |a, b| a | b)
}

/// Applications that a number of a transaction belongs to.
fn apps_of_quantity(q: Quantity) -> u64 {
    use Quantity as Q;
    match q {
        Q::FileSize => files(),
        Q::TlsChainLength | Q::TlsNotBefore | Q::TlsNotAfter => app_bit(App::Tls),
        Q::DnsOpcode | Q::DnsRcode | Q::DnsRrtype => app_bits(App::Dns),
        Q::DceOpnum => app_bits(App::Dcerpc),
        Q::SshVersion => app_bit(App::Ssh),
        Q::WebsocketMask | Q::WebsocketOpcode => app_bit(App::Websocket),
        Q::Http2SizeUpdate | Q::Http2Window | Q::Http2Priority => app_bit(App::Http2) | app_bit(App::Http),
        Q::FtpPort => app_bit(App::Ftp),
        Q::HttpUriLength | Q::HttpRawUriLength => app_bits(App::Http),
        _ => 0,
    }
}

/// What a rule's checks become.
#[derive(Default)]
struct Checks {
    conds: Vec<Cond>,
    tx: Vec<TxCond>,
    /// Applications that they are about; 0 while none said.
    apps: u64,
    /// They are about the packet as it came, so that payload is the packet's.
    packet: bool,
    stream: bool,
    sides: u8,
    event: Option<String>,
}

impl Checks {
    fn about(&mut self, apps: u64) {
        if apps != 0 {
            self.apps = if self.apps == 0 { apps } else { self.apps & apps };
        }
    }
}

fn ends(name: &str) -> Ends {
    match name {
        "client" | "src" => Ends::First,
        "server" | "dst" => Ends::Second,
        "both" => Ends::Both,
        _ => Ends::Either,
    }
}

/// Kinds of options of IPv4 (IANA); none for any.
fn ip_option(name: &str) -> Option<u8> {
    Some(match name {
        "rr" => 7,
        "eol" => 0,
        "nop" => 1,
        "ts" => 68,
        "sec" => 130,
        "esec" => 133,
        "lsrr" => 131,
        "ssrr" => 137,
        "satid" => 136,
        "cipso" => 134,
        "qs" => 25,
        "rtralt" => 148,
        _ => return None,
    })
}

fn checksum(name: &str) -> Option<Sum> {
    Some(match name {
        "ipv4" => Sum::Ipv4,
        "tcpv4" => Sum::TcpV4,
        "tcpv6" => Sum::TcpV6,
        "udpv4" => Sum::UdpV4,
        "udpv6" => Sum::UdpV6,
        "icmpv4" => Sum::Icmpv4,
        "icmpv6" => Sum::Icmpv6,
        _ => return None,
    })
}

fn split(list: &[(bool, String)]) -> (Vec<String>, Vec<String>) {
    let of = |n: bool| list.iter().filter(|(negated, _)| *negated == n).map(|(_, v)| v.clone()).collect();
    (of(false), of(true))
}

fn checks(rule: &Rule, names: &mut Interner) -> Result<Checks, String> {
    let mut out = Checks { sides: 3, ..Checks::default() };
    for check in &rule.checks {
        match check {
            Check::Flow(f) => {
                out.sides &= f.side.map_or(3, side_bits);
                match f.stream {
                    Some(true) => out.stream = true,
                    Some(false) => out.packet = true,
                    None => {}
                }
                if *f != (Flow { stream: f.stream, ..Flow::default() }) {
                    out.conds.push(Cond::Flow(*f));
                }
            }
            Check::Quantity(q, n) if fields::of_packet(*q) => {
                use Quantity as Q;
                let of_flow = matches!(
                    q,
                    Q::FlowAge
                        | Q::FlowPackets
                        | Q::FlowPacketsToServer
                        | Q::FlowPacketsToClient
                        | Q::FlowBytes
                        | Q::FlowBytesToServer
                        | Q::FlowBytesToClient
                        | Q::VlanLayers
                        | Q::VlanId
                );
                out.packet |= !of_flow;
                out.conds.push(Cond::Quantity(*q, *n));
            }
            Check::Quantity(q, n) => {
                out.about(apps_of_quantity(*q));
                out.tx.push(TxCond::Quantity(*q, *n));
            }
            Check::SameIp => {
                out.packet = true;
                out.conds.push(Cond::SameIp);
            }
            Check::TcpFlags(b) => {
                out.packet = true;
                out.conds.push(Cond::TcpFlags(*b));
            }
            Check::FragBits(b) => {
                out.packet = true;
                out.conds.push(Cond::FragBits(*b));
            }
            Check::IpOption(name) => {
                out.packet = true;
                out.conds.push(Cond::IpOption(ip_option(name)));
            }
            Check::Checksum(name, valid) => {
                out.packet = true;
                out.conds.push(Cond::Checksum(checksum(name).ok_or_else(|| format!("no checksum `{name}`"))?, *valid));
            }
            Check::Bits { any, negated } => {
                out.conds.push(Cond::Bits { any: any.iter().map(|b| names.bit(b)).collect(), negated: *negated });
            }
            Check::FlowInt { name, compare, with } => {
                let compare = match compare.as_str() {
                    "==" => IntCompare::Equal,
                    "!=" => IntCompare::Not,
                    "<" => IntCompare::Less,
                    "<=" => IntCompare::AtMost,
                    ">" => IntCompare::Greater,
                    ">=" => IntCompare::AtLeast,
                    other => return Err(format!("no comparison `{other}`")),
                };
                out.conds.push(Cond::FlowInt { name: names.name(name), compare, with: names.with(with) });
            }
            Check::FlowIntSet { name, set } => out.conds.push(Cond::FlowIntSet { name: names.name(name), set: *set }),
            Check::StreamSize { side, size } => {
                out.packet = true;
                out.conds.push(Cond::StreamSize { ends: ends(side), size: *size });
            }
            Check::Application { name, negated, mode } => {
                let (want, apps) = match name.as_str() {
                    "unknown" => (Known::Unknown, 0),
                    "failed" => (Known::Failed, 0),
                    name => {
                        let app = ips_rules::header::app(name).ok_or_else(|| format!("no application `{name}`"))?;
                        (Known::Is(app), app_bits(app))
                    }
                };
                let mode = match mode.as_deref() {
                    Some("to_server") => AppMode::ToServer,
                    Some("to_client") => AppMode::ToClient,
                    Some("either") => AppMode::Either,
                    Some("final") => AppMode::Final,
                    Some("original") => AppMode::Original,
                    _ => AppMode::Direction,
                };
                out.conds.push(Cond::Application { want, apps, negated: *negated, mode });
            }
            Check::ApplicationEvent(name) if name.starts_with("applayer_") => out.conds.push(Cond::AppEvent(name.clone())),
            Check::ApplicationEvent(name) => {
                out.about(apps_named(name));
                out.event = Some(name.clone());
                out.tx.push(TxCond::Event(name.clone()));
            }
            Check::DecodeEvent(name) => {
                out.packet = true;
                out.conds.push(Cond::DecodeEvent(name.clone()));
            }
            Check::StreamEvent(name) => {
                out.packet = true;
                out.conds.push(Cond::StreamEvent(name.clone()));
            }
            Check::IpReputation { side, category, compare } => {
                out.conds.push(Cond::Reputation { ends: ends(side), category: names.category(category), compare: *compare });
            }
            Check::File(f) => {
                out.about(files());
                out.tx.push(match f {
                    FileCheck::Name(negated, text) => {
                        TxCond::FileName { negated: *negated, text: text.to_ascii_lowercase().into_bytes(), extension: false }
                    }
                    FileCheck::Extension(negated, text) => TxCond::FileName {
                        negated: *negated,
                        text: format!(".{}", text.to_ascii_lowercase()).into_bytes(),
                        extension: true,
                    },
                    FileCheck::Magic(negated, text) => {
                        TxCond::FileMagic { negated: *negated, text: text.to_ascii_lowercase().into_bytes() }
                    }
                    FileCheck::Digest(kind, list, negated) => {
                        let step = match kind.as_str() {
                            "md5" => Step::Md5,
                            "sha1" => Step::Sha1,
                            "sha256" => Step::Sha256,
                            other => return Err(format!("no digest `{other}`")),
                        };
                        let set =
                            Dataset { name: list.clone(), kind: Some(kind.clone()), settings: vec![("load".to_owned(), list.clone())] };
                        TxCond::FileDigest { step, set: names.set(&set), negated: *negated }
                    }
                });
            }
            Check::TlsVersion(list) | Check::TlsState(list) => {
                out.about(app_bit(App::Tls));
                let keyword = if matches!(check, Check::TlsVersion(_)) { "tls.version" } else { "ssl_state" };
                let (any, none) = split(list);
                out.tx.push(TxCond::NamedSet(keyword, any, none));
            }
            Check::TlsDate(which, n) => {
                out.about(app_bit(App::Tls));
                let q = if which == "notbefore" { Quantity::TlsNotBefore } else { Quantity::TlsNotAfter };
                out.tx.push(TxCond::Quantity(q, *n));
            }
            Check::TlsInForce(valid) => {
                out.about(app_bit(App::Tls));
                out.tx.push(TxCond::InForce(*valid));
            }
            Check::DceInterface { uuid, version, any_fragment } => {
                out.about(app_bits(App::Dcerpc));
                let keyword = if *any_fragment { "dcerpc.iface.any_frag" } else { "dcerpc.iface" };
                let value = version.map_or_else(|| uuid.clone(), |v| format!("{uuid},{}", written(v)));
                out.tx.push(TxCond::Named(keyword.to_owned(), value, false));
            }
            Check::DceOperation(ranges) => {
                out.about(app_bits(App::Dcerpc));
                out.tx.push(TxCond::Operations(ranges.clone()));
            }
            Check::Named(keyword, value) => {
                out.about(apps_named(keyword));
                let (negated, value) = value.strip_prefix('!').map_or((false, value.as_str()), |v| (true, v.trim()));
                out.tx.push(TxCond::Named(keyword.clone(), value.to_owned(), negated));
            }
        }
    }
    Ok(out)
}

/// A comparison as rules write it.
fn written(n: ips_rules::num::Number) -> String {
    use ips_rules::num::Number as N;
    match n {
        N::Is(v) => format!("={v}"),
        N::Not(v) => format!("!{v}"),
        N::Below(v) => format!("<{v}"),
        N::AtMost(v) => format!("<={v}"),
        N::Above(v) => format!(">{v}"),
        N::AtLeast(v) => format!(">={v}"),
        N::Between(a, b) => format!("{a}<>{b}"),
        N::NotBetween(a, b) => format!("!{a}<>{b}"),
        N::Mask { mask, value, negated } => format!("&{mask}{}{value}", if negated { "!=" } else { "=" }),
    }
}

fn groups(rule: &Rule, names: &mut Interner) -> (Vec<Group>, Vec<Group>, Vec<Option<(bool, usize)>>) {
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
            sides: side_bits(g.buffer.row().side),
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
fn ready(rule: &Rule, names: &mut Interner, overrides: &[Override]) -> Result<(Ready, Checks, Vec<Option<(bool, usize)>>), String> {
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
        found_now,
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
    for rule in order::sort(rules) {
        let (r, checks, at) = match ready(&rule, &mut names, &options.overrides) {
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
            Some((p, (false, at))) => place = Some((r.groups[at].place, p.bytes.clone())),
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

/// Ports a rule is about, at the end that is the server in a direction: a rule about either way is about both.
fn ports(r: &Ready, side: usize) -> Ranges<u16> {
    let (near, far) = if side == 0 { (&r.destination_ports, &r.source_ports) } else { (&r.source_ports, &r.destination_ports) };
    if r.direction == Direction::To { (**near).clone() } else { Ranges::of(near.parts().iter().chain(far.parts()).copied().collect()) }
}

fn packets(out: &mut Tables, rules: &[Rule], looked: &[Looked]) {
    out.addresses = (0..PROTOCOLS).map(|_| Default::default()).collect();
    let mut lists: Vec<[Vec<(u32, Ranges<u16>)>; 2]> = (0..PROTOCOLS).map(|_| Default::default()).collect();
    for (i, r) in out.ready.iter().enumerate() {
        let index = u32::try_from(i).unwrap_or(u32::MAX);
        if r.kind == Kind::Transaction && looked[i].payload.is_none() {
            continue;
        }
        let event = |c: &Cond| match c {
            Cond::DecodeEvent(n) => Some((0, n.clone())),
            Cond::StreamEvent(n) => Some((1, n.clone())),
            Cond::AppEvent(n) => Some((2, n.clone())),
            _ => None,
        };
        if let (None, Some((which, name))) = (&looked[i].payload, r.conds.iter().find_map(event)) {
            let table = match which {
                0 => &mut out.decode_events,
                1 => &mut out.stream_events,
                _ => &mut out.app_events,
            };
            table.entry(name).or_default().push(index);
            continue;
        }
        for class in classes(rules[i].header.protocol) {
            for side in 0..2 {
                if r.sides & (1 << side) == 0 {
                    continue;
                }
                match r.kind {
                    Kind::Addresses => out.addresses[*class][side].push(index),
                    _ => lists[*class][side].push((index, ports(r, side))),
                }
            }
        }
    }
    let empty = Arc::new(matcher::Matcher::default());
    for (class, pair) in lists.into_iter().enumerate() {
        let mut tables: [PacketTable; 2] = Default::default();
        for (side, list) in pair.into_iter().enumerate() {
            let by_port = if class < 2 {
                ByPort::of(&list)
            } else {
                ByPort::of(&list.into_iter().map(|(r, _)| (r, Ranges::all())).collect::<Vec<_>>())
            };
            for group in &by_port.groups {
                let (mut packet, mut stream) = (matcher::Builder::default(), matcher::Builder::default());
                let mut plain = Vec::new();
                for rule in group {
                    let (r, l) = (&out.ready[*rule as usize], &looked[*rule as usize]);
                    let Some(bytes) = &l.payload else {
                        plain.push(*rule);
                        continue;
                    };
                    // Only TCP has a stream.
                    if class == 0 && r.in_stream {
                        stream.add(bytes, *rule);
                    }
                    if class != 0 || r.in_packet {
                        packet.add(bytes, *rule);
                    }
                }
                let of = |b: matcher::Builder| if b.is_empty() { Arc::clone(&empty) } else { Arc::new(b.build()) };
                tables[side].groups.push(PacketGroup { packet: of(packet), stream: of(stream), plain });
            }
            tables[side].ports = by_port;
        }
        out.packets.push(tables);
    }
}

fn transactions(out: &mut Tables, looked: &[Looked]) {
    out.apps = (0..APPS).map(|_| Default::default()).collect();
    // Applications that are read alike have the same rules, and share their matchers.
    let mut built: FxHashMap<(u16, Vec<u32>), Arc<matcher::Matcher>> = FxHashMap::default();
    for app in 0..APPS {
        for side in 0..2 {
            let mut wanted: BTreeMap<u16, (Buffer, Vec<u32>)> = BTreeMap::new();
            let mut table = AppTable::default();
            for (i, r) in out.ready.iter().enumerate() {
                let index = u32::try_from(i).unwrap_or(u32::MAX);
                if r.kind != Kind::Transaction || r.apps >> app & 1 == 0 || r.sides & (1 << side) == 0 {
                    continue;
                }
                let l = &looked[i];
                match (&l.place, &l.payload, &l.event) {
                    (Some((place, _)), _, _) => {
                        let Some(group) = r.groups.iter().find(|g| g.place == *place) else { continue };
                        if group.sides & (1 << side) != 0 {
                            wanted.entry(*place).or_insert_with(|| (group.buffer, Vec::new())).1.push(index);
                        }
                    }
                    // Found in the packet, and carried over.
                    (None, Some(_), _) => {}
                    (None, None, Some(event)) => table.events.entry(event.clone()).or_default().push(index),
                    (None, None, None) => table.plain.push(index),
                }
            }
            for (place, (buffer, rules)) in wanted {
                let matcher = built.entry((place, rules)).or_insert_with_key(|(_, rules)| {
                    let mut b = matcher::Builder::default();
                    for rule in rules {
                        if let Some((_, bytes)) = &looked[*rule as usize].place {
                            b.add(bytes, *rule);
                        }
                    }
                    Arc::new(b.build())
                });
                table.engines.push(Engine { place, buffer, matcher: Arc::clone(matcher) });
            }
            out.apps[app][side] = table;
        }
    }
}
