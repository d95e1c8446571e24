//! Differences in words, and rules that never decide.

mod common;

use common::{Planned, host};
use reach::{Prover, Store, difference, snapshot};
use ruleset::form::{Rule, Statement, Value, Verdict};

#[test]
fn a_missing_element_closes_what_it_opened_and_nothing_else() {
    let site = Planned::example("small");
    let mut prover = Prover::new();
    let mut net = site.network(&mut prover);
    let before = snapshot(&mut net);
    let same = snapshot(&mut net);
    assert!(difference(&before, &same, &mut net).is_empty());
    let mut changed = Planned::example("small");
    let table = &mut changed.rulesets.get_mut(&host("daemon1")).expect("daemon1").tables[0];
    let mut taken = 0;
    for s in table.sets.values_mut() {
        let n = s.elements.len();
        s.elements.retain(|e| !(e.key.last() == Some(&Value::one(1234u128)) && e.key[0] == Value::one(0x0a14_0a0b_u128)));
        taken += n - s.elements.len();
    }
    assert!(taken > 0, "the example lost its flow from market1");
    let mut net = changed.network(&mut prover);
    let after = snapshot(&mut net);
    let text: String = difference(&before, &after, &mut net).iter().map(ToString::to_string).collect();
    assert_eq!(text, "no longer reachable (daemon1 into): market1 -> daemon1 1234/tcp v4\n");
}

#[test]
fn a_rule_behind_one_that_takes_everything_is_dead() {
    let mut site = Planned::example("small");
    let table = &mut site.rulesets.get_mut(&host("daemon1")).expect("daemon1").tables[0];
    let chain = table.chains.iter_mut().find(|c| c.name == "input").expect("input");
    chain.rules.insert(0, Rule { id: Some("all".into()), statements: vec![Statement::Verdict(Verdict::Drop)], ..Rule::default() });
    let rules = chain.rules.len();
    let mut prover = Prover::new();
    let net = site.network(&mut prover);
    let place = net.machine(&host("daemon1")).expect("daemon1").place.clone();
    let found = reach::dead(&mut Store::new(), &site.rulesets[&host("daemon1")], &place);
    let behind = found.iter().filter(|d| d.chain == "input" && d.element.is_none() && d.reason == reach::dead::Reason::NotReached).count();
    assert_eq!(behind, rules - 1);
}
