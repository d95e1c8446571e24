//! Connections tried from a machine: what is accepted, reset, dropped, refused on the way or cannot be tried is told apart, v4 and v6, all at
//! once, with a lock held by somebody else, and nothing is changed.

mod common;
#[path = "common/net.rs"]
mod net;

use common::*;
use net::{Namespace, wire};
use std::{
    io::Write,
    net::TcpListener,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

/// Nothing waits longer than the verb says, and starting it takes a while on a busy machine.
const BOUND: Duration = Duration::from_secs(8);

fn probe(state: &std::path::Path, list: &str) -> serde_json::Value {
    let mut child = Command::new(env!("CARGO_BIN_EXE_ravelin-applier"))
        .args(["--state", &state.display().to_string(), "--json", "probe", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("starts");
    child.stdin.take().expect("piped").write_all(list.as_bytes()).expect("writes");
    let out = child.wait_with_output().expect("ends");
    serde_json::from_slice(&out.stdout).expect("JSON")
}

#[test]
fn what_becomes_of_a_connection_is_told_apart() {
    if !inside("what_becomes_of_a_connection_is_told_apart") {
        return;
    }
    let (here, there) = (Namespace::own(), Namespace::new());
    wire(&here, "eth0", &there, "eth0");
    here.address("eth0", &["10.9.0.1/24", "10.9.0.7/24", "2001:db8::1/64"]);
    there.address("eth0", &["10.9.0.2/24", "2001:db8::2/64"]);
    there.run("sysctl -qw net.ipv4.ip_forward=1");
    there.within(|| {
        let script = "table inet t {
            chain input {
                type filter hook input priority 0
                ip saddr 10.9.0.7 tcp dport 80 drop
                tcp dport 81 drop
                ip6 daddr 2001:db8::2 tcp dport 80 drop
            }
            chain forward {
                type filter hook forward priority 0; policy drop
                reject with icmpx type admin-prohibited
            }
        }";
        std::fs::write("/tmp/there.nft", script).expect("writes");
        run("nft", &["-f", "/tmp/there.nft"]);
    });
    here.run("ip route add 192.0.2.0/24 via 10.9.0.2");
    let _listener = there.within(|| TcpListener::bind("10.9.0.2:80").expect("listens"));
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    applied(&state, &["status"]);
    // Somebody holds the lock.
    let _held = sys::lock::acquire(&state.join("lock"), Duration::ZERO).expect("locks");

    let one = |id: &str, from: &str, to: &str, port: u16, expect: &str| {
        let from = if from.is_empty() { String::new() } else { format!("\"from\":\"{from}\",") };
        format!(r#"{{"id":"{id}","proto":"tcp",{from}"to":"{to}","port":{port},"expect":"{expect}"}}"#)
    };
    let list = [
        one("accepted", "10.9.0.1", "10.9.0.2", 80, "open"),
        one("by-source", "10.9.0.7", "10.9.0.2", 80, "closed"),
        one("reset", "", "10.9.0.2", 82, "open"),
        one("dropped", "", "10.9.0.2", 81, "open"),
        one("v6-reset", "", "2001:db8::2", 82, "open"),
        one("v6-dropped", "2001:db8::1", "2001:db8::2", 80, "closed"),
        one("refused", "", "192.0.2.9", 80, "closed"),
        one("no-route", "", "198.51.100.1", 80, "open"),
        one("not-mine", "10.9.0.99", "10.9.0.2", 80, "open"),
    ];
    let begun = Instant::now();
    let seen = probe(&state, &format!("[{}]", list.join(",")));
    assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
    let is: Vec<(&str, &str)> =
        seen.as_array().expect("list").iter().map(|t| (t["id"].as_str().expect("id"), t["is"].as_str().expect("is"))).collect();
    let expected = [
        ("accepted", "open"),
        ("by-source", "closed"),
        ("reset", "open"),
        ("dropped", "closed"),
        ("v6-reset", "open"),
        ("v6-dropped", "closed"),
        ("refused", "closed"),
        ("no-route", "unclear"),
        ("not-mine", "unclear"),
    ];
    assert_eq!(is, expected, "{seen:#}");
    // Too many are refused, not tried in part.
    let many = vec![one("x", "", "127.0.0.1", 9, "open"); bundle::MOST_TRIALS + 1].join(",");
    assert!(probe(&state, &format!("[{many}]"))["error"].as_str().is_some_and(|e| e.contains("at most 512")));
}

#[test]
fn a_revert_that_names_its_change_leaves_others_alone() {
    if !inside("a_revert_that_names_its_change_leaves_others_alone") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let one = sealed(&ruleset("22"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--confirm-within", "60"]);
    let other = words::Digest::of(b"another").to_string();
    let refused = applier(&state, &["revert", "--digest", &other]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(live().contains("dport 22"), "it still waits");
    applied(&state, &["revert", "--digest", &one.digest().to_string()]);
    assert_eq!(live(), "");
    // Nothing waits any more: that is what was wanted.
    applied(&state, &["revert", "--digest", &one.digest().to_string()]);
}
