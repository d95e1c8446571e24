//! `ravelin schema`: the site file's JSON Schema, for editors.

use crate::{args::Global, exit::Exit, face, trouble::Trouble};
use clap::Args;

/// Arguments of `schema`.
#[derive(Debug, Args)]
pub struct Arguments {}

/// Prints the schema; it is JSON in every format.
pub fn run(_: &Arguments, _: &Global) -> Result<Exit, Trouble> {
    let text =
        serde_json::to_string_pretty(&site::schema::schema()).map_err(|e| Trouble::bug(format!("the schema does not serialise: {e}")))?;
    face::print(&(text + "\n"))?;
    Ok(Exit::Ok)
}
