//! Random small sites: the model's plain reading, the proof over rulesets read back, and the kernels agree on every packet;
//! and planted faults of an emitter do not get past them. `RAVELIN_RANDOM_SITES=10000` runs more, `RAVELIN_RANDOM_SEED`
//! begins elsewhere.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{
    build::Neighbours,
    engine::{self, Engine},
    foreign, opinion,
    packet::Body,
    random,
    stage::Stage,
    truth::{
        self,
        under_way::{self, Class, Turn},
    },
    volley::{Range, Report},
};
use plan::Options;
use reach::{Network, Prover};
use ruleset::form::{Policy, Ruleset};
use site::model::Model;
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Instant,
};
use words::Proto;

/// Sites per run unless the environment says otherwise.
const SITES: u64 = 200;
/// Ports asked besides those of the site: one below, one between, one nobody has.
const OTHERS: [(Proto, u16); 4] = [(Proto::Tcp, 22), (Proto::Tcp, 8500), (Proto::Udp, 123), (Proto::Tcp, 64_999)];

/// Packets per site that no honest machine sends.
const HOSTILE_PACKETS: u16 = 80;
/// Datagrams per site that are answered.
const ANSWERS: usize = 12;
/// In one site of so many the counters must show who dropped what only claims to be under way: reading them costs more than all
/// these packets. In the others it must not land.
const COUNTED: u64 = 4;
/// Their own dice, so that the sites of a seed stay what they were.
const FOREIGN: u64 = 0xf0_4e16;
const ENGINES: u64 = 0xd0c_4e16;
const HOSTILE: u64 = 0x405_711e;
const UNDER_WAY: u64 = 0x0de7_0a7e;

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

/// Somebody else's rules on the managed machines that are no edge and have no engine, which writes its own.
fn others(stage: &Stage, engines: &[Engine], seed: u64) -> Vec<foreign::Foreign> {
    let hosts = stage.model.hosts.values().filter(|h| h.managed && !h.edge && engines.iter().all(|e| e.host != h.name));
    let hosts: Vec<String> = hosts.map(|h| h.name.as_str().to_owned()).collect();
    foreign::foreign(&mut random::Dice::new(seed ^ FOREIGN), &hosts, &ports(stage))
}

fn hostile(stage: &Stage, seed: u64) -> Vec<truth::Case> {
    let mut dice = random::Dice::new(seed ^ HOSTILE);
    truth::hostile(&stage.model, &stage.lab.topology, &ports(stage), &mut dice, HOSTILE_PACKETS)
}

/// What was seen: class, IPv6, translated, landed; how often.
type Seen = BTreeMap<(Class, bool, bool, bool), usize>;

/// How a volley's fate is seen.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Told {
    /// All of it lands.
    Lands,
    /// What does not land is counted by a rule, which is looked at in one site of [`COUNTED`].
    Counted,
    /// The kernel drops it, and no rule counts it.
    Vanishes,
}

/// The machines' own stacks answer a SYN nobody listens for, and that would end the connections of the lab's own packets.
const QUIET: &str = "table inet quiet {
 chain o {
  type filter hook output priority -400
  ip length 40 tcp flags & rst == rst drop
  ip6 length 20 tcp flags & rst == rst drop
 }
}
";

/// Opens connections, then answers them, reports errors about them, and pretends to: each volley in turn.
fn played(stage: &Stage, range: &mut Range<'_>, cases: &[truth::Case], seed: u64, mut each: impl FnMut(&mut Range<'_>, Vec<Turn>, Told)) {
    let mut dice = random::Dice::new(seed ^ UNDER_WAY);
    let (model, topology) = (&stage.model, &stage.lab.topology);
    let asked = under_way::openings(model, topology, cases, &mut dice);
    let on = |c: &truth::Case| if let truth::Fate::Lands { on, .. } = &c.fate { Some(on.clone()) } else { None };
    let nodes: BTreeSet<String> = asked.iter().flat_map(|c| [Some(c.shot.node.clone()), on(c)]).flatten().collect();
    for node in nodes {
        stage.lab.space(&node).expect("node").program("nft", &["-f", "-"], Some(QUIET)).expect("a quiet stack");
    }
    let report = fire(range, &asked, seed);
    let all = under_way::connections(model, &asked, &report.outcomes);
    assert_eq!(all.len(), asked.len(), "seed {seed}: every opening landed");
    each(range, under_way::early(model, topology, &all), Told::Counted);
    each(range, under_way::first_answers(model, topology, &all), Told::Lands);
    each(range, under_way::follow(model, topology, &all, &mut dice), Told::Lands);
    let mut forged = under_way::forged(model, topology, &all, &mut dice);
    // The kernel itself drops IPv4 redirects about what it translates, and no rule counts them.
    let kernels = forged.extract_if(.., |t| t.class == Class::Redirect && t.translated).collect();
    each(range, forged, Told::Counted);
    each(range, kernels, Told::Vanishes);
}

/// Kernel, rulesets read back and plain reading agree on every packet of connections under way.
fn under_way(
    stage: &Stage,
    network: &Network<'_>,
    range: &mut Range<'_>,
    cases: &[truth::Case],
    seed: u64,
    seen: &mut Seen,
    ufw: &BTreeSet<&str>,
) {
    let counted = seed.is_multiple_of(COUNTED);
    played(stage, range, cases, seed, |range, mut turns, told| {
        turns.retain(|t| !ufw.contains(t.case.shot.node.as_str()));
        common::none(&format!("seed {seed}: rulesets against model"), &opinion::of_turns(&stage.model, network, &turns));
        let cases: Vec<_> = turns.iter().map(|t| t.case.clone()).collect();
        let shots: Vec<_> = cases.iter().map(|c| c.shot.clone()).collect();
        let report = match told {
            Told::Lands => range.fire_past(&shots, Vec::new()),
            Told::Counted if counted => range.fire(&shots),
            Told::Counted | Told::Vanishes => range.fire_into_silence(&shots),
        }
        .expect("a volley");
        let wrong: Vec<String> = truth::compare(&cases, &report).iter().map(ToString::to_string).collect();
        common::none(&format!("seed {seed}: connections under way"), &wrong);
        assert!(told != Told::Counted || !counted || report.unaccounted <= 0, "seed {seed}: {} uncounted of {cases:?}", report.unaccounted);
        for t in turns {
            let lands = matches!(t.case.fate, truth::Fate::Lands { .. });
            *seen.entry((t.class, t.case.shot.packet.dst.is_ipv6(), t.translated, lands)).or_default() += 1;
        }
    });
}

/// What was seen of engines: packets for their machines, by UFW in front and IPv6.
#[derive(Debug, Default)]
struct Engined {
    machines: usize,
    /// To guests, to the machine itself, stopped.
    packets: BTreeMap<(bool, bool), [usize; 3]>,
}

impl Engined {
    fn add(&mut self, model: &Model, engines: &[Engine], cases: &[truth::Case]) {
        self.machines += engines.len();
        for c in cases {
            let dst = c.shot.packet.dst;
            let of = |e: &&Engine| match &c.fate {
                truth::Fate::Lands { on, .. } => *on == e.guest() || *on == e.host.as_str(),
                truth::Fate::Stopped => e.publishes(model, &c.shot.packet),
                truth::Fate::Refused => false,
            };
            let Some(engine) = engines.iter().find(of) else { continue };
            let fate = match &c.fate {
                truth::Fate::Lands { on, .. } => usize::from(*on == engine.host.as_str()),
                _ => 2,
            };
            self.packets.entry((engine.ufw, dst.is_ipv6())).or_default()[fate] += 1;
        }
    }
    fn seen_both_ways(&self) {
        for front in [(false, false), (false, true), (true, false), (true, true)] {
            let seen = self.packets.get(&front).copied().unwrap_or_default();
            assert!(seen.iter().all(|n| *n > 0), "UFW, IPv6 {front:?}: {self:?}");
        }
    }
}

/// Every class was seen, in both families, and what can be translated was; what must not pass did not.
fn seen_both_ways(seen: &Seen) {
    use Class::{Ack, Datagram, EarlyAck, ErrorBack, ErrorElsewhere, ErrorForth, ErrorOfNone, Redirect, Refusal, Stranger, SynAck};
    let count = |class: Class, v6: bool, translated: bool, lands: bool| seen.get(&(class, v6, translated, lands)).copied().unwrap_or(0);
    for v6 in [false, true] {
        for class in [SynAck, Refusal, Datagram, Ack, ErrorBack, ErrorForth] {
            assert!(count(class, v6, false, true) > 0, "{class:?} was let pass, IPv6 {v6}: {seen:?}");
        }
        for class in [EarlyAck, Stranger, ErrorOfNone, ErrorElsewhere, Redirect] {
            assert!(count(class, v6, false, false) > 0, "{class:?} was stopped, IPv6 {v6}: {seen:?}");
        }
    }
    for class in [SynAck, Refusal, Datagram, Ack, ErrorBack, ErrorForth] {
        assert!(count(class, false, true, true) > 0, "{class:?} was translated: {seen:?}");
    }
    for class in [EarlyAck, Stranger, ErrorOfNone, Redirect] {
        assert!(count(class, false, true, false) > 0, "{class:?} was stopped where translated: {seen:?}");
    }
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
    let mut engined = Engined::default();
    let mut seen = Seen::new();
    let mut seed = first;
    while valid < sites {
        seed += 1;
        assert!(seed - first < sites * 2, "most random sites must be valid; the last one:\n{}", random::site(seed - 1));
        let Ok(mut model) = common::read(&format!("random-{seed}.toml"), &random::site(seed)) else { continue };
        valid += 1;
        let engines = engine::engines(&mut random::Dice::new(seed ^ ENGINES), &mut model);
        translated += usize::from(model.flows.iter().any(|f| !f.publish.is_empty()));
        let mut stage = Stage::build(model, Options::default(), Neighbours::Fixed).expect("built");
        engines.iter().for_each(|e| e.build(&mut stage.lab).expect("a guest"));
        stage.load_all().expect("loaded");
        engines.iter().for_each(|e| e.load(&stage.lab).expect("an engine's rules"));
        let others = others(&stage, &engines, seed);
        others.iter().for_each(|f| f.load(&stage.lab).expect("foreign rules"));
        foreign += others.len();
        let mut cases = cases(&stage);
        let mut forged = hostile(&stage, seed);
        // UFW's own rules judge what belongs to no connection, otherwise than the site's.
        let ufw: BTreeSet<&str> = engines.iter().filter(|e| e.ufw).map(|e| e.host.as_str()).collect();
        let at_ufw = |c: &truth::Case| {
            ufw.contains(c.shot.node.as_str()) || matches!(&c.fate, truth::Fate::Lands { on, .. } if ufw.contains(on.as_str()))
        };
        forged.retain(|c| engine::opens(&c.shot.packet).is_some() || !at_ufw(c));
        foreign::narrow(&stage.model, &others, &mut forged);
        foreign::narrow(&stage.model, &others, &mut cases);
        engine::turned(&stage.model, &engines, &mut cases);
        engine::turned(&stage.model, &engines, &mut forged);
        // What lands is answered to whom it names, who drops the answer: packets of nobody's volley.
        let landing = forged.extract_if(.., |c| matches!(c.fate, truth::Fate::Lands { .. })).collect::<Vec<_>>();
        cases.extend(forged);
        let mut range = Range::open(&stage.lab, truth::filtering(&stage.model)).expect("range");
        range.count_elements(false);
        let kernel = common::fire(&stage, &mut range, &cases);
        let rulesets = common::rulesets(&stage);
        let mut prover = Prover::new();
        let mut network = common::network(&stage, &rulesets, &mut prover);
        engines.iter().for_each(|e| network.guests(&e.host, [e.link()]));
        let proof = opinion::disagreements(&stage.model, &network, &stage.lab.topology, &[cases.as_slice(), landing.as_slice()].concat());
        common::none(&format!("seed {seed}: kernel against model"), &kernel);
        common::none(&format!("seed {seed}: proof against model"), &proof);
        engined.add(&stage.model, &engines, &cases);
        // A guest answers by its own address, and its machine's connections are not the site's.
        cases.retain(|c| !engine::is_guests(&engines, c));
        answered += answers(&stage, &mut range, &cases, seed);
        fire(&mut range, &landing, seed);
        cases.retain(|c| !at_ufw(c));
        under_way(&stage, &network, &mut range, &cases, seed, &mut seen, &ufw);
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
    println!("{engined:?}");
    if sites >= SITES {
        engined.seen_both_ways();
    }
    let turns: usize = seen.values().sum();
    let through = seen.iter().filter(|((_, _, translated, _), _)| *translated).map(|(_, n)| n).sum::<usize>();
    println!("{turns} packets of connections under way or claiming to be, {through} of them translated: {seen:?}");
    if sites >= SITES {
        seen_both_ways(&seen);
    }
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

/// Forgets that answers belong to what was asked.
fn forgets_answers(r: &mut Ruleset) {
    for chain in r.tables.iter_mut().flat_map(|t| &mut t.chains) {
        chain.rules.retain(|rule| !rule.id.as_deref().is_some_and(|id| id.starts_with("established/")));
    }
}

/// Forgets that errors may be about a connection.
fn forgets_errors(r: &mut Ruleset) {
    for chain in r.tables.iter_mut().flat_map(|t| &mut t.chains) {
        chain.rules.retain(|rule| !rule.id.as_deref().is_some_and(|id| id.starts_with("related/")));
    }
}

/// Takes every error for one about a connection.
fn believes_errors(r: &mut Ruleset) {
    use ruleset::form::{Key, Statement};
    for rule in r.tables.iter_mut().flat_map(|t| &mut t.chains).flat_map(|c| &mut c.rules) {
        if rule.id.as_deref().is_some_and(|id| id.starts_with("related/")) {
            rule.statements.retain(|s| !matches!(s, Statement::Match { key: Key::CtState, .. }));
        }
    }
}

#[test]
fn planted_faults_about_connections_are_caught() {
    if !common::inside("planted_faults_about_connections_are_caught") {
        return;
    }
    /// A site with an edge, translation and both families.
    const SEED: u64 = 2;
    let faults: [(&str, Fault, &[Class]); 3] = [
        ("forgets answers", forgets_answers, &[Class::SynAck, Class::Refusal, Class::Datagram]),
        ("forgets errors", forgets_errors, &[Class::ErrorBack, Class::ErrorForth]),
        ("believes errors", believes_errors, &[Class::ErrorOfNone]),
    ];
    for (name, fault, classes) in faults {
        let model = common::read("random.toml", &random::site(SEED)).expect("a valid site");
        let mut stage = Stage::build(model, Options::default(), Neighbours::Fixed).expect("built");
        stage.plan.machines.values_mut().for_each(|m| fault(&mut m.ruleset));
        stage.load_all().expect("loaded");
        let cases = cases(&stage);
        let mut range = Range::open(&stage.lab, truth::filtering(&stage.model)).expect("range");
        let rulesets = common::rulesets(&stage);
        let mut prover = Prover::new();
        let network = common::network(&stage, &rulesets, &mut prover);
        let (mut kernel, mut proof) = (0, 0);
        played(&stage, &mut range, &cases, SEED, |range, mut turns, _| {
            turns.retain(|t| classes.contains(&t.class));
            let cases: Vec<_> = turns.iter().map(|t| t.case.clone()).collect();
            let report = range.fire_into_silence(&cases.iter().map(|c| c.shot.clone()).collect::<Vec<_>>()).expect("a volley");
            kernel += truth::compare(&cases, &report).len();
            proof += opinion::of_turns(&stage.model, &network, &turns).len();
        });
        println!("{name}: {kernel} packets differ in the kernel, {proof} in the proof");
        assert!(kernel > 0, "the kernel shows: {name}");
        assert!(proof > 0, "the proof shows: {name}");
        drop(range);
        stage.lab.remove().expect("removed");
    }
}
