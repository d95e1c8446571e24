//! What keeps a lab of the machine's root off the machine: its own view of the file system, without the machine's settings.
//!
//! Network settings below `/proc/sys/net` are those of the namespace of the process that opens them, and the kernel shows
//! a network namespace other than the first no setting there that it could change for all. Everything else that a root
//! process could change by writing a file (other sysctls, `/sys`, the system's programs and configuration) is made
//! read-only in the lab's own mount namespace. Sockets of the machine's services are hidden by the lab's own `/run`.
//! Never: touches a mount outside; the caller's mount namespace must be private.

use crate::error::LabError;
use rustix::{
    io::Errno,
    mount::{MountFlags, mount_bind, mount_bind_recursive, mount_remount},
};
use std::{collections::BTreeSet, path::Path};

/// Where settings of the whole machine are: read-only inside.
const SETTINGS: &str = "/proc/sys";
/// The part of them that belongs to network namespaces: stays writable.
const OF_THE_NETWORK: &str = "/proc/sys/net";
/// What a lab never has to write, as far as it exists: devices and control groups, programs, configuration, kernels.
pub const READ_ONLY: [&str; 5] = ["/sys", "/etc", "/usr", "/boot", "/var/lib"];

/// Makes the mounts. Must be called by a process whose mount namespace is its own and private.
pub fn close() -> Result<(), LabError> {
    mount_bind(SETTINGS, SETTINGS).map_err(LabError::os(format!("bind {SETTINGS}")))?;
    mount_bind(OF_THE_NETWORK, OF_THE_NETWORK).map_err(LabError::os(format!("bind {OF_THE_NETWORK}")))?;
    protect(SETTINGS)?;
    for path in READ_ONLY.into_iter().filter(|p| Path::new(p).is_dir()) {
        mount_bind_recursive(path, path).map_err(LabError::os(format!("bind {path}")))?;
        for below in mounts_at(path)? {
            protect(&below)?;
        }
    }
    Ok(())
}

/// Makes one mount read-only here, keeping what else holds for it.
fn protect(path: &str) -> Result<(), LabError> {
    match mount_remount(path, MountFlags::BIND | MountFlags::RDONLY | MountFlags::NOSUID, "") {
        // A mount that another one covers cannot be reached by anybody else either.
        Ok(()) | Err(Errno::NOENT | Errno::INVAL) => Ok(()),
        Err(e) => Err(LabError::os(format!("make {path} read-only in the lab"))(e)),
    }
}

/// The mounts at and below a path, from the kernel's list.
fn mounts_at(path: &str) -> Result<BTreeSet<String>, LabError> {
    let list = std::fs::read_to_string("/proc/self/mountinfo").map_err(LabError::io("read /proc/self/mountinfo"))?;
    let points = list.lines().filter_map(|l| l.split(' ').nth(4)).map(unescape);
    Ok(points.filter(|p| Path::new(p).starts_with(path)).collect())
}

/// A path as the kernel's list writes it: blanks and backslashes as octal.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}
