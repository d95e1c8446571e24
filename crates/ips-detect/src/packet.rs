//! A packet against the rules about packets and streams. Candidates come from contents found, from events, and from the few rules that
//! have neither; each is held against header, conditions and bytes, in order of precedence.

use crate::{
    check::{Around, app_bit},
    hit::{Context, Hit, Hits},
    inspect::{self, View},
    memory::{Memory, Sets},
    seen::{Known, Seen},
    state::FlowState,
    tables::{Group, Kind, Layer, PROTOCOLS, Ready, Scratch, Tables},
    text,
};
use ips_rules::{buffer::Buffer, group::Addresses, header::Direction};
use ips_wire::packet::{Network, Transport};
use std::net::{IpAddr, Ipv4Addr};

/// The class of a packet: as in `compile::classes`.
fn class(seen: &Seen<'_>) -> usize {
    match seen.packet.transport {
        Transport::Tcp(_) => 0,
        Transport::Udp(_) => 1,
        Transport::Icmpv4(_) => 2,
        Transport::Icmpv6(_) => 3,
        _ => 4,
    }
}

fn has(addresses: &Addresses, address: IpAddr) -> bool {
    match address {
        IpAddr::V4(a) => addresses.v4.has(a.to_bits()),
        IpAddr::V6(a) => addresses.v6.has(a.to_bits()),
    }
}

fn sender(seen: &Seen<'_>) -> Option<Ipv4Addr> {
    if let IpAddr::V4(a) = seen.packet.source { Some(a) } else { None }
}

impl Ready {
    fn layer_fits(&self, seen: &Seen<'_>) -> bool {
        let p = seen.packet;
        match self.layer {
            Layer::Any => true,
            Layer::Ip => !matches!(p.network, Network::None),
            Layer::Ipv4 => matches!(p.network, Network::V4(_)),
            Layer::Ipv6 => matches!(p.network, Network::V6(..)),
            // One that could not be decoded to its end is known by its number.
            Layer::Tcp => matches!(p.transport, Transport::Tcp(_)) || p.invalid && p.protocol == 6,
            Layer::Udp => matches!(p.transport, Transport::Udp(_)) || p.invalid && p.protocol == 17,
            Layer::Icmp => matches!(p.transport, Transport::Icmpv4(_) | Transport::Icmpv6(_)),
            Layer::Icmpv4 => matches!(p.transport, Transport::Icmpv4(_)),
            Layer::Icmpv6 => matches!(p.transport, Transport::Icmpv6(_)),
            Layer::Sctp => p.protocol == 132,
        }
    }

    /// Whether addresses and ports fit; `turned`: against the way the rule is written.
    fn ends_fit(&self, seen: &Seen<'_>, turned: bool) -> bool {
        let p = seen.packet;
        let (from, to) = if turned {
            ((p.destination, p.destination_port), (p.source, p.source_port))
        } else {
            ((p.source, p.source_port), (p.destination, p.destination_port))
        };
        if !self.any_port {
            // Only these have ports; of a fragment they are not known.
            let ported = matches!(p.transport, Transport::Tcp(_) | Transport::Udp(_)) || p.protocol == 132;
            if !ported || !self.source_ports.has(from.1) || !self.destination_ports.has(to.1) {
                return false;
            }
        }
        self.any_address || (has(&self.source, from.0) && has(&self.destination, to.0))
    }

    /// Whether the header fits the packet.
    pub(crate) fn header_fits(&self, seen: &Seen<'_>) -> bool {
        if self.sides != 3
            && self.direction != Direction::Transaction
            && (seen.flow.is_none() || self.sides >> seen.toward.index() & 1 == 0)
        {
            return false;
        }
        if !self.layer_fits(seen) {
            return false;
        }
        match self.direction {
            Direction::To => self.ends_fit(seen, false),
            Direction::Either => self.ends_fit(seen, false) || self.ends_fit(seen, true),
            // Written for the direction to the server.
            Direction::Transaction => self.ends_fit(seen, seen.toward.index() == 1),
        }
    }

    /// Whether the flow's application fits, for rules about packets.
    fn app_fits(&self, seen: &Seen<'_>) -> bool {
        self.apps == 0
            || seen.flow.as_ref().is_some_and(|f| {
                let is = |k: Known| matches!(k, Known::Is(app) if self.apps & app_bit(app) != 0);
                is(f.app.flow) || is(f.app.sides[seen.toward.index()])
            })
    }
}

/// What the parts of a rule about the packet say: whether they hold, and whether they hold in the stream.
pub(crate) struct Part {
    pub holds: bool,
    pub stream: bool,
}

const NO: Part = Part { holds: false, stream: false };

/// Conditions on packet and flow, and groups about the packet.
pub(crate) fn part(r: &Ready, tables: &Tables, seen: &Seen<'_>, around: &mut Around<'_>, tx: &[u16], scratch: &mut Scratch) -> Part {
    if !r.conds.iter().all(|c| c.holds(seen, around, tx)) {
        return NO;
    }
    let mut stream = false;
    for g in &r.packet_groups {
        match group(r, g, tables, seen, scratch, &mut around.memory.sets) {
            NO_STREAM => {}
            IN_STREAM => stream = true,
            _ => return NO,
        }
    }
    Part { holds: stream || !r.only_stream, stream }
}

const NO_STREAM: u8 = 1;
const IN_STREAM: u8 = 2;

fn group(r: &Ready, g: &Group, tables: &Tables, seen: &Seen<'_>, scratch: &mut Scratch, sets: &mut Sets) -> u8 {
    let steps = &tables.places[usize::from(g.place)].steps;
    let plain = steps.is_empty();
    let mut look = |bytes: &[u8], offset: u64, lowered: Lowered, scratch: &mut Scratch| -> bool {
        let mut view = View { bytes, offset, little: false, sender: sender(seen) };
        let mut raw = std::mem::take(&mut scratch.raw);
        if !plain {
            raw.clear();
            raw.extend_from_slice(bytes);
            steps.iter().for_each(|s| s.run(&mut raw, &mut scratch.spare));
            view = View { bytes: &raw, ..view };
        }
        let ready = plain && lowered != Lowered::No;
        let lower = match lowered {
            Lowered::Packet => &mut scratch.lower,
            _ => &mut scratch.chunk_lower,
        };
        if ready {
            std::mem::swap(&mut scratch.room.lower, lower);
        }
        let holds = inspect::run(&g.ops, g.decoded.as_deref(), view, ready, &mut scratch.room, sets);
        if ready {
            std::mem::swap(&mut scratch.room.lower, if lowered == Lowered::Packet { &mut scratch.lower } else { &mut scratch.chunk_lower });
        }
        scratch.raw = raw;
        holds
    };
    let there = |bytes: &[u8]| !bytes.is_empty();
    if g.buffer == Buffer::Payload {
        let tcp = matches!(seen.packet.transport, Transport::Tcp(_));
        if tcp && r.in_stream {
            if let Some(chunk) = seen.stream.as_ref().filter(|c| there(c.bytes)) {
                let lowered = if scratch.chunk_lower.len() == chunk.bytes.len() { Lowered::Chunk } else { Lowered::No };
                // The peer counts places from where this part of the stream begins, not from the stream's beginning.
                if look(chunk.bytes, 0, lowered, scratch) {
                    return IN_STREAM;
                }
            }
            if !r.in_packet && seen.in_stream {
                return 0;
            }
        }
        let payload = seen.packet.payload;
        let lowered = if scratch.lower.len() == payload.len() { Lowered::Packet } else { Lowered::No };
        return u8::from(there(payload) && look(payload, 0, lowered, scratch));
    }
    let p = seen.packet;
    let octets = |a: IpAddr, into: &mut [u8; 16]| match a {
        IpAddr::V4(a) => {
            into[..4].copy_from_slice(&a.octets());
            4
        }
        IpAddr::V6(a) => {
            into.copy_from_slice(&a.octets());
            16
        }
    };
    let mut address = [0u8; 16];
    let bytes: &[u8] = match g.buffer {
        Buffer::EtherHeader => p.ethernet,
        Buffer::Ipv4Header => {
            if let Network::V4(h) = p.network {
                h
            } else {
                &[]
            }
        }
        Buffer::Ipv6Header => {
            // With its extension headers, which stand right behind it.
            if let Network::V6(h, more) = p.network { p.network_bytes.get(..h.len() + more.len()).unwrap_or(h) } else { &[] }
        }
        Buffer::TcpHeader => {
            if let Transport::Tcp(h) = p.transport {
                h
            } else {
                &[]
            }
        }
        Buffer::UdpHeader => {
            if let Transport::Udp(h) = p.transport {
                h
            } else {
                &[]
            }
        }
        Buffer::Icmpv4Header => {
            if let Transport::Icmpv4(h) = p.transport {
                let more = icmpv4_more(h).min(p.payload.len());
                let length = h.len() + more;
                let from = p.network_bytes.len().saturating_sub(h.len() + p.payload.len());
                p.network_bytes.get(from..from + length).filter(|b| b.starts_with(h)).unwrap_or(h)
            } else {
                &[]
            }
        }
        Buffer::Icmpv6Header => {
            if let Transport::Icmpv6(h) = p.transport {
                h
            } else {
                &[]
            }
        }
        Buffer::IpSource | Buffer::IpDestination if matches!(p.network, Network::None) => &[],
        Buffer::IpSource => {
            let n = octets(p.source, &mut address);
            &address[..n]
        }
        Buffer::IpDestination => {
            let n = octets(p.destination, &mut address);
            &address[..n]
        }
        _ => &[],
    };
    match g.absent {
        Some(_) if !there(bytes) => NO_STREAM,
        Some(false) => 0,
        _ => u8::from(there(bytes) && look(bytes, 0, Lowered::No, scratch)),
    }
}

/// Bytes of a message of ICMP behind the first eight that are its header still: addresses of routers (RFC 1256), times (RFC 792), masks
/// (RFC 950).
fn icmpv4_more(header: &[u8]) -> usize {
    match header {
        [9, _, _, _, count, size, ..] => usize::from(*count) * usize::from(*size) * 4,
        [13 | 14, ..] => 12,
        [17 | 18, ..] => 4,
        _ => 0,
    }
}

/// Where small letters of the bytes stand already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lowered {
    No,
    Packet,
    Chunk,
}

impl Tables {
    /// Holds a packet, and the bytes of the stream that come with it, against the rules about packets. `flow`: what rules keep with its
    /// flow; none where it has none.
    pub fn packet(&self, scratch: &mut Scratch, seen: &Seen<'_>, mut flow: Option<&mut FlowState>, memory: &mut Memory, hits: &mut Hits) {
        scratch.carried.clear();
        scratch.lower.clear();
        scratch.chunk_lower.clear();
        if self.ready.is_empty() || flow.as_ref().is_some_and(|f| f.passed || f.bypassed) {
            return;
        }
        let mut candidates = std::mem::take(&mut scratch.candidates);
        candidates.clear();
        let way = seen.toward.index();
        let class = class(seen);
        debug_assert!(class < PROTOCOLS);
        // By address only: once in each direction.
        let due = flow.as_mut().is_none_or(|f| !std::mem::replace(&mut f.addresses[way], true));
        if due {
            candidates.extend_from_slice(&self.addresses[class][way]);
        }
        let table = &self.packets[class][way];
        let port = if way == 0 { seen.packet.destination_port } else { seen.packet.source_port };
        if let Some(group) = table.groups.get(if class < 2 { table.ports.group(port) } else { 0 }) {
            candidates.extend_from_slice(&group.plain);
            if let Some(chunk) = seen.stream.as_ref().filter(|c| !c.bytes.is_empty()) {
                text::lower(chunk.bytes, &mut scratch.chunk_lower);
                group.stream.scan(&scratch.chunk_lower, &mut scratch.marks, &mut candidates);
            }
            if !seen.packet.payload.is_empty() {
                text::lower(seen.packet.payload, &mut scratch.lower);
                group.packet.scan(&scratch.lower, &mut scratch.marks, &mut candidates);
                if class == 0 && !seen.in_stream {
                    group.stream.scan(&scratch.lower, &mut scratch.marks, &mut candidates);
                }
            }
        }
        for (events, table) in
            [(seen.decode_events, &self.decode_events), (seen.stream_events, &self.stream_events), (seen.app_events, &self.app_events)]
        {
            events.iter().filter_map(|e| table.get(*e)).for_each(|rules| candidates.extend_from_slice(rules));
        }
        candidates.sort_unstable();
        candidates.dedup();
        for &rule in &candidates {
            let r = &self.ready[rule as usize];
            if r.kind == Kind::Transaction {
                scratch.carried.push(rule);
                continue;
            }
            self.try_packet(rule, r, scratch, seen, flow.as_deref_mut(), memory, hits);
        }
        scratch.candidates = candidates;
    }

    #[allow(clippy::too_many_arguments, reason = "all of it is looked at")]
    fn try_packet(
        &self,
        rule: u32,
        r: &Ready,
        scratch: &mut Scratch,
        seen: &Seen<'_>,
        flow: Option<&mut FlowState>,
        memory: &mut Memory,
        hits: &mut Hits,
    ) {
        let begun = scratch.clock.map(|c| c());
        if r.found_now && !seen.flow.as_ref().is_some_and(|f| f.app.found_now) {
            return;
        }
        if !r.header_fits(seen) || !r.app_fits(seen) {
            scratch.count(rule, false, begun);
            return;
        }
        scratch.room.captured.clear();
        scratch.room.known.clear();
        let mut around = Around { flow, memory };
        let part = part(r, self, seen, &mut around, &[], scratch);
        if part.holds {
            self.matched(rule, r, seen, &mut around, None, scratch);
            hits.list.push(Hit { rule, action: r.action, tx: None, stream: part.stream, told: false, flow: r.of_flow || part.stream });
            let known = scratch.room.known.drain(..);
            hits.contexts.extend(known.map(|(set, json)| Context { rule, set, json }));
        }
        scratch.count(rule, part.holds, begun);
    }
}
