//! The example `small` with observed flows: what the model allows is not told, what it does not is told with its process,
//! and the lines that are proposed make it allowed.

use facts::{Connection, Facts, Interface, Process, Socket, SocketState, Tuple};
use learn::{Ledger, Observation, PROVING_PERIOD, Window, report};
use site::model::Model;
use std::net::SocketAddr;
use words::{HostName, Proto, SourceFile};

const SMALL: &str = include_str!("../../../examples/small/site.toml");
const TODAY: &str = "2026-11-22";
const NOW: u64 = 1_795_000_000;

fn model(text: &str) -> Model {
    let source = SourceFile::new("site.toml", text);
    let out = site::read(&source, TODAY);
    let told = out.render(&source);
    out.model.unwrap_or_else(|| panic!("{told}"))
}

fn address(model: &Model, host: &str) -> std::net::IpAddr {
    model.hosts[host].addresses().next().expect("has one")
}

fn connection(from: SocketAddr, to: SocketAddr, status: u32) -> Connection {
    let original = Tuple { src: from.ip(), dst: to.ip(), sport: from.port(), dport: to.port() };
    Connection {
        proto: Proto::Tcp,
        original,
        reply: original.reversed(),
        state: Some("ESTABLISHED".into()),
        status,
        mark: 0,
        zone: 0,
        timeout: 1,
        sent: None,
        received: None,
    }
}

fn socket(local: SocketAddr, remote: Option<SocketAddr>, pid: u32) -> Socket {
    let state = if remote.is_some() { SocketState::Established } else { SocketState::Listen };
    Socket { proto: Proto::Tcp, local, remote, state, dual: false, device: None, uid: 990, inode: 1, pids: vec![pid] }
}

fn observed(machine: &str, connections: Vec<Connection>, sockets: Vec<Socket>, own: SocketAddr) -> Observation {
    let process = Process {
        pid: 7,
        comm: "backfill".into(),
        user: Some("curio".into()),
        unit: Some("backfill.service".into()),
        ..Process::default()
    };
    let interfaces = vec![Interface { name: "e".into(), addresses: vec![own.ip().into()], ..Interface::default() }];
    let facts = Facts { taken_at: NOW, connections, sockets, processes: vec![process], interfaces, ..Facts::default() };
    Observation { machine: HostName::new(machine).expect("name"), facts }
}

#[test]
fn what_is_not_allowed_is_told_once_and_its_lines_allow_it() {
    let small = model(SMALL);
    let (from, to) = (address(&small, "mon1"), address(&small, "db1"));
    let (client, server) = (SocketAddr::new(from, 40001), SocketAddr::new(to, 8443));
    // Seen by the opener's socket, by the edge's table and by the listener's socket: one flow.
    let seen = [
        observed("mon1", vec![], vec![socket(client, Some(server), 7)], client),
        observed("fw-a", vec![connection(client, server, 14)], vec![], SocketAddr::new(address(&small, "fw-a"), 0)),
        observed("db1", vec![], vec![socket(server, None, 7), socket(server, Some(client), 7)], server),
    ];
    let told = report(&small, &seen);
    assert_eq!(told.cut.len(), 1, "{told}");
    let cut = &told.cut[0];
    assert_eq!((cut.from.as_str(), cut.to.as_str(), cut.connections, cut.stops.len()), ("mon1", "db1", 1, 3));
    assert!(cut.who.iter().any(|w| w.opener && w.process == "backfill" && w.unit.as_deref() == Some("backfill.service")));
    assert!(cut.who.iter().any(|w| !w.opener && w.machine.as_str() == "db1"));
    let wider = model(&format!("{SMALL}\n{}", cut.lines));
    assert_eq!(report(&wider, &seen).cut.len(), 0, "{}", cut.lines);
    assert!(!told.sample().cuts.is_empty() && report(&wider, &seen).sample().cuts.is_empty());
}

#[test]
fn every_derived_flow_is_allowed_and_the_same_from_elsewhere_is_not() {
    let small = model(SMALL);
    let mut count = 0;
    let stranger: SocketAddr = "192.0.2.77:50000".parse().expect("address");
    for flow in small.flows.iter().filter(|f| f.target.proto == Proto::Tcp) {
        let Some(port) = flow.target.ports.single() else { continue };
        for leg in &flow.legs {
            let (from, to) = (SocketAddr::new(leg.src[0].addr(), 40001), SocketAddr::new(leg.dst[0].addr(), port));
            let seen = observed("fw-a", vec![connection(from, to, 14)], vec![], from);
            assert_eq!(report(&small, &[seen]).cut.len(), 0, "{flow:?}");
            count += 1;
            let open = flow.legs.iter().any(|l| l.src.iter().any(|n| n.contains(&stranger.ip())));
            let to_host = small.hosts.values().any(|h| h.managed && h.addresses().any(|a| a == to.ip()));
            if !open && to_host && to.is_ipv4() {
                let seen = observed("fw-a", vec![connection(stranger, to, 14)], vec![], to);
                let told = report(&small, &[seen]);
                let other = small.flows.iter().any(|f| {
                    f.target.proto == Proto::Tcp
                        && f.target.ports.contains(port)
                        && f.legs
                            .iter()
                            .any(|l| l.src.iter().any(|n| n.contains(&stranger.ip())) && l.dst.iter().any(|n| n.contains(&to.ip())))
                });
                assert_eq!(told.cut.len(), usize::from(!other), "{flow:?}");
            }
        }
    }
    assert!(count > 30, "{count} flows were tried");
}

#[test]
fn what_nobody_answers_is_not_a_flow() {
    let small = model(SMALL);
    let (from, to) = (SocketAddr::new(address(&small, "market1"), 1), SocketAddr::new(address(&small, "db1"), 2345));
    let told = report(&small, &[observed("fw-a", vec![connection(from, to, 8)], vec![], from)]);
    assert_eq!((told.cut.len(), told.unanswered), (0, 1));
}

#[test]
fn a_ledger_keeps_a_day_and_forgives_what_is_allowed_by_now() {
    let small = model(SMALL);
    let (from, to) = (SocketAddr::new(address(&small, "mon1"), 40001), SocketAddr::new(address(&small, "db1"), 8443));
    let look = |at: u64, with: bool| {
        let connections = if with { vec![connection(from, to, 14)] } else { vec![] };
        let mut o = observed("fw-a", connections, vec![], from);
        o.facts.taken_at = NOW + at;
        [o]
    };
    let mut ledger = Ledger::default();
    let day = PROVING_PERIOD / 600;
    for n in 0..=day {
        ledger.absorb(&small, &look(n * 600, n == 0 || n == day / 2));
    }
    let now = NOW + PROVING_PERIOD;
    assert!(matches!(ledger.window(&small, now, PROVING_PERIOD), Window::TooShort { .. }), "half a day ago it would have been cut");
    let told = ledger.report(&small);
    assert_eq!((told.cut.len(), told.cut[0].last, told.from, told.to), (1, NOW + day / 2 * 600, NOW, now));
    let wider = model(&format!("{SMALL}\n{}", told.cut[0].lines));
    assert_eq!(ledger.report(&wider).cut.len(), 0);
    assert_eq!(ledger.window(&wider, now, PROVING_PERIOD), Window::Clean { since: NOW });
    let mut kept = Ledger::default();
    kept.absorb(&wider, &look(0, true));
    kept.absorb(&wider, &look(600, false));
    assert_eq!(kept.window(&wider, NOW + 600, 600), Window::Clean { since: NOW });
    assert!(matches!(kept.window(&small, NOW + 600, 600), Window::TooShort { .. }), "it is not allowed any more");
    let text = serde_json::to_string(&ledger).expect("writes");
    assert!(text.len() < 100_000, "{} bytes for a day", text.len());
    assert_eq!(serde_json::from_str::<Ledger>(&text).expect("reads"), ledger);
}
