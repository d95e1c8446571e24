//! The examples are valid, and say what they should.

use site::{FlowKind, Model, Outcome, Party};
use words::{SourceFile, Span};

const TODAY: &str = "2026-11-22";

fn read(name: &str) -> (SourceFile, Outcome) {
    let path = format!("{}/../../examples/{name}/site.toml", env!("CARGO_MANIFEST_DIR"));
    let source = SourceFile::new("site.toml", std::fs::read_to_string(&path).expect("example exists"));
    let out = site::read(&source, TODAY);
    (source, out)
}

fn good(name: &str) -> Model {
    let (source, out) = read(name);
    assert!(out.is_good(), "{}", out.render(&source));
    out.model.expect("model")
}

fn has(model: &Model, from: &str, to: &str, target: &str) -> bool {
    model.flows.iter().any(|f| f.from.to_string() == from && f.to.to_string() == to && f.target.to_string() == target)
}

#[test]
fn small_derives_what_its_services_need() {
    let m = good("small");
    assert!(has(&m, "miner1", "daemon1", "1234/tcp"));
    assert!(has(&m, "miner1", "worker1", "3456/tcp") && has(&m, "worker1", "miner1", "2345/tcp"));
    assert!(has(&m, "worker1", "worker2", "3456/tcp"));
    assert!(has(&m, "zone ops", "fw-a", "22/tcp") && has(&m, "zone ops", "bmc1", "623/udp"));
    assert!(has(&m, "fw-a", "fw-b", "3780/udp") && has(&m, "fw-a", "fw-b", "112"));
    assert!(has(&m, "any public address", "daemon1", "6665/udp"));
    assert!(has(&m, "worker2", "nas1", "2049/tcp"));
    // And nothing else: the database hears the market alone, the controllers hear operators alone.
    let to = |name: &str, port: &str| {
        m.flows.iter().filter(|f| f.to.to_string() == name && f.target.to_string() == port).map(|f| f.from.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(to("db1", "5433/tcp"), ["market1"]);
    assert_eq!(to("bmc1", "443/tcp"), ["zone ops"]);
    assert!(!m.flows.iter().any(|f| f.from == Party::Public && f.kind != FlowKind::Publish));
}

#[test]
fn every_flow_has_legs_and_origins_and_an_id_of_its_own() {
    for name in ["small", "single-host", "curio-cluster"] {
        let m = good(name);
        let mut ids: Vec<_> = m.flows.iter().map(|f| f.id.clone()).collect();
        ids.dedup();
        assert_eq!(ids.len(), m.flows.len());
        for f in &m.flows {
            assert!(!f.legs.is_empty() && !f.origins.is_empty() && !f.why.is_empty(), "{f:?}");
            assert!(f.legs.iter().all(|l| !l.src.is_empty() && !l.dst.is_empty()), "{f:?}");
            assert!(f.id.0.len() == 9 && f.id.0.starts_with('f'));
        }
    }
}

#[test]
fn a_published_v4_address_is_translated_and_a_v6_one_is_not() {
    let m = good("small");
    let f = m.flows.iter().find(|f| f.kind == FlowKind::Publish && f.to.to_string() == "daemon1").expect("published");
    assert_eq!(f.publish.len(), 1);
    assert_eq!(f.publish[0].at.to_string(), "203.0.113.5");
    assert_eq!(f.publish[0].to.to_string(), "10.20.20.11");
    assert_eq!(f.legs.len(), 2);
}

#[test]
fn ids_survive_reordering() {
    let a = good("small");
    let (source, _) = read("small");
    let mut parts: Vec<&str> = source.text().split("\n[[").collect();
    let (first, rest) = parts.split_first_mut().expect("parts");
    rest.reverse();
    let text = std::iter::once(&*first).chain(rest.iter()).copied().collect::<Vec<_>>().join("\n[[");
    let b = site::read(&SourceFile::new("site.toml", text), TODAY).model.expect("still valid");
    assert_eq!(a.flows.iter().map(|f| &f.id).collect::<Vec<_>>(), b.flows.iter().map(|f| &f.id).collect::<Vec<_>>());
}

#[test]
fn the_smallest_file_is_a_site() {
    let source = SourceFile::new("site.toml", "[site]\n[hosts.x]\nruns = [\"lotus\"]\n");
    let out = site::read(&source, TODAY);
    let m = out.model.as_ref().unwrap_or_else(|| panic!("{}", out.render(&source)));
    assert!(m.flows.iter().any(|f| f.to == Party::Public && f.target.to_string() == "any/tcp"));
    assert!(out.diagnostics.iter().all(|d| d.labels.iter().all(|l| l.span != Span::default())), "{}", out.render(&source));
}

#[test]
fn single_host_needs_no_firewall_in_front() {
    let m = good("single-host");
    assert!(m.edge.nodes.is_empty() && m.hosts.len() == 1);
    assert!(has(&m, "management", "sp1", "22/tcp") && has(&m, "any public address", "sp1", "24001/tcp"));
    // Loopback needs no flow: nothing reaches the APIs from outside.
    assert!(!m.flows.iter().any(|f| f.target.ports.contains(1234) && f.to.to_string() == "sp1"));
}

#[test]
fn curio_nodes_hear_each_other_and_the_proxy() {
    let m = good("curio-cluster");
    assert!(has(&m, "curio1", "curio2", "12300/tcp") && has(&m, "proxy1", "curio3", "12310/tcp"));
    assert!(has(&m, "curio2", "yb3", "9042/tcp") && has(&m, "curio1", "ceph2", "6800-7568/tcp"));
    assert!(has(&m, "zone ops", "curio1", "4701/tcp"));
    let storage = m.flows.iter().find(|f| f.kind == FlowKind::Storage).expect("ceph");
    assert!(storage.legs.iter().all(|l| l.from_zone == l.to_zone), "the store's zone is not routed");
}
