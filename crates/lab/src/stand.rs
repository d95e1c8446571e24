//! A lab that stays: `up`, `status`, `exec`, `shell`, `down`.
//!
//! A holder process keeps the namespaces; what is kept outside is one small file with its process id and start time, so
//! that an id used again by another process is never taken for the lab. When the holder ends, the kernel takes the whole
//! lab down. Never: leaves anything behind after `down`.

use crate::{enter, error::LabError};
use serde::{Deserialize, Serialize};
use std::{
    ffi::OsString,
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// The lab's name where nobody gives one.
pub const DEFAULT_NAME: &str = "default";
/// What the holder prints when the lab stands.
pub const READY: &str = "ravelin-lab ready ";
/// How long the kernel may take to end the holder's processes.
const DOWN_WITHIN: Duration = Duration::from_secs(10);

/// What is known about a standing lab.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Its name.
    pub name: String,
    /// The site file it was built from.
    pub site: PathBuf,
    /// The process outside that waits for the holder.
    pub waiter: u32,
    /// Start time of the waiter in clock ticks since boot.
    pub started: u64,
    /// First process inside, as seen from outside.
    pub first: u32,
    /// What the holder said when it stood.
    pub said: String,
}

/// Builds a lab and leaves it standing. `hold` are the arguments with which this program, inside, builds it, prints
/// [`READY`] and waits.
pub fn up(name: &str, site: &Path, hold: &[OsString]) -> Result<Standing, LabError> {
    if let Some(old) = status(name)? {
        return Err(LabError::Other(format!("a lab `{name}` of {} stands already; `ravelin lab down` ends it", old.site.display())));
    }
    let dir = state_dir(name);
    if !dir.exists() {
        fs::DirBuilder::new().mode(0o700).create(&dir).map_err(LabError::io(format!("create {}", dir.display())))?;
    }
    let log = fs::File::create(dir.join("log")).map_err(LabError::io("create the lab's log"))?;
    let mut cmd = enter::command(hold)?;
    cmd.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log).process_group(0);
    let mut child = cmd.spawn().map_err(|source| LabError::Spawn { program: "unshare".into(), source })?;
    let Some(pipe) = child.stdout.take() else { return Err(LabError::Other("the holder has no output".into())) };
    let mut said = None;
    for line in BufReader::new(pipe).lines().map_while(Result::ok) {
        if let Some(rest) = line.strip_prefix(READY) {
            said = Some(rest.to_owned());
            break;
        }
    }
    let Some(said) = said else {
        let _ = child.kill();
        let _ = child.wait();
        let log = fs::read_to_string(dir.join("log")).unwrap_or_default();
        let _ = fs::remove_dir_all(&dir);
        return Err(LabError::Other(format!("the lab could not be built:\n{}", log.trim_end())));
    };
    let waiter = child.id();
    let first = first_inside(waiter)?;
    let started = start_time(waiter).ok_or_else(|| LabError::Other("the holder ended at once".into()))?;
    let standing = Standing { name: name.to_owned(), site: site.to_owned(), waiter, started, first, said };
    write_state(&dir, &standing)?;
    Ok(standing)
}

/// The standing lab of this name, if there is one; state of one that is gone is removed.
pub fn status(name: &str) -> Result<Option<Standing>, LabError> {
    let dir = state_dir(name);
    let Ok(text) = fs::read_to_string(dir.join("state.json")) else { return Ok(None) };
    let parsed: Result<Standing, _> = serde_json::from_str(&text);
    match parsed {
        Ok(s) if start_time(s.waiter) == Some(s.started) => Ok(Some(s)),
        _ => {
            fs::remove_dir_all(&dir).map_err(LabError::io(format!("remove {}", dir.display())))?;
            Ok(None)
        }
    }
}

/// Ends a lab; `false` where none stood.
pub fn down(name: &str) -> Result<bool, LabError> {
    let Some(standing) = status(name)? else { return Ok(false) };
    let pid = i32::try_from(standing.waiter).ok().and_then(rustix::process::Pid::from_raw);
    let pid = pid.ok_or_else(|| LabError::Other("the lab's state names no process".into()))?;
    // Its end ends the first process inside (`unshare --kill-child`), and that one's end everything else.
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).map_err(LabError::os("end the lab's holder"))?;
    let begin = Instant::now();
    while start_time(standing.waiter) == Some(standing.started) || start_time(standing.first).is_some() {
        if begin.elapsed() > DOWN_WITHIN {
            return Err(LabError::Other(format!("process {} does not end", standing.first)));
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let dir = state_dir(name);
    fs::remove_dir_all(&dir).map_err(LabError::io(format!("remove {}", dir.display())))?;
    Ok(true)
}

/// Runs a program of the machine in a node of a standing lab.
pub fn exec(standing: &Standing, node: &str, argv: &[OsString]) -> Result<ExitStatus, LabError> {
    let handle = format!("{}/{node}", enter::NETNS_DIR);
    let mut cmd = Command::new("nsenter");
    cmd.args(enter::join(standing.first)).args(["nsenter", &format!("--net={handle}"), "--"]).args(argv);
    cmd.env("RAVELIN_LAB_NODE", node);
    cmd.status().map_err(|source| LabError::Spawn { program: "nsenter".into(), source })
}

/// Runs this program with other arguments inside a standing lab.
pub fn rerun(standing: &Standing, args: &[OsString]) -> Result<ExitStatus, LabError> {
    let exe = std::env::current_exe().map_err(LabError::io("find this program's own file"))?;
    let mut cmd = Command::new("nsenter");
    cmd.args(enter::join(standing.first)).arg(exe).args(args).env(enter::INSIDE, enter::mark()?);
    cmd.status().map_err(|source| LabError::Spawn { program: "nsenter".into(), source })
}

/// The holder's waiting: until somebody ends it.
pub fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

fn state_dir(name: &str) -> PathBuf {
    let own = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|d| d.is_dir());
    match own {
        Some(d) => d.join(format!("ravelin-lab-{name}")),
        None => std::env::temp_dir().join(format!("ravelin-lab-{}-{name}", rustix::process::getuid().as_raw())),
    }
}

fn write_state(dir: &Path, standing: &Standing) -> Result<(), LabError> {
    let path = dir.join("state.json");
    let text = serde_json::to_string_pretty(standing).map_err(|e| LabError::Other(e.to_string()))?;
    fs::write(&path, text).map_err(LabError::io(format!("write {}", path.display())))?;
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).map_err(LabError::io(format!("protect {}", path.display())))
}

fn first_inside(waiter: u32) -> Result<u32, LabError> {
    let path = format!("/proc/{waiter}/task/{waiter}/children");
    let text = fs::read_to_string(&path).map_err(LabError::io(format!("read {path}")))?;
    text.split_whitespace().next().and_then(|p| p.parse().ok()).ok_or_else(|| LabError::Other("the holder has no child".into()))
}

fn start_time(pid: u32) -> Option<u64> {
    sys::detach::identify(pid).map(|i| i.began)
}
