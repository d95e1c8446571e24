//! The arguments every verb shares, and the list of verbs. Help, completions and man pages all come from here.

use crate::verb;
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Defence in depth for Filecoin storage providers, from one file.
#[derive(Debug, Parser)]
#[command(
    name = "ravelin",
    version,
    propagate_version = true,
    after_help = "Exit codes: 0 done, 1 something found, 2 could not be done, 3 unproven, 4 taken back."
)]
pub struct Cli {
    /// What every verb takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
pub struct Global {
    /// Write the result as JSON
    #[arg(long, global = true, conflicts_with = "format")]
    json: bool,
    /// How to write the result
    #[arg(long, global = true, value_enum)]
    format: Option<Format>,
    /// Date to judge by, in UTC, e.g. 2026-11-22 [default: today]
    #[arg(long, global = true, value_name = "DATE")]
    now: Option<jiff::civil::Date>,
}

impl Global {
    /// The format asked for.
    pub fn format(&self) -> Format {
        if self.json { Format::Json } else { self.format.unwrap_or_default() }
    }
    /// The date to judge by, as `YYYY-MM-DD`.
    pub fn today(&self) -> String {
        self.now.unwrap_or_else(|| jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date()).to_string()
    }
}

/// How to write a result.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Text,
    /// The whole result.
    Json,
    /// Findings, for tools that read SARIF 2.1.0.
    Sarif,
}

/// The verbs, in the order in which an operator meets them.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Look at this machine and write a first site file
    Init(verb::init::Arguments),
    /// A first site file from an Ansible inventory
    ImportAnsible(verb::import_ansible::Arguments),
    /// What really flows here, what the site file would cut, and the lines that would allow it
    Learn(verb::learn::Arguments),
    /// Read, resolve and prove; cited lines, stable codes, exit 1 on an error
    Check(verb::check::Arguments),
    /// Every flow that is allowed, and why it exists
    Flows(verb::flows::Arguments),
    /// Can A reach B? A packet that gets through, or the layer that stops it
    Reach(verb::reach::Arguments),
    /// What would change, per machine, in text and in meaning
    Plan(verb::plan::Arguments),
    /// This machine's part of the plan as one transaction: stage, probe, confirm or roll back
    Apply(verb::apply::Arguments),
    /// Every machine's part of the plan as one transaction: everywhere, or everything goes back by itself
    Rollout(verb::rollout::Arguments),
    /// Who changed what, when, and what was proved
    History(verb::history::Arguments),
    /// An earlier site file again, as a new rollout
    Rollback(verb::rollback::Arguments),
    /// Keys that sign what machines take, and whom machines believe
    Keys(verb::keys::Arguments),
    /// When a service may be interrupted: after the current proof has landed, before the next challenge is drawn
    Deadlines(verb::deadlines::Arguments),
    /// A service that runs as root gets its own account, files and all; shows what it would do unless --yes
    Adopt(verb::adopt::Arguments),
    /// Plain artefacts for those who deploy by other means
    Render(verb::render::Arguments),
    /// The redundant pair: how it stands, handing over, and a drill in namespaces
    Pair(verb::pair::Arguments),
    /// What this machine holds against what it should, in meaning
    Drift(verb::drift::Arguments),
    /// Each requirement, how it stands here, and what proves it
    Report(verb::report::Arguments),
    /// What listens on this machine, and who can really reach it, by the rules the kernel holds
    Sockets(verb::sockets::Arguments),
    /// What is wrong on this machine; no site file needed
    Audit(verb::audit::Arguments),
    /// Restore tests of backups: read as a restore would, compared, recorded
    Backup(verb::backup::Arguments),
    /// Assume a service's process is taken over: its ways to uid 0 and to others' secrets on this machine
    Breach(verb::breach::Arguments),
    /// Close the ways up that may be closed by themselves; shows them unless --yes
    Harden(verb::harden::Arguments),
    /// The way to SELinux and back: status, prepare, install, permissive, enforce, undo
    Selinux(verb::selinux::Arguments),
    /// Who holds which API token, what would do, and how to exchange it
    Tokens(verb::tokens::Arguments),
    /// What is wrong with containers here or in compose files, and how they would run with no more than they need
    Containers(verb::containers::Arguments),
    /// Real connections from where this machine stands, held against the site file
    Verify(verb::verify::Arguments),
    /// On the console: only the management path, at once
    BreakGlass(verb::break_glass::Arguments),
    /// The inspection engine: its rules, and captures through it; packets on their way are not inspected in this release
    Ips(verb::ips::Arguments),
    /// The whole site on this machine, in namespaces, with attackers
    Lab(verb::lab::Arguments),
    /// Why this rule, finding, flow or catalogue entry exists
    Explain(verb::explain::Arguments),
    /// The site file in its canonical form, comments kept
    Fmt(verb::fmt::Arguments),
    /// The site file's JSON Schema, for editors
    Schema(verb::schema::Arguments),
    /// Write man pages, completion scripts, made-up sites
    Generate(verb::generate::Arguments),
}
