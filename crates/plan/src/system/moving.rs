//! Moving a running service to its account: in come plan, machine and who asks, out comes all that a move needs, or everything that
//! stands against it. Never: takes what was not read for harmless, or an account that people log in with for a service's.

use super::{
    fit::{ROOT, accounts},
    repository::{Found, Says, repository},
    types::{SystemPlan, UnitPlan},
};
use facts::{Account, Facts, Source};
use serde::Serialize;

/// A move.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Move {
    /// Instance of the site.
    pub instance: String,
    /// Its unit.
    pub unit: String,
    /// The unit runs now.
    pub active: bool,
    /// Account it has, with uid and gid.
    pub from: (String, u32, u32),
    /// Account it gets.
    pub account: String,
    /// Repository and directories of its own, as the plan names them.
    pub roots: Vec<String>,
    /// Where the repository is now, if that is another place than the plan's.
    pub repo_is: Option<String>,
    /// People log in as the account it gets, which is to be the service's alone.
    pub closes: bool,
    /// TCP port on which it must listen afterwards.
    pub port: Option<u16>,
    /// A stop may miss a proving deadline.
    pub deadlines: bool,
}

/// The move of one service; `login` is the account that whoever asks has logged in with.
pub fn moving(system: &SystemPlan, facts: &Facts, instance: &str, login: Option<u32>) -> Result<Move, Vec<String>> {
    for source in [Source::Units, Source::Accounts, Source::Processes] {
        if let Some(f) = facts.failures.iter().find(|f| f.source == source) {
            return Err(vec![format!("this machine was not read in full: {}", f.reason)]);
        }
    }
    let plan = find(system, instance)?;
    let Some(unit) = facts.unit(&plan.name) else {
        return Err(vec![format!("{} is not on this machine: `ravelin apply` gives it its account from the beginning", plan.name)]);
    };
    let Some(account) = plan.account.as_ref().map(ToString::to_string) else { return Err(vec![format!("{} has no account", plan.name)]) };
    let has = accounts(unit, facts);
    let Some(from) = has.iter().find(|a| **a != account).cloned() else {
        return Err(vec![format!("{} runs as {account} already: `ravelin apply` puts its drop-in in place", plan.name)]);
    };
    let mut against = Vec::new();
    if let Some(other) = has.iter().find(|a| **a != from) {
        against.push(format!("its unit says {}, its process runs as {other}: restart it before it is moved", has[0]));
    }
    let Some(old) = facts.accounts.iter().find(|a| a.name == from) else {
        against.push(format!("account {from} is not in /etc/passwd"));
        return Err(against);
    };
    let mut repo_is = None;
    match (repository(&plan.data, unit, facts), &plan.data.repo) {
        (Found::At(r), Some(wanted)) if r.path.trim_end_matches('/') != wanted.trim_end_matches('/') => {
            against.extend(stays(&r.says, &plan.name, wanted));
            repo_is = Some(r.path);
        }
        (Found::Unknown(why), Some(wanted)) => {
            against.push(format!("where its repository is could not be told; the site has {wanted}: {why}"))
        }
        _ => {}
    }
    against.extend(unknown_flag(plan, unit));
    against.extend(people(facts, &account, login));
    if !against.is_empty() {
        return Err(against);
    }
    Ok(Move {
        instance: instance.to_owned(),
        unit: plan.name.clone(),
        active: unit.active,
        from: (from, old.uid, old.gid),
        closes: facts.accounts.iter().any(|a| is_entered(a, &account)),
        account,
        roots: plan.data.repo.iter().chain(&plan.data.writes).cloned().collect(),
        repo_is,
        port: plan.health.as_ref().and_then(|h| h.port),
        deadlines: plan.data.deadlines,
    })
}

/// What names the old place more strongly than the drop-in's `Environment=` names the new one: the service would look there after the move.
fn stays(says: &Says, unit: &str, wanted: &str) -> Option<String> {
    let place = says.place(unit);
    match says {
        Says::Nothing | Says::Environment => None,
        Says::Stronger(_) => Some(format!(
            "{place} names the repository and wins over the drop-in: take it away there (systemctl edit, systemctl daemon-reload) and write \
             Environment= in its place; or keep the repository where it is, `repo` in the site file; {wanted} is where it would go"
        )),
        Says::Process(_) => Some(format!(
            "{place} names its repository, and neither the unit nor an environment file says so: a program that starts it does, or the \
             manager's own environment. Write it into the unit as Environment=, restart, and look again"
        )),
    }
}

/// A flag that may name the repository, of a service whose flags the catalogue does not know.
fn unknown_flag(plan: &UnitPlan, unit: &facts::Unit) -> Option<String> {
    if plan.data.repo.is_none() || plan.data.repo_also.iter().any(|n| n.starts_with('-')) {
        return None;
    }
    let line = unit.directives.iter().rev().find(|d| d.section == "Service" && d.key == "ExecStart" && !d.value.is_empty())?;
    let flag = line.value.split_whitespace().find(|w| w.starts_with('-') && w.contains("repo"))?;
    Some(format!(
        "{}:{}: ExecStart= has {flag}, which may name another repository than the site and wins over the drop-in: name it by Environment= instead",
        line.file, line.line
    ))
}

/// The unit of an instance, by either name.
pub fn find<'a>(system: &'a SystemPlan, instance: &str) -> Result<&'a UnitPlan, Vec<String>> {
    let named = |u: &&UnitPlan| u.instance.as_ref().is_some_and(|(_, i)| i.as_str() == instance) || u.name == instance;
    system.units.iter().find(named).ok_or_else(|| {
        let known: Vec<String> = system.units.iter().filter_map(|u| u.instance.as_ref()).map(|(_, i)| i.to_string()).collect();
        vec![format!("this machine's plan has no service `{instance}` with a unit; it has {}", known.join(", "))]
    })
}

/// This is the account, and a login gets a shell as it.
fn is_entered(a: &Account, account: &str) -> bool {
    a.name == account && a.name != ROOT && a.has_login_shell()
}

/// A service's account is nobody's login. Where people log in with it, whoever asks must have shown a login of their own: the one
/// they came with.
fn people(facts: &Facts, account: &str, login: Option<u32>) -> Option<String> {
    let a = facts.accounts.iter().find(|a| is_entered(a, account))?;
    // What could not be read is not "no key".
    let entered = a.password != Some(false) || a.ssh_keys != Some(0);
    if !entered || login.is_some_and(|uid| uid != a.uid && uid != 0) {
        return None;
    }
    let who = if login == Some(a.uid) { "you have logged in with it" } else { "no login of your own was shown" };
    Some(format!(
        "people log in as {account}, which is to be a service's alone, and {who}. Make an account of your own \
         (--administrator NAME does it, with the same keys), log in with it, and run this from there"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use facts::{Directive, Unit};
    use site::model::Mode;
    use std::collections::BTreeMap;

    fn system() -> SystemPlan {
        let mut unit = UnitPlan::for_tests("lotus-daemon.service", "lotus");
        unit.instance = Some((words::ServiceName::new("lotus").expect("name"), words::InstanceName::new("lotus").expect("name")));
        unit.data.repo = Some("/data/lotus".into());
        unit.data.repo_variable = Some("LOTUS_PATH".into());
        unit.data.repo_also = vec!["--repo".into()];
        unit.data.repo_default = Some("~/.lotus".into());
        SystemPlan {
            mode: Mode::Enforce,
            groups: BTreeMap::new(),
            accounts: BTreeMap::new(),
            files: vec![],
            units: vec![unit],
            by_hand: vec![],
        }
    }

    fn facts(repo: &str, lotus: Option<Account>) -> Facts {
        let line =
            Directive { section: "Service".into(), key: "Environment".into(), value: format!("LOTUS_PATH={repo}"), ..Directive::default() };
        let root = Account { name: "root".into(), home: "/root".into(), ..Account::default() };
        Facts {
            units: vec![Unit { name: "lotus-daemon.service".into(), directives: vec![line], active: true, ..Unit::default() }],
            accounts: std::iter::once(root).chain(lotus).collect(),
            ..Facts::default()
        }
    }

    #[test]
    fn a_service_that_runs_as_root_is_moved_where_it_is() {
        let moved = moving(&system(), &facts("/data/lotus", None), "lotus", None).expect("nothing stands against it");
        assert_eq!((moved.from, moved.account.as_str()), (("root".to_owned(), 0, 0), "lotus"));
        assert_eq!(moved.roots, ["/data/lotus"]);
        assert_eq!(moved.repo_is, None);
        let elsewhere = moving(&system(), &facts("/root/.lotus", None), "lotus", None).expect("it goes to the other place");
        assert_eq!((elsewhere.repo_is.as_deref(), elsewhere.roots), (Some("/root/.lotus"), vec!["/data/lotus".to_owned()]));
        let against = |key: &str, value: &str, text: Option<&str>| {
            let mut facts = facts("/root/.lotus", None);
            let line = Directive { section: "Service".into(), key: key.into(), value: value.into(), ..Directive::default() };
            facts.units[0].directives.push(line);
            facts.files.extend(text.map(|t| facts::File { path: "/etc/lotus.env".into(), text: Some(t.into()), ..facts::File::default() }));
            moving(&system(), &facts, "lotus", None).err().unwrap_or_default().join("; ")
        };
        assert!(against("EnvironmentFile", "/etc/lotus.env", Some("A=1\nLOTUS_PATH=/x\n")).contains("/etc/lotus.env:2"));
        assert!(against("EnvironmentFile", "/etc/lotus.env", None).contains("could not be read"));
        assert!(against("ExecStart", "/usr/bin/lotus daemon", None).is_empty());
        assert_eq!(against("EnvironmentFile", "-/etc/lotus.env", None), "");
        assert_eq!(against("EnvironmentFile", "/etc/lotus.env", Some("A=1\n")), "");
        assert!(against("ExecStart", "/usr/bin/lotus --repo=/x daemon", None).contains("a flag in ExecStart="));
        // Named by a file or a flag, and where the site has it: nothing goes anywhere.
        let mut there = facts("/root/.lotus", None);
        let line = Directive {
            section: "Service".into(),
            key: "ExecStart".into(),
            value: "lotus --repo /data/lotus daemon".into(),
            ..Directive::default()
        };
        there.units[0].directives.push(line);
        assert_eq!(moving(&system(), &there, "lotus", None).expect("stays").repo_is, None);
        let mut other = system();
        other.units[0].data.repo_also = Vec::new();
        assert!(moving(&other, &there, "lotus", None).expect_err("unknown flag")[0].contains("--repo"));
        assert!(moving(&system(), &facts("/data/lotus", None), "boost", None).expect_err("unknown")[0].contains("it has lotus"));
    }

    #[test]
    fn an_account_people_log_in_with_needs_another_login_first() {
        let lotus = |shell: &str, keys| Account {
            name: "lotus".into(),
            uid: 1000,
            shell: shell.into(),
            password: Some(false),
            ssh_keys: keys,
            ..Account::default()
        };
        let asked = |a: Account, login| moving(&system(), &facts("/data/lotus", Some(a)), "lotus", login).is_ok();
        assert!(asked(lotus("/usr/sbin/nologin", Some(3)), None), "nobody gets in");
        assert!(asked(lotus("/bin/bash", Some(0)), None), "nothing to get in with");
        assert!(!asked(lotus("/bin/bash", Some(1)), None), "no login was shown");
        assert!(!asked(lotus("/bin/bash", None), None), "not read is not none");
        assert!(!asked(lotus("/bin/bash", Some(1)), Some(1000)), "the same account");
        assert!(asked(lotus("/bin/bash", Some(1)), Some(1001)), "one of their own");
    }
}
