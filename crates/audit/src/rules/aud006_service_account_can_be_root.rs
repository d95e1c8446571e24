//! AUD006: service accounts with sudo rules, or in groups that amount to root.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD006"),
    title: "a service account can become root",
    risk: Risk::High,
    needs: &[Source::Accounts, Source::Groups, Source::Sudoers],
    means: "a taken-over daemon is root one command later; the account was for nothing",
    fix: "take it out of the group and out of sudoers; what must run with privilege gets a unit of its own",
    check,
};

/// Groups whose members are root, or can become it, with how.
const ROOT_GROUPS: [(&str, &str); 10] = [
    ("root", "group of root's own files"),
    ("sudo", "sudo on Debian and Ubuntu"),
    ("wheel", "sudo on RHEL"),
    ("admin", "sudo on old Ubuntu"),
    ("docker", "the Docker socket starts root containers"),
    ("lxd", "the LXD socket starts privileged containers"),
    ("incus-admin", "the Incus socket starts privileged containers"),
    ("disk", "raw block devices"),
    ("shadow", "password hashes"),
    ("kmem", "kernel memory"),
];

fn check(view: &View) -> Vec<Seen> {
    let mut out = Vec::new();
    for account in view.service_accounts() {
        let groups = view.groups_of(account);
        for (group, how) in ROOT_GROUPS.iter().filter(|(g, _)| groups.contains(g)) {
            out.push(
                Seen::new(&account.name, format!("member of group {group}: {how}")).fix(format!("gpasswd -d {} {group}", account.name)),
            );
        }
        // A group that amounts to root is reported above, and once is enough.
        let means = |user: &str| {
            let group = user.strip_prefix('%').is_some_and(|g| groups.contains(&g) && !ROOT_GROUPS.iter().any(|r| r.0 == g));
            user == account.name || user == "ALL" || user == format!("#{}", account.uid) || group
        };
        let aliases: Vec<&str> =
            view.facts.sudoers.iter().filter_map(|l| alias(&l.text)).filter(|(_, users)| list(users).any(means)).map(|a| a.0).collect();
        for line in &view.facts.sudoers {
            if users(&line.text).is_some_and(|u| list(u).any(|u| means(u) || aliases.contains(&u))) {
                out.push(Seen::new(&account.name, format!("sudoers: {}", line.text)).at(&line.file, line.line));
            }
        }
    }
    out
}

/// Name and users of a `User_Alias` line.
fn alias(text: &str) -> Option<(&str, &str)> {
    let (name, users) = text.trim().strip_prefix("User_Alias")?.split_once('=')?;
    Some((name.trim(), users))
}

/// The users of a line that grants something: what stands before the host list.
fn users(text: &str) -> Option<&str> {
    let (head, _) = text.split_once('=')?;
    let first = head.split_whitespace().next()?;
    if first.starts_with("Defaults") || first.ends_with("_Alias") || first.starts_with('@') {
        return None;
    }
    // `USERS HOSTS = ...`: both are comma lists that may have blanks after their commas; the last blank without a comma
    // before it parts them.
    let head = head.trim_end();
    let part = head.char_indices().filter(|(i, c)| c.is_whitespace() && !head[..*i].trim_end().ends_with(',')).map(|(i, _)| i).next();
    Some(part.map_or(head, |i| &head[..i]))
}

fn list(users: &str) -> impl Iterator<Item = &str> {
    users.split(',').map(str::trim).filter(|u| !u.is_empty())
}
