//! `ravelin history`: who changed what, when, and what was proved, from the ledger; with --verify every line is held against the one before it
//! and its signature. Changes nothing.

use crate::{
    args::Global,
    coordinate::books::{self, BookArguments, Known},
    exit::Exit,
    face::{Face, show},
    input::{self, SiteArgument},
    paint::{BAD, DIM, GOOD, WARN, paint},
    trouble::Trouble,
};
use clap::Args;
use jiff::Timestamp;
use rollout::{
    Outcome, Place,
    ledger::{Check, Fault, History, What, read},
};
use serde::Serialize;
use std::path::PathBuf;
use words::{Digest, HostName};

/// Arguments of `history`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    site: SiteArgument,
    #[command(flatten)]
    book: BookArguments,
    /// Look whether any line was changed, taken out, put in or cut off; exit 1 if so
    #[arg(long)]
    verify: bool,
    /// A trust file whose keys the signatures must be of
    #[arg(long, value_name = "FILE", requires = "verify")]
    trust: Option<PathBuf>,
}

#[derive(Serialize)]
struct Told {
    rollouts: Vec<Rollout>,
    lines: u64,
    faults: Vec<Fault>,
    verified: Verified,
}

#[derive(Serialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum Verified {
    NotAsked,
    Chain,
    ChainAndSignatures,
}

#[derive(Serialize)]
struct Rollout {
    id: String,
    at: u64,
    by: String,
    argument: String,
    site: String,
    file: Digest,
    key: Option<String>,
    changed: Vec<Changed>,
    unchanged: usize,
    skipped: Vec<HostName>,
    proved: Vec<String>,
    decided: bool,
    outcome: Option<Outcome>,
    failures: Vec<String>,
    lost: Vec<HostName>,
}

#[derive(Serialize)]
struct Changed {
    host: HostName,
    generation: words::Generation,
    before: Option<Digest>,
    after: Digest,
}

impl Face for Told {
    fn text(&self) -> String {
        let mut out = String::new();
        for r in &self.rollouts {
            let word = match r.outcome {
                Some(Outcome::Kept) => paint(GOOD, "kept"),
                Some(Outcome::TakenBack) => paint(BAD, "taken back"),
                Some(Outcome::Astray) => paint(BAD, "taken back, and a machine holds something else than before"),
                Some(Outcome::Refused) => paint(BAD, "refused, nothing was changed"),
                Some(Outcome::Decided) => paint(WARN, "decided, not everywhere yet: ravelin rollout --resume"),
                Some(Outcome::Planned | Outcome::Unchanged) => "nothing to do".into(),
                None if r.decided => paint(WARN, "decided, not over: ravelin rollout --resume"),
                None => paint(WARN, "begun, not over: ravelin rollout --resume"),
            };
            let at = Timestamp::from_second(i64::try_from(r.at).unwrap_or(0)).unwrap_or_default().strftime("%Y-%m-%d %H:%M:%S UTC");
            let signed = r.key.as_ref().map_or_else(|| "not signed".to_owned(), |k| format!("signed by {k}"));
            out += &format!("{} {at} {} {word}\n  {} ({signed})\n", r.id, r.by, r.argument);
            out += &format!("  site {} {}: {} machines changed, {} as they were\n", r.site, r.file.short(), r.changed.len(), r.unchanged);
            let list = |word: &str, all: &[HostName]| {
                let names: Vec<&str> = all.iter().map(HostName::as_str).collect();
                if names.is_empty() { String::new() } else { format!("  {word}: {}\n", names.join(", ")) }
            };
            out += &list("left out", &r.skipped);
            out += &list("lost", &r.lost);
            out.extend(r.failures.iter().map(|f| format!("  {} {f}\n", paint(BAD, "failed:"))));
            out.extend(r.proved.iter().map(|p| format!("  {} {p}\n", paint(DIM, "proved:"))));
        }
        if self.rollouts.is_empty() {
            out += "nothing was rolled out yet\n";
        }
        out.extend(self.faults.iter().map(|f| format!("{} {f}\n", paint(BAD, "NOT WHOLE:"))));
        match self.verified {
            Verified::NotAsked => {}
            _ if !self.faults.is_empty() => {}
            Verified::Chain => {
                out += &format!("{} lines follow one another; signatures were not looked at: name a trust file with --trust\n", self.lines)
            }
            Verified::ChainAndSignatures => out += &format!("{} lines follow one another, each with a good signature\n", self.lines),
        }
        out
    }
}

/// Tells it.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let (model, _) = input::model(&arguments.site.site, global)?;
    let history = read(&arguments.book.directory(&model.name)).map_err(books::trouble)?;
    let known = arguments.trust.as_deref().map(Known::read).transpose()?;
    let faults = if arguments.verify { history.faults(known.as_ref().map(|k| k as &dyn Check)) } else { Vec::new() };
    let verified = match (arguments.verify, &known) {
        (false, _) => Verified::NotAsked,
        (true, None) => Verified::Chain,
        (true, Some(_)) => Verified::ChainAndSignatures,
    };
    let told = Told { rollouts: rollouts(&history, known.as_ref()), lines: history.len(), faults, verified };
    show(global, &told)?;
    Ok(Exit::found(!told.faults.is_empty()))
}

fn rollouts(history: &History, known: Option<&Known>) -> Vec<Rollout> {
    let mut out: Vec<Rollout> = Vec::new();
    for sealed in history.sealed() {
        let record = &sealed.record;
        match &record.what {
            What::Opened { site, file, argument, targets, skipped, proved, .. } => {
                let changes = targets.iter().filter(|(_, t)| !t.unchanged);
                let one = |(host, t): (&HostName, &rollout::Target)| Changed {
                    host: host.clone(),
                    generation: t.generation,
                    before: t.before,
                    after: t.digest,
                };
                let name = |key: &String| known.and_then(|k| k.name(key)).map_or_else(|| key.clone(), |n| format!("{n} ({key})"));
                out.push(Rollout {
                    id: record.rollout.clone(),
                    at: record.at,
                    by: record.by.clone(),
                    argument: argument.clone(),
                    site: site.clone(),
                    file: *file,
                    key: sealed.key.as_ref().map(name),
                    unchanged: targets.values().filter(|t| t.unchanged).count(),
                    changed: changes.map(one).collect(),
                    skipped: skipped.keys().cloned().collect(),
                    proved: proved.clone(),
                    decided: false,
                    outcome: None,
                    failures: Vec::new(),
                    lost: Vec::new(),
                });
            }
            What::Decided => out.iter_mut().filter(|r| r.id == record.rollout).for_each(|r| r.decided = true),
            What::Closed { report } => {
                for r in out.iter_mut().filter(|r| r.id == record.rollout) {
                    r.outcome = Some(report.outcome);
                    r.failures = report.failures.iter().map(ToString::to_string).collect();
                    let lost = report.machines.iter().filter(|(_, p)| matches!(p, Place::Lost { .. } | Place::Astray { .. }));
                    r.lost = lost.map(|(m, _)| m.clone()).collect();
                }
            }
        }
    }
    out
}
