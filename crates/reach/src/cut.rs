//! Tracked connections that the rules of today would not let open. In come a machine's rules, its facts and the connections it
//! tracks, out come those that are refused whatever the unknown turns out to be, each with what refuses it. Never: takes one
//! that only might be refused, one of this machine with itself, or one of a protocol without ports; cuts anything.
//!
//! Tables accept what is tracked before anything else, so a change that narrows leaves these going on. Each is judged by the
//! packet that opened it: the original direction, as the wire or the socket gave it, before any translation.

use crate::{
    eval::Past,
    field::{Field, device},
    packet::Packet,
    place::{Link, Place},
    trace::{self, Step},
};
use facts::{Connection, Facts, Tuple};
use ruleset::form::{Hook, Ruleset};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use words::{Family, Proto};

/// The kernel's main routing table.
const MAIN: u32 = 254;
/// The kernel's own tables: `default` and `local`.
const KERNEL: [u32; 2] = [253, 255];

/// A connection that would not be opened today.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The connection.
    pub connection: Connection,
    /// What refuses it.
    pub by: Option<Step>,
}

/// A machine's place by what it reports: addresses, devices, the main routing table. The flag says whether other tables may
/// route otherwise.
pub fn place(facts: &Facts) -> (Place, bool) {
    let own = facts.addresses().collect();
    let mut links: BTreeMap<&str, Link> = BTreeMap::new();
    let routes = facts.routes.iter().filter(|r| r.table == MAIN && r.kind == "unicast");
    for (name, route) in routes.filter_map(|r| Some((r.device.as_deref()?, r))) {
        let link = links.entry(name).or_insert_with(|| Link { device: name.to_owned(), nets: Vec::new(), default: false });
        if route.to.prefix_len() == 0 {
            link.default = true;
        } else {
            link.nets.push(route.to);
        }
    }
    let several = facts.routes.iter().any(|r| r.table != MAIN && !KERNEL.contains(&r.table));
    (Place { own, links: links.into_values().collect(), anywhere: false }, several)
}

/// The connections of a machine that its rules would refuse to open, in the order they are reported.
pub fn refused(rules: &Ruleset, facts: &Facts) -> Vec<Refused> {
    let (place, several) = place(facts);
    let judged = facts.connections.iter().filter(|c| c.proto.has_ports());
    judged.filter_map(|c| stopped(rules, &place, several, c, facts).map(|by| Refused { connection: c.clone(), by })).collect()
}

/// How it was opened. An entry that was put in, or picked up in the middle, may stand the wrong way round: what left a port
/// this machine listens on was an answer. A UDP socket that listens may have asked as well: then both count.
fn openings(c: &Connection, place: &Place, facts: &Facts) -> Vec<Tuple> {
    let o = c.original;
    let listens = |s: &facts::Socket| s.proto == c.proto && s.listens() && s.local.port() == o.sport;
    match place.own.contains(&o.src) && facts.sockets.iter().any(listens) {
        true if c.proto == Proto::Tcp => vec![c.reply],
        true => vec![o, c.reply],
        false => vec![o],
    }
}

/// What stops a connection, however it may have been opened; `None` where some way lets it through or nobody can say.
fn stopped(rules: &Ruleset, place: &Place, several: bool, c: &Connection, facts: &Facts) -> Option<Option<Step>> {
    let mut by = None;
    for opening in openings(c, place, facts) {
        by = opening_stopped(rules, place, several, c.proto, opening);
        by.as_ref()?;
    }
    by
}

/// What stops the opening packet on every way it may have come; `None` where some way lets it through or nobody can say.
fn opening_stopped(rules: &Ruleset, place: &Place, several: bool, proto: Proto, o: Tuple) -> Option<Option<Step>> {
    let (src, dst) = (o.src, o.dst);
    let own = |a| place.own.contains(a);
    if src.is_loopback() || dst.is_loopback() || own(&src) && own(&dst) {
        return None;
    }
    let packet = Packet::opening(Family::of(&src)).from(src).to(dst).with(Field::Proto, proto.number().into());
    let packet = packet.with(Field::Sport, o.sport.into()).with(Field::Dport, o.dport.into());
    let walk = Way { rules, place, several };
    if own(&src) {
        return walk.out(packet, &[Hook::Output, Hook::Postrouting]);
    }
    let mut by = None;
    for d in walk.devices(src) {
        let arrived = packet.with(Field::In, device(d));
        by = walk.through(arrived, &[Hook::Ingress, Hook::Prerouting], &|p| {
            let here = place.own.contains(&p.dst()) || p.dst().is_multicast();
            if here { walk.through(p, &[Hook::Input], &|_| None) } else { walk.out(p, &[Hook::Forward, Hook::Postrouting]) }
        });
        by.as_ref()?;
    }
    by
}

/// The rules on their machine.
struct Way<'a> {
    rules: &'a Ruleset,
    place: &'a Place,
    several: bool,
}

/// Goes on behind a hook: what stops the packet there, `None` where nothing does.
type Rest<'r> = &'r dyn Fn(Packet) -> Option<Option<Step>>;

impl Way<'_> {
    /// Devices an address may lie behind.
    fn devices(&self, a: std::net::IpAddr) -> BTreeSet<&str> {
        let all = || self.place.links.iter();
        if self.several {
            all().map(|l| l.device.as_str()).collect()
        } else {
            self.place.route(a).map(|l| l.device.as_str()).into_iter().collect()
        }
    }

    /// Out on every device that leads there; without one nobody can say.
    fn out(&self, packet: Packet, hooks: &[Hook]) -> Option<Option<Step>> {
        let mut by = None;
        for d in self.devices(packet.dst()) {
            by = self.through(packet.with(Field::Out, device(d)), hooks, &|_| None);
            by.as_ref()?;
        }
        by
    }

    /// Through hooks and what is behind them, over every answer to what cannot be known.
    fn through(&self, packet: Packet, hooks: &[Hook], rest: Rest<'_>) -> Option<Option<Step>> {
        let Some((hook, more)) = hooks.split_first() else { return rest(packet) };
        let (mut by, mut passes) = (None, false);
        let complete = trace::every(self.rules, self.place, Past::Any, *hook, packet, |t| {
            let end = if t.passed { self.through(t.packet, more, rest) } else { Some(t.steps.last().cloned()) };
            passes |= end.is_none();
            by = end.or(by.take());
            passes
        });
        if passes || !complete { None } else { by }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Interface, Route, Socket, SocketState};
    use ruleset::nft;
    use std::net::IpAddr;

    fn facts(connections: &[(&str, &str, u16)]) -> Facts {
        let interface =
            |name: &str, net: &str| Interface { name: name.into(), addresses: vec![net.parse().expect("net")], ..Interface::default() };
        let route = |to: &str, device: &str| Route {
            to: to.parse().expect("net"),
            via: None,
            device: Some(device.into()),
            source: None,
            metric: 0,
            table: MAIN,
            kind: "unicast".into(),
            advertised: false,
        };
        let connection = |(src, dst, dport): &(&str, &str, u16)| {
            let original = Tuple { src: at(src), dst: at(dst), sport: 40_000, dport: *dport };
            Connection {
                proto: Proto::Tcp,
                original,
                reply: original.reversed(),
                state: Some("ESTABLISHED".into()),
                status: 14,
                mark: 0,
                zone: 0,
                timeout: 60,
                sent: None,
                received: None,
            }
        };
        Facts {
            interfaces: vec![interface("lo", "127.0.0.1/8"), interface("eth0", "10.0.0.1/24"), interface("docker0", "172.17.0.1/16")],
            routes: vec![route("10.0.0.0/24", "eth0"), route("172.17.0.0/16", "docker0"), route("0.0.0.0/0", "eth0")],
            connections: connections.iter().map(connection).collect(),
            ..Facts::default()
        }
    }

    fn at(text: &str) -> IpAddr {
        text.parse().expect("address")
    }

    /// Lets 22 in, 443 out and containers forward.
    fn rules() -> Ruleset {
        let base = |name: &str, hook: &str, policy: &str| serde_json::json!({"chain": {"family": "inet", "table": "t", "name": name, "handle": 1, "type": "filter", "hook": hook, "prio": 0, "policy": policy}});
        let accept = |chain: &str, left: serde_json::Value, right: serde_json::Value| {
            serde_json::json!({"rule": {"family": "inet", "table": "t", "chain": chain, "handle": 2, "expr": [
                {"match": {"op": "==", "left": left, "right": right}}, {"accept": null}]}})
        };
        let port = serde_json::json!({"payload": {"protocol": "tcp", "field": "dport"}});
        let rate = serde_json::json!({"rule": {"family": "inet", "table": "t", "chain": "in", "handle": 3, "expr": [
            {"match": {"op": "==", "left": port, "right": 80}}, {"limit": {"rate": 1, "burst": 1, "per": "second"}}, {"accept": null}]}});
        let all = serde_json::json!({"nftables": [
            {"table": {"family": "inet", "name": "t", "handle": 1}},
            base("in", "input", "drop"), base("out", "output", "drop"), base("fwd", "forward", "drop"),
            accept("in", port.clone(), 22.into()), accept("out", port, 443.into()),
            accept("fwd", serde_json::json!({"meta": {"key": "iifname"}}), "docker0".into()), rate,
        ]});
        nft::read(&all.to_string()).expect("understood")
    }

    #[test]
    fn exactly_what_the_rules_refuse_is_taken() {
        let all = [
            ("10.0.0.9", "10.0.0.1", 22),       // allowed in
            ("10.0.0.9", "10.0.0.1", 23),       // refused in
            ("10.0.0.9", "10.0.0.1", 80),       // within a limit: nobody can say
            ("10.0.0.1", "198.51.100.1", 443),  // allowed out
            ("10.0.0.1", "198.51.100.1", 5432), // refused out
            ("172.17.0.2", "198.51.100.1", 9),  // a container's, forwarded
            ("10.0.0.9", "172.17.0.2", 9),      // to a container past its engine
            ("10.0.0.1", "10.0.0.1", 9),        // with itself
            ("127.0.0.1", "127.0.0.1", 9),
        ];
        let facts = facts(&all);
        let taken: Vec<_> =
            refused(&rules(), &facts).into_iter().map(|r| (r.connection.original.src, r.connection.original.dport)).collect();
        assert_eq!(taken, [(at("10.0.0.9"), 23), (at("10.0.0.1"), 5432), (at("10.0.0.9"), 9)]);
    }

    #[test]
    fn an_entry_that_stands_the_wrong_way_round_is_judged_as_it_was_opened() {
        let listener = |proto, port: u16| Socket {
            proto,
            local: std::net::SocketAddr::new(at("0.0.0.0"), port),
            remote: None,
            state: SocketState::Listen,
            dual: false,
            device: None,
            uid: 0,
            inode: 1,
            pids: vec![],
        };
        let mut facts = facts(&[("10.0.0.1", "10.0.0.9", 50_000), ("10.0.0.1", "10.0.0.9", 50_001)]);
        for (c, port) in facts.connections.iter_mut().zip([22, 23]) {
            c.original.sport = port;
            c.reply = c.original.reversed();
        }
        assert_eq!(refused(&rules(), &facts).len(), 2, "as opened by this machine both are refused");
        facts.sockets = vec![listener(Proto::Tcp, 22), listener(Proto::Tcp, 23)];
        let taken: Vec<_> = refused(&rules(), &facts).iter().map(|r| r.connection.original.sport).collect();
        assert_eq!(taken, [23], "the listener on 22 was called");
    }

    #[test]
    fn where_routes_are_not_known_nothing_is_taken() {
        let mut facts = facts(&[("10.0.0.1", "198.51.100.1", 5432), ("192.0.2.1", "10.0.0.1", 23)]);
        facts.routes.retain(|r| r.to.prefix_len() > 0);
        assert_eq!(refused(&rules(), &facts), []);
        assert_eq!(refused(&Ruleset::default(), &facts), [], "no rules refuse nothing");
    }
}
