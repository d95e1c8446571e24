//! A decoded packet: where each header stands in the frame, and what every later layer asks of it. Nothing is copied.

use std::net::IpAddr;

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

/// A decoded packet, innermost layer where one was inside of another.
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
}
