//! Appliers in namespaces of a lab: each machine is a named network namespace with a state directory of its own.

use super::{Transport, Unreachable, process};
use crate::ask::Answer;
use std::{ffi::OsString, path::PathBuf, process::Command, time::Duration};
use words::HostName;

/// The machines of a lab.
#[derive(Debug, Clone)]
pub struct Namespaces {
    /// What leads into the lab, where this program is outside of it: a program and its arguments.
    pub enter: Vec<OsString>,
    /// Directory of the namespaces' handles, as seen inside.
    pub handles: PathBuf,
    /// Directory of the machines' state directories, as seen inside.
    pub states: PathBuf,
    /// The applier.
    pub applier: PathBuf,
    /// Why a confirmation over no connection may count: it is recorded.
    pub reason: String,
}

impl Namespaces {
    /// The command that runs the applier of a machine with these words.
    pub fn command(&self, machine: &HostName, words: &[String]) -> Command {
        let mut net = OsString::from("--net=");
        net.push(self.handles.join(machine.as_str()));
        let all: Vec<OsString> = self.enter.iter().cloned().chain(["nsenter".into(), net, "--".into()]).collect();
        let mut command = Command::new(&all[0]);
        command.args(&all[1..]).arg(&self.applier).arg("--state").arg(self.states.join(machine.as_str())).args(words);
        // Whoever started the lab may have come by ssh; the machine of the lab did not.
        command.env_remove("SSH_CONNECTION").env_remove("SSH_CLIENT");
        command
    }
}

impl Transport for Namespaces {
    fn call(&self, machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
        process::run(self.command(machine, words), input, within)
    }

    fn console(&self) -> Option<String> {
        Some(self.reason.clone())
    }
}
