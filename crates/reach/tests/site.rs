//! The plan's own rulesets against the model, on the example sites.

mod common;

use common::Planned;
use reach::{Prover, conformance, policy};

fn conforms(name: &str) {
    let site = Planned::example(name);
    let mut prover = Prover::new();
    let mut net = site.network(&mut prover);
    let policy = policy(net.store(), &site.model);
    let found = conformance(&mut net, &policy);
    let lines: Vec<String> = found.iter().map(|d| format!("{:?} {} {}: {:?} {:?}", d.side, d.host, d.place, d.witness, d.step)).collect();
    assert!(lines.is_empty(), "{}", lines.join("\n"));
}

#[test]
fn single_host_filters_exactly_what_the_model_says() {
    conforms("single-host");
}

#[test]
fn small_filters_exactly_what_the_model_says() {
    conforms("small");
}

#[test]
fn curio_cluster_filters_exactly_what_the_model_says() {
    conforms("curio-cluster");
}
