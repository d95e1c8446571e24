//! Plans against the real nft: it takes them, and what it gives back is what was meant.

mod common;

use plan::{Devices, Options};
use ruleset::TableFamily;
use site::model::Mode;

#[test]
fn the_kernel_takes_every_plan() {
    for mode in [Mode::Enforce, Mode::Observe] {
        let mut model = common::model();
        model.layers.network = mode;
        let plan = plan::plan(&model, &Devices::default(), Options::default());
        assert_eq!(plan.machines.len(), 5);
        for (host, machine) in &plan.machines {
            let script = emit::nft::script(&machine.ruleset, TableFamily::Inet, plan::TABLE);
            let json = common::load(&script).unwrap_or_else(|e| panic!("{host} {mode:?}: {e}\n{script}"));
            let live = ruleset::nft::read(&json).expect("reads");
            let differences = ruleset::compare(&machine.ruleset, &live);
            assert!(differences.is_empty(), "{host} {mode:?}: {differences:#?}\n{script}");
            assert_eq!(ruleset::canonical::digest(&machine.ruleset), ruleset::canonical::digest(&live), "{host}");
        }
    }
}

/// The example sites, read as the command line reads them.
fn example(name: &str) -> site::Model {
    let path = format!("{}/../../examples/{name}/site.toml", env!("CARGO_MANIFEST_DIR"));
    let source = words::SourceFile::new("site.toml", std::fs::read_to_string(&path).expect(&path));
    let outcome = site::read(&source, "2026-11-22");
    let text = outcome.render(&source);
    outcome.model.expect(&text)
}

#[test]
fn the_kernel_takes_the_examples_and_gives_them_back() {
    for name in ["small"] {
        let model = example(name);
        let plan = plan::plan(&model, &Devices::default(), Options::default());
        for (host, machine) in &plan.machines {
            let script = emit::nft::script(&machine.ruleset, TableFamily::Inet, plan::TABLE);
            if let Ok(dir) = std::env::var("RAVELIN_DUMP") {
                std::fs::write(format!("{dir}/{name}-{host}.nft"), &script).expect("dumped");
            }
            let json = common::load(&script).unwrap_or_else(|e| panic!("{host}: {e}\n{script}"));
            let differences = ruleset::compare(&machine.ruleset, &ruleset::nft::read(&json).expect("reads"));
            assert!(differences.is_empty(), "{host}: {differences:#?}");
        }
    }
}

#[test]
fn every_id_is_explained() {
    let plan = plan::plan(&common::model(), &Devices::default(), Options::default());
    for machine in plan.machines.values() {
        for id in common::ids(&machine.ruleset.tables[0]) {
            assert!(machine.rules.contains_key(&id), "{}: {id} is not explained", machine.host);
        }
    }
}

#[test]
fn off_means_no_table() {
    let mut model = common::model();
    model.layers.network = Mode::Off;
    let plan = plan::plan(&model, &Devices::default(), Options::default());
    assert!(plan.machines.values().all(|m| m.ruleset.tables.is_empty() && m.sysctls.is_empty()));
}

#[test]
fn break_glass_is_taken_too() {
    let model = common::model();
    for host in model.hosts.keys() {
        let rules = plan::break_glass(&model, &Devices::default(), host).expect("managed");
        common::load(&emit::nft::script(&rules, TableFamily::Inet, plan::TABLE)).expect("taken");
    }
}

#[test]
fn every_mutation_is_seen_on_reading_back() {
    let plan = plan::plan(&common::model(), &Devices::default(), Options::default());
    let mut count = 0;
    for machine in plan.machines.values() {
        let table = &machine.ruleset.tables[0];
        for mutation in ruleset::mutate::all(table) {
            let broken = ruleset::Ruleset { tables: vec![ruleset::mutate::apply(table, &mutation)], unread: vec![] };
            assert!(!ruleset::compare(&machine.ruleset, &broken).is_empty(), "{}: {mutation} is not seen", machine.host);
            count += 1;
        }
    }
    assert!(count > 500, "{count}");
}
