//! A failure of each kind after each step, from the code's own list of steps: on a machine with a confirmed state and on
//! one without, with and without a power loss afterwards. Always ends in the last known good state: rules, files, modes and addresses.

#![expect(clippy::print_stdout, reason = "the count is part of what the test says")]

mod common;

use apply::{Step, inject::Kind};
use common::*;
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// The timer looks ten times a second; nft needs tens of milliseconds.
const SOON: Duration = Duration::from_secs(20);

struct Case {
    step: Step,
    kind: Kind,
    first: bool,
    power_loss: bool,
    by_confirm: bool,
}

/// The device addresses are put on.
const WAN: &str = "wan";
/// What an operator put on it; a bundle wants the second one, too.
const OPERATORS: [&str; 2] = ["192.0.2.2/24", "192.0.2.9/32"];
/// What the generations want: one address stays, one goes, some come.
const OLD: [&str; 3] = ["192.0.2.10/32", "192.0.2.11/32", "2001:db8::11/128"];
const NEW: [&str; 4] = ["192.0.2.11/32", "192.0.2.12/32", "192.0.2.9/32", "2001:db8::12/128"];

/// The operator's addresses and these.
fn with_operators(addresses: &[&str]) -> Vec<String> {
    let mut all: Vec<String> = OPERATORS.iter().chain(addresses).map(|a| (*a).to_owned()).collect();
    all.sort();
    all.dedup();
    all
}

/// Steps the `confirm` command takes.
const CONFIRMING: [Step; 3] = [Step::Persist, Step::Confirm, Step::Disarm];

#[test]
fn every_step_fails_in_every_way() {
    if !inside("every_step_fails_in_every_way") {
        return;
    }
    etc_of_its_own();
    let old = ruleset("22");
    let new = ruleset("22, 80");
    let mut count = 0;
    for step in Step::ALL {
        for kind in Kind::ENDING {
            for first in [false, true] {
                for power_loss in [false, true] {
                    for by_confirm in [false, true] {
                        if by_confirm && !CONFIRMING.contains(&step) || power_loss && kind == Kind::Error {
                            continue;
                        }
                        ends_well(&Case { step, kind, first, power_loss, by_confirm }, &old, &new);
                        count += 1;
                    }
                }
            }
        }
    }
    println!("{count} injected failures over {} steps ended in the last known good state", Step::ALL.len());
    assert!(count >= Step::ALL.len() * Kind::ENDING.len() * 2);
}

fn ends_well(case: &Case, old: &str, new: &str) {
    let Case { step, kind, first, power_loss, by_confirm } = *case;
    let name = format!("{step}={} first={first} power_loss={power_loss} by_confirm={by_confirm}", kind.word());
    run("nft", &["flush", "ruleset"]);
    run("umount", &["/etc"]);
    etc_of_its_own();
    device_of_its_own(WAN, &OPERATORS);
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let mut parent = None;
    if !first {
        let bundle = sealed_on(old, 1, None, own_files("older", &["a.service", "gone.service"]), WAN, &OLD);
        parent = Some(bundle.digest());
        applied(&state, &["apply", &written(dir.path(), "old", &bundle), "--auto-confirm"]);
    }
    let (before, files) = (live(), on_disk());
    assert_eq!(addresses_on(WAN), with_operators(if first { &[] } else { &OLD }), "{name}: before");
    let bundle = sealed_on(new, 2, parent, own_files("newer", &["a.service", "fresh.service"]), WAN, &NEW);
    let path = written(dir.path(), "new", &bundle);
    let fail = format!("--inject={step}={}", kind.word());
    let out = if by_confirm {
        applied(&state, &["apply", &path]);
        applier(&state, &["confirm", "--from-console", "a test", &fail])
    } else {
        applier(&state, &["apply", &path, "--auto-confirm", &fail])
    };
    assert!(!out.status.success(), "{name}: the failure must show");
    if power_loss {
        // The timer dies with everything else, and the kernel forgets.
        kill_timer(&state);
        run("nft", &["flush", "ruleset"]);
        device_of_its_own(WAN, &OPERATORS);
        applied(&state, &["boot"]);
        assert_eq!(addresses_on(WAN), with_operators(&[]), "{name}: no device is touched before the network");
        applied(&state, &["addresses"]);
    } else {
        wait_for_the_timer(&state, &name);
    }
    let good = if step >= Step::Confirm { new } else { old };
    let now = live();
    if step >= Step::Confirm {
        assert!(now.contains("22, 80"), "{name}: {now}");
        assert_eq!(addresses_on(WAN), with_operators(&NEW), "{name}");
        let text = format!("{:?}", on_disk());
        assert!(
            text.contains("User=newer") && text.contains("fresh") && !text.contains("older") && !text.contains("gone"),
            "{name}: {text}"
        );
        assert!(text.contains("0600 hunter2"), "{name}: {text}");
    } else {
        assert_eq!(now, before, "{name}");
        assert_eq!(on_disk(), files, "{name}");
        assert_eq!(addresses_on(WAN), with_operators(if first { &[] } else { &OLD }), "{name}");
    }
    // The machine goes on from there: the next change is accepted.
    let status: serde_json::Value = serde_json::from_str(&applied(&state, &["status", "--json"])).expect("JSON");
    assert_eq!(status["drift"], serde_json::json!([]), "{name}: {good}");
    let parent = status["confirmed"]["digest"].as_str().map(|d| d.parse().expect("digest"));
    let number = status["next_generation"].as_u64().expect("number");
    let next = sealed_on(&ruleset("22, 443"), number, parent, own_files("next", &["a.service"]), WAN, &["192.0.2.13/32"]);
    applied(&state, &["apply", &written(dir.path(), "next", &next), "--auto-confirm"]);
    assert!(live().contains("22, 443"), "{name}");
    assert_eq!(addresses_on(WAN), with_operators(&["192.0.2.13/32"]), "{name}: of ours the wanted one alone");
    let text = format!("{:?}", on_disk());
    assert!(text.contains("User=next") && !text.contains("fresh") && !text.contains("gone"), "{name}: {text}");
}

fn timer_pid(state: &Path) -> Option<u32> {
    let text = std::fs::read_to_string(state.join("pending/timer.json")).ok()?;
    let process: apply::state::Process = serde_json::from_str(&text).ok()?;
    process.alive().then_some(process.pid)
}

fn kill_timer(state: &Path) {
    if let Some(pid) = timer_pid(state) {
        run("kill", &["-9", &pid.to_string()]);
        let begun = Instant::now();
        while timer_pid(state).is_some() && begun.elapsed() < SOON {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn wait_for_the_timer(state: &Path, name: &str) {
    let begun = Instant::now();
    while timer_pid(state).is_some() {
        assert!(begun.elapsed() < SOON, "{name}: the timer does not end");
        std::thread::sleep(Duration::from_millis(10));
    }
}
