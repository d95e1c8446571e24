//! Kernel, distribution, SELinux, clock, settings.

use crate::{Error, Root, run};
use facts::{Clock, Process, Selinux, System};
use std::{collections::BTreeMap, fs};

/// The kernel's name for this machine.
pub fn host_name(root: &Root) -> Result<String, Error> {
    root.text("/proc/sys/kernel/hostname").or_else(|_| root.text("/etc/hostname")).map(|t| t.trim().to_owned())
}

/// What the machine is.
pub fn system(root: &Root) -> Result<System, Error> {
    // A tree that is no running machine has no kernel.
    let kernel =
        root.text("/proc/sys/kernel/osrelease").or_else(|e| if root.is_machine() { Err(e) } else { Ok(String::new()) })?.trim().to_owned();
    let release = root.text("/etc/os-release").or_else(|_| root.text("/usr/lib/os-release")).unwrap_or_default();
    let value = |key: &str| {
        let line = release.lines().find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
        line.unwrap_or_default().trim_matches(['"', '\'']).to_owned()
    };
    let first = |path: &str| root.text(path).unwrap_or_default().trim().to_owned();
    Ok(System {
        selinux_built_in: selinux_built_in(root, &kernel),
        kernel,
        architecture: std::env::consts::ARCH.to_owned(),
        os_id: value("ID"),
        os_like: value("ID_LIKE").split_whitespace().map(str::to_owned).collect(),
        os_version: value("VERSION_ID"),
        os_name: value("PRETTY_NAME"),
        init: first("/proc/1/comm"),
        boot_id: first("/proc/sys/kernel/random/boot_id"),
        uptime: first("/proc/uptime").split('.').next().and_then(|s| s.parse().ok()).unwrap_or(0),
        selinux: match first("/sys/fs/selinux/enforce").as_str() {
            "1" => Selinux::Enforcing,
            "0" => Selinux::Permissive,
            _ => Selinux::Absent,
        },
        lsm: first("/sys/kernel/security/lsm").split(',').filter(|l| !l.is_empty()).map(str::to_owned).collect(),
    })
}

/// Whether a kernel of this release has SELinux built in, by its configuration below `/boot`; `None` where that is not there.
#[must_use]
pub fn selinux_built_in(root: &Root, release: &str) -> Option<bool> {
    let text = root.text(&format!("/boot/config-{release}")).ok()?;
    Some(text.lines().any(|l| l == "CONFIG_SECURITY_SELINUX=y"))
}

/// Names that time daemons have as processes.
const TIME_DAEMONS: [&str; 4] = ["chronyd", "ntpd", "systemd-timesyn", "openntpd"];

/// Time synchronisation.
pub fn clock(root: &Root, processes: &[Process]) -> Clock {
    let mut daemons: Vec<String> = processes.iter().filter(|p| TIME_DAEMONS.contains(&p.comm.as_str())).map(|p| p.comm.clone()).collect();
    daemons.sort();
    daemons.dedup();
    let said = root.is_machine().then(|| run::output("timedatectl", &["show", "-p", "NTPSynchronized", "--value"]).ok()).flatten();
    let synchronised = match said.as_deref().map(str::trim) {
        Some("yes") => Some(true),
        Some("no") => Some(false),
        _ => None,
    };
    Clock { synchronised, daemons }
}

/// Settings every rule of ours speaks about, without those per device.
const SETTINGS: [&str; 29] = [
    "net.ipv4.ip_forward",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.icmp_echo_ignore_broadcasts",
    "net.ipv4.ip_local_port_range",
    "net.ipv6.conf.all.forwarding",
    "net.netfilter.nf_conntrack_max",
    "net.netfilter.nf_conntrack_count",
    "net.netfilter.nf_conntrack_tcp_loose",
    "net.netfilter.nf_conntrack_acct",
    "kernel.kptr_restrict",
    "kernel.unprivileged_bpf_disabled",
    "kernel.yama.ptrace_scope",
    "kernel.dmesg_restrict",
    "kernel.kexec_load_disabled",
    "kernel.modules_disabled",
    "kernel.perf_event_paranoid",
    "kernel.randomize_va_space",
    "kernel.sysrq",
    "kernel.core_pattern",
    "kernel.unprivileged_userns_clone",
    "kernel.apparmor_restrict_unprivileged_userns",
    "user.max_user_namespaces",
    "vm.unprivileged_userfaultfd",
    "vm.hugetlb_shm_group",
    "net.core.bpf_jit_harden",
    "fs.suid_dumpable",
    "fs.protected_symlinks",
    "fs.protected_hardlinks",
    "fs.protected_fifos",
];

/// Settings per device.
const PER_DEVICE: [(&str, &[&str]); 2] = [
    (
        "ipv4",
        &[
            "rp_filter",
            "accept_redirects",
            "secure_redirects",
            "send_redirects",
            "accept_source_route",
            "log_martians",
            "forwarding",
            "arp_ignore",
        ],
    ),
    ("ipv6", &["accept_ra", "accept_redirects", "accept_source_route", "forwarding", "disable_ipv6", "autoconf"]),
];

/// Settings by dotted name; a dot in a device's name is written as a slash. Missing ones are left out.
pub fn settings(root: &Root) -> Result<BTreeMap<String, String>, Error> {
    let mut out = BTreeMap::new();
    for name in SETTINGS {
        if let Ok(value) = fs::read_to_string(root.at(format!("/proc/sys/{}", name.replace('.', "/")))) {
            out.insert(name.to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "));
        }
    }
    for (family, names) in PER_DEVICE {
        let base = format!("/proc/sys/net/{family}/conf");
        for (device, _) in root.entries(&base) {
            let device = device.to_string_lossy().into_owned();
            for name in names {
                if let Ok(value) = fs::read_to_string(root.at(format!("{base}/{device}/{name}"))) {
                    out.insert(format!("net.{family}.conf.{}.{name}", device.replace('.', "/")), value.trim().to_owned());
                }
            }
        }
    }
    if out.is_empty() { Err(Error::Partly("/proc/sys cannot be read".into())) } else { Ok(out) }
}
