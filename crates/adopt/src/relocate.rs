//! The repository at another place. In come the old place and the new one, out comes the same tree there: by rename on one file system, by
//! a copy that is compared before it counts on another one. What was done is told from the inode the repository was, so a power cut at
//! any point is gone on from. The old copy is kept, closed to all but root, until the move is declared done. Never: puts anything over
//! something, moves what is not the inode that was recorded, takes the old copy back without what the service wrote since.

use crate::{
    Error,
    judge::Kind,
    mirror::{self, Size},
    own::{id, kind},
    record::text,
    tree,
};
use rustix::{
    fd::{AsFd, OwnedFd},
    fs::{AtFlags, FileType, Gid, Mode, OFlags, RenameFlags, StatxAttributes, StatxFlags, Uid},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::CString,
    path::{Path, PathBuf},
};
use sys::beneath::{Directory, split};

/// Of the space a copy needs, this much more must be free: the service writes before anybody looks again.
const SPARE_PERCENT: u64 = 5;
/// Largest configuration that is looked through for the old place.
const MOST_CONFIGURATION: u64 = 1 << 20;

/// From where to where; absolute paths without links.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Relocation {
    /// Where the repository is.
    pub from: String,
    /// Where it will be.
    pub to: String,
}

/// What a survey of it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Way {
    /// Another file system: it is copied.
    pub copies: bool,
    /// Its size.
    pub size: Size,
}

/// The repository as it stood.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Stood {
    id: (u64, u64),
    owner: (u32, u32),
    mode: u32,
}

/// Both places, open.
struct Places {
    from: Place,
    to: Place,
}

struct Place {
    above: Directory,
    name: String,
    path: String,
}

impl Place {
    fn open(path: &str) -> Result<Self, Error> {
        let (above, name) = split(path)?;
        let missing = || sys::Error::call(format!("open directory {above}"), Errno::NOENT);
        Ok(Self { above: Directory::open(above)?.ok_or_else(missing)?, name: name.to_owned(), path: path.to_owned() })
    }
    /// A copy that is being made.
    fn part(&self) -> String {
        format!(".{}.ravelin-copy", self.name)
    }
    /// The old copy.
    fn kept(&self) -> String {
        format!(".{}.ravelin-kept", self.name)
    }
    fn is(&self, name: &str, wanted: (u64, u64)) -> Result<bool, Error> {
        Ok(self.above.look(name)?.is_some_and(|s| (s.st_dev, s.st_ino) == wanted))
    }
    fn remove(&self, name: &str) -> Result<(), Error> {
        let name = CString::new(name).map_err(|_| taken(&self.path, "is no name"))?;
        tree::remove(self.above.fd(), &name, 0)?;
        Ok(self.above.flush()?)
    }
    fn directory(&self, name: &str) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(self.above.fd(), name, flags, Mode::empty()).map_err(|e| call("open", &self.path, e))
    }
    /// A directory that is being filled: root's alone, so nobody else has a hand in it.
    fn private(&self, name: &str) -> Result<OwnedFd, Error> {
        match rustix::fs::mkdirat(self.above.fd(), name, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(e) => return Err(call("make a directory beside", &self.path, e)),
        }
        let opened = self.directory(name)?;
        let stat = rustix::fs::fstat(&opened).map_err(|e| call("look at", &self.path, e))?;
        let me = rustix::process::geteuid().as_raw();
        // Its top gets owner and mode at last; a death may lie between that and its name.
        if stat.st_uid != me {
            close(&opened, &self.path)?;
        }
        Ok(opened)
    }
    /// Takes an empty directory away: the one that was made for the repository beforehand. Anything else stays and is an error.
    fn clear(&self) -> Result<(), Error> {
        match rustix::fs::unlinkat(self.above.fd(), self.name.as_str(), AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR) => Err(taken(&self.path, "is there already and not empty")),
            Err(e) => Err(call("take the empty directory away at", &self.path, e)),
        }
    }
    fn is_full(&self) -> Result<bool, Error> {
        let Some(stat) = self.above.look(&self.name)? else { return Ok(false) };
        if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
            return Ok(true);
        }
        let failed = |e| call("read directory", &self.path, e);
        let opened = self.directory(&self.name)?;
        let mut entries = rustix::fs::Dir::read_from(&opened).map_err(failed)?;
        while let Some(entry) = entries.read() {
            if !matches!(entry.map_err(failed)?.file_name().to_bytes(), b"." | b"..") {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn call(what: &str, path: &str, e: Errno) -> Error {
    sys::Error::call(format!("{what} {path}"), e).into()
}

fn taken(path: &str, why: &str) -> Error {
    Error::Refused(vec![format!("{path} {why}")])
}

fn close(directory: &OwnedFd, path: &str) -> Result<(), Error> {
    give(directory, (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw()), 0o700, path)
}

fn give(directory: &OwnedFd, owner: (u32, u32), mode: u32, path: &str) -> Result<(), Error> {
    let failed = |e| call("give owner and mode to", path, e);
    rustix::fs::fchown(directory, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1))).map_err(failed)?;
    rustix::fs::fchmod(directory, Mode::from_raw_mode(mode)).map_err(failed)
}

impl Relocation {
    fn places(&self) -> Result<Places, Error> {
        Ok(Places { from: Place::open(&self.from)?, to: Place::open(&self.to)? })
    }

    /// Looks and changes nothing: how it would be done, or everything that stands against it.
    pub fn survey(&self) -> Result<Way, Error> {
        let (from, to) = (&self.from, &self.to);
        let mut against = Vec::new();
        if Path::new(from).starts_with(to) || Path::new(to).starts_with(from) {
            return Err(taken(to, &format!("and {from} lie in each other")));
        }
        let Some(top) = tree::open(from.as_bytes())?.filter(|i| kind(i) == Kind::Directory) else {
            return Err(taken(from, "is no directory"));
        };
        if is_mount(&top.fd, from)? {
            against.push(format!("{from} is a file system of its own: mount it at {to} instead"));
        }
        let mut copies = false;
        // Those that are not there yet are made with the account, beside the nearest one that is.
        let near = Path::new(to).ancestors().skip(1).find_map(|a| tree::open(a.to_str()?.as_bytes()).transpose());
        if let Some(near) = near.transpose()? {
            copies = near.stat.st_dev != top.stat.st_dev;
        }
        if let Some(there) = tree::open(to.as_bytes())? {
            if is_mount(&there.fd, to)? {
                against.push(format!("{to} is a file system of its own: name a directory below it as `repo`"));
            } else if Place::open(to)?.is_full()? {
                against.push(format!("{to} is there already and not empty: look whose it is, then move it away or name another `repo`"));
            }
        }
        for (place, name) in [(from, Place::kept as fn(&Place) -> String), (to, Place::part)] {
            let Ok(place) = Place::open(place) else { continue };
            let name = name(&place);
            if place.above.look(&name)?.is_some() {
                against.push(format!("{} is left of a move before: look at it, then remove it", beside(&place.path, &name)));
            }
        }
        let size = mirror::size(from)?;
        against.extend(self.named_inside()?);
        if copies {
            against.extend(room(to, size)?);
        }
        if against.is_empty() { Ok(Way { copies, size }) } else { Err(Error::Refused(against)) }
    }

    /// Links and configuration in the repository that name the old place by its full path.
    fn named_inside(&self) -> Result<Vec<String>, Error> {
        let mut out = Vec::new();
        tree::walk(&self.from, &mut |item| {
            if kind(&item) == Kind::Link {
                let target = rustix::fs::readlinkat(&item.fd, c"", Vec::new()).unwrap_or_default();
                if below(target.to_bytes(), self.from.as_bytes()) {
                    out.push(format!("{} leads to the old place by its full path: make it a relative link", text(&item.path)));
                }
            }
            Ok(())
        })?;
        let mut files: Vec<PathBuf> = std::fs::read_dir(&self.from).into_iter().flatten().flatten().map(|e| e.path()).collect();
        files.retain(|p| p.extension().is_some_and(|e| e == "toml" || e == "json"));
        files.sort();
        for file in files {
            let Ok(bytes) = sys::file::regular(&file, MOST_CONFIGURATION, false) else { continue };
            let content = String::from_utf8_lossy(&bytes);
            for (n, line) in content.lines().enumerate().filter(|(_, l)| names(l, &self.from)) {
                let (file, line) = (file.display(), line.trim());
                out.push(format!("{file}:{}: names the old place: write {} there, the service stopped: {line}", n + 1, self.to));
            }
        }
        Ok(out)
    }

    /// Carries it out, or goes on with it. `record` is where the inode is kept, `progress` is told bytes copied and all of them.
    pub(crate) fn forward(&self, record: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
        let Places { from, to } = self.places()?;
        let stood = self.stood(record, &from)?;
        if to.is(&to.name, stood.id)? {
            return Ok(());
        }
        if !from.is(&from.kept(), stood.id)? {
            if !from.is(&from.name, stood.id)? {
                return Err(taken(&self.from, "was replaced by something else meanwhile"));
            }
            to.clear()?;
            match rename(&from, &from.name, &to, &to.name) {
                Ok(()) => return renamed(&from, &from.name, &to, &to.name, stood.id),
                Err(Errno::XDEV) => {}
                Err(e) => return Err(call("rename", &self.from, e)),
            }
            self.copy(stood, &to, progress)?;
            rename(&from, &from.name, &from, &from.kept()).map_err(|e| call("rename", &self.from, e))?;
            renamed(&from, &from.name, &from, &from.kept(), stood.id)?;
        }
        close(&from.directory(&from.kept())?, &self.from)?;
        if to.above.look(&to.part())?.is_some() {
            to.clear()?;
            rename(&to, &to.part(), &to, &to.name).map_err(|e| call("rename into", &self.to, e))?;
            to.above.flush()?;
        }
        Ok(())
    }

    fn copy(&self, stood: Stood, to: &Place, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
        let part = to.private(&to.part())?;
        let size = mirror::size(&self.from)?;
        let there = mirror::size(&beside(&self.to, &to.part()))?;
        let left = Size { bytes: size.bytes.saturating_sub(there.bytes), inodes: size.inodes.saturating_sub(there.inodes) };
        let against = room(&self.to, left)?;
        if !against.is_empty() {
            return Err(Error::Refused(against));
        }
        mirror::mirror(&self.from, stood.id, part.as_fd(), &mut |done| progress(done, size.bytes))?;
        rustix::fs::syncfs(&part).map_err(|e| call("flush the copy at", &self.to, e))?;
        mirror::compare(&self.from, stood.id, part.as_fd(), &mut |done| progress(done, size.bytes))
    }

    /// Takes it back, or goes on with that.
    pub(crate) fn backward(&self, record: &Path, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
        // Nothing was recorded, so nothing was done.
        let Some(stood) = recorded(record)? else { return Ok(()) };
        let Places { from, to } = self.places()?;
        if to.is(&to.name, stood.id)? {
            rename(&to, &to.name, &from, &from.name).map_err(|e| call("rename back", &self.to, e))?;
            return renamed(&to, &to.name, &from, &from.name, stood.id);
        }
        if from.is(&from.kept(), stood.id)? {
            if to.above.look(&to.name)?.is_some() && to.above.look(&to.part())?.is_none() {
                self.carry_back(&from, &to, progress)?;
            }
            let kept = from.directory(&from.kept())?;
            rename(&from, &from.kept(), &from, &from.name).map_err(|e| call("rename back", &self.from, e))?;
            renamed(&from, &from.kept(), &from, &from.name, stood.id)?;
            give(&kept, stood.owner, stood.mode, &self.from)?;
        }
        if !from.is(&from.name, stood.id)? {
            return Err(taken(&self.from, "was replaced by something else meanwhile"));
        }
        // A death may have come between the name and the owner.
        give(&from.directory(&from.name)?, stood.owner, stood.mode, &self.from)?;
        to.remove(&to.part())
    }

    /// What the service wrote at the new place is in the old copy before that counts again.
    fn carry_back(&self, from: &Place, to: &Place, progress: &mut dyn FnMut(u64, u64)) -> Result<(), Error> {
        let Some(top) = tree::open(self.to.as_bytes())? else { return Ok(()) };
        let kept = from.directory(&from.kept())?;
        close(&kept, &self.from)?;
        let size = mirror::size(&self.to)?;
        mirror::mirror(&self.to, id(&top), kept.as_fd(), &mut |done| progress(done, size.bytes))?;
        rustix::fs::syncfs(&kept).map_err(|e| call("flush the copy at", &self.from, e))?;
        mirror::compare(&self.to, id(&top), kept.as_fd(), &mut |done| progress(done, size.bytes))?;
        rename(to, &to.name, to, &to.part()).map_err(|e| call("rename", &self.to, e))?;
        Ok(to.above.flush()?)
    }

    /// Removes the old copy: there is no way back by it any more.
    pub(crate) fn done(&self, record: &Path) -> Result<bool, Error> {
        let Some(stood) = recorded(record)? else { return Ok(false) };
        let from = Place::open(&self.from)?;
        let kept = from.is(&from.kept(), stood.id)?;
        if kept {
            from.remove(&from.kept())?;
        }
        Ok(kept)
    }

    fn stood(&self, record: &Path, from: &Place) -> Result<Stood, Error> {
        if let Some(stood) = recorded(record)? {
            return Ok(stood);
        }
        let stat = from.above.look(&from.name)?.filter(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory);
        let stat = stat.ok_or_else(|| taken(&self.from, "is no directory"))?;
        let stood = Stood { id: (stat.st_dev, stat.st_ino), owner: (stat.st_uid, stat.st_gid), mode: stat.st_mode & 0o7777 };
        let bytes = serde_json::to_vec(&stood).map_err(|e| Error::Apply(e.to_string()))?;
        sys::file::replace(record, &bytes)?;
        Ok(stood)
    }
}

fn recorded(record: &Path) -> Result<Option<Stood>, Error> {
    let wrong = |why: String| Error::record(record, why);
    match std::fs::read(record) {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(|e| wrong(e.to_string())),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(wrong(e.to_string())),
    }
}

fn rename(a: &Place, old: &str, b: &Place, new: &str) -> Result<(), Errno> {
    rustix::fs::renameat_with(a.above.fd(), old, b.above.fd(), new, RenameFlags::NOREPLACE)
}

/// Flushes both directories, the new name first, and takes it back where it was another inode that was renamed.
fn renamed(a: &Place, old: &str, b: &Place, new: &str, wanted: (u64, u64)) -> Result<(), Error> {
    if !b.is(new, wanted)? {
        rename(b, new, a, old).map_err(|e| call("rename back", &b.path, e))?;
        return Err(taken(&a.path, "was replaced by something else meanwhile"));
    }
    b.above.flush()?;
    Ok(a.above.flush()?)
}

/// What is missing for a copy.
fn room(to: &str, size: Size) -> Result<Vec<String>, Error> {
    let near = Path::new(to).ancestors().skip(1).find(|a| a.is_dir()).unwrap_or(Path::new("/"));
    let free = rustix::fs::statvfs(near).map_err(|e| call("ask for the space at", to, e))?;
    let needed = size.bytes.saturating_add(size.bytes / 100 * SPARE_PERCENT);
    let bytes = free.f_bavail.saturating_mul(free.f_frsize);
    let mut out = Vec::new();
    if bytes < needed {
        out.push(format!("{} has {bytes} bytes free, the copy of the repository needs {needed}", near.display()));
    }
    // Zero of zero: a file system that makes them as it needs them.
    if free.f_files > 0 && free.f_favail < size.inodes {
        out.push(format!("{} has {} inodes free, the copy of the repository needs {}", near.display(), free.f_favail, size.inodes));
    }
    Ok(out)
}

fn is_mount(fd: &OwnedFd, path: &str) -> Result<bool, Error> {
    let stat = rustix::fs::statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::empty()).map_err(|e| call("look at", path, e))?;
    Ok(stat.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

fn beside(path: &str, name: &str) -> String {
    let above = path.rsplit_once('/').map_or("", |(above, _)| above);
    format!("{above}/{name}")
}

fn below(path: &[u8], top: &[u8]) -> bool {
    path.strip_prefix(top).is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

/// Whether a line of configuration names a place, whole or as the way to something below it; `~` may stand for what is above it.
fn names(line: &str, place: &str) -> bool {
    let last = place.rsplit_once('/').map_or(place, |(_, name)| name);
    let whole = |wanted: &str| {
        line.match_indices(wanted).any(|(at, _)| {
            let before = line[..at].chars().next_back();
            let behind = line[at + wanted.len()..].chars().next();
            !before.is_some_and(goes_on) && behind.is_none_or(|c| c == '/' || !goes_on(c))
        })
    };
    whole(place) || whole(&format!("~/{last}"))
}

fn goes_on(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '/' | '.' | '-' | '_' | '~')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_names_the_old_place_and_not_one_that_begins_alike() {
        for line in ["\"Path\": \"/root/.lotus\"", "Path = \"/root/.lotus/sealed\"", "\"Path\": \"~/.lotus\"", "x=/root/.lotus"] {
            assert!(names(line, "/root/.lotus"), "{line}");
        }
        for line in ["\"/root/.lotusminer\"", "\"/data/root/.lotus\"", "\"/root/.lotus-old/x\"", "\"~/.lotusminer\"", ""] {
            assert!(!names(line, "/root/.lotus"), "{line}");
        }
        assert!(below(b"/a/b/c", b"/a/b") && !below(b"/a/bc", b"/a/b"));
        assert_eq!(beside("/x", ".y"), "/.y");
    }
}
