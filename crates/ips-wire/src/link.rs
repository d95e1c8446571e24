//! What stands before IP: Ethernet, VLAN, MPLS, PPPoE and PPP, cooked and raw captures.

use crate::{
    bytes::{u16_at, u32_at},
    decode::{Decoder, Sink, broken, deeper, inner},
    event::Event,
    packet::Packet,
};

/// Length of an Ethernet header in bytes.
pub const ETHERNET_HEADER: usize = 14;
/// Tags of VLANs that are looked behind: the peer's limit.
const MAX_TAGS: u8 = 3;
/// Labels of MPLS that are looked behind.
const MAX_LABELS: usize = 32;

/// Types of Ethernet.
pub(crate) mod ether {
    pub const IPV4: u16 = 0x0800;
    pub const ARP: u16 = 0x0806;
    pub const IPV6: u16 = 0x86dd;
    pub const VLAN: u16 = 0x8100;
    pub const QINQ: u16 = 0x88a8;
    pub const OLD_QINQ: u16 = 0x9100;
    pub const MPLS: u16 = 0x8847;
    pub const MPLS_MULTI: u16 = 0x8848;
    pub const PPPOE_DISCOVERY: u16 = 0x8863;
    pub const PPPOE: u16 = 0x8864;
    pub const BRIDGE: u16 = 0x6558;
    pub const VNTAG: u16 = 0x8926;
    pub const MAC_IN_MAC: u16 = 0x88e7;
    pub const DCE: u16 = 0x8903;
    pub const PPP: u16 = 0x880b;
}

impl Decoder {
    pub(crate) fn ethernet<'a>(&mut self, mut packet: Packet<'a>, frame: &'a [u8], sink: Sink<'_>) {
        if !deeper(&mut packet, sink) {
            return;
        }
        let (Some(header), Some(kind)) = (frame.get(..ETHERNET_HEADER), u16_at(frame, 12)) else {
            return broken(packet, Event::EthernetPktTooSmall, sink);
        };
        packet.ethernet = header;
        self.typed(packet, kind, &frame[ETHERNET_HEADER..], None, sink);
    }

    /// What a type of Ethernet says that follows; `unknown` is told where nothing is known of it.
    pub(crate) fn typed<'a>(&mut self, mut packet: Packet<'a>, kind: u16, bytes: &'a [u8], unknown: Option<Event>, sink: Sink<'_>) {
        match kind {
            ether::IPV4 => self.ipv4(packet, bytes, sink),
            ether::IPV6 => self.ipv6(packet, bytes, sink),
            ether::VLAN | ether::QINQ | ether::OLD_QINQ => self.vlan(packet, bytes, sink),
            ether::MPLS | ether::MPLS_MULTI => self.mpls(packet, bytes, sink),
            ether::PPPOE => self.pppoe(packet, bytes, sink),
            ether::PPPOE_DISCOVERY => match bytes.first_chunk::<6>() {
                None => broken(packet, Event::PppoePktTooSmall, sink),
                Some(h) if !matches!(h[1], 0x07 | 0x09 | 0x19 | 0x65 | 0xa7) => broken(packet, Event::PppoeWrongCode, sink),
                Some(_) => sink(&packet),
            },
            ether::BRIDGE => self.ethernet(packet, bytes, sink),
            ether::PPP => self.ppp(packet, bytes, sink),
            // Two bytes more before an Ethernet frame of its own (Cisco's tag).
            ether::VNTAG => match u16_at(bytes, 4) {
                None => broken(packet, Event::VntagHeaderTooSmall, sink),
                Some(kind) if deeper(&mut packet, sink) => self.typed(packet, kind, &bytes[6..], Some(Event::VntagUnknownType), sink),
                Some(_) => {}
            },
            // Tag of 4 bytes, then addresses and type of the customer's frame.
            ether::MAC_IN_MAC => match u16_at(bytes, 16) {
                None => broken(packet, Event::Ieee8021ahHeaderTooSmall, sink),
                Some(_) => self.ethernet(packet, &bytes[4..], sink),
            },
            ether::DCE => match bytes.get(ETHERNET_HEADER..) {
                None => broken(packet, Event::DcePktTooSmall, sink),
                Some(_) => self.ethernet(packet, bytes, sink),
            },
            ether::ARP => {
                // Ethernet and IPv4, request or reply or the like.
                packet.arp = bytes.get(..28).filter(|b| b[..6] == [0, 1, 8, 0, 6, 4]).unwrap_or_default();
                sink(&packet);
            }
            _ => match unknown {
                Some(event) => broken(packet, event, sink),
                None => sink(&packet),
            },
        }
    }

    fn vlan<'a>(&mut self, mut packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        let (Some(tag), Some(kind)) = (u16_at(bytes, 0), u16_at(bytes, 2)) else {
            return broken(packet, Event::VlanHeaderTooSmall, sink);
        };
        if packet.vlan_layers >= MAX_TAGS {
            return broken(packet, Event::VlanTooManyLayers, sink);
        }
        if !deeper(&mut packet, sink) {
            return;
        }
        packet.vlans[usize::from(packet.vlan_layers)] = tag & 0x0fff;
        packet.vlan_layers += 1;
        self.typed(packet, kind, &bytes[4..], Some(Event::VlanUnknownType), sink);
    }

    pub(crate) fn mpls<'a>(&mut self, mut packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        if !deeper(&mut packet, sink) {
            return;
        }
        for n in 0..MAX_LABELS {
            let Some(word) = u32_at(bytes, n * 4) else { return broken(packet, Event::MplsHeaderTooSmall, sink) };
            if word & 0x100 == 0 {
                continue;
            }
            let rest = &bytes[n * 4 + 4..];
            match word >> 12 {
                0 => return self.ipv4(packet, rest, sink),
                1 => return broken(packet, Event::MplsBadLabelRouterAlert, sink),
                2 => return self.ipv6(packet, rest, sink),
                3 => return broken(packet, Event::MplsBadLabelImplicitNull, sink),
                4..=15 => return broken(packet, Event::MplsBadLabelReserved, sink),
                _ => {}
            }
            return match rest.first().map(|b| b >> 4) {
                None => broken(packet, Event::MplsPktTooSmall, sink),
                Some(4) => self.ipv4(packet, rest, sink),
                Some(6) => self.ipv6(packet, rest, sink),
                // A control word before Ethernet.
                Some(0) if rest.len() > 4 + ETHERNET_HEADER => self.ethernet(packet, &rest[4..], sink),
                Some(_) => broken(packet, Event::MplsUnknownPayloadType, sink),
            };
        }
        broken(packet, Event::TooManyLayers, sink);
    }

    fn pppoe<'a>(&mut self, mut packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        if !deeper(&mut packet, sink) {
            return;
        }
        match bytes.get(6..) {
            Some(rest) if rest.len() >= 2 => self.ppp_protocol(packet, rest, sink),
            _ => broken(packet, Event::PppoePktTooSmall, sink),
        }
    }

    pub(crate) fn ppp<'a>(&mut self, mut packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        if !deeper(&mut packet, sink) {
            return;
        }
        // Address and control may be left out (RFC 1661, 6.6).
        let rest = if bytes.starts_with(&[0xff, 0x03]) { &bytes[2..] } else { bytes };
        if rest.len() < 2 {
            return broken(packet, Event::PppPktTooSmall, sink);
        }
        self.ppp_protocol(packet, rest, sink);
    }

    fn ppp_protocol<'a>(&mut self, packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        // A protocol below 256 may be one byte (RFC 1661, 6.5): its lowest bit is set, a first byte's is not.
        let (protocol, rest) = match *bytes {
            [one, ref rest @ ..] if one & 1 == 1 => (u16::from(one), rest),
            [a, b, ref rest @ ..] => (u16::from_be_bytes([a, b]), rest),
            _ => return broken(packet, Event::PppPktTooSmall, sink),
        };
        match protocol {
            0x0021 if rest.len() < 20 => broken(packet, Event::PppIp4PktTooSmall, sink),
            0x0057 if rest.len() < 40 => broken(packet, Event::PppIp6PktTooSmall, sink),
            0x002d if rest.len() < 20 => broken(packet, Event::PppVjuPktTooSmall, sink),
            0x0021 => self.ipv4(packet, rest, sink),
            0x002d if rest[0] >> 4 == 4 => self.ipv4(packet, rest, sink),
            0x0057 => self.ipv6(packet, rest, sink),
            // Control protocols, of which nothing is looked into.
            0x8000..=0xcfff => sink(&packet),
            // What is carried and not looked into.
            0x0023 | 0x0025..=0x002b | 0x002d..=0x0041 => {
                let mut packet = packet;
                packet.events.add(Event::PppUnsupProto);
                sink(&packet);
            }
            _ => broken(packet, Event::PppWrongType, sink),
        }
    }

    pub(crate) fn raw<'a>(&mut self, packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        match bytes.first().map(|b| b >> 4) {
            None => broken(packet, Event::Ipv4PktTooSmall, sink),
            Some(4) => self.ipv4(packet, bytes, sink),
            Some(6) => self.ipv6(packet, bytes, sink),
            Some(_) => broken(packet, Event::IprawInvalidIpVersion, sink),
        }
    }

    pub(crate) fn null<'a>(&mut self, packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        let Some(family) = u32_at(bytes, 0) else { return broken(packet, Event::LtnullPktTooSmall, sink) };
        // Either byte order: families are small numbers. 24, 28, 30 are IPv6 of the BSDs and of macOS, 10 that of Linux.
        let family = if family > 0xffff { family.swap_bytes() } else { family };
        match family {
            2 => self.ipv4(packet, &bytes[4..], sink),
            10 | 24 | 28 | 30 => self.ipv6(packet, &bytes[4..], sink),
            _ => broken(packet, Event::LtnullUnsupportedType, sink),
        }
    }

    pub(crate) fn cooked<'a>(&mut self, packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        match u16_at(bytes, 14) {
            Some(kind) => self.typed(packet, kind, &bytes[16..], None, sink),
            None => broken(packet, Event::SllPktTooSmall, sink),
        }
    }

    pub(crate) fn cooked2<'a>(&mut self, packet: Packet<'a>, bytes: &'a [u8], sink: Sink<'_>) {
        match (u16_at(bytes, 0), bytes.get(20..)) {
            (Some(kind), Some(rest)) => self.typed(packet, kind, rest, None, sink),
            _ => broken(packet, Event::SllPktTooSmall, sink),
        }
    }

    /// An Ethernet frame inside of a tunnel, then the packet that carried it.
    pub(crate) fn ethernet_inside(&mut self, outer: Packet<'_>, bytes: &[u8], sink: Sink<'_>) {
        self.ethernet(inner(&outer, bytes), bytes, sink);
        sink(&outer);
    }
}
