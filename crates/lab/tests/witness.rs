//! Every witness that an invariant's violation prints, sent: on the bad site it does what the message says, on the good one
//! it does not. The bad sites and rulesets are those of the proof's own tests.
//!
//! NET012 has no witness: it is about what cannot be read.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;
#[path = "../../reach/tests/common/sabotage.rs"]
mod sabotage;

use lab::{
    build::Neighbours,
    count::Readings,
    packet::{Body, Packet, Shape},
    stage::Stage,
    truth,
    volley::{Range, Report, Shot},
};
use plan::Options;
use reach::{Field, Network, Prover, Violation};
use ruleset::form::Ruleset;
use site::model::{Model, Party};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    path::Path,
};
use words::{HostName, Proto};

/// Packets of a witness that says "beyond the limit": well over the limit's burst, sent at once.
const BURST: u16 = 40;

/// What becomes of a witness.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Past the input filter of this node.
    Lands(&'static str),
    /// Counted by a dropping rule of this node, and of no other.
    DroppedOn(&'static str),
    /// Counted by a dropping rule of the edge node it goes through, and of no other.
    DroppedOnEdge,
    /// Of a burst to this node some land and some do not.
    Thins(&'static str),
}

/// How to send an invariant's witnesses.
struct Scene {
    code: &'static str,
    /// Who sends, and whether its own filter is gone.
    from: &'static str,
    taken_over: bool,
    bad: Fate,
    good: Fate,
}

const SCENES: [Scene; 11] = {
    use Fate::{DroppedOn, DroppedOnEdge, Lands, Thins};
    const fn scene(code: &'static str, from: &'static str, bad: Fate, good: Fate) -> Scene {
        Scene { code, from, taken_over: true, bad, good }
    }
    [
        scene("NET001", "attacker", Lands("daemon1"), DroppedOnEdge),
        scene("NET002", "daemon1", Lands("bmc2"), DroppedOnEdge),
        scene("NET003", "market1", Lands("wallet1"), DroppedOnEdge),
        // The spoofed packet comes through the edge as far as the receiver's own filter, which does not know its source.
        scene("NET004", "market1", DroppedOn("daemon1"), DroppedOnEdge),
        Scene { taken_over: false, ..scene("NET005", "market1", Lands("clients"), DroppedOn("market1")) },
        scene("NET006", "bastion1", Thins("db1"), Lands("db1")),
        scene("NET007", "bastion1", DroppedOn("market1"), DroppedOnEdge),
        scene("NET008", "worker1", Lands("nas1"), DroppedOn("nas1")),
        Scene { taken_over: false, ..scene("NET009", "market1", DroppedOn("daemon1"), Lands("daemon1")) },
        Scene { taken_over: false, ..scene("NET010", "market1", Lands("daemon1"), DroppedOn("market1")) },
        scene("NET011", "bastion1", Lands("mon1"), DroppedOn("mon1")),
    ]
};

fn text(code: &str, bad: bool) -> String {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let base = std::fs::read_to_string(root.join("examples/small/site.toml")).expect("example");
    let append = std::fs::read_to_string(root.join("crates/reach/tests/invariants").join(code).join("append.toml")).expect("case");
    // The good site has the case's new machines and none of its lines that open something.
    let kept = if bad { append.as_str() } else { append.split("\n[[allow]]").next().unwrap_or_default() };
    let kept = if bad || !kept.contains("[external.") { kept } else { "" };
    base + kept
}

/// The bad site as it would stand if the proof had not been asked, or the good one.
fn stage(code: &str, bad: bool) -> Stage {
    let mut model = common::read("site.toml", &text(code, bad)).expect("a valid site");
    model.layers.network = site::model::Mode::Enforce;
    if code == "NET010" && !bad {
        // What must never be, obeyed: the flow that contradicts it is gone.
        obey(&mut model);
    }
    let mut stage = Stage::build(model, Options::default(), Neighbours::Dynamic).expect("built");
    if bad {
        let mut rulesets = rulesets(&stage);
        sabotage::sabotage(code, &mut rulesets);
        for (host, rules) in rulesets {
            stage.plan.machines.get_mut(&host).expect("planned").ruleset = rules;
        }
    }
    stage.load_all().expect("loaded");
    stage
}

fn obey(model: &mut Model) {
    let named = |p: &Party, name: &str| matches!(p, Party::Host(h) if h.as_str() == name);
    model.flows.change(|flows| flows.retain(|f| !(named(&f.from, "market1") && named(&f.to, "daemon1") && f.target.ports.contains(1234))));
}

fn rulesets(stage: &Stage) -> BTreeMap<HostName, Ruleset> {
    stage.plan.machines.iter().map(|(h, m)| (h.clone(), m.ruleset.clone())).collect()
}

/// What the proof says about the site, from the machines' rulesets as the plan, or whoever broke it, wrote them.
fn violations(stage: &Stage, code: &str) -> Vec<Violation> {
    let rulesets = rulesets(stage);
    let mut prover = Prover::new();
    let mut network = Network::new(&mut prover, &stage.model, &rulesets, &BTreeMap::new());
    reach::check(&mut network).into_iter().filter(|v| v.code.0 == code).collect()
}

/// A witness as a packet of the lab.
fn in_terms_of_the_lab(w: &reach::Packet) -> Packet {
    let body = match w.proto() {
        Proto::Tcp => Body::Tcp { sport: w.sport(), dport: w.dport(), flags: u8::try_from(w.get(Field::Flags)).expect("flags") },
        Proto::Udp => Body::Udp { sport: w.sport(), dport: w.dport() },
        other => Body::Other { proto: other.number() },
    };
    Packet { src: w.src(), dst: w.dst(), body, shape: Shape::Whole }
}

fn burst(p: Packet) -> Vec<Packet> {
    let one = |n: u16| match p.body {
        Body::Tcp { sport, dport, flags } => Packet { body: Body::Tcp { sport: sport + n, dport, flags }, ..p },
        _ => p,
    };
    (0..BURST).map(one).collect()
}

fn droppers(counted: &Readings) -> BTreeSet<&str> {
    counted.iter().filter(|(_, r)| r.drops).map(|(place, _)| place.node.as_str()).collect()
}

fn landed(report: &Report, on: &str) -> usize {
    report.outcomes.iter().filter(|o| o.landed.len() == 1 && o.landed.contains_key(on)).count()
}

/// Sends a witness on a stage, over this edge node.
fn send(stage: &mut Stage, scene: &Scene, edge: &str, witness: Packet) -> Report {
    stage.lab.move_virtuals(edge).expect("moved");
    if scene.taken_over {
        stage.lab.space(scene.from).expect("sender").program("nft", &["flush", "ruleset"], None).expect("its filter gone");
    }
    let mut range = Range::open(&stage.lab, truth::filtering(&stage.model)).expect("range");
    let packets = if scene.code == "NET006" { burst(witness) } else { vec![witness] };
    let shots: Vec<Shot> = packets.into_iter().map(|packet| Shot { node: scene.from.into(), packet }).collect();
    range.fire(&shots).expect("fired")
}

#[track_caller]
fn expect(scene: &Scene, fate: Fate, edge: &str, witness: &reach::Packet, report: &Report) {
    let all = report.outcomes.len();
    let told = format!(
        "{} {witness} over {edge}: {fate:?}; seen {:?}, dropped on {:?}",
        scene.code,
        report.outcomes.first(),
        droppers(&report.counted)
    );
    match fate {
        Fate::Lands(on) => assert_eq!(landed(report, on), all, "{told}"),
        Fate::DroppedOn(_) | Fate::DroppedOnEdge => {
            let on = if let Fate::DroppedOn(on) = fate { on } else { edge };
            assert!(report.outcomes.iter().all(|o| o.landed.is_empty()), "{told}");
            assert_eq!(droppers(&report.counted), BTreeSet::from([on]), "{told}");
        }
        Fate::Thins(on) => assert!((1..all).contains(&landed(report, on)), "{told}: {} of {all}", landed(report, on)),
    }
}

/// Lets an outsider answer at one more address of its network.
fn answer_at(stage: &Stage, node: &str, a: IpAddr) {
    stage
        .lab
        .space(node)
        .expect("outsider")
        .program("ip", &["address", "add", &a.to_string(), "dev", "internet"], None)
        .expect("an address");
}

/// Lets the kernels take what only the filter should refuse: reverse path filtering is a setting, not a rule.
fn without_reverse_path(stage: &Stage) {
    for node in ["fw-a", "fw-b"] {
        let script = "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done";
        stage.lab.space(node).expect("edge").program("sh", &["-c", script], None).expect("settings");
    }
}

fn scene(test: &str, code: &str) {
    if !common::inside(test) {
        return;
    }
    let scene = SCENES.iter().find(|s| s.code == code).expect("a scene");
    let mut bad = stage(code, true);
    let found = common::timed("proof", || violations(&bad, code));
    assert!(!found.is_empty(), "{code} is not found");
    // What is said of one edge node is tried on that one.
    let edge = |v: &Violation| bad.model.edge.nodes.iter().find(|n| **n == v.host).unwrap_or(&bad.model.edge.nodes[0]).to_string();
    let all: Vec<(String, reach::Packet)> = found.iter().filter_map(|v| Some((edge(v), v.witness?))).collect();
    assert_eq!(all.len(), found.len(), "every violation of {code} has a witness");
    let printed = Path::new(env!("CARGO_MANIFEST_DIR")).join("../reach/tests/invariants").join(code).join("expected.txt");
    let printed = std::fs::read_to_string(printed).expect("expected");
    let different: BTreeSet<(String, reach::Packet)> = all.into_iter().collect();
    for (_, w) in &different {
        assert!(printed.contains(&format!("witness: {w}\n")), "{w} is not what is printed");
    }
    match code {
        "NET004" => without_reverse_path(&bad),
        "NET005" => different.iter().for_each(|(_, w)| answer_at(&bad, "clients", w.dst())),
        _ => {}
    }
    for (edge, w) in &different {
        let report = send(&mut bad, scene, edge, in_terms_of_the_lab(w));
        expect(scene, scene.bad, edge, w, &report);
    }
    bad.lab.remove().expect("removed");
    let mut good = stage(code, false);
    assert!(violations(&good, code).is_empty(), "the good site of {code} is not good");
    for (edge, w) in &different {
        let report = send(&mut good, scene, edge, in_terms_of_the_lab(w));
        expect(scene, scene.good, edge, w, &report);
    }
    good.lab.remove().expect("removed");
    println!("{code}: {} sent on both sites", different.len());
}

macro_rules! scenes {
    ($($name:ident $code:literal),* $(,)?) => {$(
        #[test]
        fn $name() {
            scene(stringify!($name), $code);
        }
    )*};
}

scenes! {
    net001 "NET001", net002 "NET002", net003 "NET003", net004 "NET004", net005 "NET005", net006 "NET006",
    net007 "NET007", net008 "NET008", net009 "NET009", net010 "NET010", net011 "NET011",
}

#[test]
fn every_invariant_with_a_witness_has_a_scene() {
    for i in reach::invariant::ALL.iter().filter(|i| i.code.0 != "NET012") {
        assert!(SCENES.iter().any(|s| s.code == i.code.0), "{} is not sent", i.code);
    }
}
