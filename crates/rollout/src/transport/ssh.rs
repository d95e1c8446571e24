//! Appliers of other machines, with the system's OpenSSH: agent, jump hosts, users and known keys are what the operator's configuration says.
//! Every call is a connection of its own, since a confirmation proves the way in by being new. A key that is not the known one is refused.
//! Never: asks anything, logs in as root by itself, learns a key.

use super::{INSTALLED, Transport, Unreachable, process};
use crate::ask::Answer;
use std::{collections::BTreeMap, path::PathBuf, process::Command, time::Duration};
use words::HostName;

/// What ssh ends with where it was ssh itself that failed.
const SSH_FAILED: i32 = 255;
/// Seconds until a connection that does not come about is given up, where the call has longer.
const CONNECT_WITHIN: u64 = 8;

/// Machines behind ssh.
#[derive(Debug, Clone)]
pub struct Ssh {
    /// The client.
    pub program: PathBuf,
    /// Another configuration file than the operator's own.
    pub config: Option<PathBuf>,
    /// What ssh is told to connect to, where it is not the machine's name.
    pub destinations: BTreeMap<HostName, String>,
    /// The words that run the applier there with its privileges.
    pub applier: Vec<String>,
}

impl Default for Ssh {
    fn default() -> Self {
        let applier = ["sudo", "-n", "--", INSTALLED].map(str::to_owned).to_vec();
        Self { program: "ssh".into(), config: None, destinations: BTreeMap::new(), applier }
    }
}

impl Ssh {
    fn command(&self, machine: &HostName, words: &[String], within: Duration) -> Command {
        let mut command = Command::new(&self.program);
        if let Some(config) = &self.config {
            command.arg("-F").arg(config);
        }
        let connect = within.as_secs().clamp(1, CONNECT_WITHIN);
        for option in [
            "BatchMode=yes",
            "StrictHostKeyChecking=yes",
            "UpdateHostKeys=no",
            // A connection that is shared was there before the change and proves nothing of it.
            "ControlMaster=no",
            "ControlPath=none",
            "ForwardAgent=no",
            "ForwardX11=no",
            "ClearAllForwardings=yes",
            "ServerAliveInterval=3",
            "ServerAliveCountMax=3",
            "LogLevel=ERROR",
            &format!("ConnectTimeout={connect}"),
        ] {
            command.args(["-o", option]);
        }
        let destination = self.destinations.get(machine).map_or(machine.as_str(), String::as_str);
        // The other end's shell reads one line.
        let line: Vec<String> = self.applier.iter().chain(words).map(|w| quoted(w)).collect();
        command.args(["-T", "--", destination, &line.join(" ")]);
        command
    }
}

impl Transport for Ssh {
    fn call(&self, machine: &HostName, words: &[String], input: &[u8], within: Duration) -> Result<Answer, Unreachable> {
        let answer = process::run(self.command(machine, words, within), input, within)?;
        match answer.status {
            Some(SSH_FAILED) => Err(Unreachable(reason(&String::from_utf8_lossy(&answer.stderr)))),
            _ => Ok(answer),
        }
    }
}

/// Why ssh failed, in a line.
fn reason(complaint: &str) -> String {
    if complaint.contains("IDENTIFICATION HAS CHANGED") || complaint.contains("HOST IDENTIFICATION") {
        let file = complaint.lines().find(|l| l.starts_with("Offending")).map(|l| format!(" ({})", l.trim())).unwrap_or_default();
        return format!("its host key is not the one that is known{file}: another machine answers, or it was installed anew");
    }
    if complaint.contains("Host key verification failed") || complaint.contains("host key is known") {
        return "its host key is not known: connect once by hand and compare its fingerprint".to_owned();
    }
    let last = complaint.lines().map(str::trim).rfind(|l| !l.is_empty()).unwrap_or("the connection ended");
    if last.starts_with("ssh: ") { last.to_owned() } else { format!("ssh: {last}") }
}

/// A word for a POSIX shell.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,@%+".contains(c);
    if !word.is_empty() && word.chars().all(plain) { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_words_behind_a_shell() {
        for word in ["plain-word.1", "two words", "it's", "$(reboot)", "", "a\nb", "`x`;y|z"] {
            let out = Command::new("sh").args(["-c", &format!("printf %s {}", quoted(word))]).output().expect("sh");
            assert_eq!(String::from_utf8_lossy(&out.stdout), word);
        }
    }

    #[test]
    fn a_key_that_changed_is_named() {
        let said = "@@@\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nOffending ED25519 key in /h/known_hosts:3\nHost key verification failed.\n";
        assert!(reason(said).contains("not the one that is known (Offending ED25519 key in /h/known_hosts:3)"));
        assert!(reason("No ED25519 host key is known for x.\nHost key verification failed.").contains("is not known"));
        assert_eq!(
            reason("ssh: connect to host x port 22: Connection timed out\n"),
            "ssh: connect to host x port 22: Connection timed out"
        );
        assert_eq!(reason(""), "ssh: the connection ended");
    }
}
