//! The JSON Schema of a preset, for completion and checks in editors.

use serde_json::{Map, Value as Json, json};

use super::{Head, record};
use crate::table::{Table, schema};

/// Draft 2020-12, pretty printed, one trailing newline.
pub fn text() -> String {
    let mut properties: Map<String, Json> =
        Head::KEYS.iter().map(|key| (key.name.to_owned(), schema::of_key(key))).collect();
    for (name, table) in tables() {
        properties.insert(name.to_owned(), table);
    }
    schema::document("composegen preset", "One strategy of serving one model.", &properties)
}

fn tables() -> Vec<(&'static str, Json)> {
    let list = |items: Json| json!({ "type": "array", "items": items });
    vec![
        ("model", schema::object::<super::model::Model>()),
        ("context", schema::object::<super::context::Context>()),
        (
            "placement",
            json!({ "anyOf": [schema::object::<super::placement::Placement>(), { "const": "auto" }] }),
        ),
        ("batching", schema::object::<super::batching::Batching>()),
        ("sampling", schema::object::<super::sampling::Sampling>()),
        ("chat", schema::object::<super::chat::Chat>()),
        ("speculative", schema::object::<super::speculative::Speculative>()),
        ("server", schema::object::<super::server::Server>()),
        ("image", schema::object::<super::image::Image>()),
        ("container", schema::object::<super::container::Container>()),
        ("measured", list(schema::object::<record::Measured>())),
        ("attempt", list(schema::object::<record::Attempt>())),
    ]
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_table_that_parse_reads_is_in_the_schema() {
        let names: Vec<_> = super::tables().into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, crate::preset::parse::TABLES);
    }
}
