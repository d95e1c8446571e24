//! What the engine says of a frame that waits for its verdict: whom to tell, whether anything of its flow is left to see; and rules that are
//! exchanged under way.

mod talk;

use ips_detect::{Memory, Options, Tables};
use ips_engine::{Engine, Fate, Judged, Manner, Over};
use ips_rules::{Set, Tables as Groups};
use ips_wire::Link;
use std::sync::Arc;
use talk::{Talk, Told, engine, inline};

const DROP: &str = r#"drop tcp any any -> any any (msg:"evil"; flow:established,to_server; content:"evil"; sid:1;)"#;
const ENFORCED: Manner = Manner { enforce: true, sums: true };
const OBSERVED: Manner = Manner { enforce: false, sums: true };

/// The frames of a talk, judged one by one from `done` on.
fn judge(t: &Talk, done: &mut usize, e: &mut Engine, manner: Manner, told: &mut Told) -> Vec<Judged> {
    let new = &t.frames[*done..];
    *done = t.frames.len();
    new.iter().map(|(time, frame)| e.judge(Link::Raw, *time, frame, manner, told)).collect()
}

fn all(t: &Talk, rules: &str, manner: Manner) -> (Vec<Judged>, Told) {
    let mut told = Told::default();
    (judge(t, &mut 0, &mut engine(rules, inline()), manner, &mut told), told)
}

fn over(judged: &[Judged]) -> Option<Over> {
    judged.last().and_then(|j| j.standing).and_then(|s| s.over)
}

#[test]
fn what_is_only_observed_is_told_and_goes_on() {
    let mut t = Talk::open();
    t.say(0, b"some evil");
    t.say(0, b"more");
    let (judged, told) = all(&t, DROP, ENFORCED);
    assert!(judged[3].fate == Fate::Drop && judged[5].fate == Fate::Drop, "all of the flow is dropped");
    assert_eq!((told.alerts, told.drops > 0), (vec![1], true));
    let (judged, told) = all(&t, DROP, OBSERVED);
    assert!(judged.iter().all(|j| j.fate == Fate::Accept));
    assert!(told.alerts.contains(&1) && told.drops == 0, "{told:?}");
    assert!(judged[3].would_drop && !judged[2].would_drop);
    assert!(judged[3].standing.is_some_and(|s| s.suspect) && !judged[2].standing.is_some_and(|s| s.suspect));
}

#[test]
fn whom_to_tell_is_the_rules_to_say() {
    let mut t = Talk::open();
    t.say(0, b"some evil");
    for (action, tell) in
        [("drop", (false, false)), ("rejectsrc", (true, false)), ("rejectdst", (false, true)), ("rejectboth", (true, true))]
    {
        let (judged, _) = all(&t, &DROP.replace("drop", action), ENFORCED);
        assert_eq!((judged[3].fate, judged[3].tell), (Fate::Drop, tell), "{action}");
        assert_eq!(judged[2].tell, (false, false));
    }
}

#[test]
fn a_wrong_checksum_counts_only_where_checksums_mean_something() {
    let mut t = Talk::open();
    t.say(0, b"good");
    let (_, frame) = &mut t.frames[3];
    frame[36] ^= 0x55;
    let mut settings = inline();
    settings.checksums = ips_engine::settings::Checksums::Verify;
    for (sums, fate) in [(true, Fate::Drop), (false, Fate::Accept)] {
        let manner = Manner { enforce: true, sums };
        let judged = judge(&t, &mut 0, &mut engine(DROP, settings.clone()), manner, &mut Told::default());
        assert_eq!(judged[3].fate, fate, "sums count: {sums}");
    }
}

/// Both sides of a conversation over ssh, up to where it is encrypted; the first banner was sent.
fn ssh(t: &mut Talk) {
    let new_keys = b"\0\0\0\x0c\x0a\x15\0\0\0\0\0\0\0\0\0\0";
    t.say(0, b"SSH-2.0-test_1.0\r\n");
    for from in [1, 0] {
        t.say(from, new_keys);
    }
}

#[test]
fn a_flow_is_over_once_it_is_encrypted_in_both_directions() {
    let rules = r#"alert ssh any any -> any any (msg:"banner"; ssh.software; content:"other"; sid:1;)"#;
    let mut t = Talk { ports: [40000, 22], ..Talk::default() };
    t.handshake();
    let (mut e, mut told, mut done) = (engine(rules, inline()), Told::default(), 0);
    t.say(1, b"SSH-2.0-test_1.0\r\n");
    assert_eq!(over(&judge(&t, &mut done, &mut e, ENFORCED, &mut told)), None, "one banner is a beginning");
    ssh(&mut t);
    t.say(0, &[0xee; 100]);
    t.say(1, &[0xee; 100]);
    assert_eq!(over(&judge(&t, &mut done, &mut e, ENFORCED, &mut told)), Some(Over::Opaque));
    assert!(told.alerts.is_empty());
}

#[test]
fn a_flow_with_an_alert_is_suspect_whatever_else() {
    let rules = r#"alert ssh any any -> any any (msg:"banner"; ssh.software; content:"test"; sid:1;)"#;
    let mut t = Talk { ports: [40000, 22], ..Talk::default() };
    t.handshake();
    t.say(1, b"SSH-2.0-test_1.0\r\n");
    ssh(&mut t);
    t.say(0, &[0xee; 100]);
    t.say(1, &[0xee; 100]);
    let (judged, told) = all(&t, rules, ENFORCED);
    let last = judged.last().and_then(|j| j.standing).expect("a flow");
    assert!(told.alerts.contains(&1) && last.suspect && last.over == Some(Over::Opaque), "{last:?}");
}

#[test]
fn a_flow_is_over_past_its_depth_in_both_directions_or_by_a_rule() {
    let mut settings = inline();
    settings.stream.depth = 1000;
    let (mut told, mut done) = (Told::default(), 0);
    let mut e = engine(DROP, settings);
    let mut t = Talk::open();
    t.say(0, &[b'x'; 1200]);
    t.say(0, &[b'x'; 1200]);
    assert_eq!(over(&judge(&t, &mut done, &mut e, ENFORCED, &mut told)), None, "the other direction is still to be seen");
    t.say(1, &[b'y'; 1200]);
    t.say(1, &[b'y'; 1200]);
    t.say(0, &[b'x'; 1200]);
    assert_eq!(over(&judge(&t, &mut done, &mut e, ENFORCED, &mut told)), Some(Over::Deep));
    let pass = r#"pass tcp any any -> any 80 (msg:"known"; flow:established,to_server; content:"good"; sid:9;)"#;
    let mut t = Talk::open();
    t.say(0, b"good");
    t.say(0, b"good");
    let (judged, _) = all(&t, pass, ENFORCED);
    assert_eq!(over(&judged), Some(Over::Passed));
}

/// Rules to exchange others for.
fn build(rules: &str) -> (Arc<Tables>, Memory) {
    let set = Set::read(&[words::SourceFile::new("new.rules", rules)], &Groups::default());
    let (tables, refused) = Tables::build(set.rules, &Options::default());
    assert!(set.rejected.is_empty() && refused.is_empty());
    let memory = tables.memory();
    (Arc::new(tables), memory)
}

#[test]
fn other_rules_see_streams_and_transactions_that_are_open() {
    let many: String =
        (10..200).map(|n| format!("alert http any any -> any any (msg:\"{n}\"; http.uri; content:\"/other{n}\"; sid:{n};)\n")).collect();
    let uri = r#"drop http any any -> any any (msg:"uri"; flow:to_server; http.uri; content:"/evil"; sid:2;)"#;
    let (mut told, mut done) = (Told::default(), 0);
    let mut e = engine(&many, inline());
    let mut t = Talk::open();
    t.say(0, b"GET /evil HTTP/1.1\r\nHost: a.example\r\n");
    judge(&t, &mut done, &mut e, ENFORCED, &mut told);
    assert!(told.alerts.is_empty());
    let (tables, memory) = build(uri);
    let (old, _) = e.exchange(tables, memory);
    assert_eq!(old.rules().len(), 190, "the old ones come back");
    t.say(0, b"X: y\r\n\r\n");
    let judged = judge(&t, &mut done, &mut e, ENFORCED, &mut told);
    assert_eq!((told.alerts.clone(), judged[0].fate), (vec![2], Fate::Drop), "what was open is looked at by the new ones");
    // What was decided of all of a flow stays, whatever comes.
    let (tables, memory) = build(&many);
    let _ = e.exchange(tables, memory);
    t.say(0, b"more");
    assert_eq!(judge(&t, &mut done, &mut e, ENFORCED, &mut told)[0].fate, Fate::Drop);
    assert_eq!(e.flows(), 1);
}

/// MD5 of "abc".
const ABC: [u8; 16] = [0x90, 0x01, 0x50, 0x98, 0x3c, 0xd2, 0x4f, 0xb0, 0xd6, 0x96, 0x3f, 0x7d, 0x28, 0xe1, 0x7f, 0x72];

#[test]
fn digests_are_made_where_rules_want_them_and_where_others_come_that_do() {
    let rule = "alert http any any -> any any (msg:\"known\"; filemd5:list; sid:3;)";
    let alerts = |mut e: Engine| {
        let (mut told, mut t) = (Told::default(), Talk::open());
        t.say(0, b"GET /a HTTP/1.1\r\nHost: a.example\r\n\r\n");
        t.say(1, b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
        judge(&t, &mut 0, &mut e, ENFORCED, &mut told);
        e.finish(&mut told);
        told.alerts
    };
    let known = |mut e: Engine| {
        e.memory().load(0, [(ABC.to_vec(), None)]);
        e
    };
    assert_eq!(alerts(known(engine(rule, inline()))), [3]);
    let mut other = engine(DROP, inline());
    let (tables, memory) = build(rule);
    let _ = other.exchange(tables, memory);
    assert_eq!(alerts(known(other)), [3], "exchanged");
}
