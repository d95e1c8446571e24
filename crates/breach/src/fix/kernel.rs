//! Kernel settings that help on ways up. In come settings and whether processes share an account, out come tighter values that can be
//! taken back, for now and from every boot on. Never: a setting that holds until the next boot once it is made.

use super::{Fix, step::Step};
use crate::{machine::Machine, technique::Technique};

/// Settings: name, values that are loose, the tight one, what it does to people.
const SETTINGS: [(&str, &[&str], &str, &str); 3] = [
    ("kernel.yama.ptrace_scope", &["0"], "1", "a debugger attaches to its own children alone"),
    ("kernel.unprivileged_bpf_disabled", &["0"], "2", "root alone loads BPF programs"),
    ("fs.protected_symlinks", &["0"], "1", "links in sticky directories are followed by their owner alone"),
];
/// Where services share an account even a process's own child is too much.
const SHARED: (&str, &[&str], &str, &str) = ("kernel.yama.ptrace_scope", &["0", "1"], "2", "root alone attaches a debugger");

/// Steps for one setting: the file that holds from the next boot on, and the value now.
fn steps(name: &str, before: &str, after: &str) -> Vec<Step> {
    // After everything else in the directory, the operator's `99-` included.
    let path = format!("/etc/sysctl.d/zz-ravelin-{name}.conf");
    let content = format!("# Written by ravelin harden.\n{name} = {after}\n");
    let file = Step::File { path, mode: 0o644, content, there: true };
    vec![file, Step::Setting { name: name.to_owned(), before: before.to_owned(), after: after.to_owned() }]
}

fn one(m: &Machine, (name, loose, tight, means): (&str, &[&str], &str, &str), technique: Option<Technique>) -> Option<Fix> {
    let value = m.facts.sysctls.get(name)?.trim();
    loose.contains(&value).then(|| Fix {
        what: format!("{name} = {tight}: {means}"),
        technique,
        steps: steps(name, value, tight),
        by_hand: None,
    })
}

/// Where services under one account trace each other.
pub(super) fn tracing(m: &Machine) -> Option<Fix> {
    one(m, SHARED, Some(Technique::Ptrace))
}

/// All others.
pub(super) fn loose(m: &Machine, shared: bool) -> Vec<Fix> {
    SETTINGS.into_iter().filter(|(name, ..)| !(shared && *name == SHARED.0)).filter_map(|s| one(m, s, None)).collect()
}
