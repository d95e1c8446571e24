//! Top-level objects: tables, chains, rules, sets, maps. In comes one object, into the ruleset it goes.

use super::{ReadError, expr, statement};
use crate::{
    Base, Chain, ChainKind, Counted, Data, Element, Hook, Key, Policy, Rule, Ruleset, Set, Table, TableFamily, Value, Verdict, Writer,
    names,
};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// Objects that neither filter nor translate by themselves: rules that name them say so.
const PASSIVE: &[&str] =
    &["metainfo", "counter", "quota", "limit", "ct helper", "ct timeout", "ct expectation", "secmark", "synproxy", "flowtable", "element"];

pub(super) fn read(out: &mut Ruleset, kind: &str, body: &Json, at: &str) -> Result<(), ReadError> {
    let text =
        |field: &str| body.get(field).and_then(Json::as_str).map(str::to_owned).ok_or_else(|| ReadError::new(at, format!("no `{field}`")));
    if PASSIVE.contains(&kind) {
        return Ok(());
    }
    if !matches!(kind, "table" | "chain" | "rule" | "set" | "map") {
        out.unread.push(format!("nft object `{kind}`"));
        return Ok(());
    }
    let family = family(&text("family")?).ok_or_else(|| ReadError::new(at, "unknown table family"))?;
    if kind == "table" {
        out.tables.push(Table { family, name: text("name")?, writer: Writer::Nft, chains: Vec::new(), sets: BTreeMap::new() });
        return Ok(());
    }
    let name = text("table")?;
    let table = out
        .tables
        .iter_mut()
        .rev()
        .find(|t| t.family == family && t.name == name)
        .ok_or_else(|| ReadError::new(at, format!("table `{name}` is not declared before its parts")))?;
    match kind {
        "chain" => {
            let base = if body.get("hook").is_some() { Some(base(body, at)?) } else { None };
            table.chains.push(Chain { name: text("name")?, base, rules: Vec::new() });
        }
        "rule" => {
            let chain = text("chain")?;
            let rule = rule(table, &chain, body, at)?;
            let chain = table
                .chains
                .iter_mut()
                .find(|c| c.name == chain)
                .ok_or_else(|| ReadError::new(at, format!("chain `{chain}` is not declared before its rules")))?;
            chain.rules.push(rule);
        }
        _ => {
            let set = set(body, at)?;
            table.sets.insert(text("name")?, set);
        }
    }
    Ok(())
}

fn family(name: &str) -> Option<TableFamily> {
    Some(match name {
        "ip" => TableFamily::Ip,
        "ip6" => TableFamily::Ip6,
        "inet" => TableFamily::Inet,
        "arp" => TableFamily::Arp,
        "bridge" => TableFamily::Bridge,
        "netdev" => TableFamily::Netdev,
        _ => return None,
    })
}

fn base(body: &Json, at: &str) -> Result<Base, ReadError> {
    let text = |f: &str| body.get(f).and_then(Json::as_str);
    let wrong = |f: &str| ReadError::new(at, format!("`{f}` is missing or unknown"));
    Ok(Base {
        kind: match text("type") {
            Some("filter") => ChainKind::Filter,
            Some("nat") => ChainKind::Nat,
            Some("route") => ChainKind::Route,
            _ => return Err(wrong("type")),
        },
        hook: match text("hook") {
            Some("ingress") => Hook::Ingress,
            Some("prerouting") => Hook::Prerouting,
            Some("input") => Hook::Input,
            Some("forward") => Hook::Forward,
            Some("output") => Hook::Output,
            Some("postrouting") => Hook::Postrouting,
            Some("egress") => Hook::Egress,
            _ => return Err(wrong("hook")),
        },
        priority: body.get("prio").and_then(Json::as_i64).and_then(|p| i32::try_from(p).ok()).ok_or_else(|| wrong("prio"))?,
        policy: match text("policy") {
            Some("accept") | None => Policy::Accept,
            Some("drop") => Policy::Drop,
            Some(_) => return Err(wrong("policy")),
        },
        devices: match body.get("dev") {
            Some(Json::String(s)) => vec![s.clone()],
            Some(Json::Array(a)) => a.iter().filter_map(Json::as_str).map(str::to_owned).collect(),
            _ => Vec::new(),
        },
    })
}

fn rule(table: &mut Table, chain: &str, body: &Json, at: &str) -> Result<Rule, ReadError> {
    let mut rule = Rule { id: body.get("comment").and_then(Json::as_str).map(str::to_owned), ..Rule::default() };
    let list = match body.get("expr") {
        Some(Json::Array(list)) => list.as_slice(),
        None => &[],
        Some(_) => return Err(ReadError::new(at, "`expr` is not a list")),
    };
    let mut scope = statement::Scope { family: table.family, chain, sets: &mut table.sets };
    for (i, json) in list.iter().enumerate() {
        statement::read(&mut scope, &mut rule, json, &format!("{at}.expr[{i}]"))?;
    }
    Ok(rule)
}

/// nft's types: a name, a concatenation written with dots, or a list.
fn types(json: Option<&Json>) -> Vec<String> {
    match json {
        Some(Json::String(s)) => s.split(" . ").map(str::to_owned).collect(),
        Some(Json::Array(a)) => a.iter().map(|j| j.as_str().map_or_else(|| j.to_string(), str::to_owned)).collect(),
        Some(other) => vec![other.to_string()],
        None => Vec::new(),
    }
}

fn set(body: &Json, at: &str) -> Result<Set, ReadError> {
    let types_ = types(body.get("type"));
    if types_.is_empty() {
        return Err(ReadError::new(at, "no `type`"));
    }
    let map = body.get("map").map(|m| types(Some(m)));
    let flags: Vec<&str> = match body.get("flags") {
        Some(Json::Array(a)) => a.iter().filter_map(Json::as_str).collect(),
        Some(Json::String(s)) => vec![s],
        _ => Vec::new(),
    };
    let keys: Vec<Key> = types_.iter().map(|t| names::key_of_type(t).unwrap_or_else(|| Key::Other(t.clone()))).collect();
    let mut elements = Vec::new();
    for (i, json) in body.get("elem").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default().iter().enumerate() {
        let element = if map.is_some() { map_element(&keys, map.as_deref(), json) } else { element(&keys, json) };
        elements.push(element.ok_or_else(|| ReadError::new(format!("{at}.elem[{i}]"), "not an element of the set's type"))?);
    }
    let counter = body.get("stmt").and_then(Json::as_array).is_some_and(|s| s.iter().any(|j| j.get("counter").is_some()));
    Ok(Set {
        types: types_,
        map,
        interval: flags.contains(&"interval"),
        dynamic: flags.contains(&"dynamic") || flags.contains(&"timeout"),
        timeout: body.get("timeout").and_then(Json::as_u64),
        size: body.get("size").and_then(Json::as_u64).and_then(|n| u32::try_from(n).ok()),
        counter,
        comment: body.get("comment").and_then(Json::as_str).map(str::to_owned),
        elements,
    })
}

fn element(keys: &[Key], json: &Json) -> Option<Element> {
    let meta = json.get("elem");
    let val = expr::unwrap_elem(json);
    let parts: Vec<&Json> = match val.get("concat").and_then(Json::as_array) {
        Some(list) => list.iter().collect(),
        None => vec![val],
    };
    if parts.len() != keys.len() {
        return None;
    }
    // A value of a type without a table of names stays as its text: it is compared, never decided.
    let key = keys
        .iter()
        .zip(parts)
        .map(|(k, j)| expr::value(k, j).or_else(|| matches!(k, Key::Other(_)).then(|| Value::Name(j.to_string()))))
        .collect::<Option<Vec<_>>>()?;
    let n = |f: &str| meta.and_then(|m| m.get(f)).and_then(Json::as_u64);
    let counter = meta.and_then(|m| m.get("counter"));
    let c = |f: &str| counter.and_then(|c| c.get(f)).and_then(Json::as_u64).unwrap_or(0);
    Some(Element {
        key,
        data: None,
        id: meta.and_then(|m| m.get("comment")).and_then(Json::as_str).map(str::to_owned),
        timeout: n("timeout"),
        counted: counter.map(|_| Counted { packets: c("packets"), bytes: c("bytes") }),
    })
}

/// `[key, data]` of a map. `map` are the data's types, where they are known; verdicts need none.
pub(super) fn map_element(keys: &[Key], map: Option<&[String]>, pair: &Json) -> Option<Element> {
    let [key, data] = pair.as_array()?.as_slice() else { return None };
    // The default element of a verdict map (`*`).
    let mut out = if key == "*" {
        Element { key: Vec::new(), data: None, id: None, timeout: None, counted: None }
    } else if matches!(keys, [Key::Other(_)]) {
        Element { key: vec![Value::Name(key.to_string())], data: None, id: None, timeout: None, counted: None }
    } else {
        element(keys, key)?
    };
    if let Some((kind, body)) = data.as_object().and_then(|o| o.iter().next())
        && let Some(v) = verdict(kind, body)
    {
        out.data = Some(Data::Verdict(v));
        return Some(out);
    }
    let parts: Vec<&Json> = match data.get("concat").and_then(Json::as_array) {
        Some(list) => list.iter().collect(),
        None => vec![data],
    };
    let numbers = parts
        .iter()
        .enumerate()
        .map(|(i, j)| {
            let key = map.and_then(|m| m.get(i)).and_then(|t| names::key_of_type(t)).unwrap_or(Key::Other(String::new()));
            expr::number(&key, j)
        })
        .collect::<Option<Vec<_>>>()?;
    out.data = Some(Data::Numbers(numbers));
    Some(out)
}

/// A verdict statement, if this is one.
pub(super) fn verdict(kind: &str, body: &Json) -> Option<Verdict> {
    let target = || body.get("target").and_then(Json::as_str).map(str::to_owned);
    Some(match kind {
        "accept" if !body.is_string() => Verdict::Accept,
        "drop" if !body.is_string() => Verdict::Drop,
        "continue" if !body.is_string() => Verdict::Continue,
        "return" if !body.is_string() => Verdict::Return,
        "jump" => Verdict::Jump(target()?),
        "goto" => Verdict::Goto(target()?),
        "reject" => {
            let kind = body.get("type").and_then(Json::as_str).unwrap_or("icmpx");
            let code = match body.get("expr") {
                Some(Json::String(s)) => s.clone(),
                Some(Json::Number(n)) => n.to_string(),
                _ => "port-unreachable".to_owned(),
            };
            Verdict::Reject(if kind == "tcp reset" { kind.to_owned() } else { format!("{kind} {code}") })
        }
        _ => return None,
    })
}

/// The nft type of a set dimension that holds this key.
pub(super) fn type_of_key(key: &Key) -> &str {
    match key {
        Key::Ip4Saddr | Key::Ip4Daddr | Key::CtOrigIp4Daddr => "ipv4_addr",
        Key::Ip6Saddr | Key::Ip6Daddr => "ipv6_addr",
        Key::Iifname | Key::Oifname => "ifname",
        Key::L4Proto => "inet_proto",
        Key::Sport | Key::Dport | Key::CtOrigDport => "inet_service",
        Key::NfProto => "nf_proto",
        Key::IcmpType => "icmp_type",
        Key::IcmpCode => "icmp_code",
        Key::Icmp6Type => "icmpv6_type",
        Key::Icmp6Code => "icmpv6_code",
        Key::CtState => "ct_state",
        Key::CtStatus => "ct_status",
        Key::CtDirection => "ct_dir",
        Key::Mark | Key::CtMark => "mark",
        Key::PktType => "pkt_type",
        Key::FibDaddrType => "fib_addrtype",
        Key::TcpFlags => "tcp_flag",
        _ => "integer",
    }
}
