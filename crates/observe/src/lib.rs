//! A machine -> facts. Each source is read on its own; one that cannot be read is named in the facts and stops nothing.
//!
//! | module | source |
//! |---|---|
//! | [`machine`] | all of them together |
//! | [`root`] | where a look begins: this machine, or a tree that stands for one |
//! | [`run`] | programs asked for their output |
//! | [`system`] | kernel, distribution, clock, settings |
//! | [`link`] | interfaces and routes |
//! | [`socket`] | `sock_diag`, and which process holds which socket |
//! | [`track`] | the connection tracking table |
//! | [`filter`] | rulesets, and filters that no tool shows |
//! | [`ufw`] | UFW's files |
//! | [`process`] | `/proc` |
//! | [`account`] | accounts, groups |
//! | [`sudo`] | the sudo policy's lines |
//! | [`unit`] | systemd's unit files |
//! | [`container`] | Docker and Podman |
//! | [`boot`] | the kernel's command line and its locks |
//! | [`mount`] | mounted file systems, swap |
//! | [`package`] | packages, archives, updates that wait |
//! | [`backup`] | declared backups |
//! | [`file`] | files of interest |
//! | [`path`] | paths with every directory above them |
//! | [`sweep`] | a walk over the file systems |
//!
//! Makes no choices and changes nothing. Secrets are taken out before anything is kept.

pub mod account;
pub mod backup;
pub mod boot;
pub mod container;
pub mod file;
pub mod filter;
pub mod link;
pub mod machine;
pub mod mount;
pub mod package;
pub mod path;
pub mod process;
pub mod root;
pub mod run;
pub mod socket;
mod socket_table;
pub mod sudo;
pub mod sweep;
pub mod system;
pub mod track;
pub mod ufw;
pub mod unit;

pub use file::Interest;
pub use machine::{from_tree, holders, machine, network};
pub use root::Root;

/// Why a source could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel or the file system.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    /// A file.
    #[error("read {path}")]
    File {
        /// Path.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A program.
    #[error("{program}: {why}")]
    Program {
        /// Its name.
        program: String,
        /// What it said, or why it could not be started.
        why: String,
    },
    /// Only in part.
    #[error("{0}")]
    Partly(String),
}
