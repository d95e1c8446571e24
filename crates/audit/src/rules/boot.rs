//! The kernel's command line, and whether a module confines anything. In come the boot's words, out come those that take a layer
//! away.

use super::prelude::*;

/// AUD068: mitigations of processor faults are off.
pub const MITIGATIONS: Rule = Rule {
    code: Code("AUD068"),
    title: "mitigations of processor faults are off",
    risk: Risk::Medium,
    needs: &[Source::Boot],
    means: "a process reads the memory of others, keys among it, from a page of code that anybody may run",
    fix: "take the word out of the kernel's command line (GRUB_CMDLINE_LINUX), update-grub, reboot",
    reference: None,
    check: |view| {
        let words = [
            "mitigations=off",
            "nopti",
            "pti=off",
            "nospectre_v1",
            "nospectre_v2",
            "spectre_v2=off",
            "spec_store_bypass_disable=off",
            "l1tf=off",
            "mds=off",
            "tsx_async_abort=off",
            "nokaslr",
            "nosmap",
            "nosmep",
        ];
        found(view, |w| words.contains(&w))
    },
};

/// AUD069: a security module or the audit system is switched off at boot.
pub const MODULE_OFF: Rule = Rule {
    code: Code("AUD069"),
    title: "a security module is switched off at boot",
    risk: Risk::Medium,
    needs: &[Source::Boot],
    means: "profiles and policies are installed and do nothing",
    fix: "take the word out of the kernel's command line (GRUB_CMDLINE_LINUX), update-grub, reboot",
    reference: Some("CIS Debian Linux 12 Benchmark 1.3.1.2"),
    check: |view| {
        let confined = view.facts.system.lsm.iter().any(|l| l == "selinux" || l == "apparmor");
        // One of the two excludes the other: a machine with SELinux boots with apparmor=0.
        let off =
            |w: &str| ["audit=0", "security=none", "enforcing=0"].contains(&w) || !confined && ["selinux=0", "apparmor=0"].contains(&w);
        found(view, off)
    },
};

/// AUD072: the machine starts a shell, or a debug shell, instead of asking for a login.
pub const SHELL: Rule = Rule {
    code: Code("AUD072"),
    title: "the machine boots into a shell",
    risk: Risk::Critical,
    needs: &[Source::Boot],
    means: "whoever is at the console, or at the management controller's, is root without a password",
    fix: "take the word out of the kernel's command line (GRUB_CMDLINE_LINUX), update-grub, reboot",
    reference: None,
    check: |view| {
        let shell = |w: &str| {
            let program = w.strip_prefix("init=").or_else(|| w.strip_prefix("rdinit="));
            program.is_some_and(|p| p.ends_with("sh"))
                || [
                    "systemd.debug-shell",
                    "systemd.debug_shell",
                    "systemd.debug-shell=1",
                    "systemd.debug_shell=1",
                    "rd.break",
                    "systemd.unit=emergency.target",
                ]
                .contains(&w)
        };
        found(view, shell)
    },
};

/// AUD073: neither SELinux nor AppArmor confines anything.
pub const UNCONFINED: Rule = Rule {
    code: Code("AUD073"),
    title: "no security module confines processes",
    risk: Risk::Low,
    needs: &[Source::System],
    means: "file modes are the only thing between a daemon that runs as root and everything else",
    fix: "AppArmor, or SELinux with Ravelin's modules (docs/selinux.md)",
    reference: Some("CIS Debian Linux 12 Benchmark 1.3.1.1"),
    check: unconfined,
};

fn found(view: &View, wrong: impl Fn(&str) -> bool) -> Vec<Seen> {
    let words = view.facts.boot.parameters.iter().filter(|w| wrong(w));
    words.map(|w| Seen::new("boot", format!("the kernel was started with {w}")).at("/proc/cmdline", 0)).collect()
}

fn unconfined(view: &View) -> Vec<Seen> {
    let system = &view.facts.system;
    if system.kernel.is_empty() || system.lsm.is_empty() {
        return Vec::new();
    }
    let has = |name: &str| system.lsm.iter().any(|l| l == name);
    let seen = match system.selinux {
        facts::Selinux::Enforcing => return Vec::new(),
        facts::Selinux::Permissive => "SELinux is permissive: it denies nothing",
        facts::Selinux::Absent if has("apparmor") => return Vec::new(),
        facts::Selinux::Absent => "neither SELinux nor AppArmor is active",
    };
    vec![Seen::new("kernel", format!("{seen}; active: {}", system.lsm.join(", ")))]
}
