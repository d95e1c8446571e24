//! What can go wrong with the world while a lab is built or used. Each names the path, node or command.

use std::io;

/// Trouble with the world, not with the site file.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The kernel or its configuration refuses the namespaces.
    #[error(
        "this machine refuses own namespaces: {why}\nhelp: run as root, or allow unprivileged user namespaces \
         (kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0, user.max_user_namespaces above 0)"
    )]
    Namespaces {
        /// What `unshare` said.
        why: String,
    },
    /// A program is missing or could not be started.
    #[error("cannot run `{program}`")]
    Spawn {
        /// The program.
        program: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("`{command}` failed in {node}: {stderr}")]
    Command {
        /// Where it ran.
        node: String,
        /// What ran.
        command: String,
        /// What it said.
        stderr: String,
    },
    /// A file or socket operation failed.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// No such node in the lab.
    #[error("no node `{name}` in this lab; there are: {known}")]
    NoNode {
        /// As asked.
        name: String,
        /// What there is.
        known: String,
    },
    /// A ruleset could not be read back.
    #[error("cannot read the ruleset of {node}: {why}")]
    Ruleset {
        /// Whose.
        node: String,
        /// Why.
        why: String,
    },
    /// A packet cannot be written as asked.
    #[error("cannot write this packet: {0}")]
    Packet(String),
    /// Anything that has its own full sentence.
    #[error("{0}")]
    Other(String),
}

impl LabError {
    /// An [`LabError::Io`] with its description.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> LabError {
        let what = what.into();
        move |source| LabError::Io { what, source }
    }
    /// The same for rustix' errors.
    pub fn os(what: impl Into<String>) -> impl FnOnce(rustix::io::Errno) -> LabError {
        let what = what.into();
        move |source| LabError::Io { what, source: source.into() }
    }
}
