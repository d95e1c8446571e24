//! Waves of generated sites: every machine once, the edge first, the standby before the node that hands over, who is asked before who asks,
//! one of each kind ahead, the operators last, sizes and their number bounded.

use rollout::order::{LAYERS, MOST, waves};
use site::model::{Model, Party};
use std::collections::BTreeSet;
use words::{HostName, SourceFile};

fn read(text: &str) -> Model {
    let source = SourceFile::new("site.toml", text.to_owned());
    let outcome = site::read(&source, "2026-11-22");
    let told = outcome.render(&source);
    outcome.model.unwrap_or_else(|| panic!("{told}"))
}

fn managed(model: &Model) -> BTreeSet<HostName> {
    model.hosts.values().filter(|h| h.managed).map(|h| h.name.clone()).collect()
}

fn small() -> Model {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/small/site.toml");
    read(&std::fs::read_to_string(path).expect("the example"))
}

#[test]
fn the_pair_goes_first_standby_before_active() {
    let model = small();
    let nodes = model.edge.nodes.clone();
    assert_eq!(nodes.len(), 2);
    for active in &nodes {
        let all = waves(&model, &managed(&model), Some(active));
        let standby = nodes.iter().find(|n| *n != active).expect("two");
        assert_eq!((&all[0].machines, &all[0].drained), (&vec![standby.clone()], &None));
        assert_eq!((&all[1].machines, &all[1].drained), (&vec![active.clone()], &Some(active.clone())));
    }
    let nobody = waves(&model, &managed(&model), None);
    assert!(nobody.iter().all(|w| w.drained.is_none()), "there is no election to move");
    assert_eq!(nobody[0].machines, [nodes[1].clone()]);
}

#[test]
fn every_machine_once_in_bounded_waves() {
    for (hosts, seed) in [(20, 1), (100, 2), (300, 3)] {
        let model = read(&site::generate::generate(hosts, seed));
        let changed = managed(&model);
        let all = waves(&model, &changed, model.edge.nodes.first());
        let named: Vec<&HostName> = all.iter().flat_map(|w| &w.machines).collect();
        assert_eq!(named.len(), changed.len());
        assert_eq!(named.into_iter().cloned().collect::<BTreeSet<_>>(), changed);
        assert!(all.iter().all(|w| !w.machines.is_empty() && w.machines.len() <= MOST));
        assert!(all.len() <= 2 + 2 * (LAYERS + 1) + changed.len() / MOST + 1, "{hosts} hosts: {} waves", all.len());
        // Only some change: the others are in no wave.
        let some: BTreeSet<HostName> = changed.iter().step_by(3).cloned().collect();
        let named: BTreeSet<HostName> = waves(&model, &some, None).into_iter().flat_map(|w| w.machines).collect();
        assert_eq!(named, some);
    }
}

#[test]
fn who_is_asked_changes_before_who_asks_and_operators_last() {
    let model = read(
        "[site]\nmanagement = { from = [\"ops\"] }\n[zones]\na = { vlan = 1, subnets = [\"10.1.0.0/24\"] }\nops = { vlan = 2, subnets = [\"10.2.0.0/24\"] }\n\
         [hosts]\nwatch = { zone = \"ops\", address = \"10.2.0.5\" }\n\
         daemon = { zone = \"a\", address = \"10.1.0.5\", runs = [\"lotus\"] }\nminer = { zone = \"a\", address = \"10.1.0.6\", runs = [\"lotus-miner\"] }\n",
    );
    let asks = |from: &str, to: &str| {
        model.flows.iter().any(|f| matches!((&f.from, &f.to), (Party::Host(a), Party::Host(b)) if a.as_str() == from && b.as_str() == to))
    };
    let at = |name: &str, all: &[rollout::Wave]| all.iter().position(|w| w.machines.iter().any(|m| m.as_str() == name)).expect("in a wave");
    let all = waves(&model, &managed(&model), None);
    assert!(asks("miner", "daemon") && !asks("daemon", "miner"), "what the catalogue says of the two");
    assert!(at("daemon", &all) < at("miner", &all), "{all:?}");
    assert_eq!(at("watch", &all), all.len() - 1, "{all:?}");
}
