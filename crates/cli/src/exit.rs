//! Exit codes, the same for every verb; `docs/exit-codes.md` explains them.

use std::process::ExitCode;

/// How a verb ended. Clap's own usage errors end with 2 as well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use]
pub enum Exit {
    /// Done, nothing found.
    Ok = 0,
    /// Done, and something is wrong with what was looked at: a violation, drift, findings, a site file that does not read.
    Found = 1,
    /// Could not be done: arguments, files, missing programs or rights. Nothing was changed.
    Cannot = 2,
    /// Could be neither shown nor refuted.
    Unproven = 3,
    /// A change was begun and taken back: the machine holds its last confirmed state.
    Reverted = 4,
    /// A change is in force, nobody confirmed it, and it goes back by itself.
    Waiting = 5,
}

impl Exit {
    /// [`Exit::Found`] if so, else [`Exit::Ok`].
    pub fn found(found: bool) -> Self {
        if found { Self::Found } else { Self::Ok }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
