//! Flow lists for firewalls of others. In comes the model, out comes one neutral list: each flow per pair of zones and
//! family, with the translation it wants and the reason it exists. Never: a flow that the model does not have, or a
//! vendor's own words.
//!
//! | module | form |
//! |---|---|
//! | [`csv`] | one line per row, RFC 4180 |
//! | [`json`] | the same rows |
//! | [`aerleon`] | a policy for Aerleon, which writes many vendors' configurations |

pub mod aerleon;
pub mod csv;
pub mod json;

use serde::Serialize;
use site::model::{FlowKind, Model, Party};
use words::Family;

/// One row of the list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The flow's id.
    pub id: String,
    /// What kind of flow it is.
    pub kind: FlowKind,
    /// Family of all addresses in the row.
    pub family: Family,
    /// Who opens, in words.
    pub from: String,
    /// Zone of the opener.
    pub from_zone: String,
    /// Source prefixes; `public` where any public address is meant.
    pub source: Vec<String>,
    /// Who listens, in words.
    pub to: String,
    /// Zone of the listener.
    pub to_zone: String,
    /// Destination prefixes after translation; `public` where any public address is meant.
    pub destination: Vec<String>,
    /// Protocol.
    pub protocol: String,
    /// Destination ports after translation; empty for protocols without.
    pub ports: Vec<String>,
    /// Destination translations: `203.0.113.5:24001 -> 10.20.20.11:24001`.
    pub translate: Vec<String>,
    /// Names outside that it is for, where policy goes by name.
    pub names: Vec<String>,
    /// Crosses from one zone to another, so that a firewall between zones must let it pass.
    pub crosses: bool,
    /// What it is for.
    pub why: String,
    /// Lines and entries it comes from.
    pub origins: Vec<String>,
}

/// The word for every public address.
pub const PUBLIC: &str = "public";

/// Every row, in the order of the flows' ids.
pub fn rows(model: &Model) -> Vec<Row> {
    let mut out = Vec::new();
    for flow in &model.flows {
        let prefixes = |party: &Party, nets: &[ipnet::IpNet]| match party {
            Party::Public => vec![PUBLIC.to_owned()],
            _ => nets.iter().map(ToString::to_string).collect(),
        };
        for leg in &flow.legs {
            let target = &flow.target;
            let translate = flow.publish.iter().filter(|d| Family::of(&d.at) == leg.family);
            out.push(Row {
                id: flow.id.to_string(),
                kind: flow.kind,
                family: leg.family,
                from: flow.from.to_string(),
                from_zone: leg.from_zone.to_string(),
                source: prefixes(&flow.from, &leg.src),
                to: flow.to.to_string(),
                to_zone: leg.to_zone.to_string(),
                destination: prefixes(&flow.to, &leg.dst),
                protocol: protocol(target.proto),
                ports: if target.proto.has_ports() { target.ports.ranges().iter().map(ToString::to_string).collect() } else { Vec::new() },
                translate: translate.map(|d| format!("{} -> {}", socket(d.at, d.port), socket(d.to, d.to_port))).collect(),
                names: flow.names.clone(),
                crosses: leg.from_zone != leg.to_zone,
                why: flow.why.clone(),
                origins: flow.origins.iter().map(ToString::to_string).collect(),
            });
        }
    }
    out
}

/// Other tools know protocols by name.
fn protocol(proto: words::Proto) -> String {
    match proto {
        words::Proto::Other(n) => ruleset::names::name(&ruleset::Key::L4Proto, n.into()).map_or_else(|| n.to_string(), str::to_owned),
        known => known.to_string(),
    }
}

fn socket(address: std::net::IpAddr, port: u16) -> String {
    std::net::SocketAddr::new(address, port).to_string()
}
