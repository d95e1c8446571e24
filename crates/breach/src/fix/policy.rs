//! sudo's policy without what it gives service accounts. In come machine and accounts, out come changes of lines and memberships, and
//! what is left to people. A line that speaks of service accounts alone goes; out of one that names others too the account's name
//! goes. Proven before it is proposed: the policy that would be is asked again, and everybody else must get the answers from before.
//! Never: takes anything from an account that may be a person's.

use super::{
    Fix,
    edit::{self, Edit, How, Syntax},
    is_service,
    step::Step,
};
use crate::{edges::sudo, machine::Machine, technique::Technique};
use facts::{Account, Facts};
use std::collections::{BTreeMap, BTreeSet};
use sudoers::{
    Policy,
    form::{List, Name},
};

/// Groups that are administrators' by name: a service account in one of them is a mistake.
const ADMINISTRATORS: [&str; 4] = ["sudo", "wheel", "admin", "adm"];
/// How deep aliases are followed.
const DEEPEST: u32 = 8;

/// Where something goes: file and line.
type At = (String, u32);

#[derive(Default)]
struct Changes {
    gone: BTreeSet<At>,
    leave: BTreeMap<At, BTreeSet<String>>,
    members: BTreeSet<(String, String)>,
    people: BTreeMap<String, &'static str>,
}

/// Fixes for these accounts, which have ways through sudo.
pub(super) fn fixes(m: &Machine, accounts: &BTreeSet<&str>) -> Vec<Fix> {
    let mut changes = Changes::default();
    let mut ours: Vec<&Account> = Vec::new();
    for name in accounts {
        match m.account(name) {
            Some(a) if is_service(m, a) => ours.push(a),
            _ => {
                changes.people.insert((*name).to_owned(), "the account may be a person's");
            }
        }
    }
    for account in &ours {
        take(m, account, &mut changes);
    }
    let steps = match steps(m, &changes) {
        Ok(steps) => steps,
        Err(why) => {
            changes.people.extend(ours.iter().map(|a| (a.name.clone(), why)));
            Vec::new()
        }
    };
    let still = if steps.is_empty() { Ok(BTreeSet::new()) } else { proven(m, &ours, &steps) };
    let mut out = Vec::new();
    match still {
        Err(why) => changes.people.extend(ours.iter().map(|a| (a.name.clone(), why))),
        Ok(still) => {
            for a in still {
                changes.people.entry(a).or_insert("a line that speaks of more accounts gives it this");
            }
            let names: Vec<&str> = ours.iter().map(|a| a.name.as_str()).collect();
            out.extend(steps.into_iter().map(|step| Fix {
                what: format!("take {} out of sudo's policy", names.join(", ")),
                technique: Some(Technique::Sudo),
                steps: vec![step],
                by_hand: None,
            }));
        }
    }
    out.extend(changes.people.into_iter().map(|(account, why)| {
        let lines = named(m, &account);
        Fix {
            what: format!("take {account} out of sudo's policy{lines}"),
            technique: Some(Technique::Sudo),
            steps: Vec::new(),
            by_hand: Some(format!("{why} (visudo)")),
        }
    }));
    out
}

/// What gives an account something goes into the changes.
fn take(m: &Machine, account: &Account, changes: &mut Changes) {
    let who = m.who(account);
    for spec in &m.policy.specs {
        let at = (spec.place.file.clone(), spec.place.line);
        if mentions(m, &spec.users, account, &who.groups, DEEPEST) == Mention::No {
            continue;
        }
        if services_alone(m, &spec.users, DEEPEST) {
            changes.gone.insert(at);
            continue;
        }
        for member in spec.users.iter().filter(|s| !s.negated) {
            match &member.item {
                Name::Word(w) if *w == account.name => {
                    changes.leave.entry(at.clone()).or_default().insert(w.clone());
                }
                Name::Id(id) if *id == account.uid => {
                    changes.leave.entry(at.clone()).or_default().insert(format!("#{id}"));
                }
                Name::Alias(name) if m.policy.user_aliases.contains_key(name) => alias(m, name, account, changes),
                Name::Group(g) if who.groups.iter().any(|(name, _)| name == g) => group(m, g, account, changes),
                Name::Gid(id) => {
                    if let Some((g, _)) = who.groups.iter().find(|(_, gid)| gid == id) {
                        group(m, g, account, changes);
                    }
                }
                Name::All | Name::Elsewhere(_) => {
                    changes.people.entry(account.name.clone()).or_insert("a line that speaks of everybody gives it this");
                }
                _ => {}
            }
        }
    }
}

#[derive(PartialEq, Eq)]
enum Mention {
    Yes,
    No,
}

/// Whether a list may speak of the account.
fn mentions(m: &Machine, list: &List<Name>, account: &Account, groups: &[(String, u32)], depth: u32) -> Mention {
    let one = |name: &Name| match name {
        Name::All | Name::Elsewhere(_) => true,
        Name::Word(w) => *w == account.name,
        Name::Id(id) => *id == account.uid,
        Name::Group(g) => groups.iter().any(|(name, _)| name == g),
        Name::Gid(id) => groups.iter().any(|(_, gid)| gid == id),
        Name::Alias(a) => match m.policy.user_aliases.get(a) {
            Some(list) => depth == 0 || mentions(m, list, account, groups, depth - 1) == Mention::Yes,
            None => *a == account.name,
        },
        Name::Network(_) => false,
    };
    if list.iter().any(|s| !s.negated && one(&s.item)) { Mention::Yes } else { Mention::No }
}

/// Whether a list speaks of service accounts and nobody else.
fn services_alone(m: &Machine, list: &List<Name>, depth: u32) -> bool {
    let account = |a: Option<&Account>| a.is_some_and(|a| is_service(m, a));
    list.iter().filter(|s| !s.negated).all(|s| match &s.item {
        Name::Word(w) => account(m.account(w)),
        Name::Id(id) => account(m.facts.account(*id)),
        Name::Alias(a) => match m.policy.user_aliases.get(a) {
            Some(list) => depth > 0 && services_alone(m, list, depth - 1),
            None => account(m.account(a)),
        },
        Name::Group(g) => group_of_services(m, |group| group.name == *g),
        Name::Gid(id) => group_of_services(m, |group| group.gid == *id),
        Name::All | Name::Elsewhere(_) | Name::Network(_) => false,
    })
}

/// Whether everybody in a group, by whatever way, is a service.
fn group_of_services(m: &Machine, which: impl Fn(&facts::Group) -> bool) -> bool {
    let Some(group) = m.facts.groups.iter().find(|g| which(g)) else { return false };
    let mut inside = m.facts.accounts.iter().filter(|a| a.gid == group.gid || group.members.contains(&a.name)).peekable();
    inside.peek().is_some() && inside.all(|a| is_service(m, a)) && group.members.iter().all(|n| m.account(n).is_some())
}

fn alias(m: &Machine, name: &str, account: &Account, changes: &mut Changes) {
    let defines = |text: &str| {
        let rest = text.strip_prefix("User_Alias").unwrap_or_default();
        !rest.contains(':') && rest.split_once('=').is_some_and(|(n, _)| n.trim() == name)
    };
    let lines: Vec<&facts::SudoersLine> = m.facts.sudoers.iter().filter(|l| defines(&l.text)).collect();
    let Some(list) = m.policy.user_aliases.get(name) else { return };
    for member in list.iter().filter(|s| !s.negated) {
        let word = match &member.item {
            Name::Word(w) if *w == account.name => w.clone(),
            Name::Id(id) if *id == account.uid => format!("#{id}"),
            _ => continue,
        };
        match lines.as_slice() {
            [line] => {
                changes.leave.entry((line.file.clone(), line.line)).or_default().insert(word);
            }
            _ => {
                changes.people.insert(account.name.clone(), "an alias that is not on a line of its own names it");
            }
        }
    }
}

fn group(m: &Machine, name: &str, account: &Account, changes: &mut Changes) {
    let listed = m.facts.groups.iter().any(|g| g.name == name && g.gid != account.gid && g.members.contains(&account.name));
    if listed && ADMINISTRATORS.contains(&name) {
        changes.members.insert((account.name.clone(), name.to_owned()));
    } else {
        changes.people.entry(account.name.clone()).or_insert("a group gives it this that it may need for its files");
    }
}

/// The changes as steps, a file or membership each.
fn steps(m: &Machine, changes: &Changes) -> Result<Vec<Step>, &'static str> {
    let mut files: BTreeMap<&str, Vec<Edit>> = BTreeMap::new();
    let leave = changes.leave.iter().filter(|(at, _)| !changes.gone.contains(*at));
    let leave = leave.map(|(at, who)| (at, How::Without(who.iter().cloned().collect())));
    for ((file, line), how) in changes.gone.iter().map(|at| (at, How::Comment)).chain(leave) {
        let found = m.facts.sudoers.iter().find(|l| l.file == *file && l.line == *line).ok_or("its line was not read")?;
        if matches!(&how, How::Without(who) if edit::without(&found.text, who).is_none()) {
            return Err("a line is not a plain list of users");
        }
        files.entry(file).or_default().push(Edit { line: *line, seen: found.text.clone(), how });
    }
    let edits = files.into_iter().map(|(path, mut edits)| {
        edits.sort();
        Step::Edit { path: path.to_owned(), syntax: Syntax::Sudoers, edits, made: true }
    });
    let members = changes.members.iter().map(|(a, g)| Step::Member { account: a.clone(), group: g.clone(), leaves: true });
    Ok(edits.chain(members).collect())
}

/// Asks the policy that would be: out come accounts that still have something, or why it must not be.
fn proven(m: &Machine, ours: &[&Account], steps: &[Step]) -> Result<BTreeSet<String>, &'static str> {
    let mut after: Facts = m.facts.clone();
    for step in steps {
        match step {
            Step::Edit { path, edits, .. } => {
                for edit in edits {
                    let same = |l: &facts::SudoersLine| l.file == *path && l.line == edit.line;
                    match &edit.how {
                        How::Without(who) => {
                            for l in after.sudoers.iter_mut().filter(|l| same(l)) {
                                l.text = edit::without(&l.text, who).ok_or("a line is not a plain list of users")?;
                            }
                        }
                        _ => after.sudoers.retain(|l| !same(l)),
                    }
                }
            }
            Step::Member { account, group, .. } => leaves(&mut after, account, group),
            _ => {}
        }
    }
    let policy = Policy::read(&after.sudoers);
    if policy.unread.len() > m.policy.unread.len() {
        return Err("the policy would not read");
    }
    let then = Machine { policy, ..Machine::new(&after) };
    let place = sudo::place(m);
    let people = m.facts.accounts.iter().filter(|a| !ours.iter().any(|o| o.name == a.name));
    for person in people {
        for target in m.facts.accounts.iter().filter(|t| t.uid == 0) {
            let before = m.policy.may(&m.who(person), &m.who(target), &place);
            let now = then.policy.may(&then.who(person), &then.who(target), &place);
            let of = |r: &sudoers::Ruling| {
                r.grants.iter().map(|g| (g.place.clone(), g.command.clone(), g.certain, g.password)).collect::<Vec<_>>()
            };
            if before.answer != now.answer || of(&before) != of(&now) {
                return Err("somebody else would lose something by it");
            }
        }
    }
    let still = ours.iter().filter(|a| {
        let mut left = Vec::new();
        sudo::edges(&then, a, &mut left);
        !left.is_empty()
    });
    Ok(still.map(|a| a.name.clone()).collect())
}

fn leaves(facts: &mut Facts, account: &str, group: &str) {
    let uid = facts.accounts.iter().find(|a| a.name == account).map(|a| a.uid);
    for g in facts.groups.iter_mut().filter(|g| g.name == group) {
        g.members.retain(|n| n != account);
        // Its processes keep it until they start again; that is not what is asked here.
        let gid = g.gid;
        facts.processes.iter_mut().filter(|p| Some(p.uid) == uid).for_each(|p| p.groups.retain(|x| *x != gid));
    }
}

/// Where the policy names an account, for people.
fn named(m: &Machine, account: &str) -> String {
    let lines: Vec<String> = m
        .facts
        .sudoers
        .iter()
        .filter(|l| l.text.split([' ', ',', '\t']).any(|w| w == account))
        .map(|l| format!("{}:{}", l.file, l.line))
        .collect();
    if lines.is_empty() { String::new() } else { format!(": {}", lines.join(", ")) }
}
