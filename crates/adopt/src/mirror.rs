//! A tree once more on another file system: content with its holes, owners, modes, access lists and other attributes, times, hard links. In
//! comes a tree and an open directory, out comes that directory as the same tree. What is there already and the same is left, so that
//! a copy that was cut off goes on. Never: follows a link, writes into a file in place, takes a file for copied that it has not read.

use crate::{
    Error,
    judge::Kind,
    own::{id, kind},
    record::text,
    tree::{self, Item},
};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, Dir, FileType, Gid, Mode, OFlags, ResolveFlags, SeekFrom, Stat, Timespec, Timestamps, Uid},
    io::Errno,
};
use std::{
    collections::BTreeMap,
    ffi::CString,
    fs::File,
    io::{Read, Write},
    os::fd::AsRawFd,
};

/// Bytes read or written at once.
const BLOCK: usize = 1 << 20;
/// Unit of `st_blocks` (stat(2)).
const SECTOR: u64 = 512;
/// A file that is being written, in the directory in which it gets its name.
const PART: &str = ".ravelin-part";
/// How a directory below the copy is reached.
const BENEATH: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);

/// How large a tree is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Size {
    /// Bytes that are allocated.
    pub bytes: u64,
    /// Inodes.
    pub inodes: u64,
}

/// Size of a tree, files with several names once.
pub fn size(root: &str) -> Result<Size, Error> {
    let mut out = Size::default();
    let mut linked = std::collections::BTreeSet::new();
    tree::walk(root, &mut |item| {
        if kind(&item) == Kind::Directory || item.stat.st_nlink == 1 || linked.insert(id(&item)) {
            out.inodes += 1;
            out.bytes += allocated(&item.stat);
        }
        Ok(())
    })?;
    Ok(out)
}

fn allocated(stat: &Stat) -> u64 {
    u64::try_from(stat.st_blocks).unwrap_or(0) * SECTOR
}

/// Makes `to` the same as the tree at `from`, whose top must be this inode. `progress` is told the bytes done.
pub fn mirror(from: &str, top: (u64, u64), to: BorrowedFd<'_>, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
    Pass::new(from, top, to, true).walk(from, progress)
}

/// Reads both once more: an error where anything differs.
pub fn compare(from: &str, top: (u64, u64), to: BorrowedFd<'_>, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
    Pass::new(from, top, to, false).walk(from, progress)
}

/// One walk over both.
struct Pass<'a> {
    from: &'a [u8],
    top: (u64, u64),
    to: BorrowedFd<'a>,
    /// Makes the same what is not; else that is an error.
    writes: bool,
    /// Files with several names: number and first name of the copy, names there are, names seen.
    pairs: BTreeMap<(u64, u64), Pair>,
    /// Copies that are some file's already.
    taken: BTreeMap<u64, (u64, u64)>,
    /// The directory used last.
    last: Option<(Vec<u8>, OwnedFd)>,
}

struct Pair {
    copy: u64,
    first: Vec<u8>,
    names: u64,
    seen: u64,
}

impl<'a> Pass<'a> {
    fn new(from: &'a str, top: (u64, u64), to: BorrowedFd<'a>, writes: bool) -> Self {
        Self { from: from.as_bytes(), top, to, writes, pairs: BTreeMap::new(), taken: BTreeMap::new(), last: None }
    }

    fn walk(&mut self, from: &str, progress: &mut dyn FnMut(u64)) -> Result<(), Error> {
        let mut done = 0;
        let mut whole = false;
        tree::walk(from, &mut |item| {
            let below = item.path.get(self.from.len()..).unwrap_or_default();
            let below = below.strip_prefix(b"/").unwrap_or(below).to_vec();
            if below.is_empty() {
                if id(&item) != self.top {
                    return Err(replaced(from));
                }
                whole = true;
            }
            match kind(&item) {
                Kind::Directory => self.directory(&item, &below)?,
                Kind::Device => return Err(Error::Refused(vec![format!("{}: a device node", text(&item.path))])),
                _ => self.file(&item, &below)?,
            }
            // A file with several names counts once, as in its size.
            if self.pairs.get(&id(&item)).is_none_or(|p| p.seen == 1) {
                done += allocated(&item.stat);
            }
            progress(done);
            Ok(())
        })?;
        if !whole {
            return Err(replaced(from));
        }
        // Content that is somebody else's under another name would become this tree's own by a copy.
        let outside = |p: &Pair| format!("{}: {} of its {} names are outside (hard links)", text(&p.first), p.names - p.seen, p.names);
        let reasons: Vec<String> = self.pairs.values().filter(|p| p.names > p.seen).map(outside).collect();
        if reasons.is_empty() { Ok(()) } else { Err(Error::Refused(reasons)) }
    }

    fn directory(&mut self, item: &Item, below: &[u8]) -> Result<(), Error> {
        let copy = self.open(below, item)?;
        let failed = |e: Errno| call("read", &item.path, e);
        for name in names(&copy).map_err(failed)? {
            match rustix::fs::statat(&item.fd, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(_) => {}
                Err(Errno::NOENT) if self.writes => tree::remove(copy.as_fd(), &name, 0)?,
                Err(Errno::NOENT) => return Err(differs(item, &format!("the copy has a {} that is not there", text(name.to_bytes())))),
                Err(e) => return Err(failed(e)),
            }
        }
        self.last = None;
        let stat = rustix::fs::fstat(&copy).map_err(failed)?;
        match self.metadata(item, copy.as_fd(), &stat)? {
            None => Ok(()),
            Some(_) if self.writes => dress(item, copy.as_fd()),
            Some(what) => Err(differs(item, what)),
        }
    }

    fn file(&mut self, item: &Item, below: &[u8]) -> Result<(), Error> {
        let (above, name) = split(below);
        let name = CString::new(name).map_err(|_| differs(item, "its name"))?;
        let directory = match self.last.take() {
            Some((path, fd)) if path == above => fd,
            _ => self.open(above, item)?,
        };
        let several = item.stat.st_nlink > 1;
        match self.differing(item, &directory, &name)? {
            None => {}
            Some(what) if !self.writes => return Err(differs(item, what)),
            Some(_) => {
                let failed = |e: Errno| call("copy", &item.path, e);
                let part = CString::new(PART).map_err(|_| differs(item, "its name"))?;
                tree::remove(directory.as_fd(), &part, 0)?;
                match self.pairs.get(&id(item)) {
                    Some(pair) if several => {
                        let first = CString::new(pair.first.clone()).map_err(|_| differs(item, "its name"))?;
                        rustix::fs::linkat(self.to, &first, &directory, &part, AtFlags::empty()).map_err(failed)?;
                    }
                    _ => fill(item, &directory, &part)?,
                }
                if is_directory(directory.as_fd(), &name) {
                    tree::remove(directory.as_fd(), &name, 0)?;
                }
                rustix::fs::renameat(&directory, &part, &directory, &name).map_err(failed)?;
                // Two names of one file: renaming one over the other does nothing, and both stay (rename(2)).
                tree::remove(directory.as_fd(), &part, 0)?;
            }
        }
        if several {
            let copy = rustix::fs::statat(&directory, &name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| call("look at", &item.path, e))?.st_ino;
            let first = || Pair { copy, first: below.to_vec(), names: item.stat.st_nlink, seen: 0 };
            self.pairs.entry(id(item)).or_insert_with(first).seen += 1;
            self.taken.insert(copy, id(item));
        }
        self.last = Some((above.to_vec(), directory));
        Ok(())
    }

    /// What is not the same at this name.
    fn differing(&self, item: &Item, directory: &OwnedFd, name: &CString) -> Result<Option<&'static str>, Error> {
        let failed = |e: Errno| call("compare", &item.path, e);
        let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let copy = match rustix::fs::openat(directory, name, flags, Mode::empty()) {
            Ok(copy) => copy,
            Err(Errno::NOENT) => return Ok(Some("it is not in the copy")),
            Err(e) => return Err(failed(e)),
        };
        let stat = rustix::fs::fstat(&copy).map_err(failed)?;
        let type_of = |s: &Stat| FileType::from_raw_mode(s.st_mode);
        if type_of(&stat) != type_of(&item.stat) {
            return Ok(Some("its kind"));
        }
        let pair = self.pairs.get(&id(item)).map(|p| p.copy);
        let linked = match item.stat.st_nlink {
            1 => stat.st_nlink == 1,
            _ => pair.map_or_else(|| !self.taken.contains_key(&stat.st_ino), |copy| copy == stat.st_ino),
        };
        if !linked {
            return Ok(Some("its names"));
        }
        if let Some(what) = self.metadata(item, copy.as_fd(), &stat)? {
            return Ok(Some(what));
        }
        match kind(item) {
            // Under its second name it was read already.
            Kind::File if pair.is_some() => Ok(None),
            Kind::File if stat.st_size != item.stat.st_size => Ok(Some("its length")),
            Kind::File => Ok((!same_content(&read(&item.fd, item)?, &read(&copy, item)?, item)?).then_some("its content")),
            Kind::Link => {
                let target = |fd: &OwnedFd| rustix::fs::readlinkat(fd, c"", Vec::new()).map_err(failed);
                Ok((target(&item.fd)? != target(&copy)?).then_some("where it leads"))
            }
            _ => Ok(None),
        }
    }

    /// What is not the same beside content and names.
    fn metadata(&self, item: &Item, copy: BorrowedFd<'_>, stat: &Stat) -> Result<Option<&'static str>, Error> {
        let is = &item.stat;
        if (is.st_uid, is.st_gid) != (stat.st_uid, stat.st_gid) {
            return Ok(Some("its owner"));
        }
        if (is.st_mtime, is.st_mtime_nsec) != (stat.st_mtime, stat.st_mtime_nsec) {
            return Ok(Some("its time"));
        }
        if kind(item) == Kind::Link {
            return Ok(None);
        }
        if is.st_mode != stat.st_mode {
            return Ok(Some("its mode"));
        }
        Ok((sys::xattr::all(&item.fd)? != sys::xattr::all(copy)?).then_some("its attributes"))
    }

    /// A directory of the copy, made private with those above it where it is missing and may be.
    fn open(&self, below: &[u8], item: &Item) -> Result<OwnedFd, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let failed = |e: Errno| call("open the copy of", &item.path, e);
        let path = if below.is_empty() { b".".to_vec() } else { below.to_vec() };
        match rustix::fs::openat2(self.to, path, flags, Mode::empty(), BENEATH) {
            Ok(fd) => return Ok(fd),
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) if self.writes && !below.is_empty() => {}
            Err(e) => return Err(failed(e)),
        }
        let (above, name) = split(below);
        let above = self.open(above, item)?;
        let name = CString::new(name).map_err(|_| differs(item, "its name"))?;
        tree::remove(above.as_fd(), &name, 0)?;
        rustix::fs::mkdirat(&above, &name, Mode::RWXU).map_err(failed)?;
        rustix::fs::openat(&above, &name, flags, Mode::empty()).map_err(failed)
    }
}

/// Makes a copy of what is no directory.
fn fill(item: &Item, directory: &OwnedFd, name: &CString) -> Result<(), Error> {
    let failed = |e: Errno| call("copy", &item.path, e);
    let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match kind(item) {
        Kind::File => {
            let flags = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
            let copy = rustix::fs::openat(directory, name, flags, Mode::RUSR | Mode::WUSR).map_err(failed)?;
            let copy = File::from(copy);
            content(&read(&item.fd, item)?, &copy, item)?;
            dress(item, copy.as_fd())
        }
        Kind::Link => {
            let target = rustix::fs::readlinkat(&item.fd, c"", Vec::new()).map_err(failed)?;
            rustix::fs::symlinkat(&target, directory, name).map_err(failed)?;
            let (uid, gid) = (Uid::from_raw(item.stat.st_uid), Gid::from_raw(item.stat.st_gid));
            rustix::fs::chownat(directory, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)?;
            rustix::fs::utimensat(directory, name, &times(&item.stat), AtFlags::SYMLINK_NOFOLLOW).map_err(failed)
        }
        _ => {
            let kind = FileType::from_raw_mode(item.stat.st_mode);
            rustix::fs::mknodat(directory, name, kind, Mode::RUSR | Mode::WUSR, 0).map_err(failed)?;
            let copy = rustix::fs::openat(directory, name, flags | OFlags::PATH, Mode::empty()).map_err(failed)?;
            dress(item, copy.as_fd())
        }
    }
}

/// The data of a file at the places it has in it: what is a hole stays one.
fn content(from: &File, to: &File, item: &Item) -> Result<(), Error> {
    let failed = |e: Errno| call("copy", &item.path, e);
    let wrong = |e: std::io::Error| Error::from(sys::Error::call(format!("copy {}", text(&item.path)), e));
    let mut block = vec![0; BLOCK];
    let mut at = 0;
    loop {
        let start = match rustix::fs::seek(from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but a hole up to the end.
            Err(Errno::NXIO) => break,
            Err(e) => return Err(failed(e)),
        };
        at = rustix::fs::seek(from, SeekFrom::Hole(start)).map_err(failed)?;
        rustix::fs::seek(from, SeekFrom::Start(start)).map_err(failed)?;
        rustix::fs::seek(to, SeekFrom::Start(start)).map_err(failed)?;
        let (mut from, mut to) = (from.take(at.saturating_sub(start)), to);
        loop {
            let length = from.read(&mut block).map_err(wrong)?;
            if length == 0 {
                break;
            }
            to.write_all(&block[..length]).map_err(wrong)?;
        }
    }
    rustix::fs::ftruncate(to, u64::try_from(item.stat.st_size).unwrap_or(0)).map_err(failed)
}

/// Owner before mode, since a change of owner takes set-id bits away; the access list after the mode, which is a part of it; the times at
/// last: a file that has its time is whole.
fn dress(item: &Item, copy: BorrowedFd<'_>) -> Result<(), Error> {
    let failed = |e: Errno| call("give owner and mode to the copy of", &item.path, e);
    let (uid, gid) = (Uid::from_raw(item.stat.st_uid), Gid::from_raw(item.stat.st_gid));
    rustix::fs::chownat(copy, c"", Some(uid), Some(gid), AtFlags::EMPTY_PATH).map_err(failed)?;
    rustix::fs::chmod(own_name(copy), Mode::from_raw_mode(item.stat.st_mode & 0o7777)).map_err(failed)?;
    let wanted = sys::xattr::all(&item.fd)?;
    let has = sys::xattr::all(copy)?;
    for (name, _) in has.iter().filter(|(name, _)| !wanted.iter().any(|(w, _)| w == name)) {
        sys::xattr::set(copy, name, None)?;
    }
    for (name, value) in wanted.iter().filter(|w| !has.contains(w)) {
        sys::xattr::set(copy, name, Some(value))?;
    }
    rustix::fs::utimensat(rustix::fs::CWD, own_name(copy), &times(&item.stat), AtFlags::empty()).map_err(failed)
}

fn own_name(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

fn times(stat: &Stat) -> Timestamps {
    let time = |seconds, nanos: u64| Timespec { tv_sec: seconds, tv_nsec: i64::try_from(nanos).unwrap_or(0) };
    Timestamps { last_access: time(stat.st_atime, stat.st_atime_nsec), last_modification: time(stat.st_mtime, stat.st_mtime_nsec) }
}

/// Opens the content of exactly this inode, which is a regular file.
fn read(fd: &OwnedFd, item: &Item) -> Result<File, Error> {
    let opened = rustix::fs::open(own_name(fd.as_fd()), OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK, Mode::empty());
    opened.map(File::from).map_err(|e| call("read", &item.path, e))
}

fn same_content(a: &File, b: &File, item: &Item) -> Result<bool, Error> {
    let wrong = |e: std::io::Error| Error::from(sys::Error::call(format!("compare {}", text(&item.path)), e));
    let (mut left, mut right) = (vec![0; BLOCK], vec![0; BLOCK]);
    loop {
        let (l, r) = (full(a, &mut left).map_err(wrong)?, full(b, &mut right).map_err(wrong)?);
        if left[..l] != right[..r] {
            return Ok(false);
        }
        if l < BLOCK {
            return Ok(true);
        }
    }
}

/// Reads until the block is full or the file ends.
fn full(mut file: &File, block: &mut [u8]) -> std::io::Result<usize> {
    let mut length = 0;
    while length < block.len() {
        match file.read(&mut block[length..]) {
            Ok(0) => break,
            Ok(n) => length += n,
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(length)
}

fn names(directory: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut out = Vec::new();
    let mut entries = Dir::read_from(directory)?;
    while let Some(entry) = entries.read() {
        let name = entry?.file_name().to_owned();
        if !matches!(name.to_bytes(), b"." | b"..") {
            out.push(name);
        }
    }
    Ok(out)
}

fn is_directory(directory: BorrowedFd<'_>, name: &CString) -> bool {
    rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).is_ok_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::Directory)
}

fn split(below: &[u8]) -> (&[u8], &[u8]) {
    below.iter().rposition(|b| *b == b'/').map_or((&[], below), |n| (&below[..n], &below[n + 1..]))
}

fn call(what: &str, path: &[u8], e: Errno) -> Error {
    sys::Error::call(format!("{what} {}", text(path)), e).into()
}

fn differs(item: &Item, what: &str) -> Error {
    Error::Differs { path: text(&item.path), what: what.to_owned() }
}

fn replaced(path: &str) -> Error {
    Error::Refused(vec![format!("{path} was replaced by something else meanwhile")])
}
