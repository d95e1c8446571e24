//! A proof brought up to date, and one on several threads, say what a whole proof says.

mod common;

use common::Planned;
use reach::{Proof, Prover, Violation};
use ruleset::form::{Rule, Ruleset, Statement, Verdict};
use std::collections::BTreeMap;
use words::HostName;

/// The same rules behind one that lets everything pass, or without their first set element.
fn changes(rules: &Ruleset) -> [Ruleset; 2] {
    let (mut open, mut narrow) = (rules.clone(), rules.clone());
    for chain in open.tables.iter_mut().flat_map(|t| &mut t.chains).filter(|c| c.name == "input" || c.name == "output") {
        let statements = vec![Statement::Verdict(Verdict::Accept)];
        chain.rules.insert(0, Rule { id: Some("by-hand".into()), statements, ..Rule::default() });
    }
    if let Some(set) = narrow.tables.iter_mut().flat_map(|t| t.sets.values_mut()).max_by_key(|s| s.elements.len()) {
        set.elements.pop();
    }
    [open, narrow]
}

fn whole(site: &Planned, host: &HostName, rules: &Ruleset) -> Vec<Violation> {
    let mut rulesets = site.rulesets.clone();
    rulesets.insert(host.clone(), rules.clone());
    let changed = Planned { source: site.source.clone(), model: site.model.clone(), rulesets };
    let mut prover = Prover::new();
    let mut found = reach::check(&mut changed.network(&mut prover));
    found.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
    for threads in [1, 3] {
        let parts = reach::prove(&changed.model, &changed.rulesets, &BTreeMap::new(), threads);
        assert_eq!(parts, found, "{host}: on {threads} threads");
    }
    found
}

fn agrees(name: &str) {
    let site = Planned::example(name);
    let changed: Vec<(&HostName, [Ruleset; 2])> = site.rulesets.iter().map(|(h, r)| (h, changes(r))).collect();
    let mut prover = Prover::new();
    let mut net = site.network(&mut prover);
    let mut proof = Proof::new(&mut net);
    let clean = proof.violations().to_vec();
    let mut violated = 0;
    for (host, rulesets) in &changed {
        for rules in rulesets {
            let found = proof.replace(host, rules);
            violated += found.len();
            assert_eq!(found, whole(&site, host, rules), "{name}: {host}");
        }
        assert_eq!(proof.replace(host, &site.rulesets[*host]), clean, "{name}: {host} as it was");
    }
    assert!(violated > 0, "{name}: no change was noticed");
}

#[test]
fn small_is_brought_up_to_date() {
    agrees("small");
}

#[test]
fn curio_cluster_is_brought_up_to_date() {
    agrees("curio-cluster");
}
