//! Content of a file, swapped whole: the new one lies beside it with owner, mode and every attribute of the old one, is checked by the program that
//! reads such files, and takes its name. In come path and both contents. Never: leaves a half, a policy that its own checker refuses,
//! or a name where something else stood.

use crate::{Error, place::changed, program};
use breach::fix::edit::Syntax;
use rustix::{
    fd::OwnedFd,
    fs::{AtFlags, FileType, Gid, Mode, OFlags, Uid},
    io::Errno,
};
use std::{fs::File, io::Write};
use sys::beneath::{Directory, split};

/// Largest file whose lines are changed, in bytes: a hundred times a long policy.
const MOST: u64 = 1 << 20;

/// The content of a file that is text.
pub(crate) fn read(path: &str) -> Result<String, Error> {
    let (directory, name) = directory(path)?;
    let found = directory.read(name, MOST)?.ok_or_else(|| changed(path, "it is not there any more"))?;
    String::from_utf8(found.content).map_err(|_| changed(path, "it is no text"))
}

/// Puts `after` in the place of `before`.
pub(crate) fn swap(path: &str, syntax: Syntax, before: &str, after: &str) -> Result<(), Error> {
    let (directory, name) = directory(path)?;
    let found = directory.read(name, MOST)?.ok_or_else(|| changed(path, "it is not there any more"))?;
    if found.content != before.as_bytes() {
        return Err(changed(path, "its content is another"));
    }
    let failed = |what: &str, e: Errno| Error::Kernel(sys::Error::call(format!("{what} {path}"), e));
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let old = rustix::fs::openat(directory.fd(), name, flags, Mode::empty()).map_err(|e| failed("open", e))?;
    let stat = rustix::fs::fstat(&old).map_err(|e| failed("look at", e))?;
    if stat.st_nlink > 1 {
        return Err(changed(path, "it has another name too, which would keep the old content"));
    }
    // A dot in the name: neither sudo nor cron nor logrotate reads it.
    let beside = format!(".{name}.ravelin-new");
    if directory.look(&beside)?.is_some_and(|s| FileType::from_raw_mode(s.st_mode) == FileType::RegularFile) {
        rustix::fs::unlinkat(directory.fd(), beside.as_str(), AtFlags::empty()).map_err(|e| failed("clear beside", e))?;
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let new = rustix::fs::openat(directory.fd(), beside.as_str(), flags, Mode::from_raw_mode(sys::file::PRIVATE))
        .map_err(|e| failed("write", e))?;
    // With all its includes: an alias may be missed by another file. What was broken before is not our doing.
    let whole = || syntax != Syntax::Sudoers || program("visudo", &["-c"]).is_ok();
    let stood = whole();
    let made = fill(&old, new, &stat, after, path).and_then(|()| checked(path, &beside, syntax, before == after)).and_then(|()| {
        rustix::fs::renameat(directory.fd(), beside.as_str(), directory.fd(), name).map_err(|e| failed("rename into", e))?;
        Ok(directory.flush()?)
    });
    if made.is_err() {
        let _ = rustix::fs::unlinkat(directory.fd(), beside.as_str(), AtFlags::empty());
        return made;
    }
    if stood && !whole() {
        let taken_back = swap(path, Syntax::Plain, after, before);
        let why = "the whole policy would not read with it".to_owned();
        return taken_back.and(Err(Error::Program { command: "visudo -c".to_owned(), why }));
    }
    Ok(())
}

fn fill(old: &OwnedFd, new: OwnedFd, stat: &rustix::fs::Stat, after: &str, path: &str) -> Result<(), Error> {
    let failed = |what: &str, e: std::io::Error| Error::Kernel(sys::Error::call(format!("{what} {path}"), e));
    let mut new = File::from(new);
    new.write_all(after.as_bytes()).map_err(|e| failed("write", e))?;
    rustix::fs::fchown(&new, Some(Uid::from_raw(stat.st_uid)), Some(Gid::from_raw(stat.st_gid)))
        .map_err(|e| failed("change the owner of", e.into()))?;
    rustix::fs::fchmod(&new, Mode::from_raw_mode(stat.st_mode & 0o7777)).map_err(|e| failed("change the mode of", e.into()))?;
    let has = sys::xattr::all(&new)?;
    for (name, value) in sys::xattr::all(old)? {
        if !has.contains(&(name.clone(), value.clone())) {
            sys::xattr::set(&new, &name, Some(&value))?;
        }
    }
    new.sync_all().map_err(|e| failed("flush", e))
}

/// Whether the program that reads such files takes the new one.
fn checked(path: &str, beside: &str, syntax: Syntax, same: bool) -> Result<(), Error> {
    let (above, _) = split(path)?;
    let beside = format!("{}/{beside}", above.trim_end_matches('/'));
    match syntax {
        Syntax::Plain => Ok(()),
        Syntax::Sudoers => program("visudo", &["-c", "-f", &beside]),
        // What it refused before is not our doing, and nothing is rotated by looking.
        Syntax::Logrotate if same || program("logrotate", &["--debug", path]).is_err() => Ok(()),
        Syntax::Logrotate => program("logrotate", &["--debug", &beside]),
    }
}

/// Writes a file of ours where there is none.
pub(crate) fn create(path: &str, mode: u32, content: &str) -> Result<(), Error> {
    let (directory, name) = directory(path)?;
    if directory.look(name)?.is_some() {
        return Err(changed(path, "something of that name is there"));
    }
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    Ok(directory.replace(name, &sys::beneath::Found { content: content.into(), mode, uid, gid })?)
}

/// Takes a file of ours away, where it still is what was written.
pub(crate) fn remove(path: &str, content: &str) -> Result<(), Error> {
    let (directory, name) = directory(path)?;
    match directory.read(name, MOST)? {
        Some(found) if found.content == content.as_bytes() => Ok(directory.remove(name)?),
        Some(_) => Err(changed(path, "its content is another")),
        None => Err(changed(path, "it is not there any more")),
    }
}

/// Whether a file holds this; `false` where there is none.
pub(crate) fn holds(path: &str, content: &str) -> bool {
    read(path).is_ok_and(|now| now == content)
}

fn directory(path: &str) -> Result<(Directory, &str), Error> {
    let (above, name) = split(path)?;
    let directory = Directory::open(above)?.ok_or_else(|| changed(path, "its directory is not there"))?;
    Ok((directory, name))
}
