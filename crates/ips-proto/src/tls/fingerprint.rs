//! JA3, JA3S and JA4: fingerprints of hello messages, made when asked for.

use super::hello::{Hello, grease};
use crate::json;
use md5::{Digest as _, Md5};
use sha2::Sha256;
use std::fmt::Write as _;

fn joined(out: &mut String, values: impl Iterator<Item = u16>) {
    for (i, v) in values.enumerate() {
        // A string takes all that is written.
        let _ = if i == 0 { write!(out, "{v}") } else { write!(out, "-{v}") };
    }
}

/// Version, ciphers, extensions, groups and formats of a client.
pub fn ja3(h: &Hello) -> String {
    let mut out = h.version.to_string();
    for list in [&h.ciphers, &h.extensions, &h.groups] {
        out.push(',');
        joined(&mut out, list.iter().copied().filter(|v| !grease(*v)));
    }
    out.push(',');
    joined(&mut out, h.formats.iter().map(|f| u16::from(*f)));
    out
}

/// Version, cipher and extensions of a server.
pub fn ja3s(h: &Hello) -> String {
    let mut out = h.version.to_string();
    for list in [&h.ciphers, &h.extensions] {
        out.push(',');
        joined(&mut out, list.iter().copied());
    }
    out
}

/// The digest of one of the above.
pub fn md5(text: &str) -> String {
    json::hex(&Md5::digest(text.as_bytes()), 0)
}

fn twelve(text: &str) -> String {
    if text.is_empty() { "0".repeat(12) } else { json::hex(&Sha256::digest(text.as_bytes())[..6], 0) }
}

/// JA4 of a client over TCP or QUIC.
pub fn ja4(h: &Hello, quic: bool) -> String {
    let version = match h.supported.unwrap_or(h.version) {
        0x0304 | 0x7f00..=0x7fff => "13",
        0x0303 => "12",
        0x0302 => "11",
        0x0301 => "10",
        0x0300 => "s3",
        0x0002 => "s2",
        _ => "00",
    };
    let commas = |list: &[u16]| list.iter().map(|v| format!("{v:04x}")).collect::<Vec<_>>().join(",");
    let mut ciphers: Vec<u16> = h.ciphers.iter().copied().filter(|v| !grease(*v)).collect();
    let mut extensions: Vec<u16> = h.extensions.iter().copied().filter(|v| !grease(*v)).collect();
    let counts = (ciphers.len().min(99), extensions.len().min(99));
    let name = if h.extensions.contains(&0) { 'd' } else { 'i' };
    ciphers.sort_unstable();
    // The server's name and the application protocol are told elsewhere.
    extensions.retain(|e| *e != 0 && *e != 16);
    extensions.sort_unstable();
    let mut last = commas(&extensions);
    // The line before the algorithms stands even where there are none, as in the peer.
    let signatures: Vec<u16> = h.signatures.iter().copied().filter(|v| !grease(*v)).collect();
    let _ = write!(last, "_{}", commas(&signatures));
    let [first, second] = protocol(h.alpn.first().map_or(&[], Vec::as_slice));
    let transport = if quic { 'q' } else { 't' };
    format!("{transport}{version}{name}{:02}{:02}{first}{second}_{}_{}", counts.0, counts.1, twelve(&commas(&ciphers)), twelve(&last))
}

/// First and last letter of an application protocol, or digits of its bytes.
fn protocol(alpn: &[u8]) -> [char; 2] {
    let [Some(first), Some(last)] = [alpn.first(), alpn.last()] else { return ['0', '0'] };
    if let [a, b] = alpn
        && grease(u16::from_be_bytes([*a, *b]))
    {
        return ['0', '0'];
    }
    if first.is_ascii_alphanumeric() && last.is_ascii_alphanumeric() {
        return [*first as char, *last as char];
    }
    let digits = json::hex(&[*first, *last], 0);
    let mut c = digits.chars();
    [c.next().unwrap_or('0'), c.next_back().unwrap_or('0')]
}
