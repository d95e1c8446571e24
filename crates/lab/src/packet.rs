//! Single packets as attackers and probes send them: complete IP datagrams with a mark of their own in the payload.
//!
//! In comes what the packet shall say; out come bytes, one datagram or its fragments. The mark survives address and port
//! translation, so that a packet is recognised wherever it lands. Never: sends anything.

use crate::error::LabError;
use etherparse::{
    IpFragOffset, IpNumber, Ipv4Header, Ipv6FragmentHeader, Ipv6Header, PacketBuilder, PacketBuilderStep, checksum::Sum16BitWords,
};
use serde::Serialize;
use std::net::IpAddr;

/// Begins the payload of every packet of the lab.
const MAGIC: [u8; 8] = *b"RAVELIN\x01";
/// The same in what ICMP errors of the lab quote, so that they are told from errors of kernels about packets of the lab.
const QUOTED: [u8; 8] = *b"RAVELIN\x02";
/// Hops a packet may take: what a forger writes to seem near, so that a rule that asks for it stops none of these by chance.
pub const HOP_LIMIT: u8 = 255;
/// VRRP's protocol number.
pub const VRRP: u8 = 112;
/// Version 3, advertisement (RFC 9568 5.2.1, 5.2.2).
const ADVERTISEMENT: u8 = 0x31;
/// Virtual router the lab's forgers name: the one Ravelin's pairs use.
const ROUTER: u8 = 1;
/// Hundredths of a second between advertisements, as the lab's forgers claim.
const INTERVAL: u16 = 10;
/// Bytes of transport data in the first fragment: enough for the ports, not for a TCP header's flags.
const FIRST_FRAGMENT: usize = 8;
/// The same for TCP over v6, where a first fragment without the whole header is refused by every receiver (RFC 8200,
/// section 4.5): 20 bytes of header, rounded up to eights.
const FIRST_FRAGMENT_TCP6: usize = 24;

/// TCP flags as the kernel numbers them.
#[expect(missing_docs, reason = "RFC 9293's own words")]
pub mod flag {
    pub const FIN: u8 = 1;
    pub const SYN: u8 = 2;
    pub const RST: u8 = 4;
    pub const PSH: u8 = 8;
    pub const ACK: u8 = 16;
    pub const URG: u8 = 32;
}

/// What a packet carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "header fields under their usual names")]
pub enum Body {
    /// TCP with these flags.
    Tcp { sport: u16, dport: u16, flags: u8 },
    /// UDP.
    Udp { sport: u16, dport: u16 },
    /// ICMP or ICMPv6, by the address family.
    Icmp { kind: u8, code: u8 },
    /// An ICMP or ICMPv6 message that quotes a packet, by the address family.
    Error { kind: u8, code: u8, about: Quoted },
    /// An advertisement of VRRPv3: 255 takes over at once, 0 says that the active node leaves.
    Vrrp { priority: u8 },
    /// Another protocol by number, with nothing but the mark.
    Other { proto: u8 },
}

/// A TCP or UDP packet as an ICMP error quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[expect(missing_docs, reason = "header fields under their usual names")]
pub struct Quoted {
    pub src: IpAddr,
    pub dst: IpAddr,
    /// UDP instead of TCP.
    pub udp: bool,
    pub sport: u16,
    pub dport: u16,
}

impl Quoted {
    /// Header and mark. The whole TCP header is there, because translation mends the checksum in what it finds.
    fn bytes(&self, id: u64) -> Result<Vec<u8>, LabError> {
        let (sport, dport) = (self.sport, self.dport);
        let body = if self.udp { Body::Udp { sport, dport } } else { Body::Tcp { sport, dport, flags: flag::ACK } };
        Packet { src: self.src, dst: self.dst, body, shape: Shape::Whole }.marked(&mark(QUOTED, id))
    }
}

/// How the datagram is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Shape {
    /// In one piece.
    Whole,
    /// In two, the first ending right after the ports where receivers accept that.
    Fragments,
}

/// A packet to be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Packet {
    /// Source; need not be the sender's.
    pub src: IpAddr,
    /// Destination, of the same family.
    pub dst: IpAddr,
    /// Transport.
    pub body: Body,
    /// In how many pieces.
    pub shape: Shape,
}

impl Packet {
    /// A TCP SYN in one piece.
    pub fn syn(src: IpAddr, dst: IpAddr, sport: u16, dport: u16) -> Self {
        Self { src, dst, body: Body::Tcp { sport, dport, flags: flag::SYN }, shape: Shape::Whole }
    }

    /// A UDP datagram in one piece.
    pub fn udp(src: IpAddr, dst: IpAddr, sport: u16, dport: u16) -> Self {
        Self { src, dst, body: Body::Udp { sport, dport }, shape: Shape::Whole }
    }

    /// Protocol number as it stands in the IP header.
    pub fn protocol(&self) -> u8 {
        match self.body {
            Body::Tcp { .. } => 6,
            Body::Udp { .. } => 17,
            Body::Icmp { .. } | Body::Error { .. } if self.dst.is_ipv4() => 1,
            Body::Icmp { .. } | Body::Error { .. } => 58,
            Body::Vrrp { .. } => VRRP,
            Body::Other { proto } => proto,
        }
    }

    /// The datagrams to put on the wire, marked with `id`.
    pub fn datagrams(&self, id: u64) -> Result<Vec<Vec<u8>>, LabError> {
        let whole = self.whole(id)?;
        match self.shape {
            Shape::Whole => Ok(vec![whole]),
            Shape::Fragments => fragments(&whole, id),
        }
    }

    fn whole(&self, id: u64) -> Result<Vec<u8>, LabError> {
        match self.body {
            Body::Error { about, .. } => self.marked(&about.bytes(id)?),
            _ => self.marked(&mark(MAGIC, id)),
        }
    }

    fn marked(&self, mark: &[u8]) -> Result<Vec<u8>, LabError> {
        let ip = match (self.src, self.dst) {
            (IpAddr::V4(s), IpAddr::V4(d)) => PacketBuilder::ipv4(s.octets(), d.octets(), HOP_LIMIT),
            (IpAddr::V6(s), IpAddr::V6(d)) => PacketBuilder::ipv6(s.octets(), d.octets(), HOP_LIMIT),
            _ => return Err(LabError::Packet(format!("{} and {} are of two families", self.src, self.dst))),
        };
        let mut out = Vec::with_capacity(128);
        match self.body {
            Body::Tcp { sport, dport, flags } => tcp(ip, sport, dport, flags).write(&mut out, mark),
            Body::Udp { sport, dport } => ip.udp(sport, dport).write(&mut out, mark),
            Body::Icmp { kind, code } | Body::Error { kind, code, .. } if self.dst.is_ipv4() => {
                ip.icmpv4_raw(kind, code, [0; 4]).write(&mut out, mark)
            }
            Body::Icmp { kind, code } | Body::Error { kind, code, .. } => ip.icmpv6_raw(kind, code, [0; 4]).write(&mut out, mark),
            Body::Vrrp { priority } => ip.write(&mut out, IpNumber(VRRP), &self.advertisement(priority, mark)),
            Body::Other { proto } => ip.write(&mut out, IpNumber(proto), mark),
        }
        .map_err(|e| LabError::Packet(e.to_string()))?;
        Ok(out)
    }
}

impl Packet {
    /// A whole advertisement: the mark stands where its addresses do.
    fn advertisement(&self, priority: u8, mark: &[u8]) -> Vec<u8> {
        let one = if self.dst.is_ipv4() { 4 } else { 16 };
        let count = u8::try_from(mark.len() / one).unwrap_or(u8::MAX);
        let [high, low] = INTERVAL.to_be_bytes();
        let mut out = vec![ADVERTISEMENT, ROUTER, priority, count, high, low, 0, 0];
        out.extend_from_slice(mark);
        let sum = match (self.src, self.dst) {
            (IpAddr::V4(s), IpAddr::V4(d)) => Sum16BitWords::new().add_4bytes(s.octets()).add_4bytes(d.octets()),
            (IpAddr::V6(s), IpAddr::V6(d)) => Sum16BitWords::new().add_16bytes(s.octets()).add_16bytes(d.octets()),
            _ => Sum16BitWords::new(),
        };
        let length = u16::try_from(out.len()).unwrap_or(u16::MAX);
        let sum = sum.add_2bytes([0, VRRP]).add_2bytes(length.to_be_bytes()).add_slice(&out).ones_complement();
        out[6..8].copy_from_slice(&sum.to_be_bytes());
        out
    }
}

fn tcp(ip: PacketBuilderStep<etherparse::IpHeaders>, sport: u16, dport: u16, flags: u8) -> PacketBuilderStep<etherparse::TcpHeader> {
    /// Any window will do.
    const WINDOW: u16 = 1024;
    /// Every packet's: within the window of whatever else its connection saw, which tracking asks for.
    const SEQUENCE: u32 = 1;
    let mut step = ip.tcp(sport, dport, SEQUENCE, WINDOW);
    if flags & flag::FIN != 0 {
        step = step.fin();
    }
    if flags & flag::SYN != 0 {
        step = step.syn();
    }
    if flags & flag::RST != 0 {
        step = step.rst();
    }
    if flags & flag::PSH != 0 {
        step = step.psh();
    }
    if flags & flag::ACK != 0 {
        step = step.ack(1);
    }
    if flags & flag::URG != 0 {
        step = step.urg(0);
    }
    step
}

fn fragments(whole: &[u8], id: u64) -> Result<Vec<Vec<u8>>, LabError> {
    let bad = |e: &dyn std::fmt::Display| LabError::Packet(e.to_string());
    let [.., a, b, c, d] = id.to_be_bytes();
    if whole.first().is_some_and(|v| v >> 4 == 4) {
        let (header, rest) = Ipv4Header::from_slice(whole).map_err(|e| bad(&e))?;
        let (first, last) = rest.split_at(FIRST_FRAGMENT.min(rest.len()));
        [(first, 0, true), (last, FIRST_FRAGMENT / 8, false)]
            .into_iter()
            .map(|(piece, offset, more)| {
                let mut h = header.clone();
                h.identification = u16::from_be_bytes([c, d]) | 1;
                h.dont_fragment = false;
                h.more_fragments = more;
                h.fragment_offset = fragment_offset(offset)?;
                h.set_payload_len(piece.len()).map_err(|e| bad(&e))?;
                let mut out = Vec::new();
                h.write(&mut out).map_err(|e| bad(&e))?;
                out.extend_from_slice(piece);
                Ok(out)
            })
            .collect()
    } else {
        let (header, rest) = Ipv6Header::from_slice(whole).map_err(|e| bad(&e))?;
        let cut = if header.next_header == IpNumber::TCP { FIRST_FRAGMENT_TCP6 } else { FIRST_FRAGMENT };
        let (first, last) = rest.split_at(cut.min(rest.len()));
        [(first, 0, true), (last, cut / 8, false)]
            .into_iter()
            .map(|(piece, offset, more)| {
                let identification = u32::from_be_bytes([a, b, c, d]);
                let extension = Ipv6FragmentHeader::new(header.next_header, fragment_offset(offset)?, more, identification);
                let mut h = header.clone();
                h.next_header = IpNumber::IPV6_FRAGMENTATION_HEADER;
                h.set_payload_length(Ipv6FragmentHeader::LEN + piece.len()).map_err(|e| bad(&e))?;
                let mut out = Vec::new();
                h.write(&mut out).map_err(|e| bad(&e))?;
                extension.write(&mut out).map_err(|e| bad(&e))?;
                out.extend_from_slice(piece);
                Ok(out)
            })
            .collect()
    }
}

fn fragment_offset(eights: usize) -> Result<IpFragOffset, LabError> {
    let n = u16::try_from(eights).map_err(|e| LabError::Packet(e.to_string()))?;
    IpFragOffset::try_new(n).map_err(|e| LabError::Packet(e.to_string()))
}

fn mark(magic: [u8; 8], id: u64) -> [u8; 16] {
    let mut out = [0; 16];
    out[..8].copy_from_slice(&magic);
    out[8..].copy_from_slice(&id.to_be_bytes());
    out
}

/// The mark in received bytes, wherever it stands; also found in packets that an ICMP error of the kernel quotes.
pub fn find_mark(bytes: &[u8]) -> Option<u64> {
    find(MAGIC, bytes)
}

/// The mark of an ICMP error of the lab's own.
pub fn find_quoted_mark(bytes: &[u8]) -> Option<u64> {
    find(QUOTED, bytes)
}

fn find(magic: [u8; 8], bytes: &[u8]) -> Option<u64> {
    let at = bytes.windows(magic.len()).position(|w| w == magic)?;
    let id = bytes.get(at + magic.len()..at + magic.len() + 8)?;
    id.try_into().ok().map(u64::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets() -> Vec<Packet> {
        let (a4, b4): (IpAddr, IpAddr) = ([10, 0, 0, 1].into(), [10, 0, 0, 2].into());
        let a6: IpAddr = "2001:db8::1".parse().expect("v6");
        let b6: IpAddr = "2001:db8::2".parse().expect("v6");
        let mut all = Vec::new();
        for (src, dst) in [(a4, b4), (a6, b6)] {
            for shape in [Shape::Whole, Shape::Fragments] {
                let tcp = Body::Tcp { sport: 1, dport: 2, flags: flag::SYN | flag::ACK };
                for body in [tcp, Body::Udp { sport: 1, dport: 2 }, Body::Icmp { kind: 8, code: 0 }, Body::Vrrp { priority: 255 }] {
                    all.push(Packet { src, dst, body, shape });
                }
            }
        }
        all
    }

    #[test]
    fn every_packet_parses_as_what_it_was_meant_to_be() {
        for p in packets() {
            let datagrams = p.datagrams(77).expect("written");
            assert_eq!(datagrams.len(), if p.shape == Shape::Whole { 1 } else { 2 });
            if p.shape == Shape::Whole {
                assert_eq!(find_mark(&datagrams[0]), Some(77));
            }
            for d in &datagrams {
                let parsed = etherparse::SlicedPacket::from_ip(d).expect("an IP datagram");
                assert!(parsed.net.is_some());
            }
        }
    }

    #[test]
    fn an_error_quotes_what_it_is_about() {
        for p in packets().into_iter().filter(|p| p.shape == Shape::Whole) {
            for udp in [false, true] {
                let about = Quoted { src: p.dst, dst: p.src, udp, sport: 7, dport: 8 };
                let error = Packet { body: Body::Error { kind: 3, code: 1, about }, ..p };
                let bytes = &error.datagrams(78).expect("written")[0];
                assert_eq!((find_mark(bytes), find_quoted_mark(bytes)), (None, Some(78)));
                let outer = if p.dst.is_ipv4() { 28 } else { 48 };
                let inner = etherparse::SlicedPacket::from_ip(&bytes[outer..]).expect("a quoted datagram");
                assert_eq!(matches!(inner.transport, Some(etherparse::TransportSlice::Udp(_))), udp);
            }
        }
    }

    #[test]
    fn two_families_are_refused() {
        let p = Packet::syn([10, 0, 0, 1].into(), "::1".parse().expect("v6"), 1, 2);
        assert!(p.datagrams(1).is_err());
    }
}
