//! `ravelin drift`: what this machine holds against what the site file says it should, in meaning. Changes nothing.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    machine,
    paint::{BAD, GOOD, WARN, paint},
    planning, sarif,
    trouble::Trouble,
};
use clap::Args;
use plan::{MachinePlan, Sysctl, SysctlRule};
use ruleset::compare::{Difference, compare};
use serde::Serialize;
use site::model::Mode;
use std::collections::BTreeSet;
use words::HostName;

/// Arguments of `drift`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME")]
    host: Option<String>,
}

#[derive(Serialize)]
struct Drift {
    host: HostName,
    /// Our own table against the plan.
    rules: Vec<Found>,
    /// Kernel settings against the plan.
    settings: Vec<Setting>,
    /// Addresses of an edge node against the plan.
    addresses: Vec<String>,
    /// Files of the system layer against the plan.
    files: Vec<String>,
    /// Units whose drop-ins wait for a move: no drift, and not yet what the site file says.
    waiting: Vec<String>,
    /// Filters that no tool shows: what they do is unknown.
    unread: Vec<String>,
}

#[derive(Serialize)]
struct Found {
    #[serde(flatten)]
    difference: Difference,
    /// What the rule or element is there for.
    why: Option<String>,
}

#[derive(Serialize)]
struct Setting {
    key: String,
    wanted: String,
    is: String,
}

impl Drift {
    fn count(&self) -> usize {
        self.rules.len() + self.settings.len() + self.addresses.len() + self.files.len()
    }
}

impl Face for Drift {
    fn text(&self) -> String {
        let mut out = String::new();
        for f in &self.rules {
            let why = f.why.as_ref().map(|w| format!("\n    {w}")).unwrap_or_default();
            let id = f.difference.id.as_ref().map(|i| format!(" [{i}]")).unwrap_or_default();
            out += &format!("{}{id}{why}\n", paint(BAD, &f.difference));
        }
        for s in &self.settings {
            out += &format!("{} is {}, should be {}\n", paint(BAD, &s.key), s.is, s.wanted);
        }
        for f in self.addresses.iter().chain(&self.files) {
            out += &format!("{}\n", paint(BAD, f));
        }
        for w in &self.waiting {
            out += &format!("{} {w}\n", paint(WARN, "waits:"));
        }
        for u in &self.unread {
            out += &format!("{} {u}\n", paint(WARN, "cannot be read:"));
        }
        out + &match self.count() {
            0 => format!("{}: {}\n", self.host, paint(GOOD, "holds what the site file says")),
            n => format!("{}: {n} differences; `ravelin apply` puts them right\n", self.host),
        }
    }
    fn sarif(&self) -> Option<serde_json::Value> {
        let finding = |message: String| sarif::Finding { code: "DRIFT".into(), level: "error", message, place: None };
        let rules = self.rules.iter().map(|f| finding(format!("{}: {}", self.host, f.difference)));
        let settings = self.settings.iter().map(|s| finding(format!("{}: {} should be {}", self.host, s.key, s.wanted)));
        let files = self.addresses.iter().chain(&self.files).map(|f| finding(format!("{}: {f}", self.host)));
        Some(sarif::log(&rules.chain(settings).chain(files).collect::<Vec<_>>()))
    }
}

/// Reads back and compares.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    // Accounts, units and processes are asked about only where the system layer is to be held against them.
    let facts = if model.layers.system == Mode::Enforce { machine::facts() } else { machine::network() };
    let planning::Here { host, plan, .. } = planning::here(&model, arguments.host.as_deref(), &facts)?;
    let machine = plan
        .machines
        .get(&host)
        .ok_or_else(|| Trouble::usage(format!("{host} is not managed by Ravelin"), "there is nothing to compare with"))?;
    let live = machine::rulesets(&facts)?;
    // A rule of the plan stands in the kernel once per address family: one difference for people.
    let mut differences: BTreeSet<Difference> = compare(&planning::own_table(machine), &live).into_iter().collect();
    if let Some(ufw) = &machine.ufw {
        let found = facts.ufw.clone().unwrap_or_default();
        differences.extend(emit::ufw::differences(&live, &found, ufw));
    }
    let rules = differences.into_iter().map(|difference| Found { why: why(machine, &difference), difference }).collect();
    let wanted = if machine.mode == Mode::Off { &[][..] } else { &machine.sysctls };
    let settings = settings(wanted);
    let (own, waiting) = planning::own_files(machine, &facts)?;
    let addresses = apply::addresses::differences(&emit::address::own(machine.wanted_addresses()))
        .map_err(|e| Trouble::usage(e.chain(), "the addresses of this machine could not be listed"))?;
    let drift = Drift {
        host,
        rules,
        settings,
        addresses,
        files: [apply::files::differences(&own), apply::pair::differences(&own)].concat(),
        waiting,
        unread: live.unread,
    };
    show(global, &drift)?;
    Ok(match (drift.count(), drift.unread.len()) {
        (0, 0) => Exit::Ok,
        (0, _) => Exit::Unproven,
        _ => Exit::Found,
    })
}

fn why(machine: &MachinePlan, difference: &Difference) -> Option<String> {
    machine.rules.get(difference.id.as_ref()?).map(|r| format!("{}; {}", r.what, r.why))
}

/// Settings that do not hold what the plan says. One that this kernel does not have is none: the applier noted it.
fn settings(wanted: &[Sysctl]) -> Vec<Setting> {
    let number = |t: &str| t.trim().parse::<u64>().ok();
    let holds = |s: &Sysctl, is: &str| match s.rule {
        SysctlRule::Exactly => is.split_whitespace().eq(s.value.split_whitespace()),
        SysctlRule::AtLeast => number(is).zip(number(&s.value)).is_some_and(|(is, want)| is >= want),
    };
    wanted
        .iter()
        .filter_map(|s| Some((s, apply::settings::get(&dotted(&s.key))?)))
        .filter(|(s, is)| !holds(s, is))
        .map(|(s, is)| Setting { key: dotted(&s.key), wanted: s.value.clone(), is })
        .collect()
}

/// sysctl's spelling of a path below /proc/sys: dots between parts, a slash for a dot inside one.
fn dotted(path: &str) -> String {
    path.chars()
        .map(|c| match c {
            '/' => '.',
            '.' => '/',
            c => c,
        })
        .collect()
}
