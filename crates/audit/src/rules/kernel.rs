//! Settings of the kernel that keep accounts apart and root from becoming the kernel. In come values under `/proc/sys`, out come
//! those that are looser than they need be. A setting the kernel has not is no finding.

use super::prelude::*;

macro_rules! setting {
    ($(#[$doc:meta])* $name:ident, $code:literal, $title:literal, $risk:ident, $reference:expr, $means:literal, $fix:literal, $check:expr) => {
        $(#[$doc])*
        pub const $name: Rule = Rule {
            code: Code($code),
            title: $title,
            risk: Risk::$risk,
            needs: &[Source::Sysctls],
            means: $means,
            fix: $fix,
            reference: $reference,
            check: $check,
        };
    };
}

setting!(
    /// AUD054: kernel.kptr_restrict is 0.
    ADDRESSES, "AUD054", "the kernel's addresses are shown", Low, None,
    "an exploit of the kernel needs them, and reads them from /proc",
    "sysctl kernel.kptr_restrict=1, and keep it in /etc/sysctl.d",
    |view| is(view, "kernel.kptr_restrict", |v| v == 0)
);
setting!(
    /// AUD055: kernel.dmesg_restrict is 0.
    MESSAGES, "AUD055", "every account reads the kernel's messages", Low, None,
    "addresses, device names and other processes' faults help whoever is in already",
    "sysctl kernel.dmesg_restrict=1, and keep it in /etc/sysctl.d",
    |view| is(view, "kernel.dmesg_restrict", |v| v == 0)
);
setting!(
    /// AUD056: kernel.yama.ptrace_scope is 0.
    PTRACE, "AUD056", "processes of one account may read each other's memory", Medium, Some("CIS Debian Linux 12 Benchmark 1.5.2"),
    "two daemons under one account are one: the taken-over one reads the other's unlocked keys",
    "sysctl kernel.yama.ptrace_scope=1 (2 on machines nobody debugs on), and keep it in /etc/sysctl.d",
    |view| is(view, "kernel.yama.ptrace_scope", |v| v == 0)
);
setting!(
    /// AUD057: kernel.unprivileged_bpf_disabled is 0.
    BPF, "AUD057", "every account may load programs into the kernel", Medium, None,
    "the verifier of BPF has been wrong again and again; each time an account became the kernel",
    "sysctl kernel.unprivileged_bpf_disabled=1, and keep it in /etc/sysctl.d",
    |view| is(view, "kernel.unprivileged_bpf_disabled", |v| v == 0)
);
setting!(
    /// AUD058: vm.unprivileged_userfaultfd is 1.
    FAULTS, "AUD058", "every account may stop the kernel in the middle", Low, None,
    "userfaultfd makes races in the kernel certain that otherwise need luck",
    "sysctl vm.unprivileged_userfaultfd=0, and keep it in /etc/sysctl.d",
    |view| is(view, "vm.unprivileged_userfaultfd", |v| v == 1)
);
setting!(
    /// AUD059: kernel.kexec_load_disabled is 0 and lockdown does not close it.
    KEXEC, "AUD059", "another kernel may be started from this one", Low, None,
    "whoever is root starts a kernel without SELinux, lockdown and audit, and nothing is written to disk",
    "sysctl kernel.kexec_load_disabled=1 at the end of boot, where no crash kernel is loaded later",
    |view| if locked_down(view) { Vec::new() } else { is(view, "kernel.kexec_load_disabled", |v| v == 0) }
);
setting!(
    /// AUD060: modules may be loaded, unsigned ones too.
    MODULES, "AUD060", "the kernel takes modules from anybody who is root", Low, None,
    "a rootkit is one insmod away, below every log and filter",
    "lockdown=integrity or module.sig_enforce=1 at boot, or sysctl kernel.modules_disabled=1 once everything is loaded",
    modules
);
setting!(
    /// AUD061: fs.suid_dumpable is 1, or 2 with a relative core pattern.
    SUID_DUMPS, "AUD061", "programs with root's rights leave their memory on disk", Medium, Some("CIS Debian Linux 12 Benchmark 1.5.3"),
    "a crash of sudo or ssh writes password hashes and keys where the caller can read them",
    "sysctl fs.suid_dumpable=0, and keep it in /etc/sysctl.d",
    suid_dumps
);
setting!(
    /// AUD062: a service may dump core into a file, and it holds keys.
    CORES, "AUD062", "a crash of a daemon writes its keys to disk", Medium, Some("CIS Debian Linux 12 Benchmark 1.5.3"),
    "unlocked wallet keys, tokens and the database password stand in the core file, which no backup plan knows of",
    "LimitCORE=0 in the unit, or kernel.core_pattern=|/bin/false",
    cores
);
setting!(
    /// AUD063: fs.protected_symlinks or fs.protected_hardlinks is 0.
    LINKS, "AUD063", "links in shared directories are followed blindly", Medium, None,
    "a link in /tmp under a name that root writes makes root write another file",
    "sysctl fs.protected_symlinks=1 fs.protected_hardlinks=1, and keep both in /etc/sysctl.d",
    |view| ["fs.protected_symlinks", "fs.protected_hardlinks"].iter().flat_map(|n| is(view, n, |v| v == 0)).collect()
);
setting!(
    /// AUD064: kernel.randomize_va_space is below 2.
    LAYOUT, "AUD064", "programs lie at the same addresses every time", Medium, Some("CIS Debian Linux 12 Benchmark 1.5.1"),
    "an overflow in any daemon needs no guessing any more",
    "sysctl kernel.randomize_va_space=2, and keep it in /etc/sysctl.d",
    |view| is(view, "kernel.randomize_va_space", |v| v < 2)
);
setting!(
    /// AUD065: kernel.perf_event_paranoid is below 2.
    PERF, "AUD065", "every account may profile the kernel", Low, None,
    "perf shows timing of other accounts' work and has had holes of its own",
    "sysctl kernel.perf_event_paranoid=3, and keep it in /etc/sysctl.d",
    |view| is(view, "kernel.perf_event_paranoid", |v| v < 2)
);
setting!(
    /// AUD066: net.ipv4.tcp_syncookies is 0.
    COOKIES, "AUD066", "a flood of openings fills the table", Low, Some("CIS Debian Linux 12 Benchmark 3.3.10"),
    "a few megabits of SYN packets close the market's and the chain's ports",
    "sysctl net.ipv4.tcp_syncookies=1, and keep it in /etc/sysctl.d",
    |view| is(view, "net.ipv4.tcp_syncookies", |v| v == 0)
);
setting!(
    /// AUD067: every account may make user namespaces, and no container engine needs them.
    NAMESPACES, "AUD067", "every account may be root in a namespace of its own", Low, None,
    "most holes of the last years in network code of the kernel were reached through one",
    "sysctl kernel.unprivileged_userns_clone=0 (Debian) or user.max_user_namespaces=0, where no rootless container runs",
    namespaces
);

fn is(view: &View, name: &str, wrong: impl Fn(i64) -> bool) -> Vec<Seen> {
    let value = view.setting(name).filter(|v| v.parse().is_ok_and(&wrong));
    value.map(|v| Seen::new("sysctl", format!("{name} = {v}"))).into_iter().collect()
}

fn locked_down(view: &View) -> bool {
    view.facts.boot.lockdown.as_deref().is_some_and(|l| l != "none")
}

fn modules(view: &View) -> Vec<Seen> {
    if locked_down(view) || view.facts.boot.signed_modules == Some(true) || view.setting("kernel.modules_disabled") != Some("0") {
        return Vec::new();
    }
    vec![Seen::new("kernel", "kernel.modules_disabled = 0, no lockdown, signatures are not required")]
}

fn suid_dumps(view: &View) -> Vec<Seen> {
    let pattern = view.setting("kernel.core_pattern").unwrap_or_default();
    // 2 is safe only where root says where the file goes (core(5)).
    let mode =
        view.setting("fs.suid_dumpable").filter(|v| *v == "1" || (*v == "2" && !pattern.is_empty() && !pattern.starts_with(['/', '|'])));
    mode.map(|m| Seen::new("sysctl", format!("fs.suid_dumpable = {m}, kernel.core_pattern = {pattern}"))).into_iter().collect()
}

fn cores(view: &View) -> Vec<Seen> {
    let Some(pattern) = view.setting("kernel.core_pattern").filter(|p| !["|/bin/false", ""].contains(p)) else { return Vec::new() };
    // A program behind a pipe gets the memory whatever the limit says, and keeps to it by its own will.
    let dumps = |r: &&Running| r.service.account.is_some() && r.process.core_limit.is_some_and(|l| l > 0);
    view.running
        .iter()
        .filter(dumps)
        .map(|r| {
            let limit = r.process.core_limit.filter(|l| *l < u64::MAX).map_or("no limit".to_owned(), |l| format!("a limit of {l} bytes"));
            let seen = Seen::new(r.service.name.as_str(), format!("pid {} has {limit}, kernel.core_pattern = {pattern}", r.process.pid));
            r.unit.and_then(|u| u.files.first()).map_or(seen.clone(), |f| seen.at(f, 0))
        })
        .collect()
}

fn namespaces(view: &View) -> Vec<Seen> {
    let rootless = view.facts.containers.iter().any(|c| c.engine == "podman");
    let closed = view.setting("kernel.unprivileged_userns_clone") == Some("0")
        || view.setting("user.max_user_namespaces") == Some("0")
        || view.setting("kernel.apparmor_restrict_unprivileged_userns") == Some("1");
    let most = view.setting("user.max_user_namespaces");
    match most {
        Some(n) if !rootless && !closed => vec![Seen::new("sysctl", format!("user.max_user_namespaces = {n}"))],
        _ => Vec::new(),
    }
}
