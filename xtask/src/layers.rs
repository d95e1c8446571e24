//! `cargo xtask layers`: imports point down only. In come `cargo metadata` and the layer table of `ARCHITECTURE.md`, out
//! comes `docs/deps.txt`, or the edges that point up. Also held: the privileged applier links its own short list, deciding
//! crates stay without clock, network, file system and process, and `unsafe` stays in `sys` (and in the VM lab's stand-in,
//! which no product links).

use crate::process::{self, Stop, cargo, root};
use serde_json::Value;
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

/// Our crates the privileged applier may link; the list in `ARCHITECTURE.md`, held here against the graph.
const APPLIER_MAY: [&str; 7] = ["words", "ruleset", "facts", "bundle", "sys", "observe", "apply"];

/// The first doing crate of the table; those before it decide.
const FIRST_DOING: &str = "sys";

/// Crates with unsafe code: the product's, the face of a library with a C interface, and the stand-in for daemons in the VM lab.
const UNSAFE_MAY: [&str; 3] = ["sys", "ips-htp", "stub"];

/// What a deciding crate's own code must not name.
const IMPURE: [&str; 8] =
    ["std::fs", "std::process", "std::env::var", "SystemTime::now", "Instant::now", "TcpStream", "UdpSocket", "rustix::"];

/// Writes `docs/deps.txt`, or compares it where `check` is set.
pub fn run(check: bool) -> Result<(), Stop> {
    let order = order(&read(&root().join("ARCHITECTURE.md"))?);
    let graph = Graph::read()?;
    let mut faults = upward(&graph, &order);
    faults.extend(applier(&graph));
    faults.extend(impure(&order)?);
    if !faults.is_empty() {
        return Err(Stop::fault(format!("layers:\n  {}", faults.join("\n  "))));
    }
    let text = graph.text();
    let path = root().join("docs/deps.txt");
    if check {
        if fs::read_to_string(&path).unwrap_or_default() != text {
            return Err(Stop::fault("docs/deps.txt is not what the code imports: run `cargo xtask layers` and look at the difference"));
        }
        eprintln!("layers: {} crates, every import points down", graph.edges.len());
        return Ok(());
    }
    fs::write(&path, text).map_err(|e| Stop::usage(format!("cannot write {}: {e}", path.display())))
}

fn read(path: &Path) -> Result<String, Stop> {
    fs::read_to_string(path).map_err(|e| Stop::usage(format!("cannot read {}: {e}", path.display())))
}

/// The crates of the layer table, lowest first: rows that begin with a crate's name in backquotes under `## Layers`.
fn order(architecture: &str) -> Vec<String> {
    let section = architecture.split("\n## ").find(|s| s.starts_with("Layers")).unwrap_or_default();
    section.lines().filter_map(|l| l.strip_prefix("| `")).filter_map(|l| l.split('`').next()).map(str::to_owned).collect()
}

/// Direct imports of our crates.
#[derive(Default)]
struct Graph {
    /// Crate to our crates it imports; `true` where it is for tests only.
    edges: BTreeMap<String, BTreeMap<String, bool>>,
    /// Crate to outside crates it imports, tests left out.
    outside: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    fn read() -> Result<Self, Stop> {
        Ok(Self::of(&metadata()?))
    }

    fn of(metadata: &Value) -> Self {
        let packages = || metadata["packages"].as_array().into_iter().flatten();
        let members: BTreeSet<&str> = packages().filter(|p| p["source"].is_null()).filter_map(|p| p["name"].as_str()).collect();
        let mut graph = Self::default();
        for package in packages().filter(|p| p["source"].is_null()) {
            let name = package["name"].as_str().unwrap_or_default().to_owned();
            let ours = graph.edges.entry(name.clone()).or_default();
            let outside = graph.outside.entry(name).or_default();
            for dependency in package["dependencies"].as_array().into_iter().flatten() {
                let target = dependency["name"].as_str().unwrap_or_default();
                let tests = dependency["kind"] == "dev";
                if members.contains(target) {
                    ours.entry(target.to_owned()).and_modify(|t| *t &= tests).or_insert(tests);
                } else if !tests {
                    outside.insert(target.to_owned());
                }
            }
        }
        graph
    }

    /// Everything of ours a crate links, itself included.
    fn reachable(&self, from: &str) -> BTreeSet<String> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![from.to_owned()];
        while let Some(name) = todo.pop() {
            for (target, tests) in self.edges.get(&name).into_iter().flatten() {
                if !tests && !seen.contains(target) {
                    todo.push(target.clone());
                }
            }
            seen.insert(name);
        }
        seen
    }

    fn text(&self) -> String {
        let mut out = String::from("# Written by `cargo xtask layers`. A new edge is seen in review.\n");
        for (name, targets) in &self.edges {
            let ours = targets.iter().map(|(t, tests)| if *tests { format!("{t} (tests)") } else { t.clone() });
            let outside = self.outside.get(name).into_iter().flatten().map(|t| format!("+{t}"));
            out += &format!("{name}: {}\n", ours.chain(outside).collect::<Vec<_>>().join(" "));
        }
        out
    }
}

/// `cargo metadata` of the whole workspace, locked.
pub fn metadata() -> Result<Value, Stop> {
    let text = process::output(cargo().args(["metadata", "--format-version", "1", "--locked"]))?;
    serde_json::from_str(&text).map_err(|e| Stop::fault(format!("cargo metadata: {e}")))
}

fn upward(graph: &Graph, order: &[String]) -> Vec<String> {
    let rank = |name: &str| order.iter().position(|n| n == name);
    let mut faults = Vec::new();
    for (name, targets) in graph.edges.iter().filter(|(n, _)| *n != "xtask") {
        let Some(own) = rank(name) else {
            faults.push(format!("crate `{name}` has no row in the layer table of ARCHITECTURE.md"));
            continue;
        };
        // Tests may reach up: a property test feeds the emitter's text to the reader, and links nothing into the product.
        for target in targets.iter().filter(|(_, tests)| !**tests).map(|(t, _)| t) {
            if rank(target).is_none_or(|r| r >= own) {
                faults.push(format!("`{name}` imports `{target}`, which stands above it"));
            }
        }
    }
    faults
}

fn applier(graph: &Graph) -> Vec<String> {
    graph
        .reachable("apply")
        .into_iter()
        .filter(|n| graph.edges.contains_key("apply") && !APPLIER_MAY.contains(&n.as_str()))
        .map(|n| format!("the privileged applier links `{n}`, which is not on its list"))
        .collect()
}

fn impure(order: &[String]) -> Result<Vec<String>, Stop> {
    let mut faults = Vec::new();
    for name in order {
        let deciding = order.iter().position(|n| n == FIRST_DOING).is_some_and(|first| order.iter().take(first).any(|n| n == name));
        for path in sources(&root().join("crates").join(name).join("src")) {
            let text = read(&path)?;
            let own = text.split("#[cfg(test)]").next().unwrap_or_default();
            for (number, line) in own.lines().enumerate().filter(|(_, l)| !l.trim_start().starts_with("//")) {
                let place = || format!("{}:{}", path.strip_prefix(root()).unwrap_or(&path).display(), number + 1);
                if deciding && let Some(word) = IMPURE.iter().find(|w| line.contains(**w)) {
                    faults.push(format!("{}: `{word}` in a deciding crate", place()));
                }
                if !UNSAFE_MAY.contains(&name.as_str())
                    && (line.contains("unsafe {") || line.contains("unsafe fn") || line.contains("allow(unsafe_code"))
                {
                    faults.push(format!("{}: unsafe code outside `sys` and `stub`", place()));
                }
            }
        }
    }
    Ok(faults)
}

fn sources(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut out = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            // Test modules kept in files of their own are not the crate's own code.
            if path.file_name().is_none_or(|n| n != "tests") {
                out.extend(sources(&path));
            }
        } else if path.extension().is_some_and(|e| e == "rs") && path.file_name().is_none_or(|n| n != "tests.rs") {
            out.push(path);
        }
    }
    out.sort();
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn graph(edges: &[(&str, &str, &str)]) -> Graph {
        let names: BTreeSet<&str> = edges.iter().flat_map(|(a, b, _)| [*a, *b]).collect();
        let packages: Vec<Value> = names
            .iter()
            .map(|n| {
                let dependencies: Vec<Value> = edges
                    .iter()
                    .filter(|e| e.0 == *n)
                    .map(|e| json!({"name": e.1, "kind": if e.2 == "dev" { json!("dev") } else { Value::Null }}))
                    .collect();
                json!({"name": n, "source": null, "dependencies": dependencies})
            })
            .collect();
        Graph::of(&json!({ "packages": packages }))
    }

    fn table(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    #[test]
    fn an_upward_edge_is_refused_and_a_downward_one_is_not() {
        let order = table(&["words", "site", "cli"]);
        assert!(upward(&graph(&[("site", "words", ""), ("cli", "site", "")]), &order).is_empty());
        assert_eq!(upward(&graph(&[("words", "site", "")]), &order).len(), 1);
        assert!(upward(&graph(&[("words", "site", "dev")]), &order).is_empty(), "tests may reach up");
        assert_eq!(upward(&graph(&[("cli", "stranger", "")]), &order).len(), 2, "no row, and imported by one with a row");
    }

    #[test]
    fn the_applier_keeps_its_list() {
        assert!(applier(&graph(&[("apply", "sys", ""), ("sys", "words", "")])).is_empty());
        assert_eq!(applier(&graph(&[("apply", "sys", ""), ("sys", "site", "")])).len(), 1, "through another crate too");
    }

    #[test]
    fn the_table_of_the_architecture_is_read() {
        let order = order(&read(&root().join("ARCHITECTURE.md")).expect("ARCHITECTURE.md"));
        assert_eq!(order.first().map(String::as_str), Some("words"));
        assert_eq!(order.last().map(String::as_str), Some("cli"));
        assert!(order.contains(&"sys".to_owned()));
    }
}
