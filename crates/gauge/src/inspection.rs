//! The inspection engine beside the peer, as processes, over one large capture by turns. In come the product's program, rules and captures;
//! out come seconds of processor time for the packets alone: what each needs for its rules and its end is measured with one small capture in
//! the same round and taken off. Never: changes the peer's own configuration.

use crate::{
    Error,
    mix::{self, Mixed},
    stats::{self, Median},
    whole,
};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// The peer.
const PEER: &str = "suricata";
/// Its configuration as packaged.
const PEERS_SETTINGS: &str = "/etc/suricata/suricata.yaml";
/// Top keys of its configuration that are written anew: what is put out, and counting while it runs.
const REPLACED: [&str; 2] = ["outputs:", "stats:"];

/// What is put out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Output {
    /// Alerts.
    Alerts,
    /// Every kind of event both know.
    Everything,
}

impl Output {
    fn settings(self) -> String {
        let types = match self {
            Output::Alerts => "alert",
            Output::Everything => "alert, anomaly, http, dns, tls, smtp, ssh, ftp, fileinfo, flow, quic",
        };
        format!(
            "outputs:\n  - eve-log:\n      enabled: yes\n      filetype: regular\n      filename: eve.json\n      types: [{types}]\nstats:\n  enabled: no\n"
        )
    }
}

/// What one engine took in each round.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Taken {
    /// Who.
    pub name: String,
    /// Seconds of processor time for the packets, a round each.
    pub seconds: Vec<f64>,
    /// The same as gigabits in a second.
    pub rate: Option<Median>,
    /// Largest resident set, KiB.
    pub memory: u64,
    /// Events of the last round.
    pub events: usize,
}

/// Races over one kind of output.
#[derive(Debug, Clone, serde::Serialize)]
pub struct Race {
    /// What was put out.
    pub output: Output,
    /// The product, then the peer where it is installed.
    pub engines: Vec<Taken>,
    /// The peer's seconds over the product's, pair by pair.
    pub ratio: Option<Median>,
}

/// Where things lie.
pub struct Course {
    directory: tempfile::TempDir,
    program: PathBuf,
    rules: PathBuf,
    /// What the large capture holds.
    pub mixed: Mixed,
}

impl Course {
    /// Makes the capture of so many copies.
    pub fn lay(program: &Path, captures: &[PathBuf], rules: &Path, copies: u8) -> Result<Self, Error> {
        let directory = tempfile::tempdir().map_err(Error::call("directory for the captures"))?;
        let mixed = mix::write(captures, copies, &directory.path().join("mix.pcap"))?;
        // The peer refuses a capture without frames.
        mix::write(captures.get(..1).unwrap_or_default(), 1, &directory.path().join("small.pcap"))?;
        Ok(Self { directory, program: program.to_owned(), rules: rules.to_owned(), mixed })
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self, output: Output) -> Result<PathBuf, Error> {
        let packaged = fs::read_to_string(PEERS_SETTINGS).unwrap_or_else(|_| "%YAML 1.1\n---\n".to_owned());
        let path = self.at("settings.yaml");
        fs::write(&path, without(&packaged, &REPLACED) + &output.settings()).map_err(Error::call("writing settings"))?;
        Ok(path)
    }

    fn own(&self, capture: &str, settings: &Path) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["ips", "pcap"]).arg(self.at(capture)).arg("-r").arg(&self.rules).arg("-o").arg(self.at("eve.json"));
        command.args(["-k", "none", "--json", "-c"]).arg(settings);
        command
    }

    fn peer(&self, capture: &str, settings: &Path) -> Command {
        let mut command = Command::new(PEER);
        command.arg("-r").arg(self.at(capture)).arg("-S").arg(&self.rules).arg("-l").arg(self.directory.path());
        command.args(["-k", "none", "--runmode", "single", "-c"]).arg(settings);
        command
    }

    /// One after the other, so many times.
    pub fn race(&self, output: Output, rounds: usize, mut tell: impl FnMut(usize)) -> Result<Race, Error> {
        let settings = self.settings(output)?;
        let mut engines = vec![Taken::of("ravelin")];
        if Command::new(PEER).arg("-V").output().is_ok() {
            engines.push(Taken::of(PEER));
        }
        for round in 0..rounds {
            tell(round);
            for (number, engine) in engines.iter_mut().enumerate() {
                let command = |capture| if number == 0 { self.own(capture, &settings) } else { self.peer(capture, &settings) };
                let small = self.once(command("small.pcap"))?;
                let full = self.once(command("mix.pcap"))?;
                engine.seconds.push(full.0.saturating_sub(small.0).as_secs_f64());
                engine.memory = engine.memory.max(full.1);
                engine.events = fs::read_to_string(self.at("eve.json")).unwrap_or_default().lines().count();
            }
        }
        for engine in &mut engines {
            let rates: Vec<f64> = engine.seconds.iter().map(|s| self.mixed.bytes as f64 * 8.0 / s / 1e9).collect();
            engine.rate = stats::median(&rates);
        }
        let ratio = match &engines[..] {
            [own, peer] => stats::ratio(&peer.seconds, &own.seconds),
            _ => None,
        };
        Ok(Race { output, engines, ratio })
    }

    /// Processor time and memory of one run.
    fn once(&self, command: Command) -> Result<(Duration, u64), Error> {
        // Neither goes on writing a file of another run.
        match fs::remove_file(self.at("eve.json")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Error::call("removing eve.json")(e)),
            _ => {}
        }
        let what = format!("{command:?}");
        let ended = whole::run(command)?;
        if ended.code != Some(0) {
            return Err(Error::Program { what, message: format!("exit code {:?}: {}", ended.code, ended.said) });
        }
        Ok((ended.cpu, ended.memory))
    }
}

impl Taken {
    fn of(name: &str) -> Self {
        Self { name: name.to_owned(), seconds: Vec::new(), rate: None, memory: 0, events: 0 }
    }
}

/// A configuration without some of its top keys and what stands below them.
fn without(yaml: &str, keys: &[&str]) -> String {
    let mut out = String::new();
    let mut skipping = false;
    for line in yaml.lines() {
        if line.starts_with(|c: char| c.is_ascii_alphabetic()) {
            skipping = keys.iter().any(|k| line.starts_with(k));
        }
        if !skipping {
            out += line;
            out.push('\n');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_top_key_goes_with_all_below_it() {
        let yaml = "%YAML 1.1\n---\nvars:\n  a: b\noutputs:\n  - fast:\n# comment\n      enabled: no\nstream:\n  depth: 1mb\n";
        assert_eq!(without(yaml, &["outputs:"]), "%YAML 1.1\n---\nvars:\n  a: b\nstream:\n  depth: 1mb\n");
    }
}
