//! Exceptions: in comes `[[allow]]`, out come flows, and weakenings where one is wider than the catalogue intends.

use super::{Deriver, book::Entry, intent, weak};
use crate::{
    FlowKind, Host, Instance, Listen, Party, code,
    cx::Cx,
    resolve::{places::Parties, services::split},
    syntax::{Node, Text},
};
use catalog::{App, PortDefault};
use std::collections::BTreeSet;
use words::{Diagnostic, EndpointName, HostName, InstanceName, PortSet, ProtoPorts, ServiceName};

/// One end of an exception: who, which ports, and which endpoint that is.
struct End {
    to: Party,
    target: ProtoPorts,
    service: Option<(ServiceName, EndpointName, InstanceName)>,
    app: App,
}

/// Enters the flows of `[[allow]]`.
pub(crate) fn enter(cx: &mut Cx<'_>, d: &mut Deriver<'_>, root: &Node, parties: &Parties<'_>) {
    for node in root.get("allow").map(Node::items).unwrap_or_default() {
        one(cx, d, node, parties);
    }
}

fn one(cx: &mut Cx<'_>, d: &mut Deriver<'_>, node: &Node, parties: &Parties<'_>) {
    let froms = parties.resolve_all(cx, &node.texts("from"));
    let Some(why) = node.text("why") else { return };
    if why.text.trim().is_empty() {
        cx.error(code::SITE003, why.span, "`why` is empty", "say in a sentence what it is for");
    }
    let until = node.text("until").and_then(|t| cx.date(&t));
    let ends = match (node.text("service"), node.get("port")) {
        (Some(service), None) => services(cx, d, node, &service, parties),
        (None, Some(_)) => ports(cx, d, node, parties),
        (Some(_), Some(port)) => {
            cx.error(
                code::SITE015,
                port.span,
                "`service` and `port` are both given",
                "keep one: `service` follows the port a service really uses",
            );
            return;
        }
        (None, None) => {
            cx.error(code::SITE003, node.span, "`[[allow]]` needs `service` or `port`", "add service = \"ssh\" or port = \"2345/tcp\"");
            return;
        }
    };
    let origin = cx.origin(node.span, node.path.clone());
    let (mut keys, mut news, mut reason, mut lost) = (Vec::new(), 0_usize, None, None);
    for (from, end) in froms.iter().flat_map(|f| ends.iter().map(move |e| (f, e))).filter(|(f, e)| **f != e.to) {
        let entry = Entry {
            kind: FlowKind::Allow,
            from: from.clone(),
            to: end.to.clone(),
            target: end.target.clone(),
            service: end.service.clone(),
            app: end.app,
            names: Vec::new(),
            why: why.text.clone(),
            origins: vec![origin.clone()],
        };
        let known = d.book.has(&entry);
        match d.book.add(entry) {
            Some(key) => {
                let wider = wider(d, from, end);
                if wider.is_some() && !known {
                    keys.push(key);
                    reason = reason.or(wider);
                }
                news += usize::from(!known);
            }
            None => lost = lost.or(Some((from.clone(), end.to.clone()))),
        }
    }
    if let Some((from, to)) = lost.filter(|_| news == 0) {
        let outside = from == Party::Public || matches!(&from, Party::Outside(..));
        let help = if outside {
            "a private address is not reachable from outside: use [[publish]]"
        } else {
            "give both addresses of one family in routed zones"
        };
        cx.error(code::FLW003, node.span, format!("there is no way from {from} to {to}"), help);
    } else if news == 0 && !froms.is_empty() && !ends.is_empty() {
        let note = Diagnostic::note(code::FLW010, "this opens nothing that is not already open").at(node.span, "");
        cx.push(note.help("take it out, or keep it as a reminder"));
    }
    let unread = until.is_none() && node.get("until").is_some();
    if let Some(reason) = reason.filter(|_| !unread) {
        let what = format!("{} to {}", list(&node.texts("from")), list(&node.texts("to")));
        let what = format!("opens {} from {what}", node.text("service").map(|t| t.text).unwrap_or_else(|| list(&node.texts("port"))));
        let span = node.entry("service").or_else(|| node.entry("port")).map_or(node.span, |e| e.node.span);
        weak::enter(cx, d, what, &reason, weak::Said { why: Some(&why.text), until, span, origin: &origin }, keys);
    }
}

fn list(texts: &[Text]) -> String {
    texts.iter().map(|t| t.text.as_str()).collect::<Vec<_>>().join(", ")
}

/// Why this is wider than intended, for every endpoint the ports touch.
fn wider(d: &Deriver<'_>, from: &Party, end: &End) -> Option<String> {
    let touched = |host: &Host| -> Option<String> {
        host.instances.iter().flat_map(|i| i.listens.iter().map(move |l| (i, l))).find_map(|(i, l)| {
            let hit = l.proto.contains(&end.target.proto)
                && (l.ports.intersects(&end.target.ports) || (l.ports.is_empty() && end.target.ports.is_all()));
            let endpoint = i.service.endpoint(l.endpoint.as_str()).filter(|_| hit)?;
            intent::wider(d.model, from, &i.service, endpoint)
        })
    };
    if let Some((service, endpoint, _)) = &end.service {
        let service = d.services.get(service.as_str())?;
        return intent::wider(d.model, from, service, service.endpoint(endpoint.as_str())?);
    }
    let found = match &end.to {
        Party::Host(h) => d.model.hosts.get(h).and_then(touched),
        Party::Zone(z) => d.model.hosts.values().filter(|h| h.interface(z).is_some()).find_map(touched),
        Party::Outside(..) | Party::Public => return None,
    };
    found.or_else(|| (*from == Party::Public).then(|| format!("{} of {} becomes reachable from the whole Internet", end.target, end.to)))
}

fn ports(cx: &mut Cx<'_>, d: &Deriver<'_>, node: &Node, parties: &Parties<'_>) -> Vec<End> {
    let to = parties.resolve_all(cx, &node.texts("to"));
    let targets: Vec<ProtoPorts> = node.texts("port").iter().filter_map(|t| cx.ports(t)).collect();
    let mut out = Vec::new();
    for (to, target) in to.iter().flat_map(|t| targets.iter().map(move |p| (t, p))) {
        // Where the ports are exactly an instance's endpoint, say so: layers above treat it by what is spoken there.
        let exact = |h: &HostName| {
            d.model.hosts.get(h).and_then(|h| {
                let all = h.instances.iter().flat_map(|i| i.listens.iter().map(move |l| (i, l)));
                all.into_iter().find(|(_, l)| l.ports == target.ports && l.proto.contains(&target.proto))
            })
        };
        let found: Option<(&Instance, &Listen)> = match to {
            Party::Host(h) => exact(h),
            _ => None,
        };
        let service = found.map(|(i, l)| (i.service.name.clone(), l.endpoint.clone(), i.name.clone()));
        out.push(End { to: to.clone(), target: target.clone(), service, app: found.map_or(App::Unknown, |(_, l)| l.app) });
    }
    out
}

fn services(cx: &mut Cx<'_>, d: &Deriver<'_>, node: &Node, t: &Text, parties: &Parties<'_>) -> Vec<End> {
    let (word, endpoint) = split(t, |s| d.services.get(s).is_some());
    let Some(service) = d.services.find(cx, word, t.span) else { return Vec::new() };
    let endpoint = match endpoint {
        Some(e) => match d.services.endpoint(cx, &service, e, t.span) {
            Some(e) => e,
            None => return Vec::new(),
        },
        None if service.endpoints.len() == 1 => service.endpoints[0].name.clone(),
        None => {
            let names: Vec<String> = service.endpoints.iter().map(|e| format!("{word}.{}", e.name)).collect();
            let help = if names.is_empty() { "it listens nowhere".into() } else { format!("write {}", crate::cx::choice(&names)) };
            cx.error(code::NAM004, t.span, format!("`{word}` does not have one endpoint alone"), help);
            return Vec::new();
        }
    };
    let mut hosts: BTreeSet<HostName> = BTreeSet::new();
    let mut out = Vec::new();
    for to in node.texts("to") {
        if to.text == "all" {
            hosts.extend(d.model.hosts.keys().cloned());
            continue;
        }
        for party in parties.resolve(cx, &to) {
            match party {
                Party::Host(h) => {
                    let named = to.text == h.as_str();
                    if named && !runs(d, &h, &service.name) {
                        let message = format!("`{h}` does not run `{}`", service.name);
                        cx.error(code::NAM006, to.span, message, "add it to its `runs`, or give a port instead: port = \"…/tcp\"");
                    }
                    hosts.insert(h);
                }
                Party::Zone(z) => hosts.extend(d.model.hosts.values().filter(|h| h.interface(&z).is_some()).map(|h| h.name.clone())),
                outside => out.extend(fixed(&service, &endpoint, outside)),
            }
        }
    }
    for h in &hosts {
        for instance in d.model.hosts[h].instances.iter().filter(|i| i.service.name == service.name) {
            match instance.listens.iter().find(|l| l.endpoint == endpoint) {
                Some(l) if l.ports.is_empty() => {
                    let message = format!("`{}.{endpoint}` on {h} takes a random port", instance.name);
                    cx.error(code::FLW006, t.span, message, format!("pin it on {h}: ports = {{ {endpoint} = … }}"));
                }
                Some(l) => out.extend(l.proto.iter().map(|p| End {
                    to: Party::Host(h.clone()),
                    target: ProtoPorts { proto: *p, ports: l.ports.clone() },
                    service: Some((service.name.clone(), endpoint.clone(), instance.name.clone())),
                    app: l.app,
                })),
                None => cx.error(
                    code::NAM004,
                    t.span,
                    format!("`{}.{endpoint}` is off on {h}", instance.name),
                    format!("switch it on there by naming its port: ports = {{ {endpoint} = … }}"),
                ),
            }
        }
    }
    if out.is_empty() && !node.texts("to").is_empty() && !cx.failed() {
        let message = format!("nobody named here runs `{}`", service.name);
        cx.error(code::NAM006, t.span, message, "add it to the `runs` of a host, or name others");
    }
    out
}

fn runs(d: &Deriver<'_>, host: &HostName, service: &ServiceName) -> bool {
    d.model.hosts.get(host).is_some_and(|h| h.instances.iter().any(|i| &i.service.name == service))
}

/// A service outside: only its fixed port can be meant.
fn fixed(service: &catalog::Service, endpoint: &EndpointName, to: Party) -> Vec<End> {
    let Some(e) = service.endpoint(endpoint.as_str()) else { return Vec::new() };
    let ports = match &e.port {
        PortDefault::Fixed(p) => PortSet::one(*p),
        PortDefault::Range(r) => PortSet::from(*r),
        PortDefault::Random { suggest, .. } => PortSet::one(*suggest),
        PortDefault::None { .. } => PortSet::all(),
    };
    e.proto
        .iter()
        .map(|p| End { to: to.clone(), target: ProtoPorts { proto: *p, ports: ports.clone() }, service: None, app: e.app })
        .collect()
}
