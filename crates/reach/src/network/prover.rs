//! What stays between questions and between versions of a site: the store of sets and every evaluation made so far, by
//! the digest of ruleset and place. One changed machine is one new evaluation.

use super::{Machine, machine::Rules};
use crate::{
    eval::{Columns, Eval, Filter, Outcome, Past, Touched},
    field::{Field, device, state},
    place::Place,
    set::{Mark, Set, Store},
};
use ruleset::form::{Hook, Ruleset};
use rustc_hash::FxHashMap;
use words::Digest;

/// Part of a packet's way through one machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stage {
    /// From the wire to the routing decision.
    Prerouting,
    /// From the wire to a socket.
    Inbound,
    /// From the wire to another wire.
    Forward,
    /// From the wire past the forward hook: judged, sources not yet translated.
    Judged,
    /// From the routing decision past the forward hook, for packets whose translation is already undone.
    JudgedOnly,
    /// From a socket to the wire.
    Outbound,
}

/// Hooks that packets pass one after the other, without a routing decision in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Part {
    Before,
    In,
    Through,
    After,
    Out,
}

impl Part {
    fn hooks(self) -> &'static [Hook] {
        match self {
            Part::Before => &[Hook::Ingress, Hook::Prerouting],
            Part::In => &[Hook::Input],
            Part::Through => &[Hook::Forward],
            Part::After => &[Hook::Postrouting],
            Part::Out => &[Hook::Output, Hook::Postrouting],
        }
    }
}

/// The memory of the proof.
#[derive(Debug, Default)]
pub struct Prover {
    pub(super) store: Store,
    ids: FxHashMap<Digest, u32>,
    next: u32,
    /// For one network: machines are not recognised, and no digests taken for it.
    once: bool,
    columns: FxHashMap<(u32, Past), Columns>,
    judged: FxHashMap<(u32, Past, Part), Filter>,
    memo: FxHashMap<(u32, Stage, Past, Set), Outcome>,
    own: FxHashMap<u32, Set>,
    /// What a ruleset was before, and the packets that can tell.
    before: FxHashMap<u32, (u32, Set)>,
}

impl Prover {
    /// Nothing evaluated yet.
    pub fn new() -> Self {
        Self::default()
    }
    /// The store.
    pub fn store(&mut self) -> &mut Store {
        &mut self.store
    }
    /// Evaluations kept.
    pub fn evaluations(&self) -> usize {
        self.memo.len()
    }

    /// For one network alone: what it learns serves no other, and it spends no time on telling rulesets apart.
    pub fn once() -> Self {
        Self { once: true, ..Self::default() }
    }

    /// The present point, to come back to: see [`Prover::rewind`].
    pub(crate) fn mark(&self) -> Mark {
        self.store.mark()
    }

    /// Forgets every set and evaluation made since.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.store.rewind(mark);
        self.columns.values_mut().for_each(|c| c.rewind(mark));
        self.judged.retain(|_, f| mark.holds(f.may) && mark.holds(f.must));
        self.memo.retain(|(_, _, _, start), o| mark.holds(*start) && mark.holds(o.passed) && mark.holds(o.dropped));
        self.own.retain(|_, own| mark.holds(*own));
        self.before.retain(|_, (_, touched)| mark.holds(*touched));
    }

    /// Remembers that the ruleset `new` differs from `old`, on the same machine, by what is touched alone.
    pub(super) fn follows(&mut self, new: u32, old: u32, touched: &Touched) {
        if new == old {
            return;
        }
        self.before.insert(new, (old, touched.packets));
        for past in [Past::Any, Past::Quiet] {
            if let (Some(columns), false) = (self.columns.get(&(old, past)), self.columns.contains_key(&(new, past))) {
                let kept = columns.without(&touched.sets);
                self.columns.insert((new, past), kept);
            }
        }
    }

    pub(super) fn id(&mut self, rules: &Rules<'_>, place: &Place) -> u32 {
        let next = self.next;
        let id = match rules {
            Rules::Known(rules) if !self.once => *self.ids.entry(Digest::of_value(&(rules, place))).or_insert(next),
            _ => next,
        };
        self.next += u32::from(id == next);
        id
    }

    /// A number of its own, for rules that are known by what they were before: no digest has to tell them apart.
    pub(super) fn new_id(&mut self) -> u32 {
        self.next += 1;
        self.next - 1
    }

    /// Packets to the machine's own addresses; loopback never comes from a wire.
    pub(crate) fn own(&mut self, m: &Machine<'_>) -> Set {
        if let Some(known) = self.own.get(&m.id) {
            return *known;
        }
        let store = &mut self.store;
        let set = if m.place.anywhere {
            Set::FULL
        } else {
            let mut parts = Vec::new();
            for f in words::Family::ALL {
                let rows: Vec<_> = m
                    .place
                    .own
                    .iter()
                    .filter(|a| words::Family::of(a) == f)
                    .map(|a| (crate::field::address(*a), crate::field::address(*a)))
                    .collect();
                let rows: Vec<_> = rows.into_iter().map(|c| vec![(crate::field::family(f), crate::field::family(f)), c]).collect();
                parts.push(store.rows(&[Field::Family, crate::field::dst(f)], &rows));
            }
            store.any(parts)
        };
        self.own.insert(m.id, set);
        set
    }

    /// Fresh packets on all of a machine's devices: opening or out of state, no marks, nothing translated.
    pub fn arriving(&mut self, m: &Machine<'_>) -> Set {
        let rows: Vec<_> = m.devices.values().map(|d| vec![(device(d), device(d))]).collect();
        let devices = self.store.rows(&[Field::In], &rows);
        let fresh = self.fresh();
        self.store.and(devices, fresh)
    }

    /// Packets before their first look at connection tracking. Packets of existing connections follow from those.
    pub(crate) fn fresh(&mut self) -> Set {
        let states = self.store.rows(&[Field::State], &[vec![(state::NEW, state::NEW)], vec![(state::INVALID, state::INVALID)]]);
        let rest = self.store.row(&[Field::Out, Field::Dnat, Field::Mark, Field::CtMark], &[(0, 0), (0, 0), (0, 0), (0, 0)]);
        self.store.and(states, rest)
    }

    /// What a machine may send of its own: its addresses, not to itself, no input device.
    pub(crate) fn leaving(&mut self, m: &Machine<'_>) -> Set {
        let from = if m.place.anywhere { Set::FULL } else { super::sources(&mut self.store, m.place.own.iter()) };
        let fresh = self.fresh();
        let none = self.store.value(Field::In, 0);
        self.store.all([from, fresh, none])
    }

    /// A set of packets through a part of a machine. The set's input device must be set for what comes from a wire.
    pub fn through(&mut self, m: &Machine<'_>, stage: Stage, past: Past, start: Set) -> Outcome {
        let key = (m.id, stage, past, start);
        if let Some(known) = self.memo.get(&key) {
            return *known;
        }
        if let Some(out) = self.anew(m, stage, past, start) {
            self.memo.insert(key, out);
            return out;
        }
        let out = match stage {
            Stage::Prerouting => self.part(m, past, Part::Before, start),
            Stage::Inbound => {
                let pre = self.through(m, Stage::Prerouting, past, start);
                let local = m.place.local(&mut self.store);
                let here = self.store.and(pre.passed, local);
                let end = self.part(m, past, Part::In, here);
                let mine = self.store.and(pre.dropped, local);
                Outcome { passed: end.passed, dropped: self.store.or(mine, end.dropped) }
            }
            Stage::Forward => {
                let judged = self.through(m, Stage::Judged, past, start);
                let end = self.part(m, past, Part::After, judged.passed);
                Outcome { passed: end.passed, dropped: self.store.or(judged.dropped, end.dropped) }
            }
            Stage::Judged => {
                let pre = self.through(m, Stage::Prerouting, past, start);
                let end = self.through(m, Stage::JudgedOnly, past, pre.passed);
                let local = m.place.local(&mut self.store);
                let gone = self.store.minus(pre.dropped, local);
                Outcome { passed: end.passed, dropped: self.store.or(gone, end.dropped) }
            }
            Stage::JudgedOnly => {
                let routed = self.routed(m, start);
                self.part(m, past, Part::Through, routed)
            }
            Stage::Outbound => {
                let routed = self.routed(m, start);
                self.part(m, past, Part::Out, routed)
            }
        };
        self.memo.insert(key, out);
        out
    }

    /// What is known of the ruleset before, brought up to date: only packets that can tell go through the rules again.
    fn anew(&mut self, m: &Machine<'_>, stage: Stage, past: Past, start: Set) -> Option<Outcome> {
        let (old, touched) = *self.before.get(&m.id)?;
        let before = *self.memo.get(&(old, stage, past, start))?;
        match stage {
            // Nothing that is asked there has changed.
            Stage::Prerouting => Some(before),
            Stage::JudgedOnly => {
                let again = self.store.and(start, touched);
                let routed = self.routed(m, again);
                let now = self.with(m, past, |e| e.hooks(Part::Through.hooks(), routed));
                let (passed, dropped) = (self.store.minus(before.passed, touched), self.store.minus(before.dropped, touched));
                Some(Outcome { passed: self.store.or(passed, now.passed), dropped: self.store.or(dropped, now.dropped) })
            }
            Stage::Inbound | Stage::Forward | Stage::Judged | Stage::Outbound => None,
        }
    }

    /// What a machine's own hooks make of any packet at all, for machines that only judge: what may pass of a set of packets is
    /// what both contain. `Inbound`: of packets to the machine itself; `Outbound`: of packets that have their output device.
    pub(crate) fn verdict(&mut self, m: &Machine<'_>, stage: Stage, past: Past) -> Option<Filter> {
        match (m.judges_only(), stage) {
            (true, Stage::Inbound) => {
                let (pre, end) = (self.judge(m, past, Part::Before), self.judge(m, past, Part::In));
                Some(Filter { may: self.store.and(pre.may, end.may), must: self.store.and(pre.must, end.must) })
            }
            (true, Stage::Outbound) => Some(self.judge(m, past, Part::Out)),
            _ => None,
        }
    }

    fn part(&mut self, m: &Machine<'_>, past: Past, part: Part, packets: Set) -> Outcome {
        if !m.judges_only() {
            return self.with(m, past, |e| e.hooks(part.hooks(), packets));
        }
        let all = self.judge(m, past, part);
        Outcome { passed: self.store.and(packets, all.may), dropped: self.store.minus(packets, all.must) }
    }

    /// One evaluation over everything: a filter that only judges answers for each set of packets with it.
    fn judge(&mut self, m: &Machine<'_>, past: Past, part: Part) -> Filter {
        if let Some(known) = self.judged.get(&(m.id, past, part)) {
            return *known;
        }
        // The quiet past is one of any: where no packet's fate hangs on the past, both are the same.
        let any = if past == Past::Quiet { Some(self.judge(m, Past::Any, part)).filter(Filter::exact) } else { None };
        let out = match any {
            Some(exact) => exact,
            None => self.with(m, past, |e| e.filter(part.hooks())),
        };
        self.judged.insert((m.id, past, part), out);
        out
    }

    /// Packets to elsewhere with the output device of their route; loops through tunnels are not modelled.
    pub(crate) fn routed(&mut self, m: &Machine<'_>, packets: Set) -> Set {
        let mut parts = Vec::new();
        for (d, there) in m.place.leaving(&mut self.store) {
            let part = self.store.and(packets, there);
            parts.push(self.store.assign(part, Field::Out, d, d));
        }
        self.store.any(parts)
    }

    fn with<T>(&mut self, m: &Machine<'_>, past: Past, run: impl FnOnce(&mut Eval<'_>) -> T) -> T {
        let none = Ruleset::default();
        let rules = m.rules().unwrap_or(&none);
        let columns = self.columns.remove(&(m.id, past)).unwrap_or_default();
        let mut eval = Eval::new(&mut self.store, rules, &m.place, past).with_columns(columns);
        let out = run(&mut eval);
        let columns = eval.into_columns();
        self.columns.insert((m.id, past), columns);
        out
    }
}
