//! Caches against what llama-server b11434 reported for small models of many architectures (its dry run, one GPU,
//! one slot, ubatch 512, flash attention): 524,288 tokens with f16 keys and values, 262,144 with `q8_0`.

use composegen::gguf::{DType, Finding, Model};
use serde_json::Value as Json;

use super::model;
use super::synthetic::{Synthetic, Value};

const UBATCH: u64 = 512;

/// One row per line: architecture, metadata keys without the architecture, context in whole MiB (cut off).
const MEASURED: &str = include_str!("measured.jsonl");

fn value(json: &Json) -> Value {
    let int = |json: &Json| i32::try_from(json.as_i64().unwrap()).unwrap();
    match json {
        Json::Bool(on) => Value::Bool(*on),
        Json::Number(_) => Value::U32(json.as_u64().unwrap().try_into().unwrap()),
        Json::Array(list) if list[0].is_boolean() => {
            Value::Bools(list.iter().map(|on| on.as_bool().unwrap()).collect())
        }
        Json::Array(list) => Value::I32s(list.iter().map(int).collect()),
        other => panic!("{other}"),
    }
}

fn context_mib(model: &Model, dtype: DType, tokens: u64) -> u64 {
    let window = model.window.as_ref().map_or(0, |window| window.size);
    // As llama_kv_cache_iswa: the window and a batch, in whole blocks of 256.
    let in_window = tokens.min(window + UBATCH).next_multiple_of(256);
    let bytes: u64 = model
        .layers
        .iter()
        .map(|layer| {
            let cells = if layer.sliding { in_window } else { tokens };
            let cache = layer.cache.map_or(0, |cache| {
                [cache.key, cache.value, cache.indexer_key, cache.indexer_value]
                    .map(|row| dtype.row_bytes(row).unwrap())
                    .iter()
                    .sum()
            });
            cells * cache + layer.state.map_or(0, |state| 4 * (state.conv + state.ssm))
        })
        .sum();
    bytes >> 20
}

#[test]
fn caches_are_what_llama_server_allocates() {
    let mut wrong = Vec::new();
    let mut architectures = std::collections::BTreeSet::new();
    for line in MEASURED.lines() {
        let row: Json = serde_json::from_str(line).unwrap();
        let architecture = row["architecture"].as_str().unwrap();
        let mut file = Synthetic::new(architecture);
        for (key, json) in row["keys"].as_object().unwrap() {
            file = file.key(&format!("{architecture}.{key}"), value(json));
        }
        let model = model(&file);
        let unknown = |finding: &Finding| matches!(finding, Finding::UnknownArchitecture { .. });
        assert!(!model.findings.iter().any(unknown), "{architecture} is measured and not known");
        let f16 = context_mib(&model, DType::F16, 524_288);
        let q8 = context_mib(&model, DType::Q8_0, 262_144);
        if (Some(f16), Some(q8)) != (row["f16"].as_u64(), row["q8_0"].as_u64()) {
            wrong.push(format!("{f16} and {q8} MiB: {line}"));
        }
        architectures.insert(architecture.to_owned());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(architectures.len() >= 60, "{} architectures", architectures.len());
}
