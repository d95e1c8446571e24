//! The steps after the decision, and those of going back. Every machine is asked what it holds; one that is not where it belongs is told
//! again, a few times. One that does not answer has a timer of its own, and after a decision `resume` takes it up.

use super::{Act, Line, Machine, Order, Way, forward::said};
use crate::{
    ask::{Ask, Heard, Status},
    report::{Outcome, Place},
    step::Step,
};
use words::HostName;

/// Rounds of settling. Going back, an applier that still holds the lock has let go of it by the third; going forward, a word that was lost
/// is said again.
const ROUNDS: u32 = 4;
/// How often somebody is asked who does not answer, going back.
const TWICE: u32 = 2;

impl Machine {
    pub(super) fn begin_after(&mut self, act: Act, now_ms: u64, out: &mut Vec<Order>) -> bool {
        match act.step {
            Step::Confirm => {
                for (machine, target) in self.agreed.targets.clone() {
                    if self.places.get(&machine) == Some(&Place::Waiting) {
                        self.tell(&machine, Ask::Confirm(target.digest), out);
                    }
                }
                false
            }
            Step::Revert => {
                for machine in self.touched() {
                    let Some(target) = self.agreed.targets.get(&machine) else { continue };
                    self.tell(&machine, Ask::Revert(target.digest), out);
                }
                false
            }
            Step::Settle => {
                self.settled = 0;
                for (machine, target) in self.agreed.targets.clone() {
                    if target.unchanged {
                        let place = if self.way == Way::Committed { Place::New } else { Place::Old };
                        self.put(&machine, place, out);
                    }
                }
                self.settle_round(now_ms, out);
                // The round may find nobody to ask.
                self.again_ms.is_some()
            }
            Step::Return => {
                for node in self.drained.clone() {
                    self.tell(&node, Ask::Drain { back: true }, out);
                }
                false
            }
            _ => {
                self.conclude(now_ms, out);
                let report = self.report(now_ms);
                out.push(Order::Record(Box::new(Line::Closed(report))));
                true
            }
        }
    }

    /// Machines that were told to apply, or may have been where it is taken up again.
    fn touched(&self) -> Vec<HostName> {
        let changes = |m: &&HostName| self.agreed.targets.get(*m).is_some_and(|t| !t.unchanged);
        let told = |m: &&HostName| self.back_by_ms.contains_key(*m) || self.places.get(*m) == Some(&Place::Told);
        self.places.keys().filter(changes).filter(told).cloned().collect()
    }

    /// Machines that are not where they belong.
    fn unsettled(&self) -> Vec<HostName> {
        let done = |p: &Place| match self.way {
            Way::Committed => matches!(p, Place::New | Place::Skipped { .. } | Place::Astray { .. }),
            _ => matches!(p, Place::Old | Place::Skipped { .. } | Place::Unasked | Place::Astray { .. }),
        };
        let changes = |m: &HostName| self.agreed.targets.get(m).is_some_and(|t| !t.unchanged);
        self.places.iter().filter(|(m, p)| changes(m) && !done(p)).map(|(m, _)| m.clone()).collect()
    }

    pub(super) fn settle_round(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        self.round += 1;
        self.settled += 1;
        self.until_ms = now_ms + 1000 * self.setup.times.of(Step::Settle);
        for machine in self.asked_again() {
            self.tell(&machine, Ask::Status, out);
        }
    }

    /// Going back, who did not answer twice has a timer: the report need not wait for it. Going forward nobody else brings it there.
    fn asked_again(&self) -> Vec<HostName> {
        let lost = |m: &HostName| matches!(self.places.get(m), Some(Place::Lost { .. }));
        let given_up = |m: &HostName| self.way == Way::Back && self.settled > TWICE && lost(m);
        self.unsettled().into_iter().filter(|m| !given_up(m)).collect()
    }

    pub(super) fn said_after(&mut self, machine: &HostName, ask: &Ask, heard: Heard, out: &mut Vec<Order>) {
        let step = self.step().unwrap_or(Step::Settle);
        match (step, ask, heard) {
            (Step::Confirm, _, Heard::Done) => self.put(machine, Place::New, out),
            (Step::Confirm, _, other) => self.notes.push(format!("{machine}: `confirm`: {}; told again", said(other))),
            // What it holds is asked for afterwards; an answer here may say that nothing waited.
            (Step::Revert, ..) => {}
            (Step::Settle, Ask::Status, Heard::Status(status)) => self.settle(machine, &status, out),
            (Step::Settle, Ask::Apply { .. }, Heard::Done) => {
                self.put(machine, Place::Waiting, out);
                if let Some(target) = self.agreed.targets.get(machine) {
                    let confirm = Ask::Confirm(target.digest);
                    self.tell(machine, confirm, out);
                }
            }
            (Step::Settle, Ask::Apply { .. }, Heard::Unchanged) | (Step::Settle, Ask::Confirm(_), Heard::Done) => {
                self.put(machine, Place::New, out);
            }
            (Step::Settle, Ask::Revert(_), Heard::Done) => {}
            (Step::Settle, Ask::Status, other) => {
                let why = said(other);
                self.put(machine, Place::Lost { why, back_within: None }, out);
            }
            (Step::Settle, Ask::Apply { .. } | Ask::Confirm(_), Heard::Broken(why)) => {
                self.put(machine, Place::Astray { why: said(Heard::Broken(why)) }, out);
            }
            (Step::Settle, ask, other) => self.notes.push(format!("{machine}: `{}`: {}", ask.word(), said(other))),
            (Step::Return, _, Heard::Done) => {}
            (Step::Return, _, other) => {
                self.notes.push(format!("{machine}: still told to hand over ({}): `ravelin pair drain --return` there", said(other)));
            }
            _ => {}
        }
    }

    /// A machine says what it holds; what is not where it belongs is told again.
    fn settle(&mut self, machine: &HostName, status: &Status, out: &mut Vec<Order>) {
        let Some(target) = self.agreed.targets.get(machine).cloned() else { return };
        let confirmed = status.confirmed.as_ref().map(|c| c.digest);
        let ours = status.pending.as_ref().filter(|p| p.digest == target.digest);
        let astray = |why: String| Place::Astray { why };
        match (self.way, ours) {
            (Way::Committed, _) if confirmed == Some(target.digest) => self.put(machine, Place::New, out),
            (Way::Committed, Some(p)) if p.waits() => self.tell(machine, Ask::Confirm(target.digest), out),
            (_, None) if status.pending.is_some() => {
                let why = "another change waits there, which is none of ours".to_owned();
                self.put(machine, astray(why), out);
            }
            // Somebody works on it: the next round looks again.
            (Way::Committed, Some(_)) => {}
            (Way::Committed, None) if confirmed == target.before => {
                let left = [Step::Stage, Step::Confirm];
                self.put(machine, Place::Told, out);
                self.tell(machine, Ask::Apply { within_s: self.setup.times.within(left) }, out);
            }
            (_, Some(_)) => self.tell(machine, Ask::Revert(target.digest), out),
            (_, None) if confirmed == target.before => {
                // What it differed in before is not held against the rollout.
                let known = self.statuses.get(machine).map(|s| s.drift.as_slice()).unwrap_or_default();
                match status.drift.iter().find(|d| !known.contains(d)) {
                    Some(d) => self.put(machine, astray(format!("it says that it went back, and its kernel differs from that: {d}")), out),
                    None => self.put(machine, Place::Old, out),
                }
            }
            (_, None) => {
                let is = status.confirmed.as_ref().map_or_else(|| "nothing".to_owned(), |c| format!("generation {}", c.generation));
                let why = if confirmed == Some(target.digest) {
                    format!("it holds {is}, which is what is new: somebody else confirmed it")
                } else {
                    format!("it holds {is}, which is neither what it held before nor what it was to hold")
                };
                self.put(machine, astray(why), out);
            }
        }
    }

    /// Whether somebody who is not where it belongs still answers.
    fn any_answers(&self) -> bool {
        self.unsettled().iter().any(|m| !matches!(self.places.get(m), Some(Place::Lost { .. })))
    }

    pub(super) fn after_over(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        if !self.open.is_empty() {
            return;
        }
        let rounds_left = self.settled < ROUNDS && (self.settled < TWICE || self.way == Way::Committed || self.any_answers());
        if self.step() != Some(Step::Settle) || self.unsettled().is_empty() || !rounds_left {
            self.next(now_ms, out);
        } else {
            self.again_ms = Some(now_ms + self.setup.times.pause_ms);
        }
    }

    /// What it all comes to.
    fn conclude(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        if self.way == Way::Committed {
            let left = self.unsettled();
            let astray = self.places.values().any(|p| matches!(p, Place::Astray { .. }));
            self.outcome = if left.is_empty() && !astray { Outcome::Kept } else { Outcome::Decided };
        } else if self.places.values().any(|p| matches!(p, Place::Astray { .. })) {
            self.outcome = Outcome::Astray;
        }
        for machine in self.unsettled() {
            let why = match self.places.get(&machine) {
                Some(Place::Lost { why, .. }) => why.clone(),
                _ => "it is told, and did not say that it is done".to_owned(),
            };
            let longest = 1000 * (self.setup.times.longest + self.setup.times.apply);
            let by = self.back_by_ms.get(&machine).copied().unwrap_or(self.began_ms + longest);
            let back_within = (self.way == Way::Back).then(|| by.saturating_sub(now_ms).div_ceil(1000));
            self.note_failure(Some(&machine), why.clone());
            self.put(&machine, Place::Lost { why, back_within }, out);
        }
        let astray: Vec<(HostName, String)> = self
            .places
            .iter()
            .filter_map(|(m, p)| if let Place::Astray { why } = p { Some((m.clone(), why.clone())) } else { None })
            .collect();
        astray.into_iter().for_each(|(m, why)| self.note_failure(Some(&m), why));
    }
}
