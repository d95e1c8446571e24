//! Mail as RFC 5322 and MIME write it: lines in, headers, files and links out. Lines may come in pieces. It keeps headers within limits, the
//! bodies of files within their windows, and nothing else; every byte is looked at a bounded number of times.

use crate::{
    base64,
    body::{Body, Window},
    json,
};
use md5::{Digest as _, Md5};

/// Bytes of a header's value at most, as in the peer.
const VALUE: usize = 2000;
/// Bytes of a header's name, above which it is told as unusual.
const NAME: usize = 76;
/// Bytes of a line of text, above which it is told as unusual (RFC 5321, 4.5.3.1.6).
const LINE: usize = 998;
/// Letters of an encoded line (RFC 2045, 6.8).
const ENCODED: usize = 76;
/// Bytes of a boundary (RFC 2046, 5.1.1).
const BOUNDARY: usize = 70;
/// Parts within parts.
const DEPTH: usize = 8;
/// Headers kept of one mail.
const HEADERS: usize = 256;
/// Files of one mail.
const FILES: usize = 256;
/// Links of one mail.
const LINKS: usize = 256;
/// Bytes of a file's name, as in the peer.
const FILE_NAME: usize = 256;
/// Bytes of a line in which links are looked for.
const LOOK: usize = 4096;

/// A file of a mail.
#[derive(Debug)]
pub(super) struct Attachment {
    pub(super) name: Vec<u8>,
    pub(super) body: Body,
    pub(super) closed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Coding {
    #[default]
    Plain,
    Base64,
    Quoted,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Headers,
    Body,
    /// Between parts: before the first and behind the last.
    Between,
}

/// What a part's headers said.
#[derive(Debug, Default)]
struct Part {
    kind: Vec<u8>,
    coding: Coding,
    name: Option<Vec<u8>>,
    boundary: Option<Vec<u8>>,
}

/// A value given in numbered pieces: `name*0=`, `name*1=` (RFC 2231, 3).
fn continued(value: &[u8], name: &str) -> Option<Vec<u8>> {
    /// Pieces joined; a name of the longest length needs fewer.
    const PIECES: usize = 16;
    let mut out = crate::http::parameter(value, &format!("{name}*0"))?.to_vec();
    for i in 1..PIECES {
        let Some(more) = crate::http::parameter(value, &format!("{name}*{i}")) else { break };
        out.extend_from_slice(more);
    }
    Some(out)
}

/// A mail being read.
#[derive(Debug)]
pub(super) struct Mime {
    window: Window,
    at: At,
    /// Headers of the mail itself: names in lower case, and values.
    pub(super) headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// A header that may go on in the next line.
    header: Option<(Vec<u8>, Vec<u8>)>,
    top: bool,
    part: Part,
    boundaries: Vec<Vec<u8>>,
    pub(super) files: Vec<Attachment>,
    open: bool,
    pub(super) links: Vec<Vec<u8>>,
    /// A line of decoded text that is not whole.
    look: Vec<u8>,
    /// Bits of base64 that are not a byte yet, and letters of a quoted byte.
    bits: (u32, u8),
    text: Vec<u8>,
    line: usize,
    md5: Md5,
    digest: Option<String>,
    pub(super) events: Vec<&'static str>,
    pub(super) failed: bool,
    begun: bool,
}

impl Mime {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            at: At::Headers,
            headers: Vec::new(),
            header: None,
            top: true,
            part: Part::default(),
            boundaries: Vec::new(),
            files: Vec::new(),
            open: false,
            links: Vec::new(),
            look: Vec::new(),
            bits: (0, 0),
            text: Vec::new(),
            line: 0,
            md5: Md5::new(),
            digest: None,
            events: Vec::new(),
            failed: false,
            begun: false,
        }
    }

    fn event(&mut self, name: &'static str) {
        if !self.events.contains(&name) {
            self.events.push(name);
        }
    }

    /// The first header of this name, in lower case.
    pub(super) fn get(&self, name: &str) -> Option<&[u8]> {
        self.all(name).next()
    }

    /// All headers of this name.
    pub(super) fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        self.headers.iter().filter(move |(n, _)| n == name.as_bytes()).map(|(_, v)| &v[..])
    }

    /// MD5 of the text, once all was read.
    pub(super) fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// A piece of a line without its end; `whole` with the last one.
    pub(super) fn line(&mut self, text: &[u8], whole: bool) {
        self.begun = true;
        let first = self.line == 0;
        self.line += text.len();
        if self.line > LINE {
            self.event("smtp.mime_long_line");
        }
        match self.at {
            At::Headers => self.header_line(text, first),
            At::Body | At::Between => self.body_line(text, first, whole),
        }
        if whole {
            self.line = 0;
        }
    }

    fn header_line(&mut self, text: &[u8], first: bool) {
        if !first {
            if let Some((_, v)) = &mut self.header {
                let room = VALUE.saturating_sub(v.len());
                v.extend_from_slice(&text[..text.len().min(room)]);
            }
            return;
        }
        if let ([b' ' | b'\t', ..], Some((_, v))) = (text, &mut self.header) {
            // The line's end is taken out, as in the peer; a tab or space stays in front of what follows.
            let room = VALUE.saturating_sub(v.len());
            let more = if text[0] == b'\t' { text.trim_ascii_start() } else { text };
            v.extend_from_slice(&more[..more.len().min(room)]);
            if text.len() > room {
                self.event("smtp.mime_long_header_value");
            }
            return;
        }
        self.end_header();
        if text.is_empty() {
            self.end_headers();
            return;
        }
        match text.iter().position(|b| *b == b':') {
            Some(n) => {
                if n > NAME {
                    self.event("smtp.mime_long_header_name");
                }
                let value = text[n + 1..].trim_ascii();
                if value.len() > VALUE {
                    self.event("smtp.mime_long_header_value");
                }
                self.header = Some((text[..n].trim_ascii().to_ascii_lowercase(), value[..value.len().min(VALUE)].to_vec()));
            }
            // A boundary may follow headers that have no end.
            None if self.boundary(text).is_some() => {
                self.end_headers();
                self.body_line(text, true, true);
            }
            None => self.event("smtp.mime_malformed_msg"),
        }
    }

    fn end_header(&mut self) {
        let Some((name, value)) = self.header.take() else { return };
        match &name[..] {
            b"content-type" => {
                self.part.kind = value.split(|b| *b == b';').next().unwrap_or_default().trim_ascii().to_ascii_lowercase();
                if let Some(b) = crate::http::parameter(&value, "boundary") {
                    if b.len() > BOUNDARY {
                        self.event("smtp.mime_long_boundary");
                    }
                    self.part.boundary = Some(b[..b.len().min(VALUE)].to_vec()).filter(|b| !b.is_empty());
                }
                if self.part.name.is_none() {
                    self.part.name = crate::http::parameter(&value, "name").map(<[u8]>::to_vec);
                }
            }
            b"content-disposition" => {
                let whole = crate::http::parameter(&value, "filename").map(<[u8]>::to_vec);
                self.part.name = whole.or_else(|| continued(&value, "filename")).or(self.part.name.take());
            }
            b"content-transfer-encoding" => {
                self.part.coding = match value.to_ascii_lowercase().as_slice() {
                    b"base64" => Coding::Base64,
                    b"quoted-printable" => Coding::Quoted,
                    _ => Coding::Plain,
                };
            }
            _ => {}
        }
        if self.top && self.headers.len() < HEADERS {
            self.headers.push((name, value));
        }
    }

    fn end_headers(&mut self) {
        self.bits = (0, 0);
        self.text.clear();
        if let Some(b) = self.part.boundary.take() {
            if self.boundaries.len() < DEPTH {
                self.boundaries.push(b);
            }
            self.at = At::Between;
        } else if self.part.kind == b"message/rfc822" && self.part.name.is_none() {
            // A mail within: its headers follow.
            self.part = Part::default();
            self.top = false;
            self.at = At::Headers;
            return;
        } else {
            self.at = At::Body;
            if let Some(mut name) = self.part.name.take()
                && self.files.len() < FILES
            {
                if name.len() > FILE_NAME {
                    name.truncate(FILE_NAME);
                    self.event("smtp.mime_long_filename");
                }
                self.files.push(Attachment { name, body: Body::new(self.window), closed: false });
                self.open = true;
            }
        }
        self.top = false;
    }

    /// Which boundary a line is, and whether it is the last of its kind.
    fn boundary(&self, text: &[u8]) -> Option<(usize, bool)> {
        let rest = text.strip_prefix(b"--")?;
        let at = self.boundaries.iter().rposition(|b| rest.starts_with(b))?;
        Some((at, rest[self.boundaries[at].len()..].starts_with(b"--")))
    }

    fn body_line(&mut self, text: &[u8], first: bool, whole: bool) {
        if let Some((at, last)) = first.then(|| self.boundary(text)).flatten() {
            self.end_part();
            self.boundaries.truncate(at + usize::from(!last));
            self.part = Part::default();
            self.at = if last { At::Between } else { At::Headers };
            return;
        }
        if self.at == At::Between {
            return;
        }
        match self.part.coding {
            Coding::Plain => {
                self.data(text);
                if whole {
                    self.data(b"\r\n");
                }
            }
            Coding::Base64 => {
                if self.line > ENCODED {
                    self.event("smtp.mime_long_enc_line");
                }
                self.base64(text);
            }
            Coding::Quoted => self.quoted(text, whole),
        }
    }

    fn base64(&mut self, text: &[u8]) {
        let mut out = Vec::with_capacity(text.len() / 4 * 3 + 3);
        for b in text {
            let v = match base64::value(*b) {
                Some(v) => v,
                None if *b == b'=' => {
                    self.bits = (0, 0);
                    continue;
                }
                None if matches!(b, b' ' | b'\t' | b'\r') => continue,
                None => {
                    self.event("smtp.mime_invalid_base64");
                    continue;
                }
            };
            let (bits, n) = self.bits;
            let bits = bits << 6 | u32::from(v);
            let n = n + 6;
            if n >= 8 {
                out.push((bits >> (n - 8)) as u8);
                self.bits = (bits & ((1 << (n - 8)) - 1), n - 8);
            } else {
                self.bits = (bits, n);
            }
        }
        self.data(&out);
    }

    /// `text` is a piece of a line; a `=` at its end is joined with what follows.
    fn quoted(&mut self, text: &[u8], whole: bool) {
        let mut joined = std::mem::take(&mut self.text);
        joined.extend_from_slice(text);
        let mut out = Vec::with_capacity(joined.len() + 2);
        let mut rest = &joined[..];
        let mut soft = false;
        loop {
            match rest {
                [] => break,
                [b'='] if whole => {
                    soft = true;
                    break;
                }
                [b'='] | [b'=', _] if !whole => {
                    self.text = rest.to_vec();
                    break;
                }
                [b'=', a, b, tail @ ..] => {
                    let digit = |c: &u8| (*c as char).to_digit(16);
                    match (digit(a), digit(b)) {
                        (Some(a), Some(b)) => {
                            out.push((a * 16 + b) as u8);
                            rest = tail;
                        }
                        _ => {
                            self.event("smtp.mime_invalid_qp");
                            out.push(b'=');
                            rest = &rest[1..];
                        }
                    }
                }
                [b, tail @ ..] => {
                    out.push(*b);
                    rest = tail;
                }
            }
        }
        if whole && !soft {
            out.extend_from_slice(b"\r\n");
        }
        self.data(&out);
    }

    /// Decoded bytes of a part.
    fn data(&mut self, bytes: &[u8]) {
        if self.open {
            if let Some(f) = self.files.last_mut() {
                f.body.push(bytes);
            }
            return;
        }
        self.md5.update(bytes);
        if self.part.kind.is_empty() || self.part.kind.starts_with(b"text/") {
            for part in bytes.split_inclusive(|b| *b == b'\n') {
                let room = LOOK - self.look.len();
                self.look.extend_from_slice(&part[..part.len().min(room)]);
                if part.ends_with(b"\n") {
                    self.find_links();
                }
            }
        }
    }

    /// Looks for links in a whole line.
    fn find_links(&mut self) {
        const SCHEME: &[u8] = b"http://";
        let line = std::mem::take(&mut self.look);
        let bytes = &line[..];
        let mut from = 0;
        while let Some(n) = bytes[from..].windows(SCHEME.len()).position(|w| w.eq_ignore_ascii_case(SCHEME)) {
            let start = from + n + SCHEME.len();
            let end = bytes[start..]
                .iter()
                .position(|b| *b <= b' ' || matches!(b, b'"' | b'<' | b'>' | b'\''))
                .map_or(bytes.len(), |e| start + e);
            let link = bytes[start..end].to_ascii_lowercase();
            if !link.is_empty() && self.links.len() < LINKS && !self.links.contains(&link) {
                self.links.push(link);
            }
            from = end;
        }
        self.look = line;
        self.look.clear();
    }

    fn end_part(&mut self) {
        self.find_links();
        if std::mem::take(&mut self.open)
            && let Some(f) = self.files.last_mut()
        {
            f.body.end();
            f.closed = true;
        }
    }

    /// Nothing more comes; `whole` where the mail says so itself.
    pub(super) fn end(&mut self, whole: bool) {
        self.end_header();
        self.find_links();
        self.failed |= !self.begun;
        if whole {
            self.end_part();
            self.digest = Some(json::hex(&self.md5.clone().finalize(), 0));
        } else if let Some(f) = self.files.last_mut().filter(|_| self.open) {
            f.body.end();
        }
    }
}
