use super::*;
use proptest::prelude::*;

/// Bytes of a message: header, then what follows.
fn message(flags: u16, counts: [u16; 4], rest: &[u8]) -> Vec<u8> {
    let mut out = vec![0x12, 0x34];
    out.extend(flags.to_be_bytes());
    for c in counts {
        out.extend(c.to_be_bytes());
    }
    out.extend_from_slice(rest);
    out
}

fn name(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in text.split('.') {
        out.push(u8::try_from(label.len()).unwrap());
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}

fn record(owner: &[u8], kind: u16, data: &[u8]) -> Vec<u8> {
    [owner, &kind.to_be_bytes(), &[0, 1, 0, 0, 1, 0], &u16::try_from(data.len()).unwrap().to_be_bytes(), data].concat()
}

fn question() -> Vec<u8> {
    [name("www.Example.org"), vec![0, 1, 0, 1]].concat()
}

/// An answer with one record of each kind that is read.
fn answer() -> Vec<u8> {
    let back: &[u8] = &[0xc0, 12];
    let soa = [back, &name("m.x")[..], &[0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5]].concat();
    let records = [
        record(back, 5, &name("c.org")),
        record(back, 1, &[192, 0, 2, 1]),
        record(back, 28, &[0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]),
        record(back, 16, b"\x02ab\x01c"),
        record(back, 33, &[&[0, 1, 0, 2, 0, 3][..], back].concat()),
        record(back, 44, &[1, 2, 0xaa, 0xbb]),
        record(back, 6, &soa),
        record(&[0], 41, &[]),
    ]
    .concat();
    message(0x8183, [1, 6, 1, 1], &[question(), records].concat())
}

fn event(t: &dyn Transaction) -> serde_json::Value {
    let mut out = Vec::new();
    t.describe(&mut out);
    serde_json::from_slice(&out).unwrap()
}

fn names(t: &dyn Transaction, b: Buffer, toward: Toward) -> Vec<String> {
    (0..).map_while(|i| t.piece(b, toward, i, &mut Vec::new()).map(|p| String::from_utf8_lossy(p.bytes).into_owned())).collect()
}

fn udp(form: Form) -> Dns {
    Dns::new(App::Dns, false, form)
}

#[test]
fn a_query_and_its_answer_are_two_transactions() {
    let mut p = udp(Form::Three);
    p.feed(Toward::Server, Input::Bytes(&message(0x0100, [1, 0, 0, 0], &question())));
    p.feed(Toward::Client, Input::Bytes(&answer()));
    assert_eq!(p.count(), 2);
    let (q, a) = (p.get(0), p.get(1));
    assert_eq!(names(q, Buffer::DnsQuery, Toward::Server), ["www.Example.org"]);
    assert!(names(q, Buffer::DnsQuery, Toward::Client).is_empty());
    assert!(names(a, Buffer::DnsQuery, Toward::Client).is_empty());
    assert_eq!(names(a, Buffer::DnsQueryName, Toward::Client), ["www.Example.org"]);
    assert_eq!(names(a, Buffer::DnsAnswerName, Toward::Client).len(), 7);
    assert_eq!(names(a, Buffer::DnsAuthorityName, Toward::Client), ["www.Example.org"]);
    assert_eq!(names(a, Buffer::DnsAdditionalName, Toward::Client), [""]);
    // The question, nine records, and the names that three of them point at.
    assert_eq!(names(a, Buffer::DnsResponseName, Toward::Client).len(), 13);
    assert_eq!(a.quantity(Quantity::DnsRcode, Toward::Client, 0), Some(3));
    assert_eq!(a.quantity(Quantity::DnsRrtype, Toward::Client, 1), Some(5));
    assert_eq!(q.quantity(Quantity::DnsRcode, Toward::Client, 0), None);
}

#[test]
fn events_in_both_forms() {
    let query = message(0x0100, [1, 0, 0, 0], &question());
    let mut p = udp(Form::Three);
    p.feed(Toward::Server, Input::Bytes(&query));
    p.feed(Toward::Client, Input::Bytes(&answer()));
    assert_eq!(
        event(p.get(0)),
        serde_json::json!({"version": 3, "type": "request", "tx_id": 0, "id": 0x1234, "flags": "100", "rd": true, "rcode": "NOERROR",
            "opcode": 0, "queries": [{"rrname": "www.Example.org", "rrtype": "A"}]})
    );
    let a = event(p.get(1));
    assert_eq!((&a["rcode"], &a["type"]), (&serde_json::json!("NXDOMAIN"), &serde_json::json!("response")));
    assert_eq!(a["answers"][1]["rdata"], "192.0.2.1");
    assert_eq!(a["grouped"]["TXT"], serde_json::json!(["ab", "c"]));
    assert_eq!(a["grouped"]["SRV"], serde_json::json!([{"priority": 1, "weight": 2, "port": 3, "name": "www.Example.org"}]));
    assert_eq!(a["answers"][6]["sshfp"], serde_json::json!({"fingerprint": "aa:bb", "algo": 1, "type": 2}));
    assert_eq!(a["authorities"][0]["soa"]["mname"], "www.Example.org");
    assert_eq!(a["authorities"][0]["soa"]["minimum"], 5);
    let mut p = udp(Form::Two);
    p.feed(Toward::Server, Input::Bytes(&query));
    p.feed(Toward::Client, Input::Bytes(&answer()));
    assert_eq!(
        event(p.get(0)),
        serde_json::json!({"type": "query", "id": 0x1234, "rrname": "www.Example.org", "rrtype": "A", "tx_id": 0, "opcode": 0})
    );
    assert_eq!(event(p.get(1))["type"], "answer");
}

#[test]
fn what_is_unusual_is_named() {
    let mut p = udp(Form::Three);
    p.feed(Toward::Server, Input::Bytes(&message(0x4940, [1, 0, 0, 0], &question())));
    p.feed(Toward::Server, Input::Bytes(&answer()));
    p.feed(Toward::Client, Input::Bytes(&message(0, [1, 0, 0, 0], &question())));
    p.feed(Toward::Server, Input::Bytes(b"\0\x01\x02"));
    assert_eq!(p.count(), 1);
    assert_eq!(
        p.get(0).events(),
        ["dns.z_flag_set", "dns.invalid_opcode", "dns.not_a_request", "dns.not_a_response", "dns.malformed_data"]
    );
}

#[test]
fn pointers_in_a_ring_end() {
    let ring = message(0x0100, [1, 0, 0, 0], &[0xc0, 14, 0xc0, 12, 0, 1, 0, 1]);
    let m = Message::read(&ring).unwrap();
    assert_eq!(m.events, ["dns.infinite_loop"]);
}

/// The worst input known: as many records as fit, each with a name of a long chain of pointers.
#[test]
fn work_is_bounded_by_length() {
    let mut rest = Vec::new();
    // A chain of 250 pointers, each to the one before.
    rest.extend_from_slice(&[1, b'a', 0]);
    for i in 0..250u16 {
        let to = if i == 0 { 12 } else { 15 + 2 * (i - 1) };
        rest.extend((0xc000 | to).to_be_bytes());
    }
    let last = 15 + 2 * 249u16;
    // The chain is hidden in the data of a first record.
    let chain = record(&[0], 65, &rest[3..]);
    let mut all = [&[0u8][..], &chain[1..]].concat();
    let pointer = (0xc000 | (last + 8)).to_be_bytes();
    for _ in 0..4000 {
        all.extend(record(&pointer, 1, &[1, 2, 3, 4]));
    }
    let m = message(0x8180, [0, 4001, 0, 0], &all);
    let (read, steps) = Message::counted(&m).unwrap();
    assert!(steps <= message::STEPS * m.len() + 64 + 1024 * 2, "{steps} steps over {} bytes", m.len());
    assert!(read.events.contains(&"dns.too_many_answers"));
}

proptest! {
    /// A stream cut anywhere gives the same messages.
    #[test]
    fn cuts_change_nothing(cuts in proptest::collection::vec(1usize..50, 0..20)) {
        let framed = |m: Vec<u8>| [&u16::try_from(m.len()).unwrap().to_be_bytes()[..], &m].concat();
        let bytes = [framed(message(0x0100, [1, 0, 0, 0], &question())), framed(message(0x0140, [1, 0, 0, 0], &question()))].concat();
        let mut p = Dns::new(App::Dns, true, Form::Three);
        let mut rest = &bytes[..];
        for c in cuts {
            let (a, b) = rest.split_at(c.min(rest.len()));
            p.feed(Toward::Server, Input::Bytes(a));
            rest = b;
        }
        p.feed(Toward::Server, Input::Bytes(rest));
        prop_assert_eq!(p.count(), 2);
        prop_assert_eq!(p.get(1).events(), ["dns.z_flag_set"]);
    }

    #[test]
    fn anything_goes(bytes in proptest::collection::vec(any::<u8>(), 0..200), header: bool) {
        let bytes = if header { message(0x8180, [1, 3, 1, 1], &bytes) } else { bytes };
        if let Some((_, steps)) = Message::counted(&bytes) {
            prop_assert!(steps <= message::STEPS * bytes.len() + 64 + 2 * 1024);
        }
        let mut p = udp(Form::Three);
        p.feed(Toward::Client, Input::Bytes(&bytes));
        for i in 0..p.count() {
            event(p.get(i));
        }
    }
}
