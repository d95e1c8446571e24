//! Owner, mode and capabilities of a path, changed on the very inode that was looked at: no link on the way is followed, and owner and
//! mode are compared on the open file before anything changes. In come path and both states. Never: changes another file.

use crate::Error;
use breach::fix::step::Held;
use rustix::{
    fd::OwnedFd,
    fs::{CWD, Gid, Mode, OFlags, ResolveFlags, Uid},
    io::Errno,
};
use std::os::fd::AsRawFd;

/// A path, opened without following a link, and what it has.
pub(crate) fn open(path: &str) -> Result<(OwnedFd, Held), Error> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS) {
        Err(Errno::LOOP) => return Err(changed(path, "a link stands on the way")),
        Err(Errno::NOENT) => return Err(changed(path, "it is not there any more")),
        other => other.map_err(|e| failed("open", path, e))?,
    };
    let stat = rustix::fs::fstat(&file).map_err(|e| failed("look at", path, e))?;
    Ok((file, Held { uid: stat.st_uid, gid: stat.st_gid, mode: stat.st_mode & 0o7777 }))
}

/// Changes a mode from `before` to `after`.
pub(crate) fn mode(path: &str, uid: u32, before: u32, after: u32) -> Result<(), Error> {
    let (file, now) = open(path)?;
    if (now.uid, now.mode) != (uid, before) {
        return Err(changed(path, &format!("mode {:04o}, owner {}, was {before:04o}, {uid}", now.mode, now.uid)));
    }
    chmod(&file, path, after)
}

/// Changes owner, group and mode. In between nobody gets more than one of the two states gives.
pub(crate) fn owner(path: &str, before: Held, after: Held) -> Result<(), Error> {
    let (file, now) = open(path)?;
    if now != before {
        let (n, b) = (now, before);
        return Err(changed(path, &format!("{}:{} {:04o}, was {}:{} {:04o}", n.uid, n.gid, n.mode, b.uid, b.gid, b.mode)));
    }
    chmod(&file, path, before.mode & after.mode & 0o1777)?;
    // A path descriptor cannot be changed itself; its name under /proc is that inode and no other.
    if let Err(e) = rustix::fs::chown(own(&file).as_str(), Some(Uid::from_raw(after.uid)), Some(Gid::from_raw(after.gid))) {
        chmod(&file, path, before.mode)?;
        return Err(failed("change the owner of", path, e));
    }
    chmod(&file, path, after.mode)
}

fn chmod(file: &OwnedFd, path: &str, mode: u32) -> Result<(), Error> {
    rustix::fs::chmod(own(file).as_str(), Mode::from_raw_mode(mode)).map_err(|e| failed("change the mode of", path, e))
}

fn own(file: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", file.as_raw_fd())
}

/// The attribute of a program's capabilities, where it is what was looked at.
pub(crate) fn capability(path: &str, held: Held, bits: u64) -> Result<Vec<u8>, Error> {
    let (file, now) = open(path)?;
    let value = sys::xattr::value(&file, sys::xattr::CAPABILITY)?;
    match value {
        Some(bytes) if now == held && sys::xattr::capability_bits(&bytes) == bits => Ok(bytes),
        _ => Err(changed(path, "owner, mode or capabilities are others")),
    }
}

/// Takes the capabilities off, or puts this very attribute back where there is none.
pub(crate) fn set_capability(path: &str, held: Held, value: &[u8], off: bool) -> Result<(), Error> {
    let (file, now) = open(path)?;
    let there = sys::xattr::value(&file, sys::xattr::CAPABILITY)?;
    let fits = if off { there.as_deref() == Some(value) } else { there.is_none() };
    if now != held || !fits {
        return Err(changed(path, "owner, mode or capabilities are others"));
    }
    Ok(sys::xattr::set(&file, sys::xattr::CAPABILITY, (!off).then_some(value))?)
}

pub(crate) fn changed(path: &str, why: &str) -> Error {
    Error::Changed { path: path.to_owned(), why: why.to_owned() }
}

fn failed(what: &str, path: &str, e: Errno) -> Error {
    Error::Kernel(sys::Error::call(format!("{what} {path}"), e))
}
