//! Edges, one technique one file. In come machine and account, out come edges. A *trigger* is a path that somebody acts on:
//! who decides what is found at that path acts as that somebody; accounts are held against all triggers together.

pub mod cron;
pub mod group;
pub mod linker;
pub mod logrotate;
pub mod places;
pub mod polkit;
pub mod process;
pub mod program;
pub mod secret;
pub mod set_id;
pub mod ssh;
pub mod su;
pub mod sudo;
pub mod unit;

use crate::{
    graph::{Edge, Evidence, Node},
    machine::Machine,
    technique::Technique,
};
use facts::Account;
use std::collections::BTreeMap;

/// A path somebody acts on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trigger {
    /// The path.
    pub path: String,
    /// Who acts.
    pub runner: Node,
    /// How.
    pub technique: Technique,
    /// Why it is known.
    pub evidence: Evidence,
    /// Deciding what is found there surely acts as the runner.
    pub certain: bool,
}

impl Trigger {
    /// A certain one.
    pub fn new(path: impl Into<String>, runner: Node, technique: Technique, evidence: Evidence) -> Self {
        Self { path: path.into(), runner, technique, evidence, certain: true }
    }
}

/// Every trigger of the machine, sorted.
pub fn triggers(m: &Machine) -> Vec<Trigger> {
    let mut out = Vec::new();
    unit::triggers(m, &mut out);
    cron::triggers(m, &mut out);
    logrotate::triggers(m, &mut out);
    linker::triggers(m, &mut out);
    places::triggers(m, &mut out);
    ssh::triggers(m, &mut out);
    out.sort();
    out.dedup();
    out
}

/// Edges of one account. Those of files it can change go on to whoever acts on them.
pub fn of_account(m: &Machine, account: &Account, triggers: &[Trigger]) -> Vec<Edge> {
    let mut out = Vec::new();
    sudo::edges(m, account, &mut out);
    su::edges(m, account, &mut out);
    polkit::edges(m, account, &mut out);
    group::edges(m, account, &mut out);
    set_id::edges(m, account, &mut out);
    process::edges(m, account, &mut out);
    secret::edges(m, account, &mut out);
    writes(m, account, triggers, &mut out);
    out
}

/// Edges of a group's membership.
pub fn of_group(m: &Machine, group: &str) -> Vec<Edge> {
    group::root_edges(m, group)
}

/// Most pieces of evidence of one edge.
const MOST_EVIDENCE: usize = 4;

fn writes(m: &Machine, account: &Account, triggers: &[Trigger], out: &mut Vec<Edge>) {
    let from = Node::Account(account.name.clone());
    let mut held: BTreeMap<(&str, bool), Vec<crate::access::Hold>> = BTreeMap::new();
    let mut by_place: BTreeMap<(Node, Node, Technique, bool), Vec<Evidence>> = BTreeMap::new();
    let mut firsts: BTreeMap<(Node, bool), Evidence> = BTreeMap::new();
    for t in triggers.iter().filter(|t| t.runner != from) {
        let holds = held.entry((&t.path, true)).or_insert_with(|| m.holds(account, &t.path));
        for hold in holds.iter() {
            let place = Node::File(hold.at.clone());
            firsts.entry((place.clone(), hold.certain)).or_insert_with(|| Machine::evidence(hold));
            let evidence = by_place.entry((place, t.runner.clone(), t.technique, t.certain)).or_default();
            if evidence.len() < MOST_EVIDENCE && !evidence.contains(&t.evidence) {
                evidence.push(t.evidence.clone());
            }
        }
    }
    for ((place, certain), evidence) in firsts {
        out.push(Edge { from: from.clone(), to: place, technique: Technique::Write, certain, evidence: vec![evidence] });
    }
    for ((place, runner, technique, certain), evidence) in by_place {
        out.push(Edge { from: place, to: runner, technique, certain, evidence });
    }
}

/// An edge from an account.
pub(crate) fn edge(account: &Account, to: Node, technique: Technique, certain: bool, evidence: Vec<Evidence>) -> Edge {
    Edge { from: Node::Account(account.name.clone()), to, technique, certain, evidence }
}
