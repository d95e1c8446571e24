//! The engine in the path of real packets: what rules name is dropped and told, everything else goes on, and failure does what is said for it.

mod common;

use common::{Engine, LONG, at, build, connect, counted, get, get_from_client, http, inside, serve, sh, switch, table, until};
use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

const RULES: &str = r#"
drop http any any -> any any (msg:"evil path"; flow:established,to_server; http.uri; content:"/evil"; sid:1;)
rejectboth http any any -> any any (msg:"refused path"; flow:established,to_server; http.uri; content:"/refused"; sid:2;)
alert http any any -> any any (msg:"odd path"; flow:established,to_server; http.uri; content:"/odd"; sid:3;)
drop tcp any any -> any any (msg:"in a stream"; flow:established; content:"EVILBYTES"; sid:4;)
"#;
const ENFORCE: &str = r#"{"others": {"name": "all", "mode": "enforce", "inspect": "until-opaque"}}"#;
const OBSERVE: &str = r#"{"others": {"name": "all", "mode": "observe", "inspect": "until-opaque"}}"#;

fn silent(answer: &std::io::Result<String>) -> bool {
    matches!(answer, Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

#[test]
fn what_rules_name_is_dropped_or_refused_and_told_and_all_else_goes_on() {
    if !inside("what_rules_name_is_dropped_or_refused_and_told_and_all_else_goes_on") {
        return;
    }
    build();
    table(false);
    serve(80, http);
    let engine = Engine::start(RULES, ENFORCE);
    assert!(get_from_client("/good").expect("an answer").ends_with("good"));
    let evil = get_from_client("/evil");
    assert!(silent(&evil), "{evil:?}");
    until("the drop is told", || !engine.events("drop", 1).is_empty());
    assert!(engine.events("alert", 1).iter().all(|e| e["alert"]["action"] == "blocked" && e["dest_ip"] == "10.2.0.10"));
    let refused = get_from_client("/refused");
    assert_eq!(refused.as_ref().map_err(|e| e.kind()), Err(ErrorKind::ConnectionReset), "{refused:?}");
    until("the reject is told", || !engine.events("alert", 2).is_empty());
    assert!(get_from_client("/odd").is_ok());
    until("the alert is told", || !engine.events("alert", 3).is_empty());
    assert!(engine.count("dropped") > 0 && engine.count("refused") > 0 && engine.count("packets") > 10);
    // The kill switch: the same packets reach the server, and the engine sees none.
    switch(true);
    let before = engine.count("packets");
    assert!(get_from_client("/evil").is_ok() && get_from_client("/refused").is_ok(), "off means off");
    assert_eq!(engine.count("packets"), before);
    switch(false);
    assert!(silent(&get_from_client("/evil")));
    // What is observed is told and goes on.
    drop(engine);
    let engine = Engine::start(RULES, OBSERVE);
    assert!(get_from_client("/evil").is_ok());
    until("it is told", || !engine.events("alert", 1).is_empty());
    assert!(engine.events("drop", 0).is_empty() && engine.count("observed") > 0 && engine.count("dropped") == 0);
    assert_eq!(engine.events("alert", 1)[0]["alert"]["action"], "allowed");
    assert_eq!(engine.ask("stop"), "ok");
}

/// Sends bytes until the other end has answered for all of them: a line `N` asks for N bytes.
fn bulk(line: &str, out: &mut TcpStream) -> std::io::Result<()> {
    let bytes: usize = line.parse().map_err(|_| std::io::Error::from(ErrorKind::InvalidData))?;
    let chunk = vec![b'x'; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(chunk.len());
        out.write_all(&chunk[..n])?;
        left -= n;
    }
    Ok(())
}

fn fetch(stream: &mut TcpStream, bytes: usize) -> std::io::Result<()> {
    stream.write_all(format!("{bytes}\n").as_bytes())?;
    let mut buffer = vec![0; 1 << 16];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(buffer.len());
        let n = stream.read(&mut buffer[..n])?;
        if n == 0 {
            return Err(ErrorKind::UnexpectedEof.into());
        }
        left -= n;
    }
    Ok(())
}

#[test]
fn bulk_leaves_the_engine_and_a_suspect_flow_does_not() {
    if !inside("bulk_leaves_the_engine_and_a_suspect_flow_does_not") {
        return;
    }
    const BULK: usize = 64 << 20;
    build();
    table(false);
    serve(7000, bulk);
    let rules = r#"alert tcp any any -> any 7000 (msg:"told"; flow:established,to_server; content:"77"; sid:5;)"#;
    let engine = Engine::start(rules, r#"{"others": {"name": "all", "mode": "enforce", "inspect": "1MiB"}}"#);
    at("client", || connect(7000).and_then(|mut s| fetch(&mut s, BULK))).join().expect("run").expect("all of it");
    let seen = engine.count("bytes");
    assert!((1 << 20..8 << 20).contains(&seen), "of {BULK} bytes the engine saw {seen}");
    assert!(engine.count("segments") > 0, "segments come whole");
    assert_eq!(engine.count("left_bytes"), 1);
    until("it is told", || !engine.events("bypass", 0).is_empty());
    assert_eq!(engine.events("bypass", 0)[0]["bypass"]["reason"], "bytes");
    let tracked = sh("ip netns exec edge conntrack -L -p tcp --dport 7000 2>/dev/null");
    assert!(tracked.contains("mark=2048") || tracked.contains("mark=16779264"), "the state stands in the connection's mark: {tracked}");
    // A flow that a rule has spoken of is seen to its end.
    at("client", || connect(7000).and_then(|mut s| fetch(&mut s, 7_700_000))).join().expect("run").expect("all of it");
    let more = engine.count("bytes") - seen;
    assert!(more > 7_700_000, "{more}");
    assert_eq!(engine.count("left_bytes"), 1);
}

#[test]
fn a_pattern_is_found_in_segments_and_across_them() {
    if !inside("a_pattern_is_found_in_segments_and_across_them") {
        return;
    }
    build();
    table(false);
    serve(80, http);
    let engine = Engine::start(RULES, ENFORCE);
    for (n, cut) in [(200_000, 0), (0, 4), (100_000, 4)] {
        let sent = at("client", move || {
            let mut s = connect(80).expect("connected");
            s.set_nodelay(true).expect("set");
            s.write_all(&vec![b'a'; n]).and_then(|()| s.write_all(&b"EVILBYTES"[..cut])).expect("sent");
            std::thread::sleep(Duration::from_millis(50));
            s.write_all(&b"EVILBYTES"[cut..]).expect("sent");
        });
        sent.join().expect("run");
        let so_many = [(200_000, 0), (0, 4), (100_000, 4)].iter().position(|c| *c == (n, cut)).expect("there") + 1;
        until("the drop is told", || {
            let flows: std::collections::BTreeSet<_> = engine.events("alert", 4).iter().map(|e| e["flow_id"].as_u64()).collect();
            flows.len() == so_many
        });
    }
    assert!(engine.count("segments") > 0);
}

/// Requests without a pause on one connection, until told to stop; how many were answered.
fn load(stop: &Arc<AtomicBool>, answered: &Arc<AtomicU64>) -> std::thread::JoinHandle<std::io::Result<()>> {
    let (stop, answered) = (stop.clone(), answered.clone());
    at("client", move || {
        let mut s = connect(80)?;
        s.set_read_timeout(Some(LONG))?;
        while !stop.load(Relaxed) {
            get(&mut s, "/good")?;
            answered.fetch_add(1, Relaxed);
        }
        Ok(())
    })
}

#[test]
fn an_engine_killed_under_load_is_open_where_that_is_said_and_connections_are_taken_up_again() {
    if !inside("an_engine_killed_under_load_is_open_where_that_is_said_and_connections_are_taken_up_again") {
        return;
    }
    build();
    table(true);
    serve(80, http);
    let mut engine = Engine::start(RULES, ENFORCE);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flows: Vec<_> = (0..8).map(|_| load(&stop, &answered)).collect();
    let more = |what: &str| {
        let before = answered.load(Relaxed);
        until(what, || answered.load(Relaxed) > before + 200);
    };
    more("requests under load");
    engine.kill();
    more("requests without the engine");
    assert!(get_from_client("/evil").is_ok(), "nobody looks");
    assert!(counted("open") > 0, "what nobody judged is counted");
    engine.again();
    more("requests with the engine again");
    let unjudged = counted("open");
    more("requests that are judged");
    assert_eq!(counted("open"), unjudged);
    assert!(silent(&get_from_client("/evil")), "it looks again");
    stop.store(true, Relaxed);
    for f in flows {
        f.join().expect("run").expect("no connection was lost");
    }
}

#[test]
fn an_engine_killed_under_load_is_closed_where_that_is_said() {
    if !inside("an_engine_killed_under_load_is_closed_where_that_is_said") {
        return;
    }
    build();
    table(false);
    serve(80, http);
    let mut engine = Engine::start(RULES, ENFORCE);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flows: Vec<_> = (0..4).map(|_| load(&stop, &answered)).collect();
    until("requests under load", || answered.load(Relaxed) > 200);
    let packets = || -> u64 {
        let text = sh("ip netns exec server cat /sys/class/net/right/statistics/rx_packets");
        text.trim().parse().expect("a number")
    };
    engine.kill();
    let before = packets();
    std::thread::sleep(Duration::from_secs(1));
    let passed = packets() - before;
    // Neighbour discovery is not forwarded; nothing that is forwarded comes.
    assert!(passed <= 4, "{passed} packets came to the server");
    assert!(counted("closed") > 0 || sh("ip netns exec edge iptables-save -t mangle").contains("NFQUEUE"));
    engine.again();
    let before = answered.load(Relaxed);
    until("connections go on once it is back", || answered.load(Relaxed) > before + 200);
    stop.store(true, Relaxed);
    for f in flows {
        f.join().expect("run").expect("no connection was lost");
    }
    // Without the rules that queue, in whatever order they went: dropped by the own table.
    sh("ip netns exec edge iptables -t mangle -F RAVELIN-IPS; ip netns exec edge nft delete table inet ravelin-queue 2>/dev/null || true");
    let closed = counted("closed");
    let refused =
        at("client", || TcpStream::connect_timeout(&"10.2.0.10:80".parse().expect("an address"), Duration::from_millis(500)).is_err());
    assert!(refused.join().expect("run"), "what nobody judged does not pass");
    assert!(counted("closed") > closed);
}

#[test]
fn rules_are_exchanged_under_load_without_a_gap_and_broken_ones_leave_the_old_in_force() {
    if !inside("rules_are_exchanged_under_load_without_a_gap_and_broken_ones_leave_the_old_in_force") {
        return;
    }
    const RELOADS: usize = 30;
    build();
    table(false);
    serve(80, http);
    let engine = Engine::start(RULES, ENFORCE);
    let (stop, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let flows: Vec<_> = (0..3).map(|_| load(&stop, &answered)).collect();
    let (halt, tried) = (stop.clone(), Arc::new(AtomicU64::new(0)));
    let counts = tried.clone();
    let attacks = at("client", move || {
        let mut passed = 0;
        while !halt.load(Relaxed) {
            let mut s = connect(80)?;
            s.set_read_timeout(Some(Duration::from_millis(20)))?;
            passed += usize::from(get(&mut s, "/evil").is_ok());
            counts.fetch_add(1, Relaxed);
        }
        Ok::<_, std::io::Error>(passed)
    });
    for n in 0..RELOADS {
        // An idle machine exchanges them all before the first attack has been refused.
        until("an attack is tried between two reloads", || tried.load(Relaxed) > n as u64);
        let answer = engine.rules(&format!("{RULES}\n# {n}\n"));
        assert!(answer.starts_with("ok: 4 rules in force"), "{answer}");
    }
    let answer = engine.rules("drop this that\n");
    assert!(answer.starts_with("failed: none of 1 rules is understood"), "{answer}");
    let before = answered.load(Relaxed);
    until("requests go on", || answered.load(Relaxed) > before + 50);
    stop.store(true, Relaxed);
    let passed = attacks.join().expect("run").expect("connections open");
    assert_eq!(passed, 0, "of {} attacks", tried.load(Relaxed));
    for f in flows {
        f.join().expect("run").expect("no connection was lost");
    }
    assert_eq!((engine.count("reloads"), engine.count("reloads_failed")), (RELOADS as u64, 1));
    let new = r#"drop http any any -> any any (msg:"new"; flow:to_server; http.uri; content:"/good"; sid:9;)"#;
    assert!(engine.rules(new).starts_with("ok: 1 rules"));
    assert!(silent(&get_from_client("/good")) && get_from_client("/evil").is_ok(), "the new ones, and they alone");
}
