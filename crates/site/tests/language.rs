//! Every key of the language in one file, and what each does to the model.

use site::{EdgeKind, FlowKind, Mode, Model, Party};
use words::SourceFile;

const TODAY: &str = "2026-11-22";

const WHOLE: &str = r#"
[site]
name       = "sp-example"
miners     = ["f01234"]
uplink     = "10Gbit"
management = { from = ["ops", "198.51.100.7/32"], by = "ssh" }

[layers]
network = "enforce"
methods = "observe"
ips     = "observe"
selinux = "observe"
system  = "enforce"

[zones]
dmz     = { vlan = 10, subnets = ["10.20.10.0/24", "2001:db8:20:10::/64"] }
chain   = { vlan = 20, subnets = ["10.20.20.0/24", "2001:db8:20:20::/64"] }
sealing = { vlan = 30, subnets = ["10.20.30.0/24"] }
storage = { vlan = 40, subnets = ["10.20.40.0/24"] }
ops     = { vlan = 90, subnets = ["10.20.90.0/24"] }

[edge]
kind   = "ravelin"
nodes  = ["fw-a", "fw-b"]
public = ["203.0.113.0/28", "2001:db8:20::/48"]
sync   = { subnet = "10.255.0.0/30" }
vip    = { internet = "203.0.113.1", dmz = "10.20.10.1", chain = "10.20.20.1" }
ips    = { inspect = ["internet"], rules = ["rules/*.rules"], on-failure = "open" }

[hosts]
fw-a    = { address = { internet = "203.0.113.2", dmz = "10.20.10.2", chain = "10.20.20.2" } }
fw-b    = { address = { internet = "203.0.113.3", dmz = "10.20.10.3", chain = "10.20.20.3" }, device = { internet = "wan0", dmz = "bond0.10" } }
daemon1 = { zone = "chain", address = "10.20.20.11", runs = ["lotus"], account = "lotus" }
miner1  = { address = { sealing = "10.20.30.11", storage = "10.20.40.11" }, runs = ["lotus-miner"] }
market1 = { zone = "dmz", address = "10.20.10.11", runs = ["boostd", "boostd-data", "booster-http"], coexist = ["docker"] }
yb1     = { address = "10.20.40.51", runs = ["yugabyte"] }
nas1    = { address = "10.20.40.31", managed = false }
bmc1    = { zone = "ops", address = "10.20.90.111", runs = ["bmc"], managed = false }

[groups.workers]
hosts   = "worker[01-40]"
zone    = "sealing"
address = "10.20.30.[21-60]"
runs    = [{ service = "lotus-worker", name = "pc1" },
           { service = "lotus-worker", name = "post", port = 3457, repo = "/data/w2" }]

[[publish]]
service = "lotus.libp2p"
on      = "daemon1"
at      = "203.0.113.5"
port    = 24001

[[storage]]
kind  = "nfs4"
host  = "nas1"
mount = "/mnt/sealed"
users = ["workers", "miner1"]
holds = "sectors"

[[backup]]
of      = "keystore"
host    = ["miner1"]
path    = "/srv/backup/keys-*.age"
max-age = 24
copy    = "backup1:/srv/keys"

[deadlines]
nodes       = ["daemon1", { on = "wss://node.example", token = "/etc/ravelin/node.token" }]
from        = ["ops", "market1"]
miners      = ["f01234"]
jobs        = [{ on = "miner1", token = "/etc/ravelin/miner.token" }]
sealing     = "wait"
unreachable = "wait"
max-wait    = 120
margin      = 180
timeout     = 10

[external.alerts]
names = ["hooks.slack.com", "events.pagerduty.com"]
port  = "443/tcp"
users = ["market1"]

[[allow]]
from    = "ops"
to      = ["all"]
service = "ssh"
why     = "operators log in through the VPN"

[[never]]
from = "dmz"
to   = "miner1"
port = "22/tcp"
"#;

fn model(text: &str) -> Model {
    let source = SourceFile::new("site.toml", text);
    let out = site::read(&source, TODAY);
    assert!(out.is_good(), "{}", out.render(&source));
    out.model.expect("model")
}

fn openers(m: &Model, to: &str, target: &str) -> Vec<String> {
    let mut out: Vec<String> =
        m.flows.iter().filter(|f| f.to.to_string() == to && f.target.to_string() == target).map(|f| f.from.to_string()).collect();
    out.sort();
    out
}

#[test]
fn every_key_is_understood() {
    let m = model(WHOLE);
    assert_eq!((m.name.as_str(), m.uplink_bps, m.layers.system), ("sp-example", Some(10_000_000_000), Mode::Enforce));
    assert_eq!(m.hosts.len(), 48);
    let w7 = m.hosts.values().find(|h| h.name.as_str() == "worker07").expect("worker07");
    assert_eq!(w7.addresses().map(|a| a.to_string()).collect::<Vec<_>>(), ["10.20.30.27"]);
    let post = w7.instances.iter().find(|i| i.name.as_str() == "post").expect("post");
    assert_eq!((post.repo.as_deref(), post.listens[0].ports.to_string()), (Some("/data/w2"), "3457".to_owned()));
    assert_eq!(openers(&m, "worker07", "3457/tcp").iter().filter(|f| f.starts_with("worker")).count(), 39);
    assert!(openers(&m, "nas1", "2049/tcp").contains(&"worker40".to_owned()));
    let backup = &m.backups[0];
    assert_eq!((backup.of, backup.host.as_str(), backup.max_age, m.backups.len()), (facts::Asset::Keystore, "miner1", 24, 1));
    assert_eq!(m.hosts["market1"].coexist, ["docker"]);
    assert_eq!(m.hosts["fw-b"].interfaces.iter().find(|i| i.zone.as_str() == "dmz").and_then(|i| i.device.as_deref()), Some("bond0.10"));
}

#[test]
fn those_asked_for_deadlines_have_urls_from_where_one_stands() {
    let m = model(WHOLE);
    let d = m.deadlines.as_ref().expect("deadlines");
    assert_eq!((d.policy.max_wait, d.settings.margin, d.settings.wait_for_sealing, d.timeout), (7_200, 180, true, 10));
    let urls = |asked, here: Option<&str>| {
        let here = here.map(|h| h.parse().expect("name"));
        site::asked::urls(&m, asked, here.as_ref()).map(|all| all.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(site::asked::name(&d.nodes[0]), "daemon1/lotus");
    assert_eq!(urls(&d.nodes[0], Some("miner1")), Ok(vec!["http://10.20.20.11:1234/rpc/v1".to_owned()]));
    assert_eq!(urls(&d.nodes[0], Some("daemon1")).expect("here")[0], "http://127.0.0.1:1234/rpc/v1");
    assert_eq!(urls(&d.nodes[1], None), Ok(vec!["wss://node.example:443/rpc/v1".to_owned()]));
    assert_eq!(urls(&d.jobs[0], None).expect("miner1")[0], "http://10.20.30.11:2345/rpc/v0");
    let asks = m.flows.iter().filter(|f| f.why.contains("asks for proving deadlines"));
    let mut opened: Vec<String> = asks.map(|f| format!("{} to {} {}", f.from, f.to, f.target)).collect();
    opened.sort();
    // The URL outside gets none: [external] says that.
    assert_eq!(
        opened,
        ["market1 to daemon1 1234/tcp", "market1 to miner1 2345/tcp", "zone ops to daemon1 1234/tcp", "zone ops to miner1 2345/tcp"]
    );
    let alone = model("[site]\nminers = [\"f01\"]\n[hosts.sp1]\nruns = [\"lotus\"]\n[deadlines]\nnodes = [\"sp1\"]\n");
    let asked = &alone.deadlines.as_ref().expect("deadlines").nodes[0];
    assert!(site::asked::urls(&alone, asked, None).is_err_and(|why| why.contains("listens on sp1 alone")));
    assert_eq!(
        site::asked::urls(&alone, asked, Some(&"sp1".parse().expect("name"))).expect("here")[0].to_string(),
        "http://127.0.0.1:1234/rpc/v1"
    );
}

#[test]
fn a_pairs_zones_have_gateways_without_being_told() {
    let m = model(WHOLE);
    assert_eq!(m.zones["sealing"].gateways.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.20.30.1"]);
    assert_eq!(m.zones["dmz"].gateways.iter().map(ToString::to_string).collect::<Vec<_>>(), ["10.20.10.1", "2001:db8:20:10::1"]);
    // Both nodes stand in every routed zone, and on their own link.
    let fw = &m.hosts["fw-a"];
    assert_eq!(fw.interfaces.len(), 7);
    assert_eq!(fw.interface(&"sync".parse().expect("name")).expect("sync").addresses[0].to_string(), "10.255.0.1/30");
}

#[test]
fn a_private_host_leaves_by_v4_and_never_by_a_private_v6() {
    let text = WHOLE
        .replace("2001:db8:20:20::/64", "fd00:20::/64")
        .replace("address = \"10.20.20.11\"", "address = [\"10.20.20.11\", \"fd00:20::11\"]");
    let m = model(&text);
    let egress: Vec<_> = m.flows.iter().filter(|f| f.to == Party::Public && f.from.to_string() == "daemon1").collect();
    assert!(!egress.is_empty() && egress.iter().all(|f| f.legs.iter().all(|l| l.family == words::Family::V4)));
}

#[test]
fn public_means_neither_private_nor_our_own() {
    let m = model(WHOLE);
    for f in m.flows.iter().filter(|f| f.to == Party::Public) {
        for own in ["10.20.20.11", "192.168.1.1", "169.254.169.254", "203.0.113.5", "100.64.0.1"] {
            let address: std::net::IpAddr = own.parse().expect("address");
            assert!(!f.legs.iter().any(|l| l.dst.iter().any(|n| n.contains(&address))), "{f:?}");
        }
    }
}

const OUTER: &str = r#"
[site]
management = { from = ["ops"] }
dns = ["10.0.9.53"]
ntp = ["10.0.9.53"]

[zones]
chain = { subnets = ["10.0.2.0/24"] }
ops   = { subnets = ["10.0.9.0/24"] }

[edge]
kind   = "KIND"
public = ["203.0.113.0/28"]

[hosts.daemon1]
address = "10.0.2.11"
runs    = ["lotus"]

[[publish]]
service = "lotus.libp2p"
on      = "daemon1"
at      = "203.0.113.5"
port    = 24001
"#;

#[test]
fn somebody_elses_firewall_gets_the_translation_in_its_list() {
    let m = model(&OUTER.replace("KIND", "external"));
    assert_eq!(m.edge.kind, EdgeKind::External);
    let f = m.flows.iter().find(|f| f.kind == FlowKind::Publish).expect("published");
    assert_eq!((f.publish.len(), f.publish[0].to.to_string().as_str()), (1, "10.0.2.11"));
}

#[test]
fn without_an_edge_a_router_in_front_translates_and_the_host_listens() {
    let m = model(&OUTER.replace("KIND", "none"));
    let f = m.flows.iter().find(|f| f.kind == FlowKind::Publish).expect("published");
    assert!(f.publish.is_empty());
    assert_eq!(f.legs[0].dst[0].to_string(), "10.0.2.11/32");
    let dns = m.flows.iter().find(|f| f.target.to_string() == "53/udp").expect("dns");
    assert_eq!((dns.kind, dns.legs[0].to_zone.as_str()), (FlowKind::Infrastructure, "ops"));
}

#[test]
fn a_dynamic_public_address_is_written_as_unspecified() {
    let text = OUTER
        .replace("KIND", "ravelin\"\nnodes = [\"fw\"]\nwan = \"dynamic")
        .replace("at      = \"203.0.113.5\"\n", "")
        .replace("public = [\"203.0.113.0/28\"]\n", "")
        + "\n[hosts.fw]\naddress = { chain = \"10.0.2.1\", ops = \"10.0.9.1\" }\n";
    let m = model(&text);
    let f = m.flows.iter().find(|f| f.kind == FlowKind::Publish).expect("published");
    assert_eq!(f.publish[0].at.to_string(), "0.0.0.0");
}

#[test]
fn a_weakening_that_has_ended_keeps_the_model() {
    let text = OUTER.replace("KIND", "none")
        + "\n[[allow]]\nfrom = \"ops\"\nto = \"daemon1\"\nservice = \"lotus.api\"\nwhy = \"a test\"\nuntil = \"2026-01-01\"\n";
    let source = SourceFile::new("site.toml", text);
    let out = site::read(&source, TODAY);
    assert!(!out.is_good());
    let m = out.model.expect("narrowing must stay possible");
    assert_eq!(m.weakenings.len(), 1);
    assert_eq!(m.weakenings[0].flows.len(), 1);
}

#[test]
fn what_a_flow_reaches_is_no_longer_on_loopback() {
    let m = model(WHOLE);
    let listen = |host: &str, service: &str, endpoint: &str| {
        let i = m.hosts[host].instances.iter().find(|i| i.service.name.as_str() == service).expect("instance");
        i.listens.iter().find(|l| l.endpoint.as_str() == endpoint).expect("listens").loopback
    };
    assert!(!listen("daemon1", "lotus", "api"), "the miner reaches it");
    assert!(listen("market1", "boostd", "gui"), "nobody reaches it");
}

#[test]
fn two_readings_give_the_same_bytes() {
    let json = |m: &Model| serde_json::to_string(m).expect("json");
    assert_eq!(json(&model(WHOLE)), json(&model(WHOLE)));
}

#[test]
fn a_vast_management_prefix_never_brings_the_sites_own_addresses_from_outside() {
    let text = |from: &str| {
        format!(
            "[site]\nmanagement = {{ from = [{from}], why = \"operators travel\", until = \"2027-06-30\" }}\n[zones]\nchain = {{ subnets = [\"10.20.2.0/24\"] }}\n[edge]\nkind = \"ravelin\"\nnodes = [\"fw\"]\npublic = [\"203.0.113.0/28\"]\n[hosts.fw]\naddress = {{ internet = \"203.0.113.2\", chain = \"10.20.2.1\" }}\n[hosts.daemon1]\naddress = \"10.20.2.11\"\nruns = [\"lotus\"]\n"
        )
    };
    let sources = |from: &str| -> Vec<ipnet::IpNet> {
        let out = site::read(&words::SourceFile::new("site.toml", text(from)), "2026-11-22");
        assert!(out.is_good(), "{:?}", out.diagnostics);
        let model = out.model.expect("a model");
        let flows = model.flows.iter().filter(|f| f.kind == site::model::FlowKind::Management && f.from.to_string().contains("management"));
        flows.flat_map(|f| f.legs.iter().flat_map(|l| l.src.to_vec())).collect()
    };
    let holds = |nets: &[ipnet::IpNet], a: &str| nets.iter().any(|n| n.contains(&a.parse::<std::net::IpAddr>().expect("address")));
    let world = sources("\"0.0.0.0/0\"");
    assert!(holds(&world, "8.8.8.8") && holds(&world, "203.0.113.77"));
    for own in ["10.20.2.11", "203.0.113.2", "127.0.0.1", "192.168.1.1", "169.254.169.254", "224.0.0.18"] {
        assert!(!holds(&world, own), "{own}");
    }
    let private = sources("\"10.0.0.0/8\"");
    assert!(holds(&private, "10.99.0.1") && !holds(&private, "10.20.2.11") && !holds(&private, "10.20.2.200"));
}

#[test]
fn a_management_controller_is_no_operator() {
    let m = model(
        r#"
[site]
management = { from = ["ops"] }
[zones]
ops = { subnets = ["10.20.90.0/24"] }
[hosts]
node1 = { address = "10.20.90.10", runs = ["lotus"] }
pc1   = { address = "10.20.90.20", runs = [], managed = false }
bmc1  = { address = "10.20.90.111", runs = ["bmc"], managed = false }
"#,
    );
    let ssh = m.flows.iter().find(|f| f.target.to_string() == "22/tcp" && f.to.to_string() == "node1").expect("the way in");
    let from = |a: &str| ssh.legs.iter().flat_map(|l| l.src.iter()).any(|n| n.contains(&a.parse::<std::net::IpAddr>().expect("address")));
    assert!(from("10.20.90.20") && from("10.20.90.110") && from("10.20.90.112") && from("10.20.90.255"));
    assert!(!from("10.20.90.111"), "its firmware is what an attacker who got that far holds");
}
