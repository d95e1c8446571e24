//! Random small sites: the model's plain reading, the proof over rulesets read back, and the kernels agree on every packet;
//! and planted faults of an emitter do not get past them. `RAVELIN_RANDOM_SITES=10000` runs more, `RAVELIN_RANDOM_SEED`
//! begins elsewhere.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{
    build::Neighbours,
    foreign,
    packet::Body,
    random,
    stage::Stage,
    truth,
    volley::{Range, Report},
};
use plan::Options;
use ruleset::form::{Policy, Ruleset};
use std::{collections::BTreeSet, time::Instant};
use words::Proto;

/// Sites per run unless the environment says otherwise.
const SITES: u64 = 200;
/// Ports asked besides those of the site: one below, one between, one nobody has.
const OTHERS: [(Proto, u16); 4] = [(Proto::Tcp, 22), (Proto::Tcp, 8500), (Proto::Udp, 123), (Proto::Tcp, 64_999)];

/// Packets per site that no honest machine sends.
const HOSTILE_PACKETS: u16 = 80;
/// Datagrams per site that are answered.
const ANSWERS: usize = 12;
/// Their own dice, so that the sites of a seed stay what they were.
const FOREIGN: u64 = 0xf0_4e16;
const HOSTILE: u64 = 0x405_711e;

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(otherwise)
}

fn cases(stage: &Stage) -> Vec<truth::Case> {
    let mut ports: BTreeSet<(Proto, u16)> = truth::catalogue_ports([], &stage.model);
    ports.extend(OTHERS);
    ports.extend(stage.model.flows.iter().filter(|f| f.target.proto.has_ports()).flat_map(|f| {
        f.target.ports.ranges().iter().flat_map(|r| [r.first(), r.last()]).filter(|p| *p > 0 && *p < 49_000).map(|p| (f.target.proto, p))
    }));
    ports.retain(|(p, _)| matches!(p, Proto::Tcp | Proto::Udp));
    let mut all = truth::cross(&stage.model, &stage.lab.topology, &ports, |_, _| true);
    all.extend(truth::published(&stage.model, &stage.lab.topology, &ports));
    all
}

/// Ports of the site, of the kind that is asked.
fn ports(stage: &Stage) -> Vec<(Proto, u16)> {
    let flows = stage.model.flows.iter().filter(|f| matches!(f.target.proto, Proto::Tcp | Proto::Udp));
    let used = flows.filter_map(|f| f.target.ports.ranges().first().map(|r| (f.target.proto, r.first())));
    used.filter(|(_, p)| *p > 0 && *p < 49_000).chain(OTHERS.into_iter().filter(|(_, p)| *p < 49_000)).collect()
}

/// Somebody else's rules on the managed machines that are no edge.
fn others(stage: &Stage, seed: u64) -> Vec<foreign::Foreign> {
    let hosts = stage.model.hosts.values().filter(|h| h.managed && !h.edge).map(|h| h.name.as_str().to_owned()).collect::<Vec<_>>();
    foreign::foreign(&mut random::Dice::new(seed ^ FOREIGN), &hosts, &ports(stage))
}

fn hostile(stage: &Stage, seed: u64) -> Vec<truth::Case> {
    let mut dice = random::Dice::new(seed ^ HOSTILE);
    truth::hostile(&stage.model, &stage.lab.topology, &ports(stage), &mut dice, HOSTILE_PACKETS)
}

/// Asks what may be asked by datagram, and lets the asked answer: what is established passes both ways, by no flow of its own.
fn answers(stage: &Stage, range: &mut Range<'_>, cases: &[truth::Case], seed: u64) -> usize {
    let asked: Vec<_> = cases
        .iter()
        .filter(|c| matches!((&c.fate, c.shot.packet.body), (truth::Fate::Lands { flow: Some(_), .. }, Body::Udp { .. })))
        .filter(|c| !matches!(&c.fate, truth::Fate::Lands { on, .. } if *on == c.shot.node))
        .take(ANSWERS)
        .cloned()
        .collect();
    let report = fire(range, &asked, seed);
    let answers = truth::answers(&stage.model, &asked, &report.outcomes, ANSWERS);
    fire(range, &answers, seed);
    answers.len()
}

/// Where they land, and nothing about what else was counted.
fn fire(range: &mut Range<'_>, cases: &[truth::Case], seed: u64) -> Report {
    let shots: Vec<_> = cases.iter().map(|c| c.shot.clone()).collect();
    let report = range.fire_past(&shots, Vec::new()).expect("a volley");
    let wrong: Vec<String> = truth::compare(cases, &report).iter().map(ToString::to_string).collect();
    common::none(&format!("seed {seed}: what lands"), &wrong);
    report
}

#[test]
fn model_proof_and_kernel_agree() {
    if !common::inside("model_proof_and_kernel_agree") {
        return;
    }
    let (first, sites) = (number("RAVELIN_RANDOM_SEED", 1), number("RAVELIN_RANDOM_SITES", SITES));
    let begin = Instant::now();
    let (mut valid, mut packets, mut allowed, mut translated) = (0, 0, 0, 0);
    let (mut foreign, mut answered, mut forgeries) = (0, 0, 0);
    let mut seed = first;
    while valid < sites {
        seed += 1;
        assert!(seed - first < sites * 2, "most random sites must be valid; the last one:\n{}", random::site(seed - 1));
        let Ok(model) = common::read(&format!("random-{seed}.toml"), &random::site(seed)) else { continue };
        valid += 1;
        translated += usize::from(model.flows.iter().any(|f| !f.publish.is_empty()));
        let stage = Stage::build(model, Options::default(), Neighbours::Fixed).expect("built");
        stage.load_all().expect("loaded");
        let others = others(&stage, seed);
        others.iter().for_each(|f| f.load(&stage.lab).expect("foreign rules"));
        foreign += others.len();
        let mut cases = cases(&stage);
        let mut forged = hostile(&stage, seed);
        foreign::narrow(&stage.model, &others, &mut forged);
        foreign::narrow(&stage.model, &others, &mut cases);
        // What lands is answered to whom it names, who drops the answer: packets of nobody's volley.
        let landing = forged.extract_if(.., |c| matches!(c.fate, truth::Fate::Lands { .. })).collect::<Vec<_>>();
        cases.extend(forged);
        let mut range = Range::open(&stage.lab, truth::filtering(&stage.model)).expect("range");
        range.count_elements(false);
        let kernel = common::fire(&stage, &mut range, &cases);
        let proof = common::proof(&stage, &[cases.as_slice(), landing.as_slice()].concat());
        common::none(&format!("seed {seed}: kernel against model"), &kernel);
        common::none(&format!("seed {seed}: proof against model"), &proof);
        answered += answers(&stage, &mut range, &cases, seed);
        fire(&mut range, &landing, seed);
        forgeries += landing.len();
        packets += cases.len();
        allowed += cases.iter().filter(|c| matches!(c.fate, truth::Fate::Lands { .. })).count();
        drop(range);
        stage.lab.remove().expect("removed");
    }
    let how = format!("{translated} with translation, {foreign} machines with rules of others");
    println!(
        "{valid} sites ({how}), {packets} packets, {allowed} allowed, {forgeries} of them forged, {answered} answers, in {:?}",
        begin.elapsed()
    );
    assert!(translated > 0 && allowed > 0 && foreign > 0 && answered > 0 && forgeries > 0);
}

/// A fault of an emitter, planted in what a machine is given.
type Fault = fn(&mut Ruleset);

/// Forgets the v6 half of every exact set.
fn forgets_v6(r: &mut Ruleset) {
    for set in r.tables.iter_mut().flat_map(|t| t.sets.values_mut()).filter(|s| s.types.iter().any(|t| t == "ipv6_addr")) {
        set.elements.clear();
    }
}

/// Leaves chains open where they end.
fn leaves_open(r: &mut Ruleset) {
    use ruleset::form::{Statement, Verdict};
    for chain in r.tables.iter_mut().flat_map(|t| &mut t.chains) {
        if let Some(base) = &mut chain.base {
            base.policy = Policy::Accept;
            chain.rules.retain(|rule| {
                !(rule.id.as_deref().is_some_and(|id| id.starts_with("deny/"))
                    && rule.statements.iter().any(|s| matches!(s, Statement::Verdict(Verdict::Drop))))
            });
        }
    }
}

/// Swaps source and destination in every exact set of pairs.
fn swaps_ends(r: &mut Ruleset) {
    for set in r.tables.iter_mut().flat_map(|t| t.sets.values_mut()) {
        let pair = matches!(set.types.as_slice(), [a, b, ..] if a == b && (a == "ipv4_addr" || a == "ipv6_addr"));
        for element in set.elements.iter_mut().filter(|_| pair) {
            element.key.swap(0, 1);
        }
    }
}

#[test]
fn planted_faults_of_an_emitter_are_caught() {
    if !common::inside("planted_faults_of_an_emitter_are_caught") {
        return;
    }
    let faults: [(&str, Fault); 3] = [("forgets v6", forgets_v6), ("leaves open", leaves_open), ("swaps ends", swaps_ends)];
    for (name, fault) in faults {
        let mut stage = Stage::build(common::example("curio-cluster"), Options::default(), Neighbours::Fixed).expect("built");
        stage.plan.machines.values_mut().for_each(|m| fault(&mut m.ruleset));
        stage.load_all().expect("loaded");
        let ports = BTreeSet::from([(Proto::Tcp, 1234), (Proto::Tcp, 12300), (Proto::Tcp, 5433), (Proto::Tcp, 22), (Proto::Udp, 53)]);
        let cases = truth::cross(&stage.model, &stage.lab.topology, &ports, |_, _| true);
        let mut range = Range::open(&stage.lab, truth::filtering(&stage.model)).expect("range");
        range.count_elements(false);
        let kernel = common::fire(&stage, &mut range, &cases);
        let proof = common::proof(&stage, &cases);
        println!("{name}: of {} packets {} differ in the kernel, {} in the proof", cases.len(), kernel.len(), proof.len());
        assert!(!kernel.is_empty(), "the kernel shows: {name}");
        assert!(!proof.is_empty(), "the proof shows: {name}");
        drop(range);
        stage.lab.remove().expect("removed");
    }
}
