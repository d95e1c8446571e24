//! The revert timer: a process of its own, in a session of its own, that puts the old state back at the deadline unless
//! the change was confirmed, and earlier when the process that made the change is gone. It survives the death of the
//! command, of its parent and of the operator's connection; a power loss needs no timer, since nothing unconfirmed is
//! loaded at boot.

use crate::{
    Error, revert,
    state::{Phase, Process, State},
};
use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};
use sys::clock::boot_ms;
use words::Digest;

/// How long a change may wait for its confirmation, unless told otherwise: time for probes from every zone, short
/// enough that an operator who is cut off does not drive to the data centre.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at the state.
const POLL: Duration = Duration::from_millis(100);
/// How long a process that hangs in the middle of a change may hold the lock after the deadline before it is ended.
const LOCK_GRACE: Duration = Duration::from_secs(5);
/// How long the timer may take to start before the change is given up.
const START_WITHIN: Duration = Duration::from_secs(5);
/// Between two attempts when nothing could be put back, and how many there are: nft may be in the middle of an upgrade.
const RETRY: Duration = Duration::from_secs(1);
const RETRIES: u32 = 30;

/// Id of this boot.
pub fn boot_id() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// Starts the timer for the change that is staged, and waits until it says that it runs. `program` is this program.
pub fn arm(state: &State, program: &Path, digest: Digest) -> Result<(), Error> {
    let arguments = |word: &str| {
        let mut all = vec!["--state".into(), state.directory().display().to_string()];
        all.extend([word.to_owned(), digest.to_string()]);
        all
    };
    let under_systemd = systemd_runs_here() && {
        let unit = format!("--unit=ravelin-revert-{}", digest.short());
        let fixed = ["--quiet", "--collect", unit.as_str(), "--property=Restart=on-failure", "--"];
        Command::new("systemd-run").args(fixed).arg(program).args(arguments("watch")).status().is_ok_and(|s| s.success())
    };
    if !under_systemd {
        let mut launcher = sys::detach::spawn(Command::new(program).args(arguments("launch-watch")))?;
        let status = launcher.wait().map_err(|e| Error::Timer(e.to_string()))?;
        if !status.success() {
            return Err(Error::Timer(format!("its launcher ended with {status}")));
        }
    }
    let begun = Instant::now();
    while begun.elapsed() < START_WITHIN {
        if state.timer()?.is_some_and(Process::alive) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    Err(Error::Timer(format!("no sign of it after {} s", START_WITHIN.as_secs())))
}

/// A transient unit outlives the session's control group; it would run in the machine's own network namespace, so it
/// serves only there.
pub(crate) fn systemd_runs_here() -> bool {
    let init = std::fs::read_to_string("/proc/1/comm").unwrap_or_default();
    init.trim() == "systemd" && Path::new("/run/systemd/system").is_dir() && sys::netns::is_machines_own() == Some(true)
}

/// The launcher's whole work: a session of its own, the lasting process in it, and the end.
pub fn launch(state: &State, program: &Path, digest: Digest) -> Result<(), Error> {
    sys::detach::leave_session()?;
    let mut command = Command::new(program);
    command.arg("--state").arg(state.directory()).arg("watch").arg(digest.to_string());
    sys::detach::spawn(&mut command)?;
    Ok(())
}

/// The timer's whole work. Returns when there is nothing left to watch.
pub fn watch(state: &State, digest: Digest) -> Result<(), Error> {
    if let Some(own) = Process::own() {
        state.set_timer(own)?;
    }
    loop {
        let Some(pending) = state.pending()?.filter(|p| p.digest == digest) else { return Ok(()) };
        let late = boot_ms() >= pending.deadline_ms;
        let abandoned = pending.phase == Phase::Running && !pending.owner.is_some_and(Process::alive);
        if late || abandoned {
            break;
        }
        std::thread::sleep(POLL);
    }
    let lock = match state.lock(LOCK_GRACE) {
        Err(Error::Busy { .. }) => {
            // Whoever works on this change hangs. Ending it releases the lock.
            if let Some(owner) = state.pending()?.filter(|p| p.digest == digest).and_then(|p| p.owner) {
                state.note(None, None, format!("process {} hangs past the deadline: ended", owner.pid));
                sys::detach::kill(owner.into())?;
            }
            state.lock(LOCK_GRACE)?
        }
        other => other?,
    };
    let Some(pending) = state.pending()?.filter(|p| p.digest == digest) else { return Ok(()) };
    let why = if boot_ms() >= pending.deadline_ms { "not confirmed in time" } else { "the process that applied it is gone" };
    let mut tries = 0;
    loop {
        match revert::now(state, why) {
            Ok(_) => break,
            Err(e) if tries >= RETRIES => return Err(e),
            Err(_) => std::thread::sleep(RETRY),
        }
        tries += 1;
    }
    drop(lock);
    Ok(())
}
