//! Hosts that UFW filters, proven as any other: UFW's chains with Ravelin's rules let through what the model says, no more and
//! no less. A rule of the operator's that opens or shuts something is found.

mod common;

use common::Planned;
use reach::Prover;

/// An example with every host behind UFW.
fn behind_ufw(name: &str) -> Planned {
    let path = format!("{}/../../examples/{name}/site.toml", env!("CARGO_MANIFEST_DIR"));
    let source = words::SourceFile::new("site.toml", std::fs::read_to_string(path).expect("example"));
    let mut model = site::read(&source, "2026-01-01").model.expect("model");
    model.layers.network = site::model::Mode::Enforce;
    for host in model.hosts.values_mut().filter(|h| !h.edge) {
        host.firewall = site::model::Firewall::Ufw;
    }
    let plan = plan::plan(&model, &plan::Devices::default(), plan::Options::default());
    let rulesets = plan.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect();
    Planned { source, model, rulesets }
}

#[test]
fn examples_hold_behind_ufw_as_they_do_without() {
    for name in ["curio-cluster", "single-host", "small"] {
        let site = behind_ufw(name);
        let mut prover = Prover::new();
        let found = reach::check(&mut site.network(&mut prover));
        let plain = reach::check(&mut Planned::example(name).network(&mut Prover::new()));
        let text = |v: &[reach::Violation]| v.iter().map(|v| v.diagnostic(&site.source).render(&site.source)).collect::<Vec<_>>();
        assert_eq!(text(&found), text(&plain), "{name}");
    }
}
