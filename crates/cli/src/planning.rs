//! From model to plan and bundle for the verbs that need them. In come the model and what machines reported, out come plan and
//! sealed bundles. Everything is decided in `plan` and `emit`; here only arguments are gathered.

use crate::{progress, trouble::Trouble};
use bundle::{Bundle, OwnFile, Place};
use plan::{Devices, MachinePlan, Options, Plan, system::SystemPlan};
use site::model::{Host, Model};
use std::net::IpAddr;
use words::{Diagnostic, Digest, HostName, SourceFile};

/// The plan of a site, devices named as the site file says or after their zones.
pub fn plan(model: &Model) -> Plan {
    plan_with(model, &Devices::default())
}

/// The plan of a site with devices that machines reported.
pub fn plan_with(model: &Model, devices: &Devices) -> Plan {
    progress::during("planning", || plan::plan(model, devices, Options::default()))
}

/// Threads that plan and prove: a second one halves the wait, more cost memory (each proves in a store of its own).
pub const THREADS: usize = 2;

/// [`THREADS`], or fewer where the machine has fewer processors.
pub fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get().min(THREADS))
}

/// What a plan has to say about the site, without making one.
pub fn notes(model: &Model) -> Vec<Diagnostic> {
    plan::notes(model, &Devices::default())
}

/// What one machine reports of itself: the device that carries each address the site file gives, and whether UFW is active.
pub fn devices(host: &Host, facts: &facts::Facts) -> Devices {
    let carries =
        |address: IpAddr| facts.interfaces.iter().find(|i| i.addresses.iter().any(|a| a.addr() == address)).map(|i| i.name.clone());
    let zones = host.interfaces.iter().filter_map(|i| Some((i.zone.clone(), i.addresses.iter().find_map(|a| carries(a.addr()))?)));
    let ufw = facts.ufw.as_ref().filter(|u| u.active()).map(|_| host.name.clone());
    Devices { reported: [(host.name.clone(), zones.collect())].into(), ufw: ufw.into_iter().collect() }
}

/// A machine's own table alone, without UFW's around its rules.
pub fn own_table(machine: &plan::MachinePlan) -> ruleset::Ruleset {
    let tables = machine.ruleset.tables.iter().filter(|t| t.family == ruleset::TableFamily::Inet && t.name == plan::TABLE);
    ruleset::Ruleset { tables: tables.cloned().collect(), unread: Vec::new() }
}

/// Digest of what a plan was made from: site file and catalogue.
pub fn site_digest(source: &SourceFile) -> Digest {
    let catalogue: Vec<String> = catalog::builtin().values().map(|s| format!("{s:?}")).collect();
    Digest::of(format!("{}\0{}", source.text(), catalogue.join("\0")).as_bytes())
}

/// The sealed bundle of one machine: its network, and the files of its system layer that may be put in place now.
pub fn seal(
    model: &Model,
    plan: &Plan,
    devices: &Devices,
    host: &HostName,
    site: Digest,
    link: emit::bundle::Link,
    files: Vec<bundle::OwnFile>,
) -> Result<Bundle, Trouble> {
    let machine = plan.machines.get(host).ok_or_else(|| unmanaged(host))?;
    let glass = plan::break_glass(model, devices, host).ok_or_else(|| unmanaged(host))?;
    let mut draft = emit::bundle::draft(model, machine, &glass, site, link);
    // An election that is there goes on while the layer observes, and what it holds is not the bundle's.
    if let Some(pair) = machine.pair.as_ref().filter(|p| p.proposed && files.iter().any(|f| f.path == bundle::pair::KEEPALIVED)) {
        draft.artefacts.retain(|a| !matches!(a, bundle::Artefact::Addresses { .. }));
        let addresses = emit::address::own(&pair.addresses);
        draft.artefacts.push(bundle::Artefact::Addresses { addresses, leave: false, elected: true });
    }
    draft.layers.insert("system".to_owned(), emit::bundle::mode(model.layers.system));
    draft.artefacts.extend(files.into_iter().map(bundle::Artefact::File));
    Bundle::seal(draft).map_err(|e| Trouble::bug(format!("the bundle for {host} does not seal: {e}")))
}

/// The files of a machine that may be put in place now, and what is said about the others: units whose drop-ins wait for a move, and
/// units that somebody else wrote.
pub fn own_files(machine: &MachinePlan, facts: &facts::Facts) -> Result<(Vec<OwnFile>, Vec<String>), Trouble> {
    let (mut files, told) = machine.system.as_ref().map(|s| system_files(s, facts)).unwrap_or_default();
    files.extend(pair_files(machine)?);
    Ok((files, told))
}

fn system_files(system: &SystemPlan, facts: &facts::Facts) -> (Vec<OwnFile>, Vec<String>) {
    let judged = plan::system::fits(system, facts);
    let mut files = emit::own::files(system, &judged);
    if files.is_empty() {
        return Default::default();
    }
    let mut told: Vec<String> = judged.iter().filter_map(plan::system::Judged::withheld).collect();
    files.retain(|f| match (Place::of(&f.path), apply::files::look_at(std::slice::from_ref(f))) {
        (Ok(Place::Unit(unit)), Err(apply::Error::Foreign { path })) => {
            told.push(format!("{unit} has a unit of its own at {path}: it is kept, and gets the drop-in alone"));
            false
        }
        _ => true,
    });
    (files, told)
}

/// The files of another machine that may be put in place now, by what it reported; `elects` where it takes part in an election already. As
/// [`own_files`], which looks at this machine's disk.
pub fn reported_files(machine: &MachinePlan, facts: &facts::Facts, elects: bool) -> (Vec<OwnFile>, Vec<String>) {
    let (mut files, mut told) = (Vec::new(), Vec::new());
    if let Some(system) = &machine.system {
        let judged = plan::system::fits(system, facts);
        files = emit::own::files(system, &judged);
        if !files.is_empty() {
            told.extend(judged.iter().filter_map(plan::system::Judged::withheld));
        }
    }
    if machine.pair.as_ref().is_some_and(|p| !p.proposed || elects) {
        files.extend(emit::pair::files(machine));
    }
    (files, told)
}

/// The files of a pair's daemons that may be put in place now. While the layer observes nothing is elected that was not before. Where that
/// cannot be told nothing is: a bundle without an election that is there would end it.
fn pair_files(machine: &MachinePlan) -> Result<Vec<OwnFile>, Trouble> {
    let Some(pair) = &machine.pair else { return Ok(Vec::new()) };
    let unseen = |e: apply::Error| {
        Trouble::usage(
            format!("whether this node takes part in an election cannot be told: {}", e.chain()),
            "nothing was changed; `ls -l /etc/keepalived` says what lies there",
        )
    };
    let elected = !pair.proposed || apply::files::is_there(bundle::pair::KEEPALIVED).map_err(unseen)?;
    Ok(if elected { emit::pair::files(machine) } else { Vec::new() })
}

fn unmanaged(host: &HostName) -> Trouble {
    Trouble::usage(format!("{host} is not managed by Ravelin"), "set `managed = true`, or leave the machine out")
}

/// This machine in the site's plan.
pub struct Here {
    /// Which one it is.
    pub host: HostName,
    /// Its devices, of those the plan speaks of.
    pub devices: Devices,
    /// The plan, made for them.
    pub plan: Plan,
}

/// The plan made for the machine this is.
pub fn here(model: &Model, named: Option<&str>, facts: &facts::Facts) -> Result<Here, Trouble> {
    let host = this_machine(model, named, facts)?;
    let devices = model.hosts.get(&host).map(|h| devices(h, facts)).unwrap_or_default();
    let plan = plan_with(model, &devices);
    Ok(Here { host, devices, plan })
}

/// Which machine of the site this is: by name if given, else by its own host name, else by its addresses.
pub fn this_machine(model: &Model, named: Option<&str>, facts: &facts::Facts) -> Result<HostName, Trouble> {
    let known = || model.hosts.keys().map(HostName::as_str).collect::<Vec<_>>().join(", ");
    let by_name = |name: &str| model.hosts.keys().find(|h| h.as_str() == name).cloned();
    if let Some(name) = named {
        return by_name(name).ok_or_else(|| Trouble::usage(format!("the site has no host `{name}`"), format!("its hosts are {}", known())));
    }
    let short = facts.host.split('.').next().unwrap_or_default();
    let own: Vec<IpAddr> = facts.addresses().collect();
    let by_address = || model.hosts.values().find(|h| h.addresses().any(|a| own.contains(&a))).map(|h| h.name.clone());
    by_name(short).or_else(by_address).ok_or_else(|| {
        Trouble::usage(
            format!("this machine ({short}) is none of the site's: neither its name nor one of its addresses is in the site file"),
            format!("name it with --host; the site's hosts are {}", known()),
        )
    })
}
