//! The way from a Debian without SELinux to an enforcing one, a step at a time. In comes what the machine is now, out comes the next
//! step with its commands, what takes it back, and what it interrupts. Never: carries a step out, skips one, or goes on over
//! denials nobody has looked at.

use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Packages the policy and its tools come in.
pub const PACKAGES: [&str; 6] =
    ["auditd", "policycoreutils", "selinux-basics", "selinux-policy-default", "selinux-utils", "semanage-utils"];
/// Hours without a denial before a domain is enforced: one proving period, in which every deadline comes once.
pub const CLEAN_HOURS: u32 = 24;
/// What the kernel's command line gets. It replaces the list of security modules: AppArmor and SELinux exclude each other there.
pub const BOOT: &str = "security=selinux";

/// What a machine is on the way.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ground {
    /// Security modules the running kernel holds, in order.
    pub active: Vec<String>,
    /// The kernel has SELinux built in (`CONFIG_SECURITY_SELINUX=y`); `None` where that could not be read.
    pub built_in: Option<bool>,
    /// Of [`PACKAGES`], those installed.
    pub installed: BTreeSet<String>,
    /// The next boot's command line has [`BOOT`].
    pub boot_line: bool,
    /// Services of this machine that AppArmor confines now.
    pub apparmor_units: BTreeSet<String>,
    /// Files without a label, or with another one than the policy's, of those looked at; `None` before anybody looked.
    pub mislabelled: Option<u64>,
    /// The kernel refuses what the policy does not allow.
    pub enforcing: bool,
    /// `/etc/selinux/config` says enforcing.
    pub enforcing_at_boot: bool,
    /// Modules of Ravelin's that are loaded.
    pub modules: BTreeSet<String>,
    /// Domains of Ravelin's that are permissive, with hours since their last denial; `None`: never started.
    pub permissive: Vec<(String, Option<u32>)>,
}

/// One step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Short name.
    pub name: &'static str,
    /// What it does and why it comes now.
    pub why: String,
    /// Commands, in order.
    pub commands: Vec<String>,
    /// Commands that take it back.
    pub undo: Vec<String>,
    /// It restarts the machine or a service: it waits for a proven deadline.
    pub interrupts: bool,
}

/// Where the way leads from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Next {
    /// Do this.
    Step(Step),
    /// Nothing may be done yet.
    Wait(String),
    /// This machine cannot go on; what carries the requirement instead.
    Blocked(String),
    /// Enforcing.
    Arrived,
}

/// The next step of a machine that is to hold these modules.
#[must_use]
pub fn next(ground: &Ground, wanted: &BTreeSet<String>) -> Next {
    let running = ground.active.iter().any(|l| l == "selinux");
    if !running && ground.built_in == Some(false) {
        let instead = "this kernel has no SELinux: the unit's sandbox, the accounts and the packet filter carry these rows";
        return Next::Blocked(instead.to_owned());
    }
    let missing: Vec<&str> = PACKAGES.into_iter().filter(|p| !ground.installed.contains(*p)).collect();
    if !missing.is_empty() {
        return step(
            "packages",
            "policy, tools and the audit log; nothing is confined by them alone",
            vec![format!("apt-get install {}", missing.join(" "))],
            vec![format!("apt-get remove {}", missing.join(" "))],
            false,
        );
    }
    if !running && !ground.boot_line {
        let mut why = "SELinux at the next boot, permissive: it reports and refuses nothing".to_owned();
        if !ground.apparmor_units.is_empty() {
            let units = ground.apparmor_units.iter().cloned().collect::<Vec<_>>().join(", ");
            why = format!("{why}. AppArmor ends with that boot, and with it the profiles of {units}");
        }
        return step(
            "boot-parameter",
            &why,
            vec![
                "sed -i 's/^SELINUX=.*/SELINUX=permissive/' /etc/selinux/config".to_owned(),
                format!("printf 'GRUB_CMDLINE_LINUX=\"$GRUB_CMDLINE_LINUX {BOOT}\"\\n' > /etc/default/grub.d/ravelin-selinux.cfg"),
                "update-grub".to_owned(),
            ],
            vec!["rm /etc/default/grub.d/ravelin-selinux.cfg".to_owned(), "update-grub".to_owned()],
            false,
        );
    }
    if !running {
        return step(
            "reboot",
            "the security module is chosen when the kernel starts. Rescue: at the boot menu, `e`, and put `selinux=0` on the linux line",
            vec!["systemctl reboot".to_owned()],
            vec!["rm /etc/default/grub.d/ravelin-selinux.cfg".to_owned(), "update-grub".to_owned(), "systemctl reboot".to_owned()],
            true,
        );
    }
    if !wanted.is_subset(&ground.modules) {
        let absent: Vec<&str> = wanted.difference(&ground.modules).map(String::as_str).collect();
        return step(
            "modules",
            &format!("domains, permissive one by one: {}", absent.join(", ")),
            vec!["semodule -i selinux/*.cil".to_owned()],
            vec![format!("semodule -r {}", wanted.iter().cloned().collect::<Vec<_>>().join(" "))],
            false,
        );
    }
    if ground.mislabelled != Some(0) {
        return step(
            "relabel",
            "labels, while everything runs: restorecon changes what is wrong and passes over the rest, so it may be stopped and started again",
            vec!["nice ionice -c 3 restorecon -R -F -T 0 /".to_owned()],
            Vec::new(),
            false,
        );
    }
    if let Some((domain, hours)) = ground.permissive.iter().find(|(_, h)| h.is_none_or(|h| h < CLEAN_HOURS)) {
        return Next::Wait(match hours {
            None => format!("{domain} has not run since its module was loaded: restart its unit when a deadline is proven"),
            Some(h) => format!("{domain} was last denied something {h} h ago: {CLEAN_HOURS} h without a denial, then it is enforced"),
        });
    }
    if let Some((domain, _)) = ground.permissive.first() {
        let stem = domain.trim_end_matches("_t");
        return step(
            "enforce-domain",
            &format!("{domain} was clean for {CLEAN_HOURS} h"),
            vec![format!("semodule -r {stem}_observe")],
            vec![format!("semodule -i selinux/{stem}_observe.cil")],
            false,
        );
    }
    if !ground.enforcing {
        return step(
            "enforce",
            "every domain is ready; until the next boot only",
            vec!["setenforce 1".to_owned()],
            vec!["setenforce 0".to_owned()],
            false,
        );
    }
    if !ground.enforcing_at_boot {
        return step(
            "enforce-at-boot",
            "it stays enforcing. Rescue: at the boot menu, `e`, and put `enforcing=0` on the linux line",
            vec!["sed -i 's/^SELINUX=.*/SELINUX=enforcing/' /etc/selinux/config".to_owned()],
            vec!["sed -i 's/^SELINUX=.*/SELINUX=permissive/' /etc/selinux/config".to_owned()],
            false,
        );
    }
    Next::Arrived
}

fn step(name: &'static str, why: &str, commands: Vec<String>, undo: Vec<String>, interrupts: bool) -> Next {
    Next::Step(Step { name, why: why.to_owned(), commands, undo, interrupts })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted() -> BTreeSet<String> {
        ["ravelin", "ravelin_lotus"].map(str::to_owned).into()
    }

    /// Does what a step says, as the machine would show it afterwards.
    fn done(mut g: Ground, name: &str) -> Ground {
        match name {
            "packages" => g.installed = PACKAGES.map(str::to_owned).into(),
            "boot-parameter" => g.boot_line = true,
            "reboot" => g.active = vec!["capability".to_owned(), "selinux".to_owned()],
            "modules" => (g.modules, g.permissive) = (wanted(), vec![("ravelin_lotus_t".to_owned(), Some(CLEAN_HOURS))]),
            "relabel" => g.mislabelled = Some(0),
            "enforce-domain" => g.permissive.clear(),
            "enforce" => g.enforcing = true,
            "enforce-at-boot" => g.enforcing_at_boot = true,
            other => panic!("{other}"),
        }
        g
    }

    #[test]
    fn a_plain_debian_arrives_and_every_step_has_a_way_back() {
        let mut ground = Ground { active: vec!["apparmor".to_owned()], apparmor_units: ["chrony".to_owned()].into(), ..Ground::default() };
        let mut names = Vec::new();
        while let Next::Step(step) = next(&ground, &wanted()) {
            assert!(!step.commands.is_empty() && (!step.undo.is_empty() || step.name == "relabel"), "{step:?}");
            assert!(!names.contains(&step.name), "{} comes twice", step.name);
            names.push(step.name);
            ground = done(ground, step.name);
        }
        assert_eq!(next(&ground, &wanted()), Next::Arrived);
        let way = ["packages", "boot-parameter", "reboot", "modules", "relabel", "enforce-domain", "enforce", "enforce-at-boot"];
        assert_eq!(names, way);
    }

    #[test]
    fn a_domain_with_a_recent_denial_is_never_enforced() {
        let mut g = Ground { active: vec!["selinux".to_owned()], installed: PACKAGES.map(str::to_owned).into(), ..Ground::default() };
        (g.modules, g.mislabelled) = (wanted(), Some(0));
        for hours in [None, Some(0), Some(CLEAN_HOURS - 1)] {
            g.permissive = vec![("ravelin_lotus_t".to_owned(), hours)];
            assert!(matches!(next(&g, &wanted()), Next::Wait(_)), "{hours:?}");
        }
        g.permissive = vec![("ravelin_lotus_t".to_owned(), Some(CLEAN_HOURS))];
        assert!(
            matches!(next(&g, &wanted()), Next::Step(s) if s.name == "enforce-domain" && s.commands == ["semodule -r ravelin_lotus_observe"])
        );
    }

    #[test]
    fn a_kernel_without_selinux_is_told_what_carries_instead() {
        let g = Ground { built_in: Some(false), ..Ground::default() };
        assert!(matches!(next(&g, &wanted()), Next::Blocked(why) if why.contains("sandbox")));
    }
}
