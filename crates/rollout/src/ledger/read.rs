//! Reads the ledger and finds what another hand did to it: a line changed, taken out, put in, or cut off at the end.

use super::{
    LedgerError, failed,
    record::{Check, Record, Sealed, What},
};
use crate::{
    driver::{Begun, Bundles},
    report::Outcome,
};
use serde::Serialize;
use std::{fs, path::Path};
use words::Digest;

/// Something wrong with a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The line, counted from 1.
    pub line: usize,
    /// What.
    pub why: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

/// The ledger as it was read.
#[derive(Debug, Clone, Default)]
pub struct History {
    lines: Vec<String>,
    sealed: Vec<Option<Sealed>>,
    head: Option<(usize, Digest)>,
}

/// Reads it. Lines that are no records are faults, not errors.
pub fn read(directory: &Path) -> Result<History, LedgerError> {
    let text = |name: &str| match fs::read_to_string(directory.join(name)) {
        Ok(text) => Ok(text),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(e) => Err(failed(&directory.join(name))(e)),
    };
    let lines: Vec<String> = text("ledger")?.lines().map(str::to_owned).collect();
    let sealed = lines.iter().map(|l| serde_json::from_str(l).ok()).collect();
    let head = text("head")?;
    let head = head.trim().split_once(' ').and_then(|(n, digest)| Some((n.parse().ok()?, digest.parse().ok()?)));
    Ok(History { lines, sealed, head })
}

impl History {
    /// How many lines there are.
    pub fn len(&self) -> u64 {
        self.lines.len() as u64
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Digest of the last line.
    pub(super) fn last(&self) -> Option<Digest> {
        self.lines.last().map(|l| Digest::of(l.as_bytes()))
    }

    pub(super) fn push(&mut self, line: String, sealed: Sealed) {
        self.head = Some((self.lines.len() + 1, Digest::of(line.as_bytes())));
        self.lines.push(line);
        self.sealed.push(Some(sealed));
    }

    /// The records that read.
    pub fn records(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.sealed.iter().flatten().map(|s| &s.record)
    }

    /// The sealed records that read, with their signatures.
    pub fn sealed(&self) -> impl Iterator<Item = &Sealed> {
        self.sealed.iter().flatten()
    }

    /// Everything that is wrong. Signatures are looked at where somebody is there who knows keys.
    pub fn faults(&self, keys: Option<&dyn Check>) -> Vec<Fault> {
        let mut out = Vec::new();
        let mut before = None;
        for (i, (line, sealed)) in self.lines.iter().zip(&self.sealed).enumerate() {
            let mut say = |why: String| out.push(Fault { line: i + 1, why });
            match sealed {
                None => say("it is no record".into()),
                Some(s) => {
                    if s.line() != *line {
                        say("it is not in the form this program writes: it was changed".into());
                    }
                    if s.record.previous != before {
                        say("it does not follow the line before it: one of the two was changed, or one between them was taken out".into());
                    }
                    if s.record.n != i as u64 + 1 {
                        say(format!("it says that it is line {}", s.record.n));
                    }
                    if let Some(keys) = keys {
                        let wrong = match (&s.key, &s.signature) {
                            (Some(key), Some(signature)) => keys.check(key, signature, &s.signed()),
                            _ => Some("it is not signed".to_owned()),
                        };
                        wrong.into_iter().for_each(say);
                    }
                }
            }
            before = Some(Digest::of(line.as_bytes()));
        }
        out.extend(self.cut_off());
        out
    }

    /// The head says how many lines there were at least. It is written after its line: one more may be there.
    fn cut_off(&self) -> Option<Fault> {
        let line = self.lines.len();
        let fault = |why: &str| Some(Fault { line, why: why.to_owned() });
        match self.head {
            None if line <= 1 => None,
            None => fault("the head is gone: whether lines were cut off at the end cannot be told"),
            Some((n, _)) if n > line => fault("lines that came after it were cut off"),
            Some((n, _)) if n + 1 < line => fault("the head is older than the ledger: lines were added by another hand"),
            Some((n, digest)) => {
                let is = n.checked_sub(1).and_then(|i| self.lines.get(i)).map(|l| Digest::of(l.as_bytes()));
                if is == Some(digest) { None } else { fault("it is not the line that was written last") }
            }
        }
    }

    /// The rollout that was opened last and is not over, with its id; its bundles lie elsewhere.
    pub fn unfinished(&self) -> Option<(String, Begun)> {
        let (at, record) = self.sealed.iter().enumerate().rev().find_map(|(i, s)| {
            let r = &s.as_ref()?.record;
            matches!(r.what, What::Opened { .. }).then_some((i, r))
        })?;
        let What::Opened { waves, targets, .. } = &record.what else { return None };
        let later = || self.sealed[at..].iter().flatten().map(|s| &s.record).filter(|r| r.rollout == record.rollout);
        let over = later().any(|r| matches!(&r.what, What::Closed { report } if report.outcome != Outcome::Decided));
        let decided = later().any(|r| r.what == What::Decided);
        let begun = || Begun { waves: waves.clone(), targets: targets.clone(), decided, bundles: Bundles::new() };
        (!over).then(|| (record.rollout.clone(), begun()))
    }
}
