//! One packet asked about one key: yes, no, or not to be known.

use super::Walk;
use crate::{
    eval::{Past, STATUS_DNAT, STATUS_LATER, WITH_PORTS, cell, direct},
    field::{Field, device, state},
};
use ruleset::form::{Element, Key, Op, Value};

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Yes,
    No,
    Unknown,
}

impl Truth {
    pub(super) fn of(b: bool) -> Self {
        if b { Truth::Yes } else { Truth::No }
    }
    pub(super) fn not(self) -> Self {
        match self {
            Truth::Yes => Truth::No,
            Truth::No => Truth::Yes,
            Truth::Unknown => Truth::Unknown,
        }
    }
}

impl<'a> Walk<'a> {
    pub(super) fn ask_match(&self, key: &Key, mask: Option<u128>, op: Op, values: &[Value]) -> Truth {
        if let Some((f, family, proto)) = direct(key) {
            let wrong =
                family.is_some_and(|x| x != self.packet.get(Field::Family)) || proto.is_some_and(|x| x != self.packet.get(Field::Proto));
            if wrong {
                return Truth::No;
            }
            if matches!(f, Field::Sport | Field::Dport) && !self.has_ports() {
                return Truth::Unknown;
            }
            let value = self.packet.get(f) & mask.unwrap_or(u128::MAX);
            let inside = values.iter().any(|v| {
                let (a, b) = cell(key, v);
                a <= value && value <= b
            });
            return Truth::of(inside == (op == Op::In));
        }
        let t = self.special(key, mask, values);
        if op == Op::In { t } else { t.not() }
    }

    /// Whether the packet has the headers these keys stand in; without them the kernel ends the rule, negated or not.
    pub(super) fn has_headers<'k>(&self, mut keys: impl Iterator<Item = &'k Key>) -> bool {
        let fits = |want: Option<u128>, f| want.is_none_or(|x| x == self.packet.get(f));
        keys.all(|k| direct(k).is_none_or(|(_, family, proto)| fits(family, Field::Family) && fits(proto, Field::Proto)))
    }

    fn has_ports(&self) -> bool {
        WITH_PORTS.iter().any(|p| u128::from(*p) == self.packet.get(Field::Proto))
    }

    fn special(&self, key: &Key, mask: Option<u128>, values: &[Value]) -> Truth {
        let contains = |n: u128| values.iter().any(|v| matches!(v, Value::Range(a, b) if *a <= n && n <= *b));
        let s = self.packet.get(Field::State);
        match key {
            Key::CtState => {
                let index = usize::try_from(s).unwrap_or(0);
                let bit = if self.tracked { state::BITS[index.min(4)] } else { state::BITS[0] };
                Truth::of(match mask {
                    Some(m) => contains(bit & m),
                    None => values.iter().any(|v| match v {
                        Value::Range(a, b) if a == b => a & bit != 0,
                        Value::Range(a, b) => *a <= bit && bit <= *b,
                        _ => false,
                    }),
                })
            }
            Key::CtStatus if mask.is_some() => {
                let mask = mask.unwrap_or_default();
                let dnat = if self.packet.get(Field::Dnat) == 1 { STATUS_DNAT } else { 0 };
                if mask & !(STATUS_DNAT | STATUS_LATER) != 0 || (mask & STATUS_LATER != 0 && s != state::NEW) {
                    Truth::Unknown
                } else {
                    Truth::of(contains(dnat & mask))
                }
            }
            Key::CtStatus => {
                let bits = values.iter().fold(0, |b, v| if let Value::Range(x, y) = v { b | x | y } else { b });
                let dnat = bits & 32 != 0 && self.packet.get(Field::Dnat) == 1;
                if dnat {
                    Truth::Yes
                } else if bits & !32 == 0 || s == state::NEW {
                    Truth::No
                } else {
                    Truth::Unknown
                }
            }
            Key::CtDirection => match (contains(0), contains(1), s == state::ESTABLISHED || s == state::RELATED) {
                (true, true, _) => Truth::Yes,
                (false, false, _) => Truth::No,
                (_, _, true) => Truth::Unknown,
                (original, _, false) => Truth::of(original),
            },
            Key::CtOrigIp4Daddr | Key::CtOrigDport => {
                let (now, before) =
                    if *key == Key::CtOrigDport { (Field::Dport, Field::OrigDport) } else { (Field::Dst4, Field::OrigDst4) };
                let v4 = *key == Key::CtOrigDport || self.packet.get(Field::Family) == 0;
                let f = if self.packet.get(Field::Dnat) == 1 { before } else { now };
                Truth::of(v4 && contains(self.packet.get(f)))
            }
            Key::FibDaddrType => Truth::of(contains(self.address_type())),
            Key::FibReversePath => {
                let back = self.place.route(self.packet.src()).is_some_and(|l| device(&l.device) == self.packet.get(Field::In));
                Truth::of(if back { values.iter().any(|v| matches!(v, Value::Range(_, b) if *b > 0)) } else { contains(0) })
            }
            Key::RoutingType => Truth::No,
            Key::PktType if self.past == Past::Quiet => Truth::of(contains(match self.cast() {
                5 => 2,
                3 => 1,
                _ => 0,
            })),
            Key::Fragment if self.past == Past::Quiet => Truth::of(contains(0)),
            _ => Truth::Unknown,
        }
    }

    /// Multicast 5, broadcast 3, else 1.
    fn cast(&self) -> u128 {
        let d = self.packet.dst();
        let broadcast = self
            .place
            .links
            .iter()
            .flat_map(|l| &l.nets)
            .any(|n| matches!(n, ipnet::IpNet::V4(n) if n.prefix_len() < 31 && std::net::IpAddr::V4(n.broadcast()) == d));
        if d.is_multicast() {
            5
        } else if broadcast || d == std::net::IpAddr::V4(std::net::Ipv4Addr::BROADCAST) {
            3
        } else {
            1
        }
    }

    fn address_type(&self) -> u128 {
        let d = self.packet.dst();
        if self.place.anywhere || self.place.own.contains(&d) || d.is_loopback() { 2 } else { self.cast() }
    }

    /// Whether some element matches, and the one that does (or may).
    pub(super) fn find<'e>(&self, keys: &[Key], elements: &'e [Element]) -> (Truth, Option<&'e Element>) {
        let mut maybe = None;
        for e in elements {
            let mut all = Truth::Yes;
            for (k, v) in keys.iter().zip(&e.key) {
                match self.ask_match(k, None, Op::In, std::slice::from_ref(v)) {
                    Truth::No => {
                        all = Truth::No;
                        break;
                    }
                    Truth::Unknown => all = Truth::Unknown,
                    Truth::Yes => {}
                }
            }
            match all {
                Truth::Yes => return (Truth::Yes, Some(e)),
                Truth::Unknown => maybe = maybe.or(Some(e)),
                Truth::No => {}
            }
        }
        (if maybe.is_some() { Truth::Unknown } else { Truth::No }, maybe)
    }
}
