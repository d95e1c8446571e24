//! Where the machine stands on the way. In comes the machine's files and its tools' answers, out comes `plan`'s ground. Never: changes
//! anything, decides.

use crate::{Error, Record, act, label};
use facts::Account;
use observe::Root;
use plan::selinux::{
    SelinuxPlan,
    login::{self, SEMANAGE, SERVICE, STAFF},
    way::{BOOT, CONFIG, Ground, PACKAGES},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

/// GRUB's settings.
const GRUB: &str = "/etc/default/grub";
/// Where packages and administrators add to them.
const GRUB_PARTS: &str = "/etc/default/grub.d";
/// What writes its menu.
const UPDATE_GRUB: [&str; 2] = ["/usr/sbin/update-grub", "/sbin/update-grub"];

/// This machine, which is to hold these modules, with the plan's places for files and its accounts; and these operators.
pub fn look(
    record: &Record,
    modules: &BTreeMap<String, String>,
    plan: &SelinuxPlan,
    operators: &BTreeSet<String>,
) -> Result<Ground, Error> {
    let places = &plan.places();
    let root = Root::machine();
    let mut ground = of_files(&root);
    ground.installed = act::installed()?;
    if ground.installed.len() == PACKAGES.len() {
        ground.modules = act::modules()?;
        if ground.runs() {
            ground.semanage = root.text(SEMANAGE).ok();
            map(&mut ground, plan, &accounts(&root)?, operators)?;
        }
    }
    let same = |name: &&String| std::fs::read_to_string(record.module(name)).is_ok_and(|kept| modules.get(*name) == Some(&kept));
    ground.stale = ground.modules.iter().filter(|m| modules.contains_key(*m)).filter(|m| !same(m)).cloned().collect();
    // Places of the site get another label with each load of modules, the rest of the machine once. Places first: their services wait.
    let (ever, since) = record.labelled()?;
    let rest = label::pieces(Path::new("/")).into_iter().filter(|p| !ever.contains(p) && !places.contains(p));
    ground.unlabelled = places.iter().filter(|p| !since.contains(*p)).cloned().chain(rest).collect();
    Ok(ground)
}

/// Accounts of a machine, with what is known of who can log in.
pub fn accounts(root: &Root) -> Result<Vec<Account>, Error> {
    Ok(observe::account::accounts(root, &mut Vec::new(), &mut Vec::new())?)
}

fn map(ground: &mut Ground, plan: &SelinuxPlan, accounts: &[Account], operators: &BTreeSet<String>) -> Result<(), Error> {
    let (there, _) = act::logins()?;
    ground.unmapped = login::missing(plan, accounts, operators, &there);
    ground.shut_out = login::shut_out(&ground.unmapped, accounts);
    ground.operators = there.iter().filter(|(_, u)| u.user == STAFF).map(|(login, _)| login.clone()).collect();
    let homes = |user: &str| {
        let mapped = accounts.iter().filter(|a| ground.unmapped.get(&a.name).is_some_and(|u| u.user == user));
        mapped.map(|a| a.home.clone()).filter(|h| h.len() > 1).collect()
    };
    (ground.homes, ground.held) = (homes(STAFF), homes(SERVICE));
    Ok(())
}

/// What the files of a machine say.
pub fn of_files(root: &Root) -> Ground {
    let text = |path: &str| root.text(path).ok();
    let list = |path: &str| text(path).unwrap_or_default();
    let release = list("/proc/sys/kernel/osrelease").trim().to_owned();
    let parts = root.entries(GRUB_PARTS).into_iter().filter(|(name, _)| name.to_string_lossy().ends_with(".cfg"));
    let settings: Vec<String> =
        [GRUB.to_owned()].into_iter().chain(parts.map(|(_, path)| path.display().to_string())).filter_map(|p| text(&p)).collect();
    let says = |t: &String| t.lines().any(|l| l.trim_start().starts_with("GRUB_CMDLINE_LINUX") && l.contains(BOOT));
    let enforced = |l: &str| Some(l.strip_suffix(" (enforce)")?.to_owned());
    Ground {
        active: list("/sys/kernel/security/lsm").trim().split(',').filter(|l| !l.is_empty()).map(str::to_owned).collect(),
        built_in: observe::system::selinux_built_in(root, &release),
        boot_line: settings.iter().any(says),
        grub: UPDATE_GRUB.iter().any(|p| root.at(p).exists()),
        parts: root.at(GRUB_PARTS).is_dir(),
        apparmor: list("/sys/kernel/security/apparmor/profiles").lines().filter_map(enforced).collect(),
        config: text(CONFIG),
        enforcing: list("/sys/fs/selinux/enforce").trim() == "1",
        ..Ground::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_plain_debian_and_a_prepared_one() {
        let dir = tempfile::tempdir().expect("directory");
        let put = |path: &str, text: &str| {
            let path = dir.path().join(path);
            fs::create_dir_all(path.parent().expect("a directory")).expect("makes");
            fs::write(path, text).expect("writes");
        };
        put("proc/sys/kernel/osrelease", "6.1.0-x\n");
        put("boot/config-6.1.0-x", "CONFIG_SECURITY=y\nCONFIG_SECURITY_SELINUX=y\n");
        put("sys/kernel/security/lsm", "lockdown,capability,apparmor\n");
        put("sys/kernel/security/apparmor/profiles", "/usr/sbin/chronyd (enforce)\nman_filter (complain)\n");
        put("etc/default/grub", "GRUB_CMDLINE_LINUX=\"quiet\"\n# GRUB_CMDLINE_LINUX=\"security=selinux\"\n");
        put("usr/sbin/update-grub", "");
        let g = of_files(&Root::tree(dir.path()));
        assert_eq!((g.built_in, g.boot_line, g.grub, g.parts, g.runs(), g.config), (Some(true), false, true, false, false, None));
        assert_eq!((g.active.len(), g.apparmor), (3, ["/usr/sbin/chronyd".to_owned()].into()));
        put("etc/default/grub.d/ravelin-selinux.cfg", "GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX security=selinux\"\n");
        put("sys/kernel/security/lsm", "lockdown,capability,selinux");
        put("sys/fs/selinux/enforce", "1");
        put("etc/selinux/config", "SELINUX=permissive\n");
        let g = of_files(&Root::tree(dir.path()));
        assert!(g.boot_line && g.runs() && g.enforcing && g.parts && !g.enforcing_at_boot());
        put("boot/config-6.1.0-x", "# CONFIG_SECURITY_SELINUX is not set\n");
        assert_eq!(of_files(&Root::tree(dir.path())).built_in, Some(false));
    }
}
