//! What became of a rollout, for people and programs.

use crate::{step::Step, wave::Wave};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use words::HostName;

/// How a rollout ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// It was planned and proved, and nothing else was asked for.
    Planned,
    /// Every machine holds what the site file says already.
    Unchanged,
    /// Nothing was changed anywhere.
    Refused,
    /// It was begun, and every machine that answers holds what it held before. One that does not goes back by its own timer.
    TakenBack,
    /// It was begun and taken back, and a machine that answers holds something else than before: people must look at it.
    Astray,
    /// Every machine holds what is new.
    Kept,
    /// It was decided to keep it, and some machines do not hold it yet: to be resumed.
    Decided,
}

/// Where a machine is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "is")]
pub enum Place {
    /// It was not asked yet.
    Unasked,
    /// It is left out, and stays as it is.
    Skipped {
        /// Why.
        why: String,
    },
    /// It holds what it held before.
    Old,
    /// It was told to apply and has not said that it did.
    Told,
    /// It holds what is new and goes back unless it is told otherwise.
    Waiting,
    /// It holds what is new, confirmed.
    New,
    /// It does not answer.
    Lost {
        /// Why.
        why: String,
        /// Seconds within which it has gone back by itself, from when the report was made; `None` where it holds nothing new.
        back_within: Option<u64>,
    },
    /// It answers, and holds neither.
    Astray {
        /// What it says.
        why: String,
    },
}

/// Something that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// In which step.
    pub step: Step,
    /// At which machine, where it was one.
    pub machine: Option<HostName>,
    /// Why.
    pub why: String,
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.machine {
            Some(m) => write!(f, "{m}, step {}: {}", self.step, self.why),
            None => write!(f, "step {}: {}", self.step, self.why),
        }
    }
}

/// The whole of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its id.
    pub id: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Who changes when.
    pub waves: Vec<Wave>,
    /// What was proved, in words.
    pub proved: Vec<String>,
    /// Each machine.
    pub machines: BTreeMap<HostName, Place>,
    /// What went wrong, the reason for going back first.
    pub failures: Vec<Failure>,
    /// What should be known besides.
    pub notes: Vec<String>,
    /// Connections that were tried, and those of them that proved something.
    pub probed: Probed,
    /// Longest time a machine would have waited before it had gone back by itself, in seconds.
    pub within: u64,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
}

/// Connections that were tried.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// How often one was tried after something was changed.
    pub tried: u64,
    /// How often one was as the proof says.
    pub as_proved: u64,
    /// Connections that say nothing, since they did not get through before either.
    pub silent: u64,
}
