//! What IP carries: TCP, UDP, ICMP, and packets inside of packets.

use crate::{
    bytes::u16_at,
    decode::{Decoder, Sink, broken, inner},
    event::Event,
    packet::{Network, Packet, Transport},
    tcp,
};

pub(crate) mod protocol {
    pub const HOP_BY_HOP: u8 = 0;
    pub const ICMP: u8 = 1;
    pub const IGMP: u8 = 2;
    pub const IPIP: u8 = 4;
    pub const TCP: u8 = 6;
    pub const UDP: u8 = 17;
    pub const IPV6: u8 = 41;
    pub const GRE: u8 = 47;
    pub const ESP: u8 = 50;
    pub const ICMPV6: u8 = 58;
    pub const SCTP: u8 = 132;
}

/// Length of UDP's header in bytes.
pub const UDP_HEADER: usize = 8;
/// Length of ICMP's header in bytes.
pub const ICMP_HEADER: usize = 8;
/// Most options of TCP in bytes.
const MAX_OPTIONS: usize = 40;

impl Decoder {
    /// What is in `payload`, by `protocol`.
    pub(crate) fn carried<'a>(&mut self, mut packet: Packet<'a>, sink: Sink<'_>) {
        let v4 = matches!(packet.network, Network::V4(_));
        let data = packet.payload;
        match packet.protocol {
            protocol::TCP => tcp(packet, sink),
            protocol::UDP => self.udp(packet, sink),
            protocol::ICMP if v4 => crate::icmp::v4(packet, sink),
            protocol::ICMPV6 if !v4 => crate::icmp::v6(packet, sink),
            protocol::GRE => self.gre(packet, sink),
            protocol::SCTP | protocol::ESP => {
                packet.flow = data.len() >= if packet.protocol == protocol::SCTP { 12 } else { 8 };
                if packet.flow && packet.protocol == protocol::SCTP {
                    packet.source_port = u16_at(data, 0).unwrap_or(0);
                    packet.destination_port = u16_at(data, 2).unwrap_or(0);
                    packet.payload = &data[12..];
                }
                sink(&packet);
            }
            protocol::IPIP if v4 => {
                packet.flow = true;
                self.ipv4(inner(&packet, data), data, sink);
                sink(&packet);
            }
            protocol::IPIP | protocol::IPV6 if !v4 => self.in_ipv6(packet, sink),
            protocol::IPV6 => {
                packet.flow = true;
                // Less than a header is not looked into.
                if data.len() >= crate::ipv6::HEADER {
                    self.ipv6(inner(&packet, data), data, sink);
                }
                sink(&packet);
            }
            protocol::ICMP => {
                packet.events.add(Event::Ipv6Icmpv4);
                sink(&packet);
            }
            protocol::ICMPV6 => {
                packet.events.add(Event::Ipv4Icmpv6);
                sink(&packet);
            }
            protocol::IGMP if v4 => {
                match data {
                    [_, _, _, _, _, _, _, _, ..] => {}
                    _ => packet.events.add(Event::IgmpPktTooSmall),
                }
                sink(&packet);
            }
            protocol::HOP_BY_HOP => sink(&packet),
            _ => {
                packet.events.add(if v4 { Event::Ipv4UnknownProtocol } else { Event::Ipv6UnknownNextHeader });
                sink(&packet);
            }
        }
    }

    /// IP in IPv6.
    fn in_ipv6(&mut self, mut packet: Packet<'_>, sink: Sink<'_>) {
        let data = packet.payload;
        packet.flow = true;
        let v4 = packet.protocol == protocol::IPIP;
        let (least, version, small, wrong) = if v4 {
            (crate::ipv4::MIN_HEADER, 4, Event::Ipv6Ipv4InIpv6TooSmall, Event::Ipv6Ipv4InIpv6WrongVersion)
        } else {
            (crate::ipv6::HEADER, 6, Event::Ipv6Ipv6InIpv6TooSmall, Event::Ipv6Ipv6InIpv6WrongVersion)
        };
        match data.first() {
            Some(first) if data.len() >= least => {
                if first >> 4 == version {
                    let inside = inner(&packet, data);
                    if v4 { self.ipv4(inside, data, sink) } else { self.ipv6(inside, data, sink) }
                } else {
                    packet.events.add(wrong);
                }
            }
            _ => packet.events.add(small),
        }
        sink(&packet);
    }

    fn udp(&mut self, mut packet: Packet<'_>, sink: Sink<'_>) {
        let data = packet.payload;
        let (Some(header), Some(length)) = (data.get(..UDP_HEADER), u16_at(data, 4).map(usize::from)) else {
            return broken(packet, Event::UdpHlenTooSmall, sink);
        };
        if data.len() < length {
            return broken(packet, Event::UdpPktTooSmall, sink);
        }
        if length < UDP_HEADER {
            return broken(packet, Event::UdpLenInvalid, sink);
        }
        packet.transport = Transport::Udp(header);
        packet.source_port = u16_at(header, 0).unwrap_or(0);
        packet.destination_port = u16_at(header, 2).unwrap_or(0);
        packet.payload = &data[UDP_HEADER..length];
        packet.flow = true;
        self.over_udp(packet, sink);
    }
}

fn tcp(mut packet: Packet<'_>, sink: Sink<'_>) {
    let data = packet.payload;
    let Some(fixed) = data.first_chunk::<{ tcp::MIN_HEADER }>() else { return broken(packet, Event::TcpPktTooSmall, sink) };
    let length = usize::from(fixed[12] >> 4) * 4;
    if data.len() < length {
        return broken(packet, Event::TcpHlenTooSmall, sink);
    }
    if !(tcp::MIN_HEADER..=tcp::MIN_HEADER + MAX_OPTIONS).contains(&length) {
        return broken(packet, Event::TcpInvalidOptlen, sink);
    }
    let (header, payload) = data.split_at(length);
    packet.transport = Transport::Tcp(header);
    packet.source_port = u16_at(header, 0).unwrap_or(0);
    packet.destination_port = u16_at(header, 2).unwrap_or(0);
    packet.payload = payload;
    packet.flow = true;
    if length > tcp::MIN_HEADER {
        let options = tcp::Tcp::new(header).options();
        if options.duplicate {
            packet.events.add(Event::TcpOptDuplicate);
        }
        if options.invalid_length {
            packet.events.add(Event::TcpOptInvalidLen);
        }
    }
    sink(&packet);
}
