//! Who reaches a listening socket through the machine's own packet filter. In come the facts, out comes whose packet arrives:
//! anybody's, those of certain networks, nobody's. Told by the proof over every packet ([`reach::exposure`]), in the few words a
//! finding has room for; never by a rule's being there. What stands before the machine (an edge, a provider's filter) is not known here.

use facts::{Facts, Socket};
use ipnet::IpNet;
use reach::{
    exposure::{By, End, Exposed, Peer, Span, exposures, rulesets},
    field,
};
use ruleset::form::Ruleset;
use std::{cell::OnceCell, collections::BTreeSet};
use words::Family;

/// Whose packets arrive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Who {
    /// Nobody's from another machine.
    Nobody,
    /// Only those of these networks and addresses.
    Those(Vec<String>),
    /// Anybody's: most addresses of the Internet.
    Anybody,
}

/// The filter, and who passes it.
#[derive(Debug)]
pub struct Exposure<'a> {
    facts: &'a Facts,
    rules: Ruleset,
    /// Made for the first socket that is asked about.
    proven: OnceCell<Vec<Exposed>>,
}

impl<'a> Exposure<'a> {
    /// What can be told of a machine; `None` where its filter is not known in full.
    pub fn of(facts: &'a Facts) -> Option<Self> {
        let rules = rulesets(facts).ok().filter(|_| facts.rulesets.unread.is_empty())?;
        Some(Self { facts, rules, proven: OnceCell::new() })
    }

    /// Who reaches a socket that listens.
    pub fn who(&self, socket: &Socket) -> Who {
        let proven = self.proven.get_or_init(|| exposures(self.facts, &self.rules, None).all);
        let is = |e: &&Exposed| {
            e.proto == socket.proto
                && matches!(&e.end, End::Socket { local, device, .. } if *local == socket.local && *device == socket.device)
        };
        let mut those: BTreeSet<String> = BTreeSet::new();
        for (family, by) in proven.iter().filter(is).flat_map(|e| e.verdict.by().iter().map(|b| (e.family, b))) {
            if by.peer == Peer::Internet && by.most {
                return Who::Anybody;
            }
            those.extend(self.named(family, by));
        }
        if those.is_empty() { Who::Nobody } else { Who::Those(those.into_iter().collect()) }
    }

    /// One kind of sender in words: what is behind a router, the networks of a wire, single addresses.
    fn named(&self, family: Family, by: &By) -> Vec<String> {
        let Peer::Wire(device) = &by.peer else {
            return if by.most { vec![by.peer.to_string()] } else { listed(by, |_| false) };
        };
        let on = self.facts.interfaces.iter().filter(|i| i.name == *device).flat_map(|i| &i.addresses);
        let nets: BTreeSet<IpNet> = on.map(IpNet::trunc).filter(|n| Family::of(&n.addr()) == family).collect();
        let whole: Vec<IpNet> = nets.into_iter().filter(|n| by.all || self.covers(by, n)).collect();
        if by.all {
            return if whole.is_empty() { vec![by.peer.to_string()] } else { whole.iter().map(ToString::to_string).collect() };
        }
        let rest = listed(by, |s| whole.iter().any(|n| n.contains(&s.first) && n.contains(&s.last)));
        whole.iter().map(ToString::to_string).chain(rest).collect()
    }

    /// Whether all of a network may send, the machine itself aside.
    fn covers(&self, by: &By, net: &IpNet) -> bool {
        let (first, last) = (field::address(net.network()), field::address(net.broadcast()));
        let inside = |s: &Span| field::address(s.last).min(last).saturating_add(1).saturating_sub(field::address(s.first).max(first));
        let covered: u128 =
            by.sources.iter().filter(|s| s.first.is_ipv4() == net.addr().is_ipv4()).map(inside).fold(0, u128::saturating_add);
        let own: BTreeSet<_> = self.facts.addresses().filter(|a| net.contains(a)).collect();
        covered.saturating_add(own.len() as u128) > last - first
    }
}

/// Ranges that are told, without those said otherwise.
fn listed(by: &By, said: impl Fn(&Span) -> bool) -> Vec<String> {
    let more = (by.more > 0).then(|| format!("{} more ranges", by.more));
    by.sources.iter().filter(|s| !said(s)).map(ToString::to_string).chain(more).collect()
}

impl std::fmt::Display for Who {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Who::Nobody => f.write_str("no packet from another machine passes the filter"),
            Who::Those(those) => write!(f, "a packet from {} passes the filter", those.join(" or ")),
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

    #[test]
    fn a_network_without_the_machine_itself_is_told_as_one_and_an_exception_leaves_anybody() {
        // Facts of a machine at 203.0.113.10/24 with one rule for sources, before the port's own accept or instead of it.
        let facts = |rules: serde_json::Value| -> Facts {
            let mut all = vec![
                serde_json::json!({"table": {"family": "inet", "name": "t", "handle": 1}}),
                serde_json::json!({"chain": {"family": "inet", "table": "t", "name": "in", "handle": 1, "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}}),
            ];
            for expr in rules.as_array().cloned().unwrap_or_default() {
                all.push(serde_json::json!({"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 2, "expr": expr}}));
            }
            serde_json::from_value(serde_json::json!({
                "interfaces": [{"name": "eth0", "addresses": ["203.0.113.10/24"]}],
                "routes": [
                    {"to": "203.0.113.0/24", "via": null, "device": "eth0", "source": null, "metric": 0, "table": 254, "kind": "unicast"},
                    {"to": "0.0.0.0/0", "via": "203.0.113.1", "device": "eth0", "source": null, "metric": 0, "table": 254, "kind": "unicast"}],
                "sockets": [{"proto": "tcp", "local": "0.0.0.0:1234", "remote": null, "state": "listen", "dual": false, "device": null,
                    "uid": 0, "inode": 1, "pids": []}],
                "rulesets": {"nft_json": serde_json::json!({ "nftables": all }).to_string()},
            }))
            .expect("facts")
        };
        let who = |facts: &Facts| Exposure::of(facts).expect("rules").who(&facts.sockets[0]);
        let from = |net: &str, len: u8| {
            serde_json::json!({"match": {"op": "==", "left": {"payload": {"protocol": "ip", "field": "saddr"}},
                "right": {"prefix": {"addr": net, "len": len}}}})
        };
        let (accept, drop) = (serde_json::json!({"accept": null}), serde_json::json!({"drop": null}));
        assert_eq!(who(&facts(serde_json::json!([[from("203.0.113.0", 24), accept]]))), Who::Those(vec!["203.0.113.0/24".to_owned()]));
        assert_eq!(
            who(&facts(serde_json::json!([[from("203.0.113.0", 25), accept]]))),
            Who::Those(vec!["203.0.113.0-203.0.113.9".to_owned(), "203.0.113.11-203.0.113.127".to_owned()])
        );
        assert_eq!(who(&facts(serde_json::json!([[from("198.51.100.0", 24), drop], [accept]]))), Who::Anybody);
        assert_eq!(who(&facts(serde_json::json!([[drop], [accept]]))), Who::Nobody);
    }
}
