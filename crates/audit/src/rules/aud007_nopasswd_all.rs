//! AUD007: sudoers lines that grant every command as root without a password, aliases and tags resolved.

use super::prelude::*;
use sudoers::{
    Policy,
    form::{Command, Name, Signed, Spec},
};

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD007"),
    title: "sudo without password, for every command",
    risk: Risk::Medium,
    needs: &[Source::Sudoers],
    means: "a stolen session or key of that account is root at once",
    fix: "ask for the password, or name the few commands that need no password",
    reference: Some("CIS Debian Linux 12 Benchmark 5.2.4"),
    check,
};

/// How deep aliases are followed.
const DEEPEST: u32 = 16;

fn check(view: &View) -> Vec<Seen> {
    let policy = Policy::read(&view.facts.sudoers);
    let mut out = Vec::new();
    for spec in &policy.specs {
        let root_alone = spec.users.iter().all(|u| matches!(&u.item, Name::Word(w) if w == "root") || u.item == Name::Id(0));
        let granted = spec.privileges.iter().flat_map(|p| &p.specs).any(|s| s.nopasswd == Some(true) && everything(&policy, s) && root(s));
        if granted && !root_alone {
            let line = view.facts.sudoers.iter().find(|l| l.file == spec.place.file && l.line == spec.place.line);
            let text = line.map_or("", |l| l.text.as_str());
            let who = text.split_whitespace().next().unwrap_or_default();
            out.push(Seen::new(who, format!("sudoers: {text}")).at(&spec.place.file, spec.place.line));
        }
    }
    out
}

/// Root is not left out by name.
fn root(spec: &Spec) -> bool {
    !spec.myself && spec.users.as_ref().is_none_or(|users| !users.iter().any(|u| u.negated && u.item == Name::Word("root".into())))
}

fn everything(policy: &Policy, spec: &Spec) -> bool {
    all(policy, &spec.command, DEEPEST)
}

fn all(policy: &Policy, command: &Signed<Command>, depth: u32) -> bool {
    match &command.item {
        Command::All => !command.negated,
        Command::Alias(name) if depth > 0 && !command.negated => {
            policy.command_aliases.get(name).and_then(|m| m.last()).is_some_and(|(last, _)| all(policy, last, depth - 1))
        }
        _ => false,
    }
}
