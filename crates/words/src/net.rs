//! Families, protocols, ports. In comes text as operators write it (`443/tcp`, `6800-7568/tcp`), out come sets.

use serde::{Deserialize, Serialize};
use std::{fmt, net::IpAddr, str::FromStr};

/// Address family. Policy is always decided for both; v6 is never wider than v4.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// Both, v4 first.
    pub const ALL: [Family; 2] = [Family::V4, Family::V6];
    /// The family an address is of.
    pub fn of(address: &IpAddr) -> Self {
        if address.is_ipv4() { Family::V4 } else { Family::V6 }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Family::V4 => "v4",
            Family::V6 => "v6",
        })
    }
}

/// Transport protocol. The number is the IP protocol number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Proto {
    /// ICMP for v4, 1.
    Icmp,
    /// TCP, 6.
    Tcp,
    /// UDP, 17.
    Udp,
    /// ICMPv6, 58.
    Icmp6,
    /// Any other number.
    Other(u8),
}

impl Proto {
    /// IANA protocol number.
    pub fn number(self) -> u8 {
        match self {
            Proto::Icmp => 1,
            Proto::Tcp => 6,
            Proto::Udp => 17,
            Proto::Icmp6 => 58,
            Proto::Other(n) => n,
        }
    }
    /// The protocol with this IANA number.
    pub fn from_number(n: u8) -> Self {
        match n {
            1 => Proto::Icmp,
            6 => Proto::Tcp,
            17 => Proto::Udp,
            58 => Proto::Icmp6,
            n => Proto::Other(n),
        }
    }
    /// Whether the protocol has ports.
    pub fn has_ports(self) -> bool {
        matches!(self, Proto::Tcp | Proto::Udp | Proto::Other(132 | 33))
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Proto::Icmp => f.pad("icmp"),
            Proto::Tcp => f.pad("tcp"),
            Proto::Udp => f.pad("udp"),
            Proto::Icmp6 => f.pad("icmpv6"),
            Proto::Other(n) => f.pad(&n.to_string()),
        }
    }
}

impl FromStr for Proto {
    type Err = PortParseError;
    fn from_str(text: &str) -> Result<Self, PortParseError> {
        Ok(match text {
            "tcp" => Proto::Tcp,
            "udp" => Proto::Udp,
            "icmp" => Proto::Icmp,
            "icmpv6" | "ipv6-icmp" => Proto::Icmp6,
            "vrrp" => Proto::Other(112),
            "gre" => Proto::Other(47),
            "esp" => Proto::Other(50),
            "sctp" => Proto::Other(132),
            other => Proto::from_number(other.parse().map_err(|_| PortParseError::Proto(other.to_owned()))?),
        })
    }
}

impl TryFrom<String> for Proto {
    type Error = PortParseError;
    fn try_from(text: String) -> Result<Self, PortParseError> {
        text.parse()
    }
}

impl From<Proto> for String {
    fn from(p: Proto) -> String {
        p.to_string()
    }
}

/// Why a text is no port, range or protocol.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortParseError {
    /// Not a number in 1..=65535.
    #[error("`{0}` is not a port: a number from 1 to 65535, or a range like 6800-7568")]
    Port(String),
    /// Upside down.
    #[error("`{0}` ends before it begins")]
    Backwards(String),
    /// Neither a known protocol name nor a number.
    #[error("`{0}` is not a protocol: use tcp, udp, icmp, icmpv6 or a number")]
    Proto(String),
    /// No `/tcp` or `/udp` at the end.
    #[error("`{0}` does not name its protocol: write `{0}/tcp` or `{0}/udp`")]
    NoProto(String),
}

/// An inclusive range of ports, 1 to 65535.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// `first..=last`; `None` when upside down.
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first <= last).then_some(Self { first, last })
    }
    /// A single port.
    pub fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }
    /// Lowest port.
    pub fn first(self) -> u16 {
        self.first
    }
    /// Highest port.
    pub fn last(self) -> u16 {
        self.last
    }
    /// Whether the port lies in the range.
    pub fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
    /// Whether it is exactly one port.
    pub fn is_one(self) -> bool {
        self.first == self.last
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_one() { write!(f, "{}", self.first) } else { write!(f, "{}-{}", self.first, self.last) }
    }
}

impl fmt::Debug for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PortRange {
    type Err = PortParseError;
    fn from_str(text: &str) -> Result<Self, PortParseError> {
        let port = |t: &str| match t.trim().parse::<u16>() {
            Ok(n) if n > 0 => Ok(n),
            _ => Err(PortParseError::Port(text.to_owned())),
        };
        let (first, last) = match text.split_once('-') {
            Some((a, b)) => (port(a)?, port(b)?),
            None => (port(text)?, port(text)?),
        };
        Self::new(first, last).ok_or_else(|| PortParseError::Backwards(text.to_owned()))
    }
}

impl TryFrom<String> for PortRange {
    type Error = PortParseError;
    fn try_from(text: String) -> Result<Self, PortParseError> {
        text.parse()
    }
}

impl From<PortRange> for String {
    fn from(r: PortRange) -> String {
        r.to_string()
    }
}

/// A set of ports: sorted, disjoint, not touching. Equality is set equality.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "Vec<PortRange>", into = "Vec<PortRange>")]
pub struct PortSet(Vec<PortRange>);

impl PortSet {
    /// No port.
    pub fn none() -> Self {
        Self(Vec::new())
    }
    /// Every port, 0 included: what "any port" means on the wire.
    pub fn all() -> Self {
        Self(vec![PortRange { first: 0, last: u16::MAX }])
    }
    /// A single port.
    pub fn one(port: u16) -> Self {
        Self(vec![PortRange::one(port)])
    }
    /// Whether no port is in the set.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
    /// Whether every port is in the set.
    pub fn is_all(&self) -> bool {
        *self == Self::all()
    }
    /// The ranges, ascending and disjoint.
    pub fn ranges(&self) -> &[PortRange] {
        &self.0
    }
    /// The one port, if the set is exactly one.
    pub fn single(&self) -> Option<u16> {
        match self.0.as_slice() {
            [r] if r.is_one() => Some(r.first),
            _ => None,
        }
    }
    /// Whether the port is in the set.
    pub fn contains(&self, port: u16) -> bool {
        self.0.iter().any(|r| r.contains(port))
    }
    /// Set union.
    pub fn union(&self, other: &Self) -> Self {
        self.0.iter().chain(&other.0).copied().collect()
    }
    /// Whether the two share a port.
    pub fn intersects(&self, other: &Self) -> bool {
        self.0.iter().any(|a| other.0.iter().any(|b| a.first <= b.last && b.first <= a.last))
    }
}

impl FromIterator<PortRange> for PortSet {
    fn from_iter<I: IntoIterator<Item = PortRange>>(ranges: I) -> Self {
        let mut sorted: Vec<PortRange> = ranges.into_iter().collect();
        sorted.sort_unstable();
        let mut out: Vec<PortRange> = Vec::with_capacity(sorted.len());
        for r in sorted {
            match out.last_mut() {
                Some(last) if u32::from(r.first) <= u32::from(last.last) + 1 => last.last = last.last.max(r.last),
                _ => out.push(r),
            }
        }
        Self(out)
    }
}

impl From<Vec<PortRange>> for PortSet {
    fn from(ranges: Vec<PortRange>) -> Self {
        ranges.into_iter().collect()
    }
}

impl From<PortSet> for Vec<PortRange> {
    fn from(set: PortSet) -> Self {
        set.0
    }
}

impl From<PortRange> for PortSet {
    fn from(r: PortRange) -> Self {
        Self(vec![r])
    }
}

impl fmt::Display for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_all() {
            return f.write_str("any");
        }
        for (i, r) in self.0.iter().enumerate() {
            if i > 0 {
                f.write_str(",")?;
            }
            write!(f, "{r}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for PortSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A protocol with ports, as the site file writes it: `443/tcp`, `6800-7568/tcp`, `80,443/tcp`, `any/udp`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ProtoPorts {
    /// The protocol.
    pub proto: Proto,
    /// Destination ports; all of them for protocols without ports.
    pub ports: PortSet,
}

impl fmt::Display for ProtoPorts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.proto.has_ports() { write!(f, "{}/{}", self.ports, self.proto) } else { write!(f, "{}", self.proto) }
    }
}

impl FromStr for ProtoPorts {
    type Err = PortParseError;
    fn from_str(text: &str) -> Result<Self, PortParseError> {
        match text.split_once('/') {
            Some((ports, proto)) => {
                let proto = proto.trim().parse()?;
                let ports = if ports.trim() == "any" {
                    PortSet::all()
                } else {
                    ports.split(',').map(|p| p.trim().parse()).collect::<Result<PortSet, _>>()?
                };
                Ok(Self { proto, ports })
            }
            None => match text.parse::<Proto>() {
                Ok(proto) if !proto.has_ports() && text.parse::<u16>().is_err() => Ok(Self { proto, ports: PortSet::all() }),
                _ => Err(PortParseError::NoProto(text.to_owned())),
            },
        }
    }
}

impl TryFrom<String> for ProtoPorts {
    type Error = PortParseError;
    fn try_from(text: String) -> Result<Self, PortParseError> {
        text.parse()
    }
}

impl From<ProtoPorts> for String {
    fn from(p: ProtoPorts) -> String {
        p.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ports_are_read_as_operators_write_them() {
        let p: ProtoPorts = "6800-7568/tcp".parse().expect("range");
        assert!(p.ports.contains(7000) && !p.ports.contains(7569) && p.proto == Proto::Tcp);
        assert_eq!("80,443/tcp".parse::<ProtoPorts>().expect("list").to_string(), "80,443/tcp");
        assert_eq!("1234".parse::<ProtoPorts>(), Err(PortParseError::NoProto("1234".into())));
        assert!("0/tcp".parse::<ProtoPorts>().is_err());
        assert!("9-5/tcp".parse::<ProtoPorts>().is_err());
        assert!("icmp".parse::<ProtoPorts>().is_ok());
        assert!("any/udp".parse::<ProtoPorts>().expect("any").ports.is_all());
    }

    proptest! {
        #[test]
        fn a_port_set_is_the_set_of_its_ports(raw in proptest::collection::vec((1u16..400, 0u16..30), 0..12), probe in 1u16..500) {
            let set: PortSet = raw.iter().filter_map(|&(a, n)| PortRange::new(a, a + n)).collect();
            let slow = raw.iter().any(|&(a, n)| a <= probe && probe <= a + n);
            prop_assert_eq!(set.contains(probe), slow);
            prop_assert!(set.ranges().windows(2).all(|w| u32::from(w[0].last()) + 1 < u32::from(w[1].first())));
        }

        #[test]
        fn reading_what_was_written_gives_the_same(raw in proptest::collection::vec((1u16..400, 0u16..30), 1..6)) {
            let ports: PortSet = raw.iter().filter_map(|&(a, n)| PortRange::new(a, a + n)).collect();
            let whole = ProtoPorts { proto: Proto::Udp, ports };
            prop_assert_eq!(whole.to_string().parse::<ProtoPorts>(), Ok(whole));
        }

        #[test]
        fn no_text_makes_it_panic(text in ".*") {
            let _ = text.parse::<ProtoPorts>();
        }
    }
}
