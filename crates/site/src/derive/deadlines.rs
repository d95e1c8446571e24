//! Who asks for deadlines: in comes `deadlines.from`, out come flows to the interfaces that are asked. A host that reaches them for its own
//! work anyway needs no line.

use super::{Deriver, book::Entry, intent, peers::source};
use crate::{AskedAt, FlowKind, Instance, Listen, Party, code, cx::Cx, resolve::places::Parties, syntax::Node};
use catalog::App;
use words::{HostName, Origin, ProtoPorts, Span};

/// Enters the flows of `deadlines.from`.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, root: &Node, parties: &Parties<'_>) {
    let (Some(node), Some(deadlines)) = (root.get("deadlines"), &d.model.deadlines) else { return };
    let asked: Vec<(&HostName, &Instance)> = deadlines.nodes.iter().chain(&deadlines.jobs).filter_map(|a| instance(d, &a.at)).collect();
    for text in node.texts("from") {
        for from in parties.resolve(cx, &text) {
            if !may_ask(d, &from) {
                let message = format!("deadlines are asked by hosts of the site and by zones that operators come from, not by {from}");
                cx.error(code::DLN006, text.span, message, "name the host, or write an [[allow]] with a reason");
                continue;
            }
            for (host, instance) in asked.iter().filter(|(h, _)| Party::Host((*h).clone()) != from) {
                open(cx, d, &from, host, instance, text.span);
            }
        }
    }
}

fn instance<'m>(d: &Deriver<'m>, at: &'m AskedAt) -> Option<(&'m HostName, &'m Instance)> {
    let AskedAt::Instance(host, name) = at else { return None };
    d.model.hosts.get(host)?.instances.iter().find(|i| i.name == *name).map(|i| (host, i))
}

/// A host, or operators: an interface that controls a chain node is for no other zone.
fn may_ask(d: &Deriver<'_>, from: &Party) -> bool {
    matches!(from, Party::Host(_)) || intent::operator(d.model, from)
}

fn open(cx: &mut Cx<'_>, d: &mut Deriver<'_>, from: &Party, host: &HostName, instance: &Instance, span: Span) {
    // The one that `asked::urls` names.
    let Some(listen) = instance.listens.iter().find(|l| l.app == App::JsonRpc && !l.ports.is_empty()) else { return };
    for proto in &listen.proto {
        let entry = Entry {
            kind: FlowKind::Derived,
            from: from.clone(),
            to: Party::Host(host.clone()),
            target: ProtoPorts { proto: *proto, ports: listen.ports.clone() },
            service: Some((instance.service.name.clone(), listen.endpoint.clone(), instance.name.clone())),
            app: listen.app,
            names: Vec::new(),
            why: "asks for proving deadlines".into(),
            origins: origins(d, instance, listen),
        };
        if d.book.add(entry).is_none() {
            let message = format!("{from} has no way to `{}` on {host}, which it is to ask for deadlines", instance.name);
            cx.error(code::FLW003, span, message, "give both an address in one zone, or addresses of one family in routed zones");
        }
    }
}

fn origins(d: &Deriver<'_>, instance: &Instance, listen: &Listen) -> Vec<Origin> {
    let service = &instance.service;
    let source = service.endpoint(listen.endpoint.as_str()).map(|e| source(&service.source, &e.source)).unwrap_or_default();
    let catalogue = Origin::Catalog { service: service.name.to_string(), entry: format!("endpoint {}", listen.endpoint), source };
    d.model.deadlines.iter().map(|l| l.origin.clone()).chain([instance.origin.clone(), catalogue]).collect()
}
