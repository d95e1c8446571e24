//! `ravelin break-glass`: on the console, when nobody gets in any more. Leaves the management path and what is established open and
//! drops the rest. `ravelin apply` ends it.

use crate::{applier::Applier, args::Global, cut, exit::Exit, machine, trouble::Trouble};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `break-glass`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// State directory of the applier
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// End established connections as well, the management path and your own way in excepted
    #[arg(long)]
    cut: bool,
}

/// Hands over to the applier at once: the site file may be the very thing that is broken, so it is not read.
pub fn run(arguments: &Arguments, _: &Global) -> Result<Exit, Trouble> {
    let mut call = vec!["break-glass".to_owned()];
    if arguments.cut {
        call.push("--cut".to_owned());
        let own = cut::own_addresses(&machine::connections());
        call.extend(own.into_iter().flat_map(|a| ["--spare".to_owned(), a.to_string()]));
    }
    let status = Applier::new(arguments.state.clone()).run(&call)?;
    Ok(if status.success() { Exit::Ok } else { Exit::Cannot })
}
