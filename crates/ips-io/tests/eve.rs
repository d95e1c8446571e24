//! From a capture to events, as lines of JSON.

use etherparse::PacketBuilder;
use ips_io::{config::Config, session::Session};
use ips_rules::{Set, Tables};
use serde_json::Value;
use std::io::Write;
use words::SourceFile;

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [192, 0, 2, 9];

/// A capture of one HTTP exchange.
fn capture() -> Vec<u8> {
    let mut out = [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1].map(u32::to_le_bytes).concat();
    let mut time = 0u32;
    let mut add = |from_client: bool, seq: u32, ack: u32, flags: &str, payload: &[u8]| {
        let (a, b, s, d) = if from_client { (CLIENT, SERVER, 40000, 80) } else { (SERVER, CLIENT, 80, 40000) };
        let mut tcp = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(a, b, 64).tcp(s, d, seq, 64240);
        for f in flags.chars() {
            tcp = match f {
                'S' => tcp.syn(),
                'F' => tcp.fin(),
                _ => tcp.ack(ack),
            };
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).expect("it is written");
        time += 1;
        out.extend([1_700_000_000, time, frame.len() as u32, frame.len() as u32].map(u32::to_le_bytes).concat());
        out.extend(frame);
    };
    let request = b"GET /evil HTTP/1.1\r\nHost: a.example\r\n\r\n";
    let answer = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
    let (c, s) = (11 + request.len() as u32, 91 + answer.len() as u32);
    add(true, 10, 0, "S", b"");
    add(false, 90, 11, "SA", b"");
    add(true, 11, 91, "A", b"");
    add(true, 11, 91, "A", request);
    add(false, 91, c, "A", answer);
    add(true, c, s, "A", b"");
    add(true, c, s, "FA", b"");
    add(false, s, c + 1, "FA", b"");
    add(true, c + 1, s + 1, "A", b"");
    out
}

fn events(rules: &str, settings: &[&str]) -> Vec<Value> {
    let dir = tempfile::tempdir().expect("there is room");
    let path = dir.path().join("x.pcap");
    std::fs::File::create(&path).and_then(|mut f| f.write_all(&capture())).expect("it is written");
    let mut tables = Tables::default();
    assert!(tables.take_classes(&SourceFile::new("c", "config classification: bad,Something bad,2")).is_empty());
    let mut config = Config::default();
    config.eve.take_classes(&tables);
    settings.iter().for_each(|s| config.set(s).expect("it reads"));
    let set = Set::read(&[SourceFile::new("r", rules)], &tables);
    let (mut session, refused) = Session::new(set.rules, set.rejected.len(), config, Vec::new());
    assert!(refused.is_empty());
    let counted = session.capture(&path, &mut |_| true).expect("it reads");
    assert_eq!((counted.frames, counted.cut), (9, false));
    let end = session.end().expect("it is written");
    assert_eq!(end.stats.frames, 9);
    let lines: Vec<Value> =
        end.to.split(|b| *b == b'\n').filter(|l| !l.is_empty()).map(|l| serde_json::from_slice(l).expect("it is JSON")).collect();
    assert_eq!(lines.len() as u64, end.events);
    lines
}

fn of<'a>(events: &'a [Value], kind: &str) -> &'a Value {
    events.iter().find(|e| e["event_type"] == kind).unwrap_or_else(|| panic!("no {kind} in {events:?}"))
}

const RULE: &str = r#"alert http any any -> any any (msg:"evil"; http.uri; content:"/evil"; classtype:bad; metadata:a b; sid:7; rev:3;)"#;

#[test]
fn an_exchange_is_told_as_the_ecosystem_reads_it() {
    let events = events(RULE, &["outputs.0.eve-log.community-id=yes", "outputs.0.eve-log.ethernet=yes"]);
    let alert = of(&events, "alert");
    assert_eq!(
        (&alert["src_ip"], &alert["dest_port"], &alert["proto"], &alert["tx_id"]),
        (&"10.0.0.1".into(), &80.into(), &"TCP".into(), &0.into())
    );
    let body = &alert["alert"];
    assert_eq!(
        (&body["signature_id"], &body["rev"], &body["category"], &body["severity"]),
        (&7.into(), &3.into(), &"Something bad".into(), &2.into())
    );
    assert_eq!((&body["action"], &body["metadata"]["a"][0]), (&"allowed".into(), &"b".into()));
    assert_eq!((&alert["http"]["url"], &alert["app_proto"], &alert["direction"]), (&"/evil".into(), &"http".into(), &"to_server".into()));
    assert_eq!(alert["ether"]["src_mac"], "02:00:00:00:00:01");
    let http = of(&events, "http");
    assert_eq!((&http["http"]["status"], &http["flow_id"], &http["src_ip"]), (&200.into(), &alert["flow_id"], &"10.0.0.1".into()));
    let flow = of(&events, "flow");
    assert_eq!(
        (&flow["flow"]["pkts_toserver"], &flow["flow"]["state"], &flow["flow"]["reason"]),
        (&6.into(), &"closed".into(), &"shutdown".into())
    );
    assert_eq!((&flow["tcp"]["tcp_flags"], &flow["flow"]["alerted"]), (&"13".into(), &true.into()));
    assert_eq!(flow["community_id"], alert["community_id"]);
    assert_eq!(of(&events, "stats")["stats"]["decoder"]["pkts"], 9);
}

#[test]
fn only_what_is_wanted_is_written() {
    let events = events(RULE, &["outputs.0.eve-log.types.0=alert", "outputs.0.eve-log.types.0.alert.payload=yes"]);
    assert!(!events.is_empty() && events.iter().all(|e| e["event_type"] == "alert" && e["payload"].is_string()), "{events:?}");
}

#[test]
fn where_packets_wait_drops_are_told() {
    let rule = RULE.replacen("alert", "drop", 1);
    let all = events(&rule, &[]);
    assert!(all.iter().all(|e| e["event_type"] != "drop"));
    assert_eq!(of(&all, "alert")["alert"]["action"], "allowed");
}
