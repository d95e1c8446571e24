//! A machine's plan as the draft of its bundle: what the applier needs and nothing that it would have to decide. In come
//! the machine's plan, the model it was made from and where it stands in the machine's history, out comes the draft.
//! Never: seals or sends it.

use crate::{address, nft, ufw};
use bundle::{Artefact, Draft, Expected, LayerMode, Management, Probe, SeedFlow, Setting, UfwFile, UfwFiles};
use plan::{MachinePlan, SysctlRule, TABLE};
use ruleset::{Ruleset, form::TableFamily};
use site::model::{FlowKind, Host, Leg, Mode, Model, Party};
use std::collections::{BTreeMap, BTreeSet};
use words::{Digest, Family, Generation, HostName, Proto};

/// Probes tried after a change: enough to meet every peer of a machine, few enough to be done within the revert timer.
const MOST_PROBES: usize = 64;

/// Where a state stands in a machine's history.
#[derive(Debug, Clone, Default)]
pub struct Link {
    /// Its number.
    pub generation: Generation,
    /// The machine's confirmed bundle.
    pub parent: Option<Digest>,
    /// Connections that were open before, for nodes that forward.
    pub seeds: Vec<SeedFlow>,
    /// UFW as the machine reported it.
    pub ufw: Option<facts::Ufw>,
}

/// Ravelin's part of UFW's files: its rules where UFW filters the machine, nothing where rules of ours are left from when it did.
fn ufw_files(machine: &MachinePlan, found: Option<&facts::Ufw>) -> Option<UfwFiles> {
    let found = found?;
    let left = [&found.user_rules, &found.user6_rules].into_iter().flatten().any(|t| !ruleset::ufw::owned(t).is_empty());
    if machine.ufw.is_none() && !left {
        return None;
    }
    let file = |family, text: &Option<String>| {
        let block = machine.ufw.as_ref().map(|u| ufw::block(u, family)).unwrap_or_default();
        text.as_ref().map(|t| UfwFile { block, others: bundle::others(t) })
    };
    Some(UfwFiles {
        v4: file(Family::V4, &found.user_rules),
        // Without IPv6 in UFW there are no chains to load, and UFW drops all of it.
        v6: file(Family::V6, &found.user6_rules).filter(|_| found.loaded6 || !found.loaded),
        profiles: machine.ufw.as_ref().map(ufw::profiles).unwrap_or_default(),
        active: machine.ufw.is_some() || found.loaded,
    })
}

/// The draft of a machine's bundle, without files ([`crate::own`], [`crate::pair`]): a namespace has no `/etc` of its own. `site` is the digest of what the model was made from, `break_glass` what
/// `plan::break_glass` gives for this machine.
pub fn draft(model: &Model, machine: &MachinePlan, break_glass: &Ruleset, site: Digest, link: Link) -> Draft {
    let mut artefacts = Vec::new();
    if machine.mode != Mode::Off {
        artefacts.extend(ufw_files(machine, link.ufw.as_ref()).map(|files| Artefact::Ufw { files }));
        artefacts.push(Artefact::Nft { text: nft::script(&machine.ruleset, TableFamily::Inet, TABLE) });
        artefacts.push(Artefact::Sysctl { settings: settings(machine) });
        if !machine.addresses.is_empty() {
            let (addresses, leave) = (address::own(&machine.addresses), machine.leaves_addresses);
            artefacts.push(Artefact::Addresses { addresses, leave, elected: false });
        }
        if !machine.elected_addresses().is_empty() {
            let addresses = address::own(machine.elected_addresses());
            artefacts.push(Artefact::Addresses { addresses, leave: false, elected: true });
        }
    }
    Draft {
        schema: bundle::content::SCHEMA,
        machine: machine.host.clone(),
        generation: link.generation,
        parent: link.parent,
        site,
        layers: BTreeMap::from([("network".to_owned(), mode(machine.mode))]),
        artefacts,
        expected: Expected { ruleset: (machine.mode != Mode::Off).then(|| own(&machine.ruleset)) },
        management: management(model, &machine.host),
        break_glass: nft::script(break_glass, TableFamily::Inet, TABLE),
        probes: probes(model, &machine.host),
        seeds: link.seeds,
    }
}

/// Our own table alone: UFW's are read back by what stands in its files.
fn own(ruleset: &Ruleset) -> Ruleset {
    let tables = ruleset.tables.iter().filter(|t| t.family == TableFamily::Inet && t.name == TABLE).cloned();
    Ruleset { tables: tables.collect(), unread: Vec::new() }
}

/// A layer's mode as the bundle has it.
pub fn mode(mode: Mode) -> LayerMode {
    match mode {
        Mode::Off => LayerMode::Off,
        Mode::Observe => LayerMode::Observe,
        Mode::Enforce => LayerMode::Enforce,
    }
}

/// The plan writes keys as paths, the applier takes sysctl's own spelling: dots between parts, slashes for dots inside one.
fn settings(machine: &MachinePlan) -> BTreeMap<String, Setting> {
    let name = |key: &str| key.split('/').map(|part| part.replace('.', "/")).collect::<Vec<_>>().join(".");
    machine
        .sysctls
        .iter()
        .map(|s| (name(&s.key), Setting { value: s.value.clone(), at_least: s.rule == SysctlRule::AtLeast, required: false }))
        .collect()
}

fn legs_to<'a>(model: &'a Model, host: &'a HostName, kind: FlowKind) -> impl Iterator<Item = (&'a site::model::Flow, &'a Leg)> {
    let own: BTreeSet<_> = model.hosts.get(host).into_iter().flat_map(Host::addresses).collect();
    model
        .flows
        .iter()
        .filter(move |f| f.kind == kind)
        .flat_map(|f| f.legs.iter().map(move |l| (f, l)))
        .filter(move |(_, l)| l.dst.iter().any(|n| own.iter().any(|a| n.contains(a))))
}

fn management(model: &Model, host: &HostName) -> Management {
    let mut from = BTreeSet::new();
    let mut ports = BTreeSet::new();
    for (flow, leg) in legs_to(model, host, FlowKind::Management).filter(|(f, _)| f.target.proto == Proto::Tcp) {
        from.extend(leg.src.iter().copied());
        ports.extend(flow.target.ports.ranges().iter().map(|r| r.first()));
    }
    Management { from: from.into_iter().collect(), ports: ports.into_iter().collect() }
}

/// One probe per single address and port that this machine opens connections to, spread over its flows.
fn probes(model: &Model, host: &HostName) -> Vec<Probe> {
    let own = Party::Host(host.clone());
    let flows = model.flows.iter().filter(|f| f.from == own && f.target.proto == Proto::Tcp);
    let found = flows.filter_map(|f| {
        let port = f.target.ports.single()?;
        let to = f.legs.iter().flat_map(|l| l.dst.iter()).find(|n| n.prefix_len() == n.max_prefix_len())?;
        Some(Probe { id: f.id.0.clone(), proto: Proto::Tcp, to: to.addr(), port })
    });
    found.take(MOST_PROBES).collect()
}
