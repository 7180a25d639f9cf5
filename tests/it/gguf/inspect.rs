//! The report on a model: what it adds up to, what it looks like, and what it does not let through.

use std::io::Cursor;

use composegen::gguf::{DType, Finding, Inspection, Model, Role, inspect, join, read};
use composegen::units::Bytes;

use super::synthetic::Synthetic;
use super::{model, real};

fn report(names: &[&str]) -> Inspection {
    let parts = names.iter().zip(1..).map(|(name, number)| {
        ((*name).to_owned(), number, read(&mut Cursor::new(real(name))).unwrap())
    });
    inspect(&Model::new(join(parts.collect(), Vec::new())).unwrap())
}

const SPLIT: [&str; 3] =
    ["qcn-ud6-00001-of-00003.gguf", "qcn-ud6-00002-of-00003.gguf", "qcn-ud6-00003-of-00003.gguf"];

#[test]
fn reports_look_like_this() {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/snapshots/gguf"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| {
        insta::assert_snapshot!("qcn-ud6", report(&SPLIT));
        insta::assert_snapshot!("gemma3-27b", report(&["gemma3-27b.gguf"]));
        insta::assert_snapshot!("gpt-oss-20b", report(&["gpt-oss-20b.gguf"]));
        let json = serde_json::to_string_pretty(&report(&["gpt-oss-20b.gguf"])).unwrap();
        insta::assert_snapshot!("gpt-oss-20b.json", json);
    });
}

#[test]
fn every_byte_is_counted_once_each_way() {
    for names in [&SPLIT[..], &["gemma3-27b.gguf"], &["gpt-oss-20b.gguf"], &["qwen3moe-30b.gguf"]] {
        let report = report(names);
        let by_role: Bytes = report.quantization.iter().map(|role| role.bytes).sum();
        assert_eq!(by_role, report.bytes, "{names:?}");
        let types = report.quantization.iter().flat_map(|role| &role.types);
        assert_eq!(types.map(|share| share.tensors).sum::<usize>(), report.tensors);
        let layers =
            report.layers.iter().map(|group| Bytes(group.bytes.0 * group.layers.len() as u64));
        let outside = report.outside.iter().map(|each| each.bytes);
        assert_eq!(layers.chain(outside).sum::<Bytes>(), report.bytes, "{names:?}");
        let mut numbers: Vec<u32> =
            report.layers.iter().flat_map(|group| group.layers.clone()).collect();
        numbers.sort_unstable();
        assert!(numbers.into_iter().eq(0..report.block_count));
    }
}

/// The figures of llama.cpp's own log for this model.
#[test]
fn caches_cost_what_llama_cpp_allocates() {
    let caches = report(&SPLIT).caches;
    let at_256k: Vec<f64> =
        caches.types.iter().map(|size| size.at_full_context.unwrap().mib()).collect();
    assert_eq!(at_256k, [6144.0, 3264.0, 1728.0]);
    assert_eq!((caches.full_layers, caches.window_layers, caches.recurrent_layers), (12, 0, 36));
    assert_eq!(caches.state_per_slot, Bytes(79_036_416));
}

#[test]
fn a_token_reads_the_experts_that_are_picked() {
    let file = Synthetic::new("qwen3moe")
        .keys(&[
            ("qwen3moe.block_count", 1u32),
            ("qwen3moe.context_length", 1024),
            ("qwen3moe.embedding_length", 64),
            ("qwen3moe.expert_count", 8),
            ("qwen3moe.expert_used_count", 2),
        ])
        .tensor("token_embd.weight", &[64, 1000], DType::F16)
        .tensor("output.weight", &[64, 1000], DType::F16)
        .tensor("blk.0.ffn_up_exps.weight", &[64, 64, 8], DType::F16);
    let report = inspect(&model(&file));
    assert_eq!(report.bytes_per_token, Some(Bytes(128_000 + 2 * 64 * 64 * 2)));
    assert_eq!(report.quantization[0].role, Role::Embedding);
}

#[test]
fn texts_of_the_file_cannot_steer_the_terminal() {
    let evil = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{202e}";
    let file = Synthetic::new(evil)
        .key("general.name", evil)
        .keys(&[(format!("{evil}.block_count").as_str(), 1u32)])
        .raw_tensor(evil, &[8], DType(99), 32);
    let report = inspect(&model(&file));
    let unknown = |finding: &Finding| matches!(finding, Finding::UnknownType { .. });
    assert!(report.odd.iter().any(unknown));
    let shown = report.to_string();
    assert!(
        shown.contains("owned") && !shown.contains(['\u{1b}', '\u{7}', '\u{202e}']),
        "{shown:?}"
    );
}
