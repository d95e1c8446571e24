//! A decoded packet: where each header stands in the frame, and what every later layer asks of it. Nothing is copied.

use crate::{decode::Link, event::Events};
use std::net::{IpAddr, Ipv4Addr};

/// What is carried over IP, as far as it is looked into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport<'a> {
    /// TCP: header with options.
    Tcp(&'a [u8]),
    /// UDP: header, 8 bytes.
    Udp(&'a [u8]),
    /// ICMP: header, 8 bytes.
    Icmpv4(&'a [u8]),
    /// ICMP for IPv6: header, 8 bytes.
    Icmpv6(&'a [u8]),
    /// Another protocol, or a fragment that is not the first.
    Other,
}

/// The network layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network<'a> {
    /// IPv4: header with options.
    V4(&'a [u8]),
    /// IPv6: fixed header, and the extension headers behind it.
    V6(&'a [u8], &'a [u8]),
    /// Neither.
    None,
}

/// The packet that an ICMP error is about, as far as the error quotes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Its source.
    pub source: IpAddr,
    /// Its destination.
    pub destination: IpAddr,
    /// Its protocol.
    pub protocol: u8,
    /// Its source port; 0 where it has none.
    pub source_port: u16,
    /// Its destination port.
    pub destination_port: u16,
}

/// A decoded packet. Of a tunnel both the outer packet and the inner one are packets.
#[derive(Debug, Clone, Copy)]
pub struct Packet<'a> {
    /// Time of capture, microseconds since 1970.
    pub time: u64,
    /// The Ethernet header, 14 bytes, where there was one.
    pub ethernet: &'a [u8],
    /// VLAN numbers, outermost first; `vlan_layers` of them count.
    pub vlans: [u16; 3],
    /// How many VLAN tags.
    pub vlan_layers: u8,
    /// The network layer.
    pub network: Network<'a>,
    /// Source address; unspecified where there is no network layer.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// The protocol over IP; 0 where there is none.
    pub protocol: u8,
    /// The transport layer.
    pub transport: Transport<'a>,
    /// Source port; ICMP: type.
    pub source_port: u16,
    /// Destination port; ICMP: code.
    pub destination_port: u16,
    /// Bytes behind the last header.
    pub payload: &'a [u8],
    /// It was put together from fragments.
    pub rebuilt: bool,
    /// It was inside of a tunnel.
    pub tunnelled: bool,
    /// It is itself a fragment: of its transport layer nothing is known.
    pub fragment: bool,
    /// It could not be decoded to its end: only its events count.
    pub invalid: bool,
    /// How many tunnels it was inside of, plus one where it was rebuilt.
    pub depth: u8,
    /// How many headers were read on the way to it.
    pub layers: u8,
    /// What was unusual.
    pub events: Events,
    /// Its length in bytes from its outermost header on, as flows count it.
    pub length: u32,
    /// All of it, from its outermost header on.
    pub bytes: &'a [u8],
    /// What `bytes` begin with; inside of a tunnel IP, as the peer says.
    pub link: Link,
    /// Headers of the link before the network layer: of what was put together from fragments those of the last one.
    pub front: &'a [u8],
    /// The packet that carried it, where it was inside of a tunnel.
    pub outer: Option<Quoted>,
    /// Behind the headers of the link: what a capture of it would hold from its network layer on.
    pub network_bytes: &'a [u8],
    /// What an ICMP error quotes.
    pub quoted: Option<Quoted>,
    /// An ARP packet of Ethernet and IPv4, 28 bytes; empty where there is none.
    pub arp: &'a [u8],
    /// A flow is kept for it: TCP, UDP, ICMP, SCTP, ESP.
    pub flow: bool,
}

impl<'a> Packet<'a> {
    /// A packet of which nothing is known yet.
    pub fn new(time: u64, length: u32) -> Self {
        Self {
            time,
            ethernet: &[],
            vlans: [0; 3],
            vlan_layers: 0,
            network: Network::None,
            source: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            destination: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            protocol: 0,
            transport: Transport::Other,
            source_port: 0,
            destination_port: 0,
            payload: &[],
            rebuilt: false,
            tunnelled: false,
            fragment: false,
            invalid: false,
            depth: 0,
            layers: 0,
            events: Events::NONE,
            length,
            bytes: &[],
            link: Link::Raw,
            front: &[],
            outer: None,
            network_bytes: &[],
            quoted: None,
            arp: &[],
            flow: false,
        }
    }
    /// The network layer begins with these bytes, which end where the packet does.
    pub(crate) fn keep_front(&mut self, network: &[u8]) {
        if !self.rebuilt {
            self.front = &self.bytes[..self.bytes.len().saturating_sub(network.len())];
        }
    }
    /// The tags of VLANs that are there.
    pub fn tags(&self) -> &[u16] {
        &self.vlans[..usize::from(self.vlan_layers).min(3)]
    }
    /// The header of TCP.
    pub fn tcp(&self) -> Option<crate::tcp::Tcp<'a>> {
        if let Transport::Tcp(header) = self.transport { Some(crate::tcp::Tcp::new(header)) } else { None }
    }
}
