//! What systemd is told of a pair's daemons, forwards, backwards, at boot, and when it does not answer. On real devices in namespaces
//! with a systemd of the test's own (`common/systemd.rs`).

mod common;
#[path = "common/node.rs"]
mod node;
#[path = "common/systemd.rs"]
mod systemd;

use bundle::pair::Daemon;
use common::*;
use node::*;
use std::{
    fs,
    time::{Duration, Instant},
};

/// What the emitted election has on this device, and what is there with it.
const ALL: [&str; 4] = [GATEWAY, PUBLISHED, "203.0.113.6/32", "2001:db8:20:ffff::1/128"];
const THERE: [&str; 5] = [OWN, "2001:db8:20:ffff::1/128", GATEWAY, PUBLISHED, "203.0.113.6/32"];

const UNITS: [&str; 2] = ["conntrackd.service", "keepalived.service"];

fn on(who: &str) -> (bool, Option<String>) {
    (true, Some(who.to_owned()))
}

const OFF: (bool, Option<String>) = (false, None);

fn node() -> Node {
    systemd::start();
    Node::new()
}

/// Applies the next bundle and leaves it waiting.
fn waiting(node: &mut Node, files: Vec<bundle::OwnFile>, all: &[&str], elected: bool, within: &str) {
    let path = node.bundle(files, all, elected);
    applied(&node.state(), &["apply", &path, "--confirm-within", within]);
}

#[test]
fn daemons_run_with_their_files_and_are_gone_with_them() {
    if !inside("daemons_run_with_their_files_and_are_gone_with_them") {
        return;
    }
    let mut node = node();
    node.apply(files(ELECTION), &ALL, true);
    assert_eq!(UNITS.map(systemd::get), [on("ravelin"), on("ravelin")]);
    assert!(systemd::get("ravelin-states.timer").0);
    assert_eq!(node.drift(), [""; 0]);
    // Another priority: read again, nothing given up.
    systemd::calls();
    node.apply(files(&ELECTION.replace("priority 250", "priority 150")), &ALL, true);
    assert_eq!(systemd::calls(), ["enable keepalived.service", "reload-or-restart keepalived.service"]);
    run("/usr/local/sbin/systemctl", &["stop", "keepalived.service"]);
    assert_eq!(node.drift(), ["keepalived.service does not run"]);
    node.apply(vec![], &[], false);
    assert_eq!(UNITS.map(systemd::get), [OFF, OFF]);
    assert_eq!((addresses_on(LAN), systemd::get("ravelin-states.timer").0), (vec![OWN.to_owned()], false));
}

#[test]
fn a_first_pair_that_fails_leaves_daemons_of_somebody_else_as_they_were() {
    if !inside("a_first_pair_that_fails_leaves_daemons_of_somebody_else_as_they_were") {
        return;
    }
    let mut node = node();
    node.apply(vec![], &ALL, false);
    for was in [true, false] {
        for step in ["addresses", "files", "activate", "persist"] {
            UNITS.iter().for_each(|u| systemd::set(u, was));
            systemd::calls();
            let path = node.bundle(files(ELECTION), &ALL, true);
            let out = applier(&node.state(), &["apply", &path, "--auto-confirm", "--inject", &format!("{step}=error")]);
            let (said, calls) = (String::from_utf8_lossy(&out.stderr).into_owned(), systemd::calls());
            assert!(!out.status.success(), "{step}");
            assert_eq!(calls.contains(&"restart keepalived.service".into()), step != "addresses" && (step != "files" || was), "{calls:?}");
            let expected = if was { on("own") } else { OFF };
            assert_eq!(UNITS.map(systemd::get), [expected.clone(), expected], "{step}: {calls:?} {said}");
            assert_eq!(addresses_on(LAN), THERE, "{step}: {calls:?}");
            assert!(!systemd::get("ravelin-states.timer").0);
        }
    }
}

#[test]
fn a_removal_that_fails_leaves_the_election_running() {
    if !inside("a_removal_that_fails_leaves_the_election_running") {
        return;
    }
    let mut node = node();
    node.apply(files(ELECTION), &ALL, true);
    for step in ["settings", "addresses", "files", "activate", "persist"] {
        let path = node.bundle(vec![], &ALL, false);
        systemd::calls();
        let out = applier(&node.state(), &["apply", &path, "--auto-confirm", "--inject", &format!("{step}=error")]);
        let calls = systemd::calls();
        assert!(!out.status.success(), "{step}");
        assert_eq!(calls.contains(&"stop keepalived.service".into()), step != "settings", "{calls:?}");
        assert_eq!(UNITS.map(systemd::get), [on("ravelin"), on("ravelin")], "{step}: {calls:?}");
        assert_eq!((addresses_on(LAN), node.drift()), (THERE.map(str::to_owned).to_vec(), vec![]), "{step}: {calls:?}");
    }
}

#[test]
fn without_a_snapshot_an_election_lets_go_before_addresses_come_back() {
    if !inside("without_a_snapshot_an_election_lets_go_before_addresses_come_back") {
        return;
    }
    let mut node = node();
    node.apply(vec![], &ALL, false);
    waiting(&mut node, files(ELECTION), &ALL, true, "60");
    assert_eq!(systemd::get("keepalived.service"), on("ravelin"));
    fs::write(node.state().join("pending/snapshot.json"), "not JSON").expect("writes");
    let said = applied(&node.state(), &["revert"]);
    assert!(said.contains("confirmed"), "{said}");
    let calls = systemd::calls();
    assert_eq!(UNITS.map(systemd::get), [OFF, OFF], "{calls:?}");
    assert_eq!((addresses_on(LAN), node.drift()), (THERE.map(str::to_owned).to_vec(), vec![]), "{calls:?}");
    // The other way round: the election that is confirmed runs again.
    node.apply(files(ELECTION), &ALL, true);
    waiting(&mut node, vec![], &[GATEWAY], false, "60");
    assert_eq!(UNITS.map(systemd::get), [OFF, OFF]);
    fs::write(node.state().join("pending/snapshot.json"), "not JSON").expect("writes");
    applied(&node.state(), &["revert"]);
    assert_eq!(UNITS.map(systemd::get), [on("ravelin"), on("ravelin")]);
    assert_eq!(addresses_on(LAN), THERE);
}

#[test]
fn a_daemon_that_hangs_keeps_nothing_of_before_away() {
    if !inside("a_daemon_that_hangs_keeps_nothing_of_before_away") {
        return;
    }
    // What one word may take, killing included, and a busy machine besides.
    let patience = 3 * apply::systemctl::ANSWERS_WITHIN;
    let mut node = node();
    node.apply(vec![], &ALL, false);
    waiting(&mut node, files(ELECTION), &ALL, true, "3");
    systemd::hangs("stop keepalived.service");
    let begun = Instant::now();
    while node.state().join("pending/meta.json").exists() {
        assert!(begun.elapsed() < Duration::from_secs(3) + patience, "still there: {:?}", systemd::calls());
        std::thread::sleep(Duration::from_millis(50));
    }
    let calls = systemd::calls();
    assert!(calls.contains(&"kill -s KILL keepalived.service".into()), "{calls:?}");
    assert!(fs::metadata(Daemon::Keepalived.path()).is_err());
    assert_eq!(UNITS.map(systemd::get), [OFF, OFF], "{calls:?}");
    assert_eq!((addresses_on(LAN), node.drift()), (THERE.map(str::to_owned).to_vec(), vec![]), "{calls:?}");
    // Forwards it is an error that says so, and the way back is the same.
    systemd::hangs("restart conntrackd.service");
    let path = node.bundle(files(ELECTION), &ALL, true);
    let out = applier(&node.state(), &["apply", &path, "--auto-confirm"]);
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("step activate") && said.contains("not done after 10 s"), "{said}");
    assert_eq!((UNITS.map(systemd::get), addresses_on(LAN)), ([OFF, OFF], THERE.map(str::to_owned).to_vec()));
}

#[test]
fn a_daemon_that_refuses_keeps_the_other_from_nothing() {
    if !inside("a_daemon_that_refuses_keeps_the_other_from_nothing") {
        return;
    }
    let mut node = node();
    node.apply(files(ELECTION), &ALL, true);
    waiting(&mut node, vec![], &[GATEWAY], false, "60");
    systemd::fails("restart conntrackd.service");
    applied(&node.state(), &["revert"]);
    assert_eq!(UNITS.map(systemd::get), [(true, None), on("ravelin")]);
    assert_eq!(addresses_on(LAN), THERE);
    let journal = fs::read_to_string(node.state().join("journal")).expect("reads");
    assert!(journal.contains("refused on purpose"), "{journal}");
}

#[test]
fn the_boot_unit_waits_for_no_daemon() {
    if !inside("the_boot_unit_waits_for_no_daemon") {
        return;
    }
    let mut node = node();
    node.apply(vec![], &[GATEWAY], false);
    // As after a power cut: the change is of an earlier boot.
    let power_cut = |node: &Node| {
        let path = node.state().join("pending/meta.json");
        let mut meta: serde_json::Value = serde_json::from_str(&fs::read_to_string(&path).expect("reads")).expect("JSON");
        meta["boot_id"] = "an earlier one".into();
        fs::write(&path, meta.to_string()).expect("writes");
        systemd::calls();
        applied(&node.state(), &["boot"]);
        let calls = systemd::calls();
        // Both daemons start after this unit: whoever waits for one of them there waits for ever.
        let waits = ["start ", "stop ", "restart ", "reload-or-restart "];
        for c in &calls {
            assert!(!c.contains("--now") && (c.contains("--no-block") || !waits.iter().any(|w| c.starts_with(w))), "{calls:?}");
        }
        calls
    };
    waiting(&mut node, files(ELECTION), &ALL, true, "60");
    let calls = power_cut(&node);
    assert_eq!(calls.first().map(String::as_str), Some("daemon-reload"), "{calls:?}");
    assert!(fs::metadata(Daemon::Keepalived.path()).is_err() && fs::metadata(Daemon::Conntrackd.path()).is_err());
    assert_eq!(UNITS.map(systemd::get), [OFF, OFF], "{calls:?}");
    // A removal that was under way: what this boot starts was decided before, so that it is said again.
    node.apply(files(ELECTION), &ALL, true);
    waiting(&mut node, vec![], &[], false, "60");
    let calls = power_cut(&node);
    assert_eq!(fs::read_to_string(Daemon::Keepalived.path()).expect("reads"), ELECTION);
    assert_eq!(UNITS.map(systemd::get), [on("ravelin"), on("ravelin")], "{calls:?}");
    assert!(systemd::get("ravelin-states.timer").0, "{calls:?}");
}

/// Writes down what it is asked, as the daemon's client would ask it.
const CONNTRACKD: &str = "#!/bin/sh\necho \"$*\" >> /run/fake/conntrackd\n";

#[test]
fn states_are_told_by_the_active_node_alone() {
    if !inside("states_are_told_by_the_active_node_alone") {
        return;
    }
    let mut node = node();
    systemd::stand_in("conntrackd", CONNTRACKD);
    let asked = || {
        let said = fs::read_to_string("/run/fake/conntrackd").unwrap_or_default();
        fs::write("/run/fake/conntrackd", "").expect("writes");
        said.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(applied(&node.state(), &["states", "--json"]).contains("no-pair"), "nothing is confirmed");
    node.apply(files(ELECTION), &[GATEWAY], true);
    asked();
    // Active: the kernel's table into its own, then all of it to the other node.
    assert!(addresses_on(LAN).contains(&GATEWAY.to_owned()));
    assert!(applied(&node.state(), &["states", "--json"]).contains("told"));
    let with = |words: &str| format!("-C {} {words}", Daemon::Conntrackd.path());
    assert_eq!(asked(), [with("-R"), with("-B")]);
    // Not active: it has nothing to tell, and forgets what it had.
    run("ip", &["address", "del", GATEWAY, "dev", LAN]);
    assert!(applied(&node.state(), &["states", "--json"]).contains("forgot"));
    assert_eq!(asked(), [with("-f internal")]);
    // Nobody listens: the timer's unit fails, and the second word is not said.
    systemd::stand_in("conntrackd", "#!/bin/sh\necho \"$*\" >> /run/fake/conntrackd\necho cannot connect >&2\nexit 1\n");
    run("ip", &["address", "add", GATEWAY, "dev", LAN]);
    let out = applier(&node.state(), &["states"]);
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("cannot connect"));
    assert_eq!(asked(), [with("-R")]);
}

/// A TCP connection of this machine with itself, and whether its windows are checked forgivingly.
struct Talk {
    _ends: (std::net::TcpStream, std::net::TcpListener),
    from: u16,
}

impl Talk {
    fn new() -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("listens");
        let stream = std::net::TcpStream::connect(listener.local_addr().expect("an address")).expect("opens");
        let from = stream.local_addr().expect("an address").port();
        Self { _ends: (stream, listener), from }
    }
    fn forgiving(&self) -> bool {
        let all = sys::track::Tracking::open().and_then(|mut t| t.list()).expect("lists");
        all.iter().find(|e| e.original.sport == self.from).expect("tracked").forgiving
    }
}

/// What a node last saw of a connection is held against nobody once nodes changed; a connection that saw no change stays under strict checks.
#[test]
fn connections_that_live_through_a_change_of_nodes_are_forgiven_their_windows() {
    if !inside("connections_that_live_through_a_change_of_nodes_are_forgiven_their_windows") {
        return;
    }
    let mut node = node();
    systemd::stand_in("conntrackd", CONNTRACKD);
    run("ip", &["link", "set", "lo", "up"]);
    node.apply(files(ELECTION), &[GATEWAY], true);
    let states = || applied(&node.state(), &["states"]);
    // Who knows nothing of before takes it for a change.
    let first = Talk::new();
    assert!(!first.forgiving());
    states();
    assert!(first.forgiving());
    let second = Talk::new();
    states();
    assert!(!second.forgiving(), "nothing changed");
    // This node gives up, and takes over again.
    run("ip", &["address", "del", GATEWAY, "dev", LAN]);
    states();
    assert!(second.forgiving());
    let third = Talk::new();
    run("ip", &["address", "add", GATEWAY, "dev", LAN]);
    states();
    assert!(third.forgiving());
    let last = Talk::new();
    states();
    assert!(!last.forgiving(), "nothing changed");
}
