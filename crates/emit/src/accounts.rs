//! `sysusers.d` and `tmpfiles.d`. In come a machine's accounts, groups, directories and modes, out come the texts that
//! systemd-sysusers and systemd-tmpfiles take. Accounts have no password and no shell. What is there already keeps its
//! owner: moving files to another account is a step of its own. Never: removes anything.

use bundle::file::NO_SHELL;
use plan::system::{FileAct, SystemPlan};
use std::fmt::Write as _;

const HEAD: &str = "# Written by ravelin; changes are reported as drift.\n";

/// `sysusers.d/ravelin.conf`.
pub fn sysusers(system: &SystemPlan) -> String {
    let mut out = String::from(HEAD);
    for (group, why) in &system.groups {
        let _ = writeln!(out, "# {}\ng {group} -", one_line(why));
    }
    for (name, account) in &system.accounts {
        let asks: Vec<String> = account.origins.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "# {}\nu {name} - \"{}\" {} {NO_SHELL}", one_line(&asks.join("; ")), account.what, account.home);
    }
    out
}

/// `tmpfiles.d/ravelin.conf`.
pub fn tmpfiles(system: &SystemPlan) -> String {
    let mut out = String::from(HEAD);
    for f in &system.files {
        let _ = writeln!(out, "# {}", one_line(&f.why));
        let _ = match f.act {
            // The colons: only what is made gets mode and owner.
            FileAct::Make => writeln!(out, "d {} :{:04o} :{} :{} -", f.path, f.mode, f.owner, f.group),
            FileAct::Tighten => writeln!(out, "z {} {:04o} - - -", f.path, f.mode),
            FileAct::Lend => writeln!(out, "z {} {:04o} - {} -", f.path, f.mode, f.group),
            FileAct::ShareWithGroup => writeln!(out, "a+ {} - - - - default:group::rwx,default:mask::rwx", f.path),
        };
    }
    out
}

/// The directories alone, for a move: what is there keeps its mode until it is recorded.
pub fn directories(system: &SystemPlan) -> String {
    tmpfiles(system).lines().filter(|l| l.starts_with("d ")).map(|l| format!("{l}\n")).collect()
}

/// A comment ends at its line's end.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
