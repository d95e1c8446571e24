//! Scripts in, answers out, over a pair of pipes that QEMU joins to a serial port of the machine. Every wait has an end.

use crate::VmError;
use std::{
    fmt,
    io::{Read, Write},
    process::{ChildStdin, ChildStdout},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

/// The most that a script may say on either stream; more is a fault of the script.
const SAID_MOST: usize = 64 << 20;
/// Bytes per read from QEMU.
const CHUNK: usize = 64 << 10;
/// Chunks that may wait unread: QEMU is slowed down beyond that.
const WAITING: usize = 64;

/// How a script ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// With this exit code.
    Exit(u8),
    /// It was ended when its time was up.
    Late,
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Code::Exit(code) => write!(f, "code {code}"),
            Code::Late => f.write_str("its time up"),
        }
    }
}

/// What a script did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ran {
    /// How it ended.
    pub code: Code,
    /// Standard output.
    pub out: Vec<u8>,
    /// Standard error.
    pub err: Vec<u8>,
}

impl Ran {
    /// Whether it ended with code 0.
    pub fn ok(&self) -> bool {
        self.code == Code::Exit(0)
    }
    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.out).into_owned()
    }
    /// Both streams as text, for reports.
    pub fn said(&self) -> String {
        format!("{}{}", self.text(), String::from_utf8_lossy(&self.err))
    }
}

/// Why nothing came.
pub enum Trouble {
    /// Time was up.
    Silent,
    /// The other end is closed.
    Gone,
    /// What came is no answer.
    Garbled(String),
}

impl Trouble {
    /// With what was under way and the machine's last words.
    pub fn into_error(self, doing: &str, within: Duration, qemu: String, console: String) -> VmError {
        let doing = doing.to_owned();
        match self {
            Self::Silent => VmError::Silent { doing, within, console },
            Self::Gone => VmError::Gone { doing, qemu, console },
            Self::Garbled(line) => VmError::Garbled(line),
        }
    }
}

/// Our end.
pub struct Channel {
    to: ChildStdin,
    from: Receiver<Vec<u8>>,
    read: Vec<u8>,
}

impl Channel {
    /// Over QEMU's standard input and output.
    pub fn new(to: ChildStdin, mut from: ChildStdout) -> Self {
        let (give, take) = sync_channel(WAITING);
        std::thread::spawn(move || {
            let mut chunk = vec![0; CHUNK];
            while let Ok(n @ 1..) = from.read(&mut chunk) {
                if give.send(chunk[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { to, from: take, read: Vec::new() }
    }

    /// Waits for the agent's first word.
    pub fn ready(&mut self, within: Duration) -> Result<(), Trouble> {
        let line = self.line(Instant::now() + within)?;
        if line.starts_with("READY ") { Ok(()) } else { Err(Trouble::Garbled(line)) }
    }

    /// Runs a script with this input for at most `limit`; `within` is how long we wait.
    pub fn run(&mut self, script: &str, input: &[u8], limit: Duration, within: Duration) -> Result<Ran, Trouble> {
        let head = format!("RUN {} {} {}\n", limit.as_secs().max(1), script.len(), input.len());
        for part in [head.as_bytes(), script.as_bytes(), input] {
            self.to.write_all(part).map_err(|_| Trouble::Gone)?;
        }
        self.to.flush().map_err(|_| Trouble::Gone)?;
        let until = Instant::now() + within;
        let line = self.line(until)?;
        let (code, out, err) = answer(&line).ok_or_else(|| Trouble::Garbled(line.clone()))?;
        Ok(Ran { code, out: self.bytes(out, until)?, err: self.bytes(err, until)? })
    }

    fn line(&mut self, until: Instant) -> Result<String, Trouble> {
        loop {
            if let Some(end) = self.read.iter().position(|b| *b == b'\n') {
                let line: Vec<u8> = self.read.drain(..=end).collect();
                return Ok(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            self.more(until)?;
        }
    }

    fn bytes(&mut self, count: usize, until: Instant) -> Result<Vec<u8>, Trouble> {
        while self.read.len() < count {
            self.more(until)?;
        }
        Ok(self.read.drain(..count).collect())
    }

    fn more(&mut self, until: Instant) -> Result<(), Trouble> {
        match self.from.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(chunk) => self.read.extend(chunk),
            Err(RecvTimeoutError::Timeout) => return Err(Trouble::Silent),
            Err(RecvTimeoutError::Disconnected) => return Err(Trouble::Gone),
        }
        Ok(())
    }
}

/// Reads `DONE CODE OUT-BYTES ERR-BYTES`.
fn answer(line: &str) -> Option<(Code, usize, usize)> {
    let mut words = line.strip_prefix("DONE ")?.split(' ');
    let code = match words.next()? {
        "late" => Code::Late,
        code => Code::Exit(code.parse().ok()?),
    };
    let mut count = || words.next()?.parse().ok().filter(|n| *n <= SAID_MOST);
    let (out, err) = (count()?, count()?);
    words.next().is_none().then_some((code, out, err))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_read_and_nothing_else() {
        assert_eq!(answer("DONE 0 3 4"), Some((Code::Exit(0), 3, 4)));
        assert_eq!(answer("DONE late 0 0"), Some((Code::Late, 0, 0)));
        for line in ["", "DONE", "DONE 0", "DONE 0 1", "DONE 256 0 0", "DONE 0 0 0 0", "DONE -1 0 0", "DONE 0 99999999999 0", "READY x"] {
            assert_eq!(answer(line), None, "{line}");
        }
    }
}
