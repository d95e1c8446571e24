//! The coordinator dies on purpose, after a step: for the crash tests. Never on unless asked for.

use crate::step::Step;
use std::str::FromStr;

/// Dies after this step has been taken for this time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Injection {
    /// After which step.
    pub after: Step,
    /// The how-manieth time, counted from 1: waves repeat steps.
    pub time: usize,
}

impl Injection {
    /// Dies if this is the one. Nothing is cleaned up.
    pub fn fire(self, step: Step, time: usize) {
        if (self.after, self.time) == (step, time) {
            let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
            std::process::abort()
        }
    }
}

impl FromStr for Injection {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let (step, time) = text.split_once(':').unwrap_or((text, "1"));
        let time = time.parse().ok().filter(|t| *t > 0).ok_or("write STEP or STEP:TIME")?;
        Ok(Self { after: step.parse()?, time })
    }
}
