//! Conversations of every application: the input says which, how its bytes are cut, and which way each piece goes.
#![no_main]

use ips_proto::{Input, Parsers, Ports, Settings, Step, Toward, Transport, identify};
use ips_rules::{buffer::BUFFERS, header::App};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

static PARSERS: LazyLock<Parsers> = LazyLock::new(|| Parsers::new(Settings::new(true)));

const APPS: [App; 13] =
    [App::Http1, App::Dns, App::Tls, App::Smtp, App::Ftp, App::Ssh, App::Websocket, App::Quic, App::Http2, App::Dcerpc, App::Smb, App::Sip, App::Mqtt];

fuzz_target!(|data: &[u8]| {
    let [app, rest @ ..] = data else { return };
    let transport = if app & 0x80 != 0 { Transport::Udp } else { Transport::Tcp };
    let ports = Ports { client: 40000, server: 53 };
    for toward in [Toward::Server, Toward::Client] {
        let _ = identify(transport, toward, rest, ports);
    }
    let Some(mut parser) = PARSERS.start(APPS[usize::from(app & 0x7f) % APPS.len()], transport) else { return };
    let mut rest = rest;
    // A byte says the direction and how long the piece is that follows; 0 is a gap, 127 the end.
    while let [head, tail @ ..] = rest {
        let toward = if head & 0x80 != 0 { Toward::Client } else { Toward::Server };
        let (input, behind) = match head & 0x7f {
            0 => (Input::Gap(7), tail),
            127 => (Input::End, tail),
            n => {
                let (a, b) = tail.split_at(usize::from(n).min(tail.len()));
                (Input::Bytes(a), b)
            }
        };
        rest = behind;
        let step = parser.feed(toward, input);
        let mut out = Vec::new();
        for i in 0..parser.count() {
            let t = parser.get(i);
            for row in BUFFERS {
                for index in 0..2 {
                    let mut scratch = Vec::new();
                    let _ = t.piece(row.id, toward, index, &mut scratch).map(|p| p.bytes.len());
                }
                let _ = t.ready(row.id, toward);
            }
            out.clear();
            out.push(b'{');
            out.extend_from_slice(b"\"x\":");
            t.describe(&mut out);
            t.beside(&mut out);
            out.push(b'}');
            assert!(serde_json::from_slice::<serde_json::Value>(&out).is_ok());
        }
        parser.looked(toward);
        while parser.count() > 0 && parser.get(0).done(Toward::Server) && parser.get(0).done(Toward::Client) {
            parser.forget(1);
        }
        if step != Step::Going {
            break;
        }
    }
});
