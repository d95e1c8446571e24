//! How a machine's applier is reached. In come words and bytes for it, out comes how it ended, or why nothing can be said. Always in bounded
//! time and size. Never: knows what the words mean.
//!
//! | module | reaches |
//! |---|---|
//! | [`local`] | this machine's own |
//! | [`namespace`] | a namespace of a lab |
//! | [`ssh`] | another machine, with the system's OpenSSH |
//! | `process` | a program, bounded |

pub mod local;
pub mod namespace;
mod process;
pub mod ssh;

pub use local::Local;
pub use namespace::Namespaces;
pub use process::{MOST_ERROR, MOST_OUTPUT, run};
pub use ssh::Ssh;

use crate::ask::Answer;
use std::time::Duration;
use words::HostName;

/// Where packages put the applier.
pub const INSTALLED: &str = "/usr/sbin/ravelin-applier";

/// A way to every machine of a rollout. Asked from many threads at once.
pub trait Transport: Send + Sync {
    /// Runs the applier there with these words and this input, for so long at most.
    fn call(&self, machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable>;

    /// The reason a confirmation gives where this way opens no connection to the machine: it shows nothing of the way in.
    fn console(&self) -> Option<String> {
        None
    }
}

/// Nothing can be said of a machine: it may or may not have done what it was told.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreachable(pub String);
