//! HTTP/2: frames of both directions in; a transaction per stream, and one for each frame that belongs to none, out. The buffers of a stream
//! are those of HTTP/1, made of its headers. It keeps a frame of each side that is not data, a block of headers, and bodies within windows.

mod describe;
mod hpack;
#[cfg(test)]
mod tests;

use crate::{
    http::{Exchange, Known, Text},
    open::{Open, many},
    settings,
    transaction::{File, Input, Parser, Piece, Step, Toward, Transaction},
};
use flate2::{Decompress, FlushDecompress};
use hpack::{Decoder, Field};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use std::sync::Arc;

/// What a client says first (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of a frame that is not data; larger ones are passed over.
const FRAME: usize = 64 << 10;
/// Bytes of headers gathered over frames.
const GATHERED: usize = 64 << 10;
/// Transactions that wait to be looked at, as in the peer's `max-tx`.
const OPEN: usize = 4096;
/// Frames told of one transaction.
const FRAMES: usize = 64;
/// Headers kept of one message.
const HEADERS: usize = 1024;

const DATA: u8 = 0;
const HEADERS_FRAME: u8 = 1;
const PRIORITY: u8 = 2;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PROMISE: u8 = 5;
const GOAWAY: u8 = 7;
const WINDOW: u8 = 8;
const CONTINUATION: u8 = 9;

/// What a frame said beside headers and data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Note {
    Kind(u8),
    Setting(u16, u32),
    Error(u32),
    Window(u32),
    Priority(u8),
    Size(u64),
}

/// A stream, or a frame of none.
#[derive(Debug)]
struct Stream {
    number: u32,
    exchange: Exchange,
    notes: [Vec<Note>; 2],
    /// Headers of both messages, gathered until each is whole.
    headers: [Vec<(Vec<u8>, Vec<u8>)>; 2],
    known: [bool; 2],
    ended: [bool; 2],
    inflate: [Option<Box<Inflate>>; 2],
}

/// A body being decompressed.
struct Inflate {
    state: Decompress,
    /// The header of gzip is not whole.
    header: Option<Vec<u8>>,
    failed: bool,
}

impl std::fmt::Debug for Inflate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Inflate").field("failed", &self.failed).finish_non_exhaustive()
    }
}

/// One direction.
#[derive(Default)]
struct Side {
    preface: usize,
    header: Vec<u8>,
    kind: u8,
    flags: u8,
    stream: u32,
    payload: Vec<u8>,
    left: usize,
    /// Bytes of padding at the end of the data frame at hand; none: its length has not come.
    padding: Option<usize>,
    /// A block of headers that goes on, of which stream, and whether the stream ends with it.
    block: Option<(u32, bool, Vec<u8>)>,
    decoder: Decoder,
}

/// A conversation.
pub struct Http2 {
    settings: Arc<settings::Http>,
    sides: [Side; 2],
    open: Open<Stream>,
    failed: bool,
}

impl Http2 {
    /// Begins one.
    pub fn new(settings: Arc<settings::Http>) -> Self {
        Self { settings, sides: Default::default(), open: Open::default(), failed: false }
    }

    /// The stream's transaction; a new one where there is none, and always for stream 0.
    fn stream(&mut self, number: u32) -> &mut Stream {
        let at = self.open.iter().rposition(|s| s.number == number && number != 0);
        match at {
            Some(at) => &mut self.open[at],
            None => self.open.begin(OPEN, |id| Stream {
                number,
                exchange: Exchange::new(id, 0, &self.settings),
                notes: Default::default(),
                headers: Default::default(),
                known: [number == 0; 2],
                ended: [number == 0; 2],
                inflate: Default::default(),
            }),
        }
    }

    /// Reads what is there; false: this is no HTTP/2.
    fn read(&mut self, toward: Toward, mut bytes: &[u8]) -> bool {
        let s = toward.index();
        while !bytes.is_empty() {
            let me = &mut self.sides[s];
            if toward == Toward::Server && me.preface < PREFACE.len() {
                let n = (PREFACE.len() - me.preface).min(bytes.len());
                if bytes[..n] != PREFACE[me.preface..me.preface + n] {
                    return false;
                }
                me.preface += n;
                bytes = &bytes[n..];
                continue;
            }
            if me.header.len() < 9 {
                let n = (9 - me.header.len()).min(bytes.len());
                me.header.extend_from_slice(&bytes[..n]);
                bytes = &bytes[n..];
                let [a, b, c, kind, flags, stream @ ..] = &me.header[..] else { return true };
                let Some(stream) = stream.first_chunk::<4>() else { return true };
                (me.kind, me.flags, me.stream) = (*kind, *flags, u32::from_be_bytes(*stream) & 0x7fff_ffff);
                me.left = usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c);
                me.padding = if me.kind == DATA && me.flags & 8 != 0 { None } else { Some(0) };
                me.payload.clear();
                if me.left == 0 {
                    self.frame_ends(toward);
                }
                continue;
            }
            let n = me.left.min(bytes.len());
            let (part, rest) = bytes.split_at(n);
            bytes = rest;
            me.left -= n;
            if me.kind == DATA {
                self.data(toward, part);
            } else {
                let room = FRAME.saturating_sub(me.payload.len());
                me.payload.extend_from_slice(&part[..n.min(room)]);
            }
            if self.sides[s].left == 0 {
                self.frame_ends(toward);
            }
        }
        true
    }

    /// Bytes of a data frame, padding among them.
    fn data(&mut self, toward: Toward, mut part: &[u8]) {
        let s = toward.index();
        let me = &mut self.sides[s];
        if me.padding.is_none() {
            let Some((n, rest)) = part.split_first() else { return };
            me.padding = Some(usize::from(*n));
            part = rest;
        }
        // Of what is left in the frame the last bytes are padding.
        let data = (part.len() + me.left).saturating_sub(me.padding.unwrap_or(0)).min(part.len());
        let number = me.stream;
        if number == 0 || data == 0 {
            return;
        }
        let stream = self.stream(number);
        stream.body(s, &part[..data]);
    }

    fn frame_ends(&mut self, toward: Toward) {
        let s = toward.index();
        let me = &mut self.sides[s];
        me.header.clear();
        let (kind, flags, number) = (me.kind, me.flags, me.stream);
        let payload = std::mem::take(&mut me.payload);
        if !matches!(kind, CONTINUATION) {
            self.stream(number).note(s, Note::Kind(kind));
        }
        self.frame(toward, kind, flags, number, &payload);
        self.sides[s].payload = payload;
    }

    fn frame(&mut self, toward: Toward, kind: u8, flags: u8, number: u32, mut payload: &[u8]) {
        let s = toward.index();
        let word = |p: &[u8]| p.first_chunk::<4>().map(|n| u32::from_be_bytes(*n));
        match kind {
            DATA if flags & 1 != 0 => self.stream(number).end(s),
            HEADERS_FRAME | PROMISE => {
                let padded = flags & 8 != 0;
                if let (true, Some((n, rest))) = (padded, payload.split_first()) {
                    payload = &rest[..rest.len().saturating_sub(usize::from(*n))];
                }
                if kind == HEADERS_FRAME && flags & 0x20 != 0 {
                    if let Some(weight) = payload.get(4) {
                        self.stream(number).note(s, Note::Priority(*weight));
                    }
                    payload = payload.get(5..).unwrap_or_default();
                }
                if kind == PROMISE {
                    payload = payload.get(4..).unwrap_or_default();
                }
                self.sides[s].block = Some((number, kind == HEADERS_FRAME && flags & 1 != 0, payload.to_vec()));
                if flags & 4 != 0 {
                    self.block(s);
                }
            }
            CONTINUATION => {
                if let Some((of, _, block)) = &mut self.sides[s].block
                    && *of == number
                    && block.len() + payload.len() <= GATHERED
                {
                    block.extend_from_slice(payload);
                }
                if flags & 4 != 0 {
                    self.block(s);
                }
            }
            PRIORITY => {
                if let Some(weight) = payload.get(4) {
                    self.stream(number).note(s, Note::Priority(*weight));
                }
            }
            RESET | GOAWAY => {
                let code = if kind == RESET { word(payload) } else { payload.get(4..).and_then(word) };
                let stream = self.last_or(number);
                if let Some(code) = code {
                    stream.note(s, Note::Error(code));
                }
                if kind == RESET {
                    stream.end(0);
                    stream.end(1);
                }
            }
            SETTINGS if flags & 1 == 0 => {
                let stream = self.last_or(number);
                for setting in payload.chunks_exact(6) {
                    let id = u16::from_be_bytes([setting[0], setting[1]]);
                    if let Some(value) = word(&setting[2..]) {
                        stream.note(s, Note::Setting(id, value));
                    }
                }
            }
            WINDOW => {
                if let Some(size) = word(payload) {
                    self.last_or(number).note(s, Note::Window(size & 0x7fff_ffff));
                }
            }
            _ => {}
        }
    }

    /// The transaction a frame was just noted in.
    fn last_or(&mut self, number: u32) -> &mut Stream {
        if number == 0
            && let Some(at) = self.open.len().checked_sub(1)
        {
            return &mut self.open[at];
        }
        self.stream(number)
    }

    /// A block of headers is whole.
    fn block(&mut self, s: usize) {
        let Some((number, ends, block)) = self.sides[s].block.take() else { return };
        let mut fields = Vec::new();
        let good = self.sides[s].decoder.block(&block, &mut fields);
        self.failed |= !good;
        let stream = self.stream(number);
        if !good {
            stream.exchange.event("http2.invalid_header");
        }
        for f in fields {
            match f {
                Field::Header(n, v) if stream.headers[s].len() < HEADERS => stream.headers[s].push((n, v)),
                Field::Header(..) => stream.exchange.event("http2.too_many_headers"),
                Field::Size(n) => stream.note(s, Note::Size(n)),
            }
        }
        stream.headers_end(s);
        if ends {
            stream.end(s);
        }
    }
}

impl Stream {
    fn note(&mut self, s: usize, note: Note) {
        if self.notes[s].len() < FRAMES {
            self.notes[s].push(note);
        }
    }

    fn header(&self, s: usize, name: &str) -> Option<&[u8]> {
        self.headers[s].iter().find(|(n, _)| n == name.as_bytes()).map(|(_, v)| &v[..])
    }

    fn headers_end(&mut self, s: usize) {
        // An answer of 1xx is followed by the real one.
        self.known[s] = true;
        let pseudo = |name| self.header(s, name).map(<[u8]>::to_vec);
        let list = self.headers[s].iter().map(|(n, v)| (&n[..], &v[..]));
        let known = if self.ended[s] { Known::All } else { Known::Headers };
        if s == 0 {
            let (method, path) = (pseudo(":method"), pseudo(":path"));
            let authority = pseudo(":authority").or_else(|| pseudo("host"));
            let line = [method.as_deref().unwrap_or_default(), b" ", path.as_deref().unwrap_or_default(), b" HTTP/2\r\n"].concat();
            let host = authority.as_deref().map(|a| bare(a).to_ascii_lowercase());
            let texts = [
                (Text::Line, Some(line)),
                (Text::Word, method),
                (Text::Rest, path.clone()),
                (Text::UriNormal, path.clone()),
                (Text::Path, path),
                (Text::Protocol, Some(b"HTTP/2".to_vec())),
                (Text::UriHost, authority.clone()),
                (Text::Host, host),
            ];
            let own = pseudo(":authority").zip(pseudo("host"));
            self.exchange.request.set(known, &texts, list);
            if own.is_some_and(|(a, h)| bare(&a) != bare(&h)) {
                self.exchange.event("http2.authority_host_mismatch");
            }
        } else {
            let status = pseudo(":status");
            let line = [b"HTTP/2 ", status.as_deref().unwrap_or_default(), b"\r\n"].concat();
            self.exchange.status = status.as_deref().and_then(|s| std::str::from_utf8(s).ok()).and_then(|s| s.parse().ok());
            let texts = [(Text::Line, Some(line)), (Text::Word, status), (Text::Protocol, Some(b"HTTP/2".to_vec()))];
            self.exchange.response.set(known, &texts, list);
        }
    }

    fn body(&mut self, s: usize, bytes: &[u8]) {
        let name = self.header(0, ":path").map(|p| p.split(|b| *b == b'?').next().unwrap_or_default().to_vec());
        let coding = self.header(s, "content-encoding").map(<[u8]>::to_ascii_lowercase);
        let message = if s == 0 { &mut self.exchange.request } else { &mut self.exchange.response };
        if !std::mem::replace(&mut message.begun, true) {
            message.open(name.as_deref().unwrap_or_default());
            self.inflate[s] = match coding.as_deref() {
                Some(b"gzip") => Some(Box::new(Inflate { state: Decompress::new(false), header: Some(Vec::new()), failed: false })),
                Some(b"deflate") => Some(Box::new(Inflate { state: Decompress::new(true), header: None, failed: false })),
                _ => None,
            };
        }
        if s == 1 {
            self.exchange.length += bytes.len() as u64;
        }
        let mut events = Vec::new();
        match &mut self.inflate[s] {
            Some(inflate) => inflate.push(bytes, |part| message.push(part, &mut events)),
            None => message.push(bytes, &mut events),
        }
    }

    fn end(&mut self, s: usize) {
        if !std::mem::replace(&mut self.ended[s], true) {
            let message = if s == 0 { &mut self.exchange.request } else { &mut self.exchange.response };
            message.known = Known::All;
            message.end();
        }
    }
}

/// An authority without its port.
fn bare(authority: &[u8]) -> &[u8] {
    match authority.iter().rposition(|b| *b == b':') {
        Some(n) if authority[n + 1..].iter().all(u8::is_ascii_digit) => &authority[..n],
        _ => authority,
    }
}

impl Inflate {
    /// Bytes that fit a page: handed on in pieces so that nothing large is made.
    const OUT: usize = 16 << 10;
    /// Bytes out per byte in beyond which a body is taken for a bomb, and given up.
    const RATIO: u64 = 2048;

    /// Bytes of the header of gzip: its parts have no limit of their own, honest ones are short.
    const HEADER: usize = 1 << 10;

    fn push(&mut self, bytes: &[u8], mut out: impl FnMut(&[u8])) {
        let joined;
        let mut bytes = bytes;
        if let Some(mut header) = self.header.take() {
            header.extend_from_slice(bytes);
            match gzip_header(&header) {
                Some(n) => {
                    joined = header.split_off(n);
                    bytes = &joined;
                }
                None if header.len() > Self::HEADER => self.failed = true,
                None => {
                    self.header = Some(header);
                    return;
                }
            }
        }
        while !bytes.is_empty() && !self.failed {
            let mut page = Vec::with_capacity(Self::OUT);
            let before = self.state.total_in();
            let result = self.state.decompress_vec(bytes, &mut page, FlushDecompress::None);
            let used = usize::try_from(self.state.total_in() - before).unwrap_or(0);
            bytes = &bytes[used..];
            out(&page);
            let bomb = self.state.total_out() > (1 << 20) && self.state.total_out() > self.state.total_in() * Self::RATIO;
            self.failed = bomb || result.is_err() || (used == 0 && page.is_empty()) || matches!(result, Ok(flate2::Status::StreamEnd));
        }
    }
}

/// How long the header of gzip is (RFC 1952, 2.3); none where it is not whole.
fn gzip_header(h: &[u8]) -> Option<usize> {
    let flags = *h.get(3)?;
    let mut at = 10;
    if flags & 4 != 0 {
        at += 2 + usize::from(u16::from_le_bytes([*h.get(10)?, *h.get(11)?]));
    }
    for bit in [8, 16] {
        if flags & bit != 0 {
            at += h.get(at..)?.iter().position(|b| *b == 0)? + 1;
        }
    }
    if flags & 2 != 0 {
        at += 2;
    }
    (h.len() >= at).then_some(at)
}

impl Parser for Http2 {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        if self.failed {
            return Step::Failed;
        }
        match input {
            Input::Bytes(bytes) => self.failed = !self.read(toward, bytes) || self.failed,
            // A frame's length may be lost.
            Input::Gap(_) => self.failed = true,
            Input::End => self.open.iter_mut().for_each(|s| s.end(toward.index())),
        }
        if self.failed {
            for s in self.open.iter_mut() {
                s.end(0);
                s.end(1);
            }
            return Step::Failed;
        }
        Step::Going
    }

    many!(open);

    fn looked(&mut self, toward: Toward) {
        for s in self.open.iter_mut() {
            s.exchange.looked(toward);
        }
    }
}

impl Transaction for Stream {
    fn app(&self) -> App {
        App::Http2
    }

    fn id(&self) -> u64 {
        self.exchange.id()
    }

    fn done(&self, toward: Toward) -> bool {
        self.ended[toward.index()]
    }

    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        match buffer {
            Buffer::Http2HeaderName => self.known[toward.index()] || self.done(toward),
            b => self.exchange.ready(b, toward) || (self.done(toward) && !matches!(b, Buffer::FileData)),
        }
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        match buffer {
            Buffer::Http2HeaderName => self.headers[toward.index()].get(index).map(|(n, _)| Piece { bytes: n, offset: 0, last: true }),
            b => self.exchange.piece(b, toward, index, scratch),
        }
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        let notes = || self.notes[toward.index()].iter();
        match quantity {
            Quantity::Http2Window => notes().filter_map(|n| if let Note::Window(w) = n { Some(u64::from(*w)) } else { None }).nth(index),
            Quantity::Http2Priority => {
                notes().filter_map(|n| if let Note::Priority(w) = n { Some(u64::from(*w)) } else { None }).nth(index)
            }
            Quantity::Http2SizeUpdate => notes().filter_map(|n| if let Note::Size(w) = n { Some(*w) } else { None }).nth(index),
            q => self.exchange.quantity(q, toward, index),
        }
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        let both = [Toward::Server, Toward::Client].map(|t| self.named_toward(keyword, value, t));
        both.into_iter().flatten().reduce(|a, b| a || b)
    }

    fn named_toward(&self, keyword: &str, value: &str, toward: Toward) -> Option<bool> {
        let any = |f: &dyn Fn(&Note) -> bool| self.notes[toward.index()].iter().any(f);
        match keyword {
            "http2.frametype" => Some(any(&|n| matches!(n, Note::Kind(k) if describe::kind(*k).is_some_and(|t| t == value)))),
            "http2.errorcode" => {
                let plain = value.replace('_', "");
                Some(any(&|n| matches!(n, Note::Error(e) if describe::error(*e).is_some_and(|t| t == plain))))
            }
            _ => None,
        }
    }

    fn events(&self) -> &[&'static str] {
        self.exchange.events()
    }

    fn file(&self, toward: Toward, index: usize) -> Option<File<'_>> {
        self.exchange.file(toward, index)
    }

    fn describe(&self, out: &mut Vec<u8>) {
        describe::write(self, out);
    }
}
