//! Attempts and attacks against the examples, with counters as witnesses.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{
    attempt::{Group, attack, legitimate},
    build::Neighbours,
    demo, listen,
    stage::Stage,
    trial::Trial,
};
use plan::Options;
use std::collections::BTreeMap;

fn tried(test: &str, example: &str) {
    if !common::inside(test) {
        return;
    }
    let stage = Stage::build(common::example(example), Options::default(), Neighbours::Dynamic).expect("built");
    stage.load_all().expect("loaded");
    let sockets = listen::serve(&stage.lab, &demo::ports(&stage)).expect("listeners");
    let (legitimate, unplayed) = legitimate::attempts(&stage.model, &stage.lab.topology);
    let attacks = attack::attempts(&stage.model, &stage.lab.topology);
    println!("{sockets} sockets, {} flows' legs, {} not played: {unplayed:?}", legitimate.len(), unplayed.len());
    let mut groups: BTreeMap<Group, usize> = BTreeMap::new();
    for a in &attacks {
        *groups.entry(a.group).or_default() += 1;
    }
    println!("{} attacks: {groups:?}", attacks.len());
    let mut trial = Trial::new(&stage.lab, &stage.model, &stage.plan).expect("trial");
    let good = common::timed("legitimate", || trial.together(&legitimate).expect("connections"));
    let bad = common::timed("attacks", || {
        trial
            .run(&attacks, |r| {
                if !r.right {
                    println!("{}", demo::line(r))
                }
            })
            .expect("attacks")
    });
    let wrong: Vec<String> = good.iter().chain(&bad).filter(|r| !r.right).map(demo::line).collect();
    common::none("attempts", &wrong);
    let stopped = bad.iter().filter(|r| r.attempt.expected == lab::attempt::Expected::Stopped);
    assert!(stopped.into_iter().all(|r| !r.decided.is_empty()), "every attack names the rule that decided it");
}

#[test]
fn small() {
    tried("small", "small");
}

#[test]
fn curio_cluster() {
    tried("curio_cluster", "curio-cluster");
}

#[test]
fn single_host() {
    tried("single_host", "single-host");
}
