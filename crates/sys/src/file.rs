//! Files that are either the old or the new one, also after a power loss. In come a path and bytes. Never leaves a half.

use crate::Error;
use std::{
    fs::{self, File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Mode of what only root may read: rulesets tell an attacker where the doors are.
pub const PRIVATE: u32 = 0o600;

/// Replaces a file: temporary file beside it, flushed, renamed over it, directory flushed.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    replace_as(path, bytes, PRIVATE)
}

/// The same, for a file that is somebody else's to read as well.
pub fn replace_as(path: &Path, bytes: &[u8], mode: u32) -> Result<(), Error> {
    let beside = beside(path);
    let what = |p: &Path| format!("write {}", p.display());
    let written = (|| {
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(PRIVATE).open(&beside)?;
        file.write_all(bytes)?;
        if mode != PRIVATE {
            file.set_permissions(fs::Permissions::from_mode(mode))?;
        }
        file.sync_all()
    })();
    written.map_err(|e| Error::call(what(&beside), e))?;
    rename(&beside, path)
}

/// Renames and flushes the directory: when this returns, the new name holds after a power loss.
pub fn rename(from: &Path, to: &Path) -> Result<(), Error> {
    fs::rename(from, to).map_err(|e| Error::call(format!("rename {} to {}", from.display(), to.display()), e))?;
    flush_directory(to)
}

/// Removes a file if it is there, and flushes the directory.
pub fn remove(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Ok(()) => flush_directory(path),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(Error::call(format!("remove {}", path.display()), e)),
    }
}

/// Reads a regular file whole, or says why not: a pipe or device put in its place is refused instead of waited for, a link is
/// followed only where that is wanted, and what is longer than `most` bytes is refused.
pub fn regular(path: &Path, most: u64, follow: bool) -> std::io::Result<Vec<u8>> {
    use rustix::fs::{FileType, Mode, OFlags};
    let last = if follow { OFlags::empty() } else { OFlags::NOFOLLOW };
    let file = rustix::fs::open(path, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY | last, Mode::empty())?;
    if FileType::from_raw_mode(rustix::fs::fstat(&file)?.st_mode) != FileType::RegularFile {
        return Err(std::io::Error::new(std::io::ErrorKind::InvalidInput, "no regular file"));
    }
    let mut out = Vec::new();
    File::from(file).take(most.saturating_add(1)).read_to_end(&mut out)?;
    if u64::try_from(out.len()).unwrap_or(u64::MAX) > most {
        return Err(std::io::Error::new(std::io::ErrorKind::FileTooLarge, format!("longer than {most} bytes")));
    }
    Ok(out)
}

/// Adds to the end of a file and flushes it.
pub fn append(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let added = (|| {
        let mut file = OpenOptions::new().append(true).create(true).mode(PRIVATE).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    })();
    added.map_err(|e| Error::call(format!("append to {}", path.display()), e))
}

fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    path.with_file_name(name)
}

/// Flushes the directory a name lies in: when this returns, the name is there, or gone, after a power loss.
pub fn flush_directory(path: &Path) -> Result<(), Error> {
    let parent = match path.parent() {
        Some(p) if !p.as_os_str().is_empty() => p,
        _ => Path::new("."),
    };
    let what = || format!("flush directory {}", parent.display());
    File::open(parent).and_then(|d| d.sync_all()).map_err(|e| Error::call(what(), e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_devices_and_links_in_place_of_a_file_are_refused() {
        let dir = tempfile::tempdir().expect("directory");
        let at = |name: &str| dir.path().join(name);
        fs::write(at("a"), b"text").expect("writes");
        std::os::unix::fs::symlink("a", at("link")).expect("links");
        std::os::unix::fs::symlink("/dev/zero", at("zero")).expect("links");
        rustix::fs::mknodat(rustix::fs::CWD, at("pipe"), rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600), 0)
            .expect("pipe");
        assert_eq!(regular(&at("link"), 100, true).expect("reads"), b"text");
        assert!(regular(&at("link"), 100, false).is_err());
        assert!(regular(&at("a"), 3, true).is_err(), "too long");
        assert!(regular(&at("zero"), 100, true).is_err());
        assert!(regular(&at("pipe"), 100, true).is_err(), "and does not wait");
    }

    #[test]
    fn a_file_is_replaced_whole_and_private() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().join("a");
        replace(&path, b"one").expect("writes");
        replace(&path, b"two").expect("writes");
        append(&path, b"!").expect("appends");
        assert_eq!(fs::read(&path).expect("reads"), b"two!");
        assert_eq!(fs::metadata(&path).expect("is there").permissions().mode() & 0o777, PRIVATE);
        assert_eq!(fs::read_dir(dir.path()).expect("lists").count(), 1, "nothing is left beside it");
        remove(&path).expect("removes");
        remove(&path).expect("is gone already");
        assert!(replace(&dir.path().join("no/such"), b"").is_err());
    }
}
