//! `cargo xtask test`: everything a change must pass, in the order that fails fastest.

use crate::{
    layers, licences,
    process::{self, Stop, cargo, which},
    setup,
};
use serde_json::Value;
use std::{collections::BTreeSet, fs, path::Path, thread};

/// Arguments with which the tests still run in two lanes: none of them chooses among the tests.
const FOR_ALL: [&str; 2] = ["--no-fail-fast", "--release"];

/// Set-up, format, layers, licences, tests; `arguments` go to `cargo test`.
pub fn run(arguments: &[String]) -> Result<(), Stop> {
    setup::for_tests()?;
    process::run(cargo().args(["fmt", "--all", "--check"]))?;
    layers::run(true)?;
    licences::run()?;
    if which("cargo-deny").is_some() {
        process::run(cargo().args(["deny", "--offline", "check", "bans", "licenses", "sources"]))?;
    }
    // Built first, so that tests which start the two binaries find them.
    process::run(cargo().args(["build", "--workspace", "--bins"]))?;
    if arguments.iter().all(|a| FOR_ALL.contains(&a.as_str())) {
        lanes(arguments)?;
    } else {
        process::run(cargo().args(["test", "--workspace"]).args(arguments))?;
    }
    eprintln!("test: format, layers, licences and all tests passed");
    Ok(())
}

/// All tests, in two lanes: what boots machines waits for them most of the time, and one machine at a time is enough for two
/// processors.
fn lanes(arguments: &[String]) -> Result<(), Stop> {
    process::run(cargo().args(["test", "--workspace", "--no-run"]).args(arguments))?;
    let (machines, others) = targets(&layers::metadata()?)?;
    let named = |names: &BTreeSet<String>| names.iter().flat_map(|n| ["--test".to_owned(), n.clone()]).collect::<Vec<_>>();
    let test = || {
        let mut test = cargo();
        test.args(["test", "--workspace"]).args(arguments);
        test
    };
    let (one, other) = thread::scope(|scope| {
        let machines = scope.spawn(|| process::run_aside(test().args(named(&machines)), &process::root().join("target/machines.log")));
        let others = process::run(test().args(["--lib", "--bins"]).args(named(&others)));
        let others = others.and_then(|()| process::run(test().arg("--doc")));
        (others, machines.join().unwrap_or_else(|_| Err(Stop::fault("the lane of machines panicked"))))
    });
    one.and(other)
}

/// The names of the workspace's test targets: those that boot machines, and the others.
fn targets(metadata: &Value) -> Result<(BTreeSet<String>, BTreeSet<String>), Stop> {
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    let (mut machines, mut others) = (BTreeSet::new(), BTreeSet::new());
    for package in list(&metadata["packages"]).iter().filter(|p| p["source"].is_null()) {
        for target in list(&package["targets"]).iter().filter(|t| list(&t["kind"]).contains(&Value::from("test"))) {
            let (Some(name), Some(source)) = (target["name"].as_str(), target["src_path"].as_str()) else { continue };
            let lane = if boots(Path::new(source))? { &mut machines } else { &mut others };
            lane.insert(name.to_owned());
        }
    }
    // Targets of one name run together: cargo chooses by name.
    others.retain(|n| !machines.contains(n));
    Ok((machines, others))
}

/// Whether a test's source speaks of the lab's machines.
fn boots(source: &Path) -> Result<bool, Stop> {
    let text = fs::read_to_string(source).map_err(|e| Stop::fault(format!("{}: {e}", source.display())))?;
    Ok(text.contains("vm::"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_test_is_in_one_lane() {
        let metadata = layers::metadata().expect("cargo metadata");
        let (machines, others) = targets(&metadata).expect("targets");
        for name in ["boot", "persistence", "ways"] {
            assert!(machines.iter().any(|n| n == name), "{name} boots a machine: {machines:?}");
        }
        for name in ["again", "wrong", "golden"] {
            assert!(others.iter().any(|n| n == name), "{name} boots none: {others:?}");
        }
        assert!(machines.iter().all(|n| !others.contains(n)));
    }
}
