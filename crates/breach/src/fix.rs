//! What would close each way, as data: typed steps with the state before them, the commands people would type, and what is left to people with
//! the reason. In comes a closure, out come fixes. Never: runs anything; proposes to touch an administrator's account.

use crate::{
    graph::{Closure, Edge, Node},
    machine::Machine,
    technique::Technique,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fix {
    /// What it does, in words.
    pub what: String,
    /// The technique it closes.
    pub technique: Technique,
    /// Steps in order; empty where people must decide.
    pub steps: Vec<Step>,
    /// Why it is not done by itself, where it is not.
    pub by_hand: Option<String>,
}

/// One change, with the state before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// The mode of a path.
    Mode {
        /// Path, without links in it.
        path: String,
        /// Owner it has; another one now means that it is not what was looked at.
        uid: u32,
        /// Mode it has.
        before: u32,
        /// Mode it gets.
        after: u32,
    },
    /// An account leaves a group, or comes back.
    Member {
        /// Account.
        account: String,
        /// Group.
        group: String,
        /// Leaves; else comes back.
        leaves: bool,
    },
}

impl Step {
    /// The command that does the same, for people.
    pub fn command(&self) -> String {
        match self {
            Step::Mode { path, after, .. } => format!("chmod {after:04o} {path}"),
            Step::Member { account, group, leaves: true } => format!("gpasswd -d {account} {group}"),
            Step::Member { account, group, leaves: false } => format!("gpasswd -a {account} {group}"),
        }
    }
    /// The step back.
    pub fn back(&self) -> Step {
        match self.clone() {
            Step::Mode { path, uid, before, after } => Step::Mode { path, uid, before: after, after: before },
            Step::Member { account, group, leaves } => Step::Member { account, group, leaves: !leaves },
        }
    }
}

/// Programs that stay as they are until their replacement stands, with the reason.
const KEPT: [(&str, &str); 1] =
    [("nvidia-modprobe", "GPU device nodes are made through it: first a unit that makes them before the services start")];

/// Accounts below this uid belong to services and distribution (Debian's and RHEL's `SYS_UID_MAX`, plus one).
const FIRST_PERSON: u32 = 1000;

/// A fix for every edge that lies on a way of a service account.
pub fn fixes(machine: &Machine, closure: &Closure) -> Vec<Fix> {
    let on_ways: BTreeSet<usize> = closure.accounts.iter().flat_map(|a| &a.ways).flat_map(|w| &w.steps).copied().collect();
    let mut out: Vec<Fix> = on_ways.into_iter().filter_map(|s| closure.edges.get(s)).filter_map(|e| of_edge(machine, e)).collect();
    out.sort();
    out.dedup();
    out
}

fn change(f: &facts::PathFact, after: u32) -> Step {
    Step::Mode { path: f.path.clone(), uid: f.uid, before: f.mode, after }
}

/// Steps of all fixes that are done by themselves: one for each path, with what every fix takes off, and one for each membership.
pub fn steps(fixes: &[Fix]) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for step in fixes.iter().filter(|f| f.by_hand.is_none()).flat_map(|f| &f.steps) {
        if out.contains(step) {
            continue;
        }
        let same = out.iter_mut().find_map(|s| match (s, step) {
            (Step::Mode { path, after, .. }, Step::Mode { path: p, after: a, .. }) if path == p => Some((after, *a)),
            _ => None,
        });
        match same {
            Some((after, more)) => *after &= more,
            None => out.push(step.clone()),
        }
    }
    out
}

/// What closes one edge; `None` where another edge of its way is the one to close.
pub fn of_edge(m: &Machine, e: &Edge) -> Option<Fix> {
    let by_hand = |what: String, why: &str| Some(Fix { what, technique: e.technique, steps: Vec::new(), by_hand: Some(why.to_owned()) });
    match (&e.from, &e.to, e.technique) {
        (Node::Account(account), Node::Group(group), Technique::Member) => {
            let found = m.account(account)?;
            let primary = m.facts.groups.iter().any(|g| g.name == *group && g.gid == found.gid);
            if !m.services.contains_key(account.as_str()) || found.uid >= FIRST_PERSON && found.has_login_shell() {
                return by_hand(format!("take {account} out of group {group}"), "the account may be a person's");
            }
            if primary || !m.facts.groups.iter().any(|g| g.name == *group && g.members.contains(account)) {
                return by_hand(format!("take {account} out of group {group}"), "it comes from the account's own group or from a unit");
            }
            Some(Fix {
                what: format!("take {account} out of group {group}; its processes keep it until they start again"),
                technique: e.technique,
                steps: vec![Step::Member { account: account.clone(), group: group.clone(), leaves: true }],
                by_hand: None,
            })
        }
        (Node::Account(_), Node::File(path) | Node::Socket(path), Technique::Write) => tighten(m, e, path),
        (Node::Account(account), Node::Secret(path), Technique::ReadSecret) if path.starts_with('/') => {
            let f = m.paths.end(path)?;
            let (after, by_hand) = narrowed(m, account, f, 0o007, 0o070);
            Some(Fix {
                what: format!("keep {account} from reading {path}"),
                technique: e.technique,
                steps: vec![change(f, after)],
                by_hand,
            })
        }
        (Node::Account(_), _, Technique::SetId | Technique::FileCapability) => {
            let path = e.evidence.first()?.file.as_deref()?;
            if let Some((_, why)) = KEPT.iter().find(|(name, _)| path.ends_with(name)) {
                return by_hand(format!("take the privilege off {path}"), why);
            }
            let f = m.facts.sweep.as_ref()?.found.iter().find(|f| f.path == path)?;
            if e.technique == Technique::FileCapability {
                return by_hand(format!("setcap -r {path}"), "which service needs it is not known");
            }
            Some(Fix {
                what: format!("take the set-id bits off {path}"),
                technique: e.technique,
                steps: vec![change(f, f.mode & 0o777)],
                by_hand: (!e.certain).then(|| "what the program is for is not known".to_owned()),
            })
        }
        (Node::Account(_), _, Technique::Sudo | Technique::SudoGroup | Technique::Su | Technique::Polkit) => {
            let place = e.evidence.first()?;
            let at = format!("{}:{}", place.file.as_deref().unwrap_or_default(), place.line.unwrap_or(0));
            by_hand(format!("{}: {at}: {}", e.technique.close(), place.seen), "a policy that people wrote is changed by people (visudo)")
        }
        (Node::Account(_), _, Technique::ProcessCapability | Technique::Ptrace | Technique::SharedAccount) => {
            by_hand(e.technique.close().to_owned(), "the service's unit or account changes")
        }
        _ => None,
    }
}

fn tighten(m: &Machine, e: &Edge, path: &str) -> Option<Fix> {
    let f = m.paths.get(path).filter(|f| f.state == facts::PathState::Seen)?;
    let Node::Account(account) = &e.from else { return None };
    let (after, mut by_hand) = narrowed(m, account, f, 0o002, 0o020);
    if ["/tmp", "/var/tmp", "/dev/shm"].contains(&path) {
        by_hand = Some("a shared directory: set its sticky bit by hand".to_owned());
    }
    Some(Fix { what: format!("keep {account} from changing {path}"), technique: e.technique, steps: vec![change(f, after)], by_hand })
}

/// The mode without what lets this account in, and why it is left to people where it is: what an owner, a shared group or an
/// access list gives may be needed, and a mode of the distribution's (`/etc/shadow` for its group) is not ours to judge.
fn narrowed(m: &Machine, account: &str, f: &facts::PathFact, others: u32, group: u32) -> (u32, Option<String>) {
    let found = m.account(account);
    if found.is_some_and(|a| a.uid == f.uid) {
        return (f.mode & !(others | group), Some("the account owns it: whether the service writes it is not known".to_owned()));
    }
    if !f.acl.is_empty() {
        return (f.mode & !(others | group), Some("it has an access list".to_owned()));
    }
    if found.is_some_and(|a| a.gid == f.gid) {
        return (f.mode & !(others | group), None);
    }
    let member = found.is_some_and(|a| m.groups(a).iter().any(|(_, gid)| *gid == f.gid));
    if member {
        return (f.mode & !(others | group), Some("it is let in by a group that others may need: take it out of the group".to_owned()));
    }
    (f.mode & !others, None)
}

/// Fixes for people: what is done by itself, then what is left to them.
pub fn text(fixes: &[Fix]) -> String {
    let mut out = String::new();
    for f in fixes.iter().filter(|f| f.by_hand.is_none()) {
        out += &format!("{} ({})\n", f.what, f.technique.id());
        for s in &f.steps {
            out += &format!("    {}\n", s.command());
        }
    }
    for f in fixes {
        if let Some(why) = &f.by_hand {
            out += &format!("by hand: {}\n    why: {why}\n", f.what);
            for s in &f.steps {
                out += &format!("    would be: {}\n", s.command());
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_path_is_changed_once() {
        let fix = |what: &str, after: u32, by_hand: Option<&str>| Fix {
            what: what.into(),
            technique: Technique::Write,
            steps: vec![Step::Mode { path: "/x".into(), uid: 0, before: 0o666, after }],
            by_hand: by_hand.map(str::to_owned),
        };
        let all = [fix("a", 0o644, None), fix("b", 0o644, None), fix("c", 0o660, None), fix("d", 0, Some("a person decides"))];
        assert_eq!(steps(&all), [Step::Mode { path: "/x".into(), uid: 0, before: 0o666, after: 0o640 }]);
    }
}
