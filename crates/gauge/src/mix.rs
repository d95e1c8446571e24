//! One large capture out of many small ones: copies with addresses of their own and times that only grow. In come captures, out comes a
//! file in pcap's form. Never: changes what packets carry, so that every copy means the same to rules and parsers.

use crate::Error;
use ips_io::capture::{self, Frame};
use ips_wire::{Link, checksum};
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

/// Longest pause between two frames that is kept, in microseconds: what waited for hours in a capture would only run into time limits.
const LONGEST_PAUSE: u64 = 1_000_000;

/// pcap's header: microseconds, Ethernet, frames of any length.
const HEADER: [u32; 6] = [0xa1b2_c3d4, 0x0004_0002, 0, 0, 262_144, 1];
/// Bytes written at once.
const BUFFER: usize = 1 << 20;

/// What was written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Mixed {
    /// Frames.
    pub frames: u64,
    /// Their bytes, without the file's own.
    pub bytes: u64,
}

/// Writes so many copies of these captures, one capture after the other, copies of one side by side.
pub fn write(captures: &[PathBuf], copies: u8, to: &Path) -> Result<Mixed, Error> {
    let what = || format!("writing {}", to.display());
    let mut out = BufWriter::with_capacity(BUFFER, File::create(to).map_err(Error::call(what()))?);
    for word in HEADER {
        out.write_all(&word.to_le_bytes()).map_err(Error::call(what()))?;
    }
    // A day in 2023: rules and parsers look at no date.
    let mut clock = 1_700_000_000_000_000_u64;
    let mut mixed = Mixed::default();
    let (mut copy, mut failed) = (Vec::new(), None);
    for capture in captures {
        let mut last = None;
        let mut each = |frame: Frame<'_>| {
            if frame.link != Link::Ethernet {
                return true;
            }
            let pause = last.map_or(LONGEST_PAUSE, |l| frame.time.saturating_sub(l)).min(LONGEST_PAUSE);
            (last, clock) = (Some(frame.time), clock + pause);
            for number in 0..copies {
                copy.clear();
                copy.extend_from_slice(frame.bytes);
                renumber(&mut copy, number);
                mixed.frames += 1;
                mixed.bytes += copy.len() as u64;
                let written = record(&mut out, clock, &copy);
                failed = failed.take().or(written.err());
            }
            failed.is_none()
        };
        capture::read(capture, &mut each).map_err(|e| Error::Invalid(e.to_string()))?;
        if let Some(e) = failed.take() {
            return Err(Error::call(what())(e));
        }
    }
    out.flush().map_err(Error::call(what()))?;
    Ok(mixed)
}

fn record(out: &mut impl Write, time: u64, frame: &[u8]) -> std::io::Result<()> {
    let length = u32::try_from(frame.len()).unwrap_or(u32::MAX);
    let second = |t: u64| u32::try_from(t).unwrap_or(u32::MAX);
    for word in [second(time / 1_000_000), second(time % 1_000_000), length, length] {
        out.write_all(&word.to_le_bytes())?;
    }
    out.write_all(frame)
}

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const TAGS: [[u8; 2]; 3] = [[0x81, 0x00], [0x88, 0xa8], [0x91, 0x00]];

/// Gives both ends other addresses: the third byte of an IPv4 address, the eighth of an IPv6 one, exclusive-or `number`. A home network
/// stays one, two ends never become the same, and copy 0 is the frame itself.
pub fn renumber(frame: &mut [u8], number: u8) {
    let mut at = 12;
    while frame.get(at..at + 2).is_some_and(|kind| TAGS.iter().any(|t| kind == t)) {
        at += 4;
    }
    let (kind, ip) = (frame.get(at..at + 2).map(|k| [k[0], k[1]]), at + 2);
    match kind {
        Some(IPV4) if frame.len() >= ip + 20 && frame[ip] >> 4 == 4 => ipv4(&mut frame[ip..], number),
        Some(IPV6) if frame.len() >= ip + 40 => ipv6(&mut frame[ip..], number),
        _ => {}
    }
}

fn ipv4(ip: &mut [u8], number: u8) {
    let (header, protocol) = (usize::from(ip[0] & 15) * 4, ip[9]);
    let first = u16::from_be_bytes([ip[6], ip[7]]) & 0x1fff == 0;
    let before = [ip[14], ip[18]];
    ip[14] ^= number;
    ip[18] ^= number;
    let after = [ip[14], ip[18]];
    adjust(ip, 10, before, after);
    if first {
        transport(ip, header, protocol, before, after);
    }
}

fn ipv6(ip: &mut [u8], number: u8) {
    let protocol = ip[6];
    let before = [ip[15], ip[31]];
    ip[15] ^= number;
    ip[31] ^= number;
    let after = [ip[15], ip[31]];
    transport(ip, 40, protocol, before, after);
}

/// TCP's, UDP's and ICMPv6's sums hold the addresses.
fn transport(ip: &mut [u8], header: usize, protocol: u8, before: [u8; 2], after: [u8; 2]) {
    let sum = match protocol {
        6 => header + 16,
        17 => header + 6,
        58 => header + 2,
        _ => return,
    };
    // UDP without a sum stays without.
    if ip.get(sum..sum + 2).is_some_and(|s| s != [0, 0]) {
        adjust(ip, sum, before, after);
    }
}

/// Corrects a sum for two bytes that changed. The byte of an IPv4 address is the higher one of its word, that of an IPv6 address the lower.
fn adjust(ip: &mut [u8], at: usize, before: [u8; 2], after: [u8; 2]) {
    let Some(field) = ip.get(at..at + 2) else { return };
    let shift = if ip[0] >> 4 == 4 { 8 } else { 0 };
    let mut sum = u64::from(!u16::from_be_bytes([field[0], field[1]]));
    for (old, new) in before.into_iter().zip(after) {
        sum += u64::from(!(u16::from(old) << shift)) + u64::from(u16::from(new) << shift);
    }
    ip[at..at + 2].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use ips_wire::Decoder;

    /// UDP over either family with right sums.
    fn frames() -> [Vec<u8>; 2] {
        let finish = |ip: Vec<u8>, kind: [u8; 2]| [&[2; 12][..], &kind, &ip].concat();
        let mut v4 = vec![0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 192, 168, 1, 7, 10, 0, 2, 9];
        let sum = checksum::of(&v4);
        v4[10..12].copy_from_slice(&sum.to_be_bytes());
        let udp = [0x30, 0x39, 0, 53, 0, 12, 0, 0, 1, 2, 3, 4];
        let sum = checksum::of(&[&v4[12..20], &[0, 17, 0, 12], &udp].concat());
        v4.extend([&udp[..6], &sum.to_be_bytes(), &udp[8..]].concat());
        let mut v6 = vec![0x60, 0, 0, 0, 0, 12, 17, 64];
        v6.extend((0..32).map(|i| i * 3 + 1));
        let sum = checksum::of(&[&v6[8..40], &[0, 0, 0, 12, 0, 0, 0, 17], &udp].concat());
        v6.extend([&udp[..6], &sum.to_be_bytes(), &udp[8..]].concat());
        [finish(v4, IPV4), finish(v6, IPV6)]
    }

    #[test]
    fn copies_have_addresses_of_their_own_and_right_sums() {
        for original in frames() {
            let mut seen = std::collections::BTreeSet::new();
            for number in 0..=255 {
                let mut frame = original.clone();
                renumber(&mut frame, number);
                assert_eq!(frame == original, number == 0);
                let mut decoder = Decoder::new(ips_wire::decode::Settings::default());
                let mut packets = 0;
                decoder.decode(Link::Ethernet, 0, &frame, &mut |p| {
                    packets += 1;
                    assert!(checksum::all_right(p), "copy {number}");
                    assert!(seen.insert((p.source, p.destination)), "copy {number} has another's addresses");
                });
                assert_eq!(packets, 1);
            }
        }
    }

    #[test]
    fn nothing_makes_it_panic() {
        let [v4, v6] = frames();
        for whole in [v4, v6] {
            for length in 0..whole.len() {
                renumber(&mut whole[..length].to_vec(), 7);
            }
        }
        renumber(&mut [0x81; 64], 7);
    }
}
