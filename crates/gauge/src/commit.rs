//! How long the kernel takes to load a set, and which batch a socket refuses. In comes a number of elements; out comes the
//! time of `nft -f` or what it said.

use crate::{Error, stage};
use std::{fmt::Write as _, time::Instant};

/// One load.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Load {
    /// Elements in the batch.
    pub elements: usize,
    /// Seconds, or what nft said.
    pub result: Result<f64, String>,
    /// Elements the kernel held afterwards: all or none.
    pub held: usize,
}

/// A table of this many exact permissions, in the emitted shape.
pub fn table(elements: usize) -> String {
    let mut out =
        String::from("table inet ravelin {\n set flows4 {\n  type ipv4_addr . ipv4_addr . inet_proto . inet_service\n  counter\n");
    let _ = writeln!(out, "  size {}\n  elements = {{", elements.max(1));
    for n in 0..elements {
        let (high, low) = (n / 250 % 250, n % 250 + 1);
        let far = n / 62_500;
        let _ = writeln!(out, "   10.{far}.{high}.{low} . 10.200.{high}.{low} . tcp . {} counter comment \"f{n:08x}\",", 1024 + n % 5000);
    }
    out += "  }\n }\n chain forward {\n  type filter hook forward priority 0; policy drop;\n  ct state established accept\n";
    out += "  ip saddr . ip daddr . meta l4proto . th dport @flows4 accept\n }\n}\n";
    out
}

/// Loads a table of this size in an empty ruleset, or replaces one that is already there.
pub fn load(elements: usize, replace: bool) -> Result<Load, Error> {
    stage::run(&["nft", "flush", "ruleset"])?;
    let table = table(elements);
    if replace {
        stage::feed(&["nft", "-f", "-"], &table)?;
    }
    // One transaction: the old table goes in the batch that brings the new one.
    let text = if replace { format!("delete table inet ravelin\n{table}") } else { table };
    let start = Instant::now();
    let result = match stage::feed(&["nft", "-f", "-"], &text) {
        Ok(_) => Ok(start.elapsed().as_secs_f64()),
        Err(Error::Program { message, .. }) => Err(message.lines().next().unwrap_or_default().to_owned()),
        Err(other) => return Err(other),
    };
    let listing = stage::run(&["nft", "list", "ruleset"])?;
    Ok(Load { elements, result, held: listing.matches("comment \"f").count() })
}
