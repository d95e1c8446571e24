use super::*;
use crate::trial::events;
use flate2::{Compression, write::GzEncoder};
use proptest::prelude::*;
use std::io::Write as _;

fn http2() -> Http2 {
    Http2::new(Arc::new(crate::Settings::new(false).http))
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let n = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&n[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Headers written out, without any table.
fn block(list: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    for (n, v) in list {
        out.push(0);
        for t in [n, v] {
            out.push(u8::try_from(t.len()).unwrap());
            out.extend_from_slice(t.as_bytes());
        }
    }
    out
}

fn client() -> Vec<u8> {
    let head = block(&[(":method", "POST"), (":path", "/a?b"), (":authority", "Ex.org:8443"), ("user-agent", "t"), ("cookie", "c=d")]);
    let (a, b) = head.split_at(20);
    [
        PREFACE,
        &frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]),
        &frame(WINDOW, 0, 0, &[0, 0, 0x80, 0]),
        &frame(HEADERS_FRAME, 0x20, 1, &[&[0, 0, 0, 0, 200][..], a].concat()),
        &frame(CONTINUATION, 4, 1, b),
        &frame(DATA, 9, 1, &[&[3][..], b"evil body", &[0; 3]].concat()),
    ]
    .concat()
}

fn server() -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(b"the answer").unwrap();
    let head = block(&[(":status", "200"), ("content-encoding", "gzip"), ("content-type", "text/html; x"), ("server", "s")]);
    [
        frame(SETTINGS, 0, 0, &[]),
        frame(HEADERS_FRAME, 4, 1, &head),
        frame(DATA, 1, 1, &gz.finish().unwrap()),
        frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 2]),
    ]
    .concat()
}

fn talk(cut: usize) -> Http2 {
    let mut p = http2();
    for (side, bytes) in [(Toward::Server, client()), (Toward::Client, server())] {
        for part in bytes.chunks(cut) {
            assert_eq!(p.feed(side, Input::Bytes(part)), Step::Going);
        }
    }
    p
}

fn text(t: &dyn Transaction, b: Buffer, toward: Toward, index: usize) -> Option<String> {
    t.piece(b, toward, index, &mut Vec::new()).map(|p| String::from_utf8_lossy(p.bytes).into_owned())
}

#[test]
fn a_stream_has_the_buffers_of_http() {
    use Toward::{Client as C, Server as S};
    let p = talk(10_000);
    let t = p.open.iter().find(|s| s.number == 1).unwrap();
    let expected = [
        (Buffer::HttpMethod, S, Some("POST")),
        (Buffer::HttpUri, S, Some("/a?b")),
        (Buffer::HttpHost, S, Some("ex.org")),
        (Buffer::HttpHostRaw, S, Some("Ex.org:8443")),
        (Buffer::HttpUserAgent, S, Some("t")),
        (Buffer::HttpCookie, S, Some("c=d")),
        (Buffer::HttpProtocol, S, Some("HTTP/2")),
        (Buffer::HttpRequestBody, S, Some("evil body")),
        (Buffer::HttpStatusCode, C, Some("200")),
        (Buffer::HttpServer, C, Some("s")),
        (Buffer::FileData, C, Some("the answer")),
        (Buffer::Http2HeaderName, S, Some(":method")),
    ];
    for (b, side, want) in expected {
        assert_eq!(text(t, b, side, 0).as_deref(), want, "{b:?}");
        assert!(t.ready(b, side), "{b:?}");
    }
    assert!(t.done(S) && t.done(C));
    assert_eq!(t.quantity(Quantity::Http2Priority, S, 0), Some(200));
    assert_eq!(t.named("http2.frametype", "HEADERS"), Some(true));
    assert_eq!(t.named("http2.frametype", "PING"), Some(false));
}

#[test]
fn frames_of_no_stream_are_told() {
    let p = talk(10_000);
    let e = events(&p);
    assert_eq!(
        e[0]["http2"]["request"]["settings"],
        serde_json::json!([{"settings_id": "SETTINGSINITIALWINDOWSIZE", "settings_value": 65535}])
    );
    let last = p.open.back().unwrap();
    assert_eq!(last.named("http2.errorcode", "INTERNAL_ERROR"), Some(true));
    assert_eq!(p.open[1].quantity(Quantity::Http2Window, Toward::Server, 0), Some(0x8000));
    assert_eq!(e.last().unwrap()["http2"]["response"]["error_code"], "INTERNALERROR");
}

#[test]
fn what_is_no_preface_fails() {
    assert_eq!(http2().feed(Toward::Server, Input::Bytes(b"PRI * HTTP/2.1")), Step::Failed);
}

proptest! {
    #[test]
    fn cuts_change_nothing(cut in 1usize..40) {
        let (a, b) = (talk(10_000), talk(cut));
        prop_assert_eq!(events(&a), events(&b));
        for (x, y) in a.open.iter().zip(b.open.iter()) {
            for side in [Toward::Server, Toward::Client] {
                prop_assert_eq!(text(x, Buffer::FileData, side, 0), text(y, Buffer::FileData, side, 0));
            }
        }
    }

    #[test]
    fn anything_goes(frames in proptest::collection::vec((any::<bool>(), 0u8..11, any::<u8>(), 0u32..3, proptest::collection::vec(any::<u8>(), 0..40)), 0..12)) {
        let mut p = http2();
        p.feed(Toward::Server, Input::Bytes(PREFACE));
        for (up, kind, flags, stream, payload) in frames {
            let side = if up { Toward::Server } else { Toward::Client };
            p.feed(side, Input::Bytes(&frame(kind, flags, stream, &payload)));
        }
        events(&p);
    }
}
