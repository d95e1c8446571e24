//! Mutations of planned rulesets: whatever is dropped, flipped or moved, the ruleset no longer conforms to the model, or an
//! expectation on a single packet fails, or the mutation is shown to change no verdict. Conformance is the proof's
//! (`reach`), held against the kernel by the lab; the expectations cover what conformance leaves aside (ICMP, the pair's
//! advertisements, source translation) and ask for the id that refused, which is what its counter proves.

mod common;
mod expect;

use expect::Expectation;
use reach::{Network, Prover, conformance, policy};
use ruleset::{Ruleset, mutate};
use site::model::{Mode, Model};
use std::collections::BTreeMap;
use words::HostName;

fn example(name: &str) -> Model {
    let mut model = common::example(name);
    model.layers.network = Mode::Enforce;
    model
}

/// Mutations of this plan's own shape that change no verdict, with the reason.
const GUARD_ANYWHERE: &[(&str, &str)] = &[(
    "chain guard moved to priority",
    "the guard looks at device, source and ICMP type; neither tracking nor destination translation, the only others at this \
     hook, changes one of them. It stands first so that a lie costs no tracking entry",
)];

/// What was found of one machine's mutations.
#[derive(Default)]
struct Found {
    count: usize,
    equivalent: usize,
    survivors: Vec<String>,
}

fn mutations(model: &Model, host: &HostName) -> Found {
    let plan = plan::plan(model, &plan::Devices::default(), plan::Options::default());
    let table = &plan.machines[host].ruleset.tables[0];
    let expectations = expect::of(model, host);
    let mut out = Found::default();
    let all = mutate::all(table);
    for chunk in all.chunks(64) {
        // A prover remembers every set it has seen: a new one now and then keeps it small.
        let mut prover = Prover::new();
        for mutation in chunk {
            out.count += 1;
            let broken = Ruleset { tables: vec![mutate::apply(table, mutation)], unread: vec![] };
            let rulesets = BTreeMap::from([(host.clone(), broken)]);
            let mut net = Network::new(&mut prover, model, &rulesets, &BTreeMap::new());
            let policy = policy(net.store(), model);
            let noticed = {
                let machine = net.machine(host).expect("machine");
                expectations.iter().any(|e| e.check(&rulesets[host], &machine.place).is_err()) || !conformance(&mut net, &policy).is_empty()
            };
            if noticed {
                continue;
            }
            let known = GUARD_ANYWHERE.iter().any(|(start, _)| mutation.to_string().starts_with(start));
            if known || mutate::equivalent(table, mutation).is_some() {
                out.equivalent += 1;
                continue;
            }
            let rule = match mutation {
                mutate::Mutation::DropRule { chain, index } => emit::nft::rule(table, &table.chain(chain).expect("chain").rules[*index]),
                mutate::Mutation::DropElement { set, index } => format!("{:?}", table.sets[set].elements[*index]),
                _ => String::new(),
            };
            out.survivors.push(format!("{mutation}: {rule}"));
        }
    }
    out
}

fn expectations_hold(model: &Model, host: &HostName) {
    let plan = plan::plan(model, &plan::Devices::default(), plan::Options::default());
    let rulesets = BTreeMap::from([(host.clone(), plan.machines[host].ruleset.clone())]);
    let mut prover = Prover::new();
    let net = Network::new(&mut prover, model, &rulesets, &BTreeMap::new());
    let place = &net.machine(host).expect("machine").place;
    let wrong: Vec<String> = expect::of(model, host).iter().filter_map(|e: &Expectation| e.check(&rulesets[host], place).err()).collect();
    assert!(wrong.is_empty(), "{host}:\n{}", wrong.join("\n"));
}

fn every_mutation_is_noticed(site: &str, host: &str) {
    let model = example(site);
    let host = HostName::new(host).expect("name");
    expectations_hold(&model, &host);
    let found = mutations(&model, &host);
    assert!(found.count > 100 && found.equivalent < found.count / 4, "{}", found.count);
    assert!(found.survivors.is_empty(), "{site} {host}: {} of {}\n{}", found.survivors.len(), found.count, found.survivors.join("\n"));
}

#[test]
fn of_a_single_host() {
    every_mutation_is_noticed("single-host", "sp1");
}

#[test]
fn of_a_host_behind_an_edge() {
    every_mutation_is_noticed("small", "daemon1");
}

#[test]
fn of_an_edge_node() {
    every_mutation_is_noticed("small", "fw-a");
}
