//! Keys of the machine against those of a backup. In come both as names with digests, out come numbers. Never: a name.

use crate::archive::{Files, digest};
use facts::{Facts, FileKind};
use std::path::Path;

/// Largest key file that is read, in bytes.
const LARGEST_KEY: u64 = 1 << 20;

/// A key file of the machine.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    name: String,
    digest: [u8; 32],
}

/// The key files of every keystore of the machine, and how many could not be read.
pub fn live_keys(facts: &Facts) -> (Vec<Key>, usize) {
    let (mut out, mut unread) = (Vec::new(), 0);
    for f in facts.files.iter().filter(|f| f.kind == FileKind::File) {
        let path = Path::new(&f.path);
        let in_keystore = path.parent().and_then(Path::file_name).is_some_and(|d| d == "keystore");
        let Some(name) = path.file_name().and_then(|n| n.to_str()).filter(|_| in_keystore) else { continue };
        // What was a file a moment ago may be a link or a pipe now.
        let opened = sys::file::regular(path, LARGEST_KEY, false);
        match opened.and_then(|bytes| digest(&mut bytes.as_slice(), f.size)) {
            Ok(Some(digest)) => out.push(Key { name: name.to_owned(), digest }),
            _ => unread += 1,
        }
    }
    out.sort();
    (out, unread)
}

/// What a comparison found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Found {
    /// Keys of the machine that the backup holds as they are.
    pub same: usize,
    /// Keys whose name is in the backup with another content.
    pub other: usize,
    /// Keys that are not in the backup.
    pub missing: usize,
    /// Files of keystores in the backup.
    pub held: usize,
}

/// Holds the machine's keys against a backup's files.
pub fn compare(keys: &[Key], files: &Files) -> Found {
    let in_keystore = |p: &Path| p.parent().and_then(Path::file_name).is_none_or(|d| d == "keystore");
    let mut found = Found { held: files.keys().filter(|p| in_keystore(p)).count(), ..Found::default() };
    for key in keys {
        let named: Vec<_> = files.iter().filter(|(p, _)| p.file_name().is_some_and(|n| n == key.name.as_str())).collect();
        match named.iter().any(|(_, d)| **d == Some(key.digest)) {
            true => found.same += 1,
            false if named.is_empty() => found.missing += 1,
            false => found.other += 1,
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    #[test]
    fn keys_are_the_same_other_or_missing() {
        let key = |name: &str, n: u8| Key { name: name.into(), digest: [n; 32] };
        let files: Files = [("lotus/keystore/A", 1), ("lotus/keystore/B", 9), ("lotus/config.toml", 3)]
            .map(|(p, n)| (PathBuf::from(p), Some([n; 32])))
            .into();
        let found = compare(&[key("A", 1), key("B", 2), key("C", 3)], &files);
        assert_eq!(found, Found { same: 1, other: 1, missing: 1, held: 2 });
    }
}
