//! Listening sockets against the packet filter, held against packets: real sockets on a machine with nft's, iptables' and an
//! engine's rules, a container behind it, and a neighbour who tries each of them from every kind of address. Whatever
//! `ravelin sockets` says of a port and a sender, a packet shows.

mod common;
#[path = "../../apply/tests/common/net.rs"]
mod net;

use common::succeeds as run;
use net::{Namespace, wire};
use serde_json::Value;
use socket2::{Domain, Socket, Type};
use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    process::Command,
    time::Duration,
};

/// Longer than a packet between two namespaces takes.
const SILENCE: Duration = Duration::from_millis(250);
const V4: &str = "203.0.113.10";
const V6: &str = "2001:db8:1::10";

/// Who tries, and what `ravelin` calls them.
const SENDERS: [(&str, &str); 10] = [
    ("203.0.113.1", "eno1"),
    ("172.17.0.2", "docker0"),
    ("fd00:17::2", "docker0"),
    ("198.51.100.7", "internet"),
    ("192.0.2.77", "internet"),
    ("10.66.0.5", "private"),
    ("2001:db8:1::1", "eno1"),
    ("2001:db8:ff::7", "internet"),
    ("2001:db8:fe::7", "internet"),
    ("fd00:66::5", "private"),
];

/// A filter of somebody's: some ports open, some to one address, one only where it was asked for under another number.
const FILTER: &str = "
table inet other {
 set operators { type ipv4_addr; elements = { 198.51.100.7 } }
 chain in {
  type filter hook input priority 0; policy drop
  ct state established,related accept
  iifname lo accept
  meta l4proto ipv6-icmp accept
  tcp dport { 1002, 1006, 1011, 18090 } accept
  ip saddr @operators tcp dport 1003 accept
  meta nfproto ipv6 tcp dport { 1004, 1005 } accept
  udp dport 1007 accept
  ct status dnat tcp dport 1009 accept
  iifname eno1 ip saddr 203.0.113.0/24 tcp dport 1010 accept
 }
}
table ip turned {
 chain pre {
  type nat hook prerouting priority -100
  tcp dport 2222 redirect to :1009
 }
}
";

/// What Docker writes for three published ports: on every address, on one, on loopback; and since release 28 for the fourth.
const DOCKER: &str = "*raw
:PREROUTING ACCEPT [0:0]
-A PREROUTING -d 172.17.0.3/32 ! -i docker0 -j DROP
COMMIT
*nat
:PREROUTING ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 18080 -j DNAT --to-destination 172.17.0.2:80
-A DOCKER -d 203.0.113.10/32 ! -i docker0 -p tcp -m tcp --dport 18081 -j DNAT --to-destination 172.17.0.2:81
-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 18082 -j DNAT --to-destination 172.17.0.2:82
-A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 18083 -j DNAT --to-destination 172.17.0.3:83
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 18084 -j DNAT --to-destination 172.17.0.2:84
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 18090 -j DNAT --to-destination 172.17.0.2:90
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:DOCKER - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 81 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 82 -j ACCEPT
-A DOCKER -d 172.17.0.3/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 83 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 84 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 90 -j ACCEPT
-A DOCKER-USER ! -s 198.51.100.7/32 -i eno1 -p tcp -m conntrack --ctorigdstport 18084 -j DROP
-A DOCKER-USER -j RETURN
COMMIT
";

const DOCKER6: &str = "*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 18080 -j DNAT --to-destination [fd00:17::2]:80
COMMIT
*filter
:FORWARD DROP [0:0]
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -i docker0 -j ACCEPT
-A FORWARD -d fd00:17::2/128 -o docker0 -p tcp -m tcp --dport 80 -j ACCEPT
COMMIT
";

/// The machine, and a zone behind its router.
const SITE: &str = r#"
[site]
name       = "one"
management = { from = ["198.51.100.7/32"], by = "ssh" }
[zones]
lan = { subnets = ["10.66.0.0/24"] }
[hosts.sp1]
address = ["203.0.113.10"]
zone    = "internet"
runs    = ["lotus"]
[hosts.db1]
zone    = "lan"
address = "10.66.0.5"
runs    = ["node-exporter"]
[hosts.db2]
zone    = "lan"
address = "10.66.0.6"
runs    = ["node-exporter"]
"#;

fn inside(test: &str) -> bool {
    common::inside(test, || {
        run("mount", &["-t", "tmpfs", "none", "/tmp"]);
        run("mount", &["-t", "tmpfs", "none", "/run"]);
        run("ip", &["link", "set", "lo", "up"]);
    })
}

fn socket(kind: Type, at: &str, only_v6: Option<bool>) -> Socket {
    let at: SocketAddr = at.parse().expect("address");
    let s = Socket::new(Domain::for_address(at), kind, None).expect("socket");
    if let Some(only) = only_v6 {
        s.set_only_v6(only).expect("v6 only");
    }
    s.set_reuse_address(true).expect("again");
    s.bind(&at.into()).expect("binds");
    if kind == Type::STREAM {
        s.listen(64).expect("listens");
    }
    s
}

/// Whether a packet from this address comes to an address and port: a connection opens, or a datagram is heard.
fn arrives(far: &Namespace, from: &str, to: SocketAddr, udp: Option<&Socket>) -> bool {
    let from: SocketAddr = SocketAddr::new(from.parse().expect("address"), 0);
    let kind = if udp.is_some() { Type::DGRAM } else { Type::STREAM };
    let opened = far.within(|| {
        let s = Socket::new(Domain::for_address(to), kind, None).expect("socket");
        s.bind(&from.into()).expect("binds");
        match kind {
            Type::STREAM => s.connect_timeout(&to.into(), SILENCE).is_ok(),
            _ => s.send_to(b"?", &to.into()).is_ok(),
        }
    });
    let Some(udp) = udp else { return opened };
    udp.set_read_timeout(Some(SILENCE)).expect("timeout");
    udp.recv(&mut [std::mem::MaybeUninit::uninit(); 8]).is_ok()
}

/// Whether a verdict says that this sender's packets come through.
fn says(verdict: &Value, sender: &str, kind: &str) -> bool {
    let address: IpAddr = sender.parse().expect("address");
    let holds = |span: &str| match span.split_once('-') {
        Some((a, b)) => (a.parse::<IpAddr>().expect("first")..=b.parse().expect("last")).contains(&address),
        None => span.parse::<ipnet::IpNet>().or_else(|_| span.parse::<IpAddr>().map(Into::into)).expect("prefix").contains(&address),
    };
    let list = |v: &Value| v.as_array().cloned().unwrap_or_default();
    list(&verdict["reachable"]).iter().any(|by| {
        let named = by["peer"].as_str().is_some_and(|p| p == kind) || by["peer"]["wire"] == kind;
        named && (by["all"] == true || list(&by["sources"]).iter().any(|s| holds(s.as_str().expect("text"))))
    })
}

fn asked(arguments: &[&str]) -> (Value, String) {
    let out = Command::new(env!("CARGO_BIN_EXE_ravelin")).arg("sockets").args(arguments).env("NO_COLOR", "1").output().expect("starts");
    let text = String::from_utf8_lossy(&out.stdout).into_owned();
    assert!(out.status.success(), "{text}{}", String::from_utf8_lossy(&out.stderr));
    (serde_json::from_str(&text).unwrap_or_default(), text)
}

/// One word for a verdict.
fn word(entry: &Value) -> String {
    let v = &entry["verdict"];
    v.as_str().map(str::to_owned).or_else(|| v.as_object()?.keys().next().cloned()).expect("a verdict")
}

#[test]
fn every_verdict_is_what_packets_meet() {
    if !inside("every_verdict_is_what_packets_meet") {
        return;
    }
    let (own, far, guest) = (Namespace::own(), Namespace::new(), Namespace::new());
    wire(&own, "eno1", &far, "far");
    wire(&own, "veth1", &guest, "eth0");
    own.run("ip link add docker0 type bridge");
    own.run("ip link set veth1 master docker0 up");
    own.address("eno1", &["203.0.113.10/24", "2001:db8:1::10/64"]);
    own.address("docker0", &["172.17.0.1/16", "fd00:17::1/64"]);
    guest.address("eth0", &["172.17.0.2/16", "172.17.0.3/16", "fd00:17::2/64"]);
    far.address("far", &["203.0.113.1/24", "2001:db8:1::1/64"]);
    far.address("lo", &["198.51.100.7/32", "192.0.2.77/32", "10.66.0.5/32", "2001:db8:ff::7/128", "2001:db8:fe::7/128", "fd00:66::5/128"]);
    own.run("ip route add default via 203.0.113.1");
    own.run("ip -6 route add default via 2001:db8:1::1");
    guest.run("ip route add default via 172.17.0.1");
    guest.run("ip -6 route add default via fd00:17::1");
    // A neighbour who knows where the containers are asks nobody for a translation.
    far.run("ip route add 172.17.0.0/16 via 203.0.113.10");
    far.run("ip -6 route add fd00:17::/64 via 2001:db8:1::10");
    for knob in ["ipv4/ip_forward", "ipv6/conf/all/forwarding"] {
        fs::write(format!("/proc/sys/net/{knob}"), "1").expect("forwards");
    }
    fs::write("/tmp/filter", FILTER).expect("rules");
    run("nft", &["-f", "/tmp/filter"]);
    for (program, rules) in [("iptables-nft-restore", DOCKER), ("ip6tables-nft-restore", DOCKER6)] {
        fs::write("/tmp/docker", rules).expect("rules");
        run(program, &["/tmp/docker"]);
    }

    let (tcp, udp) = (Type::STREAM, Type::DGRAM);
    let _kept = [
        socket(tcp, "0.0.0.0:1000", None),
        socket(tcp, "127.0.0.1:1001", None),
        socket(tcp, "[::]:1002", Some(false)),
        socket(tcp, "0.0.0.0:1003", None),
        socket(tcp, "[::]:1004", Some(true)),
        socket(tcp, "[::]:1005", Some(false)),
        socket(tcp, "[::1]:1006", None),
        socket(tcp, "0.0.0.0:1009", None),
        socket(tcp, "203.0.113.10:1010", None),
        socket(tcp, "172.17.0.1:1011", None),
        socket(tcp, "0.0.0.0:18090", None),
    ];
    let heard: BTreeMap<u64, Socket> = [(1007, socket(udp, "[::]:1007", Some(false))), (1008, socket(udp, "0.0.0.0:1008", None))].into();
    let _guests: Vec<Socket> = guest.within(|| {
        let ports = (80..=84).chain([90]);
        ports.map(|p| socket(tcp, &format!("[::]:{p}"), Some(false))).collect()
    });

    let (told, _) = asked(&["--json", "--reveal"]);
    let entries = told["sockets"].as_array().expect("a list").clone();
    let (mut seen, mut tried) = (BTreeMap::new(), [0, 0]);
    for e in &entries {
        let family = e["family"].as_str().expect("family").to_owned();
        let socket = &e["end"]["socket"];
        let (port, targets): (u64, Vec<SocketAddr>) = if socket.is_object() {
            let local: SocketAddr = socket["local"].as_str().expect("address").parse().expect("address");
            let own = if family == "v4" { V4 } else { V6 };
            let to = if local.ip().is_unspecified() || local.ip().is_loopback() { own.parse().expect("address") } else { local.ip() };
            assert_eq!(socket["holders"][0]["pid"], std::process::id(), "{e}");
            let renumbered = (local.port() == 1009).then(|| SocketAddr::new(to, 2222));
            (local.port().into(), [Some(SocketAddr::new(to, local.port())), renumbered].into_iter().flatten().collect())
        } else {
            let f = &e["end"]["forwarded"];
            let port = u16::try_from(f["port"].as_u64().expect("port")).expect("port");
            let own = if family == "v4" { V4 } else { V6 };
            let to: SocketAddr = f["to"].as_str().expect("target").parse().expect("target");
            (port.into(), vec![SocketAddr::new(own.parse().expect("address"), port), to])
        };
        seen.insert((port, e["proto"].as_str().expect("proto").to_owned(), family.clone(), socket.is_object()), word(e));
        for (sender, kind) in SENDERS.iter().filter(|(s, _)| s.contains(':') == (family == "v6")) {
            // Who is a container needs nobody to forward to one.
            let (there, contained) = if *kind == "docker0" { (&guest, true) } else { (&far, false) };
            if contained && !socket.is_object() {
                continue;
            }
            // Nobody but a neighbour is routed to a container's own address.
            let routed = |t: &&SocketAddr| *kind == "eno1" || t.ip().to_string() == V4 || t.ip().to_string() == V6 || socket.is_object();
            let udp = if e["proto"] == "udp" { heard.get(&port) } else { None };
            // A second socket on the port of a published one is not reached: what answers there is the container.
            let published = socket.is_object() && port == 18090 && !contained;
            let came = !published && targets.iter().filter(routed).any(|t| arrives(there, sender, *t, udp));
            assert_eq!(says(&e["verdict"], sender, kind), came, "{sender} to {targets:?}: {e:#}");
            tried[usize::from(came)] += 1;
        }
    }
    // Nothing is missing, and no verdict is an accident of another.
    let verdict = |port: u64, proto: &str, family: &str, socket: bool| {
        seen.get(&(port, proto.to_owned(), family.to_owned(), socket)).map_or("none", String::as_str).to_owned()
    };
    for (port, proto, v4, v6) in [
        (1000, "tcp", "filtered", "none"),
        (1001, "tcp", "loopback", "none"),
        (1002, "tcp", "reachable", "reachable"),
        (1003, "tcp", "reachable", "none"),
        (1004, "tcp", "none", "reachable"),
        (1005, "tcp", "filtered", "reachable"),
        (1006, "tcp", "none", "loopback"),
        (1007, "udp", "reachable", "reachable"),
        (1008, "udp", "filtered", "none"),
        (1009, "tcp", "reachable", "none"),
        (1010, "tcp", "reachable", "none"),
        (1011, "tcp", "reachable", "none"),
        // By containers alone, whose packets are not translated.
        (18090, "tcp", "reachable", "none"),
    ] {
        assert_eq!((verdict(port, proto, "v4", true), verdict(port, proto, "v6", true)), (v4.to_owned(), v6.to_owned()), "{port}/{proto}");
    }
    for (port, v4, v6) in [
        (18080, "reachable", "reachable"),
        (18081, "reachable", "none"),
        (18082, "reachable", "none"),
        (18083, "loopback", "none"),
        (18084, "reachable", "none"),
        (18090, "reachable", "none"),
    ] {
        assert_eq!((verdict(port, "tcp", "v4", false), verdict(port, "tcp", "v6", false)), (v4.to_owned(), v6.to_owned()), "{port}");
    }
    assert!(tried[0] > 30 && tried[1] > 20, "both ways: {tried:?}");

    // For people: who holds it, by whom it is reached, and the rule.
    let (_, text) = asked(&["--reveal"]);
    for words in [
        "1003/tcp on every address: ",
        "IPv4 reachable by the Internet from 198.51.100.7",
        "inet other, in, rule 5: ip saddr @operators meta l4proto tcp th dport 1003 accept",
        "IPv4 filtered (tcp 198.51.100.66:40000 -> 203.0.113.10:1000)",
        "inet other, in, rule 8: ct status & 0x20 != 0",
        "ip filter, DOCKER, rule 3: -A DOCKER -d 172.17.0.2/32 ! -i docker0",
        "inet other, in: policy drop",
        "18082/tcp on 127.0.0.1, forwarded to 172.17.0.2:82",
        "reachable by the wire at eno1",
    ] {
        assert!(text.contains(words), "{words}\n{text}");
    }
    assert!(!text.contains("assumed:") && !text.contains("veth1"), "{text}");
    let (_, text) = asked(&["--reachable"]);
    assert!(text.contains("1003/tcp") && !text.contains("1000/tcp") && !text.contains("1001/tcp") && !text.contains("203.0.113"), "{text}");

    // With a site its zones and machines have names; operators are told from the rest of the Internet by address.
    fs::write("/tmp/site.toml", SITE).expect("site");
    let (told, _) = asked(&["--json", "--reveal", "--site", "/tmp/site.toml", "--host", "sp1", "--now", "2027-01-10"]);
    let by = |port: u64| {
        let of = |e: &&Value| e["end"]["socket"]["local"].as_str().is_some_and(|l| l.ends_with(&format!(":{port}"))) && e["family"] == "v4";
        told["sockets"].as_array().expect("a list").iter().find(of).expect("the port")["verdict"]["reachable"].clone()
    };
    let named = |port: u64| -> Vec<(String, Value)> {
        by(port).as_array().expect("peers").iter().map(|b| (b["peer"].to_string(), b["hosts"].clone())).collect()
    };
    let zone = named(1002).into_iter().find(|(p, _)| p.contains("\"zone\":\"lan\"")).expect("the zone");
    assert_eq!(zone.1, serde_json::json!(["db1", "db2"]));
    assert!(named(1003).iter().all(|(p, _)| p == "\"internet\""), "{:?}", named(1003));
}
