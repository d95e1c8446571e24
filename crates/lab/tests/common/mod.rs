//! Runs a test function inside namespaces of its own: the test binary starts itself again there.

use lab::enter;
use std::process::Stdio;

/// `true` inside, where the test goes on; outside, runs the copy, shows its output where it failed, and says `false`.
pub fn inside(test: &str) -> bool {
    if enter::is_inside() {
        enter::enter::<&str>(&[]).expect("mounts inside");
        return true;
    }
    let args = ["--exact", test, "--nocapture", "--include-ignored"];
    let out = enter::command(&args).expect("namespaces").stdin(Stdio::null()).output().expect("a copy of the test");
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "inside:\n{text}");
    assert!(text.contains("1 passed"), "the copy ran no test named {test}:\n{text}");
    print!("{text}");
    false
}
