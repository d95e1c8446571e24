//! What a narrower policy refuses: without `--cut` a connection under way goes on, with it it stops while its neighbours and
//! the way in go on, and packets from its middle make no new entry. The real programs, packets between two namespaces.

mod common;
#[path = "../../apply/tests/common/net.rs"]
mod net;

use common::succeeds as run;
use net::{Namespace, wire};
use std::{
    fs,
    io::{Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Command, Output},
    time::Duration,
};

/// Longer than a packet between two namespaces takes, and than TCP's first retransmissions (200 and 400 ms).
const SILENCE: Duration = Duration::from_millis(900);
const MACHINE: &str = "203.0.113.10";
const MANAGER: &str = "198.51.100.7";
const STRANGER: &str = "192.0.2.77";

const SITE: &str = include_str!("common/v4.toml");

fn page(port: u16) -> String {
    format!("\n[[allow]]\nfrom = \"internet\"\nto = \"sp1\"\nport = \"{port}/tcp\"\nwhy = \"a page\"\nuntil = \"2027-12-01\"\n")
}

fn inside(test: &str) -> bool {
    common::inside(test, || {
        run("mount", &["-t", "tmpfs", "none", "/tmp"]);
        run("ip", &["link", "set", "lo", "up"]);
    })
}

fn ravelin(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ravelin"));
    command.env("NO_COLOR", "1").env_remove("SSH_CLIENT").env_remove("SSH_CONNECTION").args(arguments);
    command
}

fn apply(here: &Path, site: &str, more: &[&str]) -> String {
    let file = here.join("site.toml");
    fs::write(&file, site).expect("the site file");
    let mut command = ravelin(&["apply"]);
    command.arg(&file).args(["--host", "sp1", "--because", "a test", "--yes", "--without-probe", "a test", "--now", "2027-01-10"]);
    command.arg("--state").arg(here.join("state")).arg("--record").arg(here.join("one.ledger")).args(more);
    said(&command.output().expect("ravelin starts"))
}

fn said(out: &Output) -> String {
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "{text}");
    text
}

/// One connection by both its ends.
struct Pair {
    outside: TcpStream,
    machine: TcpStream,
}

impl Pair {
    fn open(there: &Namespace, from: &str, port: u16) -> Self {
        let at: SocketAddr = format!("{MACHINE}:{port}").parse().expect("address");
        let listener = TcpListener::bind(at).expect("listens");
        let outside = there.within(|| {
            let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).expect("socket");
            let from: IpAddr = from.parse().expect("address");
            socket.bind(&SocketAddr::new(from, 0).into()).expect("binds");
            socket.connect_timeout(&at.into(), Duration::from_secs(3)).expect("connects");
            TcpStream::from(socket)
        });
        let pair = Self { outside, machine: listener.accept().expect("accepts").0 };
        for end in [&pair.outside, &pair.machine] {
            end.set_read_timeout(Some(SILENCE)).expect("sets");
            end.set_nodelay(true).expect("sets");
        }
        pair
    }
    /// Which directions data still gets through: towards the machine, from it.
    fn speaks(&mut self) -> [bool; 2] {
        let mut heard = [0; 1];
        let towards = self.outside.write_all(b"a").is_ok() && self.machine.read_exact(&mut heard).is_ok();
        let from = self.machine.write_all(b"b").is_ok() && self.outside.read_exact(&mut heard).is_ok();
        [towards, from]
    }
}

fn tracked(port: u16) -> usize {
    observe::track::list().expect("lists").iter().filter(|c| [c.original.dport, c.original.sport].contains(&port)).count()
}

#[test]
fn what_a_change_refuses_goes_on_until_it_is_cut() {
    if !inside("what_a_change_refuses_goes_on_until_it_is_cut") {
        return;
    }
    let here = tempfile::tempdir().expect("a directory");
    let dir = here.path();
    let there = Namespace::new();
    wire(&Namespace::own(), "eno1", &there, "far");
    Namespace::own().address("eno1", &["203.0.113.10/24"]);
    there.address("far", &["203.0.113.1/24", "198.51.100.7/32", "192.0.2.77/32"]);
    run("ip", &["route", "add", "default", "via", "203.0.113.1"]);

    apply(dir, &(SITE.to_owned() + &page(8000) + &page(8001)), &[]);
    let mut first = Pair::open(&there, STRANGER, 8000);
    let mut second = Pair::open(&there, STRANGER, 8001);
    let mut peer = Pair::open(&there, STRANGER, 6665);
    let mut operator = Pair::open(&there, MANAGER, 22);
    for p in [&mut first, &mut second, &mut peer, &mut operator] {
        assert_eq!(p.speaks(), [true, true]);
    }

    // Narrower, without --cut: told, and it goes on.
    let narrower = SITE.to_owned() + &page(8001);
    let text = apply(dir, &narrower, &[]);
    assert!(text.contains("1 tracked connections would not be let open any more; they go on; --cut ends them"), "{text}");
    assert!(text.contains("192.0.2.77:") && text.contains("-> 203.0.113.10:8000 [deny/input]"), "{text}");
    for p in [&mut first, &mut second, &mut peer, &mut operator] {
        assert_eq!(p.speaks(), [true, true]);
    }

    // The same again with it: this one ends, nothing else, and nothing makes a new entry of its packets.
    let text = apply(dir, &narrower, &["--cut"]);
    assert!(text.contains("nothing to do") && text.contains("1 connections ended"), "{text}");
    assert_eq!(first.speaks(), [false, false]);
    assert_eq!(tracked(8000), 0, "packets of its middle open nothing");
    for p in [&mut second, &mut peer, &mut operator] {
        assert_eq!(p.speaks(), [true, true]);
    }
    assert!(apply(dir, &narrower, &["--cut"]).contains("nothing is ended"));

    // In one go with the change.
    let text = apply(dir, SITE, &["--cut"]);
    assert!(text.contains("they are ended once the change is confirmed") && text.contains("1 connections ended"), "{text}");
    assert_eq!(second.speaks(), [false, false]);
    assert_eq!(tracked(8001), 0);
    for p in [&mut peer, &mut operator] {
        assert_eq!(p.speaks(), [true, true]);
    }

    // Break-glass leaves what is established, and with --cut the way in alone.
    let state = dir.join("state").display().to_string();
    said(&ravelin(&["break-glass", "--state", &state]).output().expect("ravelin starts"));
    for p in [&mut peer, &mut operator] {
        assert_eq!(p.speaks(), [true, true]);
    }
    let text = said(&ravelin(&["break-glass", "--cut", "--state", &state]).output().expect("ravelin starts"));
    assert!(text.contains("connections ended, 1 left alone as the way in"), "{text}");
    assert_eq!(peer.speaks(), [false, false]);
    assert_eq!(tracked(6665), 0);
    assert_eq!(operator.speaks(), [true, true]);
}
