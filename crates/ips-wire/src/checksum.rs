//! Checksums of IPv4, TCP, UDP and ICMP (RFC 1071). In comes a packet, out comes whether a sum is right; `None` where there is none to check.

use crate::packet::{Network, Packet, Transport};
use std::net::IpAddr;

/// Which checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Sum {
    /// Of the header of IPv4.
    Ipv4,
    /// Of TCP.
    Tcp,
    /// Of UDP.
    Udp,
    /// Of ICMP.
    Icmpv4,
    /// Of ICMP for IPv6.
    Icmpv6,
}

/// The ones' complement sum of the bytes, on top of another.
fn add(mut sum: u64, bytes: &[u8]) -> u64 {
    let mut words = bytes.chunks_exact(4);
    for w in words.by_ref() {
        sum += u64::from(u32::from_be_bytes([w[0], w[1], w[2], w[3]]));
    }
    let mut last = [0; 4];
    let rest = words.remainder();
    last[..rest.len()].copy_from_slice(rest);
    sum + u64::from(u32::from_be_bytes(last))
}

/// A sum of words in ones' complement, carries added.
pub fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    #[allow(clippy::cast_possible_truncation, reason = "folded to 16 bits above")]
    {
        sum as u16
    }
}

/// The checksum of these bytes.
pub fn of(bytes: &[u8]) -> u16 {
    !fold(add(0, bytes))
}

fn pseudo(packet: &Packet<'_>, protocol: u8, length: usize) -> u64 {
    let sum = match (packet.source, packet.destination) {
        (IpAddr::V4(a), IpAddr::V4(b)) => add(add(0, &a.octets()), &b.octets()),
        (IpAddr::V6(a), IpAddr::V6(b)) => add(add(0, &a.octets()), &b.octets()),
        _ => 0,
    };
    sum + u64::from(protocol) + length as u64
}

/// Whether this checksum of the packet is right.
pub fn right(packet: &Packet<'_>, which: Sum) -> Option<bool> {
    let whole = |header: &[u8], protocol: u8| {
        let length = header.len() + packet.payload.len();
        fold(add(add(pseudo(packet, protocol, length), header), packet.payload)) == 0xffff
    };
    match (which, packet.network, packet.transport) {
        (Sum::Ipv4, Network::V4(header), _) => Some(fold(add(0, header)) == 0xffff),
        (Sum::Tcp, _, Transport::Tcp(h)) => Some(whole(h, 6)),
        // 0 says that there is none (RFC 768); over IPv6 it is wrong.
        (Sum::Udp, Network::V4(_), Transport::Udp([.., 0, 0])) => None,
        (Sum::Udp, _, Transport::Udp(h)) => Some(whole(h, 17)),
        (Sum::Icmpv4, _, Transport::Icmpv4(h)) => Some(fold(add(add(0, h), packet.payload)) == 0xffff),
        (Sum::Icmpv6, _, Transport::Icmpv6(h)) => Some(whole(h, 58)),
        _ => None,
    }
}

/// Whether every checksum of the packet is right; what has none is right.
pub fn all_right(packet: &Packet<'_>) -> bool {
    [Sum::Ipv4, Sum::Tcp, Sum::Udp, Sum::Icmpv4, Sum::Icmpv6].into_iter().all(|s| right(packet, s) != Some(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        assert_eq!(of(&[0x01]), !0x0100);
    }
}
