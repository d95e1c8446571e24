//! The privileged applier as this program sees it: another program, started with sudo where we are not root. In come its verbs,
//! out comes what it said. Never: does anything privileged itself.

use crate::trouble::Trouble;
use bundle::{KeyId, LayerMode};
use serde::Deserialize;
use std::{
    collections::BTreeMap,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, ExitStatus, Stdio},
};
use words::{Digest, Generation, KeyName};

/// Its name.
const PROGRAM: &str = "ravelin-applier";

/// Where packages put it.
const INSTALLED: &str = "/usr/sbin/ravelin-applier";

/// How it ends where a change failed and no state could be put back.
pub const LOST: i32 = 3;

/// What it says about the machine.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// The confirmed state.
    pub confirmed: Option<Confirmed>,
    /// The state under way.
    pub pending: Option<Pending>,
    /// Whom the machine believes; `None` where root's word is enough.
    pub trust: Option<Trust>,
    /// The number the next bundle must have at least.
    pub next_generation: Generation,
    /// Where the kernel differs from what should be in force.
    pub drift: Vec<String>,
}

/// The confirmed state.
#[derive(Debug, Deserialize)]
pub struct Confirmed {
    /// Number.
    pub generation: Generation,
    /// What the next bundle names as its parent.
    pub digest: Digest,
    /// What the machine holds, whatever its number.
    pub policy: Digest,
    /// Mode of each layer.
    pub layers: BTreeMap<String, LayerMode>,
}

/// Whom the machine believes.
#[derive(Debug, Deserialize)]
pub struct Trust {
    /// Its number.
    pub epoch: u64,
    /// `one`, `two` or `two-to-widen`.
    pub rule: String,
    /// The keys.
    pub keys: Vec<TrustedKey>,
}

/// A key the machine believes.
#[derive(Debug, Deserialize)]
pub struct TrustedKey {
    /// Its id.
    pub id: KeyId,
    /// Whose it is.
    pub name: KeyName,
    /// `apply` or `recovery`.
    pub role: String,
}

/// The state under way.
#[derive(Debug, Deserialize)]
pub struct Pending {
    /// Number.
    pub generation: Generation,
    /// Seconds until it goes back.
    pub reverts_in: u64,
}

/// The applier with its state directory.
pub struct Applier {
    state: Option<PathBuf>,
    root: bool,
}

impl Applier {
    /// With a state directory of its own, where one is given.
    pub fn new(state: Option<PathBuf>) -> Self {
        Self { state, root: rustix::process::geteuid().is_root() }
    }

    fn command(&self) -> Result<Command, Trouble> {
        let program = find()?;
        let mut command = if self.root {
            Command::new(program)
        } else {
            let mut sudo = Command::new("sudo");
            sudo.arg("--").arg(program);
            sudo
        };
        if let Some(state) = &self.state {
            command.arg("--state").arg(state);
        }
        Ok(command)
    }

    /// What the machine holds by the applier's books.
    pub fn status(&self) -> Result<Status, Trouble> {
        let mut command = self.command()?;
        let out = command.args(["--json", "status"]).stderr(Stdio::inherit()).output().map_err(|e| Trouble::io(PROGRAM, e))?;
        serde_json::from_slice(&out.stdout).map_err(|_| {
            Trouble::usage(
                format!("{PROGRAM} gave no status: {}", String::from_utf8_lossy(&out.stdout).trim()),
                "run it as root, or allow sudo for it; `ravelin-applier status` says more",
            )
        })
    }

    /// Runs one of its verbs with our terminal.
    pub fn run(&self, arguments: &[impl AsRef<OsStr>]) -> Result<ExitStatus, Trouble> {
        // Its lines are part of ours, and standard output is for our own result.
        let mut command = self.command()?;
        command.args(arguments).stdout(std::io::stderr());
        command.status().map_err(|e| Trouble::io(PROGRAM, e))
    }
}

/// Beside this program (a build directory), else where packages put it.
pub fn find() -> Result<PathBuf, Trouble> {
    let beside = std::env::current_exe().ok().and_then(|e| e.parent().map(|d| d.join(PROGRAM)));
    beside.into_iter().chain([PathBuf::from(INSTALLED)]).find(|p| Path::is_file(p)).ok_or_else(|| {
        Trouble::usage(
            format!("{PROGRAM} is neither beside this program nor at {INSTALLED}"),
            "install the package, or build it: cargo build --bin ravelin-applier",
        )
    })
}
