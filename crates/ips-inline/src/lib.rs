//! The engine in the packet path. In come packets that the kernel queues and says under which policy, out go verdicts, marks and events; the
//! kernel's own rules do the rest (`docs/connection-mark.md`). Never: changes a rule of the site's own table; opens anything: what the engine
//! lets on is still judged by the zone matrix.
//!
//! | module | what |
//! |---|---|
//! | [`policy`] | by policy's number: observe or enforce, how long a flow is looked at, what failure means |
//! | [`decide`] | what the engine found and the policy says, to verdict and mark; pure |
//! | [`pump`] | the loop: receive, judge, decide, in batches |
//! | [`fresh`] | rules compiled beside the ones in force |
//! | [`events`] | lines written by a thread of their own, through a bounded queue |
//! | [`count`] | what is counted, readable from other threads |
//! | [`watch`] | a watchdog on the time that packets wait |
//! | [`run`](mod@run) | all of it as a process |
//! | [`control`] | the command socket: status, reload, stop |
//! | [`hook`] | the two rules that queue what is wanted, in nft or in iptables-nft |
//! | [`table`] | the site's table for the engine, and the kill switch |
//! | [`notify`] | what systemd is told |

#![forbid(unsafe_code)]

pub mod control;
pub mod count;
pub mod decide;
pub mod events;
pub mod fresh;
pub mod hook;
pub mod notify;
pub mod policy;
pub mod pump;
pub mod run;
pub mod table;
pub mod watch;

/// Trouble with the world.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel refused.
    #[error(transparent)]
    Kernel(#[from] sys::Error),
    /// A file or socket.
    #[error("{what}")]
    Io {
        /// What was tried, with its path.
        what: String,
        /// Why it failed.
        #[source]
        source: std::io::Error,
    },
    /// A program failed.
    #[error("`{what}` failed: {why}")]
    Program {
        /// Its command line.
        what: String,
        /// What it said.
        why: String,
    },
}

impl Error {
    /// A failed call about a file or socket.
    pub fn io(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}
