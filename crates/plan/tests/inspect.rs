//! What an edge node's engine is to judge: which pairs, which of them may be dropped, and what the kernel makes of the table.

mod common;

use plan::{Devices, inspect};
use ruleset::{Ruleset, Statement, TableFamily};
use site::model::{Inspection, Mode, Model};
use words::{HostName, Origin, ZoneName, mark};

fn with(mode: Mode, open: bool, zones: &[&str]) -> Model {
    let mut model = common::model();
    model.layers.ips = mode;
    model.edge.ips = Some(Inspection {
        zones: zones.iter().map(|z| ZoneName::new(z).expect("zone")).collect(),
        rules: vec![],
        open,
        extent: "until-opaque".into(),
        origin: Origin::Site { file: "site.toml".into(), line: 1, path: "edge.ips".into() },
    });
    model
}

fn of(model: &Model, host: &str) -> Option<inspect::Inspection> {
    inspect::inspection(model, &model.hosts[&HostName::new(host).expect("host")], &Devices::default())
}

fn edge(model: &Model) -> String {
    model.edge.nodes[0].to_string()
}

#[test]
fn only_what_comes_from_outside_may_be_dropped_and_only_that_is_closed() {
    let model = with(Mode::Enforce, false, &["internet"]);
    let i = of(&model, &edge(&model)).expect("inspected");
    assert!(!i.policies.is_empty() && i.policies.keys().copied().eq(1..=u8::try_from(i.policies.len()).expect("few")));
    for p in i.policies.values() {
        assert!(p.from.is_internet() || p.to.is_internet(), "{p:?}");
        assert_eq!((p.enforce, p.open), (p.from.is_internet(), !p.from.is_internet()), "{p:?}");
    }
    let observed = with(Mode::Observe, false, &["internet"]);
    assert!(of(&observed, &edge(&observed)).expect("inspected").policies.values().all(|p| !p.enforce && p.open), "observing never cuts");
    // A zone within: its pairs with every other one.
    let inner = model.zones.keys().find(|z| !z.is_internet() && model.zones[*z].routed).expect("a zone").clone();
    let inside = with(Mode::Enforce, true, &[inner.as_str()]);
    let i = of(&inside, &edge(&inside)).expect("inspected");
    assert!(i.policies.values().any(|p| !p.from.is_internet() && !p.to.is_internet() && !p.enforce));
}

#[test]
fn nothing_is_judged_where_the_layer_is_off_or_no_edge_stands() {
    let off = with(Mode::Off, true, &["internet"]);
    assert!(of(&off, &edge(&off)).is_none());
    let model = with(Mode::Enforce, true, &["internet"]);
    let host = model.hosts.values().find(|h| !h.edge && h.managed).expect("a host").name.to_string();
    assert!(of(&model, &host).is_none());
    assert!(of(&common::model(), &edge(&model)).is_none(), "nothing is said of it");
}

#[test]
fn the_kernel_takes_the_table_and_gives_it_back() {
    for (mode, open) in [(Mode::Enforce, false), (Mode::Enforce, true), (Mode::Observe, true)] {
        let model = with(mode, open, &["internet"]);
        let table = of(&model, &edge(&model)).expect("inspected").table;
        let ruleset = Ruleset { tables: vec![table], unread: vec![] };
        let script = emit::nft::script(&ruleset, TableFamily::Inet, inspect::TABLE);
        let json = common::load(&script).unwrap_or_else(|e| panic!("{e}\n{script}"));
        let differences = ruleset::compare(&ruleset, &ruleset::nft::read(&json).expect("reads"));
        assert!(differences.is_empty(), "{differences:#?}\n{script}");
    }
}

#[test]
fn every_mark_that_is_written_is_ours_and_management_is_never_wanted() {
    let model = with(Mode::Enforce, false, &["internet", "dmz"]);
    let table = of(&model, &edge(&model)).expect("inspected").table;
    let mut written = 0;
    for s in table.chains.iter().flat_map(|c| &c.rules).flat_map(|r| &r.statements) {
        if let Statement::SetMark { mask, value, .. } = s {
            written += 1;
            let (mask, value) = (mask.expect("never the whole word"), value.expect("a constant"));
            assert_eq!((mask & !mark::OURS, value & !mask), (0, 0), "{mask:#x} {value:#x}");
        }
    }
    assert!(written > 5);
    let management = model.flows.iter().filter(|f| f.kind == site::model::FlowKind::Management && !model.edge.has_end_of(f));
    let legs = management.flat_map(|f| &f.legs).filter(|l| l.from_zone != l.to_zone).count();
    let ruled = table.chains.iter().flat_map(|c| &c.rules).filter(|r| r.id.as_deref() == Some("ips/management")).count();
    assert!(ruled <= legs);
    for c in table.chains.iter().filter(|c| c.name.starts_with("pair/")) {
        let want = c.rules.iter().position(|r| r.id.as_deref() == Some("ips/want")).expect("wanted");
        let last = c.rules.iter().rposition(|r| r.id.as_deref() == Some("ips/management"));
        assert!(last.is_none_or(|l| l < want), "{}", c.name);
    }
}
