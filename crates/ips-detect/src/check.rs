//! Conditions on packet, flow and transaction, ready to be asked: names are numbers, words are types. In comes what was seen, out comes
//! yes, no, or (of a transaction) not yet.

use crate::{
    fields,
    memory::{Memory, Owner},
    seen::{FlowView, Known, Seen},
    state::FlowState,
};
use ips_proto::Toward;
use ips_rules::{
    buffer::Side,
    condition::{Bits, BitsHow, Flow, Quantity, State},
    header::App,
    num::Number,
};
use ips_wire::packet::{Network, Transport};

/// Where a bit is kept, and its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BitAt {
    pub scope: ips_rules::condition::Scope,
    pub name: u16,
}

/// A number of a flow's variable, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntWith {
    Is(u32),
    Of(u16),
}

impl IntWith {
    pub fn value(self, flow: &FlowState) -> Option<u32> {
        match self {
            Self::Is(n) => Some(n),
            Self::Of(name) => flow.int(name),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IntCompare {
    Equal,
    Not,
    Less,
    AtMost,
    Greater,
    AtLeast,
}

/// Which end, or ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    First,
    Second,
    Both,
    Either,
}

/// Which checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sum {
    Ipv4,
    TcpV4,
    TcpV6,
    UdpV4,
    UdpV6,
    Icmpv4,
    Icmpv6,
}

/// What of an application is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppMode {
    Direction,
    ToServer,
    ToClient,
    Either,
    Final,
    Original,
}

/// What is asked of packet and flow.
#[derive(Debug)]
pub(crate) enum Cond {
    Flow(Flow),
    Quantity(Quantity, Number),
    SameIp,
    TcpFlags(Bits),
    FragBits(Bits),
    IpOption(Option<u8>),
    Checksum(Sum, bool),
    Bits { any: Vec<BitAt>, negated: bool },
    FlowInt { name: u16, compare: IntCompare, with: IntWith },
    FlowIntSet { name: u16, set: bool },
    StreamSize { ends: Ends, size: Number },
    Application { want: Known, apps: u64, negated: bool, mode: AppMode },
    DecodeEvent(String),
    StreamEvent(String),
    AppEvent(String),
    Reputation { ends: Ends, category: u16, compare: Number },
}

/// One bit for each application.
pub(crate) fn app_bit(app: App) -> u64 {
    1 << (app as u32)
}

/// Applications that a rule about `app` is about too.
pub(crate) fn app_bits(app: App) -> u64 {
    match app {
        App::Http => app_bit(App::Http) | app_bit(App::Http1) | app_bit(App::Http2),
        App::Http1 => app_bit(App::Http) | app_bit(App::Http1),
        App::Http2 => app_bit(App::Http2),
        App::Dns | App::Doh2 => app_bit(App::Dns) | app_bit(App::Doh2) | if app == App::Doh2 { app_bit(App::Http2) } else { 0 },
        App::Dcerpc => app_bit(App::Dcerpc) | app_bit(App::Smb),
        other => app_bit(other),
    }
}

/// What a condition may look at and change.
pub(crate) struct Around<'a> {
    pub flow: Option<&'a mut FlowState>,
    pub memory: &'a mut Memory,
}

impl Around<'_> {
    fn has(&self, seen: &Seen<'_>, bit: BitAt, tx: &[u16]) -> bool {
        use ips_rules::condition::Scope;
        let (p, now) = (seen.packet, seen.packet.time);
        match bit.scope {
            Scope::Flow => self.flow.as_ref().is_some_and(|f| f.has(bit.name)),
            Scope::Source => self.memory.has(Owner::Host(p.source), bit.name, now),
            Scope::Destination => self.memory.has(Owner::Host(p.destination), bit.name, now),
            Scope::Pair => self.memory.has(Owner::pair(p.source, p.destination), bit.name, now),
            Scope::Transaction => tx.contains(&bit.name),
        }
    }
}

fn bits(now: u8, want: Bits) -> bool {
    let now = now & !want.ignored;
    match want.how {
        BitsHow::Exactly => now == want.bits,
        BitsHow::All => now & want.bits == want.bits && (want.bits != 0 || now == 0),
        BitsHow::Any => now & want.bits != 0,
        BitsHow::Not => now & want.bits != want.bits,
    }
}

fn ends(which: Ends, first: bool, second: bool) -> bool {
    match which {
        Ends::First => first,
        Ends::Second => second,
        Ends::Both => first && second,
        Ends::Either => first || second,
    }
}

impl Cond {
    /// Whether it holds. `tx`: bits of the transaction, where there is one.
    pub fn holds(&self, seen: &Seen<'_>, around: &Around<'_>, tx: &[u16]) -> bool {
        match self {
            Self::Flow(f) => flow(f, seen),
            Self::Quantity(q, n) => fields::compares(seen, *q, *n),
            Self::SameIp => !matches!(seen.packet.network, Network::None) && seen.packet.source == seen.packet.destination,
            Self::TcpFlags(want) => fields::tcp(seen).and_then(|h| h.get(13)).is_some_and(|now| bits(*now, *want)),
            Self::FragBits(want) => fields::fragment_bits(seen).is_some_and(|now| bits(now, *want)),
            Self::IpOption(kind) => fields::has_ip_option(seen, *kind),
            Self::Checksum(which, valid) => checksum(*which, seen) == Some(*valid),
            Self::Bits { any, negated } => any.iter().any(|b| around.has(seen, *b, tx) != *negated),
            Self::FlowInt { name, compare, with } => {
                let Some(state) = around.flow.as_ref() else { return false };
                let (Some(now), Some(with)) = (state.int(*name), with.value(state)) else { return false };
                match compare {
                    IntCompare::Equal => now == with,
                    IntCompare::Not => now != with,
                    IntCompare::Less => now < with,
                    IntCompare::AtMost => now <= with,
                    IntCompare::Greater => now > with,
                    IntCompare::AtLeast => now >= with,
                }
            }
            Self::FlowIntSet { name, set } => around.flow.as_ref().is_some_and(|f| f.int(*name).is_some() == *set),
            Self::StreamSize { ends: which, size } => match seen.flow.as_ref().and_then(|f| f.sent) {
                Some([client, server]) => ends(*which, size.holds(u64::from(client)), size.holds(u64::from(server))),
                None => false,
            },
            Self::Application { want, apps, negated, mode } => {
                seen.flow.as_ref().is_some_and(|f| application(f, seen.toward, *want, *apps, *mode, *negated))
            }
            Self::DecodeEvent(name) => seen.decode_events.iter().any(|e| e == name),
            Self::StreamEvent(name) => seen.stream_events.iter().any(|e| e == name),
            Self::AppEvent(name) => seen.app_events.iter().any(|e| e == name),
            Self::Reputation { ends: which, category, compare } => {
                let Some(table) = around.memory.reputations.get(usize::from(*category)) else { return false };
                let one = |a| table.get(a).is_some_and(|n| compare.holds(u64::from(n)));
                ends(*which, one(seen.packet.source), one(seen.packet.destination))
            }
        }
    }
}

fn flow(want: &Flow, seen: &Seen<'_>) -> bool {
    let state = match want.state {
        None | Some(State::Stateless) => true,
        Some(State::Established) => seen.flow.as_ref().is_some_and(|f| f.established),
        Some(State::NotEstablished) => seen.flow.as_ref().is_none_or(|f| !f.established),
    };
    let way = match want.side {
        None | Some(Side::Both) => true,
        Some(Side::Client) => seen.flow.is_some() && seen.toward == Toward::Server,
        Some(Side::Server) => seen.flow.is_some() && seen.toward == Toward::Client,
    };
    state && way && want.fragment.is_none_or(|f| f == seen.packet.rebuilt)
}

fn application(f: &FlowView, toward: Toward, want: Known, apps: u64, mode: AppMode, negated: bool) -> bool {
    let is = |now: Known| match (want, now) {
        (Known::Is(_), Known::Is(app)) => apps & app_bit(app) != 0,
        (Known::Is(_), _) => false,
        (want, now) => want == now,
    };
    // A negated one says nothing of what is not known yet.
    let asked = |now: Known| {
        if negated && now == Known::Unknown && want != Known::Unknown { false } else { is(now) != negated }
    };
    match mode {
        AppMode::Direction => asked(f.app.sides[toward.index()]),
        AppMode::ToServer => asked(f.app.sides[0]),
        AppMode::ToClient => asked(f.app.sides[1]),
        AppMode::Either => asked(f.app.sides[0]) || asked(f.app.sides[1]),
        AppMode::Final => asked(f.app.expected.map_or(f.app.flow, Known::Is)),
        AppMode::Original => asked(f.app.original.map_or(f.app.flow, Known::Is)),
    }
}

fn checksum(which: Sum, seen: &Seen<'_>) -> Option<bool> {
    let v4 = matches!(seen.packet.network, Network::V4(_));
    let v6 = matches!(seen.packet.network, Network::V6(..));
    let transport = seen.packet.transport;
    let of = |there: bool| if there { seen.checksums.transport } else { None };
    match which {
        Sum::Ipv4 => seen.checksums.network.filter(|_| v4),
        Sum::TcpV4 => of(v4 && matches!(transport, Transport::Tcp(_))),
        Sum::TcpV6 => of(v6 && matches!(transport, Transport::Tcp(_))),
        Sum::UdpV4 => of(v4 && matches!(transport, Transport::Udp(_))),
        Sum::UdpV6 => of(v6 && matches!(transport, Transport::Udp(_))),
        Sum::Icmpv4 => of(matches!(transport, Transport::Icmpv4(_))),
        Sum::Icmpv6 => of(matches!(transport, Transport::Icmpv6(_))),
    }
}
