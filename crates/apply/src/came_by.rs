//! What this process was started through. In come the kernel's TCP sockets and `/proc`, out come facts for [`crate::way_in`].
//! Decides nothing about old and new.

use crate::{
    Error,
    way_in::{CameBy, Inbound},
};
use std::{collections::BTreeSet, fs, net::SocketAddr};
use sys::diag::{self, Entry};

/// TCP state numbers of the kernel (`include/net/tcp_states.h`).
const ESTABLISHED: u8 = 1;
const LISTEN: u8 = 10;

/// Cookies of all TCP sockets there are, half-open ones among them: their opening packet was let in already.
pub fn present() -> Result<BTreeSet<u64>, Error> {
    Ok(diag::tcp()?.into_iter().map(|e| e.cookie).collect())
}

/// What the ancestors of this process hold, and what their environments say.
pub fn own() -> Result<CameBy, Error> {
    let line = ancestry(std::process::id());
    let inodes: BTreeSet<u32> = line.iter().flat_map(|&pid| held(pid)).collect();
    Ok(CameBy { held: inbound(&diag::tcp()?, &inodes), told: line.iter().find_map(|&pid| told(pid)) })
}

/// A process and its ancestors without process 1: that is everybody's, so what it holds says nothing of one login.
fn ancestry(process: u32) -> BTreeSet<u32> {
    let mut line = BTreeSet::new();
    let mut next = Some(process);
    while let Some(pid) = next.filter(|&p| p > 1 && line.insert(p)) {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        next = status.lines().find_map(|l| l.strip_prefix("PPid:")?.trim().parse().ok());
    }
    line
}

/// Inodes of its sockets.
fn held(pid: u32) -> Vec<u32> {
    let Ok(descriptors) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = descriptors.flatten().filter_map(|d| fs::read_link(d.path()).ok());
    links.filter_map(|l| l.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

/// The client's address that sshd left in its environment.
fn told(pid: u32) -> Option<String> {
    let environment = fs::read(format!("/proc/{pid}/environ")).ok()?;
    let environment = String::from_utf8_lossy(&environment);
    let value = environment.split('\0').find_map(|v| v.strip_prefix("SSH_CONNECTION=").or_else(|| v.strip_prefix("SSH_CLIENT=")))?;
    Some(value.split_whitespace().next()?.to_owned())
}

/// Those of the sockets that are connections to a listening port from another machine.
fn inbound(all: &[Entry], inodes: &BTreeSet<u32>) -> Vec<Inbound> {
    let listening: BTreeSet<u16> = all.iter().filter(|e| e.state == LISTEN).map(|e| e.local.port()).collect();
    let ends: BTreeSet<(SocketAddr, SocketAddr)> = all.iter().map(|e| (e.local, e.remote)).collect();
    // Where both ends are here (ssh to itself) nothing came in from outside.
    let outside = |e: &&Entry| !e.remote.ip().is_loopback() && !ends.contains(&(e.remote, e.local));
    let ours = all.iter().filter(|e| e.state == ESTABLISHED && e.inode != 0 && inodes.contains(&e.inode));
    ours.filter(|e| listening.contains(&e.local.port())).filter(outside).map(|e| Inbound { cookie: e.cookie, from: e.remote }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    fn entry(local: &str, remote: &str, state: u8, inode: u32) -> Entry {
        let socket = |s: &str| s.parse().expect("socket");
        let cookie = u64::from(inode) + 100;
        let (local, remote) = (socket(local), socket(remote));
        Entry { protocol: diag::TCP, state, local, remote, v6: false, v6_only: None, device: 0, uid: 0, inode, cookie }
    }

    #[test]
    fn only_what_came_in_from_elsewhere_counts() {
        let all = [
            entry("0.0.0.0:22", "0.0.0.0:0", LISTEN, 1),
            entry("203.0.113.10:22", "198.51.100.7:50000", ESTABLISHED, 2),
            // Opened to the outside; somebody else's; over loopback; from an address of its own.
            entry("203.0.113.10:40000", "192.0.2.1:443", ESTABLISHED, 3),
            entry("203.0.113.10:22", "198.51.100.8:50000", ESTABLISHED, 4),
            entry("127.0.0.1:22", "127.0.0.1:50001", ESTABLISHED, 5),
            entry("203.0.113.10:22", "203.0.113.10:50002", ESTABLISHED, 6),
            entry("203.0.113.10:50002", "203.0.113.10:22", ESTABLISHED, 7),
        ];
        let from = "198.51.100.7:50000".parse().expect("socket");
        assert_eq!(inbound(&all, &BTreeSet::from([1, 2, 3, 5, 6, 7])), [Inbound { cookie: 102, from }]);
    }

    #[test]
    fn a_cookie_stays_and_never_comes_again() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("listens");
        let at = listener.local_addr().expect("address");
        let client = TcpStream::connect(at).expect("connects");
        let (server, peer) = listener.accept().expect("accepts");
        let before = present().expect("lists");
        let cookie = |all: Vec<Entry>, local, remote| all.iter().find(|e| e.local == local && e.remote == remote).map(|e| e.cookie);
        let old = cookie(diag::tcp().expect("lists"), at, peer).expect("is there");
        assert!(old != 0 && before.contains(&old), "the same each time it is asked for");
        drop((client, server));
        let _client = TcpStream::connect(at).expect("connects");
        let (_server, peer) = listener.accept().expect("accepts");
        assert!(!before.contains(&cookie(diag::tcp().expect("lists"), at, peer).expect("is there")));
    }
}
