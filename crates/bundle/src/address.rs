//! Addresses a bundle may put on a machine's devices. In come device and address, out comes why they are refused. A bundle is checked
//! for what no gateway or published service can have: addresses of the machine alone, of a link, of groups. Never: looks at a
//! device.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeSet, net::IpAddr};

/// Most addresses of one bundle: a site with a /20 of public addresses, each published, has them; the kernel looks through them one by
/// one when it chooses a source.
pub const MAX_ADDRESSES: usize = 4096;

/// Longest device name in bytes: the kernel's `IFNAMSIZ` is 16 with the terminating zero.
const MAX_DEVICE: usize = 15;

/// Shortest prefix by family: what is on the link is routed there, and no link holds more (10.0.0.0/8, a /16 of IPv6).
const SHORTEST: (u8, u8) = (8, 16);

/// An address of ours on a device.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OwnAddress {
    /// The device.
    pub device: String,
    /// The address, with the length of the prefix that is on the link with it.
    pub address: IpNet,
    /// Connections of the machine's own may begin at it.
    pub source: bool,
}

/// Why an address is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Too many.
    #[error("{0} addresses, at most {MAX_ADDRESSES} are put on a machine")]
    TooMany(usize),
    /// Twice.
    #[error("{address} stands on `{device}` twice")]
    Twice {
        /// Device.
        device: String,
        /// Address.
        address: IpAddr,
    },
    /// No device's name.
    #[error("`{0}` is no device that a bundle puts addresses on")]
    Device(String),
    /// Not an address of this kind.
    #[error("{address}: {why}")]
    Address {
        /// Address.
        address: IpNet,
        /// What is wrong with it.
        why: &'static str,
    },
}

/// Checks all addresses of a bundle.
pub fn check<'a>(addresses: impl IntoIterator<Item = &'a OwnAddress>) -> Result<(), AddressError> {
    let mut seen = BTreeSet::new();
    for a in addresses {
        let plain = |b: u8| b.is_ascii_graphic() && !b"/\"'\\*".contains(&b);
        let named = !a.device.is_empty() && a.device.len() <= MAX_DEVICE && a.device.bytes().all(plain);
        if !named || [".", "..", "lo"].contains(&a.device.as_str()) {
            return Err(AddressError::Device(a.device.clone()));
        }
        if let Some(why) = refused(&a.address) {
            return Err(AddressError::Address { address: a.address, why });
        }
        if !seen.insert((a.device.as_str(), a.address.addr())) {
            return Err(AddressError::Twice { device: a.device.clone(), address: a.address.addr() });
        }
    }
    if seen.len() > MAX_ADDRESSES { Err(AddressError::TooMany(seen.len())) } else { Ok(()) }
}

fn refused(net: &IpNet) -> Option<&'static str> {
    let address = net.addr();
    let (this, link, reserved, shortest, several) = match net {
        IpNet::V4(n) => {
            let a = n.addr();
            (a.octets()[0] == 0, a.is_link_local(), a.octets()[0] >= 240, SHORTEST.0, n.prefix_len() < 31)
        }
        IpNet::V6(n) => {
            let a = n.addr();
            (a.is_unspecified(), a.is_unicast_link_local(), a.to_ipv4_mapped().is_some(), SHORTEST.1, n.prefix_len() < 127)
        }
    };
    Some(match () {
        () if this => "stands for no machine",
        () if address.is_loopback() => "never leaves the machine",
        () if link => "is the link's own",
        () if address.is_multicast() => "is a group's",
        () if reserved => "is reserved",
        () if net.prefix_len() < shortest => "has more on its link than any link holds",
        () if several && (address == net.network() || address.is_ipv4() && address == net.broadcast()) => "is a whole link's",
        () => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on(device: &str, address: &str) -> OwnAddress {
        OwnAddress { device: device.into(), address: address.parse().expect("address"), source: false }
    }

    #[test]
    fn gateways_and_public_addresses_pass() {
        let good = [
            on("internet", "203.0.113.5/32"),
            on("eth0.10", "10.20.20.1/24"),
            on("chain", "2001:db8::1/64"),
            on("chain", "2001:db8::2/128"),
            on("a", "10.0.0.0/31"),
            on("a", "10.0.0.1/31"),
        ];
        assert_eq!(check(&good), Ok(()));
    }

    #[test]
    fn what_no_gateway_can_have_is_refused() {
        for bad in [
            "0.0.0.0/32",
            "0.1.2.3/32",
            "127.0.0.1/8",
            "169.254.1.1/16",
            "224.0.0.18/32",
            "255.255.255.255/32",
            "240.0.0.1/32",
            "10.0.0.0/24",
            "10.0.0.255/24",
            "10.0.0.1/7",
            "10.0.0.1/0",
            "::/128",
            "::1/128",
            "fe80::1/64",
            "ff02::12/128",
            "::ffff:10.0.0.1/128",
            "2001:db8::/64",
            "2001:db8::1/15",
        ] {
            let said = check(&[on("internet", bad)]);
            assert!(matches!(said, Err(AddressError::Address { .. })), "{bad}: {said:?}");
        }
    }

    #[test]
    fn devices_are_named_and_nothing_stands_twice_or_without_end() {
        for bad in ["", "lo", ".", "..", "a/b", "a b", "sixteen-letters-", "a\n"] {
            assert!(matches!(check(&[on(bad, "10.0.0.1/32")]), Err(AddressError::Device(_))), "{bad:?}");
        }
        // The same address with another prefix is the same address.
        assert!(matches!(check(&[on("a", "10.0.0.1/32"), on("a", "10.0.0.1/24")]), Err(AddressError::Twice { .. })));
        assert_eq!(check(&[on("a", "10.0.0.1/32"), on("b", "10.0.0.1/32")]), Ok(()));
        let many = |n: u32| -> Vec<OwnAddress> { (0..n).map(|i| on("a", &format!("10.1.{}.{}/32", i / 250, i % 250 + 1))).collect() };
        assert_eq!(check(&many(4096)), Ok(()));
        assert_eq!(check(&many(4097)), Err(AddressError::TooMany(4097)));
    }
}
