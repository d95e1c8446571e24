//! IPv4 packets with right checksums. In come addresses, ports and flags; out come bytes for a raw socket.

use crate::policy::Proto;
use std::net::Ipv4Addr;

/// Longest packet built here: IPv4 header and TCP header without options.
pub const LONGEST: usize = 40;

/// TCP flag bits.
pub mod flag {
    /// Opens.
    pub const SYN: u8 = 0x02;
    /// Acknowledges.
    pub const ACK: u8 = 0x10;
}

/// What a packet says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Head {
    /// Protocol.
    pub proto: Proto,
    /// Source.
    pub src: Ipv4Addr,
    /// Destination.
    pub dst: Ipv4Addr,
    /// Source port.
    pub sport: u16,
    /// Destination port.
    pub dport: u16,
    /// TCP flags.
    pub flags: u8,
    /// TCP sequence number.
    pub seq: u32,
    /// TCP acknowledgement number.
    pub ack: u32,
}

/// A packet of [`LONGEST`] bytes or fewer.
#[derive(Debug, Clone, Copy)]
pub struct Frame {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Frame {
    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Builds the packet; UDP carries twelve bytes of payload, so that both protocols are equally long.
pub fn build(head: &Head) -> Frame {
    let mut b = [0u8; LONGEST];
    b[0] = 0x45;
    b[2..4].copy_from_slice(&(LONGEST as u16).to_be_bytes());
    b[6] = 0x40; // don't fragment
    b[8] = 64; // hop limit
    b[9] = head.proto.number();
    b[12..16].copy_from_slice(&head.src.octets());
    b[16..20].copy_from_slice(&head.dst.octets());
    let header = checksum(sum(&b[..20]));
    b[10..12].copy_from_slice(&header.to_be_bytes());
    b[20..22].copy_from_slice(&head.sport.to_be_bytes());
    b[22..24].copy_from_slice(&head.dport.to_be_bytes());
    let at = match head.proto {
        Proto::Tcp => {
            b[24..28].copy_from_slice(&head.seq.to_be_bytes());
            b[28..32].copy_from_slice(&head.ack.to_be_bytes());
            b[32] = 5 << 4;
            b[33] = head.flags;
            b[34..36].copy_from_slice(&u16::MAX.to_be_bytes()); // window
            36
        }
        Proto::Udp => {
            b[24..26].copy_from_slice(&20u16.to_be_bytes());
            26
        }
    };
    let pseudo = sum(&b[12..20]) + u32::from(head.proto.number()) + 20;
    let transport = checksum(pseudo + sum(&b[20..]));
    b[at..at + 2].copy_from_slice(&transport.to_be_bytes());
    Frame { bytes: b, length: LONGEST }
}

/// RFC 1071: sum of 16-bit words; even lengths only.
fn sum(bytes: &[u8]) -> u32 {
    bytes.chunks_exact(2).map(|c| u32::from(u16::from_be_bytes([c[0], c[1]]))).sum()
}

fn checksum(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_sums_to_all_ones() {
        for proto in [Proto::Tcp, Proto::Udp] {
            let head = Head {
                proto,
                src: Ipv4Addr::new(10, 0, 0, 1),
                dst: Ipv4Addr::new(10, 1, 2, 3),
                sport: 40_000,
                dport: 1234,
                flags: flag::SYN,
                seq: 7,
                ack: 0,
            };
            let frame = build(&head);
            let b = frame.bytes();
            assert_eq!(checksum(sum(&b[..20])), 0);
            assert_eq!(checksum(sum(&b[12..20]) + u32::from(proto.number()) + 20 + sum(&b[20..])), 0);
        }
    }
}
