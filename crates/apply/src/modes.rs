//! Modes that systemd-tmpfiles will change, kept before it does. In come the lines of a bundle that close modes, out come inodes with
//! their modes, and these put back. Never: follows a link, changes another inode than the one that was looked at.

use bundle::{Draft, file::DIRECTORIES};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsStr,
    os::{fd::AsRawFd, unix::ffi::OsStrExt},
    path::{Path, PathBuf},
};
use words::star;

/// Most inodes that are kept: keystores have dozens of files, no store is among them.
const MOST: usize = 10_000;

/// An inode with its mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptMode {
    path: PathBytes,
    dev: u64,
    ino: u64,
    mode: u32,
}

/// A path whose name may hold any byte.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
enum PathBytes {
    Text(String),
    Bytes(Vec<u8>),
}

impl PathBytes {
    fn of(path: &Path) -> Self {
        path.to_str().map_or_else(|| Self::Bytes(path.as_os_str().as_bytes().to_vec()), |t| Self::Text(t.to_owned()))
    }
    fn path(&self) -> &Path {
        match self {
            Self::Text(text) => Path::new(text),
            Self::Bytes(bytes) => Path::new(OsStr::from_bytes(bytes)),
        }
    }
}

/// What the draft will close, as it is now.
pub fn look(draft: &Draft) -> Vec<KeptMode> {
    let mut out = Vec::new();
    for line in draft.files().filter(|f| f.path == DIRECTORIES).flat_map(|f| f.content.lines()) {
        let Some(pattern) = line.strip_prefix("z ").and_then(|l| l.split(' ').next()) else { continue };
        for path in matching(pattern) {
            let Ok(stat) = rustix::fs::lstat(&path) else { continue };
            let mode = stat.st_mode & 0o7777;
            if out.len() < MOST {
                out.push(KeptMode { path: PathBytes::of(&path), dev: stat.st_dev, ino: stat.st_ino, mode });
            }
        }
    }
    out
}

/// The paths a pattern means: `*` in its last part, as the plan writes them.
fn matching(pattern: &str) -> Vec<PathBuf> {
    let Some((directory, name)) = pattern.rsplit_once('/') else { return Vec::new() };
    if !name.contains('*') {
        return vec![PathBuf::from(pattern)];
    }
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let mut out: Vec<PathBuf> = entries.filter(|e| fits(name.as_bytes(), e.file_name().as_bytes())).map(|e| e.path()).collect();
    out.sort();
    out
}

/// Shell patterns of `*` alone; a leading dot must be written.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    (name.first() != Some(&b'.') || pattern.first() == Some(&b'.')) && star::fits(pattern, name)
}

/// Puts modes back where the inode is still the one; out come notes about those that would not.
pub fn put_back(kept: &[KeptMode]) -> Vec<String> {
    kept.iter().filter_map(|k| one(k).err().map(|e| format!("mode {:04o} of {}: {e}", k.mode, k.path.path().display()))).collect()
}

fn one(kept: &KeptMode) -> std::io::Result<()> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let file = match rustix::fs::openat2(CWD, kept.path.path(), flags, Mode::empty(), resolve) {
        // What is gone has no mode to give back.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let stat = rustix::fs::fstat(&file)?;
    if (stat.st_dev, stat.st_ino) != (kept.dev, kept.ino) || stat.st_mode & 0o7777 == kept.mode {
        return Ok(());
    }
    // A path descriptor cannot be changed itself; its name under /proc is that inode and no other.
    Ok(rustix::fs::chmod(format!("/proc/self/fd/{}", file.as_raw_fd()), Mode::from_raw_mode(kept.mode))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_as_the_shell_s() {
        for (pattern, name, fit) in [
            ("*", "a", true),
            ("*", ".a", false),
            ("*.env", "lotus.env", true),
            ("*.env", "lotus.env.old", false),
            ("NRUW*", "NRUWE4", true),
            ("a*b*c", "axxbyyc", true),
            ("a*b*c", "axxbyycd", false),
            ("a*bc", "abcbc", true),
        ] {
            assert_eq!(fits(pattern.as_bytes(), name.as_bytes()), fit, "{pattern} {name}");
        }
    }
}
