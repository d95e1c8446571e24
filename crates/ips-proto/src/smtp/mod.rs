//! SMTP: commands and replies in, one transaction per mail out. Mail itself is read by `mime`. STARTTLS hands over to TLS. It keeps one line
//! of each side, the commands that wait for a reply, and what a mail's limits allow.

mod mime;
#[cfg(test)]
mod tests;

use crate::{
    body::Window,
    json,
    lines::{Line, Lines},
    open::{Open, many},
    transaction::{File, FileState, Input, Parser, Piece, Step, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use mime::Mime;
use std::{collections::VecDeque, ops::ControlFlow};

/// Bytes of a command or reply line, as in the peer.
const LINE: usize = 4096;
/// Bytes of a mail's line that are handed on together.
const PIECE: usize = 4096;
/// Commands that wait for a reply.
const WAITING: usize = 256;
/// Recipients kept of one mail.
const RECIPIENTS: usize = 256;
/// Mails that wait to be looked at.
const OPEN: usize = 64;
/// Different events kept of one mail.
const EVENTS: usize = 64;

/// Commands whose replies mean something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Command {
    Hello,
    StartTls,
    Data,
    /// The end of data, or the last chunk.
    Mail,
    Reset,
    Quit,
    Other,
}

/// What the client's bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Command,
    /// DATA was said and not answered.
    Asked,
    Data,
    /// So many bytes of a chunk are to come, and whether it is the last.
    Chunk(u64, bool),
}

/// A mail and what led to it.
#[derive(Debug)]
struct Mail {
    id: u64,
    helo: Vec<u8>,
    from: Option<Vec<u8>>,
    to: Vec<Vec<u8>>,
    mime: Option<Box<Mime>>,
    ended: bool,
    /// DATA was refused.
    refused: bool,
    done: bool,
    events: Vec<&'static str>,
}

/// A conversation.
pub struct Smtp {
    window: Window,
    client: Lines,
    server: Lines,
    data: Vec<u8>,
    line_begun: bool,
    /// A zero byte is not given: whether the line at hand is a lone dot so far.
    mode: Mode,
    waiting: VecDeque<Command>,
    greeted: bool,
    helo: Vec<u8>,
    open: Open<Mail>,
    turn: bool,
}

impl Smtp {
    /// Begins one.
    pub fn new(window: Window) -> Self {
        Self {
            window,
            client: Lines::new(LINE),
            server: Lines::new(LINE),
            data: Vec::new(),
            line_begun: false,
            mode: Mode::Command,
            waiting: VecDeque::new(),
            greeted: false,
            helo: Vec::new(),
            open: Open::default(),
            turn: false,
        }
    }

    fn current(&mut self) -> &mut Mail {
        if self.open.back().is_none_or(|m| m.done) {
            return self.open.begin(OPEN, |id| Mail {
                id,
                helo: self.helo.clone(),
                from: None,
                to: Vec::new(),
                mime: None,
                ended: false,
                refused: false,
                done: false,
                events: Vec::new(),
            });
        }
        let last = self.open.len() - 1;
        &mut self.open[last]
    }

    /// Something unusual, in the mail at hand.
    fn event(&mut self, name: &'static str) {
        if let Some(m) = self.open.back_mut()
            && m.events.len() < EVENTS
            && !m.events.contains(&name)
        {
            m.events.push(name);
        }
    }

    fn wait(&mut self, command: Command) {
        if self.waiting.len() < WAITING {
            self.waiting.push_back(command);
        }
    }

    fn command(&mut self, line: Line<'_>) {
        let text = line.text;
        let word = |w: &str| text.get(..w.len()).is_some_and(|t| t.eq_ignore_ascii_case(w.as_bytes()));
        let closing = word("QUIT") || word("RSET");
        if !(closing && self.open.back().is_none_or(|m| m.done)) {
            self.current();
        }
        if line.cut {
            self.event("smtp.max_command_line_len_exceeded");
        }
        let after = |n: usize| {
            let rest = text[n..].trim_ascii_start();
            rest[..rest.iter().position(u8::is_ascii_whitespace).unwrap_or(rest.len())].to_vec()
        };
        if word("HELO") || word("EHLO") || word("LHLO") {
            self.helo = after(4);
            // A second hello takes back what was said of a mail, once it is accepted.
            let helo = self.helo.clone();
            let m = self.current();
            if m.from.is_none() {
                m.helo = helo;
            }
            self.wait(Command::Hello);
        } else if word("MAIL FROM") {
            let value = text[9..].trim_ascii_start();
            let value = value.strip_prefix(b":").unwrap_or(value);
            let n = text.len() - value.len();
            let from = after(n);
            let m = self.current();
            if m.from.is_some() {
                self.event("smtp.duplicate_fields");
            } else {
                m.from = Some(from);
            }
            self.wait(Command::Other);
        } else if word("RCPT TO") {
            let value = text[7..].trim_ascii_start();
            let value = value.strip_prefix(b":").unwrap_or(value);
            let to = after(text.len() - value.len());
            let m = self.current();
            if m.to.len() < RECIPIENTS {
                m.to.push(to);
            }
            self.wait(Command::Other);
        } else if word("DATA") {
            self.mode = Mode::Asked;
            self.wait(Command::Data);
        } else if word("BDAT ") {
            let mut words = text[5..].split(u8::is_ascii_whitespace).filter(|w| !w.is_empty());
            let length = words.next().and_then(|w| std::str::from_utf8(w).ok()).and_then(|w| w.parse().ok()).unwrap_or(0);
            let word = words.next();
            let last = word.is_some_and(|w| w.eq_ignore_ascii_case(b"LAST"));
            if word.is_some() && !last {
                // No server takes this, and no client goes on with a chunk.
                return self.wait(Command::Other);
            }
            self.begin();
            self.mode = Mode::Chunk(length, last);
            self.wait(if last { Command::Mail } else { Command::Other });
            if length == 0 {
                self.end_chunk(last);
            }
        } else if word("STARTTLS") {
            self.wait(Command::StartTls);
        } else if word("RSET") {
            self.wait(Command::Reset);
        } else if word("QUIT") {
            self.wait(Command::Quit);
        } else {
            self.wait(Command::Other);
        }
    }

    fn begin(&mut self) {
        let window = self.window;
        let m = self.current();
        if m.mime.is_none() {
            m.mime = Some(Box::new(Mime::new(window)));
        }
    }

    /// The mail has ended.
    fn end_mail(&mut self) {
        self.flush(true);
        let m = self.current();
        // Another may follow before the answer comes.
        m.ended = true;
        m.done = true;
        if let Some(mime) = &mut m.mime {
            mime.end(true);
            let events = std::mem::take(&mut mime.events);
            for e in events {
                self.event(e);
            }
        }
        self.mode = Mode::Command;
    }

    fn end_chunk(&mut self, last: bool) {
        self.mode = Mode::Command;
        if last {
            self.end_mail();
        }
    }

    /// Hands on what is held of a line.
    fn flush(&mut self, whole: bool) {
        let data = std::mem::take(&mut self.data);
        if !data.is_empty() || self.line_begun {
            self.give(&data, whole);
        }
    }

    fn give(&mut self, text: &[u8], whole: bool) {
        self.line_begun = !whole;
        if let Some(mime) = &mut self.current().mime {
            mime.line(text, whole);
        }
    }

    /// Bytes of a mail: lines up to `\r\n.\r\n` where `dots`. Returns what is behind its end.
    fn mail<'a>(&mut self, mut bytes: &'a [u8], dots: bool) -> &'a [u8] {
        self.begin();
        while !bytes.is_empty() {
            let end = memchr::memchr(b'\n', bytes);
            let room = PIECE - self.data.len();
            let take = end.map_or(bytes.len(), |n| n + 1).min(room);
            self.data.extend_from_slice(&bytes[..take]);
            bytes = &bytes[take..];
            let whole = self.data.last() == Some(&b'\n');
            if !whole && self.data.len() < PIECE {
                break;
            }
            let mut data = std::mem::take(&mut self.data);
            if whole {
                data.pop();
            }
            let carriage = data.last() == Some(&b'\r');
            if carriage {
                data.pop();
            }
            let mut text = &data[..];
            if dots && !self.line_begun {
                if whole && text == b"." {
                    self.end_mail();
                    return bytes;
                }
                text = text.strip_prefix(b".").unwrap_or(text);
            }
            self.give(text, whole);
            if carriage && !whole {
                // The line's end may be cut in two.
                self.data.push(b'\r');
            }
        }
        &[]
    }

    fn client(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            match self.mode {
                Mode::Command => {
                    let mut lines = std::mem::replace(&mut self.client, Lines::new(0));
                    bytes = lines.push(bytes, |line| {
                        self.command(line);
                        if self.mode == Mode::Command { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                    });
                    self.client = lines;
                }
                Mode::Asked | Mode::Data => {
                    if self.mode == Mode::Asked {
                        // Sent ahead of the answer: taken for the mail it announces.
                        self.wait(Command::Mail);
                        self.mode = Mode::Data;
                    }
                    bytes = self.mail(bytes, true);
                }
                Mode::Chunk(left, last) => {
                    let n = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    let (part, rest) = bytes.split_at(n);
                    bytes = rest;
                    self.mail(part, false);
                    let left = left - n as u64;
                    self.mode = Mode::Chunk(left, last);
                    if left == 0 {
                        self.end_chunk(last);
                    }
                }
            }
        }
    }

    fn reply(&mut self, line: Line<'_>) {
        if line.cut {
            self.event("smtp.max_reply_line_len_exceeded");
        }
        let digits = line.text.get(..3).filter(|d| d.iter().all(u8::is_ascii_digit));
        let Some(code) = digits else { return self.event("smtp.invalid_reply") };
        if line.text.get(3) == Some(&b'-') {
            return;
        }
        let good = matches!(code[0], b'2' | b'3');
        let Some(command) = self.waiting.pop_front() else {
            if std::mem::replace(&mut self.greeted, true) {
                self.event("smtp.unable_to_match_reply_with_request");
            } else if !good {
                self.current();
                self.event("smtp.no_server_welcome_message");
            } else {
                self.current();
            }
            return;
        };
        self.greeted = true;
        match command {
            Command::StartTls if code == b"220" => {
                self.finish();
                self.turn = true;
            }
            Command::StartTls => self.event("smtp.tls_rejected"),
            Command::Data if code == b"354" => {
                self.begin();
                if self.mode == Mode::Asked {
                    self.mode = Mode::Data;
                    self.wait(Command::Mail);
                }
            }
            Command::Data => {
                self.event("smtp.data_command_rejected");
                if let Some(m) = self.open.back_mut() {
                    m.refused = true;
                }
                if self.mode == Mode::Asked {
                    self.mode = Mode::Command;
                }
            }
            Command::Mail => {}
            Command::Quit => self.finish(),
            Command::Reset if good => {
                if self.open.back().is_some_and(|m| m.from.is_some() || m.mime.is_some()) {
                    self.finish();
                }
            }
            Command::Hello if good => {
                if self.open.back().is_some_and(|m| !m.done && (m.from.is_some() || m.refused)) {
                    self.finish();
                }
            }
            Command::Hello | Command::Reset | Command::Other => {}
        }
    }

    fn finish(&mut self) {
        if let Some(m) = self.open.back_mut() {
            m.done = true;
        }
    }

    fn over(&mut self) {
        self.flush(true);
        for m in self.open.iter_mut() {
            if let Some(mime) = &mut m.mime
                && !m.done
                && !m.ended
            {
                mime.end(false);
            }
            m.done = true;
        }
    }
}

impl Parser for Smtp {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        match (toward, input) {
            (Toward::Server, Input::Bytes(bytes)) => self.client(bytes),
            (Toward::Client, Input::Bytes(bytes)) => {
                let mut lines = std::mem::replace(&mut self.server, Lines::new(0));
                let rest = lines.push(bytes, |line| {
                    self.reply(line);
                    if self.turn { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                self.server = lines;
                if self.turn {
                    return Step::Becomes(Some(App::Tls), rest.len());
                }
            }
            (Toward::Server, Input::Gap(_)) => {
                self.client.clear();
                self.data.clear();
            }
            (Toward::Client, Input::Gap(_)) => self.server.clear(),
            (_, Input::End) => self.over(),
        }
        Step::Going
    }

    many!(open);

    fn looked(&mut self, toward: Toward) {
        if toward == Toward::Server {
            for f in self.open.iter_mut().filter_map(|m| m.mime.as_mut()).flat_map(|m| &mut m.files) {
                f.body.looked();
            }
        }
    }
}

impl Mail {
    fn header(buffer: Buffer) -> Option<&'static str> {
        Some(match buffer {
            Buffer::EmailFrom => "from",
            Buffer::EmailTo => "to",
            Buffer::EmailCc => "cc",
            Buffer::EmailSubject => "subject",
            Buffer::EmailDate => "date",
            Buffer::EmailMessageId => "message-id",
            Buffer::EmailMailer => "x-mailer",
            _ => return None,
        })
    }
}

/// Addresses of a list: commas in quotes part nothing (RFC 5322, 3.4).
fn addresses(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut quoted = false;
    list.split(move |b| {
        quoted ^= *b == b'"';
        *b == b',' && !quoted
    })
}

impl Transaction for Mail {
    fn app(&self) -> App {
        App::Smtp
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn done(&self, _toward: Toward) -> bool {
        self.done
    }

    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        if self.done || toward == Toward::Client {
            return true;
        }
        match buffer {
            Buffer::SmtpHelo => !self.helo.is_empty(),
            Buffer::SmtpMailFrom => self.from.is_some(),
            Buffer::SmtpRcptTo => self.mime.is_some(),
            Buffer::FileData => self.mime.as_ref().is_some_and(|m| m.files.iter().any(|f| f.body.ready())),
            Buffer::FileName => self.mime.as_ref().is_some_and(|m| !m.files.is_empty()),
            _ => self.ended,
        }
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, _scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        if toward == Toward::Client {
            return None;
        }
        let mime = self.mime.as_deref();
        let bytes = match (buffer, index) {
            (Buffer::FileData, i) => return mime?.files.get(i)?.body.piece(),
            (Buffer::FileName, i) => &mime?.files.get(i)?.name[..],
            (Buffer::SmtpRcptTo, i) => self.to.get(i)?,
            (Buffer::EmailUrl, i) => mime?.links.get(i)?,
            (Buffer::EmailReceived, i) => mime?.all("received").nth(i)?,
            (_, 1..) => return None,
            (Buffer::SmtpHelo, _) => Some(&self.helo[..]).filter(|h| !h.is_empty())?,
            (Buffer::SmtpMailFrom, _) => self.from.as_deref()?,
            (Buffer::EmailBodyMd5, _) => mime?.digest()?.as_bytes(),
            (b, _) => mime?.get(Self::header(b)?)?,
        };
        Some(Piece { bytes, offset: 0, last: true })
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        match quantity {
            Quantity::FileSize => self.file(toward, index).map(|f| f.size),
            _ => None,
        }
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn file(&self, toward: Toward, index: usize) -> Option<File<'_>> {
        let f = self.mime.as_deref().filter(|_| toward == Toward::Server)?.files.get(index)?;
        let state = match (f.body.cut(), f.closed) {
            (true, _) => FileState::Truncated,
            (false, true) => FileState::Closed,
            (false, false) if self.done => FileState::Truncated,
            (false, false) => FileState::Open,
        };
        Some(File { name: &f.name, size: f.body.total(), state, gaps: false, digests: f.body.digests() })
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            j.text_if("helo", Some(&self.helo).filter(|h| !h.is_empty()));
            j.text_if("mail_from", self.from.as_ref());
            if !self.to.is_empty() {
                j.array("rcpt_to", |j| {
                    for t in &self.to {
                        j.item_text(t);
                    }
                });
            }
        });
    }

    fn beside(&self, out: &mut Vec<u8>) {
        let Some(m) = self.mime.as_deref() else { return };
        out.extend_from_slice(b",\"email\":");
        json::object(out, |j| {
            j.text(
                "status",
                if !self.ended {
                    "BODY_END_BOUND"
                } else if m.failed {
                    "PARSE_ERROR"
                } else {
                    "PARSE_DONE"
                },
            );
            j.text_if("from", m.get("from"));
            for name in ["to", "cc"] {
                if let Some(list) = m.get(name) {
                    j.array(name, |j| {
                        for one in addresses(list) {
                            j.item_text(one.trim_ascii());
                        }
                    });
                }
            }
            for (key, name) in [("subject", "subject"), ("date", "date"), ("message_id", "message-id"), ("x_mailer", "x-mailer")] {
                j.text_if(key, m.get(name));
            }
            let list = |j: &mut json::Json<'_>, name: &str, texts: &mut dyn Iterator<Item = &[u8]>| {
                let mut texts = texts.peekable();
                if texts.peek().is_some() {
                    j.array(name, |j| {
                        for t in texts {
                            j.item_text(t);
                        }
                    });
                }
            };
            list(j, "received", &mut m.all("received"));
            list(j, "attachment", &mut m.files.iter().map(|f| &f.name[..]));
            // The peer puts each before those found earlier.
            list(j, "url", &mut m.links.iter().rev().map(|l| &l[..]));
        });
    }
}
