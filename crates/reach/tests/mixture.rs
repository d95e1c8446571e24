//! Mixtures of two plans: constructed wider ones are found with a right witness; honest changes have none; and over random rulesets every
//! subset of machines, packet by packet through the rules, says the same as the sets.

mod common;

use common::{
    Planned, host,
    mini::{Dice, PORTS, first, republish, rule, shuffle, site},
};
use reach::{
    Journey, Network, Packet, Prover, Sender, State,
    eval::Past,
    field::Field,
    mixture::{Mixture, WayOut, mixture, way_out},
    network::Devices,
};
use ruleset::form::{Ruleset, Verdict};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};
use words::{HostName, ZoneName};

type Rulesets = BTreeMap<HostName, Ruleset>;

fn state<'a>(p: &'a Planned, devices: &'a Devices) -> State<'a> {
    State { model: &p.model, rulesets: &p.rulesets, devices }
}

fn between(old: &Planned, new: &Planned) -> Mixture {
    let devices = Devices::new();
    mixture(state(old, &devices), state(new, &devices))
}

fn names(of: &[&str]) -> BTreeSet<HostName> {
    of.iter().map(|h| host(h)).collect()
}

fn two() -> (Planned, Planned) {
    (Planned::read("site.toml", &site(false)), Planned::read("site.toml", &site(false)))
}

#[test]
fn what_the_host_kept_closed_and_the_edge_opens_is_found() {
    let (mut old, mut new) = two();
    first(&mut old.rulesets, "h2", "input", rule(7001, Verdict::Accept));
    first(&mut new.rulesets, "fw-a", "fwd/ops/dmz", rule(7001, Verdict::Accept));
    let found = between(&old, &new);
    assert_eq!(found.changed, names(&["fw-a", "h2"]));
    let [w] = found.wider.as_slice() else { panic!("{:?}", found.wider) };
    assert_eq!((&w.old, &w.new), (&names(&["h2"]), &names(&["fw-a"])));
    assert_eq!(w.path, [host("fw-a"), host("h2")]);
    assert!(matches!(&w.from, Sender::Zone(z) if z.as_str() == "ops") && !w.unsure, "{w}");
    assert_eq!((w.packet.dst(), w.packet.dport()), ("10.1.0.12".parse::<IpAddr>().expect("address"), 7001));
    assert_eq!(way_out(&found.wider), WayOut::Order(vec![host("h2"), host("fw-a")]));
    assert!(w.on_the_way(&[vec![host("fw-a")], vec![host("h2")]]) && !w.on_the_way(&[vec![host("h2")], vec![host("fw-a")]]));
    assert!(!found.is_proved());
    assert_eq!(between(&new, &old).wider.len(), 1, "and on the way back");
}

#[test]
fn a_sender_and_its_neighbour_are_a_way_of_their_own() {
    let (mut old, mut new) = two();
    first(&mut old.rulesets, "h1", "input", rule(7002, Verdict::Accept));
    first(&mut new.rulesets, "h0", "output", rule(7002, Verdict::Accept));
    let found = between(&old, &new).wider;
    let [w] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&w.from, &w.path[..]), (&Sender::Host(host("h0")), &[host("h0"), host("h1")][..]));
    assert_eq!((&w.old, &w.new), (&names(&["h1"]), &names(&["h0"])));
}

#[test]
fn three_machines_of_one_way_are_found_where_two_are_not_enough() {
    let (mut old, mut new) = two();
    // Old: sender and receiver; new: the edge alone. Only all three together let it pass.
    first(&mut old.rulesets, "h3", "output", rule(7003, Verdict::Accept));
    first(&mut new.rulesets, "fw-a", "fwd/ops/chain", rule(7003, Verdict::Accept));
    first(&mut old.rulesets, "h1", "input", rule(7003, Verdict::Accept));
    let found = between(&old, &new).wider;
    let honest = found.iter().find(|w| w.from == Sender::Host(host("h3"))).expect("the way from h3");
    assert_eq!(honest.path, [host("h3"), host("fw-a"), host("h1")]);
    assert_eq!((&honest.old, &honest.new), (&names(&["h1", "h3"]), &names(&["fw-a"])));
}

#[test]
fn a_sender_and_the_edge_let_out_what_neither_plan_does() {
    let (mut old, mut new) = two();
    first(&mut old.rulesets, "h1", "output", rule(7001, Verdict::Accept));
    first(&mut new.rulesets, "fw-a", "fwd/chain/internet", rule(7001, Verdict::Accept));
    let found = between(&old, &new).wider;
    let [w] = found.as_slice() else { panic!("{found:?}") };
    assert!(w.outside && w.path == [host("h1"), host("fw-a")], "{w}");
}

#[test]
fn a_published_address_that_is_turned_to_another_port_is_found() {
    let (mut old, mut new) = two();
    republish(&mut new.rulesets, "fw-a", 7003);
    first(&mut new.rulesets, "fw-a", "fwd/internet/chain", rule(7003, Verdict::Accept));
    first(&mut old.rulesets, "h0", "input", rule(7003, Verdict::Accept));
    let found = between(&old, &new).wider;
    let published = ("203.0.113.4".parse::<IpAddr>().expect("address"), 20001);
    let w = found.iter().find(|w| (w.packet.dst(), w.packet.dport()) == published).expect("the published way");
    assert_eq!((w.arrives.dst(), w.arrives.dport()), ("10.1.1.10".parse::<IpAddr>().expect("address"), 7003));
    assert!(!w.unsure && w.new == names(&["fw-a"]) && w.old == names(&["h0"]), "{w}");
}

/// Site files of honest changes: what an operator does to the small site.
fn honest() -> Vec<(&'static str, String, String)> {
    let mini = site(false);
    let swap = |a: &str, b: &str| mini.replace(a, b);
    let allow = format!("{mini}\n[[allow]]\nfrom = \"h3\"\nto = \"h2\"\nport = \"7001/tcp\"\nwhy = \"a probe\"\n");
    let wide = format!("{mini}\n[[allow]]\nfrom = \"ops\"\nto = \"h1\"\nport = \"7001-7009/tcp\"\nwhy = \"a probe\"\n");
    let more =
        mini.replace("\n[[publish]]", "h4 = { zone = \"chain\", address = [\"10.1.1.14\"], runs = [\"node-exporter\"] }\n\n[[publish]]");
    let two_more = format!("{}\n[[allow]]\nfrom = \"h1\"\nto = [\"h4\", \"h5\"]\nport = \"7001/tcp\"\nwhy = \"a probe\"\n", more)
        .replace("h4 = ", "h5 = { zone = \"chain\", address = [\"10.1.1.15\"], runs = [\"node-exporter\"] }\nh4 = ");
    let both = mini.replace("h1 = { zone = \"chain\", address = [\"10.1.1.11\"], runs = [\"lotus-miner\"] }", "");
    let moved = mini
        .replace(
            "h0 = { zone = \"chain\", address = [\"10.1.1.10\"], runs = [\"lotus\"] }",
            "h0 = { zone = \"chain\", address = [\"10.1.1.10\"], runs = [\"node-exporter\"] }",
        )
        .replace(
            "h1 = { zone = \"chain\", address = [\"10.1.1.11\"], runs = [\"lotus-miner\"] }",
            "h1 = { zone = \"chain\", address = [\"10.1.1.11\"], runs = [\"lotus\"] }",
        );
    let before = mini.replace(", runs = [\"lotus-miner\"]", ", runs = [\"node-exporter\"]");
    let to_h1 = moved.replace("on = \"h0\"", "on = \"h1\"");
    vec![
        ("a line more", mini.clone(), allow.clone()),
        ("a line less", allow, mini.clone()),
        ("a range for a zone", mini.clone(), wide),
        ("an address moves", mini.clone(), swap("10.1.0.12", "10.1.0.22")),
        ("two machines swap addresses", mini.clone(), swap("10.1.1.10", "X").replace("10.1.1.11", "10.1.1.10").replace('X', "10.1.1.11")),
        ("a machine comes", mini.clone(), more.clone()),
        ("two machines come, and one that is there changes", mini.clone(), two_more),
        ("a machine goes", more, mini.clone()),
        ("another one goes", mini.clone(), both),
        ("another public port", mini.clone(), swap("port = 20001", "port = 20002")),
        ("another public address", mini.clone(), swap("203.0.113.4", "203.0.113.5")),
        ("a published service moves", before, to_h1),
        ("a zone becomes larger", mini.clone(), swap("10.1.0.0/24", "10.1.0.0/25")),
        ("a second edge node", mini.clone(), site(true)),
        ("one edge node less", site(true), mini),
    ]
}

#[test]
fn honest_changes_have_no_wider_mixture() {
    for (what, old, new) in honest() {
        let found = between(&Planned::read("old", &old), &Planned::read("new", &new));
        let told: Vec<String> = found.wider.iter().map(ToString::to_string).collect();
        assert!(!found.changed.is_empty(), "{what}: nothing changes");
        assert!(told.is_empty() && found.is_proved(), "{what}:\n{}\n{:?}", told.join("\n"), found.unproven);
    }
}

#[test]
fn a_first_rollout_is_proved_where_machines_are_known_to_filter_nothing() {
    let (mut old, new) = two();
    old.rulesets.values_mut().for_each(|r| *r = Ruleset::default());
    let found = between(&old, &new);
    assert!(found.is_proved() && found.changed.len() == 5, "{:?}", found.wider);
}

#[test]
fn what_a_machine_filters_that_nobody_manages_is_not_taken_for_allowed() {
    let (mut old, mut new) = two();
    old.rulesets.remove(&host("h2"));
    assert!(between(&old, &new).is_proved(), "a machine that comes under the plan is no trouble by itself");
    first(&mut new.rulesets, "fw-a", "fwd/ops/dmz", rule(7001, Verdict::Accept));
    let found = between(&old, &new);
    assert!(!found.wider.is_empty() && found.wider.iter().all(|w| w.unsure && w.old == names(&["h2"])), "{:?}", found.wider);
    assert!(found.wider.iter().any(|w| w.packet.dport() == 7001), "{:?}", found.wider);
}

#[test]
fn rules_that_cannot_be_read_leave_it_unproven() {
    let (mut old, new) = two();
    old.rulesets.get_mut(&host("h1")).expect("h1").unread.push("an XDP program".into());
    first(&mut old.rulesets, "h2", "input", rule(7001, Verdict::Accept));
    let found = between(&old, &new);
    assert!(found.wider.is_empty() && !found.is_proved() && found.unproven == ["h1: an XDP program cannot be read"], "{found:?}");
}

#[test]
fn a_service_that_moves_is_cut_unless_in_order() {
    let (_, old, new) = honest().into_iter().find(|h| h.0 == "a published service moves").expect("case");
    let found = between(&Planned::read("old", &old), &Planned::read("new", &new));
    assert_eq!(found.cut.len(), 2, "over TCP and over UDP: {:?}", found.cut);
    let cut = found.cut.iter().find(|c| c.to_string().contains("20001/tcp")).expect("over TCP");
    assert_eq!(cut.order, [vec![host("h1")], vec![host("fw-a")], vec![host("h0")]]);
    assert!(!cut.on_the_way(&cut.order), "in its own order it is not cut");
    assert!(cut.on_the_way(&[vec![host("fw-a")], vec![host("h0"), host("h1")]]));
    assert!(cut.to_string().contains("203.0.113.4 20001/tcp moves from 10.1.1.10"), "{cut}");
}

#[test]
fn machines_that_swap_addresses_cut_their_flows() {
    let (_, old, new) = honest().into_iter().find(|h| h.0 == "two machines swap addresses").expect("case");
    let found = between(&Planned::read("old", &old), &Planned::read("new", &new));
    assert!(found.cut.iter().any(|c| c.machines.contains(&host("h0")) && c.order.is_empty()), "{:?}", found.cut);
    let (_, old, new) = honest().into_iter().find(|h| h.0 == "a line more").expect("case");
    assert_eq!(between(&Planned::read("old", &old), &Planned::read("new", &new)).cut, []);
}

/// Who sends a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Who {
    Host(HostName),
    Zone(ZoneName),
}

/// Where a packet ended: the machine, or outside, and what it was then sent to.
type End = Option<(Option<HostName>, IpAddr, u16)>;

fn end(j: &Journey) -> End {
    let last = j.hops.last().map_or(j.sent, |h| h.trace.packet);
    j.arrived().then(|| (j.received.clone(), last.dst(), last.dport()))
}

fn walk(net: &Network<'_>, who: &Who, p: Packet) -> End {
    end(&match who {
        Who::Host(h) => net.send(h, p, Past::Any, true),
        Who::Zone(z) => net.inject(z, p, Past::Any, true),
    })
}

/// Packets between all that the small site has.
fn pool() -> Vec<(Who, Packet)> {
    let hosts = [("h0", "10.1.1.10"), ("h1", "10.1.1.11"), ("h2", "10.1.0.12"), ("h3", "10.1.2.13")];
    let zones = [
        ("dmz", ["10.1.0.12", "10.1.0.200"]),
        ("chain", ["10.1.1.10", "10.1.1.200"]),
        ("ops", ["10.1.2.13", "10.1.0.200"]),
        ("internet", ["198.51.100.66", "52.77.0.1"]),
    ];
    let to = ["10.1.1.10", "10.1.1.11", "10.1.0.12", "10.1.2.13", "203.0.113.4", "198.51.100.7", "10.1.1.2"];
    let ports: Vec<u16> = PORTS.into_iter().chain([20001]).collect();
    let packet = |from: &str, to: &str, port: u16| {
        let [from, to] = [from, to].map(|a| a.parse::<IpAddr>().expect("address"));
        Packet::opening(words::Family::V4).from(from).to(to).with(Field::Dport, port.into())
    };
    let mut out = Vec::new();
    for (t, port) in to.iter().flat_map(|t| ports.iter().map(move |p| (*t, *p))) {
        out.extend(hosts.iter().filter(|h| h.1 != t).map(|(h, from)| (Who::Host(host(h)), packet(from, t, port))));
        for (z, sources) in &zones {
            let zone = || ZoneName::new(z).expect("zone");
            out.extend(sources.iter().filter(|s| **s != t).map(|from| (Who::Zone(zone()), packet(from, t, port))));
        }
    }
    out
}

fn ends(site: &Planned, rulesets: &Rulesets, pool: &[(Who, Packet)]) -> Vec<End> {
    let (mut prover, devices) = (Prover::once(), Devices::new());
    let net = Network::new(&mut prover, &site.model, rulesets, &devices);
    pool.iter().map(|(who, p)| walk(&net, who, *p)).collect()
}

/// The old rulesets with these machines' new ones.
fn mix(old: &Rulesets, new: &Rulesets, on_new: &BTreeSet<HostName>) -> Rulesets {
    old.iter().map(|(h, r)| (h.clone(), if on_new.contains(h) { new[h].clone() } else { r.clone() })).collect()
}

/// Every subset of the changed machines against what the sets say. Gives how many packets some mixture alone lets through.
fn by_force(seed: u64, pair: bool) -> usize {
    let base = Planned::read("site.toml", &site(pair));
    let edges: &[&str] = if pair { &["fw-a", "fw-b"] } else { &["fw-a"] };
    let mut dice = Dice(seed);
    let (mut old, mut new) = (base.rulesets.clone(), base.rulesets.clone());
    shuffle(&mut dice, [&mut old, &mut new], edges);
    let devices = Devices::new();
    let state = |rulesets| State { model: &base.model, rulesets, devices: &devices };
    let found = mixture(state(&old), state(&new));
    assert!(found.unproven.is_empty() && !found.more, "{seed}: {found:?}");
    let changed: Vec<HostName> = found.changed.iter().cloned().collect();
    assert!(old.iter().all(|(h, r)| (new[h] != *r) == found.changed.contains(h)), "{seed}: {changed:?}");
    let pool = pool();
    let (then, now) = (ends(&base, &old, &pool), ends(&base, &new, &pool));
    let mut beyond = 0;
    for bits in 1..(1usize << changed.len()).saturating_sub(1) {
        let on_new: BTreeSet<HostName> = changed.iter().enumerate().filter(|(i, _)| bits >> i & 1 == 1).map(|(_, h)| h.clone()).collect();
        let meanwhile = ends(&base, &mix(&old, &new, &on_new), &pool);
        for (i, (who, p)) in pool.iter().enumerate() {
            let (was, is, mid) = (&then[i], &now[i], &meanwhile[i]);
            if was.is_some() && was == is && !pair {
                assert_eq!(mid, was, "{seed}: {p} from {who:?} is cut with {on_new:?} on the new plan");
            }
            let Some((receiver, ..)) = mid else { continue };
            if mid == was || mid == is {
                continue;
            }
            beyond += 1;
            let told = found.wider.iter().any(|w| {
                let to = if w.outside { None } else { w.path.last().cloned() };
                let sender = match (&w.from, who) {
                    (Sender::Host(a), Who::Host(b)) => a == b,
                    (Sender::Zone(_), _) => true,
                    _ => false,
                };
                sender && to == *receiver && w.new.is_subset(&on_new) && w.old.is_disjoint(&on_new)
            });
            assert!(told, "{seed}: {p:?} from {who:?} to {mid:?} with {on_new:?} on the new plan is not told: {:?}", found.wider);
        }
    }
    // With a pair a packet that one node refuses may pass the other one, so that a witness over one node says nothing of both.
    for w in found.wider.iter().filter(|_| !pair) {
        assert!(!w.unsure, "{seed}: {w}");
        let who = match &w.from {
            Sender::Zone(z) => Who::Zone(z.clone()),
            Sender::Host(h) | Sender::TakenOver(h) => Who::Host(h.clone()),
        };
        let [was, mid, is] = [&old, &mix(&old, &new, &w.new), &new].map(|r| ends(&base, r, &[(who.clone(), w.packet)]).remove(0));
        let to = if w.outside { None } else { w.path.last().cloned() };
        assert_eq!(mid, Some((to, w.arrives.dst(), w.arrives.dport())), "{seed}: {w}");
        assert!(mid != was && mid != is, "{seed}: {w} passes under one plan alone");
    }
    beyond
}

/// Pairs of random plans tried with one edge node, and with two.
const SITES: (u64, u64) = (40, 10);

#[test]
fn every_subset_of_machines_says_the_same() {
    let beyond: usize = (0..SITES.0).map(|seed| by_force(seed, false)).sum();
    assert!(beyond > 0, "no random mixture was wider: the test tries nothing");
}

#[test]
fn with_a_pair_no_wider_mixture_is_missed() {
    let beyond: usize = (0..SITES.1).map(|seed| by_force(1000 + seed, true)).sum();
    assert!(beyond > 0, "no random mixture was wider: the test tries nothing");
}
