//! What may stand for an address, a device, a name, a number in a daemon's file. Each is admitted in the one spelling it is written in: it is
//! read and written back, and must be the same. Never: admits what a daemon gives a meaning of its own.

use crate::file::is_name;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

/// Read, and written back the same.
pub(super) fn canonical<T: FromStr + Display>(text: &str) -> Option<T> {
    text.parse::<T>().ok().filter(|v| v.to_string() == text)
}

/// A number of this range.
pub(super) fn number(text: &str, range: std::ops::RangeInclusive<u32>) -> bool {
    canonical::<u32>(text).is_some_and(|n| range.contains(&n))
}

/// An address of one machine that others reach: no group's, not the loopback, nobody's.
pub(super) fn unicast(text: &str) -> Option<IpAddr> {
    let stranger = |a: &IpAddr| {
        a.is_multicast()
            || a.is_loopback()
            || a.is_unspecified()
            || matches!(a, IpAddr::V4(v4) if v4.octets()[0] >= 240 || v4.octets()[0] == 0)
    };
    canonical::<IpAddr>(text).filter(|a| !stranger(a))
}

/// Both ends of a link: two machines of one family.
pub(super) fn are_ends(here: &str, there: &str) -> bool {
    matches!((unicast(here), unicast(there)), (Some(a), Some(b)) if a != b && a.is_ipv4() == b.is_ipv4())
}

/// An address whose connections stay on the node: its own, or the loopback.
pub(super) fn is_own(text: &str) -> bool {
    let loopback: [IpAddr; 2] = [Ipv4Addr::LOCALHOST.into(), std::net::Ipv6Addr::LOCALHOST.into()];
    unicast(text).is_some() || canonical::<IpAddr>(text).is_some_and(|a| loopback.contains(&a))
}

/// A device's name of plain letters: both daemons give other characters a meaning of their own.
pub(super) fn is_device(text: &str) -> bool {
    /// `IFNAMSIZ` is 16 with the terminating zero.
    const MOST: usize = 15;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let named = !text.is_empty() && text.len() <= MOST && text.bytes().all(plain) && !["lo", ".", ".."].contains(&text);
    named && !is_word(text)
}

/// Words that keepalived would follow where a line begins with them: an include at any place, the others where a block has them.
fn is_word(text: &str) -> bool {
    const WORDS: [&str; 6] = ["net_namespace", "nftables", "script", "use_vmac", "use_ipvlan", "virtual_routes"];
    text.starts_with("include") || text.starts_with("notify") || WORDS.contains(&text)
}

/// A host's name.
pub(super) fn is_host(text: &str) -> bool {
    /// Longest name of the DNS (RFC 1035 2.3.4).
    const MOST: usize = 253;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._".contains(&b);
    text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric()) && text.len() <= MOST && text.bytes().all(plain) || is_name(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_one_spelling() {
        for bad in ["00", "01", "+1", "-1", "", " 1", "1 ", "\u{661}", "256"] {
            assert!(!number(bad, 0..=255), "{bad}");
        }
        assert!(number("0", 0..=255) && !number("0", 1..=255) && number("255", 0..=255));
        for bad in [
            "127.0.0.53",
            "0.0.0.0",
            "0.1.2.3",
            "ff02::1",
            "224.0.0.18",
            "::",
            "::1",
            "255.255.255.255",
            "2001:DB8::1",
            "2001:db8:0::1",
            "x",
        ] {
            assert!(unicast(bad).is_none(), "{bad}");
        }
        assert!(are_ends("10.0.0.1", "10.0.0.2") && are_ends("fd00::1", "fd00::2"));
        assert!(!are_ends("10.0.0.1", "10.0.0.1") && !are_ends("10.0.0.1", "fd00::2"));
    }

    #[test]
    fn no_device_is_called_like_a_word_of_the_daemon() {
        for bad in [
            "include",
            "includer",
            "notify",
            "notify_fifo",
            "net_namespace",
            "use_vmac",
            "nftables",
            "lo",
            "a b",
            "a/b",
            "sixteenletters16",
        ] {
            assert!(!is_device(bad), "{bad}");
        }
        assert!(is_device("wan0.10") && is_device("fifteenletters1"));
    }
}
