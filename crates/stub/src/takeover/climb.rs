//! Becoming somebody else: su, sudo, a shell, another account, a namespace in which it is root, programs of its own.

use super::{Verb, first, number};
use crate::{act, kernel};
use std::{fs, io, io::Write as _, os::fd::AsRawFd as _, os::unix::fs::PermissionsExt as _};

pub const VERBS: [Verb; 6] = [
    ("run", run),
    ("become", |a| kernel::become_user(number(first(a))?)),
    ("namespace", |_| kernel::user_namespace()),
    ("dropped", dropped),
    ("fileless", fileless),
    ("setuid", setuid),
];

fn run(arguments: &[&str]) -> io::Result<()> {
    act::program(first(arguments), arguments.get(1..).unwrap_or_default())
}

/// Writes a program where it may write, and runs it.
fn dropped(arguments: &[&str]) -> io::Result<()> {
    let path = format!("{}/dropped-{}", first(arguments), std::process::id());
    fs::write(&path, fs::read("/proc/self/exe")?)?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    let ran = act::program(&path, &["orders", "/dev/null"]);
    fs::remove_file(&path)?;
    ran
}

/// Runs a program that lies in memory alone.
fn fileless(_: &[&str]) -> io::Result<()> {
    let mut memory = kernel::memory_file()?;
    memory.write_all(&fs::read("/proc/self/exe")?)?;
    act::program(&format!("/proc/self/fd/{}", memory.as_raw_fd()), &["orders", "/dev/null"])
}

/// Leaves a program behind that runs as its owner, whoever starts it.
fn setuid(arguments: &[&str]) -> io::Result<()> {
    let path = format!("{}/setuid-{}", first(arguments), std::process::id());
    fs::write(&path, "x")?;
    let made = fs::set_permissions(&path, fs::Permissions::from_mode(0o4755));
    fs::remove_file(&path)?;
    made
}
