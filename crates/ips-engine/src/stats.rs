//! What the engine counts.

use ips_rules::header::App;
use ips_wire::{
    Packet,
    packet::{Network, Transport},
};

/// Counts, since the beginning.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is the count of its name")]
pub struct Stats {
    pub frames: u64,
    pub bytes: u64,
    pub invalid: u64,
    pub ipv4: u64,
    pub ipv6: u64,
    pub tcp: u64,
    pub udp: u64,
    pub icmpv4: u64,
    pub icmpv6: u64,
    pub other: u64,
    pub fragments: u64,
    pub rebuilt: u64,
    pub tunnelled: u64,
    pub vlan: u64,
    pub flows: u64,
    pub flows_tcp: u64,
    pub flows_udp: u64,
    pub flows_icmp: u64,
    pub flows_forced: u64,
    pub emergencies: u64,
    pub sessions: u64,
    pub midstream: u64,
    pub checksum_wrong: u64,
    pub gaps: u64,
    pub stream_memory: u64,
    pub alerts: u64,
    pub alerts_lost: u64,
    pub dropped: u64,
    /// Packets by why they were dropped ([`crate::output::Dropped::index`]).
    pub reasons: [u64; 7],
    /// Packets whose connection's beginning was not seen, by what was done ([`crate::stream::Exception::index`]).
    pub unseen: [u64; 6],
    pub passed: u64,
    /// Bytes of payload that were looked at: of the stream, or of the packet by itself.
    pub inspected: u64,
    /// Bytes of payload in all.
    pub payload: u64,
    /// By application (its place in [`ips_rules::header::App`]): flows over TCP and over other protocols, transactions, parsers that gave
    /// up.
    pub apps: Apps,
}

/// Applications there may be.
pub const APPS: usize = 64;

/// What is counted of each application.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apps([AppStats; APPS]);

impl Default for Apps {
    fn default() -> Self {
        Self([AppStats::default(); APPS])
    }
}

impl Apps {
    /// Of one.
    pub fn of(&self, app: App) -> AppStats {
        self.0.get(app as usize).copied().unwrap_or_default()
    }
    /// To be counted up.
    pub(crate) fn of_mut(&mut self, app: App) -> Option<&mut AppStats> {
        self.0.get_mut(app as usize)
    }
}

/// What is counted of an application.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct AppStats {
    /// Flows over TCP, over other protocols.
    pub flows: [u64; 2],
    /// The same of transactions.
    pub transactions: [u64; 2],
    /// The same of parsers that gave up.
    pub failed: [u64; 2],
}

impl Stats {
    /// Counts a packet.
    pub fn count(&mut self, packet: &Packet<'_>) {
        match packet.network {
            Network::V4(_) => self.ipv4 += 1,
            Network::V6(..) => self.ipv6 += 1,
            Network::None => {}
        }
        match packet.transport {
            Transport::Tcp(_) => self.tcp += 1,
            Transport::Udp(_) => self.udp += 1,
            Transport::Icmpv4(_) => self.icmpv4 += 1,
            Transport::Icmpv6(_) => self.icmpv6 += 1,
            Transport::Other => self.other += 1,
        }
        self.invalid += u64::from(packet.invalid);
        self.fragments += u64::from(packet.fragment);
        self.rebuilt += u64::from(packet.rebuilt);
        self.tunnelled += u64::from(packet.tunnelled);
        self.vlan += u64::from(packet.vlan_layers > 0);
    }
}
