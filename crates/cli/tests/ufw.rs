//! A machine that UFW filters, from plan to confirmed and back, with the real UFW and the real programs in namespaces of the test's
//! own: the operator's rules stay, packets are let in and lost as the site file says, a change that fails leaves files and
//! kernel as they were, and there are never two masters.

mod common;

use common::succeeds;
use std::{
    fs,
    path::Path,
    process::{Command, Output},
};

/// One machine on the Internet, managed from one address.
const SITE: &str = include_str!("common/v4-v6.toml");

const MANAGER: &str = "198.51.100.7 50000 203.0.113.10 22";

/// UFW with its package's own files, and one neighbour behind a cable who has every address outside.
const MACHINE: &str = r#"
mount -t tmpfs none /tmp
mount -t tmpfs none /mnt
mkdir -p /mnt/ufw/applications.d
cp /usr/share/ufw/iptables/*.rules /usr/share/ufw/*.init /etc/ufw/sysctl.conf /etc/ufw/ufw.conf /mnt/ufw
chmod 640 /mnt/ufw/*.rules
mount --bind /mnt/ufw /etc/ufw
mount -t tmpfs none /run
ip link set lo up
unshare -n sleep infinity >/dev/null 2>&1 </dev/null & far=$!
while [ "$(readlink /proc/$far/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.02; done
echo $far > /run/far
ip link add eno1 type veth peer name far
ip link set far netns $far
ip address add 203.0.113.10/24 dev eno1
ip address add 2001:db8:1::10/64 dev eno1 nodad
ip link set eno1 up
ip route add default via 203.0.113.1
ip -6 route add default via 2001:db8:1::1
at() { nsenter --net=/proc/$far/ns/net "$@"; }
at ip link set lo up
at ip address add 203.0.113.1/24 dev far
at ip address add 2001:db8:1::1/64 dev far nodad
at ip link set far up
for a in 198.51.100.7 192.0.2.77; do at ip address add $a/32 dev lo; done
for a in 2001:db8:ff::7 2001:db8:fe::7; do at ip address add $a/128 dev lo nodad; done
ufw --force enable
ufw allow 22/tcp comment "mine"
"#;

/// Runs the test of this name again in namespaces of its own; `true` inside of them, with the machine in place.
fn inside(test: &str) -> bool {
    common::inside(test, || {
        succeeds("bash", &["-ec", MACHINE]);
    })
}

fn ravelin(here: &Path, verb: &str, site: &str, arguments: &[&str]) -> Output {
    let file = here.join("site.toml");
    fs::write(&file, site).expect("the site file");
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.env("NO_COLOR", "1").env_remove("SSH_CLIENT").env("SSH_CONNECTION", MANAGER).arg(verb).arg(&file).args(arguments);
    command.output().expect("ravelin starts")
}

fn apply(here: &Path, site: &str, more: &[&str]) -> Output {
    let (state, record) = (here.join("state"), here.join("one.ledger"));
    let mut arguments = vec!["--host", "sp1", "--because", "a test", "--within", "30", "--state", state.to_str().expect("text")];
    arguments.extend(["--record", record.to_str().expect("text")]);
    arguments.extend(more);
    ravelin(here, "apply", site, &arguments)
}

const SURE: [&str; 3] = ["--yes", "--without-probe", "a test"];

/// Ended with this code and said these words.
fn ended(out: &Output, code: i32, words: &[&str]) {
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{text}");
    for w in words {
        assert!(text.contains(w), "`{w}` is not said:\n{text}");
    }
}

/// Whether a connection from an address of the neighbour's is answered at all: nobody listens, so a refusal is an answer.
fn answered(from: &str, to: &str, port: u16) -> bool {
    let far = fs::read_to_string("/run/far").expect("neighbour");
    let script = format!(
        "import socket\ns=socket.socket(socket.AF_INET6 if ':' in '{to}' else socket.AF_INET)\ns.settimeout(1.5)\ns.bind(('{from}',0))\n\
         try:\n s.connect(('{to}',{port}))\nexcept ConnectionRefusedError: pass\n"
    );
    let at = format!("--net=/proc/{}/ns/net", far.trim());
    Command::new("nsenter").args([&at, "python3", "-c", &script]).output().expect("nsenter").status.success()
}

/// Connections that an address of the neighbour's opens one after the other and holds, at most so many: how many were answered. Somebody
/// must listen, or nothing is held.
fn held(from: &str, to: &str, port: u16, most: usize) -> usize {
    let far = fs::read_to_string("/run/far").expect("neighbour");
    let script = format!(
        "import socket\nall=[]\nfor n in range({most}):\n s=socket.socket(socket.AF_INET6 if ':' in '{to}' else socket.AF_INET)\n s.settimeout(1.5)\n\
         \x20s.bind(('{from}',0))\n try:\n  s.connect(('{to}',{port}))\n  all.append(s)\n except OSError: break\nprint(len(all))\n"
    );
    let at = format!("--net=/proc/{}/ns/net", far.trim());
    succeeds("nsenter", &[&at, "python3", "-c", &script]).trim().parse().expect("a number")
}

/// A limit of the site file is kept in front of UFW: by source, for what is published alone, and it lets in nothing UFW refuses.
#[test]
fn a_limit_is_kept_before_ufw_and_opens_nothing() {
    if !inside("a_limit_is_kept_before_ufw_and_opens_nothing") {
        return;
    }
    let here = tempfile::tempdir().expect("a directory");
    succeeds("ufw", &["delete", "allow", "22/tcp"]);
    let listen = "import socket\ns=socket.create_server(('::',6665),family=socket.AF_INET6,dualstack_ipv6=True,backlog=99)\nkept=[]\nwhile True: kept.append(s.accept())";
    let mut listener = Command::new("python3").args(["-c", listen]).spawn().expect("python3");
    ended(&apply(here.path(), SITE, &SURE), 0, &["is confirmed"]);
    let places = [("192.0.2.77", "203.0.113.10"), ("2001:db8:fe::7", "2001:db8:1::10")];
    while !answered("192.0.2.77", "203.0.113.10", 6665) {}
    for (from, to) in places {
        assert_eq!(held(from, to, 6665, 12), 12, "without a limit {from} holds what it likes");
    }
    // With the limit the count begins anew.
    let limited = SITE.to_owned() + "limit   = { new = 100, held = 8 }\n";
    ended(&apply(here.path(), &limited, &SURE), 0, &["is confirmed"]);
    let table = succeeds("nft", &["list", "table", "inet", "ravelin"]);
    assert!(table.contains("hook prerouting priority dstnat - 10") && !table.contains("hook input"), "{table}");
    for (from, to) in places {
        assert_eq!(held(from, to, 6665, 12), 8, "{from} holds no more than its limit");
    }
    // Another source and the operators are not concerned, and what UFW refuses stays refused.
    assert_eq!(held("198.51.100.7", "203.0.113.10", 6665, 5), 5);
    assert!((0..12).all(|_| answered("198.51.100.7", "203.0.113.10", 22)), "the management path has no limit");
    assert!(!answered("192.0.2.77", "203.0.113.10", 22) && !answered("192.0.2.77", "203.0.113.10", 1234));
    ended(&ravelin(here.path(), "drift", &limited, &["--host", "sp1"]), 0, &["holds what the site file says"]);
    // Without the chain nothing is limited, and UFW lets in what it let in.
    succeeds("nft", &["flush", "chain", "inet", "ravelin", "limits"]);
    assert_eq!(held("192.0.2.77", "203.0.113.10", 6665, 12), 12);
    let _ = listener.kill();
    let _ = listener.wait();
}

fn files() -> [String; 2] {
    ["user.rules", "user6.rules"].map(|n| fs::read_to_string(format!("/etc/ufw/{n}")).expect("rule file"))
}

#[test]
fn from_a_rule_of_the_operators_to_a_confirmed_site_and_back() {
    if !inside("from_a_rule_of_the_operators_to_a_confirmed_site_and_back") {
        return;
    }
    let here = tempfile::tempdir().expect("a directory");
    let before = files();
    // The operator's rule opens ssh to everybody: more than the site file says.
    assert!(answered("192.0.2.77", "203.0.113.10", 22) && !answered("192.0.2.77", "203.0.113.10", 6665));
    ended(&apply(here.path(), SITE, &SURE), 1, &["NET011", "user.rules:", "refused; nothing was changed"]);
    assert_eq!(files(), before, "a refusal changes nothing");
    succeeds("ufw", &["delete", "allow", "22/tcp"]);
    succeeds("ufw", &["deny", "in", "from", "192.0.2.66"]);

    ended(&apply(here.path(), SITE, &SURE), 1, &["NET009", "user.rules:", "refused; nothing was changed"]);
    succeeds("ufw", &["delete", "deny", "in", "from", "192.0.2.66"]);
    succeeds("ufw", &["deny", "in", "from", "10.66.0.0/16", "comment", "mine, and no harm"]);

    ended(&apply(here.path(), SITE, &SURE), 0, &["is confirmed"]);
    let status = succeeds("ufw", &["status"]);
    for words in ["mine, and no harm", "ravelin-lotus-libp2p", "# ravelin deny/input"] {
        assert!(status.contains(words), "{words}\n{status}");
    }
    for (from, to, port, is) in [
        ("198.51.100.7", "203.0.113.10", 22, true),
        ("192.0.2.77", "203.0.113.10", 22, false),
        ("192.0.2.77", "203.0.113.10", 6665, true),
        ("192.0.2.77", "203.0.113.10", 1234, false),
        ("2001:db8:ff::7", "2001:db8:1::10", 22, true),
        ("2001:db8:fe::7", "2001:db8:1::10", 22, false),
        ("2001:db8:fe::7", "2001:db8:1::10", 6665, true),
    ] {
        assert_eq!(answered(from, to, port), is, "{from} to {to} port {port}");
    }
    // One master: our own table has no chain where UFW judges.
    let table = succeeds("nft", &["list", "table", "inet", "ravelin"]);
    assert!(!table.contains("hook input") && !table.contains("hook output"), "{table}");
    ended(&ravelin(here.path(), "drift", SITE, &["--host", "sp1"]), 0, &["holds what the site file says"]);
    ended(&apply(here.path(), SITE, &SURE), 0, &["nothing to do"]);

    // What the operator adds later stands behind the denial, stays, and is no drift; what he takes away of ours is.
    succeeds("ufw", &["allow", "8080/tcp"]);
    assert!(!answered("192.0.2.77", "203.0.113.10", 8080));
    ended(&ravelin(here.path(), "drift", SITE, &["--host", "sp1"]), 0, &[]);
    succeeds("ufw", &["delete", "allow", "8080/tcp"]);
    succeeds("iptables", &["-D", "ufw-user-input", "1"]);
    ended(&ravelin(here.path(), "drift", SITE, &["--host", "sp1"]), 1, &["ufw-user-input"]);
    ended(&apply(here.path(), SITE, &SURE), 0, &["is confirmed"]);

    // A change that is not confirmed goes back, files and kernel.
    let (kept, kernel) = (files(), succeeds("iptables", &["-S", "ufw-user-input"]));
    let wider = SITE.replace("6665", "6666");
    ended(&apply(here.path(), &wider, &["--no-confirm"]), 0, &["goes back by itself"]);
    assert!(files() != kept && answered("192.0.2.77", "203.0.113.10", 6666));
    let state = here.path().join("state");
    let back = Command::new(env!("CARGO_BIN_EXE_ravelin")).args(["apply", "--revert", "--state"]).arg(&state).output();
    ended(&back.expect("ravelin starts"), 0, &[]);
    assert_eq!((files(), succeeds("iptables", &["-S", "ufw-user-input"])), (kept, kernel));
    assert!(!answered("192.0.2.77", "203.0.113.10", 6666) && answered("192.0.2.77", "203.0.113.10", 6665));

    // The operators are cut off by a rule of UFW's: break-glass lets them in past it, and nobody else. The next change ends it.
    let glass = || Command::new(env!("CARGO_BIN_EXE_ravelin")).args(["break-glass", "--state"]).arg(&state).output().expect("starts");
    let of_ours = || {
        let all = [("iptables", "INPUT"), ("iptables", "OUTPUT"), ("ip6tables", "INPUT"), ("ip6tables", "OUTPUT")];
        all.map(|(program, chain)| succeeds(program, &["-S", chain]).matches("ravelin break-glass").count())
    };
    succeeds("ufw", &["insert", "1", "deny", "from", "198.51.100.7"]);
    succeeds("ufw", &["deny", "out", "to", "198.51.100.0/24"]);
    assert!(!answered("198.51.100.7", "203.0.113.10", 22));
    for _ in 0..2 {
        ended(&glass(), 0, &["the management path is open"]);
        assert_eq!(of_ours(), [1; 4], "once, however often it is asked for");
    }
    for (from, to, port, is) in [
        ("198.51.100.7", "203.0.113.10", 22, true),
        ("2001:db8:ff::7", "2001:db8:1::10", 22, true),
        ("192.0.2.77", "203.0.113.10", 22, false),
        ("198.51.100.7", "203.0.113.10", 6665, false),
        ("192.0.2.77", "203.0.113.10", 6665, false),
        ("2001:db8:fe::7", "2001:db8:1::10", 22, false),
    ] {
        assert_eq!(answered(from, to, port), is, "break-glass: {from} to {to} port {port}");
    }
    // With our table gone nothing is marked, and UFW judges alone.
    let table = succeeds("nft", &["list", "table", "inet", "ravelin"]);
    succeeds("nft", &["delete", "table", "inet", "ravelin"]);
    assert!(!answered("198.51.100.7", "203.0.113.10", 22) && !answered("192.0.2.77", "203.0.113.10", 22));
    fs::write("/tmp/glass.nft", table).expect("rules");
    succeeds("nft", &["-f", "/tmp/glass.nft"]);
    assert!(answered("198.51.100.7", "203.0.113.10", 22));
    succeeds("ufw", &["delete", "deny", "from", "198.51.100.7"]);
    succeeds("ufw", &["delete", "deny", "out", "to", "198.51.100.0/24"]);
    ended(&apply(here.path(), SITE, &SURE), 0, &["is confirmed"]);
    assert_eq!(of_ours(), [0; 4]);
    assert!(answered("192.0.2.77", "203.0.113.10", 6665) && answered("198.51.100.7", "203.0.113.10", 22));

    // Never two masters, and none that is not there.
    let own = SITE.replace("runs    = [\"lotus\"]", "runs = [\"lotus\"]\nfirewall = \"nftables\"");
    ended(&apply(here.path(), &own, &SURE), 2, &["two masters", "nothing was changed"]);
    succeeds("ufw", &["disable"]);
    let named = SITE.replace("runs    = [\"lotus\"]", "runs = [\"lotus\"]\nfirewall = \"ufw\"");
    ended(&apply(here.path(), &named, &SURE), 2, &["UFW is not active", "nothing was changed"]);
    // Without UFW the table of its own takes over, and Ravelin's rules leave UFW's files.
    ended(&apply(here.path(), &own, &SURE), 0, &["is confirmed"]);
    assert!(files().iter().all(|f| !f.contains("comment=726176656c696e20")), "nothing of ours is left");
    assert!(files()[0].contains("10.66.0.0/16"), "the operator's is");
    let table = succeeds("nft", &["list", "table", "inet", "ravelin"]);
    assert!(table.contains("hook input") && table.contains("hook output"));
    assert!(answered("192.0.2.77", "203.0.113.10", 6665) && !answered("192.0.2.77", "203.0.113.10", 22));
}
