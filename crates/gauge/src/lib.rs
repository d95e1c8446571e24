//! What a ruleset costs. In come policies; out come nanoseconds per packet and seconds per commit, measured in namespaces of
//! this crate's own: `world -> router -> world`, the ruleset under test in the router, every packet counted on arrival.
//!
//! Never: touches this machine's own network or firewall. [`stage::enter`] is the only way in, and leaves them first.
//!
//! - [`policy`]: a site's forwarded policy in plain terms
//! - [`lists`]: the same policy as others write it, a linear list and UFW's chains
//! - [`emitted`]: what Ravelin emits for it
//! - [`variants`]: what is compared with what
//! - [`stage`]: the namespaces
//! - [`frames`]: the packets
//! - [`sender`]: the process that sends and counts them
//! - [`race`]: variants by turns, medians, intervals
//! - [`commit`]: how long a load takes, and what the socket refuses
//! - [`whole`]: the product as a process, and `ravelin check` of generated sites
//! - [`mix`]: one large capture out of small ones
//! - [`inspection`]: the inspection engine beside the peer, over that capture
//! - [`auditing`]: `ravelin audit` where there is little and where there is much to judge

pub mod auditing;
pub mod commit;
pub mod emitted;
pub mod frames;
pub mod inspection;
pub mod lists;
pub mod mix;
pub mod policy;
pub mod race;
pub mod sender;
pub mod stage;
pub mod stats;
pub mod variants;
pub mod whole;

/// The world did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A program failed.
    #[error("`{what}` failed: {message}")]
    Program {
        /// Command line.
        what: String,
        /// What it said.
        message: String,
    },
    /// A system call failed.
    #[error("{what}")]
    Call {
        /// What was tried.
        what: String,
        /// The kernel's answer.
        #[source]
        source: std::io::Error,
    },
    /// A measurement cannot be trusted.
    #[error("{0}")]
    Invalid(String),
}

impl Error {
    /// A failed call.
    pub fn call(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> Self {
        let what = what.into();
        move |source| Self::Call { what, source }
    }
}
