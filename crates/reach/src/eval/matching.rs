//! What a match means as sets: the packets for which it may hold and those for which it must. The two differ where the
//! answer depends on the past, on other machines or on what the form does not understand.

use super::{Eval, Past};
use crate::{
    field::{self, Field, state},
    set::Set,
};
use ruleset::form::{Key, Op, Value};

/// May hold, must hold; `must` lies within `may`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Matched {
    pub may: Set,
    pub must: Set,
}

impl Matched {
    pub(crate) const UNDECIDED: Matched = Matched { may: Set::FULL, must: Set::EMPTY };
    pub(crate) fn exactly(set: Set) -> Self {
        Self { may: set, must: set }
    }
}

/// Protocols with ports: TCP, UDP, DCCP, SCTP, UDP-Lite. For others `th dport` reads bytes that mean something else.
pub(crate) const WITH_PORTS: [u8; 5] = [6, 17, 33, 132, 136];

/// Bit of `ct status`: the destination was translated.
pub(crate) const STATUS_DNAT: u128 = 32;
/// Bits of `ct status` that no packet has that opens a connection: a reply was seen, it is assured.
pub(crate) const STATUS_LATER: u128 = 2 | 4;

/// Most intervals that a mask may split a value into before the match counts as undecided.
const MASK_LIMIT: u32 = 12;

/// The field a key reads, and what it implies besides: a family, a protocol.
pub(crate) fn direct(key: &Key) -> Option<(Field, Option<u128>, Option<u128>)> {
    Some(match key {
        Key::Iifname => (Field::In, None, None),
        Key::Oifname => (Field::Out, None, None),
        Key::NfProto => (Field::Family, None, None),
        Key::L4Proto => (Field::Proto, None, None),
        Key::Ip4Saddr => (Field::Src4, Some(0), None),
        Key::Ip4Daddr => (Field::Dst4, Some(0), None),
        Key::Ip6Saddr => (Field::Src6, Some(1), None),
        Key::Ip6Daddr => (Field::Dst6, Some(1), None),
        Key::Sport => (Field::Sport, None, None),
        Key::Dport => (Field::Dport, None, None),
        Key::IcmpType => (Field::Type, None, Some(1)),
        Key::IcmpCode => (Field::Code, None, Some(1)),
        Key::Icmp6Type => (Field::Type, None, Some(58)),
        Key::Icmp6Code => (Field::Code, None, Some(58)),
        Key::TcpFlags => (Field::Flags, None, Some(6)),
        Key::CtMark => (Field::CtMark, None, None),
        Key::Mark => (Field::Mark, None, None),
        Key::HopLimit => (Field::Hop, None, None),
        Key::SkUid => (Field::SkUid, None, None),
        _ => return None,
    })
}

/// A value as an interval of the key's field.
pub(crate) fn cell(key: &Key, value: &Value) -> (u128, u128) {
    match value {
        // NFPROTO_IPV4 is 2, NFPROTO_IPV6 is 10; an upside-down interval is empty.
        Value::Range(a, b) if *key == Key::NfProto => match ((*a..=*b).contains(&2), (*a..=*b).contains(&10)) {
            (true, true) => (0, 1),
            (true, false) => (0, 0),
            (false, true) => (1, 1),
            (false, false) => (1, 0),
        },
        Value::Range(a, b) => (*a, *b),
        Value::Name(n) => (field::device(n), field::device(n)),
        Value::NamePrefix(n) => field::device_prefix(n),
    }
}

impl Eval<'_> {
    /// `key & mask` is (not) in the values, for packets of `here`.
    pub(super) fn matching(&mut self, key: &Key, mask: Option<u128>, op: Op, values: &[Value], here: Set) -> Matched {
        if let Some((f, family, proto)) = direct(key) {
            let Some(inside) = self.masked(f, key, mask, values) else {
                let mut m = self.point_by_point(f, key, mask.unwrap_or(u128::MAX), op, values, here);
                let implied = self.implied(family, proto);
                m = Matched { may: self.store.and(m.may, implied), must: self.store.and(m.must, implied) };
                return m;
            };
            let inside = if op == Op::In { inside } else { self.store.not(inside) };
            let implied = self.implied(family, proto);
            let set = self.store.and(implied, inside);
            return if matches!(f, Field::Sport | Field::Dport) { self.ports(set) } else { Matched::exactly(set) };
        }
        let positive = self.special(key, mask, values);
        if op == Op::In {
            return positive;
        }
        let (may, must) = (self.store.not(positive.must), self.store.not(positive.may));
        Matched { may, must }
    }

    /// A mask with too many fitting values to list: the values that occur are tried instead. Marks mostly have one.
    fn point_by_point(&mut self, f: Field, key: &Key, mask: u128, op: Op, values: &[Value], here: Set) -> Matched {
        let (mut may, mut must) = (Vec::new(), Vec::new());
        for (a, b) in self.store.project(here, f) {
            let there = self.store.interval(f, a, b);
            let inside = values.iter().map(|v| cell(key, v)).any(|(x, y)| (x..=y).contains(&(a & mask)));
            if a != b || inside == (op == Op::In) {
                may.push(there);
            }
            if a == b && inside == (op == Op::In) {
                must.push(there);
            }
        }
        Matched { may: self.store.any(may), must: self.store.any(must) }
    }

    pub(super) fn implied(&mut self, family: Option<u128>, proto: Option<u128>) -> Set {
        let f = family.map_or(Set::FULL, |f| self.store.value(Field::Family, f));
        let p = proto.map_or(Set::FULL, |p| self.store.value(Field::Proto, p));
        self.store.and(f, p)
    }

    /// A set that looked at ports: exact for protocols that have them, undecided for others.
    pub(super) fn ports(&mut self, set: Set) -> Matched {
        let rows: Vec<Vec<(u128, u128)>> = WITH_PORTS.iter().map(|p| vec![(u128::from(*p), u128::from(*p))]).collect();
        let with = self.store.rows(&[Field::Proto], &rows);
        let must = self.store.and(set, with);
        let odd = self.store.minus(set, with);
        let odd = self.store.forget_all(odd, &[Field::Sport, Field::Dport]);
        let may = self.store.or(must, odd);
        Matched { may, must }
    }

    fn masked(&mut self, f: Field, key: &Key, mask: Option<u128>, values: &[Value]) -> Option<Set> {
        let full = mask.is_none_or(|m| m & f.top() == f.top());
        let mut rows = Vec::new();
        for v in values {
            let (a, b) = cell(key, v);
            if full {
                rows.push(vec![(a, b)]);
            } else {
                rows.extend(under_mask(a, b, mask.unwrap_or(u128::MAX), f.top())?.into_iter().map(|c| vec![c]));
            }
        }
        Some(self.store.rows(&[f], &rows))
    }

    /// Keys that are no field of their own.
    fn special(&mut self, key: &Key, mask: Option<u128>, values: &[Value]) -> Matched {
        match key {
            Key::CtState => Matched::exactly(self.ct_state(mask, values)),
            Key::CtStatus => self.ct_status(mask, values),
            Key::CtDirection => {
                let answers = self.store.interval(Field::State, state::ESTABLISHED, state::RELATED);
                let opening = self.store.not(answers);
                match (has(values, 0), has(values, 1)) {
                    (true, true) => Matched::exactly(Set::FULL),
                    (true, false) => Matched { may: Set::FULL, must: opening },
                    (false, true) => Matched { may: answers, must: Set::EMPTY },
                    (false, false) => Matched::exactly(Set::EMPTY),
                }
            }
            Key::CtOrigIp4Daddr => Matched::exactly(self.original(Field::Dst4, Field::OrigDst4, key, values)),
            Key::CtOrigDport => Matched::exactly(self.original(Field::Dport, Field::OrigDport, key, values)),
            Key::FibDaddrType => Matched::exactly(self.fib_type(values)),
            Key::FibReversePath => {
                let exists = self.place.reverse_path(self.store);
                let missing = self.store.not(exists);
                let (a, b) =
                    (if has(values, 0) { missing } else { Set::EMPTY }, if values.iter().any(beyond_zero) { exists } else { Set::EMPTY });
                Matched::exactly(self.store.or(a, b))
            }
            // Packets here carry no routing header: one of type 0 the kernel refuses by itself (RFC 5095), the others are for routers.
            Key::RoutingType => Matched::exactly(Set::EMPTY),
            // Frames are what their IP header says and packets are whole, unless somebody means harm.
            Key::PktType if self.past == Past::Quiet => Matched::exactly(self.packet_type(values)),
            Key::Fragment if self.past == Past::Quiet => Matched::exactly(if has(values, 0) { Set::FULL } else { Set::EMPTY }),
            _ => Matched::UNDECIDED,
        }
    }

    fn ct_state(&mut self, mask: Option<u128>, values: &[Value]) -> Set {
        let holds = |bit: u128| {
            values.iter().any(|v| match (v, mask) {
                (Value::Range(a, b), Some(m)) => (*a..=*b).contains(&(bit & m)),
                (Value::Range(a, b), None) if a == b => bit & a != 0,
                (Value::Range(a, b), None) => (*a..=*b).contains(&bit),
                _ => false,
            })
        };
        if !self.tracked {
            return if holds(state::BITS[0]) { Set::FULL } else { Set::EMPTY };
        }
        let rows: Vec<Vec<(u128, u128)>> = (0u128..).zip(state::BITS).filter(|(_, bit)| holds(*bit)).map(|(s, _)| vec![(s, s)]).collect();
        self.store.rows(&[Field::State], &rows)
    }

    /// A packet that opens a connection has no status but `dnat`; of others only that bit is known.
    fn ct_status(&mut self, mask: Option<u128>, values: &[Value]) -> Matched {
        if let Some(mask) = mask {
            return self.ct_status_under(mask, values);
        }
        let bits = values.iter().fold(0, |b, v| if let Value::Range(x, y) = v { b | x | y } else { b });
        let dnat = self.store.value(Field::Dnat, 1);
        let known = if bits & 32 != 0 { dnat } else { Set::EMPTY };
        if bits & !32 == 0 {
            return Matched::exactly(known);
        }
        let fresh = self.store.value(Field::State, state::NEW);
        let others = self.store.not(fresh);
        let may = self.store.or(known, others);
        Matched { may, must: known }
    }

    /// `status & mask` is one of the values.
    fn ct_status_under(&mut self, mask: u128, values: &[Value]) -> Matched {
        if mask & !(STATUS_DNAT | STATUS_LATER) != 0 {
            return Matched::UNDECIDED;
        }
        let dnat = self.store.value(Field::Dnat, 1);
        let plain = self.store.not(dnat);
        let holds = |status: u128| values.iter().any(|v| matches!(v, Value::Range(a, b) if (*a..=*b).contains(&(status & mask))));
        let (turned, straight) = (if holds(STATUS_DNAT) { dnat } else { Set::EMPTY }, if holds(0) { plain } else { Set::EMPTY });
        let set = self.store.or(turned, straight);
        if mask & STATUS_LATER == 0 {
            return Matched::exactly(set);
        }
        let fresh = self.store.value(Field::State, state::NEW);
        let others = self.store.not(fresh);
        let must = self.store.and(set, fresh);
        let may = self.store.or(must, others);
        Matched { may, must }
    }

    fn original(&mut self, now: Field, before: Field, key: &Key, values: &[Value]) -> Set {
        let rows: Vec<Vec<(u128, u128)>> = values.iter().map(|v| vec![cell(key, v)]).collect();
        let (straight, turned) = (self.store.rows(&[now], &rows), self.store.rows(&[before], &rows));
        let dnat = self.store.value(Field::Dnat, 1);
        let (a, b) = (self.store.minus(straight, dnat), self.store.and(turned, dnat));
        let set = self.store.or(a, b);
        let v4 = if *key == Key::CtOrigIp4Daddr { self.store.value(Field::Family, 0) } else { Set::FULL };
        self.store.and(v4, set)
    }

    fn fib_type(&mut self, values: &[Value]) -> Set {
        let (local, multi, broad) = (self.place.local(self.store), self.place.multicast(self.store), self.place.broadcast(self.store));
        let broad = self.store.minus(broad, local);
        let other = self.store.any([local, multi, broad]);
        let unicast = self.store.not(other);
        // rtm_type: unicast 1, local 2, broadcast 3, multicast 5.
        let kinds = [(1, unicast), (2, local), (3, broad), (5, multi)];
        let chosen: Vec<Set> = kinds.into_iter().filter(|(n, _)| has(values, *n)).map(|(_, s)| s).collect();
        self.store.any(chosen)
    }

    fn packet_type(&mut self, values: &[Value]) -> Set {
        let (multi, broad) = (self.place.multicast(self.store), self.place.broadcast(self.store));
        let other = self.store.or(multi, broad);
        let unicast = self.store.not(other);
        let chosen: Vec<Set> =
            [(0, unicast), (1, broad), (2, multi)].into_iter().filter(|(n, _)| has(values, *n)).map(|(_, s)| s).collect();
        self.store.any(chosen)
    }
}

fn has(values: &[Value], n: u128) -> bool {
    values.iter().any(|v| matches!(v, Value::Range(a, b) if (*a..=*b).contains(&n)))
}

fn beyond_zero(v: &Value) -> bool {
    matches!(v, Value::Range(_, b) if *b > 0)
}

/// The intervals of `x` in `0..=top` with `a <= x & mask <= b`; `None` where they are too many to list.
pub(crate) fn under_mask(a: u128, b: u128, mask: u128, top: u128) -> Option<Vec<(u128, u128)>> {
    let mask = mask & top;
    if mask == 0 {
        return Some(if a == 0 { vec![(0, top)] } else { Vec::new() });
    }
    let low = mask.trailing_zeros();
    let block = (1u128 << low) - 1;
    if a != b {
        // A range under a mask is an interval only where the mask is a prefix of the value.
        let prefix = mask | block == top && a & block == 0 && b & block == 0;
        return prefix.then(|| vec![(a, b | block)]);
    }
    if a & !mask != 0 {
        return Some(Vec::new());
    }
    let free = top & !mask & !block;
    if free.count_ones() > MASK_LIMIT {
        return None;
    }
    let mut out = Vec::new();
    let mut extra = 0u128;
    loop {
        out.push((a | extra, a | extra | block));
        if extra == free {
            return Some(out);
        }
        // The next subset of the free bits.
        extra = (extra.wrapping_sub(free)) & free;
    }
}
