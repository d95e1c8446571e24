//! su: lines of PAM by which an account becomes root without a password, and the group without which nobody may try one. In come
//! accounts and lines, out come changes. Never: a change after which an administrator could not become root any more.

use super::{
    Fix,
    edit::{Edit, How, Syntax},
    is_person, is_service,
    step::Step,
};
use crate::{
    edges::sudo,
    graph::Edge,
    machine::{Machine, lines},
    technique::Technique,
};
use facts::{Account, Group};
use sudoers::Answer;

/// PAM's rules for su.
const SU: &str = "/etc/pam.d/su";
/// Groups of administrators, the usual ones first.
const ADMINISTRATORS: [&str; 3] = ["wheel", "sudo", "admin"];

/// Whether this person becomes root through sudo, whatever su says.
fn has_sudo(m: &Machine, person: &Account) -> bool {
    let root = m.facts.accounts.iter().find(|a| a.uid == 0);
    root.is_some_and(|r| m.policy.may(&m.who(person), &m.who(r), &sudo::place(m)).answer == Answer::Yes)
}

/// Closes a line that lets the account through.
pub(super) fn fix(m: &Machine, e: &Edge, account: &str) -> Option<Fix> {
    let place = e.evidence.first()?;
    let (path, line) = (place.file.as_deref()?, place.line?);
    let what = format!("{path}:{line}: {}: keep {account} out", place.seen);
    let out = |steps: Vec<Step>, by_hand: Option<&str>| {
        Some(Fix { what: what.clone(), technique: Some(Technique::Su), steps, by_hand: by_hand.map(str::to_owned) })
    };
    let found = m.account(account)?;
    if !is_service(m, found) {
        return out(Vec::new(), Some("the account may be a person's"));
    }
    if place.seen.contains("pam_wheel.so") {
        let group = place.seen.split_whitespace().find_map(|w| w.strip_prefix("group=")).unwrap_or("wheel");
        let listed = m.facts.groups.iter().any(|g| g.name == group && g.gid != found.gid && g.members.contains(&found.name));
        return if listed && !place.seen.contains("deny") {
            out(vec![Step::Member { account: account.to_owned(), group: group.to_owned(), leaves: true }], None)
        } else {
            out(Vec::new(), Some("the account is in the group by itself, or the line lets everybody else in"))
        };
    }
    let people: Vec<&Account> = m.facts.accounts.iter().filter(|a| is_person(m, a)).collect();
    let safe = people.iter().any(|p| has_sudo(m, p));
    let seen = m.text(path).and_then(|f| lines(f).find(|(n, _)| *n == line).map(|(_, l)| l.to_owned()))?;
    let edits = vec![Edit { line, seen, how: How::Comment }];
    let step = Step::Edit { path: path.to_owned(), syntax: Syntax::Plain, edits, made: true };
    let why = if !e.certain {
        Some("what its program decides is not known")
    } else if !safe {
        Some("no administrator is known who becomes root another way")
    } else {
        None
    };
    out(vec![step], why)
}

/// Asks for a group of administrators before su asks for a password, where such a group stands and every person is in it.
pub(super) fn wheel(m: &Machine) -> Option<Fix> {
    let file = m.text(SU)?;
    if lines(file).any(|(_, l)| l.contains("pam_wheel.so")) {
        return None;
    }
    let (line, seen) = lines(file).find(|(_, l)| l.starts_with("auth") && l.contains("sufficient") && l.contains("pam_rootok.so"))?;
    let people: Vec<&Account> = m.facts.accounts.iter().filter(|a| is_person(m, a)).collect();
    let inside = |g: &Group, a: &Account| a.gid == g.gid || g.members.contains(&a.name);
    let fits = |g: &&Group| {
        people.iter().any(|p| inside(g, p))
            && people.iter().all(|p| inside(g, p))
            && m.facts.accounts.iter().filter(|a| inside(g, a)).all(|a| is_person(m, a))
    };
    let group = ADMINISTRATORS.iter().find_map(|name| m.facts.groups.iter().find(|g| g.name == *name).filter(fits));
    let what = "su asks for a group of administrators before it asks for a password".to_owned();
    let (steps, by_hand) = match group {
        Some(g) => {
            let how = How::After(format!("auth required pam_wheel.so use_uid group={}", g.name));
            let edits = vec![Edit { line, seen: seen.to_owned(), how }];
            (vec![Step::Edit { path: SU.to_owned(), syntax: Syntax::Plain, edits, made: true }], None)
        }
        None => (Vec::new(), Some("no group holds every person of this machine and nobody else: choose who may use su".to_owned())),
    };
    Some(Fix { what, technique: Some(Technique::Su), steps, by_hand })
}
