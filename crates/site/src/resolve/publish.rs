//! Publications: in comes `[[publish]]`, out come publications with public addresses and ports, and the ports they pin.

use super::{
    edge::EdgeDraft,
    hosts::Hosts,
    runs::RunDraft,
    services::{Services, split},
};
use crate::{EdgeKind, Host, Publish, code, cx::Cx, model::Limit, special, syntax::Node};
use catalog::PortDefault;
use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
};
use words::{Diagnostic, EndpointName, HostName, InstanceName, Span, ZoneName};

/// A publication with what only the derivation needs.
pub(crate) struct PublishDraft {
    pub publish: Publish,
    pub why: Option<String>,
    pub until: Option<jiff::civil::Date>,
    /// A date is there, but is none: told already.
    pub until_unread: bool,
    pub span: Span,
}

/// Ports that publications pin, by host and instance.
pub(crate) type Pins = BTreeMap<(HostName, InstanceName), BTreeMap<EndpointName, u16>>;

/// Reads `[[publish]]`.
pub(crate) fn resolve(cx: &mut Cx<'_>, root: &Node, hosts: &Hosts, edge: &EdgeDraft, services: &Services<'_>) -> (Vec<PublishDraft>, Pins) {
    let mut out: Vec<PublishDraft> = Vec::new();
    let mut pins = Pins::new();
    for node in root.get("publish").map(Node::items).unwrap_or_default() {
        if let Some(draft) = one(cx, node, hosts, edge, services, &mut pins) {
            clash(cx, &out, &draft);
            out.push(draft);
        }
    }
    (out, pins)
}

fn one(cx: &mut Cx<'_>, node: &Node, hosts: &Hosts, edge: &EdgeDraft, services: &Services<'_>, pins: &mut Pins) -> Option<PublishDraft> {
    let why = node.text("why").map(|t| t.text);
    let until = node.text("until").and_then(|t| cx.date(&t));
    let (t, on) = (node.text("service")?, node.text("on")?);
    let name = hosts.find(cx, &on)?;
    let (host, runs) = (&hosts.map[&name], &hosts.runs[&name]);
    let known = |s: &str| services.get(s).is_some() || runs.iter().any(|r| r.name.as_str() == s);
    let (word, endpoint) = split(&t, known);
    let run = instance(cx, runs, word, &name, &t, services)?;
    let endpoint = match endpoint {
        Some(e) => services.endpoint(cx, &run.service, e, t.span)?,
        None if run.service.endpoints.len() == 1 => run.service.endpoints[0].name.clone(),
        None => {
            let names: Vec<String> = run.service.endpoints.iter().map(|e| format!("{word}.{}", e.name)).collect();
            cx.error(code::NAM004, t.span, format!("`{word}` has several endpoints"), format!("write {}", crate::cx::choice(&names)));
            return None;
        }
    };
    let entry = run.service.endpoint(endpoint.as_str())?;
    let number = |key| node.int(key).and_then(|(n, _)| u16::try_from(n).ok());
    let own = run.ports.get(&endpoint).copied().or(match entry.port {
        PortDefault::Fixed(p) => Some(p),
        _ => None,
    });
    let Some(port) = number("port").or(own) else {
        let suggest = match entry.port {
            PortDefault::Random { suggest, .. } => suggest,
            _ => 24_001,
        };
        cx.error(code::FLW006, t.span, format!("`{}.{endpoint}` has no port of its own", run.name), format!("write port = {suggest}"));
        return None;
    };
    let host_port = number("host-port").or(own).unwrap_or(port);
    pins.entry((name.clone(), run.name.clone())).or_default().insert(endpoint.clone(), host_port);
    let given = node.texts("at");
    let at = if given.is_empty() { default_at(host, hosts, edge) } else { given.iter().filter_map(|t| at(cx, t, host, edge)).collect() };
    let anywhere = edge.edge.kind == EdgeKind::None && host.addresses().next().is_none();
    if at.is_empty() && given.is_empty() && !anywhere {
        let d = Diagnostic::error(code::FLW009, format!("no public address is known for `{name}`")).at(on.span, "");
        cx.push(d.help("write at = \"203.0.113.5\", one of the site's public addresses"));
    }
    let publish = Publish {
        host: name,
        instance: run.name.clone(),
        endpoint,
        at,
        port,
        host_port,
        proto: entry.proto.clone(),
        limit: node.get("limit").and_then(limit),
        origin: cx.origin(node.span, node.path.clone()),
    };
    let until_unread = until.is_none() && node.get("until").is_some();
    Some(PublishDraft { publish, why, until, until_unread, span: t.span })
}

/// Both keys are required and in range: what is not was told by the structural check.
fn limit(node: &Node) -> Option<Limit> {
    let number = |key| node.int(key).and_then(|(n, _)| u32::try_from(n).ok());
    Some(Limit { new: number("new")?, held: number("held")? })
}

/// The instance a word means on a host: by its own name, or by its service's where there is one.
pub(crate) fn instance<'r>(
    cx: &mut Cx<'_>,
    runs: &'r [RunDraft],
    word: &str,
    host: &HostName,
    t: &crate::syntax::Text,
    services: &Services<'_>,
) -> Option<&'r RunDraft> {
    if let Some(run) = runs.iter().find(|r| r.name.as_str() == word) {
        return Some(run);
    }
    let of: Vec<&RunDraft> = runs.iter().filter(|r| r.service.name.as_str() == word).collect();
    match of.as_slice() {
        [one] => Some(one),
        [] => {
            services.find(cx, word, t.span)?;
            let names: Vec<&str> = runs.iter().filter(|r| !r.implicit).map(|r| r.name.as_str()).collect();
            let help = if names.is_empty() {
                format!("add it: runs = [\"{word}\"]")
            } else {
                format!("it runs {}; add it to `runs`, or name another host", crate::cx::list(&names))
            };
            cx.error(code::NAM006, t.span, format!("`{host}` does not run `{word}`"), help);
            None
        }
        several => {
            let names: Vec<&str> = several.iter().map(|r| r.name.as_str()).collect();
            cx.error(
                code::NAM007,
                t.span,
                format!("`{host}` runs several instances of `{word}`"),
                format!("write {}", crate::cx::choice(&names)),
            );
            None
        }
    }
}

fn at(cx: &mut Cx<'_>, t: &crate::syntax::Text, host: &Host, edge: &EdgeDraft) -> Option<IpAddr> {
    let a = cx.address(t)?;
    let own = host.addresses().any(|h| h == a);
    let (message, help) = if a.is_ipv6() && !own && !host.interfaces.iter().all(|i| i.addresses.is_empty()) {
        (
            format!("{a} is not an address of `{}`", host.name),
            "IPv6 is published at the host's own address; it is not translated".to_owned(),
        )
    } else if !special::is_public(&a) && edge.edge.kind != EdgeKind::None {
        (format!("{a} is not a public address"), "the Internet cannot reach a private address: name one of edge.public".to_owned())
    } else if !own && !edge.edge.wan_dynamic && !edge.edge.public.is_empty() && !edge.edge.public.iter().any(|n| n.contains(&a)) {
        (format!("{a} is not one of the site's public addresses"), format!("edge.public is {}", crate::cx::list(&edge.edge.public)))
    } else {
        return Some(a);
    };
    cx.error(code::ADR008, t.span, message, help);
    None
}

/// The host's own public addresses; for IPv4 else the edge's.
fn default_at(host: &Host, hosts: &Hosts, edge: &EdgeDraft) -> Vec<IpAddr> {
    let kind = edge.edge.kind;
    let mut out: Vec<IpAddr> = host.addresses().filter(|a| special::is_public(a) || kind == EdgeKind::None).collect();
    if out.iter().any(IpAddr::is_ipv4) {
        return out;
    }
    let vip = edge.edge.vip.get(ZoneName::INTERNET).and_then(|v| v.iter().find(|a| a.is_ipv4()).copied());
    let node = || {
        let first = hosts.map.get(edge.edge.nodes.first()?)?;
        first.interface(&ZoneName::internet())?.addresses.iter().map(|n| n.addr()).find(IpAddr::is_ipv4)
    };
    let dynamic = edge.edge.wan_dynamic.then_some(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
    if kind == EdgeKind::Ravelin {
        out.extend(vip.or_else(node).or(dynamic));
    }
    out
}

fn clash(cx: &mut Cx<'_>, earlier: &[PublishDraft], draft: &PublishDraft) {
    let p = &draft.publish;
    // Behind the edge's translation both arrive at the same port: one meter cannot tell them apart.
    let endpoint = |p: &Publish| (p.host.clone(), p.instance.clone(), p.endpoint.clone(), p.host_port);
    if let Some(other) = earlier.iter().find(|o| endpoint(&o.publish) == endpoint(p) && o.publish.limit != p.limit) {
        let d = Diagnostic::error(code::FLW013, format!("`{}.{}` is published twice with different limits", p.instance, p.endpoint))
            .at(draft.span, "")
            .at(other.span, "the other one")
            .help("write the same `limit` on both: it is held where the service listens");
        cx.push(d);
    }
    let other = earlier.iter().find(|o| {
        let o = &o.publish;
        o.port == p.port && o.at.iter().any(|a| p.at.contains(a)) && o.proto.iter().any(|x| p.proto.contains(x))
    });
    if let Some(other) = other {
        let d = Diagnostic::error(code::FLW005, format!("port {} of the same public address is published twice", p.port))
            .at(draft.span, "")
            .at(other.span, "the other one")
            .help("publish one of them at another port or another address");
        cx.push(d);
    }
}
