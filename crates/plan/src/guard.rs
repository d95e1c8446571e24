//! The guard: each device of an edge node admits only sources that can stand behind it. In come zones and devices, out
//! come one chain per device at the raw hook, before connection tracking spends memory on a lie. Never: admits a source
//! of one zone through another's device, in either family.

use crate::build::{Build, addresses, digit, is, is_not, one_of, prefix_set};
use crate::edge::{held, peers, site_prefixes, source_in, v4};
use crate::grant::interval;
use ipnet::IpNet;
use ruleset::{ChainKind, Data, Element, Hook, Key, MapRef, Policy, Rule, Set, Statement, Value, Verdict};
use site::model::Party;
use site::special;
use std::net::IpAddr;
use words::{Family, ZoneName};

/// `raw`: before connection tracking (-200).
const RAW: i32 = -300;
/// `mangle`: behind connection tracking (-200), before destinations are translated (-100).
const TRACKED: i32 = -150;
/// Opens a connection.
const NEW: u128 = 8;
/// ICMP that the upstream router sends from an address inside the site's public prefix: errors and echo.
const ROUTER_ICMP: [u128; 5] = [0, 3, 8, 11, 12];
/// The same for v6, neighbour discovery included.
const ROUTER_ICMP6: [u128; 9] = [1, 2, 3, 4, 128, 129, 134, 135, 136];
/// What a machine says before it has an address: duplicate address detection, listener reports, router solicitation.
const UNSPECIFIED_ICMP6: [u128; 4] = [131, 133, 135, 143];

fn pass() -> Statement {
    Statement::Verdict(Verdict::Return)
}

fn link_local() -> Value {
    Value::Range(0xfe80 << 112, (0xfec0 << 112) - 1)
}

/// The guard's chains.
pub(crate) fn chains(b: &mut Build<'_>) {
    let own: Vec<IpNet> = if b.model.edge.nodes.len() > 1 {
        // On a standby node the virtual addresses are the active one's: only what is surely its own.
        b.host.addresses().map(IpNet::from).collect()
    } else {
        held(b).into_iter().map(IpNet::from).collect()
    };
    let mut own_families = Vec::new();
    for family in Family::ALL {
        let set = prefix_set(family, &own);
        if !set.elements.is_empty() {
            b.set(&format!("own/{}", digit(family)), set);
            own_families.push(family);
        }
    }
    let zones: Vec<(ZoneName, String)> = b.devices.iter().map(|(z, d)| (z.clone(), d.clone())).collect();
    let mut elements = Vec::new();
    for (zone, device) in &zones {
        let refuse = format!("spoof/{zone}");
        let (what, why) = (format!("refuses sources that cannot stand behind {device}"), "a zone must not speak in another's name");
        let end = b.refuse(&refuse, &what, why, Vec::new());
        b.chain(refuse.clone(), end);
        let mut rules = Vec::new();
        // Where a zone has no subnet of a family, the end of the guard refuses all of it.
        let subnets = b.model.zones.get(zone).map(|z| z.subnets.clone()).unwrap_or_default();
        let here = |f: Family| zone.is_internet() || subnets.iter().any(|n| Family::of(&n.addr()) == f);
        for &family in own_families.iter().filter(|f| here(**f)) {
            let s = vec![source_in(family, "own"), Statement::Verdict(Verdict::Goto(refuse.clone()))];
            rules.push(b.builtin(&format!("spoof/own/{zone}"), "refuses the node's own addresses from outside", "nobody else has them", s));
        }
        rules.extend(if zone.is_internet() { internet(b, &refuse) } else { inner(b, zone) });
        if !zone.is_internet() {
            let s = vec![Statement::Verdict(Verdict::Goto(refuse.clone()))];
            rules.push(b.builtin(
                &format!("guard/{zone}/end"),
                "refuses every other source",
                "only a zone's own subnets stand behind its device",
                s,
            ));
        }
        let chain = format!("guard/{zone}");
        b.chain(chain.clone(), rules);
        let id = crate::build::short(&chain);
        b.builtin(&id, &format!("judges sources that come in by {device}"), "zones are told apart by device", Vec::new());
        elements.push(Element {
            key: vec![Value::Name(device.clone())],
            data: Some(Data::Verdict(Verdict::Jump(chain))),
            id: Some(id),
            timeout: None,
            counted: None,
        });
    }
    elements.sort_by(|a, b| a.key.cmp(&b.key));
    b.set("guard", Set { types: vec!["ifname".to_owned()], map: Some(vec!["verdict".to_owned()]), elements, ..Set::default() });
    let dispatch = Statement::VerdictMap { keys: vec![Key::Iifname], map: MapRef::Named("guard".to_owned()) };
    let rule = b.builtin("guard", "finds the guard of the device", "zones are told apart by device", vec![dispatch]);
    b.base("guard", ChainKind::Filter, Hook::Prerouting, RAW, Policy::Accept, vec![rule]);
}

fn unspecified(b: &mut Build<'_>, id: &str) -> Vec<Rule> {
    let nd = vec![one_of(Key::Ip6Saddr, &[0]), one_of(Key::Icmp6Type, &UNSPECIFIED_ICMP6), pass()];
    let local = vec![is(Key::Ip6Saddr, [link_local()]), pass()];
    let why = "neighbour discovery speaks from these (RFC 4861, RFC 4862)";
    vec![
        b.builtin(&format!("{id}/link-local"), "admits link-local sources, which no router forwards", why, local),
        b.builtin(&format!("{id}/unspecified"), "admits what a machine says before it has an address", why, nd),
    ]
}

fn inner(b: &mut Build<'_>, zone: &ZoneName) -> Vec<Rule> {
    let subnets = b.model.zones.get(zone).map(|z| z.subnets.clone()).unwrap_or_default();
    let mut rules = Vec::new();
    for family in Family::ALL {
        let nets: Vec<Value> = prefix_set(family, &subnets).elements.into_iter().flat_map(|e| e.key).collect();
        if nets.is_empty() {
            continue;
        }
        let s = vec![is(addresses(family).0, nets), pass()];
        rules.push(b.builtin(&format!("guard/{zone}/own"), "admits the zone's own subnets", "they stand behind this device", s));
    }
    let id = format!("guard/{zone}");
    rules.extend(unspecified(b, &id));
    rules
}

/// Addresses outside that the site file names: they may be anywhere, private ranges included. Legs from outside hold
/// neither the site's own nor, of a prefix that is public in part, what is private in it: a wide one opens nothing here.
fn declared_outside(b: &Build<'_>) -> Vec<IpNet> {
    let mut out = Vec::new();
    for flow in &b.model.flows {
        for leg in &flow.legs {
            if leg.from_zone.is_internet() && matches!(flow.from, Party::Outside(..)) {
                out.extend(leg.src.iter().copied());
            }
            if leg.to_zone.is_internet() && matches!(flow.to, Party::Outside(..)) {
                out.extend(leg.dst.iter().copied());
            }
        }
    }
    let site = site_prefixes(b);
    out.retain(|n| !site.iter().any(|s| s.contains(n) || n.contains(s)));
    // What is public as a whole is admitted anyway.
    out.retain(|n| !(special::is_public(&n.network()) && special::is_public(&n.broadcast())));
    out.sort_unstable();
    out.dedup();
    out
}

/// Destinations that nobody outside may open to, judged before translation: private addresses, which only a neighbour on
/// the provider's own segment can route to us, past the public address they are published at; and the node's addresses in
/// inner zones. Connections that stand go on: before its first ruleset a node may not have translated.
pub(crate) fn closed(b: &mut Build<'_>) {
    let Some(device) = b.devices.get(&ZoneName::internet()).cloned() else { return };
    let zones = b.model.zones.values().filter(|z| !z.name.is_internet());
    let mut nets: Vec<IpNet> = zones.flat_map(|z| z.subnets.iter().copied()).filter(|n| !special::touches_public(n)).collect();
    nets.extend(b.model.edge.sync);
    let translated = site::translated(b.model);
    let outer = |a: &IpAddr| {
        let own = b.host.interfaces.iter().filter(|i| i.zone.is_internet()).flat_map(|i| i.addresses.iter().map(|n| n.addr()));
        let shared = b.model.edge.vip.iter().filter(|(z, _)| z.is_internet()).flat_map(|(_, a)| a.iter().copied());
        own.chain(shared).any(|o| o == *a) || translated.contains_key(a)
    };
    nets.extend(held(b).into_iter().filter(|a| !outer(a)).map(IpNet::from));
    let mut rules = Vec::new();
    for family in Family::ALL {
        let set = prefix_set(family, &nets);
        if set.elements.is_empty() {
            continue;
        }
        let name = format!("closed/{}", digit(family));
        b.set(&name, set);
        let when = vec![
            is(Key::Iifname, [Value::Name(device.clone())]),
            one_of(Key::CtState, &[NEW]),
            Statement::Lookup { keys: vec![addresses(family).1], set: name, negated: false },
        ];
        let (what, why) = ("refuses what names an inner address from outside", "what is published is published at its public address");
        rules.extend(b.refuse("deny/inner", what, why, when));
    }
    if !rules.is_empty() {
        b.base("closed", ChainKind::Filter, Hook::Prerouting, TRACKED, Policy::Accept, rules);
    }
}

/// The whole `internet` chain: what is surely wrong goes to `refuse`, everything else is the Internet.
fn internet(b: &mut Build<'_>, refuse: &str) -> Vec<Rule> {
    let no = || Statement::Verdict(Verdict::Goto(refuse.to_owned()));
    let peers: Vec<IpNet> = peers(b).into_iter().filter(|(z, _)| z.is_internet()).map(|(_, a)| IpNet::from(a)).collect();
    let declared = declared_outside(b);
    let inside: Vec<IpNet> = b
        .model
        .zones
        .values()
        .filter(|z| !z.name.is_internet())
        .flat_map(|z| z.subnets.iter().copied())
        .chain(b.model.edge.sync)
        // Private ones are refused as such.
        .filter(|n| !special::NOT_PUBLIC_V4.iter().any(|s| s.contains(n)))
        .collect();
    let public = b.model.edge.public.clone();
    let mut rules = Vec::new();
    if b.model.edge.wan_dynamic {
        let s = vec![v4(), one_of(Key::L4Proto, &[17]), one_of(Key::Sport, &[67]), one_of(Key::Dport, &[68]), pass()];
        rules.push(b.builtin("guard/internet/dhcp", "admits the lease of the public address", "the public address is dynamic", s));
    }
    rules.extend(unspecified(b, "guard/internet"));
    for family in Family::ALL {
        let d = digit(family);
        let named = |b: &mut Build<'_>, name: &str, nets: &[IpNet]| {
            let set = prefix_set(family, nets);
            let any = !set.elements.is_empty();
            if any {
                b.set(&format!("{name}/{d}"), set);
            }
            any
        };
        if named(b, "peers", &peers) {
            let s = vec![source_in(family, "peers"), pass()];
            rules.push(b.builtin("guard/internet/peer", "admits the other edge node", "it stands on the same link", s));
        }
        if named(b, "declared", &declared) {
            let s = vec![source_in(family, "declared"), pass()];
            rules.push(b.builtin(
                "guard/internet/declared",
                "admits places outside that the site file names",
                "they may have private addresses",
                s,
            ));
        }
        if named(b, "inside", &inside) {
            let s = vec![source_in(family, "inside"), no()];
            rules.push(b.builtin(
                "spoof/inside",
                "refuses the zones' own addresses from the Internet",
                "they stand behind other devices",
                s,
            ));
        }
        if named(b, "public-own", &public) {
            let icmp = match family {
                Family::V4 => one_of(Key::IcmpType, &ROUTER_ICMP),
                Family::V6 => one_of(Key::Icmp6Type, &ROUTER_ICMP6),
            };
            let s = vec![source_in(family, "public-own"), icmp, pass()];
            let (what, why) =
                ("admits ICMP from the site's public prefix", "the upstream router has an address in it and must report errors");
            rules.push(b.builtin("guard/internet/router", what, why, s));
            let s = vec![source_in(family, "public-own"), no()];
            rules.push(b.builtin("spoof/public", "refuses the site's public addresses from the Internet", "they are the site's own", s));
        }
        let bogons: Vec<IpNet> = match family {
            Family::V4 => special::NOT_PUBLIC_V4.to_vec(),
            Family::V6 => special::NOT_PUBLIC_V6.to_vec(),
        };
        named(b, "bogon", &bogons);
        let why = "no router on the Internet carries them";
        rules.push(b.builtin("spoof/bogon", "refuses private, shared and reserved sources", why, vec![source_in(family, "bogon"), no()]));
    }
    let beyond = vec![is_not(Key::Ip6Saddr, [interval(&special::PUBLIC_V6)]), no()];
    rules.push(b.builtin(
        "spoof/bogon",
        "refuses sources outside the public IPv6 space",
        "RFC 4291 has public addresses in 2000::/3",
        beyond,
    ));
    rules
}
