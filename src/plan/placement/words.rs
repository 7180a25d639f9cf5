//! A placement as llama-server's flags, and what it was planned for as words: what a lock file keeps of both.

use std::collections::BTreeMap;

use super::{Granularity, Placement};
use crate::hardware::{Gpu, Link, Speed};
use crate::plan::memory::{FlashAttention, GpuLayers, LoadMode, Override, Request, SplitMode};
use crate::plan::speed::System;
use crate::units::Bytes;

/// The flags that carry a placement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flag {
    GpuLayers,
    TensorSplit,
    OverrideTensor,
}

impl Flag {
    pub const fn long(self) -> &'static str {
        match self {
            Self::GpuLayers => "--n-gpu-layers",
            Self::TensorSplit => "--tensor-split",
            Self::OverrideTensor => "--override-tensor",
        }
    }

    pub const fn short(self) -> &'static str {
        match self {
            Self::GpuLayers => "-ngl",
            Self::TensorSplit => "-ts",
            Self::OverrideTensor => "-ot",
        }
    }
}

impl Placement {
    /// Those flags with their values, as far as there is something to say.
    pub fn flags(&self) -> Vec<(Flag, String)> {
        let layers = match self.request.gpu_layers {
            GpuLayers::All => "all".to_owned(),
            GpuLayers::Count(count) => count.to_string(),
        };
        let mut flags = vec![(Flag::GpuLayers, layers)];
        if self.tensor_split.iter().any(|count| *count > 0) {
            flags.push((Flag::TensorSplit, list(&self.tensor_split, ",")));
        }
        if !self.request.overrides.is_empty() {
            flags.push((Flag::OverrideTensor, rules(&self.request.overrides)));
        }
        flags
    }
}

fn rules(rules: &[Override]) -> String {
    let rule = |rule: &Override| format!("{}={}", rule.pattern, rule.target);
    rules.iter().map(rule).collect::<Vec<_>>().join(",")
}

fn list<T: ToString>(items: &[T], between: &str) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// As `--gpu` takes it.
fn gpu(gpu: &Gpu) -> String {
    let text = format!("{}:{}:{}", gpu.memory.mib(), gpu.free.mib(), gpu.compute_capability);
    let text = match gpu.bandwidth_gbs {
        Some(gbs) => format!("{text}:{gbs}"),
        None => text,
    };
    let Some(remote) = &gpu.remote else { return text };
    let kind = if remote.cpu { "CPU" } else { "GPU" };
    let Link { gbit, rtt_ms } = remote.link;
    format!(
        "{text} as {kind} {} of {} over {gbit} Gbit/s, {rtt_ms} ms",
        remote.index, remote.endpoint
    )
}

fn costs(speed: &Speed) -> String {
    let Speed { gpu_efficiency, cpu_efficiency, block_us, recurrent_us, visit_us, error: _ } =
        speed;
    format!(
        "GPU {gpu_efficiency}, CPU {cpu_efficiency}, block {block_us} us, recurrent {recurrent_us} us, visit {visit_us} us"
    )
}

/// What is asked for, before there is a model.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    pub gpus: &'a [Gpu],
    pub system: System,
    pub request: &'a Request,
    pub margin: &'a [Bytes],
    pub granularity: Granularity,
    pub layers: &'a [Option<u32>],
}

impl Asked<'_> {
    /// All that decides the placement but the model. What is as llama-server has it by default is left out, so that a flag
    /// which is new here changes nothing for what was planned before.
    pub fn words(&self) -> BTreeMap<String, String> {
        let plain = Request::default();
        let Request {
            // Chosen by planning.
            gpu_layers: _,
            tensor_split: _,
            split_mode,
            main_gpu,
            devices,
            overrides,
            ctx_size,
            batch_size,
            ubatch_size,
            parallel,
            kv_unified,
            cache_type_k,
            cache_type_v,
            flash_attn,
            swa_full,
            kv_offload,
            op_offload,
            load_mode,
            threads,
            profile,
            // System memory only.
            cache_ram: _,
            ctx_checkpoints: _,
        } = self.request;
        let mut words = BTreeMap::new();
        let mut put = |key: &str, value: String| {
            words.insert(key.to_owned(), value);
        };
        put("gpus", self.gpus.iter().map(gpu).collect::<Vec<_>>().join(", "));
        let margin = |i: usize| self.margin.get(i).or(self.margin.last()).map_or(0.0, |m| m.mib());
        let margins: Vec<f64> = (0..self.gpus.len()).map(margin).collect();
        put("margin", list(&margins, ", "));
        if let Some(gbs) = self.system.ram_gbs {
            put("ram-bandwidth", gbs.to_string());
        }
        // Left out where memory is what limits: most locks were written before this word.
        if let Some(cores) = self.system.scarce_cores(profile.as_deref()) {
            put("cores", cores.to_string());
        }
        if let Some(speed) = &self.system.speed {
            put("speed", costs(speed));
        }
        if self.granularity != Granularity::default() {
            put("granularity", "layer".to_owned());
        }
        if self.layers.iter().any(Option::is_some) {
            let pin = |layers: &Option<u32>| layers.map_or("auto".to_owned(), |n| n.to_string());
            put("layers", list(&self.layers.iter().map(pin).collect::<Vec<_>>(), ","));
        }
        if *ctx_size != 0 {
            put("ctx-size", ctx_size.to_string());
        }
        put("batch-size", batch_size.to_string());
        put("ubatch-size", ubatch_size.to_string());
        put("cache-type-k", cache_type_k.to_string().to_lowercase());
        put("cache-type-v", cache_type_v.to_string().to_lowercase());
        match flash_attn {
            FlashAttention::On => put("flash-attn", "on".to_owned()),
            FlashAttention::Off => put("flash-attn", "off".to_owned()),
            FlashAttention::Auto => {}
        }
        if let Some(threads) = threads {
            put("threads", threads.to_string());
        }
        if let Some(slots) = parallel {
            put("parallel", slots.to_string());
        }
        if let Some(unified) = kv_unified {
            put("kv-unified", unified.to_string());
        }
        if let Some(devices) = devices {
            put("device", devices.join(","));
        }
        if !overrides.is_empty() {
            put("override-tensor", rules(overrides));
        }
        if *split_mode == SplitMode::None {
            put("split-mode", "none".to_owned());
            put("main-gpu", main_gpu.to_string());
        }
        if *load_mode == LoadMode::Copied {
            put("load-mode", "copied".to_owned());
        }
        if let Some(profile) = profile {
            put("profile", profile.identity());
        }
        for (key, value, usual) in [
            ("swa-full", *swa_full, plain.swa_full),
            ("kv-offload", *kv_offload, plain.kv_offload),
            ("op-offload", *op_offload, plain.op_offload),
        ] {
            if value != usual {
                put(key, value.to_string());
            }
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::{Asked, Granularity, Request, System};

    /// A lock from before this word says the same as today where it makes no difference.
    #[test]
    fn cores_are_a_word_where_they_limit() {
        let request = Request::default();
        let cores = |cores: Option<u32>| {
            let system = System { ram_gbs: Some(50.0), cores, ..System::default() };
            let granularity = Granularity::default();
            let asked = Asked {
                gpus: &[],
                system,
                request: &request,
                margin: &[],
                granularity,
                layers: &[],
            };
            asked.words().remove("cores")
        };
        assert_eq!(cores(None), None);
        assert_eq!(cores(Some(16)), None);
        assert_eq!(cores(Some(1)).as_deref(), Some("1"));
    }
}
