//! GRE (RFC 2784, RFC 2890), version 1 as PPTP uses it (RFC 2637), ERSPAN inside.

use crate::{
    bytes::{u16_at, u32_at},
    decode::{Decoder, Sink, broken, deeper, inner},
    event::Event,
    link::ether,
    packet::Packet,
};

const CHECKSUM: u8 = 0x80;
const ROUTING: u8 = 0x40;
const KEY: u8 = 0x20;
const SEQUENCE: u8 = 0x10;
const STRICT: u8 = 0x08;
const RECURSION: u8 = 0x07;
/// Source routes that are read.
const MAX_ROUTES: usize = 32;
const ERSPAN: u16 = 0x88be;

impl Decoder {
    pub(crate) fn gre(&mut self, mut packet: Packet<'_>, sink: Sink<'_>) {
        let data = packet.payload;
        let (Some(&[flags, version, ..]), Some(kind)) = (data.first_chunk::<4>(), u16_at(data, 2)) else {
            return broken(packet, Event::GrePktTooSmall, sink);
        };
        if !deeper(&mut packet, sink) {
            return;
        }
        let has = |bit: u8| usize::from(flags & bit != 0) * 4;
        let mut length = 4;
        match version & 0x07 {
            0 => {
                if flags & RECURSION != 0 {
                    return broken(packet, Event::GreVersion0Recur, sink);
                }
                if version & 0xf8 != 0 {
                    return broken(packet, Event::GreVersion0Flags, sink);
                }
                length += if flags & (CHECKSUM | ROUTING) != 0 { 4 } else { 0 } + has(KEY) + has(SEQUENCE);
                if flags & ROUTING != 0 {
                    for _ in 0..MAX_ROUTES {
                        let Some(&[a, b, _, l]) = data.get(length..).and_then(<[u8]>::first_chunk::<4>) else {
                            return broken(packet, Event::GreVersion0HdrTooBig, sink);
                        };
                        length += 4 + usize::from(l);
                        if (a, b, l) == (0, 0, 0) {
                            break;
                        }
                    }
                }
                if length > data.len() {
                    return broken(packet, Event::GreVersion0HdrTooBig, sink);
                }
            }
            1 => {
                let fault = [
                    (flags & CHECKSUM != 0, Event::GreVersion1Chksum),
                    (flags & ROUTING != 0, Event::GreVersion1Route),
                    (flags & STRICT != 0, Event::GreVersion1Ssr),
                    (flags & RECURSION != 0, Event::GreVersion1Recur),
                    (version & 0x78 != 0, Event::GreVersion1Flags),
                    (kind != ether::PPP, Event::GreVersion1WrongProtocol),
                    (flags & KEY == 0, Event::GreVersion1NoKey),
                ];
                if let Some((_, event)) = fault.into_iter().find(|(is, _)| *is) {
                    return broken(packet, event, sink);
                }
                length += has(KEY) + has(SEQUENCE) + if version & 0x80 != 0 { 4 } else { 0 };
                if length > data.len() {
                    return broken(packet, Event::GreVersion1HdrTooBig, sink);
                }
            }
            _ => return broken(packet, Event::GreWrongVersion, sink),
        }
        let rest = &data[length..];
        match kind {
            ether::IPV4
            | ether::IPV6
            | ether::VLAN
            | ether::QINQ
            | ether::MPLS
            | ether::MPLS_MULTI
            | ether::BRIDGE
            | ether::PPP
            | ether::ARP => {
                self.typed(inner(&packet, rest), kind, rest, None, sink);
            }
            ERSPAN => self.erspan(&packet, rest, flags & SEQUENCE == 0, sink),
            _ => {}
        }
        sink(&packet);
    }

    /// A mirrored frame; type I has no header of its own, type II has 8 bytes.
    fn erspan(&mut self, outer: &Packet<'_>, bytes: &[u8], first_type: bool, sink: Sink<'_>) {
        if first_type {
            return self.ethernet(inner(outer, bytes), bytes, sink);
        }
        match (u32_at(bytes, 0), bytes.get(8..)) {
            (Some(word), Some(rest)) => match word >> 28 {
                1 => self.ethernet(inner(outer, rest), rest, sink),
                _ => broken(inner(outer, bytes), Event::ErspanUnsupportedVersion, sink),
            },
            _ => broken(inner(outer, bytes), Event::ErspanHeaderTooSmall, sink),
        }
    }
}
