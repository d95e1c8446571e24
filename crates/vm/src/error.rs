//! What can go wrong with a machine under QEMU. Each names the command, file or script, and where it helps the end of the
//! serial console.

use std::{io, path::PathBuf, time::Duration};

/// Trouble with the world around a machine, or with the machine itself.
#[derive(Debug, thiserror::Error)]
pub enum VmError {
    /// A program is missing or could not be started.
    #[error("cannot run `{program}`")]
    Spawn {
        /// The program.
        program: &'static str,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// A program failed.
    #[error("`{program}` failed:\n{said}")]
    Command {
        /// The program.
        program: &'static str,
        /// The end of what it said.
        said: String,
    },
    /// A file operation failed.
    #[error("{}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Cause.
        #[source]
        source: io::Error,
    },
    /// The image was built, and the machine in it could not finish it.
    #[error("the image could not be finished: {0}")]
    Image(String),
    /// The machine did not come up, or does not answer any more.
    #[error("the machine did not answer within {} s while {doing}; its console ends with:\n{console}", within.as_secs())]
    Silent {
        /// What was waited for.
        doing: String,
        /// How long.
        within: Duration,
        /// End of the serial console.
        console: String,
    },
    /// QEMU ended, or the machine in it powered off.
    #[error("the machine is gone while {doing}; QEMU said `{qemu}`, its console ends with:\n{console}")]
    Gone {
        /// What was under way.
        doing: String,
        /// What QEMU said.
        qemu: String,
        /// End of the serial console.
        console: String,
    },
    /// A machine of this name stands already.
    #[error("a machine `{0}` stands already")]
    Stands(String),
    /// No machine of this name stands.
    #[error("no machine `{0}` stands")]
    NotThere(String),
    /// The agent answered something that is no answer.
    #[error("the agent in the machine answered `{0}`")]
    Garbled(String),
    /// A script of ours that had to succeed did not.
    #[error("in the machine, {what} failed with {code}: {said}")]
    Script {
        /// What it was for.
        what: String,
        /// Exit code, or that time was up.
        code: String,
        /// What it said.
        said: String,
    },
}

impl VmError {
    /// A file operation that failed.
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
    /// What to do about it.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            Self::Spawn { .. } => Some("install the missing program; `cargo xtask setup` does"),
            Self::Stands(_) => Some("`ravelin lab vm shell NAME` is its console, `ravelin lab vm down NAME` ends it"),
            Self::NotThere(_) => Some("`ravelin lab vm up NAME` starts one"),
            Self::Command { program: "mmdebstrap", .. } => {
                Some("mmdebstrap needs a Debian mirror and root, or newuidmap and a range in /etc/subuid for this account")
            }
            _ => None,
        }
    }
}
