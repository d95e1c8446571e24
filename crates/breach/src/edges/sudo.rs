//! sudo: which accounts and groups an account may take, and whether what it may run lets go of them. In comes the policy, out
//! come edges with the granting line.

use super::{edge, program};
use crate::{
    graph::{Edge, Evidence, Node},
    machine::Machine,
    technique::Technique,
};
use facts::{Account, Source};
use sudoers::{
    Answer, Grant, Ruling,
    form::{Arguments, Command},
};

/// The machine as the policy's host lists name it.
pub(crate) fn place(m: &Machine) -> sudoers::Machine {
    let addresses = m.facts.interfaces.iter().flat_map(|i| i.addresses.iter().copied()).collect();
    sudoers::Machine { host: m.facts.host.clone(), addresses }
}

pub(crate) fn edges(m: &Machine, account: &Account, out: &mut Vec<Edge>) {
    if m.facts.sudoers.is_empty() {
        return;
    }
    let place = place(m);
    let me = m.who(account);
    // Root first; other accounts only where root is not certain, else they add nothing.
    let mut root_is_certain = false;
    // Accounts that were not read do not make root go away.
    let root = Account { name: "root".into(), ..Account::default() };
    let missing = (!m.facts.accounts.iter().any(|a| a.uid == 0)).then_some(&root);
    for target in missing.into_iter().chain(&m.facts.accounts).filter(|t| t.name != account.name) {
        if target.uid != 0 && root_is_certain {
            continue;
        }
        let ruling = m.policy.may(&me, &m.who(target), &place);
        let found = judge(m, account, &ruling, m.runner(target.uid), Technique::Sudo);
        root_is_certain |= target.uid == 0 && found.as_ref().is_some_and(|e| e.certain);
        out.extend(found);
    }
    if root_is_certain {
        return;
    }
    for group in m.facts.groups.iter().filter(|g| super::group::how(&g.name).is_some()) {
        let ruling = m.policy.may_group(&me, &(group.name.clone(), group.gid), &place);
        out.extend(judge(m, account, &ruling, Node::Group(group.name.clone()), Technique::SudoGroup));
    }
}

fn judge(m: &Machine, account: &Account, ruling: &Ruling, to: Node, technique: Technique) -> Option<Edge> {
    if ruling.answer == Answer::No {
        return None;
    }
    let judged: Vec<(bool, &Grant, String)> =
        ruling.grants.iter().filter_map(|g| usable(m, account, g).map(|(c, why)| (c, g, why))).collect();
    if judged.is_empty() {
        // Lines that did not read are the policy's trouble, reported once, not an edge of every account.
        return None;
    }
    let certain = judged.iter().any(|(c, ..)| *c);
    let mut evidence: Vec<Evidence> = Vec::new();
    for (_, grant, why) in judged.iter().filter(|(c, ..)| *c == certain) {
        let text = m.facts.sudoers.iter().find(|l| l.file == grant.place.file && l.line == grant.place.line);
        let line = text.map_or(grant.text.as_str(), |l| l.text.as_str());
        let one = Evidence::new(format!("sudoers: {line} ({why})")).at(&grant.place.file, grant.place.line);
        if evidence.len() < super::MOST_EVIDENCE && !evidence.contains(&one) {
            evidence.push(one);
        }
    }
    Some(edge(account, to, technique, certain && m.facts.saw(Source::Sudoers), evidence))
}

/// Whether a grant lets go of the target, and why; `None` where it certainly cannot be used.
fn usable(m: &Machine, account: &Account, grant: &Grant) -> Option<(bool, String)> {
    let (opens, what) = match &grant.command {
        Command::All => (true, "any program".to_owned()),
        Command::Edit(Arguments::Any) => (true, "edits any file".to_owned()),
        Command::Edit(_) => (false, "edits files: whether more than the named ones is not known".to_owned()),
        Command::Path(path, arguments) => {
            let program = path.trim_end_matches('*').trim_end_matches('/');
            if grant.environment {
                (true, "the caller chooses the environment the program loads from".to_owned())
            } else if let Some(hold) = m.holds(account, program).into_iter().find(|h| h.certain) {
                (true, format!("{path} can be changed by it: {} {}", hold.at, hold.how))
            } else if program::escapes(path) && *arguments == Arguments::Any && !grant.noexec {
                (true, "a program that runs or writes what its caller wants".to_owned())
            } else {
                (false, "what this program lets its caller do is not known".to_owned())
            }
        }
        _ => (false, "which programs this means is not known".to_owned()),
    };
    let (free, password) = match (grant.password, grant.others_password, account.password) {
        (Answer::No, ..) => (true, "no password"),
        (_, Answer::Yes | Answer::Unknown, _) => (false, "asks for a password, perhaps another account's"),
        // Without a password of its own the question cannot be answered, unless PAM is made to let it through.
        (Answer::Yes, Answer::No, Some(false)) if !lenient(m) => return None,
        (Answer::Yes, Answer::No, Some(true)) => (false, "asks for its password"),
        _ => (false, "whether a password is asked for, and whether it has one, is not known"),
    };
    Some((grant.certain && opens && free, format!("{password}; {what}")))
}

/// PAM may let sudo through without a password.
fn lenient(m: &Machine) -> bool {
    let files = ["/etc/pam.d/sudo", "/etc/pam.d/common-auth", "/etc/pam.d/system-auth"];
    let doubtful = ["pam_permit", "nullok", "pam_ssh_agent_auth", "pam_exec", "pam_python", "pam_succeed_if", "pam_listfile", "pam_rhosts"];
    // `pam_permit` as the last line of Debian's common-auth only ends a stack whose gate stands above it.
    let counts = |path: &str, word: &str| !(["pam_permit", "nullok"].contains(&word) && path.ends_with("-auth"));
    files.iter().filter_map(|p| m.text(p)).any(|f| {
        crate::machine::lines(f).any(|(_, l)| l.starts_with("auth") && doubtful.iter().any(|d| l.contains(d) && counts(&f.path, d)))
    })
}
