//! `ravelin plan`: what would change, per machine, in text and in meaning. Changes nothing.

use crate::{
    args::Global,
    exit::Exit,
    face::Face,
    input::{self, SiteArgument},
    paint::{BAD, DIM, GOOD, HEAD, WARN, diagnostic, paint},
    planning, proof,
    redact::{Redactor, Reveal},
    save,
    trouble::Trouble,
};
use clap::Args;
use plan::{MachinePlan, Plan, TABLE};
use reach::{Change, diff::Direction};
use ruleset::form::TableFamily;
use serde::Serialize;
use site::model::{Flow, Model};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use words::{Diagnostic, Digest, HostName, SourceFile};

/// Rows told of one place: the public address space alone is cut into dozens by the private ranges in it.
const TOLD: usize = 4;

/// Arguments of `plan`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// The site file as it was, to see what changes against it
    #[arg(long, value_name = "OLD_SITE")]
    against: Option<PathBuf>,
    /// Only this machine
    #[arg(long, value_name = "NAME")]
    host: Option<HostName>,
    /// With the full text of each machine's ruleset
    #[arg(long)]
    text: bool,
    /// Also write the plan as JSON to this file, readable for its owner alone
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    reveal: Reveal,
}

#[derive(Serialize)]
struct Planned {
    site: String,
    digest: Digest,
    unchanged: bool,
    machines: Vec<Machine>,
    newly_allowed: Vec<Flow>,
    no_longer_allowed: Vec<Flow>,
    /// What the filters let through or no longer do, proven over all packets.
    reachable: Vec<Change>,
    notes: Vec<Diagnostic>,
    #[serde(skip)]
    compared: bool,
    #[serde(skip)]
    full: bool,
    #[serde(skip)]
    source: SourceFile,
}

#[derive(Serialize)]
struct Machine {
    host: HostName,
    role: plan::Role,
    mode: site::model::Mode,
    /// Rules and set elements that carry an id.
    ids: usize,
    sysctls: usize,
    /// Addresses an edge node must hold besides its own.
    addresses: Vec<plan::Address>,
    /// What it holds while it is the active node of a pair.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    elected: Vec<plan::Address>,
    state: State,
    /// What changes, a rule, element or setting a line.
    lines: Vec<String>,
    /// What the machine would hold.
    script: String,
    /// Accounts, modes and units, where the system layer is not off.
    system: Option<System>,
}

/// What the system layer holds for a machine.
#[derive(Serialize)]
struct System {
    mode: site::model::Mode,
    accounts: Vec<String>,
    units: Vec<Unit>,
    directories_and_modes: usize,
    by_hand: Vec<plan::system::ByHand>,
    /// Texts by path.
    files: BTreeMap<String, String>,
}

#[derive(Serialize)]
struct Unit {
    name: String,
    /// Upstream ships none.
    whole: bool,
    /// Runs a service; the others make what services need.
    service: bool,
    opened: Vec<catalog::Need>,
}

impl System {
    fn of(system: &plan::system::SystemPlan) -> Option<Self> {
        let files = emit::render::system_files(system);
        (!files.is_empty()).then(|| Self {
            mode: system.mode,
            accounts: system.accounts.keys().map(ToString::to_string).collect(),
            units: system
                .units
                .iter()
                .map(|u| Unit {
                    name: u.name.clone(),
                    whole: !u.whole.is_empty(),
                    service: u.instance.is_some(),
                    opened: u.opened.iter().copied().collect(),
                })
                .collect(),
            directories_and_modes: system.files.len(),
            by_hand: system.by_hand.clone(),
            files,
        })
    }

    /// A line for the machine, one for each unit, one for each setting that a unit cannot make.
    fn text(&self) -> String {
        let head = format!(
            "system {}, accounts {}, {} directories and modes",
            word(&self.mode),
            self.accounts.join(", "),
            self.directories_and_modes
        );
        let mut out = format!("    {}\n", paint(DIM, head));
        for u in &self.units {
            let opened: Vec<&str> = u.opened.iter().map(|n| n.word()).collect();
            let opened = if !u.service {
                "Ravelin's own, as root".to_owned()
            } else if opened.is_empty() {
                "everything closed".to_owned()
            } else {
                format!("opened for {}", opened.join(", "))
            };
            let kind = if u.whole { "whole unit" } else { "drop-in" };
            out += &format!("    {} {}\n", u.name, paint(DIM, format!("{kind}, {opened}")));
        }
        for h in &self.by_hand {
            out += &format!("    {} {}: {} = \"{}\"\n", paint(WARN, "by hand"), h.unit, h.place, h.value);
        }
        out
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    New,
    Unchanged,
    Changed,
    Gone,
}

impl Face for Planned {
    fn text(&self) -> String {
        let mut out: String = self.notes.iter().map(|d| diagnostic(d, &self.source)).collect();
        for m in self.machines.iter().filter(|m| m.state != State::Unchanged) {
            out += &m.line();
            if let Some(system) = m.system.as_ref().filter(|_| m.state == State::New) {
                out += &system.text();
            }
            if self.full {
                out += &m.script.lines().map(|l| format!("    {l}\n")).collect::<String>();
                for (path, text) in m.system.iter().flat_map(|s| &s.files) {
                    out += &format!("    {}\n", paint(HEAD, format!("/{path}")));
                    out += &text.lines().map(|l| format!("    {l}\n")).collect::<String>();
                }
            } else if m.state == State::Changed {
                out += &m.lines.iter().map(|l| painted(l)).collect::<String>();
            }
        }
        if self.compared {
            out += &flows(&self.newly_allowed, &format!("{} newly allowed:", paint(WARN, "+")));
            out += &flows(&self.no_longer_allowed, &format!("{} no longer allowed:", paint(GOOD, "-")));
        }
        out += &self.reachable.iter().map(change).collect::<String>();
        let unchanged = self.machines.iter().filter(|m| m.state == State::Unchanged).count();
        out + &match (self.unchanged, self.compared) {
            (true, _) => format!("{}: nothing changes on any of {} machines\n", self.site, self.machines.len()),
            (false, true) => format!(
                "{}: {} machines change, {unchanged} do not (plan {})\n",
                self.site,
                self.machines.len() - unchanged,
                self.digest.short()
            ),
            (false, false) => format!(
                "{}: plan {} for {} machines; --against OLD_SITE shows what changes\n",
                self.site,
                self.digest.short(),
                self.machines.len()
            ),
        }
    }
}

impl Machine {
    fn line(&self) -> String {
        let sign = match self.state {
            State::New => paint(WARN, "+"),
            State::Gone => paint(BAD, "-"),
            State::Changed => paint(WARN, "~"),
            State::Unchanged => "=".to_owned(),
        };
        let addresses = match (self.addresses.len(), self.elected.len()) {
            (0, 0) => String::new(),
            (0, n) => format!(", {n} addresses while it is the active node"),
            (n, _) => format!(", {n} addresses"),
        };
        let about = format!(
            "{} {}, {} rules and elements, {} kernel settings{addresses}",
            word(&self.mode),
            word(&self.role),
            self.ids,
            self.sysctls
        );
        format!("{sign} {} {}\n", paint(HEAD, &self.host), paint(DIM, about))
    }
}

fn word(value: &impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|v| v.as_str().map(str::to_owned)).unwrap_or_default()
}

fn painted(line: &str) -> String {
    let shown = match line.bytes().next() {
        Some(b'+') => paint(GOOD, line),
        Some(b'-') => paint(BAD, line),
        _ => line.to_owned(),
    };
    format!("    {shown}\n")
}

fn flows(flows: &[Flow], head: &str) -> String {
    flows.iter().map(|f| format!("{head} {} {} -> {} {}: {}\n", f.id, f.from, f.to, f.target, f.why)).collect()
}

/// Plans, compares, tells.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, source) = input::model(&arguments.site.site, global)?;
    let new = planning::plan(&model);
    let old = match &arguments.against {
        Some(path) => {
            let (model, _) = input::model(path, global)?;
            Some((planning::plan(&model), model))
        }
        None => None,
    };
    if let Some(host) = &arguments.host
        && !new.machines.contains_key(host)
    {
        return Err(Trouble::usage(
            format!("the plan has no machine `{host}`"),
            "`ravelin plan` without --host lists them; unmanaged machines have no plan",
        ));
    }
    let planned = compare(&model, &new, old.as_ref(), arguments, source);
    let redactor = Redactor::new(Some(&model), arguments.reveal);
    if let Some(path) = &arguments.out {
        save::private(path, format!("{:#}\n", redactor.value(&planned)?).as_bytes())?;
    }
    let stop = planned.notes.iter().any(Diagnostic::is_error);
    redactor.show(global, &planned)?;
    Ok(Exit::found(stop))
}

/// A change of what is reachable, in words.
fn change(c: &Change) -> String {
    let head = match c.direction {
        Direction::Opened => paint(WARN, "+ newly reachable"),
        Direction::Closed => paint(GOOD, "- no longer reachable"),
    };
    let rows: String = c.rows.iter().take(TOLD).map(|r| format!("    {r}\n")).collect();
    let more = if c.more || c.rows.len() > TOLD { "    and more of the same place; --json has them\n" } else { "" };
    format!("{head} {} {}\n{rows}{more}", c.host, c.place)
}

fn compare(model: &Model, new: &Plan, old: Option<&(Plan, Model)>, arguments: &Arguments, source: SourceFile) -> Planned {
    let nothing = BTreeMap::new();
    let before = old.map_or(&nothing, |(p, _)| &p.machines);
    let hosts: BTreeSet<&HostName> = new.machines.keys().chain(before.keys()).collect();
    let wanted = |h: &&&HostName| arguments.host.as_ref().is_none_or(|name| name == **h);
    let changes = old.map(|(p, _)| plan::difference(p, new)).unwrap_or_default();
    let machines = hosts
        .iter()
        .filter(wanted)
        .map(|h| machine(h, before.get(*h), new.machines.get(*h), changes.get(*h).map(|d| &d.lines)))
        .collect::<Vec<_>>();
    let ids = |m: &Model| m.flows.iter().map(|f| f.id.clone()).collect::<BTreeSet<_>>();
    let (now, then) = (ids(model), old.map(|(_, m)| ids(m)).unwrap_or_default());
    let only = |m: &Model, other: &BTreeSet<_>| m.flows.iter().filter(|f| !other.contains(&f.id)).cloned().collect();
    Planned {
        site: model.name.clone(),
        digest: new.digest,
        unchanged: old.is_some() && machines.iter().all(|m| m.state == State::Unchanged),
        machines,
        newly_allowed: if old.is_some() { only(model, &then) } else { Vec::new() },
        no_longer_allowed: old.map(|(_, m)| only(m, &now)).unwrap_or_default(),
        reachable: old.map(|(p, m)| proof::changes((m, p), (model, new))).unwrap_or_default(),
        notes: new.notes.clone(),
        compared: old.is_some(),
        full: arguments.text,
        source,
    }
}

fn machine(host: &HostName, old: Option<&MachinePlan>, new: Option<&MachinePlan>, lines: Option<&Vec<String>>) -> Machine {
    let state = match (old, new, lines) {
        (None, ..) => State::New,
        (_, None, _) => State::Gone,
        (.., None) => State::Unchanged,
        _ => State::Changed,
    };
    let shown = new.or(old);
    Machine {
        host: host.clone(),
        role: shown.map_or(plan::Role::Host, |m| m.role),
        mode: shown.map_or(site::model::Mode::Off, |m| m.mode),
        ids: shown.map_or(0, |m| m.rules.len()),
        sysctls: shown.map_or(0, |m| m.sysctls.len()),
        addresses: shown.map(|m| m.wanted_addresses().to_vec()).unwrap_or_default(),
        elected: shown.map(|m| m.elected_addresses().to_vec()).unwrap_or_default(),
        state,
        lines: lines.cloned().unwrap_or_default(),
        system: new.and_then(|m| m.system.as_ref()).and_then(System::of),
        script: new.map(|m| emit::nft::script(&m.ruleset, TableFamily::Inet, TABLE)).unwrap_or_default(),
    }
}
