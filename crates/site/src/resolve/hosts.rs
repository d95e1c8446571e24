//! Machines: in come `[hosts]` and `[groups]`, out come hosts with their addresses and what they run. A group is read
//! once and then made into its members, so that one mistake is reported once.

use super::{
    edge::EdgeDraft,
    runs::{self, RunDraft},
    services::Services,
    zones::Zones,
};
use crate::{
    EdgeKind, Firewall, Host, code,
    cx::Cx,
    syntax::{Entry, Node, Text, range},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Diagnostic, GroupName, HostName, Span};

/// Hosts and groups, and where they are said.
pub(crate) struct Hosts {
    pub map: BTreeMap<HostName, Host>,
    pub groups: BTreeMap<GroupName, BTreeSet<HostName>>,
    pub spans: BTreeMap<HostName, Span>,
    /// What each runs, before ports and bindings are known.
    pub runs: BTreeMap<HostName, Vec<RunDraft>>,
}

impl Hosts {
    /// A host by name, or a diagnostic.
    pub fn find(&self, cx: &mut Cx<'_>, t: &Text) -> Option<HostName> {
        if let Some((name, _)) = self.map.get_key_value(t.text.as_str()) {
            return Some(name.clone());
        }
        let help = match self.groups.contains_key(t.text.as_str()) {
            true => format!("`{}` is a group; name one of its hosts", t.text),
            false => crate::cx::meant(&t.text, self.map.keys().map(HostName::as_str), "declare hosts under [hosts]"),
        };
        cx.error(code::NAM001, t.span, format!("no host is called `{}`", t.text), help);
        None
    }
    /// Hosts and groups, or a diagnostic.
    pub fn find_all(&self, cx: &mut Cx<'_>, texts: &[Text]) -> BTreeSet<HostName> {
        let mut out = BTreeSet::new();
        for t in texts {
            if let Some(members) = self.groups.get(t.text.as_str()) {
                out.extend(members.iter().cloned());
            } else if t.text == "all" {
                out.extend(self.map.keys().cloned());
            } else if let Some((name, _)) = self.map.get_key_value(t.text.as_str()) {
                out.insert(name.clone());
            } else {
                let names = self.map.keys().map(HostName::as_str).chain(self.groups.keys().map(GroupName::as_str));
                let help = crate::cx::meant(&t.text, names, "declare hosts under [hosts]");
                cx.error(code::NAM001, t.span, format!("no host or group is called `{}`", t.text), help);
            }
        }
        out
    }
}

/// Owner of the edge's virtual addresses; not a host's name.
pub(super) const VIP: &str = "the edge's virtual address";

/// What makes hosts: the site so far, and whose each address is.
pub(super) struct Maker<'m> {
    pub(super) zones: &'m Zones,
    pub(super) edge: &'m EdgeDraft,
    pub(super) owners: BTreeMap<IpAddr, (String, Span)>,
    /// The site's one host, without an edge: it may leave out its address.
    pub(super) single: bool,
    hosts: Hosts,
}

/// Reads `[hosts]` and `[groups]`.
pub(crate) fn resolve(cx: &mut Cx<'_>, root: &Node, zones: &Zones, edge: &EdgeDraft, services: &Services<'_>) -> Hosts {
    let entries = |key: &str| root.get(key).map(Node::entries).unwrap_or_default();
    let hosts = Hosts { map: BTreeMap::new(), groups: BTreeMap::new(), spans: BTreeMap::new(), runs: BTreeMap::new() };
    let owners = edge.vip_spans.iter().map(|(a, s)| (*a, (VIP.to_owned(), *s))).collect();
    let single = entries("hosts").len() == 1 && entries("groups").is_empty() && edge.edge.kind == EdgeKind::None;
    let mut maker = Maker { zones, edge, owners, single, hosts };
    for entry in entries("hosts") {
        if let Some(name) = cx.name::<HostName>(&entry.key, entry.key_span) {
            let runs = runs::read(cx, &entry.node, services);
            maker.add(cx, entry, name, 0, 1, runs);
        }
    }
    for entry in entries("groups") {
        maker.group(cx, entry, services);
    }
    for (name, span) in &edge.node_spans {
        if !maker.hosts.map.contains_key(name) {
            let help = format!("add it: {name} = {{ address = {{ internet = \"…\" }} }} under [hosts]");
            cx.error(code::NAM001, *span, format!("no host is called `{name}`, but the edge has a node of this name"), help);
        }
    }
    if maker.hosts.map.is_empty() && !cx.failed() {
        let d = Diagnostic::error(code::SITE012, "the site has no host");
        cx.push(d.help("add one: [hosts.NAME] with runs = [\"lotus\"]"));
    }
    maker.hosts
}

impl Maker<'_> {
    fn group(&mut self, cx: &mut Cx<'_>, entry: &Entry, services: &Services<'_>) {
        let Some(group) = cx.name::<GroupName>(&entry.key, entry.key_span) else { return };
        let mut names: Vec<(String, Span)> = Vec::new();
        for t in entry.node.texts("hosts") {
            match range::expand(&t.text) {
                Ok(all) => names.extend(all.into_iter().map(|n| (n, t.span))),
                Err(e) => cx.error(code::SITE007, t.span, e.to_string(), "a range looks like worker[01-40]"),
            }
        }
        if self.hosts.map.contains_key(group.as_str()) || self.zones.map.contains_key(group.as_str()) {
            let help = "a name after `from`, `to` or `users` must mean one thing: rename the group";
            cx.error(code::SITE006, entry.key_span, format!("`{group}` is a host or zone already"), help);
        }
        let runs = runs::read(cx, &entry.node, services);
        let count = names.len();
        let mut members = BTreeSet::new();
        for (i, (text, span)) in names.into_iter().enumerate() {
            let Some(name) = cx.name::<HostName>(&text, span) else { break };
            members.insert(name.clone());
            self.add(cx, entry, name, i, count, runs.clone());
        }
        self.hosts.groups.insert(group, members);
    }

    fn add(&mut self, cx: &mut Cx<'_>, entry: &Entry, name: HostName, i: usize, count: usize, runs: Vec<RunDraft>) {
        if let Some(other) = self.hosts.spans.get(&name) {
            let d = Diagnostic::error(code::SITE006, format!("two hosts are called `{name}`"))
                .at(entry.key_span, "")
                .at(*other, "the other one");
            cx.push(d.help("rename one"));
            return;
        }
        if self.zones.map.contains_key(name.as_str()) || name.as_str() == "all" {
            let help = "a name after `from`, `to` or `users` must mean one thing: rename the host";
            cx.error(code::SITE006, entry.key_span, format!("`{name}` is a zone already"), help);
        }
        let node = &entry.node;
        let edge = self.edge.edge.nodes.contains(&name);
        let (interfaces, first) = self.interfaces(cx, entry, &name, i, count, edge);
        let default_zone = self.default_zone(cx, node, &interfaces, first, edge);
        if edge && node.text("firewall").is_some_and(|t| t.text == "ufw") {
            let help = "leave `firewall` out: an edge node is filtered by a table of Ravelin's own";
            cx.error(code::SITE015, entry.key_span, format!("`{name}` is an edge node, and UFW filters one machine for itself"), help);
        }
        let host = Host {
            name: name.clone(),
            interfaces,
            default_zone,
            instances: Vec::new(),
            managed: node.bool("managed").unwrap_or(true),
            edge,
            coexist: node.texts("coexist").into_iter().map(|t| t.text).collect(),
            firewall: match node.text("firewall").as_ref().map(|t| t.text.as_str()) {
                Some("ufw") => Firewall::Ufw,
                Some("nftables") => Firewall::Nftables,
                _ => Firewall::Auto,
            },
            origin: cx.origin(entry.key_span, format!("{}{}", node.path, if count > 1 { format!(" ({name})") } else { String::new() })),
        };
        self.hosts.spans.insert(name.clone(), entry.key_span);
        self.hosts.runs.insert(name.clone(), runs);
        self.hosts.map.insert(name, host);
    }
}
