//! What is refused, what is noticed, what reverts by itself.

mod common;

use common::*;
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const SOON: Duration = Duration::from_secs(20);

fn json(state: &Path) -> serde_json::Value {
    serde_json::from_str(&applied(state, &["status", "--json"])).expect("JSON")
}

fn refused(state: &Path, arguments: &[&str]) -> String {
    let out = applier(state, arguments);
    assert_eq!(out.status.code(), Some(1), "{arguments:?} must be refused");
    String::from_utf8_lossy(&out.stderr).into_owned()
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < SOON, "{what} does not happen");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn generations_only_go_up_and_follow_each_other() {
    if !inside("generations_only_go_up_and_follow_each_other") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let give = |name: &str, bundle: &bundle::Bundle| written(dir.path(), name, bundle);
    let one = sealed(&ruleset("22"), 1, None);
    let three = sealed(&ruleset("22, 80"), 3, Some(one.digest()));
    applied(&state, &["apply", &give("one", &one), "--auto-confirm"]);
    applied(&state, &["apply", &give("three", &three), "--auto-confirm"]);
    let before = live();
    let stale = sealed(&ruleset("22, 1"), 2, Some(three.digest()));
    assert!(refused(&state, &["apply", &give("stale", &stale), "--auto-confirm"]).contains("stale"));
    let other = sealed(&ruleset("22, 1"), 4, Some(one.digest()));
    assert!(refused(&state, &["apply", &give("other", &other), "--auto-confirm"]).contains("follows"));
    assert!(refused(&state, &["apply", &give("one", &one), "--auto-confirm"]).contains("stale"));
    let elsewhere = sealed(&ruleset("22, 1"), 4, Some(three.digest()));
    let elsewhere = give("elsewhere", &elsewhere);
    assert!(refused(&state, &["apply", &elsewhere, "--auto-confirm", "--machine", "there"]).contains("for machine"));
    // Tried and taken back: a later one may come, an older one may not.
    let five = sealed(&ruleset("22, 1"), 5, Some(three.digest()));
    refused(&state, &["apply", &give("five", &five), "--auto-confirm", "--inject=commit=error"]);
    assert!(refused(&state, &["apply", &elsewhere, "--auto-confirm"]).contains("older"));
    assert_eq!(live(), before, "nothing of all this changed anything");
    // The same once more is no change, and says so.
    assert!(applied(&state, &["apply", &give("three", &three), "--auto-confirm"]).contains("nothing to do"));
    assert!(applied(&state, &["apply", &give("five", &five), "--auto-confirm"]).contains("confirmed"));
}

#[test]
fn an_unconfirmed_change_reverts_although_everybody_is_gone() {
    if !inside("an_unconfirmed_change_reverts_although_everybody_is_gone") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let one = sealed(&ruleset("22"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    let before = live();
    let two = written(dir.path(), "two", &sealed(&ruleset("80"), 2, Some(one.digest())));
    // A session of its own, hung up with all that is in it: the shell, the command, everything it started but the timer.
    let line = format!("{} --state {} apply {two} --confirm-within 2; kill -9 -$$", env!("CARGO_BIN_EXE_ravelin-applier"), state.display());
    let ended = Command::new("setsid").args(["-w", "sh", "-c", &line]).status().expect("setsid is installed");
    assert!(!ended.success());
    assert!(live().contains("dport 80"), "it is in force until then");
    assert_eq!(json(&state)["pending"]["timer"], true);
    until("the revert", || live() == before);
    until("the end of it", || json(&state)["pending"].is_null());
    assert!(refused(&state, &["confirm"]).contains("nothing waits"));
}

#[test]
fn confirming_keeps_it_and_reverting_does_not() {
    if !inside("confirming_keeps_it_and_reverting_does_not") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let one = sealed(&ruleset("22"), 1, None);
    let path = written(dir.path(), "one", &one);
    applied(&state, &["apply", &path, "--confirm-within", "2"]);
    assert!(refused(&state, &["apply", &path]).contains("waits"));
    let wrong = sealed(&ruleset("1"), 1, None).digest().to_string();
    assert!(refused(&state, &["confirm", "--digest", &wrong]).contains("does not wait"));
    assert!(refused(&state, &["confirm"]).contains("--from-console"));
    applied(&state, &["confirm", "--digest", &one.digest().to_string(), "--from-console", "at the rack"]);
    assert_eq!(json(&state)["confirmed"]["proof"]["console"]["reason"], "at the rack");
    assert!(applied(&state, &["status"]).contains("from the console, which proves no way in: \"at the rack\""));
    std::thread::sleep(Duration::from_millis(2500));
    assert!(live().contains("dport 22"), "the timer has nothing to do");
    let two = sealed(&ruleset("80"), 2, Some(one.digest()));
    applied(&state, &["apply", &written(dir.path(), "two", &two)]);
    assert!(live().contains("dport 80"));
    applied(&state, &["revert"]);
    assert!(live().contains("dport 22"));
    assert_eq!(json(&state)["pending"], serde_json::Value::Null);
}

#[test]
fn without_its_timer_a_change_reverts_at_the_next_command() {
    if !inside("without_its_timer_a_change_reverts_at_the_next_command") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let one = sealed(&ruleset("22"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    let two = written(dir.path(), "two", &sealed(&ruleset("80"), 2, Some(one.digest())));
    let three = written(dir.path(), "three", &sealed(&ruleset("443"), 3, Some(one.digest())));
    applied(&state, &["apply", &two, "--confirm-within", "2"]);
    let timer: apply::state::Process =
        serde_json::from_str(&std::fs::read_to_string(state.join("pending/timer.json")).expect("is there")).expect("reads");
    run("kill", &["-9", &timer.pid.to_string()]);
    until("its end", || !timer.alive());
    assert_eq!(json(&state)["pending"]["timer"], false, "and status says so");
    assert!(refused(&state, &["apply", &three]).contains("waits"), "it may still be confirmed");
    std::thread::sleep(Duration::from_secs(2));
    assert!(live().contains("dport 80") && refused(&state, &["confirm"]).contains("too late"));
    assert!(live().contains("dport 22"), "and the old state is back");
    applied(&state, &["apply", &three, "--auto-confirm"]);
    assert!(live().contains("dport 443"));
    let told = std::fs::read_to_string(state.join("journal")).expect("is there");
    assert!(told.contains("reverted (Snapshot)"), "{told}");
}

#[test]
fn two_at_once_exclude_each_other() {
    if !inside("two_at_once_exclude_each_other") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let start = |n: u16| {
        let bundle = sealed(&ruleset(&n.to_string()), 1, None);
        let path = written(dir.path(), &n.to_string(), &bundle);
        Command::new(env!("CARGO_BIN_EXE_ravelin-applier"))
            .args(["--state", &state.display().to_string(), "apply", &path, "--auto-confirm"])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::null())
            .spawn()
            .expect("starts")
    };
    let children: Vec<_> = (1000..1006).map(start).collect();
    let won = children.into_iter().map(|mut c| c.wait().expect("ends").success()).filter(|&w| w).count();
    assert_eq!(won, 1, "all follow nothing, so only one can be first");
    assert_eq!(json(&state)["drift"], serde_json::json!([]));
}

#[test]
fn a_process_that_hangs_is_ended_at_the_deadline() {
    if !inside("a_process_that_hangs_is_ended_at_the_deadline") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    run("sysctl", &["-qw", "net.ipv4.ip_forward=1"]);
    let two = written(dir.path(), "one", &sealed(&ruleset("80"), 1, None));
    // A forwarding node listens first: here for longer than anybody waits.
    let mut child = Command::new(env!("CARGO_BIN_EXE_ravelin-applier"))
        .args(["--state", &state.display().to_string(), "apply", &two, "--confirm-within", "1", "--tracking-period", "600"])
        .spawn()
        .expect("starts");
    until("tracking", || !live().is_empty());
    until("the revert", || live().is_empty());
    assert!(!child.wait().expect("ends").success());
    until("the end of it", || json(&state)["pending"].is_null());
}

#[test]
fn other_tables_are_never_touched_and_drift_in_ours_is_named() {
    if !inside("other_tables_are_never_touched_and_drift_in_ours_is_named") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    run("nft", &["add table ip docker; add chain ip docker c { type filter hook forward priority 0; }; add rule ip docker c counter drop"]);
    let others = || run("nft", &["list", "table", "ip", "docker"]);
    let before = others();
    let one = sealed(&ruleset("22"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    assert_eq!(json(&state)["drift"], serde_json::json!([]));
    run("nft", &["insert", "rule", "inet", "ravelin", "input", "accept"]);
    assert!(json(&state)["drift"].to_string().contains("input"));
    run("nft", &["delete", "chain", "inet", "ravelin", "output"]);
    assert!(json(&state)["drift"].to_string().contains("output"));
    // The same bundle again repairs it.
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    assert_eq!(json(&state)["drift"], serde_json::json!([]));
    let two = sealed(&ruleset("80"), 2, Some(one.digest()));
    applied(&state, &["apply", &written(dir.path(), "two", &two)]);
    applied(&state, &["revert"]);
    assert_eq!(others(), before);
}

#[test]
fn boot_loads_what_is_confirmed_or_the_management_path_alone() {
    if !inside("boot_loads_what_is_confirmed_or_the_management_path_alone") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    applied(&state, &["boot"]);
    assert_eq!(live(), "", "nothing was ever confirmed: the machine stays as it was");
    let one = sealed(&ruleset("22, 80"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    let before = live();
    run("nft", &["flush", "ruleset"]);
    applied(&state, &["boot"]);
    assert_eq!(live(), before);
    let path = state.join("confirmed/bundle");
    let mut bytes = std::fs::read(&path).expect("is there");
    bytes[200] ^= 1;
    std::fs::write(&path, &bytes).expect("writes");
    assert!(refused(&state, &["boot"]).contains("damaged"));
    assert!(live().contains("dport 22") && !live().contains("80"), "the management path: {}", live());
    std::fs::remove_file(&path).expect("removes");
    run("nft", &["flush", "ruleset"]);
    assert!(refused(&state, &["boot"]).contains("lost"));
    assert!(live().contains("dport 22") && !live().contains("80"), "a lost bundle opens nothing: {}", live());
    std::fs::write(state.join("confirmed/break-glass.nft"), "flush ruleset").expect("writes");
    refused(&state, &["boot"]);
    assert!(live().contains("policy drop") && !live().contains("dport"), "closed: {}", live());
}

#[test]
fn break_glass_opens_the_management_path_in_a_second() {
    if !inside("break_glass_opens_the_management_path_in_a_second") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let one = sealed(&ruleset("80"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    assert!(!live().contains("dport 22"));
    // Somebody hangs with the lock held: the console gets through all the same.
    let lock = std::fs::File::open(state.join("lock")).expect("is there");
    lock.lock().expect("locks");
    let begun = Instant::now();
    applied(&state, &["break-glass"]);
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(live().contains("dport 22"));
}

#[test]
fn nothing_comes_back_by_itself_after_break_glass() {
    if !inside("nothing_comes_back_by_itself_after_break_glass") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let one = sealed(&ruleset("80"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    let two = sealed(&ruleset("443"), 2, Some(one.digest()));
    applied(&state, &["apply", &written(dir.path(), "two", &two), "--confirm-within", "2"]);
    applied(&state, &["break-glass"]);
    std::thread::sleep(Duration::from_millis(2700));
    assert!(live().contains("dport 22") && !live().contains("dport 80") && !live().contains("dport 443"), "{}", live());
    assert!(refused(&state, &["confirm"]).contains("nothing waits"));
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--auto-confirm"]);
    assert!(live().contains("dport 80"), "an apply ends it");
}

#[test]
fn a_batch_beyond_the_sockets_limit_is_named_and_changes_nothing() {
    if !inside("a_batch_beyond_the_sockets_limit_is_named_and_changes_nothing") {
        return;
    }
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let elements: Vec<String> = (0..60_000u32).map(|n| format!("10.{}.{}.{} . 22", n >> 16, n >> 8 & 255, n & 255)).collect();
    let large = format!(
        "table inet ravelin {{ }}\ndelete table inet ravelin\ntable inet ravelin {{\n set s {{ type ipv4_addr . inet_service; elements = {{ {} }} }}\n}}\n",
        elements.join(", ")
    );
    let mut draft = draft(&ruleset("22"), 1, None);
    draft.artefacts = vec![bundle::Artefact::Nft { text: large }];
    draft.expected.ruleset = None;
    let bundle = bundle::Bundle::seal(draft).expect("seals");
    let said = refused(&state, &["apply", &written(dir.path(), "large", &bundle), "--auto-confirm"]);
    // In a user namespace of its own nobody may go beyond net.core.wmem_max.
    assert!(said.contains("too large") && said.contains("wmem_max"), "{said}");
    assert_eq!(live(), "");
}
