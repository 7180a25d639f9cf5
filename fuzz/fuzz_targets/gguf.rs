//! Any bytes, as one file of a model: read, joined, turned into a model, reported. Nothing may panic or grow.
#![no_main]

use std::io::Cursor;

use composegen::gguf::{Model, inspect, join, read};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = read(&mut Cursor::new(bytes)) else { return };
    let Ok(model) = Model::new(join(vec![("fuzzed.gguf".to_owned(), 1, header)], Vec::new())) else {
        return;
    };
    assert!(!inspect(&model).to_string().is_empty());
});
