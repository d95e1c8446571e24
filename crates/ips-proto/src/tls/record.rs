//! Records: bytes of one direction in, whole handshake messages and notes of everything else out. It keeps at most one message.

use super::{MESSAGE, Tls};
use crate::transaction::Toward;

pub(super) const CLIENT_HELLO: u8 = 1;
pub(super) const SERVER_HELLO: u8 = 2;
pub(super) const CERTIFICATE: u8 = 11;
pub(super) const SERVER_KEY: u8 = 12;
pub(super) const CERTIFICATE_REQUEST: u8 = 13;
pub(super) const HELLO_DONE: u8 = 14;
pub(super) const CLIENT_KEY: u8 = 16;

/// Longest record: 2^14 and what encryption may add to it (RFC 5246, 6.2.3).
const RECORD: usize = (1 << 14) + 2048;

/// Where the reading of a direction stands.
#[derive(Debug, Default)]
pub(super) struct Records {
    /// A header that is not whole.
    header: Vec<u8>,
    /// Kind of the record being read, and bytes of it that have not come.
    kind: u8,
    left: usize,
    /// The first bytes of a heartbeat.
    beat: Vec<u8>,
    /// A handshake message that is not whole.
    message: Vec<u8>,
    /// Bytes of a message that are passed over.
    skip: usize,
    started: bool,
    /// A record of the older form.
    old: bool,
}

impl Records {
    /// Takes bytes; false: this is no TLS.
    pub(super) fn push(&mut self, toward: Toward, mut bytes: &[u8], tls: &mut Tls) -> bool {
        while !bytes.is_empty() {
            if self.left == 0 {
                let Some(rest) = self.head(toward, bytes, tls) else { return true };
                let Ok(rest) = rest else { return false };
                bytes = rest;
                if self.left == 0 {
                    continue;
                }
            }
            let n = self.left.min(bytes.len());
            let (part, rest) = bytes.split_at(n);
            bytes = rest;
            self.left -= n;
            self.body(toward, part, tls);
            if tls.opaque {
                return true;
            }
        }
        true
    }

    /// Reads a header. None: it is not whole. Otherwise what follows it, or that there is none.
    #[allow(clippy::type_complexity, reason = "two kinds of end, each met once")]
    fn head<'a>(&mut self, toward: Toward, bytes: &'a [u8], tls: &mut Tls) -> Option<Result<&'a [u8], ()>> {
        let want = |h: &[u8], started: bool| match h.first() {
            Some(b) if !started && b & 0x80 != 0 => 3,
            _ => 5,
        };
        let mut used = 0;
        while self.header.len() < want(&self.header, self.started) {
            self.header.push(*bytes.get(used)?);
            used += 1;
        }
        let h = std::mem::take(&mut self.header);
        let first = !std::mem::replace(&mut self.started, true);
        if h.len() == 3 {
            // The record's first byte, its kind, belongs to its body.
            self.old = true;
            self.kind = 0;
            let length = usize::from(h[0] & 0x7f) << 8 | usize::from(h[1]);
            if length == 0 || !matches!(h[2], 1 | 4) {
                tls.event("tls.invalid_sslv2_header");
                return Some(Err(()));
            }
            self.left = length - 1;
            self.message = vec![h[2]];
            if self.left == 0 {
                tls.event("tls.invalid_sslv2_header");
            }
            return Some(Ok(&bytes[used..]));
        }
        let version = u16::from_be_bytes([h[1], h[2]]);
        let length = usize::from(u16::from_be_bytes([h[3], h[4]]));
        self.kind = h[0];
        if !(20..=24).contains(&h[0]) {
            tls.event(if first { "tls.invalid_tls_header" } else { "tls.invalid_record_type" });
            return Some(Err(()));
        }
        if !matches!(h[1], 3 | 0x7f) || (h[1] == 3 && h[2] > 4) {
            tls.event("tls.invalid_record_version");
            return Some(Err(()));
        }
        if length > RECORD {
            tls.event("tls.invalid_record_length");
            return Some(Err(()));
        }
        tls.sides[toward.index()].outer = Some(version);
        self.left = length;
        self.beat.clear();
        match self.kind {
            20 => {
                // From 1.3 on this means nothing, and all that follows comes as application data.
                let changes = tls.sides[1].hello.as_ref().is_none_or(|h| h.supported.is_none());
                let s = &mut tls.sides[toward.index()];
                s.encrypted |= changes;
                s.settled |= changes;
            }
            23 => tls.application_data(toward),
            24 => tls.event("tls.heartbeat_message"),
            _ => {}
        }
        Some(Ok(&bytes[used..]))
    }

    fn body(&mut self, toward: Toward, part: &[u8], tls: &mut Tls) {
        if self.old {
            self.message.extend_from_slice(part);
            if self.left == 0 {
                self.old = false;
                let message = std::mem::take(&mut self.message);
                tls.old_hello(toward, &message);
            }
            return;
        }
        match self.kind {
            22 if !tls.sides[toward.index()].encrypted => self.handshake(toward, part, tls),
            24 if !tls.sides[toward.index()].encrypted => self.heartbeat(toward, part, tls),
            _ => {}
        }
    }

    fn handshake(&mut self, toward: Toward, mut part: &[u8], tls: &mut Tls) {
        loop {
            let pass = self.skip.min(part.len());
            self.skip -= pass;
            part = &part[pass..];
            if part.is_empty() {
                return;
            }
            let want = match self.message[..] {
                [_, a, b, c, ..] => 4 + (usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c)),
                _ => 4,
            };
            let n = (want - self.message.len()).min(part.len());
            // A message that is whole in its record is read where it stands.
            self.message.extend_from_slice(&part[..n]);
            part = &part[n..];
            if self.message.len() < want {
                continue;
            }
            let [kind, a, b, c, body @ ..] = &self.message[..] else { return };
            let length = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
            let kept = matches!(*kind, CLIENT_HELLO | SERVER_HELLO | CERTIFICATE);
            if body.len() < length && (!kept || length > MESSAGE) {
                if length > MESSAGE {
                    tls.event("tls.handshake_invalid_length");
                }
                self.skip = length;
                let kind = *kind;
                self.message.clear();
                if !kept {
                    tls.message(toward, kind, &[]);
                }
                continue;
            }
            if body.len() == length {
                let message = std::mem::take(&mut self.message);
                tls.message(toward, message[0], &message[4..]);
                self.message = message;
                self.message.clear();
            }
        }
    }

    /// Kind, length and payload; the length must fit the record (RFC 6520, 4).
    fn heartbeat(&mut self, toward: Toward, part: &[u8], tls: &mut Tls) {
        let before = self.beat.len();
        let n = (3 - before.min(3)).min(part.len());
        self.beat.extend_from_slice(&part[..n]);
        let ([kind, a, b], true) = (&self.beat[..], before < 3) else { return };
        let claimed = usize::from(*a) << 8 | usize::from(*b);
        let there = part.len() - n + self.left;
        if !matches!(kind, 1 | 2) {
            tls.event("tls.invalid_heartbeat_message");
        } else if claimed + 16 > there {
            // 16 bytes of padding at least.
            tls.event("tls.overflow_heartbeat_message");
            tls.heartbeat |= *kind == 1;
        } else if *kind == 2 && toward == Toward::Client && tls.heartbeat {
            tls.event("tls.dataleak_heartbeat_mismatch");
        }
    }
}
