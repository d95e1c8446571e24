//! A machine -> facts. Each source is read on its own; one that cannot be read is named in the facts and stops nothing.
//!
//! | module | source |
//! |---|---|
//! | [`run`] | programs asked for their output |
//! | [`socket`] | `sock_diag`, and which process holds which socket |
//! | [`track`] | the connection tracking table |
//!
//! Makes no choices and changes nothing.

pub mod run;
pub mod socket;
pub mod track;

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
}
