//! What goes into the state machine and what comes out of it: the setup, what was agreed, events, orders, lines of the ledger. Data alone.

use crate::{
    ask::{Ask, Heard, Status},
    report::{Place, Report},
    step::Step,
    times::Times,
    wave::{Planned, Target, Wave},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

/// What is done about machines that do not answer before anything is changed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Partial {
    /// Nothing is changed anywhere.
    #[default]
    Refuse,
    /// They stay as they are, are named and recorded, and what is proved is proved for them staying old.
    Skip,
}

/// What a rollout begins with.
#[derive(Debug, Clone)]
pub struct Setup {
    /// Its id.
    pub id: String,
    /// Its machines.
    pub machines: BTreeSet<HostName>,
    /// What about those that do not answer.
    pub partial: Partial,
    /// It ends when it is planned and proved.
    pub dry: bool,
    /// Bounds.
    pub times: Times,
}

/// What was planned and proved for the machines that answer.
#[derive(Debug, Clone, Default)]
pub struct Agreed {
    /// Who changes when.
    pub waves: Vec<Wave>,
    /// What each machine is to hold.
    pub targets: BTreeMap<HostName, Target>,
    /// Connections each machine tries.
    pub probes: BTreeMap<HostName, Vec<Planned>>,
    /// What was proved, in words, for the ledger.
    pub proved: Vec<String>,
    /// What should be known besides.
    pub notes: Vec<String>,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum Event {
    /// It begins.
    Start,
    /// A machine said something, or nothing came of asking it.
    Said {
        /// Which.
        machine: HostName,
        /// The round it was asked in; what belongs to an earlier one changes nothing any more.
        round: u64,
        /// What it means.
        heard: Heard,
    },
    /// The plan is sealed and proved, or why not.
    Proved(Result<Agreed, Vec<String>>),
    /// The line is in the ledger, flushed, or why not.
    Recorded(Result<(), String>),
    /// Time went by.
    Tick,
}

/// A line of the ledger.
#[derive(Debug, Clone)]
pub enum Line {
    /// What is about to be done.
    Opened {
        /// Who changes when.
        waves: Vec<Wave>,
        /// What each machine is to hold.
        targets: BTreeMap<HostName, Target>,
        /// Machines that are left out, and why.
        skipped: BTreeMap<HostName, String>,
        /// What was proved, in words.
        proved: Vec<String>,
    },
    /// It is kept.
    Decided,
    /// What became of it.
    Closed(Report),
}

/// What is to be done.
#[derive(Debug, Clone)]
pub enum Order {
    /// A step begins: for whoever watches.
    Begin {
        /// Which.
        step: Step,
        /// Its wave, counted from 0.
        wave: Option<usize>,
        /// How many waves there are; 0 before that is known.
        waves: usize,
        /// How many machines are asked.
        machines: usize,
    },
    /// A machine is somewhere else now: for whoever watches.
    At(HostName, Place),
    /// Ask a machine.
    Tell {
        /// Which.
        machine: HostName,
        /// The round the answer belongs to.
        round: u64,
        /// What.
        ask: Ask,
        /// Seconds it may take.
        within_s: u64,
    },
    /// Plan, seal and prove.
    Prove {
        /// What each machine that answers holds.
        statuses: BTreeMap<HostName, Status>,
        /// Machines that stay old.
        skipped: BTreeMap<HostName, String>,
    },
    /// Write a line of the ledger and flush it.
    Record(Box<Line>),
    /// It is over.
    Done(Box<Report>),
}
