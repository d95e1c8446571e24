use super::*;
use proptest::prelude::*;

fn vector(bytes: usize, data: &[u8]) -> Vec<u8> {
    let n = u64::try_from(data.len()).unwrap().to_be_bytes();
    [&n[8 - bytes..], data].concat()
}

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &vector(2, data)].concat()
}

fn handshake(kind: u8, body: &[u8]) -> Vec<u8> {
    [&[kind][..], &vector(3, body)].concat()
}

fn record(kind: u8, data: &[u8]) -> Vec<u8> {
    [&[kind, 3, 3][..], &vector(2, data)].concat()
}

fn words(list: &[u16]) -> Vec<u8> {
    list.iter().flat_map(|w| w.to_be_bytes()).collect()
}

fn client_hello() -> Vec<u8> {
    let extensions = [
        extension(0x0a0a, &[]),
        extension(0, &vector(2, &[&[0][..], &vector(2, b"www.example.org")].concat())),
        extension(10, &vector(2, &words(&[0x1a1a, 29, 23]))),
        extension(11, &vector(1, &[0])),
        extension(13, &vector(2, &words(&[0x0403, 0x0804]))),
        extension(16, &vector(2, &[vector(1, b"h2"), vector(1, b"http/1.1")].concat())),
        extension(43, &vector(1, &words(&[0x2a2a, 0x0304, 0x0303]))),
    ]
    .concat();
    let body = [
        &[3, 3][..],
        &[7; 32],
        &vector(1, &[1, 2]),
        &vector(2, &words(&[0x0a0a, 0x1301, 0xc02b])),
        &vector(1, &[0]),
        &vector(2, &extensions),
    ]
    .concat();
    handshake(1, &body)
}

fn server_hello(tls13: bool) -> Vec<u8> {
    let extensions = if tls13 { extension(43, &[3, 4]) } else { extension(16, &vector(2, &vector(1, b"h2"))) };
    handshake(2, &[&[3, 3][..], &[9; 32], &vector(1, &[5]), &[0xc0, 0x2b], &[0], &vector(2, &extensions)].concat())
}

/// A small certificate of its own making: `CN=a` says so of `C=US, CN=b`.
fn certificate() -> Vec<u8> {
    let der = |tag: u8, data: &[u8]| {
        let length = match data.len() {
            n @ 0..128 => vec![u8::try_from(n).unwrap()],
            n => vec![0x82, u8::try_from(n >> 8).unwrap(), u8::try_from(n & 255).unwrap()],
        };
        [&[tag][..], &length, data].concat()
    };
    let name = |attributes: &[(u8, &str)]| {
        let rdns: Vec<u8> = attributes
            .iter()
            .flat_map(|(oid, text)| der(0x31, &der(0x30, &[der(6, &[0x55, 4, *oid]), der(0x13, text.as_bytes())].concat())))
            .collect();
        der(0x30, &rdns)
    };
    let algorithm = der(0x30, &[der(6, &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 1, 0x0b]), der(5, &[])].concat());
    let key = der(0x30, &[algorithm.clone(), der(3, &[0, 1, 2, 3])].concat());
    let names = der(0x30, &[der(0x82, b"b.example"), der(0x87, &[192, 0, 2, 7])].concat());
    let extensions = der(0xa3, &der(0x30, &der(0x30, &[der(6, &[0x55, 0x1d, 0x11]), der(4, &names)].concat())));
    let tbs = [
        der(0xa0, &der(2, &[2])),
        der(2, &[0, 0x97, 0xe6]),
        algorithm.clone(),
        name(&[(3, "a")]),
        der(0x30, &[der(0x17, b"150212180727Z"), der(0x17, b"250209180727Z")].concat()),
        name(&[(6, "US"), (3, "b")]),
        key,
        extensions,
    ]
    .concat();
    der(0x30, &[der(0x30, &tbs), algorithm, der(3, &[0, 1])].concat())
}

/// The two sides of a conversation of version 1.2.
fn conversation() -> (Vec<u8>, Vec<u8>) {
    let chain = handshake(11, &vector(3, &vector(3, &certificate())));
    let client = [
        record(22, &client_hello()),
        record(22, &handshake(16, &[1; 70])),
        record(20, &[1]),
        record(22, &[0xff; 40]),
        record(23, &[0xee; 100]),
    ]
    .concat();
    let server = [
        record(22, &[server_hello(false), chain, handshake(14, &[])].concat()),
        record(20, &[1]),
        record(22, &[0xaa; 40]),
        record(23, b"x"),
    ]
    .concat();
    (client, server)
}

fn text(t: &dyn Transaction, b: Buffer, toward: Toward, index: usize) -> Option<String> {
    t.piece(b, toward, index, &mut Vec::new()).map(|p| String::from_utf8_lossy(p.bytes).into_owned())
}

fn event(t: &dyn Transaction) -> serde_json::Value {
    let mut out = Vec::new();
    t.describe(&mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn what_is_said_in_the_clear_is_read() {
    use Toward::{Client as C, Server as S};
    let (client, server) = conversation();
    let mut p = Tls::new(Fields { ja3: true, ja4: true, client_handshake: true, server_handshake: true });
    // The client's last record comes when the server has changed to encryption.
    let (early, late) = client.split_at(client.len() - 105);
    assert_eq!(p.feed(S, Input::Bytes(early)), Step::Going);
    assert_eq!(p.feed(C, Input::Bytes(&server[..server.len() - 6])), Step::Going);
    assert!(!p.done(S));
    assert_eq!(p.feed(S, Input::Bytes(late)), Step::Opaque);
    let t = p.get(0);
    assert!(t.done(S) && t.done(C));
    let expected = [
        (Buffer::TlsSni, S, 0, Some("www.example.org")),
        (Buffer::TlsAlpn, S, 1, Some("http/1.1")),
        (Buffer::TlsAlpn, C, 0, Some("h2")),
        (Buffer::TlsAlpn, C, 1, None),
        (Buffer::TlsCertSubject, C, 0, Some("C=US, CN=b")),
        (Buffer::TlsCertIssuer, C, 0, Some("CN=a")),
        (Buffer::TlsCertSerial, C, 0, Some("00:97:E6")),
        (Buffer::TlsCertSubject, S, 0, None),
        (Buffer::TlsSubjectAltName, C, 0, Some("b.example")),
        (Buffer::TlsSubjectAltName, C, 1, Some("192.0.2.7")),
        (Buffer::Ja3String, S, 0, Some("771,4865-49195,0-10-11-13-16-43,29-23,0")),
        (Buffer::Ja3sString, C, 0, Some("771,49195,16")),
        (Buffer::TlsSni, C, 0, None),
    ];
    for (b, side, i, want) in expected {
        assert_eq!(text(t, b, side, i).as_deref(), want, "{b:?} {side:?} {i}");
        assert!(t.ready(b, side));
    }
    let ja4 = text(t, Buffer::Ja4Hash, S, 0).unwrap();
    assert!(ja4.starts_with("t13d0206h2_"), "{ja4}");
    assert_eq!(t.seconds("notbefore", C), Some(1_423_764_447));
    assert_eq!(t.named("tls.version", "1.2"), Some(true));
    assert_eq!(t.named("ssl_state", "client_keyx"), Some(true));
    assert_eq!(t.quantity(Quantity::TlsChainLength, C, 0), Some(1));
    assert_eq!(t.events(), [""; 0]);
    let e = event(t);
    assert_eq!(e["notafter"], "2025-02-09T18:07:27");
    assert_eq!((&e["sni"], &e["version"]), (&serde_json::json!("www.example.org"), &serde_json::json!("TLS 1.2")));
    assert_eq!(e["ja4"], ja4);
    assert_eq!(e["client_handshake"]["ciphers"], serde_json::json!([0x0a0a, 0x1301, 0xc02b]));
}

#[test]
fn version_1_3_is_encrypted_after_the_hellos() {
    let mut p = Tls::new(Fields::default());
    p.feed(Toward::Server, Input::Bytes(&record(22, &client_hello())));
    let server = [record(22, &server_hello(true)), record(20, &[1]), record(23, &[0; 300])].concat();
    assert_eq!(p.feed(Toward::Client, Input::Bytes(&server)), Step::Going);
    assert_eq!(event(&p)["version"], "TLS 1.3");
    assert!(p.ready(Buffer::TlsCertSubject, Toward::Client));
    assert_eq!(p.feed(Toward::Server, Input::Bytes(&[record(20, &[1]), record(23, &[0; 50])].concat())), Step::Opaque);
}

/// The example of the JA4 description: a known hello has a known fingerprint.
#[test]
fn ja4_of_known_fields() {
    let h = Hello {
        version: 0x0303,
        supported: Some(0x0304),
        ciphers: vec![
            0x1301, 0x1302, 0x1303, 0xc02b, 0xc02f, 0xc02c, 0xc030, 0xcca9, 0xcca8, 0xc013, 0xc014, 0x009c, 0x009d, 0x002f, 0x0035,
        ],
        extensions: vec![0x1b, 0, 0x33, 0x10, 0x4469, 0x17, 0x2d, 0x0d, 5, 0x23, 0x12, 0x2b, 0xff01, 0x0b, 0x0a, 0x15],
        signatures: vec![0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601],
        alpn: vec![b"h2".to_vec()],
        ..Hello::default()
    };
    assert_eq!(fingerprint::ja4(&h, false), "t13d1516h2_8daaf6152771_e5627efa2ab1");
}

#[test]
fn the_older_form_is_read() {
    let body = [&[1, 3, 1, 0, 3, 0, 0, 0, 16][..], &[0, 0, 0x2f], &[5; 16]].concat();
    let bytes = [&[0x80, u8::try_from(body.len()).unwrap()][..], &body].concat();
    assert_eq!(looks_like(Toward::Server, &bytes), Some(true));
    let mut p = Tls::new(Fields::default());
    assert_eq!(p.feed(Toward::Server, Input::Bytes(&bytes)), Step::Going);
    assert_eq!(event(&p)["version"], "TLSv1");
    assert_eq!(p.feed(Toward::Server, Input::Bytes(&record(22, &handshake(16, &[0; 4])))), Step::Going);
    assert_eq!(p.named("ssl_state", "client_keyx"), Some(true));
}

#[test]
fn what_is_unusual_is_named() {
    let mut p = Tls::new(Fields::default());
    p.feed(Toward::Server, Input::Bytes(&record(22, &client_hello())));
    p.feed(Toward::Server, Input::Bytes(&record(24, &[1, 0x40, 0])));
    assert_eq!(p.feed(Toward::Server, Input::Bytes(&[0x99, 3, 3, 0, 1])), Step::Failed);
    assert_eq!(p.events(), ["tls.heartbeat_message", "tls.overflow_heartbeat_message", "tls.invalid_record_type"]);
    let mut p = Tls::new(Fields::default());
    p.feed(Toward::Client, Input::Bytes(&record(22, &handshake(11, &vector(3, &vector(3, b"none"))))));
    assert_eq!(p.events(), ["tls.invalid_certificate"]);
}

/// The worst input known: a message of the largest length that counts, a byte at a time, keeps no more than that.
#[test]
fn a_message_without_end_is_passed_over() {
    let mut p = Tls::new(Fields::default());
    p.feed(Toward::Server, Input::Bytes(&record(22, &[1, 0xff, 0xff, 0xff])));
    for _ in 0..100 {
        p.feed(Toward::Server, Input::Bytes(&record(22, &[0; 1 << 14])));
    }
    assert_eq!(p.events(), ["tls.handshake_invalid_length"]);
    assert!(p.client().is_none());
}

proptest! {
    #[test]
    fn cuts_change_nothing(cuts in proptest::collection::vec(1usize..60, 0..40)) {
        let (client, server) = conversation();
        let feed = |p: &mut Tls, side, bytes: &[u8]| {
            let mut rest = bytes;
            for c in &cuts {
                let (a, b) = rest.split_at((*c).min(rest.len()));
                p.feed(side, Input::Bytes(a));
                rest = b;
            }
            p.feed(side, Input::Bytes(rest));
        };
        let mut whole = Tls::new(Fields { ja3: true, ja4: true, client_handshake: true, server_handshake: true });
        whole.feed(Toward::Server, Input::Bytes(&client));
        whole.feed(Toward::Client, Input::Bytes(&server));
        let mut cut = Tls::new(Fields { ja3: true, ja4: true, client_handshake: true, server_handshake: true });
        feed(&mut cut, Toward::Server, &client);
        feed(&mut cut, Toward::Client, &server);
        prop_assert_eq!(event(&whole), event(&cut));
        prop_assert_eq!(whole.events(), cut.events());
    }

    #[test]
    fn anything_goes(parts in proptest::collection::vec((any::<bool>(), 20u8..25, proptest::collection::vec(any::<u8>(), 0..80)), 0..10)) {
        let mut p = Tls::new(Fields { ja3: true, ja4: true, client_handshake: true, server_handshake: true });
        for (up, kind, bytes) in parts {
            p.feed(if up { Toward::Server } else { Toward::Client }, Input::Bytes(&record(kind, &bytes)));
        }
        event(&p);
    }
}
