//! Does fixes: in come steps with the state before them, out comes a record by which they can be taken back. A step is done only
//! where the state is still the one that was looked at; one that fails takes all before it back. Links are never followed: the
//! account a fix is about may be the attacker's already. Never: chooses what to change.
//!
//! | module | what it changes |
//! |---|---|
//! | `place` | owner, mode and capabilities of an inode |
//! | `content` | lines of a file, files of Ravelin's own |

mod content;
mod place;
#[cfg(test)]
mod tests;

use breach::{Step, fix::edit};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    process::Command,
};

/// Where records lie below the state directory.
pub const RECORDS: &str = "harden";

/// Why a step was not done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or the file system.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    /// The state is not the one that was looked at.
    #[error("{path}: {why}; look again")]
    Changed {
        /// Path.
        path: String,
        /// How it differs.
        why: String,
    },
    /// A program said no.
    #[error("{command}: {why}")]
    Program {
        /// The command.
        command: String,
        /// What it said.
        why: String,
    },
    /// The record.
    #[error("{path}: {why}")]
    Record {
        /// Path.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}

/// What was done, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Steps that are in force.
    pub done: Vec<Done>,
}

/// A step with what only the machine could tell: what taking it back to the letter needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The step.
    #[serde(flatten)]
    pub step: Step,
    /// What it found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Kept>,
}

/// What a step found before it was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kept {
    /// Content of a file, and what it became.
    Content {
        /// Before.
        before: String,
        /// After.
        after: String,
    },
    /// The attribute that held a program's capabilities.
    Attribute(Vec<u8>),
}

/// The outcome of a run that failed: what could not be taken back is named.
#[derive(Debug)]
pub struct Failed {
    /// Why it failed.
    pub error: Error,
    /// Steps that are still in force because taking them back failed too.
    pub stuck: Vec<(Step, Error)>,
}

/// Does all steps, or none. The record is written before each step, so that a power loss leaves it to be undone.
pub fn run(state: &Path, steps: &[Step]) -> Result<PathBuf, Box<Failed>> {
    let plain = |error| Box::new(Failed { error, stuck: Vec::new() });
    let path = fresh(state).map_err(plain)?;
    let mut record = Record::default();
    for step in steps {
        let done = look(step).and_then(|done| {
            record.done.push(done.clone());
            write(&path, &record)?;
            act(&done)
        });
        if let Err(error) = done {
            // What was refused was not begun.
            if matches!(error, Error::Changed { .. } | Error::Program { .. }) && record.done.last().is_some_and(|d| d.step == *step) {
                record.done.pop();
            }
            let stuck = back(&path, &mut record);
            return Err(Box::new(Failed { error, stuck }));
        }
    }
    Ok(path)
}

/// Takes back what the newest record holds; `None` where there is nothing to take back.
pub fn undo(state: &Path) -> Result<Option<usize>, Box<Failed>> {
    let plain = |error| Box::new(Failed { error, stuck: Vec::new() });
    for path in records(state).map_err(plain)?.into_iter().rev() {
        let mut record = read(&path).map_err(plain)?;
        if record.done.is_empty() {
            continue;
        }
        let all = record.done.len();
        let mut stuck = back(&path, &mut record);
        return match stuck.pop() {
            None => Ok(Some(all)),
            Some((step, error)) => {
                stuck.push((step, Error::Record { path, why: "not all was taken back".into() }));
                Err(Box::new(Failed { error, stuck }))
            }
        };
    }
    Ok(None)
}

fn back(path: &Path, record: &mut Record) -> Vec<(Step, Error)> {
    let mut stuck = Vec::new();
    let mut left = Vec::new();
    while let Some(done) = record.done.pop() {
        let undo = Done { step: done.step.back(), kept: done.kept.clone() };
        // A step that a power loss kept from being done has nothing to take back.
        if let Err(e) = act(&undo)
            && !is(&undo)
        {
            stuck.push((done.step.clone(), e));
            left.push(done);
        }
    }
    left.reverse();
    record.done = left;
    if let Err(e) = write(path, record) {
        stuck.extend(record.done.first().map(|d| (d.step.clone(), e)));
    }
    stuck
}

/// A step with what it will change, looked at before anything is.
fn look(step: &Step) -> Result<Done, Error> {
    let kept = match step {
        Step::Edit { path, syntax, edits, made: true } => {
            let before = content::read(path)?;
            let new = edit::apply(&before, *syntax, edits);
            let after = new.map_err(|s| place::changed(&format!("{path}:{}", s.line), s.why))?;
            Some(Kept::Content { before, after })
        }
        Step::Capability { path, held, bits, off: true } => Some(Kept::Attribute(place::capability(path, *held, *bits)?)),
        _ => None,
    };
    Ok(Done { step: step.clone(), kept })
}

fn act(done: &Done) -> Result<(), Error> {
    match (&done.step, &done.kept) {
        (Step::Mode { path, uid, before, after }, _) => place::mode(path, *uid, *before, *after),
        (Step::Owner { path, before, after }, _) => place::owner(path, *before, *after),
        (Step::Member { account, group, leaves }, _) => program("gpasswd", &[if *leaves { "-d" } else { "-a" }, account, group]),
        (Step::Capability { path, held, off, .. }, Some(Kept::Attribute(value))) => place::set_capability(path, *held, value, *off),
        (Step::Edit { path, syntax, made, .. }, Some(Kept::Content { before, after })) => {
            let (from, to) = if *made { (before, after) } else { (after, before) };
            content::swap(path, *syntax, from, to)
        }
        (Step::File { path, mode, content, there: true }, _) => content::create(path, *mode, content),
        (Step::File { path, content, there: false, .. }, _) => content::remove(path, content),
        (Step::Setting { name, before, after }, _) => setting(name, before, after),
        (Step::Capability { path, .. } | Step::Edit { path, .. }, _) => Err(place::changed(path, "what was there before was not kept")),
    }
}

/// Whether a step's end is what is there already.
fn is(done: &Done) -> bool {
    match (&done.step, &done.kept) {
        (Step::Mode { path, uid, after, .. }, _) => place::open(path).is_ok_and(|(_, now)| (now.uid, now.mode) == (*uid, *after)),
        (Step::Owner { path, after, .. }, _) => place::open(path).is_ok_and(|(_, now)| now == *after),
        (Step::Capability { path, held, off: false, .. }, Some(Kept::Attribute(value))) => {
            place::capability(path, *held, sys::xattr::capability_bits(value)).is_ok_and(|now| now == *value)
        }
        (Step::Edit { path, made, .. }, Some(Kept::Content { before, after })) => content::holds(path, if *made { after } else { before }),
        (Step::File { path, there: false, .. }, _) => !Path::new(path).exists(),
        (Step::Setting { name, after, .. }, _) => value(name).is_ok_and(|v| v == *after),
        _ => false,
    }
}

/// Runs a program that must say yes.
fn program(program: &str, arguments: &[&str]) -> Result<(), Error> {
    let command = || format!("{program} {}", arguments.join(" "));
    match Command::new(program).args(arguments).stdin(std::process::Stdio::null()).output() {
        Ok(o) if o.status.success() => Ok(()),
        Ok(o) => {
            let said = if o.stderr.is_empty() { &o.stdout } else { &o.stderr };
            Err(Error::Program { command: command(), why: String::from_utf8_lossy(said).trim().to_owned() })
        }
        Err(e) => Err(Error::Program { command: command(), why: e.to_string() }),
    }
}

/// Where a setting lies.
fn of_setting(name: &str) -> PathBuf {
    Path::new("/proc/sys").join(name.replace('.', "/"))
}

fn value(name: &str) -> Result<String, Error> {
    let path = of_setting(name);
    let text = fs::read_to_string(&path).map_err(|e| Error::Kernel(sys::Error::call(format!("read {}", path.display()), e)))?;
    Ok(text.trim().to_owned())
}

fn setting(name: &str, before: &str, after: &str) -> Result<(), Error> {
    let now = value(name)?;
    if now != before {
        return Err(place::changed(name, &format!("it is {now}, was {before}")));
    }
    let path = of_setting(name);
    fs::write(&path, after).map_err(|e| Error::Kernel(sys::Error::call(format!("write {}", path.display()), e)))
}

fn directory(state: &Path) -> PathBuf {
    state.join(RECORDS)
}

fn records(state: &Path) -> Result<Vec<PathBuf>, Error> {
    let directory = directory(state);
    let mut out: Vec<PathBuf> = match fs::read_dir(&directory) {
        Ok(entries) => entries.flatten().map(|e| e.path()).filter(|p| p.extension().is_some_and(|e| e == "json")).collect(),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(e) => return Err(Error::Record { path: directory, why: e.to_string() }),
    };
    out.sort();
    Ok(out)
}

/// The name of the next record: numbers of a width that sorts.
fn fresh(state: &Path) -> Result<PathBuf, Error> {
    let directory = directory(state);
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&directory);
    made.map_err(|e| Error::Record { path: directory.clone(), why: e.to_string() })?;
    let last = records(state)?.pop().and_then(|p| p.file_stem()?.to_str()?.parse::<u64>().ok()).unwrap_or(0);
    Ok(directory.join(format!("{:08}.json", last + 1)))
}

fn write(path: &Path, record: &Record) -> Result<(), Error> {
    let text = serde_json::to_vec_pretty(record).map_err(|e| Error::Record { path: path.to_owned(), why: e.to_string() })?;
    Ok(sys::file::replace(path, &text)?)
}

fn read(path: &Path) -> Result<Record, Error> {
    let wrong = |why: String| Error::Record { path: path.to_owned(), why };
    let bytes = fs::read(path).map_err(|e| wrong(e.to_string()))?;
    serde_json::from_slice(&bytes).map_err(|e| wrong(e.to_string()))
}
