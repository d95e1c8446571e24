//! Programs that let whoever starts them run anything else, read or write any file. In comes a program's path, out comes whether
//! it is known for that. A table; a program that is not on it is unknown, not harmless.

/// Known to run, read or write what their caller wants.
const ESCAPES: [&str; 116] = [
    "apt",
    "apt-get",
    "ash",
    "at",
    "awk",
    "base64",
    "bash",
    "bat",
    "bpftrace",
    "busybox",
    "capsh",
    "chattr",
    "chgrp",
    "chmod",
    "chown",
    "chpasswd",
    "chroot",
    "cp",
    "cpio",
    "cpulimit",
    "crontab",
    "csh",
    "ctr",
    "curl",
    "dash",
    "dd",
    "debugfs",
    "dmesg",
    "docker",
    "dpkg",
    "ed",
    "emacs",
    "env",
    "expect",
    "find",
    "fish",
    "flock",
    "gawk",
    "gcc",
    "gdb",
    "git",
    "gpasswd",
    "incus",
    "insmod",
    "install",
    "ionice",
    "ip",
    "iptables",
    "journalctl",
    "kexec",
    "kubectl",
    "ksh",
    "less",
    "ln",
    "logrotate",
    "lua",
    "lxc",
    "machinectl",
    "make",
    "man",
    "mawk",
    "modprobe",
    "more",
    "mount",
    "mv",
    "mysql",
    "nano",
    "nc",
    "newgrp",
    "nerdctl",
    "nice",
    "nmap",
    "node",
    "nsenter",
    "openssl",
    "passwd",
    "perl",
    "php",
    "pip",
    "podman",
    "psql",
    "python",
    "python3",
    "rsync",
    "ruby",
    "run-parts",
    "runc",
    "scp",
    "screen",
    "script",
    "sed",
    "service",
    "setcap",
    "setfacl",
    "setpriv",
    "sh",
    "snap",
    "socat",
    "ssh",
    "start-stop-daemon",
    "strace",
    "su",
    "sudo",
    "systemctl",
    "systemd-run",
    "tar",
    "taskset",
    "tcpdump",
    "tee",
    "timeout",
    "tmux",
    "unshare",
    "useradd",
    "usermod",
    "vi",
    "vim",
];
/// More of them, whose names differ from their file's.
const MORE: [&str; 14] =
    ["view", "visudo", "vipw", "vim.basic", "vim.tiny", "watch", "wget", "xargs", "zip", "zsh", "nvim", "rvim", "pkexec", "doas"];
/// Set-id programs of distributions, whose use is their own business and checked by them.
const USUAL_SET_ID: [&str; 58] = [
    "su",
    "sudo",
    "sudoedit",
    "passwd",
    "chsh",
    "chfn",
    "chage",
    "expiry",
    "gpasswd",
    "newgrp",
    "sg",
    "mount",
    "umount",
    "fusermount",
    "fusermount3",
    "pkexec",
    "polkit-agent-helper-1",
    "dbus-daemon-launch-helper",
    "ssh-keysign",
    "ssh-agent",
    "unix_chkpwd",
    "pam_extrausers_chkpwd",
    "pam_timestamp_check",
    "crontab",
    "at",
    "ping",
    "ping6",
    "traceroute6.iputils",
    "mtr-packet",
    "wall",
    "write",
    "write.ul",
    "bsd-write",
    "mount.nfs",
    "mount.cifs",
    "ntfs-3g",
    "nvidia-modprobe",
    "chrome-sandbox",
    "snap-confine",
    "newuidmap",
    "newgidmap",
    "pppd",
    "exim4",
    "postdrop",
    "postqueue",
    "sendmail",
    "procmail",
    "lockfile",
    "dotlockfile",
    "Xorg.wrap",
    "vmware-user-suid-wrapper",
    "utempter",
    "userhelper",
    "usernetctl",
    "grub2-set-bootflag",
    "mail-lock",
    "mail-unlock",
    "mail-touchlock",
];

fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or_default()
}

/// Known to run, read or write whatever its caller wants.
pub fn escapes(path: &str) -> bool {
    let name = base(path);
    // `python3.11`, `perl5.36`, `bash-static`: the name without its version.
    let plain = name.split(['.', '-']).next().unwrap_or(name).trim_end_matches(|c: char| c.is_ascii_digit());
    ESCAPES.contains(&name) || MORE.contains(&name) || ["python", "perl", "ruby", "lua", "php", "node"].contains(&plain)
}

/// A set-id program that distributions ship as such.
pub fn usual_set_id(path: &str) -> bool {
    USUAL_SET_ID.contains(&base(path)) && ["/usr/", "/bin/", "/sbin/", "/lib", "/snap/", "/opt/google/"].iter().any(|b| path.starts_with(b))
}

/// An interpreter, whose script is what really runs.
pub fn interprets(path: &str) -> bool {
    [
        "sh", "bash", "dash", "zsh", "ksh", "python", "python3", "perl", "ruby", "node", "env", "nice", "ionice", "flock", "timeout",
        "chrt", "taskset",
    ]
    .contains(&base(path))
}

/// Paths a command line starts: its program, and what an interpreter gets. Shell syntax is not understood: every absolute path
/// behind a shell's separators counts.
pub fn started(command: &str) -> Vec<String> {
    let mut out = Vec::new();
    for part in command.split(['|', ';', '&', '(', ')', '\n']) {
        let mut words = part.split_whitespace().map(|w| w.trim_matches(['"', '\'']));
        let Some(first) = words.find(|w| !w.contains('=') && !["{", "}", "!", "then", "do", "else", "if"].contains(w)) else { continue };
        if first.starts_with('/') {
            out.push(first.to_owned());
        }
        if interprets(first) || ["exec", "command", "cd"].contains(&first) {
            out.extend(words.filter(|w| w.starts_with('/') && !w.starts_with("/dev/")).map(str::to_owned));
        } else if first.ends_with("run-parts") {
            out.extend(words.rfind(|w| w.starts_with('/')).map(|d| format!("{d}/")));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_scripts_are_told() {
        assert!(escapes("/usr/bin/python3.11") && escapes("/bin/sh") && !escapes("/usr/bin/lotus-miner"));
        assert!(usual_set_id("/usr/bin/passwd") && !usual_set_id("/home/x/passwd"));
        assert_eq!(started("A=b /bin/sh /opt/x.sh -v"), ["/bin/sh", "/opt/x.sh"]);
        assert_eq!(started("test -x /usr/sbin/anacron || { cd / && run-parts --report /etc/cron.daily; }"), ["/", "/etc/cron.daily/"]);
    }
}
