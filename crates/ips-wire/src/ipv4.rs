//! IPv4: header, options, fragments, and what it carries.

use crate::{
    bytes::{u16_at, v4_at},
    decode::{Decoder, Sink, broken, deeper, inner},
    event::{Event, Events},
    fragment::{Fragment, Key},
    packet::{Network, Packet},
};

/// Shortest header in bytes.
pub const MIN_HEADER: usize = 20;

impl Decoder {
    pub(crate) fn ipv4<'a>(&mut self, mut packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        if !deeper(&mut packet, sink) {
            return;
        }
        packet.network_bytes = bytes;
        packet.keep_front(bytes);
        let Some(fixed) = bytes.first_chunk::<MIN_HEADER>() else { return broken(packet, Event::Ipv4PktTooSmall, sink) };
        if fixed[0] >> 4 != 4 {
            return broken(packet, Event::Ipv4WrongIpVersion, sink);
        }
        let header = usize::from(fixed[0] & 0x0f) * 4;
        let total = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
        if header < MIN_HEADER {
            return broken(packet, Event::Ipv4HlenTooSmall, sink);
        }
        if total < header {
            return broken(packet, Event::Ipv4IplenSmallerThanHlen, sink);
        }
        let Some(whole) = bytes.get(..total) else { return broken(packet, Event::Ipv4TruncPkt, sink) };
        // Behind the total length there may be padding of Ethernet.
        let (header, data) = whole.split_at(header);
        packet.network = Network::V4(header);
        packet.network_bytes = whole;
        packet.protocol = fixed[9];
        packet.source = v4_at(header, 12).unwrap_or(packet.source);
        packet.destination = v4_at(header, 16).unwrap_or(packet.destination);
        packet.payload = data;
        options(&header[MIN_HEADER..], &mut packet.events);
        let cut = u16::from_be_bytes([fixed[6], fixed[7]]);
        if cut & 0x3fff == 0 {
            return self.carried(packet, sink);
        }
        packet.fragment = true;
        let offset = u32::from(cut & 0x1fff) * 8;
        if offset as usize + data.len() > usize::from(u16::MAX) {
            packet.events.add(Event::Ipv4FragPktTooLarge);
            return sink(&packet);
        }
        let id = u16_at(header, 4).unwrap_or(0);
        let added = self.fragments.add(&Fragment {
            key: Key::of(&packet, u32::from(id)),
            time: packet.time,
            header,
            next_header_at: 0,
            next_header: packet.protocol,
            offset,
            more: cut & 0x2000 != 0,
            data,
        });
        if added.overlap {
            packet.events.add(Event::Ipv4FragOverlap);
        }
        if let Some(rebuilt) = added.whole {
            self.ipv4(from_fragments(&packet, &rebuilt), &rebuilt, sink);
            self.fragments.give_back(rebuilt);
        }
        sink(&packet);
    }
}

/// The packet that was put together: of the same frame's link and tags.
pub(crate) fn from_fragments<'b>(last: &Packet<'b>, bytes: &'b [u8]) -> Packet<'b> {
    let mut packet = inner(last, bytes);
    packet.tunnelled = last.tunnelled;
    packet.outer = last.outer;
    packet.rebuilt = true;
    packet.link = last.link;
    packet.front = last.front;
    packet.ethernet = last.ethernet;
    packet.vlans = last.vlans;
    packet.vlan_layers = last.vlan_layers;
    packet
}

/// Options that IPv4 knows: number and the shortest and longest length that makes sense.
const KNOWN: [(u8, u8, u8); 10] =
    [(7, 3, 40), (68, 5, 40), (130, 3, 11), (131, 3, 40), (133, 3, 40), (134, 3, 40), (136, 4, 4), (137, 3, 40), (148, 4, 4), (25, 8, 8)];

fn options(mut rest: &[u8], events: &mut Events) {
    if rest.is_empty() {
        return;
    }
    let mut seen = [false; KNOWN.len()];
    loop {
        match *rest {
            [] | [0, ..] => return,
            [1, ..] => rest = &rest[1..],
            [kind, length, ..] => {
                if length < 2 || usize::from(length) > rest.len() {
                    events.add(Event::Ipv4OptInvalidLen);
                    return;
                }
                match KNOWN.iter().position(|(k, ..)| *k == kind) {
                    None => events.add(Event::Ipv4OptInvalid),
                    Some(at) => {
                        if length < KNOWN[at].1 || length > KNOWN[at].2 {
                            events.add(Event::Ipv4OptInvalidLen);
                        } else if std::mem::replace(&mut seen[at], true) {
                            events.add(Event::Ipv4OptDuplicate);
                        }
                    }
                }
                rest = &rest[usize::from(length)..];
            }
            [_] => {
                events.add(Event::Ipv4OptInvalidLen);
                return;
            }
        }
    }
}
