//! How long the kernel takes to load a set, and which batch a socket refuses. In comes a number of elements; out comes the
//! time of `nft -f` or what it said.

use crate::{
    Error, stage,
    stats::{self, Median},
};
use std::{fmt::Write as _, time::Instant};

/// Loads of one size.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Load {
    /// Elements in the batch.
    pub elements: usize,
    /// Seconds, or what nft said the first time it failed.
    pub result: Result<Median, String>,
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

/// Loads a table of this size in an empty ruleset, or replaces one that is already there, so many times.
pub fn load(elements: usize, replace: bool, times: usize) -> Result<Load, Error> {
    let mut samples = Vec::new();
    let mut failure = None;
    for _ in 0..times {
        match once(elements, replace)? {
            Ok(seconds) => samples.push(seconds),
            Err(message) => {
                failure = Some(message);
                break;
            }
        }
    }
    let listing = stage::run(&["nft", "list", "ruleset"])?;
    let held = listing.matches("comment \"f").count();
    let result = match (failure, stats::median(&samples)) {
        (None, Some(median)) => Ok(median),
        (failure, _) => Err(failure.unwrap_or_default()),
    };
    Ok(Load { elements, result, held })
}

fn once(elements: usize, replace: bool) -> Result<Result<f64, String>, Error> {
    stage::run(&["nft", "flush", "ruleset"])?;
    let table = table(elements);
    if replace {
        stage::feed(&["nft", "-f", "-"], &table)?;
    }
    // One transaction: the old table goes in the batch that brings the new one.
    let text = if replace { format!("delete table inet ravelin\n{table}") } else { table };
    let start = Instant::now();
    match stage::feed(&["nft", "-f", "-"], &text) {
        Ok(_) => Ok(Ok(start.elapsed().as_secs_f64())),
        Err(Error::Program { message, .. }) => Ok(Err(message.lines().next().unwrap_or_default().to_owned())),
        Err(other) => Err(other),
    }
}

/// The largest batch the socket takes, between one that it takes and one that it refuses.
pub fn limit(mut takes: usize, mut refuses: usize) -> Result<usize, Error> {
    while refuses - takes > 1 {
        let middle = usize::midpoint(takes, refuses);
        match once(middle, false)? {
            Ok(_) => takes = middle,
            Err(_) => refuses = middle,
        }
    }
    Ok(takes)
}
