//! Accounts and groups, from their files. Password hashes are looked at and forgotten.

use crate::{Error, text};
use facts::{Account, Group};
use std::{collections::BTreeMap, fs, path::Path};

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
