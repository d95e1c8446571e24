//! What was done on the way and what was before: one JSON line each, only ever added to, and flushed before the act it speaks of. A line
//! that a power cut tore is left out: its act was not begun. Never: changed in place.

use crate::Error;
use plan::selinux::act::{Act, Before};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fs,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Mode of directories made here: the record is a map of the machine.
const PRIVATE_DIRECTORY: u32 = 0o700;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Line {
    /// About to be done.
    Before {
        /// Seconds since 1970-01-01 UTC.
        at: u64,
        /// What.
        act: Act,
        /// What it changes.
        before: Before,
    },
    /// Done.
    Done(Act),
    /// Nothing counts as labelled any more.
    Unlabelled,
    /// Something was done although something spoke against it.
    Forced {
        /// Seconds since 1970-01-01 UTC.
        at: u64,
        /// The verb.
        stage: String,
        /// The operator's reason.
        because: String,
        /// What spoke against it.
        against: String,
    },
}

/// The record of one way, and the files that belong to it.
#[derive(Debug, Clone)]
pub struct Record {
    directory: PathBuf,
}

impl Record {
    /// The one below this state directory; made where it is missing.
    pub fn open(state: &Path) -> Result<Self, Error> {
        let directory = state.join("selinux");
        fs::DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE_DIRECTORY)
            .create(directory.join("modules"))
            .map_err(|e| Error::file(&directory, e))?;
        Ok(Self { directory })
    }
    /// The same for who only looks: nothing is made.
    pub fn look(state: &Path) -> Self {
        Self { directory: state.join("selinux") }
    }
    /// This one, made where it is missing.
    pub fn begun(&self) -> Result<Self, Error> {
        Self::open(self.directory.parent().unwrap_or(&self.directory))
    }
    /// Held while a step is done.
    pub(crate) fn lock(&self) -> PathBuf {
        self.directory.join("lock")
    }
    fn path(&self) -> PathBuf {
        self.directory.join("record.jsonl")
    }
    /// A module as it was loaded last.
    pub fn module(&self, name: &str) -> PathBuf {
        self.directory.join("modules").join(format!("{name}.cil"))
    }
    /// A module that is about to be loaded.
    pub fn staged(&self, name: &str) -> PathBuf {
        self.directory.join("staged").join(format!("{name}.cil"))
    }
    /// A staged module was loaded. Written anew, so that it has the label of its place and not the one it was loaded with.
    pub(crate) fn loaded(&self, name: &str) -> Result<(), Error> {
        let staged = self.staged(name);
        let text = fs::read(&staged).map_err(|e| Error::file(&staged, e))?;
        sys::file::replace(&self.module(name), &text)?;
        Ok(sys::file::remove(&staged)?)
    }
    /// Puts modules where the next step loads them from.
    pub fn stage<'a>(&self, modules: impl IntoIterator<Item = (&'a String, &'a String)>) -> Result<(), Error> {
        let directory = self.directory.join("staged");
        fs::DirBuilder::new().recursive(true).mode(PRIVATE_DIRECTORY).create(&directory).map_err(|e| Error::file(&directory, e))?;
        modules.into_iter().try_for_each(|(name, text)| Ok(sys::file::replace(&self.staged(name), text.as_bytes())?))
    }

    /// Adds a line and flushes it. A torn one before it is ended by the blank line in front.
    pub fn add(&self, line: &Line) -> Result<(), Error> {
        let text = serde_json::to_string(line).map_err(|e| Error::file(self.path(), e))?;
        Ok(sys::file::append(&self.path(), format!("\n{text}\n").as_bytes())?)
    }
    /// Every whole line, in order.
    pub fn lines(&self) -> Result<Vec<Line>, Error> {
        match fs::read_to_string(self.path()) {
            Ok(text) => Ok(text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(e) => Err(Error::file(self.path(), e)),
        }
    }
    /// What was before, in order.
    pub fn before(&self) -> Result<Vec<Before>, Error> {
        Ok(self.lines()?.into_iter().filter_map(|l| if let Line::Before { before, .. } = l { Some(before) } else { None }).collect())
    }
    /// Places that were labelled, and those labelled since modules were loaded last.
    pub fn labelled(&self) -> Result<(BTreeSet<String>, BTreeSet<String>), Error> {
        let (mut ever, mut since) = (BTreeSet::new(), BTreeSet::new());
        for line in self.lines()? {
            match line {
                Line::Done(Act::Label(place)) => {
                    since.insert(place.clone());
                    ever.insert(place);
                }
                Line::Done(Act::Load(_)) => since.clear(),
                Line::Unlabelled => {
                    since.clear();
                    ever.clear();
                }
                _ => {}
            }
        }
        Ok((ever, since))
    }
    /// When modules were loaded or labels given last: what was refused before is no word about them.
    pub fn settled(&self) -> Result<Option<u64>, Error> {
        let load = |l: &Line| if let Line::Before { at, act: Act::Load(_) | Act::Label(_), .. } = l { Some(*at) } else { None };
        Ok(self.lines()?.iter().rev().find_map(load))
    }
    /// Moves the record of a way that was taken back out of the way.
    pub(crate) fn close(&self, at: u64) -> Result<(), Error> {
        if self.path().exists() {
            sys::file::rename(&self.path(), &self.directory.join(format!("record-{at}.undone")))?;
        }
        for modules in ["modules", "staged"] {
            let _ = fs::remove_dir_all(self.directory.join(modules));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_is_left_out_and_swallows_nothing() {
        let dir = tempfile::tempdir().expect("directory");
        let record = Record::open(dir.path()).expect("opens");
        let load = Act::Load(["a".to_owned()].into());
        record.add(&Line::Done(Act::Label("/old".into()))).expect("adds");
        record.add(&Line::Before { at: 7, act: load.clone(), before: Before::Unloaded(["a".to_owned()].into()) }).expect("adds");
        sys::file::append(&record.path(), b"\n{\"done\":{\"lab").expect("tears");
        record.add(&Line::Done(load)).expect("adds");
        record.add(&Line::Done(Act::Label("/usr".into()))).expect("adds");
        assert_eq!(record.lines().expect("reads").len(), 4);
        assert_eq!(record.labelled().expect("reads"), (["/old", "/usr"].map(str::to_owned).into(), ["/usr".to_owned()].into()));
        assert_eq!((record.settled().expect("reads"), record.before().expect("reads").len()), (Some(7), 1));
        record.close(9).expect("closes");
        assert!(record.lines().expect("reads").is_empty() && dir.path().join("selinux/record-9.undone").exists());
    }
}
