//! IPv6: header, extension headers, fragments, and what it carries.

use crate::{
    bytes::{u16_at, u32_at, v6_at},
    decode::{Decoder, Sink, broken, deeper},
    event::{Event, Events},
    fragment::{Fragment, Key},
    ipv4::from_fragments,
    packet::{Network, Packet},
};

/// Length of the fixed header in bytes.
pub const HEADER: usize = 40;

mod next {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ROUTING: u8 = 43;
    pub const FRAGMENT: u8 = 44;
    pub const AUTHENTICATION: u8 = 51;
    pub const NONE: u8 = 59;
    pub const DESTINATION: u8 = 60;
    pub const MOBILITY: u8 = 135;
    pub const HIP: u8 = 139;
    pub const SHIM6: u8 = 140;
}

/// Which extension headers were there.
#[derive(Default)]
struct Seen {
    hop_by_hop: bool,
    routing: bool,
    fragment: bool,
    destination: u8,
    authentication: bool,
}

impl Decoder {
    pub(crate) fn ipv6<'a>(&mut self, mut packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        if !deeper(&mut packet, sink) {
            return;
        }
        packet.network_bytes = bytes;
        packet.keep_front(bytes);
        let Some(fixed) = bytes.first_chunk::<HEADER>() else { return broken(packet, Event::Ipv6PktTooSmall, sink) };
        if fixed[0] >> 4 != 6 {
            return broken(packet, Event::Ipv6WrongIpVersion, sink);
        }
        let length = usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
        let Some(whole) = bytes.get(..HEADER + length) else { return broken(packet, Event::Ipv6TruncPkt, sink) };
        packet.network_bytes = whole;
        packet.network = Network::V6(&whole[..HEADER], &[]);
        packet.source = v6_at(whole, 8).unwrap_or(packet.source);
        packet.destination = v6_at(whole, 24).unwrap_or(packet.destination);
        packet.protocol = fixed[6];
        packet.payload = &whole[HEADER..];
        let mut seen = Seen::default();
        // Where the number of the next header stands, and where that header begins.
        let (mut named_at, mut at) = (6, HEADER);
        loop {
            let kind = packet.protocol;
            let rest = &whole[at..];
            // Behind an extension header there must be room for one, as with the peer.
            if at > HEADER && rest.len() < 2 && kind != next::NONE {
                packet.events.add(Event::Ipv6TruncExthdr);
                return sink(&packet);
            }
            let taken = match kind {
                next::HOP_BY_HOP | next::ROUTING | next::DESTINATION | next::MOBILITY | next::HIP | next::SHIM6 => match rest {
                    [_, l, ..] => (usize::from(*l) + 1) * 8,
                    _ => usize::MAX,
                },
                // Its length counts in fours (RFC 4302, 2.2).
                next::AUTHENTICATION => match rest {
                    [_, l, ..] if *l > 0 => (usize::from(*l) + 2) * 4,
                    [_, _, ..] => 8,
                    _ => usize::MAX,
                },
                next::FRAGMENT => 8,
                next::NONE => {
                    if !rest.is_empty() {
                        packet.events.add(Event::Ipv6DataAfterNoneHeader);
                    }
                    return sink(&packet);
                }
                _ => break,
            };

            let Some(header) = rest.get(..taken) else {
                packet.events.add(Event::Ipv6TruncExthdr);
                return sink(&packet);
            };
            if !seen.take(kind, header, &mut packet.events) {
                return sink(&packet);
            }
            if kind == next::FRAGMENT {
                let cut = u16_at(header, 2).unwrap_or(0);
                // Whole as it is: goes on as if the header were not there (RFC 6946).
                if cut & 0xfff9 == 0 {
                    packet.events.add(Event::Ipv6ExthdrUselessFh);
                } else {
                    packet.network = Network::V6(&whole[..HEADER], &whole[HEADER..at + 8]);
                    packet.payload = &whole[at + 8..];
                    packet.protocol = header[0];
                    return self.ipv6_fragment(packet, &whole[..at], named_at, header, sink);
                }
            }
            packet.protocol = header[0];
            named_at = at;
            at += taken;
            packet.network = Network::V6(&whole[..HEADER], &whole[HEADER..at]);
            packet.payload = &whole[at..];
            if !deeper(&mut packet, sink) {
                return;
            }
        }
        self.carried(packet, sink);
    }

    fn ipv6_fragment<'a>(&mut self, mut packet: Packet<'a>, front: &'a [u8], named_at: usize, header: &[u8], sink: Sink<'_>) {
        packet.fragment = true;
        let cut = u16_at(header, 2).unwrap_or(0);
        let (offset, more) = (u32::from(cut & 0xfff8), cut & 1 != 0);
        if more && !packet.payload.len().is_multiple_of(8) {
            packet.events.add(Event::Ipv6FragInvalidLength);
            return sink(&packet);
        }
        if offset as usize + packet.payload.len() > usize::from(u16::MAX) {
            packet.events.add(Event::Ipv6FragPktTooLarge);
            return sink(&packet);
        }
        let added = self.fragments.add(&Fragment {
            key: Key::of(&packet, u32_at(header, 4).unwrap_or(0)),
            time: packet.time,
            header: front,
            next_header_at: named_at,
            next_header: header[0],
            offset,
            more,
            data: packet.payload,
        });
        if added.overlap {
            packet.events.add(Event::Ipv6FragOverlap);
        }
        if let Some(rebuilt) = added.whole {
            self.ipv6(from_fragments(&packet, &rebuilt), &rebuilt, sink);
            self.fragments.give_back(rebuilt);
        }
        sink(&packet);
    }
}

impl Seen {
    /// Takes an extension header; false where nothing behind it is looked at.
    fn take(&mut self, kind: u8, header: &[u8], events: &mut Events) -> bool {
        let once = |seen: &mut bool, event: Event, events: &mut Events| {
            if std::mem::replace(seen, true) {
                events.add(event);
            }
        };
        match kind {
            next::HOP_BY_HOP => {
                once(&mut self.hop_by_hop, Event::Ipv6ExthdrDuplHh, events);
                let found = padding(&header[2..], events);
                if found.unknown {
                    events.add(Event::Ipv6HopoptsUnknownOpt);
                }
                if found.only {
                    events.add(Event::Ipv6HopoptsOnlyPadding);
                }
            }
            next::DESTINATION => {
                // One before a routing header and one before the upper layer (RFC 8200, 4.1).
                self.destination = self.destination.saturating_add(1);
                if self.destination > 2 {
                    events.add(Event::Ipv6ExthdrDuplDh);
                }
                let found = padding(&header[2..], events);
                if found.unknown {
                    events.add(Event::Ipv6DstoptsUnknownOpt);
                }
                if found.only {
                    events.add(Event::Ipv6DstoptsOnlyPadding);
                }
            }
            next::ROUTING => {
                once(&mut self.routing, Event::Ipv6ExthdrDuplRh, events);
                if header[2] == 0 {
                    events.add(Event::Ipv6RhType0);
                }
            }
            next::FRAGMENT => {
                if std::mem::replace(&mut self.fragment, true) {
                    events.add(Event::Ipv6ExthdrDuplFh);
                    return false;
                }
                if header[1] != 0 {
                    events.add(Event::Ipv6FhNonZeroReservedField);
                }
            }
            next::AUTHENTICATION => {
                once(&mut self.authentication, Event::Ipv6ExthdrDuplAh, events);
                if header.get(2..4).is_some_and(|r| r != [0, 0]) {
                    events.add(Event::Ipv6ExthdrAhResNotNull);
                }
            }
            _ => {}
        }
        true
    }
}

struct Padding {
    unknown: bool,
    only: bool,
}

/// Options of a hop-by-hop or destination header.
fn padding(mut rest: &[u8], events: &mut Events) -> Padding {
    let (mut any, mut pads, mut unknown) = (0usize, 0usize, false);
    while let [kind, behind @ ..] = rest {
        any += 1;
        if *kind == 0 {
            pads += 1;
            rest = behind;
            continue;
        }
        let Some((length, value)) = behind.split_first() else {
            events.add(Event::Ipv6ExthdrInvalidOptlen);
            break;
        };
        let length = usize::from(*length);
        if length > value.len() {
            events.add(Event::Ipv6ExthdrInvalidOptlen);
            break;
        }
        match kind {
            1 => {
                pads += 1;
                if length == 0 {
                    events.add(Event::Ipv6ZeroLenPadn);
                }
            }
            // Router alert, jumbo payload, home address.
            5 if length != 2 => events.add(Event::Ipv6ExthdrInvalidOptlen),
            0xc2 if length != 4 => events.add(Event::Ipv6ExthdrInvalidOptlen),
            0xc9 if length != 16 => events.add(Event::Ipv6ExthdrInvalidOptlen),
            5 | 0xc2 | 0xc9 => {}
            _ => unknown = true,
        }
        rest = &value[length..];
    }
    Padding { unknown, only: any > 0 && any == pads }
}
