//! Flows between services: in come the bindings, out come flows for what each catalogue entry says it must reach.

use super::{
    Deriver,
    bind::{Bindings, Who},
    book::Entry,
};
use crate::{FlowKind, Instance, Party, code, cx::Cx};
use catalog::{Peer, PortDefault, Role};
use std::collections::BTreeSet;
use words::{Diagnostic, Origin, ProtoPorts};

/// Enters the flows of every binding.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, bindings: &Bindings) {
    let mut told = BTreeSet::new();
    for (who, lists) in bindings {
        let Some(from) = d.instance(who) else { continue };
        for (peer, targets) in from.service.peers.iter().zip(lists) {
            // What shares a machine talks over loopback: no packet filter stands between.
            for to in targets.iter().filter(|t| t.0 != who.0) {
                one(cx, d, who, from, peer, to, &mut told);
            }
        }
    }
}

fn one(cx: &mut Cx<'_>, d: &mut Deriver<'_>, who: &Who, from: &Instance, peer: &Peer, to: &Who, told: &mut BTreeSet<String>) {
    let Some(target) = d.instance(to) else { return };
    let Some(listen) = target.listens.iter().find(|l| l.endpoint == peer.endpoint) else { return };
    let span = d.span(to);
    if listen.ports.is_empty() {
        if told.insert(format!("port {to:?} {}", peer.endpoint)) {
            let suggest = target.service.endpoint(peer.endpoint.as_str()).map_or(0, |e| match e.port {
                PortDefault::Random { suggest, .. } => suggest,
                _ => 0,
            });
            let d = Diagnostic::error(
                code::FLW006,
                format!("`{}.{}` on {} takes a random port, but `{}` on {} must reach it", to.1, peer.endpoint, to.0, who.1, who.0),
            )
            .at(span, "")
            .help(format!("pin it: {{ service = \"{}\", ports = {{ {} = {suggest} }} }}", target.service.name, peer.endpoint));
            cx.push(d);
        }
        return;
    }
    if d.bound_to_loopback(to) {
        if told.insert(format!("loopback {to:?}")) {
            let message = format!("`{}` on {} is bound to loopback, but `{}` on {} must reach it", to.1, to.0, who.1, who.0);
            cx.error(code::FLW008, span, message, "take `bind` out: the packet filter opens it to those who need it alone");
        }
        return;
    }
    let kind = match from.service.role {
        Role::Infrastructure if from.service.name.as_str() == "host" => FlowKind::Infrastructure,
        Role::Edge => FlowKind::Edge,
        _ => FlowKind::Derived,
    };
    let catalogue = Origin::Catalog {
        service: from.service.name.to_string(),
        entry: format!("peer {}.{}", target.service.name, peer.endpoint),
        source: source(&from.service.source, &peer.source),
    };
    for proto in &listen.proto {
        let entry = Entry {
            kind,
            from: Party::Host(who.0.clone()),
            to: Party::Host(to.0.clone()),
            target: ProtoPorts { proto: *proto, ports: listen.ports.clone() },
            service: Some((target.service.name.clone(), peer.endpoint.clone(), to.1.clone())),
            app: listen.app,
            names: Vec::new(),
            why: peer.why.clone(),
            origins: vec![from.origin.clone(), target.origin.clone(), catalogue.clone()],
        };
        // What the nodes of a pair say to one another goes over their own link, where no zone hears it.
        let added = if kind == FlowKind::Edge { d.add_sync(entry) } else { d.book.add(entry) };
        if added.is_none() && told.insert(format!("way {} {} {}", d.span(who).start, span.start, peer.endpoint)) {
            no_way(cx, d, who, to, peer);
        }
    }
}

/// A full source: entries give a path below the service's own, or a source of their own.
pub(crate) fn source(whole: &str, part: &str) -> String {
    if part.contains(':') || part.contains('@') || part.is_empty() {
        format!("{whole} {part}").trim().to_owned()
    } else {
        format!("{whole}:{part}")
    }
}

fn no_way(cx: &mut Cx<'_>, d: &Deriver<'_>, who: &Who, to: &Who, peer: &Peer) {
    let zone = |w: &Who| d.model.hosts.get(&w.0).map(|h| h.default_zone.clone());
    let unrouted = [zone(who), zone(to)].into_iter().flatten().find(|z| d.model.zones.get(z).is_some_and(|z| !z.routed));
    let (why, help) = match unrouted {
        Some(z) => (format!("zone `{z}` is not routed"), format!("give both an address in one zone, or route `{z}`")),
        None => ("they have no address family in common".to_owned(), "give both an IPv4 address, or both an IPv6 address".to_owned()),
    };
    let message = format!("`{}` on {} must reach `{}.{}` on {}, but {why}", who.1, who.0, to.1, peer.endpoint, to.0);
    let mut diagnostic = Diagnostic::error(code::FLW003, message).at(d.span(who), "");
    if d.span(who) != d.span(to) {
        diagnostic = diagnostic.at(d.span(to), "the other side");
    }
    cx.push(diagnostic.help(help));
}
