//! Machines: in come `[hosts]` and `[groups]`, out come hosts with their addresses and what they run. A group is read
//! once and then made into its members, so that one mistake is reported once.

use super::{
    edge::EdgeDraft,
    runs::{self, RunDraft},
    services::Services,
    zones::{SYNC, Zones},
};
use crate::{
    EdgeKind, Host, Interface, code,
    cx::Cx,
    syntax::{Entry, Node, Text, node::Value, range},
};
use ipnet::IpNet;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{Diagnostic, GroupName, HostName, Span, ZoneName};

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
const VIP: &str = "the edge's virtual address";

struct Maker<'m> {
    zones: &'m Zones,
    edge: &'m EdgeDraft,
    owners: BTreeMap<IpAddr, (String, Span)>,
    single: bool,
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
        let host = Host {
            name: name.clone(),
            interfaces,
            default_zone,
            instances: Vec::new(),
            managed: node.bool("managed").unwrap_or(true),
            edge,
            coexist: node.texts("coexist").into_iter().map(|t| t.text).collect(),
            origin: cx.origin(entry.key_span, format!("{}{}", node.path, if count > 1 { format!(" ({name})") } else { String::new() })),
        };
        self.hosts.spans.insert(name.clone(), entry.key_span);
        self.hosts.runs.insert(name.clone(), runs);
        self.hosts.map.insert(name, host);
    }

    /// Interfaces sorted by zone, and the zone written first.
    fn interfaces(
        &mut self,
        cx: &mut Cx<'_>,
        entry: &Entry,
        name: &HostName,
        i: usize,
        count: usize,
        edge: bool,
    ) -> (Vec<Interface>, Option<ZoneName>) {
        let node = &entry.node;
        let mut by_zone: BTreeMap<ZoneName, Vec<IpNet>> = BTreeMap::new();
        let mut first = None;
        let zone_key = node.text("zone");
        let named = zone_key.as_ref().and_then(|t| self.zones.find(cx, t));
        let address = node.get("address");
        let mut texts: Vec<(Option<ZoneName>, Text)> = Vec::new();
        match address.map(|a| &a.value) {
            Some(Value::Table(entries)) => {
                for e in entries {
                    let key = Text { text: e.key.clone(), span: e.key_span, path: e.node.path.clone() };
                    if let Some(zone) = self.zones.find(cx, &key) {
                        texts.extend(e.node.as_texts().into_iter().map(|t| (Some(zone.clone()), t)));
                    }
                }
            }
            Some(_) => texts.extend(address.map(Node::as_texts).unwrap_or_default().into_iter().map(|t| (named.clone(), t))),
            None => {}
        }
        let mut complained = address.is_some() && texts.is_empty() || (zone_key.is_some() && named.is_none());
        for (zone, t) in texts {
            match self.address(cx, zone, &t, name, i, count) {
                Some((zone, net)) => {
                    first.get_or_insert_with(|| zone.clone());
                    by_zone.entry(zone).or_default().push(net);
                }
                None => complained = true,
            }
        }
        if edge {
            let sync = self.sync_address(name);
            for zone in self.zones.map.values().filter(|z| z.routed || z.name.as_str() == SYNC) {
                let nets = by_zone.entry(zone.name.clone()).or_default();
                if zone.name.as_str() == SYNC && nets.is_empty() {
                    nets.extend(sync);
                }
            }
            let outside = by_zone.get(ZoneName::INTERNET).is_some_and(|n| !n.is_empty());
            if !outside && !self.edge.edge.wan_dynamic && !complained {
                let help = "add it: address = { internet = \"203.0.113.2\", … }, or say edge.wan = \"dynamic\"";
                cx.error(code::EDGE004, entry.key_span, format!("edge node `{name}` has no address on the Internet side"), help);
            }
        } else if by_zone.is_empty() && !complained {
            if self.single {
                by_zone.insert(ZoneName::internet(), Vec::new());
            } else {
                let help = match &named {
                    Some(z) => format!("add its address in zone `{z}`: address = \"…\""),
                    None => "add address = \"…\"; the zone follows from it".to_owned(),
                };
                cx.error(code::ADR006, entry.key_span, format!("`{name}` has no address"), help);
            }
        }
        let devices = self.devices(cx, node, &by_zone);
        let interfaces = by_zone
            .into_iter()
            .map(|(zone, mut addresses)| {
                addresses.sort_unstable();
                Interface { device: devices.get(&zone).cloned(), zone, addresses }
            })
            .collect();
        (interfaces, first)
    }

    fn devices(&self, cx: &mut Cx<'_>, node: &Node, by_zone: &BTreeMap<ZoneName, Vec<IpNet>>) -> BTreeMap<ZoneName, String> {
        let mut out = BTreeMap::new();
        let Some(device) = node.get("device") else { return out };
        if let Some(t) = device.as_text() {
            match by_zone.keys().next() {
                Some(zone) if by_zone.len() == 1 => {
                    if device_ok(cx, &t) {
                        out.insert(zone.clone(), t.text);
                    }
                }
                _ => cx.error(
                    code::SITE015,
                    t.span,
                    "one device is given, but the host stands in several zones",
                    "write a table from zone to device: device = { dmz = \"eth1\" }",
                ),
            }
        }
        for e in device.entries() {
            let key = Text { text: e.key.clone(), span: e.key_span, path: e.node.path.clone() };
            if let (Some(zone), Some(t)) = (self.zones.find(cx, &key), e.node.as_text()) {
                if device_ok(cx, &t) {
                    out.insert(zone, t.text);
                }
            }
        }
        out
    }

    fn address(
        &mut self,
        cx: &mut Cx<'_>,
        zone: Option<ZoneName>,
        t: &Text,
        name: &HostName,
        i: usize,
        count: usize,
    ) -> Option<(ZoneName, IpNet)> {
        let all = match range::expand(&t.text) {
            Ok(all) => all,
            Err(e) => {
                cx.error(code::SITE007, t.span, e.to_string(), "a range of addresses looks like 10.20.30.[21-60]");
                return None;
            }
        };
        if all.len() != count {
            let message = format!("{} addresses for {count} hosts", all.len());
            cx.error(code::SITE007, t.span, message, "the ranges of `hosts` and `address` must have equally many members");
            return None;
        }
        let address = cx.address_of(&all[i], t.span)?;
        let zone = match zone {
            Some(zone) => zone,
            None => self.guess(cx, address, t.span)?,
        };
        let subnets = &self.zones.map[&zone].subnets;
        if !zone.is_internet() && !super::zones::check_inside(cx, address, t.span, &zone, subnets) {
            return None;
        }
        if let Some((owner, span)) = self.owners.get(&address) {
            if owner == VIP {
                let d = Diagnostic::error(code::EDGE005, format!("{address} of `{name}` is the edge's virtual address in zone `{zone}`"))
                    .at(t.span, "")
                    .at(*span, "the edge");
                cx.push(d.help(format!("give `{name}` another address, or the edge: vip = {{ {zone} = \"…\" }}")));
                return None;
            }
            let d = Diagnostic::error(code::ADR004, format!("{address} of `{name}` belongs to {owner} already"))
                .at(t.span, "")
                .at(*span, "there");
            cx.push(d.help("give each machine an address of its own"));
            return None;
        }
        self.owners.insert(address, (format!("`{name}`"), t.span));
        let known = if zone.is_internet() { &self.edge.edge.public } else { subnets };
        let length = known.iter().find(|n| n.contains(&address)).map_or(if address.is_ipv4() { 32 } else { 128 }, IpNet::prefix_len);
        IpNet::new(address, length).ok().map(|net| (zone, net))
    }

    fn guess(&self, cx: &mut Cx<'_>, address: IpAddr, span: Span) -> Option<ZoneName> {
        if let Some(zone) = self.zones.of(&address) {
            return Some(zone.name.clone());
        }
        if self.zones.inner().next().is_none() || self.edge.edge.public.iter().any(|n| n.contains(&address)) {
            return Some(ZoneName::internet());
        }
        if self.zones.broken {
            return None;
        }
        cx.error(
            code::ADR006,
            span,
            format!("{address} lies in no zone"),
            "declare a zone whose subnets hold it, or name its zone: zone = \"internet\"",
        );
        None
    }

    fn default_zone(&self, cx: &mut Cx<'_>, node: &Node, interfaces: &[Interface], first: Option<ZoneName>, edge: bool) -> ZoneName {
        if edge {
            return ZoneName::internet();
        }
        if let Some(t) = node.text("zone") {
            if let Some((name, _)) = self.zones.map.get_key_value(t.text.as_str()) {
                if !interfaces.is_empty() && !interfaces.iter().any(|i| &i.zone == name) {
                    cx.error(
                        code::SITE015,
                        t.span,
                        format!("`zone` is `{name}`, but there is no address in it"),
                        "give an address in it, or name another zone",
                    );
                }
                return name.clone();
            }
        }
        let routed = |z: &ZoneName| self.zones.map.get(z).is_some_and(|z| z.routed);
        first
            .filter(|z| routed(z))
            .or_else(|| interfaces.iter().map(|i| i.zone.clone()).find(routed))
            .or_else(|| interfaces.first().map(|i| i.zone.clone()))
            .unwrap_or_else(ZoneName::internet)
    }

    /// The node's address on the pair's link: the first of the subnet for the first node, the second for the second.
    fn sync_address(&self, name: &HostName) -> Option<IpNet> {
        let net = self.edge.edge.sync?;
        let nth = self.edge.edge.nodes.iter().position(|n| n == name)?;
        let two = net.max_prefix_len() - net.prefix_len() == 1;
        let address = net.hosts().filter(|a| two || *a != net.network()).nth(nth)?;
        IpNet::new(address, net.prefix_len()).ok()
    }
}

/// Longest device name: IFNAMSIZ in the kernel is 16 with the terminator.
const MAX_DEVICE: usize = 15;

fn device_ok(cx: &mut Cx<'_>, t: &Text) -> bool {
    let ok = !t.text.is_empty() && t.text.len() <= MAX_DEVICE && t.text.bytes().all(|b| b.is_ascii_graphic() && !b"/\"'\\*".contains(&b));
    if !ok {
        cx.error(
            code::SITE005,
            t.span,
            format!("`{}` is not a device name", t.text),
            "a device name has 1 to 15 letters, digits, `.`, `-`, `_`: eth0, bond0.20",
        );
    }
    ok
}
