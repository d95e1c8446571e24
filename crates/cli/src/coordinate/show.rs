//! Progress and the report of a rollout, for people and programs. In come what the driver tells and what became of it, out come a bar per wave
//! and a line per machine on standard error, or events as JSON lines, and the report on standard output.

use crate::{
    exit::Exit,
    face::{Face, remark},
    paint::{BAD, DIM, GOOD, WARN, paint},
};
use indicatif::{ProgressBar, ProgressStyle};
use rollout::{Outcome, Place, Report, Step, Watch};
use serde::Serialize;
use std::{
    io::IsTerminal,
    sync::{Mutex, PoisonError},
};
use words::HostName;

/// Machines named in one line.
const NAMED: usize = 6;

/// How progress is shown.
pub enum Progress {
    /// A line per step and machine, with a bar per wave on a terminal.
    People(Mutex<Option<ProgressBar>>),
    /// A JSON line per event, on standard error.
    Events,
}

impl Progress {
    /// For people, or for programs.
    pub fn new(events: bool) -> Self {
        if events { Self::Events } else { Self::People(Mutex::new(None)) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
enum Event<'a> {
    Step { step: Step, wave: Option<usize>, waves: usize, machines: usize },
    Machine { machine: &'a HostName, place: &'a Place },
}

impl Watch for Progress {
    fn begins(&self, step: Step, wave: Option<usize>, waves: usize, machines: usize) {
        let bar = match self {
            Self::Events => {
                let event = Event::Step { step, wave: wave.map(|w| w + 1), waves, machines };
                return remark(&serde_json::to_string(&event).unwrap_or_default());
            }
            Self::People(bar) => bar,
        };
        let mut bar = bar.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(old) = bar.take() {
            old.finish_and_clear();
        }
        let of = wave.map(|w| format!(" wave {} of {waves},", w + 1)).unwrap_or_default();
        let asked = if machines > 0 { format!("{machines} machines") } else { String::new() };
        remark(format!("{}{of} {asked}", paint(DIM, format!("{step:<8}"))).trim_end());
        if machines > 0 && std::io::stderr().is_terminal() {
            let new = ProgressBar::new(machines as u64);
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} {elapsed}") {
                new.set_style(style);
            }
            *bar = Some(new);
        }
    }

    fn at(&self, machine: &HostName, place: &Place) {
        match self {
            Self::Events => remark(&serde_json::to_string(&Event::Machine { machine, place }).unwrap_or_default()),
            Self::People(bar) => {
                let line = format!("  {machine}: {}", words(place));
                match &*bar.lock().unwrap_or_else(PoisonError::into_inner) {
                    Some(bar) => {
                        bar.inc(1);
                        bar.suspend(|| remark(&line));
                    }
                    None => remark(&line),
                }
            }
        }
    }
}

/// Where a machine is, in words.
fn words(place: &Place) -> String {
    match place {
        Place::Unasked => "not asked".into(),
        Place::Skipped { why } => format!("{} ({why})", paint(WARN, "left out, stays as it is")),
        Place::Old => "as before".into(),
        Place::Told => "told".into(),
        Place::Waiting => "in force, waits".into(),
        Place::New => paint(GOOD, "new"),
        Place::Lost { why, back_within: Some(s) } => {
            format!("{}: {why}; what it may hold goes back by itself within {s} s", paint(BAD, "lost"))
        }
        Place::Lost { why, back_within: None } => format!("{}: {why}", paint(BAD, "lost")),
        Place::Astray { why } => format!("{}: {why}", paint(BAD, "ASTRAY")),
    }
}

/// The report as a verb's result.
#[derive(Serialize)]
#[serde(transparent)]
pub struct Shown(pub Report);

impl Shown {
    /// The exit code.
    pub fn exit(&self) -> Exit {
        match self.0.outcome {
            Outcome::Planned | Outcome::Unchanged | Outcome::Kept => Exit::Ok,
            Outcome::Refused | Outcome::Astray => Exit::Cannot,
            Outcome::TakenBack => Exit::Reverted,
            Outcome::Decided => Exit::Waiting,
        }
    }
}

impl Face for Shown {
    fn text(&self) -> String {
        let r = &self.0;
        let mut out = String::new();
        for (n, wave) in r.waves.iter().enumerate().filter(|_| r.outcome == Outcome::Planned) {
            let drained = wave.drained.as_ref().map(|d| format!(", after {d} has handed over")).unwrap_or_default();
            out += &format!("wave {}: {}{drained}: {}\n", n + 1, wave.why, named(&wave.machines));
        }
        out.extend(r.proved.iter().map(|p| format!("{} {p}\n", paint(GOOD, "proved:"))));
        out.extend(r.notes.iter().map(|n| format!("{} {n}\n", paint(DIM, "note:"))));
        out.extend(r.failures.iter().map(|f| format!("{} {f}\n", paint(BAD, "failed:"))));
        let odd = |p: &&Place| matches!(p, Place::Lost { .. } | Place::Astray { .. } | Place::Skipped { .. });
        out.extend(r.machines.iter().filter(|(_, p)| odd(p)).map(|(m, p)| format!("  {m}: {}\n", words(p))));
        let count = |which: fn(&Place) -> bool| r.machines.values().filter(|p| which(p)).count();
        let (new, old) = (count(|p| *p == Place::New), count(|p| *p == Place::Old));
        let (id, all, s) = (&r.id, r.machines.len(), r.took_ms as f64 / 1000.0);
        let probed = format!("{} connections were tried, {} as proved", r.probed.tried, r.probed.as_proved);
        out + &match r.outcome {
            Outcome::Planned => format!(
                "{all} machines in {} waves; each goes back by itself within {} s unless all are confirmed. Nothing was changed.\n",
                r.waves.len(),
                r.within
            ),
            Outcome::Unchanged => format!("Nothing to do: {new} of {all} machines hold what the site file says.\n"),
            Outcome::Refused => format!("{}: nothing was changed anywhere.\n", paint(BAD, "Refused")),
            Outcome::TakenBack => format!(
                "{}: rollout {id} was begun and taken back; {old} of {all} machines say that they hold what they held before. {probed}. {s:.1} s\n",
                paint(BAD, "Taken back")
            ),
            Outcome::Astray => format!(
                "{}: rollout {id} was taken back, {old} of {all} machines hold what they held before, and those that are astray do not: look at them. {probed}. {s:.1} s\n",
                paint(BAD, "NOT AS BEFORE")
            ),
            Outcome::Kept => {
                format!("{}: rollout {id}; {new} of {all} machines hold what is new, confirmed. {probed}. {s:.1} s\n", paint(GOOD, "Kept"))
            }
            Outcome::Decided => format!(
                "{}: rollout {id} is decided, and {} of {all} machines do not hold it yet: `ravelin rollout --resume`. {s:.1} s\n",
                paint(WARN, "Not everywhere"),
                all - new
            ),
        }
    }
}

fn named(machines: &[HostName]) -> String {
    let first: Vec<&str> = machines.iter().take(NAMED).map(HostName::as_str).collect();
    let more = machines.len().saturating_sub(NAMED);
    if more > 0 { format!("{} and {more} more", first.join(", ")) } else { first.join(", ") }
}
