//! One action at a time. In comes what is done and how it went, out goes a line. Never: ends the program over a refusal.

use std::{
    io::{self, Write as _},
    net::TcpListener,
};
use stub::Said;

/// What stays open as long as the stand-in runs.
#[derive(Default)]
pub struct Stage {
    /// Its listening sockets.
    pub listeners: Vec<TcpListener>,
    /// Locked files, mapped ones, sockets.
    pub held: Vec<Box<dyn std::any::Any>>,
}

/// Says a line.
pub fn say(said: &Said) {
    let mut out = io::stdout().lock();
    let _ = writeln!(out, "{}", serde_json::to_string(said).unwrap_or_default());
    let _ = out.flush();
}

/// Says how an action went, and hands on what it gave.
pub fn tell<T>(group: &str, what: impl Into<String>, result: io::Result<T>) -> Option<T> {
    let (error, more, value) = match result {
        Ok(value) => (None, String::new(), Some(value)),
        Err(e) => {
            let name = e.raw_os_error().map_or_else(|| "other".to_owned(), name);
            (Some(name), e.to_string(), None)
        }
    };
    say(&Said::Action { group: group.to_owned(), what: what.into(), error, more });
    value
}

/// The usual names of error numbers.
pub fn name(number: i32) -> String {
    let known = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::EIO, "EIO"),
        (libc::EAGAIN, "EAGAIN"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::EEXIST, "EEXIST"),
        (libc::ENODEV, "ENODEV"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EINVAL, "EINVAL"),
        (libc::EROFS, "EROFS"),
        (libc::ENOSYS, "ENOSYS"),
        (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
        (libc::EADDRINUSE, "EADDRINUSE"),
        (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
        (libc::ECONNREFUSED, "ECONNREFUSED"),
        (libc::ETIMEDOUT, "ETIMEDOUT"),
    ];
    known.iter().find(|(n, _)| *n == number).map_or_else(|| format!("errno {number}"), |(_, n)| (*n).to_owned())
}

/// An error in words.
pub fn other(text: impl Into<String>) -> io::Error {
    io::Error::other(text.into())
}

/// Runs a program to its end; its own refusals are ours.
pub fn program(path: &str, arguments: &[&str]) -> io::Result<()> {
    let out = std::process::Command::new(path).args(arguments).stdin(std::process::Stdio::null()).output()?;
    if out.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&out.stderr).trim().replace('\n', "; ");
    Err(other(format!("{path} ended with {:?}: {said}", out.status.code())))
}
