//! Frames to packets. In come a frame, its link type and its time; out come packets, each given to the caller at once: what was inside of a
//! tunnel or put together from fragments comes before what carried it, as with the peer. Never: allocates per packet, goes deeper than
//! [`MAX_LAYERS`].

use crate::{
    event::Event,
    fragment::{self, Fragments},
    packet::{Packet, Quoted},
};

/// Layers of one frame that are looked into: the peer's default.
pub const MAX_LAYERS: u8 = 16;

/// What a capture's frames begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Link {
    /// Ethernet.
    Ethernet,
    /// IPv4 or IPv6 without anything in front.
    Raw,
    /// IPv4 without anything in front.
    Ipv4,
    /// IPv6 without anything in front.
    Ipv6,
    /// A family in the capturing machine's byte order, then IP (BSD loopback).
    Null,
    /// Linux cooked capture.
    Cooked,
    /// Linux cooked capture, version 2.
    Cooked2,
    /// PPP.
    Ppp,
}

impl Link {
    /// By the number of a capture file (`LINKTYPE_*`).
    pub fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 | 108 => Self::Null,
            1 => Self::Ethernet,
            9 | 50 => Self::Ppp,
            12 | 14 | 101 => Self::Raw,
            228 => Self::Ipv4,
            229 => Self::Ipv6,
            113 => Self::Cooked,
            276 => Self::Cooked2,
            _ => return None,
        })
    }
    /// The number by which libpcap knows it, which is what events say.
    pub fn number(self) -> u32 {
        match self {
            Self::Null => 0,
            Self::Ethernet => 1,
            Self::Ppp => 9,
            Self::Raw => 12,
            Self::Cooked => 113,
            Self::Ipv4 => 228,
            Self::Ipv6 => 229,
            Self::Cooked2 => 276,
        }
    }
    /// The name that goes with the number.
    pub fn name(self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Ethernet => "EN10MB",
            Self::Ppp => "PPP",
            Self::Raw => "RAW",
            Self::Cooked => "LINUX_SLL",
            Self::Ipv4 => "IPv4",
            Self::Ipv6 => "IPv6",
            Self::Cooked2 => "LINUX_SLL2",
        }
    }
}

/// What is decoded, and how. Ports of tunnels are the peer's defaults.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// UDP ports to which VXLAN is sent; empty: it is not looked for.
    pub vxlan_ports: Vec<u16>,
    /// VXLAN with reserved bits set is not looked into.
    pub vxlan_strict: bool,
    /// UDP ports of Teredo.
    pub teredo_ports: Vec<u16>,
    /// UDP ports to which Geneve is sent.
    pub geneve_ports: Vec<u16>,
    /// Fragments.
    pub fragments: fragment::Settings,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            vxlan_ports: vec![4789],
            vxlan_strict: true,
            teredo_ports: vec![3544],
            geneve_ports: vec![6081],
            fragments: fragment::Settings::default(),
        }
    }
}

/// Whoever takes packets.
pub(crate) type Sink<'s> = &'s mut dyn FnMut(&Packet<'_>);

/// Decodes frames, and holds the fragments between them.
#[derive(Debug)]
pub struct Decoder {
    pub(crate) settings: Settings,
    pub(crate) fragments: Fragments,
}

impl Decoder {
    /// With nothing held yet.
    pub fn new(settings: Settings) -> Self {
        Self { fragments: Fragments::new(settings.fragments.clone()), settings }
    }

    /// Decodes one frame; `time` in microseconds since 1970.
    pub fn decode(&mut self, link: Link, time: u64, frame: &[u8], sink: &mut dyn FnMut(&Packet<'_>)) {
        let mut packet = Packet::new(time, u32::try_from(frame.len()).unwrap_or(u32::MAX));
        packet.bytes = frame;
        packet.link = link;
        match link {
            Link::Ethernet => self.ethernet(packet, frame, sink),
            Link::Raw | Link::Ipv4 | Link::Ipv6 => self.raw(packet, frame, sink),
            Link::Null => self.null(packet, frame, sink),
            Link::Cooked => self.cooked(packet, frame, sink),
            Link::Cooked2 => self.cooked2(packet, frame, sink),
            Link::Ppp => self.ppp(packet, frame, sink),
        }
    }

    /// How many datagrams wait for fragments.
    pub fn waiting(&self) -> usize {
        self.fragments.waiting()
    }
}

/// One layer more; false where that is too many, and the packet was given as it is.
pub(crate) fn deeper(packet: &mut Packet<'_>, sink: Sink<'_>) -> bool {
    packet.layers += 1;
    if packet.layers > MAX_LAYERS {
        broken(*packet, Event::TooManyLayers, sink);
        return false;
    }
    true
}

/// A packet that cannot be decoded to its end.
pub(crate) fn broken(mut packet: Packet<'_>, event: Event, sink: Sink<'_>) {
    packet.events.add(event);
    packet.invalid = true;
    sink(&packet);
}

/// The packet inside of a tunnel, of which nothing is known yet. VLANs outside of it are not its own, as with the peer.
pub(crate) fn inner<'b>(outer: &Packet<'_>, bytes: &'b [u8]) -> Packet<'b> {
    let mut packet = Packet::new(outer.time, u32::try_from(bytes.len()).unwrap_or(u32::MAX));
    packet.tunnelled = true;
    packet.bytes = bytes;
    packet.outer = Some(Quoted {
        source: outer.source,
        destination: outer.destination,
        protocol: outer.protocol,
        source_port: outer.source_port,
        destination_port: outer.destination_port,
    });
    packet.depth = outer.depth + 1;
    packet.layers = outer.layers;
    packet
}
