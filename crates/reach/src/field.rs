//! The fields of a packet as levels of a decision diagram, top to bottom. In come nft's terms, out come numbers.
//!
//! Each family has its own address levels, so that a v4 packet leaves the v6 ones open and each domain is exact.
//! Destination stands above source: "what reaches this machine" is then one step into even the largest set. What is
//! mostly nothing (marks, translation) stands at the bottom, where all sets share the same few nodes for it; at the top every
//! set would have its own.

use std::net::IpAddr;

/// One field. The discriminant is the level: smaller is nearer the root.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Field {
    /// 0 is v4, 1 is v6.
    Family,
    /// Input device: the name's bytes as a big-endian number, so that a prefix of names is an interval. 0: none.
    In,
    /// Output device, written the same way.
    Out,
    /// Connection state, see [`state`].
    State,
    /// v4 destination.
    Dst4,
    /// v6 destination.
    Dst6,
    /// v4 source.
    Src4,
    /// v6 source.
    Src6,
    /// IP protocol number.
    Proto,
    /// Destination port.
    Dport,
    /// Source port.
    Sport,
    /// ICMP or ICMPv6 type.
    Type,
    /// ICMP or ICMPv6 code.
    Code,
    /// TCP flags.
    Flags,
    /// TTL or hop limit.
    Hop,
    /// User id of the sending socket.
    SkUid,
    /// Packet mark.
    Mark,
    /// Connection mark.
    CtMark,
    /// 1 where the destination was translated.
    Dnat,
    /// v4 destination before translation; says something only where `Dnat` is 1.
    OrigDst4,
    /// Destination port before translation; says something only where `Dnat` is 1.
    OrigDport,
}

/// Number of levels.
pub const FIELDS: usize = 21;

/// Values of [`Field::State`], in the order of nft's bits.
pub mod state {
    /// Belongs to no connection and opens none.
    pub const INVALID: u128 = 0;
    /// Belongs to a connection that was answered.
    pub const ESTABLISHED: u128 = 1;
    /// Opens a connection that another one announced, or reports an error of one.
    pub const RELATED: u128 = 2;
    /// Opens a connection.
    pub const NEW: u128 = 3;
    /// Not tracked.
    pub const UNTRACKED: u128 = 4;
    /// nft's bit for each value.
    pub const BITS: [u128; 5] = [1, 2, 4, 8, 64];
}

impl Field {
    /// Every field, root first.
    pub const ALL: [Field; FIELDS] = [
        Field::Family,
        Field::In,
        Field::Out,
        Field::State,
        Field::Dst4,
        Field::Dst6,
        Field::Src4,
        Field::Src6,
        Field::Proto,
        Field::Dport,
        Field::Sport,
        Field::Type,
        Field::Code,
        Field::Flags,
        Field::Hop,
        Field::SkUid,
        Field::Mark,
        Field::CtMark,
        Field::Dnat,
        Field::OrigDst4,
        Field::OrigDport,
    ];
    /// Largest value.
    pub const fn top(self) -> u128 {
        match self {
            Field::Family | Field::Dnat => 1,
            Field::State => 4,
            Field::In | Field::Out | Field::Dst6 | Field::Src6 => u128::MAX,
            Field::Mark | Field::CtMark | Field::SkUid | Field::Dst4 | Field::Src4 | Field::OrigDst4 => u32::MAX as u128,
            Field::Proto | Field::Type | Field::Code | Field::Flags | Field::Hop => u8::MAX as u128,
            Field::Dport | Field::Sport | Field::OrigDport => u16::MAX as u128,
        }
    }
    /// The level.
    pub const fn level(self) -> u8 {
        self as u8
    }
}

/// A device name as a number. Longer names than the kernel's 15 bytes are cut.
pub fn device(name: &str) -> u128 {
    let mut bytes = [0u8; 16];
    for (to, from) in bytes.iter_mut().zip(name.bytes().take(15)) {
        *to = from;
    }
    u128::from_be_bytes(bytes)
}

/// Every device whose name begins so.
pub fn device_prefix(prefix: &str) -> (u128, u128) {
    let first = device(prefix);
    let bits = 128 - 8 * prefix.len().min(15);
    (first, first | (u128::MAX >> (128 - bits)))
}

/// The name behind a number; `?` where the bytes are no text.
pub fn device_name(number: u128) -> String {
    let bytes = number.to_be_bytes();
    let end = bytes.iter().position(|b| *b == 0).unwrap_or(bytes.len());
    match std::str::from_utf8(&bytes[..end]) {
        Ok(text) if text.chars().all(|c| !c.is_control()) => text.to_owned(),
        _ => "?".to_owned(),
    }
}

/// An address as a number.
pub fn address(a: IpAddr) -> u128 {
    match a {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// First and last address of a prefix.
pub fn prefix(net: &ipnet::IpNet) -> (u128, u128) {
    (address(net.network()), address(net.broadcast()))
}

/// The field that holds destinations of a family.
pub fn dst(family: words::Family) -> Field {
    match family {
        words::Family::V4 => Field::Dst4,
        words::Family::V6 => Field::Dst6,
    }
}

/// The field that holds sources of a family.
pub fn src(family: words::Family) -> Field {
    match family {
        words::Family::V4 => Field::Src4,
        words::Family::V6 => Field::Src6,
    }
}

/// Value of [`Field::Family`].
pub fn family(family: words::Family) -> u128 {
    match family {
        words::Family::V4 => 0,
        words::Family::V6 => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_in_the_order_of_the_list() {
        for (i, f) in Field::ALL.iter().enumerate() {
            assert_eq!(usize::from(f.level()), i);
        }
    }

    #[test]
    fn device_names_are_numbers_and_prefixes_intervals() {
        let (a, b) = device_prefix("br-");
        assert!((a..=b).contains(&device("br-12345")) && !(a..=b).contains(&device("bs")) && !(a..=b).contains(&device("br")));
        assert_eq!(device_name(device("wan0")), "wan0");
        assert_eq!(device_prefix(""), (0, u128::MAX));
    }
}
