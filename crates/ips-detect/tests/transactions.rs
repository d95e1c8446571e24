//! Rules about transactions: buffers that become ready at different times, several instances, growing ones, both directions.

mod common;

use common::*;
use ips_detect::{Seen, TxState};
use ips_proto::{File, FileState, Interface, Piece, Toward, Transaction, digest::Digests};
use ips_rules::{buffer::Buffer, condition::Quantity, header::App};
use ips_wire::packet::Transport;

/// A transaction as a list of what it has.
#[derive(Clone)]
struct Fake {
    app: App,
    /// Buffer, direction, bytes; several of one buffer are its instances.
    buffers: Vec<(Buffer, Toward, Vec<u8>)>,
    /// Not ready yet.
    waits: Vec<Buffer>,
    /// Of growing buffers: where the piece begins, whether it is the last.
    grows: (u64, bool),
    done: [bool; 2],
    numbers: Vec<(Quantity, u64)>,
    names: Vec<(&'static str, &'static str, bool)>,
    events: Vec<&'static str>,
    digests: Option<Digests>,
}

fn http(buffers: &[(Buffer, &str)]) -> Fake {
    let side = |b: &Buffer| if b.row().side == ips_rules::buffer::Side::Server { Toward::Client } else { Toward::Server };
    Fake {
        app: App::Http,
        buffers: buffers.iter().map(|(b, t)| (*b, side(b), t.as_bytes().to_vec())).collect(),
        waits: Vec::new(),
        grows: (0, true),
        done: [true, false],
        numbers: Vec::new(),
        names: Vec::new(),
        events: Vec::new(),
        digests: None,
    }
}

impl Transaction for Fake {
    fn app(&self) -> App {
        self.app
    }
    fn id(&self) -> u64 {
        4
    }
    fn done(&self, toward: Toward) -> bool {
        self.done[toward.index()]
    }
    fn ready(&self, buffer: Buffer, toward: Toward) -> bool {
        !self.waits.contains(&buffer) && (self.done(toward) || self.buffers.iter().any(|(b, t, _)| *b == buffer && *t == toward))
    }
    fn piece<'a>(&'a self, buffer: Buffer, toward: Toward, index: usize, _: &'a mut Vec<u8>) -> Option<Piece<'a>> {
        let (_, _, bytes) = self.buffers.iter().filter(|(b, t, _)| *b == buffer && *t == toward).nth(index)?;
        let growing = matches!(buffer, Buffer::HttpRequestBody | Buffer::FileData | Buffer::HttpResponseBody);
        let (offset, last) = if growing { self.grows } else { (0, true) };
        Some(Piece { bytes, offset, last })
    }
    fn quantity(&self, quantity: Quantity, _: Toward, index: usize) -> Option<u64> {
        self.numbers.iter().filter(|(q, _)| *q == quantity).nth(index).map(|(_, n)| *n)
    }
    fn named(&self, keyword: &str, value: &str) -> Option<bool> {
        self.names.iter().find(|(k, v, _)| *k == keyword && *v == value).map(|(_, _, is)| *is)
    }
    fn file(&self, toward: Toward, index: usize) -> Option<File<'_>> {
        let digests = self.digests.as_ref().filter(|_| toward == Toward::Server && index == 0)?;
        Some(File { name: b"f", size: 2, state: FileState::Closed, gaps: false, digests: Some(digests) })
    }
    fn interface(&self, index: usize) -> Option<Interface> {
        let uuid = 0x367a_bb81_9844_35f1_ad32_98f0_3800_1003_u128.to_be_bytes();
        (self.app == App::Smb && index == 0).then_some(Interface { uuid, version: 1, first: true })
    }
    fn events(&self) -> &[&'static str] {
        &self.events
    }
    fn seconds(&self, what: &str, _: Toward) -> Option<i64> {
        (self.app == App::Tls).then_some(if what == "notbefore" { 1_600_000_000 } else { 1_650_000_000 })
    }
    fn describe(&self, _: &mut Vec<u8>) {}
}

/// One look: numbers of the rules that are told.
fn look(b: &mut Bench, tx: &Fake, state: &mut TxState, toward: Toward) -> Vec<u32> {
    let p = packet(Transport::Tcp(&TCP), b"payload");
    let p = if toward == Toward::Client { turned(p) } else { p };
    let s = Seen { flow: Some(with_app(tx.app)), toward, in_stream: true, ..seen(&p) };
    b.hits.clear();
    b.tables.packet(&mut b.scratch, &s, Some(&mut b.flow), &mut b.memory, &mut b.hits);
    b.tables.transaction(&mut b.scratch, &s, tx, state, &mut b.flow, &mut b.memory, &mut b.hits);
    let _ = b.tables.settle(&s, Some(&mut b.flow), &mut b.memory, &mut b.hits);
    b.told()
}

fn check(tx: &Fake, toward: Toward, cases: &[(&str, bool)]) {
    for (options, want) in cases {
        let header = if tx.app == App::Http { "http" } else { "ip" };
        let mut b = Bench::new(&format!("alert {header} any any -> any any ({options} sid:1;)"));
        assert_eq!(!look(&mut b, tx, &mut TxState::default(), toward).is_empty(), *want, "{options}");
    }
}

#[test]
fn buffers() {
    let tx = http(&[
        (Buffer::HttpUri, "/a/b?c=D"),
        (Buffer::HttpMethod, "GET"),
        (Buffer::HttpHost, "www.example.com"),
        (Buffer::HttpRequestHeader, "A: 1"),
        (Buffer::HttpRequestHeader, "B: 2"),
        (Buffer::HttpRequestBody, "body aGVsbG8="),
    ]);
    check(
        &tx,
        Toward::Server,
        &[
            ("http.uri; content:\"/a/\"; startswith;", true),
            ("http.uri; content:\"/A/\";", false),
            ("http.uri; content:\"/A/\"; nocase;", true),
            ("content:\"/a/\"; http_uri; content:\"GET\"; http_method;", true),
            ("content:\"/a/\"; http_uri; content:\"POST\"; http_method;", false),
            ("http.uri; content:\"/a/b\"; content:\"c=D\"; distance:1; endswith;", true),
            ("http.uri; content:!\"z\"; http.method; content:\"GET\";", true),
            ("http.uri; bsize:8; content:\"/a\";", true),
            ("http.uri; bsize:>8; content:\"/a\";", false),
            ("http.host; dotprefix; content:\".example.com\"; endswith;", true),
            ("http.host; dotprefix; content:\".ample.com\"; endswith;", false),
            ("http.host; to_sha256; content:\"|80 fc 0f b9|\"; startswith;", true),
            ("http.request_header; content:\"A: 1\"; bsize:4;", true),
            ("http.request_header; content:\"A\"; content:\"2\";", false),
            ("http.request_header; content:\"A\"; http.request_header; content:\"2\";", true),
            ("http.request_header; content:!\"A\"; content:\"B\";", true),
            ("http.request_body; content:\"body\"; base64_decode:offset 1,relative; base64_data; content:\"hello\"; bsize:5;", true),
            ("http.request_body; content:\"body\"; base64_decode:offset 1,relative; base64_data; content:\"hellO\";", false),
            ("http.cookie; content:!\"x\"; http.uri; content:\"a\";", false),
            ("http.cookie; absent; http.uri; content:\"a\";", true),
            ("http.uri; absent; http.method; content:\"GET\";", false),
            ("http.cookie; absent:or_else; content:\"x\"; http.uri; content:\"a\";", true),
            ("http.host; absent:or_else; content:\"www\"; http.uri; content:\"a\";", true),
            ("http.host; absent:or_else; content:\"zzz\"; http.uri; content:\"a\";", false),
            ("http.host; pcre:\"/^www\\.(\\w+)/\";", true),
            ("pcre:\"/b\\?c/U\";", true),
            ("http.uri; byte_test:1,=,0x2f,0; content:\"a\";", true),
            ("flow:to_client; http.header; content:\"a\";", false),
            ("content:\"payload\"; http_uri;", false),
            ("http.uri; content:\"a\"; flowbits:isset,z;", false),
        ],
    );
    check(&Fake { app: App::Dns, ..tx }, Toward::Server, &[("http.uri; content:\"/a/\";", false)]);
}

#[test]
fn a_rule_waits_and_tells_once() {
    let rule = "alert http any any -> any any (http.uri; content:\"/a\"; http.request_body; content:\"late\"; sid:1;)\n\
        alert http any any -> any any (http.uri; content:\"/a\"; http.request_body; content:!\"late\"; sid:2;)\n\
        alert http any any -> any any (http.uri; content:\"/a\"; flowbits:set,a; flowbits:noalert; sid:3;)\n\
        alert http any any -> any any (http.request_body; content:\"late\"; flowbits:isset,a; sid:4;)\n";
    let mut b = Bench::new(rule);
    let mut state = TxState::default();
    let mut tx = http(&[(Buffer::HttpUri, "/a")]);
    tx.done = [false, false];
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [0u32; 0]);
    tx.buffers.push((Buffer::HttpRequestBody, Toward::Server, b"first la".to_vec()));
    tx.grows = (0, false);
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [2]);
    tx.buffers[1].2 = b"first late".to_vec();
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [4, 1]);
    tx.grows = (0, true);
    tx.done = [true, false];
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [0u32; 0], "each tells once");
    let mut other = TxState::default();
    assert_eq!(look(&mut b, &tx, &mut other, Toward::Server), [4, 1], "and again in another transaction");
}

#[test]
fn a_negated_buffer_that_never_comes() {
    let mut b = Bench::new("alert http any any -> any any (http.uri; content:\"/a\"; http.cookie; content:!\"x\"; sid:1;)");
    let mut state = TxState::default();
    let mut tx = http(&[(Buffer::HttpUri, "/a")]);
    tx.waits.push(Buffer::HttpCookie);
    tx.done = [false, false];
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [0u32; 0]);
    tx.buffers.push((Buffer::HttpCookie, Toward::Server, b"yy".to_vec()));
    tx.waits.clear();
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [1]);
}

#[test]
fn growing_pieces_with_a_beginning() {
    let mut tx = http(&[(Buffer::FileData, "6789")]);
    tx.grows = (6, false);
    tx.done = [false, false];
    check(
        &tx,
        Toward::Server,
        &[
            ("file.data; content:\"789\";", true),
            ("file.data; content:\"789\"; depth:5;", false),
            ("file.data; content:\"789\"; depth:10;", true),
            ("file.data; bsize:10; content:\"6\";", true),
        ],
    );
}

#[test]
fn both_directions_of_one_transaction() {
    let mut b = Bench::new(
        "alert http any any => any any (http.uri; content:\"/a\"; http.stat_code; content:\"200\"; sid:1;)\n\
         alert http any any => any any (http.uri; content:\"/b\"; http.stat_code; content:\"200\"; sid:2;)\n",
    );
    let mut state = TxState::default();
    let mut tx = http(&[(Buffer::HttpUri, "/a")]);
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [0u32; 0]);
    tx.buffers.push((Buffer::HttpStatusCode, Toward::Client, b"200".to_vec()));
    tx.done = [true, true];
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Client), [1]);
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Client), [0u32; 0]);
    // What is looked for first is in the answer.
    let mut b =
        Bench::new("alert http any any => any any (http.uri; content:\"/\"; http.response_header; content:\"X-Long-Name\"; sid:3;)");
    let mut state = TxState::default();
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Server), [0u32; 0]);
    tx.buffers.push((Buffer::HttpResponseHeader, Toward::Client, b"X-Long-Name: 1".to_vec()));
    assert_eq!(look(&mut b, &tx, &mut state, Toward::Client), [3]);
}

#[test]
fn numbers_names_events_and_files() {
    let mut tx =
        http(&[(Buffer::HttpUri, "/a"), (Buffer::FileName, "Evil.EXE"), (Buffer::FileData, "MZ"), (Buffer::FileMagic, "PE32 executable")]);
    tx.numbers = vec![(Quantity::HttpUriLength, 2), (Quantity::FileSize, 2)];
    tx.events = vec!["http.host_header_ambiguous"];
    check(
        &tx,
        Toward::Server,
        &[
            ("urilen:2;", true),
            ("urilen:>2;", false),
            ("filename:\"evil\";", true),
            ("filename:!\"evil\";", false),
            ("fileext:\"exe\";", true),
            ("fileext:\"dll\";", false),
            ("filemagic:\"pe32\";", true),
            ("filesize:<3;", true),
            ("filesize:>2;", false),
            ("app-layer-event:http.host_header_ambiguous;", true),
            ("app-layer-event:http.request_field_missing_colon;", false),
            ("file.data; content:\"MZ\"; within:2; fileext:\"exe\";", true),
        ],
    );
    let mut b = Bench::new("alert http any any -> any any (filemd5:list; sid:1;)");
    let md5 = [0xac, 0x6a, 0xd5, 0xd9, 0xb9, 0x97, 0x57, 0xc3, 0xa8, 0x78, 0xf2, 0xd2, 0x75, 0xac, 0xe1, 0x98];
    b.memory.load(0, [(md5.to_vec(), None)]);
    // Parsers are asked for what rules need; before a file is whole there is none.
    assert!(b.tables.digests().md5 && !b.tables.digests().sha1);
    assert_eq!(look(&mut b, &tx, &mut TxState::default(), Toward::Server), [0u32; 0]);
    tx.digests = Some(Digests { md5: Some([0; 16]), ..Digests::default() });
    assert_eq!(look(&mut b, &tx, &mut TxState::default(), Toward::Server), [0u32; 0]);
    tx.digests = Some(Digests { md5: Some(md5), ..Digests::default() });
    assert_eq!(look(&mut b, &tx, &mut TxState::default(), Toward::Server), [1]);

    let tls = Fake {
        app: App::Tls,
        names: vec![("tls.version", "1.2", true), ("tls.version", "1.3", false), ("ssl_state", "client_hello", true)],
        numbers: vec![(Quantity::TlsChainLength, 2)],
        ..http(&[(Buffer::TlsSni, "example.com")])
    };
    check(
        &tls,
        Toward::Server,
        &[
            ("tls.version:1.2;", true),
            ("tls.version:1.3;", false),
            ("ssl_state:client_hello;", true),
            ("tls_cert_expired;", true),
            ("tls_cert_valid;", false),
            ("tls_cert_notafter:<2023;", true),
            ("tls_cert_notbefore:>2021;", false),
            ("tls.cert_chain_len:2;", true),
            ("tls.sni; content:\"example\"; ssl_state:client_hello;", true),
        ],
    );
    let dce = Fake {
        app: App::Smb,
        names: vec![("dcerpc.byte_order", "little", true)],
        numbers: vec![(Quantity::DceOpnum, 12)],
        buffers: vec![(Buffer::DceStub, Toward::Server, vec![1, 0, 0, 0, b'x'])],
        ..http(&[])
    };
    check(
        &dce,
        Toward::Server,
        &[
            ("dcerpc.iface:367abb81-9844-35f1-ad32-98f038001003; dcerpc.opnum:10-12; dcerpc.stub_data; content:\"x\";", true),
            ("dcerpc.iface:367abb81-9844-35f1-ad32-98f038001004;", false),
            ("dcerpc.iface:367abb81-9844-35f1-ad32-98f038001003,<2;", true),
            ("dcerpc.iface:367abb81-9844-35f1-ad32-98f038001003,>1;", false),
            ("dcerpc.opnum:13;", false),
            ("dcerpc.stub_data; byte_test:4,=,1,0,dce; content:\"x\";", true),
            ("dcerpc.stub_data; byte_test:4,=,1,0,big; content:\"x\";", false),
        ],
    );
}

#[test]
fn payload_of_the_packet_and_a_buffer() {
    // What is looked for first is in the payload.
    let tx = http(&[(Buffer::HttpMethod, "GET")]);
    let mut b = Bench::new("alert http any any -> any any (content:\"payload\"; dsize:7; http.method; content:\"GET\"; sid:1;)");
    assert_eq!(look(&mut b, &tx, &mut TxState::default(), Toward::Server), [1]);
    let mut b = Bench::new("alert http any any -> any any (content:\"other\"; dsize:7; http.method; content:\"GET\"; sid:1;)");
    assert_eq!(look(&mut b, &tx, &mut TxState::default(), Toward::Server), [0u32; 0]);
}

#[test]
fn a_drop_in_a_transaction_is_the_flows() {
    let tx = http(&[(Buffer::HttpUri, "/a")]);
    let mut b = Bench::new("drop http any any -> any any (http.uri; content:\"/a\"; sid:1;)");
    assert_eq!(look(&mut b, &tx, &mut TxState::default(), Toward::Server), [1]);
    assert!(b.flow.dropped);
    assert_eq!(b.hits.list[0].tx, Some(4));
}
