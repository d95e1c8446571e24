//! DNS over UDP and TCP: datagrams or a stream in, one transaction per message out, as the peer counts them (an answer is not tied to its
//! query). Never keeps more of a stream than one message.

mod describe;
mod message;
#[cfg(test)]
mod tests;

use crate::{
    held,
    open::{Open, many},
    transaction::{Input, Parser, Piece, Step, Toward, Transaction},
};
pub use describe::Form;
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use message::{Message, Span};

/// Messages that wait to be looked at, at most: more than the largest input holds of honest ones.
const OPEN: usize = 1 << 13;
/// Bytes of a message over TCP at most, with its length.
const LONGEST: usize = 2 + 0xffff;

/// Whether a datagram is a message.
pub fn looks_like(d: &[u8]) -> bool {
    message::plausible(d, d.len()).is_some() && Message::read(d).is_some_and(|m| !m.queries.is_empty() || m.flags & 0x8000 != 0)
}

/// Whether a datagram is an answer, told from a query; none where it is no message.
pub fn is_answer(d: &[u8]) -> Option<bool> {
    message::plausible(d, d.len()).map(|query| !query)
}

/// Whether a stream begins with a message: true or false where more bytes are needed; none: no.
pub fn looks_like_stream(prefix: &[u8]) -> Option<bool> {
    let [a, b, rest @ ..] = prefix else { return Some(false) };
    let length = usize::from(u16::from_be_bytes([*a, *b]));
    if length < 12 {
        return None;
    }
    if rest.len() < 12 {
        return Some(false);
    }
    message::plausible(rest, length).map(|_| true)
}

/// A conversation.
pub struct Dns {
    app: App,
    form: Form,
    stream: bool,
    held: [Vec<u8>; 2],
    /// A gap was met: bytes are given up until the side begins a message again.
    lost: [bool; 2],
    open: Open<Exchange>,
}

/// A message as a transaction.
struct Exchange {
    app: App,
    form: Form,
    id: u64,
    toward: Toward,
    message: Message,
}

impl Dns {
    /// Begins one; `app` is DNS or one of its relatives of the same form.
    pub fn new(app: App, stream: bool, form: Form) -> Self {
        Self { app, form, stream, held: [Vec::new(), Vec::new()], lost: [false; 2], open: Open::default() }
    }

    fn take(&mut self, toward: Toward, bytes: &[u8]) -> bool {
        let Some(mut message) = Message::read(bytes) else {
            self.event("dns.malformed_data");
            return false;
        };
        let answer = message.flags & 0x8000 != 0;
        if answer != (toward == Toward::Client) {
            self.event(if answer { "dns.not_a_request" } else { "dns.not_a_response" });
            return false;
        }
        if message.flags & 0x40 != 0 {
            message.events.push("dns.z_flag_set");
        }
        // Operations up to 6 are given (RFC 8490).
        if message.opcode() >= 7 {
            message.events.push("dns.invalid_opcode");
        }
        let id = self.open.number();
        if self.open.len() < OPEN {
            self.open.push_back(Exchange { app: self.app, form: self.form, id, toward, message });
        } else {
            self.event("dns.flooded");
        }
        true
    }

    fn event(&mut self, name: &'static str) {
        if let Some(e) = self.open.back_mut()
            && !e.message.events.contains(&name)
        {
            e.message.events.push(name);
        }
    }

    fn stream(&mut self, toward: Toward, bytes: &[u8]) -> Step {
        let s = toward.index();
        if self.lost[s] {
            // What follows a gap is taken up where it looks like a message again.
            if looks_like_stream(bytes) != Some(true) {
                return Step::Going;
            }
            self.lost[s] = false;
        }
        let waits = std::mem::take(&mut self.held[s]);
        let (waits, ()) = held::read(waits, bytes, |rest| {
            while let [a, b, tail @ ..] = *rest {
                let length = usize::from(u16::from_be_bytes([*a, *b]));
                let Some(message) = tail.get(..length) else { break };
                if length > 0 {
                    self.take(toward, message);
                }
                *rest = &tail[length..];
            }
        });
        debug_assert!(waits.len() < LONGEST);
        self.held[s] = waits;
        Step::Going
    }
}

impl Parser for Dns {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        match input {
            Input::Bytes([]) | Input::End => Step::Going,
            Input::Gap(_) => {
                self.held[toward.index()].clear();
                self.lost[toward.index()] = true;
                Step::Going
            }
            Input::Bytes(bytes) if self.stream => self.stream(toward, bytes),
            Input::Bytes(bytes) => {
                self.take(toward, bytes);
                Step::Going
            }
        }
    }

    many!(open);
}

impl Exchange {
    fn query(&self, index: usize) -> Option<Span> {
        self.message.queries.get(index).map(|q| q.name)
    }

    fn record(&self, section: usize, index: usize) -> Option<Span> {
        self.message.records[section].get(index).map(|r| r.name)
    }

    fn name(&self, buffer: Buffer, index: usize) -> Option<Span> {
        let answer = self.toward == Toward::Client;
        match buffer {
            Buffer::DnsQuery if !answer => self.query(index),
            Buffer::DnsQueryName => self.query(index),
            Buffer::DnsAnswerName => self.record(0, index),
            Buffer::DnsAuthorityName => self.record(1, index),
            Buffer::DnsAdditionalName => self.record(2, index),
            Buffer::DnsResponseName if answer => {
                let mut left = index;
                if let Some(s) = self.query(left) {
                    return Some(s);
                }
                left -= self.message.queries.len();
                for section in 0..3 {
                    if let Some(s) = self.record(section, left) {
                        return Some(s);
                    }
                    left -= self.message.records[section].len();
                }
                // The peer looks at names that records point at as well.
                self.message.targets.get(left).copied()
            }
            _ => None,
        }
    }
}

impl Transaction for Exchange {
    fn app(&self) -> App {
        self.app
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
        if toward != self.toward {
            return None;
        }
        self.name(buffer, index).map(|s| Piece { bytes: self.message.text(s), offset: 0, last: true })
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        if toward != self.toward {
            return None;
        }
        let m = &self.message;
        match quantity {
            Quantity::DnsOpcode if index == 0 => Some(m.opcode().into()),
            Quantity::DnsRcode if index == 0 => Some(m.rcode().into()),
            Quantity::DnsRrtype => {
                let records = m.records.iter().flatten().map(|r| r.kind);
                m.queries.iter().map(|q| q.kind).chain(records).nth(index).map(u64::from)
            }
            _ => None,
        }
    }

    fn events(&self) -> &[&'static str] {
        &self.message.events
    }

    fn describe(&self, out: &mut Vec<u8>) {
        describe::write(&self.message, self.id, self.toward == Toward::Client, self.form, out);
    }
}
