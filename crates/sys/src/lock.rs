//! Locks that die with their holder: `flock` on an open file. Never waits longer than it was told to.

use crate::Error;
use rustix::fs::{FlockOperation, flock};
use std::{
    fs::{File, OpenOptions},
    os::unix::fs::OpenOptionsExt,
    path::Path,
    time::{Duration, Instant},
};

/// Between two looks at a lock that somebody holds.
const POLL: Duration = Duration::from_millis(20);

/// A lock that is held until it is dropped, or its process dies.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "held open: closing it releases the lock")] File);

/// What became of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// Ours.
    Held(Lock),
    /// Somebody else's.
    Busy,
}

/// Tries to take the lock for so long; at least once.
pub fn acquire(path: &Path, patience: Duration) -> Result<Attempt, Error> {
    let what = || format!("lock {}", path.display());
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(crate::file::PRIVATE)
        .open(path)
        .map_err(|e| Error::call(what(), e))?;
    let begun = Instant::now();
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(Attempt::Held(Lock(file))),
            Err(rustix::io::Errno::WOULDBLOCK) if begun.elapsed() < patience => std::thread::sleep(POLL),
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(Attempt::Busy),
            Err(e) => return Err(Error::call(what(), e)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_exclude_each_other() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("lock");
        let first = acquire(&path, Duration::ZERO).expect("tries");
        assert!(matches!(first, Attempt::Held(_)));
        assert!(matches!(acquire(&path, Duration::from_millis(50)).expect("tries"), Attempt::Busy));
        drop(first);
        assert!(matches!(acquire(&path, Duration::ZERO).expect("tries"), Attempt::Held(_)));
    }
}
