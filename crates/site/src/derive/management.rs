//! The operators' way in: in comes `site.management`, out come the flows that are never cut, and those to endpoints that
//! are meant for operators.

use super::{Deriver, book::Entry, peers::source};
use crate::{FlowKind, Host, Instance, Listen, Party, code, cx::Cx};
use catalog::{Class, Intended};
use words::{Diagnostic, Origin, ProtoPorts};

/// Name of the operators' addresses outside.
const OUTSIDE: &str = "management";

/// Enters the management path.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>) {
    let management = &d.model.management;
    let mut from: Vec<Party> = management.zones.iter().cloned().map(Party::Zone).collect();
    if !management.nets.is_empty() {
        from.push(Party::Outside(OUTSIDE.into(), management.nets.clone()));
    }
    let model = d.model;
    for host in model.hosts.values() {
        let mut reached = false;
        for instance in &host.instances {
            let way_in = host.managed && instance.service.name == management.by;
            for listen in &instance.listens {
                let first = instance.service.endpoints.first().is_some_and(|e| e.name == listen.endpoint);
                let door = way_in && (listen.class == Class::Login || first);
                if door {
                    for p in &from {
                        reached |= open(d, host, instance, listen, p, FlowKind::Management);
                    }
                } else if for_operators(instance, listen) {
                    for p in from.iter().filter(|p| matches!(p, Party::Zone(_))) {
                        open(d, host, instance, listen, p, FlowKind::Derived);
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
}

/// Meant for operators and listening on the network.
fn for_operators(instance: &Instance, listen: &Listen) -> bool {
    !listen.loopback && instance.service.endpoint(listen.endpoint.as_str()).is_some_and(|e| e.intended == Intended::Operator)
}

fn open(d: &mut Deriver<'_>, host: &Host, instance: &Instance, listen: &Listen, from: &Party, kind: FlowKind) -> bool {
    let mut any = false;
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
        any |= d.book.add(entry).is_some();
    }
    any
}
