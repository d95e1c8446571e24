//! Staying: units, cron entries, profiles, its own program and those of others, keys for logging in.

use super::{Verb, first};
use crate::kernel;
use std::{fs, io, io::Write as _};

pub const VERBS: [Verb; 3] = [("append", append), ("write", write), ("chown", |a| kernel::give_away(first(a)))];

/// A line more in a file that is there; an empty one, so that the control leaves the machine as it was.
fn append(arguments: &[&str]) -> io::Result<()> {
    fs::File::options().append(true).open(first(arguments))?.write_all(b"\n")
}

/// A new file.
fn write(arguments: &[&str]) -> io::Result<()> {
    fs::write(first(arguments), "# planted\n")
}
