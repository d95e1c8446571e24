//! TLS and SSL to version 1.3: a stream of records in, one transaction with what the two sides said in the clear out. Hello and certificate
//! messages are put together over records, all others are counted only. Once both sides are encrypted it says so and reads no further.

mod certificate;
mod describe;
pub mod fingerprint;
pub mod hello;
mod record;
#[cfg(test)]
mod tests;

use crate::{
    open::one,
    transaction::{Input, Parser, Piece, Step, Toward, Transaction},
};
use certificate::Certificate;
use hello::{Bytes, Hello};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use record::Records;

/// What drafts of 1.3 before 16 are called; which of them cannot be told.
pub const EARLY: u16 = 0x7f01;

/// Bytes of a handshake message at most. Chains of certificates are a tenth of this.
const MESSAGE: usize = 128 << 10;
/// Certificates of a chain that are kept.
const CHAIN: usize = 32;
/// Different events kept.
const EVENTS: usize = 32;

/// What events tell beyond the usual fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fields {
    /// JA3 and JA3S; the peer makes them where a rule asks for them or its configuration does.
    pub ja3: bool,
    /// JA4.
    pub ja4: bool,
    /// The lists of the client's hello.
    pub client_handshake: bool,
    /// Those of the server's.
    pub server_handshake: bool,
}

/// Whether a stream begins with TLS: true, false where more bytes are needed, none.
pub fn looks_like(toward: Toward, prefix: &[u8]) -> Option<bool> {
    let kinds: &[u8] = if toward == Toward::Server { &[0x16, 0x80] } else { &[0x15, 0x16, 0x17] };
    let record = match prefix {
        [] => Some(false),
        [k] => kinds.contains(k).then_some(false),
        [k, 3] => (kinds.contains(k) && *k != 0x80).then_some(false),
        [k, 3, 0..=4, ..] => (kinds.contains(k) && *k != 0x80).then_some(true),
        _ => None,
    };
    if record.is_some() {
        return record;
    }
    // The older form: a length, a kind, and the version.
    let (kind, at) = if toward == Toward::Server { (1, 3) } else { (4, 5) };
    if prefix.first().is_none_or(|b| b & 0x80 == 0) || prefix.get(2).is_some_and(|k| *k != kind) {
        return None;
    }
    match (prefix.get(at), prefix.get(at + 1)) {
        (Some(0), None) | (Some(3), None) | (None, _) => Some(false),
        (Some(0), Some(2)) => Some(true),
        (Some(3), Some(0..=3)) if toward == Toward::Server => Some(true),
        _ => None,
    }
}

/// One direction.
#[derive(Debug, Default)]
struct Side {
    records: Records,
    hello: Option<Hello>,
    /// Version of the last record.
    outer: Option<u16>,
    chain: Vec<Vec<u8>>,
    certificate: Option<Certificate>,
    /// The certificate message has been seen, or can no longer come.
    settled: bool,
    key_exchange: bool,
    encrypted: bool,
    data: bool,
    over: bool,
}

/// A conversation; the one transaction in it.
pub struct Tls {
    sides: [Side; 2],
    fields: Fields,
    events: Vec<&'static str>,
    present: bool,
    hello_done: bool,
    /// The client was asked for a certificate.
    asked: bool,
    heartbeat: bool,
    opaque: bool,
}

impl Tls {
    /// Begins one.
    pub fn new(fields: Fields) -> Self {
        Self {
            sides: Default::default(),
            fields,
            events: Vec::new(),
            present: true,
            hello_done: false,
            asked: false,
            heartbeat: false,
            opaque: false,
        }
    }

    fn event(&mut self, name: &'static str) {
        if self.events.len() < EVENTS && !self.events.contains(&name) {
            self.events.push(name);
        }
    }

    fn client(&self) -> Option<&Hello> {
        self.sides[0].hello.as_ref()
    }

    fn server(&self) -> Option<&Hello> {
        self.sides[1].hello.as_ref()
    }

    /// The version spoken: the server's choice, before that the client's.
    fn version(&self) -> Option<u16> {
        let of = |s: &Side| s.hello.as_ref().map(Hello::spoken).or(s.outer);
        self.server().map(Hello::spoken).or_else(|| of(&self.sides[0])).or_else(|| of(&self.sides[1]))
    }

    /// A whole handshake message.
    fn message(&mut self, toward: Toward, kind: u8, body: &[u8]) {
        let s = toward.index();
        match (kind, toward) {
            (record::CLIENT_HELLO, Toward::Server) | (record::SERVER_HELLO, Toward::Client) => {
                let read = if toward == Toward::Server { Hello::client(body) } else { Hello::server(body) };
                let Some(mut hello) = read else { return self.event("tls.handshake_invalid_length") };
                for e in std::mem::take(&mut hello.events) {
                    self.event(e);
                }
                // A second hello follows a request to try again; the first has told all, but for the version chosen.
                if self.sides[s].hello.is_none() {
                    self.sides[s].hello = Some(hello);
                }
            }
            (record::CERTIFICATE, _) => {
                self.sides[s].settled = true;
                self.certificates(s, body);
            }
            (record::HELLO_DONE, Toward::Client) => {
                self.hello_done = true;
                self.sides[1].settled = true;
            }
            (record::CLIENT_KEY, Toward::Server) => {
                self.sides[0].key_exchange = true;
                self.sides[0].settled = true;
            }
            (record::SERVER_KEY, Toward::Client) => self.sides[1].key_exchange = true,
            (record::CERTIFICATE_REQUEST, Toward::Client) => self.asked = true,
            (0 | 4 | 5 | 8 | 13 | 15 | 20 | 21 | 22 | 23 | 24 | 25 | 67, _) => {}
            _ => self.event("tls.invalid_handshake_message"),
        }
    }

    fn certificates(&mut self, s: usize, body: &[u8]) {
        if !self.sides[s].chain.is_empty() {
            return;
        }
        let Some(mut list) = Bytes(body).vector(3) else { return self.event("tls.invalid_certificate") };
        while !list.0.is_empty() {
            let Some(der) = list.vector(3) else {
                self.event("tls.invalid_certificate");
                break;
            };
            let side = &mut self.sides[s];
            if side.chain.is_empty() {
                side.certificate = Certificate::read(der.0);
            }
            if side.chain.len() < CHAIN {
                side.chain.push(der.0.to_vec());
            }
        }
        if self.sides[s].certificate.is_none() && !self.sides[s].chain.is_empty() {
            self.event("tls.invalid_certificate");
        }
    }

    /// A client's hello in the form of version 2: lengths instead of lists.
    fn old_hello(&mut self, toward: Toward, body: &[u8]) {
        let mut b = Bytes(body);
        let read = || -> Option<Hello> {
            let kind = b.number(1)?;
            if toward == Toward::Client {
                b.take(2)?;
                return (kind == 4).then(|| b.u16()).flatten().map(|version| Hello { version, ..Hello::default() });
            }
            let mut h = Hello { version: b.u16()?, ..Hello::default() };
            let (ciphers, session) = (b.number(2)?, b.number(2)?);
            b.number(2)?;
            let list = b.take(ciphers)?;
            h.ciphers = list.chunks_exact(3).filter(|c| c[0] == 0).map(|c| u16::from_be_bytes([c[1], c[2]])).collect();
            h.session = b.take(session)?.to_vec();
            (kind == 1).then_some(h)
        }();
        match read {
            Some(h) => {
                self.sides[toward.index()].hello.get_or_insert(h);
            }
            None => self.event("tls.invalid_sslv2_header"),
        }
    }

    fn application_data(&mut self, toward: Toward) {
        let s = &mut self.sides[toward.index()];
        s.encrypted = true;
        s.data = true;
        s.settled = true;
        // From 1.3 on the server is encrypted from its hello on, its certificate too.
        self.opaque |= self.sides.iter().all(|s| s.encrypted);
    }
}

impl Parser for Tls {
    fn feed(&mut self, toward: Toward, input: Input<'_>) -> Step {
        let s = toward.index();
        match input {
            Input::Bytes(bytes) => {
                let mut records = std::mem::take(&mut self.sides[s].records);
                let good = records.push(toward, bytes, self);
                self.sides[s].records = records;
                if !good {
                    self.sides.iter_mut().for_each(|s| s.over = true);
                    return Step::Failed;
                }
                if self.opaque { Step::Opaque } else { Step::Going }
            }
            // What is lost may hold a record's beginning: no further one can be found for sure.
            Input::Gap(_) => {
                self.sides.iter_mut().for_each(|s| s.over = true);
                Step::Opaque
            }
            Input::End => {
                self.sides[s].over = true;
                Step::Going
            }
        }
    }

    one!(present);
}

impl Transaction for Tls {
    fn app(&self) -> App {
        App::Tls
    }

    fn id(&self) -> u64 {
        0
    }

    fn done(&self, toward: Toward) -> bool {
        let s = &self.sides[toward.index()];
        s.over || s.data || self.opaque
    }

    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        let s = &self.sides[toward.index()];
        let hello = s.hello.is_some() || self.done(toward);
        match buffer {
            Buffer::TlsCertificates | Buffer::TlsCertIssuer | Buffer::TlsCertSubject | Buffer::TlsCertSerial => {
                s.settled || self.done(toward)
            }
            Buffer::TlsCertFingerprint | Buffer::TlsSubjectAltName => s.settled || self.done(toward),
            _ => hello,
        }
    }

    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, scratch: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let s = &self.sides[toward.index()];
        if buffer == Buffer::TlsCertificates {
            return s.chain.get(index).map(|c| Piece { bytes: c, offset: 0, last: true });
        }
        let bytes: &[u8] = match (buffer, index) {
            (Buffer::TlsAlpn, i) => s.hello.as_ref()?.alpn.get(i)?,
            (Buffer::TlsSubjectAltName, i) => s.certificate.as_ref()?.names.get(i)?.as_bytes(),
            (_, 1..) => return None,
            (Buffer::TlsCertIssuer, _) => s.certificate.as_ref()?.issuer.as_bytes(),
            (Buffer::TlsCertSubject, _) => s.certificate.as_ref()?.subject.as_bytes(),
            (Buffer::TlsCertSerial, _) => s.certificate.as_ref()?.serial.as_bytes(),
            (Buffer::TlsCertFingerprint, _) => s.certificate.as_ref()?.fingerprint.as_bytes(),
            (b, _) => {
                let h = s.hello.as_ref()?;
                match (b, toward) {
                    (Buffer::TlsSni, Toward::Server) => h.name.as_deref()?,
                    (Buffer::TlsRandom, _) => &h.random,
                    (Buffer::TlsRandomTime, _) => &h.random[..4],
                    (Buffer::TlsRandomBytes, _) => &h.random[4..],
                    _ => {
                        scratch.clear();
                        scratch.extend_from_slice(fingerprint_of(h, b, toward)?.as_bytes());
                        scratch
                    }
                }
            }
        };
        Some(Piece { bytes, offset: 0, last: true })
    }

    fn quantity(&self, quantity: Quantity, toward: Toward, index: usize) -> Option<u64> {
        match quantity {
            Quantity::TlsChainLength if index == 0 => Some(self.sides[toward.index()].chain.len() as u64).filter(|n| *n > 0),
            _ => None,
        }
    }

    fn seconds(&self, what: &str, toward: Toward) -> Option<i64> {
        let c = self.sides[toward.index()].certificate.as_ref()?;
        match what {
            "notbefore" => Some(c.not_before),
            "notafter" => Some(c.not_after),
            _ => None,
        }
    }

    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        match keyword {
            "tls.version" | "ssl_version" => {
                let version = self.version()?;
                Some(match value.to_ascii_lowercase().as_str() {
                    "sslv2" => version == 0x0002,
                    "sslv3" => version == 0x0300,
                    "1.0" | "tls1.0" => version == 0x0301,
                    "1.1" | "tls1.1" => version == 0x0302,
                    "1.2" | "tls1.2" => version == 0x0303,
                    "1.3" | "tls1.3" => version == 0x0304 || version >> 8 == 0x7f,
                    other => {
                        let digits = other.strip_prefix("0x")?;
                        u16::from_str_radix(digits, 16).ok()? == version
                    }
                })
            }
            "ssl_state" | "tls.state" => Some(match value {
                "client_hello" => self.client().is_some(),
                "server_hello" => self.server().is_some(),
                "client_keyx" => self.sides[0].key_exchange,
                "server_keyx" => self.sides[1].key_exchange,
                "unknown" => self.client().is_none() && self.server().is_none(),
                _ => return None,
            }),
            _ => None,
        }
    }

    fn events(&self) -> &[&'static str] {
        &self.events
    }

    // The server has said what it has to say in the clear, and so has the client where a certificate was asked of it.
    fn told_early(&self) -> bool {
        self.hello_done && self.client().is_some() && (!self.asked || self.sides[0].settled)
    }

    fn describe(&self, out: &mut Vec<u8>) {
        describe::write(self, out);
    }
}

fn fingerprint_of(h: &Hello, buffer: Buffer, toward: Toward) -> Option<String> {
    Some(match (buffer, toward) {
        (Buffer::Ja3String, Toward::Server) => fingerprint::ja3(h),
        (Buffer::Ja3Hash, Toward::Server) => fingerprint::md5(&fingerprint::ja3(h)),
        (Buffer::Ja3sString, Toward::Client) => fingerprint::ja3s(h),
        (Buffer::Ja3sHash, Toward::Client) => fingerprint::md5(&fingerprint::ja3s(h)),
        (Buffer::Ja4Hash, Toward::Server) => fingerprint::ja4(h, false),
        _ => return None,
    })
}
