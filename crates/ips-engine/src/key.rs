//! Which flow a packet belongs to: the same for both directions, tunnels and VLANs kept apart.

use foldhash::quality::FixedState;
use ips_wire::{
    Packet,
    packet::{Quoted, Transport},
};
use std::{
    hash::{BuildHasher, Hasher},
    net::IpAddr,
};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const ICMPV6: u8 = 58;

/// The two ends in order, and what keeps flows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    low: u128,
    high: u128,
    /// Ports of both, protocol, family.
    rest: u64,
    /// VLANs and depth in tunnels.
    place: u64,
}

/// What is told apart beside addresses, ports and protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apart {
    /// VLANs.
    pub vlans: bool,
    /// Depth in tunnels.
    pub depth: bool,
}

impl Default for Apart {
    fn default() -> Self {
        Self { vlans: true, depth: true }
    }
}

/// One end: address and port.
pub type End = (IpAddr, u16);

/// A packet's ends and the protocol of its flow. An ICMP error that quotes TCP or UDP belongs to what it quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ends {
    /// Who sent it.
    pub source: End,
    /// To whom.
    pub destination: End,
    /// The flow's protocol.
    pub protocol: u8,
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

/// The type that answers an ICMP type; its own where none does.
fn answer(kind: u16, v6: bool) -> u16 {
    let pairs: &[(u16, u16)] = if v6 {
        &[(128, 129), (133, 134), (135, 136), (130, 131), (139, 140), (144, 145), (146, 147), (148, 149)]
    } else {
        &[(8, 0), (13, 14), (15, 16), (17, 18), (10, 9)]
    };
    pairs
        .iter()
        .find_map(|&(a, b)| {
            if kind == a {
                Some(b)
            } else if kind == b {
                Some(a)
            } else {
                None
            }
        })
        .unwrap_or(kind)
}

impl Ends {
    /// Of a packet.
    pub fn of(packet: &Packet<'_>) -> Self {
        match (packet.transport, packet.quoted) {
            // The error goes back to who sent what is quoted.
            (Transport::Icmpv4([3, ..]), Some(Quoted { source, destination, protocol, source_port, destination_port }))
                if protocol != ICMP =>
            {
                Self { source: (destination, destination_port), destination: (source, source_port), protocol }
            }
            (Transport::Icmpv4(_) | Transport::Icmpv6(_), _) => {
                let kind = packet.source_port;
                let v6 = packet.protocol == ICMPV6;
                Self { source: (packet.source, kind), destination: (packet.destination, answer(kind, v6)), protocol: packet.protocol }
            }
            _ => Self {
                source: (packet.source, packet.source_port),
                destination: (packet.destination, packet.destination_port),
                protocol: packet.protocol,
            },
        }
    }
    /// Whether it is TCP.
    pub fn is_tcp(&self) -> bool {
        self.protocol == TCP
    }
}

impl Key {
    /// Of a packet with its ends.
    pub fn of(packet: &Packet<'_>, ends: &Ends, apart: Apart) -> Self {
        let (a, b) = ((number(ends.source.0), ends.source.1), (number(ends.destination.0), ends.destination.1));
        let (low, high) = if a <= b { (a, b) } else { (b, a) };
        let family = u64::from(ends.source.0.is_ipv6());
        let rest = u64::from(low.1) << 32 | u64::from(high.1) << 16 | u64::from(ends.protocol) << 8 | family;
        let mut place = 0;
        if apart.vlans {
            for tag in packet.tags() {
                place = place << 16 | u64::from(*tag | 0x1000);
            }
        }
        if apart.depth {
            place = place << 8 | u64::from(packet.depth);
        }
        Self { low: low.0, high: high.0, rest, place }
    }
    /// A number that spreads evenly and that nobody outside can aim at.
    pub fn hash(&self, seed: &FixedState) -> u64 {
        let mut h = seed.build_hasher();
        h.write_u128(self.low);
        h.write_u128(self.high);
        h.write_u64(self.rest);
        h.write_u64(self.place);
        h.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    fn packet(source: u8, destination: u8, ports: (u16, u16)) -> Packet<'static> {
        let mut p = Packet::new(0, 0);
        p.source = IpAddr::V4(Ipv4Addr::new(10, 0, 0, source));
        p.destination = IpAddr::V4(Ipv4Addr::new(10, 0, 0, destination));
        (p.source_port, p.destination_port) = ports;
        p.protocol = TCP;
        p
    }

    fn key(p: &Packet<'_>) -> Key {
        Key::of(p, &Ends::of(p), Apart::default())
    }

    #[test]
    fn both_directions_have_one_key() {
        let (a, b) = (packet(1, 2, (1000, 80)), packet(2, 1, (80, 1000)));
        assert_eq!(key(&a), key(&b));
        assert_ne!(key(&a), key(&packet(1, 2, (1001, 80))));
        assert_ne!(key(&a), key(&packet(2, 1, (1000, 80))), "ports belong to their addresses");
        let mut tagged = a;
        (tagged.vlans[0], tagged.vlan_layers) = (0, 1);
        assert_ne!(key(&a), key(&tagged), "VLAN 0 is a VLAN");
        let mut inside = a;
        inside.depth = 1;
        assert_ne!(key(&a), key(&inside));
        assert_eq!(key(&a), Key::of(&inside, &Ends::of(&inside), Apart { vlans: true, depth: false }));
    }

    #[test]
    fn pings_and_errors_find_their_flow() {
        let mut ping = packet(1, 2, (8, 0));
        ping.protocol = ICMP;
        ping.transport = Transport::Icmpv4(&[8, 0, 0, 0, 0, 0, 0, 0]);
        let mut pong = packet(2, 1, (0, 0));
        pong.protocol = ICMP;
        pong.transport = Transport::Icmpv4(&[0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(key(&ping), key(&pong));
        let quoted = packet(1, 2, (1000, 53));
        let mut error = packet(9, 1, (3, 3));
        error.protocol = ICMP;
        error.transport = Transport::Icmpv4(&[3, 3, 0, 0, 0, 0, 0, 0]);
        error.quoted =
            Some(Quoted { source: quoted.source, destination: quoted.destination, protocol: TCP, source_port: 1000, destination_port: 53 });
        assert_eq!(key(&error), key(&quoted));
    }
}
