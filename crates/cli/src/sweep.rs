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
    path::{Path, PathBuf},
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

fn read(at: &Path) -> Option<Kept> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let kept: Kept = serde_json::from_slice(&fs::read(at).ok()?).ok()?;
    (now.saturating_sub(kept.sweep.taken_at) < KEPT).then_some(kept)
}

/// The kept result, if there is a complete one that is fresh.
pub fn kept() -> Option<Sweep> {
    kept_at(&path())
}

fn kept_at(at: &Path) -> Option<Sweep> {
    read(at).map(|k| k.sweep).filter(|s| s.complete)
}

/// Walks, or goes on with a walk that was interrupted.
pub fn made(facts: &Facts) -> Sweep {
    let limits = Limits { roots: vec!["/".into()], leave_out: left_out(facts), threads: THREADS, seconds: LONGEST, inodes: MOST_INODES };
    walked(&path(), &limits)
}

fn walked(at: &Path, limits: &Limits) -> Sweep {
    let before = read(at).filter(|k| !k.sweep.complete).unwrap_or_default();
    let mut left = before.left;
    let goes_on = !left.is_empty();
    let mut sweep = observe::sweep::sweep(limits, &mut left);
    if goes_on {
        sweep.inodes += before.sweep.inodes;
        sweep.found.extend(before.sweep.found);
        sweep.left_out.extend(before.sweep.left_out);
        sweep.found.sort_by(|a, b| a.path.cmp(&b.path));
        sweep.found.dedup();
    }
    let kept = Kept { sweep: sweep.clone(), left };
    // A cache that cannot be written costs the next run its time and nothing else.
    if at.parent().is_some_and(|d| fs::create_dir_all(d).is_ok())
        && let Ok(bytes) = serde_json::to_vec(&kept)
    {
        let _ = save::private(at, &bytes);
    }
    sweep
}

/// Stores and caches of the services, at their usual places below any home, where units move them, and where they are told of more.
fn left_out(facts: &Facts) -> BTreeSet<PathBuf> {
    // Only a directory of its own: a store at `/` or `/var` is a mistake that must not hide programs.
    let own = |p: &str| p.matches('/').count() > 1;
    let mut out: BTreeSet<PathBuf> = audit::stores(facts).into_iter().filter(|p| own(p)).map(PathBuf::from).collect();
    let kinds = [PathKind::Store, PathKind::Cache, PathKind::State, PathKind::Repo];
    for p in catalog::builtin().values().flat_map(|s| &s.paths).filter(|p| kinds.contains(&p.kind)) {
        let usual = p.default.as_deref().unwrap_or(&p.path);
        match usual.strip_prefix("~/") {
            Some(rest) => out.extend(facts.accounts.iter().map(|a| PathBuf::from(&a.home).join(rest))),
            None if usual.starts_with('/') && own(usual) => {
                out.insert(PathBuf::from(usual));
            }
            None => {}
        }
    }
    let moved = facts.units.iter().flat_map(|u| u.all("Service", "Environment")).flat_map(|e| e.split([' ', '"']));
    let moved = moved.filter_map(|w| w.split_once('=')).filter(|(k, v)| k.ends_with("_PATH") && own(v));
    out.extend(moved.map(|(_, v)| PathBuf::from(v)));
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_walk_goes_on_where_it_stopped_is_kept_for_a_day_and_enters_no_store() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join("root").join(name);
        for n in 0..20 {
            let tool = at(&format!("opt/{n}/tool"));
            fs::create_dir_all(tool.parent().expect("parent")).expect("makes");
            fs::write(&tool, "").expect("writes");
            fs::set_permissions(&tool, fs::Permissions::from_mode(0o4755)).expect("mode");
        }
        let told = format!("{{\"StoragePaths\": [{{\"Path\": \"{}\"}}, {{\"Path\": \"/\"}}]}}", at("opt/7").display());
        let file = facts::File { path: "/root/.lotusminer/storage.json".into(), text: Some(told), ..facts::File::default() };
        let account = facts::Account { name: "lotus".into(), home: "/var/lib/lotus".into(), ..facts::Account::default() };
        let leave_out = left_out(&Facts { files: vec![file], accounts: vec![account], ..Facts::default() });
        assert!(!leave_out.contains(Path::new("/")) && leave_out.contains(Path::new("/var/lib/lotus/.lotus")), "{leave_out:?}");
        let cache = dir.path().join("cache/sweep.json");
        let limits = |inodes| Limits { roots: vec![at("opt")], leave_out: leave_out.clone(), threads: 2, seconds: 60, inodes };
        // Each walk ends after a few directories; what it found stays.
        let mut walks = 0;
        let last = loop {
            let done = walked(&cache, &limits(21));
            walks += 1;
            assert_eq!(kept_at(&cache).is_some(), done.complete);
            if done.complete || walks > 20 {
                break done;
            }
        };
        assert!(last.complete && walks > 1, "{walks} walks: {last:?}");
        assert_eq!(last.found.len(), 19, "each tool once, but the store's");
        assert!(last.left_out.iter().any(|l| l.contains("opt/7")));
        assert_eq!(kept_at(&cache).map(|s| s.found), Some(last.found));
        // After a day it counts no more.
        let mut kept = read(&cache).expect("kept");
        kept.sweep.taken_at -= KEPT + 1;
        fs::write(&cache, serde_json::to_vec(&kept).expect("bytes")).expect("writes");
        assert!(kept_at(&cache).is_none());
    }
}
