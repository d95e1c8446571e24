//! QUIC: datagrams in, a transaction per hello out. Only Initial packets are opened; all others are counted. Hello messages are put together
//! over packets, in any order. Once the server has answered, what follows is opaque.

mod keys;
#[cfg(test)]
mod tests;

use crate::{
    json,
    open::{Open, many},
    tls::{
        fingerprint,
        hello::{Bytes, Hello},
    },
    transaction::{Input, Parser, Piece, Step, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, header::App};
use keys::{Keys, Version};
use std::collections::BTreeMap;

/// Bytes of a hello at most; the largest have a few thousand.
const HELLO: usize = 64 << 10;
/// Pieces of one that wait for those before them.
const PIECES: usize = 128;
/// Packets of a datagram that are looked at (RFC 9000, 12.2 joins a handful).
const PACKETS: usize = 8;
/// Datagrams in which a hello is looked for.
const DATAGRAMS: u32 = 32;
/// Transactions that wait to be looked at.
const OPEN: usize = 32;
/// Longest connection id of versions in use (RFC 9000, 17.2).
const ID: usize = 20;

/// One direction.
#[derive(Default)]
struct Side {
    keys: Option<Keys>,
    text: Vec<u8>,
    pieces: BTreeMap<usize, Vec<u8>>,
    told: bool,
}

/// A hello.
struct Said {
    id: u64,
    toward: Toward,
    version: [u8; 4],
    hello: Option<Hello>,
}

/// A conversation.
#[derive(Default)]
pub struct Quic {
    sides: [Side; 2],
    open: Open<Said>,
    datagrams: u32,
    over: bool,
}

/// A packet with a long header.
struct Packet<'a> {
    first: u8,
    version: [u8; 4],
    destination: &'a [u8],
    /// The whole packet, and where its number begins; of an Initial packet only.
    body: Option<(&'a [u8], usize)>,
    rest: &'a [u8],
}

/// A number of variable length (RFC 9000, 16).
fn number(b: &mut Bytes<'_>) -> Option<usize> {
    let first = *b.0.first()?;
    let all = b.number(1 << (first >> 6))?;
    let bits = match first >> 6 {
        0 => 6,
        1 => 14,
        2 => 30,
        _ => 62,
    };
    Some(all & ((1usize << bits) - 1))
}

/// Reads a long header; none where there is none. `rest` is empty where a packet's length is not told.
fn packet(datagram: &[u8]) -> Option<Packet<'_>> {
    let mut b = Bytes(datagram);
    let first = u8::try_from(b.number(1)?).ok()?;
    if first & 0x80 == 0 {
        return None;
    }
    let version = *b.take(4)?.first_chunk::<4>()?;
    let destination = b.vector(1)?.0;
    let source = b.vector(1)?.0;
    if destination.len() > ID || source.len() > ID {
        return None;
    }
    let other = Packet { first, version, destination, body: None, rest: &[] };
    let Some(v) = Version::of(u32::from_be_bytes(version)) else { return Some(other) };
    let kind = first >> 4 & 3;
    if kind == v.retry {
        return Some(other);
    }
    let initial = kind == v.initial;
    if initial {
        let n = number(&mut b)?;
        b.take(n)?;
    }
    let length = number(&mut b)?;
    let at = datagram.len() - b.0.len();
    let whole = datagram.get(..at.checked_add(length)?)?;
    Some(Packet { body: initial.then_some((whole, at)), rest: &datagram[at + length..], ..other })
}

impl Side {
    /// Frames of an opened packet: pieces of the hello are kept (RFC 9000, 19).
    fn frames(&mut self, data: &[u8]) -> Option<()> {
        let mut b = Bytes(data);
        while !b.0.is_empty() {
            match number(&mut b)? {
                0 | 1 => {}
                kind @ (2 | 3) => {
                    number(&mut b)?;
                    number(&mut b)?;
                    let ranges = number(&mut b)?;
                    number(&mut b)?;
                    for _ in 0..ranges {
                        number(&mut b)?;
                        number(&mut b)?;
                    }
                    if kind == 3 {
                        (0..3).try_for_each(|_| number(&mut b).map(drop))?;
                    }
                }
                6 => {
                    let offset = number(&mut b)?;
                    let length = number(&mut b)?;
                    let piece = b.take(length)?;
                    if self.pieces.len() < PIECES && offset + length <= HELLO && length > 0 {
                        let held = self.pieces.entry(offset).or_default();
                        if held.len() < piece.len() {
                            *held = piece.to_vec();
                        }
                    }
                }
                _ => break,
            }
        }
        Some(())
    }

    /// A whole handshake message, where there is one: kind and body.
    fn message(&mut self) -> Option<(u8, Vec<u8>)> {
        while let Some(e) = self.pieces.first_entry().filter(|e| *e.key() <= self.text.len()) {
            let from = self.text.len() - e.key();
            let piece = e.remove();
            self.text.extend_from_slice(piece.get(from..).unwrap_or_default());
        }
        let mut b = Bytes(&self.text);
        let kind = u8::try_from(b.number(1)?).ok()?;
        let body = b.vector(3)?.0.to_vec();
        Some((kind, body))
    }

    /// A new try of the same side: what was put together is gone.
    fn again(&mut self, keys: Keys) {
        *self = Self { keys: Some(keys), ..Self::default() };
    }
}

impl Quic {
    fn tell(&mut self, toward: Toward, version: [u8; 4], hello: Option<Hello>) {
        self.open.begin(OPEN, |id| Said { id, toward, version, hello });
    }

    fn initial(&mut self, toward: Toward, p: &Packet<'_>, body: &[u8], at: usize) -> Option<()> {
        let version = Version::of(u32::from_be_bytes(p.version))?;
        let server = toward == Toward::Client;
        let s = usize::from(server);
        let mut data = self.sides[s].keys.as_ref().and_then(|k| k.open(body, at));
        if data.is_none() && !server {
            // The first packet of the client, or of a new try after the server asked for one.
            let keys = Keys::derive(&version, p.destination, false)?;
            data = keys.open(body, at);
            if data.is_some() {
                self.sides[0].again(keys);
                self.sides[1].again(Keys::derive(&version, p.destination, true)?);
            }
        }
        let side = &mut self.sides[s];
        side.frames(&data?);
        let (kind, message) = side.message().filter(|_| !side.told)?;
        let hello = match (kind, server) {
            (1, false) => Hello::client(&message),
            (2, true) => Hello::server(&message),
            _ => None,
        };
        side.told = true;
        self.over |= server;
        self.tell(toward, p.version, hello);
        Some(())
    }
}

impl Parser for Quic {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let Input::Bytes(mut rest) = input else { return Step::Going };
        self.datagrams += 1;
        for _ in 0..PACKETS {
            let Some(p) = packet(rest) else { break };
            if let Some((body, at)) = p.body {
                // What does not open tells nothing; only lengths of what does are believed further.
                let _ = self.initial(toward, &p, body, at);
            } else if self.open.begun() == 0 && Version::of(u32::from_be_bytes(p.version)).is_none() && p.first & 0x80 != 0 {
                // A version that cannot be opened is told once.
                self.tell(toward, p.version, None);
            }
            rest = p.rest;
        }
        if self.over || self.datagrams > DATAGRAMS { Step::Opaque } else { Step::Going }
    }

    many!(open);
}

impl Transaction for Said {
    fn app(&self) -> App {
        App::Quic
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn done(&self, _toward: Toward) -> bool {
        true
    }

    fn ready(&self, _buffer: Buffer, _toward: Toward) -> bool {
        true
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        if toward != self.toward || index > 0 {
            return None;
        }
        let hello = || self.hello.as_ref();
        let made = match (buffer, toward) {
            (Buffer::QuicVersion, _) => return Some(Piece { bytes: &self.version, offset: 0, last: true }),
            (Buffer::QuicSni, Toward::Server) => {
                return hello()?.name.as_deref().map(|bytes| Piece { bytes, offset: 0, last: true });
            }
            (Buffer::Ja3String, Toward::Server) => fingerprint::ja3(hello()?),
            (Buffer::Ja3Hash, Toward::Server) => fingerprint::md5(&fingerprint::ja3(hello()?)),
            (Buffer::Ja3sString, Toward::Client) => fingerprint::ja3s(hello()?),
            (Buffer::Ja3sHash, Toward::Client) => fingerprint::md5(&fingerprint::ja3s(hello()?)),
            (Buffer::Ja4Hash, Toward::Server) => fingerprint::ja4(hello()?, true),
            _ => return None,
        };
        scratch.clear();
        scratch.extend_from_slice(made.as_bytes());
        Some(Piece { bytes: scratch, offset: 0, last: true })
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            j.text("version", version_name(self.version));
            let Some(h) = &self.hello else { return };
            j.text_if("sni", h.name.as_deref());
            let (name, text) = if self.toward == Toward::Server { ("ja3", fingerprint::ja3(h)) } else { ("ja3s", fingerprint::ja3s(h)) };
            j.object(name, |j| {
                j.text("hash", fingerprint::md5(&text)).text("string", &text);
            });
            if self.toward == Toward::Server {
                j.text("ja4", fingerprint::ja4(h, true));
            }
            j.array("extensions", |j| {
                for kind in &h.extensions {
                    j.item_object(|j| {
                        j.text_if("name", extension_name(*kind)).number("type", *kind);
                        match kind {
                            0 => list(j, h.name.iter()),
                            16 => list(j, h.alpn.iter()),
                            _ => {}
                        }
                    });
                }
            });
        });
    }
}

fn list<'a>(j: &mut json::Json<'_>, values: impl Iterator<Item = &'a Vec<u8>>) {
    j.array("values", |j| {
        for v in values {
            j.item_text(v);
        }
    });
}

fn version_name(v: [u8; 4]) -> String {
    match u32::from_be_bytes(v) {
        0x6b33_43cf => "2".to_owned(),
        n @ 0xff00_0000..=0xff00_00ff => format!("draft-{}", n & 0xff),
        n @ 0..0x100 => n.to_string(),
        n => match std::str::from_utf8(&v) {
            Ok(text) if text.bytes().all(|b| b.is_ascii_alphanumeric()) => text.to_owned(),
            _ => format!("{n:08x}"),
        },
    }
}

#[rustfmt::skip]
const EXTENSIONS: &[(u16, &str)] = &[
    (0, "server_name"), (1, "max_fragment_length"), (2, "client_certificate_url"), (3, "trusted_ca_keys"), (4, "truncated_hmac"),
    (5, "status_request"), (10, "supported_groups"), (11, "ec_point_formats"), (13, "signature_algorithms"), (14, "use_srtp"),
    (15, "heartbeat"), (16, "alpn"), (17, "status_request_v2"), (18, "signed_certificate_timestamp"), (19, "client_certificate_type"),
    (20, "server_certificate_type"), (21, "padding"), (22, "encrypt_then_mac"), (23, "extended_master_secret"), (24, "token_binding"),
    (25, "cached_info"), (27, "compress_certificate"), (28, "record_size_limit"), (35, "session_ticket"), (41, "pre_shared_key"),
    (42, "early_data"), (43, "supported_versions"), (44, "cookie"), (45, "psk_key_exchange_modes"), (47, "certificate_authorities"),
    (48, "oid_filters"), (49, "post_handshake_auth"), (50, "signature_algorithms_cert"), (51, "key_share"), (57, "quic_transport_parameters"),
    (0xff01, "renegotiation_info"),
];

fn extension_name(kind: u16) -> Option<&'static str> {
    EXTENSIONS.iter().find(|(k, _)| *k == kind).map(|(_, n)| *n)
}
