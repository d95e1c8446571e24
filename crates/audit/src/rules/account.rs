//! Accounts: empty passwords, second roots, system accounts that log in, ages, hashes, homes, shared numbers. In come accounts and
//! homes, out come those that let in somebody who should not.

use super::prelude::*;
use std::collections::BTreeMap;

/// AUD040: the password field of an account is empty.
pub const EMPTY: Rule = Rule {
    code: Code("AUD040"),
    title: "an account has no password and lets everybody in",
    risk: Risk::Critical,
    needs: &[Source::Accounts],
    means: "su or the console makes anybody this account; with PermitEmptyPasswords the network does",
    fix: "passwd --lock ACCOUNT, or set a password",
    reference: Some("CIS Debian Linux 12 Benchmark 7.2.2"),
    check: |view| each(view, |a| a.empty_password == Some(true), |_| "its password field is empty".to_owned()),
};

/// AUD041: another account than root has uid 0.
pub const SECOND_ROOT: Rule = Rule {
    code: Code("AUD041"),
    title: "a second account is root",
    risk: Risk::High,
    needs: &[Source::Accounts],
    means: "a back door: it logs in under its own name and password, and everything it does is root's",
    fix: "remove the account, after finding out who made it",
    reference: Some("CIS Debian Linux 12 Benchmark 5.4.2.1"),
    check: |view| each(view, |a| a.uid == 0 && a.name != "root", |_| "uid 0".to_owned()),
};

/// AUD042: an account below uid 1000 that is no service of the catalogue has a shell, and a password or keys.
pub const SYSTEM_LOGIN: Rule = Rule {
    code: Code("AUD042"),
    title: "a system account can be logged into",
    risk: Risk::Medium,
    needs: &[Source::Accounts],
    means: "accounts of packages are watched by nobody; one with a shell is a place to come back to",
    fix: "usermod --shell /usr/sbin/nologin --lock ACCOUNT",
    reference: Some("CIS Debian Linux 12 Benchmark 5.4.2.7"),
    check: system_login,
};

/// AUD043: a password that never has to be changed.
pub const AGE: Rule = Rule {
    code: Code("AUD043"),
    title: "a password never grows old",
    risk: Risk::Low,
    needs: &[Source::Accounts],
    means: "a password that leaked years ago still opens the account, sudo included",
    fix: "chage --maxdays 365 ACCOUNT, or lock the password and log in with keys",
    reference: Some("CIS Debian Linux 12 Benchmark 5.4.1.1"),
    check: |view| {
        let forever = |a: &facts::Account| a.hash.is_some() && a.max_days.is_none_or(|d| d > MOST_DAYS);
        each(view, forever, |a| a.max_days.map_or("no greatest age is set".to_owned(), |d| format!("it may be {d} days old")))
    },
};

/// AUD044: a password is hashed in a way that is guessed quickly.
pub const HASH: Rule = Rule {
    code: Code("AUD044"),
    title: "a password is hashed in an old way",
    risk: Risk::Medium,
    needs: &[Source::Accounts],
    means: "whoever gets a copy of /etc/shadow, from a backup for instance, has the password within hours",
    fix: "set the password anew: yescrypt is the default of current systems (ENCRYPT_METHOD in /etc/login.defs)",
    reference: Some("CIS Debian Linux 12 Benchmark 5.4.1.4"),
    check: |view| {
        let old = |a: &facts::Account| a.hash.as_deref().is_some_and(|h| ["1", "des", "2", "3", "md5", "sha1"].contains(&h));
        each(view, old, |a| format!("hash of kind `{}`", a.hash.as_deref().unwrap_or_default()))
    },
};

/// AUD045: a home that others may write into.
pub const HOME: Rule = Rule {
    code: Code("AUD045"),
    title: "others may write into an account's home",
    risk: Risk::High,
    needs: &[Source::Accounts, Source::Files],
    means: "a profile, an SSH key or a wallet configuration is put there, and runs or counts as the account's own",
    fix: "chmod go-w HOME",
    reference: Some("CIS Debian Linux 12 Benchmark 7.2.9"),
    check: home,
};

/// AUD046: two accounts share a uid.
pub const SAME: Rule = Rule {
    code: Code("AUD046"),
    title: "two accounts are one",
    risk: Risk::Medium,
    needs: &[Source::Accounts],
    means: "each owns the other's files and may send the other's processes any signal: there is no separation between them",
    fix: "give one of them a uid of its own, and move the ownership of its files",
    reference: Some("CIS Debian Linux 12 Benchmark 7.2.5"),
    check: same,
};

/// A password may be this old.
const MOST_DAYS: u32 = 365;
/// First uid of people (`UID_MIN` of login.defs).
const FIRST_PERSON: u32 = 1000;
/// Shells of accounts that do one thing when logged into.
const ONE_THING: [&str; 3] = ["/bin/sync", "/sbin/shutdown", "/sbin/halt"];

fn each(view: &View, wrong: impl Fn(&facts::Account) -> bool, seen: impl Fn(&facts::Account) -> String) -> Vec<Seen> {
    view.facts.accounts.iter().filter(|a| wrong(a)).map(|a| Seen::new(&a.name, seen(a))).collect()
}

fn system_login(view: &View) -> Vec<Seen> {
    let services: Vec<&str> = view.service_accounts().iter().map(|a| a.name.as_str()).collect();
    let system = |a: &facts::Account| a.uid != 0 && a.uid < FIRST_PERSON && !services.contains(&a.name.as_str());
    let opens = |a: &facts::Account| a.password == Some(true) || a.ssh_keys.is_some_and(|n| n > 0);
    let wrong = |a: &facts::Account| system(a) && a.has_login_shell() && !ONE_THING.contains(&a.shell.as_str()) && opens(a);
    each(view, wrong, |a| {
        let by = if a.password == Some(true) { "a password" } else { "SSH keys" };
        format!("uid {}, shell {}, {by}", a.uid, a.shell)
    })
}

fn home(view: &View) -> Vec<Seen> {
    let mut out: BTreeMap<&str, Seen> = BTreeMap::new();
    for a in view.facts.accounts.iter().filter(|a| a.home.len() > 1 && (a.has_login_shell() || a.ssh_keys.is_some_and(|n| n > 0))) {
        let home = a.home.trim_end_matches('/');
        let open = view.facts.file(home).filter(|f| f.kind == facts::FileKind::Directory && f.others_write());
        // A group of its own is the account itself.
        let only_own = |f: &facts::File| {
            f.mode & 0o002 == 0
                && f.gid == a.gid
                && view.facts.groups.iter().any(|g| g.gid == a.gid && g.name == a.name && g.members.is_empty())
        };
        if let Some(f) = open.filter(|f| !only_own(f)) {
            out.insert(&a.home, Seen::new(&a.name, format!("{home} has mode {:04o}, owner {}", f.mode, owner(f))).at(home, 0));
        }
    }
    out.into_values().collect()
}

fn same(view: &View) -> Vec<Seen> {
    let mut by_uid: BTreeMap<u32, Vec<&str>> = BTreeMap::new();
    for a in view.facts.accounts.iter().filter(|a| a.uid != 0) {
        by_uid.entry(a.uid).or_default().push(&a.name);
    }
    by_uid.retain(|_, names| names.len() > 1);
    by_uid.into_iter().map(|(uid, names)| Seen::new(names.join(", "), format!("all have uid {uid}")).at("/etc/passwd", 0)).collect()
}
