//! Each way up for real: planted, found, tried as the account (works), closed by `harden` or by hand, no longer found, tried
//! again (fails). Runs in namespaces of its own over an overlay of this machine's root, so that every change lands in memory and
//! is gone afterwards. Needs real root: set-id programs and several ids are what it is about. What needs systemd or an engine is
//! marked `vm` in its file and run by `cli --test ways`.

#![allow(clippy::print_stdout, reason = "what was tried is the test's result")]

use breach::{Closure, Machine, Technique};
use facts::Facts;
use serde::Deserialize;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const INSIDE: &str = "RAVELIN_PLANTED_INSIDE";
const STAGE: &str = "RAVELIN_PLANTED_STAGE";
const TEST: &str = "each_way_up_works_until_it_is_closed";

/// Longest time of one script, in seconds.
const PATIENCE: &str = "60";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Planted {
    r#where: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for whoever builds the machine")]
    needs: String,
    #[serde(default)]
    #[expect(dead_code, reason = "for people")]
    note: String,
    #[serde(default)]
    sweep: bool,
    plant: String,
    attempt: String,
    #[serde(default)]
    trigger: String,
    #[serde(default)]
    close: String,
    #[serde(default)]
    proof: String,
    #[serde(default)]
    #[expect(dead_code, reason = "what is tried in a machine is tried beside others: its leavings are taken away")]
    clean: String,
}

fn directory() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("planted")
}

fn read(technique: Technique) -> Planted {
    let path = directory().join(format!("{}.toml", technique.id()));
    let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    toml::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn every_technique_has_its_planted_instance() {
    let files = fs::read_dir(directory()).expect("planted").flatten().count();
    for technique in Technique::ALL {
        let planted = read(*technique);
        assert!(["jail", "vm"].contains(&planted.r#where.as_str()), "{}", technique.id());
    }
    assert_eq!(files, Technique::ALL.len());
}

fn shell(script: &str) -> bool {
    let quiet = || if std::env::var_os("RAVELIN_PLANTED_LOUD").is_some() { Stdio::inherit() } else { Stdio::null() };
    Command::new("timeout")
        .args([PATIENCE, "bash", "-c", script])
        .stdin(Stdio::null())
        .stdout(quiet())
        .stderr(quiet())
        .status()
        .expect("bash runs")
        .success()
}

fn must(script: &str) {
    assert!(shell(&format!("set -e\n{script}")), "{script}");
}

#[test]
fn each_way_up_works_until_it_is_closed() {
    if let Ok(id) = std::env::var(STAGE) {
        let technique = Technique::ALL.iter().find(|t| t.id() == id).expect("technique");
        return stage(*technique);
    }
    if std::env::var_os(INSIDE).is_some() {
        return inside();
    }
    if Command::new("id").arg("-u").output().expect("id runs").stdout != b"0\n" {
        println!("not root: nothing was planted");
        return;
    }
    let me = std::env::current_exe().expect("own path");
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--pid", "--fork", "--net", "--uts", "--ipc", "--mount-proc"]);
    let status = unshare.arg(me).args(["--exact", TEST, "--nocapture"]).env(INSIDE, "1").status().expect("unshare runs");
    assert!(status.success(), "inside its namespaces");
}

fn inside() {
    let me = std::env::current_exe().expect("own path");
    let mut failed = Vec::new();
    let only = std::env::var("RAVELIN_PLANTED_ONLY").ok();
    let jailed = Technique::ALL.iter().filter(|t| read(**t).r#where == "jail" && only.as_ref().is_none_or(|o| o == t.id()));
    for technique in jailed {
        let base = format!("/tmp/ravelin-planted-{}", technique.id());
        let merged = format!("{base}/merged");
        must(&format!(
            "mkdir -p {base}; mount -t tmpfs tmpfs {base}; mkdir {base}/upper {base}/work {merged}
             mount -t overlay overlay -o lowerdir=/,upperdir={base}/upper,workdir={base}/work {merged}
             mount -t proc proc {merged}/proc; mount -o bind,ro {merged}/proc/sys {merged}/proc/sys; mount -t tmpfs -o mode=0755 tmpfs {merged}/dev; mount -t tmpfs -o mode=0755 tmpfs {merged}/run
             mount -t tmpfs -o mode=1777 tmpfs {merged}/tmp
             for d in null:3 zero:5 random:8 urandom:9 tty:5; do mknod -m 666 {merged}/dev/${{d%:*}} c 1 ${{d#*:}}; done
             mkdir {merged}/dev/pts; mount -t devpts -o newinstance,ptmxmode=0666 devpts {merged}/dev/pts; ln -s pts/ptmx {merged}/dev/ptmx
             mkdir -p {merged}$(dirname {me}); test -e {merged}{me} || cp {me} {merged}{me}",
            me = me.display()
        ));
        let status = Command::new("chroot")
            .arg(&merged)
            .arg(&me)
            .args(["--exact", TEST, "--nocapture"])
            .env(STAGE, technique.id())
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
            .status()
            .expect("chroot runs");
        if !status.success() {
            failed.push(technique.id());
        }
        let _ = shell(&format!("umount -R -l {base}; rmdir {base}"));
    }
    assert!(failed.is_empty(), "failed: {failed:?}");
}

/// One technique, in its own root.
fn stage(technique: Technique) {
    let id = technique.id();
    let planted = read(technique);
    must(
        "getent passwd lotus > /dev/null || useradd --system --user-group --home-dir /var/lib/lotus --shell /usr/sbin/nologin lotus
         getent passwd ops > /dev/null || useradd --create-home --shell /bin/bash ops
         rm -f /root/taken; install /bin/sleep /usr/local/bin/lotus; chmod 0700 /root
         chmod 0755 / /etc /usr /usr/bin /usr/local /usr/local/bin",
    );
    // A service that runs, so that the account is one.
    let mut service = by_lotus("exec /usr/local/bin/lotus 600").spawn().expect("starts");
    thread::sleep(Duration::from_millis(200));
    let before = closure(planted.sweep);
    assert_eq!(uses(&before.1, technique), 0, "{id}: found before it was planted:\n{}", before.1.text());
    must(&planted.plant);
    thread::sleep(Duration::from_millis(200));
    let (facts, found) = closure(planted.sweep);
    assert!(uses(&found, technique) > 0, "{id}: planted and not found:\n{}", found.text());
    let taken = |planted: &Planted| {
        let _ = shell("rm -f /root/taken /tmp/seen");
        let _ = by_lotus(&planted.attempt).status().expect("runs");
        let _ = shell(&planted.trigger);
        shell(if planted.proof.is_empty() { "test -s /root/taken" } else { &planted.proof })
    };
    // What the attempt leaves behind is no part of the second one.
    let _ = shell("cp -a /etc /tmp/etc.before");
    assert!(taken(&planted), "{id}: planted, found, and does not work");
    let _ = shell(
        "cp -a /tmp/etc.before/pam.d/. /etc/pam.d/; rm -f /usr/local/bin/ls; printf '#!/bin/sh\\n' > /tmp/empty; for f in /etc/cron.daily/prune /etc/profile.d/sp.sh; do test -e $f && cat /tmp/empty > $f; done; rm -f /opt/filecoin/lib/*; ldconfig",
    );
    let by_itself = planted.close.is_empty();
    if by_itself {
        let machine = Machine::new(&facts);
        let fixes = breach::fixes(&machine, &found);
        let mut steps = breach::fix::steps(&fixes);
        // The kernel's settings are this machine's own, overlay or not.
        steps.retain(|s| !matches!(s, breach::Step::Setting { .. }));
        assert!(!steps.is_empty(), "{id}: nothing closes it by itself: {fixes:?}");
        harden::run(Path::new("/var/lib/ravelin-planted"), &steps).unwrap_or_else(|e| panic!("{id}: {}", e.error));
    } else {
        must(&planted.close);
    }
    thread::sleep(Duration::from_millis(200));
    let after = closure(planted.sweep).1;
    assert_eq!(uses(&after, technique), 0, "{id}: closed and still found:\n{}", after.text());
    assert!(!taken(&planted), "{id}: closed and still works");
    if by_itself {
        harden::undo(Path::new("/var/lib/ravelin-planted")).unwrap_or_else(|e| panic!("{id}: {}", e.error));
        assert!(uses(&closure(planted.sweep).1, technique) > 0, "{id}: taken back and not found again");
    }
    println!("{id}: planted, found, worked; closed {}, not found, failed", if by_itself { "by harden" } else { "by hand" });
    let _ = service.kill();
    let _ = service.wait();
}

fn by_lotus(script: &str) -> Command {
    let loud = std::env::var_os("RAVELIN_PLANTED_LOUD").is_some();
    let out = || if loud { Stdio::inherit() } else { Stdio::null() };
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "lotus", "--regid", "lotus", "--init-groups", "timeout", "600", "bash", "-c", script]).current_dir("/tmp");
    command.stdin(Stdio::null()).stdout(out()).stderr(out());
    command
}

fn closure(sweep: bool) -> (Facts, Closure) {
    let texts =
        breach::wanted().into_iter().map(|w| observe::Interest { path: w.path.to_owned(), holds: None, keep: observe::file::Keep::Text });
    let mut facts = observe::machine(&texts.collect::<Vec<_>>());
    if sweep {
        let limits = observe::sweep::Limits {
            roots: vec!["/usr/local".into(), "/opt".into()],
            leave_out: BTreeSet::new(),
            threads: 2,
            seconds: 60,
            inodes: 1_000_000,
        };
        facts.sweep = Some(observe::sweep::sweep(&limits, &mut Vec::new()));
    }
    let mut failed = Vec::new();
    facts.paths = observe::path::look(&breach::wanted_paths(&facts), &mut failed);
    let closure = breach::closure(&facts);
    (facts, closure)
}

fn uses(closure: &Closure, technique: Technique) -> usize {
    let ways = closure.accounts.iter().filter(|a| a.account == "lotus").flat_map(|a| &a.ways);
    ways.flat_map(|w| closure.steps(w)).filter(|e| e.technique == technique).count()
}
