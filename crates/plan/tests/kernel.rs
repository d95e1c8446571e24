//! Plans against the real nft: it takes them, and what it gives back is what was meant.

mod common;

use common::example;
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

#[test]
fn the_kernel_takes_the_examples_and_gives_them_back() {
    let directory = format!("{}/../../examples", env!("CARGO_MANIFEST_DIR"));
    let mut names: Vec<String> =
        std::fs::read_dir(directory).expect("examples").map(|e| e.expect("entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    assert!(names.contains(&"small".to_owned()));
    for name in names {
        let model = example(&name);
        let plan = plan::plan(&model, &Devices::default(), Options::default());
        for (host, machine) in &plan.machines {
            let script = emit::nft::script(&machine.ruleset, TableFamily::Inet, plan::TABLE);
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

/// Golden text, also taken by nft above: a change of the emitted ruleset is seen in review. `RAVELIN_BLESS=1` writes it anew.
#[test]
fn the_scripts_are_the_golden_ones() {
    let model = common::model();
    let plan = plan::plan(&model, &Devices::default(), Options::default());
    let files = emit::render::files(&model, &plan, &Devices::default());
    let cases = [
        "fw-a/ravelin.nft",
        "fw-a/90-ravelin.conf",
        "fw-a/break-glass.nft",
        "daemon1/ravelin.nft",
        "docker1/ravelin.nft",
        "flows.csv",
        "aerleon/def/ravelin.yaml",
        "aerleon/policies/ravelin.yaml",
    ];
    for case in cases {
        let path = format!("{}/cases/{}", env!("CARGO_MANIFEST_DIR"), case.replace('/', "-"));
        let text = String::from_utf8(files[case].clone()).expect("text");
        if std::env::var_os("RAVELIN_BLESS").is_some() {
            std::fs::create_dir_all(format!("{}/cases", env!("CARGO_MANIFEST_DIR"))).expect("directory");
            std::fs::write(&path, &text).expect("written");
        }
        let golden = std::fs::read_to_string(&path).unwrap_or_default();
        let differs = golden.lines().zip(text.lines()).enumerate().find(|(_, (a, b))| a != b);
        assert!(golden == text, "{path} differs, first at {differs:?}; RAVELIN_BLESS=1 writes it anew");
    }
}

#[test]
fn a_plan_differs_from_another_in_words() {
    let mut model = common::model();
    let old = plan::plan(&model, &Devices::default(), Options::default());
    assert!(plan::difference(&old, &old).is_empty());
    model.flows.change(|flows| flows.retain(|f| f.id.0 != "f0000003"));
    let new = plan::plan(&model, &Devices::default(), Options::default());
    assert_ne!(old.digest, new.digest);
    let lines = &plan::difference(&old, &new).remove(&words::HostName::new("daemon1").expect("name")).expect("differs").lines;
    assert!(lines.iter().any(|l| l.starts_with("- set in/4") && l.contains("f0000003") && l.contains("market1")), "{lines:?}");
}

#[test]
fn observing_refuses_nothing_and_sets_nothing_but_room() {
    let mut model = common::model();
    model.layers.network = Mode::Observe;
    let plan = plan::plan(&model, &Devices::default(), Options::default());
    for machine in plan.machines.values() {
        let table = &machine.ruleset.tables[0];
        let rules = table.chains.iter().flat_map(|c| &c.rules).flat_map(|r| &r.statements);
        assert_eq!(
            rules.filter(|s| matches!(s, ruleset::Statement::Verdict(ruleset::Verdict::Drop) | ruleset::Statement::Nat(_))).count(),
            0
        );
        assert!(table.chains.iter().filter_map(|c| c.base.as_ref()).all(|b| b.policy == ruleset::Policy::Accept));
        assert!(machine.sysctls.iter().all(|s| s.key.ends_with("conntrack_max")));
    }
}

#[test]
fn a_leased_address_is_published_too() {
    let mut model = common::model();
    model.edge.wan_dynamic = true;
    model.edge.vip.remove(&words::ZoneName::internet());
    let leased = "0.0.0.0".parse().expect("unspecified");
    model.flows.change(|flows| flows.iter_mut().flat_map(|f| &mut f.publish).for_each(|d| d.at = leased));
    let plan = plan::plan(&model, &Devices::default(), Options::default());
    let machine = plan.machines.values().find(|m| m.role == plan::Role::Edge).expect("edge");
    let script = emit::nft::script(&machine.ruleset, TableFamily::Inet, plan::TABLE);
    assert!(script.contains("fib daddr type local dnat ip to meta l4proto . th dport map @publish/leased/4"), "{script}");
    assert!(script.contains("udp th sport 67 th dport 68") && script.contains("masquerade"), "{script}");
    let live = ruleset::nft::read(&common::load(&script).expect("taken")).expect("reads");
    assert_eq!(ruleset::compare(&machine.ruleset, &live), []);
}

#[test]
fn a_machine_without_a_way_in_is_told() {
    let codes = |m: &site::Model| -> Vec<(String, String)> {
        let plan = plan::plan(m, &Devices::default(), Options::default());
        plan.notes.iter().map(|d| (d.code.0.to_owned(), d.message.clone())).collect()
    };
    for name in ["single-host", "small", "curio-cluster"] {
        assert!(!codes(&example(name)).iter().any(|(c, _)| c == "PLAN003" || c == "PLAN002"), "{name}");
    }
    let mut model = example("small");
    model.flows.change(|flows| flows.retain(|f| f.kind != site::model::FlowKind::Management));
    assert!(codes(&model).iter().any(|(c, m)| c == "PLAN003" && m.contains("daemon1")));
    let mut model = example("small");
    for i in model.hosts.get_mut("fw-a").expect("edge").interfaces.iter_mut().take(2) {
        i.device = Some("eth0".into());
    }
    assert!(codes(&model).iter().any(|(c, m)| c == "PLAN002" && m.contains("eth0")));
}

#[test]
fn daemons_that_share_an_address_are_told() {
    let mut model = example("small");
    let plan = |m: &site::Model| plan::plan(m, &Devices::default(), Options::default());
    assert!(!plan(&model).notes.iter().any(|d| d.code.0 == "PLAN001"), "each is published at an address of its own");
    model.flows.change(|flows| flows.iter_mut().for_each(|f| f.publish.clear()));
    let notes = plan(&model).notes;
    assert!(notes.iter().any(|d| d.code.0 == "PLAN001" && d.message.contains("daemon1") && d.message.contains("market1")), "{notes:?}");
}
