//! What a redundant pair's programs are asked. In come a bundle's files for them, out comes a refusal before anything is changed, or what
//! does not run as it should. On a timer the active node tells the other one of every connection: long ones make no events, and would
//! end there by their timeouts. Never: chooses who is active, puts an address on, or starts a daemon (`daemons` does).

use crate::{Error, addresses, changed::Look, state::State, systemctl, timer};
use bundle::{
    Draft, OwnFile,
    pair::{CONNTRACKD, DRAINED, Daemon, HEALTH},
};
use observe::run;
use serde::Serialize;
use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Where a file is written for keepalived to look at, in the state directory: it takes regular files alone.
const LOOKED_AT: &str = "keepalived.conf";

/// How long a program of the pair has for one word: a full table of two million connections is read from the kernel in seconds.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// How long keepalived has to look at a file: it takes some milliseconds.
const LOOKS_WITHIN: Duration = Duration::from_secs(10);

/// keepalived runs under an account of its own and has to read the word, whatever our umask.
const HEALTH_MODE: u32 = 0o644;

/// How long handing over may take: an election settles within a second, and a machine under load needs longer to say so.
pub const GONE_WITHIN: Duration = Duration::from_secs(5);

/// Between two looks whether the addresses are gone.
const LOOK: Duration = Duration::from_millis(100);

/// Whether the programs are there and keepalived takes its file. Nothing where a bundle has no pair.
pub fn check(state: &State, draft: &Draft) -> Result<(), Error> {
    let Some(file) = draft.files().find(|f| f.path == Daemon::Keepalived.path()) else { return Ok(()) };
    run::within(LOOKS_WITHIN, &[], "conntrackd", &["-v"])
        .map_err(|e| Error::Pair(format!("{e}: `apt-get install keepalived conntrackd`")))?;
    let path: PathBuf = state.directory().join(LOOKED_AT);
    let unwritten = |e: std::io::Error| Error::Pair(format!("{}: {e}", path.display()));
    std::fs::write(&path, &file.content).map_err(unwritten)?;
    let said = run::within(LOOKS_WITHIN, &[], "keepalived", &["--config-test", &format!("--use-file={}", path.display())]);
    let removed = std::fs::remove_file(&path).map_err(unwritten);
    said.map_err(|e| Error::Pair(e.to_string()))?;
    removed
}

/// Daemons that should run and do not, in words. Nothing where systemd does not run here: who started them cannot be told.
pub fn differences<'a>(files: impl IntoIterator<Item = &'a OwnFile>) -> Vec<String> {
    let meant: Vec<Daemon> = files.into_iter().filter_map(|f| Daemon::ALL.into_iter().find(|d| d.path() == f.path)).collect();
    if meant.is_empty() || !timer::systemd_runs_here() {
        return Vec::new();
    }
    let one = |d: &Daemon| match systemctl::ask(d.unit()) {
        Ok(unit) if unit.runs => None,
        Ok(_) => Some(format!("{} does not run", d.unit())),
        Err(e) => Some(format!("whether {} runs cannot be told: {}", d.unit(), e.chain())),
    };
    meant.iter().filter_map(one).collect()
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

/// Tells the other node of every connection where this one is active, and lets those go on that lived through a change of nodes. A node that is not forgets what it knew as the active one: the
/// other node, starting again, would be told of connections that are no more.
pub fn refresh(state: &State) -> Result<Refreshed, Error> {
    let Some(bundle) = state.confirmed_bundle()? else { return Ok(Refreshed::NoPair) };
    if !bundle.draft().elects() {
        return Ok(Refreshed::NoPair);
    }
    let now = Look::now(addresses::any_there(bundle.draft())?)?;
    // Before anything is told: what hangs on this waits.
    if now.changed(Look::last(state).as_ref()) {
        sys::track::Tracking::open()?.forgive_all()?;
    }
    now.keep(state)?;
    if now.active() {
        // From the kernel first: what was injected by the other node while that was active is not in the daemon's own table.
        conntrackd(&["-R"])?;
        conntrackd(&["-B"])?;
        return Ok(Refreshed::Told);
    }
    conntrackd(&["-f", "internal"])?;
    Ok(Refreshed::Forgot)
}

fn conntrackd(words: &[&str]) -> Result<(), Error> {
    run::within(ANSWERS_WITHIN, &[], "conntrackd", &[&["-C", CONNTRACKD], words].concat()).map(drop).map_err(Error::from)
}

/// What handing over came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drained {
    /// The other node holds everything, and this one stays so, over a boot as well.
    Over,
    /// The word is taken back: this node may be active again when the other one is worse.
    Back,
}

/// Hands everything to the other node and waits until the addresses are gone, or takes that word back. An error where they stay: nobody
/// took over, and the word is given.
pub fn drain(state: &State, back: bool) -> Result<Drained, Error> {
    let waits = state.pending_bundle()?;
    let Some(bundle) = waits.or(state.confirmed_bundle()?).filter(|b| b.draft().elects()) else {
        return Err(Error::Pair("this machine is no node of a pair that is in force".into()));
    };
    tell(back)?;
    state.note(None, None, if back { "may be active again" } else { "told to hand over" });
    if back {
        return Ok(Drained::Back);
    }
    if until_gone(|| Ok::<_, Error>(!addresses::any_there(bundle.draft())?))? {
        return Ok(Drained::Over);
    }
    let seconds = GONE_WITHIN.as_secs();
    Err(Error::Pair(format!("told to hand over, it still holds its addresses after {seconds} s: nobody takes over")))
}

/// Gives keepalived the word to hand over, or takes it back. It outlives a boot.
pub fn tell(back: bool) -> Result<(), sys::Error> {
    let number = if back { 0 } else { DRAINED };
    sys::file::replace_as(Path::new(HEALTH), format!("{number}\n").as_bytes(), HEALTH_MODE)
}

/// Looks until the addresses are gone; `false` where they are still here after [`GONE_WITHIN`].
pub fn until_gone<E>(mut gone: impl FnMut() -> Result<bool, E>) -> Result<bool, E> {
    let begun = Instant::now();
    loop {
        let are = gone()?;
        if are || begun.elapsed() >= GONE_WITHIN {
            return Ok(are);
        }
        std::thread::sleep(LOOK);
    }
}
