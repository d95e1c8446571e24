//! Groups of addresses and ports in a rule's header. In come a text such as `[10.0.0.0/8,!$DMZ]` and the variables, out come
//! sets. Members with a `!` before them are taken away at the end, a list with one as the set it is, as with the peer.
//! Never: yields an empty set.

use crate::{
    limits::{MAX_MEMBERS, MAX_NESTING},
    ranges::{Point, Ranges},
    vars::Vars,
};
use serde::Serialize;
use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, Ipv6Addr},
};

/// Addresses of both families.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Addresses {
    /// IPv4.
    pub v4: Ranges<u32>,
    /// IPv6.
    pub v6: Ranges<u128>,
}

impl Addresses {
    /// Whether every address is in.
    pub fn is_any(&self) -> bool {
        self.v4.is_all() && self.v6.is_all()
    }
}

/// Ports.
pub type Ports = Ranges<u16>;

/// One member: an interval, or everything.
enum Member {
    Any,
    V4(u32, u32),
    V6(u128, u128),
    Port(u16, u16),
}

struct Reader<'v> {
    vars: &'v BTreeMap<String, String>,
    what: &'static str,
    leaf: fn(&str) -> Option<Member>,
    form: &'static str,
    members: Vec<(bool, Member)>,
    /// Members read in all, those of lists with a `!` included.
    seen: usize,
}

impl Reader<'_> {
    fn read(&mut self, text: &str, depth: usize) -> Result<(), String> {
        if depth > MAX_NESTING {
            return Err(format!("groups nest deeper than {MAX_NESTING}; does a variable hold itself?"));
        }
        if self.seen >= MAX_MEMBERS {
            return Err(format!("more than {MAX_MEMBERS} members"));
        }
        self.seen += 1;
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('!') {
            let mut inner = Reader { members: Vec::new(), ..*self };
            inner.read(rest, depth + 1)?;
            self.seen = inner.seen;
            if inner.members.iter().any(|(_, m)| matches!(m, Member::Any)) && inner.members.iter().all(|(negated, _)| !negated) {
                return Err(format!("`{text}` leaves no {}", self.what));
            }
            self.members.extend(settled(&inner.members).into_iter().map(|m| (true, m)));
            return Ok(());
        }
        if let Some(name) = text.strip_prefix('$') {
            let Some(value) = self.vars.get(name) else { return Err(self.unknown(name)) };
            return self.read(&value.clone(), depth + 1).map_err(|e| format!("in ${name}: {e}"));
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| format!("`{text}` has no `]` at its end"))?;
            return members(inner)?.into_iter().try_for_each(|m| self.read(m, depth + 1));
        }
        let member = (self.leaf)(text).ok_or_else(|| format!("`{text}` is {}", self.form))?;
        self.members.push((false, member));
        Ok(())
    }

    fn unknown(&self, name: &str) -> String {
        let near = crate::keyword::most_like(name, self.vars.keys().map(String::as_str));
        let hint = near.map(|k| format!("; did you mean ${k}?")).unwrap_or_default();
        format!("there is no {} group `{name}`{hint}", self.what)
    }
}

/// The members of a list: commas outside of inner brackets part them.
fn members(text: &str) -> Result<Vec<&str>, String> {
    let (mut out, mut depth, mut from) = (Vec::new(), 0usize, 0);
    for (i, b) in text.bytes().enumerate() {
        match b {
            b'[' => depth += 1,
            b']' => depth = depth.checked_sub(1).ok_or_else(|| "a `]` too many".to_owned())?,
            b',' if depth == 0 => {
                out.push(&text[from..i]);
                from = i + 1;
            }
            _ => {}
        }
    }
    out.push(&text[from..]);
    if depth > 0 { Err("a `]` is missing".to_owned()) } else { Ok(out) }
}

fn prefix<const BITS: u32>(length: &str) -> Option<u32> {
    length.parse::<u32>().ok().filter(|l| *l <= BITS)
}

fn v4(text: &str) -> Option<(u32, u32)> {
    if let Some((a, b)) = text.split_once('-') {
        let (a, b) = (a.trim().parse::<Ipv4Addr>().ok()?.to_bits(), b.trim().parse::<Ipv4Addr>().ok()?.to_bits());
        return (a <= b).then_some((a, b));
    }
    let (address, mask) = match text.split_once('/') {
        None => (text, u32::MAX),
        Some((a, m)) if m.contains('.') => {
            let mask = m.parse::<Ipv4Addr>().ok()?.to_bits();
            (a, Some(mask).filter(|m| m.leading_ones() + m.trailing_zeros() >= 32)?)
        }
        Some((a, m)) => (a, u32::MAX.checked_shl(32 - prefix::<32>(m)?).unwrap_or(0)),
    };
    let base = address.parse::<Ipv4Addr>().ok()?.to_bits() & mask;
    Some((base, base | !mask))
}

fn v6(text: &str) -> Option<(u128, u128)> {
    if let Some((a, b)) = text.split_once('-') {
        let (a, b) = (a.trim().parse::<Ipv6Addr>().ok()?.to_bits(), b.trim().parse::<Ipv6Addr>().ok()?.to_bits());
        return (a <= b).then_some((a, b));
    }
    let (address, length) = text.split_once('/').map_or(Some((text, 128)), |(a, l)| Some((a, prefix::<128>(l)?)))?;
    let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
    let base = address.parse::<Ipv6Addr>().ok()?.to_bits() & mask;
    Some((base, base | !mask))
}

fn address(text: &str) -> Option<Member> {
    match text {
        t if t.eq_ignore_ascii_case("any") => Some(Member::Any),
        t => v4(t).map(|(a, b)| Member::V4(a, b)).or_else(|| v6(t).map(|(a, b)| Member::V6(a, b))),
    }
}

fn port(text: &str) -> Option<Member> {
    if text.eq_ignore_ascii_case("any") {
        return Some(Member::Any);
    }
    let number = |t: &str, empty: u16| if t.trim().is_empty() { Some(empty) } else { t.trim().parse::<u16>().ok() };
    let (a, b) = match text.split_once(':') {
        Some((a, b)) if !(a.trim().is_empty() && b.trim().is_empty()) => (number(a, 0)?, number(b, u16::MAX)?),
        Some(_) => return None,
        None => (text.parse().ok()?, text.parse().ok()?),
    };
    (a <= b).then_some(Member::Port(a, b))
}

/// Added without taken away; everything without taken away where nothing of this kind was added but something is taken away. What no
/// member speaks of is not in: `!10.0.0.0/8` says nothing of IPv6, and matches none of it, as with the peer.
fn resolve<T: Point>(members: &[(bool, Member)], pick: fn(&Member) -> Option<(T, T)>) -> Ranges<T> {
    let of = |sign: bool| -> Vec<(T, T)> { members.iter().filter(|(negated, _)| *negated == sign).filter_map(|(_, m)| pick(m)).collect() };
    let (added, taken) = (of(false), of(true));
    let any = members.iter().any(|(_, m)| matches!(m, Member::Any));
    let base = if any || added.is_empty() && !taken.is_empty() { Ranges::all() } else { Ranges::of(added) };
    base.without(&Ranges::of(taken))
}

fn in_v4(member: &Member) -> Option<(u32, u32)> {
    if let Member::V4(a, b) = member { Some((*a, *b)) } else { None }
}

fn in_v6(member: &Member) -> Option<(u128, u128)> {
    if let Member::V6(a, b) = member { Some((*a, *b)) } else { None }
}

fn in_ports(member: &Member) -> Option<(u16, u16)> {
    if let Member::Port(a, b) = member { Some((*a, *b)) } else { None }
}

/// Members as intervals, without any that is taken away: what a `!` before a list is about.
fn settled(members: &[(bool, Member)]) -> Vec<Member> {
    let v4 = resolve(members, in_v4).parts().iter().map(|(a, b)| Member::V4(*a, *b)).collect::<Vec<_>>();
    let v6 = resolve(members, in_v6).parts().iter().map(|(a, b)| Member::V6(*a, *b)).collect::<Vec<_>>();
    let ports = resolve(members, in_ports).parts().iter().map(|(a, b)| Member::Port(*a, *b)).collect::<Vec<_>>();
    v4.into_iter().chain(v6).chain(ports).collect()
}

/// Reads an address group.
///
/// # Errors
/// What is wrong, for people: an unknown variable, no address, nothing left.
pub fn addresses(text: &str, vars: &Vars) -> Result<Addresses, String> {
    let form = "no address: a prefix such as 10.0.0.0/8, a range A-B, `any`, a $VARIABLE or a [list] of these";
    let mut reader = Reader { vars: &vars.addresses, what: "address", leaf: address, form, members: Vec::new(), seen: 0 };
    reader.read(text, 0)?;
    let set = Addresses { v4: resolve(&reader.members, in_v4), v6: resolve(&reader.members, in_v6) };
    if set.v4.is_empty() && set.v6.is_empty() { Err(format!("`{text}` leaves no address")) } else { Ok(set) }
}

/// Reads a port group.
///
/// # Errors
/// As [`addresses`].
pub fn ports(text: &str, vars: &Vars) -> Result<Ports, String> {
    let form = "no port: a number to 65535, a range A:B, `any`, a $VARIABLE or a [list] of these";
    let mut reader = Reader { vars: &vars.ports, what: "port", leaf: port, form, members: Vec::new(), seen: 0 };
    reader.read(text, 0)?;
    let set = resolve(&reader.members, in_ports);
    if set.is_empty() { Err(format!("`{text}` leaves no port")) } else { Ok(set) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn has(text: &str, address: &str) -> bool {
        addresses(text, &Vars::default()).expect("it reads").v4.has(address.parse::<Ipv4Addr>().expect("it reads").to_bits())
    }

    #[test]
    fn groups_are_resolved() {
        assert!(has("$HOME_NET", "10.1.1.1") && !has("$HOME_NET", "8.8.8.8"));
        assert!(has("$EXTERNAL_NET", "8.8.8.8") && !has("$EXTERNAL_NET", "10.1.1.1"));
        assert!(has("[10.0.0.0/8, ![10.1.0.0/16]]", "10.2.0.1") && !has("[10.0.0.0/8,!10.1.0.0/16]", "10.1.2.3"));
        assert!(has("1.2.3.4-1.2.3.9", "1.2.3.9") && !has("1.2.3.0/255.255.255.0", "1.2.4.0"));
        // A family that no member speaks of is not in; `any` speaks of both.
        let families = |text: &str| {
            let set = addresses(text, &Vars::default()).expect("it reads");
            (set.v4.is_empty(), set.v6.is_empty(), set.v6.is_all())
        };
        assert_eq!(families("!1.2.3.4"), (false, true, false));
        assert_eq!(families("$EXTERNAL_NET"), (false, true, false));
        assert_eq!(families("!2001:db8::/32"), (true, false, false));
        assert_eq!(families("[any,!10.0.0.0/8]"), (false, false, true));
        assert!(has("[!10.0.0.0/8,2001:db8::/32]", "1.1.1.1") && !has("[!10.0.0.0/8,2001:db8::/32]", "10.1.1.1"));
        // A list with a `!` is the complement of the set it is.
        let list = "![10.0.0.0/8,!10.1.0.0/16]";
        assert!(has(list, "10.1.2.3") && has(list, "1.1.1.1") && !has(list, "10.2.2.3"));
        assert!(has("!!10.0.0.0/8", "10.1.1.1") && !has("!!10.0.0.0/8", "1.1.1.1"));
        assert!(addresses("2001:db8::/32", &Vars::default()).expect("it reads").v4.is_empty());
        let p = ports("[80:82,!81,1024:]", &Vars::default()).expect("it reads");
        assert_eq!(p.parts(), [(80, 80), (82, 82), (1024, 65535)]);
    }

    #[test]
    fn what_is_wrong_is_refused() {
        for text in ["$NO", "10.0.0.0/33", "x", "[10.0.0.0/8,!10.0.0.0/8]", "!any", "[1.1.1.1", "9.9.9.9-1.1.1.1", "", "[]"] {
            assert!(addresses(text, &Vars::default()).is_err(), "{text}");
        }
        for text in ["$NO", "65536", "100:50", "!any", "[80,!80]", ":", "", "-1"] {
            assert!(ports(text, &Vars::default()).is_err(), "{text}");
        }
        let mut vars = Vars::default();
        vars.set("vars.address-groups.LOOP=$LOOP").expect("it reads");
        assert!(addresses("$LOOP", &vars).expect_err("it is wrong").contains("deeper"));
        assert!(addresses("$HOME_NETT", &vars).expect_err("it is wrong").contains("$HOME_NET?"));
    }

    proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "[\\[\\],!$:./a-f0-9 -]{0,40}|\\PC{0,30}") {
            let _ = addresses(&text, &Vars::default());
            let _ = ports(&text, &Vars::default());
        }
    }
}
