//! A machine that runs. In come scripts and files, out comes what they did. Ends with its owner: QEMU is killed when this value
//! goes, and the agent powers off when QEMU's pipe closes.

use crate::{
    Disk, Image, Mode, Options, Ran, VmError,
    channel::{Channel, Trouble},
    qemu,
};
use rustix::process::{Pid, Signal};
use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    time::{Duration, Instant},
};

/// How long a script may take, unless told otherwise.
pub const SCRIPT_WITHIN: Duration = Duration::from_secs(60);
/// What we wait beyond a script's own time: its end, and the way of its output under emulation.
const GRACE: Duration = Duration::from_secs(60);
/// How long a clean end may take: systemd gives units 90 s.
const POWER_OFF_WITHIN: Duration = Duration::from_secs(150);
/// Between two looks at whether QEMU has ended.
const POLL: Duration = Duration::from_millis(50);
/// Lines of the console in an error.
const CONSOLE_LINES: usize = 25;

/// A machine.
pub struct Machine {
    qemu: Child,
    channel: Channel,
    console: PathBuf,
    said: PathBuf,
    booted_in: Duration,
}

impl Machine {
    /// Boots from this disk and waits until its units have started.
    pub fn boot(image: &Image, disk: &Disk, options: &Options) -> Result<Self, VmError> {
        Self::start(image, disk.path(), "qcow2", disk.directory(), options)
    }

    pub(crate) fn start(image: &Image, disk: &Path, format: &str, logs: &Path, options: &Options) -> Result<Self, VmError> {
        let begun = Instant::now();
        let (console, said) = (logs.join("console.log"), logs.join("qemu.log"));
        let log = File::create(&said).map_err(VmError::file(&said))?;
        let mut command = qemu::machine(image, disk, format, &console, options);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(log);
        let mut qemu = command.spawn().map_err(|source| VmError::Spawn { program: qemu::PROGRAM, source })?;
        let (Some(to), Some(from)) = (qemu.stdin.take(), qemu.stdout.take()) else {
            return Err(VmError::Garbled("QEMU without pipes".into()));
        };
        let channel = Channel::new(to, from);
        let mut machine = Self { qemu, channel, console, said, booted_in: Duration::ZERO };
        machine.channel.ready(options.boot_within).map_err(|t| machine.error(t, "booting", options.boot_within))?;
        // The agent starts among the others. A unit that failed is for the test to judge.
        machine.run_within("systemctl is-system-running --wait; true", options.boot_within)?;
        machine.booted_in = begun.elapsed();
        Ok(machine)
    }

    /// How long the boot took.
    pub fn booted_in(&self) -> Duration {
        self.booted_in
    }

    /// Runs a shell script as root, unconfined, in the time a script usually has.
    pub fn run(&mut self, script: &str) -> Result<Ran, VmError> {
        self.run_within(script, SCRIPT_WITHIN)
    }

    /// Runs a shell script for at most `limit`, in whole seconds.
    pub fn run_within(&mut self, script: &str, limit: Duration) -> Result<Ran, VmError> {
        self.run_with(script, &[], limit)
    }

    /// Runs a shell script that reads `input`.
    pub fn run_with(&mut self, script: &str, input: &[u8], limit: Duration) -> Result<Ran, VmError> {
        let within = limit + GRACE;
        let ran = self.channel.run(script, input, limit, within);
        ran.map_err(|t| self.error(t, script.lines().next().unwrap_or_default(), within))
    }

    /// Runs a script that must end with 0; out comes its output.
    pub fn must(&mut self, script: &str) -> Result<String, VmError> {
        let ran = self.run(script)?;
        succeeded(&ran, script)?;
        Ok(ran.text())
    }

    /// Writes a file in the machine, with the label its place has.
    pub fn put(&mut self, path: &str, mode: u32, content: &[u8]) -> Result<(), VmError> {
        let to = quoted(path);
        let script =
            format!("set -e; mkdir -p \"$(dirname {to})\"; cat >{to}; chmod {mode:o} {to}; if selinuxenabled; then restorecon -F {to}; fi");
        succeeded(&self.run_with(&script, content, SCRIPT_WITHIN)?, &format!("writing {path}"))
    }

    /// Reads a file of the machine.
    pub fn get(&mut self, path: &str) -> Result<Vec<u8>, VmError> {
        let ran = self.run(&format!("cat {}", quoted(path)))?;
        succeeded(&ran, &format!("reading {path}"))?;
        Ok(ran.out)
    }

    /// What SELinux says of itself; `None` where it is off.
    pub fn enforcing(&mut self) -> Result<Option<Mode>, VmError> {
        Ok(match self.must("getenforce")?.trim() {
            "Enforcing" => Some(Mode::Enforcing),
            "Permissive" => Some(Mode::Permissive),
            _ => None,
        })
    }

    /// What the serial console has shown so far.
    pub fn console(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.console).unwrap_or_default()).into_owned()
    }

    /// Shuts down in order.
    pub fn power_off(mut self) -> Result<(), VmError> {
        // The machine may be gone before its answer is out; how QEMU ended tells.
        match self.run("systemctl --no-block poweroff") {
            Ok(_) | Err(VmError::Gone { .. }) => {}
            Err(e) => return Err(e),
        }
        let begun = Instant::now();
        while begun.elapsed() < POWER_OFF_WITHIN {
            match self.qemu.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(_)) => return Err(self.error(Trouble::Gone, "powering off", POWER_OFF_WITHIN)),
                _ => {}
            }
            std::thread::sleep(POLL);
        }
        Err(self.error(Trouble::Silent, "powering off", POWER_OFF_WITHIN))
    }

    /// Its processors stand still, its memory stays: what a host does to a guest that it pauses. The machine's clock goes on.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// They go on.
    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, what: Signal) {
        // A process that is gone needs none.
        let _ = rustix::process::kill_process(Pid::from_child(&self.qemu), what);
    }

    /// Cuts the power: what the machine had in memory is lost, as QEMU itself dies with it.
    pub fn cut(self) {}

    fn error(&self, trouble: Trouble, doing: &str, within: Duration) -> VmError {
        let console = self.console();
        let lines: Vec<&str> = console.lines().filter(|l| !l.trim().is_empty()).collect();
        let end = lines[lines.len().saturating_sub(CONSOLE_LINES)..].join("\n");
        let qemu = std::fs::read_to_string(&self.said).unwrap_or_default().trim().to_owned();
        trouble.into_error(doing, within, qemu, end)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = self.qemu.kill();
        let _ = self.qemu.wait();
    }
}

pub(crate) fn succeeded(ran: &Ran, what: &str) -> Result<(), VmError> {
    if ran.ok() {
        return Ok(());
    }
    Err(VmError::Script { what: what.to_owned(), code: ran.code.to_string(), said: ran.said() })
}

/// A word for the shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_stay_one_word() {
        assert_eq!(quoted("/a b"), "'/a b'");
        assert_eq!(quoted("a'; rm x'"), r"'a'\''; rm x'\'''");
    }
}
