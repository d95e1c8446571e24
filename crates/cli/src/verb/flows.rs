//! `ravelin flows`: every flow that is allowed, and why it exists. What is not in the list is denied.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    paint::{DIM, HEAD, paint, table},
    trouble::Trouble,
};
use clap::Args;
use serde::Serialize;
use site::model::{Flow, Model, Party};
use std::collections::BTreeMap;

/// Arguments of `flows`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Only flows from or to this host, zone or name
    #[arg(long, value_name = "NAME")]
    of: Option<String>,
    /// With addresses and origins
    #[arg(long)]
    long: bool,
}

#[derive(Serialize)]
struct Flows {
    flows: Vec<Flow>,
    #[serde(skip)]
    long: bool,
}

impl Face for Flows {
    fn text(&self) -> String {
        let mut kinds: BTreeMap<String, Vec<&Flow>> = BTreeMap::new();
        for flow in &self.flows {
            kinds.entry(format!("{:?}", flow.kind)).or_default().push(flow);
        }
        let mut rows = Vec::new();
        for (kind, flows) in &kinds {
            rows.push(vec![paint(HEAD, kind.to_lowercase())]);
            for flow in flows {
                rows.push(row(flow));
                if self.long {
                    rows.extend(detail(flow).into_iter().map(|d| vec![paint(DIM, format!("            {d}"))]));
                }
            }
        }
        // Headings and details are lines of their own and must not widen the first column.
        let body: Vec<Vec<String>> = rows.iter().filter(|r| r.len() > 1).cloned().collect();
        let aligned = table(&body);
        let mut lines = aligned.lines();
        let mut out = String::new();
        for row in &rows {
            out += if row.len() > 1 { lines.next().unwrap_or_default() } else { &row[0] };
            out.push('\n');
        }
        out + &format!("{} flows; everything else is denied\n", self.flows.len())
    }
}

fn row(flow: &Flow) -> Vec<String> {
    let service = flow.service.as_ref().map(|(s, e, _)| format!("{s}.{e}")).unwrap_or_default();
    vec![
        format!("  {}", paint(DIM, &flow.id)),
        flow.from.to_string(),
        format!("-> {}", flow.to),
        flow.target.to_string(),
        service,
        flow.why.clone(),
    ]
}

/// Addresses and origins of a flow, a line each.
pub fn detail(flow: &Flow) -> Vec<String> {
    let list = |nets: &[ipnet::IpNet]| nets.iter().map(short).collect::<Vec<_>>().join(" ");
    // The sixty prefixes of the Internet say less than these three words; `--json` has them.
    let side = |party: &Party, nets: &[ipnet::IpNet]| if *party == Party::Public { "any public address".to_owned() } else { list(nets) };
    let leg =
        |l: &site::model::Leg| format!("{} -> {}: {} -> {}", l.from_zone, l.to_zone, side(&flow.from, &l.src), side(&flow.to, &l.dst));
    let mut out: Vec<String> = flow.legs.iter().map(leg).collect();
    out.extend(flow.publish.iter().map(|d| format!("public {} port {} is translated to {} port {}", d.at, d.port, d.to, d.to_port)));
    if !flow.names.is_empty() {
        out.push(format!("meant for {}; a packet filter sees addresses, not names", flow.names.join(", ")));
    }
    out.extend(flow.origins.iter().map(|o| format!("from {o}")));
    out
}

/// A prefix; one that is a single address without its length.
fn short(net: &ipnet::IpNet) -> String {
    if net.prefix_len() == net.max_prefix_len() { net.addr().to_string() } else { net.to_string() }
}

fn concerns(flow: &Flow, name: &str, model: &Model) -> bool {
    let side = |party: &Party| match party {
        Party::Host(h) => h.as_str() == name || model.groups.iter().any(|(g, members)| g.as_str() == name && members.contains(h)),
        Party::Zone(z) => z.as_str() == name,
        Party::Outside(n, _) => n == name,
        Party::Public => name == "internet",
    };
    side(&flow.from) || side(&flow.to) || flow.legs.iter().any(|l| l.from_zone.as_str() == name || l.to_zone.as_str() == name)
}

/// Lists the flows.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let mut flows = model.flows.to_vec();
    flows.sort_by_cached_key(|f| (f.from.to_string(), f.to.to_string(), f.target.to_string(), f.id.clone()));
    if let Some(name) = &arguments.of {
        let known = model.hosts.keys().any(|h| h.as_str() == name)
            || model.zones.keys().any(|z| z.as_str() == name)
            || model.groups.keys().any(|g| g.as_str() == name)
            || model.externals.contains_key(name);
        if !known {
            return Err(Trouble::usage(
                format!("the site has no host, zone, group or external `{name}`"),
                "`ravelin flows` without --of lists all names",
            ));
        }
        flows.retain(|f| concerns(f, name, &model));
    }
    show(global, &Flows { flows, long: arguments.long })?;
    Ok(Exit::Ok)
}
