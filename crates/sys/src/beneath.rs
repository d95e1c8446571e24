//! Directories and files below them, no link followed on the way. In come absolute paths and names, out come open files and what
//! is there. A link in place of a directory or file is an error, never a way. Never: leaves a half-written file.

use crate::Error;
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Stat, Uid},
    io::Errno,
};
use std::{
    fs::File,
    io::{Read, Write},
};

/// A directory that was reached without following a link.
#[derive(Debug)]
pub struct Directory {
    own: OwnedFd,
    path: String,
}

/// A file as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Content.
    pub content: Vec<u8>,
    /// Mode with its high bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Directory {
    /// Opens an absolute path; `None` where it is not there.
    pub fn open(path: &str) -> Result<Option<Self>, Error> {
        // Part by part instead of openat2(2): systemd's RestrictSUIDSGID= takes that call away, and the boot unit has it.
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |e| Error::call(format!("open directory {path}"), link(e));
        let Some(below) = path.strip_prefix('/') else { return Err(failed(Errno::INVAL)) };
        let mut own = rustix::fs::openat(rustix::fs::CWD, "/", flags, Mode::empty()).map_err(failed)?;
        for part in below.split('/').filter(|p| !p.is_empty()) {
            if part == ".." || part == "." {
                return Err(failed(Errno::INVAL));
            }
            own = match rustix::fs::openat(&own, part, flags, Mode::empty()) {
                Ok(next) => next,
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => return Err(failed(e)),
            };
        }
        Ok(Some(Self { own, path: path.to_owned() }))
    }

    /// Opens it, making its last part with this mode where it is missing; `true` where it was made.
    pub fn make(path: &str, mode: u32) -> Result<(Self, bool), Error> {
        if let Some(there) = Self::open(path)? {
            return Ok((there, false));
        }
        let (above, name) = split(path)?;
        let parent = Self::open(above)?.ok_or_else(|| Error::call(format!("open directory {above}"), Errno::NOENT))?;
        rustix::fs::mkdirat(&parent.own, name, Mode::from_raw_mode(mode)).map_err(|e| Error::call(format!("make directory {path}"), e))?;
        parent.flush()?;
        let made = Self::open(path)?.ok_or_else(|| Error::call(format!("open directory {path}"), Errno::NOENT))?;
        // The umask of whoever started us has no say.
        rustix::fs::fchmod(&made.own, Mode::from_raw_mode(mode)).map_err(|e| Error::call(format!("change the mode of {path}"), e))?;
        Ok((made, true))
    }

    /// Its open file.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.own.as_fd()
    }

    /// What a name is, a link itself; `None` where it is not there.
    pub fn look(&self, name: &str) -> Result<Option<Stat>, Error> {
        match rustix::fs::statat(&self.own, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(self.failed("look at", name, e)),
        }
    }

    /// Reads a regular file of at most so many bytes; `None` where there is none. Anything else in its place is an error.
    pub fn read(&self, name: &str, most: u64) -> Result<Option<Found>, Error> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        if name.contains('/') {
            return Err(self.odd(name, "it is no single name"));
        }
        let file = match rustix::fs::openat(&self.own, name, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT) => return Ok(None),
            Err(e) => return Err(self.failed("read", name, link(e))),
        };
        let stat = rustix::fs::fstat(&file).map_err(|e| self.failed("look at", name, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(self.odd(name, "it is no regular file"));
        }
        let mut content = Vec::new();
        let read = File::from(file).take(most.saturating_add(1)).read_to_end(&mut content);
        read.map_err(|e| Error::call(format!("read {}/{name}", self.path), e))?;
        if u64::try_from(content.len()).unwrap_or(u64::MAX) > most {
            return Err(self.odd(name, "it is longer than anything of ours"));
        }
        Ok(Some(Found { content, mode: stat.st_mode & 0o7777, uid: stat.st_uid, gid: stat.st_gid }))
    }

    /// Puts a file in place, whole or not at all, also over a power loss.
    pub fn replace(&self, name: &str, file: &Found) -> Result<(), Error> {
        let beside = format!("{name}.new");
        let what = |e| self.failed("write", &beside, e);
        // What a death left there is nobody's; what else stands there is refused by `EXCL` below.
        if self.look(&beside)?.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile) {
            rustix::fs::unlinkat(&self.own, beside.as_str(), AtFlags::empty()).map_err(what)?;
        }
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let open = rustix::fs::openat(&self.own, beside.as_str(), flags, Mode::from_raw_mode(crate::file::PRIVATE)).map_err(what)?;
        let mut open = File::from(open);
        open.write_all(&file.content).map_err(|e| Error::call(format!("write {}/{beside}", self.path), e))?;
        let (uid, gid) = (Uid::from_raw(file.uid), Gid::from_raw(file.gid));
        rustix::fs::fchown(&open, Some(uid), Some(gid)).map_err(what)?;
        rustix::fs::fchmod(&open, Mode::from_raw_mode(file.mode)).map_err(what)?;
        rustix::fs::fsync(&open).map_err(what)?;
        rustix::fs::renameat(&self.own, beside.as_str(), &self.own, name).map_err(|e| self.failed("rename into", name, e))?;
        self.flush()
    }

    /// Removes a file if it is there.
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(&self.own, name, AtFlags::empty()) {
            Ok(()) => self.flush(),
            Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(self.failed("remove", name, e)),
        }
    }

    /// Removes a directory below it if it is there and empty.
    pub fn remove_empty(&self, name: &str) -> Result<(), Error> {
        match rustix::fs::unlinkat(&self.own, name, AtFlags::REMOVEDIR) {
            Ok(()) => self.flush(),
            Err(Errno::NOENT | Errno::NOTEMPTY | Errno::EXIST) => Ok(()),
            Err(e) => Err(self.failed("remove", name, e)),
        }
    }

    /// What is in it holds after a power loss.
    pub fn flush(&self) -> Result<(), Error> {
        rustix::fs::fsync(&self.own).map_err(|e| Error::call(format!("flush directory {}", self.path), e))
    }

    fn failed(&self, what: &str, name: &str, e: impl Into<std::io::Error>) -> Error {
        Error::call(format!("{what} {}/{name}", self.path), e)
    }

    fn odd(&self, name: &str, why: &str) -> Error {
        Error::Answer { what: format!("read {}/{name}", self.path), why: why.to_owned() }
    }
}

/// Directory and name of an absolute path.
pub fn split(path: &str) -> Result<(&str, &str), Error> {
    match path.rsplit_once('/') {
        Some(("", name)) if !name.is_empty() => Ok(("/", name)),
        Some((above, name)) if above.starts_with('/') && !name.is_empty() && name != "." && name != ".." => Ok((above, name)),
        _ => Err(Error::call(format!("path {path:?}"), Errno::INVAL)),
    }
}

/// The kernel says "too many levels of symbolic links" or "not a directory" where there is a link: neither tells people much.
fn link(e: Errno) -> std::io::Error {
    match e {
        Errno::LOOP | Errno::NOTDIR => std::io::Error::other("a link or file stands on the way"),
        e => e.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn found(content: &str) -> Found {
        let me = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Found { content: content.into(), mode: 0o644, uid: me.0, gid: me.1 }
    }

    #[test]
    fn a_file_is_put_read_and_removed() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().to_str().expect("text");
        let (below, made) = Directory::make(&format!("{path}/a.d"), 0o755).expect("makes");
        assert!(made);
        assert_eq!(below.read("x", 100).expect("looks"), None);
        below.replace("x", &found("one")).expect("writes");
        fs::write(format!("{path}/a.d/x.new"), "left by a death").expect("writes");
        below.replace("x", &found("two")).expect("writes");
        assert_eq!(below.read("x", 100).expect("reads"), Some(found("two")));
        assert!(below.read("x", 2).is_err(), "too long");
        assert_eq!(fs::read_dir(format!("{path}/a.d")).expect("lists").count(), 1);
        let above = Directory::open(path).expect("opens").expect("is there");
        above.remove_empty("a.d").expect("is not empty, so stays");
        below.remove("x").expect("removes");
        below.remove("x").expect("is gone already");
        above.remove_empty("a.d").expect("removes");
        assert!(Directory::open(&format!("{path}/a.d")).expect("looks").is_none());
    }

    #[test]
    fn no_link_is_followed() {
        let dir = tempfile::tempdir().expect("directory");
        let path = dir.path().to_str().expect("text");
        fs::create_dir(format!("{path}/real")).expect("makes");
        fs::write(format!("{path}/victim"), "untouched").expect("writes");
        symlink("real", format!("{path}/way")).expect("links");
        assert!(Directory::open(&format!("{path}/way")).is_err());
        assert!(Directory::make(&format!("{path}/way/below"), 0o755).is_err());
        let real = Directory::open(&format!("{path}/real")).expect("opens").expect("is there");
        for name in ["x", "x.new"] {
            symlink("../victim", format!("{path}/real/{name}")).expect("links");
        }
        assert!(real.read("x", 100).is_err());
        assert!(real.replace("x", &found("evil")).is_err(), "somebody's link where ours would be written");
        fs::remove_file(format!("{path}/real/x.new")).expect("removes");
        real.replace("x", &found("ours")).expect("replaces the link itself");
        assert_eq!(fs::read_to_string(format!("{path}/victim")).expect("reads"), "untouched");
        assert!(real.read("../victim", 100).is_err());
    }
}
