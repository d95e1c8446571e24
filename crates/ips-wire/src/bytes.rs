//! Numbers out of bytes. What is not there is `None`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Two bytes, most significant first.
#[inline]
pub fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

/// Four bytes, most significant first.
#[inline]
pub fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes)
}

/// An address of IPv4.
#[inline]
pub fn v4_at(bytes: &[u8], at: usize) -> Option<IpAddr> {
    u32_at(bytes, at).map(|a| IpAddr::V4(Ipv4Addr::from_bits(a)))
}

/// An address of IPv6.
#[inline]
pub fn v6_at(bytes: &[u8], at: usize) -> Option<IpAddr> {
    bytes.get(at..at + 16)?.try_into().ok().map(|a: [u8; 16]| IpAddr::V6(Ipv6Addr::from(a)))
}
