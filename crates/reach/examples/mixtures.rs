//! How the proof of mixtures and the choice of probes grow with the site: `cargo run --release -p reach --example mixtures -- 100 1000`.

use reach::{State, mixture, network::Devices, probes};
use ruleset::form::Ruleset;
use std::{collections::BTreeMap, time::Instant};
use words::{HostName, SourceFile};

type Planned = (site::Model, BTreeMap<HostName, Ruleset>);

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|k| k.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

fn state<'a>((model, rulesets): &'a Planned, devices: &'a Devices) -> State<'a> {
    State { model, rulesets, devices }
}

fn plan(text: &str) -> Option<Planned> {
    let mut model = site::read(&SourceFile::new("site.toml", text), "2026-01-01").model?;
    model.layers.network = site::model::Mode::Enforce;
    let plan = plan::plan(&model, &plan::Devices::default(), plan::Options::default());
    Some((model, plan.machines.into_iter().map(|(h, m)| (h, m.ruleset)).collect()))
}

#[expect(clippy::print_stdout, reason = "an example that prints a table")]
fn main() {
    println!("| hosts | change | changed machines | wider | cut | mixtures s | probes | probes s | peak MiB |");
    println!("|---|---|---|---|---|---|---|---|---|");
    for n in std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok()) {
        let text = site::generate(n, 1);
        let Some(old) = plan(&text) else { continue };
        let ends: Vec<_> = old.0.hosts.values().filter(|h| h.managed && !h.edge).collect();
        let two = ends.iter().rev().find_map(|b| ends.iter().find(|a| a.default_zone != b.default_zone).map(|a| (&a.name, &b.name)));
        let line =
            two.map(|(from, to)| format!("{text}\n[[allow]]\nfrom = \"{from}\"\nto = \"{to}\"\nport = \"7070/tcp\"\nwhy = \"a probe\"\n"));
        let changes = [
            ("a line more", line.unwrap_or_default()),
            ("other operators outside", text.replace("198.51.100.7/32", "198.51.100.8/32")),
            ("other public ports", text.replace("port    = 200", "port    = 210")),
        ];
        for (what, text) in changes {
            let Some(new) = plan(&text) else { continue };
            let devices = Devices::new();

            let t = Instant::now();
            let found = mixture::mixture(state(&old, &devices), state(&new, &devices));
            let mixtures = t.elapsed().as_secs_f64();
            let t = Instant::now();
            let tried: usize = probes::probes(state(&old, &devices), state(&new, &devices)).values().map(|p| p.trials.len()).sum();
            println!(
                "| {n} | {what} | {} | {} | {} | {mixtures:.2} | {tried} | {:.2} | {:.0} |",
                found.changed.len(),
                found.wider.len(),
                found.cut.len(),
                t.elapsed().as_secs_f64(),
                peak_mib()
            );
        }
    }
}
