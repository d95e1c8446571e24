//! Stores that services are told of by name. In come the facts, out come directories.

use facts::Facts;
use std::collections::BTreeSet;

/// Paths of `storage.json` of the miner, its workers and Curio; absolute ones, without a slash at the end.
pub fn stores(facts: &Facts) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for file in facts.files.iter().filter(|f| f.path.ends_with("/storage.json")) {
        let value: serde_json::Value = file.text.as_deref().and_then(|t| serde_json::from_str(t).ok()).unwrap_or_default();
        let paths = value["StoragePaths"].as_array().into_iter().flatten();
        out.extend(paths.filter_map(|p| Some(p["Path"].as_str()?.trim_end_matches('/').to_owned())).filter(|p| p.starts_with('/')));
    }
    out
}
