//! The binary `ravelin`. In come arguments, out come a verb's result as text, JSON or SARIF and an exit code. It reads and
//! writes files, asks the clock and starts programs, so that the crates below need not. Never: decides anything.

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "the command line is where printing belongs")]

mod applier;
mod args;
mod backups;
mod coordinate;
mod cut;
mod deadlines;
mod exit;
mod face;
mod guard;
mod input;
mod keys;
mod machine;
mod paint;
mod planning;
mod progress;
mod proof;
mod redact;
mod sarif;
mod save;
mod session;
mod sweep;
mod trouble;
mod verb;
mod window;

/// Plans and proofs are millions of small allocations on two threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

use args::Cli;
use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match verb::run(&cli) {
        Ok(exit) => exit.into(),
        Err(trouble) => trouble.report(),
    }
}
