//! `ravelin harden`: closes the ways up that may be closed by themselves. Shows what it would do unless `--yes`; `--undo` takes the
//! last run back.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    machine,
    trouble::Trouble,
};
use breach::{Fix, Machine};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Arguments of `harden`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Do it; else only show
    #[arg(long, conflicts_with = "undo")]
    yes: bool,
    /// Take the last run back
    #[arg(long)]
    undo: bool,
    /// Walk over the file systems first: set-id programs
    #[arg(long)]
    sweep: bool,
    /// Where the state before is kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/ravelin")]
    state: PathBuf,
}

#[derive(Serialize)]
struct Hardened {
    fixes: Vec<Fix>,
    done: usize,
    undone: usize,
}

impl Face for Hardened {
    fn text(&self) -> String {
        let mut out = breach::fix::text(&self.fixes);
        if self.done > 0 {
            out += &format!("{} step(s) done; `ravelin harden --undo` takes them back\n", self.done);
        } else if self.undone > 0 {
            out += &format!("{} step(s) taken back\n", self.undone);
        } else if self.fixes.iter().any(|f| f.by_hand.is_none()) {
            out += "nothing was changed: --yes does what is not left to you\n";
        } else {
            out += "nothing to be done by itself\n";
        }
        out
    }
}

/// Looks, shows, does.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let failed = |f: Box<::harden::Failed>| {
        let stuck: Vec<String> = f.stuck.iter().map(|(s, e)| format!("{} ({e})", s.command())).collect();
        let left = if stuck.is_empty() { "everything was taken back".to_owned() } else { format!("still in force: {}", stuck.join("; ")) };
        Trouble::usage(format!("{}: {left}", f.error), "look again: ravelin harden")
    };
    if arguments.undo {
        let undone = ::harden::undo(&arguments.state).map_err(failed)?.unwrap_or(0);
        show(global, &Hardened { fixes: Vec::new(), done: 0, undone })?;
        return Ok(Exit::Ok);
    }
    let facts = machine::with_paths(arguments.sweep);
    let fixes = breach::fixes(&Machine::new(&facts), &breach::closure(&facts));
    let steps = breach::fix::steps(&fixes);
    let mut done = 0;
    if arguments.yes && !steps.is_empty() {
        ::harden::run(&arguments.state, &steps).map_err(failed)?;
        done = steps.len();
    }
    let found = fixes.iter().any(|f| done == 0 || f.by_hand.is_some());
    show(global, &Hardened { fixes, done, undone: 0 })?;
    Ok(Exit::found(found))
}
