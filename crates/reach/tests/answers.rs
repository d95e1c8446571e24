//! Can A reach B: the answer's word, the hop it goes through, the packet as it is sent, and what stops it; on the example
//! sites, whose lines say what must come out, and on small sites that have one question each.

mod common;

use common::{Planned, host};
use reach::{
    Answer, Journey, Prover, Question, Sender,
    network::{Hop, Stop},
};
use ruleset::form::Ruleset;
use words::{Family, ZoneName};

fn zone(name: &str) -> ZoneName {
    ZoneName::new(name).expect("zone")
}

fn honest(name: &str) -> Sender {
    Sender::Host(host(name))
}

fn taken(name: &str) -> Sender {
    Sender::TakenOver(host(name))
}

fn from_zone(name: &str) -> Sender {
    Sender::Zone(zone(name))
}

fn ask_in(site: &Planned, from: Sender, to: &str, target: &str, family: Option<Family>) -> Answer {
    let mut prover = Prover::new();
    let target = (!target.is_empty()).then(|| target.parse().expect("target"));
    site.network(&mut prover).reach(&Question { from, to: host(to), target, family })
}

fn ask(site: &Planned, from: Sender, to: &str, target: &str) -> Answer {
    ask_in(site, from, to, target, None)
}

/// The way of a packet that arrives at this machine.
#[track_caller]
fn yes(answer: &Answer, to: &str) -> Journey {
    let Answer::Yes { journey, .. } = answer else { panic!("not a yes: {answer:?}") };
    assert!(journey.stop.is_none(), "{journey:?}");
    assert_eq!(journey.received.as_ref(), Some(&host(to)));
    journey.clone()
}

/// `machine hook` where it ends, and the id of what ended it.
#[track_caller]
fn no(answer: &Answer) -> (String, String) {
    let Answer::No { stop, journey } = answer else { panic!("not a no: {answer:?}") };
    assert!(journey.as_ref().is_none_or(|j| j.received.is_none() && j.stop.as_ref() == Some(stop)));
    match stop {
        Stop::Rule { host, hook, step } => (format!("{host} {hook}"), step.as_ref().and_then(|s| s.id.clone()).unwrap_or_default()),
        other => (format!("{other:?}"), String::new()),
    }
}

fn hops(journey: &Journey) -> Vec<String> {
    let mut all: Vec<String> = journey.hops.iter().map(|h: &Hop| format!("{} {}", h.host, h.hook)).collect();
    all.dedup();
    all
}

#[track_caller]
fn passes(journey: &Journey, hop: &str) {
    assert!(hops(journey).iter().any(|h| h == hop), "{hop} is not among {:?}", hops(journey));
}

#[test]
fn a_declared_flow_goes_over_the_edge_by_the_flow_s_own_elements() {
    let site = Planned::example("small");
    let journey = yes(&ask(&site, honest("market1"), "daemon1", "1234/tcp"), "daemon1");
    for hop in ["market1 output", "fw-a forward", "daemon1 input"] {
        passes(&journey, hop);
    }
    let flow = site
        .model
        .flows
        .iter()
        .find(|f| f.from == site::model::Party::Host(host("market1")) && f.to == site::model::Party::Host(host("daemon1")))
        .expect("the example lost its flow");
    assert_eq!(journey.ids().iter().filter(|id| **id == flow.id.0).count(), 3, "{:?}", journey.ids());
    assert_eq!(journey.sent.dport(), 1234);
}

#[test]
fn both_families_are_asked_for_where_one_is_named() {
    let site = Planned::example("small");
    for family in Family::ALL {
        let journey = yes(&ask_in(&site, honest("market1"), "daemon1", "1234/tcp", Some(family)), "daemon1");
        assert_eq!(journey.sent.family(), family);
    }
    // The management controllers have IPv4 alone.
    let answer = ask_in(&site, honest("bastion1"), "bmc1", "443/tcp", Some(Family::V6));
    assert!(matches!(answer, Answer::No { stop: Stop::NoFamily, journey: None }), "{answer:?}");
}

#[test]
fn an_honest_sender_is_stopped_by_its_own_filter_and_a_taken_over_one_by_the_edge() {
    let site = Planned::example("small");
    let (place, id) = no(&ask(&site, honest("market1"), "nas1", "2049/tcp"));
    assert_eq!(place, "market1 output");
    assert!(id.starts_with("deny/"), "{id}");
    let (place, id) = no(&ask(&site, taken("market1"), "nas1", "2049/tcp"));
    assert_eq!(place, "fw-a forward");
    assert!(id.starts_with("deny/"), "{id}");
}

#[test]
fn somebody_in_the_same_zone_meets_no_edge_but_the_receiver() {
    let site = Planned::example("small");
    let journey = yes(&ask(&site, honest("worker1"), "nas1", "2049/tcp"), "nas1");
    assert_eq!(hops(&journey).first().map(String::as_str), Some("worker1 output"));
    assert!(!journey.hops.iter().any(|h| h.host.as_str().starts_with("fw-")), "{:?}", hops(&journey));
    // A neighbour's address in the same zone may use NFS; the port beside it is closed by the receiver itself.
    assert_eq!(no(&ask(&site, taken("worker1"), "nas1", "2050/tcp")).0, "nas1 input");
    assert_eq!(no(&ask(&site, honest("worker1"), "nas1", "2050/tcp")).0, "worker1 output");
}

#[test]
fn whoever_takes_a_machine_over_speaks_in_its_neighbours_names() {
    let site = Planned::example("small");
    let journey = yes(&ask(&site, taken("worker1"), "nas1", "2049/tcp"), "nas1");
    assert!(!journey.hops.iter().any(|h| h.host == host("worker1")), "its own filter is gone: {:?}", hops(&journey));
    // The exporter on ns1 is for mon1, in the same zone, alone: bastion1 gets there only by claiming to be mon1.
    let journey = yes(&ask(&site, taken("bastion1"), "ns1", "9100/tcp"), "ns1");
    assert!(site.model.hosts[&host("mon1")].addresses().any(|a| a == journey.sent.src()), "{}", journey.sent);
    assert_eq!(no(&ask(&site, honest("bastion1"), "ns1", "9100/tcp")).0, "bastion1 output");
    // From another zone nobody can claim that: the edge binds sources to devices.
    assert!(no(&ask(&site, taken("market1"), "ns1", "9100/tcp")).0.starts_with("fw-a"));
}

#[test]
fn a_published_service_is_reached_by_its_public_address() {
    let site = Planned::example("small");
    let journey = yes(&ask_in(&site, from_zone("internet"), "daemon1", "6665/tcp", Some(Family::V4)), "daemon1");
    assert_eq!(journey.sent.dst().to_string(), "203.0.113.5", "sent to the public address");
    passes(&journey, "fw-a prerouting");
    passes(&journey, "fw-a forward");
    passes(&journey, "daemon1 input");
    let last = journey.hops.last().expect("hops");
    assert_eq!(last.trace.packet.dst().to_string(), "10.20.20.11", "and received at the machine's own");
    let journey = yes(&ask_in(&site, from_zone("internet"), "daemon1", "6665/tcp", Some(Family::V6)), "daemon1");
    assert_eq!(journey.sent.dst().to_string(), "2001:db8:20:20::11", "no translation in IPv6");
}

#[test]
fn what_is_not_published_is_not_reached_from_outside() {
    for (name, to, target) in [
        ("small", "daemon1", "1234/tcp"),
        ("small", "market1", "1288/tcp"),
        ("small", "bmc1", "443/tcp"),
        ("small", "db1", "5433/tcp"),
        ("curio-cluster", "lotus1", "1234/tcp"),
        ("curio-cluster", "curio2", "12310/tcp"),
        ("curio-cluster", "yb1", "5433/tcp"),
    ] {
        let site = Planned::example(name);
        for family in [Family::V4, Family::V6] {
            if !site.model.hosts[&host(to)].addresses().any(|a| Family::of(&a) == family) {
                continue;
            }
            let (place, _) = no(&ask_in(&site, from_zone("internet"), to, target, Some(family)));
            let edge = site.model.edge.nodes[0].as_str();
            assert!(place.starts_with(edge), "{name}: {to} {target} {family:?} is stopped at {place}, not at {edge}");
        }
    }
}

#[test]
fn without_a_firewall_the_machine_itself_is_the_perimeter() {
    let site = Planned::example("single-host");
    let journey = yes(&ask(&site, from_zone("internet"), "sp1", "6665/tcp"), "sp1");
    assert!(journey.hops.iter().all(|h| h.host == host("sp1")), "{:?}", hops(&journey));
    for target in ["1234/tcp", "2345/tcp", "5433/tcp", "7000/tcp"] {
        assert_eq!(no(&ask(&site, from_zone("internet"), "sp1", target)).0, "sp1 input", "{target}");
    }
    // The way in that the site file names, and nobody else's.
    let journey = yes(&ask(&site, from_zone("internet"), "sp1", "22/tcp"), "sp1");
    let src = journey.sent.src();
    assert!(site.model.management.nets.iter().any(|n| n.contains(&src)), "{src}");
}

#[test]
fn curio_s_nodes_reach_the_database_and_the_proxy_reaches_them() {
    let site = Planned::example("curio-cluster");
    passes(&yes(&ask(&site, honest("curio1"), "yb2", "5433/tcp"), "yb2"), "fw1 forward");
    passes(&yes(&ask(&site, honest("proxy1"), "curio3", "12310/tcp"), "curio3"), "fw1 forward");
    assert_eq!(no(&ask(&site, honest("proxy1"), "yb1", "5433/tcp")).0, "proxy1 output");
    assert_eq!(no(&ask(&site, taken("proxy1"), "yb1", "5433/tcp")).0, "fw1 forward");
    assert_eq!(no(&ask(&site, taken("proxy1"), "mon1", "9090/tcp")).0, "fw1 forward");
}

#[test]
fn a_machine_nobody_manages_filters_nothing_that_can_be_relied_on() {
    let site = Planned::example("small");
    let journey = yes(&ask(&site, from_zone("ops"), "bmc1", "443/tcp"), "bmc1");
    assert!(journey.hops.is_empty(), "{:?}", hops(&journey));
    assert!(journey.assumed.iter().any(|a| a.contains("bmc1 is not managed")), "{:?}", journey.assumed);
    // The edge still stands before it, for everybody else.
    assert_eq!(no(&ask(&site, taken("market1"), "bmc1", "443/tcp")).0, "fw-a forward");
}

#[test]
fn what_cannot_be_read_makes_a_no_and_a_yes_unproven() {
    let mut site = Planned::example("small");
    let unread = "an XDP program on device chain";
    site.rulesets.get_mut(&host("daemon1")).expect("daemon1").unread.push(unread.into());
    for (from, target) in [(honest("market1"), "1234/tcp"), (taken("market1"), "1235/tcp")] {
        let answer = ask(&site, from, "daemon1", target);
        let Answer::Unproven { why, journey } = &answer else { panic!("{answer:?}") };
        assert!(why.iter().any(|w| w.contains("daemon1") && w.contains(unread)), "{why:?}");
        assert!(journey.is_some());
    }
    // Other machines' answers stay as they were.
    assert_eq!(ask(&site, honest("worker1"), "nas1", "2049/tcp").word(), "yes");
}

#[test]
fn a_machine_without_a_ruleset_of_its_own_passes_everything() {
    let mut site = Planned::example("small");
    site.rulesets.insert(host("nas1"), Ruleset::default());
    assert_eq!(ask(&site, taken("worker1"), "nas1", "2050/tcp").word(), "yes");
    assert_eq!(no(&ask(&site, taken("market1"), "nas1", "2050/tcp")).0, "fw-a forward");
}

/// Two zones, two machines, an edge of some kind.
fn two_zones(edge: &str) -> Planned {
    let text = format!(
        r#"[site]
name       = "sp-two"
miners     = ["f01000"]
management = {{ from = ["ops"], by = "ssh" }}

[zones]
chain = {{ vlan = 20, subnets = ["10.7.20.0/24"] }}
ops   = {{ vlan = 90, subnets = ["10.7.90.0/24"] }}

[edge]
{edge}

[hosts.daemon1]
address = "10.7.20.11"
runs    = ["lotus"]

[hosts.mon1]
address = "10.7.90.21"
runs    = ["prometheus"]
"#
    );
    Planned::read("site.toml", &text)
}

#[test]
fn somebody_else_s_firewall_leaves_a_yes_unproven_and_not_a_no() {
    let site = two_zones("kind = \"external\"");
    let answer = ask(&site, from_zone("ops"), "daemon1", "22/tcp");
    let Answer::Unproven { why, journey } = &answer else { panic!("{answer:?}") };
    assert!(why.iter().any(|w| w.contains("the external firewall")), "{why:?}");
    assert_eq!(journey.as_ref().and_then(|j| j.received.as_ref()), Some(&host("daemon1")));
    // What the receiver refuses cannot come in, whatever stands before it.
    assert_eq!(no(&ask(&site, from_zone("ops"), "daemon1", "4000/tcp")).0, "daemon1 input");
    assert_eq!(no(&ask(&site, from_zone("internet"), "daemon1", "4000/tcp")).0, "daemon1 input");
}

#[test]
fn with_no_edge_the_receiver_decides_alone() {
    let site = two_zones("kind = \"none\"");
    let journey = yes(&ask(&site, from_zone("ops"), "daemon1", "22/tcp"), "daemon1");
    assert!(journey.hops.iter().all(|h| h.host == host("daemon1")), "{:?}", hops(&journey));
    // Nobody binds sources to devices either: from outside it is open to who claims an address of ops, and closed otherwise.
    let journey = yes(&ask(&site, from_zone("internet"), "daemon1", "22/tcp"), "daemon1");
    assert!(site.model.zones[&zone("ops")].subnets.iter().any(|n| n.contains(&journey.sent.src())), "{}", journey.sent);
    assert_eq!(no(&ask(&site, from_zone("internet"), "daemon1", "4000/tcp")).0, "daemon1 input");
    let mut open = two_zones("kind = \"none\"");
    open.rulesets.insert(host("daemon1"), Ruleset::default());
    assert_eq!(ask(&open, from_zone("internet"), "daemon1", "1234/tcp").word(), "yes", "nothing else stands in between");
}

#[test]
fn an_unmanaged_machine_in_two_zones_may_be_a_way_round_the_edge() {
    let path = format!("{}/../../examples/small/site.toml", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("example");
    let router = "\n[hosts.old1]\naddress = { dmz = \"10.20.10.77\", data = \"10.20.50.77\" }\nzone    = \"data\"\nmanaged = false\n";
    let mut site = Planned::read("site.toml", &(text.clone() + router));
    site.rulesets.insert(host("db1"), Ruleset::default());
    let answer = ask(&site, taken("market1"), "db1", "5555/tcp");
    let Answer::Unproven { why, .. } = &answer else { panic!("{answer:?}") };
    assert!(why.iter().any(|w| w.contains("old1")), "{why:?}");
    let mut plain = Planned::read("site.toml", &text);
    plain.rulesets.insert(host("db1"), Ruleset::default());
    assert_eq!(no(&ask(&plain, taken("market1"), "db1", "5555/tcp")).0, "fw-a forward");
}

/// Two zones and a machine with an engine that routes, in both.
const ROUTED: &str = r#"
[site]
name       = "routed"
miners     = ["f01234"]
management = { from = ["ops"], by = "ssh" }

[zones]
chain = { vlan = 20, subnets = ["10.0.20.0/24"] }
ops   = { vlan = 90, subnets = ["10.0.90.0/24"] }

[edge]
kind   = "ravelin"
nodes  = ["fw-a"]
public = ["203.0.113.0/28"]
vip    = { internet = "203.0.113.1", chain = "10.0.20.1", ops = "10.0.90.1" }

[hosts]
fw-a    = { address = { internet = "203.0.113.2", chain = "10.0.20.2", ops = "10.0.90.2" } }
daemon1 = { zone = "chain", address = "10.0.20.11", runs = ["lotus"] }
virt1   = { address = { chain = "10.0.20.12", ops = "10.0.90.12" }, coexist = ["libvirt"] }
plain1  = { zone = "ops", address = "10.0.90.13" }
"#;

#[test]
fn a_machine_that_forwards_for_guests_is_a_router_only_where_its_rules_let_it() {
    let mut site = Planned::read("site.toml", ROUTED);
    // Its own rules refuse to forward from zone to zone: no way but the edge, which refuses as well.
    assert_eq!(no(&ask(&site, from_zone("ops"), "daemon1", "2345/tcp")).0, "fw-a forward");
    // Somebody opens its forwarding chain: it is named, and nothing is denied any more.
    let table = &mut site.rulesets.get_mut(&host("virt1")).expect("planned").tables[0];
    let forward = table.chains.iter_mut().find(|c| c.name == "forward").expect("chain");
    forward.rules.clear();
    forward.base.as_mut().expect("base").policy = ruleset::form::Policy::Accept;
    // The receiver refuses by itself; what an edge alone would stop is no longer proven for what the receiver lets in.
    let daemon = &mut site.rulesets.get_mut(&host("daemon1")).expect("planned").tables[0];
    daemon.chains.iter_mut().for_each(|c| {
        c.rules.clear();
        if let Some(b) = &mut c.base {
            b.policy = ruleset::form::Policy::Accept;
        }
    });
    let Answer::Unproven { why, .. } = ask(&site, from_zone("ops"), "daemon1", "2345/tcp") else {
        panic!("{:?}", ask(&site, from_zone("ops"), "daemon1", "2345/tcp"))
    };
    assert!(why.iter().any(|w| w.contains("virt1") && w.contains("forward")), "{why:?}");
}
