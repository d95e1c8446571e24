//! What was seen over time, kept small. In come looks at machines, out come the flows of all of them together, the report,
//! and the window. A ledger is written to disk as JSON between two looks; its size grows with the number of different flows,
//! not with time.

use crate::{
    rate::Meters,
    report::{Report, judged},
    seen::{self, Key, Observation, Tally},
    window::{self, LONGEST_GAP, PROVING_PERIOD, Sample, Window},
};
use serde::{Deserialize, Serialize};
use site::model::Model;
use std::collections::{BTreeMap, BTreeSet};

/// Version of the form on disk.
pub const SCHEMA: u32 = 1;

/// Openers' ports remembered per flow: enough to say "many", few enough to keep a day in memory.
const MOST_PORTS: usize = 1000;

/// What was seen over time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ledger {
    schema: u32,
    flows: Vec<(Key, Tally)>,
    samples: Vec<Sample>,
    machines: BTreeSet<String>,
    would_drop: BTreeMap<String, u64>,
    #[serde(default)]
    meters: Meters,
    from: u64,
    to: u64,
}

impl Default for Ledger {
    fn default() -> Self {
        let (flows, samples, machines, would_drop, meters) = Default::default();
        Self { schema: SCHEMA, flows, samples, machines, would_drop, meters, from: 0, to: 0 }
    }
}

impl Ledger {
    /// Adds one look at one or more machines, and what it means under this model.
    pub fn absorb(&mut self, model: &Model, look: &[Observation]) -> Report {
        let fresh = crate::report(model, look);
        let mut flows: BTreeMap<Key, Tally> = std::mem::take(&mut self.flows).into_iter().collect();
        for (key, tally) in seen::flows(look) {
            let known = flows.entry(key).or_insert_with(|| Tally { first: tally.first, ..Tally::default() });
            let room = MOST_PORTS.saturating_sub(known.connections.len());
            known.connections.extend(tally.connections.into_iter().take(room));
            known.first = known.first.min(tally.first);
            known.last = known.last.max(tally.last);
            known.answered |= tally.answered;
            known.who.extend(tally.who);
        }
        self.flows = flows.into_iter().collect();
        self.from = if self.machines.is_empty() { fresh.from } else { self.from.min(fresh.from) };
        self.to = self.to.max(fresh.to);
        self.machines.extend(fresh.machines.iter().cloned());
        self.would_drop.extend(fresh.would_drop.clone());
        self.meters.look(model, look);
        self.samples.push(fresh.sample());
        self.forget();
        fresh
    }

    /// Samples older than the period and one gap decide nothing any more.
    fn forget(&mut self) {
        let oldest = self.to.saturating_sub(PROVING_PERIOD + 2 * LONGEST_GAP);
        self.samples.retain(|s| s.at >= oldest);
    }

    /// Everything seen so far under this model, which may be another one than when it was seen: lines that were added since
    /// count.
    pub fn report(&self, model: &Model) -> Report {
        let flows = self.flows.iter().cloned().collect();
        let blind = if self.samples.last().is_some_and(|s| s.blind) { vec!["the last look was not complete".into()] } else { vec![] };
        let head = Report {
            from: self.from,
            to: self.to,
            machines: self.machines.iter().cloned().collect(),
            would_drop: self.would_drop.clone(),
            published: self.meters.seen(model),
            blind,
            ..Report::default()
        };
        judged(model, flows, head)
    }

    /// Whether going to `enforce` may be trusted at time `now`, under this model: what it allows by now does not count, what
    /// it no longer allows does.
    pub fn window(&self, model: &Model, now: u64, period: u64) -> Window {
        let cut = self.report(model).cut;
        let still: BTreeMap<String, u64> = cut.iter().map(|c| (Report::name_of(&c.flow), c.last)).collect();
        let under_this_model = |s: &Sample| {
            let told_then = s.cuts.iter().filter(|c| still.contains_key(*c));
            let last_seen_then = still.iter().filter(|(_, last)| **last == s.at).map(|(name, _)| name);
            Sample { cuts: told_then.chain(last_seen_then).cloned().collect(), ..s.clone() }
        };
        let samples: Vec<Sample> = self.samples.iter().map(under_this_model).collect();
        window::decide(&samples, now, period)
    }

    /// The form on disk is one this program understands.
    pub fn is_known(&self) -> bool {
        self.schema == SCHEMA
    }
}
