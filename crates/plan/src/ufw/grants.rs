//! Flows as rules of UFW's. In come a host's grants, out come its rules in the order they are asked.
//!
//! UFW asks its rules one by one, so their order carries what nftables says with sets: first what claims to come from this
//! machine itself is denied, then everything exact is allowed, then what is not public is denied where the public is allowed
//! behind it, then the public, and at the end everything else is denied in both directions, whatever UFW's defaults are.
//! Never: one rule that allows more than its flow with all rules before it.

use super::rule::{Direction, MOST_PORTS, Profile, UfwPlan, UfwRule};
use crate::build::Build;
use crate::grant::Grant;
use crate::host::{Side, dynamic, grants as granted};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use ruleset::Value;
use site::special::everything;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, Ipv6Addr};
use words::{Digest, Family, PortSet, Proto};

/// Longest name of a profile in bytes: UFW refuses longer ones.
const MOST_NAME: usize = 64;

/// Every rule of a host.
pub(crate) fn rules(b: &mut Build<'_>) -> UfwPlan {
    let mut out = UfwPlan::default();
    let mut public = Vec::new();
    let profiles = profiles(b);
    for a in b.host.addresses().collect::<Vec<_>>() {
        let family = Family::of(&a);
        let (what, why) = ("refuses packets from outside in the machine's own name", "nobody else has this address");
        b.builtin("spoof/own", what, why, Vec::new());
        out.rules.push(deny(family, Direction::In, IpNet::from(a), everything(family), "spoof/own"));
    }
    for (side, management) in [(Side::In, true), (Side::Out, true), (Side::In, false), (Side::Out, false)] {
        for g in granted(b, side, management) {
            let id = &g.flow.id.0;
            b.explain(id, || {
                let what = format!("lets {} open {} on {}", g.flow.from, g.flow.to, g.flow.target);
                (what, g.flow.why.clone(), g.flow.origins.clone())
            });
            let proto = g.flow.target.proto;
            if matches!(proto, Proto::Icmp | Proto::Icmp6) {
                // UFW's own chains answer echo and errors, whatever rules of people say.
                continue;
            }
            if !proto.has_ports() && word(proto).is_none() {
                let unsaid = (id.clone(), proto);
                if !out.unsaid.contains(&unsaid) {
                    out.unsaid.push(unsaid);
                }
                continue;
            }
            let direction = if side == Side::In { Direction::In } else { Direction::Out };
            allow(&mut out.rules, &mut public, &g, direction, &profiles);
        }
    }
    let holes: BTreeMap<Family, Vec<IpNet>> = Family::ALL.into_iter().map(|f| (f, not_public(b, f))).collect();
    let denied = holes_of(&public, &holes);
    out.rules.extend(denied);
    out.rules.extend(public);
    if dynamic(b) {
        let (what, why) = ("lets the machine lease its address", "its address is not in the site file");
        b.builtin("dhcp/output", what, why, Vec::new());
        for (family, sport, dport) in [(Family::V4, 68, 67), (Family::V6, 546, 547)] {
            let mut rule = deny(family, Direction::Out, everything(family), everything(family), "dhcp/output");
            (rule.allow, rule.proto, rule.sport, rule.dport) = (true, Some(Proto::Udp), Some(sport), vec![(dport, dport)]);
            out.rules.push(rule);
        }
    }
    for (direction, id) in [(Direction::In, "deny/input"), (Direction::Out, "deny/output")] {
        b.builtin(id, &format!("refuses what no flow allows {}", direction.word()), "everything that is not derived is denied", Vec::new());
        out.rules.extend(Family::ALL.map(|f| deny(f, direction, everything(f), everything(f), id)));
    }
    let mut seen = std::collections::BTreeSet::new();
    out.rules.retain(|r| seen.insert(same(r)));
    out.profiles = used(profiles, &out.rules);
    out
}

/// What makes two rules the same to UFW: it keeps one of them.
fn same(r: &UfwRule) -> UfwRule {
    UfwRule { app: None, id: String::new(), word: String::new(), ..r.clone() }
}

fn deny(family: Family, direction: Direction, src: IpNet, dst: IpNet, id: &str) -> UfwRule {
    let (proto, sport, dport, app) = (None, None, Vec::new(), None);
    UfwRule { family, direction, allow: false, proto, src, sport, dst, dport, app, id: id.to_owned(), word: String::new() }
}

/// UFW's word for a protocol.
pub fn word(proto: Proto) -> Option<&'static str> {
    match proto {
        Proto::Tcp => Some("tcp"),
        Proto::Udp => Some("udp"),
        Proto::Other(2) => Some("igmp"),
        Proto::Other(47) => Some("gre"),
        Proto::Other(50) => Some("esp"),
        Proto::Other(51) => Some("ah"),
        _ => None,
    }
}

fn allow(exact: &mut Vec<UfwRule>, public: &mut Vec<UfwRule>, g: &Grant<'_>, direction: Direction, profiles: &[(Key, Profile)]) {
    let any = [everything(g.family)];
    let (src, dst): (&[IpNet], &[IpNet]) =
        (if g.from_public { &any } else { &g.src }, if g.to_public && !g.from_public { &any } else { &g.dst });
    let target = &g.flow.target;
    let chunks = chunks(target.proto, &target.ports);
    let whole = chunks.len() == 1 && direction == Direction::In;
    let service = g.flow.service.as_ref().map(|(s, e, _)| format!("{s}.{e}")).unwrap_or_default();
    let list = if g.from_public || g.to_public { public } else { exact };
    for (src, dst) in src.iter().flat_map(|s| dst.iter().map(move |d| (*s, *d))) {
        for dport in &chunks {
            let app = profiles.iter().find(|(k, _)| whole && fits(k, g)).map(|(_, p)| p.name.clone());
            list.push(UfwRule {
                family: g.family,
                direction,
                allow: true,
                proto: Some(target.proto),
                src: src.trunc(),
                sport: None,
                dst: dst.trunc(),
                dport: dport.clone(),
                app,
                id: g.flow.id.0.clone(),
                word: service.clone(),
            });
        }
    }
}

/// Ports in portions one rule can hold; every port is none.
fn chunks(proto: Proto, set: &PortSet) -> Vec<Vec<(u16, u16)>> {
    if !proto.has_ports() || set.is_all() || matches!(set.ranges(), [r] if r.first() <= 1 && r.last() == u16::MAX) {
        return vec![Vec::new()];
    }
    let mut out: Vec<Vec<(u16, u16)>> = Vec::new();
    let mut room = 0;
    for r in set.ranges() {
        // Nothing listens on port 0, and UFW has no word for it.
        let range = (r.first().max(1), r.last().max(1));
        let takes = if range.0 == range.1 { 1 } else { 2 };
        if room < takes {
            out.push(Vec::new());
            room = MOST_PORTS;
        }
        room -= takes;
        if let Some(last) = out.last_mut() {
            last.push(range);
        }
    }
    out
}

/// What of a family is not public, as the model sees it.
fn not_public(b: &Build<'_>, family: Family) -> Vec<IpNet> {
    let top = if family == Family::V4 { u128::from(u32::MAX) } else { u128::MAX };
    let mut gaps = Vec::new();
    let mut next = Some(0u128);
    let mut ranges: Vec<(u128, u128)> = b
        .index
        .public_set(family)
        .elements
        .iter()
        .filter_map(|e| if let [Value::Range(a, b)] = e.key.as_slice() { Some((*a, *b)) } else { None })
        .collect();
    ranges.sort_unstable();
    for (first, last) in ranges {
        if let Some(from) = next.filter(|n| *n < first) {
            gaps.push((from, first - 1));
        }
        next = last.checked_add(1).filter(|n| *n <= top);
    }
    gaps.extend(next.map(|n| (n, top)));
    gaps.into_iter().flat_map(|(a, b)| prefixes(family, a, b)).collect()
}

fn prefixes(family: Family, first: u128, last: u128) -> Vec<IpNet> {
    match family {
        Family::V4 => {
            let a = |n: u128| Ipv4Addr::from(u32::try_from(n).unwrap_or(u32::MAX));
            Ipv4Subnets::new(a(first), a(last), 0).map(IpNet::V4).collect()
        }
        Family::V6 => Ipv6Subnets::new(Ipv6Addr::from(first), Ipv6Addr::from(last), 0).map(IpNet::V6).collect(),
    }
}

/// Denials of what is not public, for each rule that allows the public and is not covered by an earlier one's.
fn holes_of(public: &[UfwRule], holes: &BTreeMap<Family, Vec<IpNet>>) -> Vec<UfwRule> {
    let mut done: Vec<&UfwRule> = Vec::new();
    let mut out = Vec::new();
    // Wider ones first: they cover the others.
    let mut order: Vec<&UfwRule> = public.iter().collect();
    order.sort_by_key(|r| (!r.dport.is_empty(), r.dst.prefix_len(), r.src.prefix_len()));
    for rule in order {
        let covers = |d: &&UfwRule| {
            let ports = d.dport.is_empty() || d.dport == rule.dport;
            let there = (d.family, d.direction, d.proto) == (rule.family, rule.direction, rule.proto);
            there && ports && d.src.contains(&rule.src) && d.dst.contains(&rule.dst)
        };
        if done.iter().any(covers) {
            continue;
        }
        done.push(rule);
        for hole in &holes[&rule.family] {
            let mut denial = UfwRule { allow: false, app: None, word: "not public".to_owned(), ..rule.clone() };
            // The open side is the public one.
            match rule.direction {
                Direction::In => denial.src = *hole,
                Direction::Out => denial.dst = *hole,
            }
            out.push(denial);
        }
    }
    out
}

/// What a profile is for: instance, endpoint, and the ports by protocol that flows to it name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    instance: String,
    endpoint: String,
    ports: Vec<(Proto, PortSet)>,
}

fn fits(key: &Key, g: &Grant<'_>) -> bool {
    let Some((_, endpoint, instance)) = &g.flow.service else { return false };
    let target = &g.flow.target;
    (instance.as_str(), endpoint.as_str()) == (&key.instance, &key.endpoint) && key.ports.contains(&(target.proto, target.ports.clone()))
}

/// A profile for every endpoint of this host that some flow opens.
fn profiles(b: &Build<'_>) -> Vec<(Key, Profile)> {
    let mut out: Vec<(Key, Profile)> = Vec::new();
    for instance in &b.host.instances {
        for listen in instance.listens.iter().filter(|l| !l.loopback && !l.ports.is_empty() && !l.ports.is_all()) {
            let named: Vec<(Proto, PortSet)> = listen.proto.iter().filter(|p| p.has_ports()).map(|p| (*p, listen.ports.clone())).collect();
            let list = chunks(Proto::Tcp, &listen.ports);
            let [ports] = list.as_slice() else { continue };
            let spelled: Vec<String> = named.iter().filter_map(|(p, _)| Some(format!("{}/{}", spell(ports), word(*p)?))).collect();
            if spelled.is_empty() {
                continue;
            }
            let title = format!("{} ({})", instance.service.title, listen.endpoint);
            let name = name(instance.name.as_str(), listen.endpoint.as_str());
            let key = Key { instance: instance.name.to_string(), endpoint: listen.endpoint.to_string(), ports: named };
            out.push((key, Profile { name, title, ports: spelled.join("|") }));
        }
    }
    out
}

fn name(instance: &str, endpoint: &str) -> String {
    let whole = format!("ravelin-{instance}-{endpoint}");
    if whole.len() <= MOST_NAME {
        return whole;
    }
    let start: String = whole.chars().take(MOST_NAME - 9).collect();
    format!("{start}-{}", Digest::of(whole.as_bytes()).short())
}

/// Ports as UFW writes them.
pub fn spell(ports: &[(u16, u16)]) -> String {
    let one = |(a, b): &(u16, u16)| if a == b { a.to_string() } else { format!("{a}:{b}") };
    if ports.is_empty() { "any".to_owned() } else { ports.iter().map(one).collect::<Vec<_>>().join(",") }
}

fn used(profiles: Vec<(Key, Profile)>, rules: &[UfwRule]) -> Vec<Profile> {
    let named = |p: &Profile| rules.iter().any(|r| r.app.as_deref() == Some(p.name.as_str()));
    let mut out: Vec<Profile> = profiles.into_iter().map(|(_, p)| p).filter(named).collect();
    out.sort();
    out.dedup();
    out
}
