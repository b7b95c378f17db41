//! As much of JSON Schema 2020-12 as `openapi/events/` uses; a keyword that it does not know is an
//! error, so that no schema says more than is checked.

use serde_json::Value;

const SILENT: [&str; 4] = ["$schema", "$id", "title", "description"];

/// What of `value` the schema does not allow.
pub fn errors(schema: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(schema, value, "", &mut found);
    found
}

fn check(schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    for (keyword, wanted) in schema.as_object().expect("a schema is an object") {
        let fits = match keyword.as_str() {
            "type" => has_type(wanted.as_str().unwrap(), value),
            "enum" => wanted.as_array().unwrap().contains(value),
            "minimum" => value.as_i64().is_none_or(|number| number >= wanted.as_i64().unwrap()),
            "maximum" => value.as_i64().is_none_or(|number| number <= wanted.as_i64().unwrap()),
            "minLength" => length(value).is_none_or(|length| length >= wanted.as_u64().unwrap()),
            "maxLength" => length(value).is_none_or(|length| length <= wanted.as_u64().unwrap()),
            "minItems" => items(value).is_none_or(|items| items >= wanted.as_u64().unwrap()),
            "maxItems" => items(value).is_none_or(|items| items <= wanted.as_u64().unwrap()),
            "format" => has_format(wanted.as_str().unwrap(), value),
            "required" => {
                let has = |name: &Value| value.get(name.as_str().unwrap()).is_some();
                wanted.as_array().unwrap().iter().all(has)
            }
            "items" => {
                for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                    check(wanted, item, &format!("{at}/{index}"), found);
                }
                true
            }
            "properties" => {
                for (name, schema) in wanted.as_object().unwrap() {
                    if let Some(member) = value.get(name) {
                        check(schema, member, &format!("{at}/{name}"), found);
                    }
                }
                true
            }
            "additionalProperties" => additional(schema, wanted, value, at, found),
            other if SILENT.contains(&other) => true,
            other => panic!("the keyword {other} is not checked"),
        };
        if !fits {
            found.push(format!("{at}: {keyword} {wanted}"));
        }
    }
}

fn additional(
    schema: &Value,
    wanted: &Value,
    value: &Value,
    at: &str,
    found: &mut Vec<String>,
) -> bool {
    let known = |name: &str| schema.pointer("/properties").is_some_and(|it| it.get(name).is_some());
    let members = value.as_object().into_iter().flatten();
    let more: Vec<_> = members.filter(|(name, _)| !known(name)).collect();
    if wanted == &Value::Bool(false) {
        return more.is_empty();
    }
    for (name, member) in more {
        check(wanted, member, &format!("{at}/{name}"), found);
    }
    true
}

fn has_type(wanted: &str, value: &Value) -> bool {
    match wanted {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        other => panic!("the type {other} is not checked"),
    }
}

fn has_format(wanted: &str, value: &Value) -> bool {
    let Some(text) = value.as_str() else { return true };
    match wanted {
        "uuid" => uuid::Uuid::parse_str(text).is_ok(),
        "date-time" => chrono::DateTime::parse_from_rfc3339(text).is_ok(),
        other => panic!("the format {other} is not checked"),
    }
}

fn length(value: &Value) -> Option<u64> {
    value.as_str().map(|text| u64::try_from(text.chars().count()).unwrap())
}

fn items(value: &Value) -> Option<u64> {
    value.as_array().map(|items| u64::try_from(items.len()).unwrap())
}

#[test]
fn it_finds_what_does_not_fit() {
    let schema = serde_json::json!({
        "type": "object",
        "properties": {
            "n": { "type": "integer", "minimum": 1, "maximum": 2 },
            "id": { "type": "string", "format": "uuid", "minLength": 1, "maxLength": 36 },
            "at": { "type": "string", "format": "date-time" },
            "list": { "type": "array", "minItems": 1, "maxItems": 2, "items": { "enum": ["a"] } },
        },
        "required": ["n"],
        "additionalProperties": false,
    });
    let good = serde_json::json!({ "n": 1, "list": ["a"] });
    assert!(errors(&schema, &good).is_empty());
    for bad in [
        serde_json::json!([]),
        serde_json::json!({}),
        serde_json::json!({ "n": 0 }),
        serde_json::json!({ "n": 3 }),
        serde_json::json!({ "n": 1.5 }),
        serde_json::json!({ "n": 1, "id": "x" }),
        serde_json::json!({ "n": 1, "at": "yesterday" }),
        serde_json::json!({ "n": 1, "list": [] }),
        serde_json::json!({ "n": 1, "list": ["b"] }),
        serde_json::json!({ "n": 1, "list": ["a", "a", "a"] }),
        serde_json::json!({ "n": 1, "more": 1 }),
    ] {
        assert!(!errors(&schema, &bad).is_empty(), "{bad}");
    }
}
