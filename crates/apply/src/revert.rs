//! Back to the last known good. Called with the lock held. In comes the state directory, out comes what was put back. The
//! order is: the snapshot; the confirmed bundle; the management path alone. Never wider than one of these.

use crate::{
    Error, addresses, boot,
    daemons::{self, Moment},
    files, glass, modes, nft, settings,
    snapshot::Snapshot,
    state::{Pending, State},
    timer, ufw,
};
use bundle::{After, Bundle, pair::Daemon};
use serde::Serialize;
use std::collections::BTreeSet;
use words::Digest;

/// What was put back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Restored {
    /// Nothing was under way.
    Nothing,
    /// Nothing was to be: the change waits on, its timer running.
    Waits,
    /// Nothing had been changed yet.
    Untouched,
    /// The change was confirmed already; only its traces were left.
    Confirmed,
    /// What was there before.
    Snapshot,
    /// The confirmed bundle, since the snapshot did not load.
    ConfirmedBundle,
    /// The management path alone, since neither loaded.
    ManagementPath,
}

impl std::fmt::Display for Restored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Restored::Nothing => "no change was under way",
            Restored::Waits => "the change is still in force and goes back at its deadline unless it is confirmed",
            Restored::Untouched => "nothing had been changed yet",
            Restored::Confirmed => "the change was confirmed already and stays",
            Restored::Snapshot => "what was there before is in force again",
            Restored::ConfirmedBundle => "the confirmed generation is in force again",
            Restored::ManagementPath => "nothing loaded again: the management path is open, everything else is dropped",
        })
    }
}

/// Puts the last known good state back and ends the change under way.
pub fn now(state: &State, why: &str) -> Result<Restored, Error> {
    let Some(pending) = state.pending()? else {
        state.clear_pending()?;
        return Ok(Restored::Nothing);
    };
    let note = |what: String| state.note(Some(pending.generation), None, what);
    let here = pending.namespace.is_none() || pending.namespace == namespace();
    let this_boot = pending.boot_id == timer::boot_id();
    if this_boot && !here {
        return Err(Error::OtherNamespace);
    }
    // A damaged confirmed bundle must not stop the snapshot from going back.
    if is_confirmed(state, &pending) {
        state.clear_pending()?;
        note("confirmed: traces removed".into());
        return Ok(Restored::Confirmed);
    }
    if !pending.touched {
        state.clear_pending()?;
        note(format!("given up before anything was changed: {why}"));
        return Ok(Restored::Untouched);
    }
    if !this_boot {
        // What it changed in the kernel went with that boot; what is in force now was loaded by another hand. Files stayed.
        let notes = of_earlier_boot(state, Moment::Running)?;
        state.clear_pending()?;
        note("forgotten: it belongs to an earlier boot".into());
        notes.into_iter().for_each(note);
        return Ok(Restored::Untouched);
    }
    let network = put_back(state);
    // Whatever became of the network: files of a change that failed must not wait for a service's next start.
    let disk = of_disk(state, Moment::Running);
    let (restored, notes) = network?;
    let notes = [notes, disk?].concat();
    // Only now: a revert that is cut off itself is begun again by the timer or by boot.
    state.clear_pending()?;
    note(format!("reverted ({restored:?}): {why}"));
    notes.into_iter().for_each(note);
    Ok(restored)
}

/// As [`now`], where the change under way is this one: whoever puts many machines back must not end what somebody else began on one.
pub fn only(state: &State, digest: Option<Digest>, why: &str) -> Result<Restored, Error> {
    match (digest, state.pending()?) {
        (Some(offered), Some(pending)) if offered != pending.digest => Err(Error::OtherPending { offered, pending: pending.digest }),
        _ => {
            // Before it goes back: whoever has these bytes, and a word that was said earlier and arrives late, must not bring it again. What
            // somebody confirmed meanwhile is not given up.
            let confirmed = state.confirmed_bundle().ok().flatten().map(|b| b.digest());
            digest.filter(|d| confirmed != Some(*d)).map_or(Ok(()), |d| state.give_up(d))?;
            now(state, why)
        }
    }
}

/// Whether what is under way is the last known good already.
pub(crate) fn is_confirmed(state: &State, pending: &Pending) -> bool {
    state.confirmed_bundle().ok().flatten().is_some_and(|b| b.digest() == pending.digest)
}

/// What a change of an earlier boot left behind: files, modes and, where UFW filters, its rule files and what it has loaded from them
/// by now. Out come notes.
pub(crate) fn of_earlier_boot(state: &State, moment: Moment) -> Result<Vec<String>, Error> {
    let mut notes = of_disk(state, moment)?;
    if let Some(kept) = state.snapshot().ok().flatten().and_then(|s| s.ufw) {
        notes.extend(ufw::put_back(&kept)?);
    }
    Ok(notes)
}

/// Files, modes and a pair's daemons as they were before the change under way: from the snapshot, or, where that cannot be read, as the
/// confirmed bundle has them. Out come notes.
pub(crate) fn of_disk(state: &State, moment: Moment) -> Result<Vec<String>, Error> {
    let mut notes = Vec::new();
    match state.snapshot() {
        Ok(Some(snapshot)) => {
            let told = files::put_back(&snapshot.files)?;
            notes.extend(modes::put_back(&snapshot.modes));
            notes.extend(reload(&told));
            notes.extend(daemons::put_back(&snapshot.daemons, &told, moment));
        }
        unread => {
            notes.push(unread.err().map_or_else(|| "snapshot: it is not there".to_owned(), |e| e.chain()));
            if let Some(failed) = state.pending_bundle()? {
                let confirmed = state.confirmed_bundle()?;
                let told = files::instead(confirmed.as_ref(), &failed)?;
                notes.extend(reload(&told));
                notes.extend(daemons::instead(confirmed.as_ref().map(Bundle::draft), &told, moment));
            }
        }
    }
    Ok(notes)
}

/// Units read again. Accounts and directories that were made stay: they hold nothing and let nobody in. That systemd does not answer is
/// a note: the files are back, and another try would find nothing to do.
fn reload(told: &BTreeSet<After>) -> Vec<String> {
    if !told.iter().any(|a| a.is_unit()) {
        return Vec::new();
    }
    files::reload().unwrap_or_else(|e| Some(e.chain())).into_iter().collect()
}

/// An election that was not there before lets go first: its daemon takes its addresses off when it ends, ours are put back after that.
fn end_election(before: &Snapshot) -> Vec<String> {
    let new = |f: &files::Kept| f.path == Daemon::Keepalived.path() && f.was.is_none();
    // Where its file does not lie there yet, what runs is somebody else's. A place that cannot be looked at may hold it.
    if before.files.iter().any(new) && files::is_there(Daemon::Keepalived.path()).unwrap_or(true) {
        daemons::end(Daemon::Keepalived)
    } else {
        Vec::new()
    }
}

/// The same where the snapshot cannot be read: whatever election the confirmed bundle does not have.
fn end_election_unless(confirmed: Option<&Bundle>) -> Vec<String> {
    // A place that cannot be looked at may hold one.
    let there = files::is_there(Daemon::Keepalived.path()).unwrap_or(true);
    if there && !confirmed.is_some_and(|c| c.draft().elects()) { daemons::end(Daemon::Keepalived) } else { Vec::new() }
}

fn put_back(state: &State) -> Result<(Restored, Vec<String>), Error> {
    let mut failed = Vec::new();
    match state.snapshot() {
        Ok(Some(snapshot)) => {
            let notes = settings::restore(&snapshot.settings);
            // Our own table first: where UFW took over from it, it filters again before UFW lets go.
            let done = nft::load(&snapshot.script()).and_then(|()| snapshot.ufw.as_ref().map_or(Ok(Vec::new()), ufw::put_back));
            match done {
                Ok(more) => {
                    let ended = end_election(&snapshot);
                    let reclaimed = addresses::reclaim(state, &snapshot.addresses);
                    let left = addresses_back(reclaimed.and_then(|()| addresses::put(state, &snapshot.addresses)));
                    let left = [ended, left].concat();
                    let glass = glass::follow(state, &snapshot.script());
                    return Ok((Restored::Snapshot, [notes, more, left, glass].concat()));
                }
                Err(e) => failed.push(format!("snapshot: {}", e.chain())),
            }
        }
        Ok(None) => failed.push("snapshot: it is not there".into()),
        Err(e) => failed.push(e.chain()),
    }
    match state.confirmed_bundle() {
        Ok(Some(bundle)) => match boot::load(&bundle) {
            Ok(notes) => {
                let ended = end_election_unless(Some(&bundle));
                let left = addresses_back(addresses::put_all(state, bundle.draft()));
                return Ok((Restored::ConfirmedBundle, [failed, notes, ended, left, glass::follow(state, "")].concat()));
            }
            Err(e) => failed.push(format!("confirmed bundle: {}", e.chain())),
        },
        Ok(None) => failed.push("confirmed bundle: there is none".into()),
        Err(e) => failed.push(e.chain()),
    }
    match boot::management_only(state) {
        Ok(()) => {
            failed.extend(end_election_unless(None));
            Ok((Restored::ManagementPath, failed))
        }
        Err(e) => {
            failed.push(format!("management path: {}", e.chain()));
            Err(Error::Lost(failed))
        }
    }
}

/// One that will not come off, or not go back, must not keep the rules of before away. The record still names it: the next change
/// tries again.
fn addresses_back(done: Result<(), Error>) -> Vec<String> {
    done.err().map(|e| e.chain()).into_iter().collect()
}

/// The network namespace of this thread, where it can be seen.
pub fn namespace() -> Option<u64> {
    sys::netns::identity(std::path::Path::new("/proc/thread-self/ns/net")).ok()
}
