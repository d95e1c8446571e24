//! The lab's own ground: what it builds really carries packets, and what stands in the way really stops them.
#![expect(clippy::print_stdout, reason = "a test tells what it saw")]

mod common;

use lab::{
    Lab,
    build::Neighbours,
    connect::{self, Answer},
    listen,
    topology::{Node, Port, Role, Topology},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
};
use words::Proto;

fn port(segment: &str, n: u8, addresses: &[&str]) -> Port {
    let addresses = addresses.iter().map(|a| a.parse().expect("address")).collect();
    Port { segment: segment.into(), device: segment.into(), mac: [2, 0, 0, 0, 0, n], addresses }
}

/// `a` in the left segment, `b` in the right one, `fw` between them, twice, with virtual addresses.
fn tiny() -> Topology {
    let routes = |via: [&str; 2], dev: &str| via.map(|v| format!("route add default via {v} dev {dev} onlink")).to_vec();
    let node = |name: &str, role, ports, routes| (name.to_owned(), Node { name: name.into(), role, managed: true, ports, routes });
    let nodes = BTreeMap::from([
        node("a", Role::Host, vec![port("left", 1, &["10.1.0.10/24", "fd01::10/64"])], routes(["10.1.0.1", "fd01::1"], "left")),
        node("b", Role::Host, vec![port("right", 2, &["10.2.0.10/24", "fd02::10/64"])], routes(["10.2.0.1", "fd02::1"], "right")),
        node("fw1", Role::Edge, vec![port("left", 3, &["10.1.0.2/24", "fd01::2/64"]), port("right", 4, &["10.2.0.2/24", "fd02::2/64"])], vec![]),
        node("fw2", Role::Edge, vec![port("left", 5, &["10.1.0.3/24", "fd01::3/64"]), port("right", 6, &["10.2.0.3/24", "fd02::3/64"])], vec![]),
    ]);
    let on = |segment: &str, address: &str| lab::topology::Virtual { segment: segment.into(), address: address.parse().expect("address") };
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
