//! The state directory. In come bundles and snapshots, out comes what survives a power loss.
//!
//! ```text
//! lock                 held while something changes
//! journal              one JSON line per event, only ever added to; journal.old is the one before
//! generation           highest generation that was ever staged
//! confirmed/bundle     last known good; replaced by rename: that is the moment a change counts
//! confirmed/break-glass.nft   its management path, apart, so that a damaged bundle does not take it along
//! confirmed/proof.json what the confirmation rested on, with the digest it is about; none where probes alone confirmed
//! trust                which keys this machine believes; where it is not there, root's word is enough
//! given-up             digest of the bundle that was taken back by name last
//! machine              what this machine is called, for bundles' sake; there as long as the trust is
//! confirmed/signers.json whose signatures the confirmed bundle came with, with the digest it is about
//! addresses.json       addresses we put on devices, with boot and namespace: what is not in it was there before
//! glass                break-glass may have put rules before UFW's
//! pending/             a change under way: meta.json, bundle, snapshot.json, timer.json
//! ```

use crate::{Error, Step, addresses::Record, snapshot::Snapshot, trust::Shown, way_in::Proof};
use bundle::{Bundle, Trust};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use std::{
    collections::BTreeSet,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use sys::{detach::Identity, file, lock};
use words::{Digest, Generation, HostName, NameError};

/// Where the state lies unless told otherwise.
pub const DEFAULT: &str = "/var/lib/ravelin";

/// Name of the trust's file.
pub(crate) const TRUST: &str = "trust";
/// Name of the file that says what the machine is called.
const MACHINE: &str = "machine";

/// Bytes after which the journal begins anew; the one before is kept. A change writes about 2 kB.
const JOURNAL_BYTES: u64 = 1 << 20;

/// The state directory.
#[derive(Debug, Clone)]
pub struct State(PathBuf);

/// How far a change is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// A process works on it. Where that process is gone, the change has failed.
    Running,
    /// Done but for the confirmation.
    Waiting,
}

/// A change under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// Its bundle.
    pub digest: Digest,
    /// Its number.
    pub generation: Generation,
    /// How far it is.
    pub phase: Phase,
    /// Something of the machine may have been changed already.
    pub touched: bool,
    /// When it reverts, in milliseconds since boot (suspended time included).
    pub deadline_ms: u64,
    /// Boot the deadline belongs to.
    pub boot_id: String,
    /// Network namespace it was made in (inode), where that could be seen.
    pub namespace: Option<u64>,
    /// Process that works on it.
    pub owner: Option<Process>,
    /// Cookies of the TCP sockets that were there when it began to wait: a connection among them proves nothing of its rules.
    #[serde(default)]
    pub present: Option<BTreeSet<u64>>,
    /// Keys that stand behind it, where this machine has a trust.
    #[serde(default)]
    pub signed_by: Vec<Shown>,
    /// Number of the trust by which it was taken.
    #[serde(default)]
    pub epoch: Option<u64>,
}

/// A process that cannot be mistaken for a later one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Process id.
    pub pid: u32,
    /// Start time in clock ticks since boot.
    pub began: u64,
}

impl Process {
    /// The calling one.
    pub fn own() -> Option<Self> {
        sys::detach::identify(std::process::id()).map(Into::into)
    }
    /// Whether it still runs.
    pub fn alive(self) -> bool {
        sys::detach::identify(self.pid) == Some(self.into())
    }
}

impl From<Identity> for Process {
    fn from(i: Identity) -> Self {
        Self { pid: i.pid, began: i.began }
    }
}

impl From<Process> for Identity {
    fn from(p: Process) -> Self {
        Self { pid: p.pid, began: p.began }
    }
}

/// A line of the journal.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Entry {
    /// Seconds since 1970-01-01 UTC by the machine's clock.
    pub at: u64,
    /// Generation it is about.
    pub generation: Option<Generation>,
    /// Step, where it is about one.
    pub step: Option<Step>,
    /// What happened.
    pub what: String,
}

impl State {
    /// Opens the directory, making it where it is not there.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let state = Self(path.to_owned());
        for dir in [path.to_owned(), state.confirmed(), state.path("failed")] {
            make_directory(&dir)?;
        }
        Ok(state)
    }
    /// The directory.
    pub fn directory(&self) -> &Path {
        &self.0
    }
    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
    fn confirmed(&self) -> PathBuf {
        self.path("confirmed")
    }
    fn pending_dir(&self) -> PathBuf {
        self.path("pending")
    }
    /// Takes the lock, waiting so long.
    pub fn lock(&self, patience: Duration) -> Result<lock::Lock, Error> {
        match lock::acquire(&self.path("lock"), patience)? {
            lock::Attempt::Held(lock) => Ok(lock),
            lock::Attempt::Busy => Err(Error::Busy { path: self.path("lock") }),
        }
    }
    /// Adds a line to the journal. A journal that cannot be written stops nothing.
    pub fn note(&self, generation: Option<Generation>, step: Option<Step>, what: impl Into<String>) {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        if let Ok(mut line) = serde_json::to_vec(&Entry { at, generation, step, what: what.into() }) {
            line.push(b'\n');
            if fs::metadata(self.path("journal")).is_ok_and(|m| m.len() > JOURNAL_BYTES) {
                let _ = file::rename(&self.path("journal"), &self.path("journal.old"));
            }
            let _ = file::append(&self.path("journal"), &line);
        }
    }
    /// The last lines of the journal; damaged ones are left out.
    pub fn journal(&self, last: usize) -> Vec<Entry> {
        let text = fs::read_to_string(self.path("journal")).unwrap_or_default();
        let mut lines: Vec<Entry> = text.lines().rev().filter_map(|l| serde_json::from_str(l).ok()).take(last).collect();
        lines.reverse();
        lines
    }
    /// Highest generation that was ever staged, and by which bundle.
    pub fn highest(&self) -> Result<Option<(Generation, Digest)>, Error> {
        read_json(&self.path("generation"))
    }
    /// Notes that this bundle was taken back by name and must not come again. One is enough: what is older has a lower generation.
    pub fn give_up(&self, digest: Digest) -> Result<(), Error> {
        if self.given_up()? == Some(digest) {
            return Ok(());
        }
        // One that never came as far as its number: the next plan for this machine must not be the same bytes again.
        let highest = self.highest()?;
        if highest.is_none_or(|(_, staged)| staged != digest) {
            let confirmed = self.confirmed_bundle()?.map(|b| b.draft().generation);
            let known = highest.map(|(number, _)| number).max(confirmed).unwrap_or_default();
            file::replace(&self.path("generation"), &json(&(known.next(), digest)))?;
        }
        Ok(file::replace(&self.path("given-up"), &json(&digest))?)
    }
    /// The bundle that was taken back by name last.
    pub fn given_up(&self) -> Result<Option<Digest>, Error> {
        read_json(&self.path("given-up"))
    }
    /// The confirmed bundle, `None` where none ever was.
    pub fn confirmed_bundle(&self) -> Result<Option<Bundle>, Error> {
        read_bundle(&self.confirmed().join("bundle"))
    }
    /// The confirmed management path.
    pub fn break_glass(&self) -> Option<String> {
        fs::read_to_string(self.confirmed().join("break-glass.nft")).ok()
    }
    /// Whom this machine believes, and what it is called. A trust that does not read is an error, never none.
    pub fn trust(&self) -> Result<Option<(Trust, HostName)>, Error> {
        let damaged = |name: &str, why: String| Error::Damaged { path: self.path(name), why };
        let Some(bytes) = read(&self.path(TRUST))? else { return Ok(None) };
        let trust = Trust::read(&bytes).map_err(|e| damaged(TRUST, e.to_string()))?;
        let machine = read(&self.path(MACHINE))?.ok_or_else(|| damaged(MACHINE, "it is not there".to_owned()))?;
        let machine = String::from_utf8_lossy(&machine).trim_end().parse().map_err(|e: NameError| damaged(MACHINE, e.to_string()))?;
        Ok(Some((trust, machine)))
    }
    /// The first trust. The name goes first: without a trust it means nothing.
    pub fn begin_trust(&self, trust: &Trust, machine: &HostName) -> Result<(), Error> {
        file::replace(&self.path(MACHINE), format!("{machine}\n").as_bytes())?;
        self.set_trust(trust)
    }
    /// Another trust in the place of the one there.
    pub fn set_trust(&self, trust: &Trust) -> Result<(), Error> {
        Ok(file::replace(&self.path(TRUST), &trust.to_bytes())?)
    }
    /// No trust any more.
    pub fn forget_trust(&self) -> Result<(), Error> {
        file::remove(&self.path(TRUST))?;
        Ok(file::remove(&self.path(MACHINE))?)
    }
    /// Addresses we put on.
    pub fn record(&self) -> Result<Option<Record>, Error> {
        read_json(&self.path("addresses.json"))
    }
    /// Remembers addresses we put on, or are about to.
    pub fn set_record(&self, record: &Record) -> Result<(), Error> {
        Ok(file::replace(&self.path("addresses.json"), &json(record))?)
    }
    /// Break-glass may have rules among iptables' own.
    pub fn glass(&self) -> bool {
        self.path("glass").exists()
    }
    /// Notes whether it has.
    pub fn set_glass(&self, there: bool) -> Result<(), Error> {
        let path = self.path("glass");
        let done = if there { file::replace(&path, b"") } else { file::remove(&path) };
        Ok(done?)
    }
    /// Puts a change under way: all its files, its description last.
    pub fn stage(&self, bundle: &Bundle, snapshot: &Snapshot, pending: &Pending) -> Result<(), Error> {
        self.clear_pending()?;
        let dir = self.pending_dir();
        make_directory(&dir)?;
        let highest = (pending.generation, pending.digest);
        file::replace(&self.path("generation"), &json(&highest))?;
        file::replace(&dir.join("bundle"), &bundle.to_bytes())?;
        file::replace(&dir.join("snapshot.json"), &json(snapshot))?;
        self.set_pending(pending)
    }
    /// Rewrites the description of the change under way.
    pub fn set_pending(&self, pending: &Pending) -> Result<(), Error> {
        Ok(file::replace(&self.pending_dir().join("meta.json"), &json(pending))?)
    }
    /// The change under way.
    pub fn pending(&self) -> Result<Option<Pending>, Error> {
        read_json(&self.pending_dir().join("meta.json"))
    }
    /// Its bundle.
    pub fn pending_bundle(&self) -> Result<Option<Bundle>, Error> {
        read_bundle(&self.pending_dir().join("bundle"))
    }
    /// What was there before it.
    pub fn snapshot(&self) -> Result<Option<Snapshot>, Error> {
        read_json(&self.pending_dir().join("snapshot.json"))
    }
    /// The timer that watches it.
    pub fn timer(&self) -> Result<Option<Process>, Error> {
        read_json(&self.pending_dir().join("timer.json"))
    }
    /// The calling process is the timer that watches the change under way.
    pub fn set_timer(&self, process: Process) -> Result<(), Error> {
        Ok(file::replace(&self.pending_dir().join("timer.json"), &json(&process))?)
    }
    /// The change under way is over. Its description goes first: without it the rest means nothing.
    pub fn clear_pending(&self) -> Result<(), Error> {
        for name in ["meta.json", "timer.json", "bundle", "snapshot.json"] {
            file::remove(&self.pending_dir().join(name))?;
        }
        Ok(())
    }
    /// Lays the bundle beside the confirmed one.
    pub fn persist(&self, bundle: &Bundle) -> Result<(), Error> {
        Ok(file::replace(&self.confirmed().join("next"), &bundle.to_bytes())?)
    }
    /// Notes what the confirmation of this bundle rests on.
    pub fn prove(&self, digest: Digest, proof: &Proof) -> Result<(), Error> {
        Ok(file::replace(&self.confirmed().join("proof.json"), &json(&(digest, proof)))?)
    }
    /// What the confirmation of this bundle rested on, where somebody gave one.
    pub fn proof(&self, digest: Digest) -> Result<Option<Proof>, Error> {
        let known: Option<(Digest, Proof)> = read_json(&self.confirmed().join("proof.json"))?;
        Ok(known.filter(|(about, _)| *about == digest).map(|(_, proof)| proof))
    }
    /// Notes whose signatures this bundle came with.
    pub fn set_signers(&self, digest: Digest, by: &[Shown]) -> Result<(), Error> {
        Ok(file::replace(&self.confirmed().join("signers.json"), &json(&(digest, by)))?)
    }
    /// Whose signatures this bundle came with; none where it came without a trust.
    pub fn signers(&self, digest: Digest) -> Result<Vec<Shown>, Error> {
        let known: Option<(Digest, Vec<Shown>)> = read_json(&self.confirmed().join("signers.json"))?;
        Ok(known.filter(|(about, _)| *about == digest).map(|(_, by)| by).unwrap_or_default())
    }
    /// Makes what [`State::persist`] laid there the confirmed one, in one rename.
    pub fn confirm(&self, bundle: &Bundle) -> Result<(), Error> {
        file::rename(&self.confirmed().join("next"), &self.confirmed().join("bundle"))?;
        // A power loss between the two leaves the older management path, which the older bundle proved.
        Ok(file::replace(&self.confirmed().join("break-glass.nft"), bundle.draft().break_glass.as_bytes())?)
    }
}

fn make_directory(path: &Path) -> Result<(), Error> {
    match fs::DirBuilder::new().recursive(true).mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(e) => Err(sys::Error::call(format!("make directory {}", path.display()), e).into()),
    }
}

fn json<T: Serialize>(value: &T) -> Vec<u8> {
    match serde_json::to_vec_pretty(value) {
        Ok(bytes) => bytes,
        Err(e) => unreachable!("state files are plain structs: {e}"),
    }
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::Read { path: path.to_owned(), source }),
    }
}

fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let damaged = |e: serde_json::Error| Error::Damaged { path: path.to_owned(), why: e.to_string() };
    read(path)?.map(|bytes| serde_json::from_slice(&bytes).map_err(damaged)).transpose()
}

fn read_bundle(path: &Path) -> Result<Option<Bundle>, Error> {
    let damaged = |e: bundle::ReadError| Error::Damaged { path: path.to_owned(), why: e.to_string() };
    read(path)?.map(|bytes| Bundle::read(&bytes).map_err(damaged)).transpose()
}
