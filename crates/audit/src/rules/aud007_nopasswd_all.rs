//! AUD007: sudoers lines that grant ALL with NOPASSWD.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD007"),
    title: "sudo without password, for every command",
    risk: Risk::Medium,
    needs: &[Source::Sudoers],
    means: "a stolen session or key of that account is root at once",
    fix: "ask for the password, or name the few commands that need no password",
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let lines = view.facts.sudoers.iter().filter(|l| {
        let text = l.text.trim();
        let (_, commands) = text.split_once("NOPASSWD:").unwrap_or(("", ""));
        commands.split(',').any(|c| c.split_whitespace().last() == Some("ALL")) && text.split_whitespace().next() != Some("root")
    });
    lines
        .map(|l| {
            let who = l.text.split_whitespace().next().unwrap_or_default();
            Seen::new(who, format!("sudoers: {}", l.text)).at(&l.file, l.line)
        })
        .collect()
}
