//! `bundle::narrower` against the proof: over planned sites, whatever it calls narrower opens nothing. It sees form alone; here the
//! prover says what the form means.

mod common;

use bundle::{Artefact, Draft, Expected, Management, narrower::narrower};
use common::Planned;
use reach::{Prover, diff::Direction, difference, snapshot};
use ruleset::form::{Policy, Ruleset, Table, TableFamily};
use std::collections::BTreeMap;
use words::{Digest, Generation, HostName};

/// Elements of a machine that are taken one by one and proved; each costs a proof of the whole site.
const PROVED: usize = 2;

/// The machine's bundle as the emitter writes it.
fn draft(machine: &HostName, rules: &Ruleset) -> Draft {
    Draft {
        schema: bundle::content::SCHEMA,
        machine: machine.clone(),
        generation: Generation(1),
        parent: None,
        site: Digest::of(b"site"),
        layers: BTreeMap::new(),
        artefacts: vec![Artefact::Nft { text: emit::nft::script(rules, TableFamily::Inet, "ravelin") }],
        expected: Expected { ruleset: Some(rules.clone()) },
        management: Management::default(),
        break_glass: String::new(),
        probes: vec![],
        seeds: vec![],
    }
}

fn with(rules: &Ruleset, table: Table) -> Ruleset {
    Ruleset { tables: vec![table], unread: rules.unread.clone() }
}

/// Every table with one rule gone or one policy turned round.
fn without_a_rule(table: &Table) -> Vec<Table> {
    let mut out = Vec::new();
    for (c, chain) in table.chains.iter().enumerate() {
        for r in 0..chain.rules.len() {
            let mut one = table.clone();
            one.chains[c].rules.remove(r);
            out.push(one);
        }
        if chain.base.is_some() {
            let mut one = table.clone();
            let base = one.chains[c].base.as_mut().expect("a base");
            base.policy = if base.policy == Policy::Drop { Policy::Accept } else { Policy::Drop };
            out.push(one);
        }
    }
    out
}

/// Every table with one element of a set gone, with the set's name.
fn without_an_element(table: &Table) -> Vec<(String, Table)> {
    let mut out = Vec::new();
    for (name, set) in &table.sets {
        for e in 0..set.elements.len() {
            let mut one = table.clone();
            one.sets.get_mut(name).expect("a set").elements.remove(e);
            out.push((name.clone(), one));
        }
    }
    out
}

/// What these rulesets let through that the site's own do not, in words.
fn opened(site: &Planned, changed: &BTreeMap<HostName, Ruleset>) -> String {
    let mut prover = Prover::new();
    let before = snapshot(&mut site.network(&mut prover));
    let mut net = reach::Network::new(&mut prover, &site.model, changed, &BTreeMap::new());
    let after = snapshot(&mut net);
    let all = difference(&before, &after, &mut net);
    assert!(!all.is_empty(), "a mutation that changes nothing proves nothing");
    all.iter().filter(|c| c.direction == Direction::Opened).map(ToString::to_string).collect()
}

#[test]
fn what_it_calls_narrower_opens_nothing() {
    for name in ["small", "single-host"] {
        let site = Planned::example(name);
        let mut called = 0;
        for (host, rules) in &site.rulesets {
            let table = &rules.tables[0];
            let old = draft(host, rules);
            assert!(narrower(&old, &old));
            let mut proved = 0;
            let mut emptied = table.clone();
            for one in without_a_rule(table) {
                assert!(!narrower(&old, &draft(host, &with(rules, one))), "{name}: {host}: a rule or policy");
            }
            for (set, one) in without_an_element(table) {
                let mutated = with(rules, one);
                let new = draft(host, &mutated);
                if !narrower(&old, &new) {
                    continue;
                }
                assert!(!narrower(&new, &old), "{name}: {host}: set {set}, and back");
                emptied.sets.get_mut(&set).expect("a set").elements.clear();
                called += 1;
                proved += 1;
                if proved <= PROVED {
                    let mut changed = site.rulesets.clone();
                    changed.insert(host.clone(), mutated);
                    assert_eq!(opened(&site, &changed), "", "{name}: {host}: set {set}");
                }
            }
            if emptied != *table {
                let mutated = with(rules, emptied);
                assert!(narrower(&old, &draft(host, &mutated)), "{name}: {host}: all of it at once");
                let mut changed = site.rulesets.clone();
                changed.insert(host.clone(), mutated);
                assert_eq!(opened(&site, &changed), "", "{name}: {host}");
            }
        }
        assert!(called > 0, "{name}: no element was called narrower: the rule says nothing about real plans");
    }
}
