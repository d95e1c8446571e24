//! Tests with the real programs on a machine of their own. In comes a test's name and what sets its machine up, out comes whether
//! this is the copy that runs inside. Never: anything in the namespaces this was started in.

use std::process::Command;

const INSIDE: &str = "RAVELIN_TEST_INSIDE";

/// Runs a program that must succeed; out comes what it said.
pub fn succeeds(program: &str, arguments: &[&str]) -> String {
    let out = Command::new(program).args(arguments).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(out.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8_lossy(&out.stdout).into_owned()
}

/// Runs the test of this name again in namespaces of its own; `true` inside of them, with the machine set up.
pub fn inside(test: &str, machine: impl FnOnce()) -> bool {
    if std::env::var_os(INSIDE).is_some() {
        machine();
        return true;
    }
    // Testing this package alone does not build another one's program.
    let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "apply", "--bin", "ravelin-applier"]).status();
    assert!(built.expect("cargo").success());
    let copy = Command::new("unshare")
        .args(["-Urnmpf", "--kill-child", "--mount-proc"])
        .arg(std::env::current_exe().expect("own program"))
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .output()
        .expect("unshare is installed");
    let text = String::from_utf8_lossy(&copy.stdout).into_owned() + &String::from_utf8_lossy(&copy.stderr);
    assert!(copy.status.success() && text.contains("1 passed"), "{test} in its namespaces:\n{text}");
    false
}
