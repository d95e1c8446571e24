//! `bundle::narrower` against the proof: over planned sites, whatever it calls narrower opens nothing. It sees form alone; here the
//! prover says what the form means.

mod common;

use bundle::{Artefact, Draft, Expected, Management, narrower::narrower};
use common::Planned;
use reach::{Prover, diff::Direction, difference, snapshot};
use ruleset::{
    form::{Ruleset, Table, TableFamily},
    mutate::{self, Mutation},
};
use std::collections::BTreeMap;
use words::{Digest, Generation, HostName};

/// Elements of a machine that are taken one by one and proved; each costs a proof of the whole site.
const PROVED: usize = 4;

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
            for mutation in mutate::all(table) {
                let mutated = with(rules, mutate::apply(table, &mutation));
                let new = draft(host, &mutated);
                let Mutation::DropElement { set, .. } = &mutation else {
                    assert!(!narrower(&old, &new), "{name}: {host}: {mutation}");
                    continue;
                };
                if !narrower(&old, &new) {
                    continue;
                }
                assert!(!narrower(&new, &old), "{name}: {host}: {mutation}, and back");
                emptied.sets.get_mut(set).expect("a set").elements.clear();
                called += 1;
                proved += 1;
                if proved <= PROVED {
                    let mut changed = site.rulesets.clone();
                    changed.insert(host.clone(), mutated);
                    assert_eq!(opened(&site, &changed), "", "{name}: {host}: {mutation}");
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
        assert!(called > 5, "{name}: only {called} elements were called narrower: the rule says nothing about real plans");
    }
}
