//! The JSON Schema of a cluster file.

use serde_json::{Map, Value as Json, json};

use super::parse::{Head, HostTable, LinkTable};
use crate::hardware::parse::{CpuTable, GpuTable, RamTable, SpeedTable};
use crate::table::{Table, schema};

/// Draft 2020-12, pretty printed, one trailing newline.
pub fn text() -> String {
    let list = |items: Json| json!({ "type": "array", "items": items });
    let keys = |keys: &[crate::table::Key]| -> Map<String, Json> {
        keys.iter().map(|key| (key.name.to_owned(), schema::of_key(key))).collect()
    };
    let mut host = keys(HostTable::KEYS);
    host.insert("gpu".to_owned(), list(schema::object::<GpuTable>()));
    host.insert("cpu".to_owned(), schema::object::<CpuTable>());
    host.insert("ram".to_owned(), schema::object::<RamTable>());
    host.insert("speed".to_owned(), schema::object::<SpeedTable>());
    let mut properties = keys(Head::KEYS);
    properties.insert("host".to_owned(), list(schema::closed(HostTable::DOC, &host)));
    properties.insert("link".to_owned(), list(schema::object::<LinkTable>()));
    schema::document(
        "composegen cluster",
        "Machines that one model is split over, and what lies between them.",
        &properties,
    )
}
