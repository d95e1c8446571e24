//! `ravelin audit`: what is wrong on this machine. Needs no site file; with one, the rules know more.

use crate::{
    args::Global,
    backups::{self, Given},
    exit::Exit,
    face::{Face, remark},
    input, machine,
    paint::{BAD, WARN, paint},
    planning,
    redact::{Redactor, Reveal},
    save,
    trouble::Trouble,
};
use audit::{Report, Risk};
use clap::{Args, ValueEnum};
use observe::Root;
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `audit`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The site file, for rules that compare with it
    #[arg(long, short, value_name = "SITE")]
    site: Option<PathBuf>,
    /// Which machine of the site this is [default: by its host name, else by its addresses]
    #[arg(long, value_name = "NAME", requires = "site")]
    host: Option<String>,
    /// Walk over the file systems first: set-id programs, file capabilities, what everybody may write
    #[arg(long)]
    sweep: bool,
    /// Look at a tree of files that stands for a machine (a mounted image, a restored backup) instead of this one
    #[arg(long, value_name = "DIR", conflicts_with_all = ["sweep", "site"])]
    root: Option<PathBuf>,
    /// Write the report as one page of HTML
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Exit with 1 from this risk on
    #[arg(long, value_enum, default_value_t = Least::Low)]
    fail_on: Least,
    #[command(flatten)]
    given: Given,
    #[command(flatten)]
    reveal: Reveal,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Least {
    Low,
    Medium,
    High,
    Critical,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Audited(Report);

impl Face for Audited {
    fn text(&self) -> String {
        let mut out = String::new();
        for line in self.0.text().lines() {
            let worst = line.contains(" critical: ") || line.contains(" high: ");
            out += &match line.split_once(' ') {
                Some((code, rest)) if code.starts_with("AUD") => format!("{} {rest}\n", paint(if worst { BAD } else { WARN }, code)),
                _ => format!("{line}\n"),
            };
        }
        out
    }
    fn sarif(&self) -> Option<serde_json::Value> {
        Some(self.0.sarif())
    }
}

/// Looks and judges.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let mut facts = match &arguments.root {
        Some(root) => machine::tree(root)?,
        None => machine::with_paths(arguments.sweep),
    };
    let site = arguments.site.as_ref().map(|path| input::model(path, global)).transpose()?;
    let host = site.as_ref().map(|(m, _)| planning::this_machine(m, arguments.host.as_deref(), &facts)).transpose()?;
    let root = arguments.root.as_deref().map_or_else(Root::machine, Root::tree);
    let declared = backups::all(&arguments.given, site.as_ref().map(|(m, _)| m).zip(host.as_ref()));
    facts.backups = backups::look(&root, &declared, &facts, &arguments.given);
    let report = audit::run(&facts, site.as_ref().map(|(m, _)| m).zip(host.as_ref()));
    let least = match arguments.fail_on {
        Least::Low => Risk::Low,
        Least::Medium => Risk::Medium,
        Least::High => Risk::High,
        Least::Critical => Risk::Critical,
    };
    let found = report.at_least(least) > 0;
    let redactor = Redactor::new(site.as_ref().map(|(m, _)| m), arguments.reveal);
    if let Some(path) = &arguments.html {
        save::private(path, report.html(&|t| redactor.text(t)).as_bytes())?;
        remark(&format!("Written to {}, readable for you alone: it is a map for thieves.", path.display()));
    }
    redactor.show(global, &Audited(report))?;
    Ok(Exit::found(found))
}
