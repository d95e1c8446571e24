//! What the tests share: going inside, reading sites, firing volleys in pieces.
#![allow(dead_code, reason = "each test uses its own part")]
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

use lab::{
    build::Neighbours,
    count, enter, opinion,
    stage::Stage,
    truth::{self, Case},
    volley::{Range, Report},
};
use reach::{Network, Prover};
use ruleset::TableFamily;
use site::model::Model;
use std::{collections::BTreeMap, path::PathBuf, process::Stdio, time::Instant};
use words::HostName;

/// The date sites of tests are read on.
pub const TODAY: &str = "2026-11-22";
/// Shots per volley: few enough that every conntrack table holds what passes.
const VOLLEY: usize = 20_000;
/// Disagreements printed.
const SHOWN: usize = 12;

/// `true` inside, where the test goes on; outside, runs the copy, shows its output, and says `false`.
pub fn inside(test: &str) -> bool {
    if enter::is_inside() {
        enter::enter::<&str>(&[]).expect("mounts inside");
        return true;
    }
    let args = ["--exact", test, "--nocapture", "--include-ignored"];
    let out = enter::command(&args).expect("namespaces").stdin(Stdio::null()).output().expect("a copy of the test");
    let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success(), "inside:\n{text}");
    assert!(text.contains("1 passed"), "the copy ran no test named {test}:\n{text}");
    print!("{text}");
    false
}

/// Reads a site file's text.
pub fn read(name: &str, text: &str) -> Result<Model, String> {
    let source = words::SourceFile::new(name, text);
    let outcome = site::read(&source, TODAY);
    let told = outcome.render(&source);
    outcome.model.ok_or(told)
}

/// Reads an example, network layer enforced.
pub fn example(name: &str) -> Model {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("../../examples/{name}/site.toml"));
    let text = std::fs::read_to_string(&path).expect("the example");
    let mut model = read(&format!("examples/{name}/site.toml"), &text).expect("a valid example");
    model.layers.network = site::model::Mode::Enforce;
    model
}

/// Fires cases in volleys; every packet must be accounted for and meet its fate. Returns what went wrong.
pub fn fire(stage: &Stage, range: &mut Range<'_>, cases: &[Case]) -> Vec<String> {
    let mut wrong = Vec::new();
    for chunk in cases.chunks(VOLLEY) {
        for host in stage.plan.machines.keys() {
            let _ = stage.lab.space(host.as_str()).expect("node").attempt("conntrack", &["-F"], None);
        }
        let shots: Vec<_> = chunk.iter().map(|c| c.shot.clone()).collect();
        let report = range.fire(&shots).expect("a volley");
        if report.unaccounted != 0 {
            wrong.push(format!("{} of {} packets unaccounted for; {}", report.unaccounted, shots.len(), drops(&report)));
        }
        wrong.extend(truth::compare(chunk, &report).iter().map(ToString::to_string));
    }
    wrong
}

fn drops(report: &Report) -> String {
    let all = report.counted.iter().filter(|(_, r)| r.drops);
    all.map(|(p, r)| format!("{}/{}/{}={}", p.node, p.holder, r.id.as_deref().unwrap_or("-"), r.packets)).collect::<Vec<_>>().join(" ")
}

/// Fails with the first of many.
pub fn none(what: &str, wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{what}: {} wrong, among them\n{}",
        wrong.len(),
        wrong.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n")
    );
}

/// What the proof, over the rulesets read back from the kernels, says otherwise than the model.
pub fn proof(stage: &Stage, cases: &[Case]) -> Vec<String> {
    let rulesets = rulesets(stage);
    let mut prover = Prover::new();
    let network = network(stage, &rulesets, &mut prover);
    opinion::disagreements(&stage.model, &network, &stage.lab.topology, cases)
}

/// What every machine's kernel holds.
pub fn rulesets(stage: &Stage) -> BTreeMap<HostName, ruleset::Ruleset> {
    stage.plan.machines.keys().map(|h| (h.clone(), composed(stage, h.as_str()))).collect()
}

/// The proof's network over them.
pub fn network<'a>(stage: &'a Stage, rulesets: &'a BTreeMap<HostName, ruleset::Ruleset>, prover: &'a mut Prover) -> Network<'a> {
    let devices = stage.plan.machines.iter().map(|(h, m)| (h.clone(), m.devices.clone())).collect();
    Network::new(prover, &stage.model, rulesets, &devices)
}

/// A machine's rulesets read back, those written by iptables in its own words.
fn composed(stage: &Stage, host: &str) -> ruleset::Ruleset {
    let nft = count::ruleset_of(&stage.lab, host).expect("read back");
    let mut saved = [None, None];
    for (text, (program, family)) in
        saved.iter_mut().zip([("iptables-nft-save", TableFamily::Ip), ("ip6tables-nft-save", TableFamily::Ip6)])
    {
        let theirs = |t: &ruleset::Table| t.family == family && ["filter", "nat", "mangle", "raw"].contains(&t.name.as_str());
        if nft.tables.iter().any(theirs) {
            let out = stage.lab.space(host).expect("node").program(program, &[], None).expect("saved");
            *text = Some(String::from_utf8_lossy(&out.stdout).into_owned());
        }
    }
    ruleset::iptables::compose(nft, saved[0].as_deref(), saved[1].as_deref()).expect("understood")
}

/// Says how long something took.
pub fn timed<T>(what: &str, f: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let out = f();
    println!("{what}: {:?}", start.elapsed());
    out
}

/// What a lab must not change on this machine: links, addresses, routes, rules, and every setting that can be written.
pub fn machine() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let asked: [&[&str]; 6] = [
        &["ip", "-o", "link"],
        &["ip", "-o", "addr"],
        &["ip", "route", "show", "table", "all"],
        &["ip", "-6", "route", "show", "table", "all"],
        &["ip", "netns"],
        &["nft", "-s", "list", "ruleset"],
    ];
    for argv in asked {
        let out = std::process::Command::new(argv[0]).args(&argv[1..]).output().expect("a program");
        // Leases and advertised routes count down.
        let lasting = |l: &str| l.split(" valid_lft").next().and_then(|l| l.split(" expires").next()).unwrap_or_default().to_owned();
        let lines: Vec<String> = String::from_utf8_lossy(&out.stdout).lines().map(lasting).collect();
        all.insert(argv.join(" "), lines.join("\n"));
    }
    settings(std::path::Path::new("/proc/sys"), &mut all);
    all
}

/// Settings that the kernel itself changes.
const RESTLESS: [&str; 2] = ["ns_last_pid", "/proc/sys/kernel/random/"];

fn settings(dir: &std::path::Path, all: &mut BTreeMap<String, String>) {
    use std::os::unix::fs::PermissionsExt;
    for entry in std::fs::read_dir(dir).into_iter().flatten().filter_map(Result::ok) {
        let path = entry.path();
        let Ok(meta) = entry.metadata() else { continue };
        let name = path.display().to_string();
        if meta.is_dir() {
            settings(&path, all);
        } else if meta.permissions().mode() & 0o222 != 0 && !RESTLESS.iter().any(|r| name.contains(r)) {
            all.insert(name, std::fs::read_to_string(&path).unwrap_or_default());
        }
    }
}

/// Fails where the machine is no longer as it was.
pub fn unchanged(before: &BTreeMap<String, String>) {
    let after = machine();
    let keys: std::collections::BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let changed: Vec<String> = keys
        .into_iter()
        .filter(|k| before.get(*k) != after.get(*k))
        .map(|k| format!("{k}: {:?} became {:?}", before.get(k), after.get(k)))
        .collect();
    none("what the machine had", &changed);
}

/// The whole truth of a site: every ordered pair of machines, every port of the catalogue, both families, held against the proof over
/// what the kernels hold and against the kernels themselves.
pub fn whole_truth(name: &str, model: Model) {
    let stage = timed("built", || Stage::build(model, plan::Options::default(), Neighbours::Fixed).expect("built"));
    timed("loaded", || stage.load_all().expect("loaded"));
    let services = catalog::builtin();
    let ports = truth::catalogue_ports(services.values().map(AsRef::as_ref), &stage.model);
    let mut cases = truth::cross(&stage.model, &stage.lab.topology, &ports, |_, _| true);
    cases.extend(truth::published(&stage.model, &stage.lab.topology, &ports));
    let lands = cases.iter().filter(|c| matches!(c.fate, truth::Fate::Lands { .. })).count();
    let nodes = stage.lab.topology.nodes.len();
    println!("{name}: {nodes} nodes, {} ports, {} packets, {lands} of them allowed", ports.len(), cases.len());
    assert!(lands > 0 && lands < cases.len());
    let proof = timed("proof", || proof(&stage, &cases));
    let mut range = Range::open(&stage.lab, truth::filtering(&stage.model)).expect("range");
    range.count_elements(false);
    let kernel = timed("kernel", || fire(&stage, &mut range, &cases));
    none("kernel against model", &kernel);
    none("proof against model", &proof);
}
