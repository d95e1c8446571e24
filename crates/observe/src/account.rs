//! Accounts, groups, sudo rules, from their files. Password hashes are looked at and forgotten.

use crate::{Error, text};
use facts::{Account, Group, SudoersLine, secret};
use std::{collections::BTreeMap, fs, path::Path};

/// How deep sudo's includes are followed: sudo's own limit is larger, no site nests more.
const INCLUDE_DEPTH: u32 = 4;

/// Accounts, sorted by uid.
pub fn accounts() -> Result<Vec<Account>, Error> {
    let passwd = text("/etc/passwd")?;
    let shadow = text("/etc/shadow").ok();
    let passwords: Option<BTreeMap<&str, bool>> = shadow.as_deref().map(|shadow| {
        let fields = shadow.lines().filter_map(|l| l.split_once(':'));
        // `!` and `*` lock; an empty field lets everybody in, which is a password all the same.
        fields.map(|(name, rest)| (name, !rest.starts_with(['!', '*']))).collect()
    });
    let mut out: Vec<Account> = passwd
        .lines()
        .filter_map(|l| {
            let [name, _, uid, gid, _, home, shell] = l.split(':').collect::<Vec<_>>()[..] else { return None };
            Some(Account {
                name: name.to_owned(),
                uid: uid.parse().ok()?,
                gid: gid.parse().ok()?,
                home: home.to_owned(),
                shell: shell.to_owned(),
                password: passwords.as_ref().map(|p| p.get(name).copied().unwrap_or(false)),
                ssh_keys: ssh_keys(home),
            })
        })
        .collect();
    out.sort_by(|a, b| (a.uid, &a.name).cmp(&(b.uid, &b.name)));
    Ok(out)
}

fn ssh_keys(home: &str) -> Option<u32> {
    match fs::read_to_string(Path::new(home).join(".ssh/authorized_keys")) {
        Ok(keys) => {
            let count = keys.lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')).count();
            u32::try_from(count).ok()
        }
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Some(0),
        Err(_) => None,
    }
}

/// Groups, sorted by gid.
pub fn groups() -> Result<Vec<Group>, Error> {
    let mut out: Vec<Group> = text("/etc/group")?
        .lines()
        .filter_map(|l| {
            let [name, _, gid, members] = l.split(':').collect::<Vec<_>>()[..] else { return None };
            let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            Some(Group { name: name.to_owned(), gid: gid.parse().ok()?, members })
        })
        .collect();
    out.sort_by(|a, b| (a.gid, &a.name).cmp(&(b.gid, &b.name)));
    Ok(out)
}

/// Lines of the sudo policy with its includes. A machine without sudo has none.
pub fn sudoers() -> Result<Vec<SudoersLine>, Error> {
    let mut out = Vec::new();
    match fs::metadata("/etc/sudoers") {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(out),
        _ => follow("/etc/sudoers", INCLUDE_DEPTH, &mut out)?,
    }
    Ok(out)
}

fn follow(path: &str, depth: u32, out: &mut Vec<SudoersLine>) -> Result<(), Error> {
    for (number, line) in joined(&text(path)?) {
        let mut words = line.split_whitespace();
        let (first, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        match first {
            "@include" | "#include" if depth > 0 => follow(target, depth - 1, out)?,
            "@includedir" | "#includedir" if depth > 0 => {
                let mut files: Vec<String> = fs::read_dir(target)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter_map(|e| e.file_name().into_string().ok())
                    // As sudo does: names with a dot or a tilde at the end are left out.
                    .filter(|n| !n.contains('.') && !n.ends_with('~'))
                    .collect();
                files.sort();
                for file in files {
                    follow(&format!("{target}/{file}"), depth - 1, out)?;
                }
            }
            _ if line.trim().is_empty() || line.trim_start().starts_with('#') => {}
            _ => out.push(SudoersLine { file: path.to_owned(), line: number, text: secret::redact(line.trim()).0 }),
        }
    }
    Ok(())
}

/// Lines with continuations joined, each with the number of its first one.
pub(crate) fn joined(text: &str) -> Vec<(u32, String)> {
    let mut out: Vec<(u32, String)> = Vec::new();
    let mut open = false;
    for (number, line) in (1u32..).zip(text.lines()) {
        let (body, goes_on) = line.strip_suffix('\\').map_or((line, false), |b| (b, true));
        match out.last_mut() {
            Some((_, last)) if open => {
                last.push(' ');
                last.push_str(body.trim_start());
            }
            _ => out.push((number, body.to_owned())),
        }
        open = goes_on;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn continued_lines_are_joined() {
        let all = joined("a \\\n  b \\\n c\nd\n");
        assert_eq!(all, [(1, "a  b  c".to_owned()), (4, "d".to_owned())]);
    }
}
