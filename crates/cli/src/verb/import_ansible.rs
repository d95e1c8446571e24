//! `ravelin import-ansible`: a first site file from an Ansible inventory, INI or YAML, on standard output.

use crate::{
    args::Global,
    exit::Exit,
    face::{Face, show},
    input,
    trouble::Trouble,
};
use clap::Args;
use serde::Serialize;
use std::path::PathBuf;

/// Largest inventory that is read, in bytes.
const MAX_INVENTORY: u64 = 16 << 20;

/// Arguments of `import-ansible`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The inventory
    inventory: PathBuf,
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

/// Reads and proposes.
pub fn run(arguments: &Arguments, global: &Global) -> Result<Exit, Trouble> {
    let path = &arguments.inventory;
    let text = input::text(path, MAX_INVENTORY)?;
    let site = site::ansible::import(&text)
        .map_err(|e| Trouble::usage(format!("{}: {e}", path.display()), "`ansible-inventory --list --yaml` writes a form that is read"))?;
    show(global, &Proposal { site })?;
    Ok(Exit::Ok)
}
