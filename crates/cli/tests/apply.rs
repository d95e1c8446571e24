//! `apply` on a machine of its own: it proves what it applies together with what else filters there, keeps the operator's way
//! in, and confirms nothing that nothing has tried. The real programs in namespaces of the test's own.

mod common;

use common::succeeds;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// One machine on the Internet, managed from one address.
const SITE: &str = include_str!("common/v4.toml");

/// Wider than intended, and decided again by a day.
const WEAK: &str = r#"
[[allow]]
from  = "internet"
to    = "sp1"
port  = "8000/tcp"
why   = "a page for a week"
until = "2027-03-01"
"#;

/// A second line of the same kind.
const WIDER: &str = r#"
[[allow]]
from  = "internet"
to    = "sp1"
port  = "8001/tcp"
why   = "another page"
until = "2027-12-01"
"#;

/// Before the weakening ends, and after.
const BEFORE: &str = "2027-01-10";
const AFTER: &str = "2027-04-01";

/// From the management address, and from somewhere else.
const MANAGER: &str = "198.51.100.7 50000 203.0.113.10 22";
const STRANGER: &str = "192.0.2.77 50000 203.0.113.10 22";

/// Runs the test of this name again in namespaces of its own; `true` inside of them, with the machine's address in place.
fn inside(test: &str) -> bool {
    common::inside(test, || {
        succeeds("mount", &["-t", "tmpfs", "none", "/tmp"]);
        for line in ["link set lo up", "link add eno1 type veth peer name far", "link set eno1 up", "link set far up"] {
            succeeds("ip", &line.split(' ').collect::<Vec<_>>());
        }
        succeeds("ip", &["address", "add", "203.0.113.10/24", "dev", "eno1"]);
        succeeds("ip", &["route", "add", "default", "via", "203.0.113.1"]);
    })
}

/// `ravelin apply` as somebody who came in by `ssh`.
fn apply(here: &Path, site: &str, ssh: Option<&str>, arguments: &[&str]) -> Output {
    let file = here.join("site.toml");
    fs::write(&file, site).expect("the site file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.env("NO_COLOR", "1").env_remove("SSH_CLIENT").env_remove("SSH_CONNECTION").arg("apply").arg(&file);
    if let Some(ssh) = ssh {
        command.env("SSH_CONNECTION", ssh);
    }
    command.args(["--host", "sp1", "--because", "a test", "--within", "30"]);
    command.arg("--state").arg(here.join("state")).arg("--record").arg(here.join("one.ledger")).args(arguments);
    command.output().expect("ravelin starts")
}

/// Ended with this code and said these words.
fn ended(out: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{text}");
    for w in words {
        assert!(text.contains(w), "`{w}` is not said:\n{text}");
    }
}

fn holds_our_table() -> bool {
    Command::new("nft").args(["list", "table", "inet", "ravelin"]).output().expect("nft is installed").status.success()
}

fn decisions(here: &Path) -> String {
    fs::read_to_string(here.join("one.decisions")).unwrap_or_default()
}

#[test]
fn the_own_way_in_is_kept() {
    if !inside("the_own_way_in_is_kept") {
        return;
    }
    let here = tempfile::tempdir().expect("a directory");
    let refused = apply(here.path(), SITE, Some(STRANGER), &["--yes"]);
    ended(&refused, 2, &["192.0.2.77", "nothing was changed", "site.toml:5", r#"from = ["198.51.100.7/32", "192.0.2.77/32"]"#]);
    assert!(!holds_our_table(), "a refusal changes nothing");
    let forced = ["--yes", "--without-way-in", "the console is at hand", "--without-probe", "a test"];
    ended(&apply(here.path(), SITE, Some(STRANGER), &forced), 0, &["is confirmed"]);
    assert!(decisions(here.path()).contains("the console is at hand"));
    let added = SITE.replace(r#""198.51.100.7/32""#, r#""198.51.100.7/32", "192.0.2.77/32""#);
    ended(&apply(here.path(), &added, Some(STRANGER), &["--yes", "--without-probe", "a test"]), 0, &["is confirmed"]);
}

#[test]
fn what_else_filters_is_part_of_the_proof() {
    if !inside("what_else_filters_is_part_of_the_proof") {
        return;
    }
    let here = tempfile::tempdir().expect("a directory");
    // Somebody else's table refuses what the management path needs.
    let other = "table inet other { chain in { type filter hook input priority 10; tcp dport 22 drop; }; }";
    succeeds("nft", &[other]);
    ended(&apply(here.path(), SITE, Some(MANAGER), &["--yes"]), 1, &["NET006", "refused; nothing was changed"]);
    assert!(!holds_our_table(), "a refusal changes nothing");
    succeeds("nft", &["flush chain inet other in"]);
    ended(&apply(here.path(), SITE, Some(MANAGER), &["--yes", "--without-probe", "a test"]), 0, &["is confirmed"]);
}

#[test]
fn without_a_probe_nothing_confirms_itself() {
    if !inside("without_a_probe_nothing_confirms_itself") {
        return;
    }
    let here = tempfile::tempdir().expect("a directory");
    let state = here.path().join("state");
    ended(&apply(here.path(), SITE, Some(MANAGER), &["--yes"]), 5, &["ravelin apply --confirm", "goes back"]);
    assert!(holds_our_table(), "it is in force while it waits");
    let confirm = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
        command.env_remove("SSH_CLIENT").env_remove("SSH_CONNECTION").args(["apply", "--confirm", "--state"]).arg(&state).args(more);
        command.output().expect("ravelin starts")
    };
    ended(&confirm(&[]), 2, &["no connection", "--from-console", "goes back at its deadline"]);
    ended(&confirm(&["--from-console", "no network in a test"]), 0, &["is confirmed"]);
    ended(&apply(here.path(), SITE, Some(MANAGER), &["--yes"]), 0, &["nothing to do"]);
    // With a reason it does, and the reason is kept.
    let less = SITE.replace("6665", "6666");
    ended(&apply(here.path(), &less, Some(MANAGER), &["--yes", "--without-probe", "alone in the lab"]), 0, &["is confirmed"]);
    assert!(decisions(here.path()).contains("alone in the lab"));
}

#[test]
fn what_has_ended_opens_nothing_more() {
    if !inside("what_has_ended_opens_nothing_more") {
        return;
    }
    let here = tempfile::tempdir().expect("a directory");
    let on = |site: &str, day| apply(here.path(), site, Some(MANAGER), &["--yes", "--without-probe", "a test", "--now", day]);
    let weak = SITE.to_owned() + WEAK;
    ended(&on(&weak, BEFORE), 0, &["is confirmed"]);
    ended(&on(&(weak.clone() + WIDER), AFTER), 2, &["WEAK003", "8001/tcp", "nothing was changed"]);
    // What narrows goes on, whatever has ended.
    let narrower = weak.replace("[[publish]]\nservice = \"lotus.libp2p\"\non      = \"sp1\"\nport    = 6665\n", "");
    assert_ne!(narrower, weak);
    ended(&on(&narrower, AFTER), 0, &["only narrows", "is confirmed"]);
    ended(&on(&weak, AFTER), 2, &["6665", "nothing was changed"]);
}

/// A service's unit as an administrator has it, and a whole one where the plan would write its own.
fn plant_unit(user: &str) {
    fs::write("/etc/systemd/system/lotus-daemon.service", format!("[Service]\nExecStart=/usr/local/bin/lotus daemon\n{user}"))
        .expect("writes");
}

/// `ravelin drift` on this machine.
fn drift(here: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.env("NO_COLOR", "1").arg("drift").arg(here.join("site.toml")).args(["--host", "sp1"]);
    command.output().expect("ravelin starts")
}

#[test]
fn a_service_that_runs_as_root_keeps_its_unit_and_the_rest_goes_on() {
    if !inside("a_service_that_runs_as_root_keeps_its_unit_and_the_rest_goes_on") {
        return;
    }
    // Directories of the test's own: accounts, units, repositories and logs of the machine are not touched, its systemd not asked.
    for own in ["/etc", "/var/lib", "/var/log", "/var/tmp", "/run"] {
        succeeds("mount", &["-t", "tmpfs", "-o", "mode=755", "none", own]);
    }
    fs::create_dir_all("/etc/systemd/system").expect("makes");
    fs::write("/etc/passwd", "root:x:0:0::/root:/bin/sh\n").expect("writes");
    fs::write("/etc/group", "root:x:0:\n").expect("writes");
    let here = tempfile::tempdir().expect("a directory");
    let site = SITE.replace("network = \"enforce\"", "network = \"enforce\"\nsystem = \"enforce\"");
    let yes = ["--yes", "--without-probe", "a test"];
    let drop_in = Path::new("/etc/systemd/system/lotus-daemon.service.d/10-ravelin.conf");

    plant_unit("");
    ended(&apply(here.path(), &site, Some(MANAGER), &yes), 0, &["runs as root", "ravelin adopt lotus", "is confirmed"]);
    assert!(!drop_in.exists(), "its account would not fit its files");
    assert!(fs::read_to_string("/etc/passwd").expect("reads").contains("lotus:x:"), "the account is made all the same");
    ended(&drift(here.path()), 0, &["waits:", "ravelin adopt lotus"]);

    // A move is shown and changes nothing; where the repository lies elsewhere, or systemd is not there, it says so.
    let adopt = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
        command.env("NO_COLOR", "1").args(["adopt", "lotus", "--host", "sp1", "--site"]).arg(here.path().join("site.toml"));
        command.arg("--state").arg(here.path().join("state")).args(more).output().expect("ravelin starts")
    };
    ended(&adopt(&[]), 2, &["should be at /root/.lotus", "write that as `repo`"]);
    plant_unit("Environment=LOTUS_PATH=/var/lib/before\n");
    fs::create_dir_all("/var/lib/before").expect("makes");
    let told =
        ["from /var/lib/before to the place of the site", "/var/lib/lotus (0700): the account cannot go through", "nothing was changed"];
    ended(&adopt(&[]), 1, &told);
    plant_unit("Environment=LOTUS_PATH=/var/lib/lotus/.lotus\n");
    fs::create_dir_all("/var/lib/lotus/.lotus").expect("makes");
    succeeds("chmod", &["711", "/var/lib/lotus"]);
    fs::write("/var/lib/lotus/.lotus/token", "t").expect("writes");
    ended(&adopt(&[]), 0, &["root -> lotus", "/var/lib/lotus/.lotus", "+User=lotus", "4 change their owner", "--yes does it"]);
    ended(&adopt(&["--undo"]), 2, &["no move of `lotus`"]);
    fs::hard_link("/var/lib/lotus/.lotus/token", "/var/lib/other").expect("links");
    ended(&adopt(&["--yes"]), 1, &["hard link", "nothing was changed"]);
    fs::remove_file("/var/lib/other").expect("removes");
    ended(&adopt(&["--yes"]), 4, &["as before"]);
    assert!(!drop_in.exists(), "it was taken back");

    plant_unit("User=lotus\n");
    ended(&apply(here.path(), &site, Some(MANAGER), &yes), 0, &["is confirmed"]);
    assert!(fs::read_to_string(drop_in).expect("is there").contains("User=lotus"));
    ended(&drift(here.path()), 0, &["holds what the site file says"]);
    fs::write(drop_in, fs::read_to_string(drop_in).expect("reads").replace("NoNewPrivileges=yes", "NoNewPrivileges=no")).expect("writes");
    ended(&drift(here.path()), 1, &["10-ravelin.conf", "differs"]);
    ended(&apply(here.path(), &site, Some(MANAGER), &yes), 0, &["is confirmed"]);
    ended(&drift(here.path()), 0, &["holds what the site file says"]);

    // Observing takes what is ours away again, and nothing else.
    let observed = site.replace("system = \"enforce\"", "system = \"observe\"");
    ended(&apply(here.path(), &observed, Some(MANAGER), &yes), 0, &["is confirmed"]);
    assert!(!drop_in.exists() && !Path::new("/etc/sysusers.d/ravelin.conf").exists());
    assert!(fs::read_to_string("/etc/systemd/system/lotus-daemon.service").expect("stays").contains("User=lotus"));
}
