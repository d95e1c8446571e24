//! Applications over streams and datagrams, from bytes to alerts and events.

mod talk;

use ips_engine::{
    Output, Settings,
    flow::{Flow, Reason},
};
use ips_wire::Link;
use talk::{Talk, engine, inline};

#[test]
fn http_is_found_by_content_and_read() {
    let rules = r#"
        alert http any any -> any any (msg:"uri"; flow:established,to_server; http.uri; content:"/evil"; sid:1;)
        alert http any any -> any any (msg:"status"; flow:established,to_client; http.stat_code; content:"404"; sid:2;)
        alert http any any -> any any (msg:"never"; flow:established,to_server; http.uri; content:"/good"; sid:3;)
    "#;
    let mut t = Talk { ports: [40000, 9999], ..Talk::default() };
    t.handshake();
    t.say(0, b"GET /ev");
    t.say(0, b"il HTTP/1.1\r\nHost: a.example\r\n\r\n");
    t.say(1, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
    t.say(0, b"GET /next HTTP/1.1\r\nHost: a.example\r\n\r\n");
    t.say(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
    t.close();
    let mut e = engine(rules, Settings::default());
    let mut told = t.told(&mut e);
    told.alerts.sort_unstable();
    assert_eq!(told.alerts, [1, 2]);
    assert_eq!(told.transactions.len(), 2, "{told:?}");
    assert!(told.transactions[0].contains("/evil") && told.transactions[1].contains("/next"));
    assert!(e.stats().inspected > 0);
}

#[test]
fn dns_over_udp_is_read() {
    let rules = r#"alert dns any any -> any any (msg:"name"; dns.query; content:"evil.example"; sid:1;)"#;
    let query = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x04evil\x07example\x00\x00\x01\x00\x01";
    let mut frame = Vec::new();
    etherparse::PacketBuilder::ipv4([10, 0, 0, 1], [192, 0, 2, 9], 64).udp(5000, 53).write(&mut frame, query).expect("it is written");
    let t = Talk { frames: vec![(1, frame)], ..Talk::default() };
    let told = t.with(rules);
    assert_eq!(told.alerts, [1]);
    assert_eq!((told.transactions.len(), told.flows[0].0.as_str()), (1, "new"));
}

/// How many transactions a flow holds at its end.
#[derive(Default)]
struct Held(usize);

impl Output for Held {
    fn flow(&mut self, flow: &Flow, _: Reason) {
        self.0 += flow.app.conversations.iter().map(|c| c.kept.len()).sum::<usize>();
    }
}

#[test]
fn a_kept_connection_holds_no_transaction_that_is_over() {
    let rules = r#"alert http any any -> any any (msg:"uri"; flow:established,to_server; http.uri; content:"/evil"; sid:1;)"#;
    for settings in [Settings::default(), inline()] {
        let mut t = Talk::open();
        // Each packet brings something: no acknowledgement goes by itself.
        for _ in 0..200 {
            t.send(0, b"GET /good HTTP/1.1\r\nHost: a.example\r\n\r\n");
            t.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        }
        t.send(0, b"GET /evil HTTP/1.1\r\nHost: a.example\r\n\r\n");
        t.send(1, b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
        let mut held = Held::default();
        let mut e = engine(rules, settings.clone());
        for (time, frame) in &t.frames {
            let _ = e.frame(Link::Raw, *time, frame, &mut held);
        }
        e.finish(&mut held);
        assert!(held.0 <= 3, "{} transactions held, inline {}", held.0, settings.stream.inline);
        let told = t.told(&mut engine(rules, settings));
        assert_eq!((told.alerts, told.transactions.len()), (vec![1], 201));
    }
}
