//! This machine's own applier, with sudo where we are not root. Opens no connection, so a confirmation by it needs a reason.

use super::{Transport, Unreachable, process};
use crate::ask::Answer;
use std::{path::PathBuf, process::Command, time::Duration};
use words::HostName;

/// The applier of the machine this program runs on.
#[derive(Debug, Clone)]
pub struct Local {
    /// The program.
    pub applier: PathBuf,
    /// Its state directory, where it is another one than usual.
    pub state: Option<PathBuf>,
    /// Why a confirmation over no connection may count: it is recorded.
    pub reason: String,
}

impl Transport for Local {
    fn call(&self, _machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
        let mut command = if rustix::process::geteuid().is_root() {
            Command::new(&self.applier)
        } else {
            let mut sudo = Command::new("sudo");
            sudo.args(["-n", "--"]).arg(&self.applier);
            sudo
        };
        if let Some(state) = &self.state {
            command.arg("--state").arg(state);
        }
        command.args(words);
        process::run(command, input, within)
    }

    fn console(&self) -> Option<String> {
        Some(self.reason.clone())
    }
}
