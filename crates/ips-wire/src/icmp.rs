//! ICMP of both families: which types and codes there are, and what an error quotes.

use crate::{
    bytes::{u16_at, v4_at, v6_at},
    decode::{Sink, broken},
    event::{Event, Events},
    packet::{Packet, Quoted, Transport},
    transport::ICMP_HEADER,
};

/// Types of ICMP, the largest code of each, and whether it quotes a packet (registry of the IANA).
const V4: [(u8, u8, bool); 19] = [
    (0, 0, false),
    (3, 15, true),
    (4, 0, true),
    (5, 3, true),
    (8, 0, false),
    (9, 16, false),
    (10, 0, false),
    (11, 1, true),
    (12, 2, true),
    (13, 0, false),
    (14, 0, false),
    (15, 0, false),
    (16, 0, false),
    (17, 0, false),
    (18, 0, false),
    (30, 1, false),
    (37, 0, false),
    (38, 0, false),
    (40, 5, false),
];

pub(crate) fn v4(mut packet: Packet<'_>, sink: Sink<'_>) {
    let data = packet.payload;
    let Some((header, rest)) = data.split_at_checked(ICMP_HEADER) else { return broken(packet, Event::Icmpv4PktTooSmall, sink) };
    packet.transport = Transport::Icmpv4(header);
    packet.source_port = u16::from(header[0]);
    packet.destination_port = u16::from(header[1]);
    packet.payload = rest;
    packet.flow = true;
    match V4.iter().find(|(t, ..)| *t == header[0]) {
        None => packet.events.add(Event::Icmpv4UnknownType),
        Some((_, most, quotes)) => {
            if header[1] > *most {
                packet.events.add(Event::Icmpv4UnknownCode);
            } else if *quotes {
                packet.quoted = quoted_v4(rest, &mut packet.events);
            }
        }
    }
    sink(&packet);
}

fn quoted_v4(bytes: &[u8], events: &mut Events) -> Option<Quoted> {
    if bytes.len() < crate::ipv4::MIN_HEADER {
        if !bytes.is_empty() {
            events.add(Event::Icmpv4Ipv4TruncPkt);
        }
        return None;
    }
    if bytes[0] >> 4 != 4 {
        events.add(Event::Icmpv4Ipv4UnknownVer);
        return None;
    }
    let ports = bytes.get(usize::from(bytes[0] & 0x0f) * 4..).unwrap_or_default();
    quoted(bytes[9], v4_at(bytes, 12)?, v4_at(bytes, 16)?, ports)
}

fn quoted(protocol: u8, source: std::net::IpAddr, destination: std::net::IpAddr, behind: &[u8]) -> Option<Quoted> {
    let (source_port, destination_port) = match protocol {
        6 | 17 | 132 => (u16_at(behind, 0)?, u16_at(behind, 2)?),
        1 | 58 => (u16::from(*behind.first()?), u16::from(*behind.get(1)?)),
        _ => (0, 0),
    };
    Some(Quoted { source, destination, protocol, source_port, destination_port })
}

pub(crate) fn v6(mut packet: Packet<'_>, sink: Sink<'_>) {
    let data = packet.payload;
    let Some((header, rest)) = data.split_at_checked(ICMP_HEADER) else { return broken(packet, Event::Icmpv6PktTooSmall, sink) };
    packet.transport = Transport::Icmpv6(header);
    packet.source_port = u16::from(header[0]);
    packet.destination_port = u16::from(header[1]);
    packet.payload = rest;
    packet.flow = true;
    let (kind, code) = (header[0], header[1]);
    // The largest code (registry of the IANA); none where any goes.
    let most = match kind {
        1 => Some(8),
        2 | 128..=130 | 132..=137 | 141 | 142 => Some(0),
        3 => Some(1),
        4 => Some(11),
        131 => Some(0),
        138 => Some(255),
        139 | 140 => Some(2),
        143..=155 | 157 | 158 | 160 | 161 => None,
        100 | 101 | 200 | 201 | 127 | 255 => {
            packet.events.add(Event::Icmpv6ExperimentationType);
            None
        }
        5..=126 | 156 | 159 | 162..=254 => {
            packet.events.add(Event::Icmpv6UnassignedType);
            None
        }
        0 => {
            packet.events.add(Event::Icmpv6UnknownType);
            None
        }
    };
    if most.is_some_and(|m| code > m) {
        packet.events.add(Event::Icmpv6UnknownCode);
    } else if matches!(kind, 1..=4) {
        if rest.len() < crate::ipv6::HEADER {
            if !rest.is_empty() {
                packet.events.add(Event::Icmpv6Ipv6TruncPkt);
            }
        } else if rest[0] >> 4 != 6 {
            packet.events.add(Event::Icmpv6Ipv6UnknownVersion);
        } else {
            packet.quoted = v6_at(rest, 8).zip(v6_at(rest, 24)).and_then(|(s, d)| quoted(rest[6], s, d, &rest[40..]));
        }
    }
    // Listener discovery never leaves the link (RFC 2710, 3).
    if matches!(kind, 130..=132)
        && let crate::packet::Network::V6(fixed, _) = packet.network
        && fixed.get(7) != Some(&1)
    {
        packet.events.add(Event::Icmpv6MldMessageWithInvalidHl);
    }
    sink(&packet);
}
