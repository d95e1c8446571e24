//! Expressions: the left side of a match as keys, the right side as values. In comes JSON, out comes `None` for anything
//! that is not understood; the caller keeps it as unknown. Never: guesses a value.

use crate::{Key, Statement, Value, names};
use serde_json::Value as Json;
use std::net::IpAddr;

/// How the text of an unknown iptables-nft expression begins.
pub(super) const XT: &str = "{\"xt\":";

/// Keys asked by the left side of a match, with the mask on a single key and what the kernel checks before.
#[derive(Debug, Default)]
pub(super) struct Left {
    pub keys: Vec<Key>,
    pub mask: Option<u128>,
    /// Dependencies that the JSON leaves implicit (`tcp dport` implies TCP).
    pub implied: Vec<Statement>,
}

fn is(key: Key, number: u128) -> Statement {
    Statement::Match { key, mask: None, op: crate::Op::In, values: vec![Value::one(number)] }
}

/// Protocol numbers and NFPROTO numbers the readers need by name.
const TCP: u128 = 6;
const UDP: u128 = 17;
const V4: u128 = 2;
const V6: u128 = 10;

/// The left side: a key, a masked key, or a concatenation.
pub(super) fn left(json: &Json) -> Option<Left> {
    if let Some(parts) = json.get("concat").and_then(Json::as_array) {
        let mut out = Left::default();
        for part in parts {
            let one = left(part)?;
            if one.mask.is_some() {
                return None;
            }
            out.keys.extend(one.keys);
            // In a concatenation `tcp dport` still makes the kernel check the protocol first.
            out.implied.extend(one.implied);
        }
        return Some(out);
    }
    if let Some([inner, mask]) = json.get("&").and_then(Json::as_array).map(Vec::as_slice) {
        let mut out = left(inner)?;
        let [key] = out.keys.as_slice() else { return None };
        if out.mask.is_some() {
            return None;
        }
        out.mask = Some(bits(key, mask)?);
        return Some(out);
    }
    let (key, implied) = single(json)?;
    Some(Left { keys: vec![key], mask: None, implied })
}

fn text<'a>(json: &'a Json, field: &str) -> Option<&'a str> {
    json.get(field).and_then(Json::as_str)
}

fn single(json: &Json) -> Option<(Key, Vec<Statement>)> {
    if let Some(p) = json.get("payload") {
        return payload(text(p, "protocol")?, text(p, "field")?);
    }
    if let Some(m) = json.get("meta") {
        return Some((
            match text(m, "key")? {
                "iifname" | "iif" => Key::Iifname,
                "oifname" | "oif" => Key::Oifname,
                "nfproto" | "protocol" => Key::NfProto,
                "l4proto" => Key::L4Proto,
                "mark" => Key::Mark,
                "pkttype" => Key::PktType,
                "skuid" => Key::SkUid,
                _ => return None,
            },
            Vec::new(),
        ));
    }
    if let Some(c) = json.get("ct") {
        return Some((
            match (text(c, "key")?, text(c, "dir")) {
                ("state", None) => Key::CtState,
                ("status", None) => Key::CtStatus,
                ("direction", None) => Key::CtDirection,
                ("mark", None) => Key::CtMark,
                ("ip daddr", Some("original")) => Key::CtOrigIp4Daddr,
                ("proto-dst", Some("original")) => Key::CtOrigDport,
                _ => return None,
            },
            Vec::new(),
        ));
    }
    if let Some(f) = json.get("fib") {
        let mut flags: Vec<&str> = match f.get("flags") {
            Some(Json::Array(a)) => a.iter().map(Json::as_str).collect::<Option<_>>()?,
            Some(Json::String(s)) => vec![s],
            _ => return None,
        };
        flags.sort_unstable();
        return Some((
            match (text(f, "result")?, flags.as_slice()) {
                ("type", ["daddr"]) => Key::FibDaddrType,
                ("oif" | "check", ["iif", "saddr"]) => Key::FibReversePath,
                _ => return None,
            },
            Vec::new(),
        ));
    }
    if let Some(e) = json.get("exthdr")
        && text(e, "name")? == "frag"
        && e.get("field").is_none()
    {
        return Some((Key::Fragment, vec![is(Key::NfProto, V6)]));
    }
    None
}

fn payload(protocol: &str, field: &str) -> Option<(Key, Vec<Statement>)> {
    let l4 = |n| vec![is(Key::L4Proto, n)];
    let nf = |n| vec![is(Key::NfProto, n)];
    Some(match (protocol, field) {
        ("ip", "saddr") => (Key::Ip4Saddr, vec![]),
        ("ip", "daddr") => (Key::Ip4Daddr, vec![]),
        ("ip", "protocol") => (Key::L4Proto, nf(V4)),
        ("ip", "ttl") => (Key::HopLimit, nf(V4)),
        ("ip", "frag-off") => (Key::Fragment, nf(V4)),
        ("ip6", "saddr") => (Key::Ip6Saddr, vec![]),
        ("ip6", "daddr") => (Key::Ip6Daddr, vec![]),
        ("ip6", "hoplimit") => (Key::HopLimit, nf(V6)),
        ("th", "sport") => (Key::Sport, vec![]),
        ("th", "dport") => (Key::Dport, vec![]),
        ("tcp", "sport") => (Key::Sport, l4(TCP)),
        ("tcp", "dport") => (Key::Dport, l4(TCP)),
        ("tcp", "flags") => (Key::TcpFlags, l4(TCP)),
        ("udp", "sport") => (Key::Sport, l4(UDP)),
        ("udp", "dport") => (Key::Dport, l4(UDP)),
        ("sctp", "dport") => (Key::Dport, l4(132)),
        ("sctp", "sport") => (Key::Sport, l4(132)),
        ("dccp", "dport") => (Key::Dport, l4(33)),
        ("dccp", "sport") => (Key::Sport, l4(33)),
        ("udplite", "dport") => (Key::Dport, l4(136)),
        ("udplite", "sport") => (Key::Sport, l4(136)),
        ("icmp", "type") => (Key::IcmpType, vec![]),
        ("icmp", "code") => (Key::IcmpCode, vec![]),
        ("icmpv6", "type") => (Key::Icmp6Type, vec![]),
        ("icmpv6", "code") => (Key::Icmp6Code, vec![]),
        _ => return None,
    })
}

/// An address as a number; the family is the text's own.
pub(crate) fn address(text: &str) -> Option<u128> {
    Some(match text.parse::<IpAddr>().ok()? {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    })
}

/// One number of a key: a number, a name, an address, `0x`-text, a boolean (`fib ... missing`, `exthdr exists`).
pub(super) fn number(key: &Key, json: &Json) -> Option<u128> {
    match json {
        Json::Number(n) => n.as_u64().map(u128::from),
        Json::Bool(b) => Some(u128::from(*b)),
        Json::String(s) => match key {
            Key::Ip4Saddr | Key::Ip4Daddr | Key::CtOrigIp4Daddr | Key::Ip6Saddr | Key::Ip6Daddr => address(s),
            Key::NfProto if s == "ip" => Some(V4),
            Key::NfProto if s == "ip6" => Some(V6),
            _ => names::number(key, s).or_else(|| match s.strip_prefix("0x") {
                Some(hex) => u128::from_str_radix(hex, 16).ok(),
                None => s.parse().ok(),
            }),
        },
        _ => None,
    }
}

/// Bits written as a number, a name, a list or a disjunction of those.
pub(super) fn bits(key: &Key, json: &Json) -> Option<u128> {
    match json {
        Json::Array(list) => list.iter().try_fold(0, |sum, j| Some(sum | number(key, j)?)),
        Json::Object(o) => match o.get("|").and_then(Json::as_array) {
            Some(list) => list.iter().try_fold(0, |sum, j| Some(sum | bits(key, j)?)),
            None => None,
        },
        one => number(key, one),
    }
}

/// One value: a number, a device, a prefix, a range.
pub(super) fn value(key: &Key, json: &Json) -> Option<Value> {
    if matches!(key, Key::Iifname | Key::Oifname) {
        let name = json.as_str()?;
        return Some(match name.strip_suffix('*') {
            Some(start) => Value::NamePrefix(start.to_owned()),
            None => Value::Name(name.to_owned()),
        });
    }
    if let Some(p) = json.get("prefix") {
        let first = number(key, p.get("addr")?)?;
        let len = u32::try_from(p.get("len")?.as_u64()?).ok()?;
        let width = width(key)?;
        let host = width.checked_sub(len)?;
        let tail = if host >= 128 { u128::MAX } else { (1u128 << host) - 1 };
        return Some(Value::Range(first & !tail, first | tail));
    }
    if let Some([a, b]) = json.get("range").and_then(Json::as_array).map(Vec::as_slice) {
        let (first, last) = (number(key, a)?, number(key, b)?);
        return (first <= last).then_some(Value::Range(first, last));
    }
    match json {
        Json::Object(o) if o.contains_key("|") => bits(key, json).map(Value::one),
        Json::Array(_) => bits(key, json).map(Value::one),
        one => number(key, one).map(Value::one),
    }
}

/// Bits of a key, where prefixes and open ranges need it.
pub(super) fn width(key: &Key) -> Option<u32> {
    Some(match key {
        Key::Ip4Saddr | Key::Ip4Daddr | Key::CtOrigIp4Daddr | Key::Mark | Key::CtMark | Key::SkUid | Key::CtState | Key::CtStatus => 32,
        Key::Ip6Saddr | Key::Ip6Daddr => 128,
        Key::Sport | Key::Dport | Key::CtOrigDport | Key::Fragment => 16,
        Key::NfProto
        | Key::L4Proto
        | Key::HopLimit
        | Key::TcpFlags
        | Key::PktType
        | Key::IcmpType
        | Key::IcmpCode
        | Key::Icmp6Type
        | Key::Icmp6Code
        | Key::CtDirection => 8,
        _ => return None,
    })
}

/// The largest number a key can hold.
pub(super) fn max(key: &Key) -> Option<u128> {
    width(key).map(|w| if w >= 128 { u128::MAX } else { (1 << w) - 1 })
}

/// Every value of a right side: a single one, or those of an anonymous set.
pub(super) fn values(key: &Key, json: &Json) -> Option<Vec<Value>> {
    match json.get("set") {
        Some(Json::Array(list)) => list.iter().map(|j| value(key, unwrap_elem(j))).collect(),
        Some(one) => Some(vec![value(key, unwrap_elem(one))?]),
        None => Some(vec![value(key, json)?]),
    }
}

/// An element without its comment, timeout and counter.
pub(super) fn unwrap_elem(json: &Json) -> &Json {
    json.get("elem").and_then(|e| e.get("val")).unwrap_or(json)
}
