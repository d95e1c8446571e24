//! The steps up to the decision. One that fails sends everybody back at once: nobody waits for the others of its round.

use super::{Act, Agreed, Line, Machine, Order, Partial, Way};
use crate::{
    ask::{Ask, Heard},
    report::{Outcome, Place},
    step::Step,
    wave::{Class, Planned},
};
use bundle::{Expect, Is, Trial, Tried};
use std::collections::{BTreeMap, BTreeSet};
use words::HostName;

impl Machine {
    /// Begins an act; `true` where something other than a machine is waited for.
    pub(super) fn begin(&mut self, act: Act, now_ms: u64, out: &mut Vec<Order>) -> bool {
        match act.step {
            Step::Reach => {
                for machine in self.setup.machines.clone() {
                    self.tell(&machine, Ask::Status, out);
                }
                false
            }
            Step::Prove => {
                out.push(Order::Prove { statuses: self.statuses.clone(), skipped: self.skipped() });
                true
            }
            Step::Open => {
                let (waves, targets, proved) = (self.agreed.waves.clone(), self.agreed.targets.clone(), self.agreed.proved.clone());
                let line = Line::Opened { waves, targets, skipped: self.skipped(), proved };
                out.push(Order::Record(Box::new(line)));
                true
            }
            Step::Before => {
                self.try_out(|_, p| p.class != Class::New, out);
                false
            }
            Step::Drain => {
                if let Some(node) = self.wave(act).and_then(|w| w.drained.clone()) {
                    self.drained.insert(node.clone());
                    self.tell(&node, Ask::Drain { back: false }, out);
                }
                false
            }
            Step::Stage => {
                self.stage(act, now_ms, out);
                false
            }
            Step::Probe => {
                let wave: BTreeSet<HostName> = self.wave(act).map(|w| w.machines.iter().cloned().collect()).unwrap_or_default();
                self.try_out(|m, p| p.class == Class::Kept && (wave.contains(m) || p.passes.iter().any(|h| wave.contains(h))), out);
                false
            }
            Step::Last => {
                self.try_out(|_, _| true, out);
                false
            }
            Step::Look => {
                let waits = |(m, p): (&HostName, &Place)| (*p == Place::Waiting).then(|| m.clone());
                for machine in self.places.iter().filter_map(waits).collect::<Vec<_>>() {
                    self.tell(&machine, Ask::Status, out);
                }
                false
            }
            Step::Decide => {
                // Every bound was kept, or the timers have so much left; this program may have been stopped for a while.
                let confirms_by = now_ms + 1000 * (self.setup.times.record + self.setup.times.ask);
                let apply_ms = 1000 * self.setup.times.apply;
                if self.back_by_ms.values().any(|by| by.saturating_sub(apply_ms) < confirms_by) {
                    let why = "it took longer than was reckoned: a machine could go back by itself before it is confirmed";
                    self.note_failure(None, why);
                    self.turn_back(now_ms, out);
                } else {
                    out.push(Order::Record(Box::new(Line::Decided)));
                }
                true
            }
            Step::Confirm | Step::Revert | Step::Settle | Step::Return | Step::Close => self.begin_after(act, now_ms, out),
        }
    }

    fn wave(&self, act: Act) -> Option<&crate::wave::Wave> {
        act.wave.and_then(|w| self.agreed.waves.get(w))
    }

    fn skipped(&self) -> BTreeMap<HostName, String> {
        let all = self.places.iter();
        all.filter_map(|(m, p)| if let Place::Skipped { why } = p { Some((m.clone(), why.clone())) } else { None }).collect()
    }

    fn stage(&mut self, act: Act, now_ms: u64, out: &mut Vec<Order>) {
        let left = [act].into_iter().chain(self.acts.iter().copied()).map(|a| a.step).take_while(|s| *s <= Step::Confirm);
        let within_s = self.setup.times.within(left);
        for machine in self.wave(act).map(|w| w.machines.clone()).unwrap_or_default() {
            if self.agreed.targets.get(&machine).is_some_and(|t| !t.unchanged) {
                self.back_by_ms.insert(machine.clone(), now_ms + 1000 * (self.setup.times.apply + within_s));
                self.staged_in.insert(machine.clone(), self.round);
                self.put(&machine, Place::Told, out);
                self.tell(&machine, Ask::Apply { within_s }, out);
            }
        }
    }

    /// Asks every machine that is part of it to try those of its connections.
    fn try_out(&mut self, which: impl Fn(&HostName, &Planned) -> bool, out: &mut Vec<Order>) {
        let mut lists: BTreeMap<HostName, Vec<Trial>> = BTreeMap::new();
        for (machine, planned) in &self.agreed.probes {
            if matches!(self.places.get(machine), Some(Place::Skipped { .. }) | None) {
                continue;
            }
            let silent = self.silent.get(machine);
            let speaks = |t: &Trial| !silent.is_some_and(|s| s.contains(&(t.id.clone(), t.to, t.port)));
            let list: Vec<Trial> = planned
                .iter()
                .filter(|p| which(machine, p) && speaks(&p.trial))
                .map(|p| p.trial.clone())
                .take(bundle::MOST_TRIALS)
                .collect();
            if !list.is_empty() {
                lists.insert(machine.clone(), list);
            }
        }
        for (machine, list) in lists {
            self.tell(&machine, Ask::Probe(list), out);
        }
    }

    pub(super) fn said_forward(&mut self, machine: &HostName, ask: &Ask, heard: Heard, out: &mut Vec<Order>) {
        let step = self.step().unwrap_or(Step::Reach);
        match (step, heard) {
            (Step::Reach, Heard::Status(status)) => match &status.pending {
                Some(p) => {
                    let why =
                        format!("generation {} waits there and goes back in {} s: confirm or revert it first", p.generation, p.reverts_in);
                    self.note_failure(Some(machine), why);
                }
                None => {
                    self.statuses.insert(machine.clone(), *status);
                    self.put(machine, Place::Old, out);
                }
            },
            (Step::Reach, other) => {
                let why = said(other);
                if self.setup.partial == Partial::Skip {
                    self.put(machine, Place::Skipped { why }, out);
                } else {
                    self.put(machine, Place::Lost { why: why.clone(), back_within: None }, out);
                    self.note_failure(Some(machine), why);
                }
            }
            (Step::Stage, Heard::Done) => self.put(machine, Place::Waiting, out),
            // Somebody confirmed this very bundle meanwhile; it cannot go back any more, and need not be confirmed.
            (Step::Stage, Heard::Unchanged) => {
                self.note_failure(Some(machine), "it holds the bundle confirmed already: somebody else works on it")
            }
            (Step::Stage, Heard::Nothing(why)) => {
                self.put(machine, Place::Lost { why: why.clone(), back_within: None }, out);
                self.note_failure(Some(machine), why);
            }
            (Step::Drain, Heard::Done) => {}
            (Step::Look, Heard::Status(status)) => {
                let target = self.agreed.targets.get(machine).map(|t| t.digest);
                if !status.pending.as_ref().is_some_and(|p| Some(p.digest) == target && p.waits()) {
                    self.note_failure(
                        Some(machine),
                        "what was put in force there does not wait any more: it went back, or somebody else ended it",
                    );
                }
            }
            (Step::Before | Step::Probe | Step::Last, Heard::Tried(tried)) => self.tried(step, machine, tried),
            (_, other) => self.note_failure(Some(machine), format!("`{}`: {}", ask.word(), said(other))),
        }
    }

    fn tried(&mut self, step: Step, machine: &HostName, tried: Vec<Tried>) {
        if step == Step::Before {
            // Both kept and gone ones should get through now. What does not, says nothing later.
            for t in tried.into_iter().filter(|t| t.is != Is::Open) {
                self.probed.silent += 1;
                self.notes.push(format!(
                    "{machine}: {} to {} port {} does not get through now either ({}): not held against the change",
                    t.id, t.to, t.port, t.why
                ));
                self.silent.entry(machine.clone()).or_default().insert((t.id, t.to, t.port));
            }
            return;
        }
        self.probed.tried += tried.len() as u64;
        for t in tried {
            if t.as_proved() {
                self.probed.as_proved += 1;
                continue;
            }
            let must = match t.expect {
                Expect::Open => "must get through and does not",
                Expect::Closed => "must not get through and does",
            };
            self.note_failure(Some(machine), format!("{} to {} port {} {must}: {}", t.id, t.to, t.port, t.why));
        }
    }

    pub(super) fn forward_over(&mut self, now_ms: u64, out: &mut Vec<Order>) {
        // Before anything is changed all faults are worth waiting for; afterwards none is.
        let waits = matches!(self.step(), Some(Step::Reach | Step::Before)) && !self.open.is_empty();
        if waits {
            return;
        }
        if !self.failures.is_empty() {
            self.turn_back(now_ms, out);
            return;
        }
        if self.open.is_empty() {
            if self.step() == Some(Step::Reach) && self.statuses.is_empty() {
                self.fail(None, "no machine answers", now_ms, out);
            } else {
                self.next(now_ms, out);
            }
        }
    }

    pub(super) fn proved(&mut self, result: Result<Agreed, Vec<String>>, now_ms: u64, out: &mut Vec<Order>) {
        if self.way != Way::Forward || self.step() != Some(Step::Prove) {
            return;
        }
        match result {
            Err(why) => {
                why.into_iter().for_each(|w| self.note_failure(None, w));
                self.turn_back(now_ms, out);
            }
            Ok(agreed) => {
                self.agreed = agreed;
                if self.agreed.targets.values().all(|t| t.unchanged) {
                    for machine in self.agreed.targets.keys().cloned().collect::<Vec<_>>() {
                        self.put(&machine, Place::New, out);
                    }
                    self.outcome = Outcome::Unchanged;
                    self.now = None;
                    let report = self.report(now_ms);
                    out.push(Order::Done(Box::new(report)));
                    return;
                }
                self.compile();
                let staged = self.acts.iter().map(|a| a.step).skip_while(|s| *s < Step::Drain).take_while(|s| *s <= Step::Confirm);
                self.within = self.setup.times.within(staged);
                let longest = self.setup.times.longest;
                if self.within > longest {
                    let (waves, within) = (self.agreed.waves.len(), self.within);
                    let why = format!(
                        "{waves} waves may take {within} s, and no machine may wait longer than {longest} s for its confirmation: take fewer machines at once"
                    );
                    self.fail(None, why, now_ms, out);
                } else if self.setup.dry {
                    self.outcome = Outcome::Planned;
                    self.now = None;
                    let report = self.report(now_ms);
                    out.push(Order::Done(Box::new(report)));
                } else {
                    self.next(now_ms, out);
                }
            }
        }
    }

    /// Everything that is left to do, in order.
    fn compile(&mut self) {
        let act = |step, wave| Act { step, wave };
        self.acts.extend([act(Step::Open, None), act(Step::Before, None)]);
        for (n, wave) in self.agreed.waves.iter().enumerate() {
            if wave.drained.is_some() {
                self.acts.push_back(act(Step::Drain, Some(n)));
            }
            self.acts.extend([act(Step::Stage, Some(n)), act(Step::Probe, Some(n))]);
        }
        self.acts.extend([Step::Last, Step::Look, Step::Decide, Step::Confirm, Step::Settle].map(|s| act(s, None)));
        if self.agreed.waves.iter().any(|w| w.drained.is_some()) {
            self.acts.push_back(act(Step::Return, None));
        }
        self.acts.push_back(act(Step::Close, None));
    }
}

/// What an answer says that is not the one hoped for.
pub(super) fn said(heard: Heard) -> String {
    match heard {
        Heard::Refused(why) | Heard::Nothing(why) => why,
        Heard::Broken(why) => format!("NOTHING COULD BE PUT BACK: {why}"),
        Heard::Status(_) | Heard::Tried(_) | Heard::Done | Heard::Unchanged => "it answers another question".to_owned(),
    }
}
