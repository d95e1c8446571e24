//! `cargo xtask bench`: what has figures in `docs/performance.md`. `ruleset`, `shape`, `commit` and `text` are run by the
//! `gauge` crate in namespaces of its own, `check` runs the product itself on generated sites, `audit` on this machine and
//! `ips` over captures beside the peer; everything else is a criterion benchmark of the workspace, all or one by name.

use crate::process::{self, Stop, cargo, root};

/// Measured by `gauge`.
const GAUGE: [&str; 4] = ["ruleset", "shape", "commit", "text"];

/// Runs `gauge`, or `cargo bench`, for one benchmark target where a name is given.
pub fn run(arguments: &[String]) -> Result<(), Stop> {
    match arguments.split_first() {
        Some((name, _)) if GAUGE.contains(&name.as_str()) => {
            process::run(cargo().args(["run", "--release", "--quiet", "--package", "gauge", "--"]).args(arguments))
        }
        Some((name, rest)) if ["check", "audit", "ips"].contains(&name.as_str()) => {
            process::run(cargo().args(["build", "--release", "--quiet", "--bin", "ravelin"]))?;
            let program = root().join("target/release/ravelin");
            process::run(cargo().args(["run", "--release", "--quiet", "--package", "gauge", "--", name]).arg(program).args(rest))
        }
        Some((name, rest)) => process::run(cargo().args(["bench", "--workspace", "--bench", name]).args(rest)),
        None => process::run(cargo().args(["bench", "--workspace", "--benches"])),
    }
}
