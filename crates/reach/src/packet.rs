//! One packet: a value for each field. What a witness is, and what the concrete evaluation walks with.

use crate::field::{self, FIELDS, Field, state};
use serde::{Serialize, Serializer};
use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};
use words::{Family, Proto};

/// One packet. Fields that its kind does not have (ports of ICMP) hold values nobody looks at.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Packet([u128; FIELDS]);

/// Source port of a witness that may have any: the beginning of Linux's ephemeral range, so that it can be sent as it is.
pub const WITNESS_SPORT: u128 = 40000;

impl Packet {
    /// A packet that opens a connection: ephemeral source port, SYN, fresh hop limit, no marks.
    pub fn opening(family: Family) -> Self {
        let mut p = Self([0; FIELDS]);
        p.set(Field::Family, field::family(family));
        p.set(Field::State, state::NEW);
        p.set(Field::Proto, 6);
        p.set(Field::Sport, WITNESS_SPORT);
        p.set(Field::Flags, 2);
        p.set(Field::Hop, 64);
        p.set(Field::Type, if family == Family::V4 { 8 } else { 128 });
        p
    }
    /// Value of a field.
    pub fn get(&self, field: Field) -> u128 {
        self.raw(field.level())
    }
    /// Sets a field, cut to its domain.
    pub fn set(&mut self, field: Field, value: u128) {
        self.set_raw(field.level(), value.min(field.top()));
    }
    /// With a field set.
    pub fn with(mut self, field: Field, value: u128) -> Self {
        self.set(field, value);
        self
    }
    pub(crate) fn raw(&self, level: u8) -> u128 {
        self.0[usize::from(level)]
    }
    pub(crate) fn set_raw(&mut self, level: u8, value: u128) {
        self.0[usize::from(level)] = value;
    }
    /// Its family.
    pub fn family(&self) -> Family {
        if self.get(Field::Family) == 0 { Family::V4 } else { Family::V6 }
    }
    /// Its protocol.
    pub fn proto(&self) -> Proto {
        Proto::from_number(u8::try_from(self.get(Field::Proto)).unwrap_or(u8::MAX))
    }
    fn address(&self, v4: Field, v6: Field) -> IpAddr {
        match self.family() {
            Family::V4 => Ipv4Addr::from(u32::try_from(self.get(v4)).unwrap_or(u32::MAX)).into(),
            Family::V6 => Ipv6Addr::from(self.get(v6)).into(),
        }
    }
    /// Source address.
    pub fn src(&self) -> IpAddr {
        self.address(Field::Src4, Field::Src6)
    }
    /// Destination address.
    pub fn dst(&self) -> IpAddr {
        self.address(Field::Dst4, Field::Dst6)
    }
    /// Destination port.
    pub fn dport(&self) -> u16 {
        u16::try_from(self.get(Field::Dport)).unwrap_or(u16::MAX)
    }
    /// Source port.
    pub fn sport(&self) -> u16 {
        u16::try_from(self.get(Field::Sport)).unwrap_or(u16::MAX)
    }
    /// Sets the source address and the family with it.
    pub fn from(self, a: IpAddr) -> Self {
        let f = Family::of(&a);
        self.with(Field::Family, field::family(f)).with(field::src(f), field::address(a))
    }
    /// Sets the destination address and the family with it.
    pub fn to(self, a: IpAddr) -> Self {
        let f = Family::of(&a);
        self.with(Field::Family, field::family(f)).with(field::dst(f), field::address(a))
    }
}

impl fmt::Display for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (proto, src, dst) = (self.proto(), self.src(), self.dst());
        let (sport, dport) = (self.sport(), self.dport());
        match (proto.has_ports(), self.family()) {
            (true, Family::V4) => write!(f, "{proto} {src}:{sport} -> {dst}:{dport}")?,
            (true, Family::V6) => write!(f, "{proto} [{src}]:{sport} -> [{dst}]:{dport}")?,
            (false, _) if matches!(proto, Proto::Icmp | Proto::Icmp6) => {
                write!(f, "{proto} type {} code {} {src} -> {dst}", self.get(Field::Type), self.get(Field::Code))?;
            }
            (false, _) => write!(f, "protocol {proto} {src} -> {dst}")?,
        }
        match self.get(Field::State) {
            state::NEW => Ok(()),
            state::INVALID => f.write_str(" (invalid)"),
            state::ESTABLISHED => f.write_str(" (established)"),
            state::RELATED => f.write_str(" (related)"),
            _ => f.write_str(" (untracked)"),
        }
    }
}

impl fmt::Debug for Packet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (i, o) = (field::device_name(self.get(Field::In)), field::device_name(self.get(Field::Out)));
        write!(f, "{self} in={i} out={o} dnat={} mark={} ctmark={}", self.get(Field::Dnat), self.get(Field::Mark), self.get(Field::CtMark))
    }
}

impl Serialize for Packet {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(self)
    }
}
