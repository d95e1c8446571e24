//! Who may confirm. Shells behind real TCP connections between two namespaces, as sshd holds them: the one that was open before
//! the change is refused and the change goes back, a new one is accepted, the console needs a reason.

#[path = "common/mod.rs"]
mod common;
#[path = "common/net.rs"]
mod net;

use common::*;
use net::{Namespace, wire};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
use std::{
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    os::fd::OwnedFd,
    path::Path,
    process::{Child, Command},
    time::{Duration, Instant},
};

/// The way in; where the operator is; a fixed port of the operator's, to come back from.
const HERE: &str = "10.9.0.1:22";
const FROM: &str = "10.9.0.2:0";
const AGAIN: &str = "10.9.0.2:40000";
/// Longer than a packet on a veth pair takes, and than TCP's first retransmission (1 s).
const NO_ANSWER: Duration = Duration::from_millis(1500);
/// Longer than a packet and its answer take on a veth pair.
const A_PACKET: Duration = Duration::from_millis(100);
const SOON: Duration = Duration::from_secs(20);

/// A remote shell: it holds the connection, what it starts does not (as behind sudo).
struct Login {
    shell: Child,
    lines: BufReader<TcpStream>,
}

impl Login {
    fn new(listener: &TcpListener, there: &Namespace, from: &str) -> Self {
        let from: SocketAddr = from.parse().expect("socket");
        let client = there.within(|| {
            let fd = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).expect("a socket");
            sockopt::set_socket_reuseaddr(&fd, true).expect("an option");
            bind(&fd, &from).expect("binds");
            connect(&fd, &HERE.parse::<SocketAddr>().expect("socket")).expect("connects");
            TcpStream::from(fd)
        });
        let (held, _) = listener.accept().expect("accepts");
        let held: OwnedFd = held.into();
        let shell = Command::new("sh")
            .args(["-c", "while read -r line; do out=$(eval \"$line\" 2>&1 </dev/null); echo $? $out; done"])
            .env_remove("SSH_CONNECTION")
            .env_remove("SSH_CLIENT")
            .stdin(held.try_clone().expect("a copy"))
            .stdout(held)
            .spawn()
            .expect("sh");
        client.set_read_timeout(Some(SOON)).expect("a limit");
        Self { shell, lines: BufReader::new(client) }
    }
    /// Exit status and words of the applier started in it.
    fn confirm(&mut self, state: &Path, more: &str) -> (i32, String) {
        let line = format!("{} --state {} confirm {more}\n", env!("CARGO_BIN_EXE_ravelin-applier"), state.display());
        self.lines.get_mut().write_all(line.as_bytes()).expect("the old connection lives");
        let mut said = String::new();
        self.lines.read_line(&mut said).expect("answers");
        let (status, text) = said.trim().split_once(' ').expect("a status");
        (status.parse().expect("a number"), text.to_owned())
    }
    /// The machine's end closes first.
    fn end(mut self) {
        self.shell.kill().expect("ends");
        self.shell.wait().expect("ended");
        // Its close is seen before ours: then the port is free again at once.
        let mut rest = String::new();
        let _ = self.lines.read_line(&mut rest);
        drop(self.lines);
        std::thread::sleep(A_PACKET);
    }
}

fn status(state: &Path) -> serde_json::Value {
    serde_json::from_str(&applied(state, &["status", "--json"])).expect("JSON")
}

fn refused(said: &(i32, String), words: &str) {
    assert!(said.0 == 1 && said.1.contains(words) && said.1.contains("goes back at its deadline"), "{words}: {said:?}");
}

#[test]
fn only_a_new_connection_confirms() {
    if !inside("only_a_new_connection_confirms") {
        return;
    }
    let (here, there) = (Namespace::own(), Namespace::new());
    wire(&here, "eth0", &there, "eth0");
    here.address("eth0", &["10.9.0.1/24"]);
    there.address("eth0", &["10.9.0.2/24"]);
    let dir = tempfile::tempdir().expect("directory");
    let state = dir.path().join("state");
    let listener = TcpListener::bind(HERE).expect("listens");
    let mut first = Login::new(&listener, &there, AGAIN);
    let one = sealed(&ruleset("22"), 1, None);
    applied(&state, &["apply", &written(dir.path(), "one", &one), "--confirm-within", "60"]);

    refused(&first.confirm(&state, ""), "was open before the new rules");
    refused(&first.confirm(&state, "--from-console lying"), "was open before the new rules");
    let console = applier(&state, &["confirm"]);
    assert_eq!(console.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&console.stderr).contains("--from-console REASON"));
    // A multiplexer: the environment of a login, the connection of none.
    let left = Command::new(env!("CARGO_BIN_EXE_ravelin-applier"))
        .env("SSH_CONNECTION", "10.9.0.2 40000 10.9.0.1 22")
        .args(["--state", &state.display().to_string(), "confirm", "--from-console", "in tmux"])
        .output()
        .expect("starts");
    assert!(left.status.code() == Some(1) && String::from_utf8_lossy(&left.stderr).contains("login from 10.9.0.2"));
    let waits = status(&state);
    assert!(waits["pending"]["timer"] == true && waits["confirmed"].is_null(), "{waits}");

    // The same addresses and ports again, after a close: another connection all the same.
    first.end();
    let mut second = Login::new(&listener, &there, AGAIN);
    let other = second.confirm(&state, "--from-console 'not needed'");
    refused(&other, "it is no console");
    assert_eq!(second.confirm(&state, "").0, 0);
    let kept = status(&state);
    assert!(kept["pending"].is_null() && kept["confirmed"]["proof"]["new-connection"]["from"] == AGAIN, "{kept}");

    // A change that lets nobody in any more: whoever is in still is, and cannot make it last.
    let two = sealed(&ruleset("80"), 2, Some(one.digest()));
    applied(&state, &["apply", &written(dir.path(), "two", &two), "--confirm-within", "5"]);
    let knocked = there.within(|| TcpStream::connect_timeout(&HERE.parse().expect("socket"), NO_ANSWER));
    assert!(knocked.is_err(), "the new rules shut the way in");
    refused(&second.confirm(&state, ""), "was open before the new rules");
    assert_eq!(status(&state)["pending"]["timer"], true);
    let begun = Instant::now();
    while !status(&state)["pending"].is_null() {
        assert!(begun.elapsed() < SOON, "it does not go back");
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(live().contains("dport 22") && !live().contains("dport 80"), "{}", live());
    assert_eq!(status(&state)["confirmed"]["generation"], 1);
    let third = Login::new(&listener, &there, FROM);
    third.end();
}
