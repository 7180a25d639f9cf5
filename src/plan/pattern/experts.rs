//! llama.cpp's own patterns: what `--cpu-moe` and its relatives append to the overrides.

use super::Override;

/// Routed experts: gate, up, down, the fused gate and up, and the chunked ones of grovemoe; never a shared expert or a
/// router. From `common.h` of b11434.
pub const EXPERTS: &str = r"\.ffn_(up|down|gate|gate_up)_(ch|)exps";

/// `--cpu-moe`: the routed experts of every layer.
pub fn cpu_moe() -> Override {
    Override::sayable(EXPERTS, "CPU")
}

/// `--n-cpu-moe N`: the routed experts of layers 0 to N-1, one rule each.
pub fn n_cpu_moe(layers: u32) -> Vec<Override> {
    (0..layers).map(|layer| Override::sayable(format!(r"blk\.{layer}{EXPERTS}"), "CPU")).collect()
}

/// `--n-cpu-ffn N`: the dense feed-forward of layers 0 to N-1, one rule each.
pub fn n_cpu_ffn(layers: u32) -> Vec<Override> {
    let pattern = |layer| format!(r"blk\.{layer}\.ffn_(up|down|gate)\.");
    (0..layers).map(|layer| Override::sayable(pattern(layer), "CPU")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Matcher;
    use super::{EXPERTS, n_cpu_ffn, n_cpu_moe};

    #[test]
    fn takes_routed_experts_and_nothing_else() {
        let experts = Matcher::new(EXPERTS).unwrap();
        for (name, routed) in [
            ("blk.3.ffn_gate_up_exps.weight", true),
            ("blk.3.ffn_down_exps.bias", true),
            ("blk.3.ffn_up_chexps.weight", true),
            ("blk.3.ffn_up_shexp.weight", false),
            ("blk.3.ffn_gate_inp.weight", false),
            ("blk.3.ffn_gate_inp_shexp.weight", false),
            ("blk.3.ffn_norm_exps.weight", false),
            ("blk.3.ffn_up.weight", false),
        ] {
            assert_eq!(experts.is_match(name), Ok(routed), "{name}");
        }
    }

    #[test]
    fn counts_from_the_first_layer() {
        let texts =
            |rules: Vec<super::Override>| rules.iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(
            texts(n_cpu_moe(2)),
            [
                r"blk\.0\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU",
                r"blk\.1\.ffn_(up|down|gate|gate_up)_(ch|)exps=CPU"
            ]
        );
        assert_eq!(texts(n_cpu_ffn(1)), [r"blk\.0\.ffn_(up|down|gate)\.=CPU"]);
        assert!(n_cpu_moe(0).is_empty());
    }
}
