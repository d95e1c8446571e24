//! Failures on purpose, after a step that succeeded: for the tests and for drills. Never on unless asked for.

use crate::{Error, Step};
use std::str::FromStr;

/// How it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An error, as if the next step had failed.
    Error,
    /// The process ends at once, cleaning nothing up.
    Exit,
    /// The process is killed.
    Kill,
    /// The process stands still and holds what it holds, for a power cut at this very point.
    Hang,
}

impl Kind {
    /// All.
    pub const ALL: [Kind; 4] = [Kind::Error, Kind::Exit, Kind::Kill, Kind::Hang];
    /// Those after which the process is over.
    pub const ENDING: [Kind; 3] = [Kind::Error, Kind::Exit, Kind::Kill];
    /// The word on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Error => "error",
            Kind::Exit => "exit",
            Kind::Kill => "kill",
            Kind::Hang => "hang",
        }
    }
}

/// Fails in this way after this step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// After which step.
    pub after: Step,
    /// How.
    pub kind: Kind,
}

/// Exit status of an injected exit: unlike any that the program gives itself.
pub const EXIT_STATUS: i32 = 70;

impl Injection {
    /// Fails if `step` is the one.
    pub fn fire(self, step: Step) -> Result<(), Error> {
        if self.after != step {
            return Ok(());
        }
        match self.kind {
            Kind::Error => Err(Error::Injected(step)),
            Kind::Exit => std::process::exit(EXIT_STATUS),
            Kind::Kill => {
                let own = rustix::process::getpid();
                // A signal to oneself is delivered before the call returns.
                let _ = rustix::process::kill_process(own, rustix::process::Signal::KILL);
                std::process::abort()
            }
            Kind::Hang => {
                // Whoever lets it go on lets it go on as if nothing had been.
                let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::STOP);
                Ok(())
            }
        }
    }
}

impl FromStr for Injection {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (step, kind) = text.split_once('=').ok_or("write STEP=error, STEP=exit, STEP=kill or STEP=hang")?;
        let kind = Kind::ALL.into_iter().find(|k| k.word() == kind).ok_or("after `=` stands error, exit, kill or hang")?;
        Ok(Self { after: step.parse()?, kind })
    }
}
