//! What the observer should look at for the closure: configuration with its text, and paths with every directory above them. In
//! come tables and, for paths, the facts of a first look.

use crate::{
    edges::{cron, group, linker, logrotate, places, program, unit},
    machine::lines,
};
use facts::Facts;
use std::collections::BTreeSet;

/// A file whose text is wanted; `*` as a whole part is every entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// Path or pattern.
    pub path: &'static str,
}

const TEXTS: [&str; 26] = [
    "/etc/crontab",
    "/etc/anacrontab",
    "/etc/cron.d/*",
    "/var/spool/cron/crontabs/*",
    "/etc/pam.d/su",
    "/etc/pam.d/su-l",
    "/etc/pam.d/runuser",
    "/etc/pam.d/sudo",
    "/etc/pam.d/common-auth",
    "/etc/pam.d/system-auth",
    "/etc/polkit-1/rules.d/*",
    "/usr/share/polkit-1/rules.d/*",
    "/run/polkit-1/rules.d/*",
    "/etc/polkit-1/localauthority/*/*",
    "/var/lib/polkit-1/localauthority/*/*",
    "/usr/share/polkit-1/actions/*",
    "/etc/logrotate.conf",
    "/etc/logrotate.d/*",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d/*",
    "/etc/ld.so.preload",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d/*",
    "/var/lib/systemd/linger/*",
    "/etc/cron.allow",
    "/etc/at.allow",
];

/// Files whose text is wanted.
pub fn wanted() -> Vec<Wanted> {
    TEXTS.into_iter().map(|path| Wanted { path }).collect()
}

/// Paths to look at, sorted: fixed ones, and those that units, cron tables, homes and secrets of a first look name. One that
/// ends in `/*` is every entry of a directory.
pub fn wanted_paths(facts: &Facts) -> Vec<String> {
    let mut out: BTreeSet<String> = BTreeSet::new();
    let mut both = |p: &str| {
        out.insert(p.to_owned());
        out.insert(format!("{p}/*"));
    };
    let directories = places::PATH.into_iter().chain(places::OBEYED).chain(cron::SCRIPTS).chain(cron::TABLES);
    directories.chain(unit::DIRECTORIES).chain(["/etc/profile.d", "/dev", "/etc/logrotate.d"]).for_each(&mut both);
    out.extend(places::PROFILES.into_iter().chain(linker::PLACES).chain(group::LOOKED_AT).map(str::to_owned));
    out.insert("/etc/logrotate.conf".into());
    let absolute = |p: &str| p.starts_with('/') && !p.contains(['%', '$', '*']);
    for u in &facts.units {
        out.extend(u.files.iter().cloned());
        for d in u.directives.iter().filter(|d| d.section == "Service") {
            if d.key.starts_with("Exec") {
                let command = d.value.trim_start_matches(['-', '@', ':', '+', '!', '|']);
                out.extend(program::started(command).into_iter().filter(|p| absolute(p)));
            } else if d.key == "EnvironmentFile" {
                out.extend(Some(d.value.trim_start_matches('-').to_owned()).filter(|p| absolute(p)));
            }
        }
    }
    for f in &facts.files {
        if !f.secrets.is_empty() {
            out.insert(f.path.clone());
        }
        let commands = ["/etc/cron", "/etc/crontab", "/var/spool/cron", "/etc/logrotate", "/etc/ld.so"];
        if commands.iter().any(|c| f.path.starts_with(c)) {
            for (_, line) in lines(f) {
                for word in line.split([' ', '\t', '"', '\'', ';', '|', '&', '(', ')', ':', ',']).filter(|w| absolute(w) && w.len() > 1) {
                    out.insert(word.trim_end_matches('/').to_owned());
                    // A log's directory decides, not the log.
                    out.extend(word.rsplit_once('/').filter(|(d, _)| !d.is_empty()).map(|(d, _)| d.to_owned()));
                }
                for word in line.split_whitespace().filter(|w| w.starts_with('/') && w.contains('*')) {
                    out.extend(Some(logrotate::directory(word)).filter(|d| absolute(d)).map(str::to_owned));
                }
            }
        }
    }
    for a in facts.accounts.iter().filter(|a| a.home.len() > 1 && absolute(&a.home)) {
        let home = a.home.trim_end_matches('/');
        out.insert(home.to_owned());
        if a.has_login_shell() {
            let own = places::OWN_PROFILES.iter().chain(&[".ssh/authorized_keys", ".ssh/authorized_keys2"]);
            out.extend(own.map(|n| format!("{home}/{n}")));
        }
    }
    let programs = facts.sudoers.iter().flat_map(|l| l.text.split([' ', '\t', ',', '=', '!', ':']));
    out.extend(programs.filter(|w| absolute(w) && w.len() > 1).map(|w| w.trim_end_matches('/').to_owned()));
    out.extend(facts.sweep.iter().flat_map(|s| &s.found).map(|f| f.path.clone()));
    out.remove("");
    out.into_iter().collect()
}
