//! Limits of published endpoints with packets: who exceeds one is refused and counted, everybody else is not, and an IPv6
//! /64 is one source. While observing nobody is refused, and `learn` hears of it.

mod common;

use lab::{
    build::Neighbours,
    connect, count, demo, listen,
    outside::{ATTACKER, CLIENT},
    stage::Stage,
};
use plan::Options;
use site::model::Mode;
use std::net::{IpAddr, SocketAddr};

const SITE: &str = r#"
[site]
management = { from = ["198.51.100.7/32"] }
[layers]
network = "enforce"
[hosts.sp1]
address = ["203.0.113.10", "2001:db8:10::10"]
runs = ["lotus", "lotus-miner", "lotus-worker", "boostd", "boostd-data", "booster-http", "yugabyte"]
[[publish]]
service = "lotus.libp2p"
on = "sp1"
port = 24001
[[publish]]
service = "booster-http.http"
on = "sp1"
"#;
const V4: &str = "203.0.113.10";
const V6: &str = "2001:db8:10::10";
/// Port of the endpoint with a limit.
const LIMITED: u16 = 7777;
/// Port of the one without.
const FREE: u16 = 24001;

fn stage(limit: &str, mode: Mode) -> Stage {
    let mut model = common::read("site.toml", &format!("{SITE}{limit}\n")).expect("valid");
    model.layers.network = mode;
    let stage = Stage::build(model, Options::default(), Neighbours::Dynamic).expect("built");
    stage.load_all().expect("loaded");
    listen::serve(&stage.lab, &demo::ports(&stage)).expect("listeners");
    stage
}

/// Opens so many connections at once and holds those that stand.
fn opened(stage: &Stage, from: &str, src: Option<&str>, to: &str, port: u16, attempts: usize) -> Vec<connect::Held> {
    let space = stage.lab.space(from).expect("node");
    let (src, to): (Option<IpAddr>, IpAddr) = (src.map(|s| s.parse().expect("address")), to.parse().expect("address"));
    let tried: Vec<_> = std::thread::scope(|s| {
        let all: Vec<_> =
            (0..attempts).map(|_| s.spawn(move || connect::hold(space, src, SocketAddr::new(to, port)).expect("a socket"))).collect();
        all.into_iter().map(|t| t.join().expect("joins")).collect()
    });
    tried.into_iter().filter_map(Result::ok).collect()
}

/// Packets that rules of this kind refused or counted.
fn met(stage: &Stage, kind: &str) -> u64 {
    let readings = count::read(&stage.lab, ["sp1"]).expect("counters");
    readings.iter().filter(|(place, _)| place.holder.starts_with(&format!("over/{kind}/"))).map(|(_, r)| r.packets).sum()
}

#[test]
fn a_source_holds_no_more_than_its_limit() {
    if !common::inside("a_source_holds_no_more_than_its_limit") {
        return;
    }
    let stage = stage("limit = { new = 1000, held = 5 }", Mode::Enforce);
    let held = opened(&stage, ATTACKER, None, V4, LIMITED, 9);
    assert_eq!(held.len(), 5);
    assert!(held.iter().all(connect::Held::alive), "what stands goes on");
    assert!(met(&stage, "held") >= 4, "each refusal is counted");
    assert_eq!(opened(&stage, CLIENT, None, V4, LIMITED, 3).len(), 3, "another source has its own limit");
    assert_eq!(opened(&stage, ATTACKER, None, V4, FREE, 9).len(), 9, "another endpoint has no limit");
    drop(held);
    let space = stage.lab.space(ATTACKER).expect("node");
    let links = space.program("ip", &["-o", "-6", "addr", "show", "scope", "global"], None).expect("ip").stdout;
    let device = String::from_utf8_lossy(&links).split_whitespace().nth(1).expect("a device").to_owned();
    let (first, second, stranger) = ("2a0b:f4c2:6666::66", "2a0b:f4c2:6666:0:1::67", "2a0b:f4c2:6666:1::66");
    for a in [second, stranger] {
        space.program("ip", &["addr", "add", &format!("{a}/128"), "dev", &device, "nodad"], None).expect("address");
        let host = stage.lab.space("sp1").expect("node");
        let routed = host.program("ip", &["-6", "route", "get", a], None);
        assert!(routed.is_ok(), "answers to {a} have a way");
    }
    let held = opened(&stage, ATTACKER, Some(first), V6, LIMITED, 5);
    assert_eq!(held.len(), 5);
    assert_eq!(opened(&stage, ATTACKER, Some(second), V6, LIMITED, 3).len(), 0, "the same /64 is the same source");
    assert_eq!(opened(&stage, ATTACKER, Some(stranger), V6, LIMITED, 3).len(), 3, "another /64 is another");
}

#[test]
fn a_source_opens_no_faster_than_its_limit() {
    if !common::inside("a_source_opens_no_faster_than_its_limit") {
        return;
    }
    let stage = stage("limit = { new = 5, held = 1000 }", Mode::Enforce);
    let held = opened(&stage, ATTACKER, None, V4, LIMITED, 40);
    assert!((5..35).contains(&held.len()), "{} of 40 at once: the burst is 10, and a little comes back", held.len());
    assert!(met(&stage, "rate") > 0);
    assert_eq!(opened(&stage, CLIENT, None, V4, LIMITED, 3).len(), 3);
}

#[test]
fn observing_refuses_nobody_and_learn_hears_of_it() {
    if !common::inside("observing_refuses_nobody_and_learn_hears_of_it") {
        return;
    }
    let stage = stage("limit = { new = 1000, held = 5 }", Mode::Observe);
    assert_eq!(opened(&stage, ATTACKER, None, V4, LIMITED, 9).len(), 9);
    let json = stage.lab.space("sp1").expect("node").program("nft", &["-j", "list", "ruleset"], None).expect("nft").stdout;
    let rulesets = facts::Rulesets { nft_json: Some(String::from_utf8(json).expect("text")), ..Default::default() };
    let machine = words::HostName::new("sp1").expect("name");
    let seen = learn::report(&stage.model, &[learn::Observation { machine, facts: facts::Facts { rulesets, ..Default::default() } }]);
    let limits: Vec<_> = seen.would_drop.iter().filter(|(rule, _)| rule.contains("held/")).collect();
    assert!(!limits.is_empty() && limits.iter().all(|(_, n)| **n >= 4), "{:?}", seen.would_drop);
}
