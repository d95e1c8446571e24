//! Special addresses: in comes an address or what a site calls its own, out comes whether it is public.
//!
//! Documentation ranges (192.0.2.0/24, 198.51.100.0/24, 203.0.113.0/24, 2001:db8::/32) count as public, so that examples
//! and labs can be written in them; no router on the Internet carries them, so nothing is opened by it.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use words::Family;

const fn v4(a: u8, b: u8, c: u8, len: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), len))
}

const fn v6(a: u16, b: u16, len: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::new(a, b, 0, 0, 0, 0, 0, 0), len))
}

/// IPv4 that is never a public peer, from the IANA special-purpose registry (RFC 6890 and its successors).
pub const NOT_PUBLIC_V4: [IpNet; 12] = [
    v4(0, 0, 0, 8),      // this network, RFC 791
    v4(10, 0, 0, 8),     // private, RFC 1918
    v4(100, 64, 0, 10),  // shared by carriers, RFC 6598
    v4(127, 0, 0, 8),    // loopback, RFC 1122
    v4(169, 254, 0, 16), // link-local, RFC 3927; cloud metadata services live here
    v4(172, 16, 0, 12),  // private, RFC 1918
    v4(192, 0, 0, 24),   // protocol assignments, RFC 6890
    v4(192, 88, 99, 24), // 6to4 relays, deprecated by RFC 7526
    v4(192, 168, 0, 16), // private, RFC 1918
    v4(198, 18, 0, 15),  // benchmarking, RFC 2544
    v4(224, 0, 0, 4),    // multicast, RFC 5771
    v4(240, 0, 0, 4),    // reserved and broadcast, RFC 1112
];

/// The one IPv6 prefix public addresses come from, RFC 4291.
pub const PUBLIC_V6: IpNet = v6(0x2000, 0, 3);

/// IPv6 inside [`PUBLIC_V6`] that is never a public peer.
pub const NOT_PUBLIC_V6: [IpNet; 4] = [
    v6(0x2001, 0, 32),    // Teredo, RFC 4380: carries any v4 address inside
    v6(0x2001, 0x10, 28), // ORCHID, RFC 4843
    v6(0x2001, 0x20, 28), // ORCHIDv2, RFC 7343
    v6(0x2002, 0, 16),    // 6to4, RFC 3056: carries any v4 address inside, private ones included
];

/// Whether an address can be a public peer's.
pub fn is_public(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC_V4.iter().any(|n| n.contains(address)),
        IpAddr::V6(_) => PUBLIC_V6.contains(address) && !NOT_PUBLIC_V6.iter().any(|n| n.contains(address)),
    }
}

/// The whole space of a family.
pub fn everything(family: Family) -> IpNet {
    match family {
        Family::V4 => v4(0, 0, 0, 0),
        Family::V6 => v6(0, 0, 0),
    }
}

/// Every public prefix of a family without the site's own prefixes: disjoint, sorted.
pub fn public(family: Family, own: &[IpNet]) -> Vec<IpNet> {
    let (mut space, special): (Vec<IpNet>, &[IpNet]) = match family {
        Family::V4 => (vec![everything(Family::V4)], &NOT_PUBLIC_V4),
        Family::V6 => (vec![PUBLIC_V6], &NOT_PUBLIC_V6),
    };
    for hole in special.iter().chain(own).filter(|n| Family::of(&n.addr()) == family) {
        space = space.iter().flat_map(|n| without(n, &hole.trunc())).collect();
    }
    space.sort_unstable();
    space
}

/// Whether a prefix holds any public address.
pub fn touches_public(net: &IpNet) -> bool {
    public(Family::of(&net.addr()), &[]).iter().any(|p| p.contains(net) || net.contains(p))
}

/// What of a prefix can send from outside: of one that holds public addresses the public ones, of a private one all;
/// never one of the site's own that lie inside it. `public` is what [`public`](fn@public) gives for the site.
pub(crate) fn outside(net: &IpNet, public: &[IpNet], own: &[IpNet]) -> Vec<IpNet> {
    if touches_public(net) {
        let common = |p: &IpNet| if net.contains(p) { Some(*p) } else { p.contains(net).then_some(*net) };
        let found: Vec<IpNet> = public.iter().filter_map(common).collect();
        // Wholly the site's own: what the file says stands.
        return if found.is_empty() { vec![*net] } else { found };
    }
    let mut left = vec![*net];
    for hole in own.iter().map(IpNet::trunc).filter(|o| net.contains(o) && o != net) {
        left = left.iter().flat_map(|n| without(n, &hole)).collect();
    }
    left
}

/// A prefix without a hole in it, as disjoint prefixes.
pub(crate) fn without(net: &IpNet, hole: &IpNet) -> Vec<IpNet> {
    if hole.contains(net) {
        return Vec::new();
    }
    let mut out = Vec::new();
    let mut rest = *net;
    while rest.contains(hole) && rest != *hole {
        let Ok(halves) = rest.subnets(rest.prefix_len() + 1) else { break };
        let mut inner = None;
        for half in halves {
            if half.contains(hole) {
                inner = Some(half);
            } else {
                out.push(half);
            }
        }
        match inner {
            Some(half) => rest = half,
            None => break,
        }
    }
    if out.is_empty() { vec![*net] } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_documentation_ranges_count_as_public() {
        assert!(is_public(&"203.0.113.9".parse().expect("v4")) && is_public(&"2001:db8::1".parse().expect("v6")));
        assert!(!is_public(&"169.254.169.254".parse().expect("v4")) && !is_public(&"fd00::1".parse().expect("v6")));
    }

    proptest! {
        #[test]
        fn public_space_is_what_is_public_and_not_own(raw in any::<u32>(), own_raw in any::<u32>(), len in 1u8..=32) {
            let address = IpAddr::V4(raw.into());
            let own = [IpNet::new(IpAddr::V4(own_raw.into()), len).expect("length")];
            let space = public(Family::V4, &own);
            let hits = space.iter().filter(|n| n.contains(&address)).count();
            prop_assert_eq!(hits, usize::from(is_public(&address) && !own[0].contains(&address)));
        }

        #[test]
        fn the_same_for_v6(raw in any::<u128>(), own_raw in any::<u128>(), len in 1u8..=128) {
            let address = IpAddr::V6((raw >> 3 | 0x2000 << 112).into());
            let own = [IpNet::new(IpAddr::V6((own_raw >> 3 | 0x2000 << 112).into()), len).expect("length")];
            let space = public(Family::V6, &own);
            let hits = space.iter().filter(|n| n.contains(&address)).count();
            prop_assert_eq!(hits, usize::from(is_public(&address) && !own[0].contains(&address)));
        }
    }
}
