//! How far llama-server has come on its way to the first request.

use std::collections::BTreeMap;
use std::fmt;

use super::{between, text, without_gpu};

/// What the server does at the moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// Nothing was heard yet.
    #[default]
    Starting,
    /// The weights are being read.
    Weights,
    /// The context and its buffers are being made.
    Context,
    /// An empty run, so that the first request need not wait for kernels.
    WarmUp,
    /// The model is loaded and the port is open.
    Ready,
}

/// What a buffer holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Holds {
    Model,
    Context,
    Compute,
}

/// Fed with lines; what it knows grows with each.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Progress {
    step: Step,
    /// Of a hundred: llama.cpp prints a dot for each part of the weights.
    percent: u32,
    layers: Option<(u32, u32)>,
    buffers: BTreeMap<(String, Holds), f64>,
    /// CUDA's own word that there is none.
    no_gpu: Option<String>,
}

impl Progress {
    /// Whether there is something new to tell.
    pub fn line(&mut self, line: &str) -> bool {
        let before = (self.step, self.percent, self.layers);
        self.read(text(line));
        before != (self.step, self.percent, self.layers)
    }

    fn read(&mut self, line: &str) {
        if !line.is_empty() && line.bytes().all(|byte| byte == b'.') {
            let dots = u32::try_from(line.len()).unwrap_or(100);
            self.percent = self.percent.saturating_add(dots).min(100);
        } else if line.contains("load_model: loading model '") {
            self.at_least(Step::Weights);
        } else if line.starts_with("load_tensors: loading model tensors") {
            // What `--fit` tried before is forgotten: this is the load that counts.
            *self = Self { no_gpu: self.no_gpu.take(), ..Self::default() };
            self.step = Step::Weights;
        } else if let Some(layers) = between(line, "offloaded ", " layers to GPU") {
            let (on, all) = layers.split_once('/').unwrap_or_default();
            self.layers = on.parse().ok().zip(all.parse().ok());
        } else if let Some((name, mib)) = buffer(line, " model buffer size") {
            self.add(name, Holds::Model, mib);
        } else if let Some((name, mib)) = buffer(line, " output buffer size")
            .or_else(|| buffer(line, " KV buffer size"))
            .or_else(|| buffer(line, " RS buffer size"))
        {
            self.at_least(Step::Context);
            self.add(name, Holds::Context, mib);
        } else if let Some((name, mib)) = buffer(line, " compute buffer size") {
            self.at_least(Step::Context);
            // Reserved again, it takes the place of what was there.
            self.buffers.insert((name.to_owned(), Holds::Compute), mib);
        } else if line.contains("warming up the model") {
            self.at_least(Step::WarmUp);
        } else if line.contains("llama_server: model loaded") {
            self.at_least(Step::Ready);
        } else if let Some(why) = without_gpu(line) {
            self.no_gpu = Some(why.to_owned());
        }
    }

    fn at_least(&mut self, step: Step) {
        self.step = self.step.max(step);
    }

    fn add(&mut self, name: &str, holds: Holds, mib: f64) {
        *self.buffers.entry((name.to_owned(), holds)).or_default() += mib;
    }

    pub const fn step(&self) -> Step {
        self.step
    }

    /// Why CUDA found no GPU, where it said so; the server then runs on the CPU and says nothing more.
    pub fn no_gpu(&self) -> Option<&str> {
        self.no_gpu.as_deref()
    }

    /// MiB per device and use, as the log reports them; empty below verbosity 4.
    pub fn buffers(&self) -> impl Iterator<Item = (&str, Holds, f64)> {
        self.buffers.iter().map(|((name, holds), mib)| (name.as_str(), *holds, *mib))
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.step {
            Step::Starting => f.write_str("starting"),
            Step::Weights => {
                f.write_str("loading the weights")?;
                if self.percent > 0 {
                    write!(f, ", {} %", self.percent)?;
                }
                match self.layers {
                    Some((on, all)) => write!(f, ", {on} of {all} layers on GPUs"),
                    None => Ok(()),
                }
            }
            Step::Context => f.write_str("making the context"),
            Step::WarmUp => f.write_str("warming up"),
            Step::Ready => f.write_str("loaded"),
        }
    }
}

/// `load_tensors:   CPU_Mapped model buffer size =    92.10 MiB` as device and MiB.
fn buffer<'a>(line: &'a str, what: &str) -> Option<(&'a str, f64)> {
    let (before, after) = line.split_once(what)?;
    let name = before.split_whitespace().next_back()?;
    let mib = after.trim_start_matches([' ', '=']).strip_suffix(" MiB")?.trim();
    Some((name, mib.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::{Holds, Progress, Step};

    /// Recorded: b11434 on a CPU with `-lv 4`, shortened; the first lines are those of the trial run of `--fit`.
    const RECORDED: &str = "\
0.00.016.733 I srv    load_model: loading model '/models/SmolLM2-135M-Instruct.Q4_1.gguf'
0.00.017.052 I common_params_fit_impl: getting device memory data for initial parameters:
0.00.180.547 I load_tensors: loading model tensors, this can take a while... (load_mode = mmap)
0.00.188.285 I load_tensors:   CPU_Mapped model buffer size =    92.10 MiB
0.00.193.403 I llama_context:        CPU  output buffer size =     0.75 MiB
0.00.193.753 I llama_kv_cache:        CPU KV buffer size =    90.00 MiB
0.00.247.051 I sched_reserve:        CPU compute buffer size =    18.64 MiB
0.00.248.164 I cmn  common_init_: warming up the model with an empty run - please wait ... (--no-warmup to disable)
0.02.323.700 I srv    load_model: initializing, n_slots = 4, n_ctx_slot = 4096, kv_unified = 'true'
0.02.337.849 I srv  llama_server: model loaded
";

    #[test]
    fn a_recorded_load_ends_ready_with_its_buffers() {
        let mut progress = Progress::default();
        let mut told = vec![progress.to_string()];
        for line in RECORDED.lines() {
            if progress.line(line) {
                told.push(progress.to_string());
            }
        }
        let all = ["starting", "loading the weights", "making the context", "warming up", "loaded"];
        assert_eq!(told, all);
        assert_eq!(progress.step(), Step::Ready);
        let buffers: Vec<_> = progress.buffers().collect();
        assert_eq!(
            buffers,
            [
                ("CPU", Holds::Context, 90.75),
                ("CPU", Holds::Compute, 18.64),
                ("CPU_Mapped", Holds::Model, 92.10),
            ]
        );
    }

    #[test]
    fn gpus_tell_of_layers_and_dots_of_percent() {
        let mut progress = Progress::default();
        assert!(progress.line("0.00.1.2 I load_tensors: loading model tensors, this can take a while... (load_mode = mmap)"));
        assert!(progress.line("0.01.100.200 I load_tensors: offloaded 49/49 layers to GPU"));
        assert!(progress.line(".........."));
        assert!(progress.line("..."));
        assert!(!progress.line("0.01.100.200 I srv  anything else"));
        assert_eq!(progress.to_string(), "loading the weights, 13 %, 49 of 49 layers on GPUs");
        let no = "0.00.123.456 E ggml_cuda_init: failed to initialize CUDA: no CUDA-capable device is detected";
        progress.line(no);
        assert_eq!(progress.no_gpu(), Some("no CUDA-capable device is detected"));
        progress.line(
            "composegen: no NVIDIA driver in the container: libcuda.so.1 is missing; it comes",
        );
        assert_eq!(
            progress.no_gpu(),
            Some("no NVIDIA driver in the container: libcuda.so.1 is missing")
        );
    }
}
