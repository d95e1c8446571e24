//! Address translation at the edge: published services inwards, private v4 sources outwards. In come the model's
//! publishes and zones, out come the two nat chains. Never: translates v6 sources, opens anything (the zone matrix judges
//! after the destination is translated), or translates while observing unless asked to.

use crate::build::{Build, digit, is, one_of, prefix_set, short};
use crate::grant::{interval, number};
use ipnet::IpNet;
use ruleset::{ChainKind, Data, Element, Hook, Key, MapRef, Nat, NatKind, NatTarget, Policy, Rule, Set, Statement, Value};
use site::model::Dnat;
use std::collections::BTreeMap;
use std::net::IpAddr;
use words::{Code, Diagnostic, Family};

/// `dstnat`.
const DSTNAT: i32 = -100;
/// `RTN_LOCAL`: an address of the node.
const LOCAL: u128 = 2;
/// `srcnat`.
const SRCNAT: i32 = 100;

/// The nat chains of an edge node.
pub(crate) fn chains(b: &mut Build<'_>) {
    if b.observing() && !b.options.translate_while_observing {
        return;
    }
    let Some(wan) = b.devices.iter().find(|(z, _)| z.is_internet()).map(|(_, d)| d.clone()) else { return };
    let wan = Value::Name(wan);
    let mut inwards = Vec::new();
    for family in Family::ALL {
        inwards.extend(publish(b, family, &wan, false));
        inwards.extend(publish(b, family, &wan, true));
    }
    if !inwards.is_empty() {
        b.base("publish", ChainKind::Nat, Hook::Prerouting, DSTNAT, Policy::Accept, inwards);
    }
    let outwards = egress(b, &wan);
    if !outwards.is_empty() {
        b.base("sources", ChainKind::Nat, Hook::Postrouting, SRCNAT, Policy::Accept, outwards);
    }
}

/// Published ports of one family, at an address that is known, or at whatever address the node leases (`leased`, which
/// the model writes as the unspecified address).
fn publish(b: &mut Build<'_>, family: Family, wan: &Value, leased: bool) -> Option<Rule> {
    let mut elements: BTreeMap<Vec<Value>, Element> = BTreeMap::new();
    for flow in &b.model.flows {
        let mine = |d: &&Dnat| Family::of(&d.at) == family && Family::of(&d.to) == family && d.at.is_unspecified() == leased;
        for dnat in flow.publish.iter().filter(mine) {
            let mut key = vec![Value::one(flow.target.proto.number()), Value::one(dnat.port)];
            if !leased {
                key.insert(0, Value::one(number(&dnat.at)));
            }
            let data = Some(Data::Numbers(vec![number(&dnat.to), u128::from(dnat.to_port)]));
            b.explain(&flow.id.0, || {
                let what = format!("translates {} port {}/{} to {} port {}", dnat.at, dnat.port, flow.target.proto, dnat.to, dnat.to_port);
                (what, flow.why.clone(), flow.origins.clone())
            });
            elements.entry(key.clone()).or_insert(Element { key, data, id: Some(flow.id.0.clone()), timeout: None, counted: None });
        }
    }
    if elements.is_empty() {
        return None;
    }
    let address = crate::build::address_type(family);
    let mut types = vec!["inet_proto".to_owned(), "inet_service".to_owned()];
    let mut keys = vec![Key::L4Proto, Key::Dport];
    let mut statements = vec![is(Key::Iifname, [wan.clone()]), one_of(Key::L4Proto, &[6, 17])];
    if leased {
        statements.push(one_of(Key::FibDaddrType, &[LOCAL]));
    } else {
        types.insert(0, address.clone());
        keys.insert(0, crate::build::addresses(family).1);
    }
    let name = format!("publish{}/{}", if leased { "/leased" } else { "" }, digit(family));
    let elements = elements.into_values().collect();
    b.set(&name, Set { types, map: Some(vec![address, "inet_service".to_owned()]), elements, ..Set::default() });
    let address = NatTarget::Map { keys, map: MapRef::Named(name) };
    statements.push(Statement::Nat(Nat { kind: NatKind::Dnat, family: Some(family), address, port: None, flags: Vec::new() }));
    Some(b.builtin("publish", "translates published addresses to the machines behind them", "each element names its flow", statements))
}

/// Private v4 subnets that need translation to reach the Internet, RFC 1918 and RFC 6598.
fn private(b: &Build<'_>) -> Vec<IpNet> {
    let public = |n: &IpNet| site::special::is_public(&n.addr());
    let zones = b.model.zones.values().filter(|z| z.routed && !z.name.is_internet());
    zones.flat_map(|z| &z.subnets).filter(|n| n.addr().is_ipv4() && !public(n)).copied().collect()
}

/// The v4 address the site shares for its egress, if it is known.
pub(crate) fn shared_address(model: &site::Model) -> Option<IpAddr> {
    let v4 = |a: &&IpAddr| a.is_ipv4();
    let internet = words::ZoneName::internet();
    let vip = || model.edge.vip.get(&internet).and_then(|a| a.iter().find(v4)).copied();
    let own = || match model.edge.nodes.as_slice() {
        [one] => model.hosts.get(one)?.interface(&internet)?.addresses.iter().map(IpNet::addr).find(IpAddr::is_ipv4),
        _ => None,
    };
    model.edge.egress_address.filter(IpAddr::is_ipv4).or_else(vip).or_else(|| if model.edge.wan_dynamic { None } else { own() })
}

/// Private v4 addresses of machines that are published under one of their own, with it: what they announce must be what
/// they are seen as.
fn announced(model: &site::Model) -> BTreeMap<IpAddr, (IpAddr, &site::model::Flow)> {
    let mut out = BTreeMap::new();
    for flow in &model.flows {
        for d in flow.publish.iter().filter(|d| d.at.is_ipv4() && d.to.is_ipv4() && d.at != d.to && !d.at.is_unspecified()) {
            let peer_to_peer = flow.app == catalog::App::Libp2p;
            let known: Option<&(IpAddr, &site::model::Flow)> = out.get(&d.to);
            if known.is_none_or(|(_, f)| peer_to_peer && f.app != catalog::App::Libp2p) {
                out.insert(d.to, (d.at, flow));
            }
        }
    }
    out
}

fn egress(b: &mut Build<'_>, wan: &Value) -> Vec<Rule> {
    let mut rules = Vec::new();
    let out_wan = || is(Key::Oifname, [wan.clone()]);
    let announced = announced(b.model);
    if !announced.is_empty() {
        let elements = announced
            .iter()
            .map(|(from, (to, flow))| Element {
                key: vec![Value::one(number(from))],
                data: Some(Data::Numbers(vec![number(to)])),
                id: Some(short(&flow.id.0)),
                timeout: None,
                counted: None,
            })
            .collect();
        let types = vec!["ipv4_addr".to_owned()];
        b.set("announced/4", Set { types: types.clone(), map: Some(types), elements, ..Set::default() });
        let map = NatTarget::Map { keys: vec![Key::Ip4Saddr], map: MapRef::Named("announced/4".to_owned()) };
        let nat = Nat { kind: NatKind::Snat, family: Some(Family::V4), address: map, port: None, flags: Vec::new() };
        let why = "peers compare the address a daemon announces with the one they see";
        rules.push(b.builtin(
            "announced",
            "sends published machines out under their published address",
            why,
            vec![out_wan(), Statement::Nat(nat)],
        ));
    }
    let private = private(b);
    let set = prefix_set(Family::V4, &private);
    if !set.elements.is_empty() {
        let sources: Vec<Value> = IpNet::aggregate(&private).iter().map(interval).collect();
        let (kind, address) = match shared_address(b.model) {
            Some(a) => (NatKind::Snat, NatTarget::Addr(number(&a), number(&a))),
            None => (NatKind::Masquerade, NatTarget::None),
        };
        let family = (kind == NatKind::Snat).then_some(Family::V4);
        let nat = Nat { kind, family, address, port: None, flags: Vec::new() };
        let s = vec![out_wan(), is(Key::Ip4Saddr, sources), Statement::Nat(nat)];
        rules.push(b.builtin(
            "shared",
            "sends private v4 sources out under the shared public address",
            "the Internet cannot answer private addresses",
            s,
        ));
    }
    rules
}

/// Machines whose daemons share one public v4 address: gossip scores peers by address and holds it against all of them.
pub(crate) fn notes(model: &site::Model) -> Vec<Diagnostic> {
    let announced = announced(model);
    let shared = shared_address(model);
    let mut by_address: BTreeMap<Option<IpAddr>, Vec<String>> = BTreeMap::new();
    for host in model.hosts.values().filter(|h| h.speaks_libp2p() && !h.edge) {
        for address in host.addresses().filter(|a| a.is_ipv4() && !site::special::is_public(a)) {
            let seen_as = announced.get(&address).map_or(shared, |(to, _)| Some(*to));
            let names = by_address.entry(seen_as).or_default();
            if names.last().map(String::as_str) != Some(host.name.as_str()) {
                names.push(host.name.to_string());
            }
        }
    }
    let mut out = Vec::new();
    for (address, hosts) in by_address.into_iter().filter(|(_, h)| h.len() > 1) {
        let seen = address.map_or_else(|| "one public address".to_owned(), |a| a.to_string());
        out.push(
            Diagnostic::warning(Code("PLAN001"), format!("the libp2p daemons on {} are all seen as {seen}", hosts.join(", ")))
                .with_note("gossipsub lowers the score of peers that share an address (its IP colocation factor)")
                .help("publish each daemon at a public address of its own, or give the hosts public or IPv6 addresses"),
        );
    }
    out
}
