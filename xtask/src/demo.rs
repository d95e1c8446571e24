//! `cargo xtask demo`: set-up, build, and the example site as namespaces. Needs no root where unprivileged user
//! namespaces are allowed. Never: touches this machine's own network, firewall or accounts.

use crate::{
    process::{self, Stop, cargo, root},
    setup,
};
use std::process::Command;

/// The site of the demo, from the repository's root.
const SITE: &str = "examples/small/site.toml";

/// Builds in release mode and plays the scenes; `arguments` go to `ravelin lab demo`.
pub fn run(arguments: &[String]) -> Result<(), Stop> {
    setup::for_demo()?;
    build_release()?;
    process::run(Command::new(root().join("target/release/ravelin")).current_dir(root()).args(["lab", "demo", SITE]).args(arguments))
}

/// The two binaries in release mode.
pub fn build_release() -> Result<(), Stop> {
    process::run(cargo().args(["build", "--release", "--bin", "ravelin", "--bin", "ravelin-applier"]))
}
