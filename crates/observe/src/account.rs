//! Accounts and groups, from their files. Password hashes are looked at and forgotten.

use crate::{Error, Root};
use facts::{Account, Failure, Group, Source, Unread};
use std::{collections::BTreeMap, path::Path};

/// Largest `authorized_keys` that is read, in bytes: some thousand keys.
const MOST_KEYS: u64 = 4 << 20;
/// Fields of a line of shadow(5).
const SHADOW_FIELDS: usize = 9;
/// From here on a greatest age in days is none: what `useradd` writes for "never".
const NEVER_DAYS: u32 = 99_999;

/// Accounts, sorted by uid. Lines that do not read are named.
pub fn accounts(root: &Root, failed: &mut Vec<Failure>, unread: &mut Vec<Unread>) -> Result<Vec<Account>, Error> {
    let passwd = root.text("/etc/passwd")?;
    note(failed, Source::Accounts, "/etc/passwd", &passwd, |l| account(l, None).is_some());
    let shadow = root.text("/etc/shadow").ok();
    if let Some(shadow) = &shadow {
        let odd = (1u32..).zip(shadow.lines()).filter(|(_, l)| !l.is_empty() && l.split(':').count() != SHADOW_FIELDS);
        unread.extend(odd.map(|(line, _)| Unread { source: Source::Accounts, file: "/etc/shadow".to_owned(), line }));
    }
    let mut out = read_accounts(&passwd, shadow.as_deref());
    out.iter_mut().for_each(|a| a.ssh_keys = ssh_keys(root, &a.home));
    Ok(out)
}

/// Accounts as `passwd(5)` and `shadow(5)` have them, sorted by uid; lines of another form are left out. Their keys lie in
/// other files and are not counted here.
pub fn read_accounts(passwd: &str, shadow: Option<&str>) -> Vec<Account> {
    let passwords: Option<BTreeMap<&str, Password>> =
        shadow.map(|shadow| shadow.lines().filter_map(|l| l.split_once(':')).map(|(name, rest)| (name, password(rest))).collect());
    let mut out: Vec<Account> = passwd.lines().filter_map(|l| account(l, passwords.as_ref())).collect();
    out.sort_by(|a, b| (a.uid, &a.name).cmp(&(b.uid, &b.name)));
    out
}

/// What a line of shadow(5) says, the hash left out.
#[derive(Debug, Clone, Default)]
struct Password {
    /// `!` and `*` lock; an empty field lets everybody in, which is a password all the same.
    open: bool,
    empty: bool,
    hash: Option<String>,
    max_days: Option<u32>,
}

fn password(fields: &str) -> Password {
    let mut fields = fields.split(':');
    let hash = fields.next().unwrap_or_default();
    let kind = match hash.strip_prefix('$') {
        Some(rest) => rest.split('$').next().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).take(8).collect(),
        None => "des".to_owned(),
    };
    let open = !hash.starts_with(['!', '*']);
    Password {
        open,
        empty: hash.is_empty(),
        hash: (open && !hash.is_empty()).then_some(kind),
        max_days: fields.nth(2).and_then(|d| d.parse().ok()).filter(|d| *d < NEVER_DAYS),
    }
}

fn account(line: &str, passwords: Option<&BTreeMap<&str, Password>>) -> Option<Account> {
    let [name, secret, uid, gid, _, home, shell] = line.split(':').collect::<Vec<_>>()[..] else { return None };
    let said = passwords.map(|p| p.get(name).cloned().unwrap_or_default());
    Some(Account {
        name: name.to_owned(),
        uid: uid.parse().ok()?,
        gid: gid.parse().ok()?,
        home: home.to_owned(),
        shell: shell.to_owned(),
        password: said.as_ref().map(|s| s.open),
        // An empty field in passwd itself needs no look into shadow.
        empty_password: if secret.is_empty() { Some(true) } else { said.as_ref().map(|s| s.empty) },
        hash: said.as_ref().and_then(|s| s.hash.clone()),
        max_days: said.and_then(|s| s.max_days),
        ssh_keys: None,
    })
}

/// Names lines that do not read. Empty lines, comments and the switches of NIS are none.
fn note(failed: &mut Vec<Failure>, source: Source, path: &str, text: &str, reads: impl Fn(&str) -> bool) {
    for (number, line) in (1u32..).zip(text.lines()) {
        if !reads(line) && !line.trim().is_empty() && !line.starts_with(['#', '+', '-']) {
            failed.push(Failure { source, reason: format!("{path}:{number}: does not read") });
        }
    }
}

fn ssh_keys(root: &Root, home: &str) -> Option<u32> {
    // The file is its owner's: a pipe or an endless device in its place must not hold up whoever looks.
    match sys::file::regular(&root.followed(Path::new(home).join(".ssh/authorized_keys")), MOST_KEYS, root.is_machine()) {
        Ok(keys) => {
            let count = String::from_utf8_lossy(&keys).lines().filter(|l| !l.trim().is_empty() && !l.trim_start().starts_with('#')).count();
            u32::try_from(count).ok()
        }
        Err(e) if matches!(e.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => Some(0),
        Err(_) => None,
    }
}

/// Groups, sorted by gid. Lines that do not read are named.
pub fn groups(root: &Root, failed: &mut Vec<Failure>) -> Result<Vec<Group>, Error> {
    let text = root.text("/etc/group")?;
    note(failed, Source::Groups, "/etc/group", &text, |l| group(l).is_some());
    Ok(read_groups(&text))
}

/// Groups as `group(5)` has them, sorted by gid; lines of another form are left out.
pub fn read_groups(text: &str) -> Vec<Group> {
    let mut out: Vec<Group> = text.lines().filter_map(group).collect();
    out.sort_by(|a, b| (a.gid, &a.name).cmp(&(b.gid, &b.name)));
    out
}

fn group(line: &str) -> Option<Group> {
    let [name, _, gid, members] = line.split(':').collect::<Vec<_>>()[..] else { return None };
    let members = members.split(',').filter(|m| !m.is_empty()).map(str::to_owned).collect();
    Some(Group { name: name.to_owned(), gid: gid.parse().ok()?, members })
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
    fn lines_that_do_not_read_are_named() {
        let mut failed = Vec::new();
        let text = "lotus:x:990:990::/:/bin/sh\nlotus:x:-1\n\n+::::::\n# a\nx:x:99999999999:0::/:/x\n";
        note(&mut failed, Source::Accounts, "/etc/passwd", text, |l| account(l, None).is_some());
        let reasons: Vec<&str> = failed.iter().map(|f| f.reason.as_str()).collect();
        assert_eq!(reasons, ["/etc/passwd:2: does not read", "/etc/passwd:6: does not read"]);
        assert_eq!(read_groups("docker:x:120:a,,b\ndocker:x\n")[0].members, ["a", "b"]);
    }

    #[test]
    fn continued_lines_are_joined() {
        let all = joined("a \\\n  b \\\n c\nd\n");
        assert_eq!(all, [(1, "a  b  c".to_owned()), (4, "d".to_owned())]);
    }
}
