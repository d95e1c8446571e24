//! One packet through a ruleset, step by step: which rule and element decided, and where the answer hung on something
//! that cannot be known. Written apart from the symbolic evaluation, which is tested against it.
//!
//! In come a ruleset, a place and a packet, out come steps and a verdict. Never: a set.

mod ask;

use crate::{
    eval::{CONNTRACK, Past, base_chains, element_verdict, elements},
    field::{Field, device, state},
    packet::Packet,
    place::Place,
};
use ask::Truth;
use ruleset::form::{
    Chain, ChainKind, Data, Element, Hook, Nat, NatKind, NatTarget, Policy, Rule, Ruleset, Statement, Table, TableFamily, Verdict,
};
use serde::Serialize;

/// A rule, or a chain's policy, that took part in the decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Table's name.
    pub table: String,
    /// Chain's name.
    pub chain: String,
    /// Rule's place in the chain; `None` for the policy.
    pub rule: Option<usize>,
    /// Ravelin's id of the rule or of the set element that matched.
    pub id: Option<String>,
    /// What it did: `accept`, `drop`, `jump x`, `dnat to ...`.
    pub did: String,
}

/// What became of the packet at one hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// As it looks afterwards.
    pub packet: Packet,
    /// It passed.
    pub passed: bool,
    /// Steps in order; the last decided.
    pub steps: Vec<Step>,
    /// What had to be assumed: matches whose answer cannot be known from the packet.
    pub assumed: Vec<String>,
}

/// Runs after which the search for a way to a wanted verdict gives up: eight undecided matches in all combinations.
const RUNS: usize = 256;

/// A walk of one packet; undecided matches are answered from `choices`.
struct Walk<'a> {
    rules: &'a Ruleset,
    place: &'a Place,
    past: Past,
    packet: Packet,
    tracked: bool,
    natted: bool,
    steps: Vec<Step>,
    assumed: Vec<String>,
    choices: Vec<bool>,
    next: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Accept,
    Drop,
    Fall,
    Return,
}

/// The packet at a hook; where undecided matches leave a choice, the first way to `wanted` that is found, else any.
pub fn hook(rules: &Ruleset, place: &Place, past: Past, at: Hook, packet: Packet, wanted: bool) -> Trace {
    let mut first = None;
    let found = every(rules, place, past, at, packet, |t| {
        let stop = t.passed == wanted;
        if stop || first.is_none() {
            first = Some(t);
        }
        stop
    });
    let _ = found;
    first.unwrap_or_else(|| Trace { packet, passed: !wanted, steps: Vec::new(), assumed: Vec::new() })
}

/// Every outcome over all ways to answer undecided matches, until `each` says stop or [`RUNS`] is reached.
/// Gives false where ways were left out.
pub fn every(rules: &Ruleset, place: &Place, past: Past, at: Hook, packet: Packet, mut each: impl FnMut(Trace) -> bool) -> bool {
    let mut choices: Vec<bool> = Vec::new();
    for _ in 0..RUNS {
        let mut walk =
            Walk { rules, place, past, packet, tracked: true, natted: false, steps: Vec::new(), assumed: Vec::new(), choices, next: 0 };
        let passed = walk.hook(at);
        choices = walk.choices;
        choices.truncate(walk.next);
        if each(Trace { packet: walk.packet, passed, steps: walk.steps, assumed: walk.assumed }) {
            return true;
        }
        while choices.last() == Some(&true) {
            choices.pop();
        }
        match choices.last_mut() {
            Some(last) => *last = true,
            None => return true,
        }
    }
    false
}

impl<'a> Walk<'a> {
    fn choose(&mut self, about: impl FnOnce() -> String) -> bool {
        if self.next == self.choices.len() {
            self.choices.push(false);
        }
        let answer = self.choices[self.next];
        self.next += 1;
        self.assumed.push(format!("{} {}", about(), if answer { "holds" } else { "does not hold" }));
        answer
    }

    fn hook(&mut self, at: Hook) -> bool {
        let rules: &'a Ruleset = self.rules;
        for (priority, nat, t, c) in base_chains(rules, at) {
            let (table, chain) = (&rules.tables[t], &rules.tables[t].chains[c]);
            let Some(base) = &chain.base else { continue };
            let mine = match table.family {
                TableFamily::Ip => self.packet.get(Field::Family) == 0,
                TableFamily::Ip6 => self.packet.get(Field::Family) == 1,
                _ => true,
            };
            let d = self.packet.get(if at == Hook::Egress { Field::Out } else { Field::In });
            let on_device =
                !matches!(at, Hook::Ingress | Hook::Egress) || base.devices.is_empty() || base.devices.iter().any(|n| device(n) == d);
            if !mine || !on_device || nat && (self.natted || !self.opens()) {
                continue;
            }
            debug_assert_eq!(nat, base.kind == ChainKind::Nat);
            self.tracked = at != Hook::Ingress && !(matches!(at, Hook::Prerouting | Hook::Output) && priority < CONNTRACK);
            let end = self.chain(table, chain, 0);
            let pass = match end {
                End::Accept => true,
                End::Drop => false,
                End::Fall | End::Return => {
                    let pass = base.policy == Policy::Accept;
                    self.note(table, chain, None, None, if pass { "policy accept" } else { "policy drop" });
                    pass
                }
            };
            if !pass {
                return false;
            }
        }
        true
    }

    fn opens(&self) -> bool {
        let (s, p) = (self.packet.get(Field::State), self.packet.get(Field::Proto));
        s == state::NEW || s == state::RELATED && p != 1 && p != 58
    }

    fn note(&mut self, table: &Table, chain: &Chain, rule: Option<usize>, id: Option<String>, did: impl Into<String>) {
        self.steps.push(Step { table: table.name.clone(), chain: chain.name.clone(), rule, id, did: did.into() });
    }

    fn chain(&mut self, table: &'a Table, chain: &'a Chain, depth: usize) -> End {
        if depth > 16 {
            return if self.choose(|| format!("deep jump into {}", chain.name)) { End::Accept } else { End::Drop };
        }
        for (i, rule) in chain.rules.iter().enumerate() {
            match self.rule(table, chain, i, rule, depth) {
                End::Fall => {}
                End::Return => return End::Return,
                end => return end,
            }
        }
        End::Fall
    }

    fn rule(&mut self, table: &'a Table, chain: &'a Chain, i: usize, rule: &'a Rule, depth: usize) -> End {
        let mut id = rule.id.clone();
        for s in &rule.statements {
            let goes_on = match s {
                Statement::Match { key, mask, op, values } => {
                    let t = self.ask_match(key, *mask, *op, values);
                    self.decide(t, || format!("{key:?} {op:?} {values:?}"))
                }
                Statement::Lookup { keys, set, negated } => {
                    let t = match table.sets.get(set) {
                        Some(s) if !(s.dynamic && self.past == Past::Any) => {
                            let (t, e) = self.find(keys, &s.elements);
                            if let (Truth::Yes, Some(e)) = (t, e) {
                                id = e.id.clone().or(id);
                            }
                            t
                        }
                        _ => Truth::Unknown,
                    };
                    let t = match (self.has_headers(keys.iter()), *negated) {
                        (false, _) => Truth::No,
                        (true, true) => t.not(),
                        (true, false) => t,
                    };
                    self.decide(t, || format!("lookup in {set}"))
                }
                Statement::VerdictMap { keys, map } => {
                    let Some((all, dynamic)) = elements(table, map) else { return End::Fall };
                    let (mut t, e) = self.find(keys, all);
                    if dynamic && self.past == Past::Any && t == Truth::Yes {
                        t = Truth::Unknown;
                    }
                    if !self.decide(t, || "verdict map".to_owned()) {
                        return End::Fall;
                    }
                    let Some(e) = e else { return End::Fall };
                    let Some(v) = element_verdict(e) else { return End::Fall };
                    match self.verdict(table, chain, i, e.id.clone().or(id.clone()), v, depth) {
                        Some(end) => return end,
                        None => true,
                    }
                }
                Statement::Verdict(v) => return self.verdict(table, chain, i, id, v, depth).unwrap_or(End::Fall),
                Statement::Nat(nat) => {
                    if let Some(e) = self.translate(table, nat) {
                        id = e.or(id);
                        let did =
                            format!("{:?} to {}", nat.kind, if nat.kind == NatKind::Dnat { self.packet.dst() } else { self.packet.src() })
                                .to_lowercase();
                        self.note(table, chain, Some(i), id, did);
                        self.natted = true;
                        return End::Accept;
                    }
                    return End::Fall;
                }
                Statement::Limit { over, .. } | Statement::ConnLimit { over, .. } => self.limited(*over),
                Statement::Dynamic { statements, set, keys, .. } => {
                    let over = statements
                        .iter()
                        .any(|s| matches!(s, Statement::Limit { over: true, .. } | Statement::ConnLimit { over: true, .. }));
                    self.has_headers(keys.iter().map(|k| &k.key))
                        && if self.past == Past::Any { self.choose(|| format!("limit per element of {set}")) } else { !over }
                }
                Statement::SetMark { key: ruleset::form::Key::HopLimit, value, .. } => {
                    if let Some(v) = value {
                        self.packet.set(Field::Hop, u128::from(*v));
                    }
                    true
                }
                Statement::SetMark { key, mask, value } => {
                    let (to, from) =
                        if *key == ruleset::form::Key::CtMark { (Field::CtMark, Field::Mark) } else { (Field::Mark, Field::CtMark) };
                    let mask = u128::from(mask.unwrap_or(u32::MAX));
                    let new = value.map_or(self.packet.get(from), |v| self.packet.get(to) & !mask | u128::from(v));
                    self.packet.set(to, new);
                    true
                }
                Statement::Notrack => {
                    if !self.tracked {
                        self.packet.set(Field::State, state::UNTRACKED);
                    }
                    true
                }
                Statement::Queue { .. } => {
                    let pass = self.choose(|| "user space accepts".to_owned());
                    self.note(table, chain, Some(i), id, "queue");
                    // It may write any mark; of a packet that was judged nobody wants anything more.
                    self.packet.set(Field::Mark, 0);
                    return if pass { End::Accept } else { End::Drop };
                }
                Statement::Unknown { text } => self.choose(|| format!("`{text}`")),
                Statement::Counter | Statement::Log { .. } | Statement::Synproxy => true,
            };
            if !goes_on {
                return End::Fall;
            }
        }
        End::Fall
    }

    fn limited(&mut self, over: bool) -> bool {
        if self.past == Past::Any { self.choose(|| "rate or count limit".to_owned()) } else { !over }
    }

    fn decide(&mut self, t: Truth, about: impl FnOnce() -> String) -> bool {
        match t {
            Truth::Yes => true,
            Truth::No => false,
            Truth::Unknown => self.choose(about),
        }
    }

    fn verdict(&mut self, table: &'a Table, chain: &'a Chain, i: usize, id: Option<String>, v: &'a Verdict, depth: usize) -> Option<End> {
        let did = match v {
            Verdict::Accept => "accept".to_owned(),
            Verdict::Drop => "drop".to_owned(),
            Verdict::Reject(how) => format!("reject {how}"),
            Verdict::Jump(to) => format!("jump {to}"),
            Verdict::Goto(to) => format!("goto {to}"),
            Verdict::Return => "return".to_owned(),
            Verdict::Continue => return None,
        };
        self.note(table, chain, Some(i), id, did);
        Some(match v {
            Verdict::Accept => End::Accept,
            Verdict::Drop | Verdict::Reject(_) => End::Drop,
            Verdict::Return | Verdict::Continue => End::Return,
            Verdict::Jump(to) | Verdict::Goto(to) => {
                let end = match table.chain(to) {
                    Some(c) => self.chain(table, c, depth + 1),
                    None => return Some(if self.choose(|| format!("jump to missing {to}")) { End::Accept } else { End::Drop }),
                };
                match (end, v) {
                    (End::Fall | End::Return, Verdict::Jump(_)) => End::Fall,
                    (End::Fall | End::Return, _) => End::Return,
                    (end, _) => end,
                }
            }
        })
    }

    /// The machine's address on a device, where it is known to have one there; else any of its own.
    fn own(&self, family: words::Family, on: Field) -> Option<u128> {
        let mine = || self.place.own.iter().filter(|a| words::Family::of(a) == family);
        let link = self.place.links.iter().find(|l| device(&l.device) == self.packet.get(on));
        let there = link.and_then(|l| mine().find(|a| l.nets.iter().any(|n| n.contains(*a))));
        there.or_else(|| mine().next()).map(|a| crate::field::address(*a))
    }

    /// `Some(element's id)` where it translated.
    fn translate(&mut self, table: &'a Table, nat: &'a Nat) -> Option<Option<String>> {
        let family = self.packet.family();
        if nat.family.is_some_and(|f| f != family) {
            return None;
        }
        let (dst, src) = (crate::field::dst(family), crate::field::src(family));
        let (address, port, id) = match &nat.address {
            NatTarget::None => (None, nat.port.map(|p| p.0.into()), None),
            NatTarget::Addr(a, _) => (Some(*a), nat.port.map(|p| p.0.into()), None),
            NatTarget::Map { keys, map } => {
                let (all, _) = elements(table, map)?;
                let (t, e) = self.find(keys, all);
                if !self.decide(t, || "map of translations".to_owned()) {
                    return None;
                }
                let e: &Element = e?;
                let Some(Data::Numbers(to)) = &e.data else { return None };
                (to.first().copied(), to.get(1).copied().or(nat.port.map(|p| p.0.into())), e.id.clone())
            }
        };
        let own = self.own(family, if nat.kind == NatKind::Redirect { Field::In } else { Field::Out });
        match nat.kind {
            NatKind::Dnat | NatKind::Redirect => {
                if family == words::Family::V4 {
                    self.packet.set(Field::OrigDst4, self.packet.get(Field::Dst4));
                }
                self.packet.set(Field::OrigDport, self.packet.get(Field::Dport));
                if let Some(a) = if nat.kind == NatKind::Redirect { own } else { address } {
                    self.packet.set(dst, a);
                }
                if let Some(p) = port {
                    self.packet.set(Field::Dport, p);
                }
                self.packet.set(Field::Dnat, 1);
            }
            NatKind::Snat | NatKind::Masquerade => {
                if let Some(a) = if nat.kind == NatKind::Masquerade { own } else { address } {
                    self.packet.set(src, a);
                }
                if let Some(p) = port {
                    self.packet.set(Field::Sport, p);
                }
            }
        }
        Some(id)
    }
}
