//! `cargo xtask test`: everything a change must pass, in the order that fails fastest.

use crate::{
    layers, licences,
    process::{self, Stop, cargo, which},
    setup,
};

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
    process::run(cargo().args(["test", "--workspace"]).args(arguments))?;
    eprintln!("test: format, layers, licences and all tests passed");
    Ok(())
}
