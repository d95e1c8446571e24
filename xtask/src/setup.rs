//! What the demo and the tests need from the distribution. In comes this machine, out come installed packages, or the one
//! line that installs them and exit code 2. Never: changes the network, the firewall or an account.

use crate::process::{self, Stop, is_root, which};
use std::{path::Path, process::Command};

/// A program, the Debian or Ubuntu package that brings it, and what it is for.
type Tool = (&'static str, &'static str, &'static str);

/// What the demonstration and the tests run.
const NEEDED: [Tool; 9] = [
    ("nft", "nftables", "loads and lists rulesets"),
    ("iptables-save", "iptables", "reads what iptables, UFW and Docker hold"),
    ("conntrack", "conntrack", "reads and seeds connection tracking"),
    ("ip", "iproute2", "builds the namespaces' links and routes"),
    ("sysctl", "procps", "reads kernel settings"),
    ("unshare", "util-linux", "makes the namespaces"),
    ("cc", "gcc", "links the binaries"),
    // Their packages start them, which is not asked for here: see `DAEMONS`.
    ("keepalived", "keepalived", "checks and runs a pair's election, in namespaces of its own"),
    ("conntrackd", "conntrackd", "carries connections between a pair's nodes, in namespaces of its own"),
];

/// What the tests run besides.
const TESTED_WITH: [Tool; 14] = [
    ("sshd", "openssh-server", "is the other end of a rollout over ssh, in namespaces of its own"),
    ("openssl", "openssl", "encrypts the backup of a restore test, reads and writes keys of another test"),
    ("newuidmap", "uidmap", "gives tests of owners accounts of their own where they do not run as root"),
    // Its package starts nothing: it is off until `ufw enable`.
    ("ufw", "ufw", "reads and writes rule files, in namespaces of its own"),
    ("sudo", "sudo", "answers the tests of the sudo policy, in a root directory of their own"),
    ("setcap", "libcap2-bin", "plants a way up in the tests of the closure"),
    // The package of the tools alone: process 1 comes with `systemd-sysv`, which it does not bring. Nothing is started.
    ("systemd-analyze", "systemd", "reads units, accounts and modes, on directories of their own"),
    ("secilc", "secilc", "links SELinux modules with Debian's policy"),
    ("sesearch", "setools", "asks what a linked policy allows"),
    ("bzip2", "bzip2", "unpacks Debian's policy modules"),
    ("qemu-system-x86_64", "qemu-system-x86", "runs machines with a kernel of their own"),
    ("qemu-img", "qemu-utils", "makes their disks"),
    ("mmdebstrap", "mmdebstrap", "builds their image from packages"),
    ("mkfs.ext4", "e2fsprogs", "makes the image's file system"),
];

/// Packages that start a daemon as soon as they are there, and at every boot. Demonstration and tests run these in namespaces and want none on the
/// machine: while apt works, Debian's own question whether a unit may start (`policy-rc.d`) is answered with no, and afterwards the
/// units are disabled. Package and unit. Daemons that were installed before are nobody's business here.
const DAEMONS: [(&str, &str); 3] = [("keepalived", "keepalived"), ("conntrackd", "conntrackd"), ("openssh-server", "ssh")];
/// The program Debian asks whether a unit may start (invoke-rc.d(8)); it comes with no package.
const MAY_START: &str = "/usr/sbin/policy-rc.d";
/// Says no: 101 is "action forbidden".
const NOTHING: &str = "#!/bin/sh\n# Ravelin's set-up: gone when apt is done.\nexit 101\n";

/// systemd runs here where this is there (sd_booted(3)).
const SYSTEMD: &str = "/run/systemd/system";

/// What `systemctl` is told. Under an administrator's own answer they may have been started, so they end now as well; where systemd does not
/// run nobody started them, and there that word is an error.
fn disable(systemd_runs: bool) -> &'static [&'static str] {
    if systemd_runs { &["disable", "--now"] } else { &["disable"] }
}

/// Kernel switches that forbid unprivileged user namespaces, with the value that forbids.
const NAMESPACE_SWITCHES: [(&str, &str, &str); 3] = [
    ("/proc/sys/user/max_user_namespaces", "0", "user.max_user_namespaces=15000"),
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1", "kernel.apparmor_restrict_unprivileged_userns=0"),
];

/// Installs what is missing, then checks that namespaces can be made.
fn install(needed: &[Tool]) -> Result<(), Stop> {
    let missing = || needed.iter().filter(|(program, ..)| which(program).is_none()).copied().collect::<Vec<_>>();
    // Twice, since a package may take away another one: QEMU's tools of one release do not stay beside the emulator of another.
    for _ in 0..2 {
        let missing = missing();
        if missing.is_empty() {
            break;
        }
        bring(&missing)?;
    }
    if let [(program, package, _), ..] = missing()[..] {
        return Err(Stop::usage(format!(
            "`{program}` is still missing although its package {package} was installed: see what apt said above"
        )));
    }
    namespaces()
}

/// Installs the packages of these programs, or says the line that does.
fn bring(missing: &[Tool]) -> Result<(), Stop> {
    eprintln!("missing on this machine:");
    for (program, package, why) in missing {
        eprintln!("  {program:<14} from package {package:<10} {why}");
    }
    let mut packages: Vec<&str> = missing.iter().map(|(_, package, _)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    let packages = packages.join(" ");
    if which("apt-get").is_none() {
        return Err(Stop::usage(format!("this is no Debian or Ubuntu: install the equivalents of `{packages}` and run again")));
    }
    let comes = |name: &str| missing.iter().any(|(_, package, _)| *package == name);
    let daemons: Vec<&str> = DAEMONS.into_iter().filter(|(package, _)| comes(package)).map(|(_, unit)| unit).collect();
    if !is_root() {
        let stop = if daemons.is_empty() { String::new() } else { format!(" && sudo systemctl disable --now {}", daemons.join(" ")) };
        return Err(Stop::usage(format!(
            "not root, so nothing was installed. Run this line, then the same command again:\n\n  sudo apt-get update && sudo apt-get install -y --no-install-recommends {packages}{stop}\n"
        )));
    }
    eprintln!("installing: {packages}");
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive");
        command
    };
    process::run(apt().args(["update", "-q"]))?;
    quietly(&daemons, || process::run(apt().args(["install", "-y", "-q", "--no-install-recommends"]).args(packages.split(' '))))
}

/// Installs without starting these daemons, now or at the next boot.
fn quietly(daemons: &[&str], install: impl FnOnce() -> Result<(), Stop>) -> Result<(), Stop> {
    if daemons.is_empty() {
        return install();
    }
    eprintln!("{} are installed and not started; they stay disabled", daemons.join(" and "));
    // An administrator's own answer stands: it may say more than no. One of ours is left where a set-up was cut off.
    let ours = is_ours(Path::new(MAY_START));
    if ours {
        let fault = |e: std::io::Error| Stop::fault(format!("cannot write {MAY_START}: {e}"));
        std::fs::write(MAY_START, NOTHING).map_err(fault)?;
        std::fs::set_permissions(MAY_START, std::os::unix::fs::PermissionsExt::from_mode(0o755)).map_err(fault)?;
    }
    let installed = install();
    if ours {
        std::fs::remove_file(MAY_START).map_err(|e| Stop::fault(format!("remove {MAY_START}, or no package starts its daemon: {e}")))?;
    }
    installed?;
    // Without systemd's tools there is nobody who would start them.
    if which("systemctl").is_some() {
        process::run(Command::new("systemctl").args(disable(Path::new(SYSTEMD).is_dir())).args(daemons))?;
    }
    Ok(())
}

/// Whether the answer is ours to write and to remove: nobody gave one, or it is the one of a set-up that did not get to its end.
fn is_ours(answer: &Path) -> bool {
    match std::fs::read_to_string(answer) {
        Ok(text) => text == NOTHING,
        Err(e) => e.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Set-up for the demonstration.
pub fn for_demo() -> Result<(), Stop> {
    install(&NEEDED)
}

/// Set-up for the tests.
pub fn for_tests() -> Result<(), Stop> {
    install(&[NEEDED.as_slice(), TESTED_WITH.as_slice()].concat())
}

/// `cargo xtask setup`.
pub fn run() -> Result<(), Stop> {
    for_tests()?;
    eprintln!("set-up: nothing is missing");
    Ok(())
}

fn namespaces() -> Result<(), Stop> {
    let tried = Command::new("unshare").args(["-Urnm", "true"]).output().map_err(|e| Stop::usage(format!("cannot run unshare: {e}")))?;
    if tried.status.success() {
        return Ok(());
    }
    let mut message = format!(
        "this machine does not let us make user, network and mount namespaces, and without them nothing can be tried safely:\n  {}",
        String::from_utf8_lossy(&tried.stderr).trim()
    );
    for (path, forbids, line) in NAMESPACE_SWITCHES {
        if std::fs::read_to_string(path).is_ok_and(|value| value.trim() == forbids) {
            message += &format!("\n  {path} is {forbids}; this allows it until the next boot:  sudo sysctl -w {line}");
        }
    }
    if Path::new("/.dockerenv").exists() {
        message += "\n  this is a Docker container: start it with --security-opt seccomp=unconfined --cap-add SYS_ADMIN";
    }
    Err(Stop::usage(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_ended_where_systemd_does_not_run() {
        assert_eq!(disable(false), ["disable"]);
        assert_eq!(disable(true), ["disable", "--now"]);
    }

    #[test]
    fn an_answer_that_was_left_behind_is_ours_and_an_administrators_is_not() {
        let directory = std::env::temp_dir().join(format!("ravelin-setup-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("makes");
        let answer = directory.join("policy-rc.d");
        assert!(is_ours(&answer), "nobody gave one");
        std::fs::write(&answer, NOTHING).expect("writes");
        assert!(is_ours(&answer), "ours, of a set-up that was cut off");
        std::fs::write(&answer, "#!/bin/sh\nexit 101\n").expect("writes");
        assert!(!is_ours(&answer), "an administrator's");
        std::fs::remove_dir_all(&directory).expect("removes");
    }
}
