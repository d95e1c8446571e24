//! A hand-made model and the real nft in a namespace of its own.
#![allow(dead_code, reason = "each test takes what it needs")]

use ipnet::IpNet;
use site::model::*;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::net::IpAddr;
use std::process::{Command, Stdio};
use words::{Family, HostName, Origin, ProtoPorts, ZoneName};

fn origin() -> Origin {
    Origin::Site { file: "site.toml".into(), line: 1, path: "test".into() }
}

fn zone(name: &str) -> ZoneName {
    ZoneName::new(name).expect("zone")
}

fn name(text: &str) -> HostName {
    HostName::new(text).expect("host")
}

fn nets(list: &[&str]) -> Vec<IpNet> {
    list.iter().map(|n| n.parse().expect("net")).collect()
}

fn host(text: &str, zones: &[(&str, &[&str])], edge: bool) -> (HostName, Host) {
    let interfaces = zones.iter().map(|(z, a)| Interface { zone: zone(z), device: None, addresses: nets(a) }).collect();
    let default_zone = if edge { ZoneName::internet() } else { zone(zones[0].0) };
    let h = Host {
        name: name(text),
        interfaces,
        default_zone,
        instances: vec![],
        managed: true,
        edge,
        coexist: vec![],
        firewall: Firewall::Auto,
        origin: origin(),
    };
    (h.name.clone(), h)
}

/// A host with a container engine and an address nobody wrote down.
fn docker(text: &str) -> (HostName, Host) {
    let (n, mut h) = host(text, &[("dmz", &["10.20.10.12/24"])], false);
    h.coexist = vec!["docker".into()];
    (n, h)
}

fn leg(family: Family, from: &str, to: &str, src: &[&str], dst: &[&str]) -> Leg {
    Leg { family, from_zone: zone(from), to_zone: zone(to), src: nets(src).into(), dst: nets(dst).into() }
}

#[allow(clippy::too_many_arguments, reason = "a flow has that many parts; not every test file makes flows")]
fn flow(id: &str, kind: FlowKind, from: Party, to: Party, target: &str, legs: Vec<Leg>, publish: Vec<Dnat>) -> Flow {
    Flow {
        id: FlowId(id.to_owned()),
        kind,
        from,
        to,
        target: target.parse::<ProtoPorts>().expect("target"),
        service: None,
        app: catalog::App::Unknown,
        publish,
        names: vec![],
        legs,
        why: format!("test flow {id}"),
        origins: vec![origin()],
    }
}

/// Two edge nodes, three inner zones, v4 and v6, a published daemon, egress to the public, prefixes, ranges, VRRP.
pub fn model() -> Model {
    use Family::{V4, V6};
    let h = |n: &str| Party::Host(name(n));
    let own = nets(&["10.20.0.0/16", "203.0.113.0/28", "2001:db8:20::/48"]);
    let public = |family| site::special::public(family, &own);
    let outside = |family, from: &str, to: &str, outwards: bool, host: &str| Leg {
        family,
        from_zone: zone(from),
        to_zone: zone(to),
        src: if outwards { nets(&[host]) } else { public(family) }.into(),
        dst: if outwards { public(family) } else { nets(&[host]) }.into(),
    };
    let dnat =
        Dnat { at: "203.0.113.5".parse::<IpAddr>().expect("at"), port: 24001, to: "10.20.20.11".parse().expect("to"), to_port: 24001 };
    let mut flows = vec![
        flow(
            "f0000001",
            FlowKind::Management,
            Party::Zone(zone("ops")),
            h("fw-a"),
            "22/tcp",
            vec![leg(V4, "ops", "ops", &["10.20.90.0/24"], &["10.20.90.2/32"])],
            vec![],
        ),
        flow(
            "f0000002",
            FlowKind::Management,
            Party::Zone(zone("ops")),
            h("daemon1"),
            "22/tcp",
            vec![
                leg(V4, "ops", "chain", &["10.20.90.0/24"], &["10.20.20.11/32"]),
                leg(V6, "ops", "chain", &["2001:db8:20:90::/64"], &["2001:db8:20:20::11/128"]),
            ],
            vec![],
        ),
        flow(
            "f0000003",
            FlowKind::Derived,
            h("market1"),
            h("daemon1"),
            "1234/tcp",
            vec![
                leg(V4, "dmz", "chain", &["10.20.10.11/32"], &["10.20.20.11/32"]),
                leg(V6, "dmz", "chain", &["2001:db8:20:10::11/128"], &["2001:db8:20:20::11/128"]),
            ],
            vec![],
        ),
        flow(
            "f0000004",
            FlowKind::Publish,
            Party::Public,
            h("daemon1"),
            "24001/tcp",
            vec![
                outside(V4, "internet", "chain", false, "10.20.20.11/32"),
                outside(V6, "internet", "chain", false, "2001:db8:20:20::11/128"),
            ],
            vec![dnat],
        ),
        flow(
            "f0000005",
            FlowKind::Egress,
            h("daemon1"),
            Party::Public,
            "any/tcp",
            vec![
                outside(V4, "chain", "internet", true, "10.20.20.11/32"),
                outside(V6, "chain", "internet", true, "2001:db8:20:20::11/128"),
            ],
            vec![],
        ),
        flow(
            "f0000006",
            FlowKind::Derived,
            Party::Zone(zone("dmz")),
            h("daemon1"),
            "6800-7568/tcp",
            vec![leg(V4, "dmz", "chain", &["10.20.10.0/24"], &["10.20.20.11/32"])],
            vec![],
        ),
        // Overlaps the one above: must go to a further set.
        flow(
            "f0000007",
            FlowKind::Allow,
            h("market1"),
            h("daemon1"),
            "7000-7100/tcp",
            vec![leg(V4, "dmz", "chain", &["10.20.10.11/32"], &["10.20.20.11/32"])],
            vec![],
        ),
        flow(
            "f0000008",
            FlowKind::Infrastructure,
            h("fw-a"),
            Party::Outside("ntp".into(), nets(&["192.168.7.1/32"])),
            "123/udp",
            vec![leg(V4, "internet", "internet", &["203.0.113.2/32"], &["192.168.7.1/32"])],
            vec![],
        ),
        flow(
            "f000000a",
            FlowKind::Allow,
            h("market1"),
            h("docker1"),
            "8081/tcp",
            vec![leg(V4, "dmz", "dmz", &["10.20.10.11/32"], &["10.20.10.12/32"])],
            vec![],
        ),
        flow(
            "f000000b",
            FlowKind::Allow,
            h("docker1"),
            h("market1"),
            "9100/tcp",
            vec![leg(V4, "dmz", "dmz", &["10.20.10.12/32"], &["10.20.10.11/32"])],
            vec![],
        ),
        flow(
            "f0000009",
            FlowKind::Allow,
            h("market1"),
            h("daemon1"),
            "gre",
            vec![leg(V4, "dmz", "chain", &["10.20.10.11/32"], &["10.20.20.11/32"])],
            vec![],
        ),
    ];
    // What the nodes say to one another, over their own link.
    for (n, (from, to, src, dst)) in
        [("fw-a", "fw-b", "10.255.0.1/32", "10.255.0.2/32"), ("fw-b", "fw-a", "10.255.0.2/32", "10.255.0.1/32")].into_iter().enumerate()
    {
        for (m, target) in ["vrrp", "3780/udp"].into_iter().enumerate() {
            let id = format!("f00000{n}{m}e");
            let (src6, dst6) = (format!("2001:db8:255::{}/128", n + 1), format!("2001:db8:255::{}/128", 2 - n));
            let legs = vec![leg(V4, "sync", "sync", &[src], &[dst]), leg(V6, "sync", "sync", &[&src6], &[&dst6])];
            flows.push(flow(&id, FlowKind::Edge, h(from), h(to), target, legs, vec![]));
        }
    }
    flows.sort_by(|a, b| a.id.cmp(&b.id));
    let flows = site::Flows::new(flows);
    let zones = [
        ("internet", vec![]),
        ("dmz", nets(&["10.20.10.0/24", "2001:db8:20:10::/64"])),
        ("chain", nets(&["10.20.20.0/24", "2001:db8:20:20::/64"])),
        ("ops", nets(&["10.20.90.0/24", "2001:db8:20:90::/64"])),
        ("sync", nets(&["10.255.0.0/30", "2001:db8:255::/64"])),
    ];
    let zones = zones
        .into_iter()
        .map(|(n, subnets)| {
            let (routed, advertised) = (n != "sync", (n == "sync").then_some(false));
            (zone(n), Zone { name: zone(n), vlan: None, subnets, gateways: vec![], routed, advertised, origin: origin() })
        })
        .collect();
    let hosts = BTreeMap::from([
        host(
            "fw-a",
            &[
                ("chain", &["10.20.20.2/24"]),
                ("dmz", &["10.20.10.2/24", "2001:db8:20:10::2/64"]),
                ("internet", &["203.0.113.2/28"]),
                ("ops", &["10.20.90.2/24"]),
                ("sync", &["10.255.0.1/30", "2001:db8:255::1/64"]),
            ],
            true,
        ),
        host(
            "fw-b",
            &[
                ("chain", &["10.20.20.3/24"]),
                ("dmz", &["10.20.10.3/24", "2001:db8:20:10::3/64"]),
                ("internet", &["203.0.113.3/28"]),
                ("ops", &["10.20.90.3/24"]),
                ("sync", &["10.255.0.2/30", "2001:db8:255::2/64"]),
            ],
            true,
        ),
        host("daemon1", &[("chain", &["10.20.20.11/24", "2001:db8:20:20::11/64"])], false),
        docker("docker1"),
        host("market1", &[("dmz", &["10.20.10.11/24", "2001:db8:20:10::11/64"])], false),
    ]);
    Model {
        name: "test".into(),
        miners: vec![],
        uplink_bps: None,
        accounts: site::model::Accounts::default(),
        management: Management {
            zones: vec![zone("ops")],
            nets: vec![],
            by: words::ServiceName::new("ssh").expect("name"),
            origin: origin(),
        },
        layers: Layers { network: Mode::Enforce, ..Layers::default() },
        zones,
        edge: Edge {
            kind: EdgeKind::Ravelin,
            nodes: vec![name("fw-a"), name("fw-b")],
            public: nets(&["203.0.113.0/28", "2001:db8:20::/48"]),
            wan_dynamic: false,
            sync: Some("10.255.0.0/30".parse().expect("sync")),
            vip: BTreeMap::from([
                (zone("internet"), vec!["203.0.113.1".parse().expect("vip")]),
                (zone("chain"), vec!["10.20.20.1".parse().expect("vip")]),
            ]),
            egress_address: None,
            ips: None,
            origin: origin(),
        },
        hosts,
        groups: BTreeMap::new(),
        publishes: vec![],
        nevers: vec![],
        storages: vec![],
        backups: vec![],
        deadlines: None,
        externals: BTreeMap::new(),
        weakenings: vec![],
        flows,
        services: BTreeMap::new(),
    }
}

/// An example's model.
pub fn example(name: &str) -> Model {
    let path = format!("{}/../../examples/{name}/site.toml", env!("CARGO_MANIFEST_DIR"));
    let source = words::SourceFile::new("site.toml", std::fs::read_to_string(&path).expect(&path));
    let outcome = site::read(&source, "2026-11-22");
    let text = outcome.render(&source);
    outcome.model.expect(&text)
}

/// Every id a ruleset carries.
pub fn ids(table: &ruleset::Table) -> BTreeSet<String> {
    let rules = table.chains.iter().flat_map(|c| &c.rules).filter_map(|r| r.id.clone());
    rules.chain(table.sets.values().flat_map(|s| &s.elements).filter_map(|e| e.id.clone())).collect()
}

/// Loads a script into a namespace of its own and gives back what `nft -j list ruleset` says there.
pub fn load(script: &str) -> Result<String, String> {
    let mut child = Command::new("unshare")
        .args(["-Urn", "sh", "-c", "nft -f - && nft -j list ruleset"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("unshare: {e}"))?;
    child.stdin.take().expect("piped").write_all(script.as_bytes()).map_err(|e| e.to_string())?;
    let out = child.wait_with_output().map_err(|e| e.to_string())?;
    if out.status.success() {
        Ok(String::from_utf8_lossy(&out.stdout).into_owned())
    } else {
        Err(String::from_utf8_lossy(&out.stderr).into_owned())
    }
}
