//! Structure: in come the tree and the table of keys, out come diagnostics about unknown keys, wrong types, missing keys
//! and words that are not allowed. What follows may then read values without asking again.

use super::{
    keys::{Key, Kind, Section},
    node::{Node, Value},
};
use crate::{code, cx::Cx};
use words::{Diagnostic, Span};

/// Checks a table against its section.
pub(crate) fn section(cx: &mut Cx<'_>, node: &Node, section: &Section, cite: Span) {
    for entry in node.entries() {
        match section.keys.iter().find(|k| k.name == entry.key) {
            Some(key) => value(cx, &entry.node, &key.kind, key, entry.key_span),
            None => {
                let names: Vec<&str> = section.keys.iter().map(|k| k.name).collect();
                let help = match crate::cx::closest(&entry.key, names.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("{} takes {}", section.title, crate::cx::list(&names)),
                };
                let mut d = Diagnostic::error(code::SITE001, format!("{} has no key `{}`", section.title, entry.key));
                d = d.at(entry.key_span, "unknown key").help(help);
                cx.push(d);
            }
        }
    }
    for key in section.keys.iter().filter(|k| k.required && node.entry(k.name).is_none()) {
        cx.push(Diagnostic::error(code::SITE003, format!("{} needs `{}`", place(node, section), key.name)).at(cite, "").help(format!(
            "add `{}` ({})",
            key.example,
            key.what.trim_end_matches('.').to_lowercase()
        )));
    }
}

fn place(node: &Node, section: &Section) -> String {
    if node.path.is_empty() { section.title.to_owned() } else { format!("`{}`", node.path) }
}

fn value(cx: &mut Cx<'_>, node: &Node, kind: &Kind, key: &Key, cite: Span) {
    match (kind, &node.value) {
        (Kind::Text, Value::Text(_)) | (Kind::Bool, Value::Bool(_)) | (Kind::Foreign, Value::Table(_)) => {}
        // Dates may be written without quotes.
        (Kind::Text, Value::Date(_)) if key.name == "until" => {}
        (Kind::Int(low, high), Value::Int(n)) => {
            if n.is_none_or(|n| n < *low || n > *high) {
                cx.push(
                    Diagnostic::error(code::SITE008, format!("`{}` is outside {low} to {high}", node.path))
                        .at(node.span, "out of range")
                        .help(format!("write a number from {low} to {high}")),
                );
            }
        }
        (Kind::OneOf(words), Value::Text(t)) => {
            if !words.contains(&t.as_str()) {
                let help = match crate::cx::closest(t, words.iter().copied()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("use {}", crate::cx::choice(words)),
                };
                cx.push(Diagnostic::error(code::SITE004, format!("`{t}` is not a value of `{}`", node.path)).at(node.span, "").help(help));
            }
        }
        (Kind::Texts, Value::Text(_)) => {}
        (Kind::Texts, Value::List(items)) => {
            for item in items {
                value(cx, item, &Kind::Text, key, cite);
            }
        }
        (Kind::List(inner), Value::List(items)) => {
            for item in items {
                value(cx, item, inner, key, item.span);
            }
        }
        (Kind::Table(inner), Value::Table(_)) => section(cx, node, inner, cite),
        (Kind::Map(inner), Value::Table(entries)) => {
            for e in entries {
                value(cx, &e.node, inner, key, e.key_span);
            }
        }
        (Kind::Either(kinds), _) if kinds.iter().any(|k| fits(k, &node.value)) => {
            if let Some(inner) = kinds.iter().find(|k| fits(k, &node.value)) {
                value(cx, node, inner, key, cite);
            }
        }
        _ => cx.push(
            Diagnostic::error(code::SITE002, format!("`{}` must be {}, not {}", node.path, words_for(kind), node.type_word()))
                .at(node.span, format!("{} here", node.type_word()))
                .help(format!("for example `{}`", key.example)),
        ),
    }
}

/// Whether a value is of the TOML type a kind begins with.
fn fits(kind: &Kind, value: &Value) -> bool {
    match kind {
        Kind::Text | Kind::OneOf(_) => matches!(value, Value::Text(_)),
        Kind::Bool => matches!(value, Value::Bool(_)),
        Kind::Int(..) => matches!(value, Value::Int(_)),
        Kind::Texts => matches!(value, Value::Text(_) | Value::List(_)),
        Kind::List(_) => matches!(value, Value::List(_)),
        Kind::Table(_) | Kind::Map(_) | Kind::Foreign => matches!(value, Value::Table(_)),
        Kind::Either(kinds) => kinds.iter().any(|k| fits(k, value)),
    }
}

/// A kind in words; also used by the documentation.
pub fn words_for(kind: &Kind) -> String {
    match kind {
        Kind::Text => "a text".into(),
        Kind::Bool => "true or false".into(),
        Kind::Int(low, high) => format!("a number from {low} to {high}"),
        Kind::OneOf(words) => format!("one of {}", crate::cx::list(words)),
        Kind::Texts => "a text or a list of texts".into(),
        Kind::List(inner) => format!("a list, each item {}", words_for(inner)),
        Kind::Table(section) => format!("a table ({})", section.title),
        Kind::Map(inner) => format!("a table of names, each {}", words_for(inner)),
        Kind::Either(kinds) => kinds.iter().map(words_for).collect::<Vec<_>>().join(", or "),
        Kind::Foreign => "a table in the catalogue's form".into(),
    }
}
