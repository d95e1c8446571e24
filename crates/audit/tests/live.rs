//! Faults planted on a real kernel, observed and found; the same machine mended passes. In namespaces of its own (user,
//! network, mount, process ids): nothing of this machine is touched, and no root is needed.

use facts::Facts;
use std::{
    fs,
    net::TcpListener,
    os::{fd::OwnedFd, unix::fs::PermissionsExt},
    process::{Child, Command, Stdio},
    thread, time,
};

/// Set inside the namespaces.
const INSIDE: &str = "RAVELIN_AUDIT_INSIDE";

/// Runs the named test once more, inside. `true`: this is the inside.
fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let me = std::env::current_exe().expect("own path");
    let mut unshare = Command::new("unshare");
    unshare.args(["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--mount-proc"]);
    let status = unshare.arg(me).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").status().expect("unshare runs");
    assert!(status.success(), "{test} inside its namespaces");
    false
}

/// A process called `name` that holds a listener: a copy of `sleep`, with the listener as its standard input.
fn daemon(dir: &std::path::Path, name: &str, listen: &str) -> Child {
    let program = dir.join(name);
    fs::copy("/bin/sleep", &program).expect("copy of sleep");
    let listener = TcpListener::bind(listen).expect("binds");
    Command::new(&program).arg("60").stdin(Stdio::from(OwnedFd::from(listener))).spawn().expect("starts")
}

fn observe_now() -> Facts {
    let interests: Vec<observe::Interest> = audit::wanted()
        .into_iter()
        .map(|w| observe::Interest { path: w.path, holds: w.holds, keep: observe::file::Keep::configuration(w.text) })
        .collect();
    observe::machine(&interests)
}

fn codes(facts: &Facts, about: &str) -> Vec<String> {
    let report = audit::run(facts, None);
    let mut out: Vec<String> = report.findings.iter().filter(|f| f.subject.contains(about)).map(|f| f.code.to_string()).collect();
    out.dedup();
    out
}

fn run(program: &str, arguments: &[&str]) {
    assert!(Command::new(program).args(arguments).status().expect("runs").success(), "{program} {arguments:?}");
}

#[test]
fn planted_faults_are_found_and_mended_ones_are_not() {
    if !inside("planted_faults_are_found_and_mended_ones_are_not") {
        return;
    }
    run("ip", &["link", "set", "lo", "up"]);
    run("mount", &["-t", "tmpfs", "tmpfs", "/root"]);
    let dir = tempfile::tempdir_in("/root").expect("directory");
    let keystore = "/root/.lotus/keystore";
    fs::create_dir_all(keystore).expect("keystore");
    let key = format!("{keystore}/O5QWY3DFOQWXI");
    let token = "/root/.lotus/token";
    for (path, mode) in [(key.as_str(), 0o644), (token, 0o604)] {
        fs::write(path, "not a secret").expect("writes");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("mode");
    }
    let mut lotus = daemon(dir.path(), "lotus", "0.0.0.0:1234");
    let mut curio = daemon(dir.path(), "curio", "0.0.0.0:4701");
    // The copies have to be running under their own name before they are looked at.
    let began = time::Instant::now();
    let facts = loop {
        let facts = observe_now();
        if ["lotus", "curio"].iter().all(|n| facts.processes.iter().any(|p| &p.comm == n)) || began.elapsed().as_secs() > 10 {
            break facts;
        }
        thread::sleep(time::Duration::from_millis(20));
    };
    let report = audit::run(&facts, None).text();
    assert_eq!(codes(&facts, "lotus.api"), ["AUD002"], "{report}");
    assert_eq!(codes(&facts, "curio.gui"), ["AUD018"], "{report}");
    assert_eq!(codes(&facts, &key), ["AUD003"], "{report}");
    assert_eq!(codes(&facts, token), ["AUD004"], "{report}");
    let root = audit::run(&facts, None).findings.iter().filter(|f| f.code.0 == "AUD001").count();
    assert_eq!(root, 2, "both run as root: {report}");
    assert!(codes(&facts, "packet filter").contains(&"AUD023".to_owned()), "{report}");

    for child in [&mut lotus, &mut curio] {
        child.kill().expect("stops");
        child.wait().expect("is gone");
    }
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).expect("mode");
    fs::set_permissions(token, fs::Permissions::from_mode(0o600)).expect("mode");
    run("nft", &["add table inet t; add chain inet t in { type filter hook input priority 0; policy drop; }"]);
    let mut lotus = daemon(dir.path(), "lotus", "127.0.0.1:1234");
    let began = time::Instant::now();
    let facts = loop {
        let facts = observe_now();
        if facts.sockets.iter().any(|s| s.local.port() == 1234 && !s.pids.is_empty()) || began.elapsed().as_secs() > 10 {
            break facts;
        }
        thread::sleep(time::Duration::from_millis(20));
    };
    let report = audit::run(&facts, None).text();
    for about in ["lotus.api", "curio", &key, token, "packet filter"] {
        assert_eq!(codes(&facts, about), Vec::<String>::new(), "{about}: {report}");
    }
    assert_eq!(codes(&facts, "lotus"), ["AUD001", "AUD008"], "still root, still asking the router: {report}");
    lotus.kill().expect("stops");
    lotus.wait().expect("is gone");
}
