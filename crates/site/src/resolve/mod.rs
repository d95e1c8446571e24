//! Resolution: in come the tree and the catalogue, out comes the site with every name resolved and every address checked,
//! still without flows.

mod addresses;
pub(crate) mod deadlines;
pub(crate) mod edge;
pub(crate) mod hosts;
pub(crate) mod places;
pub(crate) mod publish;
pub(crate) mod runs;
pub mod services;
pub(crate) mod zones;

use crate::{Accounts, EdgeKind, Flows, Instance, Layers, Mode, Model, code, cx::Cx, syntax::Node};
use hosts::Hosts;
use publish::PublishDraft;
use services::{Catalog, Services};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use toml::{Spanned, de::DeTable};
use words::{HostName, InstanceName, Span};
use zones::Zones;

/// The site without flows, and what the derivation needs besides.
pub(crate) struct Resolved<'c> {
    pub model: Model,
    pub services: Services<'c>,
    pub zones: Zones,
    pub hosts: Hosts,
    pub publishes: Vec<PublishDraft>,
    /// Resolvers and time servers given as addresses: service name, addresses, place.
    pub infrastructure: Vec<(&'static str, Vec<IpAddr>, Span)>,
    pub instance_spans: BTreeMap<(HostName, InstanceName), Span>,
}

/// Resolves the tree.
pub(crate) fn resolve<'c>(cx: &mut Cx<'_>, root: &Node, table: &Spanned<DeTable<'_>>, catalog: &'c Catalog) -> Resolved<'c> {
    let services = services::resolve(cx, table, catalog);
    let mut zones = zones::resolve(cx, root);
    let edge = edge::resolve(cx, root, &mut zones);
    let (management, by) = places::management(cx, root, &zones, &services);
    let mut hosts = hosts::resolve(cx, root, &zones, &edge, &services);
    let infrastructure = infrastructure(cx, root, &mut hosts, &services);
    storage_servers(root, &mut hosts, &services);
    runs::implicit(&mut hosts, &edge, &services, by.as_ref());
    gateways(&mut zones, &hosts, &edge.edge.nodes, edge.edge.kind);
    let (publishes, pins) = publish::resolve(cx, root, &hosts, &edge, &services);
    let mut instance_spans = BTreeMap::new();
    let empty = BTreeMap::new();
    let accounts = accounts(root);
    for (name, drafts) in &hosts.runs {
        let made: Vec<Instance> =
            drafts.iter().map(|d| runs::instance(cx, d, pins.get(&(name.clone(), d.name.clone())).unwrap_or(&empty), accounts)).collect();
        runs::collisions(cx, name, drafts, &made);
        instance_spans.extend(drafts.iter().map(|d| ((name.clone(), d.name.clone()), d.span)));
        if let Some(host) = hosts.map.get_mut(name) {
            host.instances = made;
        }
    }
    let site = root.get("site");
    let externals = places::externals(cx, root, &hosts);
    let storages = places::storages(cx, root, &hosts);
    let backups = places::backups(cx, root, &hosts);
    let parties = places::Parties { zones: &zones, hosts: &hosts, externals: &externals };
    let nevers = places::nevers(cx, root, &parties);
    let used = hosts.map.values().flat_map(|h| &h.instances).map(|i| (i.service.name.clone(), i.service.clone())).collect();
    let miners = miners(cx, site);
    let model = Model {
        name: site.and_then(|s| s.text("name")).map_or_else(|| "site".to_owned(), |t| t.text),
        deadlines: deadlines::resolve(cx, root, &hosts, &miners),
        miners,
        uplink_bps: uplink(cx, site),
        management,
        layers: layers(root),
        accounts,
        zones: zones.map.clone(),
        edge: edge.edge,
        hosts: hosts.map.clone(),
        groups: hosts.groups.clone(),
        publishes: publishes.iter().map(|p| p.publish.clone()).collect(),
        nevers,
        storages,
        backups,
        externals,
        weakenings: Vec::new(),
        flows: Flows::default(),
        services: used,
    };
    Resolved { model, services, zones, hosts, publishes, infrastructure, instance_spans }
}

/// A single node's own addresses are its zones' gateways.
fn gateways(zones: &mut Zones, hosts: &Hosts, nodes: &[HostName], kind: EdgeKind) {
    let [node] = nodes else { return };
    let Some(host) = hosts.map.get(node).filter(|_| kind == EdgeKind::Ravelin) else { return };
    for i in &host.interfaces {
        if let Some(zone) = zones.map.get_mut(&i.zone).filter(|z| z.gateways.is_empty() && !z.name.is_internet()) {
            zone.gateways = i.addresses.iter().map(|a| a.addr()).collect();
        }
    }
}

/// `site.dns` and `site.ntp`: addresses stay addresses, hosts run the service without being told.
fn infrastructure(cx: &mut Cx<'_>, root: &Node, hosts: &mut Hosts, services: &Services<'_>) -> Vec<(&'static str, Vec<IpAddr>, Span)> {
    let mut out = Vec::new();
    for key in ["dns", "ntp"] {
        let Some(node) = root.get("site").and_then(|s| s.get(key)) else { continue };
        let mut addresses = Vec::new();
        for t in node.as_texts() {
            if let Ok(a) = t.text.parse::<IpAddr>() {
                match hosts.map.values().find(|h| h.addresses().any(|x| x == a)).map(|h| h.name.clone()) {
                    Some(host) => serve(hosts, &host, key, services, t.span),
                    None => addresses.push(a),
                }
            } else if let Some(host) = hosts.find(cx, &t) {
                serve(hosts, &host, key, services, t.span);
            }
        }
        if !addresses.is_empty() {
            out.push((key, addresses, node.span));
        }
    }
    out
}

/// Hosts that serve a store run its service without being told.
fn storage_servers(root: &Node, hosts: &mut Hosts, services: &Services<'_>) {
    for node in root.get("storage").map(Node::items).unwrap_or_default() {
        let Some(kind) = node.text("kind") else { continue };
        for t in node.texts("host") {
            let names: Vec<HostName> = match hosts.groups.get(t.text.as_str()) {
                Some(members) => members.iter().cloned().collect(),
                None => hosts.map.get_key_value(t.text.as_str()).map(|(n, _)| n.clone()).into_iter().collect(),
            };
            for name in names {
                serve(hosts, &name, &kind.text, services, t.span);
            }
        }
    }
}

fn serve(hosts: &mut Hosts, host: &HostName, service: &str, services: &Services<'_>, span: Span) {
    let (Some(service), Some(runs)) = (services.get(service), hosts.runs.get_mut(host)) else { return };
    let Ok(name) = InstanceName::new(service.name.as_str()) else { return };
    if runs.iter().any(|r| r.service.name == service.name || r.name == name) {
        return;
    }
    runs.push(runs::RunDraft {
        service: service.clone(),
        name,
        account: None,
        repo: None,
        container: None,
        loopback: None,
        bind: None,
        unit: None,
        stores: Vec::new(),
        needs: BTreeSet::new(),
        ports: BTreeMap::new(),
        uses: BTreeMap::new(),
        span,
        path: String::new(),
        implicit: true,
    });
}

fn accounts(root: &Node) -> Accounts {
    match root.get("site").and_then(|s| s.text("accounts")).map(|t| t.text).as_deref() {
        Some("shared") => Accounts::Shared,
        Some("per-service") => Accounts::PerService,
        _ => Accounts::Catalogue,
    }
}

fn layers(root: &Node) -> Layers {
    let mode = |key: &str| match root.get("layers").and_then(|l| l.text(key)).map(|t| t.text).as_deref() {
        Some("off") => Mode::Off,
        Some("enforce") => Mode::Enforce,
        _ => Mode::Observe,
    };
    Layers { network: mode("network"), methods: mode("methods"), ips: mode("ips"), selinux: mode("selinux"), system: mode("system") }
}

/// Miner ids of a table's `miners`.
pub(super) fn miners(cx: &mut Cx<'_>, table: Option<&Node>) -> Vec<String> {
    let mut out = Vec::new();
    for t in table.map(|s| s.texts("miners")).unwrap_or_default() {
        let digits = t.text.strip_prefix("f0").or_else(|| t.text.strip_prefix("t0"));
        if digits.is_some_and(|d| !d.is_empty() && d.len() <= 20 && d.bytes().all(|b| b.is_ascii_digit())) {
            out.push(t.text);
        } else {
            cx.error(
                code::SITE005,
                t.span,
                format!("`{}` is not a miner id", t.text),
                "a miner id looks like f01234 (t01234 on a test network)",
            );
        }
    }
    out
}

fn uplink(cx: &mut Cx<'_>, site: Option<&Node>) -> Option<u64> {
    let t = site?.text("uplink")?;
    let split = t.text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(t.text.len());
    let (number, unit) = t.text.split_at(split);
    let factor = match unit.trim().to_lowercase().trim_end_matches("/s").trim_end_matches("ps") {
        "kbit" => Some(1e3),
        "mbit" => Some(1e6),
        "gbit" => Some(1e9),
        "tbit" => Some(1e12),
        _ => None,
    };
    match (number.parse::<f64>(), factor) {
        // Below 2^53 every whole number of bits per second is exact; the range check keeps it there.
        (Ok(n), Some(f)) if n > 0.0 && n * f < 1e15 => Some((n * f) as u64),
        _ => {
            cx.error(
                code::SITE009,
                t.span,
                format!("`{}` is not a bandwidth", t.text),
                "write a number and a unit: 500Mbit, 10Gbit, 2.5Gbit",
            );
            None
        }
    }
}
