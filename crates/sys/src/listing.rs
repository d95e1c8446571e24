//! A directory with the modes of its files, in as few calls and as near to the disk's order as it goes. In comes a path, out come
//! names, kinds and modes. Never: follows a link in its last part, opens a file.

use crate::Error;
use rustix::{
    fs::{AtFlags, FileType, Mode, OFlags, RawDir},
    io::Errno,
};
use std::{
    ffi::{CString, OsStr, OsString},
    mem::MaybeUninit,
    os::unix::ffi::OsStrExt,
    path::Path,
};

/// What a name is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A link, device, socket or pipe, or what was gone before it was looked at.
    Other,
}

/// A name in a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The name.
    pub name: OsString,
    /// What it is.
    pub kind: Kind,
    /// Mode of a regular file, `0o7777`; 0 of everything else.
    pub mode: u32,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// Its own mode, `0o7777`.
    pub mode: u32,
    /// What is in it, by inode number.
    pub entries: Vec<Entry>,
}

/// Bytes that one call of `getdents64` fills: most directories fit, and the kernel copies no less for a larger one.
const BATCH: usize = 64 * 1024;

/// Lists a directory; an error where it is a link or not there.
pub fn list(path: &Path) -> Result<Listing, Error> {
    let failed = |e: Errno| Error::call(format!("list {}", path.display()), e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let own = rustix::fs::open(path, flags, Mode::empty()).map_err(failed)?;
    let mode = rustix::fs::fstat(&own).map_err(failed)?.st_mode & 0o7777;
    let mut buffer = vec![MaybeUninit::uninit(); BATCH];
    let mut found: Vec<(u64, CString, FileType)> = Vec::new();
    let mut directory = RawDir::new(&own, &mut buffer);
    while let Some(entry) = directory.next() {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            found.push((entry.ino(), entry.file_name().to_owned(), entry.file_type()));
        }
    }
    // Inodes lie on the disk by number; names come in the order of their hashes.
    found.sort_unstable_by_key(|(inode, ..)| *inode);
    let entry = |(_, name, kind): (u64, CString, FileType)| {
        let asked = match kind {
            FileType::RegularFile | FileType::Unknown => rustix::fs::statat(&own, &name, AtFlags::SYMLINK_NOFOLLOW).ok(),
            _ => None,
        };
        let kind = match asked.map_or(kind, |s| FileType::from_raw_mode(s.st_mode)) {
            FileType::RegularFile if asked.is_some() => Kind::File,
            FileType::Directory => Kind::Directory,
            _ => Kind::Other,
        };
        let mode = asked.filter(|_| kind == Kind::File).map_or(0, |s| s.st_mode & 0o7777);
        Entry { name: OsStr::from_bytes(name.as_bytes()).to_owned(), kind, mode }
    };
    Ok(Listing { mode, entries: found.into_iter().map(entry).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        fs,
        os::unix::fs::{PermissionsExt, symlink},
    };

    #[test]
    fn names_kinds_and_modes_are_as_they_stand_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at("below")).expect("makes");
        fs::write(at("tool"), "").expect("writes");
        fs::set_permissions(at("tool"), fs::Permissions::from_mode(0o4751)).expect("mode");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).expect("mode");
        symlink("tool", at("link")).expect("links");
        symlink("below", at("way")).expect("links");
        // More names than one batch holds.
        let many = 4000;
        (0..many).for_each(|n| fs::write(at(&format!("a-name-of-some-length-{n}")), "").expect("writes"));
        let listed = list(dir.path()).expect("lists");
        let of = |name: &str| listed.entries.iter().find(|e| e.name == name).map(|e| (e.kind, e.mode));
        assert_eq!((listed.mode, listed.entries.len()), (0o1777, many + 4));
        assert_eq!(of("tool"), Some((Kind::File, 0o4751)));
        assert_eq!(of("below"), Some((Kind::Directory, 0)));
        assert_eq!((of("link"), of("way")), (Some((Kind::Other, 0)), Some((Kind::Other, 0))));
        assert!(list(&at("way")).is_err() && list(&at("tool")).is_err() && list(&at("none")).is_err());
    }
}
