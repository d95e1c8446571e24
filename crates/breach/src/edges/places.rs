//! Places root obeys: directories of its PATH with their programs, profile scripts, configuration of login, sudo, polkit, boot
//! and packages. In come tables and looked-at paths, out come triggers.

use super::Trigger;
use crate::{
    graph::{Evidence, Node},
    machine::Machine,
    technique::Technique,
};

/// Root's PATH where nothing else is set (login.defs, systemd, cron, sudo).
pub(crate) const PATH: [&str; 6] = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// What root or every login obeys.
pub(crate) const OBEYED: [&str; 34] = [
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/gshadow",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/sudo.conf",
    "/etc/pam.d",
    "/etc/security",
    "/etc/nsswitch.conf",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d",
    "/etc/polkit-1/rules.d",
    "/usr/share/polkit-1/rules.d",
    "/etc/polkit-1/localauthority",
    "/etc/dbus-1",
    "/etc/udev/rules.d",
    "/etc/modprobe.d",
    "/etc/modules-load.d",
    "/etc/sysctl.d",
    "/etc/tmpfiles.d",
    "/etc/init.d",
    "/etc/rc.local",
    "/etc/apt",
    "/etc/apt/apt.conf.d",
    "/etc/network",
    "/etc/network/if-up.d",
    "/etc/update-motd.d",
    "/etc/kernel/postinst.d",
    "/etc/docker/daemon.json",
    "/etc/fstab",
    "/boot",
    "/lib/modules",
    "/root",
];

/// Scripts of root's and everybody's logins.
pub(crate) const PROFILES: [&str; 9] = [
    "/etc/profile",
    "/etc/profile.d",
    "/etc/bash.bashrc",
    "/etc/bashrc",
    "/etc/environment",
    "/root/.bashrc",
    "/root/.profile",
    "/root/.bash_profile",
    "/root/.ssh",
];

/// Files of an account's own login, below its home.
pub(crate) const OWN_PROFILES: [&str; 4] = [".profile", ".bashrc", ".bash_profile", ".config/systemd/user"];

pub(super) fn triggers(m: &Machine, out: &mut Vec<Trigger>) {
    let seen = |p: &str| m.paths.get(p).is_some_and(|f| f.state == facts::PathState::Seen);
    for directory in PATH {
        out.push(Trigger::new(directory, Node::Root, Technique::Path, Evidence::new("in root's PATH").at(directory, 0)));
        for program in m.paths.entries(directory) {
            let evidence = Evidence::new("a program in root's PATH").at(&program.path, 0);
            out.push(Trigger::new(&program.path, Node::Root, Technique::Path, evidence));
        }
    }
    for place in OBEYED {
        // sudo refuses what is not root's or what others may write, as long as nothing else lets a file become root's.
        let checked = place.starts_with("/etc/sudo");
        let what = if checked { "sudo obeys it, if it is root's and nobody else may write it" } else { "root obeys it" };
        let trigger = |path: &str| {
            let evidence = Evidence::new(what).at(path, 0);
            Trigger { certain: !checked, ..Trigger::new(path, Node::Root, Technique::Configuration, evidence) }
        };
        out.extend(seen(place).then(|| trigger(place)));
        out.extend(m.paths.entries(place).filter(|_| place != "/root").map(|file| trigger(&file.path)));
    }
    for place in PROFILES {
        if seen(place) {
            out.push(Trigger::new(place, Node::Root, Technique::Profile, Evidence::new("a login of root reads it").at(place, 0)));
        }
        for file in m.paths.entries(place) {
            out.push(Trigger::new(&file.path, Node::Root, Technique::Profile, Evidence::new("a login of root reads it").at(&file.path, 0)));
        }
    }
    for account in m.facts.accounts.iter().filter(|a| a.has_login_shell() && a.home.len() > 1) {
        for name in OWN_PROFILES {
            let path = format!("{}/{name}", account.home.trim_end_matches('/'));
            if seen(&path) {
                let evidence = Evidence::new(format!("a login of {} reads it", account.name)).at(&path, 0);
                out.push(Trigger::new(path, m.runner(account.uid), Technique::Profile, evidence));
            }
        }
    }
}
