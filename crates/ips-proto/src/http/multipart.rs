//! The parts of a multipart body: bytes in, in any pieces, files out. Only parts that name a file are kept. Work is linear in the bytes: each
//! is looked at once, and as many times again as a boundary is long where the pieces are tiny.

use crate::{
    body::{Body, Window},
    transaction::{File, FileState, Piece},
};
use memchr::memmem;

/// Longest boundary, as in the peer.
const BOUNDARY: usize = 200;
/// Bytes of a part's headers at most.
const HEADERS: usize = 16 << 10;
/// Files of one body at most; a part of the smallest form takes some 40 bytes of a body that is bounded itself.
const FILES: usize = 1024;
/// Bytes of a file's name that are kept.
const NAME: usize = 4096;

/// The boundary a content type names.
pub(super) fn boundary(kind: &[u8]) -> Option<&[u8]> {
    const FORM: &[u8] = b"multipart/form-data";
    let head = kind.get(..FORM.len())?;
    if !head.eq_ignore_ascii_case(FORM) {
        return None;
    }
    parameter(kind, "boundary").filter(|b| !b.is_empty() && b.len() <= BOUNDARY)
}

/// The value of `name=` in a header's value, without quotes.
pub(crate) fn parameter<'a>(value: &'a [u8], name: &str) -> Option<&'a [u8]> {
    let mut quoted = false;
    let mut from = 0;
    let mut parts = Vec::new();
    for (i, b) in value.iter().enumerate() {
        match b {
            b'"' => quoted = !quoted,
            b';' if !quoted => {
                parts.push(&value[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    parts.push(&value[from..]);
    parts.into_iter().skip(1).find_map(|p| {
        let p = p.trim_ascii();
        let at = p.iter().position(|b| *b == b'=')?;
        if !p[..at].trim_ascii().eq_ignore_ascii_case(name.as_bytes()) {
            return None;
        }
        let v = p[at + 1..].trim_ascii();
        Some(v.strip_prefix(b"\"").map_or(v, |v| v.strip_suffix(b"\"").unwrap_or(v)))
    })
}

#[derive(Debug)]
struct Part {
    name: Vec<u8>,
    body: Body,
    closed: bool,
    over: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum At {
    Preamble,
    /// Behind a boundary: its line's rest.
    Line,
    Headers,
    /// In a part: whether it is a file.
    Data(bool),
    Over,
}

/// A multipart body.
#[derive(Debug)]
pub(super) struct Multipart {
    /// `\r\n--` and the boundary.
    mark: Vec<u8>,
    window: Window,
    at: At,
    held: Vec<u8>,
    /// Bytes of `held` in which what ends the line or the headers was looked for.
    looked: usize,
    files: Vec<Part>,
}

impl Multipart {
    pub(super) fn new(boundary: &[u8], window: Window) -> Self {
        Self { mark: [b"\r\n--", boundary].concat(), window, at: At::Preamble, held: Vec::new(), looked: 0, files: Vec::new() }
    }

    pub(super) fn push(&mut self, bytes: &[u8], events: &mut Vec<&'static str>) {
        if self.at == At::Over {
            return;
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let mut from = 0;
        while let Some(n) = self.step(&held[from..], events) {
            from += n;
        }
        held.drain(..from);
        self.held = held;
    }

    /// Reads what can be read; none: more is needed.
    fn step(&mut self, rest: &[u8], events: &mut Vec<&'static str>) -> Option<usize> {
        match self.at {
            At::Preamble => {
                // The first boundary has no line before it.
                let mark = &self.mark[2..];
                let Some(i) = memmem::find(rest, mark) else {
                    let n = rest.len().saturating_sub(mark.len() - 1);
                    return (n > 0).then_some(n);
                };
                let n = i + mark.len();
                self.at = At::Line;
                self.looked = 0;
                Some(n)
            }
            At::Line => match rest {
                [b'-', b'-', ..] => {
                    self.at = At::Over;
                    Some(rest.len())
                }
                [b'-'] | [] => None,
                _ => match memchr::memchr(b'\n', &rest[self.looked.min(rest.len())..]) {
                    Some(n) => {
                        self.at = At::Headers;
                        Some(std::mem::take(&mut self.looked) + n + 1)
                    }
                    None if rest.len() > HEADERS => self.give_up(rest, events),
                    None => {
                        self.looked = rest.len();
                        None
                    }
                },
            },
            At::Headers => {
                if rest.starts_with(b"\r\n") {
                    self.at = At::Data(false);
                    return Some(2);
                }
                let from = self.looked.saturating_sub(3).min(rest.len());
                let Some(i) = memmem::find(&rest[from..], b"\r\n\r\n") else {
                    if rest.len() > HEADERS {
                        return self.give_up(rest, events);
                    }
                    self.looked = rest.len();
                    return None;
                };
                let end = from + i;
                let name = rest[..end]
                    .split(|b| *b == b'\n')
                    .filter_map(|l| l.iter().position(|b| *b == b':').map(|c| (&l[..c], l[c + 1..].trim_ascii())))
                    .find(|(n, _)| n.trim_ascii().eq_ignore_ascii_case(b"content-disposition"))
                    .and_then(|(_, v)| parameter(v, "filename"));
                let file = name.filter(|n| !n.is_empty() && self.files.len() < FILES);
                self.at = At::Data(file.is_some());
                if let Some(n) = file {
                    let name = n[..n.len().min(NAME)].to_vec();
                    self.files.push(Part { name, body: Body::new(self.window), closed: false, over: false });
                }
                Some(end + 4)
            }
            At::Data(file) => {
                let found = memmem::find(rest, &self.mark);
                let n = found.unwrap_or(rest.len().saturating_sub(self.mark.len() - 1));
                if let Some(f) = self.files.last_mut().filter(|_| file) {
                    f.body.push(&rest[..n]);
                    if found.is_some() {
                        f.body.end();
                        f.closed = true;
                    }
                }
                match found {
                    Some(n) => {
                        self.at = At::Line;
                        self.looked = 0;
                        Some(n + self.mark.len())
                    }
                    None => (n > 0).then_some(n),
                }
            }
            At::Over => None,
        }
    }

    fn give_up(&mut self, rest: &[u8], events: &mut Vec<&'static str>) -> Option<usize> {
        self.at = At::Over;
        const EVENT: &str = "http.multipart_invalid_header";
        if !events.contains(&EVENT) {
            events.push(EVENT);
        }
        Some(rest.len())
    }

    /// What follows lies over the limit.
    pub(super) fn cut(&mut self) {
        self.end();
        self.at = At::Over;
    }

    /// Nothing follows.
    pub(super) fn end(&mut self) {
        if let (At::Data(true), Some(f)) = (self.at, self.files.last_mut()) {
            f.body.push(&self.held);
            f.body.end();
            f.over = true;
            self.held.clear();
            self.at = At::Over;
        }
    }

    pub(super) fn file(&self, index: usize) -> Option<File<'_>> {
        let f = self.files.get(index)?;
        let state = match (f.closed, f.over || f.body.cut()) {
            (true, _) => FileState::Closed,
            (false, true) => FileState::Truncated,
            (false, false) => FileState::Open,
        };
        Some(File { name: &f.name, size: f.body.total(), state, gaps: false, digests: f.body.digests() })
    }

    pub(super) fn piece(&self, index: usize) -> Option<Piece<'_>> {
        self.files.get(index)?.body.piece()
    }

    pub(super) fn ready(&self) -> bool {
        self.files.iter().any(|f| f.body.ready())
    }

    pub(super) fn looked(&mut self) {
        for f in &mut self.files {
            f.body.looked();
        }
    }
}
