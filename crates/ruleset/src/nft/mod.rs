//! Reads `nft -j list ruleset` (nft 1.0.6 and newer). In comes the JSON text, out comes a [`Ruleset`], or the first place
//! that is no ruleset at all. What is a ruleset but not understood becomes [`Statement::Unknown`]; a verdict found inside
//! something unknown is kept. Never: panics, drops a statement silently, recurses deeper than the JSON parser's own limit.
//!
//! nft's JSON loses two things this reader restores: `flags dynamic` of a set (any set a rule writes to is dynamic) and
//! the protocol a `tcp dport` implies (it becomes a match of its own, as the kernel evaluates it).

mod expr;
mod object;
mod statement;

use crate::{Ruleset, Statement, TableFamily, Writer};
use serde_json::Value as Json;

/// Largest input in bytes: a ruleset of 100,000 elements is about 20 MB; anything past this is not a firewall's.
pub const MAX_BYTES: usize = 256 << 20;

/// Not a ruleset: where, and why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{at}: {what}")]
pub struct ReadError {
    /// Place, e.g. `nftables[12].rule.expr[3]`, or line and column where it is not even JSON.
    pub at: String,
    /// What is wrong there.
    pub what: String,
}

impl ReadError {
    pub(crate) fn new(at: impl Into<String>, what: impl Into<String>) -> Self {
        Self { at: at.into(), what: what.into() }
    }
}

/// The ruleset this JSON describes. Tables with expressions of iptables-nft come back with [`Writer::Iptables`]: their
/// matches are shown only in part, take them from `iptables-save`.
pub fn read(json: &str) -> Result<Ruleset, ReadError> {
    if json.len() > MAX_BYTES {
        return Err(ReadError::new("input", format!("{} bytes; at most {MAX_BYTES} are read", json.len())));
    }
    let whole: Json =
        serde_json::from_str(json).map_err(|e| ReadError::new(format!("line {} column {}", e.line(), e.column()), e.to_string()))?;
    let list = whole
        .get("nftables")
        .and_then(Json::as_array)
        .ok_or_else(|| ReadError::new("top level", "no `nftables` list: this is not the output of `nft -j list ruleset`"))?;
    let mut out = Ruleset::default();
    for (i, object) in list.iter().enumerate() {
        let Some((kind, body)) = object.as_object().and_then(|o| o.iter().next()) else {
            return Err(ReadError::new(format!("nftables[{i}]"), "not an object"));
        };
        object::read(&mut out, kind, body, &format!("nftables[{i}].{kind}"))?;
    }
    out.tables.iter_mut().for_each(finish);
    Ok(out)
}

/// Restores what the JSON leaves out: sets that rules write to are dynamic; tables with `xt` are iptables'.
fn finish(table: &mut crate::Table) {
    let mut written = std::collections::BTreeSet::new();
    let mut xt = false;
    for rule in table.chains.iter().flat_map(|c| &c.rules) {
        for s in &rule.statements {
            match s {
                Statement::Dynamic { set, .. } => drop(written.insert(set.clone())),
                Statement::Unknown { text } => xt |= text.starts_with(expr::XT),
                _ => {}
            }
        }
    }
    for (name, set) in &mut table.sets {
        set.dynamic |= written.contains(name) || set.timeout.is_some();
    }
    if xt && matches!(table.family, TableFamily::Ip | TableFamily::Ip6 | TableFamily::Arp | TableFamily::Bridge) {
        table.writer = Writer::Iptables;
    }
}

#[cfg(test)]
mod tests;
