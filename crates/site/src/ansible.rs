//! Ansible inventories: in comes an inventory in INI or YAML form, out comes the text of a proposed site file. Groups whose
//! names say a catalogue service become what their hosts run; addresses become zones by their /24 or /64.
//!
//! Never: guesses a service that no group names; what is unknown stands as a comment for a person to fill in.

mod inventory;
mod write;

pub use inventory::{Host, ImportError, Inventory, ini, yaml};
pub use write::propose;

/// Reads an inventory of either form: YAML where the first line that says anything looks like a YAML mapping.
pub fn import(text: &str) -> Result<String, ImportError> {
    let first = text.lines().map(str::trim).find(|l| !l.is_empty() && !l.starts_with(['#', ';']) && *l != "---").unwrap_or_default();
    let inventory = if first.ends_with(':') && !first.starts_with('[') { yaml(text)? } else { ini(text)? };
    Ok(propose(&inventory))
}
