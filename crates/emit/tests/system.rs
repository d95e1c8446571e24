//! The system layer's artefacts, held three ways: against golden text, against the tools that read them (systemd-analyze,
//! systemd-sysusers, systemd-tmpfiles, each on a root of its own), and against a ceiling of exposure.
//! `UPDATE_EXPECT=1 cargo test -p emit --test system` writes text and table anew; read the difference.

#![expect(clippy::print_stderr, reason = "a test tells what it could not ask")]

mod common;
#[path = "system/tools.rs"]
mod tools;

use common::hold;
use plan::Plan;
use site::model::Model;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
    fs,
    path::PathBuf,
};
use tools::Root;

/// Exposure a unit may have where nothing speaks against it (systemd-analyze's scale, 0 to 10).
const CEILING: f32 = 2.0;
/// Units that may have more, with the reason.
const ABOVE: [(&str, f32, &str); 1] =
    [("ravelin-gpu.service", 2.5, "runs as root: it makes device nodes and loads the driver's module, once, without network")];

fn directory() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system"))
}

fn cases() -> Vec<(String, Model, Plan)> {
    let out = common::planned(&directory());
    assert!(out.len() >= 7, "cases were not read");
    out
}

/// Everything the layer has for the machines of a case, as one text.
fn text(plan: &Plan) -> String {
    let mut out = String::new();
    for (host, machine) in &plan.machines {
        let system = machine.system.as_ref().expect("system");
        for (path, text) in emit::render::system_files(system) {
            let _ = write!(out, "==> {host}:/{path}\n{text}\n");
        }
        for h in &system.by_hand {
            let _ = writeln!(out, "==> {host}: by hand, {}: {} = {:?}  # {}", h.unit, h.place, h.value, h.why);
        }
    }
    out
}

#[test]
fn the_texts_are_the_golden_ones() {
    for (name, _, plan) in cases() {
        hold(&directory().join(name).join("expected.txt"), &text(&plan));
    }
}

#[test]
fn the_applier_would_take_every_file() {
    let mut files = 0;
    for (name, _, plan) in cases() {
        for (host, machine) in &plan.machines {
            let mut system = machine.system.clone().expect("system");
            system.mode = site::model::Mode::Enforce;
            let own = emit::own::files(&system, &[]);
            assert_eq!(bundle::file::check(&own), Ok(()), "{name}, {host}");
            let texts = emit::render::system_files(&system);
            assert_eq!(own.len(), texts.len(), "{name}, {host}: what is rendered is what is carried");
            assert!(own.iter().all(|f| texts.get(f.path.trim_start_matches('/')) == Some(&f.content)), "{name}, {host}");
            files += own.len();
            system.mode = site::model::Mode::Observe;
            assert_eq!(emit::own::files(&system, &[]), [], "observing changes nothing");
        }
    }
    assert!(files > 50, "{files}");
}

#[test]
fn a_unit_that_does_not_fit_waits_and_the_rest_goes_on() {
    use plan::system::{Fit, Judged};
    let (_, _, plan) = cases().into_iter().find(|c| c.0 == "daemon").expect("case");
    let mut system = plan.machines.values().next().and_then(|m| m.system.clone()).expect("system");
    system.mode = site::model::Mode::Enforce;
    let judged = |fit| [Judged { unit: "lotus-daemon.service".into(), instance: "lotus".into(), fit }];
    let of = |fit| emit::own::files(&system, &judged(fit)).into_iter().filter(|f| f.path.contains("lotus-daemon")).count();
    assert_eq!(of(Fit::Ready), 1);
    assert_eq!(of(Fit::Account { is: "root".into(), wanted: "lotus".into() }), 0);
    assert_eq!(of(Fit::Unknown { why: "x".into() }), 0);
    let all = emit::own::files(&system, &judged(Fit::Unknown { why: "x".into() }));
    assert!(all.iter().any(|f| f.path == bundle::file::ACCOUNTS), "accounts are made all the same");
}

#[test]
fn every_service_that_gets_a_unit_is_in_a_case() {
    let cases = cases();
    let units = cases.iter().flat_map(|c| c.2.machines.values()).filter_map(|m| m.system.as_ref()).flat_map(|s| &s.units);
    let there: BTreeSet<String> = units.filter_map(|u| u.instance.as_ref()).map(|(s, _)| s.to_string()).collect();
    let all: BTreeSet<String> = catalog::builtin().values().filter(|s| s.unit.is_some()).map(|s| s.name.to_string()).collect();
    assert!(all.len() >= 15, "{all:?}");
    assert_eq!(there, all);
}

#[test]
fn the_tools_take_every_text() {
    for (name, _, plan) in cases() {
        for (host, machine) in &plan.machines {
            let system = machine.system.as_ref().expect("system");
            let root = Root::with(system);
            let units: Vec<&str> = system.units.iter().map(|u| u.name.as_str()).collect();
            if units.is_empty() {
                continue;
            }
            assert_eq!(root.verify(&units), "", "{name}, {host}: systemd-analyze verify");
            root.accounts(system, &format!("{name}, {host}"));
        }
    }
}

#[test]
fn the_tools_would_refuse_a_wrong_text() {
    let (_, _, plan) = cases().into_iter().find(|c| c.0 == "daemon").expect("case");
    let mut system = plan.machines.values().next().and_then(|m| m.system.clone()).expect("system");
    for line in &mut system.units[0].drop_in {
        if line.key == "ProtectSystem" {
            line.value = "stricter".to_owned();
        }
    }
    assert!(Root::with(&system).verify(&["lotus-daemon.service"]).contains("stricter"), "a wrong value was taken");
    // Upstream's own mistake is seen, so its correction is not held against nothing.
    let root = Root::with(&system);
    root.upstream("lotus-daemon.service", "/usr/local/bin/lotus daemon", "StartLimitIntervalSec=60s\n");
    assert!(root.verify(&["lotus-daemon.service"]).contains("StartLimitIntervalSec"));
}

/// The table of `docs/exposure.md`: one row a service, its most exposed unit over all cases.
#[test]
fn no_unit_is_more_exposed_than_its_ceiling() {
    let mut rows: BTreeMap<String, (f32, f32, String, BTreeSet<String>)> = BTreeMap::new();
    for (case, _, plan) in cases() {
        for system in plan.machines.values().filter_map(|m| m.system.as_ref()) {
            let root = Root::with(system);
            for u in &system.units {
                let after = root.exposure(&u.name);
                let (ceiling, _) = ceiling(&u.name);
                assert!(after <= ceiling, "{case}: {} is at {after}, its ceiling is {ceiling}", u.name);
                let Some((service, _)) = &u.instance else {
                    rows.insert(format!("`{}`", u.name), (f32::NAN, after, String::new(), BTreeSet::new()));
                    continue;
                };
                let before = root.bare(catalog::builtin()[service].unit.as_ref().expect("unit"));
                assert!(before >= 9.0, "{service}: a unit without sandbox is at {before}");
                let row = rows.entry(service.to_string()).or_insert((before, 0.0, String::new(), BTreeSet::new()));
                if after > row.1 {
                    row.1 = after;
                    row.2 = case.clone();
                }
                row.3.extend(u.opened.iter().map(ToString::to_string));
            }
        }
    }
    let mut made = String::from("| service | before | after | ceiling | opened in the cases for |\n|---|---|---|---|---|\n");
    for (name, (before, after, _, opened)) in &rows {
        let (ceiling, why) = ceiling(name.trim_matches('`'));
        let before = if before.is_nan() { "none".to_owned() } else { format!("{before:.1}") };
        let opened = opened.iter().cloned().collect::<Vec<_>>().join(" ");
        let _ =
            writeln!(made, "| {name} | {before} | {after:.1} | {ceiling:.1} | {} |", if why.is_empty() { opened } else { why.to_owned() });
    }
    if !tools::is_the_table_s_version() {
        eprintln!("another systemd than the table's: only the ceilings are held");
        return;
    }
    let path = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/exposure.md"));
    let page = fs::read_to_string(&path).expect("docs/exposure.md");
    let (head, rest) = page.split_once("<!-- table -->\n").expect("begin of the table");
    let (_, tail) = rest.split_once("<!-- end -->").expect("end of the table");
    hold(&path, &format!("{head}<!-- table -->\n{made}<!-- end -->{tail}"));
}

fn ceiling(unit: &str) -> (f32, &'static str) {
    ABOVE.iter().find(|a| a.0 == unit).map_or((CEILING, ""), |a| (a.1, a.2))
}
