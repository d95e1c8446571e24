//! What would close each way, as data: typed steps with the state before them, and what is left to people with the reason. In comes a
//! closure, out come fixes. Never: runs anything; proposes to touch an administrator's account.
//!
//! | module | what it closes |
//! |---|---|
//! | [`step`] | one change, its command, its difference, its way back |
//! | [`edit`] | changes to lines of a text |
//! | `place` | owners, modes, set-id bits, capabilities |
//! | `policy` | sudo's policy |
//! | `su` | PAM's rules for su |
//! | `polkit` | polkit's rules |
//! | `lines` | logrotate's blocks, libraries every program loads |
//! | `kernel` | settings |

pub mod edit;
mod kernel;
mod lines;
mod place;
mod policy;
mod polkit;
pub mod step;
mod su;
#[cfg(test)]
mod tests;

pub use step::Step;

use crate::{
    graph::{Closure, Edge, Node},
    machine::Machine,
    technique::Technique,
};
use facts::Account;
use serde::Serialize;
use std::collections::BTreeSet;

/// One thing to change.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Fix {
    /// What it does, in words.
    pub what: String,
    /// The technique it closes; `None` for what helps on many.
    pub technique: Option<Technique>,
    /// Steps in order; where people must decide, what they would be.
    pub steps: Vec<Step>,
    /// Why it is not done by itself, where it is not.
    pub by_hand: Option<String>,
}

/// Accounts below this uid belong to services and distribution (Debian's and RHEL's `SYS_UID_MAX`, plus one).
const FIRST_PERSON: u32 = 1000;
/// `nobody`, and what stands for unknown accounts of other machines.
const NOBODY: u32 = 65534;

/// An account that somebody may log in as.
fn is_person(_: &Machine, a: &Account) -> bool {
    a.uid >= FIRST_PERSON && a.uid != NOBODY && a.has_login_shell()
}

/// An account that is a service's and nobody's besides.
fn is_service(m: &Machine, a: &Account) -> bool {
    a.uid != 0 && m.services.contains_key(a.name.as_str()) && !is_person(m, a)
}

/// A fix for every edge that lies on a way of a service account, and for settings that help on many.
pub fn fixes(m: &Machine, closure: &Closure) -> Vec<Fix> {
    let on_ways: BTreeSet<usize> = closure.accounts.iter().flat_map(|a| &a.ways).flat_map(|w| &w.steps).copied().collect();
    let edges: Vec<&Edge> = on_ways.into_iter().filter_map(|s| closure.edges.get(s)).collect();
    let by_sudo = |e: &&&Edge| matches!(e.technique, Technique::Sudo | Technique::SudoGroup);
    let from_sudo: BTreeSet<&str> = edges.iter().filter(by_sudo).filter_map(|e| account(&e.from)).collect();
    let mut out: Vec<Fix> = if from_sudo.is_empty() { Vec::new() } else { policy::fixes(m, &from_sudo) };
    // A place that is only dangerous by a line of somebody else's is closed there.
    let by_line = |path: &str| {
        let mut onward = edges.iter().filter(|e| matches!(&e.from, Node::File(p) if p == path)).peekable();
        onward.peek().is_some() && onward.all(|e| lines::fix(m, e).is_some())
    };
    for e in edges.iter().filter(|e| !by_sudo(e)) {
        match (&e.from, &e.to, e.technique) {
            (Node::File(_), ..) => out.extend(lines::fix(m, e)),
            (Node::Account(_), Node::File(path), Technique::Write) if by_line(path) => {}
            _ => out.extend(of_edge(m, e)),
        }
    }
    if !closure.accounts.is_empty() {
        let shared = out.iter().any(|f| f.technique == Some(Technique::Ptrace));
        out.extend(kernel::loose(m, shared));
        out.extend(su::wheel(m));
    }
    out.sort();
    out.dedup();
    out
}

fn account(node: &Node) -> Option<&str> {
    match node {
        Node::Account(name) => Some(name),
        _ => None,
    }
}

/// Steps of all fixes that are done by themselves, each path changed once.
pub fn steps(fixes: &[Fix]) -> Vec<Step> {
    let mut out: Vec<Step> = Vec::new();
    for step in fixes.iter().filter(|f| f.by_hand.is_none()).flat_map(|f| &f.steps) {
        step::add(&mut out, step);
    }
    out
}

/// What closes one edge; `None` where another edge of its way is the one to close.
pub fn of_edge(m: &Machine, e: &Edge) -> Option<Fix> {
    let Node::Account(name) = &e.from else { return lines::fix(m, e) };
    let by_hand =
        |what: String, why: &str| Some(Fix { what, technique: Some(e.technique), steps: Vec::new(), by_hand: Some(why.to_owned()) });
    match (&e.to, e.technique) {
        (Node::Group(group), Technique::Member) => {
            let found = m.account(name)?;
            let primary = m.facts.groups.iter().any(|g| g.name == *group && g.gid == found.gid);
            if !is_service(m, found) {
                return by_hand(format!("take {name} out of group {group}"), "the account may be a person's");
            }
            if primary || !m.facts.groups.iter().any(|g| g.name == *group && g.members.contains(name)) {
                return by_hand(format!("take {name} out of group {group}"), "it comes from the account's own group or from a unit");
            }
            Some(Fix {
                what: format!("take {name} out of group {group}; its processes keep it until they start again"),
                technique: Some(e.technique),
                steps: vec![Step::Member { account: name.clone(), group: group.clone(), leaves: true }],
                by_hand: None,
            })
        }
        (Node::File(path) | Node::Socket(path), Technique::Write) => place::tighten(m, e, name, path),
        (Node::Secret(path), Technique::ReadSecret) if path.starts_with('/') => {
            let f = m.paths.end(path)?;
            let (after, by_hand) = place::narrowed(m, name, f, 0o007, 0o070);
            let what = format!("keep {name} from reading {path}");
            Some(Fix { what, technique: Some(e.technique), steps: vec![place::change(f, after)], by_hand })
        }
        (_, Technique::SetId | Technique::FileCapability) => place::program(m, e),
        (_, Technique::Sudo | Technique::SudoGroup) => policy::fixes(m, &BTreeSet::from([name.as_str()])).into_iter().next(),
        (_, Technique::Su) => su::fix(m, e, name),
        (_, Technique::Polkit) => polkit::fix(m, e, name),
        (_, Technique::Ptrace) => kernel::tracing(m).or_else(|| by_hand(e.technique.close().to_owned(), "the service's account changes")),
        (_, Technique::ProcessCapability) => by_hand(
            e.technique.close().to_owned(),
            "which capability the service needs its unit says: `ravelin plan` writes one with no more",
        ),
        (_, Technique::SharedAccount) => {
            by_hand(format!("{}: {e}", e.technique.close(), e = e.to), "a service moves with its files: `ravelin adopt`")
        }
        _ => None,
    }
}

/// Fixes for people: what is done by itself with its difference, then what is left to them.
pub fn text(fixes: &[Fix]) -> String {
    let mut out = String::new();
    for f in fixes.iter().filter(|f| f.by_hand.is_none()) {
        let id = f.technique.map_or("weakness", Technique::id);
        out += &format!("{} ({id})\n", f.what);
        for s in &f.steps {
            out += &format!("    {}\n", s.command());
            s.difference().iter().for_each(|d| out += &format!("        {d}\n"));
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
