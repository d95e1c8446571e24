//! A part of a generated site: a seeded sample of packets, the model, the proof over what the kernels hold, and the kernels.
//! `RAVELIN_LARGE_SEED` draws another sample of another site.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{
    build::Neighbours,
    enter::{self, Isolation},
    random::Dice,
    stage::Stage,
    truth,
    volley::Range,
};
use plan::Options;
use std::collections::BTreeSet;

/// Machines of the generated site; the edge holds the rules of all of them.
const HOSTS: usize = 100;
/// Machines of it that the lab builds, beside the edge.
const BUILT: usize = 40;
/// Packets tried.
const TUPLES: usize = 5_000;

#[test]
fn a_sample_of_a_generated_site() {
    if !common::inside("a_sample_of_a_generated_site") {
        return;
    }
    let seed = std::env::var("RAVELIN_LARGE_SEED").ok().and_then(|v| v.parse().ok()).unwrap_or(1);
    let mut model = common::read("generated.toml", &site::generate::generate(HOSTS, seed)).expect("a valid site");
    model.layers.network = site::model::Mode::Enforce;
    let kept = some_hosts(&model, seed);
    let stage = common::timed("built", || {
        Stage::build_part(model, Options::default(), Neighbours::Fixed, |name| kept.contains(name)).expect("built")
    });
    match (enter::isolation(), common::timed("loaded", || stage.load_all())) {
        (_, Ok(())) => {}
        (Isolation::MachineRoot, Err(e)) => panic!("the machine's root loads rulesets of any size: {e}"),
        (Isolation::OwnUsers, Err(e)) => {
            // The one trouble that is no fault of ours must be told as what it is; then there is nothing to be tried.
            let told = e.to_string();
            assert!(["Message too long", "No buffer space"].iter().any(|why| told.contains(why)), "the socket's limit is named: {told}");
            println!("SKIPPED: in a user namespace nft cannot raise its socket buffer, so the kernel refused the edge's ruleset ({told})");
            return;
        }
    }
    let services = catalog::builtin();
    let ports = truth::catalogue_ports(services.values().map(AsRef::as_ref), &stage.model);
    let cases = truth::sample(&stage.model, &stage.lab.topology, &ports, seed, TUPLES);
    let lands = cases.iter().filter(|c| matches!(c.fate, truth::Fate::Lands { .. })).count();
    println!("{} nodes, {} packets, {lands} of them allowed", stage.lab.topology.nodes.len(), cases.len());
    assert_eq!(cases.len(), TUPLES);
    assert!(lands > TUPLES / 10 && lands < TUPLES * 9 / 10, "both fates are tried");
    let proof = common::timed("proof", || common::proof(&stage, &cases));
    let mut range = Range::open(&stage.lab, stage.plan.machines.keys().map(|h| h.as_str().to_owned()).collect()).expect("range");
    range.count_elements(false);
    let kernel = common::timed("kernel", || common::fire(&stage, &mut range, &cases));
    common::none("kernel against model", &kernel);
    common::none("proof against model", &proof);
}

/// Names of hosts drawn by the seed, the edge apart.
fn some_hosts(model: &site::model::Model, seed: u64) -> BTreeSet<String> {
    let mut dice = Dice::new(seed);
    let mut all: Vec<String> = model.hosts.values().filter(|h| !h.edge).map(|h| h.name.as_str().to_owned()).collect();
    let mut kept = BTreeSet::new();
    while kept.len() < BUILT && !all.is_empty() {
        kept.insert(all.swap_remove(dice.below(all.len())));
    }
    kept
}
