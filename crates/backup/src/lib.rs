//! Restore tests of backups. In come a declared backup and the keys the machine holds, out comes whether the backup could be
//! restored and what it would bring back.
//!
//! | module | what |
//! |---|---|
//! | [`lotus`] | the form of `lotus backup` and `lotus-miner backup`, read to its checksum |
//! | [`archive`] | archives and directories: names of files and digests of their content |
//! | [`compare`] | keys of the machine against those of the backup |
//! | [`stream`] | a file through the programs that decrypt and unpack it |
//! | [`check`](mod@check) | one backup, tested |
//!
//! Everything is read as a stream: no key is written anywhere, none is printed, names of keys leave this crate as numbers only.
//! A firewall's state is loaded in a network namespace of its own that is gone afterwards. Never: changes the machine.

pub mod archive;
pub mod check;
pub mod compare;
pub mod lotus;
pub mod stream;

pub use check::{Outcome, check};
pub use compare::{Key, live_keys};

/// Why a backup could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It ends too early, or is something else.
    #[error("{0}")]
    Broken(String),
    /// A program that was asked to help.
    #[error("{program}: {why}")]
    Program {
        /// Its name.
        program: String,
        /// What it said.
        why: String,
    },
    /// The file system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}
