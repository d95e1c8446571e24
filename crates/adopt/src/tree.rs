//! A walk over a store. In comes a root, out comes every inode below it with an open file of exactly that inode, children before their
//! directory. Memory and open files are bounded by the depth. Never: follows a link, leaves the root's file system, reads content.

use crate::{Error, record::text};
use rustix::{
    fd::{AsFd, BorrowedFd, OwnedFd},
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use std::ffi::CStr;

/// Deepest directory: sectors lie 3 deep, chain stores 10. Two open files each, of the usual 1,024.
pub const DEEPEST: usize = 128;
/// How often a race on the way down is tried again.
const RETRIES: usize = 16;
/// What every resolution holds to.
const STRICT: ResolveFlags = ResolveFlags::NO_SYMLINKS.union(ResolveFlags::NO_MAGICLINKS);

/// One inode.
#[derive(Debug)]
pub struct Item {
    /// A path descriptor of it.
    pub fd: OwnedFd,
    /// Its path when it was opened.
    pub path: Vec<u8>,
    /// What the kernel says of it.
    pub stat: Stat,
}

/// Opens an inode by its absolute path, no link followed on the way; the last part may be a link itself. `None` where it is gone.
pub fn open(path: &[u8]) -> Result<Option<Item>, Error> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::openat2(CWD, path, flags, Mode::empty(), STRICT) {
        Ok(fd) => item(fd, path.to_vec()).map(Some),
        Err(Errno::NOENT) => Ok(None),
        Err(Errno::LOOP) => Err(Error::Refused(vec![format!("{}: a link stands on the way", text(path))])),
        Err(e) => Err(sys::Error::call(format!("open {}", text(path)), e).into()),
    }
}

fn item(fd: OwnedFd, path: Vec<u8>) -> Result<Item, Error> {
    let stat = rustix::fs::fstat(&fd).map_err(|e| sys::Error::call(format!("look at {}", text(&path)), e))?;
    Ok(Item { fd, path, stat })
}

/// Walks over a root; one that is not there has nothing below it.
pub fn walk(root: &str, each: &mut dyn FnMut(Item) -> Result<(), Error>) -> Result<(), Error> {
    match open(root.as_bytes())? {
        Some(top) => visit(top, 0, each),
        None => Ok(()),
    }
}

fn visit(item: Item, depth: usize, each: &mut dyn FnMut(Item) -> Result<(), Error>) -> Result<(), Error> {
    if FileType::from_raw_mode(item.stat.st_mode) != FileType::Directory {
        return each(item);
    }
    if depth >= DEEPEST {
        return Err(Error::Deep { path: text(&item.path), most: DEEPEST });
    }
    let failed = |e: Errno| sys::Error::call(format!("read directory {}", text(&item.path)), e);
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let opened = rustix::fs::openat(&item.fd, c".", flags, Mode::empty()).map_err(failed)?;
    let mut entries = Dir::read_from(&opened).map_err(failed)?;
    while let Some(entry) = entries.read() {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let path = [&item.path, b"/".as_slice(), name.to_bytes()].concat();
        if let Some(below) = child(&opened, name, path)? {
            // The file system's own place for what it found after a crash; a service has no business in it.
            if depth == 0 && name == c"lost+found" && below.stat.st_uid == 0 {
                continue;
            }
            visit(below, depth + 1, each)?;
        }
    }
    drop((entries, opened));
    each(item)
}

fn child(directory: &OwnedFd, name: &CStr, path: Vec<u8>) -> Result<Option<Item>, Error> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = STRICT | ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
    for _ in 0..RETRIES {
        return match rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve) {
            Ok(fd) => item(fd, path).map(Some),
            Err(Errno::NOENT) => Ok(None),
            Err(Errno::XDEV) => Err(Error::Mount { path: text(&path) }),
            Err(Errno::AGAIN) => continue,
            Err(e) => Err(sys::Error::call(format!("open {}", text(&path)), e).into()),
        };
    }
    Err(sys::Error::call(format!("open {}", text(&path)), Errno::AGAIN).into())
}

/// Removes what has this name, with everything below it; nothing where there is nothing. Stops at another file system.
pub fn remove(directory: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Error> {
    let failed = |e: Errno| sys::Error::call(format!("remove {}", text(name.to_bytes())), e);
    match rustix::fs::unlinkat(directory, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR) => {}
        Err(e) => return Err(failed(e).into()),
    }
    if depth >= DEEPEST {
        return Err(Error::Deep { path: text(name.to_bytes()), most: DEEPEST });
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let resolve = STRICT | ResolveFlags::BENEATH | ResolveFlags::NO_XDEV;
    let below = rustix::fs::openat2(directory, name, flags, Mode::empty(), resolve).map_err(failed)?;
    let mut entries = Dir::read_from(&below).map_err(failed)?;
    while let Some(entry) = entries.read() {
        let entry = entry.map_err(failed)?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            remove(below.as_fd(), entry.file_name(), depth + 1)?;
        }
    }
    rustix::fs::unlinkat(directory, name, AtFlags::REMOVEDIR).map_err(failed)?;
    Ok(())
}
