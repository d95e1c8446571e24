//! The daemons of a redundant pair and systemd. In come what lies on disk, and how the daemons were before a change, out come daemons
//! that run with their files, or are as they were. Forwards the first that will not is an error; on the way back each is tried and
//! what failed is a note: nothing keeps the rules of before away. Never: chooses who is active, or waits without bound.

use crate::{Error, files, systemctl, timer};
use bundle::{After, Draft, pair::Daemon};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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

/// A daemon before a change: who had one running for himself gets it back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    unit: String,
    enabled: Option<bool>,
    runs: bool,
}

/// When somebody goes back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// While the machine runs.
    Running,
    /// In the unit that both daemons start after: whoever waits for them there waits for ever.
    Boot,
}

/// The word that makes a daemon look at its file again. keepalived reads it without giving anything up; conntrackd has no word for it,
/// and asks the other node for everything when it starts.
fn again(daemon: Daemon) -> &'static str {
    if daemon == Daemon::Keepalived { "reload-or-restart" } else { "restart" }
}

/// Calls of `systemctl`, in order.
pub fn calls(daemon: Daemon, change: Change) -> Vec<Vec<&'static str>> {
    let unit = daemon.unit();
    let (mut out, timer) = match change {
        Change::File => (vec![vec!["enable", unit], vec![again(daemon), unit]], "enable"),
        Change::Unit => (vec![vec!["daemon-reload"], vec!["enable", unit], vec!["restart", unit]], "enable"),
        // Disabled even where it did not run: the distribution's own configuration has never been looked at.
        Change::Gone => (vec![vec!["disable", "--now", unit], vec!["daemon-reload"]], "disable"),
    };
    if daemon == Daemon::Conntrackd {
        out.push(vec![timer, "--now", TIMER]);
    }
    out
}

/// How the daemons are whose files a change writes or clears. Nothing where systemd does not run here.
pub fn look(files: &[files::Kept]) -> Result<Vec<Before>, Error> {
    if !timer::systemd_runs_here() {
        return Ok(Vec::new());
    }
    let touched = Daemon::ALL.into_iter().filter(|d| files.iter().any(|f| f.path == d.path()));
    touched.map(|d| systemctl::ask(d.unit()).map(|u| Before { unit: d.unit().into(), enabled: u.enabled, runs: u.runs })).collect()
}

/// Daemons that run with a file of somebody else until this change, in words.
pub fn taken_over(before: &[Before], files: &[files::Kept]) -> Vec<String> {
    let new = |d: Daemon| files.iter().any(|f| f.path == d.path() && f.was.is_none());
    let own = before.iter().filter(|b| b.runs && Daemon::of_unit(&b.unit).is_some_and(new));
    own.map(|b| format!("{} ran with a configuration of its own; from here on it runs with Ravelin's", b.unit)).collect()
}

/// Brings a daemon to what lies on disk. Out come notes.
pub fn follow(daemon: Daemon, unit_too: bool) -> Result<Vec<String>, Error> {
    if !timer::systemd_runs_here() {
        return Ok(vec![format!("systemd does not run here: {} counts from its next start", daemon.unit())]);
    }
    for words in calls(daemon, change(daemon, unit_too)?) {
        systemctl::call_or_kill(&words, daemon.unit())?;
    }
    Ok(Vec::new())
}

fn change(daemon: Daemon, unit_too: bool) -> Result<Change, Error> {
    Ok(match (files::is_there(daemon.path())?, unit_too) {
        (false, _) => Change::Gone,
        (true, true) => Change::Unit,
        (true, false) => Change::File,
    })
}

/// Ends a daemon at once, whatever lies on disk. Out come notes.
pub fn end(daemon: Daemon) -> Vec<String> {
    if !timer::systemd_runs_here() {
        return Vec::new();
    }
    tried(&["stop", daemon.unit()], daemon)
}

fn tried(words: &[&str], daemon: Daemon) -> Vec<String> {
    systemctl::call_or_kill(words, daemon.unit()).err().map(|e| e.chain()).into_iter().collect()
}

/// The daemons as they were before, where their files are back: `told` says which were others. systemd has read its units again.
/// Out come notes.
pub fn put_back(before: &[Before], told: &BTreeSet<After>, moment: Moment) -> Vec<String> {
    if !systemctl::listens() {
        return Vec::new();
    }
    let mut notes = Vec::new();
    for b in before {
        // A snapshot says what it says: no other unit is touched.
        let Some(daemon) = Daemon::of_unit(&b.unit) else { continue };
        let unit = daemon.unit();
        if let Some(enabled) = b.enabled {
            notes.extend(tried(&[if enabled { "enable" } else { "disable" }, unit], daemon));
        }
        match moment {
            // It runs after this unit, and what this boot starts was decided before the word above: said here, and not waited for.
            Moment::Boot => {
                let word = b.enabled.map(|on| if on { "start" } else { "stop" });
                notes.extend(word.into_iter().flat_map(|w| tried(&[w, "--no-block", unit], daemon)));
            }
            Moment::Running => notes.extend(runs_again(b, daemon, told)),
        }
    }
    notes.extend(timer_too(told, moment));
    notes
}

fn runs_again(before: &Before, daemon: Daemon, told: &BTreeSet<After>) -> Vec<String> {
    // Where nobody can say, what it was told before goes for it.
    let is = systemctl::ask(daemon.unit()).map_or(!before.runs, |u| u.runs);
    let word = match (before.runs, is) {
        (true, _) if told.contains(&After::PairUnit(daemon)) => "restart",
        (true, _) if told.contains(&After::Pair(daemon)) => again(daemon),
        // Ended on the way, its files never touched.
        (true, false) => "start",
        (false, true) => "stop",
        (true, true) | (false, false) => return Vec::new(),
    };
    tried(&[word, daemon.unit()], daemon)
}

/// The timer goes with conntrackd's file.
fn timer_too(told: &BTreeSet<After>, moment: Moment) -> Vec<String> {
    if !told.contains(&After::Pair(Daemon::Conntrackd)) {
        return Vec::new();
    }
    let there = files::is_there(Daemon::Conntrackd.path()).unwrap_or(false);
    let (lasting, now) = if there { ("enable", "start") } else { ("disable", "stop") };
    let words = match moment {
        Moment::Running => vec![vec![lasting, "--now", TIMER]],
        Moment::Boot => vec![vec![lasting, TIMER], vec![now, "--no-block", TIMER]],
    };
    words.iter().filter_map(|w| systemctl::call(w).err()).map(|e| e.chain()).collect()
}

/// The daemons where nobody knows how they were: as the confirmed bundle's files have them. Out come notes.
pub fn instead(confirmed: Option<&Draft>, told: &BTreeSet<After>, moment: Moment) -> Vec<String> {
    let meant = |d: Daemon| confirmed.is_some_and(|c| c.files().any(|f| f.path == d.path()));
    let concerned = |d: &Daemon| meant(*d) || told.contains(&After::Pair(*d)) || told.contains(&After::PairUnit(*d));
    let as_meant = |d: Daemon| Before { unit: d.unit().into(), enabled: Some(meant(d)), runs: meant(d) };
    let before: Vec<Before> = Daemon::ALL.into_iter().filter(concerned).map(as_meant).collect();
    put_back(&before, told, moment)
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
