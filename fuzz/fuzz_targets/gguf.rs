//! Any bytes, as one file of a model: read, joined, turned into a model, reported, estimated. Nothing may panic or grow.
#![no_main]

use std::io::Cursor;

use composegen::gguf::{Model, inspect, join, read};
use composegen::hardware::known;
use composegen::plan::memory::{Request, estimate};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(header) = read(&mut Cursor::new(bytes)) else { return };
    let Ok(model) = Model::new(join(vec![("fuzzed.gguf".to_owned(), 1, header)], Vec::new())) else {
        return;
    };
    assert!(!inspect(&model).to_string().is_empty());
    if let Ok(card) = known("RTX 4090") {
        // An error is an answer.
        let _ = estimate(&model, &[card.gpu()], &Request::default());
    }
});
