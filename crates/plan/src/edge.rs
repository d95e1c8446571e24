//! An edge node's own table: a guard per device against spoofing, translation, the zone matrix, and the node's own input
//! and output. In comes an edge node of the model, out comes its table. Never: judges a forwarded packet by address
//! without having tied the address to its device first.

use crate::build::{Build, NF_V4, addresses, digit, one_of};
use crate::grant::{Grant, admit};
use crate::host::{Side, advertised, grants};
use crate::{MachinePlan, Role, address, election, essential, guard, limit, pair, sysctl, translate};
use ipnet::IpNet;
use ruleset::{ChainKind, Data, Element, Hook, Key, MapRef, Policy, Rule, Set, Statement, Value, Verdict};
use site::model::FlowKind;
use std::collections::BTreeMap;
use std::net::IpAddr;
use words::{Family, HostName, ZoneName};

/// The whole plan of an edge node.
pub(crate) fn plan(mut build: Build<'_>) -> MachinePlan {
    let b = &mut build;
    guard::chains(b);
    guard::closed(b);
    translate::chains(b);
    forward(b);
    let rules = input(b);
    b.base("input", ChainKind::Filter, Hook::Input, 0, Policy::Drop, rules);
    let rules = output(b);
    b.base("output", ChainKind::Filter, Hook::Output, 0, Policy::Drop, rules);
    let (sysctls, pair) = (sysctl::edge(&build), election::of(&build));
    let addresses = address::of(&build, pair.as_ref().is_some_and(|p| !p.proposed));
    let leaves_addresses = build.observing() && !build.options.translate_while_observing;
    MachinePlan { addresses, leaves_addresses, pair, ..build.finish(Role::Edge, sysctls) }
}

/// Routed grants by zone pair.
pub(crate) fn matrix<'a>(b: &Build<'a>, management: bool) -> BTreeMap<(ZoneName, ZoneName), Vec<Grant<'a>>> {
    let mut out: BTreeMap<_, Vec<Grant<'a>>> = BTreeMap::new();
    for flow in b.model.flows.iter().filter(|f| (f.kind == FlowKind::Management) == management) {
        if b.model.edge.has_end_of(flow) {
            continue;
        }
        for leg in flow.legs.iter().filter(|l| l.from_zone != l.to_zone) {
            out.entry((leg.from_zone.clone(), leg.to_zone.clone())).or_default().push(Grant::new(flow, leg));
        }
    }
    out
}

fn forward(b: &mut Build<'_>) {
    let zones: Vec<(ZoneName, String)> = b
        .devices
        .iter()
        .filter(|(z, _)| b.model.zones.get(*z).is_none_or(|zone| zone.routed || z.is_internet()))
        .map(|(z, d)| (z.clone(), d.clone()))
        .collect();
    let management = matrix(b, true);
    let flows = matrix(b, false);
    let mut pairs = Vec::new();
    for (from, from_device) in &zones {
        for (to, to_device) in &zones {
            let chain = format!("fwd/{from}/{to}");
            let key = (from.clone(), to.clone());
            let mut rules = Vec::new();
            if let Some(g) = management.get(&key) {
                rules.extend(admit(b, &format!("management/{from}/{to}"), g));
            }
            if let Some(g) = flows.get(&key) {
                rules.extend(limit::meters(b, &format!("{from}/{to}"), g));
                rules.extend(admit(b, &chain, g));
            }
            let what = format!("refuses what no flow allows from {from} to {to}");
            rules.extend(b.refuse(&format!("deny/{from}/{to}"), &what, "everything that is not derived is denied", Vec::new()));
            pairs.push(Element {
                key: vec![Value::Name(from_device.clone()), Value::Name(to_device.clone())],
                data: Some(Data::Verdict(Verdict::Goto(chain.clone()))),
                id: Some(crate::build::short(&format!("pair/{from}/{to}"))),
                timeout: None,
                counted: None,
            });
            let id = format!("pair/{from}/{to}");
            b.builtin(&id, &format!("judges packets from {from} to {to}"), "every ordered pair of zones has its own chain", Vec::new());
            b.chain(chain, rules);
        }
    }
    pairs.sort_by(|a, b| a.key.cmp(&b.key));
    let set = Set { types: vec!["ifname".to_owned(); 2], map: Some(vec!["verdict".to_owned()]), elements: pairs, ..Set::default() };
    b.set("pairs", set);
    let mut rules = vec![essential::established(b, "forward")];
    rules.extend(essential::related(b, "forward"));
    rules.extend(essential::invalid(b, "forward"));
    let dispatch = Statement::VerdictMap { keys: vec![Key::Iifname, Key::Oifname], map: MapRef::Named("pairs".to_owned()) };
    rules.push(b.builtin("pairs", "finds the chain of the two zones", "zones are told apart by device", vec![dispatch]));
    rules.extend(b.refuse(
        "deny/forward",
        "refuses what comes from or goes to no zone",
        "every routed device belongs to a zone",
        Vec::new(),
    ));
    b.base("forward", ChainKind::Filter, Hook::Forward, 0, Policy::Drop, rules);
}

/// The other edge nodes' addresses, by zone.
pub(crate) fn peers(b: &Build<'_>) -> Vec<(ZoneName, IpAddr)> {
    let mine: &HostName = &b.host.name;
    let nodes = b.model.edge.nodes.iter().filter(|n| *n != mine).filter_map(|n| b.model.hosts.get(n));
    let mut out: Vec<(ZoneName, IpAddr)> =
        nodes.flat_map(|h| h.interfaces.iter().flat_map(|i| i.addresses.iter().map(|a| (i.zone.clone(), a.addr())))).collect();
    out.sort();
    out
}

fn input(b: &mut Build<'_>) -> Vec<Rule> {
    let mut rules = vec![essential::loopback(b, "input", Key::Iifname)];
    rules.extend(pair::rules(b, true));
    rules.push(essential::established(b, "input"));
    let management = grants(b, Side::In, true);
    rules.extend(admit(b, "management/in", &management));
    rules.extend(essential::related(b, "input"));
    rules.extend(essential::invalid(b, "input"));
    rules.extend(essential::neighbour_in(b, advertised(b)));
    if b.model.edge.wan_dynamic {
        rules.extend(essential::dhcp(b, true));
    }
    rules.extend(essential::echo_in(b));
    let flows = grants(b, Side::In, false);
    rules.extend(limit::meters(b, "input", &flows));
    rules.extend(admit(b, "in", &flows));
    rules.extend(b.refuse(
        "deny/input",
        "refuses what no flow allows to the edge node itself",
        "everything that is not derived is denied",
        Vec::new(),
    ));
    rules
}

fn output(b: &mut Build<'_>) -> Vec<Rule> {
    let mut rules = vec![essential::loopback(b, "output", Key::Oifname)];
    rules.extend(pair::rules(b, false));
    rules.push(essential::established(b, "output"));
    rules.extend(essential::errors_and_neighbour_out(b, advertised(b)));
    rules.extend(essential::invalid(b, "output"));
    let management = grants(b, Side::Out, true);
    rules.extend(admit(b, "management/out", &management));
    if b.model.edge.wan_dynamic {
        rules.extend(essential::dhcp(b, false));
    }
    let flows = grants(b, Side::Out, false);
    rules.extend(admit(b, "out", &flows));
    rules.extend(b.refuse(
        "deny/output",
        "refuses what no flow allows from the edge node itself",
        "everything that is not derived is denied",
        Vec::new(),
    ));
    rules
}

/// The site's own prefixes: zones' subnets and public prefixes.
pub(crate) fn site_prefixes(b: &Build<'_>) -> Vec<IpNet> {
    let mut out: Vec<IpNet> = b.model.zones.values().flat_map(|z| z.subnets.iter().copied()).collect();
    out.extend(b.model.edge.public.iter().copied());
    out.extend(b.model.edge.sync);
    out
}

/// Every address the node may hold itself: its own and, since either node may be active, the virtual and translated ones.
pub(crate) fn held(b: &Build<'_>) -> Vec<IpAddr> {
    let mut out: Vec<IpAddr> = b.host.addresses().collect();
    out.extend(b.model.edge.vip.values().flatten().copied());
    out.extend(site::translated(b.model).into_keys());
    out.sort();
    out.dedup();
    out
}

/// A v4 packet.
pub(crate) fn v4() -> Statement {
    one_of(Key::NfProto, &[NF_V4])
}

/// Membership of the source in a named set.
pub(crate) fn source_in(family: Family, set: &str) -> Statement {
    Statement::Lookup { keys: vec![addresses(family).0], set: format!("{set}/{}", digit(family)), negated: false }
}
