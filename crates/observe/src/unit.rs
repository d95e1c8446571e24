//! systemd's unit files, read as systemd reads them: the first directory that has the unit wins, drop-ins of all
//! directories are added in the order of their names. Values are redacted.

use crate::{Error, Root, account::joined};
use facts::{Directive, Source, Unit, Unread, secret};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Where units lie, the strongest first (`systemd.unit(5)`).
const DIRECTORIES: [&str; 6] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/run/systemd/generator",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// Largest unit file that is read, in bytes; systemd's own are a hundred times smaller.
const MOST_TEXT: u64 = 1 << 20;

/// Kinds that start something or hold it.
const KINDS: [&str; 4] = [".service", ".socket", ".timer", ".mount"];

/// All units of these kinds, sorted by name. A machine without systemd has none.
pub fn list(root: &Root, odd: &mut Vec<Unread>) -> Result<Vec<Unit>, Error> {
    list_in(root, &DIRECTORIES.map(PathBuf::from), odd)
}

fn list_in(root: &Root, directories: &[PathBuf], odd: &mut Vec<Unread>) -> Result<Vec<Unit>, Error> {
    let mut main: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut drop_ins: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    let mut enabled: BTreeSet<String> = BTreeSet::new();
    for directory in directories {
        for (name, path) in entries(root, directory) {
            if let Some(unit) = name.strip_suffix(".d").filter(|u| is_unit(u)) {
                for (file, path) in entries(root, &path).into_iter().filter(|(f, _)| f.ends_with(".conf")) {
                    drop_ins.entry(unit.to_owned()).or_default().entry(file).or_insert(path);
                }
            } else if name.ends_with(".wants") || name.ends_with(".requires") {
                enabled.extend(entries(root, &path).into_iter().map(|(unit, _)| unit));
            } else if is_unit(&name) {
                main.entry(name).or_insert(path);
            }
        }
    }
    let mut out = Vec::new();
    for (name, path) in main {
        let parts: Vec<PathBuf> = std::iter::once(path).chain(drop_ins.remove(&name).into_iter().flat_map(BTreeMap::into_values)).collect();
        let mut unit = Unit { enabled: enabled.contains(&name), name, ..Unit::default() };
        for part in parts {
            // Masked units are links to /dev/null: no regular file, so empty. Bytes that are no UTF-8 do not hide a unit.
            let text = sys::file::regular(&root.followed(&part), MOST_TEXT, root.is_machine())
                .map(|b| String::from_utf8_lossy(&b).into_owned())
                .unwrap_or_default();
            let file = part.display().to_string();
            odd.extend(unread(&text).into_iter().map(|line| Unread { source: Source::Units, file: file.clone(), line }));
            unit.directives.extend(directives(&text, &file));
            unit.files.push(file);
        }
        out.push(unit);
    }
    Ok(out)
}

fn is_unit(name: &str) -> bool {
    KINDS.iter().any(|k| name.ends_with(k))
}

fn entries(root: &Root, directory: &Path) -> Vec<(String, PathBuf)> {
    root.entries(directory).into_iter().filter_map(|(name, path)| Some((name.into_string().ok()?, path))).collect()
}

/// The settings of one unit file or drop-in, continuations joined, secrets taken out.
pub fn directives(text: &str, file: &str) -> Vec<Directive> {
    let mut section = String::new();
    let mut out = Vec::new();
    for (line, body) in joined(text) {
        let body = body.trim();
        if body.is_empty() || body.starts_with(['#', ';']) {
            continue;
        }
        if let Some(name) = body.strip_prefix('[').and_then(|b| b.strip_suffix(']')) {
            section = name.to_owned();
        } else if let Some((key, value)) = body.split_once('=') {
            let value = secret::redact(value.trim()).0;
            out.push(Directive { section: section.clone(), key: key.trim().to_owned(), value, file: file.to_owned(), line });
        }
    }
    out
}

/// Lines that are neither section nor setting nor comment, by number: systemd leaves them out and says so in the journal.
fn unread(text: &str) -> Vec<u32> {
    let odd = |body: &str| !body.is_empty() && !body.starts_with(['#', ';', '[']) && !body.contains('=');
    // A comment inside a continued setting is none of its lines.
    joined(text).into_iter().filter(|(_, l)| odd(l.trim())).map(|(n, _)| n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn the_strongest_file_wins_and_drop_ins_add() {
        let dir = std::env::temp_dir().join(format!("ravelin-units-{}", std::process::id()));
        let (etc, lib) = (dir.join("etc"), dir.join("lib"));
        for d in [etc.join("lotus.service.d"), etc.join("multi-user.target.wants"), lib.clone()] {
            fs::create_dir_all(d).expect("makes");
        }
        fs::write(etc.join("lotus.service"), "[Service]\nUser=lotus\n").expect("writes");
        fs::write(lib.join("lotus.service"), "[Service]\nUser=root\n").expect("writes");
        fs::write(etc.join("lotus.service.d/a.conf"), "[Service]\nEnvironment=DB_PASSWORD=hunter2 \\\n  X=1\nno setting\n")
            .expect("writes");
        fs::write(etc.join("multi-user.target.wants/lotus.service"), "").expect("writes");
        let mut odd = Vec::new();
        let units = list_in(&Root::machine(), &[etc, lib], &mut odd).expect("lists");
        fs::remove_dir_all(dir).expect("removes");
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].user(), Some("lotus"));
        assert!(units[0].enabled && units[0].files.len() == 2);
        assert!(!format!("{units:?}").contains("hunter2"));
        assert!(odd.len() == 1 && odd[0].file.ends_with("a.conf") && odd[0].line == 4, "{odd:?}");
    }
}
