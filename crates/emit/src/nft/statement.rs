//! Statements, keys and values as nft writes them.

use super::{ANONYMOUS, quoted, set};
use ruleset::{DynKey, Key, MapRef, Nat, NatKind, NatTarget, Op, Statement, Table, Value, Verdict, names};
use std::net::{Ipv4Addr, Ipv6Addr};
use words::Family;

/// NFPROTO_IPV6.
const V6: u128 = 10;

/// The words of a rule. What family a hop limit or a fragment belongs to follows from the rule's other matches.
pub(super) fn all(table: &Table, statements: &[Statement]) -> Vec<String> {
    let v6 = statements.iter().any(|s| match s {
        Statement::Match { key: Key::NfProto, op: Op::In, values, .. } => *values == [Value::one(V6)],
        Statement::Match { key, .. } => matches!(key, Key::Ip6Saddr | Key::Ip6Daddr | Key::Icmp6Type | Key::Icmp6Code),
        Statement::Lookup { keys, .. } => keys.iter().any(|k| matches!(k, Key::Ip6Saddr | Key::Ip6Daddr)),
        _ => false,
    });
    statements.iter().map(|s| one(table, s, v6)).collect()
}

fn one(table: &Table, s: &Statement, v6: bool) -> String {
    match s {
        Statement::Match { key: Key::FibReversePath, op, values, .. } => {
            let missing = (*op == Op::In) == values.contains(&Value::one(0u8));
            format!("fib saddr . iif oif {}", if missing { "missing" } else { "exists" })
        }
        Statement::Match { key: Key::Fragment, op, values, .. } if v6 => {
            let there = (*op == Op::In) != values.contains(&Value::one(0u8));
            format!("exthdr frag {}", if there { "exists" } else { "missing" })
        }
        Statement::Match { key, mask, op, values } => matching(key, *mask, *op, values, v6),
        Statement::Lookup { keys, set, negated } => {
            let left = keys.iter().map(|k| self::key(k, v6)).collect::<Vec<_>>().join(" . ");
            let not = if *negated { "!= " } else { "" };
            match table.sets.get(set).filter(|_| set.starts_with(ANONYMOUS)) {
                Some(inline) => {
                    let list: Vec<_> = inline.elements.iter().map(|e| set::element(keys, &[], e)).collect();
                    format!("{left} {not}{{ {} }}", list.join(", "))
                }
                None => format!("{left} {not}@{set}"),
            }
        }
        Statement::VerdictMap { keys, map } => {
            let left = keys.iter().map(|k| self::key(k, v6)).collect::<Vec<_>>().join(" . ");
            format!("{left} vmap {}", map_ref(keys, &[], map))
        }
        Statement::Verdict(v) => verdict(v),
        Statement::Counter => "counter".to_owned(),
        Statement::Log { prefix, group, snaplen } => {
            let mut out = "log".to_owned();
            if let Some(p) = prefix {
                out += &format!(" prefix {}", quoted(p));
            }
            if let Some(g) = group {
                out += &format!(" group {g}");
            }
            if let Some(n) = snaplen {
                out += &format!(" snaplen {n}");
            }
            out
        }
        Statement::Limit { rate, per, burst, over, bytes } => {
            let (unit, burst_unit) = if *bytes { (" bytes", "bytes") } else { ("", "packets") };
            let tail = if *bytes && *burst == 0 { String::new() } else { format!(" burst {burst} {burst_unit}") };
            format!("limit rate {}{rate}{unit}/{per}{tail}", if *over { "over " } else { "" })
        }
        Statement::ConnLimit { count, over } => format!("ct count {}{count}", if *over { "over " } else { "" }),
        Statement::Dynamic { op, keys, set, statements } => {
            let left = keys.iter().map(|k| dyn_key(k, v6)).collect::<Vec<_>>().join(" . ");
            let inner: String = statements.iter().map(|s| format!(" {}", one(table, s, v6))).collect();
            format!("{op} @{set} {{ {left}{inner} }}")
        }
        Statement::Nat(n) => nat(n, v6),
        Statement::SetMark { key: target, mask, value } => {
            let name = self::key(target, v6);
            match (mask, value) {
                (_, Some(v)) if *target == Key::HopLimit => format!("{name} set {v}"),
                (None, Some(v)) => format!("{name} set {v:#010x}"),
                (Some(m), Some(v)) => format!("{name} set {name} & {:#010x} | {v:#010x}", !m),
                (_, None) => format!("{name} set {}", if *target == Key::Mark { "ct mark" } else { "meta mark" }),
            }
        }
        Statement::Notrack => "notrack".to_owned(),
        Statement::Synproxy => "synproxy".to_owned(),
        Statement::Queue { first, last, bypass } => {
            let num = if first == last { first.to_string() } else { format!("{first}-{last}") };
            format!("queue{} to {num}", if *bypass { " flags bypass" } else { "" })
        }
        // Only what others own is unknown, and that is never written; as a comment it stays visible.
        Statement::Unknown { text } => format!("# {}", text.replace('\n', " ")),
    }
}

/// nft's words for a verdict.
pub(super) fn verdict(v: &Verdict) -> String {
    match v {
        Verdict::Accept => "accept".to_owned(),
        Verdict::Drop => "drop".to_owned(),
        Verdict::Reject(with) => format!("reject with {with}"),
        Verdict::Jump(to) => format!("jump {to}"),
        Verdict::Goto(to) => format!("goto {to}"),
        Verdict::Return => "return".to_owned(),
        Verdict::Continue => "continue".to_owned(),
    }
}

fn key(k: &Key, v6: bool) -> String {
    match k {
        Key::Iifname => "iifname",
        Key::Oifname => "oifname",
        Key::NfProto => "meta nfproto",
        Key::L4Proto => "meta l4proto",
        Key::Ip4Saddr => "ip saddr",
        Key::Ip4Daddr => "ip daddr",
        Key::Ip6Saddr => "ip6 saddr",
        Key::Ip6Daddr => "ip6 daddr",
        Key::Sport => "th sport",
        Key::Dport => "th dport",
        Key::IcmpType => "icmp type",
        Key::IcmpCode => "icmp code",
        Key::Icmp6Type => "icmpv6 type",
        Key::Icmp6Code => "icmpv6 code",
        Key::TcpFlags => "tcp flags",
        Key::CtState => "ct state",
        Key::CtStatus => "ct status",
        Key::CtDirection => "ct direction",
        Key::CtMark => "ct mark",
        Key::Mark => "meta mark",
        Key::PktType => "meta pkttype",
        Key::FibDaddrType => "fib daddr type",
        Key::FibReversePath => "fib saddr . iif oif",
        Key::HopLimit if v6 => "ip6 hoplimit",
        Key::HopLimit => "ip ttl",
        Key::Fragment if v6 => "exthdr frag",
        Key::Fragment => "ip frag-off",
        Key::SkUid => "meta skuid",
        Key::CtOrigIp4Daddr => "ct original ip daddr",
        Key::CtOrigDport => "ct original proto-dst",
        Key::RoutingType => "rt type",
        Key::Other(text) => text,
    }
    .to_owned()
}

fn matching(k: &Key, mask: Option<u128>, op: Op, values: &[Value], v6: bool) -> String {
    let left = match mask {
        Some(m) => format!("{} & {}", key(k, v6), number_with_mask(k, m)),
        None => key(k, v6),
    };
    let word = match (op, mask) {
        (Op::NotIn, _) => "!= ",
        // A masked value is compared as a whole; without the operator nft reads flags as "any of".
        (Op::In, Some(_)) => "== ",
        (Op::In, None) if *k == Key::TcpFlags || *k == Key::CtStatus => "== ",
        (Op::In, None) => "",
    };
    let right = match values {
        [one] => value(k, one),
        many => format!("{{ {} }}", many.iter().map(|v| value(k, v)).collect::<Vec<_>>().join(", ")),
    };
    format!("{left} {word}{right}")
}

fn number_with_mask(k: &Key, mask: u128) -> String {
    match k {
        Key::Ip4Saddr | Key::Ip4Daddr | Key::Ip6Saddr | Key::Ip6Daddr => number(k, mask),
        _ => format!("{mask:#x}"),
    }
}

fn dyn_key(k: &DynKey, v6: bool) -> String {
    match k.mask {
        Some(m) => format!("{} & {}", key(&k.key, v6), number_with_mask(&k.key, m)),
        None => key(&k.key, v6),
    }
}

fn address(k: &Key, n: u128) -> Option<String> {
    Some(match k {
        Key::Ip4Saddr | Key::Ip4Daddr | Key::CtOrigIp4Daddr => Ipv4Addr::from(u32::try_from(n).ok()?).to_string(),
        Key::Ip6Saddr | Key::Ip6Daddr => Ipv6Addr::from(n).to_string(),
        _ => return None,
    })
}

fn number(k: &Key, n: u128) -> String {
    if let Some(text) = address(k, n) {
        return text;
    }
    match k {
        Key::Mark | Key::CtMark => format!("{n:#010x}"),
        // ICMP codes mean different things per type; numbers mislead nobody.
        Key::IcmpCode | Key::Icmp6Code => n.to_string(),
        _ => names::name(k, n).map_or_else(|| n.to_string(), str::to_owned),
    }
}

/// The prefix length of an aligned interval of addresses.
fn prefix(k: &Key, first: u128, last: u128) -> Option<u32> {
    let width = match k {
        Key::Ip4Saddr | Key::Ip4Daddr | Key::CtOrigIp4Daddr => 32,
        Key::Ip6Saddr | Key::Ip6Daddr => 128,
        _ => return None,
    };
    let span = first ^ last;
    let host = 128 - span.leading_zeros();
    (span.count_ones() == host && first & span == 0 && host <= width).then(|| width - host)
}

/// One value of a key.
pub(super) fn value(k: &Key, v: &Value) -> String {
    match v {
        Value::Range(a, b) if a == b => number(k, *a),
        Value::Range(a, b) => match prefix(k, *a, *b) {
            Some(len) => format!("{}/{len}", number(k, *a)),
            None => format!("{}-{}", number(k, *a), number(k, *b)),
        },
        Value::Name(n) => quoted(n),
        Value::NamePrefix(n) => quoted(&format!("{n}*")),
    }
}

fn map_ref(keys: &[Key], data: &[Key], map: &MapRef) -> String {
    match map {
        MapRef::Named(name) => format!("@{name}"),
        MapRef::Inline(elements) => {
            let list: Vec<_> = elements.iter().map(|e| set::element(keys, data, e)).collect();
            format!("{{ {} }}", list.join(", "))
        }
    }
}

fn nat(n: &Nat, v6: bool) -> String {
    let word = match n.kind {
        NatKind::Snat => "snat",
        NatKind::Dnat => "dnat",
        NatKind::Masquerade => "masquerade",
        NatKind::Redirect => "redirect",
    };
    let (family, any) = match n.family {
        Some(Family::V4) => (" ip", Key::Ip4Daddr),
        Some(Family::V6) => (" ip6", Key::Ip6Daddr),
        None => ("", Key::Ip4Daddr),
    };
    let port = n.port.map(|(a, b)| if a == b { format!(":{a}") } else { format!(":{a}-{b}") });
    let to = match &n.address {
        NatTarget::None => String::new(),
        NatTarget::Addr(a, b) => {
            let end = |x| if any == Key::Ip6Daddr && port.is_some() { format!("[{}]", number(&any, x)) } else { number(&any, x) };
            if a == b { end(*a) } else { format!("{}-{}", end(*a), end(*b)) }
        }
        NatTarget::Map { keys, map } => {
            let left = keys.iter().map(|k| key(k, v6)).collect::<Vec<_>>().join(" . ");
            format!("{left} map {}", map_ref(keys, std::slice::from_ref(&any), map))
        }
    };
    let target = match (to.is_empty(), port) {
        (true, None) => String::new(),
        (_, port) => format!(" to {to}{}", port.unwrap_or_default()),
    };
    let flags = if n.flags.is_empty() { String::new() } else { format!(" {}", n.flags.join(",")) };
    format!("{word}{}{target}{flags}", if target.is_empty() { "" } else { family })
}
