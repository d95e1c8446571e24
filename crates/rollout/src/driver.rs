//! Does what the state machine orders. In come a setup, a way to the machines, somebody who plans and proves, and a ledger; out comes the
//! report. A thread per question, each bounded; the clock is read here alone. Never: makes a choice.

use crate::{
    ask::{Ask, Heard, Status},
    inject::Injection,
    machine::{Agreed, Event, Line, Machine, Order, Setup},
    report::{Place, Report},
    step::Step,
    transport::Transport,
    wave::{Target, Wave},
};
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};
use sys::clock::boot_ms;
use words::HostName;

/// Bundles by machine, as the applier takes them.
pub type Bundles = BTreeMap<HostName, Vec<u8>>;

/// Plans, seals and proves.
pub trait Prove {
    /// What each machine that answers is to hold, or every reason why not.
    fn prove(
        &mut self,
        statuses: &BTreeMap<HostName, Status>,
        skipped: &BTreeMap<HostName, String>,
    ) -> Result<(Agreed, Bundles), Vec<String>>;
}

/// Writes lines that last.
pub trait Book {
    /// Appends a line and flushes it; bundles are kept beside the line that opens a rollout, for as long as it is open.
    fn record(&mut self, id: &str, line: &Line, bundles: &Bundles) -> Result<(), String>;
}

/// Watches.
pub trait Watch {
    /// A step begins.
    fn begins(&self, step: Step, wave: Option<usize>, waves: usize, machines: usize);
    /// A machine is somewhere else now.
    fn at(&self, machine: &HostName, place: &Place);
}

/// Nobody watches.
#[derive(Debug, Clone, Copy)]
pub struct Unwatched;

impl Watch for Unwatched {
    fn begins(&self, _: Step, _: Option<usize>, _: usize, _: usize) {}
    fn at(&self, _: &HostName, _: &Place) {}
}

/// What a rollout is carried out with.
pub struct Driver<'a> {
    /// The way to the machines.
    pub transport: Arc<dyn Transport>,
    /// The ledger.
    pub book: &'a mut dyn Book,
    /// Who watches.
    pub watch: &'a dyn Watch,
    /// Dies on purpose.
    pub inject: Option<Injection>,
}

/// A rollout that was begun and is not closed.
#[derive(Debug, Clone)]
pub struct Begun {
    /// Who changes when.
    pub waves: Vec<Wave>,
    /// What each machine is to hold.
    pub targets: BTreeMap<HostName, Target>,
    /// It was decided to keep it.
    pub decided: bool,
    /// Its bundles.
    pub bundles: Bundles,
}

struct Said {
    machine: HostName,
    round: u64,
    heard: Heard,
}

impl Driver<'_> {
    /// Carries out a rollout.
    pub fn run(self, setup: Setup, prover: &mut dyn Prove) -> Report {
        let id = setup.id.clone();
        self.drive(Machine::new(setup), &id, Bundles::new(), Some(prover))
    }

    /// Takes up what was begun: forward where it was decided, back where it was not.
    pub fn resume(self, setup: Setup, begun: Begun) -> Report {
        let id = setup.id.clone();
        self.drive(Machine::resume(setup, begun.waves, begun.targets, begun.decided), &id, begun.bundles, None)
    }

    fn drive(self, mut machine: Machine, id: &str, mut bundles: Bundles, mut prover: Option<&mut dyn Prove>) -> Report {
        // The machines' timers go on while this one sleeps.
        let began = boot_ms();
        let now_ms = || boot_ms().saturating_sub(began);
        let (sender, answers) = mpsc::channel();
        let mut events = VecDeque::from([Event::Start]);
        let mut taken: BTreeMap<Step, usize> = BTreeMap::new();
        let mut current: Option<Step> = None;
        loop {
            let event = events.pop_front().unwrap_or_else(|| wait(&answers, machine.wake_ms().saturating_sub(now_ms())));
            for order in machine.hear(event, now_ms()) {
                match order {
                    Order::Begin { step, wave, waves, machines } => {
                        self.over(current.replace(step), &taken);
                        *taken.entry(step).or_default() += 1;
                        self.watch.begins(step, wave, waves, machines);
                    }
                    Order::At(machine, place) => self.watch.at(&machine, &place),
                    Order::Tell { machine, round, ask, within_s } => self.tell(machine, round, ask, within_s, &bundles, &sender),
                    Order::Prove { statuses, skipped } => {
                        let nobody = || Err(vec!["nobody proves here".to_owned()]);
                        let result = prover.as_mut().map_or_else(nobody, |p| p.prove(&statuses, &skipped));
                        events.push_back(Event::Proved(result.map(|(agreed, sealed)| {
                            bundles = sealed;
                            agreed
                        })));
                    }
                    Order::Record(line) => events.push_back(Event::Recorded(self.book.record(id, &line, &bundles))),
                    Order::Done(report) => {
                        self.over(current, &taken);
                        return *report;
                    }
                }
            }
        }
    }

    /// A step is over.
    fn over(&self, step: Option<Step>, taken: &BTreeMap<Step, usize>) {
        if let (Some(step), Some(injection)) = (step, self.inject) {
            injection.fire(step, taken.get(&step).copied().unwrap_or(0));
        }
    }

    /// Asks in a thread of its own; what nobody waits for any more is dropped when it comes.
    fn tell(&self, machine: HostName, round: u64, ask: Ask, within_s: u64, bundles: &Bundles, sender: &Sender<Said>) {
        let (transport, sender) = (Arc::clone(&self.transport), sender.clone());
        let input = match &ask {
            Ask::Apply { .. } => bundles.get(&machine).cloned().unwrap_or_default(),
            other => other.input(),
        };
        std::thread::spawn(move || {
            let words = ask.words(&machine, transport.console().as_deref());
            let heard = match transport.call(&machine, &words, &input, Duration::from_secs(within_s)) {
                Ok(answer) => Heard::of(&ask, &answer),
                Err(unreachable) => Heard::Nothing(unreachable.0),
            };
            let _ = sender.send(Said { machine, round, heard });
        });
    }
}

fn wait(answers: &Receiver<Said>, ms: u64) -> Event {
    match answers.recv_timeout(Duration::from_millis(ms)) {
        Ok(Said { machine, round, heard }) => Event::Said { machine, round, heard },
        Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Event::Tick,
    }
}
