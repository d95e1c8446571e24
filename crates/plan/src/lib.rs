//! Model to plan: what each machine must hold, and why each line is there. In come a valid [`site::Model`] and the machines'
//! device names, out comes a [`Plan`] so complete that nothing is decided while it is carried out.
//!
//! | module | idea |
//! |---|---|
//! | [`types`] | the plan's own types |
//! | [`device`] | which device stands in which zone |
//! | `build` | one machine's table while it grows; every id is explained |
//! | `grant`, `hoist` | flows as elements of sets; prefixes taken out of them |
//! | `essential` | ICMP, neighbour discovery, DHCP, and no more |
//! | `edge`, `guard`, `translate` | an edge node: zone matrix, anti-spoofing, NAT |
//! | `host`, `container` | a host's own filter, engines on it included |
//! | `limit` | rates and counts of the public |
//! | `sysctl` | kernel settings behind the rules |
//! | [`mod@difference`] | what would change, in words |
//! | [`break_glass`](mod@break_glass) | the management path alone |
//!
//! Pure: no clock, network, file system or process. Never: prints, applies, or opens what no flow of the model asks for.

pub mod break_glass;
mod build;
mod container;
pub mod device;
pub mod difference;
mod edge;
mod essential;
mod grant;
mod guard;
mod hoist;
mod host;
pub mod limit;
pub mod sysctl;
mod translate;
pub mod types;

pub use break_glass::break_glass;
pub use device::Devices;
pub use difference::{MachineDifference, difference};
pub use types::{MachinePlan, Options, Plan, Role, RuleInfo, Sysctl, SysctlPhase, SysctlRule, Thresholds};

use site::model::{Mode, Model};
use std::collections::{BTreeMap, BTreeSet};
use words::{Code, Diagnostic, Digest, HostName};

/// Name of the one table Ravelin owns, in family `inet`.
pub const TABLE: &str = "ravelin";

/// What every managed machine of the site must hold.
pub fn plan(model: &Model, devices: &Devices, options: Options) -> Plan {
    let mut machines = BTreeMap::new();
    let mut notes = translate::notes(model);
    for host in model.hosts.values().filter(|h| h.managed) {
        let devices = devices.of(model, host);
        notes.extend(same_device(&host.name, &devices, host.edge));
        notes.extend(without_management(model, host));
        machines.insert(host.name.clone(), machine(model, host, devices, model.layers.network, options));
    }
    let digest = digest(&model.name, &machines);
    Plan { site: model.name.clone(), digest, machines, notes }
}

fn machine(
    model: &Model,
    host: &site::model::Host,
    devices: BTreeMap<words::ZoneName, String>,
    mode: Mode,
    options: Options,
) -> MachinePlan {
    let role = if host.edge { Role::Edge } else { Role::Host };
    let build = build::Build::new(model, host, devices, mode, options);
    match (mode, role) {
        (Mode::Off, _) => {
            let mut off = build.finish(role, Vec::new());
            off.ruleset.tables.clear();
            off
        }
        (_, Role::Edge) => edge::plan(build),
        (_, Role::Host) => host::plan(build),
    }
}

/// A machine that nobody could log in to any more.
fn without_management(model: &Model, host: &site::model::Host) -> Option<Diagnostic> {
    let mut flows = model.flows.iter().filter(|f| f.kind == site::model::FlowKind::Management);
    let reached = flows.any(|f| {
        f.to == site::model::Party::Host(host.name.clone())
            || f.legs.iter().any(|l| host.addresses().any(|a| l.dst.iter().any(|n| n.contains(&a))))
    });
    (model.layers.network == Mode::Enforce && !reached).then(|| {
        Diagnostic::error(Code("PLAN003"), format!("{} would be filtered without a management path into it", host.name))
            .help("name where operators come from: [site] management = { from = [\"ops\"], by = \"ssh\" }")
    })
}

/// Two zones behind one device cannot be told apart: an error on an edge node, where the device is the zone.
fn same_device(host: &HostName, devices: &BTreeMap<words::ZoneName, String>, edge: bool) -> Option<Diagnostic> {
    let mut seen = BTreeSet::new();
    let (zone, device) = devices.iter().find(|(_, d)| !seen.insert(d.as_str()))?;
    let others: Vec<_> = devices.iter().filter(|(z, d)| *d == device && *z != zone).map(|(z, _)| z.to_string()).collect();
    edge.then(|| {
        Diagnostic::error(Code("PLAN002"), format!("zones {zone} and {} have the same device {device} on {host}", others.join(", ")))
            .help(format!("name the device of each zone: [hosts] {host} = {{ devices = {{ {zone} = \"...\" }} }}"))
    })
}

/// The digest over everything a machine is to hold. Serialising these types cannot fail: no maps with keys that are not
/// text, no floats.
fn digest(site: &str, machines: &BTreeMap<HostName, MachinePlan>) -> Digest {
    let bytes = serde_json::to_vec(&(site, machines)).unwrap_or_default();
    Digest::of(&bytes)
}
