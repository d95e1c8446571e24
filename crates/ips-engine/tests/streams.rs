//! Streams as the ends see them: evasions that must not hide bytes, and packets that must not count.

mod talk;

use ips_engine::{Settings, stream::policy::Policy};
use proptest::prelude::*;
use talk::{ACK, FIN, PSH, RST, SYN, Talk, engine, inline};

const EVIL: &str = r#"alert tcp any any -> any any (msg:"evil"; flow:established,to_server; content:"evil"; sid:1;)"#;

#[test]
fn bytes_are_found_across_segments() {
    for settings in [Settings::default(), inline()] {
        let mut t = Talk::open();
        for byte in b"some evil bytes" {
            t.say(0, &[*byte]);
        }
        t.close();
        let told = t.told(&mut engine(EVIL, settings.clone()));
        assert!(told.alerts.contains(&1), "inline {}", settings.stream.inline);
        assert_eq!(told.flows, [("closed".to_owned(), "shutdown", [1 + 1 + 15 + 1 + 1, 1 + 15 + 1])]);
        assert!(told.anomalies.is_empty(), "{:?}", told.anomalies);
    }
    let mut t = Talk::open();
    t.say(0, b"some ev");
    t.say(0, b"il");
    t.close();
    assert_eq!(t.with(EVIL).alerts, [1]);
    // The other way it is nothing.
    let mut t = Talk::open();
    t.say(1, b"some evil");
    t.close();
    assert!(t.with(EVIL).alerts.is_empty());
}

#[test]
fn without_a_handshake_nothing_is_established() {
    let mut t = Talk::default();
    t.say(0, b"evil");
    t.say(1, b"evil");
    assert!(t.with(EVIL).alerts.is_empty());
    let mut settings = Settings::default();
    settings.stream.midstream = true;
    t.say(0, b"more");
    assert_eq!(t.told(&mut engine(EVIL, settings)).alerts, [1]);
}

#[test]
fn what_the_receiver_does_not_take_does_not_count() {
    let base = |change: &dyn Fn(&mut Talk)| {
        let mut t = Talk::open();
        t.say(0, b"ev");
        change(&mut t);
        t.say(0, b"il");
        t.close();
        t.with(EVIL)
    };
    // A RST that is not at the next byte does not end it.
    let told = base(&|t| t.raw(0, t.next[0].wrapping_add(5000), 0, RST, b""));
    assert_eq!((told.alerts, told.flows[0].0.as_str()), (vec![1], "closed"));
    // Bytes far outside of the window are not taken.
    let told = base(&|t| t.raw(0, t.next[0].wrapping_add(1 << 20), t.next[1], PSH | ACK, b"XXXX"));
    assert!(told.alerts == [1] && told.anomalies.contains(&"est_packet_out_of_window"), "{told:?}");
    // An acknowledgement of what was never sent is none.
    let told = base(&|t| t.raw(0, t.next[0], t.next[1].wrapping_add(1 << 20), PSH | ACK, b"XX"));
    assert!(told.alerts == [1] && told.anomalies.contains(&"est_invalid_ack"), "{told:?}");
    // A wrong checksum.
    let told = base(&|t| {
        t.raw(0, t.next[0], t.next[1], PSH | ACK, b"XX");
        let last = t.frames.last_mut().expect("it is there");
        last.1[36] ^= 0x55;
    });
    assert_eq!(told.alerts, [1]);
    // A FIN in the middle of nowhere.
    let told = base(&|t| t.raw(0, t.next[0].wrapping_sub(9), t.next[1], FIN | ACK, b""));
    assert!(told.alerts == [1], "{told:?}");
    // And a RST at the next byte ends it.
    let told = base(&|t| t.raw(0, t.next[0], 0, RST, b""));
    assert!(told.alerts.is_empty(), "{told:?}");
}

#[test]
fn numbers_wrap_and_order_does_not_matter() {
    let mut t = Talk { next: [u32::MAX - 2, u32::MAX - 1], ..Talk::default() };
    t.handshake();
    let (seq, ack) = (t.next[0], t.next[1]);
    t.raw(0, seq.wrapping_add(2), ack, PSH | ACK, b"il");
    t.raw(0, seq, ack, PSH | ACK, b"ev");
    t.next[0] = seq.wrapping_add(4);
    t.acknowledge(1);
    t.close();
    assert_eq!(t.with(EVIL).alerts, [1]);
}

#[test]
fn overlaps_go_by_policy() {
    // The second segment comes before the first is acknowledged, and begins earlier.
    let mut t = Talk::open();
    let (seq, ack) = (t.next[0], t.next[1]);
    t.raw(0, seq.wrapping_add(1), ack, PSH | ACK, b"XXX");
    t.raw(0, seq, ack, PSH | ACK, b"evil");
    t.next[0] = seq.wrapping_add(4);
    t.acknowledge(1);
    t.close();
    for (policy, found) in [(Policy::Bsd, true), (Policy::Linux, true), (Policy::First, false), (Policy::Last, true)] {
        let mut settings = Settings::default();
        settings.stream.policy = policy;
        let told = t.told(&mut engine(EVIL, settings));
        assert_eq!(told.alerts, if found { vec![1] } else { vec![] }, "{policy:?}");
        assert!(told.anomalies.contains(&"reassembly_overlap_different_data"));
    }
}

#[test]
fn urgent_bytes_are_out_of_band() {
    let mut t = Talk::open();
    t.send(0, b"evXil");
    let frame = &mut t.frames.last_mut().expect("it is there").1;
    // URG, pointing behind the X; the checksum goes with it.
    frame[20 + 13] |= 0x20;
    frame[20 + 18..20 + 20].copy_from_slice(&3u16.to_be_bytes());
    let mut settings = Settings::default();
    settings.checksums = ips_engine::settings::Checksums::Ignore;
    t.acknowledge(1);
    t.say(0, b"more");
    t.close();
    let told = t.told(&mut engine(EVIL, settings.clone()));
    assert!(told.alerts == [1] && told.anomalies.is_empty(), "{told:?}");
    settings.stream.urgent = ips_engine::stream::Urgent::Inline;
    assert!(t.told(&mut engine(EVIL, settings.clone())).alerts.is_empty());
    // Dropped by its own setting, whatever is done with packets that fit no connection.
    settings.stream.inline = true;
    settings.stream.drop_invalid = false;
    assert_eq!(t.told(&mut engine("", settings.clone())).drops, 0);
    settings.stream.urgent = ips_engine::stream::Urgent::Drop;
    assert_eq!(t.told(&mut engine("", settings)).drops, 1);
}

#[test]
fn lost_bytes_are_a_gap() {
    let mut t = Talk::open();
    t.say(0, b"first");
    t.next[0] = t.next[0].wrapping_add(10);
    t.say(0, b" evil");
    t.close();
    let told = t.with(EVIL);
    assert!(told.alerts == [1] && told.anomalies.contains(&"reassembly_seq_gap"), "{told:?}");
}

#[test]
fn handshakes_that_are_none() {
    let events = |f: &dyn Fn(&mut Talk)| {
        let mut t = Talk::default();
        f(&mut t);
        t.with("").anomalies
    };
    assert_eq!(events(&|t| t.raw(0, 5, 0, RST, b"")), ["rst_but_no_session"]);
    assert_eq!(events(&|t| t.raw(0, 5, 6, FIN | ACK, b"")), ["fin_but_no_session"]);
    let wrong_ack = events(&|t| {
        t.raw(0, 5, 0, SYN, b"");
        t.raw(1, 90, 7, SYN | ACK, b"");
    });
    assert_eq!(wrong_ack, ["3whs_synack_with_wrong_ack"]);
    let evasion = events(&|t| {
        t.raw(0, 5, 0, SYN, b"");
        t.raw(1, 90, 6, SYN | ACK, b"");
        t.raw(0, 6, 200, ACK, b"");
    });
    assert_eq!(evasion, ["3whs_right_seq_wrong_ack_evasion"]);
    let direction = events(&|t| {
        t.raw(0, 5, 0, SYN, b"");
        t.raw(0, 90, 6, SYN | ACK, b"");
    });
    assert_eq!(direction, ["3whs_synack_in_wrong_direction"]);
}

#[test]
fn ports_used_again_are_another_flow() {
    let mut t = Talk::open();
    t.say(0, b"evil");
    t.close();
    t.next = [70_000, 90_000];
    t.handshake();
    t.say(0, b"evil");
    t.close();
    let told = t.with(EVIL);
    assert_eq!((told.alerts, told.flows.len(), told.flows[0].1), (vec![1, 1], 2, "tcp_reuse"));
}

#[test]
fn silence_ends_a_flow() {
    let mut t = Talk::open();
    t.say(0, b"evil");
    t.now += 601_000_000;
    t.say(0, b"evil");
    let told = t.with(EVIL);
    assert_eq!((told.flows.len(), told.flows[0].1, told.flows[1].0.as_str()), (2, "timeout", "new"));
}

#[test]
fn what_is_dropped_does_not_go_on() {
    let rules = r#"drop tcp any any -> any any (msg:"evil"; flow:established,to_server; content:"evil"; sid:1;)"#;
    let mut t = Talk::open();
    t.say(0, b"evil");
    t.say(0, b"more");
    let told = t.told(&mut engine(rules, inline()));
    assert!(told.drops > 0 && told.alerts.first() == Some(&1), "{told:?}");
    let told = t.with(rules);
    assert_eq!(told.drops, 0, "who only listens drops nothing");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// However bytes are cut, repeated and reordered within a window, the same is found, and once.
    #[test]
    fn any_segmentation_is_found(cuts in prop::collection::vec(1usize..6, 1..12), swaps in prop::collection::vec((0usize..12, 0usize..12), 0..8), again in prop::collection::vec(0usize..12, 0..4)) {
        let text = b"GET /x HTTP/1.0 some evil bytes that go on";
        let mut t = Talk::open();
        let (seq, ack) = (t.next[0], t.next[1]);
        let mut parts = Vec::new();
        let mut at = 0;
        for c in cuts.iter().cycle() {
            if at >= text.len() { break; }
            let end = (at + c).min(text.len());
            parts.push((at, end));
            at = end;
        }
        for (a, b) in swaps {
            let n = parts.len();
            parts.swap(a % n, b % n);
        }
        for a in again {
            let p = parts[a % parts.len()];
            parts.push(p);
        }
        for (from, to) in parts {
            t.raw(0, seq + from as u32, ack, PSH | ACK, &text[from..to]);
        }
        t.next[0] = seq + text.len() as u32;
        t.acknowledge(1);
        t.close();
        prop_assert_eq!(t.with(EVIL).alerts, vec![1]);
    }

    /// Any packets at all: nothing panics, and the flow table stays within its bounds.
    #[test]
    fn any_packets_are_taken(packets in prop::collection::vec((0usize..2, 0u32..60, 0u32..60, 0u8..64, prop::collection::vec(any::<u8>(), 0..30)), 0..40), open in any::<bool>(), inlined in any::<bool>(), midstream in any::<bool>()) {
        let mut t = if open { Talk::open() } else { Talk::default() };
        for (from, seq, ack, flags, payload) in packets {
            t.raw(from, 990u32.wrapping_add(seq), 8990u32.wrapping_add(ack), flags & 0x1f, &payload);
        }
        let mut settings = if inlined { inline() } else { Settings::default() };
        settings.stream.midstream = midstream;
        settings.stream.async_oneside = midstream && !inlined;
        t.told(&mut engine(EVIL, settings));
    }
}
