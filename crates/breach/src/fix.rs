//! What would close each way, as data: commands to show and to run, the state to record before, and what is left to people with
//! the reason. In comes a closure, out come fixes. Never: runs anything; proposes to touch an administrator's account.

use crate::{
    graph::{Closure, Edge, Node},
    machine::Machine,
    technique::Technique,
};
use serde::Serialize;
use std::collections::BTreeSet;

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fix {
    /// What it does, in words.
    pub what: String,
    /// The technique it closes.
    pub technique: Technique,
    /// Commands with their arguments, in order; empty where people must decide.
    pub commands: Vec<Vec<String>>,
    /// Commands that put the present state back.
    pub undo: Vec<Vec<String>>,
    /// Why it is not done by itself, where it is not.
    pub by_hand: Option<String>,
}

/// Programs that stay as they are until their replacement stands, with the reason.
const KEPT: [(&str, &str); 1] =
    [("nvidia-modprobe", "GPU device nodes are made through it: first a unit that makes them before the services start")];

/// Accounts below this uid belong to services and distribution (Debian's and RHEL's `SYS_UID_MAX`, plus one).
const FIRST_PERSON: u32 = 1000;

/// A fix for every edge that lies on a way of a service account.
pub fn fixes(machine: &Machine, closure: &Closure) -> Vec<Fix> {
    let on_ways: BTreeSet<usize> = closure.accounts.iter().flat_map(|a| &a.ways).flat_map(|w| &w.steps).copied().collect();
    let mut out: Vec<Fix> = on_ways.into_iter().filter_map(|s| closure.edges.get(s)).filter_map(|e| fix(machine, e)).collect();
    out.sort();
    out.dedup();
    out
}

fn command(words: &[&str]) -> Vec<String> {
    words.iter().map(|w| (*w).to_owned()).collect()
}

fn fix(m: &Machine, e: &Edge) -> Option<Fix> {
    let by_hand = |what: String, why: &str| {
        Some(Fix { what, technique: e.technique, commands: Vec::new(), undo: Vec::new(), by_hand: Some(why.to_owned()) })
    };
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
                what: format!("take {account} out of group {group}"),
                technique: e.technique,
                commands: vec![command(&["gpasswd", "-d", account, group])],
                undo: vec![command(&["gpasswd", "-a", account, group])],
                by_hand: None,
            })
        }
        (Node::Account(_), Node::File(path) | Node::Socket(path), Technique::Write) => tighten(m, e, path),
        (Node::Account(_), Node::Secret(path), Technique::ReadSecret) if path.starts_with('/') => {
            let f = m.paths.end(path)?;
            let mode = f.mode & !0o077;
            Some(Fix {
                what: format!("let the owner alone read {path}"),
                technique: e.technique,
                commands: vec![command(&["chmod", &format!("{mode:04o}"), &f.path])],
                undo: vec![command(&["chmod", &format!("{:04o}", f.mode), &f.path])],
                by_hand: (!f.acl.is_empty()).then(|| "it has an access list".to_owned()),
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
                commands: vec![command(&["chmod", &format!("{:04o}", f.mode & 0o777), path])],
                undo: vec![command(&["chmod", &format!("{:04o}", f.mode), path])],
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

/// Write permission of group and others goes; a file in another account's hands is given to root by people.
fn tighten(m: &Machine, e: &Edge, path: &str) -> Option<Fix> {
    let f = m.paths.get(path).filter(|f| f.state == facts::PathState::Seen)?;
    let Node::Account(account) = &e.from else { return None };
    let what = format!("keep {account} from changing {path}");
    let owned = m.account(account).is_some_and(|a| a.uid == f.uid);
    let mode = f.mode & !0o022;
    let by_hand = if owned {
        Some("the account owns it: whether the service writes it is not known".to_owned())
    } else if !f.acl.is_empty() {
        Some("it has an access list".to_owned())
    } else if ["/tmp", "/var/tmp", "/dev/shm"].contains(&path) {
        Some("a shared directory: set its sticky bit by hand".to_owned())
    } else {
        None
    };
    Some(Fix {
        what,
        technique: e.technique,
        commands: vec![command(&["chmod", &format!("{mode:04o}"), path])],
        undo: vec![command(&["chmod", &format!("{:04o}", f.mode), path])],
        by_hand,
    })
}
