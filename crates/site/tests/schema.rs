//! The schema accepts what the reader accepts, and refuses wrong structure. The checker here knows exactly the words the
//! schema uses, and fails on any other.

use serde_json::{Value, json};

fn valid(schema: &Value, value: &Value) -> bool {
    let object = schema.as_object().expect("a schema is an object");
    object.iter().all(|(word, rule)| match word.as_str() {
        "type" => match rule.as_str().expect("type") {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64(),
            other => panic!("unknown type {other}"),
        },
        "properties" => rule.as_object().expect("properties").iter().all(|(k, s)| value.get(k).is_none_or(|v| valid(s, v))),
        "required" => rule.as_array().expect("required").iter().all(|k| value.get(k.as_str().expect("name")).is_some()),
        "additionalProperties" => {
            let known = schema.get("properties").and_then(Value::as_object);
            let others = value.as_object().into_iter().flatten().filter(|(k, _)| known.is_none_or(|p| !p.contains_key(*k)));
            others.into_iter().all(|(_, v)| if rule == &json!(false) { false } else { valid(rule, v) })
        }
        "items" => value.as_array().is_none_or(|a| a.iter().all(|v| valid(rule, v))),
        "enum" => rule.as_array().expect("enum").contains(value),
        "anyOf" => rule.as_array().expect("anyOf").iter().any(|s| valid(s, value)),
        "minimum" => value.as_i64().is_none_or(|n| n >= rule.as_i64().expect("minimum")),
        "maximum" => value.as_i64().is_none_or(|n| n <= rule.as_i64().expect("maximum")),
        "description" | "examples" | "title" | "$schema" | "format" => true,
        other => panic!("the schema uses `{other}`, which this test does not know"),
    })
}

fn json_of(text: &str) -> Option<Value> {
    text.parse::<toml::Table>().ok().and_then(|t| serde_json::to_value(t).ok())
}

#[test]
fn the_examples_fit() {
    let schema = site::schema();
    for name in ["small", "single-host", "curio-cluster"] {
        let path = format!("{}/../../examples/{name}/site.toml", env!("CARGO_MANIFEST_DIR"));
        let text = std::fs::read_to_string(path).expect("example");
        assert!(valid(&schema, &json_of(&text).expect("TOML")), "{name}");
    }
    assert!(valid(&schema, &json_of(&site::generate(100, 1)).expect("TOML")));
}

#[test]
fn wrong_structure_does_not_fit_and_right_structure_does() {
    let schema = site::schema();
    let dir = format!("{}/tests/wrong", env!("CARGO_MANIFEST_DIR"));
    let (mut refused, mut passed) = (0, 0);
    for case in std::fs::read_dir(dir).expect("cases") {
        let case = case.expect("entry").path();
        let text = std::fs::read_to_string(case.join("site.toml")).expect("file");
        let Some(value) = json_of(&text) else { continue };
        let source = words::SourceFile::new("site.toml", text.clone());
        let structural = site::read(&source, "2026-11-22").diagnostics.iter().any(|d| match d.code.0 {
            "SITE001" | "SITE002" | "SITE004" | "SITE008" => true,
            // Some keys are required by what another key says; that is beyond a schema.
            "SITE003" => d.message.contains(" needs `") && !d.message.contains("`service` or"),
            _ => false,
        });
        // A bare date is an object in serde's view of TOML, not a JSON value.
        if text.contains("until   = 2026") {
            continue;
        }
        assert_eq!(valid(&schema, &value), !structural, "{}", case.display());
        if structural { refused += 1 } else { passed += 1 }
    }
    assert!(refused >= 8 && passed >= 40, "{refused} {passed}");
}
