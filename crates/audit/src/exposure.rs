//! Who reaches a listening socket through the machine's own packet filter. In come the facts, out comes whose packet arrives:
//! anybody's, a neighbour's, single ones', nobody's. Told by walking one opening packet of each through the rules and, where none of
//! these arrives, by the proof over every packet; never by a rule's being there. What stands before the machine (an edge, a provider's filter) is not known here.

use facts::{Facts, Socket};
use ipnet::IpNet;
use reach::{
    Field, Packet, Past, Place,
    exposure::{By, End, Exposed, exposures, rulesets},
    field, trace,
};
use ruleset::{Ruleset, form::Hook};
use std::{
    cell::OnceCell,
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use words::{Family, Proto};

/// Whose packets arrive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Nobody's from another machine.
    Nobody,
    /// Only those of these others, by the proof over every packet.
    Those(Vec<String>),
    /// Neighbours' of these networks.
    Near(Vec<IpNet>),
    /// Anybody's.
    Anybody,
}

/// The filter and the machine's place.
#[derive(Debug)]
pub struct Exposure<'a> {
    facts: &'a Facts,
    rules: Ruleset,
    place: Place,
    /// By the proof over every packet; made for the first socket that no walked packet reaches.
    proven: OnceCell<Vec<Exposed>>,
}

/// Public addresses that stand for anybody: in no special range, which rules against forged sources would drop.
const STRANGERS: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(45, 11, 77, 201)), IpAddr::V6(Ipv6Addr::new(0x2a0f, 0x77c0, 0x12, 0, 0, 0, 0, 0x201))];

impl<'a> Exposure<'a> {
    /// What can be told of a machine; `None` where its filter is not known in full.
    pub fn of(facts: &'a Facts) -> Option<Self> {
        let rules = rulesets(facts).ok().filter(|_| facts.rulesets.unread.is_empty())?;
        Some(Self { facts, rules, place: reach::cut::place(facts).0, proven: OnceCell::new() })
    }

    /// Who reaches a socket that listens.
    pub fn who(&self, socket: &Socket) -> Who {
        match self.reaching(socket.local.ip(), socket.dual, socket.proto, socket.local.port()) {
            Who::Nobody => Some(self.those(socket)).filter(|t| !t.is_empty()).map_or(Who::Nobody, Who::Those),
            more => more,
        }
    }

    /// Who reaches it by the proof over every packet: what a rule says of single addresses, or translates.
    fn those(&self, socket: &Socket) -> Vec<String> {
        let is = |e: &&Exposed| {
            e.proto == socket.proto
                && matches!(&e.end, End::Socket { local, device, .. } if *local == socket.local && *device == socket.device)
        };
        let who = |b: &By| match b.all {
            true => vec![b.peer.to_string()],
            false => b.sources.iter().map(ToString::to_string).collect(),
        };
        let proven = self.proven.get_or_init(|| exposures(self.facts, &self.rules, None).all);
        let all: BTreeSet<String> = proven.iter().filter(is).flat_map(|e| e.verdict.by()).flat_map(who).collect();
        all.into_iter().collect()
    }

    fn reaching(&self, bound: IpAddr, dual: bool, proto: Proto, port: u16) -> Who {
        if bound.is_loopback() {
            return Who::Nobody;
        }
        let at = |a: &&IpAddr| {
            !a.is_loopback()
                && match bound {
                    b if b.is_unspecified() => b.is_ipv4() == a.is_ipv4() || dual,
                    b => b == **a,
                }
        };
        let own: Vec<IpAddr> = self.place.own.iter().filter(at).copied().collect();
        let mut near: Vec<IpNet> = Vec::new();
        for to in own {
            let stranger = STRANGERS.into_iter().find(|s| s.is_ipv4() == to.is_ipv4());
            let wan = self.place.links.iter().find(|l| l.default).map(|l| l.device.as_str());
            // Without a default route nobody far away gets an answer, and a link-local address has no strangers.
            if let (Some(from), Some(device), false) = (stranger, wan, link_local(to))
                && self.arrives(device, from, to, proto, port)
            {
                return Who::Anybody;
            }
            for link in &self.place.links {
                for net in link.nets.iter().filter(|n| n.contains(&to)) {
                    let neighbour = neighbour(net, &self.place);
                    if neighbour.is_some_and(|n| self.arrives(&link.device, n, to, proto, port)) && !near.contains(net) {
                        near.push(*net);
                    }
                }
            }
        }
        if near.is_empty() { Who::Nobody } else { Who::Near(near) }
    }

    fn arrives(&self, device: &str, from: IpAddr, to: IpAddr, proto: Proto, port: u16) -> bool {
        let packet = Packet::opening(Family::of(&to))
            .from(from)
            .to(to)
            .with(Field::Proto, if proto == Proto::Udp { 17 } else { 6 })
            .with(Field::Dport, u128::from(port))
            .with(Field::In, field::device(device));
        let mut packet = packet;
        for hook in [Hook::Prerouting, Hook::Input] {
            let t = trace::hook(&self.rules, &self.place, Past::Quiet, hook, packet, true);
            if !t.passed {
                return false;
            }
            packet = t.packet;
        }
        true
    }
}

/// Some address of a network that is not the machine's own.
fn neighbour(net: &IpNet, place: &Place) -> Option<IpAddr> {
    // The far end first: gateways and servers, which rules name, have the low addresses.
    let (first, last) = (number(net.network()), number(net.broadcast()));
    let away = |n: u128| address(net.network(), n).filter(|a| !place.own.contains(a));
    (1..=4u128)
        .filter_map(|back| last.checked_sub(back).filter(|n| *n > first))
        .find_map(away)
        .or_else(|| away(last).or_else(|| away(first)))
}

fn number(a: IpAddr) -> u128 {
    field::address(a)
}

fn address(like: IpAddr, n: u128) -> Option<IpAddr> {
    match like {
        IpAddr::V4(_) => u32::try_from(n).ok().map(|n| Ipv4Addr::from(n).into()),
        IpAddr::V6(_) => Some(Ipv6Addr::from(n).into()),
    }
}

fn link_local(a: IpAddr) -> bool {
    match a {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    }
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Nobody => f.write_str("no packet from another machine passes the filter"),
            Who::Those(those) => write!(f, "a packet from {} passes the filter", those.join(" or ")),
            Who::Near(nets) => {
                let nets: Vec<String> = nets.iter().map(ToString::to_string).collect();
                write!(f, "a packet from {} passes the filter", nets.join(" or "))
            }
            Who::Anybody => f.write_str("a packet from anywhere passes the filter"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_that_names_one_address_is_found() {
        let facts = |ports: &[u16]| -> Facts {
            let accept = |port: &u16| {
                serde_json::json!({"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 2, "expr": [
                {"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}}, "right": "198.51.100.7"}},
                {"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": port}}, {"accept": null}]}})
            };
            let mut all = vec![
                serde_json::json!({"table": {"family": "inet", "name": "t", "handle": 1}}),
                serde_json::json!({"chain": {"family": "inet", "table": "t", "name": "in", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}),
            ];
            all.extend(ports.iter().map(accept));
            let route = |to: &str| serde_json::json!({"to": to, "via": null, "device": "eth0", "source": null, "metric": 0, "table": 254, "kind": "unicast"});
            serde_json::from_value(serde_json::json!({
                "interfaces": [{"name": "eth0", "addresses": ["203.0.113.10/24"]}],
                "routes": [route("203.0.113.0/24"), route("0.0.0.0/0")],
                "sockets": [{"proto": "tcp", "local": "0.0.0.0:1234", "remote": null, "state": "listen", "dual": false, "device": null,
                    "uid": 0, "inode": 1, "pids": []}],
                "rulesets": {"nft_json": serde_json::json!({ "nftables": all }).to_string()},
            }))
            .expect("facts")
        };
        let who = |facts: &Facts| Exposure::of(facts).expect("rules").who(&facts.sockets[0]);
        assert_eq!(who(&facts(&[1234])), Who::Those(vec!["198.51.100.7".to_owned()]));
        assert_eq!(who(&facts(&[1235])), Who::Nobody);
    }
}
