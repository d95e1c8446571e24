//! The effects of the way to SELinux. In come acts decided by `plan::selinux`, out comes a machine that is a step further, or one as
//! it was found. What was before is on disk before anything is changed, so that `undo` works after a crash at any point.
//!
//! | module | idea |
//! |---|---|
//! | [`ground`] | where the machine stands |
//! | [`act`] | carries out one act, and says what was before |
//! | [`label`] | places to label, and how many inodes they hold |
//! | [`log`] | the text of the audit log |
//! | [`record`] | what was done, and what was before |
//! | [`run`] | acts one after the other, and all of them back |
//!
//! Never: decides what comes next, restarts the machine, writes a policy of its own.

pub mod act;
pub mod ground;
pub mod label;
pub mod log;
pub mod record;
pub mod run;

pub use act::{Host, Machine};
pub use record::Record;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what the fields are")]
pub enum Error {
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    #[error("{0}")]
    Observe(#[from] observe::Error),
    #[error("{path}: {why}")]
    File { path: String, why: String },
    #[error("another step is under way")]
    Busy,
}

impl Error {
    /// This file could not be used.
    pub(crate) fn file(path: impl AsRef<std::path::Path>, why: impl std::fmt::Display) -> Self {
        Self::File { path: path.as_ref().display().to_string(), why: why.to_string() }
    }
}
