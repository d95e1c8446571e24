//! Tunnels over UDP: VXLAN (RFC 7348), Geneve (RFC 8926), Teredo (RFC 4380). What is none of them goes on as UDP alone.

use crate::{
    bytes::{u16_at, u32_at},
    decode::{Decoder, Sink, inner},
    ipv6,
    link::{ETHERNET_HEADER, ether},
    packet::Packet,
};

impl Decoder {
    pub(crate) fn over_udp(&mut self, packet: Packet<'_>, sink: Sink<'_>) {
        let data = packet.payload;
        if self.settings.vxlan_ports.contains(&packet.destination_port)
            && let Some(frame) = vxlan(data, self.settings.vxlan_strict)
        {
            return self.ethernet_inside(packet, frame, sink);
        }
        if self.settings.geneve_ports.contains(&packet.destination_port)
            && let Some(frame) = geneve(data)
        {
            return self.ethernet_inside(packet, frame, sink);
        }
        let teredo = &self.settings.teredo_ports;
        if (teredo.contains(&packet.source_port) || teredo.contains(&packet.destination_port))
            && let Some(inside) = teredo_inside(data)
        {
            self.ipv6(inner(&packet, inside), inside, sink);
        }
        sink(&packet);
    }
}

/// Whether a frame's type is one that is looked into; others are taken for chance.
fn known(frame: &[u8]) -> bool {
    matches!(u16_at(frame, 12), Some(ether::IPV4 | ether::IPV6 | ether::VLAN | ether::QINQ | ether::ARP))
}

fn vxlan(data: &[u8], strict: bool) -> Option<&[u8]> {
    let (flags, network) = (u32_at(data, 0)?, u32_at(data, 4)?);
    let reserved = flags & 0x00ff_ffff != 0 || flags >> 24 & 0xf7 != 0 || network & 0xff != 0;
    let frame = data.get(8..).filter(|f| f.len() >= ETHERNET_HEADER)?;
    (flags & 0x0800_0000 != 0 && !(strict && reserved) && known(frame)).then_some(frame)
}

fn geneve(data: &[u8]) -> Option<&[u8]> {
    let first = *data.first()?;
    let frame = data.get(8 + usize::from(first & 0x3f) * 4..).filter(|f| f.len() >= ETHERNET_HEADER)?;
    (first >> 6 == 0 && u16_at(data, 2)? == ether::BRIDGE && known(frame)).then_some(frame)
}

fn teredo_inside(mut data: &[u8]) -> Option<&[u8]> {
    // Authentication (0, 1, lengths, nonce and confirmation) and origin (0, 0, 6 bytes) may stand in front.
    if let [0, 1, id, auth, ..] = *data {
        data = data.get(4 + usize::from(id) + usize::from(auth) + 9..)?;
    }
    if let [0, 0, ..] = *data {
        data = data.get(8..)?;
    }
    let length = usize::from(u16_at(data, 4)?);
    // A trailer may follow; no next header of a fragment or the like is expected.
    (data.first()? >> 4 == 6 && data.len() >= ipv6::HEADER && data.len() - ipv6::HEADER >= length).then_some(data)
}
