//! Numbers that rules compare, out of a packet and its flow. None where the packet does not have the field.

use crate::seen::Seen;
use ips_rules::condition::Quantity;
use ips_wire::packet::{Network, Transport};

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn long(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn byte(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at).copied().map(u64::from)
}

/// The header of TCP.
pub(crate) fn tcp<'a>(seen: &Seen<'a>) -> Option<&'a [u8]> {
    if let Transport::Tcp(h) = seen.packet.transport { Some(h) } else { None }
}

/// An option of TCP (RFC 9293 3.1): its bytes behind kind and length.
fn tcp_option(header: &[u8], kind: u8) -> Option<&[u8]> {
    let mut at = header.get(20..)?;
    loop {
        match *at.first()? {
            0 => return None,
            1 => at = &at[1..],
            k => {
                let length = usize::from(*at.get(1)?);
                let body = at.get(2..length)?;
                if k == kind {
                    return Some(body);
                }
                at = &at[length..];
            }
        }
    }
}

/// Types of ICMP that have a number and a sequence number.
const NUMBERED_V4: [u8; 8] = [0, 8, 13, 14, 15, 16, 17, 18];
const NUMBERED_V6: [u8; 2] = [128, 129];

fn icmp<'a>(seen: &Seen<'a>, numbered: bool) -> Option<&'a [u8]> {
    match seen.packet.transport {
        Transport::Icmpv4(h) if !numbered || NUMBERED_V4.contains(h.first()?) => Some(h),
        Transport::Icmpv6(h) if !numbered || NUMBERED_V6.contains(h.first()?) => Some(h),
        _ => None,
    }
}

/// Flags and offset of fragments of IPv4 (RFC 791): more, don't, reserved as 1, 2, 4.
pub(crate) fn fragment_bits(seen: &Seen<'_>) -> Option<u8> {
    let Network::V4(h) = seen.packet.network else { return None };
    let flags = h.get(6)? >> 5;
    Some((flags & 1) | (flags & 2) | (flags & 4))
}

/// Whether an option of IPv4 of this kind is there; none for any.
pub(crate) fn has_ip_option(seen: &Seen<'_>, kind: Option<u8>) -> bool {
    let Network::V4(h) = seen.packet.network else { return false };
    let mut at = h.get(20..).unwrap_or_default();
    while let Some(&k) = at.first() {
        if kind.is_none_or(|want| want == k) {
            return true;
        }
        let length = match k {
            0 => return false,
            1 => 1,
            _ => usize::from(at.get(1).copied().unwrap_or(0)).max(2),
        };
        at = at.get(length..).unwrap_or_default();
    }
    false
}

/// The field's value.
pub(crate) fn quantity(seen: &Seen<'_>, which: Quantity) -> Option<u64> {
    let p = seen.packet;
    let v4 = if let Network::V4(h) = p.network { Some(h) } else { None };
    let v6 = if let Network::V6(h, _) = p.network { Some(h) } else { None };
    let of_flow = |f: fn(&crate::seen::FlowView) -> u64| seen.flow.as_ref().map(f);
    match which {
        Quantity::PayloadSize => Some(p.payload.len() as u64),
        Quantity::Ttl => v4.and_then(|h| byte(h, 8)).or_else(|| byte(v6?, 7)),
        Quantity::IpId => word(v4?, 4).map(u64::from),
        Quantity::Tos => byte(v4?, 1),
        Quantity::FragmentOffset => word(v4?, 6).map(|w| u64::from(w & 0x1fff)),
        Quantity::TcpSeq => long(tcp(seen)?, 4).map(u64::from),
        Quantity::TcpAck => long(tcp(seen)?, 8).map(u64::from),
        Quantity::TcpWindow => word(tcp(seen)?, 14).map(u64::from),
        Quantity::TcpMss => word(tcp_option(tcp(seen)?, 2)?, 0).map(u64::from),
        Quantity::TcpWindowScale => byte(tcp_option(tcp(seen)?, 3)?, 0),
        Quantity::IcmpType => byte(icmp(seen, false)?, 0),
        Quantity::IcmpCode => byte(icmp(seen, false)?, 1),
        Quantity::IcmpId => word(icmp(seen, true)?, 4).map(u64::from),
        Quantity::IcmpSeq => word(icmp(seen, true)?, 6).map(u64::from),
        // RFC 4443 3.2: packet too big.
        Quantity::Icmpv6Mtu => match p.transport {
            Transport::Icmpv6(h) if h.first() == Some(&2) => long(h, 4).map(u64::from),
            _ => None,
        },
        Quantity::IpProtocol => (v4.is_some() || v6.is_some()).then_some(u64::from(p.protocol)),
        Quantity::VlanLayers => Some(u64::from(p.vlan_layers)),
        Quantity::FlowAge => of_flow(|f| u64::from(f.age)),
        Quantity::FlowPacketsToServer => of_flow(|f| f.packets[0]),
        Quantity::FlowPacketsToClient => of_flow(|f| f.packets[1]),
        Quantity::FlowBytesToServer => of_flow(|f| f.bytes[0]),
        Quantity::FlowBytesToClient => of_flow(|f| f.bytes[1]),
        _ => None,
    }
}

/// Whether a comparison holds: for fields of which there are several, of one of them.
pub(crate) fn compares(seen: &Seen<'_>, which: Quantity, with: ips_rules::num::Number) -> bool {
    match (which, &seen.flow) {
        (Quantity::VlanId, _) => {
            let count = usize::from(seen.packet.vlan_layers).min(seen.packet.vlans.len());
            seen.packet.vlans[..count].iter().any(|v| with.holds(u64::from(*v)))
        }
        (Quantity::FlowPackets, Some(f)) => f.packets.iter().any(|n| with.holds(*n)),
        (Quantity::FlowBytes, Some(f)) => f.bytes.iter().any(|n| with.holds(*n)),
        // A length that it must not be is asked of packets that carry something, as with the peer.
        (Quantity::PayloadSize, _) if matches!(with, ips_rules::num::Number::Not(_)) && seen.packet.payload.is_empty() => false,
        _ => quantity(seen, which).is_some_and(|n| with.holds(n)),
    }
}

/// Whether the number is of the packet or its flow, rather than of a transaction.
pub(crate) fn of_packet(which: Quantity) -> bool {
    use Quantity as Q;
    matches!(
        which,
        Q::PayloadSize
            | Q::Ttl
            | Q::IpId
            | Q::Tos
            | Q::FragmentOffset
            | Q::TcpSeq
            | Q::TcpAck
            | Q::TcpWindow
            | Q::TcpMss
            | Q::TcpWindowScale
            | Q::IcmpType
            | Q::IcmpCode
            | Q::IcmpId
            | Q::IcmpSeq
            | Q::Icmpv6Mtu
            | Q::IpProtocol
            | Q::FlowAge
            | Q::FlowPacketsToServer
            | Q::FlowPacketsToClient
            | Q::FlowPackets
            | Q::FlowBytesToServer
            | Q::FlowBytesToClient
            | Q::FlowBytes
            | Q::VlanLayers
            | Q::VlanId
    )
}
