//! One exchange: the texts of its two messages, copied out of the library once each is whole, its bodies and files, and every buffer of them.

use super::{describe, multipart::Multipart};
use crate::{
    body::Body,
    settings,
    transaction::{File, FileState, Piece, Toward, Transaction},
};
use ips_htp::{RequestProgress, ResponseProgress, Tx};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};

/// Bytes of raw headers kept of one message; messages with more are no one's but an attacker's.
const RAW: usize = 256 << 10;

/// A text of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Text {
    Line,
    Protocol,
    /// Request: the method. Answer: the status.
    Word,
    /// Request: the URI as written. Answer: the status's words.
    Rest,
    UriNormal,
    Host,
    UriHost,
    Path,
}
const TEXTS: usize = 8;

type Span = (u32, u32);

/// Texts and headers of a message, in one piece of memory.
#[derive(Debug, Default)]
pub(crate) struct Texts {
    bytes: Vec<u8>,
    spans: [Option<Span>; TEXTS],
    headers: Vec<(Span, Span)>,
}

impl Texts {
    fn add(&mut self, text: &[u8]) -> Span {
        let from = self.bytes.len();
        self.bytes.extend_from_slice(text);
        // A message's texts are bounded by the limits of lines and headers, far below four gigabytes.
        (u32::try_from(from).unwrap_or(u32::MAX), u32::try_from(self.bytes.len()).unwrap_or(u32::MAX))
    }

    fn set(&mut self, which: Text, text: Option<&[u8]>) {
        self.spans[which as usize] = text.map(|t| self.add(t));
    }

    fn span(&self, span: Span) -> &[u8] {
        &self.bytes[span.0 as usize..span.1 as usize]
    }

    pub(crate) fn get(&self, which: Text) -> Option<&[u8]> {
        self.spans[which as usize].map(|s| self.span(s))
    }

    pub(super) fn headers(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.headers.iter().map(|(n, v)| (self.span(*n), self.span(*v)))
    }

    /// The first header of this name; zero bytes within names are looked over, as servers do.
    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers().find(|(n, _)| same(n, name)).map(|(_, v)| v)
    }

    fn set_headers<'a>(&mut self, headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        for (n, v) in headers {
            let spans = (self.add(n), self.add(v));
            self.headers.push(spans);
        }
    }
}

pub(super) fn same(name: &[u8], wanted: &str) -> bool {
    let mut wanted = wanted.bytes();
    name.iter().filter(|b| **b != 0).all(|b| wanted.next().is_some_and(|w| w.eq_ignore_ascii_case(b))) && wanted.next().is_none()
}

/// How far a message's texts are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum Known {
    #[default]
    Nothing,
    Line,
    Headers,
    All,
}

/// A file of a message whose bytes are the body itself.
#[derive(Debug)]
pub(super) struct Whole {
    name: Vec<u8>,
    closed: bool,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) texts: Texts,
    pub(crate) known: Known,
    pub(super) raw: Vec<u8>,
    pub(super) body: Body,
    pub(crate) begun: bool,
    pub(super) gaps: bool,
    /// Bytes of the body that were lost.
    lost: u64,
    whole: Option<Whole>,
    pub(super) parts: Option<Box<Multipart>>,
    /// The connection has ended.
    over: bool,
}

/// What is copied out of the library.
pub(super) struct Taken {
    request: Option<(Known, Texts)>,
    response: Option<(Known, Texts)>,
    status: Option<u16>,
    port: Option<u16>,
    length: u64,
}

impl Taken {
    /// What `tx` has that `have` lacks; with `all`, it will not have more.
    pub(super) fn of(tx: &Tx<'_>, have: Option<&Exchange>, all: bool) -> Self {
        let known = have.map_or((Known::Nothing, Known::Nothing), |e| (e.request.known, e.response.known));
        let request = match tx.request_progress() {
            _ if all => Known::All,
            RequestProgress::NOT_STARTED | RequestProgress::LINE => Known::Nothing,
            RequestProgress::HEADERS => Known::Line,
            RequestProgress::BODY | RequestProgress::TRAILER => Known::Headers,
            _ => Known::All,
        };
        let response = match tx.response_progress() {
            _ if all => Known::All,
            ResponseProgress::NOT_STARTED | ResponseProgress::LINE => Known::Nothing,
            ResponseProgress::HEADERS => Known::Line,
            ResponseProgress::BODY | ResponseProgress::TRAILER => Known::Headers,
            _ => Known::All,
        };
        Self {
            request: (request > known.0).then(|| (request, request_texts(tx, request))),
            response: (response > known.1 || (response == Known::Line && known.1 == Known::Line))
                .then(|| (response, response_texts(tx, response))),
            status: tx.status_number(),
            port: tx.port(),
            length: tx.response_length(),
        }
    }
}

fn request_texts(tx: &Tx<'_>, known: Known) -> Texts {
    let mut t = Texts::default();
    t.set(Text::Line, tx.request_line());
    t.set(Text::Word, tx.method());
    t.set(Text::Rest, tx.uri());
    t.set(Text::Protocol, tx.request_protocol());
    t.set(Text::UriNormal, tx.uri_normal());
    t.set(Text::UriHost, tx.uri_host());
    t.set(Text::Path, tx.path());
    if known >= Known::Headers {
        t.set(Text::Host, tx.host());
        t.set_headers(tx.request_headers());
    }
    t
}

fn response_texts(tx: &Tx<'_>, known: Known) -> Texts {
    let mut t = Texts::default();
    // The library keeps the line's end in this one, other than in requests; the peer's documented buffer has none.
    t.set(Text::Line, tx.response_line().map(|l| l.trim_ascii_end()));
    t.set(Text::Word, tx.status());
    t.set(Text::Rest, tx.message());
    t.set(Text::Protocol, tx.response_protocol());
    if known >= Known::Headers {
        t.set_headers(tx.response_headers());
    }
    t
}

/// An exchange.
#[derive(Debug)]
pub(crate) struct Exchange {
    id: u64,
    /// The library's number of it.
    pub(super) number: usize,
    pub(crate) request: Message,
    pub(crate) response: Message,
    pub(crate) status: Option<u16>,
    pub(super) port: Option<u16>,
    pub(crate) length: u64,
    pub(super) events: Vec<&'static str>,
    /// The library has been told to forget it.
    pub(super) released: bool,
}

impl Message {
    fn new(window: crate::body::Window) -> Self {
        Self {
            texts: Texts::default(),
            known: Known::Nothing,
            raw: Vec::new(),
            body: Body::new(window),
            begun: false,
            gaps: false,
            lost: 0,
            whole: None,
            parts: None,
            over: false,
        }
    }

    /// Texts and headers that come otherwise than through the library.
    pub(crate) fn set<'a>(&mut self, known: Known, texts: &[(Text, Option<Vec<u8>>)], headers: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        self.known = known;
        self.texts = Texts::default();
        for (which, text) in texts {
            self.texts.set(*which, text.as_deref());
        }
        self.texts.set_headers(headers);
    }

    pub(super) fn raw(&mut self, bytes: &[u8]) {
        let room = RAW.saturating_sub(self.raw.len());
        self.raw.extend_from_slice(&bytes[..room.min(bytes.len())]);
    }

    /// The body is a file of this name.
    pub(crate) fn open(&mut self, name: &[u8]) {
        /// Bytes of a file's name that are kept, as in the peer.
        const NAME: usize = 4096;
        self.whole = Some(Whole { name: name[..name.len().min(NAME)].to_vec(), closed: false });
    }

    /// Bytes of the body came; those within the limit go on to its parts.
    pub(crate) fn push(&mut self, bytes: &[u8], events: &mut Vec<&'static str>) {
        let taken = self.body.push(bytes);
        if let Some(parts) = &mut self.parts {
            if taken > 0 {
                parts.push(&bytes[..taken], events);
            }
            if taken < bytes.len() {
                parts.cut();
            }
        }
    }

    /// Bytes of the body were lost; they count for its size.
    pub(super) fn lose(&mut self, bytes: u64) {
        self.gaps = true;
        self.lost = self.lost.saturating_add(bytes);
    }

    /// The message has ended.
    pub(crate) fn end(&mut self) {
        self.body.end();
        if let Some(w) = &mut self.whole {
            w.closed = true;
        }
        if let Some(parts) = &mut self.parts {
            parts.end();
        }
    }

    /// The connection has ended.
    pub(super) fn over(&mut self) {
        if !self.over {
            self.over = true;
            self.body.end();
            if let Some(parts) = &mut self.parts {
                parts.end();
            }
        }
    }

    fn done(&self) -> bool {
        self.over || self.known == Known::All
    }

    fn file(&self, index: usize) -> Option<File<'_>> {
        if let Some(parts) = &self.parts {
            return parts.file(index);
        }
        let w = self.whole.as_ref().filter(|_| index == 0)?;
        let state = match (self.body.cut() || self.gaps, w.closed) {
            (true, _) => FileState::Truncated,
            (false, true) => FileState::Closed,
            (false, false) if self.over => FileState::Truncated,
            (false, false) => FileState::Open,
        };
        Some(File { name: &w.name, size: self.body.total() + self.lost, state, gaps: self.gaps, digests: self.body.digests() })
    }

    fn file_piece(&self, index: usize) -> Option<Piece<'_>> {
        match &self.parts {
            Some(parts) => parts.piece(index),
            None => self.whole.as_ref().filter(|_| index == 0).and_then(|_| self.body.piece()),
        }
    }

    fn files_ready(&self) -> bool {
        match &self.parts {
            Some(parts) => parts.ready() || self.done(),
            None => self.body_ready(),
        }
    }

    fn body_ready(&self) -> bool {
        self.body.ready() || (self.body.total() == 0 && self.done())
    }

    fn looked(&mut self) {
        self.body.looked();
        if let Some(parts) = &mut self.parts {
            parts.looked();
        }
    }
}

impl Exchange {
    pub(crate) fn new(id: u64, number: usize, settings: &settings::Http) -> Self {
        Self {
            id,
            number,
            request: Message::new(settings.request),
            response: Message::new(settings.response),
            status: None,
            port: None,
            length: 0,
            events: Vec::new(),
            released: false,
        }
    }

    pub(super) fn take(&mut self, taken: Taken) {
        if let Some((known, texts)) = taken.request {
            self.request.known = known;
            self.request.texts = texts;
        }
        if let Some((known, texts)) = taken.response {
            self.response.known = known;
            self.response.texts = texts;
        }
        self.status = taken.status.or(self.status);
        self.port = taken.port.or(self.port);
        self.length = taken.length.max(self.length);
    }

    /// Something unusual.
    pub(crate) fn event(&mut self, name: &'static str) {
        if !self.events.contains(&name) {
            self.events.push(name);
        }
    }

    pub(super) fn complete(&self) -> bool {
        self.request.known == Known::All && self.response.known == Known::All
    }

    pub(crate) fn looked(&mut self, toward: Toward) {
        match toward {
            Toward::Server => self.request.looked(),
            Toward::Client => self.response.looked(),
        }
    }

    fn message(&self, toward: Toward) -> &Message {
        match toward {
            Toward::Server => &self.request,
            Toward::Client => &self.response,
        }
    }

    /// The header a buffer stands for.
    fn header_of(buffer: Buffer, toward: Toward) -> Option<&'static str> {
        Some(match buffer {
            Buffer::HttpCookie if toward == Toward::Server => "Cookie",
            Buffer::HttpCookie => "Set-Cookie",
            Buffer::HttpUserAgent => "User-Agent",
            Buffer::HttpAccept => "Accept",
            Buffer::HttpAcceptEncoding => "Accept-Encoding",
            Buffer::HttpAcceptLanguage => "Accept-Language",
            Buffer::HttpReferer => "Referer",
            Buffer::HttpConnection => "Connection",
            Buffer::HttpContentLength => "Content-Length",
            Buffer::HttpContentType => "Content-Type",
            Buffer::HttpLocation => "Location",
            Buffer::HttpServer => "Server",
            _ => return None,
        })
    }

    /// What must be known of the message before the buffer can be.
    fn needs(buffer: Buffer) -> Option<Known> {
        use Buffer as B;
        Some(match buffer {
            B::HttpUri | B::HttpUriRaw | B::HttpMethod | B::HttpRequestLine | B::HttpResponseLine | B::HttpStatusCode => Known::Line,
            B::HttpStatusMessage | B::HttpProtocol => Known::Line,
            B::HttpHeader | B::HttpHeaderRaw | B::HttpRequestHeader | B::HttpResponseHeader | B::HttpHeaderNames | B::HttpStart => {
                Known::Headers
            }
            B::HttpHost | B::HttpHostRaw => Known::Headers,
            b if Self::header_of(b, Toward::Server).is_some() => Known::Headers,
            _ => return None,
        })
    }

    fn whole<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<&'a [u8]> {
        use Buffer as B;
        let m = self.message(toward);
        let headers = m.known >= Known::Headers;
        if let Some(name) = Self::header_of(buffer, toward) {
            return m.texts.header(name);
        }
        match (buffer, toward) {
            (B::HttpUri, Toward::Server) => m.texts.get(Text::UriNormal),
            (B::HttpUriRaw, Toward::Server) => m.texts.get(Text::Rest),
            (B::HttpMethod, Toward::Server) => m.texts.get(Text::Word),
            (B::HttpRequestLine, Toward::Server) => m.texts.get(Text::Line),
            (B::HttpResponseLine, Toward::Client) => m.texts.get(Text::Line),
            (B::HttpStatusCode, Toward::Client) => m.texts.get(Text::Word),
            (B::HttpStatusMessage, Toward::Client) => m.texts.get(Text::Rest),
            (B::HttpProtocol, _) => m.texts.get(Text::Protocol),
            (B::HttpHost, Toward::Server) => m.texts.get(Text::Host),
            (B::HttpHostRaw, Toward::Server) => m.texts.get(Text::UriHost).or_else(|| m.texts.header("Host")),
            (B::HttpHeaderRaw, _) if headers => (!m.raw.is_empty()).then_some(&m.raw[..]),
            (B::HttpRequestHeader, Toward::Server) | (B::HttpResponseHeader, Toward::Client) => {
                let (n, v) = m.texts.headers().nth(index)?;
                scratch.clear();
                scratch.extend_from_slice(n);
                scratch.extend_from_slice(b": ");
                scratch.extend_from_slice(v);
                Some(scratch)
            }
            (B::HttpHeader | B::HttpHeaderNames | B::HttpStart, _) if headers && !m.texts.headers.is_empty() => {
                scratch.clear();
                Self::assemble(buffer, toward, &m.texts, scratch);
                (!scratch.is_empty()).then_some(&scratch[..])
            }
            _ => None,
        }
    }

    fn assemble(buffer: Buffer, toward: Toward, texts: &Texts, out: &mut Vec<u8>) {
        let cookie = if toward == Toward::Server { "cookie" } else { "set-cookie" };
        match buffer {
            Buffer::HttpHeaderNames => out.extend_from_slice(b"\r\n"),
            Buffer::HttpStart => {
                out.extend_from_slice(texts.get(Text::Line).unwrap_or_default());
                out.extend_from_slice(b"\r\n");
            }
            _ => {}
        }
        for (name, value) in texts.headers() {
            match buffer {
                Buffer::HttpHeaderNames => {}
                Buffer::HttpHeader if name.eq_ignore_ascii_case(cookie.as_bytes()) => continue,
                _ => {
                    out.extend_from_slice(name);
                    out.extend_from_slice(b": ");
                    out.extend_from_slice(value);
                    out.extend_from_slice(b"\r\n");
                    continue;
                }
            }
            out.extend_from_slice(name);
            out.extend_from_slice(b"\r\n");
        }
        if buffer != Buffer::HttpHeader {
            out.extend_from_slice(b"\r\n");
        }
    }
}

impl Transaction for Exchange {
    fn app(&self) -> App {
        App::Http1
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn done(&self, toward: Toward) -> bool {
        self.message(toward).done()
    }

    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        let m = self.message(toward);
        match (buffer, toward) {
            (Buffer::HttpRequestBody, Toward::Server) | (Buffer::HttpResponseBody, Toward::Client) => m.body_ready(),
            (Buffer::FileData, _) => m.files_ready(),
            (Buffer::FileName | Buffer::FileMagic, _) => m.file(0).is_some() || m.done(),
            _ => Self::needs(buffer).is_some_and(|k| m.known >= k || m.done()),
        }
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let m = self.message(toward);
        match (buffer, toward) {
            (Buffer::HttpRequestBody, Toward::Server) | (Buffer::HttpResponseBody, Toward::Client) if index == 0 => m.body.piece(),
            (Buffer::FileData, _) => m.file_piece(index),
            (Buffer::FileName, _) => m.file(index).map(|f| Piece { bytes: f.name, offset: 0, last: true }),
            _ if index > 0 && !buffer.row().multi => None,
            _ => self.whole(buffer, toward, index, scratch).map(|bytes| Piece { bytes, offset: 0, last: true }),
        }
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        let length = |t| self.request.texts.get(t).map(|u| u.len() as u64);
        match quantity {
            Quantity::HttpUriLength => length(Text::UriNormal),
            Quantity::HttpRawUriLength => length(Text::Rest),
            Quantity::FileSize => self.file(toward, index).map(|f| f.size),
            _ => None,
        }
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn file(&self, toward: Toward, index: usize) -> Option<File<'_>> {
        self.message(toward).file(index)
    }

    fn describe(&self, out: &mut Vec<u8>) {
        describe::write(self, out);
    }
}
