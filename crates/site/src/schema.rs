//! JSON Schema for editors: in comes the table of keys, out comes a schema (2020-12) that completes and checks the site
//! file's structure. What needs the whole file (names, addresses, flows) is `check`'s.

use crate::syntax::{Kind, Section, keys};
use serde_json::{Map, Value, json};

/// The schema of the site file.
pub fn schema() -> Value {
    let mut out = section(&keys::ROOT);
    if let Some(top) = out.as_object_mut() {
        top.insert("$schema".into(), json!("https://json-schema.org/draft/2020-12/schema"));
        top.insert("title".into(), json!("Ravelin site file"));
    }
    out
}

fn section(s: &Section) -> Value {
    let mut properties = Map::new();
    for key in s.keys {
        let mut value = kind(&key.kind);
        if let Some(object) = value.as_object_mut() {
            object.insert("description".into(), json!(key.what));
            object.insert("examples".into(), json!([key.example]));
            // Dates are texts in TOML's JSON view as well as bare dates.
            if key.name == "until" {
                object.insert("format".into(), json!("date"));
            }
        }
        properties.insert(key.name.to_owned(), value);
    }
    let required: Vec<&str> = s.keys.iter().filter(|k| k.required).map(|k| k.name).collect();
    json!({ "type": "object", "description": s.what, "properties": properties, "required": required, "additionalProperties": false })
}

fn kind(k: &Kind) -> Value {
    match k {
        Kind::Text => json!({ "type": "string" }),
        Kind::Bool => json!({ "type": "boolean" }),
        Kind::Int(low, high) => json!({ "type": "integer", "minimum": low, "maximum": high }),
        Kind::OneOf(words) => json!({ "type": "string", "enum": words }),
        Kind::Texts => json!({ "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }] }),
        Kind::List(inner) => json!({ "type": "array", "items": kind(inner) }),
        Kind::Table(s) => section(s),
        Kind::Map(inner) => json!({ "type": "object", "additionalProperties": kind(inner) }),
        Kind::Either(kinds) => json!({ "anyOf": kinds.iter().map(kind).collect::<Vec<_>>() }),
        Kind::Foreign => json!({ "type": "object" }),
    }
}
