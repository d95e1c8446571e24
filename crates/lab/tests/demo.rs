//! The demonstration itself: every scene and every attempt as expected, with the real applier.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{demo, enter};
use std::process::Command;

fn shown(test: &str, example: &str) {
    if !enter::is_inside() {
        // Testing this package alone does not build another one's program.
        let built = Command::new(env!("CARGO")).args(["build", "--quiet", "--package", "apply", "--bin", "ravelin-applier"]).status();
        assert!(built.expect("cargo").success());
        let before = common::machine();
        common::inside(test);
        common::unchanged(&before);
        return;
    }
    if !common::inside(test) {
        return;
    }
    let demo = demo::run(common::example(example), &mut |p| {
        if let demo::Progress::Over(scene) = p {
            println!("{scene}");
        }
    });
    let demo = demo.expect("the demonstration");
    let wrong: Vec<String> = demo.rows.iter().filter(|r| !r.right).map(demo::line).collect();
    common::none("attempts", &wrong);
    assert!(demo.right, "every scene is as it must be");
    assert!(demo.rows.len() > 50 && serde_json::to_string(&demo).is_ok_and(|j| j.contains("\"right\":true")));
}

#[test]
fn small() {
    shown("small", "small");
}

#[test]
fn single_host() {
    shown("single_host", "single-host");
}
