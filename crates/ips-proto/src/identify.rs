//! Which application speaks: the first bytes of one direction in, an answer out. Found by content. A port is a hint only for what has no
//! mark of its own (DNS, NTP and the like), where content alone would take noise for it. It never keeps anything and never reads further
//! than [`ENOUGH`].

use crate::{dns, tls, transaction::Toward};
use ips_rules::header::App;

/// What carries the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Transport {
    /// A stream.
    Tcp,
    /// A datagram.
    Udp,
}

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identified {
    /// This one.
    Found(App),
    /// More bytes could tell.
    More,
    /// None of those known here.
    Unknown,
}
use Identified::{Found, More, Unknown};

/// Bytes after which nothing more is learned: the longest mark with what may stand before it.
pub const ENOUGH: usize = 64;

/// Ports of the two sides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ports {
    /// Of who opened the conversation.
    pub client: u16,
    /// Of the other.
    pub server: u16,
}

impl Ports {
    fn any(self, port: u16) -> bool {
        self.server == port || self.client == port
    }
}

/// Looks at the first bytes of a direction: of a stream all there are so far, of datagrams the one at hand.
pub fn identify(transport: Transport, toward: Toward, prefix: &[u8], ports: Ports) -> Identified {
    match transport {
        Transport::Tcp => stream(toward, prefix, ports),
        Transport::Udp => datagram(toward, prefix, ports),
    }
}

/// A text at the beginning.
struct Mark {
    at: usize,
    text: &'static [u8],
    /// The case of letters is ignored.
    nocase: bool,
    app: App,
}

const fn mark(text: &'static [u8], app: App) -> Mark {
    Mark { at: 0, text, nocase: true, app }
}

const fn exact(at: usize, text: &'static [u8], app: App) -> Mark {
    Mark { at, text, nocase: false, app }
}

#[rustfmt::skip]
const TO_SERVER: &[Mark] = &[
    exact(0, b"PRI * HTTP/2.0\r\n", App::Http2),
    exact(0, b"SSH-", App::Ssh),
    mark(b"EHLO", App::Smtp), mark(b"HELO", App::Smtp), mark(b"LHLO", App::Smtp),
    mark(b"USER ", App::Ftp), mark(b"PASS ", App::Ftp), mark(b"PORT ", App::Ftp), mark(b"FEAT", App::Ftp), mark(b"AUTH TLS\r", App::Ftp),
    exact(4, b"\xffSMB", App::Smb), exact(4, b"\xfeSMB", App::Smb), exact(4, b"\xfdSMB", App::Smb),
    exact(0, b"\x05\x00\x0b", App::Dcerpc), exact(0, b"\x05\x00\x00", App::Dcerpc), exact(0, b"\x05\x01\x0b", App::Dcerpc),
    mark(b"INVITE ", App::Sip), mark(b"REGISTER ", App::Sip), mark(b"SUBSCRIBE ", App::Sip), mark(b"NOTIFY ", App::Sip),
    exact(0, b"RFB 003.", App::Rfb),
    exact(0, b"\x13BitTorrent protocol", App::Bittorrent),
    exact(0, b"\x03\x00", App::Rdp),
    exact(0, b"\x05\x64", App::Dnp3),
];

#[rustfmt::skip]
const TO_CLIENT: &[Mark] = &[
    mark(b"HTTP/0.9", App::Http1), mark(b"HTTP/1.0", App::Http1), mark(b"HTTP/1.1", App::Http1),
    exact(0, b"SSH-", App::Ssh),
    mark(b"220 (", App::Ftp),
    mark(b"* OK", App::Imap),
    mark(b"+OK", App::Pop3), 
    exact(4, b"\xffSMB", App::Smb), exact(4, b"\xfeSMB", App::Smb), exact(4, b"\xfdSMB", App::Smb),
    exact(0, b"\x05\x00\x0c", App::Dcerpc), exact(0, b"\x05\x00\x02", App::Dcerpc),
    mark(b"SIP/2.0", App::Sip),
    exact(0, b"RFB 003.", App::Rfb),
    exact(0, b"\x13BitTorrent protocol", App::Bittorrent),
    exact(0, b"\x05\x64", App::Dnp3),
];

/// Methods of HTTP the peer knows requests by; a space or a tab follows.
#[rustfmt::skip]
const METHODS: &[&[u8]] = &[
    b"GET", b"PUT", b"POST", b"HEAD", b"TRACE", b"OPTIONS", b"CONNECT", b"DELETE", b"PATCH", b"PROPFIND", b"PROPPATCH", b"MKCOL", b"COPY",
    b"MOVE", b"LOCK", b"UNLOCK", b"CHECKOUT", b"UNCHECKOUT", b"CHECKIN", b"UPDATE", b"LABEL", b"REPORT", b"MKWORKSPACE", b"MKACTIVITY",
    b"MERGE", b"INVALID", b"VERSION-CONTROL", b"BASELINE-CONTROL",
];

/// What libp2p says first on TCP: a length, then `/multistream/1.0.0` and a line's end.
pub const MULTISTREAM: &[u8] = b"\x13/multistream/1.0.0\n";

/// How `prefix` and a mark stand to each other.
fn compare(prefix: &[u8], m: &Mark) -> Option<bool> {
    // What stands behind four bytes is a message in a NetBIOS session, whose kind is 0.
    if m.at > 0 && prefix.first() != Some(&0) {
        return None;
    }
    let Some(rest) = prefix.get(m.at..) else { return Some(false) };
    let n = rest.len().min(m.text.len());
    let same = if m.nocase { rest[..n].eq_ignore_ascii_case(&m.text[..n]) } else { rest[..n] == m.text[..n] };
    if !same {
        return None;
    }
    Some(n == m.text.len())
}

fn stream(toward: Toward, prefix: &[u8], ports: Ports) -> Identified {
    if prefix.is_empty() {
        return More;
    }
    let mut more = false;
    if toward == Toward::Server {
        let n = prefix.iter().take(20).take_while(|b| !matches!(b, b' ' | b'\t')).count();
        let word = &prefix[..n];
        if n < prefix.len() && METHODS.iter().any(|m| word.eq_ignore_ascii_case(m)) {
            return Found(App::Http1);
        }
        more |= n == prefix.len() && METHODS.iter().any(|m| m.len() >= n && m[..n].eq_ignore_ascii_case(word));
    }
    match tls::looks_like(toward, prefix) {
        Some(true) => return Found(App::Tls),
        Some(false) => more = true,
        None => {}
    }
    if toward == Toward::Server {
        match mqtt(prefix) {
            Some(true) => return Found(App::Mqtt),
            Some(false) => more = true,
            None => {}
        }
    }
    let table = if toward == Toward::Server { TO_SERVER } else { TO_CLIENT };
    for m in table {
        match compare(prefix, m) {
            // The shortest marks are too common to be told by themselves.
            Some(true) if m.app == App::Rdp && !ports.any(3389) => {}
            Some(true) if m.app == App::Dnp3 && !ports.any(20000) => {}
            Some(true) => return Found(m.app),
            Some(false) => more = true,
            None => {}
        }
    }
    if ports.any(53) {
        match dns::looks_like_stream(prefix) {
            Some(true) => return Found(App::Dns),
            Some(false) => more = true,
            None => {}
        }
    }
    if toward == Toward::Client {
        match greeting(prefix, ports) {
            Some(found @ Found(_)) => return found,
            Some(_) => more = true,
            None => {}
        }
    }
    if more && prefix.len() < ENOUGH { More } else { Unknown }
}

/// A client's first packet of MQTT: its kind, a length of one to four bytes, and the protocol's name; false where more would tell.
fn mqtt(prefix: &[u8]) -> Option<bool> {
    let [0x10, rest @ ..] = prefix else { return None };
    let length = rest.iter().take(4).position(|b| b & 0x80 == 0).map(|n| n + 1);
    let Some(behind) = length.and_then(|n| rest.get(n..)) else { return (rest.len() < 4).then_some(false) };
    let marks = [&b"\x00\x04MQTT"[..], b"\x00\x06MQIsdp"];
    let like = marks.iter().find(|m| behind[..behind.len().min(m.len())] == m[..behind.len().min(m.len())])?;
    Some(behind.len() >= like.len())
}

/// `220 NAME ...` of mail and file servers: the words tell, or the port.
fn greeting(prefix: &[u8], ports: Ports) -> Option<Identified> {
    const READY: &[u8] = b"220";
    let n = prefix.len().min(READY.len());
    if prefix[..n] != READY[..n] {
        return None;
    }
    let end = memchr::memchr(b'\n', prefix);
    let line = &prefix[..end.unwrap_or(prefix.len())];
    let holds = |word: &[u8]| line.windows(word.len()).any(|w| w.eq_ignore_ascii_case(word));
    if holds(b"SMTP") || (end.is_some() && [25, 465, 587].contains(&ports.server)) {
        Some(Found(App::Smtp))
    } else if holds(b"FTP") || (end.is_some() && ports.server == 21) {
        Some(Found(App::Ftp))
    } else {
        Some(More)
    }
}

fn datagram(toward: Toward, d: &[u8], ports: Ports) -> Identified {
    if ports.any(53) && dns::looks_like(d) {
        return Found(App::Dns);
    }
    if ports.any(5353) && dns::looks_like(d) {
        return Found(App::Mdns);
    }
    if ports.any(5355) && dns::looks_like(d) {
        return Found(App::Llmnr);
    }
    if quic(toward, d) {
        return Found(App::Quic);
    }
    const COOKIE: &[u8] = &[0x63, 0x82, 0x53, 0x63];
    let starts = |t: &[u8]| d.len() >= t.len() && d[..t.len()].eq_ignore_ascii_case(t);
    let first = d.first().copied().unwrap_or(0);
    if (ports.any(67) || ports.any(68)) && matches!(first, 1 | 2) && d.get(236..240) == Some(COOKIE) {
        return Found(App::Dhcp);
    }
    if ports.any(123) && d.len() >= 48 && (1..=4).contains(&(first >> 3 & 7)) {
        return Found(App::Ntp);
    }
    if starts(b"d1:ad2:id20:") || starts(b"d1:rd2:id20:") || starts(b"d1:el") || starts(b"d2:ip6:") {
        return Found(App::Bittorrent);
    }
    // Others use these words as well (SSDP): the version tells.
    let line = &d[..memchr::memchr(b'\n', d).unwrap_or(d.len())];
    let called = || memchr::memmem::find(line, b" SIP/").is_some();
    if starts(b"SIP/2.0 ")
        || [&b"INVITE "[..], b"REGISTER ", b"OPTIONS ", b"ACK ", b"BYE ", b"SUBSCRIBE ", b"NOTIFY "].iter().any(|m| starts(m)) && called()
    {
        return Found(App::Sip);
    }
    if ports.server == 69 && matches!(d, [0, 1..=5, ..]) {
        return Found(App::Tftp);
    }
    if (ports.any(161) || ports.any(162)) && first == 0x30 {
        return Found(App::Snmp);
    }
    if (ports.any(500) || ports.any(4500)) && d.len() >= 28 {
        return Found(App::Ike);
    }
    if ports.any(88) && matches!(first, 0x6a | 0x6b | 0x6c | 0x6d | 0x7e) {
        return Found(App::Krb5);
    }
    Unknown
}

/// A long header of QUIC with a version in use, as the first datagram of either side has.
fn quic(_toward: Toward, d: &[u8]) -> bool {
    let [first, v @ ..] = d else { return false };
    let Some(v) = v.first_chunk::<4>() else { return false };
    let version = u32::from_be_bytes(*v);
    let known = matches!(version, 1 | 0x6b33_43cf | 0xff00_001d..=0xff00_0022) || (v[0] == b'Q' && v[1..].iter().all(u8::is_ascii_digit));
    first & 0xc0 == 0xc0 && known && d.len() > 20
}

/// Settings of an HTTP/2 server, as the first bytes of an answer.
pub fn http2_answer(prefix: &[u8]) -> bool {
    matches!(prefix, [0, 0, n, 4, 0, 0, 0, 0, 0, ..] if n % 6 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PORTS: Ports = Ports { client: 40000, server: 4000 };

    fn tcp(toward: Toward, bytes: &[u8]) -> Identified {
        identify(Transport::Tcp, toward, bytes, PORTS)
    }

    #[test]
    fn by_content_on_any_port() {
        use Toward::{Client as C, Server as S};
        let cases: &[(Toward, &[u8], Identified)] = &[
            (S, b"GET / HTTP/1.1\r\n", Found(App::Http1)),
            (S, b"get /", Found(App::Http1)),
            (S, b"PUT\t/x", Found(App::Http1)),
            (S, b"GE", More),
            (S, b"GETX", Unknown),
            (C, b"HTTP/1.1 200", Found(App::Http1)),
            (C, b"HTTP/", More),
            (S, b"PRI * HTTP/2.0\r\n\r\nSM", Found(App::Http2)),
            (S, b"SSH-2.0-x\r\n", Found(App::Ssh)),
            (S, b"ehlo x\r\n", Found(App::Smtp)),
            (C, b"220 mail ESMTP\r\n", Found(App::Smtp)),
            (C, b"220 mail\r\n", More),
            (C, b"220 ProFTPD\r\n", Found(App::Ftp)),
            (S, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Found(App::Tls)),
            (C, b"\x15\x03\x03\x00\x02\x02\x28", Found(App::Tls)),
            (S, b"\x10\x15\x00\x04MQTT\x05", Found(App::Mqtt)),
            (S, b"\x00\x00\x00\x55\xfeSMB", Found(App::Smb)),
            (S, b"\x00\x00\x00\x55", More),
            (S, b"zzzzzzzzzzzzzz", Unknown),
        ];
        for (side, bytes, want) in cases {
            assert_eq!(tcp(*side, bytes), *want, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn a_port_is_a_hint_where_there_is_no_mark() {
        let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x01a\x00\x00\x01\x00\x01";
        let at = |server| identify(Transport::Udp, Toward::Server, query, Ports { client: 40000, server });
        assert_eq!(at(53), Found(App::Dns));
        assert_eq!(at(5353), Found(App::Mdns));
        assert_eq!(at(4000), Unknown);
    }

    proptest! {
        /// An answer once found stays, whatever follows; and a stream is decided in the end.
        #[test]
        fn more_bytes_never_change_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..80), toward in prop_oneof![Just(Toward::Server), Just(Toward::Client)]) {
            let mut found = None;
            for n in 0..=bytes.len() {
                let now = tcp(toward, &bytes[..n]);
                if let Some(f) = found {
                    prop_assert_eq!(now, f);
                }
                if now == Unknown || matches!(now, Found(_)) {
                    found = Some(now);
                }
            }
            if bytes.len() >= ENOUGH {
                prop_assert!(found.is_some());
            }
        }
    }
}
