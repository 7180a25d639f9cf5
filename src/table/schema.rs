//! The JSON Schema (draft 2020-12) of tables, from the same rows that read them.

use serde_json::{Map, Value as Json, json};

use super::{Key, Kind, Table};

/// An object that knows its keys and allows no other.
pub fn object<T: Table>() -> Json {
    closed(T::DOC, &T::KEYS.iter().map(|key| (key.name.to_owned(), of_key(key))).collect())
}

/// An object with the given properties and no others.
pub fn closed(doc: &str, properties: &Map<String, Json>) -> Json {
    json!({
        "description": doc.trim(),
        "type": "object",
        "additionalProperties": false,
        "properties": properties,
    })
}

/// A whole schema file, pretty printed with one trailing newline.
pub fn document(title: &str, doc: &str, properties: &Map<String, Json>) -> String {
    let mut root = closed(doc, properties);
    if let Json::Object(map) = &mut root {
        map.insert("$schema".to_owned(), "https://json-schema.org/draft/2020-12/schema".into());
        map.insert("title".to_owned(), title.into());
    }
    let mut text = serde_json::to_string_pretty(&root).unwrap_or_default();
    text.push('\n');
    text
}

pub fn of_key(key: &Key) -> Json {
    let mut schema = of_kind(key.kind, key.range);
    if let Json::Object(map) = &mut schema {
        let doc = match key.emit {
            Some(emit) => format!("{} ({})", key.doc.trim(), emit.on),
            None => key.doc.trim().to_owned(),
        };
        map.insert("description".to_owned(), doc.into());
    }
    schema
}

fn of_kind(kind: Kind, range: Option<(f64, f64)>) -> Json {
    let number = |name: &str| match range {
        Some((low, high)) => json!({ "type": name, "minimum": short(low), "maximum": short(high) }),
        None => json!({ "type": name }),
    };
    match kind {
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer => number("integer"),
        Kind::Number => number("number"),
        Kind::Text => json!({ "type": "string" }),
        Kind::Choice(words) => json!({ "type": "string", "enum": words }),
        Kind::IntegerOr(words) => json!({ "anyOf": [number("integer"), { "enum": words }] }),
        Kind::Texts => json!({ "type": "array", "items": { "type": "string" } }),
        Kind::Integers => json!({ "type": "array", "items": number("integer") }),
        Kind::IntegersOr(words) => {
            let item = json!({ "anyOf": [number("integer"), { "enum": words }] });
            json!({ "type": "array", "items": item })
        }
        Kind::Numbers => json!({ "type": "array", "items": number("number") }),
        Kind::Groups => {
            json!({ "type": "array", "items": { "type": "array", "items": number("integer") } })
        }
        Kind::Free => json!({ "type": "object" }),
    }
}

/// Whole numbers without a decimal point, as a person writes a bound.
fn short(number: f64) -> Json {
    #[expect(clippy::cast_possible_truncation, reason = "the bounds are small whole numbers")]
    if number.fract() == 0.0 { json!(number as i64) } else { json!(number) }
}
