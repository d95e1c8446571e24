//! How the proof grows with the site: one line for each size. `cargo run --release -p reach --example growth -- 10 100 1000`.

use reach::{Network, Proof, Prover};
use ruleset::form::{Element, Ruleset};
use std::{collections::BTreeMap, time::Instant};
use words::{HostName, SourceFile};

/// Runs of which the median is printed.
const RUNS: usize = 5;

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

fn peak_mib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|k| k.parse::<f64>().ok()).unwrap_or(0.0) / 1024.0
}

#[expect(clippy::print_stdout, reason = "an example that prints a table")]
fn main() {
    println!(
        "| hosts | flows | elements | read s | plan s | check s | same again s | edge changed s | host changed s | kept proof, host changed s | kept proof, edge pair changed s | kept proof, line added s | nodes | peak MiB |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    for n in std::env::args().skip(1).filter_map(|a| a.parse::<usize>().ok()) {
        let source = SourceFile::new("site.toml", site::generate(n, 1));
        let t = Instant::now();
        let outcome = site::read(&source, "2026-01-01");
        let read = t.elapsed().as_secs_f64();
        let Some(mut model) = outcome.model else {
            println!("{n}: {}", outcome.render(&source));
            continue;
        };
        model.layers.network = site::model::Mode::Enforce;
        let t = Instant::now();
        let plan = plan::plan(&model, &plan::Devices::default(), plan::Options::default());
        let planned = t.elapsed().as_secs_f64();
        let mut rulesets: BTreeMap<HostName, Ruleset> = plan.machines.into_iter().map(|(h, m)| (h, m.ruleset)).collect();
        let elements: usize = rulesets.values().flat_map(|r| &r.tables).flat_map(|t| t.sets.values()).map(|s| s.elements.len()).sum();
        let devices = BTreeMap::new();
        let (mut cold, mut same, mut edge, mut host) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut nodes = 0;
        for run in 0..RUNS {
            let mut prover = Prover::new();
            let mut once = |rulesets: &BTreeMap<HostName, Ruleset>, times: &mut Vec<f64>| {
                let t = Instant::now();
                let mut net = Network::new(&mut prover, &model, rulesets, &devices);
                let found = reach::check(&mut net).len();
                times.push(t.elapsed().as_secs_f64());
                nodes = net.store().nodes();
                found
            };
            let found = once(&rulesets, &mut cold);
            if run == 0 && found > 0 {
                println!("{n}: {found} violations");
            }
            once(&rulesets, &mut same);
            for (times, name) in [
                (&mut edge, model.edge.nodes.first()),
                (&mut host, model.hosts.keys().rfind(|h| rulesets.contains_key(*h) && !model.edge.nodes.contains(*h))),
            ] {
                let Some(r) = name.and_then(|h| rulesets.get_mut(h)) else { continue };
                let removed = drop_one(r, run);
                once(&rulesets, times);
                if let (Some((t, s, i, e)), Some(r)) = (removed, name.and_then(|h| rulesets.get_mut(h)))
                    && let Some(set) = r.tables[t].sets.get_mut(&s)
                {
                    set.elements.insert(i, e);
                }
            }
        }
        let last = model.hosts.keys().rfind(|h| rulesets.contains_key(*h) && !model.edge.nodes.contains(*h));
        let alone = kept(&model, &rulesets, last);
        let pair = kept(&model, &rulesets, &model.edge.nodes);
        let line = line(&model, &rulesets, source.text());
        let m = |t: Vec<f64>| if t.is_empty() { "-".to_owned() } else { format!("{:.3}", median(t)) };
        println!(
            "| {} | {} | {elements} | {read:.3} | {planned:.3} | {} | {} | {} | {} | {} | {} | {} | {nodes} | {:.0} |",
            model.hosts.len(),
            model.flows.len(),
            m(cold),
            m(same),
            m(edge),
            m(host),
            m(alone),
            m(pair),
            m(line),
            peak_mib()
        );
    }
}

/// Times of a kept proof, brought up to date after one element is gone from these machines, another one each time.
fn kept<'h>(model: &site::Model, rulesets: &BTreeMap<HostName, Ruleset>, of: impl IntoIterator<Item = &'h HostName> + Clone) -> Vec<f64> {
    let less = |run: usize| {
        let machines = of.clone().into_iter().filter_map(|h| Some((h, rulesets.get(h)?.clone())));
        machines
            .map(|(h, mut r)| {
                drop_one(&mut r, run);
                (h, r)
            })
            .collect::<Vec<_>>()
    };
    let changed: Vec<Vec<(&HostName, Ruleset)>> = (0..RUNS).map(less).collect();
    let (mut prover, devices) = (Prover::new(), BTreeMap::new());
    let mut net = Network::new(&mut prover, model, rulesets, &devices);
    let mut proof = Proof::new(&mut net);
    let as_they_were: Vec<(&HostName, &Ruleset)> = of.into_iter().filter_map(|h| Some((h, rulesets.get(h)?))).collect();
    let mut times = Vec::new();
    for machines in &changed {
        let changes: Vec<(&HostName, &Ruleset)> = machines.iter().map(|(h, r)| (*h, r)).collect();
        let t = Instant::now();
        std::hint::black_box(proof.replace(&changes).len());
        times.push(t.elapsed().as_secs_f64());
        // What was violated would be proved again as a whole.
        proof.replace(&as_they_were);
    }
    times
}

/// Times of a kept proof that follows an added line: one machine may open a port of another one behind the edge, another port each
/// time. A line before all others moves what each of them cites. It is taken back each time.
fn line(model: &site::Model, rulesets: &BTreeMap<HostName, Ruleset>, text: &str) -> Vec<f64> {
    let ends: Vec<_> = model.hosts.values().filter(|h| h.managed && !h.edge).collect();
    let two = ends.iter().rev().find_map(|b| ends.iter().find(|a| a.default_zone != b.default_zone).map(|a| (&a.name, &b.name)));
    let Some((from, to)) = two else { return Vec::new() };
    let with_line = |run: usize| {
        let port = 7070 + run;
        let added = format!("[[allow]]\nfrom = \"{from}\"\nto = \"{to}\"\nport = \"{port}/tcp\"\nwhy = \"a probe\"\n");
        let text = format!("# All lines stand elsewhere.\n{text}\n{added}");
        let mut after = site::read(&SourceFile::new("site.toml", text), "2026-01-01").model?;
        after.layers.network = site::model::Mode::Enforce;
        let planned = plan::plan(&after, &plan::Devices::default(), plan::Options::default());
        let all = planned.machines.into_iter().map(|(h, m)| (h, m.ruleset));
        let differ: Vec<(HostName, Ruleset)> = all.filter(|(h, r)| rulesets.get(h) != Some(r)).collect();
        Some((after, differ))
    };
    let lines: Vec<_> = (0..RUNS).filter_map(with_line).collect();
    let (mut prover, devices) = (Prover::new(), BTreeMap::new());
    let mut net = Network::new(&mut prover, model, rulesets, &devices);
    let mut proof = Proof::new(&mut net);
    let mut times = Vec::new();
    for (after, differ) in &lines {
        let changes: Vec<(&HostName, &Ruleset)> = differ.iter().map(|(h, r)| (h, r)).collect();
        let t = Instant::now();
        let followed = proof.follow(after, &changes).map(<[_]>::len);
        times.push(t.elapsed().as_secs_f64());
        assert_eq!(followed, Some(0), "the line is followed and breaks nothing");
        let back: Vec<(&HostName, &Ruleset)> = differ.iter().filter_map(|(h, _)| Some((h, rulesets.get(h)?))).collect();
        proof.follow(model, &back);
    }
    times
}

/// Takes one element out of the largest set.
fn drop_one(r: &mut Ruleset, run: usize) -> Option<(usize, String, usize, Element)> {
    let (t, name) = r
        .tables
        .iter()
        .enumerate()
        .flat_map(|(t, x)| x.sets.iter().map(move |(n, s)| (s.elements.len(), t, n.clone())))
        .max()
        .map(|(_, t, n)| (t, n))?;
    let set = r.tables[t].sets.get_mut(&name)?;
    let i = run.min(set.elements.len().checked_sub(1)?);
    Some((t, name, i, set.elements.remove(i)))
}
