//! systemd's unit files, read as systemd reads them: the first directory that has the unit wins, drop-ins of all
//! directories are added in the order of their names. Values are redacted.

use crate::{Error, account::joined};
use facts::{Directive, Unit, secret};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
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
pub fn list() -> Result<Vec<Unit>, Error> {
    list_in(&DIRECTORIES.map(PathBuf::from))
}

fn list_in(directories: &[PathBuf]) -> Result<Vec<Unit>, Error> {
    let mut main: BTreeMap<String, PathBuf> = BTreeMap::new();
    let mut drop_ins: BTreeMap<String, BTreeMap<String, PathBuf>> = BTreeMap::new();
    let mut enabled: BTreeSet<String> = BTreeSet::new();
    for directory in directories {
        for (name, path) in entries(directory) {
            if let Some(unit) = name.strip_suffix(".d").filter(|u| is_unit(u)) {
                for (file, path) in entries(&path).into_iter().filter(|(f, _)| f.ends_with(".conf")) {
                    drop_ins.entry(unit.to_owned()).or_default().entry(file).or_insert(path);
                }
            } else if name.ends_with(".wants") || name.ends_with(".requires") {
                enabled.extend(entries(&path).into_iter().map(|(unit, _)| unit));
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
            let text = sys::file::regular(&part, MOST_TEXT, true).map(|b| String::from_utf8_lossy(&b).into_owned()).unwrap_or_default();
            let file = part.display().to_string();
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

fn entries(directory: &Path) -> Vec<(String, PathBuf)> {
    let all = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut out: Vec<_> = all.filter_map(|e| Some((e.file_name().into_string().ok()?, e.path()))).collect();
    out.sort();
    out
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_strongest_file_wins_and_drop_ins_add() {
        let dir = std::env::temp_dir().join(format!("ravelin-units-{}", std::process::id()));
        let (etc, lib) = (dir.join("etc"), dir.join("lib"));
        for d in [etc.join("lotus.service.d"), etc.join("multi-user.target.wants"), lib.clone()] {
            fs::create_dir_all(d).expect("makes");
        }
        fs::write(etc.join("lotus.service"), "[Service]\nUser=lotus\n").expect("writes");
        fs::write(lib.join("lotus.service"), "[Service]\nUser=root\n").expect("writes");
        fs::write(etc.join("lotus.service.d/a.conf"), "[Service]\nEnvironment=DB_PASSWORD=hunter2 \\\n  X=1\n").expect("writes");
        fs::write(etc.join("multi-user.target.wants/lotus.service"), "").expect("writes");
        let units = list_in(&[etc, lib]).expect("lists");
        fs::remove_dir_all(dir).expect("removes");
        assert_eq!(units.len(), 1);
        assert_eq!(units[0].user(), Some("lotus"));
        assert!(units[0].enabled && units[0].files.len() == 2);
        assert!(!format!("{units:?}").contains("hunter2"));
    }
}
