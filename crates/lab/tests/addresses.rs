//! Who answers for a public address that no machine has: nobody before the edge's plan is applied, the edge afterwards, nobody again when
//! the publication is gone. By what the kernels of a lab tell each other, with the real applier.

mod common;

use lab::{
    build::{Neighbours, mac_text},
    connect, demo, listen,
    stage::Stage,
};
use plan::Options;
use site::model::Model;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use words::{Generation, HostName, Proto};

const CLIENT: &str = "client";
/// One of the example's published addresses, its machine and a port that is published there.
const PUBLISHED: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 5);
const BEHIND: &str = "daemon1";
const PORT: u16 = 6665;

fn reached(stage: &Stage) -> Option<String> {
    let space = stage.lab.space(CLIENT).expect("client");
    let answer = connect::ask(space, None, SocketAddr::new(PUBLISHED.into(), PORT), Proto::Tcp).expect("a probe");
    answer.node().map(str::to_owned)
}

fn forget(stage: &Stage) {
    stage.lab.space(CLIENT).expect("client").program("ip", &["neigh", "flush", "all"], None).expect("flushed");
}

fn listed(stage: &Stage, node: &str) -> Vec<IpAddr> {
    let out = stage.lab.space(node).expect("node").program("ip", &["-o", "address", "show"], None).expect("lists");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    let all = text.lines().filter_map(|l| l.split_whitespace().nth(3)?.split('/').next()?.parse().ok());
    all.filter(|a: &IpAddr| !a.is_loopback() && !a.to_string().starts_with("fe80")).collect()
}

/// The site without what is published at the address.
fn withdrawn(mut model: Model) -> Model {
    model.flows.change(|flows| flows.iter_mut().for_each(|f| f.publish.retain(|d| d.at != IpAddr::from(PUBLISHED))));
    model
}

#[test]
fn the_edge_answers_for_what_it_translates() {
    if !common::inside("the_edge_answers_for_what_it_translates") {
        return;
    }
    // Of a pair the election would put them on: here it is one node, and the plan does.
    let mut model = common::example("small");
    model.edge.nodes.truncate(1);
    let mut stage = Stage::build(model, Options::default(), Neighbours::Dynamic).expect("built");
    listen::serve(&stage.lab, &demo::ports(&stage)).expect("listeners");
    let own = |stage: &Stage, node: &str| {
        stage.model.hosts[&HostName::new(node).expect("name")].addresses().collect::<std::collections::BTreeSet<IpAddr>>()
    };
    // As built nobody has it: who asks gets no answer, and no route of the lab leads past that.
    assert_eq!(stage.lab.answers(CLIENT, PUBLISHED).expect("asked"), None);
    assert_eq!(reached(&stage), None);

    stage.apply_all(Generation(1), &[]).expect("applied");
    forget(&stage);
    let edge = &stage.lab.topology.nodes["fw-a"];
    let mac = mac_text(edge.ports.iter().find(|p| p.segment == "internet").expect("outer port").mac);
    assert_eq!(stage.lab.answers(CLIENT, PUBLISHED).expect("asked"), Some(mac));
    assert_eq!(reached(&stage).as_deref(), Some(BEHIND));
    // All the lab expects somewhere is on the first node, nothing on the second.
    let (first, second) = (listed(&stage, "fw-a"), listed(&stage, "fw-b"));
    for v in &stage.lab.topology.virtuals {
        assert!(first.contains(&v.address) && !second.contains(&v.address), "{v:?}: {first:?} {second:?}");
    }
    assert!(stage.lab.topology.virtuals.iter().filter(|v| v.translated).count() >= 2);

    // The next generation publishes less: that address goes, the others and the node's own stay.
    let parent =
        stage.applier("fw-a", &["status"]).expect("status").json["confirmed"]["digest"].as_str().map(|d| d.parse().expect("digest"));
    stage.model = withdrawn(stage.model);
    stage.plan = plan::plan(&stage.model, &plan::Devices::default(), Options::default());
    let machine = stage.machine(&HostName::new("fw-a").expect("name")).expect("planned");
    let said = stage.apply("fw-a", stage.draft(machine, Generation(2), parent, &[]), None).expect("starts");
    assert!(said.done, "{}", said.error);
    forget(&stage);
    assert_eq!(stage.lab.answers(CLIENT, PUBLISHED).expect("asked"), None);
    let left = listed(&stage, "fw-a");
    let gone: Vec<&IpAddr> = first.iter().filter(|a| !left.contains(a)).collect();
    assert_eq!(gone, [&IpAddr::from(PUBLISHED)]);
    assert!(own(&stage, "fw-a").iter().all(|a| left.contains(a)), "{left:?}");
}
