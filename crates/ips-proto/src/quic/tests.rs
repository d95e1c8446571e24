use super::*;
use proptest::prelude::*;

const V1: [u8; 4] = [0, 0, 0, 1];
const V2: [u8; 4] = [0x6b, 0x33, 0x43, 0xcf];
const NAME: &str = "www.example.org";

fn extension(kind: u16, data: &[u8]) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

fn client_hello() -> Vec<u8> {
    let n = u8::try_from(NAME.len()).unwrap();
    let extensions = [
        extension(0, &[&[0, n + 3, 0, 0, n][..], NAME.as_bytes()].concat()),
        extension(16, &[0, 3, 2, b'h', b'3']),
        extension(43, &[2, 3, 4]),
    ]
    .concat();
    let length = u16::try_from(extensions.len()).unwrap().to_be_bytes();
    let body = [&[3, 3][..], &[7; 32], &[0, 0, 2, 0x13, 1, 1, 0], &length, &extensions].concat();
    [&[1, 0][..], &u16::try_from(body.len()).unwrap().to_be_bytes(), &body].concat()
}

fn server_hello() -> Vec<u8> {
    let body = [&[3, 3][..], &[9; 32], &[0, 0x13, 1, 0, 0, 6], &extension(43, &[3, 4])].concat();
    [&[2, 0, 0, u8::try_from(body.len()).unwrap()][..], &body].concat()
}

/// A frame that carries a part of the handshake.
fn crypto(offset: usize, data: &[u8]) -> Vec<u8> {
    let two = |n: usize| (0x4000 | u16::try_from(n).unwrap()).to_be_bytes();
    [&[6][..], &two(offset), &two(data.len()), data].concat()
}

fn initial(version: [u8; 4], server: bool, original: &[u8], destination: &[u8], number: u8, frames: &[u8]) -> Vec<u8> {
    let v = Version::of(u32::from_be_bytes(version)).unwrap();
    let keys = Keys::derive(&v, original, server).unwrap();
    let data = [frames, &[0; 40]].concat();
    let length = (0x4000 | u16::try_from(data.len() + 1 + 16).unwrap()).to_be_bytes();
    let mut header = [&[0xc0 | v.initial << 4][..], &version, &[u8::try_from(destination.len()).unwrap()], destination, &[0, 0]].concat();
    header.extend(length);
    let at = header.len();
    header.push(number);
    keys.close(&header, at, number.into(), &data)
}

fn event(t: &dyn Transaction) -> serde_json::Value {
    let mut out = Vec::new();
    t.describe(&mut out);
    serde_json::from_slice(&out).unwrap()
}

#[test]
fn a_packet_opens_with_its_own_keys_only() {
    let id = [0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08];
    let p = initial(V1, false, &id, &id, 2, &crypto(0, &client_hello()));
    let parsed = packet(&p).unwrap();
    let (body, at) = parsed.body.unwrap();
    let v = Version::of(1).unwrap();
    assert!(Keys::derive(&v, &id, false).unwrap().open(body, at).is_some());
    assert!(Keys::derive(&v, &id, true).unwrap().open(body, at).is_none());
    assert!(Keys::derive(&v, &[0; 8], false).unwrap().open(body, at).is_none());
}

#[test]
fn the_header_of_the_rfc_is_read() {
    // The protected header of RFC 9001, A.2.
    let header = [0xc0, 0, 0, 0, 1, 8, 0x83, 0x94, 0xc8, 0xf0, 0x3e, 0x51, 0x57, 0x08, 0, 0, 0x44, 0x9e, 0x7b, 0x9a, 0xec, 0x34];
    assert_eq!(packet(&[&header[..], &[0; 1180]].concat()).unwrap().body.unwrap().1, 18);
}

#[test]
fn hellos_of_both_sides() {
    for version in [V1, V2] {
        let mut p = Quic::default();
        let hello = client_hello();
        let (a, b) = hello.split_at(30);
        // The second part comes first, in a packet of its own.
        p.feed(Toward::Server, Input::Bytes(&initial(version, false, b"12345678", b"12345678", 0, &crypto(30, b))));
        assert_eq!(p.count(), 0);
        p.feed(Toward::Server, Input::Bytes(&initial(version, false, b"12345678", b"12345678", 1, &crypto(0, a))));
        assert_eq!(p.count(), 1);
        let ack = [&[2, 0, 0, 0, 0][..], &crypto(0, &server_hello())].concat();
        assert_eq!(p.feed(Toward::Client, Input::Bytes(&initial(version, true, b"12345678", b"", 0, &ack))), Step::Opaque);
        assert_eq!(p.count(), 2);
        let t = p.get(0);
        assert_eq!(t.piece(Buffer::QuicSni, Toward::Server, 0, &mut Vec::new()).unwrap().bytes, NAME.as_bytes());
        assert_eq!(t.piece(Buffer::QuicVersion, Toward::Server, 0, &mut Vec::new()).unwrap().bytes, version);
        assert!(t.piece(Buffer::QuicSni, Toward::Client, 0, &mut Vec::new()).is_none());
        let e = event(t);
        assert!(e["ja4"].as_str().unwrap().starts_with("q13d0103h3_"), "{e}");
        assert_eq!(e["extensions"][1], serde_json::json!({"name": "alpn", "type": 16, "values": ["h3"]}));
        assert_eq!(event(p.get(1))["ja3s"]["string"], "771,4865,43");
    }
}

#[test]
fn a_retry_begins_again() {
    let mut p = Quic::default();
    p.feed(Toward::Server, Input::Bytes(&initial(V1, false, b"first id", b"first id", 0, &crypto(0, &client_hello()))));
    p.feed(Toward::Client, Input::Bytes(&[&[0xf0][..], &V1, &[0, 2, 1, 2], &[0; 40]].concat()));
    p.feed(Toward::Server, Input::Bytes(&initial(V1, false, b"second", b"second", 1, &crypto(0, &client_hello()))));
    assert_eq!(p.count(), 2);
}

#[test]
fn what_cannot_be_opened_ends() {
    let mut p = Quic::default();
    let noise = [&[0xc0][..], &V1, &[8, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0x41, 0], &[0x55; 256]].concat();
    let steps: Vec<Step> = (0..40).map(|_| p.feed(Toward::Server, Input::Bytes(&noise))).collect();
    assert_eq!((p.count(), steps[39]), (0, Step::Opaque));
}

proptest! {
    /// Pieces of a hello in any order and with overlaps give the same.
    #[test]
    fn order_changes_nothing(cuts in proptest::collection::vec(1usize..40, 1..8), seed in any::<u64>()) {
        let hello = client_hello();
        let mut pieces = Vec::new();
        let mut at = 0;
        for c in cuts.into_iter().chain([1000]) {
            let to = (at + c).min(hello.len());
            pieces.push((at, &hello[at..(to + 3).min(hello.len())]));
            at = to;
        }
        let n = pieces.len();
        pieces.rotate_left(usize::try_from(seed % n as u64).unwrap());
        let mut p = Quic::default();
        for (i, (offset, piece)) in pieces.into_iter().enumerate().filter(|(_, (_, p))| !p.is_empty()) {
            p.feed(Toward::Server, Input::Bytes(&initial(V1, false, b"12345678", b"12345678", u8::try_from(i).unwrap(), &crypto(offset, piece))));
        }
        prop_assert_eq!(p.count(), 1);
        let e = event(p.get(0));
        prop_assert_eq!(&e["sni"], NAME);
    }

    #[test]
    fn anything_goes(mut bytes in proptest::collection::vec(any::<u8>(), 0..100), v1: bool) {
        if v1 && bytes.len() > 5 {
            bytes[0] |= 0xc0;
            bytes[1..5].copy_from_slice(&V1);
        }
        let mut p = Quic::default();
        p.feed(Toward::Server, Input::Bytes(&bytes));
        p.feed(Toward::Client, Input::Bytes(&bytes));
        let mut side = Side::default();
        side.frames(&bytes);
        side.message();
    }
}
