//! The coordinator's ledger: who changed what, when, and what was proved. In come lines, out comes a file that is only ever added to, each
//! line with the digest of the one before and, where the operator has a key, a signature. Never: rewrites a line; says that a line is there
//! before it is flushed.
//!
//! ```text
//! ledger               one JSON record per line
//! head                 number and digest of the last line: what is cut off at the end is missed
//! sites/DIGEST.toml    site files as they were rolled out
//! bundles/ID/HOST      bundles of a rollout that is open, for a resumed run
//! lock                 held by the coordinator that works
//! ```

mod read;
mod record;

pub use read::{Fault, History, read};
pub use record::{Check, Record, Sealed, Sign, What};

use crate::{
    driver::{Begun, Book, Bundles},
    machine::Line,
    report::Outcome,
};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::{Duration, SystemTime, UNIX_EPOCH},
};
use sys::{file, lock};
use words::{Digest, HostName};

/// How long another coordinator is waited for: one that works does so for minutes.
const PATIENCE: Duration = Duration::from_secs(1);
/// Owner only: site files and bundles are maps for thieves.
const DIRECTORY: u32 = 0o700;
const FILE: u32 = 0o600;

/// Trouble with the ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// A file.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// Another coordinator works.
    #[error("another rollout is under way: it holds {0}")]
    Busy(PathBuf),
    /// It was changed by another hand.
    #[error("the ledger is not whole: {0}")]
    Faulty(Fault),
}

/// Shortens a ledger to this length, on disk.
fn cut(path: &Path, length: u64) -> Result<(), LedgerError> {
    let shorten = || {
        let file = fs::OpenOptions::new().write(true).open(path)?;
        file.set_len(length)?;
        file.sync_all()
    };
    shorten().map_err(failed(path))
}

/// What every line of a run says besides.
#[derive(Debug, Clone, Default)]
pub struct Context {
    /// Who, as `user@host`.
    pub by: String,
    /// What was asked for, as it was typed.
    pub argument: String,
    /// The site's name.
    pub site_name: String,
    /// The site file's text.
    pub site_text: String,
}

/// The ledger of a site, held by this program.
pub struct Ledger {
    directory: PathBuf,
    context: Context,
    sign: Option<Box<dyn Sign>>,
    history: History,
    _lock: lock::Lock,
}

impl Ledger {
    /// Opens it, making it where it is not there. Refuses one that is not whole.
    pub fn open(directory: &Path, context: Context, sign: Option<Box<dyn Sign>>) -> Result<Self, LedgerError> {
        for dir in [directory.to_owned(), directory.join("sites"), directory.join("bundles")] {
            fs::DirBuilder::new().recursive(true).mode(DIRECTORY).create(&dir).map_err(failed(&dir))?;
        }
        let path = directory.join("lock");
        let _lock = match lock::acquire(&path, PATIENCE).map_err(|e| LedgerError::File { path: path.clone(), why: e.to_string() })? {
            lock::Attempt::Held(lock) => lock,
            lock::Attempt::Busy => return Err(LedgerError::Busy(path)),
        };
        mend(&directory.join("ledger"))?;
        let history = read(directory)?;
        match history.faults(None).into_iter().next() {
            Some(fault) => Err(LedgerError::Faulty(fault)),
            None => Ok(Self { directory: directory.to_owned(), context, sign, history, _lock }),
        }
    }

    /// What it says.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The number the next rollout has.
    pub fn next_id(&self) -> String {
        let opened = self.history.records().filter(|r| matches!(r.what, What::Opened { .. })).count();
        format!("{}", opened + 1)
    }

    /// The rollout that was begun and is not over, with its bundles.
    pub fn unfinished(&self) -> Result<Option<(String, Begun)>, LedgerError> {
        let Some((id, mut begun)) = self.history.unfinished() else { return Ok(None) };
        for host in begun.targets.keys() {
            let path = self.bundle(&id, host);
            match fs::read(&path) {
                Ok(bytes) => drop(begun.bundles.insert(host.clone(), bytes)),
                // A machine that holds it already needs none; another one says that it got nothing.
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => {}
                Err(e) => return Err(failed(&path)(e)),
            }
        }
        Ok(Some((id, begun)))
    }

    /// The site file of a digest, as it was rolled out.
    pub fn site(&self, digest: Digest) -> Result<String, LedgerError> {
        let path = self.site_path(digest);
        let text = fs::read_to_string(&path).map_err(failed(&path))?;
        if Digest::of(text.as_bytes()) == digest {
            Ok(text)
        } else {
            Err(LedgerError::File { path, why: "it is not the file that was rolled out: its digest is another one".into() })
        }
    }

    fn site_path(&self, digest: Digest) -> PathBuf {
        self.directory.join("sites").join(format!("{digest}.toml"))
    }

    fn bundle(&self, id: &str, host: &HostName) -> PathBuf {
        self.directory.join("bundles").join(id).join(host.as_str())
    }

    fn append(&mut self, id: &str, what: What) -> Result<(), LedgerError> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        let n = self.history.len() + 1;
        let record = Record { n, at, by: self.context.by.clone(), rollout: id.to_owned(), previous: self.history.last(), what };
        let sealed = Sealed::new(record, self.sign.as_deref());
        let line = sealed.line();
        let path = self.directory.join("ledger");
        let lost = |path: &Path| {
            let path = path.to_owned();
            move |e: sys::Error| LedgerError::File { path, why: e.to_string() }
        };
        let head = self.directory.join("head");
        let length = match fs::metadata(&path) {
            Ok(m) => m.len(),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => 0,
            Err(e) => return Err(failed(&path)(e)),
        };
        let written = file::append(&path, format!("{line}\n").as_bytes())
            .map_err(lost(&path))
            .and_then(|()| file::replace(&head, format!("{n} {}\n", Digest::of(line.as_bytes())).as_bytes()).map_err(lost(&head)));
        if let Err(e) = written {
            // What is reported as not written must not be found there later: a decision least of all.
            if path.exists() {
                cut(&path, length)?;
            }
            return Err(e);
        }
        self.history.push(line, sealed);
        Ok(())
    }

    fn keep(&self, id: &str, bundles: &Bundles) -> Result<(), LedgerError> {
        let write = |path: &Path, bytes: &[u8]| {
            file::replace_as(path, bytes, FILE).map_err(|e| LedgerError::File { path: path.to_owned(), why: e.to_string() })
        };
        let text = self.context.site_text.as_bytes();
        write(&self.site_path(Digest::of(text)), text)?;
        let dir = self.directory.join("bundles").join(id);
        fs::DirBuilder::new().recursive(true).mode(DIRECTORY).create(&dir).map_err(failed(&dir))?;
        bundles.iter().try_for_each(|(host, bytes)| write(&self.bundle(id, host), bytes))
    }

    fn forget(&self, id: &str) {
        // What is left of it is found by nobody: its rollout is closed.
        let _ = fs::remove_dir_all(self.directory.join("bundles").join(id));
    }
}

impl Book for Ledger {
    fn record(&mut self, id: &str, line: &Line, bundles: &Bundles) -> Result<(), String> {
        let chain = |e: LedgerError| e.to_string();
        match line {
            Line::Opened { waves, targets, skipped, proved } => {
                self.keep(id, bundles).map_err(chain)?;
                let what = What::Opened {
                    site: self.context.site_name.clone(),
                    file: Digest::of(self.context.site_text.as_bytes()),
                    argument: self.context.argument.clone(),
                    waves: waves.clone(),
                    targets: targets.clone(),
                    skipped: skipped.clone(),
                    proved: proved.clone(),
                };
                self.append(id, what).map_err(chain)
            }
            Line::Decided => self.append(id, What::Decided).map_err(chain),
            Line::Closed(report) => {
                let over = report.outcome != Outcome::Decided;
                self.append(id, What::Closed { report: report.clone() }).map_err(chain)?;
                if over {
                    self.forget(id);
                }
                Ok(())
            }
        }
    }
}

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> LedgerError {
    let path = path.to_owned();
    move |e| LedgerError::File { path, why: e.to_string() }
}

/// Takes off half a line that a power loss left at the end: nobody was told that it was there.
fn mend(path: &Path) -> Result<(), LedgerError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(path)(e)),
    };
    let whole = bytes.iter().rposition(|b| *b == b'\n').map_or(0, |p| p + 1);
    if whole == bytes.len() {
        return Ok(());
    }
    cut(path, whole as u64)
}
