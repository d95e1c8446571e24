//! One file per verb: its arguments, its result, its text. `run` picks the one that was asked for.

pub mod generate;

use crate::{
    args::{Cli, Verb},
    exit::Exit,
    trouble::Trouble,
};

/// Runs the verb.
pub fn run(cli: &Cli) -> Result<Exit, Trouble> {
    let global = &cli.global;
    match &cli.verb {
        Verb::Generate(a) => generate::run(a, global),
    }
}
