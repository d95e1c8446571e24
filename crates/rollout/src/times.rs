//! How long each part of a rollout may take, and what follows for the machines' own timers. Pure.

use crate::step::Step;
use serde::{Deserialize, Serialize};

/// Bounds in seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Times {
    /// A question, a confirmation, a word to go back, a handing over.
    pub ask: u64,
    /// A bundle: staged, put in force, read back, probed by the machine itself.
    pub apply: u64,
    /// Connections tried from one machine, all at once.
    pub probe: u64,
    /// The ledger's line, flushed.
    pub record: u64,
    /// What a timer gets beyond what all that is left may take.
    pub margin: u64,
    /// Milliseconds between two rounds of settling.
    pub pause_ms: u64,
    /// Longest a machine may have to wait for its confirmation.
    pub longest: u64,
}

impl Default for Times {
    fn default() -> Self {
        Self {
            // A connection by ssh through a jump host takes 2 s on a bad line; sudo and a status take one more.
            ask: 20,
            // An edge with 100,000 elements takes ten seconds to load and read back; the applier's own probes wait 6 s.
            apply: 60,
            // A trial waits 3 s.
            probe: 15,
            record: 5,
            margin: 10,
            // An applier that was ended lets go of its lock at once; a machine that restarts is asked by `resume`.
            pause_ms: 2_000,
            // A proving deadline: a machine that is cut off is back before the next one is missed.
            longest: 30 * 60,
        }
    }
}

impl Times {
    /// The bound of a step, in seconds.
    pub fn of(&self, step: Step) -> u64 {
        match step {
            Step::Reach | Step::Drain | Step::Look | Step::Confirm | Step::Revert | Step::Return => self.ask,
            Step::Before | Step::Probe | Step::Last => self.probe,
            Step::Stage => self.apply,
            Step::Prove => 0,
            Step::Open | Step::Decide | Step::Close => self.record,
            Step::Settle => self.ask + self.apply + self.ask,
        }
    }

    /// Seconds until a machine goes back by itself that is staged as the first of these steps, all of which must be done before it may be
    /// confirmed.
    pub fn within(&self, from_here: impl IntoIterator<Item = Step>) -> u64 {
        from_here.into_iter().map(|s| self.of(s)).sum::<u64>() + self.margin
    }
}
