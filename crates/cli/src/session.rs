//! The operator's own way in: the ssh connection this program was started through. In come facts and the environment, out come
//! connections, and whether the next one like them would still be let in. Never: changes anything.

use facts::{Facts, SocketState};
use reach::{Field, Packet, Past, field, network::Machine, trace};
use ruleset::form::{Hook, Ruleset};
use std::{collections::BTreeSet, net::IpAddr};
use words::{Family, Proto};

/// Hooks between the wire and a socket.
const INBOUND: [Hook; 3] = [Hook::Ingress, Hook::Prerouting, Hook::Input];

/// A connection the operator came in by.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Session {
    /// Where the operator is, as this machine sees it.
    pub from: IpAddr,
    /// The address of this machine it came to, where that is known.
    pub to: Option<IpAddr>,
    /// The port it came to.
    pub port: u16,
}

/// Ways in of whoever started this process: by the environment ssh gives, and, since sudo takes that away, by the connections
/// that this process's ancestors hold. Connections from this machine itself are none.
pub fn of_operator(facts: &Facts) -> BTreeSet<Session> {
    let variable = |name: &str| std::env::var(name).ok();
    let told = variable("SSH_CONNECTION").and_then(|t| connection(&t)).or_else(|| variable("SSH_CLIENT").and_then(|t| client(&t)));
    told.into_iter().chain(held(facts, std::process::id())).filter(|s| !s.from.is_loopback()).collect()
}

/// `SSH_CONNECTION`: client's address and port, server's address and port.
fn connection(text: &str) -> Option<Session> {
    let [from, _, to, port] = text.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    Some(Session { from: address(from)?, to: Some(address(to)?), port: port.parse().ok()? })
}

/// `SSH_CLIENT`: client's address and port, server's port.
fn client(text: &str) -> Option<Session> {
    let [from, _, port] = text.split_whitespace().collect::<Vec<_>>().try_into().ok()?;
    Some(Session { from: address(from)?, to: None, port: port.parse().ok()? })
}

/// Without the device of a link-local one; IPv4 inside IPv6 as IPv4.
fn address(text: &str) -> Option<IpAddr> {
    text.split('%').next()?.parse().ok().map(|a: IpAddr| a.to_canonical())
}

/// Connections to a listening port that a process or one of its ancestors holds.
fn held(facts: &Facts, process: u32) -> BTreeSet<Session> {
    let mut line = BTreeSet::new();
    let mut next = Some(process);
    while let Some(pid) = next.filter(|p| line.insert(*p)) {
        next = facts.processes.iter().find(|p| p.pid == pid).map(|p| p.parent);
    }
    let listening: BTreeSet<u16> = facts.sockets.iter().filter(|s| s.listens()).map(|s| s.local.port()).collect();
    let ours = facts.sockets.iter().filter(|s| s.proto == Proto::Tcp && s.state == SocketState::Established);
    ours.filter(|s| listening.contains(&s.local.port()) && s.pids.iter().any(|p| line.contains(p)))
        .filter_map(|s| {
            let to = s.local.ip().to_canonical();
            Some(Session { from: s.remote?.ip().to_canonical(), to: Some(to), port: s.local.port() })
        })
        .collect()
}

/// What stops the next connection like this one, in words; `None` where it gets in whatever the unknown turns out to be.
pub fn stopped(session: &Session, machine: &Machine<'_>, facts: &Facts) -> Option<String> {
    let rules = machine.rules()?;
    let family = Family::of(&session.from);
    let own: Vec<IpAddr> = match session.to {
        Some(a) => vec![a],
        None => machine.place.own.iter().copied().filter(|a| Family::of(a) == family).collect(),
    };
    // None as soon as one of the addresses lets it in.
    let refusals: Option<Vec<String>> = own.into_iter().map(|to| stopped_at(session, to, rules, machine, facts)).collect();
    refusals.map(|mut all| all.pop().unwrap_or_else(|| format!("the site file gives this machine no address of family {family}")))
}

fn stopped_at(session: &Session, to: IpAddr, rules: &Ruleset, machine: &Machine<'_>, facts: &Facts) -> Option<String> {
    let carrier = facts.interfaces.iter().find(|i| i.addresses.iter().any(|n| n.addr() == to)).map(|i| i.name.as_str());
    // One that nothing here carries was translated on its way: the packet comes in where the way back leads.
    let device = carrier.or_else(|| machine.place.route(session.from).map(|l| l.device.as_str())).unwrap_or_default();
    let opening = Packet::opening(Family::of(&session.from)).from(session.from).to(to);
    let mut packet = opening.with(Field::Dport, session.port.into()).with(Field::In, field::device(device));
    INBOUND.iter().find_map(|hook| {
        let walked = trace::hook(rules, &machine.place, Past::Quiet, *hook, packet, false);
        packet = walked.packet;
        let decided = walked.steps.last().map(|s| {
            let id = s.id.as_ref().map(|i| format!(" [{i}]")).unwrap_or_default();
            format!("table {}, chain {}{id}: {}", s.table, s.chain, s.did)
        });
        (!walked.passed).then(|| decided.unwrap_or_else(|| "a rule".to_owned()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Process, Socket};

    fn session(from: &str, to: Option<&str>, port: u16) -> Session {
        Session { from: from.parse().expect("address"), to: to.map(|a| a.parse().expect("address")), port }
    }

    #[test]
    fn what_ssh_says_of_a_connection_is_read() {
        let plain = session("198.51.100.7", Some("203.0.113.10"), 22);
        assert_eq!(connection("198.51.100.7 50000 203.0.113.10 22"), Some(plain.clone()));
        assert_eq!(connection("::ffff:198.51.100.7 50000 ::ffff:203.0.113.10 22"), Some(plain));
        assert_eq!(connection("fe80::1%eth0 50000 fe80::2%eth0 2222"), Some(session("fe80::1", Some("fe80::2"), 2222)));
        assert_eq!(client("198.51.100.7 50000 22"), Some(session("198.51.100.7", None, 22)));
        assert_eq!(connection("UNKNOWN 65535 UNKNOWN 65535"), None);
    }

    #[test]
    fn the_connection_is_found_behind_sudo() {
        let process = |pid, parent| Process { pid, parent, ..Process::default() };
        let socket = |local: &str, remote: Option<&str>, state, pid| Socket {
            proto: Proto::Tcp,
            local: local.parse().expect("socket"),
            remote: remote.map(|r| r.parse().expect("socket")),
            state,
            dual: false,
            device: None,
            uid: 0,
            inode: 1,
            pids: vec![pid],
        };
        let (established, listen) = (SocketState::Established, SocketState::Listen);
        let facts = Facts {
            processes: vec![process(1, 0), process(20, 1), process(30, 20), process(40, 30), process(50, 1)],
            sockets: vec![
                socket("0.0.0.0:22", None, listen, 1),
                socket("203.0.113.10:22", Some("198.51.100.7:50000"), established, 20),
                // Somebody else's connection, and one that the shell opened to the outside.
                socket("203.0.113.10:22", Some("198.51.100.8:50000"), established, 50),
                socket("203.0.113.10:40000", Some("192.0.2.1:443"), established, 30),
            ],
            ..Facts::default()
        };
        assert_eq!(held(&facts, 40), BTreeSet::from([session("198.51.100.7", Some("203.0.113.10"), 22)]));
        assert_eq!(held(&facts, 50), BTreeSet::from([session("198.51.100.8", Some("203.0.113.10"), 22)]));
    }
}
