//! A client, an edge and a server in namespaces of the test's own, the engine at the edge as a process, and the rules that a site's own table
//! has for it (`docs/connection-mark.md`).
#![allow(dead_code, reason = "each test takes what it needs")]

use ips_inline::control;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{
    fs::File,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::AsFd,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const INSIDE: &str = "RAVELIN_INLINE_INSIDE";
/// Longest that something may take on a busy machine.
pub const LONG: Duration = Duration::from_secs(30);
/// What does not come within this does not come.
pub const SOON: Duration = Duration::from_millis(1500);
pub const SERVER: &str = "10.2.0.10";

/// `true` inside, where the test goes on; outside, runs the copy and says `false`.
pub fn inside(test: &str) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let exe = std::env::current_exe().expect("this test");
    let mut c = Command::new("unshare");
    let namespaces = ["--user", "--map-root-user", "--net", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"];
    c.args(namespaces).args(["sh", "-c", "mount -t tmpfs tmpfs /run && mkdir /run/netns && \"$@\"; exit $?", "sh"]);
    let out = c.arg(exe).args(["--exact", test, "--nocapture"]).env(INSIDE, "1").stdin(Stdio::null()).output().expect("namespaces");
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && text.contains("1 passed"), "inside:\n{text}");
    false
}

pub fn sh(script: &str) -> String {
    let out = Command::new("sh").args(["-ec", script]).stdin(Stdio::null()).output().expect("a shell");
    assert!(out.status.success(), "{script}\n{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs `f` on a thread that stands in the namespace.
pub fn at<T: Send + 'static>(space: &str, f: impl FnOnce() -> T + Send + 'static) -> std::thread::JoinHandle<T> {
    let path = format!("/run/netns/{space}");
    std::thread::spawn(move || {
        let handle = File::open(&path).expect("a namespace");
        move_into_link_name_space(handle.as_fd(), Some(LinkNameSpaceType::Network)).expect("entered");
        f()
    })
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < LONG, "{what}: not within {LONG:?}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// `client -- edge -- server`, forwarding, every connection tracked.
pub fn build() {
    sh("for n in client edge server; do ip netns add $n; ip -n $n link set lo up; done
        ip -n client link add left type veth peer name left netns edge
        ip -n server link add right type veth peer name right netns edge
        for s in 'client left 10.1.0.10/24' 'edge left 10.1.0.1/24' 'server right 10.2.0.10/24' 'edge right 10.2.0.1/24'; do
            set -- $s; ip -n $1 addr add $3 dev $2; ip -n $1 link set $2 up; done
        ip -n client route add default via 10.1.0.1; ip -n server route add default via 10.2.0.1
        ip netns exec edge sysctl -qw net.ipv4.ip_forward=1");
}

/// What a site's own table has for the engine: from the client's side policy 1, from the server's policy 2; connections as a whole.
/// `open`: failure lets on.
pub fn table(open: bool) {
    let open = if open { 8 } else { 0 };
    let want = |policy: u32| format!("meta mark set meta mark & 0x00ffc000 | {:#010x}", policy << 24 | 0x2000 | open);
    let keep = |n: u32| {
        let n = n << 10;
        format!("meta mark & 0x00003c00 == {n:#010x} ct mark & 0x00001c00 != {n:#010x} ct mark set ct mark & 0xffffe3ff | {n:#010x}")
    };
    let carry = |n: u32| {
        let n = n << 10;
        format!("ct mark & 0x00001c00 == {n:#010x} meta mark set meta mark & 0xffffe3ff | {n:#010x}")
    };
    let carried = [1, 4].map(carry).join("\n");
    let kept = [1, 2, 3, 4].map(keep).join("\n");
    let text = format!(
        "table inet ravelin {{
            chain switch {{ }}
            chain one {{
                {}
                {carried}
            }}
            chain two {{
                {}
                {carried}
            }}
            chain want {{
                type filter hook forward priority -160
                meta mark set meta mark & 0x00ffc000
                jump switch
                ct state invalid counter drop
                ct mark & 0x00001c00 == 0x00000800 counter accept
                ct mark & 0x00001c00 == 0x00000c00 meta l4proto tcp reject with tcp reset
                ct mark & 0x00001c00 == 0x00000c00 drop
                ct direction original iifname left jump one
                ct direction original iifname right jump two
                ct direction reply iifname right jump one
                ct direction reply iifname left jump two
            }}
            chain judged {{
                type filter hook forward priority -140
                meta mark & 0x00002008 == 0x00002000 counter drop comment \"closed\"
                meta mark & 0x00002008 == 0x00002008 counter comment \"open\"
                {kept}
                meta mark & 0x00003c00 == 0x00000c00 meta l4proto tcp reject with tcp reset
                meta mark & 0x00003c00 == 0x00000c00 reject with icmpx admin-prohibited
            }}
        }}\n",
        want(1),
        want(2)
    );
    std::fs::write("/run/table.nft", text).expect("written");
    sh("ip netns exec edge nft -f /run/table.nft");
}

/// The kill switch, and back.
pub fn switch(off: bool) {
    let what = if off { "add rule inet ravelin switch accept" } else { "flush chain inet ravelin switch" };
    sh(&format!("ip netns exec edge nft {what}"));
}

/// The engine at the edge.
pub struct Engine {
    pub child: Child,
    dir: tempfile::TempDir,
}

impl Engine {
    pub fn start(rules: &str, policies: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let engine = Self { child: Self::spawn(&dir, rules, policies), dir };
        engine.until_ready();
        engine
    }
    fn spawn(dir: &tempfile::TempDir, rules: &str, policies: &str) -> Child {
        let path = |name: &str| dir.path().join(name);
        std::fs::write(path("rules"), rules).expect("written");
        std::fs::write(path("policies"), policies).expect("written");
        let mut c = Command::new("ip");
        c.args(["netns", "exec", "edge", env!("CARGO_BIN_EXE_ips-pump")]);
        c.args(["rules", "sock", "eve.json", "policies"].map(path)).spawn().expect("an engine")
    }
    fn until_ready(&self) {
        // It has room for packets once its queues are bound.
        until("the engine has its queues", || control::ask(&self.socket(), "status").is_ok_and(|s| !s.contains("\"room\":0,")));
    }
    /// Another one, with the same files.
    pub fn again(&mut self) {
        let _ = self.child.wait();
        let read = |n: &str| std::fs::read_to_string(self.dir.path().join(n)).expect("there");
        self.child = Self::spawn(&self.dir, &read("rules"), &read("policies"));
        self.until_ready();
    }
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("sock")
    }
    pub fn ask(&self, command: &str) -> String {
        control::ask(&self.socket(), command).expect("an answer")
    }
    /// A count.
    pub fn count(&self, what: &str) -> u64 {
        let status: serde_json::Value = serde_json::from_str(&self.ask("status")).expect("JSON");
        status["counted"][what].as_u64().unwrap_or_else(|| panic!("no count {what} in {status}"))
    }
    pub fn rules(&self, rules: &str) -> String {
        std::fs::write(self.dir.path().join("rules"), rules).expect("written");
        self.ask("reload")
    }
    /// Events of a kind that name this rule; of any rule where it is 0.
    pub fn events(&self, kind: &str, sid: u64) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(self.dir.path().join("eve.json")).unwrap_or_default();
        text.lines()
            .filter_map(|l| serde_json::from_str::<serde_json::Value>(l).ok())
            .filter(|e| e["event_type"] == kind && (sid == 0 || e["alert"]["signature_id"] == sid))
            .collect()
    }
    pub fn kill(&mut self) {
        self.child.kill().expect("killed");
        self.child.wait().expect("gone");
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A server that answers each line with `answer(line)`; for as long as the test runs.
pub fn serve(port: u16, answer: fn(&str, &mut TcpStream) -> std::io::Result<()>) {
    let (ready, listening) = std::sync::mpsc::channel();
    at("server", move || {
        let listener = TcpListener::bind(("0.0.0.0", port)).expect("a port");
        ready.send(()).expect("heard");
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut lines = std::io::BufReader::new(stream.try_clone().expect("a copy"));
                let mut out = stream;
                let mut line = String::new();
                while std::io::BufRead::read_line(&mut lines, &mut line).is_ok_and(|n| n > 0) {
                    if answer(line.trim_end(), &mut out).is_err() {
                        return;
                    }
                    line.clear();
                }
            });
        }
    });
    listening.recv().expect("it listens");
}

/// Answers requests of HTTP: a line that is empty ends one.
pub fn http(line: &str, out: &mut TcpStream) -> std::io::Result<()> {
    if line.is_empty() { out.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood") } else { Ok(()) }
}

pub fn connect(port: u16) -> std::io::Result<TcpStream> {
    let to: SocketAddr = format!("{SERVER}:{port}").parse().expect("an address");
    let stream = TcpStream::connect_timeout(&to, LONG)?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(LONG))?;
    Ok(stream)
}

/// Asks for a path; the answer, or why there is none.
pub fn get(stream: &mut TcpStream, path: &str) -> std::io::Result<String> {
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n").as_bytes())?;
    let mut out = [0; 200];
    let n = stream.read(&mut out)?;
    Ok(String::from_utf8_lossy(&out[..n]).into_owned())
}

/// The same on a connection of its own, from the client.
pub fn get_from_client(path: &'static str) -> std::io::Result<String> {
    at("client", move || connect(80).and_then(|mut s| get(&mut s, path))).join().expect("asked")
}

/// Packets a rule of the own table with this comment has counted.
pub fn counted(comment: &str) -> u64 {
    let text = sh("ip netns exec edge nft list chain inet ravelin judged");
    let line = text.lines().find(|l| l.contains(&format!("\"{comment}\""))).expect("the rule");
    line.split_whitespace().skip_while(|w| *w != "packets").nth(1).and_then(|n| n.parse().ok()).expect("a number")
}
