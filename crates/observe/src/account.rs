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
    let mut out = read_accounts(&passwd, shadow.as_deref());
    out.iter_mut().for_each(|a| a.ssh_keys = ssh_keys(&a.home));
    Ok(out)
}

/// Accounts as `passwd(5)` and `shadow(5)` have them, sorted by uid; lines of another form are left out. Their keys lie in
/// other files and are not counted here.
pub fn read_accounts(passwd: &str, shadow: Option<&str>) -> Vec<Account> {
    let passwords: Option<BTreeMap<&str, bool>> = shadow.map(|shadow| {
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
                ssh_keys: None,
            })
        })
        .collect();
    out.sort_by(|a, b| (a.uid, &a.name).cmp(&(b.uid, &b.name)));
    out
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
    Ok(read_groups(&text("/etc/group")?))
}

/// Groups as `group(5)` has them, sorted by gid; lines of another form are left out.
pub fn read_groups(group: &str) -> Vec<Group> {
    let mut out: Vec<Group> = group
        .lines()
        .filter_map(|l| {
            let [name, _, gid, members] = l.split(':').collect::<Vec<_>>()[..] else { return None };
            let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
            Some(Group { name: name.to_owned(), gid: gid.parse().ok()?, members })
        })
        .collect();
    out.sort_by(|a, b| (a.gid, &a.name).cmp(&(b.gid, &b.name)));
    out
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
    for said in read_sudoers(path, &text(path)?) {
        match said {
            Sudoers::Include { to, directory: false, .. } if depth > 0 => follow(&to, depth - 1, out)?,
            Sudoers::Include { to, .. } if depth > 0 => {
                let mut files: Vec<String> = fs::read_dir(&to)
                    .into_iter()
                    .flatten()
                    .flatten()
                    .filter_map(|e| e.file_name().into_string().ok())
                    // As sudo does: names with a dot or a tilde at the end are left out.
                    .filter(|n| !n.contains('.') && !n.ends_with('~'))
                    .collect();
                files.sort();
                for file in files {
                    follow(&format!("{to}/{file}"), depth - 1, out)?;
                }
            }
            // Nested deeper than we follow: kept as a line, so that nobody takes it for nothing.
            Sudoers::Include { line, .. } | Sudoers::Line(line) => out.push(line),
        }
    }
    Ok(())
}

/// What a line of a sudoers file says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sudoers {
    /// Go on elsewhere.
    Include {
        /// The line that says so.
        line: SudoersLine,
        /// File or directory.
        to: String,
        /// All files of a directory.
        directory: bool,
    },
    /// A rule or a setting.
    Line(SudoersLine),
}

/// The lines of one sudoers file, comments left out, secrets taken out.
pub fn read_sudoers(path: &str, text: &str) -> Vec<Sudoers> {
    let mut out = Vec::new();
    for (number, line) in joined(text) {
        let mut words = line.split_whitespace();
        let (first, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default().to_owned());
        let kept = SudoersLine { file: path.to_owned(), line: number, text: secret::redact(line.trim()).0 };
        out.push(match first {
            "@include" | "#include" => Sudoers::Include { line: kept, to: target, directory: false },
            "@includedir" | "#includedir" => Sudoers::Include { line: kept, to: target, directory: true },
            _ if line.trim().is_empty() || line.trim_start().starts_with('#') => continue,
            _ => Sudoers::Line(kept),
        });
    }
    out
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
