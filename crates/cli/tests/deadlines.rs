//! `ravelin deadlines` against nodes of the tests: what it says, how it ends, and that waiting ends when the proof lands. `ravelin adopt` in
//! namespaces, with files of its own: it asks before it begins, what it was told is recorded, and who becomes an administrator is shown.

mod common;
#[path = "../../lotus/tests/common/mod.rs"]
mod node;

use node::{Chain, serve};
use serde_json::Value;
use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Output},
    sync::Arc,
    time::{Duration, Instant},
};

const FREE: Chain = Chain { into: 10, landed: true, behind: 0, gateway: false };

fn ravelin(nodes: &[SocketAddr], more: &str, words: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a directory");
    let site = dir.path().join("site.toml");
    let nodes: Vec<String> = nodes.iter().map(|a| format!("\"http://{a}\"")).collect();
    let text = format!(
        "[site]\nminers = [\"f01234\"]\nmanagement = {{ from = [\"192.0.2.7/32\"] }}\n[hosts.sp1]\naddress = \"192.0.2.1\"\nruns = [\"lotus\"]\n[deadlines]\nnodes = [{}]\ntimeout = 5\n{more}\n",
        nodes.join(", ")
    );
    std::fs::write(&site, text).expect("written");
    Command::new(env!("CARGO_BIN_EXE_ravelin")).arg("deadlines").arg(&site).args(words).output().expect("runs")
}

fn ended(out: &Output, code: i32, words: &[&str]) -> String {
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert_eq!(out.status.code(), Some(code), "{text}");
    words.iter().for_each(|w| assert!(text.contains(w), "no `{w}` in:\n{text}"));
    text
}

#[test]
fn it_says_who_says_what_and_how_long() {
    let well = serve(|m, p, _| FREE.say(m, p));
    let late = serve(|m, p, _| Chain { landed: false, ..FREE }.say(m, p));
    let behind = serve(|m, p, _| Chain { behind: 30, into: 40, ..FREE }.say(m, p));
    let text = ended(
        &ravelin(&[well, behind], "", &["--for", "5m"]),
        0,
        &[
            "f01234: deadline 20 is open",
            "its proof has landed",
            "free until",
            "5 min fits now",
            "not believed: its head is",
            "was not asked for",
        ],
    );
    assert!(text.contains("at best 15 min 30 s at a time"), "{text}");
    ended(&ravelin(&[well, late], "", &[]), 1, &["not by", "not now"]);
    ended(&ravelin(&[late], "", &[]), 1, &["its proof has not landed", "if the proof lands at once"]);
    ended(&ravelin(&[well], "", &["--for", "30m"]), 1, &["no window is longer than 930 s"]);
    ended(&ravelin(&[well], "", &["--for", "5m", "--for", "6m", "--for", "6m"]), 0, &["3 pieces in 2 windows"]);
    let json: Value = serde_json::from_slice(&ravelin(&[well], "", &["--json", "--for", "5m"]).stdout).expect("JSON");
    assert_eq!(
        (&json["fits"], &json["miners"][0]["landed"], &json["whole"]),
        (&Value::Bool(true), &Value::from("yes"), &Value::Bool(true))
    );
    assert_eq!(json["waits"], serde_json::json!([]));
}

#[test]
fn unknown_ends_differently_from_no() {
    let gateway = serve(|m, p, _| Chain { gateway: true, ..FREE }.say(m, p));
    ended(
        &ravelin(&[gateway], "", &[]),
        3,
        &["nobody can see whether its proof has landed", "does not have Filecoin.StateMinerPartitions"],
    );
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address");
    ended(&ravelin(&[gone], "", &[]), 3, &["no chain node answers"]);
    ended(&ravelin(&[gone], "", &["--wait", "--for", "1m"]), 3, &["the site file says `refuse`"]);
    ended(&ravelin(&[gone], "unreachable = \"proceed\"", &["--wait", "--for", "1m"]), 0, &["the site file says `proceed`"]);
    ended(
        &ravelin(&[gone], "unreachable = \"wait\"", &["--wait", "--for", "1m", "--max-wait", "2s"]),
        3,
        &["were waited", "no chain node answers"],
    );
    ended(&ravelin(&[gone], "miners = [\"f09\"]", &["--miner", "f01"]), 2, &["no miner `f01`", "it has f09"]);
}

#[test]
fn waiting_ends_when_the_proof_lands_and_not_before() {
    let lands = Instant::now() + Duration::from_secs(4);
    let at = serve(move |m, p, _| Chain { landed: Instant::now() > lands, ..FREE }.say(m, p));
    let early = ravelin(&[at], "", &["--wait", "--for", "5m", "--max-wait", "1s"]);
    ended(&early, 1, &["were waited, and the proof of deadline 20 of f01234 has not landed"]);
    assert!(Instant::now() < lands, "too slow a machine to tell");
    let out = ravelin(&[at], "", &["--wait", "--for", "5m", "--max-wait", "8s"]);
    ended(&out, 0, &["waiting for 5 min without a proof due", "fits now"]);
    assert!(Instant::now() > lands);
}

#[test]
fn what_is_under_way_is_told_or_waited_for() {
    let well = serve(|m, p, _| FREE.say(m, p));
    let jobs = |sealing: &str| format!("jobs = [\"http://{well}/rpc/v0\"]\nsealing = \"{sealing}\"");
    ended(&ravelin(&[well], &jobs("tell"), &[]), 0, &["not known", "need 'admin'"]);
    ended(&ravelin(&[well], &jobs("wait"), &[]), 1, &["not now", "need 'admin'"]);
}

#[test]
fn a_site_that_names_nobody_is_told_how() {
    let dir = tempfile::tempdir().expect("a directory");
    let site = dir.path().join("site.toml");
    std::fs::write(&site, "[site]\n[hosts.sp1]\nruns = [\"lotus\"]\n").expect("written");
    let out = Command::new(env!("CARGO_BIN_EXE_ravelin")).arg("deadlines").arg(&site).output().expect("runs");
    ended(&out, 2, &["names nobody to ask", "[deadlines]"]);
}

/// A certificate for 127.0.0.1 and the authority that signed it, made by openssl.
const CERTIFICATES: &str =
    "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test-ca -keyout ca.key -out ca.pem
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -subj /CN=node -keyout key.pem -out node.csr
    printf 'subjectAltName=IP:127.0.0.1\\nbasicConstraints=critical,CA:FALSE\\n' > ext
    openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out node.pem";

/// Speaks TLS in front of a node.
fn tls_before(node: SocketAddr, dir: &std::path::Path) -> SocketAddr {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
    let certificate = CertificateDer::from_pem_file(dir.join("node.pem")).expect("a certificate");
    let key = PrivateKeyDer::from_pem_file(dir.join("key.pem")).expect("a key");
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()));
    let config =
        config.with_safe_default_protocol_versions().expect("versions").with_no_client_auth().with_single_cert(vec![certificate], key);
    let config = Arc::new(config.expect("a configuration"));
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("address");
    std::thread::spawn(move || {
        for front in listener.incoming().flatten() {
            let session = rustls::ServerConnection::new(config.clone()).expect("a session");
            std::thread::spawn(move || bridge(rustls::StreamOwned::new(session, front), TcpStream::connect(node).expect("the node")));
        }
    });
    at
}

/// Carries bytes both ways, by turns, until one side ends.
fn bridge(mut front: rustls::StreamOwned<rustls::ServerConnection, TcpStream>, mut back: TcpStream) {
    let turn = Some(Duration::from_millis(2));
    let _ = front.sock.set_read_timeout(turn).and(back.set_read_timeout(turn));
    let mut bytes = [0; 16_384];
    loop {
        let (there, here) = (carry(&mut front, &mut back, &mut bytes), carry(&mut back, &mut front, &mut bytes));
        if !there || !here {
            return;
        }
    }
}

fn carry(from: &mut impl Read, to: &mut impl Write, bytes: &mut [u8]) -> bool {
    match from.read(bytes) {
        Ok(0) => false,
        Ok(n) => to.write_all(&bytes[..n]).and_then(|()| to.flush()).is_ok(),
        Err(e) => matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
    }
}

#[test]
fn tls_is_spoken_with_whom_the_machine_trusts_and_nobody_else() {
    let dir = tempfile::tempdir().expect("a directory");
    let made = Command::new("sh").args(["-ec", CERTIFICATES]).current_dir(dir.path()).output().expect("openssl");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let at = tls_before(serve(|m, p, _| FREE.say(m, p)), dir.path());
    for scheme in ["https", "wss"] {
        let text = format!(
            "[site]\nminers = [\"f01234\"]\n[hosts.sp1]\nruns = [\"lotus\"]\n[deadlines]\nnodes = [\"{scheme}://{at}\"]\ntimeout = 5\n"
        );
        std::fs::write(dir.path().join("site.toml"), text).expect("written");
        let ask = |authority: &str| {
            let mut ravelin = Command::new(env!("CARGO_BIN_EXE_ravelin"));
            ravelin.arg("deadlines").arg("site.toml").current_dir(dir.path()).env("SSL_CERT_FILE", authority).env_remove("SSL_CERT_DIR");
            ravelin.output().expect("runs")
        };
        ended(&ask("ca.pem"), 0, &["its proof has landed"]);
        let text = ended(&ask("/etc/ssl/certs/ca-certificates.crt"), 3, &["no chain node that answers can be believed"]);
        assert!(text.to_lowercase().contains("certificate"), "{text}");
    }
}

/// A machine whose lotus runs as root: its own /etc, /run and /var, nothing else to write, and a process that stands in its unit's control group.
const MACHINE: &str = "mount -t tmpfs none /mnt; mount -t tmpfs none /etc; echo root:x:0:0::/root:/bin/sh > /etc/passwd; echo root:x:0: > /etc/group;
    echo sp1 > /etc/hostname; mount -t tmpfs none /run; mount -t tmpfs none /var; mkdir -p /var/lib /var/log /var/tmp
    for d in /usr /opt /srv /home /root; do [ ! -d $d ] || mount --rbind -o ro $d $d; mount -o remount,bind,ro $d 2>/dev/null || true; done
    ip link set lo up; mkdir -p /var/lib/lotus/daemon /etc/systemd/system; touch /var/lib/lotus/daemon/config.toml
    printf '[Service]\\nEnvironment=LOTUS_PATH=/var/lib/lotus/daemon\\nExecStart=/usr/local/bin/lotus daemon\\n' > /etc/systemd/system/lotus-daemon.service
    sleep 600 </dev/null >/dev/null 2>&1 &
    echo '0::/system.slice/lotus-daemon.service' > /mnt/cgroup; mount --bind /mnt/cgroup /proc/$!/cgroup";

/// `ravelin adopt lotus` with one node.
fn adopt(node: SocketAddr, more: &str, words: &[&str]) -> Output {
    let text = format!(
        "[site]\nminers = [\"f01234\"]\nmanagement = {{ from = [\"192.0.2.7/32\"] }}\n[layers]\nsystem = \"enforce\"\n[hosts.sp1]\naddress = \"192.0.2.1\"\n\
         runs = [{{ service = \"lotus\", repo = \"/var/lib/lotus/daemon\" }}]\n[deadlines]\nnodes = [\"http://{node}\"]\ntimeout = 5\n{more}\n"
    );
    std::fs::write("/var/lib/site.toml", text).expect("written");
    let call = ["adopt", "lotus", "--site", "/var/lib/site.toml", "--host", "sp1", "--state", "/var/lib/state"];
    Command::new(env!("CARGO_BIN_EXE_ravelin")).args(call).args(words).output().expect("runs")
}

/// What is recorded of why it was allowed to begin.
fn recorded() -> Option<String> {
    let found = Command::new("find").args(["/var/lib/state", "-name", "plan.json"]).output().expect("findutils");
    let path = String::from_utf8(found.stdout).expect("text");
    let plan: Value = serde_json::from_slice(&std::fs::read(path.lines().next()?).ok()?).expect("JSON");
    plan["deadlines"].as_str().map(str::to_owned)
}

#[test]
fn adopt_asks_before_it_begins() {
    if !common::inside("adopt_asks_before_it_begins", || drop(common::succeeds("sh", &["-ec", MACHINE]))) {
        return;
    }
    let well = serve(|m, p, _| FREE.say(m, p));
    let late = serve(|m, p, _| Chain { landed: false, ..FREE }.say(m, p));
    let gone = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("address");
    ended(&adopt(well, "", &[]), 0, &["lotus-daemon.service: root -> lotus", "away for up to 6 min 30 s, which fits now"]);
    ended(&adopt(late, "", &[]), 0, &["does not fit now: the proof of deadline 20 of f01234 has not landed", "--yes waits"]);
    ended(&adopt(gone, "", &["--yes"]), 2, &["no chain node answers", "nothing was changed", "--i-checked-deadlines WHY"]);
    assert_eq!(recorded(), None, "nothing was begun");
    // There is no systemd here and no other account, so that the move itself fails at its first steps and goes back; why it could begin is
    // on disk.
    ended(&adopt(well, "", &["--yes"]), 4, &["no proof is due until", "lotus: as before"]);
    let why = recorded().expect("a record");
    assert!(why.starts_with("free from ") && why.ends_with(&format!("by {well}")), "{why}");
}

/// Somebody's key opens the account that is to be the service's.
const SHARED: &str = "mkdir -p /var/shared/.ssh; echo 'ssh-ed25519 AAAA ada at home' >/var/shared/.ssh/authorized_keys
    echo lotus:x:1500:1500::/var/shared:/bin/bash >>/etc/passwd; echo 'lotus:!:19000::::::' >/etc/shadow; echo sudo:x:27: >>/etc/group";

#[test]
fn whoever_becomes_an_administrator_is_shown_first() {
    if !common::inside("whoever_becomes_an_administrator_is_shown_first", || drop(common::succeeds("sh", &["-ec", MACHINE]))) {
        return;
    }
    common::succeeds("sh", &["-ec", SHARED]);
    let nobody = SocketAddr::from(([127, 0, 0, 1], 9));
    let asked = |name| adopt(nobody, "", &["--administrator", name]);
    ended(
        &asked("ada"),
        0,
        &["ada: made after lotus, in group sudo", "asks for no password", "key ssh-ed25519 ada at home", "nothing was changed"],
    );
    ended(&asked("root"), 2, &["account root is there already"]);
    common::succeeds("sh", &["-ec", "! grep -q ada /etc/passwd; rm /var/shared/.ssh/authorized_keys"]);
    ended(&asked("ada"), 2, &["neither a key", "could not log in"]);
}
