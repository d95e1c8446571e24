//! A walk over the file systems: programs with set-id bits or capabilities, and what everybody may write. In come roots, paths
//! to leave out and what an earlier walk already did; out comes what was found, and whether it is all. Parallel, one file
//! system at a time, links never followed, pseudo and network file systems left out.

use crate::path::one;
use facts::{FileKind, PathFact, Sweep};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex},
    time::{Instant, SystemTime, UNIX_EPOCH},
};
use sys::listing::Kind;

/// What a walk may cost and where it goes.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Where it begins.
    pub roots: Vec<PathBuf>,
    /// Directories it does not enter: the services' stores.
    pub leave_out: BTreeSet<PathBuf>,
    /// Threads.
    pub threads: usize,
    /// Longest time in seconds; what is left is kept for the next walk.
    pub seconds: u64,
    /// Most inodes.
    pub inodes: u64,
}

/// File systems that hold no programs of this machine or answer from elsewhere (`/proc/mounts`, third column).
const LEFT_OUT: [&str; 27] = [
    "proc",
    "sysfs",
    "devtmpfs",
    "devpts",
    "cgroup",
    "cgroup2",
    "securityfs",
    "debugfs",
    "tracefs",
    "bpf",
    "pstore",
    "mqueue",
    "hugetlbfs",
    "configfs",
    "efivarfs",
    "fusectl",
    "binfmt_misc",
    "rpc_pipefs",
    "nsfs",
    "nfs",
    "nfs4",
    "cifs",
    "ceph",
    "fuse.ceph",
    "9p",
    "autofs",
    "selinuxfs",
];
/// Most findings that are kept; a machine has some fifty.
const MOST_FOUND: usize = 20_000;

struct Work {
    queue: Vec<PathBuf>,
    busy: usize,
    inodes: u64,
    found: Vec<PathFact>,
    left_out: Vec<String>,
    stopped: bool,
}

/// Walks. `left` holds the directories an interrupted walk still had to do and is handed back with what remains.
pub fn sweep(limits: &Limits, left: &mut Vec<PathBuf>) -> Sweep {
    let mounts = mounts();
    let begin = if left.is_empty() { limits.roots.clone() } else { std::mem::take(left) };
    let work = Mutex::new(Work { queue: begin, busy: 0, inodes: 0, found: Vec::new(), left_out: Vec::new(), stopped: false });
    let turn = Condvar::new();
    let began = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..limits.threads.max(1) {
            scope.spawn(|| worker(limits, &mounts, &work, &turn, began));
        }
    });
    let mut work = work.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    work.found.sort_by(|a, b| a.path.cmp(&b.path));
    work.left_out.sort();
    *left = work.queue;
    Sweep {
        taken_at: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs()),
        inodes: work.inodes,
        complete: left.is_empty() && !work.stopped,
        left_out: work.left_out,
        found: work.found,
    }
}

fn worker(limits: &Limits, mounts: &BTreeSet<PathBuf>, work: &Mutex<Work>, turn: &Condvar, began: Instant) {
    loop {
        let directory = {
            let mut w = work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            loop {
                w.stopped |= w.inodes >= limits.inodes || began.elapsed().as_secs() >= limits.seconds || w.found.len() > MOST_FOUND;
                if w.stopped || (w.queue.is_empty() && w.busy == 0) {
                    turn.notify_all();
                    return;
                }
                if let Some(next) = w.queue.pop() {
                    w.busy += 1;
                    break next;
                }
                w = turn.wait(w).unwrap_or_else(std::sync::PoisonError::into_inner);
            }
        };
        let listed = list(&directory, limits, mounts);
        let mut w = work.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        w.busy -= 1;
        w.inodes += listed.inodes;
        w.queue.extend(listed.directories);
        w.found.extend(listed.found);
        w.left_out.extend(listed.left_out);
        turn.notify_all();
    }
}

#[derive(Default)]
struct Listed {
    inodes: u64,
    directories: Vec<PathBuf>,
    found: Vec<PathFact>,
    left_out: Vec<String>,
}

fn list(directory: &Path, limits: &Limits, mounts: &BTreeSet<PathBuf>) -> Listed {
    let mut out = Listed::default();
    let listing = match sys::listing::list(directory) {
        Ok(listing) => listing,
        Err(e) => {
            let why = std::error::Error::source(&e).map_or(String::new(), |s| format!(": {s}"));
            out.left_out.push(format!("{}{why}", directory.display()));
            return out;
        }
    };
    let root = crate::Root::machine();
    if listing.mode & 0o1002 == 0o002 {
        out.found.push(one(&root, directory));
    }
    out.inodes = listing.entries.len() as u64;
    for entry in &listing.entries {
        match entry.kind {
            Kind::Directory => {
                let path = directory.join(&entry.name);
                if limits.leave_out.contains(&path) {
                    out.left_out.push(format!("{}: a service's store", path.display()));
                } else if mounts.contains(&path) {
                    out.left_out.push(format!("{}: another kind of file system", path.display()));
                } else {
                    out.directories.push(path);
                }
            }
            Kind::File => {
                let set_id = entry.mode & 0o6000 != 0 && entry.mode & 0o111 != 0;
                let program = entry.mode & 0o111 != 0;
                if !set_id && !program && entry.mode & 0o002 == 0 {
                    continue;
                }
                let path = directory.join(&entry.name);
                // Of the programs without set-id bits, those with capabilities matter.
                let matters = set_id || entry.mode & 0o002 != 0 || sys::xattr::capabilities(&path) != 0;
                let fact = matters.then(|| one(&root, &path));
                out.found.extend(fact.filter(|f| f.kind == FileKind::File));
            }
            Kind::Other => {}
        }
    }
    // The last one is taken first: so the walk goes through the disk from its beginning.
    out.directories.reverse();
    out
}

/// Mount points that are not entered.
fn mounts() -> BTreeSet<PathBuf> {
    let text = crate::Root::machine().text("/proc/self/mounts").unwrap_or_default();
    let fields = text.lines().filter_map(|l| {
        let mut words = l.split(' ');
        Some((words.nth(1)?.replace("\\040", " "), words.next()?.to_owned()))
    });
    fields.filter(|(_, kind)| LEFT_OUT.contains(&kind.as_str()) || kind.starts_with("fuse")).map(|(at, _)| PathBuf::from(at)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::PermissionsExt};

    #[test]
    fn set_id_programs_are_found_and_stores_not_entered() {
        let dir = std::env::temp_dir().join(format!("ravelin-sweep-{}", std::process::id()));
        for (name, mode) in [("bin/tool", 0o4755), ("bin/plain", 0o755), ("store/sealed/tool", 0o4755), ("open", 0o666)] {
            let path = dir.join(name);
            fs::create_dir_all(path.parent().expect("parent")).expect("makes");
            fs::write(&path, "").expect("writes");
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
        }
        let limits = Limits { roots: vec![dir.clone()], leave_out: [dir.join("store")].into(), threads: 2, seconds: 30, inodes: 1000 };
        let all = sweep(&limits, &mut Vec::new());
        // One inode is too few: the walk stops and goes on where it was.
        let mut left = Vec::new();
        let first = sweep(&Limits { inodes: 1, threads: 1, ..limits.clone() }, &mut left);
        let second = sweep(&limits, &mut left);
        // Without any time nothing is walked, and all of it is left.
        let mut all_left = Vec::new();
        let none = sweep(&Limits { seconds: 0, ..limits.clone() }, &mut all_left);
        assert!(!none.complete && none.inodes == 0 && all_left == [dir.clone()], "{none:?} {all_left:?}");
        fs::remove_dir_all(&dir).expect("removes");
        let names = |s: &Sweep| s.found.iter().map(|f| f.path.rsplit('/').next().unwrap_or_default().to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&all), ["tool", "open"]);
        assert!(all.complete && all.left_out.iter().any(|l| l.contains("store")), "{all:?}");
        assert!(!first.complete && second.complete, "{first:?} {second:?}");
        assert_eq!(names(&first).len() + names(&second).len(), 2);
    }
}
