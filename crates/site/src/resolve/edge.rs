//! The perimeter: in comes `[edge]`, out comes the edge, the zone `sync`, and the zones' gateways. Where a pair's virtual
//! address is not given, a routed zone's gateway is the first address of each of its subnets.

use super::zones::{SYNC, Zones};
use crate::{
    Edge, EdgeKind, Inspection, Zone, code,
    cx::Cx,
    syntax::{Node, Text},
};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Diagnostic, HostName, Origin, Span, ZoneName};

/// Most nodes an edge can have: VRRP allows more, the synchronised connection state does not.
const MAX_NODES: usize = 2;

/// The edge and where it is said.
pub(crate) struct EdgeDraft {
    pub edge: Edge,
    pub node_spans: BTreeMap<HostName, Span>,
    pub vip_spans: BTreeMap<IpAddr, Span>,
    pub span: Span,
}

/// Reads `[edge]`.
pub(crate) fn resolve(cx: &mut Cx<'_>, root: &Node, zones: &mut Zones) -> EdgeDraft {
    let default = Origin::Builtin { code: "edge".into(), why: "no [edge]: the host layer is the perimeter".into() };
    let entry = root.entry("edge");
    let span = entry.map(|e| e.key_span).unwrap_or_default();
    let empty = Node { value: crate::syntax::node::Value::Table(vec![]), span, path: "edge".into() };
    let node = entry.map_or(&empty, |e| &e.node);
    let origin = entry.map_or(default, |e| cx.origin(e.key_span, "edge"));
    let kind = match node.text("kind").map(|t| t.text).as_deref() {
        Some("external") => EdgeKind::External,
        Some("ravelin") => EdgeKind::Ravelin,
        _ => EdgeKind::None,
    };
    let public: Vec<IpNet> = node.texts("public").iter().filter_map(|t| cx.net(t)).collect();
    let wan_dynamic = node.text("wan").is_some_and(|t| t.text == "dynamic");
    let mut draft = EdgeDraft {
        edge: Edge { kind, nodes: vec![], public, wan_dynamic, sync: None, vip: BTreeMap::new(), egress_address: None, ips: None, origin },
        node_spans: BTreeMap::new(),
        vip_spans: BTreeMap::new(),
        span,
    };
    nodes(cx, node, &mut draft);
    sync(cx, node, &mut draft, zones);
    vips(cx, node, &mut draft, zones);
    draft.edge.egress_address = node.text("egress-address").and_then(|t| cx.address(&t)).or_else(|| {
        let vip = draft.edge.vip.get(ZoneName::INTERNET)?;
        vip.iter().find(|a| a.is_ipv4()).copied()
    });
    draft.edge.ips = inspected(cx, node, zones).filter(|_| kind == EdgeKind::Ravelin);
    draft
}

fn inspected(cx: &mut Cx<'_>, node: &Node, zones: &Zones) -> Option<Inspection> {
    let entry = node.entry("ips")?;
    let ips = &entry.node;
    let named = ips.texts("inspect");
    let mut found: BTreeSet<ZoneName> = named.iter().filter_map(|t| zones.find(cx, t)).collect();
    if named.is_empty() {
        found.insert(ZoneName::internet());
    }
    let extent = ips.text("extent");
    if let Some(t) = extent.as_ref().filter(|t| !is_extent(&t.text)) {
        let help = "write \"all\", \"until-opaque\", or bytes such as \"4MiB\"";
        cx.error(code::EDGE008, t.span, format!("`{}` does not say how long flows are looked at", t.text), help);
    }
    Some(Inspection {
        zones: found,
        rules: ips.texts("rules").into_iter().map(|t| t.text).collect(),
        open: ips.text("on-failure").is_none_or(|t| t.text == "open"),
        extent: extent.map_or_else(|| "until-opaque".to_owned(), |t| t.text),
        origin: cx.origin(entry.key_span, "edge.ips"),
    })
}

/// `all`, `until-opaque`, or bytes.
fn is_extent(text: &str) -> bool {
    let bytes = |t: &str| {
        let digits = t.find(|c: char| !c.is_ascii_digit()).unwrap_or(t.len());
        let (number, unit) = t.split_at(digits);
        number.parse::<u64>().is_ok() && ["", "B", "KiB", "MiB", "GiB"].contains(&unit.trim())
    };
    ["all", "until-opaque"].contains(&text) || bytes(text)
}

fn nodes(cx: &mut Cx<'_>, node: &Node, draft: &mut EdgeDraft) {
    let texts = node.texts("nodes");
    let ravelin = draft.edge.kind == EdgeKind::Ravelin;
    for t in &texts {
        if let Some(name) = cx.name::<HostName>(&t.text, t.span) {
            if draft.node_spans.insert(name.clone(), t.span).is_some() {
                cx.error(code::SITE006, t.span, format!("`{name}` is named twice"), "name each node once");
            } else {
                draft.edge.nodes.push(name);
            }
        }
    }
    let cite = node.entry("kind").map_or(draft.span, |e| e.node.span);
    if ravelin && texts.is_empty() {
        cx.error(code::EDGE001, cite, "a Ravelin edge needs nodes", "name one host or two: nodes = [\"fw-a\", \"fw-b\"]");
    }
    if !ravelin {
        for key in ["nodes", "sync", "vip", "ips"] {
            if let Some(e) = node.entry(key) {
                let help = "write kind = \"ravelin\", or take the key out";
                cx.error(code::EDGE001, e.key_span, format!("`edge.{key}` belongs to an edge of kind `ravelin`"), help);
            }
        }
    }
    if texts.len() > MAX_NODES {
        cx.error(code::EDGE003, texts[MAX_NODES].span, format!("an edge has one node or two, not {}", texts.len()), "keep two");
    }
    if ravelin && texts.len() == 1 {
        cx.push(
            Diagnostic::note(code::EDGE006, "the edge has one node: no redundancy")
                .at(texts[0].span, "")
                .help("a second node and `sync` make a pair"),
        );
    }
}

fn sync(cx: &mut Cx<'_>, node: &Node, draft: &mut EdgeDraft, zones: &mut Zones) {
    let text = node.get("sync").and_then(|s| s.text("subnet"));
    let pair = draft.edge.kind == EdgeKind::Ravelin && draft.edge.nodes.len() == 2;
    let Some(t) = text else {
        if pair && node.get("sync").is_none() {
            cx.error(
                code::EDGE002,
                draft.span,
                "a pair needs a link of its own for connection state",
                "add sync = { subnet = \"10.255.0.0/30\" }",
            );
        }
        return;
    };
    let Some(net) = cx.net(&t) else { return };
    if net.max_prefix_len() - net.prefix_len() < 1 {
        cx.error(code::EDGE002, t.span, format!("{net} has no room for two nodes"), "use a /30 (v4) or a /126 (v6)");
        return;
    }
    if let Some(other) = zones.inner().find(|z| z.subnets.iter().any(|n| n.contains(&net) || net.contains(n))) {
        let message = format!("the sync subnet {net} overlaps zone `{}`", other.name);
        cx.error(code::ADR005, t.span, message, "give the pair a subnet of its own, on a cable of its own");
        return;
    }
    if let Ok(name) = ZoneName::new(SYNC) {
        let origin = cx.origin(t.span, &t.path);
        zones.spans.insert(name.clone(), t.span);
        zones.map.insert(
            name.clone(),
            Zone { name, vlan: None, subnets: vec![net], gateways: vec![], routed: false, advertised: Some(false), origin },
        );
    }
    draft.edge.sync = Some(net);
}

fn vips(cx: &mut Cx<'_>, node: &Node, draft: &mut EdgeDraft, zones: &mut Zones) {
    if draft.edge.kind != EdgeKind::Ravelin {
        return;
    }
    for e in node.get("vip").map(Node::entries).unwrap_or_default() {
        let key = Text { text: e.key.clone(), span: e.key_span, path: e.node.path.clone() };
        let Some(zone) = zones.find(cx, &key) else { continue };
        if !zones.map[&zone].routed {
            cx.error(
                code::EDGE007,
                e.key_span,
                format!("zone `{zone}` is not routed, so it has no virtual address"),
                "take out the address, or `routed = false`",
            );
            continue;
        }
        for t in e.node.as_texts() {
            let address = if zone.is_internet() {
                cx.address(&t).filter(|a| belongs(cx, draft, a, t.span))
            } else {
                let subnets = zones.map[&zone].subnets.clone();
                super::zones::inside(cx, &t, &zone, &subnets)
            };
            if let Some(a) = address {
                draft.vip_spans.insert(a, t.span);
                draft.edge.vip.entry(zone.clone()).or_default().push(a);
            }
        }
    }
    if draft.edge.nodes.len() != 2 {
        return;
    }
    let routed: Vec<(ZoneName, Vec<IpNet>)> = zones.inner().filter(|z| z.routed).map(|z| (z.name.clone(), z.subnets.clone())).collect();
    for (zone, subnets) in routed {
        let given = draft.edge.vip.entry(zone.clone()).or_default();
        for net in subnets {
            let same = |a: &IpAddr| a.is_ipv4() == net.addr().is_ipv4();
            if !given.iter().any(same) && zones.map[&zone].gateways.iter().all(|g| !same(g)) {
                let first = net.hosts().find(|a| *a != net.network());
                draft.vip_spans.extend(first.map(|a| (a, draft.span)));
                given.extend(first);
            }
        }
        given.sort_unstable();
        if let Some(z) = zones.map.get_mut(&zone).filter(|z| z.gateways.is_empty()) {
            z.gateways = given.clone();
        }
    }
}

fn belongs(cx: &mut Cx<'_>, draft: &EdgeDraft, address: &IpAddr, span: Span) -> bool {
    if draft.edge.wan_dynamic || draft.edge.public.is_empty() || draft.edge.public.iter().any(|n| n.contains(address)) {
        return true;
    }
    let help = format!("edge.public is {}", crate::cx::list(&draft.edge.public));
    cx.error(code::ADR008, span, format!("{address} is not one of the site's public addresses"), help);
    false
}
