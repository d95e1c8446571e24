//! Groups of addresses and ports in a rule's header. In come a text such as `[10.0.0.0/8,!$DMZ]` and the variables, out come
//! sets. Members with an even number of `!` before them are added, the others taken away at the end, as with the peer.
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
}

impl Reader<'_> {
    fn read(&mut self, text: &str, negated: bool, depth: usize) -> Result<(), String> {
        if depth > MAX_NESTING {
            return Err(format!("groups nest deeper than {MAX_NESTING}; does a variable hold itself?"));
        }
        if self.members.len() >= MAX_MEMBERS {
            return Err(format!("more than {MAX_MEMBERS} members"));
        }
        let text = text.trim();
        if let Some(rest) = text.strip_prefix('!') {
            return self.read(rest, !negated, depth + 1);
        }
        if let Some(name) = text.strip_prefix('$') {
            let Some(value) = self.vars.get(name) else { return Err(self.unknown(name)) };
            return self.read(&value.clone(), negated, depth + 1).map_err(|e| format!("in ${name}: {e}"));
        }
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or_else(|| format!("`{text}` has no `]` at its end"))?;
            return members(inner)?.into_iter().try_for_each(|m| self.read(m, negated, depth + 1));
        }
        let member = (self.leaf)(text).ok_or_else(|| format!("`{text}` is {}", self.form))?;
        self.members.push((negated, member));
        Ok(())
    }

    fn unknown(&self, name: &str) -> String {
        let near = self.vars.keys().min_by_key(|k| strsim::damerau_levenshtein(k, name)).filter(|k| strsim::jaro(k, name) > 0.8);
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

/// Added without taken away; everything without taken away where nothing was added.
fn resolve<T: Point>(added: Vec<(T, T)>, taken: Vec<(T, T)>, any: bool) -> Ranges<T> {
    let base = if any { Ranges::all() } else { Ranges::of(added) };
    base.without(&Ranges::of(taken))
}

/// Reads an address group.
///
/// # Errors
/// What is wrong, for people: an unknown variable, no address, nothing left.
pub fn addresses(text: &str, vars: &Vars) -> Result<Addresses, String> {
    let form = "no address: a prefix such as 10.0.0.0/8, a range A-B, `any`, a $VARIABLE or a [list] of these";
    let mut reader = Reader { vars: &vars.addresses, what: "address", leaf: address, form, members: Vec::new() };
    reader.read(text, false, 0)?;
    let (mut add4, mut cut4, mut add6, mut cut6) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut any = !reader.members.iter().any(|(negated, _)| !negated);
    for (negated, member) in reader.members {
        match member {
            Member::Any if negated => return Err("`!any` leaves no address".to_owned()),
            Member::Any => any = true,
            Member::V4(a, b) => if negated { &mut cut4 } else { &mut add4 }.push((a, b)),
            Member::V6(a, b) => if negated { &mut cut6 } else { &mut add6 }.push((a, b)),
            Member::Port(..) => {}
        }
    }
    let set = Addresses { v4: resolve(add4, cut4, any), v6: resolve(add6, cut6, any) };
    if set.v4.is_empty() && set.v6.is_empty() { Err(format!("`{text}` leaves no address")) } else { Ok(set) }
}

/// Reads a port group.
///
/// # Errors
/// As [`addresses`].
pub fn ports(text: &str, vars: &Vars) -> Result<Ports, String> {
    let form = "no port: a number to 65535, a range A:B, `any`, a $VARIABLE or a [list] of these";
    let mut reader = Reader { vars: &vars.ports, what: "port", leaf: port, form, members: Vec::new() };
    reader.read(text, false, 0)?;
    let mut any = !reader.members.iter().any(|(negated, _)| !negated);
    let (mut added, mut taken) = (Vec::new(), Vec::new());
    for (negated, member) in reader.members {
        match member {
            Member::Any if negated => return Err("`!any` leaves no port".to_owned()),
            Member::Any => any = true,
            Member::Port(a, b) => if negated { &mut taken } else { &mut added }.push((a, b)),
            Member::V4(..) | Member::V6(..) => {}
        }
    }
    let set = resolve(added, taken, any);
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
        assert!(addresses("!1.2.3.4", &Vars::default()).expect("it reads").v6.is_all());
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
