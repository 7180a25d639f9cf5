//! `[sampling]`: defaults for requests that do not say otherwise.

use crate::table::{Number, table};

table! {
    /// Sampling defaults; a request can override each of them.
    pub struct Sampling {
        /// Temperature.
        temp: Number, 0.0 ..= 100.0 => "--temp";
        /// Keep the K likeliest tokens; 0 is off.
        top_k: i64, 0 ..= 1_000_000 => "--top-k";
        /// Keep the likeliest tokens up to this probability; 1.0 is off.
        top_p: Number, 0.0 ..= 1.0 => "--top-p";
        /// Drop tokens below this share of the likeliest; 0 is off.
        min_p: Number, 0.0 ..= 1.0 => "--min-p";
        /// Penalty for tokens that occurred at all.
        presence_penalty: Number, -10.0 ..= 10.0 => "--presence-penalty";
        /// Penalty per occurrence.
        frequency_penalty: Number, -10.0 ..= 10.0 => "--frequency-penalty";
        /// Factor against repetition; 1.0 is off.
        repeat_penalty: Number, 0.0 ..= 10.0 => "--repeat-penalty";
        /// Tokens to look back for repetition; 0 is off, -1 the whole context.
        repeat_last_n: i64, -1 ..= 16_777_216 => "--repeat-last-n";
        /// Seed; -1 draws one.
        seed: i64, -1 ..= 4_294_967_295.0 => "--seed";
        /// Samplers in order, separated by `;`.
        samplers: String => "--samplers";
        /// Locally typical sampling; 1.0 is off.
        typical_p: Number, 0.0 ..= 1.0 => "--typical-p";
        /// Top-n-sigma; -1 is off.
        top_n_sigma: Number, -1.0 ..= 100.0 => "--top-n-sigma";
        /// XTC probability.
        xtc_probability: Number, 0.0 ..= 1.0 => "--xtc-probability";
        /// XTC threshold.
        xtc_threshold: Number, 0.0 ..= 1.0 => "--xtc-threshold";
        /// DRY multiplier; 0 is off.
        dry_multiplier: Number, 0.0 ..= 100.0 => "--dry-multiplier";
        /// DRY base.
        dry_base: Number, 0.0 ..= 100.0 => "--dry-base";
        /// DRY: repetition that is still allowed, in tokens.
        dry_allowed_length: i64, 0 ..= 1_000_000 => "--dry-allowed-length";
        /// DRY: tokens to look back; -1 the whole context.
        dry_penalty_last_n: i64, -1 ..= 16_777_216 => "--dry-penalty-last-n";
        /// Range of the dynamic temperature; 0 is off.
        dynatemp_range: Number, 0.0 ..= 100.0 => "--dynatemp-range";
        /// Exponent of the dynamic temperature.
        dynatemp_exp: Number, 0.0 ..= 100.0 => "--dynatemp-exp";
        /// Mirostat: 0, 1 or 2.
        mirostat: i64, 0 ..= 2 => "--mirostat";
        /// Mirostat's learning rate.
        mirostat_lr: Number, 0.0 ..= 10.0 => "--mirostat-lr";
        /// Mirostat's target entropy.
        mirostat_ent: Number, 0.0 ..= 100.0 => "--mirostat-ent";
        /// Generate on after the end-of-text token.
        ignore_eos: bool => "--ignore-eos";
        /// Sample on the GPU.
        backend_sampling: bool => "--backend-sampling";
    }
}
