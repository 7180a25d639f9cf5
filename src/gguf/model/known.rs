//! The architectures whose caches follow rules that this module has.

/// Plain attention in every layer, or what `window`, `state` and `layer` say about the architecture.
///
/// Absent on purpose, because llama.cpp gives them caches of their own making: `deepseek4`, `dots3note`, `glm5-next`,
/// `hy_v4`, `nanbeige`, `qwen4exp`, and the encoders and decoders that are no chat models.
const KNOWN: &str = "\
    afmoe apertus arcee arctic arwkv7 baichuan bailingmoe bailingmoe2 bailingmoe3 bitnet bloom \
    chameleon chatglm codeshell cogvlm cohere2 cohere2moe command-r dbrx deci deepseek deepseek2 \
    deepseek32 dots1 ernie4_5 ernie4_5-moe exaone exaone-moe exaone4 falcon falcon-h1 gemma gemma2 \
    gemma3 gemma3n gemma4 glm-dsa glm4 glm4moe gpt-oss gpt2 gptneox granite granite_swa \
    granitehybrid granitemoe grok grovemoe hunyuan-dense hunyuan-moe hy_v3 internlm2 jais jais2 \
    jamba kimi-k3 kimi-linear laguna lfm2 lfm2moe llama llama4 mamba mamba2 maple mellum mimo2 \
    minicpm minicpm3 minimax-01 minimax-m2 minimax-m3 mistral3 mistral4 mpt muse-glimmer nemotron \
    nemotron_h nemotron_h_moe olmo olmo2 olmoe openelm orion paddleocr pangu-embedded phi2 phi3 \
    phimoe plamo plamo2 plamo3 plm qwen qwen2 qwen2moe qwen2vl qwen3 qwen35 qwen35moe qwen3moe \
    qwen3next qwen3vl qwen3vlmoe refact rwkv6 rwkv6qwen2 rwkv7 seed_oss smallthinker smollm3 \
    spark2_5 stablelm starcoder starcoder2 step35 talkie xverse";

pub(super) fn is_known(architecture: &str) -> bool {
    KNOWN.split(' ').filter(|known| !known.is_empty()).any(|known| known == architecture)
}

#[cfg(test)]
mod tests {
    use super::{KNOWN, is_known};

    #[test]
    fn names_are_found_whole() {
        assert!(is_known("gpt-oss") && is_known("afmoe") && is_known("xverse"));
        assert!(!is_known("deepseek4") && !is_known("") && !is_known("gpt"));
        assert!(KNOWN.split_whitespace().is_sorted());
    }
}
