//! `ravelin pair`: how the two nodes stand, handing everything to the other one, and what a change of nodes costs, tried in namespaces.

mod drain;
mod drill;
mod status;

use crate::{args::Global, exit::Exit, trouble::Trouble};
use clap::{Args, Subcommand};

/// Arguments of `pair`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// This node's part, whether the other one is heard, and whether both hold the same policy; exit 1 where something is wrong
    Status(status::Arguments),
    /// Hand everything to the other node, without losing a connection
    Drain(drain::Arguments),
    /// Change nodes under traffic, in namespaces of this machine, and measure what it costs; exit 1 where a connection is lost
    Drill(drill::Arguments),
}

/// Dispatches.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    match &arguments.what {
        What::Status(a) => status::run(a, global),
        What::Drain(a) => drain::run(a, global),
        What::Drill(a) => drill::run(a, global),
    }
}
