//! Accounts and the SELinux users they log in as. In come the plan's mappings, the machine's accounts and what `semanage login -l` says,
//! out comes what is missing, and the lines that make it so. Never: maps an account that is not there, or everybody who is not named
//! before an operator is: somebody must be able to come back.

use super::SelinuxPlan;
use facts::Account;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Whoever has no mapping of their own.
pub const EVERYBODY: &str = "__default__";
/// An operator: no administrator until sudo gives the role.
pub const STAFF: &str = "staff_u";
/// A service's account: no role that a login could take.
pub const SERVICE: &str = "system_u";
/// The sudo policy's part that gives operators the administrator's role; without it they are root in a domain that may do nothing.
pub const SUDOERS: &str = "/etc/sudoers.d/ravelin-selinux";
/// Mode sudo asks of its files.
pub const SUDOERS_MODE: u32 = 0o440;
/// Settings of the tools that build the policy.
pub const SEMANAGE: &str = "/etc/selinux/semanage.conf";
/// Homes they make no labels for, separated by semicolons.
const IGNORED: &str = "ignoredirs";
/// Range of who works on the machine as a whole; Debian's staff_u holds all of it.
const ALL: &str = "s0-s0:c0.c1023";
/// Range of everybody else: Debian's user_u holds no other.
const LOWEST: &str = "s0";

/// A SELinux user with its range.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeUser {
    /// Name, `staff_u`.
    pub user: String,
    /// MCS range.
    pub range: String,
}

impl SeUser {
    fn of(user: &str) -> Self {
        Self { user: user.to_owned(), range: if user == STAFF { ALL } else { LOWEST }.to_owned() }
    }
}

/// Logins and their users.
pub type Mappings = BTreeMap<String, SeUser>;

/// What `semanage login -l -n` lists. Lines of another shape are left out.
#[must_use]
pub fn listed(text: &str) -> Mappings {
    let row = |l: &str| {
        let mut words = l.split_whitespace();
        let (login, user, range) = (words.next()?, words.next()?, words.next()?);
        Some((login.to_owned(), SeUser { user: user.to_owned(), range: range.to_owned() }))
    };
    text.lines().filter_map(row).collect()
}

/// What is to be mapped and is not: the plan's accounts that the machine has, operators, and everybody else once there is an operator. An
/// operator is one also where a service runs under the account.
#[must_use]
pub fn missing(plan: &SelinuxPlan, accounts: &[Account], operators: &BTreeSet<String>, there: &Mappings) -> Mappings {
    let known: BTreeSet<&str> = accounts.iter().map(|a| a.name.as_str()).collect();
    let somebody = !operators.is_empty() || there.values().any(|u| u.user == STAFF);
    let is_operator = |login: &str| operators.contains(login) || there.get(login).is_some_and(|u| u.user == STAFF);
    let services = plan.logins.iter().filter(|l| !is_operator(&l.login));
    let services = services.filter(|l| if l.login == EVERYBODY { somebody } else { known.contains(l.login.as_str()) });
    let wanted = services.map(|l| (l.login.clone(), SeUser::of(l.user))).chain(operators.iter().map(|o| (o.clone(), SeUser::of(STAFF))));
    wanted.filter(|(login, user)| there.get(login).is_none_or(|t| t.user != user.user)).collect()
}

/// Service accounts among these with which somebody can log in today and could not afterwards.
#[must_use]
pub fn shut_out(missing: &Mappings, accounts: &[Account]) -> Vec<String> {
    let shut = |a: &&Account| missing.get(&a.name).is_some_and(|u| u.user == SERVICE) && a.has_login_shell();
    accounts.iter().filter(shut).filter(|a| a.password != Some(false) || a.ssh_keys != Some(0)).map(|a| a.name.clone()).collect()
}

/// The sudo policy's part for these operators. Names are those of accounts that exist and are plain words.
#[must_use]
pub fn sudoers<'a>(operators: impl IntoIterator<Item = &'a str>) -> String {
    let head = "# Written by ravelin selinux install; `ravelin selinux undo` takes it away. No right is given: what they may do stands elsewhere.\n";
    let line = |o: &str| format!("Defaults:{o} role=sysadm_r, type=sysadm_t\n");
    operators.into_iter().map(line).fold(head.to_owned(), |all, l| all + &l)
}

/// The settings with these homes left out, where they are not yet. Each account with a mapping of its own gets a person's labels for all
/// that lies in its home, which win over those of the services' modules.
#[must_use]
pub fn without_homes(settings: &str, homes: &BTreeSet<String>) -> Option<String> {
    let value = |l: &str| Some(l.trim().strip_prefix(IGNORED)?.trim_start().strip_prefix('=')?.trim().to_owned());
    let before: Vec<String> =
        settings.lines().filter_map(value).flat_map(|v| v.split(';').map(|d| d.trim().to_owned()).collect::<Vec<_>>()).collect();
    let missing: Vec<&str> = homes.iter().map(String::as_str).filter(|h| !before.iter().any(|b| b == h)).collect();
    if missing.is_empty() {
        return None;
    }
    let all = before.iter().map(String::as_str).filter(|d| !d.is_empty()).chain(missing).collect::<Vec<_>>().join(";");
    let others: String = settings.lines().filter(|l| value(l).is_none()).map(|l| format!("{l}\n")).collect();
    Some(format!("{others}{IGNORED}={all}\n"))
}

/// The lines `semanage import` reads, one transaction for all. `there` is what has a mapping now; without a user a local mapping goes.
#[must_use]
pub fn commands(changes: &BTreeMap<String, Option<SeUser>>, there: &Mappings, local: &Mappings) -> String {
    let line = |(login, user): (&String, &Option<SeUser>)| match user {
        Some(u) if there.get(login) == Some(u) => None,
        Some(u) => {
            let how = if there.contains_key(login) { "-m" } else { "-a" };
            Some(format!("login {how} -s {} -r {} {login}\n", u.user, u.range))
        }
        None => local.contains_key(login).then(|| format!("login -d {login}\n")),
    };
    changes.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selinux::LoginPlan;

    const DEBIAN: &str = "\n__default__          unconfined_u         s0-s0:c0.c1023       *\nroot                 unconfined_u         s0-s0:c0.c1023       *\n";

    fn plan() -> SelinuxPlan {
        let login = |login: &str, user| LoginPlan { login: login.into(), user, why: String::new() };
        let logins = vec![login("fc-lotus", "system_u"), login("gone", "system_u"), login(EVERYBODY, "user_u")];
        let mode = site::model::Mode::Enforce;
        SelinuxPlan { mode, domains: vec![], shared: vec![], ports: vec![], mounts: vec![], logins, notes: vec![] }
    }

    fn accounts() -> Vec<Account> {
        let account = |name: &str, shell: &str| Account { name: name.into(), shell: shell.into(), ..Account::default() };
        vec![account("fc-lotus", "/usr/sbin/nologin"), account("ada", "/bin/bash")]
    }

    fn users(m: &Mappings) -> Vec<(&str, &str, &str)> {
        m.iter().map(|(l, u)| (l.as_str(), u.user.as_str(), u.range.as_str())).collect()
    }

    #[test]
    fn nobody_is_confined_by_default_before_an_operator_is_named() {
        let there = listed(DEBIAN);
        assert_eq!(there.len(), 2);
        let none = missing(&plan(), &accounts(), &BTreeSet::new(), &there);
        assert_eq!(users(&none), [("fc-lotus", "system_u", "s0")]);
        let all = missing(&plan(), &accounts(), &["ada".to_owned()].into(), &there);
        assert_eq!(users(&all), [(EVERYBODY, "user_u", "s0"), ("ada", STAFF, ALL), ("fc-lotus", "system_u", "s0")]);
        // Done, nothing is missing, and who is staff already stands for the operator.
        let mut there = there;
        there.extend(all);
        assert!(missing(&plan(), &accounts(), &BTreeSet::new(), &there).is_empty());
        there.remove(EVERYBODY);
        assert_eq!(users(&missing(&plan(), &accounts(), &BTreeSet::new(), &there)), [(EVERYBODY, "user_u", "s0")]);
    }

    #[test]
    fn homes_of_services_are_left_out_once_beside_those_that_were() {
        let homes: BTreeSet<String> = ["/var/lib/lotus".to_owned(), "/var/lib/curio".to_owned()].into();
        let plain = "module-store = direct\n# ignoredirs=/x\n";
        let first = without_homes(plain, &homes).expect("they are missing");
        assert_eq!(first, format!("{plain}ignoredirs=/var/lib/curio;/var/lib/lotus\n"));
        assert_eq!(without_homes(&first, &homes), None);
        let there = without_homes("ignoredirs = /root; /var/lib/lotus\nexpand-check=0\n", &homes);
        assert_eq!(there.as_deref(), Some("expand-check=0\nignoredirs=/root;/var/lib/lotus;/var/lib/curio\n"));
        assert_eq!(without_homes(plain, &BTreeSet::new()), None);
    }

    #[test]
    fn an_operator_under_a_services_account_stays_one() {
        let operators: BTreeSet<String> = ["fc-lotus".to_owned()].into();
        let m = missing(&plan(), &accounts(), &operators, &listed(DEBIAN));
        assert_eq!(m["fc-lotus"].user, STAFF);
    }

    #[test]
    fn a_service_account_that_somebody_logs_into_is_named() {
        let mut accounts = accounts();
        let m = missing(&plan(), &accounts, &BTreeSet::new(), &listed(DEBIAN));
        assert!(shut_out(&m, &accounts).is_empty());
        accounts[0].shell = "/bin/bash".into();
        assert_eq!(shut_out(&m, &accounts), ["fc-lotus"]);
        (accounts[0].password, accounts[0].ssh_keys) = (Some(false), Some(0));
        assert!(shut_out(&m, &accounts).is_empty());
    }

    #[test]
    fn one_import_there_and_one_back() {
        let there = listed(DEBIAN);
        let change: BTreeMap<_, _> =
            [("ada", Some(SeUser::of(STAFF))), (EVERYBODY, Some(SeUser::of("user_u"))), ("root", there.get("root").cloned())]
                .map(|(l, u)| (l.to_owned(), u))
                .into();
        let forth = "login -m -s user_u -r s0 __default__\nlogin -a -s staff_u -r s0-s0:c0.c1023 ada\n";
        assert_eq!(commands(&change, &there, &Mappings::new()), forth);
        let back: BTreeMap<_, _> = [("ada", None), (EVERYBODY, None)].map(|(l, u)| (l.to_owned(), u)).into();
        assert_eq!(
            commands(&back, &there, &change.keys().map(|k| (k.clone(), SeUser::of(STAFF))).collect()),
            "login -d __default__\nlogin -d ada\n"
        );
        // Twice is once: what has no mapping of the machine's own is not taken away.
        assert_eq!(commands(&back, &there, &Mappings::new()), "");
        assert_eq!(sudoers(["ada"]).lines().last(), Some("Defaults:ada role=sysadm_r, type=sysadm_t"));
    }
}
