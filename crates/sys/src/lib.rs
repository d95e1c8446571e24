//! The kernel's own interfaces, made safe to call. In come plain values, out come plain values.
//!
//! | module | speaks to |
//! |---|---|
//! | [`wire`] | netlink bytes: messages and attributes, total and bounded |
//! | [`netlink`] | netlink sockets: requests, dumps, acknowledgements |
//! | [`diag`] | `sock_diag`: TCP and UDP sockets of this network namespace |
//! | [`track`] | `ctnetlink`: tracked connections, listed, put in, taken out |
//! | [`clock`] | time since boot |
//! | [`address`] | `rtnetlink`: addresses of devices, listed, put on, taken off |
//! | [`queue`] | NFQUEUE: packets that wait, verdicts in batches |
//! | [`netns`] | network namespaces: entering, telling apart |
//! | [`file`] | files that are either the old or the new, also after a power loss |
//! | [`beneath`] | directories and files below them, no link followed
//! | [`listing`] | directories with the modes of their files
//! | [`lock`] | locks that die with their holder |
//! | [`detach`] | processes that outlive their caller's session |
//! | [`xattr`] | extended attributes: access lists, file capabilities |
//!
//! If unsafe code is ever needed, it is needed here and nowhere else; `rustix` has spared us all of it so far. Never decides.

pub mod address;
pub mod beneath;
pub mod clock;
pub mod detach;
pub mod diag;
pub mod file;
pub mod listing;
pub mod lock;
pub mod netlink;
pub mod netns;
pub mod queue;
pub mod track;
pub mod wire;
pub mod xattr;

/// Trouble with the kernel or the file system.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A system call failed.
    #[error("{what}")]
    Call {
        /// What was tried, with its path or peer.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// The kernel answered with something this code does not know.
    #[error("{what}: the kernel's answer is not understood ({why})")]
    Answer {
        /// What was asked.
        what: String,
        /// What was wrong with it.
        why: String,
    },
}

impl Error {
    /// A failed call.
    pub fn call(what: impl Into<String>, source: impl Into<std::io::Error>) -> Self {
        Error::Call { what: what.into(), source: source.into() }
    }
    /// The error number, where there is one.
    pub fn errno(&self) -> Option<i32> {
        match self {
            Error::Call { source, .. } => source.raw_os_error(),
            Error::Answer { .. } => None,
        }
    }
}
