//! Going inside: the running program starts itself again in network, mount and process namespaces of its own.
//!
//! In comes the command line of this process; out comes either "you are inside" or the exit status of the copy that was.
//! Anybody but the machine's root gets a user namespace as well, where unprivileged ones are allowed. The machine's root
//! does not: only there does the kernel take the large messages that a large ruleset needs. When the first process of the
//! process namespace goes, the kernel ends everything in it and takes every namespace down: nothing is left behind.
//! Never: changes anything outside the new namespaces; [`crate::fence`] holds the machine's root to that.

use crate::{error::LabError, fence};
use rustix::mount::{MountFlags, mount};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::{Command, ExitStatus, Output, Stdio},
};

/// Set for the copy that runs inside, to the namespaces outside: a value left over by accident does not make outside inside.
pub const INSIDE: &str = "RAVELIN_LAB_INSIDE";

/// Where named network namespaces live inside, as `ip netns` expects them.
pub const NETNS_DIR: &str = "/run/netns";

/// First process of the process namespace: a shell, because it reaps orphans and leaves Ctrl-C to the program.
const INIT: &str = "\"$@\"; exit $?";

/// Capabilities without which the machine's root still needs a user namespace: network and system administration.
const NEEDED: u64 = 1 << 12 | 1 << 21;

/// A user namespace's whole map where it is the machine's own: every id is itself.
const EVERYBODY: [&str; 3] = ["0", "0", "4294967295"];

/// Where we are.
#[derive(Debug)]
pub enum Entered {
    /// Inside: go on.
    Inside,
    /// Outside, and the copy inside has finished with this status.
    Done(ExitStatus),
}

/// How a lab is kept apart from its machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Isolation {
    /// In a user namespace: even root inside is nobody outside.
    OwnUsers,
    /// As the machine's root, by the other namespaces and a fence of read-only mounts.
    MachineRoot,
}

impl std::fmt::Display for Isolation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::OwnUsers => "rootless, in a user namespace (the kernel takes rulesets up to the socket's buffer)",
            Self::MachineRoot => "as root, without a user namespace (rulesets of any size)",
        })
    }
}

/// Whether this process is the copy inside: marked so, and in other namespaces than those it was started from.
pub fn is_inside() -> bool {
    let Ok(outside) = std::env::var(INSIDE) else { return false };
    match (outside.split_whitespace().collect::<Vec<_>>().as_slice(), own_space("net"), own_space("mnt")) {
        ([net, mount], Some(own_net), Some(own_mount)) => {
            net.starts_with("net:[") && mount.starts_with("mnt:[") && *net != own_net && *mount != own_mount
        }
        _ => false,
    }
}

/// The value of [`INSIDE`] for a copy that this process starts.
pub(crate) fn mark() -> Result<String, LabError> {
    match (own_space("net"), own_space("mnt")) {
        (Some(net), Some(mount)) => Ok(format!("{net} {mount}")),
        _ => Err(LabError::Other("this process cannot see its own namespaces in /proc/self/ns".into())),
    }
}

fn own_space(kind: &str) -> Option<String> {
    std::fs::read_link(format!("/proc/self/ns/{kind}")).ok().map(|l| l.display().to_string())
}

/// How a lab that this process is in, or would start, is kept apart.
pub fn isolation() -> Isolation {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let held = status.lines().find_map(|l| l.strip_prefix("CapEff:")).and_then(|c| u64::from_str_radix(c.trim(), 16).ok()).unwrap_or(0);
    let everybody = map.split_whitespace().eq(EVERYBODY);
    if everybody && rustix::process::geteuid().is_root() && held & NEEDED == NEEDED { Isolation::MachineRoot } else { Isolation::OwnUsers }
}

/// Runs this program again, with `args`, inside. In the copy, prepares the mounts and says [`Entered::Inside`].
pub fn enter<S: AsRef<OsStr>>(args: &[S]) -> Result<Entered, LabError> {
    if is_inside() {
        prepare()?;
        return Ok(Entered::Inside);
    }
    let status = command(args)?.status().map_err(|source| LabError::Spawn { program: "unshare".into(), source })?;
    Ok(Entered::Done(status))
}

/// The command that runs this program with `args` inside; for callers that want its pipes or its process.
pub fn command<S: AsRef<OsStr>>(args: &[S]) -> Result<Command, LabError> {
    let exe = std::env::current_exe().map_err(LabError::io("find this program's own file"))?;
    let mut cmd = Command::new("unshare");
    cmd.args(users()?).args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]);
    cmd.args(["--", "sh", "-c", INIT, "sh"]).arg(exe).args(args).env(INSIDE, mark()?);
    Ok(cmd)
}

/// The arguments that make a user namespace, where one is wanted or nothing else works.
fn users() -> Result<&'static [&'static str], LabError> {
    const OWN_USERS: &[&str] = &["--user", "--map-root-user"];
    if isolation() == Isolation::MachineRoot && try_unshare(&[])?.status.success() {
        return Ok(&[]);
    }
    let attempt = try_unshare(OWN_USERS)?;
    if attempt.status.success() {
        return Ok(OWN_USERS);
    }
    Err(LabError::Namespaces { why: String::from_utf8_lossy(&attempt.stderr).trim().to_owned() })
}

fn try_unshare(users: &[&str]) -> Result<Output, LabError> {
    Command::new("unshare")
        .args(users)
        .args(["--net", "--mount", "--pid", "--fork", "true"])
        .stdin(Stdio::null())
        .output()
        .map_err(|source| LabError::Spawn { program: "unshare".into(), source })
}

/// Fresh `/run` (namespace handles, locks, sockets) and `/proc` (own processes), loopback up.
fn prepare() -> Result<(), LabError> {
    if Path::new(NETNS_DIR).join(".ravelin").exists() {
        return Ok(());
    }
    mount("tmpfs", "/run", "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, None).map_err(LabError::os("mount a fresh /run"))?;
    std::fs::create_dir_all(Path::new(NETNS_DIR)).map_err(LabError::io("create /run/netns"))?;
    std::fs::write(Path::new(NETNS_DIR).join(".ravelin"), "").map_err(LabError::io("mark /run/netns"))?;
    // A masked outer /proc (some containers) makes the kernel refuse; the outer one then serves, with more processes shown.
    let _ = mount("proc", "/proc", "proc", MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC, None);
    if isolation() == Isolation::MachineRoot {
        fence::close()?;
    }
    raise_file_limit();
    crate::space::run_program("ip", &["link", "set", "lo", "up"], None, "the lab's own namespace").map(drop)
}

/// Thousands of listening sockets: the hard limit is there for the taking.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    /// Ten thousand connections with both their ends in one process, and the listeners; root may ask for more than it was given.
    const ENOUGH: u64 = 1 << 17;
    let now = getrlimit(Resource::Nofile);
    let most = now.maximum.map(|m| m.max(ENOUGH));
    if setrlimit(Resource::Nofile, Rlimit { current: most, maximum: most }).is_err() {
        let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
    }
}

/// Arguments that enter a standing lab whose first process has this id (as seen from outside).
pub fn join(pid: u32) -> Vec<OsString> {
    let mut args: Vec<OsString> = ["-t", &pid.to_string(), "--mount", "--pid", "--net"].map(OsString::from).to_vec();
    let own = |p: &str| std::fs::read_link(p).ok();
    if own(&format!("/proc/{pid}/ns/user")) != own("/proc/self/ns/user") {
        args.extend(["--user", "--preserve-credentials"].map(OsString::from));
    }
    args.push("--".into());
    args
}
