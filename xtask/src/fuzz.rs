//! `cargo xtask fuzz [TARGET] [SECONDS]`: libFuzzer over the readers of foreign text, one target after another at low priority. In
//! come the targets of `fuzz/fuzz_targets` and seeds from the cases of the repository, out come inputs that broke something, in
//! `fuzz/artifacts`; what is mended is kept below `tests/kept` of the crate it broke. Never: part of `cargo xtask test`.

use crate::process::{self, Stop, cargo, root, which};
use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Seconds per target unless told otherwise: what a person waits for; new coverage comes slowly after that.
const SECONDS: u32 = 60;
/// Largest input in bytes: the largest example has 6 KiB, and longer ones only slow the search down.
const LARGEST: u32 = 16_384;
/// The same for bundles: the smallest host's has 26 KiB.
const LARGEST_BUNDLE: u32 = 49_152;
/// Sites of few services, whose bundles are small.
const BUNDLED: &str = "crates/emit/tests/system";
/// Seconds for one input after which it counts as a hang: the readers take milliseconds.
const HANG: u32 = 10;
/// Megabytes: a reader that needs more for a small input has no bound.
const MEMORY: u32 = 2_048;

/// Where a target's seeds come from: directories, walked, and the endings that are wanted.
const SEEDS: &[(&str, &[&str], &str)] = &[
    ("site", &["examples", "crates/site/tests"], "toml"),
    ("format", &["examples", "crates/site/tests"], "toml"),
    ("rules", &["crates/ips-rules/tests"], "rules"),
    ("facts", &["crates/audit/cases", "crates/site/tests/propose", "crates/cli/tests"], "json"),
];

/// Runs one target or all of them.
pub fn run(arguments: &[String]) -> Result<(), Stop> {
    let all = targets()?;
    let (mut chosen, mut seconds) = (all.clone(), SECONDS);
    for a in arguments {
        match a.parse() {
            Ok(n) => seconds = n,
            Err(_) if all.contains(a) => chosen = vec![a.clone()],
            Err(_) => return Err(Stop::usage(format!("no fuzz target `{a}`; there are {}", all.join(", ")))),
        }
    }
    if which("c++").is_none() {
        return Err(Stop::usage("libFuzzer is C++ and needs a compiler for it:  sudo apt-get install -y --no-install-recommends g++"));
    }
    let tool = tool()?;
    let fuzz = |words: &[&str]| {
        let mut command = Command::new("nice");
        command.args(["-n", "19"]).arg(&tool).args(["fuzz"]).args(words).current_dir(root().join("fuzz"));
        command
    };
    let target_dir = root().join("target/fuzz").display().to_string();
    for target in &chosen {
        let seeds = seeds(target)?;
        eprintln!("fuzz {target}: {seeds} seeds, {seconds} s");
        // The readers have no unsafe code: coverage and checks are wanted, an address sanitizer finds nothing here.
        let mut command = fuzz(&["run", "-s", "none", "--target-dir", &target_dir, target, "--"]);
        let largest = if target == "bundle" { LARGEST_BUNDLE } else { LARGEST };
        command.args([
            format!("-max_total_time={seconds}"),
            format!("-max_len={largest}"),
            format!("-timeout={HANG}"),
            format!("-rss_limit_mb={MEMORY}"),
            "-print_final_stats=1".to_owned(),
        ]);
        process::run(&mut command)?;
    }
    Ok(())
}

fn targets() -> Result<Vec<String>, Stop> {
    let dir = root().join("fuzz/fuzz_targets");
    let mut names: Vec<String> = walk(&dir)?.iter().filter_map(|p| Some(p.file_stem()?.to_str()?.to_owned())).collect();
    names.sort();
    Ok(names)
}

/// The driver, built once into the target directory where it is not installed.
fn tool() -> Result<PathBuf, Stop> {
    if let Some(found) = which("cargo-fuzz") {
        return Ok(found);
    }
    let into = root().join("target/tools");
    let tool = into.join("bin/cargo-fuzz");
    if !tool.exists() {
        process::run(cargo().args(["install", "--locked", "cargo-fuzz", "--root"]).arg(&into))?;
    }
    Ok(tool)
}

/// Puts the repository's own cases into the target's corpus; returns how many.
fn seeds(target: &str) -> Result<usize, Stop> {
    let corpus = root().join("fuzz/corpus").join(target);
    fs::create_dir_all(&corpus).map_err(|e| Stop::usage(format!("cannot make {}: {e}", corpus.display())))?;
    let mut texts = Vec::new();
    for (_, dirs, ending) in SEEDS.iter().filter(|(t, ..)| *t == target) {
        for dir in *dirs {
            let files = walk(&root().join(dir))?.into_iter().filter(|f| f.extension() == Some(OsStr::new(ending)));
            texts.extend(files.filter_map(|f| fs::read(f).ok()));
        }
    }
    let own = root().join("fuzz/seeds").join(target);
    if own.exists() {
        texts.extend(walk(&own)?.into_iter().filter_map(|f| fs::read(f).ok()));
    }
    if target == "nft" {
        texts.extend(walk(&root().join("crates/plan/cases"))?.iter().filter_map(|f| as_the_kernel_lists(f)));
    }
    if target == "bundle" {
        texts.extend(bundles()?);
    }
    for (n, text) in texts.iter().enumerate() {
        let file = corpus.join(format!("seed-{n:03}"));
        fs::write(&file, text).map_err(|e| Stop::usage(format!("cannot write {}: {e}", file.display())))?;
    }
    Ok(texts.len())
}

/// Sealed bundles, and their drafts, of small sites of the cases.
fn bundles() -> Result<Vec<Vec<u8>>, Stop> {
    let into = root().join("target/fuzz/bundles");
    let sites = walk(&root().join(BUNDLED))?.into_iter().filter(|f| f.file_name() == Some(OsStr::new("site.toml")));
    process::run(cargo().args(["run", "--quiet", "-p", "emit", "--example", "bundles", "--"]).arg(&into).args(sites))?;
    Ok(walk(&into)?.iter().filter_map(|f| fs::read(f).ok()).collect())
}

/// A ruleset of the cases as nft lists it, in a network namespace of its own.
fn as_the_kernel_lists(script: &Path) -> Option<Vec<u8>> {
    if script.extension() != Some(OsStr::new("nft")) {
        return None;
    }
    let mut command = Command::new("unshare");
    command.args(["-Urn", "sh", "-c", "nft -f \"$0\" && nft -j list ruleset"]).arg(script).stderr(Stdio::null());
    let out = command.output().ok()?;
    out.status.success().then_some(out.stdout)
}

fn walk(dir: &Path) -> Result<Vec<PathBuf>, Stop> {
    let mut out = Vec::new();
    let entries = fs::read_dir(dir).map_err(|e| Stop::usage(format!("cannot read {}: {e}", dir.display())))?;
    for path in entries.flatten().map(|e| e.path()) {
        if path.is_dir() {
            out.extend(walk(&path)?);
        } else {
            out.push(path);
        }
    }
    out.sort();
    Ok(out)
}
