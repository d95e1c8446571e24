//! Connections under way before a machine tracked any. In come facts of hosts, out come the entries the tracking table
//! needs so that their packets count as established.
//!
//! A connection's opener is told from listeners: who has a listener on the connection's local port was called; where both
//! or neither end is known, the higher port opened. A wrong guess costs nothing: both directions of an entry that has
//! seen a reply are established.

use facts::{Facts, Socket, SocketState, Tuple};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use words::Proto;

/// One connection to put into the tracking table.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeedFlow {
    /// TCP or UDP.
    pub proto: Proto,
    /// As it was opened.
    pub original: Tuple,
    /// As answers come back.
    pub reply: Tuple,
}

/// TCP states in which data may still flow in at least one direction.
const ALIVE: [SocketState; 6] = [
    SocketState::Established,
    SocketState::FinWait1,
    SocketState::FinWait2,
    SocketState::CloseWait,
    SocketState::LastAck,
    SocketState::Closing,
];

/// The connections that these machines' sockets hold, each once, without loopback.
pub fn from_facts<'a>(facts: impl IntoIterator<Item = &'a Facts>) -> Vec<SeedFlow> {
    from_sockets(facts.into_iter().map(|f| f.sockets.as_slice()))
}

/// The same, from socket lists, one list per machine.
pub fn from_sockets<'a>(machines: impl IntoIterator<Item = &'a [Socket]>) -> Vec<SeedFlow> {
    // Both ends report a connection: the key is the unordered pair of ends.
    let mut found: BTreeMap<(Proto, SocketAddr, SocketAddr), Opened> = BTreeMap::new();
    for sockets in machines {
        let listeners: BTreeSet<(Proto, u16)> = sockets.iter().filter(|s| s.listens()).map(|s| (s.proto, s.local.port())).collect();
        for socket in sockets {
            let Some(remote) = socket.remote.filter(|_| carries(socket)) else { continue };
            let opened = if listeners.contains(&(socket.proto, socket.local.port())) {
                Opened { by: remote, sure: true }
            } else {
                Opened { by: if socket.local.port() >= remote.port() { socket.local } else { remote }, sure: false }
            };
            let key = (socket.proto, socket.local.min(remote), socket.local.max(remote));
            let entry = found.entry(key).or_insert(opened);
            if opened.sure && !entry.sure {
                *entry = opened;
            }
        }
    }
    found
        .into_iter()
        .map(|((proto, a, b), opened)| {
            let (src, dst) = if opened.by == a { (a, b) } else { (b, a) };
            let original = Tuple { src: src.ip(), dst: dst.ip(), sport: src.port(), dport: dst.port() };
            SeedFlow { proto, original, reply: original.reversed() }
        })
        .collect()
}

#[derive(Clone, Copy)]
struct Opened {
    by: SocketAddr,
    sure: bool,
}

fn carries(socket: &Socket) -> bool {
    let passes = |ip: IpAddr| !ip.is_loopback() && !ip.is_unspecified();
    let alive = match socket.proto {
        Proto::Tcp => ALIVE.contains(&socket.state),
        Proto::Udp => socket.state == SocketState::Established,
        _ => false,
    };
    alive && passes(socket.local.ip()) && socket.remote.is_some_and(|r| passes(r.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn socket(proto: Proto, local: &str, remote: Option<&str>, state: SocketState) -> Socket {
        Socket {
            proto,
            local: local.parse().expect("address"),
            remote: remote.map(|r| r.parse().expect("address")),
            state,
            dual: false,
            device: None,
            uid: 0,
            inode: 1,
            pids: vec![],
        }
    }

    #[test]
    fn the_listener_was_called_whoever_reports() {
        let server = [
            socket(Proto::Tcp, "0.0.0.0:40000", None, SocketState::Listen),
            socket(Proto::Tcp, "10.0.0.1:40000", Some("10.0.0.2:2000"), SocketState::Established),
        ];
        let client = [socket(Proto::Tcp, "10.0.0.2:2000", Some("10.0.0.1:40000"), SocketState::CloseWait)];
        for machines in [vec![&server[..], &client[..]], vec![&client[..], &server[..]], vec![&server[..]]] {
            let seeds = from_sockets(machines);
            assert_eq!(seeds.len(), 1);
            assert_eq!((seeds[0].original.sport, seeds[0].original.dport), (2000, 40000));
            assert_eq!(seeds[0].reply, seeds[0].original.reversed());
        }
    }

    #[test]
    fn listeners_loopback_and_the_dead_are_left_out() {
        let sockets = [
            socket(Proto::Tcp, "127.0.0.1:1", Some("127.0.0.1:2"), SocketState::Established),
            socket(Proto::Tcp, "10.0.0.1:1", Some("10.0.0.2:2"), SocketState::TimeWait),
            socket(Proto::Tcp, "10.0.0.1:1", None, SocketState::Listen),
            socket(Proto::Udp, "10.0.0.1:9", None, SocketState::Close),
        ];
        assert_eq!(from_sockets([&sockets[..]]), []);
        let udp = [socket(Proto::Udp, "[2001:db8::1]:9", Some("[2001:db8::2]:53"), SocketState::Established)];
        assert_eq!(from_sockets([&udp[..]]).len(), 1);
    }
}
