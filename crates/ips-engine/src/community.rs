//! Community ID, version 1: one name for a flow in the events of every tool. In come its ends, out comes the text.

use crate::key::End;
use ips_wire::packet::Transport;
use sha1::{Digest, Sha1};
use std::net::IpAddr;

/// Length of an id in bytes: `1:` and 28 letters.
pub const LENGTH: usize = 30;
const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// The id of a flow; for ICMP the ports are type and code as the standard maps them.
pub fn id(seed: u16, source: End, destination: End, protocol: u8) -> [u8; LENGTH] {
    let ordered = matches!(protocol, 1 | 58) && !paired(source.1, protocol);
    let (low, high) = if ordered || (bytes(source.0), source.1) <= (bytes(destination.0), destination.1) {
        (source, destination)
    } else {
        (destination, source)
    };
    let mut hash = Sha1::new();
    hash.update(seed.to_be_bytes());
    for end in [low, high] {
        match end.0 {
            IpAddr::V4(a) => hash.update(a.octets()),
            IpAddr::V6(a) => hash.update(a.octets()),
        }
    }
    hash.update([protocol, 0]);
    if matches!(protocol, 1 | 6 | 17 | 58 | 132) {
        hash.update(low.1.to_be_bytes());
        hash.update(high.1.to_be_bytes());
    }
    let digest: [u8; 20] = hash.finalize().into();
    let mut out = [b'='; LENGTH];
    out[..2].copy_from_slice(b"1:");
    for (three, four) in digest.chunks(3).zip(out[2..].chunks_exact_mut(4)) {
        let word = three.iter().fold(0u32, |w, b| w << 8 | u32::from(*b)) << (8 * (3 - three.len()));
        for (i, letter) in four.iter_mut().enumerate().take(three.len() + 1) {
            *letter = LETTERS[(word >> (18 - 6 * i) & 63) as usize];
        }
    }
    out
}

fn bytes(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(a.to_bits()),
        IpAddr::V6(a) => a.to_bits(),
    }
}

fn paired(kind: u16, protocol: u8) -> bool {
    if protocol == 1 { matches!(kind, 0 | 8 | 9 | 10 | 13..=18) } else { matches!(kind, 128..=131 | 133..=136 | 139 | 140 | 144 | 145) }
}

/// Whether a packet has an id at all.
pub fn has(transport: &Transport<'_>) -> bool {
    !matches!(transport, Transport::Other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example() {
        let (a, b) = (("128.232.110.120".parse().expect("it reads"), 34855), ("66.35.250.204".parse().expect("it reads"), 80));
        assert_eq!(id(0, a, b, 6), *b"1:LQU9qZlK+B5F3KDmev6m5PMibrg=");
        assert_eq!(id(0, b, a, 6), id(0, a, b, 6));
        assert_eq!(id(1, a, b, 6), *b"1:3V71V58M3Ksw/yuFALMcW0LAHvc=");
    }
}
