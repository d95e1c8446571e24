//! The mode of a path, changed on the very inode that was looked at: no link on the way is followed, and owner and mode are
//! compared on the open file before anything changes. In come path, owner and modes. Never: changes another file.

use crate::Error;
use breach::Step;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use std::os::fd::AsRawFd;

/// Changes `before` to `after`.
pub(crate) fn change(path: &str, uid: u32, before: u32, after: u32) -> Result<(), Error> {
    let failed = |what: &str, e: rustix::io::Errno| Error::Kernel(sys::Error::call(format!("{what} {path}"), e));
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = match rustix::fs::openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS) {
        Err(rustix::io::Errno::LOOP) => return Err(changed(path, "a link stands on the way")),
        other => other.map_err(|e| failed("open", e))?,
    };
    let stat = rustix::fs::fstat(&file).map_err(|e| failed("look at", e))?;
    let mode = stat.st_mode & 0o7777;
    if stat.st_uid != uid || mode != before {
        return Err(changed(path, &format!("mode {mode:04o}, owner {}, was {before:04o}, {uid}", stat.st_uid)));
    }
    // A path descriptor cannot be changed itself; its name under /proc is that inode and no other.
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    rustix::fs::chmod(own.as_str(), Mode::from_raw_mode(after)).map_err(|e| failed("change the mode of", e))?;
    Ok(())
}

/// Whether the path already has the mode a step wants.
pub(crate) fn is(step: &Step) -> bool {
    let Step::Mode { path, uid, after, .. } = step else { return false };
    rustix::fs::lstat(path.as_str()).is_ok_and(|s| s.st_uid == *uid && s.st_mode & 0o7777 == *after)
}

fn changed(path: &str, why: &str) -> Error {
    Error::Changed { path: path.to_owned(), why: why.to_owned() }
}
