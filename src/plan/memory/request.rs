//! What the server is started with, as far as it decides memory: llama-server's flags, typed.

use std::str::FromStr;
use std::sync::Arc;

use super::rule::Override;
use crate::gguf::DType;
use crate::profile::Profile;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GpuLayers {
    /// `auto` and `all`, and any negative number: every block and the output.
    All,
    Count(u32),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SplitMode {
    /// Everything on the main GPU.
    None,
    #[default]
    Layer,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlashAttention {
    On,
    Off,
    #[default]
    Auto,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LoadMode {
    /// Host weights are mapped from the file.
    #[default]
    Mmap,
    /// Host weights are read into pinned memory.
    Copied,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Request {
    pub gpu_layers: GpuLayers,
    pub split_mode: SplitMode,
    pub main_gpu: u32,
    /// Shares per device; empty or all zero means by free memory.
    pub tensor_split: Vec<f32>,
    /// Names in the order given; absent means all GPUs.
    pub devices: Option<Vec<String>>,
    /// In the order in which llama-server tries them.
    pub overrides: Vec<Override>,
    /// Tokens over all slots; zero means what the model was trained for.
    pub ctx_size: u64,
    pub batch_size: u64,
    pub ubatch_size: u64,
    /// Slots; absent means llama-server's choice, which is four with a unified cache.
    pub parallel: Option<u64>,
    pub kv_unified: Option<bool>,
    pub cache_type_k: DType,
    pub cache_type_v: DType,
    pub flash_attn: FlashAttention,
    pub swa_full: bool,
    pub kv_offload: bool,
    pub op_offload: bool,
    pub load_mode: LoadMode,
    /// Threads of the processor while tokens are generated, where it is said.
    pub threads: Option<u32>,
    /// MiB of the prompt cache in host memory; absent means without limit.
    pub cache_ram: Option<u64>,
    /// Checkpoints per slot.
    pub ctx_checkpoints: u64,
    /// The build that is started, where it is not the modelled one.
    pub profile: Option<Arc<Profile>>,
}

impl Default for Request {
    fn default() -> Self {
        Self {
            gpu_layers: GpuLayers::All,
            split_mode: SplitMode::Layer,
            main_gpu: 0,
            tensor_split: Vec::new(),
            devices: None,
            overrides: Vec::new(),
            ctx_size: 0,
            batch_size: 2048,
            ubatch_size: 512,
            parallel: None,
            kv_unified: None,
            cache_type_k: DType::F16,
            cache_type_v: DType::F16,
            flash_attn: FlashAttention::Auto,
            swa_full: false,
            kv_offload: true,
            op_offload: true,
            load_mode: LoadMode::Mmap,
            threads: None,
            cache_ram: Some(8192),
            ctx_checkpoints: 32,
            profile: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    #[error("{flag} needs a value")]
    NoValue { flag: String },
    #[error("{flag} does not take {value:?}")]
    Value { flag: String, value: String },
}

impl Request {
    /// The slots, and whether they share one cache.
    pub fn slots(&self) -> (u64, bool) {
        match self.parallel {
            Some(parallel) => (parallel.max(1), self.kv_unified.unwrap_or(false)),
            None => (4, true),
        }
    }

    /// Tokens of a prompt that are computed at once: what `-ub` says, within `-b` and the context.
    pub fn batch(&self) -> u64 {
        let whole = if self.ctx_size == 0 { u64::MAX } else { self.ctx_size };
        let batch = self.batch_size.min(whole);
        let ubatch = if self.ubatch_size == 0 { batch } else { self.ubatch_size };
        ubatch.min(batch).max(1)
    }

    /// Reads llama-server's argv; options that do not change memory are passed over.
    pub fn from_args<S: AsRef<str>>(args: &[S]) -> Result<Self, RequestError> {
        let mut request = Self::default();
        let mut args = args.iter().map(AsRef::as_ref);
        while let Some(arg) = args.next() {
            let flag = if arg.starts_with("--") { arg.replace('_', "-") } else { arg.to_owned() };
            if request.switch(&flag) {
                continue;
            }
            if !VALUED.contains(&flag.as_str()) {
                continue;
            }
            let value = args.next().ok_or_else(|| RequestError::NoValue { flag: flag.clone() })?;
            request
                .set(&flag, value)
                .ok_or_else(|| RequestError::Value { flag, value: value.to_owned() })?;
        }
        Ok(request)
    }

    fn switch(&mut self, flag: &str) -> bool {
        match flag {
            "-cmoe" | "--cpu-moe" => self.overrides.push(Override::cpu_moe()),
            "-kvu" | "--kv-unified" => self.kv_unified = Some(true),
            "-no-kvu" | "--no-kv-unified" => self.kv_unified = Some(false),
            "--swa-full" => self.swa_full = true,
            "-kvo" | "--kv-offload" => self.kv_offload = true,
            "-nkvo" | "--no-kv-offload" => self.kv_offload = false,
            "--op-offload" => self.op_offload = true,
            "--no-op-offload" => self.op_offload = false,
            _ => return false,
        }
        true
    }

    fn set(&mut self, flag: &str, value: &str) -> Option<()> {
        match flag {
            "-ngl" | "--gpu-layers" | "--n-gpu-layers" => {
                self.gpu_layers = match value {
                    "auto" | "all" => GpuLayers::All,
                    _ => u32::try_from(number(value)?).map_or(GpuLayers::All, GpuLayers::Count),
                };
            }
            "-sm" | "--split-mode" => {
                self.split_mode = match value {
                    "none" => SplitMode::None,
                    "layer" => SplitMode::Layer,
                    _ => return None,
                };
            }
            "-mg" | "--main-gpu" => self.main_gpu = unsigned(value)?,
            "-ts" | "--tensor-split" => {
                let shares = value.split([',', '/']).map(f32::from_str);
                self.tensor_split = shares.collect::<Result<_, _>>().ok()?;
            }
            "-dev" | "--device" => {
                self.devices = Some(match value {
                    "none" => Vec::new(),
                    _ => value.split(',').map(str::to_owned).collect(),
                });
            }
            "-ot" | "--override-tensor" => {
                for rule in value.split(',') {
                    let (pattern, target) = rule.split_once('=')?;
                    self.overrides
                        .push(Override { pattern: pattern.to_owned(), target: target.to_owned() });
                }
            }
            "-ncmoe" | "--n-cpu-moe" => {
                self.overrides.extend(Override::n_cpu_moe(unsigned(value)?));
            }
            "-ncffn" | "--n-cpu-ffn" => {
                self.overrides.extend(Override::n_cpu_ffn(unsigned(value)?));
            }
            "-c" | "--ctx-size" => self.ctx_size = unsigned(value)?,
            "-b" | "--batch-size" => self.batch_size = unsigned(value)?,
            "-ub" | "--ubatch-size" => self.ubatch_size = unsigned(value)?,
            "-np" | "--parallel" => {
                let slots = number(value)?;
                // Less than none is llama-server's own choice, none is an error.
                self.parallel = u64::try_from(slots).ok();
                if slots == 0 {
                    return None;
                }
            }
            "-ctk" | "--cache-type-k" => self.cache_type_k = cache_type(value)?,
            "-ctv" | "--cache-type-v" => self.cache_type_v = cache_type(value)?,
            "-fa" | "--flash-attn" => {
                self.flash_attn = match value {
                    "on" | "enabled" | "true" | "1" => FlashAttention::On,
                    "off" | "disabled" | "false" | "0" => FlashAttention::Off,
                    "auto" | "-1" => FlashAttention::Auto,
                    _ => return None,
                };
            }
            "-lm" | "--load-mode" => {
                self.load_mode = match value {
                    "none" | "dio" => LoadMode::Copied,
                    "auto" | "mmap" | "mlock" | "mmap+mlock" => LoadMode::Mmap,
                    _ => return None,
                };
            }
            "-t" | "--threads" => self.threads = value.parse().ok().filter(|threads| *threads > 0),
            "-cram" | "--cache-ram" => self.cache_ram = u64::try_from(number(value)?).ok(),
            "-ctxcp" | "--ctx-checkpoints" | "--swa-checkpoints" => {
                self.ctx_checkpoints = unsigned(value)?;
            }
            _ => return None,
        }
        Some(())
    }
}

/// The options above that take a value; all others are passed over together with theirs, if any.
const VALUED: &[&str] = &[
    "-t",
    "--threads",
    "-ngl",
    "--gpu-layers",
    "--n-gpu-layers",
    "-sm",
    "--split-mode",
    "-mg",
    "--main-gpu",
    "-ts",
    "--tensor-split",
    "-dev",
    "--device",
    "-ot",
    "--override-tensor",
    "-ncmoe",
    "--n-cpu-moe",
    "-ncffn",
    "--n-cpu-ffn",
    "-c",
    "--ctx-size",
    "-b",
    "--batch-size",
    "-ub",
    "--ubatch-size",
    "-np",
    "--parallel",
    "-ctk",
    "--cache-type-k",
    "-ctv",
    "--cache-type-v",
    "-fa",
    "--flash-attn",
    "-lm",
    "--load-mode",
    "-cram",
    "--cache-ram",
    "-ctxcp",
    "--ctx-checkpoints",
    "--swa-checkpoints",
];

/// Like `std::stoi`: a sign, digits, and whatever follows them is ignored.
fn number(text: &str) -> Option<i64> {
    let text = text.trim_start();
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let magnitude: i64 = digits.get(..end)?.parse().ok()?;
    Some(if text.starts_with('-') { -magnitude } else { magnitude })
}

fn unsigned<T: TryFrom<i64>>(text: &str) -> Option<T> {
    T::try_from(number(text)?).ok()
}

fn cache_type(name: &str) -> Option<DType> {
    const TYPES: &[&str] =
        &["f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "iq4_nl", "q5_0", "q5_1"];
    TYPES.contains(&name).then(|| DType::by_name(name)).flatten()
}

#[cfg(test)]
mod tests {
    use super::{FlashAttention, GpuLayers, Override, Request, RequestError};
    use crate::gguf::DType;

    #[test]
    fn reads_what_a_person_pastes() {
        let args: Vec<&str> =
            "--host 0.0.0.0 -ngl 99 -ts 13,6 -c 256K --ubatch_size 2048 -fa on -ctk q8_0 \
             -ctv q5_0 -np 1 -ot a=CUDA0,exps=CPU --n-cpu-moe 2 -nkvo --n_cpu_ffn 1 --temp -1"
                .split_whitespace()
                .collect();
        let request = Request::from_args(&args).unwrap();
        assert_eq!(request.gpu_layers, GpuLayers::Count(99));
        assert_eq!(request.tensor_split, [13.0, 6.0]);
        assert_eq!(request.ctx_size, 256, "as llama-server reads it");
        assert_eq!(request.ubatch_size, 2048);
        assert_eq!(request.flash_attn, FlashAttention::On);
        assert_eq!(request.cache_type_v, DType::Q5_0);
        assert_eq!(request.slots(), (1, false));
        assert!(!request.kv_offload);
        let patterns: Vec<_> = request.overrides.iter().map(|rule| &rule.pattern[..]).collect();
        assert_eq!(patterns[..2], ["a", "exps"]);
        assert_eq!(patterns[3], r"blk\.1\.ffn_(up|down|gate|gate_up)_(ch|)exps");
        assert_eq!(patterns[4..], [r"blk\.0\.ffn_(up|down|gate)\."]);
    }

    #[test]
    fn without_slots_the_server_takes_four_that_share() {
        assert_eq!(Request::default().slots(), (4, true));
        assert_eq!(Override::n_cpu_moe(0).count(), 0);
    }

    #[test]
    fn a_batch_is_no_larger_than_what_holds_it() {
        let batch = |words: &str| {
            let words: Vec<&str> = words.split_whitespace().collect();
            Request::from_args(&words).unwrap().batch()
        };
        for (words, tokens) in [
            ("", 512),
            ("-ub 2048", 2048),
            ("-b 512 -ub 2048", 512),
            ("-b 1024 -ub 0", 1024),
            ("-c 256 -b 4096 -ub 4096", 256),
            ("-b 0", 1),
        ] {
            assert_eq!(batch(words), tokens, "{words}");
        }
    }

    #[test]
    fn refuses_what_llama_server_refuses() {
        let refused = |args: &[&str]| Request::from_args(args).unwrap_err();
        assert_eq!(refused(&["-fa"]), RequestError::NoValue { flag: "-fa".into() });
        for (flag, value) in [("-fa", "-c"), ("-ctk", "q6_K"), ("-ot", "exps"), ("-c", "many")] {
            let error = RequestError::Value { flag: flag.into(), value: value.into() };
            assert_eq!(refused(&[flag, value]), error);
        }
    }
}
