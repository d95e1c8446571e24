//! Moves a service with its files to an account of its own, and back. In comes a whole [`Adoption`], out comes a service that runs as
//! its account, or one that runs as before. Every inode's owner, mode and access list is on disk before it is changed.
//!
//! | module | idea |
//! |---|---|
//! | [`step`] | the steps, and which one is next: pure |
//! | [`judge`] | what becomes of one inode: pure |
//! | [`record`] | the append-only journal |
//! | [`tree`] | a walk that follows no link and leaves no file system |
//! | [`mirror`] | a tree once more on another file system, compared byte by byte |
//! | [`relocate`] | the repository at another place: by rename, else by a copy, and back |
//! | [`own`] | survey, change of owners, and the way back |
//! | [`run`] | walks the steps |
//! | [`door`] | how people log in as an account, and how nobody does: pure |
//! | [`hold`] | what keeps a half-moved service from starting: pure |
//! | [`person`] | an administrator's own account, after one that people share with a service |
//! | [`host`] | systemd, accounts and sockets of the machine |
//!
//! Never: follows a link, copies a store, touches an inode that it has not recorded, removes the last copy of anything.

pub mod door;
pub mod hold;
pub mod host;
pub mod judge;
pub mod mirror;
pub mod own;
pub mod person;
pub mod record;
pub mod relocate;
pub mod run;
pub mod step;
pub mod tree;

pub use relocate::Relocation;
pub use run::{Adoption, Ended, Machine, Progress};
pub use step::Step;

/// Why a move is refused or failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    #[error("{0}")]
    Apply(String),
    #[error("{command}: {why}")]
    Program { command: String, why: String },
    #[error("{}", .0.join("; "))]
    Refused(Vec<String>),
    #[error(
        "{path}: the file server maps root to nobody (root_squash), so owners cannot be changed from here: change them on the server, or \
         export with no_root_squash for the time of the move"
    )]
    Squashed { path: String },
    #[error("{path} is another file system: name it as a store of its own, or unmount it")]
    Mount { path: String },
    #[error("{path}: more than {most} directories deep")]
    Deep { path: String, most: usize },
    #[error("{path}: {why}")]
    Record { path: String, why: String },
    #[error("not healthy within {within} s: {why}")]
    Unhealthy { within: u64, why: String },
    #[error("{path}: {what} is not the same in the copy; the old one is as it was")]
    Differs { path: String, what: String },
    #[error("another adoption is under way")]
    Busy,
}

impl Error {
    /// What happened at a path, in the system's words.
    pub(crate) fn record(path: impl AsRef<std::path::Path>, why: impl std::fmt::Display) -> Self {
        Self::Record { path: path.as_ref().display().to_string(), why: why.to_string() }
    }
}

impl From<apply::Error> for Error {
    fn from(e: apply::Error) -> Self {
        Self::Apply(e.chain())
    }
}
