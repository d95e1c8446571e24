//! The transaction's state machine. In come events (an answer, a proof, a flushed line, the time), out come orders (tell a machine, prove,
//! write a line, done). Everything before the decision that goes wrong sends everybody back; after it everybody goes forward.
//! Never: a clock, a process or a file; an order that [`crate::driver`] would have to think about.
//!
//! | module | holds |
//! |---|---|
//! | [`form`] | what goes in and what comes out |
//! | `forward` | the steps up to the decision |
//! | `settle` | the steps after it, and those of going back |

pub mod form;
mod forward;
mod settle;

pub use form::{Agreed, Event, Line, Order, Partial, Setup};

use crate::{
    ask::{Ask, Heard, Status},
    report::{Failure, Outcome, Place, Probed, Report},
    step::Step,
    wave::{Target, Wave},
};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use words::HostName;

/// Which way it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    /// To the decision.
    Forward,
    /// Back to what was.
    Back,
    /// On, since it is decided.
    Committed,
}

#[derive(Debug, Clone, Copy)]
struct Act {
    step: Step,
    wave: Option<usize>,
}

/// The state machine.
#[derive(Debug)]
pub struct Machine {
    setup: Setup,
    agreed: Agreed,
    way: Way,
    acts: VecDeque<Act>,
    /// The act under way.
    now: Option<Act>,
    round: u64,
    /// Who has been asked and has not answered, and what.
    open: BTreeMap<HostName, Ask>,
    /// When the act is over, whoever has answered by then.
    until_ms: u64,
    places: BTreeMap<HostName, Place>,
    statuses: BTreeMap<HostName, Status>,
    /// By when a machine that was told to apply has gone back by itself.
    back_by_ms: BTreeMap<HostName, u64>,
    /// The round in which a machine was told to apply.
    staged_in: BTreeMap<HostName, u64>,
    /// Nodes that were told to hand over.
    drained: BTreeSet<HostName>,
    /// Connections that did not get through before: by machine, and by id, address, port.
    silent: BTreeMap<HostName, BTreeSet<(String, std::net::IpAddr, u16)>>,
    opened: bool,
    settled: u32,
    /// A pause between two rounds of settling ends then.
    again_ms: Option<u64>,
    failures: Vec<Failure>,
    notes: Vec<String>,
    probed: Probed,
    within: u64,
    began_ms: u64,
    outcome: Outcome,
}

impl Machine {
    /// One that has done nothing yet.
    pub fn new(setup: Setup) -> Self {
        let places = setup.machines.iter().map(|m| (m.clone(), Place::Unasked)).collect();
        let acts = [Step::Reach, Step::Prove].map(|step| Act { step, wave: None }).into();
        Self::with(setup, places, acts)
    }

    /// One that takes up what was begun: forward where it was decided, back where it was not.
    pub fn resume(setup: Setup, waves: Vec<Wave>, targets: BTreeMap<HostName, Target>, decided: bool) -> Self {
        let steps: &[Step] = if decided { &[Step::Settle] } else { &[Step::Revert, Step::Settle] };
        let mut all = steps.to_vec();
        let drained: BTreeSet<HostName> = waves.iter().filter_map(|w| w.drained.clone()).collect();
        if !drained.is_empty() {
            all.push(Step::Return);
        }
        all.push(Step::Close);
        let acts = all.into_iter().map(|step| Act { step, wave: None }).collect();
        let places = setup.machines.iter().map(|m| (m.clone(), Place::Told)).collect();
        let mut machine = Self::with(setup, places, acts);
        (machine.agreed.waves, machine.agreed.targets, machine.drained, machine.opened) = (waves, targets, drained, true);
        machine.way = if decided { Way::Committed } else { Way::Back };
        machine.outcome = if decided { Outcome::Decided } else { Outcome::TakenBack };
        machine
    }

    fn with(setup: Setup, places: BTreeMap<HostName, Place>, acts: VecDeque<Act>) -> Self {
        Self {
            setup,
            agreed: Agreed::default(),
            way: Way::Forward,
            acts,
            now: None,
            round: 0,
            open: BTreeMap::new(),
            until_ms: 0,
            places,
            statuses: BTreeMap::new(),
            back_by_ms: BTreeMap::new(),
            staged_in: BTreeMap::new(),
            drained: BTreeSet::new(),
            silent: BTreeMap::new(),
            opened: false,
            settled: 0,
            again_ms: None,
            failures: Vec::new(),
            notes: Vec::new(),
            probed: Probed::default(),
            within: 0,
            began_ms: 0,
            outcome: Outcome::Refused,
        }
    }

    /// Where each machine is.
    pub fn places(&self) -> &BTreeMap<HostName, Place> {
        &self.places
    }

    /// When it wants to hear of the time again, in milliseconds of the caller's clock.
    pub fn wake_ms(&self) -> u64 {
        self.again_ms.unwrap_or(self.until_ms)
    }

    /// Takes an event and gives orders. `now_ms` never goes back.
    pub fn hear(&mut self, event: Event, now_ms: u64) -> Vec<Order> {
        let mut out = Vec::new();
        match event {
            Event::Start => {
                self.began_ms = now_ms;
                self.next(now_ms, &mut out);
            }
            Event::Said { machine, round, heard } => {
                if round != self.round {
                    self.said_late(&machine, round, heard);
                } else if let Some(ask) = self.open.remove(&machine) {
                    self.said(&machine, &ask, heard, now_ms, &mut out);
                }
            }
            Event::Proved(result) => self.proved(result, now_ms, &mut out),
            Event::Recorded(result) => self.recorded(result, now_ms, &mut out),
            Event::Tick => self.tick(now_ms, &mut out),
        }
        out
    }

    /// An answer that nobody waited for: everybody went back meanwhile. That this machine failed as well is worth knowing.
    fn said_late(&mut self, machine: &HostName, round: u64, heard: Heard) {
        if let Heard::Refused(why) | Heard::Nothing(why) | Heard::Broken(why) = heard
            && self.way == Way::Back
            && self.staged_in.get(machine) == Some(&round)
        {
            self.failures.push(Failure { step: Step::Stage, machine: Some(machine.clone()), why });
        }
    }

    fn tick(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        if self.again_ms.is_some_and(|t| now_ms >= t) {
            self.again_ms = None;
            self.settle_round(now_ms, out);
        } else if self.again_ms.is_none() && !self.open.is_empty() && now_ms >= self.until_ms {
            for (machine, ask) in std::mem::take(&mut self.open) {
                let why = format!("`{}` is not done in its time", ask.word());
                self.said_of_many(&machine, &ask, Heard::Nothing(why), out);
            }
            self.round_over(now_ms, out);
        }
    }

    fn step(&self) -> Option<Step> {
        self.now.map(|a| a.step)
    }

    /// The next act begins. Acts without anything to wait for are gone through at once.
    fn next(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        self.round += 1;
        self.open.clear();
        self.again_ms = None;
        let Some(act) = self.acts.pop_front() else { return };
        self.now = Some(act);
        self.until_ms = now_ms + 1000 * self.setup.times.of(act.step);
        let at = out.len();
        let waits = self.begin(act, now_ms, out);
        let asked = self.open.len();
        out.insert(at, Order::Begin { step: act.step, wave: act.wave, waves: self.agreed.waves.len(), machines: asked });
        if !waits && asked == 0 {
            self.next(now_ms, out);
        }
    }

    fn tell(&mut self, machine: &HostName, ask: Ask, out: &mut Vec<Order>) {
        let within_s = match &ask {
            Ask::Apply { .. } => self.setup.times.apply,
            Ask::Probe(_) => self.setup.times.probe,
            _ => self.setup.times.ask,
        };
        self.open.insert(machine.clone(), ask.clone());
        out.push(Order::Tell { machine: machine.clone(), round: self.round, ask, within_s });
    }

    fn put(&mut self, machine: &HostName, place: Place, out: &mut Vec<Order>) {
        if self.places.get(machine) != Some(&place) {
            out.push(Order::At(machine.clone(), place.clone()));
            self.places.insert(machine.clone(), place);
        }
    }

    /// An answer: its own meaning, and then what it means for all.
    fn said(&mut self, machine: &HostName, ask: &Ask, heard: Heard, now_ms: u64, out: &mut Vec<Order>) {
        self.said_of_many(machine, ask, heard, out);
        self.round_over(now_ms, out);
    }

    fn said_of_many(&mut self, machine: &HostName, ask: &Ask, heard: Heard, out: &mut Vec<Order>) {
        match self.way {
            Way::Forward => self.said_forward(machine, ask, heard, out),
            Way::Back | Way::Committed => self.said_after(machine, ask, heard, out),
        }
    }

    /// Goes on where everybody has answered; goes back where somebody has failed.
    fn round_over(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        match self.way {
            Way::Forward => self.forward_over(now_ms, out),
            Way::Back | Way::Committed => self.after_over(now_ms, out),
        }
    }

    fn note_failure(&mut self, machine: Option<&HostName>, why: impl Into<String>) {
        let step = self.step().unwrap_or(Step::Reach);
        let failure = Failure { step, machine: machine.cloned(), why: why.into() };
        if !self.failures.contains(&failure) {
            self.failures.push(failure);
        }
    }

    /// It does not go on from here. Before the decision everybody goes back.
    fn fail(&mut self, machine: Option<&HostName>, why: impl Into<String>, now_ms: u64, out: &mut Vec<Order>) {
        self.note_failure(machine, why);
        self.turn_back(now_ms, out);
    }

    fn turn_back(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        let touched = !self.back_by_ms.is_empty() || !self.drained.is_empty();
        self.way = Way::Back;
        self.outcome = if touched { Outcome::TakenBack } else { Outcome::Refused };
        let mut steps = Vec::new();
        if !self.back_by_ms.is_empty() {
            steps.extend([Step::Revert, Step::Settle]);
        }
        if !self.drained.is_empty() {
            steps.push(Step::Return);
        }
        if self.opened {
            steps.push(Step::Close);
        }
        self.acts = steps.into_iter().map(|step| Act { step, wave: None }).collect();
        if self.acts.is_empty() {
            self.open.clear();
            self.now = None;
            let report = self.report(now_ms);
            out.push(Order::Done(Box::new(report)));
        } else {
            self.next(now_ms, out);
        }
    }

    fn recorded(&mut self, result: Result<(), String>, now_ms: u64, out: &mut Vec<Order>) {
        match (self.step(), result) {
            (Some(Step::Open), Ok(())) => {
                self.opened = true;
                self.next(now_ms, out);
            }
            (Some(Step::Open), Err(why)) => self.fail(None, format!("the ledger cannot be written: {why}"), now_ms, out),
            (Some(Step::Decide), Ok(())) => {
                self.way = Way::Committed;
                self.outcome = Outcome::Decided;
                self.next(now_ms, out);
            }
            // A line that may or may not be there is overruled by the closing one; where that cannot be written either, `resume` goes by
            // what the ledger says, and ends in one of the two states as well.
            (Some(Step::Decide), Err(why)) => self.fail(None, format!("the ledger cannot be written: {why}"), now_ms, out),
            (Some(Step::Close), result) => {
                if let Err(why) = result {
                    self.note_failure(None, format!("the ledger cannot be written: {why}"));
                }
                self.now = None;
                let report = self.report(now_ms);
                out.push(Order::Done(Box::new(report)));
            }
            _ => {}
        }
    }

    fn report(&self, now_ms: u64) -> Report {
        Report {
            id: self.setup.id.clone(),
            outcome: self.outcome,
            waves: self.agreed.waves.clone(),
            proved: self.agreed.proved.clone(),
            machines: self.places.clone(),
            failures: self.failures.clone(),
            notes: [self.agreed.notes.as_slice(), &self.notes].concat(),
            probed: self.probed,
            within: self.within,
            took_ms: now_ms.saturating_sub(self.began_ms),
        }
    }
}
