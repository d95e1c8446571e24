//! WebSocket: frames of both directions in, one transaction per frame out; the last frame of a message carries what the message says whole,
//! decompressed where the frame says it is compressed. It keeps one message of each side within a limit.

use crate::{
    json,
    open::{Open, many},
    transaction::{Input, Parser, Piece, Step, Toward, Transaction},
};
use flate2::{Decompress, FlushDecompress};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};

/// Bytes kept of a message, as in the peer.
const PAYLOAD: usize = 0xffff;
/// Frames of one input that wait to be looked at; a frame has two bytes at least.
const OPEN: usize = 1 << 14;

/// A frame.
#[derive(Debug)]
struct Frame {
    id: u64,
    toward: Toward,
    flags: u8,
    opcode: u8,
    mask: Option<u32>,
    payload: Vec<u8>,
}

/// One direction.
#[derive(Default)]
struct Side {
    header: Vec<u8>,
    /// The frame at hand, and bytes of it to come.
    frame: Option<Frame>,
    left: u64,
    read: u64,
    /// What came before of the message at hand, and whether it is compressed.
    message: Vec<u8>,
    compressed: bool,
    inflate: Option<Decompress>,
}

/// A conversation.
#[derive(Default)]
pub struct Websocket {
    sides: [Side; 2],
    open: Open<Frame>,
}

/// The bytes a header has, by its first two.
fn header_length(h: &[u8]) -> usize {
    let Some(second) = h.get(1) else { return 2 };
    let length = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    2 + length + if second & 0x80 != 0 { 4 } else { 0 }
}

impl Side {
    /// Reads from the front of `bytes`: what is behind, and the frame that is whole now.
    fn step<'a>(&mut self, bytes: &'a [u8], toward: Toward) -> (&'a [u8], Option<Frame>) {
        let Some(frame) = &mut self.frame else {
            let want = header_length(&self.header);
            let n = (want - self.header.len()).min(bytes.len());
            self.header.extend_from_slice(&bytes[..n]);
            let bytes = &bytes[n..];
            if self.header.len() < 2 || self.header.len() < header_length(&self.header) {
                return (bytes, None);
            }
            let h = std::mem::take(&mut self.header);
            let masked = h[1] & 0x80 != 0;
            let end = h.len() - if masked { 4 } else { 0 };
            let length = match h[1] & 0x7f {
                n @ 0..126 => u64::from(n),
                _ => h[2..end].iter().fold(0, |n, b| n << 8 | u64::from(*b)),
            };
            let mask = h[end..].first_chunk::<4>().map(|m| u32::from_be_bytes(*m));
            self.left = length;
            self.read = 0;
            self.frame = Some(Frame { id: 0, toward, flags: h[0] & 0xf0, opcode: h[0] & 15, mask, payload: Vec::new() });
            return if length == 0 { (bytes, self.end()) } else { (bytes, None) };
        };
        let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let (part, rest) = bytes.split_at(n);
        let room = PAYLOAD.saturating_sub(frame.payload.len());
        let mask = frame.mask.map_or([0; 4], u32::to_be_bytes);
        let from = self.read;
        frame.payload.extend(part[..n.min(room)].iter().zip(from..).map(|(b, i)| b ^ mask[(i & 3) as usize]));
        self.read += n as u64;
        self.left -= n as u64;
        (rest, if self.left == 0 { self.end() } else { None })
    }

    /// The frame is whole; of a message's last frame the whole message is told.
    fn end(&mut self) -> Option<Frame> {
        let mut frame = self.frame.take()?;
        // Frames of control stand between those of a message and are whole themselves (RFC 6455, 5.4).
        if frame.opcode >= 8 {
            return Some(frame);
        }
        if frame.opcode != 0 {
            self.message.clear();
            self.compressed = frame.flags & 0x40 != 0;
        }
        let last = frame.flags & 0x80 != 0;
        if !last || !self.message.is_empty() {
            let room = PAYLOAD.saturating_sub(self.message.len());
            let n = frame.payload.len().min(room);
            self.message.extend_from_slice(&frame.payload[..n]);
        }
        if last {
            if !self.message.is_empty() {
                frame.payload = std::mem::take(&mut self.message);
            }
            if std::mem::take(&mut self.compressed) {
                frame.payload = self.inflate(&frame.payload);
            }
        }
        Some(frame)
    }

    /// Undoes the compression of a message (RFC 7692, 7.2.2); what was told before serves as dictionary.
    fn inflate(&mut self, data: &[u8]) -> Vec<u8> {
        let state = self.inflate.get_or_insert_with(|| Decompress::new(false));
        let mut out = Vec::with_capacity(PAYLOAD.min(data.len() * 4 + 64));
        for part in [data, &[0, 0, 0xff, 0xff]] {
            let mut at = 0;
            while at < part.len() && out.len() < PAYLOAD {
                if out.len() == out.capacity() {
                    out.reserve((PAYLOAD - out.len()).min(out.len().max(64)));
                }
                let (before, made) = (state.total_in(), out.len());
                let result = state.decompress_vec(&part[at..], &mut out, FlushDecompress::Sync);
                let used = usize::try_from(state.total_in() - before).unwrap_or(0);
                at += used;
                match result {
                    Err(_) => return out,
                    Ok(_) if used == 0 && out.len() == made => break,
                    Ok(_) => {}
                }
            }
        }
        out
    }
}

impl Parser for Websocket {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let at = toward.index();
        let mut bytes = match input {
            Input::Bytes(bytes) => bytes,
            Input::End => return Step::Going,
            // A lost byte may have been a length.
            Input::Gap(_) => return Step::Opaque,
        };
        while !bytes.is_empty() {
            let (rest, frame) = self.sides[at].step(bytes, toward);
            bytes = rest;
            if let Some(frame) = frame {
                self.open.begin(OPEN, |id| Frame { id, ..frame });
            }
        }
        Step::Going
    }

    many!(open);
}

const NAMES: [(u8, &str); 6] = [(0, "continuation"), (1, "text"), (2, "binary"), (8, "connection_close"), (9, "ping"), (10, "pong")];

impl Transaction for Frame {
    fn app(&self) -> App {
        App::Websocket
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

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, _scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let mine = toward == self.toward && buffer == Buffer::WebsocketPayload && index == 0;
        mine.then_some(Piece { bytes: &self.payload, offset: 0, last: true })
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        match quantity {
            _ if toward != self.toward || index > 0 => None,
            Quantity::WebsocketMask => self.mask.map(u64::from),
            Quantity::WebsocketOpcode => Some(self.opcode.into()),
            _ => None,
        }
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        match keyword {
            "websocket.opcode" => Some(NAMES.iter().any(|(n, t)| *n == self.opcode && *t == value)),
            "websocket.flags" => match value {
                "fin" => Some(self.flags & 0x80 != 0),
                "comp" => Some(self.flags & 0x40 != 0),
                _ => None,
            },
            _ => None,
        }
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            j.boolean("fin", self.flags & 0x80 != 0);
            if let Some(mask) = self.mask {
                j.number("mask", mask);
            }
            match NAMES.iter().find(|(n, _)| *n == self.opcode) {
                Some((_, name)) => j.text("opcode", name),
                None => j.text("opcode", format!("unknown-{}", self.opcode)),
            };
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compress, Compression, FlushCompress};
    use proptest::prelude::*;

    fn frame(first: u8, mask: Option<[u8; 4]>, payload: &[u8]) -> Vec<u8> {
        let bit = if mask.is_some() { 0x80 } else { 0 };
        let mut out = vec![first];
        match payload.len() {
            n @ 0..126 => out.push(bit | u8::try_from(n).unwrap()),
            n => {
                out.push(bit | 126);
                out.extend(u16::try_from(n).unwrap().to_be_bytes());
            }
        }
        out.extend(mask.iter().flatten());
        let m = mask.unwrap_or_default();
        out.extend(payload.iter().enumerate().map(|(i, b)| b ^ m[i & 3]));
        out
    }

    fn talk() -> Vec<u8> {
        let key = Some([1, 2, 3, 4]);
        [
            frame(0x81, key, b"hello"),
            frame(0x01, key, b"MAL"),
            frame(0x89, key, b"ping"),
            frame(0x80, key, b"WARE"),
            frame(0x82, None, &[7; 300]),
            frame(0x88, key, b""),
        ]
        .concat()
    }

    fn all(cut: usize) -> Vec<(u8, Vec<u8>, Option<u32>)> {
        let mut p = Websocket::default();
        for part in talk().chunks(cut) {
            p.feed(Toward::Server, Input::Bytes(part));
        }
        p.open.iter().map(|f| (f.opcode, f.payload.clone(), f.mask)).collect()
    }

    #[test]
    fn frames_and_messages() {
        let got = all(1000);
        let texts: Vec<(u8, &[u8])> = got.iter().map(|(o, p, _)| (*o, &p[..])).collect();
        assert_eq!(texts, [(1, &b"hello"[..]), (1, b"MAL"), (9, b"ping"), (0, b"MALWARE"), (2, &[7; 300]), (8, b"")]);
        assert_eq!(got[0].2, Some(0x0102_0304));
        assert_eq!(got[4].2, None);
    }

    #[test]
    fn compressed_messages_share_what_was_said() {
        let mut deflate = Compress::new(Compression::default(), false);
        let mut p = Websocket::default();
        for text in [&b"a needle, a needle, a needle"[..], b"a needle, a needle, once more"] {
            let mut out = Vec::with_capacity(200);
            deflate.compress_vec(text, &mut out, FlushCompress::Sync).unwrap();
            out.truncate(out.len() - 4);
            p.feed(Toward::Client, Input::Bytes(&frame(0xc1, None, &out)));
        }
        let texts: Vec<&[u8]> = p.open.iter().map(|f| &f.payload[..]).collect();
        assert_eq!(texts, [&b"a needle, a needle, a needle"[..], b"a needle, a needle, once more"]);
    }

    #[test]
    fn a_bomb_stays_small() {
        let mut deflate = Compress::new(Compression::best(), false);
        let mut out = Vec::with_capacity(20_000);
        deflate.compress_vec(&vec![0; 4 << 20], &mut out, FlushCompress::Sync).unwrap();
        let mut p = Websocket::default();
        p.feed(Toward::Client, Input::Bytes(&frame(0xc2, None, &out)));
        assert!(p.open[0].payload.len() <= PAYLOAD + 1024, "{}", p.open[0].payload.len());
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(cut in 1usize..40) {
            prop_assert_eq!(all(1000), all(cut));
        }

        #[test]
        fn anything_goes(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut p = Websocket::default();
            p.feed(Toward::Client, Input::Bytes(&bytes));
            let kept: usize = p.open.iter().map(|f| f.payload.len()).sum();
            prop_assert!(kept <= bytes.len() * 1100 + PAYLOAD);
        }
    }
}
