//! Model to plan: what each machine must hold, and why each line is there. In come a valid [`site::Model`] and the machines'
//! device names, out comes a [`Plan`] so complete that nothing is decided while it is carried out.
//!
//! | module | idea |
//! |---|---|
//! | [`types`] | the plan's own types |
//! | [`device`] | which device stands in which zone |
//! | `build` | one machine's table while it grows; every id is explained |
//! | `grant`, `hoist` | flows as elements of sets; prefixes taken out of them |
//! | `index` | what every machine asks of the model, asked once |
//! | `essential` | ICMP, neighbour discovery, DHCP, and no more |
//! | `edge`, `guard`, `translate` | an edge node: zone matrix, anti-spoofing, NAT |
//! | [`inspect`] | which packets an edge node's engine is to judge |
//! | [`standing`] | how a pair stands, from what a node's rules counted |
//! | `pair`, [`election`] | what the nodes of a pair say to one another, and what their daemons are told |
//! | `address` | addresses an edge node must hold: virtual and translated ones |
//! | `host`, `container` | a host's own filter, engines on it included |
//! | [`ufw`] | a host that UFW filters
//! | `limit` | rates and counts of the public |
//! | [`containers`] | what is wrong with a container, and its narrower form |
//! | [`system`] | accounts, directories, units and the services' own settings |
//! | [`mod@tokens`] | who holds which API token, and what would do |
//! | [`selinux`] | domains, labels and port types |
//! | `sysctl` | kernel settings behind the rules |
//! | [`mod@difference`] | what would change, in words |
//! | [`break_glass`](mod@break_glass) | the management path alone |
//!
//! Pure: no clock, network, file system or process. Never: prints, applies, or opens what no flow of the model asks for.

mod address;
pub mod break_glass;
mod build;
mod container;
pub mod containers;
pub mod device;
pub mod difference;
mod edge;
pub mod election;
mod essential;
mod grant;
mod guard;
mod hoist;
mod host;
mod index;
pub mod inspect;
pub mod limit;
mod pair;
pub mod selinux;
pub mod standing;
pub mod sysctl;
pub mod system;
pub mod tokens;
mod translate;
pub mod types;
pub mod ufw;

pub use break_glass::break_glass;
pub use device::Devices;
pub use difference::{MachineDifference, difference};
pub use election::PairPlan;
pub use tokens::{Holder, tokens};
pub use types::{Address, MachinePlan, Options, Plan, Role, RuleInfo, Sysctl, SysctlPhase, SysctlRule};

use ruleset::Ruleset;
use site::model::{Mode, Model};
use std::collections::{BTreeMap, BTreeSet};
use words::{Code, Diagnostic, Digest, HostName};

/// Name of the one table Ravelin owns, in family `inet`.
pub const TABLE: &str = "ravelin";

/// What every managed machine of the site must hold.
pub fn plan(model: &Model, devices: &Devices, options: Options) -> Plan {
    let index = index::Index::new(model);
    let machines = model.hosts.values().filter(|h| h.managed).map(|host| {
        let build = build::Build::new(&index, host, devices, model.layers.network, options);
        let mut plan = machine(build);
        let flows = index.flows_of(host);
        plan.system = Some(system::plan(model, host, &flows));
        plan.selinux = Some(selinux::plan(model, host, &flows));
        (host.name.clone(), plan)
    });
    let machines: BTreeMap<HostName, MachinePlan> = machines.collect();
    let digest = digest(&model.name, &machines);
    let mut notes = notes_of(&index, devices);
    notes.extend(machines.values().flat_map(ufw::notes));
    // While the layer observes nothing is confined yet, and what types cannot tell apart weakens nothing.
    let enforced = machines.values().filter_map(|m| m.selinux.as_ref()).filter(|s| s.mode == Mode::Enforce);
    notes.extend(enforced.flat_map(|s| s.notes.iter().cloned()));
    Plan { site: model.name.clone(), digest, machines, notes }
}

/// The rulesets of a plan alone, one by one, as they are in a mode whatever the model says: what a proof asks for, at a fraction
/// of a whole plan's time and memory.
pub struct Rulesets<'a> {
    index: index::Index<'a>,
    devices: &'a Devices,
    mode: Mode,
    options: Options,
}

impl<'a> Rulesets<'a> {
    /// Ready to make them.
    pub fn new(model: &'a Model, devices: &'a Devices, mode: Mode, options: Options) -> Self {
        Self { index: index::Index::new(model), devices, mode, options }
    }
    /// The ruleset of one machine; `None` where the site has no such machine, or it is not managed.
    pub fn of(&self, name: &HostName) -> Option<Ruleset> {
        let host = self.index.model.hosts.get(name).filter(|h| h.managed)?;
        let mut build = build::Build::new(&self.index, host, self.devices, self.mode, self.options);
        build.explains = false;
        Some(machine(build).ruleset)
    }
}

/// What a plan has to say about a site, without the plan.
pub fn notes(model: &Model, devices: &Devices) -> Vec<Diagnostic> {
    notes_of(&index::Index::new(model), devices)
}

fn notes_of(index: &index::Index<'_>, devices: &Devices) -> Vec<Diagnostic> {
    let mut notes = translate::notes(index.model);
    for host in index.model.hosts.values().filter(|h| h.managed) {
        notes.extend(same_device(&host.name, &devices.of(index.model, host), host.edge));
        notes.extend(without_management(index, host));
    }
    notes
}

fn machine(build: build::Build<'_>) -> MachinePlan {
    let (mode, role) = (build.mode, if build.host.edge { Role::Edge } else { Role::Host });
    match (mode, role) {
        (Mode::Off, _) => {
            let mut off = build.finish(role, Vec::new());
            off.ruleset.tables.clear();
            off
        }
        (_, Role::Edge) => edge::plan(build),
        (_, Role::Host) if build.ufw => ufw::plan(build),
        (_, Role::Host) => host::plan(build),
    }
}

/// A machine that nobody could log in to any more.
fn without_management(index: &index::Index<'_>, host: &site::model::Host) -> Option<Diagnostic> {
    (index.model.layers.network == Mode::Enforce && !index.managed(host)).then(|| {
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
