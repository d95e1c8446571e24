//! What is in the image. Out comes the recipe's digest: another package, file or step is another image. Never: looks at this
//! machine.

use sha2::{Digest, Sha256};

/// The distribution's release.
pub const SUITE: &str = "bookworm";

/// Packages of the image, beside the essential ones and apt.
pub const PACKAGES: [&str; 37] = [
    // Kernel of a cloud machine: virtio, 8021q, nft queue, SELinux, and no drivers for hardware that QEMU lacks.
    "linux-image-cloud-amd64",
    "systemd",
    "systemd-sysv",
    "udev",
    "dbus",
    "kmod",
    "procps",
    "iproute2",
    "iputils-ping",
    "netcat-openbsd",
    // The second layer.
    "selinux-policy-default",
    "selinux-utils",
    "policycoreutils",
    "policycoreutils-python-utils",
    "setools",
    "auditd",
    "apparmor",
    // Writes the boot loader's menu; QEMU boots the kernel with words read from there.
    "grub2-common",
    "nftables",
    "iptables",
    "conntrack",
    "ufw",
    "sudo",
    "polkitd",
    "cron",
    "logrotate",
    "openssh-server",
    "strace",
    "acl",
    // What edge nodes run, an engine for containers with its network and its ranges of accounts, and an auditor to compare with.
    "keepalived",
    "conntrackd",
    "podman",
    "crun",
    "netavark",
    "uidmap",
    // A file server whose clients it does not take for root.
    "nfs-kernel-server",
    "lynis",
];

/// Units that wait for a configuration of the site, or for a test that starts them: packages start them at once.
pub const DISABLED: [&str; 10] = [
    "keepalived.service",
    "conntrackd.service",
    "podman.service",
    "podman-restart.service",
    "nfs-server.service",
    "nfs-blkmap.service",
    "nfs-client.target",
    "remote-fs.target",
    "rpcbind.service",
    "rpcbind.socket",
];

/// Modules of the initial RAM disk: what the root file system needs, so that it unpacks fast under emulation.
pub const INITIAL_MODULES: [&str; 4] = ["virtio_pci", "virtio_blk", "virtio_console", "ext4"];

/// Units that only cost time, or that wait for a network that is not there.
pub const MASKED: [&str; 10] = [
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "man-db.timer",
    "lynis.timer",
    "podman-auto-update.timer",
    "podman-auto-update.service",
];

/// Options of mmdebstrap: documentation takes room and time, and a half-made image is thrown away.
pub const OPTIONS: [&str; 5] = [
    "--variant=minbase",
    "--dpkgopt=path-exclude=/usr/share/doc/*",
    "--dpkgopt=path-exclude=/usr/share/man/*",
    "--dpkgopt=path-exclude=/usr/share/locale/*",
    "--dpkgopt=force-unsafe-io",
];

/// Size of the root file system: the packages take a third, the rest is for stores and logs of tests.
pub const DISK: &str = "3G";

/// The agent's program and unit.
pub const AGENT: &str = include_str!("../image/agent.sh");
/// See [`AGENT`].
pub const AGENT_UNIT: &str = include_str!("../image/agent.service");
/// Runs once per image, before the first boot, on its directory.
pub const CUSTOMIZE: &str = include_str!("../image/customize.sh");
/// Runs once per image, inside of it: labels every file.
pub const FINISH: &str = include_str!("../image/finish.sh");

/// Digest of all of the above.
pub fn digest() -> String {
    let mut sha = Sha256::new();
    for list in [
        &PACKAGES[..],
        &INITIAL_MODULES[..],
        &MASKED[..],
        &DISABLED[..],
        &OPTIONS[..],
        &[SUITE, DISK, AGENT, AGENT_UNIT, CUSTOMIZE, FINISH],
    ] {
        for item in list {
            sha.update(item.len().to_be_bytes());
            sha.update(item);
        }
        sha.update([0xff; 8]);
    }
    sha.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_names_one_recipe() {
        assert_eq!(digest(), digest());
        assert_eq!(digest().len(), 16);
        let mut sorted = PACKAGES.to_vec();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), PACKAGES.len(), "a package stands twice");
    }
}
