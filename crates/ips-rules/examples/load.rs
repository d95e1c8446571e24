//! `load FILE...`: reads rules files together and prints how many were understood, how long it took, how much memory the
//! process had at most, and why the others were not. With `--least PERCENT` it fails below that share; with `--each` every
//! file is read by itself; `--reasons` prints the reasons; `--fast` prints each rule's prefilter.

#![allow(clippy::print_stdout, reason = "its output is its purpose")]

use ips_rules::{Set, Tables};
use std::{process::ExitCode, time::Instant};
use words::SourceFile;

fn main() -> ExitCode {
    let mut least = 0.0f64;
    let (mut each, mut reasons, mut fast, mut files) = (false, false, false, Vec::new());
    let mut arguments = std::env::args().skip(1);
    while let Some(a) = arguments.next() {
        match a.as_str() {
            "--least" => least = arguments.next().and_then(|n| n.parse().ok()).unwrap_or(100.0),
            "--each" => each = true,
            "--reasons" => reasons = true,
            "--fast" => fast = true,
            path => match std::fs::read(path) {
                Ok(bytes) => files.push(SourceFile::new(path, String::from_utf8_lossy(&bytes))),
                Err(e) => {
                    println!("{path}: {e}");
                    return ExitCode::from(2);
                }
            },
        }
    }
    let begun = Instant::now();
    let tables = Tables::default();
    let sets: Vec<(usize, Set)> = if each {
        files.iter().enumerate().map(|(i, f)| (i, Set::read(std::slice::from_ref(f), &tables))).collect()
    } else {
        vec![(0, Set::read(&files, &tables))]
    };
    let took = begun.elapsed();
    let (mut understood, mut rejected, mut skipped) = (0, 0, 0);
    for (first, set) in &sets {
        understood += set.rules.len();
        rejected += set.rejected.len();
        skipped += set.skipped.len();
        for (rule, p) in set.rules.iter().filter(|_| fast).filter_map(|r| Some((r, r.prefilter.as_ref()?))) {
            println!("{}\t{}\t{}", rule.meta.sid, rule.groups[p.group].buffer.row().name, ips_rules::pattern::text(&p.bytes));
        }
        for r in set.rejected.iter().filter(|_| reasons) {
            for f in r.reasons.iter().filter(|f| f.diagnostic.is_error()) {
                print!("{}", f.diagnostic.render(&files[first + r.file]));
            }
        }
    }
    let mut by_keyword: std::collections::BTreeMap<String, usize> = std::collections::BTreeMap::new();
    for (k, n) in sets.iter().flat_map(|(_, s)| s.by_keyword()) {
        *by_keyword.entry(k).or_insert(0) += n;
    }
    let mut rows: Vec<_> = by_keyword.into_iter().collect();
    rows.sort_by_key(|(k, n)| (std::cmp::Reverse(*n), k.clone()));
    for (k, n) in rows {
        println!("{n:6} {k}");
    }
    let all = understood + rejected;
    let share = if all == 0 { 100.0 } else { 100.0 * understood as f64 / all as f64 };
    println!(
        "{understood} of {all} rules understood ({share:.2} %), {skipped} left out as they ask, in {:.2} s, at most {} MB",
        took.as_secs_f64(),
        peak()
    );
    if share < least { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Most memory the process had, in megabytes.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    line.and_then(|l| l.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) / 1024
}
