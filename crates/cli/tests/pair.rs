//! The pair's verbs on a node's own files and addresses, in namespaces: what is written, and what is said when nothing moves.

mod common;

use common::{inside, succeeds};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    process::{Command, Output},
    time::Duration,
};

const ELECTION: &str = include_str!("../../emit/tests/pair/fw-a-keepalived.conf");
const HEALTH: &str = "/etc/keepalived/ravelin.health";

/// An `/etc` of its own with a node's election in it, one of whose addresses is there.
fn machine() {
    succeeds("mount", &["-t", "tmpfs", "-o", "mode=755", "none", "/etc"]);
    fs::create_dir("/etc/keepalived").expect("makes");
    fs::write("/etc/keepalived/ravelin.conf", ELECTION).expect("writes");
    succeeds("ip", &["link", "add", "dmz", "type", "veth", "peer", "name", "far"]);
    succeeds("ip", &["link", "set", "dmz", "up"]);
    succeeds("ip", &["address", "add", "10.20.10.1/32", "dev", "dmz"]);
}

/// With the umask of a careful administrator.
fn ravelin(words: &str) -> Output {
    let line = format!("umask 077; exec {} {words}", env!("CARGO_BIN_EXE_ravelin"));
    Command::new("sh").args(["-c", &line]).env("NO_COLOR", "1").output().expect("starts")
}

fn said(out: &Output) -> String {
    String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr)
}

#[test]
fn a_drain_is_readable_for_the_daemon_and_says_whether_anything_moved() {
    if !inside("a_drain_is_readable_for_the_daemon_and_says_whether_anything_moved", machine) {
        return;
    }
    // Nobody listens: the word is given, and the addresses are named.
    let out = ravelin("pair drain");
    assert!(out.status.code() == Some(1) && said(&out).contains("still holds 10.20.10.1"), "{}", said(&out));
    assert_eq!(fs::read_to_string(HEALTH).expect("reads"), "-200\n");
    assert_eq!(fs::metadata(HEALTH).expect("there").permissions().mode() & 0o777, 0o644);
    // Replaced, never half of it: another file has its name.
    let first = fs::metadata(HEALTH).expect("there").ino();
    let back = ravelin("pair drain --return");
    assert!(back.status.success(), "{}", said(&back));
    assert_eq!(fs::read_to_string(HEALTH).expect("reads"), "0\n");
    assert_ne!(fs::metadata(HEALTH).expect("there").ino(), first);
    assert_eq!(fs::read_dir("/etc/keepalived").expect("lists").count(), 2, "something is left beside it");
    // As keepalived does: it takes its addresses off a moment after the word.
    let daemon = std::thread::spawn(|| {
        while fs::read_to_string(HEALTH).is_ok_and(|t| t == "0\n") {
            std::thread::sleep(Duration::from_millis(10));
        }
        succeeds("ip", &["address", "del", "10.20.10.1/32", "dev", "dmz"]);
    });
    let out = ravelin("pair drain");
    daemon.join().expect("took it off");
    assert!(out.status.success() && said(&out).contains("has handed everything over"), "{}", said(&out));
}

#[test]
fn an_election_that_cannot_be_seen_is_not_taken_for_none() {
    if !inside("an_election_that_cannot_be_seen_is_not_taken_for_none", machine) {
        return;
    }
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/small/site.toml");
    let text = fs::read_to_string(small).expect("reads").replace("network = \"enforce\"", "network = \"observe\"");
    assert!(text.contains("network = \"observe\""));
    fs::write("/etc/site.toml", text).expect("writes");
    // An election that is there while the layer observes is held against its file.
    let seen = said(&ravelin("drift /etc/site.toml --host fw-a"));
    assert!(seen.contains("/etc/conntrackd/ravelin.conf is not there"), "{seen}");
    fs::remove_file("/etc/keepalived/ravelin.conf").expect("removes");
    let none = said(&ravelin("drift /etc/site.toml --host fw-a"));
    assert!(!none.contains("ravelin.conf"), "{none}");
    // Neither is there nor is not there.
    fs::create_dir("/etc/keepalived/ravelin.conf").expect("makes");
    let out = ravelin("drift /etc/site.toml --host fw-a");
    assert!(!out.status.success() && said(&out).contains("whether this node takes part in an election cannot be told"), "{}", said(&out));
}

/// A ruleset as nft lists it, in a network of its own, after this was done to it by hand.
fn listed(script: &str, by_hand: &str) -> String {
    let line = format!("nft -f {script} && {by_hand} && nft -j list ruleset");
    succeeds("unshare", &["-n", "sh", "-c", &line])
}

/// Equal policy is proved over both nodes' live rulesets: one element that somebody changed is named, on whichever node it is.
#[test]
fn an_element_changed_by_hand_on_either_node_is_named_within_ten_seconds() {
    if !inside("an_element_changed_by_hand_on_either_node_is_named_within_ten_seconds", machine) {
        return;
    }
    let small = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/small/site.toml");
    fs::copy(small, "/etc/site.toml").expect("copies");
    // The package netbase brings it: nft knows few protocols by itself.
    fs::write("/etc/protocols", "icmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nipv6-icmp 58 IPv6-ICMP\nvrrp 112 VRRP\n").expect("writes");
    let out = ravelin("render /etc/all --site /etc/site.toml");
    assert!(out.status.success(), "{}", said(&out));
    succeeds("nft", &["-f", "/etc/all/fw-a/ravelin.nft"]);
    let plant = "nft add element inet ravelin vrrp/in/4 '{ \"dmz\" . 10.20.10.66 . 10.255.0.1 }'";
    let status = || {
        let begun = std::time::Instant::now();
        let text = said(&ravelin("pair status /etc/site.toml --host fw-a --other /etc/other.json"));
        (text, begun.elapsed())
    };
    // Nobody elects here: the policies are another matter, and equal.
    fs::write("/etc/other.json", listed("/etc/all/fw-b/ravelin.nft", "true")).expect("writes");
    let (text, _) = status();
    assert!(text.contains("fw-a: holds the policy") && text.contains("fw-b: holds the policy"), "{text}");
    fs::write("/etc/other.json", listed("/etc/all/fw-b/ravelin.nft", plant)).expect("writes");
    let (text, took) = status();
    let named = |node: &str, text: &str| text.lines().any(|l| l.starts_with(&format!("{node}: ")) && l.contains("10.20.10.66"));
    assert!(named("fw-b", &text) && text.contains("fw-a: holds the policy"), "{text}");
    assert!(took < Duration::from_secs(10), "{took:?}");
    succeeds("sh", &["-c", plant]);
    let (text, took) = status();
    assert!(named("fw-a", &text) && named("fw-b", &text), "{text}");
    assert!(took < Duration::from_secs(10), "{took:?}");
}
