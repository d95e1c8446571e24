//! Addresses: in comes what a host's table says of zones, addresses and devices, out come its interfaces and the zone its
//! default route leaves by.

use super::{
    hosts::{Maker, VIP},
    zones::SYNC,
};
use crate::{
    Interface, code,
    cx::Cx,
    syntax::{Entry, Node, Text, node::Value, range},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use words::{Diagnostic, HostName, Span, ZoneName};

impl Maker<'_> {
    /// Interfaces sorted by zone, and the zone written first.
    pub(super) fn interfaces(
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
            let (zone, t) = (self.zones.find(cx, &key), e.node.as_text().filter(|t| device_ok(cx, t)));
            out.extend(zone.zip(t).map(|(zone, t)| (zone, t.text)));
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

    pub(super) fn default_zone(
        &self,
        cx: &mut Cx<'_>,
        node: &Node,
        interfaces: &[Interface],
        first: Option<ZoneName>,
        edge: bool,
    ) -> ZoneName {
        if edge {
            return ZoneName::internet();
        }
        let said = node.text("zone").and_then(|t| self.zones.map.get_key_value(t.text.as_str()).map(|(name, _)| (t, name)));
        if let Some((t, name)) = said {
            if !interfaces.is_empty() && !interfaces.iter().any(|i| &i.zone == name) {
                let help = "give an address in it, or name another zone";
                cx.error(code::SITE015, t.span, format!("`zone` is `{name}`, but there is no address in it"), help);
            }
            return name.clone();
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
