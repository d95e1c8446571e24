use super::*;
use crate::transaction::{FileState, Transaction};
use flate2::{Compression, write::GzEncoder};
use ips_rules::buffer::Buffer;
use proptest::prelude::*;
use std::io::Write as _;

fn http() -> Http {
    Http::new(&Config::new(&settings::Settings::new(false).http))
}

fn buffer(t: &dyn Transaction, b: Buffer, toward: Toward) -> Option<String> {
    let mut scratch = Vec::new();
    t.piece(b, toward, 0, &mut scratch).map(|p| String::from_utf8_lossy(p.bytes).into_owned())
}

fn event(t: &dyn Transaction) -> serde_json::Value {
    let mut out = Vec::new();
    t.describe(&mut out);
    serde_json::from_slice(&out).unwrap()
}

const REQUEST: &[u8] =
    b"GET /a/../b%20c//d?x=%41+1 HTTP/1.1\r\nHost: Example.COM:8080\r\nUser-Agent: t\r\nCookie: k=v\r\nX-One:   two\r\n\r\n";
const ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Type: text/html; charset=x\r\nContent-Length: 5\r\nSet-Cookie: a=b\r\n\r\nhello";

#[test]
fn every_buffer_of_a_plain_exchange() {
    use Buffer as B;
    use Toward::{Client as C, Server as S};
    let mut p = http();
    assert_eq!(p.feed(S, Input::Bytes(REQUEST)), Step::Going);
    assert_eq!(p.feed(C, Input::Bytes(ANSWER)), Step::Going);
    assert_eq!(p.count(), 1);
    let t = p.get(0);
    assert!(t.done(S) && t.done(C));
    let expected = [
        (B::HttpUri, S, Some("/b c/d?x=A+1")),
        (B::HttpUriRaw, S, Some("/a/../b%20c//d?x=%41+1")),
        (B::HttpMethod, S, Some("GET")),
        (B::HttpRequestLine, S, Some("GET /a/../b%20c//d?x=%41+1 HTTP/1.1")),
        (B::HttpProtocol, S, Some("HTTP/1.1")),
        (B::HttpHost, S, Some("example.com")),
        (B::HttpHostRaw, S, Some("Example.COM:8080")),
        (B::HttpUserAgent, S, Some("t")),
        (B::HttpCookie, S, Some("k=v")),
        (B::HttpHeader, S, Some("Host: Example.COM:8080\r\nUser-Agent: t\r\nX-One: two\r\n")),
        (B::HttpHeaderRaw, S, Some("Host: Example.COM:8080\r\nUser-Agent: t\r\nCookie: k=v\r\nX-One:   two\r\n\r\n")),
        (B::HttpHeaderNames, S, Some("\r\nHost\r\nUser-Agent\r\nCookie\r\nX-One\r\n\r\n")),
        (
            B::HttpStart,
            S,
            Some("GET /a/../b%20c//d?x=%41+1 HTTP/1.1\r\nHost: Example.COM:8080\r\nUser-Agent: t\r\nCookie: k=v\r\nX-One: two\r\n\r\n"),
        ),
        (B::HttpRequestHeader, S, Some("Host: Example.COM:8080")),
        (B::HttpRequestBody, S, None),
        (B::HttpAccept, S, None),
        (B::HttpResponseLine, C, Some("HTTP/1.1 200 OK")),
        (B::HttpStatusCode, C, Some("200")),
        (B::HttpStatusMessage, C, Some("OK")),
        (B::HttpServer, C, Some("s")),
        (B::HttpCookie, C, Some("a=b")),
        (B::HttpContentLength, C, Some("5")),
        (B::HttpContentType, C, Some("text/html; charset=x")),
        (B::HttpHeader, C, Some("Server: s\r\nContent-Type: text/html; charset=x\r\nContent-Length: 5\r\n")),
        (B::HttpResponseBody, C, Some("hello")),
        (B::FileData, C, Some("hello")),
        (B::FileName, C, Some("/b c/d")),
        (B::HttpUri, C, None),
        (B::HttpServer, S, None),
    ];
    for (b, side, want) in expected {
        assert_eq!(buffer(t, b, side).as_deref(), want, "{b:?} {side:?}");
        assert!(t.ready(b, side), "{b:?} {side:?}");
    }
    assert_eq!(
        event(t),
        serde_json::json!({"hostname": "example.com", "http_port": 8080, "url": "/a/../b%20c//d?x=%41+1", "http_user_agent": "t",
            "http_content_type": "text/html", "http_method": "GET", "protocol": "HTTP/1.1", "status": 200, "length": 5})
    );
}

#[test]
fn chunks_and_gzip_are_undone() {
    let mut gz = GzEncoder::new(Vec::new(), Compression::default());
    gz.write_all(b"needle in a haystack").unwrap();
    let gz = gz.finish().unwrap();
    let mut answer = b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n".to_vec();
    for part in gz.chunks(7) {
        answer.extend(format!("{:x}\r\n", part.len()).into_bytes());
        answer.extend_from_slice(part);
        answer.extend_from_slice(b"\r\n");
    }
    answer.extend_from_slice(b"0\r\n\r\n");
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"));
    p.feed(Toward::Client, Input::Bytes(&answer));
    assert_eq!(buffer(p.get(0), Buffer::HttpResponseBody, Toward::Client).unwrap(), "needle in a haystack");
    assert!(p.get(0).done(Toward::Client));
}

#[test]
fn pipelined_requests_are_exchanges_of_their_own() {
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(&REQUEST.repeat(3)));
    assert_eq!(p.count(), 3);
    p.feed(Toward::Client, Input::Bytes(&ANSWER.repeat(3)));
    assert_eq!((0..3).map(|i| p.get(i).id()).collect::<Vec<_>>(), [0, 1, 2]);
    assert!((0..3).all(|i| p.get(i).done(Toward::Client)));
    p.forget(2);
    assert_eq!((p.count(), p.get(0).id()), (1, 2));
    p.forget(1);
    p.feed(Toward::Server, Input::Bytes(REQUEST));
    p.feed(Toward::Client, Input::Bytes(ANSWER));
    assert_eq!((p.count(), p.get(0).id()), (1, 3));
}

#[test]
fn connect_and_upgrades_become_something_else() {
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"));
    assert_eq!(p.feed(Toward::Client, Input::Bytes(b"HTTP/1.1 200 OK\r\n\r\n")), Step::Becomes(None, 0));
    assert_eq!(event(p.get(0))["http_method"], "CONNECT");
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(b"GET /w HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"));
    let step = p.feed(Toward::Client, Input::Bytes(b"HTTP/1.1 101 Switching\r\nUpgrade: WebSocket\r\n\r\n\x81\x01a"));
    assert_eq!(step, Step::Becomes(Some(App::Websocket), 3));
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n"));
    assert_eq!(p.feed(Toward::Client, Input::Bytes(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n")), Step::Going);
}

#[test]
fn what_waits_for_an_answer_is_read_once_it_comes() {
    let mut p = http();
    let refused = b"CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n";
    for b in [&refused[..], REQUEST].concat() {
        assert_eq!(p.feed(Toward::Server, Input::Bytes(&[b])), Step::Going);
    }
    assert_eq!(p.count(), 1, "what follows CONNECT waits");
    p.feed(Toward::Client, Input::Bytes(b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"));
    assert_eq!(p.count(), 2);
    assert_eq!(buffer(p.get(1), Buffer::HttpMethod, Toward::Server).as_deref(), Some("GET"));
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(refused));
    let steps: Vec<Step> = (0..40).map(|_| p.feed(Toward::Server, Input::Bytes(&[b'x'; 10_000]))).collect();
    assert_eq!(steps[39], Step::Failed, "and is bounded");
}

#[test]
fn files_of_a_form() {
    let body = b"--B\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nplain\r\n--B\r\nContent-Disposition: form-data; name=\"f\"; \
        filename=\"x;y.exe\"\r\nContent-Type: t\r\n\r\nMZ\r\n--not\r\n--B\r\nContent-Disposition: form-data; filename=z\r\n\r\n\r\n--B--\r\n";
    let head =
        format!("POST /up HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=B\r\nContent-Length: {}\r\n\r\n", body.len());
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(head.as_bytes()));
    for b in body {
        p.feed(Toward::Server, Input::Bytes(&[*b]));
    }
    let t = p.get(0);
    let f = t.file(Toward::Server, 0).unwrap();
    assert_eq!((f.name, f.size, f.state), (&b"x;y.exe"[..], 9, FileState::Closed));
    assert_eq!(buffer(t, Buffer::FileData, Toward::Server).unwrap(), "MZ\r\n--not");
    assert_eq!(t.file(Toward::Server, 1).unwrap().size, 0);
    assert!(t.file(Toward::Server, 2).is_none());
    assert_eq!(buffer(t, Buffer::HttpRequestBody, Toward::Server).unwrap().len(), body.len());
}

#[test]
fn what_is_unusual_is_named() {
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(b"GET /a HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx"));
    let e = p.get(0).events();
    assert!(e.contains(&"http.duplicate_content_length_field_in_request"), "{e:?}");
    assert!(e.contains(&"http.missing_host_header"), "{e:?}");
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(REQUEST));
    assert_eq!(p.get(0).events(), [""; 0]);
}

#[test]
fn a_body_over_the_limit_is_cut() {
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(REQUEST));
    p.feed(Toward::Client, Input::Bytes(b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"));
    for _ in 0..20 {
        p.feed(Toward::Client, Input::Bytes(&[b'a'; 10_000]));
        p.looked(Toward::Client);
    }
    let f = p.get(0).file(Toward::Client, 0).unwrap();
    assert_eq!((f.size, f.state), (102_400, FileState::Truncated));
    assert!(p.get(0).done(Toward::Client));
}

#[test]
fn the_end_of_the_conversation_ends_exchanges() {
    let mut p = http();
    p.feed(Toward::Server, Input::Bytes(REQUEST));
    p.feed(Toward::Client, Input::Bytes(b"HTTP/1.0 200 OK\r\n\r\nuntil the end"));
    assert!(!p.get(0).done(Toward::Client));
    p.feed(Toward::Server, Input::End);
    p.feed(Toward::Client, Input::End);
    assert!(p.get(0).done(Toward::Client));
    assert_eq!(buffer(p.get(0), Buffer::FileData, Toward::Client).unwrap(), "until the end");
    assert_eq!(p.get(0).file(Toward::Client, 0).unwrap().state, FileState::Closed);
}

fn all(p: &Http) -> Vec<String> {
    let mut out = Vec::new();
    for i in 0..p.count() {
        let t = p.get(i);
        out.push(event(t).to_string());
        for row in ips_rules::buffer::BUFFERS {
            for side in [Toward::Server, Toward::Client] {
                for index in 0..if row.multi { 3 } else { 1 } {
                    let mut scratch = Vec::new();
                    out.extend(t.piece(row.id, side, index, &mut scratch).map(|p| format!("{:?} {side:?} {:?}", row.id, p.bytes)));
                }
            }
        }
    }
    out
}

proptest! {
    /// However the bytes are cut, the exchanges are the same.
    #[test]
    fn cuts_change_nothing(cuts in proptest::collection::vec(1usize..40, 0..30)) {
        let form = b"POST /u HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nContent-Type: multipart/form-data; boundary=b\r\n\r\n\
            40\r\n--b\r\nContent-Disposition: form-data; filename=\"q\"\r\n\r\nfile conten\r\n7\r\nts\r\n--b\r\n2\r\n--\r\n0\r\n\r\n";
        let requests = [REQUEST, form, REQUEST].concat();
        let answers = ANSWER.repeat(3);
        let mut whole = http();
        whole.feed(Toward::Server, Input::Bytes(&requests));
        whole.feed(Toward::Client, Input::Bytes(&answers));
        let mut cut = http();
        for (side, bytes) in [(Toward::Server, &requests), (Toward::Client, &answers)] {
            let mut rest = &bytes[..];
            for c in &cuts {
                let (a, b) = rest.split_at((*c).min(rest.len()));
                cut.feed(side, Input::Bytes(a));
                rest = b;
            }
            cut.feed(side, Input::Bytes(rest));
        }
        prop_assert_eq!(all(&whole), all(&cut));
    }

    /// Nothing that comes makes it panic, and what is kept stays bounded.
    #[test]
    fn anything_goes(parts in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..60)), 0..20)) {
        let mut p = http();
        for (up, bytes) in &parts {
            let side = if *up { Toward::Server } else { Toward::Client };
            p.feed(side, Input::Bytes(bytes));
        }
        p.feed(Toward::Server, Input::End);
        p.feed(Toward::Client, Input::End);
        let _ = all(&p);
    }
}
