//! Sets and maps with their elements.

use super::{quoted, statement};
use ruleset::{Data, Element, Key, Set, Value, names};
use std::fmt::Write as _;

/// One named set or map.
pub(super) fn definition(out: &mut String, name: &str, set: &Set) {
    let word = if set.map.is_some() { "map" } else { "set" };
    let _ = writeln!(out, "\t{word} {name} {{");
    let data = set.map.as_ref().map(|m| format!(" : {}", m.join(" . "))).unwrap_or_default();
    let _ = writeln!(out, "\t\ttype {}{data}", set.types.join(" . "));
    let flags: Vec<&str> = [(set.interval, "interval"), (set.dynamic, "dynamic"), (set.timeout.is_some(), "timeout")]
        .into_iter()
        .filter_map(|(on, word)| on.then_some(word))
        .collect();
    if !flags.is_empty() {
        let _ = writeln!(out, "\t\tflags {}", flags.join(","));
    }
    if let Some(seconds) = set.timeout {
        let _ = writeln!(out, "\t\ttimeout {seconds}s");
    }
    if let Some(size) = set.size {
        let _ = writeln!(out, "\t\tsize {size}");
    }
    if set.counter {
        out.push_str("\t\tcounter\n");
    }
    if let Some(comment) = &set.comment {
        let _ = writeln!(out, "\t\tcomment {}", quoted(comment));
    }
    if !set.elements.is_empty() {
        let keys = keys(&set.types);
        let data = set.map.as_ref().map(|m| self::keys(m)).unwrap_or_default();
        out.push_str("\t\telements = {\n");
        for e in &set.elements {
            let _ = writeln!(out, "\t\t\t{},", element(&keys, &data, e));
        }
        out.push_str("\t\t}\n");
    }
    out.push_str("\t}\n");
}

/// The keys that say how values of these types are written.
pub(super) fn keys(types: &[String]) -> Vec<Key> {
    types.iter().map(|t| names::key_of_type(t).unwrap_or_else(|| Key::Other(t.clone()))).collect()
}

/// One element: key, timeout, comment, data.
pub(super) fn element(keys: &[Key], data: &[Key], e: &Element) -> String {
    let mut out = if e.key.is_empty() { "*".to_owned() } else { tuple(keys, &e.key) };
    if let Some(seconds) = e.timeout {
        let _ = write!(out, " timeout {seconds}s");
    }
    if let Some(id) = &e.id {
        let _ = write!(out, " comment {}", quoted(id));
    }
    match &e.data {
        Some(Data::Verdict(v)) => {
            let _ = write!(out, " : {}", statement::verdict(v));
        }
        Some(Data::Numbers(n)) => {
            let values: Vec<Value> = n.iter().map(|&n| Value::one(n)).collect();
            let _ = write!(out, " : {}", tuple(data, &values));
        }
        None => {}
    }
    out
}

fn tuple(keys: &[Key], values: &[Value]) -> String {
    let any = Key::Other(String::new());
    values.iter().enumerate().map(|(i, v)| statement::value(keys.get(i).unwrap_or(&any), v)).collect::<Vec<_>>().join(" . ")
}
