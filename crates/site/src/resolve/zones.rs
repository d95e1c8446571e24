//! Zones: in comes `[zones]`, out come zones with checked subnets. Gateways follow from the edge and are filled in there.

use crate::{
    Zone, code,
    cx::Cx,
    syntax::{Entry, Node, Text},
};
use ipnet::IpNet;
use std::{collections::BTreeMap, net::IpAddr};
use words::{Diagnostic, Origin, Span, ZoneName};

/// The pair's own zone.
pub(crate) const SYNC: &str = "sync";

/// Zones and where they are said.
pub(crate) struct Zones {
    pub map: BTreeMap<ZoneName, Zone>,
    pub spans: BTreeMap<ZoneName, Span>,
    /// The file has errors up to here: that an address lies in no zone may follow from them, and is not told.
    pub broken: bool,
}

impl Zones {
    /// The zone whose subnets hold an address.
    pub fn of(&self, address: &IpAddr) -> Option<&Zone> {
        self.map.values().find(|z| z.subnets.iter().any(|n| n.contains(address)))
    }
    /// Zones of the site, without `internet`.
    pub fn inner(&self) -> impl Iterator<Item = &Zone> {
        self.map.values().filter(|z| !z.name.is_internet())
    }
    /// A zone by name, or a diagnostic.
    pub fn find(&self, cx: &mut Cx<'_>, t: &Text) -> Option<ZoneName> {
        if let Some((name, _)) = self.map.get_key_value(t.text.as_str()) {
            return Some(name.clone());
        }
        let help = crate::cx::meant(&t.text, self.map.keys().map(ZoneName::as_str), "declare zones under [zones]");
        cx.error(code::NAM002, t.span, format!("no zone is called `{}`", t.text), help);
        None
    }
}

/// Reads `[zones]`.
pub(crate) fn resolve(cx: &mut Cx<'_>, root: &Node) -> Zones {
    let mut zones = Zones { map: BTreeMap::new(), spans: BTreeMap::new(), broken: false };
    let internet = ZoneName::internet();
    let origin = Origin::Builtin { code: "zone internet".into(), why: "everything outside the site's own zones".into() };
    zones.map.insert(
        internet.clone(),
        Zone { name: internet, vlan: None, subnets: vec![], gateways: vec![], routed: true, advertised: None, origin },
    );
    for entry in root.get("zones").map(Node::entries).unwrap_or_default() {
        if let Some(zone) = one(cx, entry) {
            overlap(cx, &zones, &zone, entry);
            zones.spans.insert(zone.name.clone(), entry.key_span);
            zones.map.insert(zone.name.clone(), zone);
        }
    }
    zones.broken = cx.failed();
    zones
}

fn one(cx: &mut Cx<'_>, entry: &Entry) -> Option<Zone> {
    let name: ZoneName = cx.name(&entry.key, entry.key_span)?;
    if name.is_internet() || name.as_str() == SYNC || name.as_str() == "all" {
        let help = "choose another name; `internet` exists always, `sync` comes from edge.sync, `all` means every zone";
        cx.error(code::SITE005, entry.key_span, format!("`{name}` is a word of the language, not a zone's name"), help);
        return None;
    }
    let node = &entry.node;
    let mut subnets: Vec<IpNet> = node.texts("subnets").iter().filter_map(|t| cx.net(t)).collect();
    subnets.sort_unstable();
    subnets.dedup();
    if let Some(empty) = node.get("subnets").filter(|n| n.as_texts().is_empty() && n.as_int().is_none()) {
        cx.error(
            code::SITE003,
            empty.span,
            format!("zone `{name}` has no subnet"),
            "write at least one prefix: subnets = [\"10.20.10.0/24\"]",
        );
    }
    let gateways = node.texts("gateway").iter().filter_map(|t| inside(cx, t, &name, &subnets)).collect();
    let vlan = node.int("vlan").and_then(|(n, _)| u16::try_from(n).ok());
    let routed = node.bool("routed").unwrap_or(true);
    let advertised = node.bool("advertised");
    Some(Zone { name, vlan, subnets, gateways, routed, advertised, origin: cx.origin(entry.key_span, &node.path) })
}

/// An address inside a zone's subnets that a machine can have, or a diagnostic.
pub(crate) fn inside(cx: &mut Cx<'_>, t: &Text, zone: &ZoneName, subnets: &[IpNet]) -> Option<IpAddr> {
    let address = cx.address(t)?;
    check_inside(cx, address, t.span, zone, subnets).then_some(address)
}

/// Whether an address is one a machine in the zone can have; a diagnostic where not.
pub(crate) fn check_inside(cx: &mut Cx<'_>, address: IpAddr, span: Span, zone: &ZoneName, subnets: &[IpNet]) -> bool {
    let Some(net) = subnets.iter().find(|n| n.contains(&address)) else {
        let help = match subnets {
            [] => format!("zone `{zone}` has no subnets"),
            nets => format!("zone `{zone}` holds {}", crate::cx::list(nets)),
        };
        cx.error(code::ADR003, span, format!("{address} lies outside zone `{zone}`"), help);
        return false;
    };
    // RFC 3021: a /31 has neither; v6 has no broadcast, and the all-zero host is the routers' anycast (RFC 4291).
    let small = net.max_prefix_len() - net.prefix_len() <= 1;
    if !small && (address == net.network() || (address.is_ipv4() && address == net.broadcast())) {
        let what = if address == net.network() { "network" } else { "broadcast" };
        cx.error(code::ADR007, span, format!("{address} is the {what} address of {net}"), "give the machine another address of the subnet");
        return false;
    }
    true
}

fn overlap(cx: &mut Cx<'_>, zones: &Zones, zone: &Zone, entry: &Entry) {
    for other in zones.inner() {
        for (a, b) in zone.subnets.iter().flat_map(|a| other.subnets.iter().map(move |b| (a, b))) {
            if a.contains(b) || b.contains(a) {
                let d = Diagnostic::error(code::ADR005, format!("{a} of zone `{}` overlaps {b} of zone `{}`", zone.name, other.name))
                    .at(entry.key_span, "")
                    .at(zones.spans.get(&other.name).copied().unwrap_or_default(), "the other zone")
                    .help("an address must belong to one zone: make the subnets disjoint");
                cx.push(d);
            }
        }
        if zone.vlan.is_some() && zone.vlan == other.vlan {
            let d = Diagnostic::error(
                code::ADR009,
                format!("zones `{}` and `{}` share VLAN {}", other.name, zone.name, zone.vlan.unwrap_or(0)),
            )
            .at(entry.key_span, "")
            .at(zones.spans.get(&other.name).copied().unwrap_or_default(), "the other zone")
            .help("give each zone its own tag: machines in one VLAN reach each other past every firewall");
            cx.push(d);
        }
    }
}
