//! Measures the sweep: `sweep make DIR INODES` fills a directory as a machine that has lived for a while is filled, `sweep walk
//! THREADS DIR...` walks and says what it took. `docs/performance.md` has the figures and how the cache was emptied.

#![expect(clippy::print_stdout, reason = "an example for people who measure")]

use observe::sweep::{Limits, sweep};
use std::{collections::BTreeSet, error::Error, fs, os::unix::fs::PermissionsExt, path::PathBuf, time::Instant};

/// Files in a directory: a root file system of Debian has eight to twelve inodes for each directory, stores of parameters more.
const FILES: u64 = 15;
/// Directories side by side.
const WIDE: u64 = 40;
/// Of so many files one is a program.
const PROGRAMS: u64 = 6;
/// Of so many files one is set-id.
const SET_ID: u64 = 50_000;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["make", into, inodes] => make(&PathBuf::from(into), inodes.parse()?),
        ["walk", threads, ref roots @ ..] if !roots.is_empty() => {
            walk(threads.parse()?, roots.iter().map(PathBuf::from).collect());
            Ok(())
        }
        _ => Err("sweep make DIR INODES | sweep walk THREADS DIR...".into()),
    }
}

fn walk(threads: usize, roots: Vec<PathBuf>) {
    let limits = Limits { roots, leave_out: BTreeSet::new(), threads, seconds: 3600, inodes: u64::MAX };
    let began = Instant::now();
    let done = sweep(&limits, &mut Vec::new());
    let took = began.elapsed().as_secs_f64();
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap_or("?").trim();
    let rate = done.inodes as f64 / took;
    println!("{} inodes, {} found, {threads} threads: {took:.2} s, {:.1} s a million, {peak}", done.inodes, done.found.len(), 1e6 / rate);
}

/// Directories first, then files in an order that jumps between all of them, so that neighbours lie apart on the disk.
fn make(into: &std::path::Path, inodes: u64) -> Result<(), Box<dyn Error>> {
    let directories = inodes / (FILES + 1);
    let name = |n: u64| into.join(format!("d{}", n % WIDE)).join(format!("e{}", n / WIDE % WIDE)).join(format!("f{n}"));
    for n in 0..directories {
        fs::create_dir_all(name(n))?;
    }
    // A step without a common divisor visits each once.
    let (count, step) = (directories * FILES, 7_368_787);
    for n in 0..count {
        let at = n * step % count;
        let path = name(at / FILES).join(format!("file-{}", at % FILES));
        fs::write(&path, "")?;
        let mode = if at % SET_ID == 0 {
            0o4755
        } else if at % PROGRAMS == 0 {
            0o755
        } else {
            0o644
        };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(())
}
