//! Network namespaces: entering one, telling two apart. A namespace belongs to a thread: who enters one stays there.

use crate::Error;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::{fs::File, os::fd::AsFd, os::unix::fs::MetadataExt, path::Path};

/// Moves the calling thread into the network namespace at a path such as `/proc/123/ns/net` or `/run/netns/x`.
pub fn enter(path: &Path) -> Result<(), Error> {
    let what = || format!("network namespace {}", path.display());
    let file = File::open(path).map_err(|e| Error::call(what(), e))?;
    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).map_err(|e| Error::call(what(), e))
}

/// What tells one network namespace from another: the inode of its file.
pub fn identity(path: &Path) -> Result<u64, Error> {
    let metadata = std::fs::metadata(path).map_err(|e| Error::call(format!("network namespace {}", path.display()), e))?;
    Ok(metadata.ino())
}

/// Whether the calling thread is in the network namespace of process 1, where that can be seen.
pub fn is_machines_own() -> Option<bool> {
    let own = identity(Path::new("/proc/thread-self/ns/net")).ok()?;
    identity(Path::new("/proc/1/ns/net")).ok().map(|first| first == own)
}
