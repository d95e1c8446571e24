//! AUD026: tokens and passwords in argv.

use super::prelude::*;

/// The rule.
pub const RULE: Rule = Rule {
    code: Code("AUD026"),
    title: "a secret stands in the arguments of a process",
    risk: Risk::Medium,
    needs: &[Source::Processes],
    means: "arguments are readable by every account through /proc",
    fix: "give it in a file of mode 0600 or in the environment; or mount /proc with hidepid=2",
    reference: None,
    check,
};

fn check(view: &View) -> Vec<Seen> {
    let told: Vec<(&facts::Process, &String)> =
        view.facts.processes.iter().filter_map(|p| Some((p, p.argv.iter().find(|a| a.contains("[redacted: "))?))).collect();
    told.into_iter().map(|(p, a)| Seen::new(&p.comm, format!("pid {}: {a}", p.pid))).collect()
}
