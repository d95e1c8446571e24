//! Egress: in come what services need outside, `[external]`, resolvers and time servers; out come flows to names, to
//! addresses, or, for hosts that speak libp2p, to any public address.

use super::{Deriver, book::Entry, peers::source};
use crate::{FlowKind, Host, Party, code, cx::Cx};
use catalog::{App, Class, When};
use ipnet::IpNet;
use std::{collections::BTreeSet, net::IpAddr};
use words::{Diagnostic, EndpointName, InstanceName, Origin, PortSet, ProtoPorts, Span};

/// Enters everything that leaves the site.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, infrastructure: &[(&'static str, Vec<IpAddr>, Span)]) {
    let model = d.model;
    let mut present: BTreeSet<&str> = model.hosts.values().flat_map(|h| &h.instances).map(|i| i.service.name.as_str()).collect();
    present.extend(infrastructure.iter().map(|(s, _, _)| *s));
    for host in model.hosts.values() {
        catalogue(d, host, &present);
    }
    for (service, addresses, span) in infrastructure {
        given(cx, d, service, addresses, *span);
    }
    external(cx, d);
    d.book.fold_egress();
    crowd(cx, d);
}

fn catalogue(d: &mut Deriver<'_>, host: &Host, present: &BTreeSet<&str>) {
    for instance in &host.instances {
        for e in instance.service.egress.iter().filter(|e| e.when != When::Configured) {
            if e.unless.as_ref().is_some_and(|s| present.contains(s.as_str())) {
                continue;
            }
            let what = if e.any { "egress any public address".to_owned() } else { format!("egress {}", e.names.join(", ")) };
            let entry = Origin::Catalog {
                service: instance.service.name.to_string(),
                entry: what,
                source: source(&instance.service.source, &e.source),
            };
            for target in &e.to {
                let kind = if instance.service.name.as_str() == "host" { FlowKind::Infrastructure } else { FlowKind::Egress };
                d.book.add(Entry {
                    kind,
                    from: Party::Host(host.name.clone()),
                    to: Party::Public,
                    target: target.clone(),
                    service: None,
                    app: app(target),
                    names: e.names.clone(),
                    why: e.why.clone(),
                    origins: vec![instance.origin.clone(), entry.clone()],
                });
            }
        }
    }
}

/// What is spoken on well-known ports outside; where nothing is certain, nothing is claimed.
fn app(target: &ProtoPorts) -> App {
    match (target.proto, target.ports.single()) {
        (_, Some(53)) => App::Dns,
        (words::Proto::Udp, Some(123)) => App::Ntp,
        (words::Proto::Tcp, Some(443)) => App::Tls,
        (words::Proto::Tcp, Some(80)) => App::Http,
        (_, None) if target.ports.is_all() => App::Libp2p,
        _ => App::Unknown,
    }
}

/// `site.dns` and `site.ntp` given as addresses.
fn given(cx: &mut Cx<'_>, d: &mut Deriver<'_>, service: &'static str, addresses: &[IpAddr], span: Span) {
    let Some(entry) = d.services.get(service).cloned() else { return };
    let Ok(name) = InstanceName::new(service) else { return };
    let nets: Vec<IpNet> = addresses.iter().map(|a| IpNet::from(*a)).collect();
    let origin = cx.origin(span, format!("site.{service}"));
    for host in d.model.hosts.values().filter(|h| h.instances.iter().any(|i| i.service.name.as_str() == "host")) {
        let mut any = false;
        for (e, proto) in entry.endpoints.iter().filter(|e| !e.optional).flat_map(|e| e.proto.iter().map(move |p| (e, *p))) {
            let ports = match e.port {
                catalog::PortDefault::Fixed(p) => PortSet::one(p),
                _ => continue,
            };
            let catalogue = Origin::Catalog {
                service: service.into(),
                entry: format!("endpoint {}", e.name),
                source: source(&entry.source, &e.source),
            };
            any |= d
                .book
                .add(Entry {
                    kind: FlowKind::Infrastructure,
                    from: Party::Host(host.name.clone()),
                    to: Party::Outside(service.to_owned(), nets.clone()),
                    target: ProtoPorts { proto, ports },
                    service: Some((entry.name.clone(), EndpointName::clone(&e.name), name.clone())),
                    app: e.app,
                    names: Vec::new(),
                    why: if service == "dns" { "names".into() } else { "time".into() },
                    origins: vec![origin.clone(), catalogue],
                })
                .is_some();
        }
        if !any {
            let message = format!("`{}` has no way to the addresses of `site.{service}`", host.name);
            cx.warning(code::FLW003, span, message, "add an address of its family, or name a host of the site");
        }
    }
}

fn external(cx: &mut Cx<'_>, d: &mut Deriver<'_>) {
    let model = d.model;
    for (name, e) in &model.externals {
        let mut idle: BTreeSet<&words::HostName> = BTreeSet::new();
        for user in &e.users {
            for target in &e.target {
                if !e.names.is_empty() && d.book.covered(&Party::Host(user.clone()), target) {
                    idle.insert(user);
                }
                let to = if e.nets.is_empty() { Party::Public } else { Party::Outside(name.clone(), e.nets.clone()) };
                let flow = Entry {
                    kind: FlowKind::Egress,
                    from: Party::Host(user.clone()),
                    to,
                    target: target.clone(),
                    service: None,
                    app: app(target),
                    names: e.names.clone(),
                    why: format!("place outside `{name}`"),
                    origins: vec![e.origin.clone()],
                };
                if d.book.add(flow).is_none() {
                    let span = d.external_span(name);
                    let message = format!("`{user}` has no way to `{name}`");
                    cx.error(code::FLW003, span, message, "give it an address of the place's family in a routed zone");
                }
            }
        }
        if !idle.is_empty() {
            let users: Vec<&words::HostName> = idle.into_iter().collect();
            let note = Diagnostic::note(code::FLW011, format!("naming `{name}` limits nothing on {}", crate::cx::list(&users)));
            let why = "what runs there dials any public address on these ports already";
            cx.push(note.at(d.external_span(name), "").with_note(why).help("names bind only on hosts that dial nobody else"));
        }
    }
}

/// Peers from one address beyond which gossip penalises them: IPColocationFactorThreshold in lotus:node/modules/lp2p/pubsub.go.
const COLOCATION: usize = 5;

/// Several peer-to-peer daemons behind one translated address.
fn crowd(cx: &mut Cx<'_>, d: &Deriver<'_>) {
    if d.model.edge.kind == crate::EdgeKind::None {
        return;
    }
    let behind: Vec<&Host> = d
        .model
        .hosts
        .values()
        .filter(|h| h.instances.iter().any(|i| i.service.libp2p && i.listens.iter().any(|l| l.class == Class::Libp2p)))
        .filter(|h| h.addresses().any(|a| a.is_ipv4()) && h.addresses().all(|a| a.is_ipv6() || !crate::special::is_public(&a)))
        .collect();
    if behind.len() < 2 {
        return;
    }
    let names: Vec<&words::HostName> = behind.iter().map(|h| &h.name).collect();
    let message = format!("{} hosts with peer-to-peer daemons leave by one public IPv4 address", behind.len());
    let note = format!("hosts: {}; gossip penalises more than {COLOCATION} peers of one address", crate::cx::list(&names));
    let base = if behind.len() > COLOCATION { Diagnostic::warning(code::FLW012, message) } else { Diagnostic::note(code::FLW012, message) };
    cx.push(base.at(d.edge_span, "").with_note(note).help("give them IPv6 addresses, or public IPv4 addresses of their own"));
}
