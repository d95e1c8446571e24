//! Machines that stay up when the program that started them has ended: each a directory with a disk, a console and QEMU's control
//! socket. In come an image and a name, out comes a machine that stands, its console, or nothing at all. That one stands is what its
//! control socket says, never a number in a file. Never: touches a machine of another name, leaves a directory of one that is down.

use crate::{Image, Options, VmError, disk::overlay, qemu};
use std::{
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

/// Held by whoever brings one up or takes one down.
const TURN: &str = "turn.lock";
/// What the console says when somebody can log in.
const PROMPT: &str = "login:";
/// Between two looks at the console.
const POLL: Duration = Duration::from_millis(200);
/// How long a machine may take to shut down: systemd gives its units 90 s.
const POWER_OFF_WITHIN: Duration = Duration::from_secs(150);
/// How long QEMU may take to end when told to.
const QUIT_WITHIN: Duration = Duration::from_secs(10);

/// The machines below one directory, [`crate::cache::directory`] in a product.
#[derive(Debug, Clone)]
pub struct Standing {
    directory: PathBuf,
}

/// How a machine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// It shut down in order.
    PoweredOff,
    /// It did not within its time, and its power was cut.
    Cut,
    /// It did not run any more; what was left of it is gone.
    Remains,
}

impl Standing {
    /// Those below this directory.
    pub fn below(cache: &Path) -> Self {
        Self { directory: cache.join("standing") }
    }

    fn of(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn turn(&self) -> Result<File, VmError> {
        fs::create_dir_all(&self.directory).map_err(VmError::file(&self.directory))?;
        let path = self.directory.join(TURN);
        let file = File::create(&path).map_err(VmError::file(&path))?;
        file.lock().map_err(VmError::file(&path))?;
        Ok(file)
    }

    /// Names of those that run, sorted.
    pub fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory).into_iter().flatten().flatten();
        let mut out: Vec<String> = entries.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| self.runs(n)).collect();
        out.sort();
        out
    }

    /// Whether this one runs.
    pub fn runs(&self, name: &str) -> bool {
        UnixStream::connect(self.of(name).join(qemu::CONTROL)).is_ok()
    }

    /// Brings one up and waits for its login; what a dead one of this name left is removed first. A machine that does not come up is
    /// ended.
    pub fn up(&self, image: &Image, name: &str, options: &Options) -> Result<(), VmError> {
        let directory = self.of(name);
        {
            let _turn = self.turn()?;
            if self.runs(name) {
                return Err(VmError::Stands(name.to_owned()));
            }
            remove(&directory)?;
            fs::create_dir(&directory).map_err(VmError::file(&directory))?;
            let disk = directory.join("disk.qcow2");
            let started =
                overlay(image, &disk).and_then(|()| crate::image::finished(qemu::PROGRAM, &mut qemu::standing(image, &directory, options)));
            if let Err(e) = started {
                let _ = remove(&directory);
                return Err(e);
            }
        }
        let (log, begun) = (directory.join(qemu::CONSOLE_LOG), Instant::now());
        while begun.elapsed() < options.boot_within && self.runs(name) {
            if fs::read(&log).is_ok_and(|said| String::from_utf8_lossy(&said).contains(PROMPT)) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        let console = String::from_utf8_lossy(&fs::read(&log).unwrap_or_default()).into_owned();
        self.end(name, "quit", QUIT_WITHIN)?;
        remove(&directory)?;
        Err(VmError::Silent { doing: "booting".into(), within: options.boot_within, console })
    }

    /// Its console: one at a time, a second one waits.
    pub fn console(&self, name: &str) -> Result<UnixStream, VmError> {
        if !self.runs(name) {
            return Err(VmError::NotThere(name.to_owned()));
        }
        let path = self.of(name).join(qemu::CONSOLE);
        UnixStream::connect(&path).map_err(VmError::file(path))
    }

    /// Powers it off, or cuts its power where that takes too long, and removes what it had.
    pub fn down(&self, name: &str) -> Result<Ended, VmError> {
        let _turn = self.turn()?;
        let directory = self.of(name);
        if !directory.is_dir() {
            return Err(VmError::NotThere(name.to_owned()));
        }
        let ended = if !self.runs(name) {
            Ended::Remains
        } else if self.end(name, "system_powerdown", POWER_OFF_WITHIN)? {
            Ended::PoweredOff
        } else {
            self.end(name, "quit", QUIT_WITHIN)?;
            Ended::Cut
        };
        remove(&directory)?;
        Ok(ended)
    }

    /// Gives QEMU a command that ends it; whether it ended in time.
    fn end(&self, name: &str, command: &str, within: Duration) -> Result<bool, VmError> {
        let path = self.of(name).join(qemu::CONTROL);
        let Ok(mut control) = UnixStream::connect(&path) else { return Ok(true) };
        let order = format!("{{\"execute\":\"qmp_capabilities\"}}\n{{\"execute\":\"{command}\"}}\n");
        let mut said = [0; 4096];
        let begun = Instant::now();
        let mut done = control.write_all(order.as_bytes());
        // It answers, tells of events, and hangs up when it ends.
        while done.is_ok() {
            let Some(left) = within.checked_sub(begun.elapsed()).filter(|l| !l.is_zero()) else { return Ok(false) };
            control.set_read_timeout(Some(left)).map_err(VmError::file(&path))?;
            done = match control.read(&mut said) {
                Ok(0) => return Ok(true),
                Ok(_) => Ok(()),
                Err(e) if e.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(e) => Err(e),
            };
        }
        // Hung up in the middle of a word.
        Ok(true)
    }
}

fn remove(directory: &Path) -> Result<(), VmError> {
    match fs::remove_dir_all(directory) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(VmError::File { path: directory.to_owned(), source: e }),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::BufRead, os::unix::net::UnixListener};

    #[test]
    fn what_a_dead_one_left_is_removed_and_one_that_never_was_is_named() {
        let cache = tempfile::tempdir().expect("a directory");
        let all = Standing::below(cache.path());
        assert!(matches!(all.down("a"), Err(VmError::NotThere(n)) if n == "a"));
        assert!(matches!(all.console("a"), Err(VmError::NotThere(_))));
        let left = all.of("a");
        fs::create_dir(&left).expect("made");
        // A socket nobody listens on any more.
        drop(UnixListener::bind(left.join(qemu::CONTROL)).expect("binds"));
        assert!(all.names().is_empty());
        assert_eq!(all.down("a").expect("removes"), Ended::Remains);
        assert!(!left.exists());
    }

    #[test]
    fn the_order_is_given_and_the_end_awaited() {
        let cache = tempfile::tempdir().expect("a directory");
        let all = Standing::below(cache.path());
        fs::create_dir_all(all.of("a")).expect("made");
        let listener = UnixListener::bind(all.of("a").join(qemu::CONTROL)).expect("binds");
        let qemu = std::thread::spawn(move || {
            // The first one only looks.
            drop(listener.accept().expect("looks"));
            let (mut control, _) = listener.accept().expect("connects");
            control.write_all(b"{\"QMP\": {}}\n").expect("greets");
            let mut lines = std::io::BufReader::new(control).lines();
            [lines.next(), lines.next()].map(|l| l.expect("a line").expect("reads"))
        });
        assert_eq!(all.down("a").expect("ends"), Ended::PoweredOff);
        assert_eq!(qemu.join().expect("ends"), [r#"{"execute":"qmp_capabilities"}"#, r#"{"execute":"system_powerdown"}"#]);
        assert!(!all.of("a").exists());
    }
}
