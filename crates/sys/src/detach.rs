//! Processes that outlive their caller: its death, its session's end, its terminal's hangup. Done in two programs
//! instead of two forks: the caller starts itself with a word that makes it call [`leave_session`] and start the lasting
//! process, then ends; the lasting one belongs to process 1 (or the nearest reaper) from then on.

use crate::Error;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal, setsid};
use std::{
    io,
    process::{Child, Command, Stdio},
};

/// Makes this process the leader of a session of its own, without a terminal.
pub fn leave_session() -> Result<(), Error> {
    // EPERM: it leads its group already, which a freshly started child of a shell may do; then it has its own group and
    // only the terminal remains, which the process it starts does not get.
    match setsid() {
        Ok(_) | Err(rustix::io::Errno::PERM) => Ok(()),
        Err(e) => Err(Error::call("setsid", e)),
    }
}

/// Starts a program with nothing of ours: no input, no output, root as its directory.
pub fn spawn(command: &mut Command) -> Result<Child, Error> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .current_dir("/")
        .spawn()
        .map_err(|e| Error::call(format!("start {}", command.get_program().display()), e))
}

/// A process that is told from others with the same number later on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Identity {
    /// Process id.
    pub pid: u32,
    /// When it began, in clock ticks since boot.
    pub began: u64,
}

/// The process with this id, if there is one.
pub fn identify(pid: u32) -> Option<Identity> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything: count fields from its end. Field 22 is the start time.
    let after = stat.rsplit_once(')')?.1;
    let state = after.split_whitespace().next()?;
    let began = after.split_whitespace().nth(19)?.parse().ok()?;
    (state != "Z").then_some(Identity { pid, began })
}

/// Ends exactly this process; nothing happens where it is gone.
pub fn kill(process: Identity) -> Result<(), Error> {
    let what = || format!("kill process {}", process.pid);
    let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else {
        return Err(Error::call(what(), io::Error::from(io::ErrorKind::InvalidInput)));
    };
    let gone = |e: rustix::io::Errno| if e == rustix::io::Errno::SRCH { Ok(()) } else { Err(Error::call(what(), e)) };
    // The descriptor is taken before the look at the start time: it cannot come to mean another process afterwards.
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(handle) => handle,
        Err(e) => return gone(e),
    };
    if identify(process.pid) != Some(process) {
        return Ok(());
    }
    pidfd_send_signal(&handle, Signal::KILL).or_else(gone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_meant_process_dies() {
        let mut child = spawn(Command::new("sleep").arg("60")).expect("starts");
        let meant = identify(child.id()).expect("is there");
        kill(Identity { began: meant.began + 1, ..meant }).expect("nothing to do");
        assert!(child.try_wait().expect("asks").is_none(), "another start time means another process");
        kill(meant).expect("kills");
        assert!(!child.wait().expect("waits").success());
        assert_eq!(identify(meant.pid), None);
        kill(meant).expect("is gone already");
    }
}
