//! Going inside: the running program starts itself again in user, network, mount and process namespaces of its own.
//!
//! In comes the command line of this process; out comes either "you are inside" or the exit status of the copy that was.
//! Works as root and, where unprivileged user namespaces are allowed, as anybody. When the first process of the process
//! namespace goes, the kernel ends everything in it and takes every namespace down: nothing is left behind.
//! Never: changes anything outside the new namespaces.

use crate::error::LabError;
use rustix::mount::{MountFlags, mount};
use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::{Command, ExitStatus, Output, Stdio},
};

/// Set for the copy that runs inside.
pub const INSIDE: &str = "RAVELIN_LAB_INSIDE";

/// Where named network namespaces live inside, as `ip netns` expects them.
pub const NETNS_DIR: &str = "/run/netns";

/// First process of the process namespace: a shell, because it reaps orphans and leaves Ctrl-C to the program.
const INIT: &str = "\"$@\"; exit $?";

/// Where we are.
#[derive(Debug)]
pub enum Entered {
    /// Inside: go on.
    Inside,
    /// Outside, and the copy inside has finished with this status.
    Done(ExitStatus),
}

/// Whether this process is the copy inside.
pub fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
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
    cmd.args(isolation()?).args(["--net", "--mount", "--pid", "--fork", "--kill-child", "--propagation", "private"]);
    cmd.args(["--", "sh", "-c", INIT, "sh"]).arg(exe).args(args).env(INSIDE, "1");
    Ok(cmd)
}

/// A user namespace wherever one can be had, so that even root inside is nobody outside.
fn isolation() -> Result<&'static [&'static str], LabError> {
    const OWN_USERS: &[&str] = &["--user", "--map-root-user"];
    let attempt = try_unshare(OWN_USERS)?;
    if attempt.status.success() {
        return Ok(OWN_USERS);
    }
    if rustix::process::geteuid().is_root() && try_unshare(&[])?.status.success() {
        return Ok(&[]);
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
    raise_file_limit();
    crate::space::run_program("ip", &["link", "set", "lo", "up"], None, "the lab's own namespace").map(drop)
}

/// Thousands of listening sockets: the hard limit is there for the taking.
fn raise_file_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, maximum: now.maximum });
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
