//! A proof brought up to date, and one on several threads, say what a whole proof says.

mod common;

use common::Planned;
use reach::{Proof, Prover, Violation};
use ruleset::form::{Rule, Ruleset, Statement, Value, Verdict};
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

/// The same rules with another element in one of their sets: one less, and one for another port.
fn elements(rules: &Ruleset, set: &str) -> [Ruleset; 2] {
    let (mut less, mut other) = (rules.clone(), rules.clone());
    let of = |r: &mut Ruleset, change: &dyn Fn(&mut ruleset::form::Set)| {
        r.tables.iter_mut().filter_map(|t| t.sets.get_mut(set)).for_each(change);
    };
    of(&mut less, &|s| drop(s.elements.pop()));
    of(&mut other, &|s| {
        if let Some(Value::Range(first, last)) = s.elements.first_mut().and_then(|e| e.key.last_mut()) {
            (*first, *last) = (*first ^ 1, *first ^ 1);
        }
    });
    [less, other]
}

fn whole(site: &Planned, changes: &[(&HostName, &Ruleset)]) -> Vec<Violation> {
    let mut rulesets = site.rulesets.clone();
    for (host, rules) in changes {
        rulesets.insert((*host).clone(), (*rules).clone());
    }
    let changed = Planned { source: site.source.clone(), model: site.model.clone(), rulesets };
    let hosts: Vec<&HostName> = changes.iter().map(|(h, _)| *h).collect();
    let mut prover = Prover::new();
    let mut found = reach::check(&mut changed.network(&mut prover));
    found.sort_by(|a, b| (a.code, &a.host).cmp(&(b.code, &b.host)));
    for threads in [1, 3] {
        let parts = reach::prove(&changed.model, &changed.rulesets, &BTreeMap::new(), threads);
        assert_eq!(parts, found, "{hosts:?}: on {threads} threads");
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
            let found = proof.replace(&[(host, rules)]);
            violated += found.len();
            assert_eq!(found, whole(&site, &[(host, rules)]), "{name}: {host}");
        }
        assert_eq!(proof.replace(&[(host, &site.rulesets[*host])]), clean, "{name}: {host} as it was");
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

/// Hosts of the generated site.
const HOSTS: usize = 30;
/// Every how many sets of an edge node one is changed: each costs several whole proofs.
const EVERY: usize = 6;

/// One element on one edge node, then on both.
fn edges_agree(name: &str, site: &Planned) {
    let nodes = &site.model.edge.nodes;
    let sets: Vec<&String> =
        site.rulesets[&nodes[0]].tables.iter().flat_map(|t| &t.sets).filter(|(_, s)| s.map.is_none()).map(|(n, _)| n).collect();
    let changed: Vec<Vec<[Ruleset; 2]>> =
        sets.iter().step_by(EVERY).map(|set| nodes.iter().map(|n| elements(&site.rulesets[n], set)).collect()).collect();
    let mut prover = Prover::new();
    let mut net = site.network(&mut prover);
    let mut proof = Proof::new(&mut net);
    let clean = proof.violations().to_vec();
    let as_it_was: Vec<(&HostName, &Ruleset)> = nodes.iter().map(|n| (n, &site.rulesets[n])).collect();
    let mut violated = 0;
    for (of_nodes, set) in changed.iter().zip(sets.iter().step_by(EVERY)) {
        for kind in 0..2 {
            let both: Vec<(&HostName, &Ruleset)> = nodes.iter().zip(of_nodes).map(|(n, r)| (n, &r[kind])).collect();
            for changes in [&both[..1], &both] {
                let found = proof.replace(changes);
                violated += found.len();
                assert_eq!(found, whole(site, changes), "{name}: {set}, change {kind} on {}", changes.len());
                assert_eq!(proof.replace(&as_it_was), clean, "{name}: {set} as it was");
            }
            // Without a stop where nothing is violated on the way.
            proof.replace(&both);
            assert_eq!(proof.replace(&as_it_was), clean, "{name}: {set} on both, as it was");
        }
    }
    assert!(violated > 0, "{name}: no change was noticed");
}

#[test]
fn the_edge_of_small_is_brought_up_to_date() {
    edges_agree("small", &Planned::example("small"));
}

#[test]
fn the_edge_of_a_generated_site_is_brought_up_to_date() {
    edges_agree("generated", &Planned::read("site.toml", &site::generate(HOSTS, 1)));
}

/// Lines an operator adds to the small site: between zones, within one, for a whole zone, to a machine whose port nobody may have.
const ADDED: [&str; 5] = [
    "[[allow]]\nfrom = \"mon1\"\nto = \"daemon1\"\nport = \"7070/tcp\"\nwhy = \"a probe\"\n",
    "[[allow]]\nfrom = \"worker1\"\nto = \"worker2\"\nport = \"7071/udp\"\nwhy = \"a probe\"\n",
    "[[allow]]\nfrom = \"ops\"\nto = \"db1\"\nport = \"7072/tcp\"\nwhy = \"a probe\"\n",
    "[[allow]]\nfrom = \"dmz\"\nto = \"mon1\"\nport = \"9090/tcp\"\nwhy = \"a mistake\"\nuntil = \"2027-01-01\"\n",
    "[[storage]]\nkind = \"nfs4\"\nhost = \"nas1\"\nusers = [\"db1\"]\n",
];

/// What a proof that followed from one site to another says, against a whole proof; `None` where it could not follow.
fn followed(before: &Planned, after: &Planned, applied: bool) -> Option<usize> {
    let mut prover = Prover::new();
    let mut net = before.network(&mut prover);
    let mut proof = Proof::new(&mut net);
    let clean = proof.violations().to_vec();
    let rulesets = if applied { &after.rulesets } else { &before.rulesets };
    let changes: Vec<(&HostName, &Ruleset)> = rulesets.iter().filter(|(h, r)| before.rulesets.get(*h) != Some(*r)).collect();
    let found = proof.follow(&after.model, &changes)?.to_vec();
    let state = Planned { source: after.source.clone(), model: after.model.clone(), rulesets: rulesets.clone() };
    assert_eq!(found, whole(&state, &[]));
    let back: Vec<(&HostName, &Ruleset)> = changes.iter().map(|(h, _)| (*h, &before.rulesets[*h])).collect();
    assert_eq!(proof.follow(&before.model, &back)?, clean, "back again");
    Some(found.len())
}

#[test]
fn an_added_line_is_followed() {
    let small = Planned::example("small");
    let text = small.source.text();
    let mut violated = 0;
    for line in ADDED {
        // At the end, and where every line behind it moves.
        for at in [text.len(), text.find("[[publish]]").expect("a published service")] {
            let changed = format!("{}\n{line}\n{}", &text[..at], &text[at..]);
            let changed = Planned::read("site.toml", &changed);
            for applied in [true, false] {
                violated += followed(&small, &changed, applied).unwrap_or_else(|| panic!("not followed: {line}"));
            }
        }
    }
    assert!(violated > 0, "rulesets from before the line were taken for those behind it");
}

#[test]
fn a_line_less_is_followed_or_refused() {
    let small = Planned::example("small");
    let text = small.source.text();
    let (mut told, mut refused) = (0, 0);
    for (n, _) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
        let less: String = text.lines().enumerate().filter(|(i, _)| *i != n).map(|(_, l)| format!("{l}\n")).collect();
        let source = words::SourceFile::new("site.toml", less.clone());
        if site::read(&source, "2026-01-01").model.is_none() {
            continue;
        }
        match followed(&small, &Planned::read("site.toml", &less), true) {
            Some(_) => told += 1,
            None => refused += 1,
        }
    }
    assert!(told >= 5 && refused >= 5, "{told} followed, {refused} refused");
}
