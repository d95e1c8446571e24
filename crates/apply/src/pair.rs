//! The daemons of a redundant pair. In come a bundle's files for them, out comes a refusal before anything is changed, or daemons that
//! run with their files, or are stopped where those are gone. On a timer the active node tells the other one of every connection:
//! long ones make no events, and would end there by their timeouts. Never: chooses who is active, or puts an address on.

use crate::{Error, addresses, files, state::State, timer};
use bundle::{
    Draft, OwnFile,
    pair::{CONNTRACKD, Daemon},
};
use observe::run;
use serde::Serialize;
use std::path::PathBuf;

/// Where a file is written for keepalived to look at, in the state directory: it takes regular files alone.
const LOOKED_AT: &str = "keepalived.conf";

/// Tells the other node of every connection, of which only the active one has any to tell.
const TIMER: &str = "ravelin-states.timer";

/// What is done about a daemon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Its file alone is another one.
    File,
    /// Its unit too.
    Unit,
    /// Its file is gone.
    Gone,
}

/// Calls of `systemctl`, in order. keepalived reads its file again without giving anything up; conntrackd has no word for it, and asks
/// the other node for everything when it starts.
pub fn calls(daemon: Daemon, change: Change) -> Vec<Vec<&'static str>> {
    let unit = daemon.unit();
    let timed = daemon == Daemon::Conntrackd;
    let again = if daemon == Daemon::Keepalived { "reload-or-restart" } else { "restart" };
    let (mut out, timer) = match change {
        Change::File => (vec![vec!["enable", unit], vec![again, unit]], "enable"),
        Change::Unit => (vec![vec!["daemon-reload"], vec!["enable", unit], vec!["restart", unit]], "enable"),
        // Disabled even where it did not run: the distribution's own configuration has never been looked at.
        Change::Gone => (vec![vec!["disable", "--now", unit], vec!["daemon-reload"]], "disable"),
    };
    if timed {
        out.push(vec![timer, "--now", TIMER]);
    }
    out
}

/// Whether the programs are there and keepalived takes its file. Nothing where a bundle has no pair.
pub fn check(state: &State, draft: &Draft) -> Result<(), Error> {
    let Some(file) = draft.files().find(|f| f.path == Daemon::Keepalived.path()) else { return Ok(()) };
    run::output("conntrackd", &["-v"]).map_err(|e| Error::Pair(format!("{e}: `apt-get install keepalived conntrackd`")))?;
    let path: PathBuf = state.directory().join(LOOKED_AT);
    let unwritten = |e: std::io::Error| Error::Pair(format!("{}: {e}", path.display()));
    std::fs::write(&path, &file.content).map_err(unwritten)?;
    let said = run::output("keepalived", &["--config-test", &format!("--use-file={}", path.display())]);
    let removed = std::fs::remove_file(&path).map_err(unwritten);
    said.map_err(|e| Error::Pair(e.to_string()))?;
    removed
}

/// Brings a daemon to what lies on disk. Out come notes.
pub fn follow(daemon: Daemon, unit_too: bool) -> Result<Vec<String>, Error> {
    let change = match (files::is_there(daemon.path())?, unit_too) {
        (false, _) => Change::Gone,
        (true, true) => Change::Unit,
        (true, false) => Change::File,
    };
    if !timer::systemd_runs_here() {
        return Ok(vec![format!("systemd does not run here: {} counts from its next start", daemon.unit())]);
    }
    for call in calls(daemon, change) {
        run::output("systemctl", &call)?;
    }
    Ok(Vec::new())
}

/// Daemons that should run and do not, in words. Nothing where systemd does not run here: who started them cannot be told.
pub fn differences<'a>(files: impl IntoIterator<Item = &'a OwnFile>) -> Vec<String> {
    let meant: Vec<Daemon> = files.into_iter().filter_map(|f| Daemon::ALL.into_iter().find(|d| d.path() == f.path)).collect();
    if meant.is_empty() || !timer::systemd_runs_here() {
        return Vec::new();
    }
    let runs = |d: &Daemon| run::output("systemctl", &["is-active", "--quiet", d.unit()]).is_ok();
    meant.iter().filter(|d| !runs(d)).map(|d| format!("{} does not run", d.unit())).collect()
}

/// Ends a daemon at once, whatever lies on disk. Out come notes.
pub fn end(daemon: Daemon) -> Vec<String> {
    if !timer::systemd_runs_here() {
        return Vec::new();
    }
    run::output("systemctl", &["stop", daemon.unit()]).err().map(|e| e.to_string()).into_iter().collect()
}

/// What a refresh did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refreshed {
    /// No pair is in force here.
    NoPair,
    /// This node is active: the other one was told of every connection.
    Told,
    /// It is not: what it would tell is forgotten.
    Forgot,
}

/// Tells the other node of every connection where this one is active. A node that is not forgets what it knew as the active one: the
/// other node, starting again, would be told of connections that are no more.
pub fn refresh(state: &State) -> Result<Refreshed, Error> {
    let Some(bundle) = state.confirmed_bundle()? else { return Ok(Refreshed::NoPair) };
    if !bundle.draft().elects() {
        return Ok(Refreshed::NoPair);
    }
    if addresses::any_there(bundle.draft())? {
        // From the kernel first: what was injected by the other node while that was active is not in the daemon's own table.
        conntrackd("-R")?;
        conntrackd("-B")?;
        return Ok(Refreshed::Told);
    }
    run::output("conntrackd", &["-C", CONNTRACKD, "-f", "internal"])?;
    Ok(Refreshed::Forgot)
}

fn conntrackd(word: &str) -> Result<(), Error> {
    run::output("conntrackd", &["-C", CONNTRACKD, word]).map(drop).map_err(Error::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_file_gives_nothing_up_and_a_lost_one_leaves_nothing_running() {
        assert_eq!(calls(Daemon::Keepalived, Change::File).last(), Some(&vec!["reload-or-restart", "keepalived.service"]));
        assert!(calls(Daemon::Conntrackd, Change::File).contains(&vec!["restart", "conntrackd.service"]));
        assert_eq!(calls(Daemon::Conntrackd, Change::Gone).last(), Some(&vec!["disable", "--now", TIMER]));
        for daemon in Daemon::ALL {
            let unit = calls(daemon, Change::Unit);
            assert_eq!(unit.first(), Some(&vec!["daemon-reload"]), "a unit that was not read again is the old one");
            assert!(unit.contains(&vec!["enable", daemon.unit()]), "it is there after a boot");
            assert_eq!(calls(daemon, Change::Gone).first(), Some(&vec!["disable", "--now", daemon.unit()]));
        }
    }
}
