//! SIP (RFC 3261) with the session descriptions it carries (RFC 8866), over streams and datagrams. Messages in, a transaction for each out.
//! It holds one message of each direction, and reads no body but a session description.

use crate::{
    held,
    json::{self, Json},
    open::{Open, many},
    transaction::{Input, Parser, Piece, Step, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, header::App};

/// Bytes of a message that are kept: the largest datagram.
const MESSAGE: usize = 64 << 10;
/// Messages that wait to be looked at.
const OPEN: usize = 256;
/// Lines of a message that are read.
const LINES: usize = 512;

/// A part of the message's own bytes.
type Span = std::ops::Range<usize>;

/// A message.
#[derive(Debug)]
struct Message {
    id: u64,
    toward: Toward,
    bytes: Vec<u8>,
    /// The first line without its end, and its three parts.
    line: Span,
    parts: [Span; 3],
    headers: Vec<(Span, Span)>,
    /// Lines of the session description: the letter and the value; an `m` begins what is said of a medium.
    description: Vec<(u8, Span)>,
}

/// A conversation.
pub struct Sip {
    stream: bool,
    held: [Vec<u8>; 2],
    /// Bytes of bodies that are passed over.
    skip: [usize; 2],
    open: Open<Message>,
}

/// Names of headers that may be written short (RFC 3261, 7.3.3).
const SHORT: [(&[u8], u8); 6] =
    [(b"from", b'f'), (b"to", b't'), (b"via", b'v'), (b"content-type", b'c'), (b"content-length", b'l'), (b"subject", b's')];

/// Whether a header has this name, written out or short.
fn is_named(name: &[u8], wanted: &[u8]) -> bool {
    let short = SHORT.iter().find(|(n, _)| *n == wanted).map(|(_, s)| *s);
    name.eq_ignore_ascii_case(wanted) || matches!((name, short), ([b], Some(s)) if b.eq_ignore_ascii_case(&s))
}

/// A place without the blanks around it.
fn trimmed(bytes: &[u8], mut span: Span) -> Span {
    while span.start < span.end && bytes[span.start].is_ascii_whitespace() {
        span.start += 1;
    }
    while span.start < span.end && bytes[span.end - 1].is_ascii_whitespace() {
        span.end -= 1;
    }
    span
}

/// Where the headers end: behind the empty line.
fn headers_end(bytes: &[u8]) -> Option<usize> {
    memchr::memmem::find(bytes, b"\r\n\r\n").map(|n| n + 4)
}

impl Message {
    /// Reads the headers, which end at `end`, and the body behind them; none where it is no message.
    fn read(bytes: &[u8], end: usize, toward: Toward) -> Option<Self> {
        let first = memchr::memmem::find(&bytes[..end], b"\r\n")?;
        let line = &bytes[..first];
        let one = memchr::memchr(b' ', line)?;
        let two = one + 1 + memchr::memchr(b' ', &line[one + 1..])?;
        let answer = line.starts_with(b"SIP/");
        if !answer && !line[two + 1..].starts_with(b"SIP/") {
            return None;
        }
        let parts = [0..one, one + 1..two, two + 1..first];
        let mut out = Self { id: 0, toward, bytes: bytes.to_vec(), line: 0..first, parts, headers: Vec::new(), description: Vec::new() };
        let mut at = first + 2;
        while at < end && out.headers.len() < LINES {
            let stop = memchr::memmem::find(&bytes[at..end], b"\r\n").map_or(end, |n| at + n);
            if stop == at {
                break;
            }
            if let Some(colon) = memchr::memchr(b':', &bytes[at..stop]) {
                let name = trimmed(bytes, at..at + colon);
                out.headers.push((name, trimmed(bytes, at + colon + 1..stop)));
            }
            at = stop + 2;
        }
        if out.header(b"content-type", 0).is_some_and(|v| bytes[v].to_ascii_lowercase().starts_with(b"application/sdp")) {
            out.describe_session(end);
        }
        Some(out)
    }

    fn describe_session(&mut self, from: usize) {
        let mut at = from;
        while at < self.bytes.len() && self.description.len() < LINES {
            let stop = memchr::memchr(b'\n', &self.bytes[at..]).map_or(self.bytes.len(), |n| at + n);
            if let [letter, b'=', ..] = self.bytes[at..stop] {
                let value = trimmed(&self.bytes, at + 2..stop);
                self.description.push((letter, value));
            }
            at = stop + 1;
        }
    }

    /// The value of a header; `index` counts those of the same name.
    fn header(&self, name: &[u8], index: usize) -> Option<Span> {
        self.headers.iter().filter(|(n, _)| is_named(&self.bytes[n.clone()], name)).nth(index).map(|(_, v)| v.clone())
    }

    fn answers(&self) -> bool {
        self.bytes.starts_with(b"SIP/")
    }

    /// Lines of the description that are of the session, or of media.
    fn said(&self, letter: u8, media: bool, index: usize) -> Option<Span> {
        let begins = self.description.iter().position(|(l, _)| *l == b'm').unwrap_or(self.description.len());
        let lines = if media { &self.description[begins..] } else { &self.description[..begins] };
        lines.iter().filter(|(l, _)| *l == letter).nth(index).map(|(_, v)| v.clone())
    }

    fn span(&self, buffer: Buffer, index: usize) -> Option<Span> {
        let answers = self.answers();
        match buffer {
            Buffer::SipFrom => return self.header(b"from", index),
            Buffer::SipTo => return self.header(b"to", index),
            Buffer::SipVia => return self.header(b"via", index),
            Buffer::SipUserAgent => return self.header(b"user-agent", index),
            Buffer::SipContentType => return self.header(b"content-type", index),
            Buffer::SipContentLength => return self.header(b"content-length", index),
            Buffer::SdpBandwidth => return self.said(b'b', false, index),
            Buffer::SdpTime => return self.said(b't', false, index),
            Buffer::SdpRepeat => return self.said(b'r', false, index),
            Buffer::SdpAttribute => return self.said(b'a', false, index),
            Buffer::SdpMedia => return self.said(b'm', true, index),
            Buffer::SdpMediaInfo => return self.said(b'i', true, index),
            Buffer::SdpMediaConnection => return self.said(b'c', true, index),
            Buffer::SdpMediaKey => return self.said(b'k', true, index),
            _ if index > 0 => return None,
            _ => {}
        }
        Some(match (buffer, answers) {
            (Buffer::SipMethod, false) => self.parts[0].clone(),
            (Buffer::SipUri, false) => self.parts[1].clone(),
            (Buffer::SipProtocol, false) => self.parts[2].clone(),
            (Buffer::SipProtocol, true) => self.parts[0].clone(),
            (Buffer::SipStatusCode, true) => self.parts[1].clone(),
            (Buffer::SipStatusMessage, true) => self.parts[2].clone(),
            (Buffer::SipRequestLine, false) | (Buffer::SipResponseLine, true) => self.line.clone(),
            _ => {
                let letter = match buffer {
                    Buffer::SdpOrigin => b'o',
                    Buffer::SdpSessionName => b's',
                    Buffer::SdpSessionInfo => b'i',
                    Buffer::SdpUri => b'u',
                    Buffer::SdpEmail => b'e',
                    Buffer::SdpPhone => b'p',
                    Buffer::SdpConnection => b'c',
                    Buffer::SdpTimezone => b'z',
                    Buffer::SdpKey => b'k',
                    _ => return None,
                };
                return self.said(letter, false, 0);
            }
        })
    }

    fn text(&self, span: &Span) -> &[u8] {
        &self.bytes[span.clone()]
    }

    /// What an event says of the description.
    fn session(&self, j: &mut Json<'_>) {
        const ONE: [(&str, u8); 8] = [
            ("origin", b'o'),
            ("session_name", b's'),
            ("session_info", b'i'),
            ("uri", b'u'),
            ("email", b'e'),
            ("phone_number", b'p'),
            ("connection_data", b'c'),
            ("timezone", b'z'),
        ];
        let begins = self.description.iter().position(|(l, _)| *l == b'm').unwrap_or(self.description.len());
        let (session, media) = self.description.split_at(begins);
        let list = |j: &mut Json<'_>, key: &str, lines: &[(u8, Span)], letter: u8| {
            if lines.iter().any(|(l, _)| *l == letter) {
                j.array(key, |j| {
                    for (_, v) in lines.iter().filter(|(l, _)| *l == letter) {
                        j.item_text(self.text(v));
                    }
                });
            }
        };
        let one = |lines: &[(u8, Span)], letter: u8| lines.iter().find(|(l, _)| *l == letter).map(|(_, v)| self.text(v));
        for (key, letter) in ONE {
            j.text_if(key, one(session, letter));
        }
        list(j, "bandwidths", session, b'b');
        if session.iter().any(|(l, _)| *l == b't') {
            j.array("time_descriptions", |j| {
                let mut rest = session;
                while let Some(at) = rest.iter().position(|(l, _)| *l == b't') {
                    let end = rest[at + 1..].iter().position(|(l, _)| *l == b't').map_or(rest.len(), |n| at + 1 + n);
                    j.item_object(|j| {
                        j.text("time", self.text(&rest[at].1)).text_if("repeat_time", one(&rest[at..end], b'r'));
                    });
                    rest = &rest[end..];
                }
            });
        }
        j.text_if("encryption_key", one(session, b'k'));
        list(j, "attributes", session, b'a');
        if !media.is_empty() {
            j.array("media_descriptions", |j| {
                let mut rest = media;
                while let [(_, name), behind @ ..] = rest {
                    let end = behind.iter().position(|(l, _)| *l == b'm').unwrap_or(behind.len());
                    let (own, next) = behind.split_at(end);
                    j.item_object(|j| {
                        j.text("media", self.text(name));
                        j.text_if("media_info", one(own, b'i'));
                        list(j, "bandwidths", own, b'b');
                        j.text_if("connection_data", one(own, b'c')).text_if("encryption_key", one(own, b'k'));
                        list(j, "attributes", own, b'a');
                    });
                    rest = next;
                }
            });
        }
    }
}

impl Sip {
    /// Begins one; `stream`: over TCP.
    pub fn new(stream: bool) -> Self {
        Self { stream, held: Default::default(), skip: [0; 2], open: Open::default() }
    }

    fn take(&mut self, toward: Toward, bytes: &[u8], end: usize) -> bool {
        let Some(message) = Message::read(bytes, end, toward) else { return false };
        self.open.begin(OPEN, |id| Message { id, ..message });
        true
    }

    /// Takes messages off the front of a stream; false where they are none.
    fn messages(&mut self, toward: Toward, rest: &mut &[u8]) -> bool {
        let s = toward.index();
        loop {
            let skip = self.skip[s].min(rest.len());
            self.skip[s] -= skip;
            *rest = &rest[skip..];
            // Lines between messages keep the connection alive (RFC 5626, 3.5.1).
            while let [b'\r' | b'\n', tail @ ..] = *rest {
                *rest = tail;
            }
            let Some(end) = headers_end(rest) else { return rest.len() < MESSAGE };
            let length = {
                let lines = rest[..end].split(|b| *b == b'\n');
                let value = |l: &[u8]| {
                    let colon = memchr::memchr(b':', l)?;
                    is_named(l[..colon].trim_ascii(), b"content-length").then(|| l[colon + 1..].trim_ascii().to_vec())
                };
                let text = lines.take(LINES).find_map(value).unwrap_or_default();
                std::str::from_utf8(&text).ok().and_then(|t| t.parse::<usize>().ok()).unwrap_or(0)
            };
            let whole = end.saturating_add(length);
            if whole > MESSAGE {
                // Its body is too long to be kept.
                if !self.take(toward, &rest[..end], end) {
                    return false;
                }
                *rest = &rest[end..];
                self.skip[s] = length;
                continue;
            }
            let Some(message) = rest.get(..whole) else { return true };
            if !self.take(toward, message, end) {
                return false;
            }
            *rest = &rest[whole..];
        }
    }

    fn stream(&mut self, toward: Toward, bytes: &[u8]) -> bool {
        let s = toward.index();
        let waits = std::mem::take(&mut self.held[s]);
        let (waits, good) = held::read(waits, bytes, |rest| self.messages(toward, rest));
        self.held[s] = waits;
        good
    }
}

impl Parser for Sip {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let good = match input {
            Input::Bytes(bytes) if self.stream => self.stream(toward, bytes),
            Input::Bytes(bytes) => {
                let bytes = &bytes[..bytes.len().min(MESSAGE)];
                // What is no message in a datagram says nothing of the next one.
                if let Some(end) = headers_end(bytes) {
                    self.take(toward, bytes, end);
                }
                true
            }
            Input::Gap(_) => !self.stream,
            Input::End => true,
        };
        if good { Step::Going } else { Step::Failed }
    }

    many!(open);
}

impl Transaction for Message {
    fn app(&self) -> App {
        App::Sip
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
        let span = self.span(buffer, index).filter(|_| toward == self.toward)?;
        Some(Piece { bytes: &self.bytes[span], offset: 0, last: true })
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            let [a, b, c] = &self.parts;
            if self.answers() {
                j.text("version", self.text(a)).text("code", self.text(b)).text("reason", self.text(c));
                j.text("response_line", self.text(&self.line));
            } else {
                j.text("method", self.text(a)).text("uri", self.text(b)).text("version", self.text(c));
                j.text("request_line", self.text(&self.line));
            }
            if !self.description.is_empty() {
                j.object("sdp", |j| self.session(j));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::{events, talk};
    use proptest::prelude::*;

    const INVITE: &[u8] =
        b"INVITE sip:bob@b SIP/2.0\r\nVia: SIP/2.0/UDP a\r\nf: <sip:a@a>\r\nTo: <sip:bob@b>\r\nContent-Type: application/sdp\r\n\
        Content-Length: 54\r\n\r\nv=0\r\no=- 1 1 IN IP4 a\r\ns=x\r\nt=1 2\r\nm=audio 3\r\ni=note\r\n";
    const OK: &[u8] = b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP a\r\nContent-Length: 0\r\n\r\n";

    fn fed(cut: usize) -> Sip {
        let mut p = Sip::new(true);
        talk(&mut p, [(Toward::Server, INVITE), (Toward::Server, OK), (Toward::Client, OK)], cut);
        p
    }

    #[test]
    fn messages_and_sessions_are_read() {
        let p = fed(10_000);
        let e = events(&p);
        assert_eq!(e.len(), 3);
        assert_eq!((e[0]["method"].as_str(), e[0]["uri"].as_str()), (Some("INVITE"), Some("sip:bob@b")));
        assert_eq!((e[0]["sdp"]["media_descriptions"][0]["media_info"].as_str(), e[2]["code"].as_str()), (Some("note"), Some("200")));
        let mut room = Vec::new();
        let mut piece = |b| p.get(0).piece(b, Toward::Server, 0, &mut room).map(|p| p.bytes.to_vec());
        assert_eq!(piece(Buffer::SipFrom).as_deref(), Some(&b"<sip:a@a>"[..]));
        assert_eq!(piece(Buffer::SdpMediaInfo).as_deref(), Some(&b"note"[..]));
        assert_eq!(piece(Buffer::SipStatusCode), None);
    }

    #[test]
    fn what_is_no_message_fails() {
        assert_eq!(Sip::new(true).feed(Toward::Server, Input::Bytes(b"GET / HTTP/1.1\r\n\r\n")), Step::Failed);
        assert_eq!(Sip::new(true).feed(Toward::Server, Input::Bytes(&[b'x'; MESSAGE])), Step::Failed);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(cut in 1usize..200) {
            prop_assert_eq!(events(&fed(10_000)), events(&fed(cut)));
        }

        #[test]
        fn anything_goes(bytes in proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(b':'), Just(b' '), any::<u8>()], 0..200), stream: bool) {
            let mut p = Sip::new(stream);
            p.feed(Toward::Server, Input::Bytes(&[INVITE, &bytes, b"\r\n\r\n"].concat()));
            p.feed(Toward::Client, Input::Bytes(&[b"SIP/2.0 ", &bytes[..], b"\r\n\r\n"].concat()));
            events(&p);
        }
    }
}
