//! The JSON Schema of a hardware file.

use serde_json::{Map, Value as Json, json};

use super::parse::{CpuTable, GpuTable, Head, RamTable, SpeedTable};
use crate::table::{Table, schema};

/// Draft 2020-12, pretty printed, one trailing newline.
pub fn text() -> String {
    let mut properties: Map<String, Json> =
        Head::KEYS.iter().map(|key| (key.name.to_owned(), schema::of_key(key))).collect();
    properties
        .insert("gpu".into(), json!({ "type": "array", "items": schema::object::<GpuTable>() }));
    properties.insert("cpu".into(), schema::object::<CpuTable>());
    properties.insert("ram".into(), schema::object::<RamTable>());
    properties.insert("speed".into(), schema::object::<SpeedTable>());
    schema::document("composegen hardware", "A machine that models are placed on.", &properties)
}
