//! The ways up that need a machine (`where = "vm"` in `crates/breach/planted`): systemd, polkit, an engine, a disk. In one machine of the VM
//! lab, without SELinux: all are planted, `ravelin breach` names each, each is tried as the account and works, `ravelin harden` closes
//! those that may be closed by themselves and the rest is closed by hand as advised, none is found any more, none works; `--undo` brings
//! back what `harden` closed. The administrator's sudo works before and after.

#![expect(clippy::print_stdout, reason = "what was tried is the test's result")]

#[path = "../../stub/tests/common/mod.rs"]
mod stand_in;

use serde::Deserialize;
use stand_in::lab::{self, Lab};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};
use vm::{Code, Mode, Options};

#[derive(Debug, Deserialize)]
struct Planted {
    r#where: String,
    plant: String,
    attempt: String,
    #[serde(default)]
    trigger: String,
    #[serde(default)]
    close: String,
    #[serde(default)]
    proof: String,
    #[serde(default)]
    clean: String,
}

const ACCOUNTS: &str = "set -e
    getent passwd lotus >/dev/null || useradd --system --user-group --home-dir /var/lib/lotus --shell /usr/sbin/nologin lotus
    useradd --create-home --shell /bin/bash ops; echo 'ops ALL=(ALL) NOPASSWD: ALL' >/etc/sudoers.d/ops; chmod 0440 /etc/sudoers.d/ops
    install /bin/sleep /usr/local/bin/lotus; chmod 0700 /root
    setsid setpriv --reuid lotus --regid lotus --init-groups /usr/local/bin/lotus 36000 >/dev/null 2>&1 </dev/null &
    sleep 1";
/// Somebody who may administrate the machine.
const OPS: &str = "runuser -u ops -- sudo -n id -u | grep -qx 0";

/// What `harden` says of a group that is left: the account's processes keep it until they start again.
const AGAIN: &str = "pkill -x lotus-miner; pkill -x lotus; sleep 1; systemctl restart lotus.service
    for p in lotus lotus-miner; do setsid setpriv --reuid lotus --regid lotus --init-groups /usr/local/bin/$p 36000 >/dev/null 2>&1 </dev/null & done
    sleep 1";

/// The ways that are planted here, by technique.
fn planted() -> BTreeMap<String, Planted> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../breach/planted");
    let files = fs::read_dir(directory).expect("planted").flatten();
    let read = files.map(|f| {
        let text = fs::read_to_string(f.path()).expect("reads");
        let name = f.path().file_stem().expect("a name").to_string_lossy().into_owned();
        (name, toml::from_str::<Planted>(&text).unwrap_or_else(|e| panic!("{}: {e}", f.path().display())))
    });
    read.filter(|(_, p)| p.r#where == "vm").collect()
}

/// Techniques on the ways of the account, as `ravelin breach` names them.
fn found(lab: &mut Lab) -> BTreeSet<String> {
    let ran = lab.machine.run_within("/usr/local/sbin/ravelin breach --json", lab::SETTING_UP).unwrap_or_else(|e| panic!("{e}"));
    let closure: serde_json::Value = serde_json::from_str(&ran.text()).unwrap_or_else(|e| panic!("{e}: {}", ran.said()));
    let edges = closure["edges"].as_array().expect("edges");
    let accounts = closure["accounts"].as_array().expect("accounts").iter().filter(|a| a["account"] == "lotus");
    let ways = accounts.flat_map(|a| a["ways"].as_array().expect("ways"));
    let steps = ways.flat_map(|w| w["steps"].as_array().expect("steps"));
    steps.filter_map(|s| edges[usize::try_from(s.as_u64()?).ok()?]["technique"].as_str().map(str::to_owned)).collect()
}

/// Whether a way works for the account; what the attempt leaves is taken away.
fn works(lab: &mut Lab, way: &Planted) -> bool {
    let script = format!(
        "exec </dev/null\n(cd /tmp && setpriv --reuid lotus --regid lotus --init-groups timeout 60 bash -c {}) 2>&1\n({}) 2>&1\n({})\necho proof=$?\n({}) >/dev/null 2>&1\ntrue",
        quoted(&way.attempt),
        lines(&way.trigger),
        lines(&way.proof),
        lines(&way.clean),
    );
    let ran = lab.machine.run_within(&script, lab::SETTING_UP).unwrap_or_else(|e| panic!("{e}"));
    let worked = ran.text().lines().any(|l| l == "proof=0");
    println!("tried: {}: {worked}\n{}", way.attempt.trim(), ran.said().trim());
    worked
}

fn lines(script: &str) -> String {
    if script.is_empty() { "true".to_owned() } else { format!("\n{script}\n") }
}

fn quoted(script: &str) -> String {
    format!("'{}'", script.replace('\'', "'\\''"))
}

#[test]
fn each_way_up_of_a_machine_works_until_it_is_closed() {
    let ways = planted();
    assert!(ways.len() >= 10, "{ways:?}");
    let mut lab = Lab::boot(&Options { mode: Mode::Plain, ..Options::default() });
    lab.ravelin(env!("CARGO_BIN_EXE_ravelin"));
    lab.must(ACCOUNTS, lab::SETTING_UP);
    lab.must(OPS, lab::SETTING_UP);
    let clean = found(&mut lab);
    let early: Vec<_> = ways.keys().filter(|w| clean.contains(*w)).collect();
    assert!(early.is_empty(), "found before they were planted: {early:?}");

    for way in ways.values() {
        lab.must(&format!("exec </dev/null\n{}", way.plant), lab::SETTING_UP);
    }
    let seen = found(&mut lab);
    let missed: Vec<_> = ways.keys().filter(|w| !seen.contains(*w)).collect();
    assert!(missed.is_empty(), "planted and not found: {missed:?}; found {seen:?}");
    let idle: Vec<_> = ways.iter().filter(|(_, w)| !works(&mut lab, w)).map(|(n, _)| n).collect();
    assert!(idle.is_empty(), "planted and found, and do not work: {idle:?}");

    let ran = lab.machine.run_within("/usr/local/sbin/ravelin harden --yes", lab::SETTING_UP).unwrap_or_else(|e| panic!("{e}"));
    println!("{}", ran.said());
    // What is left to people is something found.
    assert_eq!(ran.code, Code::Exit(1), "{}", ran.said());
    assert!(ran.said().contains("its processes keep it until they start again"), "{}", ran.said());
    lab.must(AGAIN, lab::SETTING_UP);
    let left = found(&mut lab);
    for (name, way) in &ways {
        assert_eq!(left.contains(name), !way.close.is_empty(), "{name}: closed by itself and still found, or closed where only people may");
        if !way.close.is_empty() {
            lab.must(&format!("exec </dev/null\n{}", way.close), lab::SETTING_UP);
        }
    }
    let left = found(&mut lab);
    let still: Vec<_> = ways.keys().filter(|w| left.contains(*w)).collect();
    assert!(still.is_empty(), "closed and still found: {still:?}");
    let open: Vec<_> = ways.iter().filter(|(_, w)| works(&mut lab, w)).map(|(n, _)| n).collect();
    assert!(open.is_empty(), "closed and still work: {open:?}");
    lab.must(OPS, lab::SETTING_UP);

    let ran = lab.machine.run_within("/usr/local/sbin/ravelin harden --undo", lab::SETTING_UP).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(ran.code, Code::Exit(0), "{}", ran.said());
    let back = found(&mut lab);
    for (name, _) in ways.iter().filter(|(_, w)| w.close.is_empty()) {
        assert!(back.contains(name), "{name}: taken back and not found again: {back:?}");
        println!("{name}: planted, found, worked; closed by harden, not found, failed; taken back, found");
    }
}
