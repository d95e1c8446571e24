//! An Aerleon policy: one filter per ordered pair of zones, one term per flow, a default deny at the end of each. In come
//! the model and its rows, out come the policy and its definitions as YAML. Aerleon writes Juniper, Palo Alto, Cisco, cloud
//! and other configurations from it; the header's targets are for zone-based firewalls and are the one thing to adapt.
//! Translations are told in comments: Aerleon does not translate. Never: a term without the flow's id.

use super::{PUBLIC, Row};
use site::model::{Leg, Model, Party};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// Targets each filter is written for; both take zones.
const TARGETS: [&str; 2] = ["paloalto", "srx"];

/// `policies/ravelin.yaml`.
pub fn policy(model: &Model, rows: &[Row]) -> String {
    let mut pairs: BTreeMap<(&str, &str), Vec<&Row>> = BTreeMap::new();
    let zones: Vec<&str> = model.zones.values().filter(|z| z.routed || z.name.is_internet()).map(|z| z.name.as_str()).collect();
    for from in &zones {
        for to in zones.iter().filter(|to| *to != from) {
            pairs.insert((from, to), Vec::new());
        }
    }
    for row in rows.iter().filter(|r| r.crosses) {
        pairs.entry((&row.from_zone, &row.to_zone)).or_default().push(row);
    }
    let mut out = String::from("filters:\n");
    for ((from, to), rows) in pairs {
        let _ =
            writeln!(out, "- header:\n    comment: {}\n    targets:", quoted(&format!("{from} to {to}, from the flows of {}", model.name)));
        for target in TARGETS {
            let _ = writeln!(out, "      {target}: from-zone {from} to-zone {to}");
        }
        out += "  terms:\n";
        // Rows of a flow in both families are one term: Aerleon keeps the families apart itself.
        let mut terms: BTreeMap<&str, Vec<&Row>> = BTreeMap::new();
        for row in rows {
            terms.entry(&row.id).or_default().push(row);
        }
        for (id, rows) in terms {
            term(&mut out, id, &rows);
        }
        out += "  - name: default-deny\n    action: deny\n    logging: \"true\"\n";
    }
    out
}

fn term(out: &mut String, id: &str, rows: &[&Row]) {
    let Some(first) = rows.first() else { return };
    let mut comment = format!("{}: {} to {}", first.why, first.from, first.to);
    for t in rows.iter().flat_map(|r| &r.translate).collect::<BTreeSet<_>>() {
        let _ = write!(comment, "; translate {t}");
    }
    if !first.names.is_empty() {
        let _ = write!(comment, "; meant for {}", first.names.join(" "));
    }
    let _ = writeln!(out, "  - name: {id}\n    comment: {}", quoted(&comment));
    let _ = writeln!(out, "    source-address: {}", network(rows, |r| &r.source).0);
    let _ = writeln!(out, "    destination-address: {}", network(rows, |r| &r.destination).0);
    let _ = writeln!(out, "    protocol: {}", quoted(&first.protocol));
    if let Some((name, _)) = service(first) {
        let _ = writeln!(out, "    destination-port: {name}");
    }
    out.push_str("    action: accept\n");
}

/// The name of the prefixes on one side of a term, and the prefixes: Aerleon's terms speak of names alone.
fn network(rows: &[&Row], side: fn(&Row) -> &[String]) -> (String, BTreeSet<String>) {
    let all: BTreeSet<String> = rows.iter().flat_map(|r| side(r)).cloned().collect();
    if all.iter().any(|s| s == PUBLIC) {
        return ("PUBLIC".to_owned(), BTreeSet::new());
    }
    let digest = words::Digest::of(all.iter().map(String::as_str).collect::<Vec<_>>().join(" ").as_bytes());
    (format!("NET_{}", digest.short().to_uppercase()), all)
}

/// The name of a row's ports, and the ports; none where every port is meant, which Aerleon writes by leaving them out.
fn service(row: &Row) -> Option<(String, &[String])> {
    if row.ports.is_empty() || row.ports == ["0-65535"] {
        return None;
    }
    let name = format!("PORTS_{}_{}", row.protocol, row.ports.join("_").replace('-', "_TO_"));
    Some((name.to_uppercase(), &row.ports))
}

/// `def/ravelin.yaml`: the names the policy uses.
pub fn definitions(model: &Model, rows: &[Row]) -> String {
    let side = |from: &Party, to: &Party, leg: &Leg| match (from, to) {
        (Party::Public, _) => leg.src.to_vec(),
        (_, Party::Public) => leg.dst.to_vec(),
        _ => Vec::new(),
    };
    let public: BTreeSet<ipnet::IpNet> = model.flows.iter().flat_map(|f| f.legs.iter().flat_map(|l| side(&f.from, &f.to, l))).collect();
    let mut networks: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    networks.insert("PUBLIC".to_owned(), public.iter().map(ToString::to_string).collect());
    let mut services: BTreeMap<String, (&[String], &str)> = BTreeMap::new();
    let mut terms: BTreeMap<(&str, &str, &str), Vec<&Row>> = BTreeMap::new();
    for row in rows.iter().filter(|r| r.crosses) {
        terms.entry((&row.from_zone, &row.to_zone, &row.id)).or_default().push(row);
        services.extend(service(row).map(|(name, ports)| (name, (ports, row.protocol.as_str()))));
    }
    for rows in terms.values() {
        for (name, nets) in [network(rows, |r| &r.source), network(rows, |r| &r.destination)] {
            networks.entry(name).or_insert(nets);
        }
    }
    let mut out = String::from("networks:\n");
    for (name, nets) in networks.iter().filter(|(_, n)| !n.is_empty()) {
        let _ = writeln!(out, "  {name}:\n    values:");
        for net in nets {
            let _ = writeln!(out, "    - address: {}", quoted(net));
        }
    }
    out += "services:\n";
    for (name, (ports, protocol)) in services {
        let _ = writeln!(out, "  {name}:");
        for port in ports {
            let _ = writeln!(out, "  - protocol: {protocol}\n    port: {}", quoted(port));
        }
    }
    out
}

/// A YAML string in double quotes: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
