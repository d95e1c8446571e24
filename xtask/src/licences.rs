//! `cargo xtask licences`: every crate we link carries a licence on the list, and every outside crate we name is argued for
//! in `docs/dependencies.md`. In comes `cargo metadata`, out come the offenders. Needs no network; `deny.toml` says the same
//! to cargo-deny, which adds the advisories.

use crate::{
    layers::metadata,
    process::{Stop, root},
};
use serde_json::Value;
use std::collections::BTreeSet;

/// Licences that go with MIT OR Apache-2.0; the same list as in `deny.toml`.
const ALLOWED: [&str; 10] = [
    "MIT",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "ISC",
    "Unicode-3.0",
    "Zlib",
    "0BSD",
    "Unlicense",
];

/// Checks licences and arguments.
pub fn run() -> Result<(), Stop> {
    let metadata = metadata()?;
    let argued = std::fs::read_to_string(root().join("docs/dependencies.md")).unwrap_or_default();
    let deny = std::fs::read_to_string(root().join("deny.toml")).unwrap_or_default();
    let mut faults = offenders(&metadata);
    faults.extend(
        direct(&metadata)
            .into_iter()
            .filter(|n| !argued.contains(&format!("| `{n}` |")))
            .map(|n| format!("`{n}` has no row in docs/dependencies.md: say in one line what it does for us and why it is this one")),
    );
    faults.extend(ALLOWED.iter().filter(|l| !deny.contains(&format!("\"{l}\""))).map(|l| format!("`{l}` is missing in deny.toml")));
    if faults.is_empty() {
        eprintln!("licences: {} crates, all on the list", metadata["packages"].as_array().map_or(0, Vec::len));
        return Ok(());
    }
    Err(Stop::fault(format!("licences:\n  {}", faults.join("\n  "))))
}

/// Crates whose manifest names a file instead of a licence, with what the file is; read in the package, again at each version.
const READ: [(&str, &str, &str); 1] = [("suricata-htp", "8.0.8", "BSD-3-Clause")];

/// The licence a package says it has, or the one that was read in it.
fn licence(package: &Value) -> Option<&str> {
    let read = || READ.iter().find(|(n, v, _)| package["name"] == *n && package["version"] == *v).map(|(_, _, l)| *l);
    package["license"].as_str().or_else(read)
}

fn offenders(metadata: &Value) -> Vec<String> {
    metadata["packages"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|p| !licence(p).is_some_and(allowed))
        .map(|p| format!("{} {}: licence {} is not on the list", p["name"], p["version"], p["license"]))
        .collect()
}

/// Outside crates our own crates name, tests and benchmarks included.
fn direct(metadata: &Value) -> BTreeSet<String> {
    let packages = || metadata["packages"].as_array().into_iter().flatten().filter(|p| p["source"].is_null());
    let ours: BTreeSet<&str> = packages().filter_map(|p| p["name"].as_str()).collect();
    packages()
        .flat_map(|p| p["dependencies"].as_array().into_iter().flatten())
        .filter_map(|d| d["name"].as_str())
        .filter(|n| !ours.contains(n))
        .map(str::to_owned)
        .collect()
}

/// Whether an SPDX expression can be met from the list. `/` is the old spelling of OR.
fn allowed(expression: &str) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let mut at = 0;
    let met = either(&words, &mut at);
    met && at == words.len()
}

fn either(words: &[&str], at: &mut usize) -> bool {
    let mut met = both(words, at);
    while words.get(*at) == Some(&"OR") {
        *at += 1;
        met |= both(words, at);
    }
    met
}

fn both(words: &[&str], at: &mut usize) -> bool {
    let mut met = one(words, at);
    while words.get(*at) == Some(&"AND") {
        *at += 1;
        met &= one(words, at);
    }
    met
}

fn one(words: &[&str], at: &mut usize) -> bool {
    let Some(word) = words.get(*at) else { return false };
    *at += 1;
    if *word == "(" {
        let met = either(words, at);
        let closed = words.get(*at) == Some(&")");
        *at += 1;
        return met && closed;
    }
    let mut name = (*word).to_owned();
    if words.get(*at) == Some(&"WITH") {
        name += &format!(" WITH {}", words.get(*at + 1).copied().unwrap_or_default());
        *at += 2;
    }
    ALLOWED.contains(&name.as_str())
}

#[cfg(test)]
mod tests {
    use super::allowed;

    #[test]
    fn an_expression_is_met_as_spdx_says() {
        assert!(allowed("MIT OR GPL-3.0-only"));
        assert!(allowed("MIT/Apache-2.0"));
        assert!(allowed("(MIT OR Apache-2.0) AND Unicode-3.0"));
        assert!(allowed("Apache-2.0 WITH LLVM-exception OR Apache-2.0"));
        assert!(!allowed("GPL-3.0-only"));
        assert!(!allowed("MIT AND GPL-3.0-only"));
        assert!(!allowed("(MIT OR Apache-2.0"));
        assert!(!allowed(""));
    }
}
