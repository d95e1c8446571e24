//! What the standard library does not ask of the kernel. In come plain values, out come results with the kernel's own error. The
//! only unsafe code besides `sys`, and no part of any product binary. Never: keeps a pointer.
#![allow(unsafe_code, reason = "a stand-in does what daemons and attackers do, in the kernel's own words")]

mod memory;
mod privilege;
mod runtime;

pub use memory::*;
pub use privilege::*;
pub use runtime::*;

use libc::{c_int, c_long};
use std::{ffi::CString, fs::File, io, os::fd::FromRawFd, ptr};

fn result(value: c_long) -> io::Result<c_long> {
    if value < 0 { Err(io::Error::last_os_error()) } else { Ok(value) }
}

fn text(value: &str) -> io::Result<CString> {
    CString::new(value).map_err(io::Error::other)
}

/// A socket of any family, as a file.
pub fn socket(family: c_int, kind: c_int, protocol: c_int) -> io::Result<File> {
    // SAFETY: the descriptor is new and ours.
    unsafe {
        let fd = libc::socket(family, kind, protocol);
        result(fd.into())?;
        Ok(File::from_raw_fd(fd))
    }
}

/// Runs an action in a process of its own, whose end undoes what it did to itself; out come what it returned, and in words.
pub fn apart(action: impl FnOnce() -> io::Result<()>, seconds: u32) -> io::Result<()> {
    let (mut reader, mut writer) = io::pipe()?;
    // SAFETY: the child has one thread and ends without running anything of the parent's.
    let child = unsafe { libc::fork() };
    result(child.into())?;
    if child == 0 {
        drop(reader);
        // SAFETY: no memory is passed; the default action of the signal ends the child.
        unsafe { libc::alarm(seconds) };
        let answer = match action() {
            Ok(()) => "0 ".to_owned(),
            Err(e) => format!("{} {e}", e.raw_os_error().unwrap_or(-1)),
        };
        let _ = io::Write::write_all(&mut writer, answer.as_bytes());
        // SAFETY: ends at once.
        unsafe { libc::_exit(0) };
    }
    drop(writer);
    let mut answer = String::new();
    io::Read::read_to_string(&mut reader, &mut answer)?;
    // SAFETY: the status is not asked for.
    unsafe { libc::waitpid(child, ptr::null_mut(), 0) };
    match answer.split_once(' ') {
        Some(("0", _)) => Ok(()),
        Some(("-1", more)) => Err(io::Error::other(more.to_owned())),
        Some((number, _)) => Err(number.parse().map_or_else(io::Error::other, io::Error::from_raw_os_error)),
        None => Err(io::Error::other("it was killed")),
    }
}
