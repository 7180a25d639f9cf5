//! Asking llama.cpp itself: what the memory of a plan is, by the build that will run it.
//!
//! llama-server with `--fit on` first does a dry run, in which nothing is allocated on a device and no tensor is read,
//! and says what it would take. With described GPUs in the place of CUDA's (`templates/described-gpus.c`) it says so
//! on any machine, and a header followed by a hole is enough as a model. This module holds the question and reads the
//! answer; `engine` carries it to a container.

mod answer;

use serde::Serialize;

pub use answer::{Answer, Row, differences, rooms};

use crate::gguf::Part;
use crate::hardware::Gpu;

/// Where a container gets the headers.
pub const DIRECTORY: &str = "/tmp/probe";

/// What one run of llama-server is asked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Question {
    /// `TOTAL:FREE:MAJOR.MINOR` of each GPU in MiB, in device order.
    gpus: String,
    /// llama-server's own flags, without the model.
    args: Vec<String>,
    /// The name of the model's first file.
    model: String,
}

/// Flags of a strategy that a dry run must not have: they choose another model, another port, or what is printed.
const REPLACED: [(&str, bool); 14] = [
    ("-m", true),
    ("--model", true),
    ("--fit", true),
    ("-fit", true),
    ("--host", true),
    ("--port", true),
    ("-lv", true),
    ("--verbosity", true),
    ("--log-verbosity", true),
    ("--log-file", true),
    ("--log-jsonl", false),
    ("--alias", true),
    ("-a", true),
    ("--api-key-file", true),
];

/// Runs a dry run and ends it when it has answered: llama-server would go on and load. The first word is the model,
/// the rest are flags. Exits with 0 where there was an answer. Holes are made first, so that bounds hold.
const SCRIPT: &str = r#"cd /tmp/probe || exit 1
model=$1
shift
for part in *.gguf; do
    [ -s "$part" ] && truncate --size=1T "$part"
done
{
    LD_LIBRARY_PATH=/usr/local/lib/composegen LD_PRELOAD=$preload /app/llama-server --model "$model" \
        --fit on --log-verbosity 4 --log-jsonl --host 127.0.0.1 --port 0 "$@" 2>&1 &
    printf 'PID %s\n' "$!"
    wait
} | {
    pid=
    found=1
    while IFS= read -r line; do
        case $line in
            'PID '*) pid=${line#PID } ;;
            *) printf '%s\n' "$line" ;;
        esac
        case $line in
            *fit_memory_breakdown*)
                found=0
                kill -9 "$pid"
                break
                ;;
        esac
    done
    exit "$found"
}
"#;

impl Question {
    /// `args` are llama-server's words; those that a dry run sets itself are left out.
    pub fn new(gpus: &[Gpu], parts: &[Part], args: &[String]) -> Self {
        let described: Vec<String> = gpus
            .iter()
            .map(|gpu| {
                let mib = |bytes: crate::units::Bytes| bytes.mib().floor();
                format!("{}:{}:{}", mib(gpu.memory), mib(gpu.free), gpu.compute_capability)
            })
            .collect();
        let model = parts.first().map(|part| part.name.clone()).unwrap_or_default();
        Self { gpus: described.join(","), args: kept(args), model }
    }

    /// llama-server's flags, without those that a dry run sets itself.
    pub fn args(&self) -> &[String] {
        &self.args
    }

    /// `TOTAL:FREE:CAPABILITY` of each GPU, memory in MiB, separated by commas.
    pub fn gpus(&self) -> &str {
        &self.gpus
    }

    /// The program and its words: no shell reads a value.
    pub fn command(&self) -> Vec<String> {
        let mut words: Vec<String> =
            ["sh", "-c", SCRIPT, "probe", &self.model].map(String::from).to_vec();
        words.extend(self.args.iter().cloned());
        words
    }

    /// `NAME=value` of the process. Without GPUs nothing stands in for CUDA.
    pub fn environment(&self) -> Vec<String> {
        if self.gpus.is_empty() {
            return vec!["preload=".to_owned()];
        }
        vec![
            "preload=/usr/local/lib/composegen/libdescribed-gpus.so".to_owned(),
            format!("COMPOSEGEN_GPUS={}", self.gpus),
        ]
    }
}

fn kept(args: &[String]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        match REPLACED.iter().find(|(flag, _)| flag == arg) {
            Some((_, true)) => {
                args.next();
            }
            Some((_, false)) => {}
            None => kept.push(arg.clone()),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Bytes;

    fn gpu(memory: u64, free: u64, capability: &str) -> Gpu {
        Gpu {
            name: "GPU".to_owned(),
            memory: Bytes::from_mib(memory),
            free: Bytes::from_mib(free),
            compute_capability: capability.parse().unwrap(),
            bandwidth_gbs: None,
            pci: None,
            uuid: None,
            remote: None,
        }
    }

    fn part(name: &str) -> Part {
        Part {
            name: name.to_owned(),
            length: Bytes::ZERO,
            expected_length: Bytes::ZERO,
            data_start: 0,
            tensors: 0,
        }
    }

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(String::from).collect()
    }

    #[test]
    fn a_question_describes_the_gpus_in_order() {
        let gpus = [gpu(24564, 23671, "8.9"), gpu(16303, 12761, "12.0")];
        let question = Question::new(&gpus, &[part("a b.gguf")], &words("-c 4096"));
        assert!(
            question
                .environment()
                .contains(&"COMPOSEGEN_GPUS=24564:23671:8.9,16303:12761:12.0".to_owned())
        );
        let command = question.command();
        assert_eq!(command[3..], ["probe", "a b.gguf", "-c", "4096"]);
    }

    #[test]
    fn what_the_dry_run_sets_is_left_out() {
        let args = words(
            "-m x.gguf --fit off --port 8080 --log-jsonl -lv 3 -ot a=CPU --host 0.0.0.0 -np 1",
        );
        assert_eq!(kept(&args), words("-ot a=CPU -np 1"));
        // A value that is spelled like one of them belongs to its flag only where that takes one.
        assert_eq!(kept(&words("--jinja --fit")), words("--jinja"));
    }

    #[test]
    fn a_machine_without_gpus_has_no_stand_in() {
        let question = Question::new(&[], &[part("a.gguf")], &[]);
        assert_eq!(question.environment(), ["preload="]);
    }
}
