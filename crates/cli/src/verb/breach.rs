//! `ravelin breach`: assume that a service's process is taken over; which ways lead from its account to uid 0 or to secrets that
//! are not its own. On this machine, from what it is; the network is another verb's.

use crate::{
    args::Global,
    exit::Exit,
    face::Face,
    machine,
    redact::{Redactor, Reveal},
    trouble::Trouble,
};
use breach::Closure;
use clap::Args;
use serde::Serialize;

/// Arguments of `breach`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Service or account [default: every service account]
    name: Option<String>,
    /// Walk over the file systems first: set-id programs, file capabilities
    #[arg(long)]
    sweep: bool,
    #[command(flatten)]
    reveal: Reveal,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Ways(Closure);

impl Face for Ways {
    fn text(&self) -> String {
        self.0.text()
    }
}

/// Looks and follows.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let facts = machine::with_paths(arguments.sweep);
    let mut closure = breach::closure(&facts);
    if let Some(name) = &arguments.name {
        closure.accounts.retain(|a| a.account == *name || a.services.contains(name));
        if closure.accounts.is_empty() {
            return Err(Trouble::usage(format!("no service `{name}` runs on this machine under an account of its own"), "ravelin breach"));
        }
    }
    let certain = closure.accounts.iter().flat_map(|a| &a.ways).any(|w| w.certain);
    // What could not be read may hold a way: then nothing is shown. Without a service account there is nothing to show.
    let any = closure.accounts.iter().any(|a| !a.ways.is_empty() || a.cut || !closure.unread.is_empty());
    Redactor::new(None, arguments.reveal).show(global, &Ways(closure))?;
    Ok(if certain {
        Exit::Found
    } else if any {
        Exit::Unproven
    } else {
        Exit::Ok
    })
}
