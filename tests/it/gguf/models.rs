//! From metadata to typed facts: per layer where they vary, lenient about how converters write them.

use composegen::gguf::{
    Cache, DType, Experts, Finding, Latent, Model, ModelError, State, WindowKind,
};

use super::synthetic::{Synthetic, Value};
use super::{files, model, real};

const NONE: Cache = Cache { key: 0, value: 0, indexer_key: 0, indexer_value: 0 };

fn plain(architecture: &str, blocks: u32) -> Synthetic {
    let key = |key: &str| format!("{architecture}.{key}");
    Synthetic::new(architecture)
        .key(&key("block_count"), blocks)
        .key(&key("context_length"), 8192)
        .key(&key("embedding_length"), 512)
        .key(&key("attention.head_count"), 8)
        .key(&key("attention.head_count_kv"), 2)
        .key(&key("vocab_size"), 100)
        .tensor("output.weight", &[512, 100], DType::F16)
}

fn real_model(names: &[&str]) -> Model {
    let part = |(name, number): (&&str, u32)| {
        let header = composegen::gguf::read(&mut std::io::Cursor::new(real(name))).unwrap();
        ((*name).to_owned(), number, header)
    };
    let parts = names.iter().zip(1..).map(part).collect();
    Model::new(composegen::gguf::join(parts, Vec::new())).unwrap()
}

/// Where the caches are, as one character per layer: `A`ttention, `w`indowed, `r`ecurrent, `b`oth, `.` neither.
fn pattern(model: &Model) -> String {
    let letter = |layer: &composegen::gguf::Layer| match (layer.cache, layer.state) {
        (Some(_), Some(_)) => 'b',
        (None, Some(_)) => 'r',
        (Some(_), None) if layer.sliding => 'w',
        (Some(_), None) => 'A',
        (None, None) => '.',
    };
    model.layers.iter().map(letter).collect()
}

#[test]
fn gpt_oss_slides_in_every_other_layer() {
    let model = real_model(&["gpt-oss-20b.gguf"]);
    assert_eq!(pattern(&model), "wA".repeat(12));
    let window = model.window.as_ref().unwrap();
    assert_eq!((window.size, window.kind), (128, WindowKind::Standard));
    assert_eq!(model.layers[5].cache, Some(Cache { key: 512, value: 512, ..NONE }));
    let experts = Experts {
        count: 32,
        used: 4,
        feed_forward_length: 2880,
        shared_count: 0,
        shared_feed_forward_length: 0,
    };
    assert_eq!(model.experts, Some(experts));
    assert_eq!((model.vocabulary, model.context_length), (201_088, 131_072));
    assert!(!model.tied_embeddings());
}

#[test]
fn gemma3_attends_to_everything_in_every_sixth_layer_and_shares_its_embedding() {
    let model = real_model(&["gemma3-27b.gguf"]);
    assert_eq!(pattern(&model), format!("{}ww", "wwwwwA".repeat(10)));
    assert!(model.tied_embeddings());
    assert!(model.findings.contains(&Finding::TiedEmbeddings));
}

#[test]
fn qwen3next_keeps_a_state_in_three_of_four_layers() {
    let model = real_model(&[
        "qcn-ud6-00001-of-00003.gguf",
        "qcn-ud6-00002-of-00003.gguf",
        "qcn-ud6-00003-of-00003.gguf",
    ]);
    assert_eq!(pattern(&model), "rrrA".repeat(12));
    assert_eq!(model.layers[3].cache, Some(Cache { key: 512, value: 512, ..NONE }));
    // 3 taps of 4096 + 2 x 16 x 128 channels, and a 128 x 4096 matrix: 2.09375 MiB together, as measured.
    assert_eq!(model.layers[0].state, Some(State { conv: 24_576, ssm: 524_288 }));
}

#[test]
fn lists_per_layer_and_single_values_are_read_alike() {
    let heads = |value: Value| {
        let file = Synthetic::new("deci")
            .key("deci.block_count", 4)
            .key("deci.context_length", 8192)
            .key("deci.embedding_length", 512)
            .key("deci.attention.head_count", 8)
            .key("deci.attention.head_count_kv", value);
        model(&file)
    };
    let listed = heads(Value::I32s(vec![2, 0, 4, 2]));
    assert_eq!(pattern(&listed), "A.AA");
    assert_eq!(listed.layers[2].cache, Some(Cache { key: 256, value: 256, ..NONE }));
    assert_eq!(pattern(&heads(Value::U64(2))), "AAAA");
    assert_eq!(heads(Value::U8(2)).layers[0].kv_heads, 2);

    let short = heads(Value::U32s(vec![2, 2]));
    let key = "deci.attention.head_count_kv".to_owned();
    assert!(short.findings.contains(&Finding::WrongLength { key, expected: 4, found: 2 }));
}

#[test]
fn windows_follow_the_metadata_where_they_speak() {
    let windowed = |pattern: Option<Value>| {
        let mut file = plain("gpt-oss", 6).key("gpt-oss.attention.sliding_window", 64);
        if let Some(value) = pattern {
            file = file.key("gpt-oss.attention.sliding_window_pattern", value);
        }
        self::pattern(&model(&file))
    };
    assert_eq!(windowed(None), "wAwAwA");
    assert_eq!(windowed(Some(Value::U32(3))), "wwAwwA");
    assert_eq!(windowed(Some(Value::U32(0))), "wwwwww");
    let listed = Value::Bools(vec![false, true, true, false, false, true]);
    assert_eq!(windowed(Some(listed)), "AwwAAw");
    assert_eq!(pattern(&model(&plain("llama4", 8))), "wwwAwwwA", "llama4's window needs no key");
    let none = plain("llama4", 4).key("llama4.attention.sliding_window", 0);
    assert_eq!(pattern(&model(&none)), "AAAA");
    let first = plain("smallthinker", 8).key("smallthinker.attention.sliding_window", 1);
    assert_eq!(pattern(&model(&first)), "AwwwAwww");
    assert_eq!(model(&first).window.unwrap().size, 4096);
    assert_eq!(pattern(&model(&plain("exaone4", 30))), "A".repeat(30), "only the 32B slides");
}

#[test]
fn sliding_layers_may_have_other_heads() {
    let file = plain("gemma4", 4)
        .key("gemma4.attention.sliding_window", 512)
        .key(
            "gemma4.attention.sliding_window_pattern",
            Value::Bools(vec![true, false, true, false]),
        )
        .key("gemma4.attention.shared_kv_layers", 1)
        .key("gemma4.attention.key_length", 256)
        .key("gemma4.attention.value_length", 256)
        .key("gemma4.attention.key_length_swa", 128)
        .key("gemma4.attention.value_length_swa", 64);
    let model = model(&file);
    assert_eq!(pattern(&model), "wAw.", "the last layer uses another's cache");
    assert_eq!(model.layers[0].cache, Some(Cache { key: 256, value: 128, ..NONE }));
    assert_eq!(model.layers[1].cache, Some(Cache { key: 512, value: 512, ..NONE }));
}

#[test]
fn latent_attention_caches_keys_alone() {
    let latent = |architecture: &str| {
        let key = |key: &str| format!("{architecture}.attention.{key}");
        Synthetic::new(architecture)
            .key(&format!("{architecture}.block_count"), 4)
            .key(&format!("{architecture}.nextn_predict_layers"), 1)
            .key(&format!("{architecture}.context_length"), 163_840)
            .key(&format!("{architecture}.embedding_length"), 7168)
            .key(&key("head_count"), 128)
            .key(&key("head_count_kv"), 1)
            .key(&key("key_length"), 576)
            .key(&key("value_length"), 512)
            .key(&key("kv_lora_rank"), 512)
            .key(&key("key_length_mla"), 192)
            .key(&key("value_length_mla"), 128)
    };
    let deepseek = model(&latent("deepseek2"));
    assert_eq!(pattern(&deepseek), "AAA.");
    assert_eq!(deepseek.layers[0].cache, Some(Cache { key: 576, value: 0, ..NONE }));
    let expected = Latent { kv_lora_rank: 512, key_length: 192, value_length: 128 };
    assert_eq!(deepseek.latent, Some(expected));
    assert!(deepseek.findings.contains(&Finding::NextnBlocks { blocks: 1 }));

    let sparse = latent("glm-dsa").key("glm-dsa.attention.indexer.key_length", 128);
    let indexers = |model: &Model| -> Vec<u64> {
        model.layers.iter().filter_map(|layer| layer.cache).map(|cache| cache.indexer_key).collect()
    };
    assert_eq!(indexers(&model(&sparse)), [128, 128, 128]);
    let types = Value::Bools(vec![true, false, true]);
    let listed = sparse.key("glm-dsa.attention.indexer.types", types);
    assert_eq!(indexers(&model(&listed)), [128, 0, 128]);
}

#[test]
fn hybrids_are_told_by_their_heads() {
    let hybrid = |architecture: &str, kv_heads: &[u32], feed_forward: &[u32]| {
        let key = |key: &str| format!("{architecture}.{key}");
        let file = Synthetic::new(architecture)
            .key(&key("block_count"), u32::try_from(kv_heads.len()).unwrap())
            .key(&key("context_length"), 8192)
            .key(&key("embedding_length"), 512)
            .key(&key("attention.head_count"), 8)
            .key(&key("attention.head_count_kv"), kv_heads)
            .key(&key("feed_forward_length"), feed_forward)
            .key(&key("ssm.conv_kernel"), 4)
            .key(&key("ssm.inner_size"), 1024)
            .key(&key("ssm.state_size"), 16)
            .key(&key("ssm.group_count"), 1);
        model(&file)
    };
    let granite = hybrid("granitehybrid", &[0, 0, 2, 0], &[64; 4]);
    assert_eq!(pattern(&granite), "rrAr");
    assert_eq!(granite.layers[0].state, Some(State { conv: 3 * (1024 + 32), ssm: 16 * 1024 }));
    assert_eq!(pattern(&hybrid("nemotron_h", &[0, 0, 2, 0], &[0, 64, 0, 0])), "r.Ar");
    assert_eq!(pattern(&hybrid("falcon-h1", &[2; 2], &[64; 2])), "bb");

    let convolution = plain("lfm2moe", 1).key("lfm2moe.shortconv.l_cache", 3);
    assert_eq!(pattern(&model(&convolution)), "A");
    let rwkv = Synthetic::new("rwkv7")
        .key("rwkv7.block_count", 2)
        .key("rwkv7.context_length", 8192)
        .key("rwkv7.embedding_length", 512)
        .key("rwkv7.attention.head_count", 0)
        .key("rwkv7.wkv.head_size", 64);
    assert_eq!(pattern(&model(&rwkv)), "rr");
    assert_eq!(model(&rwkv).layers[1].state, Some(State { conv: 1024, ssm: 512 * 64 }));
}

#[test]
fn blocks_for_mtp_are_set_apart() {
    let file = plain("glm4moe", 3)
        .key("glm4moe.nextn_predict_layers", 1)
        .tensor("blk.0.attn_q.weight", &[512, 512], DType::F16)
        .tensor("blk.2.attn_q.weight", &[512, 512], DType::F16)
        .tensor("blk.2.nextn.eh_proj.weight", &[1024, 512], DType::F16);
    let model = model(&file);
    assert_eq!((model.block_count, model.trunk(), model.nextn), (3, 2, 1));
    assert_eq!(pattern(&model), "AA.");
    let skipped: Vec<bool> = model.tensors.iter().map(|tensor| model.is_nextn(tensor)).collect();
    assert_eq!(skipped, [false, false, true, true]);
}

#[test]
fn the_vocabulary_is_counted_where_it_is_listed() {
    let bare = Synthetic::new("llama")
        .key("llama.block_count", 1)
        .key("llama.context_length", 8192)
        .key("llama.embedding_length", 64)
        .tensor("token_embd.weight", &[64, 300], DType::F16);
    assert_eq!(model(&bare).vocabulary, 300);
    let sized = bare.key("llama.vocab_size", 200);
    assert_eq!(model(&sized).vocabulary, 200);
    let listed = sized.key("tokenizer.ggml.tokens", Value::Texts(vec![String::new(); 100]));
    assert_eq!(model(&listed).vocabulary, 100);
}

#[test]
fn what_is_odd_is_found() {
    let fused = plain("qwen3next", 4)
        .tensor("blk.0.ffn_gate_up_exps.weight", &[512, 64, 4], DType::F16)
        .tensor("blk.1.ffn_gate_up_exps.weight", &[512, 64, 4], DType::F16);
    assert!(model(&fused).findings.contains(&Finding::FusedGateUp { layers: 2 }));
    let separate = plain("llama", 4).tensor("blk.0.ffn_up.0.weight", &[512, 64], DType::F16);
    assert!(model(&separate).findings.contains(&Finding::SeparateExperts { tensors: 1 }));
    let unknown = model(&plain("brand-new", 2));
    let architecture = "brand-new".to_owned();
    assert!(unknown.findings.contains(&Finding::UnknownArchitecture { architecture }));
    assert_eq!(pattern(&unknown), "AA");
    let incomplete = Synthetic::new("llama").key("llama.block_count", 1);
    let key = "llama.embedding_length".to_owned();
    assert!(model(&incomplete).findings.contains(&Finding::MissingKey { key }));
}

#[test]
fn what_is_no_language_model_is_refused() {
    let refused = |file: &Synthetic| Model::new(files(file)).unwrap_err();
    assert_eq!(refused(&Synthetic::bare()), ModelError::NoArchitecture);
    assert_eq!(refused(&Synthetic::new("clip")), ModelError::NotAModel("clip".into()));
    for blocks in [0, 513, u32::MAX] {
        let file = Synthetic::new("llama").key("llama.block_count", blocks);
        assert!(matches!(refused(&file), ModelError::Blocks { .. }), "{blocks}");
    }
}
