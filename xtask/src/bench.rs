//! `cargo xtask bench`: the criterion benchmarks of the workspace, all or one by name.

use crate::process::{self, Stop, cargo};

/// Runs `cargo bench`, for one benchmark target where a name is given.
pub fn run(arguments: &[String]) -> Result<(), Stop> {
    match arguments.split_first() {
        Some((name, rest)) => process::run(cargo().args(["bench", "--workspace", "--bench", name]).args(rest)),
        None => process::run(cargo().args(["bench", "--workspace", "--benches"])),
    }
}
