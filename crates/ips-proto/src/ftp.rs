//! FTP: commands and replies in, one transaction per command out, and the flows that carry files announced. It keeps a line of each side and
//! commands that wait for their replies.

use crate::{
    body::{Body, Window},
    json,
    lines::{Line, Lines},
    open::{Open, many, one},
    transaction::{Expected, File, FileState, Input, Parser, Piece, Step, Toward, Transaction},
};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use std::{collections::VecDeque, ops::ControlFlow};

/// Bytes of a line, as in the peer.
const LINE: usize = 4096;
/// Commands kept.
const OPEN: usize = 256;
/// Reply lines kept of one command.
const REPLIES: usize = 64;
/// Flows announced and not asked for.
const EXPECTED: usize = 16;

/// A command and its replies.
#[derive(Debug, Default)]
struct Exchange {
    id: u64,
    command: Vec<u8>,
    data: Vec<u8>,
    cut: bool,
    reply_cut: bool,
    codes: Vec<[u8; 3]>,
    replies: Vec<Vec<u8>>,
    port: Option<u16>,
    active: bool,
    done: bool,
    events: Vec<&'static str>,
}

/// A conversation.
pub struct Ftp {
    client: Lines,
    server: Lines,
    open: Open<Exchange>,
    /// Where the next file goes: whose port, which, the address.
    place: Option<(Toward, u16, Vec<u8>)>,
    expected: VecDeque<Expected>,
    /// Inside a reply of several lines.
    within: Option<[u8; 3]>,
    turn: bool,
}

/// Commands that carry a file or a list over a flow of their own.
const CARRY: [&[u8]; 7] = [b"RETR", b"STOR", b"APPE", b"STOU", b"LIST", b"NLST", b"MLSD"];

impl Default for Ftp {
    fn default() -> Self {
        Self {
            client: Lines::new(LINE),
            server: Lines::new(LINE),
            open: Open::default(),
            place: None,
            expected: VecDeque::new(),
            within: None,
            turn: false,
        }
    }
}

/// `h1,h2,h3,h4,p1,p2`, wherever it stands in the text.
fn six(text: &[u8]) -> Option<(Vec<u8>, u16)> {
    let from = text.iter().position(u8::is_ascii_digit)?;
    let text = std::str::from_utf8(&text[from..]).ok()?;
    let text = &text[..text.find(|c: char| !c.is_ascii_digit() && c != ',').unwrap_or(text.len())];
    let mut numbers = text.split(',').map(str::parse::<u8>);
    let mut next = || numbers.next()?.ok();
    let address = vec![next()?, next()?, next()?, next()?];
    Some((address, u16::from_be_bytes([next()?, next()?])))
}

/// `|1|192.0.2.1|6275|` or `(|||6446|)`: address and port.
fn extended(text: &[u8]) -> Option<(Vec<u8>, u16)> {
    let text = std::str::from_utf8(text).ok()?;
    let from = text.find('|')?;
    let mut parts = text[from + 1..].split('|');
    let (_, address, port) = (parts.next()?, parts.next()?, parts.next()?);
    let address = match address.parse::<std::net::IpAddr>() {
        Ok(std::net::IpAddr::V4(a)) => a.octets().to_vec(),
        Ok(std::net::IpAddr::V6(a)) => a.octets().to_vec(),
        Err(_) => Vec::new(),
    };
    Some((address, port.parse().ok()?))
}

impl Ftp {
    fn command(&mut self, line: Line<'_>) {
        let text = line.text.trim_ascii_start();
        let n = text.iter().position(|b| *b == b' ').unwrap_or(text.len());
        let (word, rest) = text.split_at(n);
        let (word, data) = (word.to_ascii_uppercase(), rest.strip_prefix(b" ").unwrap_or(rest).to_vec());
        let place = match &word[..] {
            b"PORT" => six(&data),
            b"EPRT" => extended(&data),
            _ => None,
        };
        if let Some((address, port)) = &place {
            self.place = Some((Toward::Client, *port, address.clone()));
        }
        if CARRY.contains(&&word[..])
            && let Some((listener, port, address)) = self.place.take()
            && self.expected.len() < EXPECTED
        {
            let file = match &word[..] {
                b"STOU" if data.is_empty() => b"<stou>".to_vec(),
                b"LIST" | b"NLST" | b"MLSD" => Vec::new(),
                _ => data.clone(),
            };
            self.expected.push_back(Expected { listener, port, address, app: App::FtpData, command: word.clone(), name: file });
        }
        let e = self.open.begin(OPEN, Exchange::new);
        e.command = word;
        e.data = data;
        e.cut = line.cut;
        e.port = place.map(|p| p.1);
        e.active = e.port.is_some();
        if line.cut {
            e.events.push("ftp.request_command_too_long");
        }
    }

    fn reply(&mut self, line: Line<'_>) {
        let digits = line.text.first_chunk::<3>().filter(|d| d.iter().all(u8::is_ascii_digit));
        let e = match self.open.iter().position(|e| !e.done) {
            Some(at) => &mut self.open[at],
            None => self.open.begin(OPEN, Exchange::new),
        };
        if line.cut {
            e.reply_cut = true;
            if !e.events.contains(&"ftp.response_command_too_long") {
                e.events.push("ftp.response_command_too_long");
            }
        }
        let more = line.text.get(3) == Some(&b'-');
        let code = match (digits, self.within) {
            (Some(code), None) => Some(*code),
            (Some(code), Some(open)) if *code == open => Some(*code),
            _ => None,
        };
        if e.replies.len() < REPLIES {
            let text = if code.is_some() { line.text.get(4..).unwrap_or_default() } else { line.text };
            e.replies.push(text.to_vec());
            if let Some(code) = code.filter(|c| !e.codes.contains(c)) {
                e.codes.push(code);
            }
        }
        let Some(code) = code else { return };
        self.within = more.then_some(code);
        if more {
            return;
        }
        let place = match (&e.command[..], &code) {
            (b"PASV", b"227") => six(line.text.get(4..).unwrap_or_default()),
            (b"EPSV", b"229") => extended(line.text),
            _ => None,
        };
        // A reply of 1xx is followed by another (RFC 959, 4.2.1).
        e.done = code[0] != b'1';
        self.turn = e.command == b"AUTH" && code == *b"234";
        if let Some((address, port)) = place {
            e.port = Some(port);
            self.place = Some((Toward::Server, port, address));
        }
    }
}

impl Parser for Ftp {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        match (toward, input) {
            (Toward::Server, Input::Bytes(bytes)) => {
                let mut lines = std::mem::replace(&mut self.client, Lines::new(0));
                lines.push(bytes, |line| {
                    self.command(line);
                    ControlFlow::Continue(())
                });
                self.client = lines;
            }
            (Toward::Client, Input::Bytes(bytes)) => {
                let mut lines = std::mem::replace(&mut self.server, Lines::new(0));
                let rest = lines.push(bytes, |line| {
                    self.reply(line);
                    if self.turn { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                });
                self.server = lines;
                if std::mem::take(&mut self.turn) {
                    return Step::Becomes(Some(App::Tls), rest.len());
                }
            }
            (Toward::Server, Input::Gap(_)) => self.client.clear(),
            (Toward::Client, Input::Gap(_)) => self.server.clear(),
            (_, Input::End) => self.open.iter_mut().for_each(|e| e.done = true),
        }
        Step::Going
    }

    many!(open);

    fn expected(&mut self) -> Option<Expected> {
        self.expected.pop_front()
    }
}

impl Exchange {
    fn new(id: u64) -> Self {
        Self { id, ..Self::default() }
    }
}

impl Transaction for Exchange {
    fn app(&self) -> App {
        App::Ftp
    }

    fn id(&self) -> u64 {
        self.id
    }

    fn done(&self, toward: Toward) -> bool {
        toward == Toward::Server || self.done
    }

    fn ready(&self, _buffer: Buffer, toward: Toward) -> bool {
        self.done(toward)
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, _scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let bytes: &[u8] = match (buffer, toward, index) {
            (Buffer::FtpCommand, Toward::Server, 0) => Some(&self.command).filter(|c| !c.is_empty())?,
            (Buffer::FtpCommandData, Toward::Server, 0) => Some(&self.data).filter(|d| !d.is_empty())?,
            (Buffer::FtpReply, Toward::Client, i) => self.replies.get(i)?,
            (Buffer::FtpCompletionCode, Toward::Client, i) => self.codes.get(i)?,
            _ => return None,
        };
        Some(Piece { bytes, offset: 0, last: true })
    }

    fn quantity(&self, quantity: Quantity, _toward: Toward, index: usize) -> Option<u64> {
        (quantity == Quantity::FtpPort && index == 0).then_some(self.port.map(u64::from)).flatten()
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        let yes = |b: bool| if b { "yes" } else { "no" };
        match keyword {
            "ftp.mode" => self.port.map(|_| (value == "active") == self.active),
            "ftp.reply_received" => Some(yes(!self.replies.is_empty()) == value),
            _ => None,
        }
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            if !self.command.is_empty() {
                j.text("command", &self.command);
                j.text_if("command_data", Some(&self.data).filter(|d| !d.is_empty()));
                j.boolean("command_truncated", self.cut);
            }
            if !self.codes.is_empty() {
                j.array("completion_code", |j| {
                    for c in &self.codes {
                        j.item_text(c);
                    }
                });
            }
            if !self.replies.is_empty() {
                j.array("reply", |j| {
                    for r in &self.replies {
                        j.item_text(r);
                    }
                });
            }
            if let Some(port) = self.port {
                j.number("dynamic_port", port).text("mode", if self.active { "active" } else { "passive" });
            }
            j.text("reply_received", if self.replies.is_empty() { "no" } else { "yes" });
            j.boolean("reply_truncated", self.reply_cut);
        });
    }
}

/// A flow that carries one file; its only transaction.
pub struct Data {
    command: Vec<u8>,
    name: Vec<u8>,
    /// Which way the file goes.
    toward: Toward,
    body: Body,
    gaps: bool,
    ended: bool,
    present: bool,
}

impl Data {
    /// Begins one, as announced.
    pub fn new(expected: &Expected, window: Window) -> Self {
        let up = matches!(&expected.command[..], b"STOR" | b"APPE" | b"STOU");
        // Who listens is opened to; of an active transfer the file server is the one who opens.
        let toward = if up == (expected.listener == Toward::Server) { Toward::Server } else { Toward::Client };
        let (command, name) = (expected.command.clone(), expected.name.clone());
        Self { command, name, toward, body: Body::new(window), gaps: false, ended: false, present: true }
    }
}

impl Parser for Data {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        if toward == self.toward {
            match input {
                Input::Bytes(bytes) => {
                    self.body.push(bytes);
                }
                Input::Gap(_) => self.gaps = true,
                Input::End => {
                    self.body.end();
                    self.ended = true;
                }
            }
        }
        Step::Going
    }

    one!(present);

    fn looked(&mut self, toward: Toward) {
        if toward == self.toward {
            self.body.looked();
        }
    }
}

impl Transaction for Data {
    fn app(&self) -> App {
        App::FtpData
    }

    fn id(&self) -> u64 {
        0
    }

    fn done(&self, toward: Toward) -> bool {
        toward != self.toward || self.ended
    }

    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        match buffer {
            Buffer::FileData => toward == self.toward && self.body.ready(),
            _ => true,
        }
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, _scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        if index > 0 || toward != self.toward {
            return None;
        }
        match buffer {
            Buffer::FileData => self.body.piece(),
            Buffer::FileName => Some(Piece { bytes: &self.name, offset: 0, last: true }).filter(|p| !p.bytes.is_empty()),
            _ => None,
        }
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        match quantity {
            Quantity::FileSize => self.file(toward, index).map(|f| f.size),
            _ => None,
        }
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        (keyword == "ftpdata_command").then(|| self.command.eq_ignore_ascii_case(value.as_bytes()))
    }

    fn file(&self, toward: Toward, index: usize) -> Option<File<'_>> {
        if index > 0 || toward != self.toward || self.name.is_empty() {
            return None;
        }
        let state = match (self.body.cut() || self.gaps, self.ended) {
            (true, _) => FileState::Truncated,
            (false, true) => FileState::Closed,
            (false, false) => FileState::Open,
        };
        Some(File { name: &self.name, size: self.body.total(), state, gaps: self.gaps, digests: self.body.digests() })
    }

    fn describe(&self, out: &mut Vec<u8>) {
        json::object(out, |j| {
            j.text_if("filename", Some(&self.name).filter(|n| !n.is_empty()));
            j.text("command", &self.command);
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trial::events;
    use proptest::prelude::*;

    const TALK: &[(Toward, &str)] = &[
        (Toward::Client, "220-hello\r\n it is\r\n220 me\r\n"),
        (Toward::Server, "USER bob\r\n"),
        (Toward::Client, "331 who\r\n"),
        (Toward::Server, "PASV\r\n"),
        (Toward::Client, "227 Entering (192,0,2,1,200,10).\r\n"),
        (Toward::Server, "RETR a/b.txt\r\n"),
        (Toward::Client, "150 here\r\n226 done\r\n"),
        (Toward::Server, "EPRT |1|192.0.2.9|5555|\r\nSTOR up.bin\r\n"),
        (Toward::Client, "200 ok\r\n"),
    ];

    fn talk(cut: usize) -> (Ftp, Vec<Expected>) {
        let mut p = Ftp::default();
        let mut expected = Vec::new();
        for (side, text) in TALK {
            for part in text.as_bytes().chunks(cut) {
                p.feed(*side, Input::Bytes(part));
                expected.extend(p.expected());
            }
        }
        (p, expected)
    }

    #[test]
    fn commands_replies_and_flows() {
        let (p, expected) = talk(1000);
        let e = events(&p);
        assert_eq!(e.len(), 6);
        assert_eq!(e[0]["reply"], serde_json::json!(["hello", " it is", "me"]));
        assert_eq!((&e[1]["command"], &e[1]["command_data"]), (&serde_json::json!("USER"), &serde_json::json!("bob")));
        assert_eq!((&e[2]["dynamic_port"], &e[2]["mode"]), (&serde_json::json!(51210), &serde_json::json!("passive")));
        assert_eq!(e[3]["completion_code"], serde_json::json!(["150", "226"]));
        assert_eq!((&e[4]["dynamic_port"], &e[4]["mode"]), (&serde_json::json!(5555), &serde_json::json!("active")));
        assert_eq!(e[5]["reply_received"], "no");
        assert!(!p.get(5).done(Toward::Client));
        let want = |listener, port, address: [u8; 4], command: &[u8], name: &[u8]| Expected {
            listener,
            port,
            address: address.to_vec(),
            app: App::FtpData,
            command: command.to_vec(),
            name: name.to_vec(),
        };
        assert_eq!(
            expected,
            [
                want(Toward::Server, 51210, [192, 0, 2, 1], b"RETR", b"a/b.txt"),
                want(Toward::Client, 5555, [192, 0, 2, 9], b"STOR", b"up.bin"),
            ]
        );
    }

    #[test]
    fn a_file_flows_as_announced() {
        let (_, expected) = talk(1000);
        for (e, toward) in [(&expected[0], Toward::Client), (&expected[1], Toward::Client)] {
            let mut d = Data::new(e, crate::Settings::new(false).files);
            d.feed(toward, Input::Bytes(b"content"));
            d.feed(toward, Input::End);
            let f = d.file(toward, 0).unwrap();
            assert_eq!((f.size, f.state), (7, FileState::Closed));
            assert!(d.file(Toward::Server, 0).is_none());
        }
    }

    #[test]
    fn long_lines_are_cut_and_told() {
        let mut p = Ftp::default();
        p.feed(Toward::Server, Input::Bytes(format!("RETR {}\r\n", "x".repeat(9000)).as_bytes()));
        assert_eq!(events(&p)[0]["command_data"].as_str().unwrap().len(), 4091);
        assert_eq!(p.get(0).events(), ["ftp.request_command_too_long"]);
    }

    proptest! {
        #[test]
        fn cuts_change_nothing(cut in 1usize..30) {
            let ((a, ea), (b, eb)) = (talk(1000), talk(cut));
            prop_assert_eq!(events(&a), events(&b));
            prop_assert_eq!(ea, eb);
        }

        #[test]
        fn anything_goes(parts in proptest::collection::vec((any::<bool>(), "(PASV|EPRT|227|229|150|[|,(]|[0-9]{1,5}|\r\n| ){0,20}"), 0..8)) {
            let mut p = Ftp::default();
            for (up, text) in &parts {
                p.feed(if *up { Toward::Server } else { Toward::Client }, Input::Bytes(text.as_bytes()));
            }
            events(&p);
        }
    }
}
