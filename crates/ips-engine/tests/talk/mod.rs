//! Connections written packet by packet, and what an engine says of them.

#![allow(dead_code, reason = "each test takes what it needs")]

use etherparse::PacketBuilder;
use ips_detect::{Options, Tables};
use ips_engine::{
    Engine, Output, Settings,
    flow::{Flow, Reason},
    output::{Alert, Anomaly, At},
};
use ips_proto::{Parsers, Transaction};
use ips_rules::{Set, Tables as Groups};
use ips_wire::Link;
use std::sync::Arc;
use words::SourceFile;

pub const SYN: u8 = 2;
pub const RST: u8 = 4;
pub const FIN: u8 = 1;
pub const PSH: u8 = 8;
pub const ACK: u8 = 16;

/// What was told.
#[derive(Debug, Default)]
pub struct Told {
    /// Numbers of rules, in order.
    pub alerts: Vec<u32>,
    /// Names of anomalies, in order.
    pub anomalies: Vec<&'static str>,
    /// Objects of transactions.
    pub transactions: Vec<String>,
    /// State of each flow that ended, why, packets both ways.
    pub flows: Vec<(String, &'static str, [u64; 2])>,
    /// Packets dropped.
    pub drops: usize,
}

impl Output for Told {
    fn alert(&mut self, _: &At<'_>, alert: &Alert<'_>) {
        self.alerts.push(alert.tables.rules()[alert.hit.rule as usize].meta.sid);
    }
    fn anomaly(&mut self, _: &At<'_>, _: Anomaly, event: &'static str, _: Option<&dyn Transaction>) {
        self.anomalies.push(event);
    }
    fn transaction(&mut self, _: &At<'_>, transaction: &dyn Transaction) {
        let mut out = Vec::new();
        transaction.describe(&mut out);
        self.transactions.push(String::from_utf8_lossy(&out).into_owned());
    }
    fn flow(&mut self, flow: &Flow, reason: Reason) {
        self.flows.push((flow.phase.name().to_owned(), reason.name(), flow.packets));
    }
    fn dropped(&mut self, _: &At<'_>, _: ips_engine::output::Dropped, _: Option<&Alert<'_>>) {
        self.drops += 1;
    }
}

/// An engine with these rules.
pub fn engine(rules: &str, settings: Settings) -> Engine {
    let source = SourceFile::new("test.rules", rules);
    let set = Set::read(&[source], &Groups::default());
    assert!(set.rejected.is_empty(), "{:?}", set.rejected);
    let (tables, refused) = Tables::build(set.rules, &Options::default());
    assert!(refused.is_empty(), "{refused:?}");
    let parsers = Parsers::new(ips_proto::Settings::new(settings.stream.inline));
    Engine::new(settings, Arc::new(tables), parsers)
}

/// A connection of which packets are written.
#[derive(Debug, Clone)]
pub struct Talk {
    /// Packets with their times in microseconds.
    pub frames: Vec<(u64, Vec<u8>)>,
    /// Next numbers of client and server.
    pub next: [u32; 2],
    pub ports: [u16; 2],
    pub now: u64,
    pub window: u16,
}

impl Default for Talk {
    fn default() -> Self {
        Self { frames: Vec::new(), next: [1000, 9000], ports: [40000, 80], now: 1_000_000, window: 64240 }
    }
}

impl Talk {
    /// With the handshake done.
    pub fn open() -> Self {
        let mut t = Self::default();
        t.handshake();
        t
    }
    pub fn handshake(&mut self) {
        self.raw(0, self.next[0], 0, SYN, b"");
        self.next[0] += 1;
        self.raw(1, self.next[1], self.next[0], SYN | ACK, b"");
        self.next[1] += 1;
        self.raw(0, self.next[0], self.next[1], ACK, b"");
    }
    /// A packet as it is: 0 from the client, 1 from the server.
    pub fn raw(&mut self, from: usize, seq: u32, ack: u32, flags: u8, payload: &[u8]) {
        let (a, b) = ([10, 0, 0, 1], [192, 0, 2, 9]);
        let ip = if from == 0 { PacketBuilder::ipv4(a, b, 64) } else { PacketBuilder::ipv4(b, a, 64) };
        let (s, d) = if from == 0 { (self.ports[0], self.ports[1]) } else { (self.ports[1], self.ports[0]) };
        let mut tcp = ip.tcp(s, d, seq, self.window);
        if flags & ACK != 0 {
            tcp = tcp.ack(ack);
        }
        for (flag, set) in [(SYN, 0), (RST, 1), (FIN, 2), (PSH, 3)] {
            if flags & flag != 0 {
                tcp = match set {
                    0 => tcp.syn(),
                    1 => tcp.rst(),
                    2 => tcp.fin(),
                    _ => tcp.psh(),
                };
            }
        }
        let mut frame = Vec::new();
        tcp.write(&mut frame, payload).expect("it is written");
        self.now += 1000;
        self.frames.push((self.now, frame));
    }
    /// Bytes from one end, acknowledged by the other.
    pub fn say(&mut self, from: usize, payload: &[u8]) {
        self.send(from, payload);
        self.acknowledge(1 - from);
    }
    /// Bytes from one end.
    pub fn send(&mut self, from: usize, payload: &[u8]) {
        let (seq, ack) = (self.next[from], self.next[1 - from]);
        self.raw(from, seq, ack, PSH | ACK, payload);
        self.next[from] = seq.wrapping_add(payload.len() as u32);
    }
    /// One end has everything.
    pub fn acknowledge(&mut self, from: usize) {
        let (seq, ack) = (self.next[from], self.next[1 - from]);
        self.raw(from, seq, ack, ACK, b"");
    }
    /// Both ends finish.
    pub fn close(&mut self) {
        for from in [0, 1] {
            let (seq, ack) = (self.next[from], self.next[1 - from]);
            self.raw(from, seq, ack, FIN | ACK, b"");
            self.next[from] = seq.wrapping_add(1);
        }
        self.acknowledge(0);
    }
    /// What an engine says of it.
    pub fn told(&self, engine: &mut Engine) -> Told {
        let mut told = Told::default();
        for (time, frame) in &self.frames {
            let _ = engine.frame(Link::Raw, *time, frame, &mut told);
        }
        engine.finish(&mut told);
        told
    }
    /// What an engine with these rules, as by default, says of it.
    pub fn with(&self, rules: &str) -> Told {
        self.told(&mut engine(rules, Settings::default()))
    }
}

/// The engine's settings where packets wait for the verdict.
pub fn inline() -> Settings {
    let mut s = Settings::default();
    s.stream.inline = true;
    s
}
