//! Packets and rules for tests: in comes what matters for a case, the rest is plain.

#![allow(dead_code, reason = "each test file uses a part")]

use ips_detect::{AppView, Checksums, FlowState, FlowView, Hits, Known, Memory, Options, Scratch, Seen, Tables, Verdict};
use ips_proto::Toward;
use ips_rules::Set;
use ips_wire::packet::{Network, Packet, Transport};
use std::net::{IpAddr, Ipv4Addr};
use words::SourceFile;

pub const CLIENT: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
pub const SERVER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 2));

/// IPv4: 20 bytes, time to live 64, identification 7, to be let through whole.
pub const IPV4: [u8; 20] = [0x45, 0, 0, 40, 0, 7, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
pub const UDP: [u8; 8] = [0x9c, 0x40, 0, 53, 0, 0, 0, 0];
/// From port 40000 to 80: sequence number 5, acknowledged 9, PSH and ACK, window 1000, largest segment 1460.
pub const TCP: [u8; 24] = [0x9c, 0x40, 0, 80, 0, 0, 0, 5, 0, 0, 0, 9, 0x60, 0x18, 3, 0xe8, 0, 0, 0, 0, 2, 4, 5, 0xb4];

/// A packet of the client.
pub fn packet<'a>(transport: Transport<'a>, payload: &'a [u8]) -> Packet<'a> {
    let (protocol, port) = match transport {
        Transport::Tcp(_) => (6, 80),
        Transport::Udp(_) => (17, 53),
        Transport::Icmpv4(_) => (1, 0),
        Transport::Icmpv6(_) => (58, 0),
        Transport::Other => (132, 0),
    };
    Packet {
        ethernet: &[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
        network: Network::V4(&IPV4),
        source: CLIENT,
        destination: SERVER,
        protocol,
        transport,
        source_port: if port == 0 { 0 } else { 40_000 },
        destination_port: port,
        payload,
        ..Packet::new(1_700_000_000_000_000, 100)
    }
}

pub fn turned(mut p: Packet<'_>) -> Packet<'_> {
    (p.source, p.destination) = (p.destination, p.source);
    (p.source_port, p.destination_port) = (p.destination_port, p.source_port);
    p
}

pub fn flow_view() -> FlowView {
    FlowView { established: true, age: 3, packets: [2, 1], bytes: [200, 100], sent: Some([11, 21]), app: AppView::default() }
}

pub fn with_app(app: ips_rules::header::App) -> FlowView {
    let known = Known::Is(app);
    FlowView { app: AppView { flow: known, sides: [known; 2], ..AppView::default() }, ..flow_view() }
}

pub fn seen<'a>(p: &'a Packet<'a>) -> Seen<'a> {
    Seen {
        packet: p,
        toward: Toward::Server,
        flow: Some(flow_view()),
        stream: None,
        in_stream: false,
        decode_events: &[],
        stream_events: &[],
        app_events: &[],
        checksums: Checksums::default(),
    }
}

/// Reads and compiles; every rule must be understood.
pub fn tables(rules: &str) -> Tables {
    tables_with(rules, &Options::default())
}

pub fn tables_with(rules: &str, options: &Options) -> Tables {
    let source = SourceFile::new("r", rules);
    let set = Set::read(std::slice::from_ref(&source), &ips_rules::Tables::default());
    let said: String = set.rejected.iter().flat_map(|r| &r.reasons).map(|f| f.diagnostic.render(&source)).collect();
    assert!(set.rejected.is_empty(), "{said}");
    let (tables, refused) = Tables::build(set.rules, options);
    assert_eq!(refused, []);
    tables
}

/// One worker and one flow.
pub struct Bench {
    pub tables: Tables,
    pub scratch: Scratch,
    pub flow: FlowState,
    pub memory: Memory,
    pub hits: Hits,
}

impl Bench {
    pub fn new(rules: &str) -> Self {
        Self::of(tables(rules))
    }
    pub fn of(tables: Tables) -> Self {
        let (scratch, memory) = (tables.scratch(), tables.memory());
        Self { tables, scratch, flow: FlowState::default(), memory, hits: Hits::default() }
    }
    /// One packet: the verdict; hits stay in `hits`.
    pub fn packet(&mut self, seen: &Seen<'_>) -> Verdict {
        self.hits.clear();
        self.tables.packet(&mut self.scratch, seen, Some(&mut self.flow), &mut self.memory, &mut self.hits);
        self.tables.settle(seen, Some(&mut self.flow), &mut self.memory, &mut self.hits)
    }
    /// Numbers of the rules that are told, in order.
    pub fn told(&self) -> Vec<u32> {
        self.hits.list.iter().filter(|h| h.told).map(|h| self.tables.rules()[h.rule as usize].meta.sid).collect()
    }
    pub fn sids(&mut self, seen: &Seen<'_>) -> Vec<u32> {
        let _ = self.packet(seen);
        self.told()
    }
}
