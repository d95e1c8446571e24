//! Mutations for tests: every way to break a table by one step. In comes a table, out come its mutations; a test suite
//! that does not notice one has a hole, unless the mutation is shown to be equivalent. Never: used outside tests and lab.

use crate::{Chain, ChainKind, Hook, Policy, Statement, Table, Verdict};

/// One way to break a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mutation {
    /// A rule is gone.
    DropRule {
        /// Chain.
        chain: String,
        /// Index of the rule.
        index: usize,
    },
    /// An element of a set or map is gone.
    DropElement {
        /// Set.
        set: String,
        /// Index of the element.
        index: usize,
    },
    /// A base chain's policy is the other one.
    FlipPolicy {
        /// Chain.
        chain: String,
    },
    /// A base chain hooks in elsewhere.
    Reprioritise {
        /// Chain.
        chain: String,
        /// New priority.
        to: i32,
    },
}

/// Where connection tracking hooks in at prerouting and output (`NF_IP_PRI_CONNTRACK`).
const CONNTRACK: i32 = -200;

/// Priorities a chain is moved to: before connection tracking (-200), and after everything.
const PRIORITIES: [i32; 2] = [-350, 350];

impl std::fmt::Display for Mutation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Mutation::DropRule { chain, index } => write!(f, "rule {index} of chain {chain} dropped"),
            Mutation::DropElement { set, index } => write!(f, "element {index} of set {set} dropped"),
            Mutation::FlipPolicy { chain } => write!(f, "policy of chain {chain} flipped"),
            Mutation::Reprioritise { chain, to } => write!(f, "chain {chain} moved to priority {to}"),
        }
    }
}

/// Every mutation of a table, in order of definition.
pub fn all(table: &Table) -> Vec<Mutation> {
    let mut out = Vec::new();
    for Chain { name, base, rules } in &table.chains {
        out.extend((0..rules.len()).map(|index| Mutation::DropRule { chain: name.clone(), index }));
        if let Some(b) = base {
            out.push(Mutation::FlipPolicy { chain: name.clone() });
            let moves = PRIORITIES.into_iter().filter(|p| *p != b.priority);
            out.extend(moves.map(|to| Mutation::Reprioritise { chain: name.clone(), to }));
        }
    }
    for (name, set) in &table.sets {
        out.extend((0..set.elements.len()).map(|index| Mutation::DropElement { set: name.clone(), index }));
    }
    out
}

/// The table with this mutation.
pub fn apply(table: &Table, mutation: &Mutation) -> Table {
    let mut out = table.clone();
    match mutation {
        Mutation::DropRule { chain, index } => {
            if let Some(c) = out.chains.iter_mut().find(|c| c.name == *chain) {
                c.rules.remove(*index);
            }
        }
        Mutation::DropElement { set, index } => {
            if let Some(s) = out.sets.get_mut(set) {
                s.elements.remove(*index);
            }
        }
        Mutation::FlipPolicy { chain } => {
            if let Some(b) = out.chains.iter_mut().find(|c| c.name == *chain).and_then(|c| c.base.as_mut()) {
                b.policy = if b.policy == Policy::Accept { Policy::Drop } else { Policy::Accept };
            }
        }
        Mutation::Reprioritise { chain, to } => {
            if let Some(b) = out.chains.iter_mut().find(|c| c.name == *chain).and_then(|c| c.base.as_mut()) {
                b.priority = *to;
            }
        }
    }
    out
}

/// Mutations that change no verdict and no translation, with the reason.
pub fn equivalent(table: &Table, mutation: &Mutation) -> Option<&'static str> {
    match mutation {
        Mutation::DropRule { chain, index } => {
            let rule = table.chain(chain)?.rules.get(*index)?;
            rule.statements.iter().all(passive).then_some("it only logs or counts: no packet's verdict depends on it")
        }
        Mutation::FlipPolicy { chain } => {
            let last = table.chain(chain)?.rules.last()?;
            let ends = |s: &Statement| matches!(s, Statement::Verdict(Verdict::Accept | Verdict::Drop));
            let always = last.statements.iter().all(|s| passes_on(s) || ends(s)) && last.statements.iter().any(ends);
            always.then_some("its last rule decides every packet: the policy is there for the day that rule is gone")
        }
        Mutation::Reprioritise { chain, to } => {
            let base = table.chain(chain)?.base.as_ref()?;
            let alone =
                table.chains.iter().filter_map(|c| c.base.as_ref()).filter(|b| b.hook == base.hook && b.kind == base.kind).count() == 1;
            let tracked = *to > CONNTRACK;
            match (base.kind, base.hook) {
                (ChainKind::Nat, _) if !tracked => Some("the kernel refuses to load it: translation needs tracking before it"),
                (ChainKind::Nat, _) if alone => {
                    Some("the kernel translates at its own place in the hook; the priority orders nat chains, and this is the only one")
                }
                (ChainKind::Filter, Hook::Input | Hook::Forward) if alone => {
                    Some("nothing else of this table or of the kernel's own decides at this hook")
                }
                (ChainKind::Filter, Hook::Output) if alone && tracked => {
                    Some("it is still after connection tracking, and alone at this hook")
                }
                _ => None,
            }
        }
        Mutation::DropElement { .. } => None,
    }
}

fn passes_on(s: &Statement) -> bool {
    matches!(s, Statement::Log { .. } | Statement::Counter)
}

fn passive(s: &Statement) -> bool {
    matches!(
        s,
        Statement::Match { .. }
            | Statement::Lookup { .. }
            | Statement::Log { .. }
            | Statement::Counter
            | Statement::Limit { .. }
            | Statement::Dynamic { .. }
    )
}
