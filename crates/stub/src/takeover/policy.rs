//! Turning on SELinux itself: its switch, labels, a context of its own choice.

use super::{Verb, first};
use crate::kernel;
use std::{fs, io, io::Write as _};

pub const VERBS: [Verb; 3] = [
    ("setenforce", |_| put("/sys/fs/selinux/enforce", "1")),
    ("context", |a| put("/proc/self/attr/exec", first(a))),
    ("relabel", |a| kernel::relabel(first(a), a.get(1).copied().unwrap_or_default())),
];

fn put(path: &str, text: &str) -> io::Result<()> {
    fs::File::options().write(true).open(path)?.write_all(text.as_bytes())
}
