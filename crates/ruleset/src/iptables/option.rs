//! Matches of iptables. In comes an option with its words, out come statements; `None` and nothing consumed beyond what the
//! caller can recover where it is not understood.

use super::Args;
use crate::{Key, Op, Rule, Statement, Value, names};
use ipnet::IpNet;
use std::net::IpAddr;
use words::Family;

/// Consumes an option's words and appends what it asks. `None`: not understood, the words are not consumed.
pub(super) fn read(rule: &mut Rule, word: &str, negated: bool, args: &mut Args<'_>, family: Family) -> Option<()> {
    let op = if negated { Op::NotIn } else { Op::In };
    // Modules only load; their options speak for themselves. `-m comment` and the like need nothing.
    if matches!(word, "-m" | "--match") {
        return args.next().map(|_| ());
    }
    if matches!(word, "-f" | "--fragment") {
        // Everything but the first fragment.
        let values = vec![Value::one(0u8)];
        let op = if negated { Op::In } else { Op::NotIn };
        rule.statements.push(Statement::Match { key: Key::Fragment, mask: Some(0x1fff), op, values });
        return Some(());
    }
    if word == "--syn" {
        return flags(rule, 0x17, 0x02, negated);
    }
    if matches!(word, "--queue-bypass") {
        return None;
    }
    let text = args.peek()?;
    let done = match word {
        "-p" | "--protocol" => protocol(rule, text, op),
        "-s" | "--source" => address(rule, family, true, text, op),
        "-d" | "--destination" => address(rule, family, false, text, op),
        "--src-range" => range(rule, family, true, text, op),
        "--dst-range" => range(rule, family, false, text, op),
        "-i" | "--in-interface" => device(rule, Key::Iifname, text, op),
        "-o" | "--out-interface" => device(rule, Key::Oifname, text, op),
        "--sport" | "--source-port" | "--sports" | "--source-ports" => ports(rule, Key::Sport, text, op),
        "--dport" | "--destination-port" | "--dports" | "--destination-ports" => ports(rule, Key::Dport, text, op),
        "--ctstate" | "--state" => state(rule, text, negated),
        "--ctorigdst" if family == Family::V4 => prefix(text).and_then(|v| push(rule, Key::CtOrigIp4Daddr, None, op, vec![v])),
        "--ctorigdstport" => ports(rule, Key::CtOrigDport, text, op),
        "--ctdir" => {
            number_of(text, &[("ORIGINAL", 0), ("REPLY", 1)]).and_then(|n| push(rule, Key::CtDirection, None, op, vec![Value::one(n)]))
        }
        "--dst-type" => fib(rule, text, op),
        "--mark" => mark(rule, text, op),
        "--limit" => {
            let (rate, per) = text.split_once('/')?;
            let per = match per {
                p if p.starts_with('s') => "second",
                p if p.starts_with('m') => "minute",
                p if p.starts_with('h') => "hour",
                p if p.starts_with('d') => "day",
                _ => return None,
            };
            let rate = rate.parse().ok()?;
            rule.statements.push(Statement::Limit { rate, per: per.to_owned(), burst: DEFAULT_BURST, over: negated, bytes: false });
            Some(())
        }
        "--limit-burst" => {
            let n = text.parse().ok()?;
            match rule.statements.iter_mut().rev().find_map(|s| if let Statement::Limit { burst, .. } = s { Some(burst) } else { None }) {
                Some(burst) => *burst = n,
                None => return None,
            }
            Some(())
        }
        "--comment" => {
            rule.id = Some(text.to_owned());
            Some(())
        }
        "--tcp-flags" => {
            args.next();
            let set = args.peek().and_then(tcp_flags)?;
            let mask = tcp_flags(text)?;
            flags(rule, mask, set, negated)
        }
        "--icmp-type" => icmp(rule, text, op, (Key::IcmpType, Key::IcmpCode), negated),
        "--icmpv6-type" => icmp(rule, text, op, (Key::Icmp6Type, Key::Icmp6Code), negated),
        "--pkt-type" => names::number(&Key::PktType, text).and_then(|n| push(rule, Key::PktType, None, op, vec![Value::one(n)])),
        "--ttl-eq" | "--hl-eq" => text.parse::<u8>().ok().and_then(|n| push(rule, Key::HopLimit, None, op, vec![Value::one(n)])),
        "--rt-type" if family == Family::V6 => {
            text.parse::<u8>().ok().and_then(|n| push(rule, Key::RoutingType, None, op, vec![Value::one(n)]))
        }
        "--uid-owner" => {
            let (a, b) = text.split_once('-').unwrap_or((text, text));
            let (a, b) = (a.parse::<u32>().ok()?, b.parse::<u32>().ok()?);
            (a <= b).then_some(())?;
            push(rule, Key::SkUid, None, op, vec![Value::Range(a.into(), b.into())])
        }
        _ => None,
    };
    if done.is_some() {
        args.next();
    }
    done
}

/// `limit`'s own default burst in packets.
const DEFAULT_BURST: u64 = 5;

fn push(rule: &mut Rule, key: Key, mask: Option<u128>, op: Op, values: Vec<Value>) -> Option<()> {
    rule.statements.push(Statement::Match { key, mask, op, values });
    Some(())
}

fn protocol(rule: &mut Rule, text: &str, op: Op) -> Option<()> {
    let n = match text {
        "all" | "0" => return Some(()),
        other => names::number(&Key::L4Proto, other).or_else(|| other.parse::<u8>().ok().map(u128::from))?,
    };
    push(rule, Key::L4Proto, None, op, vec![Value::one(n)])
}

fn number(address: &IpAddr) -> u128 {
    match address {
        IpAddr::V4(a) => u128::from(u32::from(*a)),
        IpAddr::V6(a) => u128::from(*a),
    }
}

/// `a`, `a/len` or `a/mask`; a mask that is no prefix is not understood.
fn prefix(text: &str) -> Option<Value> {
    let net: IpNet = match text.split_once('/') {
        None => text.parse::<IpAddr>().ok()?.into(),
        Some((a, len)) => match len.parse::<u8>() {
            Ok(len) => IpNet::new(a.parse().ok()?, len).ok()?,
            Err(_) => IpNet::with_netmask(a.parse().ok()?, len.parse().ok()?).ok()?,
        },
    };
    Some(Value::Range(number(&net.network()), number(&net.broadcast())))
}

fn address_key(family: Family, source: bool) -> Key {
    match (family, source) {
        (Family::V4, true) => Key::Ip4Saddr,
        (Family::V4, false) => Key::Ip4Daddr,
        (Family::V6, true) => Key::Ip6Saddr,
        (Family::V6, false) => Key::Ip6Daddr,
    }
}

fn address(rule: &mut Rule, family: Family, source: bool, text: &str, op: Op) -> Option<()> {
    push(rule, address_key(family, source), None, op, vec![prefix(text)?])
}

fn range(rule: &mut Rule, family: Family, source: bool, text: &str, op: Op) -> Option<()> {
    let (a, b) = text.split_once('-').unwrap_or((text, text));
    let (a, b) = (number(&a.parse().ok()?), number(&b.parse().ok()?));
    (a <= b).then_some(())?;
    push(rule, address_key(family, source), None, op, vec![Value::Range(a, b)])
}

fn device(rule: &mut Rule, key: Key, text: &str, op: Op) -> Option<()> {
    let value = match text.strip_suffix('+') {
        Some(start) => Value::NamePrefix(start.to_owned()),
        None => Value::Name(text.to_owned()),
    };
    push(rule, key, None, op, vec![value])
}

fn ports(rule: &mut Rule, key: Key, text: &str, op: Op) -> Option<()> {
    let values = text
        .split(',')
        .map(|t| {
            let (a, b) = t.split_once(':').unwrap_or((t, t));
            let (a, b): (u16, u16) = (a.parse().ok()?, b.parse().ok()?);
            (a <= b).then_some(Value::Range(a.into(), b.into()))
        })
        .collect::<Option<Vec<_>>>()?;
    push(rule, key, None, op, values)
}

fn number_of(text: &str, table: &[(&str, u128)]) -> Option<u128> {
    table.iter().find(|(n, _)| *n == text).map(|(_, v)| *v)
}

/// States are one of several; `SNAT` and `DNAT` are bits of the status. Both in one list cannot be said in one match.
fn state(rule: &mut Rule, text: &str, negated: bool) -> Option<()> {
    let mut states = Vec::new();
    let mut status = 0u128;
    for word in text.split(',') {
        match word {
            "SNAT" => status |= 16,
            "DNAT" => status |= 32,
            other => states.push(Value::one(names::number(&Key::CtState, &other.to_lowercase())?)),
        }
    }
    match (states.is_empty(), status) {
        (false, 0) => push(rule, Key::CtState, None, if negated { Op::NotIn } else { Op::In }, states),
        (true, bits) if bits != 0 => push(rule, Key::CtStatus, Some(bits), if negated { Op::In } else { Op::NotIn }, vec![Value::one(0u8)]),
        _ => None,
    }
}

fn fib(rule: &mut Rule, text: &str, op: Op) -> Option<()> {
    let values =
        text.split(',').map(|t| names::number(&Key::FibDaddrType, &t.to_lowercase()).map(Value::one)).collect::<Option<Vec<_>>>()?;
    push(rule, Key::FibDaddrType, None, op, values)
}

/// A number, decimal or with `0x`.
pub(super) fn word32(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `--mark` means the packet's mark, after `-m connmark` the connection's; the text of the rule tells.
fn mark(rule: &mut Rule, text: &str, op: Op) -> Option<()> {
    let (value, mask) = match text.split_once('/') {
        Some((v, m)) => (word32(v)?, Some(word32(m)?)),
        None => (word32(text)?, None),
    };
    let line = rule.text.as_deref().unwrap_or_default();
    let connection = line.contains("-m connmark");
    if connection && line.contains("-m mark") {
        return None;
    }
    let key = if connection { Key::CtMark } else { Key::Mark };
    push(rule, key, mask.filter(|m| *m != u32::MAX).map(u128::from), op, vec![Value::one(value)])
}

fn tcp_flags(text: &str) -> Option<u128> {
    match text {
        "ALL" => Some(0x3f),
        "NONE" => Some(0),
        list => list.split(',').try_fold(0, |sum, f| Some(sum | names::number(&Key::TcpFlags, &f.to_lowercase())?)),
    }
}

fn flags(rule: &mut Rule, mask: u128, set: u128, negated: bool) -> Option<()> {
    let op = if negated { Op::NotIn } else { Op::In };
    push(rule, Key::TcpFlags, Some(mask), op, vec![Value::one(set)])
}

/// `8`, `3/4`, a name, `any`.
fn icmp(rule: &mut Rule, text: &str, op: Op, keys: (Key, Key), negated: bool) -> Option<()> {
    if text == "any" {
        return Some(());
    }
    let (kind, code) = text.split_once('/').map_or((text, None), |(k, c)| (k, Some(c)));
    let kind = kind.parse::<u8>().ok().map(u128::from).or_else(|| names::number(&keys.0, kind))?;
    let code = match code {
        Some(c) => Some(c.parse::<u8>().ok()?),
        None => None,
    };
    if negated && code.is_some() {
        return None;
    }
    push(rule, keys.0, None, op, vec![Value::one(kind)])?;
    match code {
        Some(c) => push(rule, keys.1, None, op, vec![Value::one(c)]),
        None => Some(()),
    }
}
