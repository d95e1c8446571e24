//! A flow: both ends, what was counted, its stream, its application, and what rules keep with it.

use crate::{
    app::Application,
    key::{End, Ends},
    stream::Session,
    table::{Kind, Phase},
};
use ips_detect::FlowState;
use ips_proto::Toward;
use ips_wire::{Packet, packet::Network};

/// Why a flow is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Silent for too long.
    Timeout,
    /// Room was needed.
    Forced,
    /// Everything ends.
    Shutdown,
    /// Its ends opened another connection.
    Reused,
}

impl Reason {
    /// As events name it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Timeout => "timeout",
            Self::Forced => "forced",
            Self::Shutdown => "shutdown",
            Self::Reused => "tcp_reuse",
        }
    }
}

/// What happens to all further packets of a flow.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Fate {
    /// They are looked at.
    #[default]
    Open,
    /// They are dropped.
    Dropped,
    /// They go through unseen.
    Passed,
}

/// A flow.
#[derive(Debug)]
pub struct Flow {
    /// Its number in events.
    pub id: u64,
    /// Who opened it.
    pub client: End,
    /// Who was called.
    pub server: End,
    /// Protocol over IP.
    pub protocol: u8,
    /// VLANs of its first packet.
    pub vlans: [u16; 3],
    /// How many.
    pub vlan_layers: u8,
    /// ICMP: type and code of the first packet.
    pub icmp: [u16; 2],
    /// First packet, microseconds.
    pub start: u64,
    /// Last packet.
    pub last: u64,
    /// Packets to server and to client.
    pub packets: [u64; 2],
    /// Bytes.
    pub bytes: [u64; 2],
    /// How far it has come.
    pub phase: Phase,
    /// Its connection.
    pub session: Option<Box<Session>>,
    /// Its application.
    pub app: Application,
    /// What rules keep.
    pub detect: FlowState,
    /// A rule was told.
    pub alerted: bool,
    /// What happens to further packets.
    pub fate: Fate,
    /// Smallest and largest time to live, per direction.
    pub ttl: [[u8; 2]; 2],
    /// It began in an emergency.
    pub emergency: bool,
    /// It is dropped for what could not be known of it, not by a rule.
    pub exception: bool,
    /// Its connection's beginning was not seen, and this was done.
    pub unseen: Option<crate::stream::Exception>,
    /// Nothing is logged of it.
    pub quiet: bool,
    /// Hardware addresses of its first packet: to whom, from whom.
    pub ethernet: [u8; 12],
    /// They are there.
    pub has_ethernet: bool,
    /// Something was lost of its stream, and that was told.
    pub gap_told: bool,
    /// It has left: whoever holds the packets keeps it to himself.
    pub left: bool,
    /// Which edition of the rules kept what is kept with it.
    edition: u32,
}

impl Flow {
    /// Of its first packet.
    pub fn new(id: u64, packet: &Packet<'_>, ends: &Ends) -> Self {
        Self {
            id,
            client: ends.source,
            server: ends.destination,
            protocol: ends.protocol,
            vlans: packet.vlans,
            vlan_layers: packet.vlan_layers,
            icmp: [packet.source_port, packet.destination_port],
            start: packet.time,
            last: packet.time,
            packets: [0; 2],
            bytes: [0; 2],
            phase: Phase::New,
            session: None,
            app: Application::default(),
            detect: FlowState::default(),
            alerted: false,
            fate: Fate::Open,
            ttl: [[u8::MAX, 0]; 2],
            emergency: false,
            exception: false,
            unseen: None,
            ethernet: packet.ethernet.first_chunk().copied().unwrap_or_default(),
            has_ethernet: packet.ethernet.len() >= 12,
            quiet: false,
            gap_told: false,
            left: false,
            edition: 0,
        }
    }
    /// Rules were exchanged since: what older ones kept means nothing to these, but what they decided of all of the flow stays.
    pub(crate) fn up_to(&mut self, edition: u32) {
        if std::mem::replace(&mut self.edition, edition) == edition {
            return;
        }
        let decided = (self.detect.passed, self.detect.dropped, self.detect.bypassed);
        self.detect.clear();
        (self.detect.passed, self.detect.dropped, self.detect.bypassed) = decided;
        self.app.look_again();
    }
    /// Which way a packet with these ends goes.
    pub fn toward(&self, ends: &Ends) -> Toward {
        let icmp = matches!(self.protocol, 1 | 58);
        let same = if icmp { ends.source.0 == self.client.0 } else { ends.source == self.client };
        if same { Toward::Server } else { Toward::Client }
    }
    /// How it is timed.
    pub fn kind(&self) -> Kind {
        Kind::of(self.protocol)
    }
    /// Counts a packet.
    pub fn count(&mut self, packet: &Packet<'_>, toward: Toward) {
        let side = toward.index();
        self.packets[side] += 1;
        self.bytes[side] += u64::from(packet.length);
        self.last = self.last.max(packet.time);
        let ttl = match packet.network {
            Network::V4(h) => h.get(8),
            Network::V6(h, _) => h.get(7),
            Network::None => None,
        };
        if let Some(&ttl) = ttl {
            let [least, most] = self.ttl[side];
            self.ttl[side] = [least.min(ttl), most.max(ttl)];
        }
        if self.protocol != 6 && self.packets.iter().all(|p| *p > 0) {
            self.phase = Phase::Established;
        }
    }
    /// The connection was taken up from the wrong end.
    pub fn turn(&mut self) {
        std::mem::swap(&mut self.client, &mut self.server);
        self.packets.swap(0, 1);
        self.bytes.swap(0, 1);
        self.ttl.swap(0, 1);
    }
}
