//! Statements of a rule. In comes one JSON statement, out come the form's statements for it: usually one, more where the
//! JSON leaves a protocol check implicit, [`Statement::Unknown`] where it is not understood.

use super::{
    ReadError,
    expr::{self, Left},
    object,
};
use crate::{Counted, DynKey, Element, Key, MapRef, Nat, NatKind, NatTarget, Op, Rule, Set, Statement, TableFamily, Value, Verdict};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use words::Family;

/// What a rule needs to know about the table it stands in.
pub(super) struct Scope<'a> {
    pub family: TableFamily,
    pub chain: &'a str,
    /// Where concatenations written in place go, as sets of their own.
    pub sets: &'a mut BTreeMap<String, Set>,
}

/// Burst of a limit where the JSON does not name it: nft's own default, in packets.
const DEFAULT_BURST: u64 = 5;

/// Appends what one JSON statement means.
pub(super) fn read(scope: &mut Scope<'_>, rule: &mut Rule, json: &Json, at: &str) -> Result<(), ReadError> {
    let Some((kind, body)) = json.as_object().and_then(|o| o.iter().next()) else {
        return Err(ReadError::new(at, "a statement is an object with one key"));
    };
    if let Some(verdict) = object::verdict(kind, body) {
        rule.statements.push(Statement::Verdict(verdict));
        return Ok(());
    }
    let known = match kind.as_str() {
        "match" => matching(scope, rule, body),
        "vmap" => vmap(rule, body),
        "counter" => {
            let n = |f| body.get(f).and_then(Json::as_u64).unwrap_or(0);
            rule.counted = Some(Counted { packets: n("packets"), bytes: n("bytes") });
            push(rule, Statement::Counter)
        }
        "log" => log(rule, body),
        "limit" => limit(body).map(|s| rule.statements.push(s)),
        "ct count" => conn_limit(body).map(|s| rule.statements.push(s)),
        "set" => dynamic(rule, body),
        "snat" => nat(scope, rule, NatKind::Snat, body),
        "dnat" => nat(scope, rule, NatKind::Dnat, body),
        "masquerade" => nat(scope, rule, NatKind::Masquerade, body),
        "redirect" => nat(scope, rule, NatKind::Redirect, body),
        "mangle" => mangle(rule, body),
        "notrack" => push(rule, Statement::Notrack),
        "synproxy" => push(rule, Statement::Synproxy),
        "queue" => queue(rule, body),
        _ => None,
    };
    if known.is_none() {
        unknown(rule, json);
    }
    Ok(())
}

fn push(rule: &mut Rule, s: Statement) -> Option<()> {
    rule.statements.push(s);
    Some(())
}

/// Keeps what is not understood, and any verdict inside it as one that may be taken.
fn unknown(rule: &mut Rule, json: &Json) {
    rule.statements.push(Statement::Unknown { text: json.to_string() });
    let mut found = Vec::new();
    verdicts(json, &mut found);
    if !found.is_empty() {
        let elements = found
            .into_iter()
            .map(|v| Element { key: Vec::new(), data: Some(crate::Data::Verdict(v)), id: None, timeout: None, counted: None })
            .collect();
        rule.statements.push(Statement::VerdictMap { keys: vec![Key::Other("unknown".to_owned())], map: MapRef::Inline(elements) });
    }
}

fn verdicts(json: &Json, found: &mut Vec<Verdict>) {
    match json {
        Json::Object(o) => {
            for (k, v) in o {
                match object::verdict(k, v) {
                    Some(verdict) => found.push(verdict),
                    None => verdicts(v, found),
                }
            }
        }
        Json::Array(a) => a.iter().for_each(|j| verdicts(j, found)),
        _ => {}
    }
}

/// Adds the implied checks a rule does not make yet.
fn imply(rule: &mut Rule, implied: Vec<Statement>) {
    for s in implied {
        if !rule.statements.contains(&s) {
            rule.statements.push(s);
        }
    }
}

fn matching(scope: &mut Scope<'_>, rule: &mut Rule, body: &Json) -> Option<()> {
    let op = body.get("op").and_then(Json::as_str).unwrap_or("==");
    let left = expr::left(body.get("left")?)?;
    let right = body.get("right")?;
    if let Some(set) = right.as_str().and_then(|s| s.strip_prefix('@')) {
        let negated = negated(op)?;
        if left.mask.is_some() {
            return None;
        }
        imply(rule, left.implied);
        return push(rule, Statement::Lookup { keys: left.keys, set: set.to_owned(), negated });
    }
    let Left { keys, mask, implied } = left;
    let [key] = keys.as_slice() else {
        return concat(scope, rule, keys, implied, op, right);
    };
    let (mask, op, values) = match (op, mask) {
        // A bit test; a connection has exactly one state, so there it is membership.
        ("in", None) if *key == Key::CtState => {
            let sum = expr::bits(key, right)?;
            (None, Op::In, (0..32).map(|b| 1u128 << b).filter(|b| sum & b != 0).map(Value::one).collect())
        }
        ("in", None) => (Some(expr::bits(key, right)?), Op::NotIn, vec![Value::one(0u8)]),
        // None of these bits: how nft lists `& bits == 0` of flags, states and status.
        ("!", None) if *key == Key::CtState => {
            let sum = expr::bits(key, right)?;
            (None, Op::NotIn, (0..32).map(|b| 1u128 << b).filter(|b| sum & b != 0).map(Value::one).collect())
        }
        ("!", None) => (Some(expr::bits(key, right)?), Op::In, vec![Value::one(0u8)]),
        ("==", m) => (m, Op::In, expr::values(key, right)?),
        ("!=", m) => (m, Op::NotIn, expr::values(key, right)?),
        ("<", None) => (None, Op::In, vec![Value::Range(0, expr::number(key, right)?.checked_sub(1)?)]),
        ("<=", None) => (None, Op::In, vec![Value::Range(0, expr::number(key, right)?)]),
        (">", None) => (None, Op::In, vec![interval(expr::number(key, right)?.checked_add(1)?, expr::max(key)?)?]),
        (">=", None) => (None, Op::In, vec![interval(expr::number(key, right)?, expr::max(key)?)?]),
        _ => return None,
    };
    imply(rule, implied);
    push(rule, Statement::Match { key: key.clone(), mask, op, values })
}

fn interval(first: u128, last: u128) -> Option<Value> {
    (first <= last).then_some(Value::Range(first, last))
}

fn negated(op: &str) -> Option<bool> {
    match op {
        "==" | "in" => Some(false),
        "!=" => Some(true),
        _ => None,
    }
}

/// A concatenation against values in place: a set of its own, named after the chain.
fn concat(scope: &mut Scope<'_>, rule: &mut Rule, keys: Vec<Key>, implied: Vec<Statement>, op: &str, right: &Json) -> Option<()> {
    let negated = negated(op)?;
    let list = match right.get("set") {
        Some(Json::Array(list)) => list.clone(),
        Some(one) => vec![one.clone()],
        None => vec![right.clone()],
    };
    let mut elements = Vec::new();
    for json in &list {
        let parts = expr::unwrap_elem(json).get("concat")?.as_array()?;
        if parts.len() != keys.len() {
            return None;
        }
        let key = keys.iter().zip(parts).map(|(k, j)| expr::value(k, j)).collect::<Option<Vec<_>>>()?;
        elements.push(Element { key, data: None, id: None, timeout: None, counted: None });
    }
    let interval = elements.iter().flat_map(|e| &e.key).any(|v| matches!(v, Value::Range(a, b) if a != b));
    let name = format!("anonymous/{}/{}", scope.chain, scope.sets.len());
    let types = keys.iter().map(|k| object::type_of_key(k).to_owned()).collect();
    scope.sets.insert(name.clone(), Set { types, interval, elements, ..Set::default() });
    imply(rule, implied);
    push(rule, Statement::Lookup { keys, set: name, negated })
}

fn vmap(rule: &mut Rule, body: &Json) -> Option<()> {
    let left = body.get("key").and_then(expr::left).filter(|l| l.mask.is_none());
    let data = body.get("data")?;
    let keys = left.as_ref().map_or_else(|| vec![Key::Other(body.get("key").map(Json::to_string).unwrap_or_default())], |l| l.keys.clone());
    let map = match data.as_str().and_then(|s| s.strip_prefix('@')) {
        Some(name) => MapRef::Named(name.to_owned()),
        None => {
            let list = data.get("set")?.as_array()?;
            MapRef::Inline(list.iter().map(|pair| object::map_element(&keys, None, pair)).collect::<Option<Vec<_>>>()?)
        }
    };
    imply(rule, left.map(|l| l.implied).unwrap_or_default());
    push(rule, Statement::VerdictMap { keys, map })
}

fn log(rule: &mut Rule, body: &Json) -> Option<()> {
    let n = |f| body.get(f).and_then(Json::as_u64);
    push(
        rule,
        Statement::Log {
            prefix: body.get("prefix").and_then(Json::as_str).map(str::to_owned),
            group: n("group").and_then(|g| u16::try_from(g).ok()),
            snaplen: n("snaplen").and_then(|s| u32::try_from(s).ok()),
        },
    )
}

fn unit(body: &Json, field: &str) -> Option<u64> {
    Some(match body.get(field).and_then(Json::as_str) {
        None | Some("packets" | "bytes") => 1,
        Some("kbytes") => 1 << 10,
        Some("mbytes") => 1 << 20,
        Some("gbytes") => 1 << 30,
        Some(_) => return None,
    })
}

fn limit(body: &Json) -> Option<Statement> {
    let bytes = body.get("rate_unit").and_then(Json::as_str).is_some_and(|u| u != "packets");
    Some(Statement::Limit {
        rate: body.get("rate")?.as_u64()?.checked_mul(unit(body, "rate_unit")?)?,
        per: body.get("per").and_then(Json::as_str).unwrap_or("second").to_owned(),
        burst: body
            .get("burst")
            .and_then(Json::as_u64)
            .unwrap_or(if bytes { 0 } else { DEFAULT_BURST })
            .checked_mul(unit(body, "burst_unit")?)?,
        over: body.get("inv").and_then(Json::as_bool).unwrap_or(false),
        bytes,
    })
}

fn conn_limit(body: &Json) -> Option<Statement> {
    Some(Statement::ConnLimit {
        count: u32::try_from(body.get("val")?.as_u64()?).ok()?,
        over: body.get("inv").and_then(Json::as_bool).unwrap_or(false),
    })
}

fn dynamic(rule: &mut Rule, body: &Json) -> Option<()> {
    let set = body.get("set")?.as_str()?.strip_prefix('@')?.to_owned();
    let elem = expr::unwrap_elem(body.get("elem")?);
    let parts: Vec<&Json> = match elem.get("concat").and_then(Json::as_array) {
        Some(list) => list.iter().collect(),
        None => vec![elem],
    };
    let mut keys = Vec::new();
    let mut implied = Vec::new();
    for part in parts {
        let left = expr::left(part)?;
        let [key] = left.keys.as_slice() else { return None };
        keys.push(DynKey { key: key.clone(), mask: left.mask });
        implied.extend(left.implied);
    }
    let mut statements = Vec::new();
    for s in body.get("stmt").and_then(Json::as_array).map(Vec::as_slice).unwrap_or_default() {
        let (kind, inner) = s.as_object()?.iter().next()?;
        statements.push(match kind.as_str() {
            "limit" => limit(inner)?,
            "ct count" => conn_limit(inner)?,
            "counter" => Statement::Counter,
            _ => Statement::Unknown { text: s.to_string() },
        });
    }
    imply(rule, implied);
    push(rule, Statement::Dynamic { op: body.get("op")?.as_str()?.to_owned(), keys, set, statements })
}

fn nat(scope: &Scope<'_>, rule: &mut Rule, kind: NatKind, body: &Json) -> Option<()> {
    let family = match body.get("family").and_then(Json::as_str) {
        Some("ip") => Some(Family::V4),
        Some("ip6") => Some(Family::V6),
        Some(_) => return None,
        None => match scope.family {
            TableFamily::Ip => Some(Family::V4),
            TableFamily::Ip6 => Some(Family::V6),
            _ => None,
        },
    };
    let any = if family == Some(Family::V6) { Key::Ip6Daddr } else { Key::Ip4Daddr };
    let mut implied = Vec::new();
    let address = match body.get("addr") {
        None | Some(Json::Null) => NatTarget::None,
        Some(j) => match j.get("map") {
            Some(m) => {
                let left = expr::left(m.get("key")?).filter(|l| l.mask.is_none())?;
                implied = left.implied;
                let data = m.get("data")?;
                let map = match data.as_str().and_then(|s| s.strip_prefix('@')) {
                    Some(name) => MapRef::Named(name.to_owned()),
                    None => MapRef::Inline(
                        data.get("set")?
                            .as_array()?
                            .iter()
                            .map(|pair| object::map_element(&left.keys, Some(&[object::type_of_key(&any).to_owned()]), pair))
                            .collect::<Option<_>>()?,
                    ),
                };
                NatTarget::Map { keys: left.keys, map }
            }
            None => match expr::value(&any, j)? {
                Value::Range(a, b) => NatTarget::Addr(a, b),
                _ => return None,
            },
        },
    };
    let port = match body.get("port") {
        None | Some(Json::Null) => None,
        Some(j) => match expr::value(&Key::Dport, j)? {
            Value::Range(a, b) => Some((u16::try_from(a).ok()?, u16::try_from(b).ok()?)),
            _ => return None,
        },
    };
    let flags = match body.get("flags") {
        Some(Json::Array(a)) => a.iter().map(|f| f.as_str().map(str::to_owned)).collect::<Option<_>>()?,
        Some(Json::String(s)) => vec![s.clone()],
        _ => Vec::new(),
    };
    imply(rule, implied);
    // Where nothing translates, a family says nothing.
    let family = if matches!(kind, NatKind::Masquerade | NatKind::Redirect) { None } else { family };
    push(rule, Statement::Nat(Nat { kind, family, address, port, flags }))
}

/// `mark set mark & keep | value`, in the forms nft prints it; `ip ttl set value`.
fn mangle(rule: &mut Rule, body: &Json) -> Option<()> {
    let Some(target) = mark(body.get("key")?) else { return hop_limit(rule, body) };
    let value = body.get("value")?;
    let word = |j: &Json| j.as_u64().and_then(|n| u32::try_from(n).ok());
    let binary = |j: &Json, op: &str| -> Option<(Json, Json)> {
        let [a, b] = j.get(op)?.as_array()?.as_slice() else { return None };
        Some((a.clone(), b.clone()))
    };
    let (mask, value) = if let Some(n) = word(value) {
        (None, Some(n))
    } else if let Some(source) = mark(value) {
        if source == target {
            return None;
        }
        (None, None)
    } else if let Some((old, new)) = binary(value, "|") {
        let new = word(&new)?;
        match binary(&old, "&") {
            Some((inner, keep)) if mark(&inner).as_ref() == Some(&target) => (Some(!word(&keep)? | new), Some(new)),
            None if mark(&old).as_ref() == Some(&target) => (Some(new), Some(new)),
            _ => return None,
        }
    } else {
        let (old, keep) = binary(value, "&")?;
        if mark(&old).as_ref() != Some(&target) {
            return None;
        }
        (Some(!word(&keep)?), Some(0))
    };
    push(rule, Statement::SetMark { key: target, mask, value })
}

fn hop_limit(rule: &mut Rule, body: &Json) -> Option<()> {
    let Left { keys, mask: None, implied } = expr::left(body.get("key")?)? else { return None };
    if keys != [Key::HopLimit] {
        return None;
    }
    let value = u8::try_from(body.get("value")?.as_u64()?).ok()?;
    imply(rule, implied);
    push(rule, Statement::SetMark { key: Key::HopLimit, mask: None, value: Some(value.into()) })
}

fn mark(json: &Json) -> Option<Key> {
    let key = |f: &str| json.get(f).and_then(|m| m.get("key")).and_then(Json::as_str) == Some("mark");
    if key("meta") {
        Some(Key::Mark)
    } else if key("ct") {
        Some(Key::CtMark)
    } else {
        None
    }
}

fn queue(rule: &mut Rule, body: &Json) -> Option<()> {
    let (first, last) = match body.get("num") {
        None => (0, 0),
        Some(j) => match expr::value(&Key::Dport, j)? {
            Value::Range(a, b) => (u16::try_from(a).ok()?, u16::try_from(b).ok()?),
            _ => return None,
        },
    };
    let bypass = match body.get("flags") {
        Some(Json::Array(a)) => a.iter().any(|f| f == "bypass"),
        Some(f) => f == "bypass",
        None => false,
    };
    push(rule, Statement::Queue { first, last, bypass })
}
