//! Filters that only judge, over every packet at once and from their last rule to the first. In come hooks, out come the
//! packets that may pass all their base chains and those that must.
//!
//! What a rule accepts joins what the rules behind it accept, what it drops leaves it: one step for each rule, where a walk
//! from the front carries the packets that are left past every one of them. Never: for rulesets that change packets
//! ([`super::Eval::hooks`] follows those).

use super::{Eval, JUMPS, hook::CONNTRACK, hook::base_chains, matching::Matched};
use crate::{field::Field, set::Set};
use ruleset::form::{ChainKind, Hook, Policy, Rule, Statement, Table, TableFamily, Verdict};

/// Packets that may pass and those that must; the second lie within the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    /// May pass.
    pub may: Set,
    /// Must pass: the others may be dropped.
    pub must: Set,
}

impl Filter {
    const ALL: Filter = Filter { may: Set::FULL, must: Set::FULL };
    const NONE: Filter = Filter { may: Set::EMPTY, must: Set::EMPTY };
    const UNDECIDED: Filter = Filter { may: Set::FULL, must: Set::EMPTY };
    /// Whether every packet's fate is known.
    pub fn exact(&self) -> bool {
        self.may == self.must
    }
}

/// Where a chain's packets go on: behind the present rule, and behind the chain.
#[derive(Clone, Copy)]
struct After {
    rule: Filter,
    chain: Filter,
}

impl<'a> Eval<'a> {
    /// What passes these hooks, one after the other.
    pub fn filter(&mut self, hooks: &[Hook]) -> Filter {
        let mut all = Filter::ALL;
        for hook in hooks {
            for (priority, nat, t, c) in base_chains(self.rules, *hook) {
                let table = &self.rules.tables[t];
                let Some(base) = &table.chains[c].base else { continue };
                let tracks = matches!(hook, Hook::Prerouting | Hook::Output);
                self.tracked = !(matches!(hook, Hook::Ingress) || tracks && priority < CONNTRACK);
                let mut mine = match table.family {
                    TableFamily::Ip => self.store.value(Field::Family, 0),
                    TableFamily::Ip6 => self.store.value(Field::Family, 1),
                    _ => Set::FULL,
                };
                if nat || base.kind == ChainKind::Nat {
                    mine = self.for_nat(mine);
                }
                mine = self.on_devices(base, mine);
                let policy = if base.policy == Policy::Accept { Filter::ALL } else { Filter::NONE };
                let here = self.filter_chain((t, c), policy, 0);
                // Packets that the chain does not see pass it.
                let past_it = self.store.not(mine);
                let here = Filter { may: self.store.or(here.may, past_it), must: self.store.or(here.must, past_it) };
                all = Filter { may: self.store.and(all.may, here.may), must: self.store.and(all.must, here.must) };
            }
        }
        self.tracked = true;
        all
    }

    fn filter_chain(&mut self, at: (usize, usize), end: Filter, depth: usize) -> Filter {
        if depth > JUMPS {
            // The kernel refuses such a ruleset; anything may come of it.
            return Filter::UNDECIDED;
        }
        let table: &'a Table = &self.rules.tables[at.0];
        let mut next = end;
        let mut accepted: Vec<Matched> = Vec::new();
        for rule in table.chains[at.1].rules.iter().rev() {
            match self.accepts(at.0, table, rule) {
                // Neighbours that accept are joined among themselves first: many small sets do not drag the large one along.
                Some(m) => accepted.push(m),
                None => {
                    next = self.join(next, &mut accepted);
                    next = self.filter_rule(at.0, table, rule, After { rule: next, chain: end }, depth);
                }
            }
        }
        self.join(next, &mut accepted)
    }

    fn join(&mut self, next: Filter, accepted: &mut Vec<Matched>) -> Filter {
        if accepted.is_empty() {
            return next;
        }
        let may = self.store.any(accepted.iter().map(|m| m.may).collect::<Vec<_>>());
        let must = self.store.any(accepted.iter().map(|m| m.must).collect::<Vec<_>>());
        accepted.clear();
        Filter { may: self.store.or(next.may, may), must: self.store.or(next.must, must) }
    }

    /// What a rule matches that does nothing but accept.
    fn accepts(&mut self, t: usize, table: &'a Table, rule: &'a Rule) -> Option<Matched> {
        let (last, asks) = rule.statements.split_last()?;
        if !matches!(last, Statement::Verdict(Verdict::Accept)) {
            return None;
        }
        let mut all = Matched::exactly(Set::FULL);
        for s in asks {
            let m = self.asks(t, table, s)?;
            all = self.both(all, m);
        }
        Some(all)
    }

    fn both(&mut self, a: Matched, b: Matched) -> Matched {
        Matched { may: self.store.and(a.may, b.may), must: self.store.and(a.must, b.must) }
    }

    /// A statement that asks something, or does nothing a filter shows; `None` for verdicts and what changes packets.
    fn asks(&mut self, t: usize, table: &'a Table, s: &'a Statement) -> Option<Matched> {
        Some(match s {
            Statement::Match { key, mask, op, values } => self.matching(key, *mask, *op, values, Set::FULL),
            Statement::Lookup { keys, set, negated } => self.looked_up(t, table, keys, set, *negated),
            Statement::Limit { over, .. } | Statement::ConnLimit { over, .. } => self.limited(*over),
            Statement::Dynamic { statements, keys, .. } => self.metered(statements, keys),
            Statement::Counter | Statement::Log { .. } | Statement::Synproxy => Matched::exactly(Set::FULL),
            _ => return None,
        })
    }

    fn filter_rule(&mut self, t: usize, table: &'a Table, rule: &'a Rule, after: After, depth: usize) -> Filter {
        // Nothing comes of a rule without a verdict.
        let decides = |s: &Statement| matches!(s, Statement::Verdict(_) | Statement::VerdictMap { .. } | Statement::Queue { .. });
        let Some(end) = rule.statements.iter().position(|s| decides(s) || !asking(s)) else { return after.rule };
        let mut hits = Matched::exactly(Set::FULL);
        for s in &rule.statements[..end] {
            let Some(m) = self.asks(t, table, s) else { return Filter::UNDECIDED };
            hits = self.both(hits, m);
        }
        let chosen = match &rule.statements[end] {
            Statement::Verdict(v) => self.fate(t, table, v, after, depth),
            // User space decides.
            Statement::Queue { .. } => Filter::UNDECIDED,
            Statement::VerdictMap { keys, map } => {
                let (mut may, mut cut) = (after.rule.may, Set::EMPTY);
                let mut known = Set::EMPTY;
                let mut chosen = Set::EMPTY;
                for (verdict, m) in self.verdicts(table, keys, map) {
                    let fate = self.fate(t, table, &verdict, after, depth);
                    let passes = self.store.and(m.may, fate.may);
                    chosen = self.store.or(chosen, passes);
                    let fails = self.store.minus(m.may, fate.must);
                    cut = self.store.or(cut, fails);
                    known = self.store.or(known, m.must);
                }
                may = self.store.minus(may, known);
                let must = self.store.or(known, after.rule.must);
                Filter { may: self.store.or(may, chosen), must: self.store.minus(must, cut) }
            }
            _ => return Filter::UNDECIDED,
        };
        self.mix(hits, chosen, after.rule)
    }

    /// What becomes of packets with a verdict.
    fn fate(&mut self, t: usize, table: &'a Table, v: &Verdict, after: After, depth: usize) -> Filter {
        match v {
            Verdict::Accept => Filter::ALL,
            Verdict::Drop | Verdict::Reject(_) => Filter::NONE,
            Verdict::Return => after.chain,
            Verdict::Continue => after.rule,
            Verdict::Jump(name) | Verdict::Goto(name) => match table.chains.iter().position(|c| c.name == *name) {
                Some(c) => self.filter_chain((t, c), if matches!(v, Verdict::Jump(_)) { after.rule } else { after.chain }, depth + 1),
                // A jump nowhere cannot be loaded: anything may come of it.
                None => Filter::UNDECIDED,
            },
        }
    }

    /// `chosen` for what is hit, `next` for the rest.
    fn mix(&mut self, hits: Matched, chosen: Filter, next: Filter) -> Filter {
        let store = &mut *self.store;
        let taken = store.and(hits.may, chosen.may);
        let left = store.minus(next.may, hits.must);
        let may = store.or(taken, left);
        let taken = store.and(hits.must, chosen.must);
        let left = store.minus(next.must, hits.may);
        let mut must = store.or(taken, left);
        if hits.may != hits.must {
            // Whether hit or not, it passes.
            let either = store.and(chosen.must, next.must);
            must = store.or(must, either);
        }
        Filter { may, must }
    }
}

/// Whether a statement asks something or does nothing that a filter shows.
fn asking(s: &Statement) -> bool {
    matches!(
        s,
        Statement::Match { .. }
            | Statement::Lookup { .. }
            | Statement::Limit { .. }
            | Statement::ConnLimit { .. }
            | Statement::Dynamic { .. }
            | Statement::Counter
            | Statement::Log { .. }
            | Statement::Synproxy
    )
}
