//! The operators' way in: in comes `site.management`, out come the flows that are never cut, and those to endpoints that
//! are meant for operators.

use super::{
    Deriver,
    book::{Entry, Key},
    peers::source,
    weak,
};
use crate::{
    FlowKind, Host, Instance, Leg, Listen, Model, Party, code,
    cx::Cx,
    special,
    syntax::{Node, Text},
};
use catalog::{Class, Intended, Role};
use ipnet::IpNet;
use std::{collections::BTreeMap, sync::Arc};
use words::{Diagnostic, Family, Origin, ProtoPorts};

/// Name of the operators' addresses outside.
const OUTSIDE: &str = "management";

/// Shortest public IPv4 prefix that operators may come from without a reason: 65,536 addresses, more than any office or
/// VPN has. Shorter ones are countries and carriers.
const SHORTEST_V4: u8 = 16;
/// The same for IPv6: what a registry gives to one provider.
const SHORTEST_V6: u8 = 32;

/// The prefixes that, alone or together with the others of the list, hold a large part of the Internet: many prefixes that
/// are each small enough are as wide as one that is not.
fn vast<'t>(given: &[(&'t Text, IpNet)]) -> Vec<(&'t Text, IpNet)> {
    let addresses = |net: &IpNet| 2f64.powi(i32::from(net.max_prefix_len() - net.prefix_len()));
    let mut out = Vec::new();
    for (family, shortest) in [(Family::V4, SHORTEST_V4), (Family::V6, SHORTEST_V6)] {
        let of: Vec<_> = given.iter().filter(|(_, n)| Family::of(&n.addr()) == family && special::touches_public(n)).collect();
        let all: Vec<IpNet> = of.iter().map(|(_, n)| *n).collect();
        let most = 2f64.powi(i32::from(special::everything(family).max_prefix_len() - shortest));
        if IpNet::aggregate(&all).iter().map(addresses).sum::<f64>() > most {
            // Whoever is wide alone is told; where none is, all of them together are.
            let alone: Vec<_> = of.iter().filter(|(_, n)| n.prefix_len() < shortest).copied().copied().collect();
            out.extend(if alone.is_empty() { of.into_iter().copied().collect() } else { alone });
        }
    }
    out
}

/// Enters the management path.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, root: &Node) {
    let management = &d.model.management;
    let mut from: Vec<Party> = management.zones.iter().cloned().map(Party::Zone).collect();
    if !management.nets.is_empty() {
        from.push(Party::Outside(OUTSIDE.into(), management.nets.clone()));
    }
    let model = d.model;
    let mut outside: Vec<Key> = Vec::new();
    let mut narrow = Narrow::new(model);
    for host in model.hosts.values() {
        let mut reached = false;
        for instance in &host.instances {
            let way_in = host.managed && instance.service.name == management.by;
            for listen in &instance.listens {
                let first = instance.service.endpoints.first().is_some_and(|e| e.name == listen.endpoint);
                let door = way_in && (listen.class == Class::Login || first);
                if door {
                    for p in &from {
                        let opened = open(d, &mut narrow, host, instance, listen, p, FlowKind::Management);
                        reached |= !opened.is_empty();
                        outside.extend(opened.into_iter().filter(|_| matches!(p, Party::Outside(..))));
                    }
                } else if for_operators(instance, listen) {
                    for p in from.iter().filter(|p| matches!(p, Party::Zone(_))) {
                        open(d, &mut narrow, host, instance, listen, p, FlowKind::Derived);
                    }
                }
            }
        }
        if host.managed && !reached && !from.is_empty() {
            let diagnostic = Diagnostic::warning(code::FLW003, format!("operators have no way to `{}`", host.name));
            let help = "name a zone in site.management.from, such as a VPN's, or give the host an address they can reach";
            cx.push(diagnostic.at(d.host_span(&host.name), "").help(help));
        }
    }
    weaken(cx, d, root, &outside);
}

/// A door that a large part of the Internet can knock at needs a reason and an end.
fn weaken(cx: &mut Cx<'_>, d: &mut Deriver<'_>, root: &Node, outside: &[Key]) {
    let Some(node) = root.get("site").and_then(|s| s.get("management")) else { return };
    let origin = d.model.management.origin.clone();
    let why = node.text("why");
    let until = node.text("until").and_then(|t| cx.date(&t));
    if until.is_none() && node.get("until").is_some() {
        return; // The date itself is complained about.
    }
    let texts = node.texts("from");
    let given: Vec<(&Text, IpNet)> = texts.iter().filter_map(|t| Some((t, t.text.parse::<IpNet>().ok()?))).collect();
    for (t, net) in vast(&given) {
        let together = if texts.len() > 1 { ", together with the others of this list," } else { "" };
        let reason = format!("`{net}` is{together} a large part of the Internet: anybody there can try the operators' door");
        let said = weak::Said { why: why.as_ref().map(|w| w.text.as_str()), until, span: t.span, origin: &origin };
        weak::enter(cx, d, format!("opens the management path to {net}"), &reason, said, outside.to_vec());
    }
}

/// Meant for operators and listening on the network.
fn for_operators(instance: &Instance, listen: &Listen) -> bool {
    !listen.loopback && instance.service.endpoint(listen.endpoint.as_str()).is_some_and(|e| e.intended == Intended::Operator)
}

fn open(
    d: &mut Deriver<'_>,
    narrow: &mut Narrow,
    host: &Host,
    instance: &Instance,
    listen: &Listen,
    from: &Party,
    kind: FlowKind,
) -> Vec<Key> {
    let mut keys = Vec::new();
    for proto in listen.proto.iter().filter(|_| !listen.ports.is_empty()) {
        let source =
            instance.service.endpoint(listen.endpoint.as_str()).map(|e| source(&instance.service.source, &e.source)).unwrap_or_default();
        let catalogue =
            Origin::Catalog { service: instance.service.name.to_string(), entry: format!("endpoint {}", listen.endpoint), source };
        let entry = Entry {
            kind,
            from: from.clone(),
            to: Party::Host(host.name.clone()),
            target: ProtoPorts { proto: *proto, ports: listen.ports.clone() },
            service: Some((instance.service.name.clone(), listen.endpoint.clone(), instance.name.clone())),
            app: listen.app,
            names: Vec::new(),
            why: if kind == FlowKind::Management { "the operators' way in; never cut".into() } else { "meant for operators".into() },
            origins: vec![d.model.management.origin.clone(), instance.origin.clone(), catalogue],
        };
        let legs = narrow.legs(d.book.ways.legs(&entry.from, &entry.to));
        keys.extend(d.book.add_legs(entry, legs, Vec::new()));
    }
    keys
}

/// Sources without the management controllers among them: nobody logs in from a controller, and its firmware is what an attacker
/// who got that far holds.
struct Narrow {
    holes: Vec<IpNet>,
    /// The lists of the management zones: the same for every host.
    known: BTreeMap<Arc<[IpNet]>, Arc<[IpNet]>>,
}

impl Narrow {
    fn new(model: &Model) -> Self {
        let controls = |h: &&Host| h.instances.iter().any(|i| i.service.role == Role::ManagementController);
        let holes = model.hosts.values().filter(|h| !h.managed).filter(controls).flat_map(Host::addresses).map(IpNet::from);
        Self { holes: holes.collect(), known: BTreeMap::new() }
    }

    fn legs(&mut self, mut legs: Vec<Leg>) -> Vec<Leg> {
        for leg in &mut legs {
            let holes = &self.holes;
            leg.src = self.known.entry(leg.src.clone()).or_insert_with_key(|nets| without_holes(nets, holes)).clone();
        }
        legs
    }
}

/// Prefixes without the holes inside them. An address that is itself a hole is said by name: it stands.
fn without_holes(nets: &Arc<[IpNet]>, holes: &[IpNet]) -> Arc<[IpNet]> {
    let inside = |net: &IpNet, hole: &&IpNet| net.contains(*hole) && net != *hole;
    if !nets.iter().any(|net| holes.iter().any(|hole| inside(net, &hole))) {
        return nets.clone();
    }
    let cut = |pieces: Vec<IpNet>, hole: &IpNet| -> Vec<IpNet> {
        pieces.iter().flat_map(|p| if p.contains(hole) { special::without(p, hole) } else { vec![*p] }).collect()
    };
    nets.iter().flat_map(|net| holes.iter().filter(|hole| inside(net, hole)).fold(vec![*net], cut)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbouring_controllers_are_both_left_out() {
        let nets = |texts: &[&str]| -> Arc<[IpNet]> { texts.iter().map(|t| t.parse().expect("prefix")).collect() };
        let holes = nets(&["10.0.0.4/32", "10.0.0.5/32"]);
        assert_eq!(without_holes(&nets(&["10.0.0.0/29"]), &holes), nets(&["10.0.0.0/30", "10.0.0.6/31"]));
        assert_eq!(without_holes(&nets(&["10.0.0.4/32", "10.0.1.0/24"]), &holes), nets(&["10.0.0.4/32", "10.0.1.0/24"]));
    }
}
