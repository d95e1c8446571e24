//! `ravelin break-glass`: on the console, when nobody gets in any more. Leaves the management path and what is established open and
//! drops the rest. `ravelin apply` ends it.

use crate::{applier::Applier, args::Global, exit::Exit, trouble::Trouble};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `break-glass`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// State directory of the applier
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Hands over to the applier at once: the site file may be the very thing that is broken, so it is not read.
pub fn run(arguments: &Arguments, _: &Global) -> Result<Exit, Trouble> {
    let status = Applier::new(arguments.state.clone()).run(&["break-glass"])?;
    Ok(if status.success() { Exit::Ok } else { Exit::Cannot })
}
