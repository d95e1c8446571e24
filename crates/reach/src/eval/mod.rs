//! Symbolic evaluation of a ruleset: all packets at once. In comes a set of packets at a hook, out come the packets that
//! may pass (as they look afterwards) and those that may be dropped. What must pass is what may not be dropped.
//!
//! Follows the kernel: base chains of all tables by priority; accept ends its base chain only, drop is final; nat chains
//! see opening packets only and the first translation wins.

mod filter;
mod hook;
mod lookup;
mod matching;
mod nat;
mod touched;

pub use filter::Filter;
pub(crate) use hook::{CONNTRACK, base_chains};
pub(crate) use matching::{STATUS_DNAT, STATUS_LATER, WITH_PORTS, cell, direct};
pub(crate) use touched::{Touched, touched};

use crate::{
    field::Field,
    place::Place,
    set::{Mark, Set, Store},
};
use matching::Matched;
use ruleset::form::{Chain, Data, DynKey, Element, Key, MapRef, Rule, Ruleset, Statement, Table, Verdict};
use rustc_hash::FxHashMap;
use std::collections::BTreeMap;

/// What is assumed about the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Past {
    /// Anything may have happened: limits may be used up, dynamic sets may hold anything. Invariants are proved so.
    Any,
    /// Nothing out of the ordinary: limits not reached, dynamic sets without a ban. Required flows are proved so.
    Quiet,
}

/// Which rule: table, chain, and the rule's place in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleAt {
    /// Index into the ruleset's tables.
    pub table: usize,
    /// Index into the table's chains.
    pub chain: usize,
    /// Index into the chain's rules.
    pub rule: usize,
}

/// What was seen of a rule.
#[derive(Debug, Clone, Copy)]
pub struct Seen {
    /// Packets that came to it.
    pub reached: Set,
    /// Packets that may have matched it whole.
    pub matched: Set,
}

/// Packets after a hook or a chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// May pass, as they look afterwards.
    pub passed: Set,
    /// May be dropped, as they looked then.
    pub dropped: Set,
}

/// Deepest chain of jumps the kernel allows (NFT_JUMP_STACK_SIZE).
const JUMPS: usize = 16;

/// Named sets as packet sets, by table, name and keys: what is worth keeping from one evaluation of a ruleset to the next.
/// Belongs to one ruleset, one store and one view of the past.
#[derive(Debug, Default)]
pub struct Columns(FxHashMap<(usize, String, Vec<Key>), Matched>);

impl Columns {
    /// Those that another version of the ruleset has as well.
    pub(crate) fn without(&self, sets: &std::collections::BTreeSet<(usize, String)>) -> Self {
        let kept = self.0.iter().filter(|((t, name, _), _)| !sets.contains(&(*t, name.clone())));
        Self(kept.map(|(k, m)| (k.clone(), *m)).collect())
    }
    /// Forgets what is not from before a mark.
    pub(crate) fn rewind(&mut self, mark: Mark) {
        self.0.retain(|_, m| mark.holds(m.may) && mark.holds(m.must));
    }
}

/// An evaluation of one ruleset on one machine.
#[derive(Debug)]
pub struct Eval<'a> {
    pub(crate) store: &'a mut Store,
    rules: &'a Ruleset,
    place: &'a Place,
    past: Past,
    /// Whether connection tracking has seen the packet at the present priority.
    tracked: bool,
    columns: Columns,
    seen: Option<BTreeMap<RuleAt, Seen>>,
}

/// What a chain makes of its packets; translated ones are apart, since they skip the other nat chains.
#[derive(Debug, Clone, Copy)]
struct Run {
    fall: Set,
    accepted: Set,
    dropped: Set,
    natted: Set,
}

impl<'a> Eval<'a> {
    /// An evaluation of `rules` on a machine.
    pub fn new(store: &'a mut Store, rules: &'a Ruleset, place: &'a Place, past: Past) -> Self {
        Self { store, rules, place, past, tracked: true, columns: Columns::default(), seen: None }
    }
    /// Begins with the named sets of an earlier evaluation.
    pub fn with_columns(mut self, columns: Columns) -> Self {
        self.columns = columns;
        self
    }
    /// The named sets, for the next evaluation.
    pub fn into_columns(self) -> Columns {
        self.columns
    }
    /// Keeps what came to each rule, for [`Eval::seen`].
    pub fn recording(mut self) -> Self {
        self.seen = Some(BTreeMap::new());
        self
    }
    /// What came to each rule, over all hooks evaluated so far.
    pub fn seen(&self) -> Option<&BTreeMap<RuleAt, Seen>> {
        self.seen.as_ref()
    }

    fn chain(&mut self, at: (usize, usize), packets: Set, depth: usize) -> Run {
        let rules: &'a Ruleset = self.rules;
        let (table, chain): (&'a Table, &'a Chain) = (&rules.tables[at.0], &rules.tables[at.0].chains[at.1]);
        let mut run = Run { fall: Set::EMPTY, accepted: Set::EMPTY, dropped: Set::EMPTY, natted: Set::EMPTY };
        if depth > JUMPS {
            // The kernel refuses such a ruleset; anything may come of it.
            return Run { fall: packets, accepted: packets, dropped: packets, natted: Set::EMPTY };
        }
        let mut here = packets;
        let mut returned = Set::EMPTY;
        for (i, rule) in chain.rules.iter().enumerate() {
            if here.is_empty() {
                break;
            }
            let reached = here;
            let (next, matched) = self.rule(at.0, table, rule, here, &mut run, &mut returned, depth);
            here = next;
            if let Some(mut seen) = self.seen.take() {
                let e =
                    seen.entry(RuleAt { table: at.0, chain: at.1, rule: i }).or_insert(Seen { reached: Set::EMPTY, matched: Set::EMPTY });
                e.reached = self.store.or(e.reached, reached);
                e.matched = self.store.or(e.matched, matched);
                self.seen = Some(seen);
            }
        }
        run.fall = self.store.or(here, returned);
        run
    }

    /// Gives the packets for the next rule and those that may have matched.
    #[expect(clippy::too_many_arguments, reason = "one rule's whole surroundings; a struct would only rename them")]
    fn rule(
        &mut self,
        t: usize,
        table: &'a Table,
        rule: &'a Rule,
        here: Set,
        run: &mut Run,
        returned: &mut Set,
        depth: usize,
    ) -> (Set, Set) {
        let mut hits = here;
        let mut rest = Set::EMPTY;
        for s in &rule.statements {
            if hits.is_empty() {
                break;
            }
            match s {
                Statement::Match { key, mask, op, values } => {
                    let m = self.matching(key, *mask, *op, values, hits);
                    self.narrow(&mut hits, &mut rest, m);
                }
                Statement::Lookup { keys, set, negated } => {
                    let m = self.looked_up(t, table, keys, set, *negated);
                    self.narrow(&mut hits, &mut rest, m);
                }
                Statement::VerdictMap { keys, map } => {
                    let groups = self.verdicts(table, keys, map);
                    let mut missed = hits;
                    let mut goes_on = Set::EMPTY;
                    for (verdict, m) in groups {
                        let chosen = self.store.and(hits, m.may);
                        missed = self.store.minus(missed, m.must);
                        let on = self.verdict(t, table, &verdict, chosen, run, returned, depth);
                        goes_on = self.store.or(goes_on, on);
                    }
                    let matched = self.store.minus(hits, missed);
                    rest = self.store.any([rest, missed, goes_on]);
                    return (rest, matched);
                }
                Statement::Verdict(v) => {
                    let on = self.verdict(t, table, v, hits, run, returned, depth);
                    return (self.store.or(rest, on), hits);
                }
                Statement::Nat(nat) => {
                    let (turned, missed) = self.translate(table, nat, hits);
                    run.natted = self.store.or(run.natted, turned);
                    return (self.store.or(rest, missed), hits);
                }
                Statement::Limit { over, .. } | Statement::ConnLimit { over, .. } => {
                    let m = self.limited(*over);
                    self.narrow(&mut hits, &mut rest, m);
                }
                Statement::Dynamic { statements, keys, .. } => {
                    let m = self.metered(statements, keys);
                    self.narrow(&mut hits, &mut rest, m);
                }
                Statement::SetMark { key, mask, value } => hits = self.set_mark(hits, key, *mask, *value),
                Statement::Notrack if !self.tracked => {
                    hits = self.store.assign(hits, Field::State, crate::field::state::UNTRACKED, crate::field::state::UNTRACKED)
                }
                Statement::Queue { .. } => {
                    // User space decides, and may write both marks.
                    let on = self.store.forget_all(hits, &[Field::Mark, Field::CtMark]);
                    run.accepted = self.store.or(run.accepted, on);
                    run.dropped = self.store.or(run.dropped, hits);
                    return (rest, hits);
                }
                Statement::Unknown { .. } => {
                    rest = self.store.or(rest, hits);
                    hits = self.store.forget_all(hits, &[Field::Mark, Field::CtMark]);
                }
                Statement::Counter | Statement::Log { .. } | Statement::Notrack | Statement::Synproxy => {}
            }
        }
        (self.store.or(rest, hits), hits)
    }

    fn looked_up(&mut self, t: usize, table: &'a Table, keys: &[Key], set: &str, negated: bool) -> Matched {
        let mut m = self.lookup(t, table, keys, set);
        if negated {
            m = Matched { may: self.store.not(m.must), must: self.store.not(m.may) };
        }
        self.with_headers(keys.iter(), m)
    }

    fn limited(&mut self, over: bool) -> Matched {
        match (self.past, over) {
            (Past::Any, _) => Matched::UNDECIDED,
            (Past::Quiet, over) => Matched::exactly(if over { Set::EMPTY } else { Set::FULL }),
        }
    }

    /// With a limit inside it is a limit per element; a full set ends the rule.
    fn metered(&mut self, statements: &[Statement], keys: &[DynKey]) -> Matched {
        let over = statements.iter().any(|s| matches!(s, Statement::Limit { over: true, .. } | Statement::ConnLimit { over: true, .. }));
        let m = self.limited(over);
        self.with_headers(keys.iter().map(|k| &k.key), m)
    }

    /// Only for packets that have the headers these keys stand in: without them the kernel ends the rule before it looks,
    /// negated or not.
    fn with_headers<'k>(&mut self, keys: impl Iterator<Item = &'k Key>, m: Matched) -> Matched {
        let (mut with, mut seen) = (Set::FULL, (None, None));
        for (_, family, proto) in keys.filter_map(matching::direct) {
            // Source and destination of one family ask for the same header.
            if (family, proto) != seen {
                let one = self.implied(family, proto);
                with = self.store.and(with, one);
                seen = (family, proto);
            }
        }
        Matched { may: self.store.and(m.may, with), must: self.store.and(m.must, with) }
    }

    fn narrow(&mut self, hits: &mut Set, rest: &mut Set, m: Matched) {
        let passed_on = self.store.minus(*hits, m.must);
        *rest = self.store.or(*rest, passed_on);
        *hits = self.store.and(*hits, m.may);
    }

    /// Gives the packets that go on behind the rule.
    #[expect(clippy::too_many_arguments, reason = "as above")]
    fn verdict(&mut self, t: usize, table: &'a Table, v: &Verdict, hits: Set, run: &mut Run, returned: &mut Set, depth: usize) -> Set {
        match v {
            Verdict::Accept => run.accepted = self.store.or(run.accepted, hits),
            Verdict::Drop | Verdict::Reject(_) => run.dropped = self.store.or(run.dropped, hits),
            Verdict::Return => *returned = self.store.or(*returned, hits),
            Verdict::Continue => return hits,
            Verdict::Jump(name) | Verdict::Goto(name) => {
                let Some(c) = table.chains.iter().position(|c| c.name == *name) else {
                    // A jump nowhere cannot be loaded: anything may come of it.
                    run.accepted = self.store.or(run.accepted, hits);
                    run.dropped = self.store.or(run.dropped, hits);
                    return hits;
                };
                let sub = self.chain((t, c), hits, depth + 1);
                run.accepted = self.store.or(run.accepted, sub.accepted);
                run.dropped = self.store.or(run.dropped, sub.dropped);
                run.natted = self.store.or(run.natted, sub.natted);
                if matches!(v, Verdict::Jump(_)) {
                    return sub.fall;
                }
                *returned = self.store.or(*returned, sub.fall);
            }
        }
        Set::EMPTY
    }

    fn set_mark(&mut self, hits: Set, key: &Key, mask: Option<u32>, value: Option<u32>) -> Set {
        if *key == Key::HopLimit {
            return match (mask, value) {
                (None, Some(v)) => self.store.assign(hits, Field::Hop, v.into(), v.into()),
                _ => self.store.forget(hits, Field::Hop),
            };
        }
        let (f, other) = if *key == Key::CtMark { (Field::CtMark, Field::Mark) } else { (Field::Mark, Field::CtMark) };
        let mask = mask.unwrap_or(u32::MAX);
        let mut parts = Vec::new();
        match value {
            Some(v) if mask == u32::MAX => return self.store.assign(hits, f, v.into(), v.into()),
            Some(v) => {
                for (a, b) in self.store.project(hits, f) {
                    let old = self.store.interval(f, a, b);
                    let part = self.store.and(hits, old);
                    let kept = u128::from(!mask);
                    parts.push(if a == b {
                        self.store.assign(part, f, (a & kept) | u128::from(v), (a & kept) | u128::from(v))
                    } else {
                        self.store.forget(part, f)
                    });
                }
            }
            None => {
                for (a, b) in self.store.project(hits, other) {
                    let there = self.store.interval(other, a, b);
                    let part = self.store.and(hits, there);
                    parts.push(self.store.assign(part, f, a, b));
                }
            }
        }
        self.store.any(parts)
    }
}

/// The elements of a map and whether its content depends on the past.
pub(crate) fn elements<'a>(table: &'a Table, map: &'a MapRef) -> Option<(&'a [Element], bool)> {
    match map {
        MapRef::Inline(e) => Some((e, false)),
        MapRef::Named(name) => table.sets.get(name).map(|s| (s.elements.as_slice(), s.dynamic)),
    }
}

/// The verdict an element holds.
pub(crate) fn element_verdict(e: &Element) -> Option<&Verdict> {
    match &e.data {
        Some(Data::Verdict(v)) => Some(v),
        _ => None,
    }
}
