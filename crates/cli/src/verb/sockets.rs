//! `ravelin sockets`: what listens on this machine, and who can really reach it: on loopback, filtered, or reachable and by whom,
//! proven over the rules the kernel holds, with the rule that decides. Needs no site file; with one, machines and zones have
//! names. Changes nothing.

use crate::{
    args::Global,
    exit::Exit,
    face::Face,
    input, machine,
    paint::{BAD, DIM, GOOD, HEAD, WARN, paint},
    planning,
    redact::{Redactor, Reveal},
    trouble::Trouble,
};
use clap::Args;
use facts::{Failure, Source};
use reach::{
    exposure::{By, End, Exposed, Exposures, Holder, Verdict, exposures},
    trace::Step,
};
use ruleset::{Ruleset, TableFamily};
use serde::Serialize;
use std::path::PathBuf;
use words::Family;

/// Arguments of `sockets`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The site file, for the names of machines and zones
    #[arg(long, short, value_name = "SITE")]
    site: Option<PathBuf>,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME", requires = "site")]
    host: Option<String>,
    /// Only what somebody outside can reach
    #[arg(long)]
    reachable: bool,
    #[command(flatten)]
    reveal: Reveal,
}

/// What is looked at besides the rulesets; where one of these failed something may be missing.
const SOURCES: [Source; 6] =
    [Source::Sockets, Source::SocketOwners, Source::Interfaces, Source::Routes, Source::Processes, Source::Containers];

#[derive(Serialize)]
struct Sockets {
    sockets: Vec<Told>,
    /// Filters that no tool shows.
    unread: Vec<String>,
    /// What could not be looked at.
    failures: Vec<Failure>,
}

#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    exposed: Exposed,
    /// The rules that decide, as text.
    decided: Vec<String>,
}

impl Face for Sockets {
    fn text(&self) -> String {
        let mut out = String::new();
        let mut last = None;
        for told in &self.sockets {
            let head = head(&told.exposed);
            if last.as_ref() != Some(&head) {
                out += &format!("{head}\n");
                last = Some(head);
            }
            out += &told.text();
        }
        for u in &self.unread {
            out += &format!("{} {u}\n", paint(WARN, "cannot be read:"));
        }
        for f in &self.failures {
            out += &format!("{} {}\n", paint(WARN, "not seen:"), f.reason);
        }
        out
    }
}

/// What listens, without its family.
fn head(e: &Exposed) -> String {
    match &e.end {
        End::Socket { local, device, holders } => {
            let on = match local.ip() {
                a if a.is_unspecified() => "every address".to_owned(),
                a => a.to_string(),
            };
            let device = device.as_ref().map(|d| format!(" at {d}")).unwrap_or_default();
            let who = holders.iter().map(holder).collect::<Vec<_>>().join(", ");
            let who = if who.is_empty() { "held by nobody that could be seen".to_owned() } else { who };
            format!("{} on {on}{device}: {who}", paint(HEAD, format!("{}/{}", local.port(), e.proto)))
        }
        End::Forwarded { port, at, to, containers } => {
            let on = at.map_or_else(|| "every address".to_owned(), |a| a.to_string());
            let who = match containers.as_slice() {
                [] => "no container that an engine names".to_owned(),
                some => format!("container {}", some.join(", ")),
            };
            format!("{} on {on}, forwarded to {to}: {who}", paint(HEAD, format!("{port}/{}", e.proto)))
        }
    }
}

fn holder(h: &Holder) -> String {
    let mut belongs: Vec<String> = [&h.account].into_iter().filter(|a| !a.is_empty()).cloned().collect();
    belongs.extend(h.unit.clone());
    belongs.extend(h.container.as_ref().map(|c| format!("container {c}")));
    let name = if h.process.is_empty() { "process".to_owned() } else { h.process.clone() };
    format!("{name} {} ({})", h.pid, belongs.join(", "))
}

impl Told {
    fn text(&self) -> String {
        let family = match self.exposed.family {
            Family::V4 => "IPv4",
            Family::V6 => "IPv6",
        };
        let mut out = match &self.exposed.verdict {
            Verdict::Loopback => format!("  {family} {}: this machine alone\n", paint(GOOD, "loopback")),
            Verdict::NoAddress => format!("  {family} {}: the machine has no such address for others\n", paint(GOOD, "no address")),
            Verdict::Filtered { packet, by } => {
                let why = if by.is_none() { ": the machine forwards nothing" } else { "" };
                format!("  {family} {}{why} {}\n", paint(GOOD, "filtered"), paint(DIM, format!("({packet})")))
            }
            Verdict::Unproven => format!("  {family} {}: not every filter of this machine could be read\n", paint(BAD, "unproven")),
            Verdict::Reachable(by) => {
                let all = by.iter().map(who).collect::<Vec<_>>().join("; ");
                format!("  {family} {} by {all}\n", paint(WARN, "reachable"))
            }
        };
        for rule in &self.decided {
            out += &format!("    {rule}\n");
        }
        for a in self.exposed.verdict.by().iter().flat_map(|b| &b.assumed) {
            out += &format!("    assumed: {a}\n");
        }
        out
    }
}

fn who(by: &By) -> String {
    let mut out = by.peer.to_string();
    if !by.all {
        let more = if by.more > 0 { format!(" and {} more", by.more) } else { String::new() };
        out += &format!(" from {}{more}", by.sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    if !by.hosts.is_empty() {
        out += &format!(" ({})", by.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "));
    }
    out
}

/// The rules that decide, each once.
fn decided(rules: &Ruleset, e: &Exposed) -> Vec<String> {
    let mut out: Vec<String> = match &e.verdict {
        Verdict::Filtered { by, .. } => by.iter().map(|s| step(rules, e.family, s)).collect(),
        Verdict::Reachable(by) => by.iter().map(|b| last(rules, e.family, &b.steps)).collect(),
        _ => Vec::new(),
    };
    out.sort();
    out.dedup();
    out
}

fn last(rules: &Ruleset, family: Family, steps: &[Step]) -> String {
    // A policy lets through what no rule spoke of; where a rule did, that is what decided.
    let rule = steps.iter().rev().find(|s| s.rule.is_some() && !s.did.starts_with("jump")).or(steps.last());
    rule.map_or_else(|| "no packet filter is in the way".to_owned(), |s| step(rules, family, s))
}

fn step(rules: &Ruleset, family: Family, s: &Step) -> String {
    let fits = |t: &ruleset::Table| match t.family {
        TableFamily::Ip => family == Family::V4,
        TableFamily::Ip6 => family == Family::V6,
        _ => true,
    };
    let table = rules.tables.iter().find(|t| t.name == s.table && fits(t) && t.chain(&s.chain).is_some());
    let rule = table.zip(s.rule).and_then(|(t, n)| Some((t, t.chain(&s.chain)?.rules.get(n)?)));
    let said = rule.map_or_else(|| s.did.clone(), |(t, r)| written(t, r));
    let kind = table.map_or("", |t| emit::nft::family_name(t.family));
    let id = s.id.as_ref().filter(|id| !said.contains(id.as_str())).map(|i| format!(" [{i}]")).unwrap_or_default();
    let number = s.rule.map(|n| format!(", rule {}", n + 1)).unwrap_or_default();
    format!("{kind} {}, {}{number}: {said}{id}", s.table, s.chain)
}

/// A rule as its own tool writes it, counters left out.
fn written(table: &ruleset::Table, rule: &ruleset::Rule) -> String {
    let text = rule.text.as_ref().map(|t| t.strip_prefix('[').and_then(|t| t.split_once("] ")).map_or(t.as_str(), |(_, t)| t));
    text.map_or_else(|| emit::nft::rule(table, rule), str::to_owned)
}

/// Looks and proves.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let facts = machine::listeners();
    let site = arguments.site.as_ref().map(|path| input::model(path, global)).transpose()?;
    let host = site.as_ref().map(|(m, _)| planning::this_machine(m, arguments.host.as_deref(), &facts)).transpose()?;
    let rules = machine::rulesets(&facts)?;
    let Exposures { all, unread } = exposures(&facts, &rules, site.as_ref().map(|(m, _)| m).zip(host.as_ref()));
    let proven = unread.is_empty() && all.iter().all(|e| e.verdict != Verdict::Unproven);
    let sockets = all
        .into_iter()
        .filter(|e| !arguments.reachable || !e.verdict.closed())
        .map(|exposed| Told { decided: decided(&rules, &exposed), exposed })
        .collect();
    let failures: Vec<Failure> = facts.failures.iter().filter(|f| SOURCES.contains(&f.source)).cloned().collect();
    let blind = facts.failures.iter().any(|f| matches!(f.source, Source::Sockets | Source::Interfaces | Source::Routes));
    Redactor::new(site.as_ref().map(|(m, _)| m), arguments.reveal).show(global, &Sockets { sockets, unread, failures })?;
    Ok(if proven && !blind { Exit::Ok } else { Exit::Unproven })
}
