//! The walk over the file systems, kept between runs. In come facts, out comes what a walk found; an interrupted one goes on where
//! it stopped. A kept result that is too old is none.

use crate::save;
use catalog::PathKind;
use facts::{Facts, Sweep};
use observe::sweep::Limits;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

/// How long a result counts, in seconds: a day, after which packages may have brought new programs.
const KEPT: u64 = 24 * 3600;
/// Longest walk, in seconds; what is left is done by the next one.
const LONGEST: u64 = 120;
/// Most inodes of one walk: more than a machine has outside its stores.
const MOST_INODES: u64 = 20_000_000;
/// Threads: reading directories waits for disks more than it computes.
const THREADS: usize = 8;

#[derive(Debug, Default, Serialize, Deserialize)]
struct Kept {
    sweep: Sweep,
    left: Vec<PathBuf>,
}

/// Root's own place, else the user's cache.
fn path() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/cache/ravelin/sweep.json");
    }
    let home = std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache"));
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).or(home).unwrap_or_else(|| "/var/cache".into());
    base.join("ravelin/sweep.json")
}

fn read() -> Option<Kept> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let kept: Kept = serde_json::from_slice(&fs::read(path()).ok()?).ok()?;
    (now.saturating_sub(kept.sweep.taken_at) < KEPT).then_some(kept)
}

/// The kept result, if there is a complete one that is fresh.
pub fn kept() -> Option<Sweep> {
    read().map(|k| k.sweep).filter(|s| s.complete)
}

/// Walks, or goes on with a walk that was interrupted.
pub fn made(facts: &Facts) -> Sweep {
    let before = read().filter(|k| !k.sweep.complete).unwrap_or_default();
    let limits = Limits { roots: vec!["/".into()], leave_out: stores(facts), threads: THREADS, seconds: LONGEST, inodes: MOST_INODES };
    let mut left = before.left;
    let goes_on = !left.is_empty();
    let mut sweep = observe::sweep::sweep(&limits, &mut left);
    if goes_on {
        sweep.inodes += before.sweep.inodes;
        sweep.found.extend(before.sweep.found);
        sweep.left_out.extend(before.sweep.left_out);
        sweep.found.sort_by(|a, b| a.path.cmp(&b.path));
        sweep.found.dedup();
    }
    let path = path();
    let kept = Kept { sweep: sweep.clone(), left };
    // A cache that cannot be written costs the next run its time and nothing else.
    if path.parent().is_some_and(|d| fs::create_dir_all(d).is_ok())
        && let Ok(bytes) = serde_json::to_vec(&kept)
    {
        let _ = save::private(&path, &bytes);
    }
    sweep
}

/// Stores and caches of the services, at their usual places below any home and where units move them.
fn stores(facts: &Facts) -> BTreeSet<PathBuf> {
    let mut out = BTreeSet::new();
    let kinds = [PathKind::Store, PathKind::Cache, PathKind::State, PathKind::Repo];
    for p in catalog::builtin().values().flat_map(|s| &s.paths).filter(|p| kinds.contains(&p.kind)) {
        let usual = p.default.as_deref().unwrap_or(&p.path);
        match usual.strip_prefix("~/") {
            Some(rest) => out.extend(facts.accounts.iter().map(|a| PathBuf::from(&a.home).join(rest))),
            // Only a directory of its own: a store at `/` or `/var` is a mistake that must not hide programs.
            None if usual.starts_with('/') && usual.matches('/').count() > 1 => {
                out.insert(PathBuf::from(usual));
            }
            None => {}
        }
    }
    let moved = facts.units.iter().flat_map(|u| u.all("Service", "Environment")).flat_map(|e| e.split([' ', '"']));
    let moved = moved.filter_map(|w| w.split_once('=')).filter(|(k, v)| k.ends_with("_PATH") && v.matches('/').count() > 1);
    out.extend(moved.map(|(_, v)| PathBuf::from(v)));
    out
}
