//! The way over ssh: a real sshd in a namespace of its own with keys made for the test, the real applier behind it. A rollout is confirmed over
//! connections that are new, through a jump host as well; a host key that changed or is not known is refused and named; a machine that is not
//! there is told from one that refuses; nothing is ever asked. As root the login is an ordinary account with `sudo -n`; in a user namespace
//! root is the only account there is.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use common::*;
use rollout::{
    Driver, Outcome, Partial, Setup, Times, Transport, Unwatched,
    ledger::{Context, Ledger},
    transport::Ssh,
};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

const DIR: &str = "/run/ssh-test";
const OLD: &str = "22, 80";
const NEW: &str = "22, 80, 443";
/// The account of the test, where there can be one.
const OPERATOR: &str = "op:x:4242:4242::/run/ssh-test/home:/bin/sh\n";
const SSHD: &str = "sshd:x:4243:4243::/run/sshd:/usr/sbin/nologin\n";
const TIMES: Times = Times { ask: 20, apply: 40, probe: 20, record: 2, margin: 5, pause_ms: 500, longest: 1000 };
const NAME: &str = "over_a_real_sshd";
const USERS: &str = "RAVELIN_TEST_USERS";

fn sshd() -> Option<PathBuf> {
    let named = std::env::var_os("RAVELIN_TEST_SSHD").map(PathBuf::from);
    named.into_iter().chain(["/usr/sbin/sshd".into()]).find(|p| p.is_file())
}

/// Accounts of the machine's own are not touched: this is a copy of `/etc` in a mount namespace.
fn etc_of_its_own(ordinary: bool) {
    fs::create_dir_all(DIR).expect("makes");
    run("cp", &["-a", "/etc", &format!("{DIR}/etc")]);
    let add = |name: &str, text: &str| {
        let path = format!("{DIR}/etc/{name}");
        let old = fs::read_to_string(&path).unwrap_or_default();
        fs::write(&path, old + text).expect("writes");
    };
    add("passwd", &format!("{SSHD}{OPERATOR}"));
    add("group", "op:x:4242:\nsshd:x:4243:\n");
    // An account without a password that is not locked either.
    add("shadow", "op:*:19000:0:99999:7:::\nsshd:*:19000:0:99999:7:::\n");
    if ordinary {
        // The line of the documentation, but for this test's own state directories.
        let page = fs::read_to_string(format!("{}/../../docs/rollout.md", env!("CARGO_MANIFEST_DIR"))).expect("the page");
        let verbs = page.lines().find_map(|l| l.split_once("NOPASSWD: /usr/sbin/ravelin-applier ^")).expect("the line").1;
        let (applier, directory) = (applier().display().to_string(), "^(--state [^ ]+ )?");
        let rule = format!("Defaults env_reset\nroot ALL=(ALL:ALL) ALL\nop ALL=(root) NOPASSWD: {applier} {directory}{verbs}\n");
        fs::write(format!("{DIR}/etc/sudoers"), rule).expect("writes");
        fs::set_permissions(format!("{DIR}/etc/sudoers"), fs::Permissions::from_mode(0o440)).expect("mode");
        let _ = fs::remove_dir_all(format!("{DIR}/etc/sudoers.d"));
    }
    run("mount", &["--bind", &format!("{DIR}/etc"), "/etc"]);
}

fn key(name: &str) -> String {
    let path = format!("{DIR}/{name}");
    run("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", &path]);
    path
}

fn public(path: &str) -> String {
    let text = fs::read_to_string(format!("{path}.pub")).expect("reads");
    text.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// An sshd in a machine's namespace.
struct Daemon(Child);

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn listens(program: &Path, node: &Node, host_key: &str) -> Daemon {
    let config = format!("{DIR}/{}.conf", node.name);
    let text = format!(
        "ListenAddress {}\nHostKey {host_key}\nPidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin prohibit-password\n\
         AuthorizedKeysFile {DIR}/authorized\n",
        node.address
    );
    fs::write(&config, text).expect("writes");
    let net = format!("--net={HANDLES}/{}", node.name);
    let log = fs::File::create(format!("{DIR}/{}.log", node.name)).expect("log");
    let mut command = Command::new("nsenter");
    command.args([net.as_str(), "--"]).arg(program).args(["-D", "-e", "-f", &config]);
    let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().expect("sshd starts");
    let begun = Instant::now();
    while !node.run("ss -Hltn").contains(":22 ") {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "sshd: {}",
            fs::read_to_string(format!("{DIR}/{}.log", node.name)).unwrap_or_default()
        );
        std::thread::sleep(Duration::from_millis(50));
    }
    Daemon(child)
}

#[test]
fn over_a_real_sshd() {
    let Some(program) = sshd() else {
        println!("SKIPPED: no sshd on this machine (`cargo xtask setup`, or RAVELIN_TEST_SSHD)");
        return;
    };
    let ordinary = std::env::var_os(USERS).is_some();
    if std::env::var_os(INSIDE).is_none() {
        build();
        // The machine's root has other accounts; anybody else is root alone, in a user namespace.
        let root = rustix::process::geteuid().is_root();
        let mut command = outside(NAME);
        if root {
            command = Command::new("unshare");
            command
                .args(["-nmpf", "--kill-child", "--mount-proc", "--propagation", "private"])
                .arg(std::env::current_exe().expect("own program"));
            command.args(["--exact", NAME, "--nocapture", "--test-threads=1"]).env(INSIDE, "1").env(APPLIER, applier()).env(USERS, "1");
            command.env_remove("SSH_CONNECTION").env_remove("SSH_CLIENT");
        }
        assert!(command.status().expect("unshare").success(), "{NAME} failed in its namespaces");
        return;
    }
    enter();
    fs::create_dir_all("/run/sshd").expect("makes");
    etc_of_its_own(ordinary);
    let nodes = nodes(2, OLD);
    let (first, second) = (&nodes[0], &nodes[1]);
    // The operator's place is where the test stands, on the switch.
    run("ip", &["address", "add", "10.8.200.1/16", "dev", "switch"]);

    let operator = key("operator");
    fs::write(format!("{DIR}/authorized"), format!("{}\n", public(&operator))).expect("writes");
    let keys = [key("host1"), key("host2")];
    let _daemons = [listens(&program, first, &keys[0]), listens(&program, second, &keys[1])];
    let known = |second_key: &str| {
        let text = format!("m1,{} {}\nm2,{} {}\n", first.address, public(&keys[0]), second.address, public(second_key));
        fs::write(format!("{DIR}/known"), text).expect("writes");
    };
    let user = if ordinary { "op" } else { "root" };
    // What an operator's own configuration says: the second machine lies behind the first one.
    let config = format!(
        "Host *\n  User {user}\n  IdentityFile {operator}\n  IdentitiesOnly yes\n  UserKnownHostsFile {DIR}/known\n  GlobalKnownHostsFile none\n\
         Host m1\n  HostName {}\nHost m2\n  HostName {}\n  ProxyJump m1\nHost gone\n  HostName 10.8.250.250\n",
        first.address, second.address
    );
    fs::write(format!("{DIR}/config"), config).expect("writes");
    let ssh = |state: &Node| {
        let sudo: &[&str] = if ordinary { &["sudo", "-n", "--"] } else { &[] };
        let mut applier_words: Vec<String> = sudo.iter().map(|w| (*w).to_owned()).collect();
        applier_words.extend([applier().display().to_string(), "--state".into(), state.state().display().to_string()]);
        Ssh { config: Some(format!("{DIR}/config").into()), applier: applier_words, ..Ssh::default() }
    };
    // Each machine has a state directory of its own in this test: the transport of a real site needs no such thing.
    struct Each(BTreeMap<words::HostName, Ssh>);
    impl Transport for Each {
        fn call(
            &self,
            machine: &words::HostName,
            words: &[String],
            input: &[u8],
            within: Duration,
        ) -> Result<rollout::ask::Answer, rollout::Unreachable> {
            self.0[machine].call(machine, words, input, within)
        }
    }
    let each = || Each(nodes.iter().map(|n| (n.name.clone(), ssh(n))).collect());
    known(&keys[1]);

    // Words that a shell would take apart arrive whole; the answer is the applier's.
    let said = each()
        .call(
            &second.name,
            &["confirm".into(), "--from-console".into(), "it's $(reboot) \"here\"".into(), "--json".into()],
            b"",
            Duration::from_secs(20),
        )
        .expect("reached");
    let text = String::from_utf8_lossy(&said.stdout).into_owned() + &String::from_utf8_lossy(&said.stderr);
    assert!(said.status == Some(1) && text.contains("nothing waits to be confirmed"), "{said:?} {text}");

    if ordinary {
        // What would undo the signatures is not among what the line allows.
        let words = ["trust", "forget", "--from-console", "lost"].map(str::to_owned);
        let denied = ssh(first).call(&first.name, &words, b"", Duration::from_secs(20)).expect("reached");
        assert!(denied.status == Some(1) && String::from_utf8_lossy(&denied.stderr).contains("password"), "{denied:?}");
    }

    let mut ledger = Ledger::open(Path::new("/tmp/ledger"), Context::default(), None).expect("opens");
    let setup = |id: &str| Setup {
        id: id.into(),
        machines: nodes.iter().map(|n| n.name.clone()).collect(),
        partial: Partial::Refuse,
        dry: false,
        times: TIMES,
    };
    let mut change = Change { nodes: nodes.clone(), waves: vec![vec![1], vec![0]], ports: NEW.into(), last: None, tries: (80, 443, 0) };
    let report = Driver { transport: Arc::new(each()), book: &mut ledger, watch: &Unwatched, inject: None }.run(setup("1"), &mut change);
    assert_eq!(report.outcome, Outcome::Kept, "{report:#?}");
    for node in &nodes {
        let status: serde_json::Value = serde_json::from_str(&node.applied(&["--json", "status"])).expect("JSON");
        let from = status["confirmed"]["proof"]["new-connection"]["from"].as_str().unwrap_or_else(|| panic!("{status:#}")).to_owned();
        println!("{}: confirmed on a new connection from {from}", node.name);
        // Through the jump host the connection is the jump host's.
        let expected = if node.name == second.name { &first.address } else { "10.8.200.1" };
        assert!(from.starts_with(&format!("{expected}:")), "{from}");
    }

    // Another key answers at the second machine: nothing is said to it, nothing is changed anywhere, and it is named.
    known(&key("other"));
    let mut change = Change { nodes: nodes.clone(), waves: vec![vec![1], vec![0]], ports: OLD.into(), last: None, tries: (80, 0, 0) };
    let report = Driver { transport: Arc::new(each()), book: &mut ledger, watch: &Unwatched, inject: None }.run(setup("2"), &mut change);
    assert_eq!(report.outcome, Outcome::Refused, "{report:#?}");
    let failure = &report.failures[0];
    println!("{failure}");
    assert!(failure.machine.as_ref() == Some(&second.name) && failure.why.contains("host key is not the one that is known"), "{failure}");
    assert!(nodes.iter().all(|n| n.live().contains(&format!("dport {{ {NEW} }}"))));
    // A key nobody knows is refused as well, and is not learnt.
    fs::write(format!("{DIR}/known"), format!("m1,{} {}\n", first.address, public(&keys[0]))).expect("writes");
    let unknown = each().call(&second.name, &["status".into()], b"", Duration::from_secs(20)).expect_err("refused");
    assert!(unknown.0.contains("not known"), "{unknown}");
    assert!(!fs::read_to_string(format!("{DIR}/known")).expect("reads").contains("m2"));
    // Nobody there: given up in bounded time.
    let begun = Instant::now();
    let gone = ssh(first).call(&host("gone"), &["status".into()], b"", Duration::from_secs(4)).expect_err("nobody is there");
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    println!("nobody there: {gone}");
    if ordinary {
        // Without the right to run the applier nothing happens, and nobody is asked for a password.
        fs::write("/etc/sudoers", "root ALL=(ALL:ALL) ALL\n").expect("writes");
        let denied = ssh(first).call(&first.name, &["status".into()], b"", Duration::from_secs(20)).expect("reached");
        assert!(denied.status == Some(1) && String::from_utf8_lossy(&denied.stderr).contains("password"), "{denied:?}");
    }
}
