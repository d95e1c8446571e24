//! The plan's own rulesets against the model, on a hand-made site.

#[allow(dead_code, unused_imports)]
#[path = "../../plan/tests/common/mod.rs"]
mod common;

use reach::{Network, Prover, Question, Sender, conformance, policy};
use std::collections::BTreeMap;
use words::{HostName, ZoneName};

#[test]
fn the_plan_allows_exactly_what_the_model_does() {
    let model = common::model();
    let plan = plan::plan(&model, &plan::Devices::default(), plan::Options::default());
    let rulesets: BTreeMap<_, _> = plan.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect();
    let mut prover = Prover::new();
    let mut net = Network::new(&mut prover, &model, &rulesets, &BTreeMap::new());
    let policy = policy(net.store(), &model);
    for d in conformance(&mut net, &policy) {
        println!("{:?} {} {}: {} {:?}", d.side, d.host, d.place, d.witness, d.step);
    }
    for (from, to, port) in [("internet", "daemon1", "24001/tcp"), ("internet", "daemon1", "1234/tcp"), ("dmz", "daemon1", "1234/tcp"), ("internet", "fw-a", "22/tcp"), ("ops", "fw-a", "22/tcp"), ("dmz", "market1", "9/tcp")] {
        let q = Question { from: Sender::Zone(ZoneName::new(from).expect("zone")), to: HostName::new(to).expect("host"), target: Some(port.parse().expect("port")), family: None };
        let a = net.reach(&q);
        println!("{from} -> {to} {port}: {}\n   {a:?}", a.word());
    }
    let q = Question { from: Sender::Host(HostName::new("market1").expect("host")), to: HostName::new("daemon1").expect("host"), target: Some("1234/tcp".parse().expect("port")), family: None };
    let a = net.reach(&q);
    println!("market1 honest: {} {a:?}", a.word());
}
