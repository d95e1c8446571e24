//! The lab's own ground: what it builds really carries packets, and what stands in the way really stops them.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{
    Lab,
    build::Neighbours,
    connect::{self, Answer},
    listen,
    packet::{Body, Packet, Shape},
    topology::{Node, Port, Role, Topology},
    volley::{Range, Shot},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use words::{Family, Proto};

fn port(segment: &str, n: u8, addresses: &[&str]) -> Port {
    let addresses = addresses.iter().map(|a| a.parse().expect("address")).collect();
    Port { segment: segment.into(), device: segment.into(), mac: [2, 0, 0, 0, 0, n], addresses }
}

/// `a` in the left segment, `b` in the right one, `fw` between them, twice, with virtual addresses.
fn tiny() -> Topology {
    let routes = |via: [&str; 2], dev: &str| {
        via.map(|v: &str| (Family::of(&v.parse().expect("address")), format!("route add default via {v} dev {dev} onlink"))).to_vec()
    };
    let node = |name: &str, role, ports, routes| (name.to_owned(), Node { name: name.into(), role, managed: true, ports, routes });
    let nodes = BTreeMap::from([
        node("a", Role::Host, vec![port("left", 1, &["10.1.0.10/24", "fd01::10/64"])], routes(["10.1.0.1", "fd01::1"], "left")),
        node("b", Role::Host, vec![port("right", 2, &["10.2.0.10/24", "fd02::10/64"])], routes(["10.2.0.1", "fd02::1"], "right")),
        node(
            "fw1",
            Role::Edge,
            vec![port("left", 3, &["10.1.0.2/24", "fd01::2/64"]), port("right", 4, &["10.2.0.2/24", "fd02::2/64"])],
            vec![],
        ),
        node(
            "fw2",
            Role::Edge,
            vec![port("left", 5, &["10.1.0.3/24", "fd01::3/64"]), port("right", 6, &["10.2.0.3/24", "fd02::3/64"])],
            vec![],
        ),
    ]);
    let on = |segment: &str, address: &str| lab::topology::Virtual {
        segment: segment.into(),
        address: address.parse().expect("address"),
        translated: false,
    };
    Topology {
        segments: ["left", "right"].map(str::to_owned).into(),
        nodes,
        virtuals: vec![on("left", "10.1.0.1"), on("left", "fd01::1"), on("right", "10.2.0.1"), on("right", "fd02::1")],
        edges: vec!["fw1".into(), "fw2".into()],
    }
}

fn ports() -> listen::Ports {
    let both = BTreeSet::from([(Proto::Tcp, 1234), (Proto::Udp, 53)]);
    BTreeMap::from([("a".to_owned(), both.clone()), ("b".to_owned(), both)])
}

const B: [&str; 2] = ["10.2.0.10", "fd02::10"];

fn ask(lab: &Lab, to: &str, port: u16, proto: Proto) -> Answer {
    let to: IpAddr = to.parse().expect("address");
    connect::ask(lab.space("a").expect("a"), None, SocketAddr::new(to, port), proto).expect("a probe")
}

#[test]
fn connections_cross_the_edge_and_survive_its_move() {
    if !common::inside("connections_cross_the_edge_and_survive_its_move") {
        return;
    }
    for neighbours in [Neighbours::Dynamic, Neighbours::Fixed] {
        let mut lab = Lab::build(tiny(), neighbours).expect("built");
        lab.by_hand().expect("virtual addresses");
        assert_eq!(listen::serve(&lab, &ports()).expect("listeners"), 6);
        for to in B {
            assert_eq!(ask(&lab, to, 1234, Proto::Tcp), Answer::From { node: "b".into(), port: 1234 }, "{neighbours:?}");
            assert_eq!(ask(&lab, to, 53, Proto::Udp), Answer::From { node: "b".into(), port: 53 });
            assert!(matches!(ask(&lab, to, 99, Proto::Tcp), Answer::Rejected { .. }), "a closed port resets");
        }
        lab.move_virtuals("fw2").expect("moved");
        let closed = "table inet t { chain f { type filter hook forward priority 0; policy drop; }\n}\n";
        lab.space("fw1").expect("fw1").program("nft", &["-f", "-"], Some(closed)).expect("a closed first node");
        for to in B {
            assert_eq!(ask(&lab, to, 1234, Proto::Tcp).node(), Some("b"), "the second node carries it");
        }
        lab.space("fw2").expect("fw2").program("nft", &["-f", "-"], Some(closed)).expect("a closed second node");
        assert_eq!(ask(&lab, B[0], 1234, Proto::Tcp), Answer::Silence);
        lab.remove().expect("removed");
    }
}

/// Two ports pass the edge, the rest is dropped and counted; the receiver refuses one of the two.
const EDGE: &str = r#"table inet t {
    set open { typeof meta l4proto . th dport; counter; elements = { tcp . 1234 comment "f0000001", udp . 53 comment "f0000002" } }
    chain f {
        type filter hook forward priority 0; policy drop;
        ct state established,related counter accept
        meta l4proto . th dport @open accept
        counter drop comment "DROP"
    }
}
"#;
const RECEIVER: &str = r#"table inet t {
    chain i {
        type filter hook input priority 0; policy drop;
        icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
        ct state established,related counter accept
        tcp dport 1234 counter accept comment "f0000001"
        counter drop comment "HOSTDROP"
    }
}
"#;

#[test]
fn every_packet_of_a_volley_is_accounted_for() {
    if !common::inside("every_packet_of_a_volley_is_accounted_for") {
        return;
    }
    let lab = Lab::build(tiny(), Neighbours::Fixed).expect("built");
    lab.by_hand().expect("virtual addresses");
    for (node, text) in [("fw1", EDGE), ("b", RECEIVER)] {
        lab.space(node).expect("node").program("nft", &["-f", "-"], Some(text)).expect("rules");
    }
    let mut range = Range::open(&lab, vec!["fw1".into(), "b".into()]).expect("range");
    let mut shots = Vec::new();
    let sources: [IpAddr; 2] = ["10.1.0.10".parse().expect("v4"), "fd01::10".parse().expect("v6")];
    for (src, dst) in sources.into_iter().zip(B.map(|b| b.parse::<IpAddr>().expect("address"))) {
        for dport in 1000..2000u16 {
            shots.push(Packet::syn(src, dst, 40000 + dport, dport));
            shots.push(Packet::udp(src, dst, 40000 + dport, dport - 950));
        }
        shots.push(Packet { shape: Shape::Fragments, ..Packet::syn(src, dst, 39999, 1234) });
        shots.push(Packet { shape: Shape::Fragments, ..Packet::syn(src, dst, 39999, 1235) });
        shots.push(Packet { body: Body::Other { proto: 112 }, ..Packet::syn(src, dst, 0, 0) });
    }
    let shots: Vec<Shot> = shots.into_iter().map(|packet| Shot { node: "a".into(), packet }).collect();
    let start = std::time::Instant::now();
    let report = range.fire(&shots).expect("fired");
    println!("{} shots in {:?}", shots.len(), start.elapsed());
    assert_eq!(report.unaccounted, 0, "{:?}", report.counted);
    for (shot, outcome) in shots.iter().zip(&report.outcomes) {
        let through = matches!(shot.packet.body, Body::Tcp { dport: 1234, .. });
        assert_eq!(outcome.landed.contains_key("b"), through, "{shot:?}");
        assert_eq!(outcome.landed.len(), usize::from(through), "{shot:?}");
    }
    let id = |id: &str| {
        report.counted.iter().filter(|(_, r)| r.id.as_deref() == Some(id)).map(|(p, r)| (p.node.as_str(), r.packets)).collect::<Vec<_>>()
    };
    assert_eq!(id("HOSTDROP"), [("b", 2)], "one datagram of each family met the receiver's filter");
    assert_eq!(id("f0000001"), [("b", 4), ("fw1", 4)]);
    assert_eq!(report.dropped as usize, shots.len() - 4);
}
