//! Stores, places outside, prohibitions, management: in come their tables, out comes the same with names resolved.

use super::{
    hosts::Hosts,
    services::Services,
    zones::{SYNC, Zones},
};
use crate::{
    BACKUP_HOURS, Backup, External, Management, Never, Party, Storage, code,
    cx::Cx,
    syntax::{Node, Text},
};
use catalog::Service;
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr, sync::Arc};
use words::{Diagnostic, GroupName, HostName, Origin, ServiceName, ZoneName};

/// Reads `[[storage]]`: one entry per serving host.
pub(crate) fn storages(cx: &mut Cx<'_>, root: &Node, hosts: &Hosts) -> Vec<Storage> {
    let mut out = Vec::new();
    for node in root.get("storage").map(Node::items).unwrap_or_default() {
        let Some(kind) = node.text("kind") else { continue };
        let users = hosts.find_all(cx, &node.texts("users"));
        for host in hosts.find_all(cx, &node.texts("host")) {
            out.push(Storage {
                kind: kind.text.clone(),
                users: users.iter().filter(|u| **u != host).cloned().collect(),
                host,
                mount: node.text("mount").map(|t| t.text),
                holds: node.text("holds").map(|t| t.text),
                origin: cx.origin(node.span, node.path.clone()),
            });
        }
    }
    out
}

/// Reads `[[backup]]`: one entry per host it lies on.
pub(crate) fn backups(cx: &mut Cx<'_>, root: &Node, hosts: &Hosts) -> Vec<Backup> {
    let mut out = Vec::new();
    for node in root.get("backup").map(Node::items).unwrap_or_default() {
        let Some((of, path)) = node.text("of").zip(node.text("path")) else { continue };
        let Some(of) = facts::Asset::ALL.into_iter().find(|a| a.word() == of.text) else { continue };
        let above = path.text.rsplit_once('/').map_or("", |(d, _)| d);
        if !path.text.starts_with('/') || above.contains('*') || path.text.ends_with('/') {
            let help = "an absolute path, with stars in its last part only: /srv/backup/keys-*.age";
            cx.error(code::SITE005, path.span, format!("`{}` is no path of a backup", path.text), help);
            continue;
        }
        for host in hosts.find_all(cx, &node.texts("host")) {
            out.push(Backup {
                of,
                host,
                path: path.text.clone(),
                max_age: node.int("max-age").and_then(|(n, _)| u32::try_from(n).ok()).unwrap_or(BACKUP_HOURS),
                copy: node.text("copy").map(|t| t.text),
                origin: cx.origin(node.span, node.path.clone()),
            });
        }
    }
    out
}

/// Reads `[external]`.
pub(crate) fn externals(cx: &mut Cx<'_>, root: &Node, hosts: &Hosts) -> BTreeMap<String, External> {
    let mut out = BTreeMap::new();
    for e in root.get("external").map(Node::entries).unwrap_or_default() {
        let Some(name) = cx.name::<ServiceName>(&e.key, e.key_span) else { continue };
        let node = &e.node;
        let names = node.texts("names");
        for t in &names {
            let ok = !t.text.is_empty() && t.text.len() <= 253 && t.text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._*".contains(&b));
            if !ok || t.text.parse::<IpAddr>().is_ok() {
                let help = "a name looks like hooks.slack.com; addresses go under `addresses`";
                cx.error(code::SITE005, t.span, format!("`{}` is not a DNS name", t.text), help);
            }
        }
        let nets: Vec<IpNet> = node.texts("addresses").iter().filter_map(|t| cx.net(t)).collect();
        if node.get("names").is_none() && node.get("addresses").is_none() {
            let help = "add names = [\"hooks.slack.com\"] or addresses = [\"192.0.2.10\"]";
            cx.error(code::SITE003, e.key_span, format!("`{}` says neither `names` nor `addresses`", node.path), help);
        }
        let target = node.texts("port").iter().filter_map(|t| cx.ports(t)).collect();
        let users = hosts.find_all(cx, &node.texts("users"));
        let origin = cx.origin(e.key_span, node.path.clone());
        out.insert(name.to_string(), External { names: names.into_iter().map(|t| t.text).collect(), nets, target, users, origin });
    }
    out
}

/// Who can stand after `from` and `to`.
pub(crate) struct Parties<'p> {
    pub zones: &'p Zones,
    pub hosts: &'p Hosts,
    pub externals: &'p BTreeMap<String, External>,
}

impl Parties<'_> {
    /// What one word means; empty after a diagnostic.
    pub fn resolve(&self, cx: &mut Cx<'_>, t: &Text) -> Vec<Party> {
        let word = t.text.as_str();
        if word == ZoneName::INTERNET {
            return vec![Party::Public];
        }
        if word == "all" {
            return self.zones.inner().filter(|z| z.name.as_str() != SYNC).map(|z| Party::Zone(z.name.clone())).collect();
        }
        if let Some((zone, _)) = self.zones.map.get_key_value(word) {
            return vec![Party::Zone(zone.clone())];
        }
        if let Some(members) = self.hosts.groups.get(word) {
            return members.iter().cloned().map(Party::Host).collect();
        }
        if let Some((host, _)) = self.hosts.map.get_key_value(word) {
            return vec![Party::Host(host.clone())];
        }
        if let Some(e) = self.externals.get(word) {
            return vec![if e.nets.is_empty() { Party::Public } else { Party::Outside(word.to_owned(), e.nets.clone()) }];
        }
        if word.contains('/') || word.parse::<IpAddr>().is_ok() {
            return cx.net(t).map(|n| Party::Outside(word.to_owned(), vec![n])).into_iter().collect();
        }
        let (zones, hosts) = (self.zones.map.keys().map(ZoneName::as_str), self.hosts.map.keys().map(HostName::as_str));
        let groups = self.hosts.groups.keys().map(GroupName::as_str);
        let names = zones.chain(hosts).chain(groups).chain(self.externals.keys().map(String::as_str)).chain(["all"]);
        let help = crate::cx::meant(word, names, "declare zones, hosts or groups");
        cx.error(code::NAM005, t.span, format!("`{word}` is no zone, host, group, place outside or address"), help);
        Vec::new()
    }
    /// What several words mean.
    pub fn resolve_all(&self, cx: &mut Cx<'_>, texts: &[Text]) -> Vec<Party> {
        let mut out: Vec<Party> = texts.iter().flat_map(|t| self.resolve(cx, t)).collect();
        out.sort();
        out.dedup();
        out
    }
}

/// Reads `[[never]]`. Here `internet` is the zone: nothing outside may, public or not.
pub(crate) fn nevers(cx: &mut Cx<'_>, root: &Node, parties: &Parties<'_>) -> Vec<Never> {
    let mut out = Vec::new();
    for node in root.get("never").map(Node::items).unwrap_or_default() {
        let outside = |p: Party| if p == Party::Public { Party::Zone(ZoneName::internet()) } else { p };
        let mut from = parties.resolve_all(cx, &node.texts("from"));
        // Nobody at all: outside as well.
        if node.texts("from").iter().any(|t| t.text == "all") && !from.contains(&Party::Public) {
            from.push(Party::Public);
        }
        let to = parties.resolve_all(cx, &node.texts("to"));
        let targets: Vec<Option<words::ProtoPorts>> = match node.get("port") {
            Some(_) => node.texts("port").iter().filter_map(|t| cx.ports(t)).map(Some).collect(),
            None => vec![None],
        };
        let origin = cx.origin(node.span, node.path.clone());
        for (f, t) in from.iter().flat_map(|f| to.iter().map(move |t| (f, t))).filter(|(f, t)| f != t) {
            for target in &targets {
                out.push(Never { from: outside(f.clone()), to: outside(t.clone()), target: target.clone(), origin: origin.clone() });
            }
        }
    }
    out
}

/// The service operators use where the file names none.
const DEFAULT_BY: &str = "ssh";

/// Reads `site.management`, and gives the service it uses.
pub(crate) fn management(cx: &mut Cx<'_>, root: &Node, zones: &Zones, services: &Services<'_>) -> (Management, Option<Arc<Service>>) {
    let entry = root.get("site").and_then(|s| s.entry("management"));
    let by = entry.and_then(|e| e.node.text("by"));
    let service = match &by {
        Some(t) => services.find(cx, &t.text, t.span),
        None => services.get(DEFAULT_BY).cloned(),
    };
    let by = match service.as_ref().map(|s| Ok(s.name.clone())).unwrap_or_else(|| ServiceName::new(DEFAULT_BY)) {
        Ok(name) => name,
        Err(e) => unreachable!("`{DEFAULT_BY}` is a name: {e}"),
    };
    let mut out = Management { zones: vec![], nets: vec![], by, origin: site_origin(cx, root) };
    let Some(e) = entry else {
        if let Some(site) = root.entry("site") {
            let d = Diagnostic::warning(code::SITE013, "no management path is declared: nothing keeps the operators' way in open")
                .at(site.key_span, "");
            cx.push(d.help("add management = { from = [\"198.51.100.7/32\"], by = \"ssh\" } with your own zone or address"));
        }
        return (out, service);
    };
    out.origin = cx.origin(e.key_span, e.node.path.clone());
    for t in e.node.texts("from") {
        if t.text.parse::<IpAddr>().is_ok() || t.text.contains('/') {
            out.nets.extend(cx.net(&t));
        } else if t.text == ZoneName::INTERNET {
            let help = "name the operators' addresses: from = [\"198.51.100.7/32\"]";
            cx.error(code::SITE015, t.span, "the management path cannot come from the whole Internet", help);
        } else {
            out.zones.extend(zones.find(cx, &t));
        }
    }
    out.zones.sort();
    out.zones.dedup();
    out.nets.sort_unstable();
    out.nets.dedup();
    (out, service)
}

fn site_origin(cx: &Cx<'_>, root: &Node) -> Origin {
    cx.origin(root.entry("site").map(|e| e.key_span).unwrap_or_default(), "site")
}
