//! The whole truth of examples whose hosts UFW filters: every ordered pair of machines, every port of the catalogue, both families;
//! the model, the proof over what the kernels hold in UFW's chains, and the kernels themselves.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{build::Neighbours, stage::Stage, truth, volley::Range};
use plan::Options;
use site::model::Firewall;

fn whole(test: &str, example: &str) {
    if !common::inside(test) {
        return;
    }
    let mut model = common::example(example);
    for host in model.hosts.values_mut().filter(|h| !h.edge) {
        host.firewall = Firewall::Ufw;
    }
    let stage = common::timed("built", || Stage::build(model, Options::default(), Neighbours::Fixed).expect("built"));
    assert!(stage.plan.machines.values().any(|m| m.ufw.is_some()), "UFW filters some");
    common::timed("loaded", || stage.load_all().expect("loaded"));
    let services = catalog::builtin();
    let ports = truth::catalogue_ports(services.values().map(AsRef::as_ref), &stage.model);
    let mut cases = truth::cross(&stage.model, &stage.lab.topology, &ports, |_, _| true);
    cases.extend(truth::published(&stage.model, &stage.lab.topology, &ports));
    let lands = cases.iter().filter(|c| matches!(c.fate, truth::Fate::Lands { .. })).count();
    println!("{example}: {} packets, {lands} of them allowed", cases.len());
    assert!(lands > 0 && lands < cases.len());
    let proof = common::timed("proof", || common::proof(&stage, &cases));
    let mut range = Range::open(&stage.lab, truth::filtering(&stage.model)).expect("range");
    range.count_elements(false);
    let kernel = common::timed("kernel", || common::fire(&stage, &mut range, &cases));
    common::none("kernel against model", &kernel);
    common::none("proof against model", &proof);
}

#[test]
fn single_host() {
    whole("single_host", "single-host");
}

#[test]
fn small() {
    whole("small", "small");
}
