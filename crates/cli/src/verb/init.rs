//! `ravelin init`: look at this machine, or at what several have reported, and write a first site file to standard output.

use crate::{
    args::{Format, Global},
    exit::Exit,
    face::{self, Face, show},
    input, machine,
    trouble::Trouble,
};
use clap::Args;
use facts::Facts;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Largest report of a machine that is read, in bytes: 100,000 connections stay below.
const MAX_FACTS: u64 = 256 << 20;

/// Arguments of `init`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Reports of machines, written there with `ravelin init --facts` [default: look at this machine]
    #[arg(value_name = "FACTS")]
    from: Vec<PathBuf>,
    /// Write this machine's report as JSON instead, secrets left out, to collect several of them
    #[arg(long, conflicts_with = "from")]
    facts: bool,
}

#[derive(Serialize)]
struct Proposal {
    site: String,
}

impl Face for Proposal {
    fn text(&self) -> String {
        self.site.clone()
    }
}

/// Looks and proposes.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let machines = if arguments.from.is_empty() {
        vec![machine::facts()]
    } else {
        arguments.from.iter().map(|p| read(p)).collect::<Result<Vec<_>, _>>()?
    };
    if arguments.facts {
        let text = serde_json::to_string_pretty(&machines[0]).map_err(|e| Trouble::bug(format!("facts do not serialise: {e}")))?;
        face::print(&(text + "\n"))?;
        return Ok(Exit::Ok);
    }
    if global.format() == Format::Text && machines.iter().all(|m| m.processes.is_empty()) {
        face::remark("No process was seen: the proposal knows addresses only. Run it as root to see who listens where.");
    }
    show(global, &Proposal { site: site::propose(&machines) })?;
    Ok(Exit::Ok)
}

/// A machine's report from a file.
pub fn read(path: &Path) -> Result<Facts, Trouble> {
    let text = input::text(path, MAX_FACTS)?;
    let facts: Facts = serde_json::from_str(&text).map_err(|e| {
        Trouble::usage(format!("{}: not a machine's report: {e}", path.display()), "write it there with `ravelin init --facts`")
    })?;
    if facts.schema != facts::SCHEMA {
        return Err(Trouble::usage(
            format!("{}: version {} of the report, this program reads {}", path.display(), facts.schema, facts::SCHEMA),
            "write it again with this version",
        ));
    }
    Ok(facts)
}
