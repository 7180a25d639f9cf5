//! What llama.cpp's own `llama-bench -o jsonl` prints, as runs of the ledger.

use serde::Deserialize;

use super::{Gguf, Key, Llama, Run, Source, Speed, What};
use crate::bench::Spread;

/// One line, as far as it is used.
#[derive(Debug, Deserialize)]
struct Row {
    build_commit: String,
    build_number: u32,
    #[serde(default)]
    gpu_info: String,
    model_filename: String,
    model_size: u64,
    n_batch: u64,
    n_ubatch: u64,
    n_threads: u64,
    type_k: String,
    type_v: String,
    n_gpu_layers: i64,
    #[serde(default)]
    n_cpu_moe: u64,
    split_mode: String,
    no_kv_offload: bool,
    flash_attn: serde_json::Value,
    tensor_split: String,
    tensor_buft_overrides: String,
    #[serde(default)]
    load_mode: Option<String>,
    #[serde(default)]
    no_op_offload: u8,
    n_prompt: u64,
    n_gen: u64,
    #[serde(default)]
    n_depth: u64,
    test_time: String,
    samples_ts: Vec<f64>,
}

impl Row {
    /// llama-server's flags for the same.
    fn args(&self) -> Vec<String> {
        let flash = match &self.flash_attn {
            serde_json::Value::Bool(on) => *on,
            other => other.as_i64() != Some(0),
        };
        let mut args = vec![
            "--n-gpu-layers".to_owned(),
            self.n_gpu_layers.to_string(),
            "--split-mode".to_owned(),
            self.split_mode.clone(),
        ];
        let mut put = |flag: &str, value: String| args.extend([flag.to_owned(), value]);
        if self
            .tensor_split
            .split('/')
            .any(|share| share.parse().is_ok_and(|share: f64| share > 0.0))
        {
            put("--tensor-split", self.tensor_split.replace('/', ","));
        }
        if self.tensor_buft_overrides != "none" {
            put("--override-tensor", self.tensor_buft_overrides.replace(';', ","));
        }
        if self.n_cpu_moe > 0 {
            put("--n-cpu-moe", self.n_cpu_moe.to_string());
        }
        put("--batch-size", self.n_batch.to_string());
        put("--ubatch-size", self.n_ubatch.to_string());
        put("--threads", self.n_threads.to_string());
        put("--cache-type-k", self.type_k.clone());
        put("--cache-type-v", self.type_v.clone());
        put("--flash-attn", if flash { "on" } else { "off" }.to_owned());
        if let Some(mode) = self.load_mode.as_ref().filter(|mode| *mode != "auto") {
            put("--load-mode", mode.clone());
        }
        // Each test has a context of its own length; the flags of a server are the same for all.
        put("--ctx-size", "4096".to_owned());
        put("--parallel", "1".to_owned());
        if self.no_op_offload != 0 {
            args.push("--no-op-offload".to_owned());
        }
        if self.no_kv_offload {
            args.push("--no-kv-offload".to_owned());
        }
        args
    }

    fn run(&self) -> Result<Run, String> {
        let file = self.model_filename.rsplit(['/', '\\']).next().unwrap_or_default();
        let devices = self.gpu_info.split(", ").filter(|name| !name.is_empty());
        let known = |word: &str| Some(word.to_owned()).filter(|word| word != "unknown");
        Ok(Run {
            at: Some(self.test_time.parse()?),
            source: Source::Measured,
            by: "llama-bench".to_owned(),
            what: What::Bench,
            key: Key {
                llama: Llama {
                    build: Some(self.build_number).filter(|build| *build > 0),
                    commit: known(&self.build_commit),
                },
                gguf: Gguf {
                    file: Some(file.to_owned()),
                    header: None,
                    bytes: Some(self.model_size),
                },
                devices: devices.map(str::to_owned).collect(),
                ..Key::default()
            },
            args: self.args(),
            speeds: vec![self.speed()],
            ..Run::default()
        })
    }

    /// A prompt's speed, or an answer's; a test of both together is neither.
    fn speed(&self) -> Speed {
        let spread =
            |measured: bool| measured.then(|| Spread::new(self.samples_ts.clone())).flatten();
        Speed {
            depth: Some(self.n_depth),
            prompt: spread(self.n_gen == 0),
            decode: spread(self.n_prompt == 0),
            ..Speed::default()
        }
    }
}

/// All runs of such an output, those of the same flags as one. Other lines than JSON objects are passed over, as the
/// program's messages may stand among them.
pub fn parse(text: &str) -> Result<Vec<Run>, String> {
    let mut runs: Vec<Run> = Vec::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| line.starts_with('{')) {
        let row = serde_json::from_str::<Row>(line).map_err(|error| error.to_string());
        let run = row.and_then(|row| row.run());
        let run = run.map_err(|why| {
            format!("line {}: no result of `llama-bench -o jsonl`: {why}", number + 1)
        })?;
        let same = runs.last_mut().filter(|last| last.args == run.args && last.key == run.key);
        match same {
            None => runs.push(run),
            Some(last) => run.speeds.into_iter().for_each(|speed| merge(&mut last.speeds, speed)),
        }
    }
    if runs.is_empty() {
        return Err(
            "no line of it is a result: `llama-bench -o jsonl` prints them one a line".to_owned()
        );
    }
    Ok(runs)
}

/// Prompt and answer at the same depth belong together.
fn merge(speeds: &mut Vec<Speed>, new: Speed) {
    let open = |speed: &&mut Speed| {
        speed.depth == new.depth
            && (new.prompt.is_none() || speed.prompt.is_none())
            && (new.decode.is_none() || speed.decode.is_none())
    };
    match speeds.iter_mut().find(open) {
        None => speeds.push(new),
        Some(speed) => {
            speed.prompt = speed.prompt.take().or(new.prompt);
            speed.decode = speed.decode.take().or(new.decode);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::parse;
    use crate::bench::Spread;

    fn row(changes: &[(&str, serde_json::Value)]) -> String {
        let mut row = serde_json::json!({
            "build_commit": "abc", "build_number": 11434, "cpu_info": "a CPU", "gpu_info": "RTX 4090, RTX 5070 Ti",
            "model_filename": "/models/m.gguf", "model_size": 9, "n_batch": 2048, "n_ubatch": 512, "n_threads": 8,
            "type_k": "q8_0", "type_v": "q8_0", "n_gpu_layers": 99, "n_cpu_moe": 0, "split_mode": "layer",
            "no_kv_offload": false, "flash_attn": 1, "tensor_split": "13.00/6.00",
            "tensor_buft_overrides": "blk\\.1\\.=CPU;exps=CPU", "load_mode": "none", "no_op_offload": 1,
            "n_prompt": 512, "n_gen": 0, "n_depth": 0, "test_time": "2026-11-24T16:52:34Z", "samples_ts": [10.0, 11.0],
        });
        for (key, value) in changes {
            row[*key] = value.clone();
        }
        row.to_string()
    }

    #[test]
    fn prompt_and_answer_of_the_same_flags_are_one_run() {
        let answer =
            row(&[("n_prompt", 0.into()), ("n_gen", 64.into()), ("samples_ts", vec![2.0].into())]);
        let text =
            format!("some message\n{}\n{answer}\n{}\n", row(&[]), row(&[("n_threads", 4.into())]));
        let runs = parse(&text).unwrap();
        assert_eq!(runs.len(), 2);
        let [speed] = runs[0].speeds.as_slice() else { panic!("{:?}", runs[0].speeds) };
        assert_eq!(speed.prompt.as_ref().map(Spread::median), Some(10.5));
        assert_eq!(speed.decode.as_ref().map(Spread::median), Some(2.0));
        assert_eq!(
            runs[0].args.join(" "),
            "--n-gpu-layers 99 --split-mode layer --tensor-split 13.00,6.00 --override-tensor blk\\.1\\.=CPU,exps=CPU \
             --batch-size 2048 --ubatch-size 512 --threads 8 --cache-type-k q8_0 --cache-type-v q8_0 --flash-attn on \
             --load-mode none --ctx-size 4096 --parallel 1 --no-op-offload"
        );
        assert_eq!(runs[0].key.devices, ["RTX 4090", "RTX 5070 Ti"]);
        assert_eq!(runs[0].key.gguf.file.as_deref(), Some("m.gguf"));
    }

    #[test]
    fn a_line_of_something_else_is_named() {
        let error = parse("{}\n").unwrap_err();
        assert!(
            error.starts_with("line 1: no result of `llama-bench -o jsonl`: missing field"),
            "{error}"
        );
        for other in ["", "| model | size |\n", &format!("[\n  {}\n]\n", row(&[]))] {
            assert!(parse(other).unwrap_err().contains("-o jsonl"), "{other}");
        }
    }
}
