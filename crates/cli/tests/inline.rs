//! A site from its file to packets: the edge node's own table, the engine's table beside it and `ravelin ips run`, over a published service. What
//! rules name does not arrive and is told; everything else does; the kill switch, a killed engine and a broken rule file do what is said of them.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const INSIDE: &str = "RAVELIN_INLINE_SITE";
const LONG: Duration = Duration::from_secs(60);
const SOON: Duration = Duration::from_millis(1500);
const SITE: &str = r#"
[site]
name       = "inline"
miners     = ["f01234"]
management = { from = ["ops"], by = "ssh" }

[layers]
network = "enforce"
ips     = "enforce"

[zones]
dmz = { vlan = 10, subnets = ["10.2.0.0/24"] }
ops = { vlan = 90, subnets = ["10.3.0.0/24"] }

[edge]
kind   = "ravelin"
nodes  = ["fw"]
public = ["203.0.113.0/28"]
vip    = { internet = ["203.0.113.1"] }
ips    = { inspect = ["internet"], rules = ["rules/*.rules"], on-failure = "closed" }

[hosts.fw]
address = { internet = ["203.0.113.2"], dmz = ["10.2.0.1"], ops = ["10.3.0.1"] }
device  = { internet = "left", dmz = "right", ops = "ops" }

[hosts.daemon1]
address = ["10.2.0.10"]
runs    = ["lotus"]

[[publish]]
service = "lotus.libp2p"
on      = "daemon1"
at      = "203.0.113.1"
port    = 24001
"#;
const RULES: &str = r#"
drop http any any -> any any (msg:"evil path"; flow:established,to_server; http.uri; content:"/evil"; sid:1;)
alert http any any -> any any (msg:"odd path"; flow:established,to_server; http.uri; content:"/odd"; sid:2;)
"#;

fn sh(script: &str) -> String {
    let out = Command::new("sh").args(["-ec", script]).stdin(Stdio::null()).output().expect("a shell");
    assert!(out.status.success(), "{script}\n{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// `ravelin`, at the edge.
fn ravelin(words: &str) -> String {
    sh(&format!("ip netns exec edge {} {words}", env!("CARGO_BIN_EXE_ravelin")))
}

fn at<T: Send + 'static>(space: &str, f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    let handle = std::fs::File::open(format!("/run/netns/{space}")).expect("a namespace");
    std::thread::spawn(move || {
        let network = Some(rustix::thread::LinkNameSpaceType::Network);
        rustix::thread::move_into_link_name_space(std::os::fd::AsFd::as_fd(&handle), network).expect("entered");
        f()
    })
}

fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn get(path: &str) -> std::io::Result<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
    let run = move || {
        let to: SocketAddr = "203.0.113.1:24001".parse().expect("an address");
        let mut s = TcpStream::connect_timeout(&to, SOON)?;
        s.set_read_timeout(Some(SOON))?;
        s.write_all(request.as_bytes())?;
        let mut out = [0; 100];
        let n = s.read(&mut out)?;
        Ok(String::from_utf8_lossy(&out[..n]).into_owned())
    };
    at("client", run).join().expect("run")
}

fn silent(path: &str) -> bool {
    matches!(get(path), Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
}

/// The three machines, and the edge node's own table as it is rendered.
fn build(dir: &Path) {
    std::fs::create_dir(dir.join("rules")).expect("made");
    std::fs::write(dir.join("site.toml"), SITE).expect("written");
    std::fs::write(dir.join("rules/local.rules"), RULES).expect("written");
    sh("for n in client edge server; do ip netns add $n; ip -n $n link set lo up; done
        ip -n client link add out type veth peer name left netns edge
        ip -n server link add out type veth peer name right netns edge
        ip -n edge link add ops type veth peer name beyond
        for s in 'client out 198.51.100.9/24' 'edge left 198.51.100.1/24' 'edge left 203.0.113.2/28' 'edge left 203.0.113.1/28' 'server out 10.2.0.10/24' \\
            'edge right 10.2.0.1/24' 'edge ops 10.3.0.1/24'; do
            set -- $s; ip -n $1 addr add $3 dev $2; ip -n $1 link set $2 up; done
        ip -n server route add default via 10.2.0.1
        ip -n client route add default via 198.51.100.1
        ip netns exec edge sysctl -qw net.ipv4.ip_forward=1 net.netfilter.nf_conntrack_tcp_loose=0");
    let at = dir.display();
    ravelin(&format!("render {at}/out --site {at}/site.toml"));
    sh(&format!("ip netns exec edge nft -f {at}/out/fw/ravelin.nft"));
    let (ready, listening) = std::sync::mpsc::channel();
    at_server(ready);
    listening.recv().expect("it listens");
}

fn at_server(ready: std::sync::mpsc::Sender<()>) {
    at("server", move || {
        let listener = TcpListener::bind("0.0.0.0:24001").expect("a port");
        ready.send(()).expect("heard");
        for mut s in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut buffer = [0; 1000];
                while s.read(&mut buffer).is_ok_and(|n| n > 0) {
                    if s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood").is_err() {
                        return;
                    }
                }
            });
        }
    });
}

fn start(dir: &Path) -> Child {
    let at = dir.display().to_string();
    let mut c = Command::new("ip");
    c.args(["netns", "exec", "edge", env!("CARGO_BIN_EXE_ravelin"), "ips", "run", "--site"]);
    c.arg(dir.join("site.toml")).args(["-o", &format!("{at}/eve.json"), "--socket", &format!("{at}/sock")]);
    let child = c.spawn().expect("started");
    until("the engine has its queues", || {
        let status = Command::new(env!("CARGO_BIN_EXE_ravelin")).args(["ips", "status", "--socket", &format!("{at}/sock")]).output();
        let status = status.expect("run");
        status.status.success() && !String::from_utf8_lossy(&status.stdout).contains("room 0\n")
    });
    child
}

#[test]
fn a_site_is_inspected_at_its_edge() {
    if std::env::var_os(INSIDE).is_none() {
        let out = Command::new("unshare")
            .args([
                "-Urnmpf",
                "--kill-child",
                "--mount-proc",
                "sh",
                "-c",
                "mount -t tmpfs tmpfs /run && mkdir /run/netns && \"$@\"; exit $?",
                "sh",
            ])
            .arg(std::env::current_exe().expect("this test"))
            .args(["--exact", "a_site_is_inspected_at_its_edge", "--nocapture"])
            .env(INSIDE, "1")
            .output()
            .expect("unshare");
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        assert!(out.status.success() && text.contains("1 passed"), "inside:\n{text}");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let (dir, place) = (dir.path(), dir.path().display().to_string());
    build(dir);
    assert!(get("/evil").expect("nobody inspects yet").ends_with("good"));
    let mut engine = start(dir);
    let eve = || std::fs::read_to_string(dir.join("eve.json")).unwrap_or_default();
    assert!(get("/good").expect("an answer").ends_with("good"));
    assert!(silent("/evil"), "{}", sh("ip netns exec edge nft list table inet ravelin-ips"));
    assert!(get("/odd").is_ok(), "an alert stops nothing");
    until("both are told", || eve().contains("\"signature_id\":1,") && eve().contains("\"signature_id\":2,"));
    // What the matrix does not allow stays closed, engine or not.
    let closed = at("client", || TcpStream::connect_timeout(&"203.0.113.1:81".parse().expect("an address"), SOON).is_err());
    assert!(closed.join().expect("run"));
    // Broken rules leave the old in force.
    std::fs::write(dir.join("rules/local.rules"), "drop it\n").expect("written");
    let reload =
        Command::new(env!("CARGO_BIN_EXE_ravelin")).args(["ips", "reload", "--socket", &format!("{place}/sock")]).output().expect("run");
    assert_eq!(reload.status.code(), Some(1), "{}", String::from_utf8_lossy(&reload.stdout));
    assert!(silent("/evil"));
    std::fs::write(dir.join("rules/local.rules"), RULES).expect("written");
    ravelin(&format!("ips reload --socket {place}/sock"));
    // The kill switch, in less than a second, with the engine stopped dead in its tracks.
    // `ip netns exec` becomes the program.
    let pid = engine.id();
    sh(&format!("kill -STOP {pid}"));
    let begun = Instant::now();
    ravelin("ips off");
    assert!(begun.elapsed() < Duration::from_secs(1), "{:?}", begun.elapsed());
    assert!(get("/evil").is_ok(), "off means off");
    sh(&format!("kill -CONT {pid}"));
    // An engine that starts again does not undo what a person did.
    ravelin(&format!("ips stop --socket {place}/sock"));
    assert!(engine.wait().expect("ended").success());
    let mut engine = start(dir);
    assert!(get("/evil").is_ok());
    ravelin("ips on");
    assert!(silent("/evil"));
    // Dead and closed: nothing passes from outside. Back again: it does.
    engine.kill().expect("killed");
    engine.wait().expect("gone");
    assert!(get("/good").is_err());
    let mut engine = start(dir);
    assert!(get("/good").is_ok() && silent("/evil"));
    ravelin(&format!("ips stop --socket {place}/sock"));
    assert!(engine.wait().expect("ended").success());
}
