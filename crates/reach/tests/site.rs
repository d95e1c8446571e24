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

fn holds(name: &str) {
    let site = Planned::example(name);
    let mut prover = Prover::new();
    let mut net = site.network(&mut prover);
    let found = reach::check(&mut net);
    let text: Vec<String> = found.iter().map(|v| v.diagnostic(&site.source).render(&site.source)).collect();
    assert!(text.is_empty(), "{}", text.join("\n"));
}

#[test]
fn single_host_violates_nothing() {
    holds("single-host");
}

#[test]
fn small_violates_nothing() {
    holds("small");
}

#[test]
fn curio_cluster_violates_nothing() {
    holds("curio-cluster");
}
