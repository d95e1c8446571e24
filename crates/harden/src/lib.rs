//! Does fixes: in come steps with the state before them, out comes a record by which they can be taken back. A step is done only
//! where the state is still the one that was looked at; one that fails takes all before it back. Links are never followed: the
//! account a fix is about may be the attacker's already. Never: chooses what to change.

pub mod mode;
#[cfg(test)]
mod tests;

use breach::Step;
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
    pub done: Vec<Step>,
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
        record.done.push(step.clone());
        let written = write(&path, &record).and_then(|()| one(step));
        if let Err(error) = written {
            record.done.pop();
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
    while let Some(step) = record.done.pop() {
        // A step that a power loss kept from being done has nothing to take back.
        match one(&step.back()) {
            Ok(()) => {}
            Err(Error::Changed { .. }) if mode::is(&step.back()) => {}
            Err(e) => {
                left.push(step.clone());
                stuck.push((step, e));
            }
        }
    }
    left.reverse();
    record.done = left;
    if let Err(e) = write(path, record) {
        stuck.extend(record.done.first().map(|s| (s.clone(), e)));
    }
    stuck
}

fn one(step: &Step) -> Result<(), Error> {
    match step {
        Step::Mode { path, uid, before, after } => mode::change(path, *uid, *before, *after),
        Step::Member { account, group, leaves } => {
            let out = Command::new("gpasswd").args([if *leaves { "-d" } else { "-a" }, account, group]).output();
            let command = step.command();
            match out {
                Ok(o) if o.status.success() => Ok(()),
                Ok(o) => Err(Error::Program { command, why: String::from_utf8_lossy(&o.stderr).trim().to_owned() }),
                Err(e) => Err(Error::Program { command, why: e.to_string() }),
            }
        }
    }
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
