//! `build FILE...`: reads rules files, compiles them and prints how long each took and what the tables hold.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use ips_detect::{Options, Tables};
use ips_rules::Set;
use std::{process::ExitCode, time::Instant};
use words::SourceFile;

fn main() -> ExitCode {
    let mut files = Vec::new();
    for path in std::env::args().skip(1) {
        match std::fs::read(&path) {
            Ok(bytes) => files.push(SourceFile::new(path, String::from_utf8_lossy(&bytes))),
            Err(e) => {
                println!("{path}: {e}");
                return ExitCode::from(2);
            }
        }
    }
    let begun = Instant::now();
    let set = Set::read(&files, &ips_rules::Tables::default());
    let read = begun.elapsed();
    let count = set.rules.len();
    let begun = Instant::now();
    let (tables, refused) = Tables::build(set.rules, &Options::default());
    println!(
        "{count} rules read in {:.2} s, compiled in {:.2} s, {} refused, matchers {} MB, at most {} MB",
        read.as_secs_f64(),
        begun.elapsed().as_secs_f64(),
        refused.len(),
        tables.matcher_memory() >> 20,
        peak()
    );
    refused.iter().for_each(|r| println!("{}: {}", r.sid, r.why));
    ExitCode::SUCCESS
}

/// Most memory the process had, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
