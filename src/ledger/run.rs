//! One run: what ran on what, and what came of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Eval, Moment, Trial, VERSION};
use crate::artifact::Digest;
use crate::bench::Spread;

macro_rules! words {
    ($(#[doc = $doc:literal])+ $name:ident { $first:ident = $word:literal, $($variant:ident = $other:literal,)* }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case")]
        pub enum $name { #[default] $first, $($variant,)* }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { Self::$first => $word, $(Self::$variant => $other,)* })
            }
        }
    };
}

words! {
    /// How the figures are known.
    Source { Measured = "measured", Reported = "reported", Probed = "probed", }
}

words! {
    /// What was done.
    What { Bench = "bench", Attempt = "attempt", Probe = "probe", Eval = "eval", }
}

words! {
    /// How it ended.
    Outcome { Ok = "ok", OutOfMemory = "out-of-memory", Failed = "failed", }
}

/// A run. What is not known is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The layout of the line.
    pub v: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<Moment>,
    pub source: Source,
    /// Who measured.
    pub by: String,
    pub what: What,
    #[serde(default)]
    pub key: Key,
    /// Where the server answered, of one that was measured at an address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// llama-server's flags and values, without the model.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub args: Vec<String>,
    /// The GPUs that a probe described, in device order: `TOTAL:FREE:CAPABILITY`, memory in MiB.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gpus: Vec<String>,
    /// Layers with their experts on each GPU, where the placement is given that way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ctx_size: Option<u64>,
    pub outcome: Outcome,
    /// The device that ran out of memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub speeds: Vec<Speed>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub answers: Vec<Answer>,
    #[serde(default, skip_serializing_if = "Memory::is_empty")]
    pub memory: Memory,
    /// Of an attempt that `tune` made: the tuning that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trial: Option<Trial>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eval: Option<Eval>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// What has to be the same for two runs to be comparable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Key {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub preset: Option<PresetKey>,
    #[serde(default, skip_serializing_if = "Llama::is_empty")]
    pub llama: Llama,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<Digest>,
    #[serde(default, skip_serializing_if = "Gguf::is_empty")]
    pub gguf: Gguf,
    /// In device order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PresetKey {
    pub name: String,
    /// Of the model's name and the flags: comments and titles are none of its business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
}

/// The llama.cpp that ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Llama {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
}

/// The model's file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Gguf {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// Of all that stands before the tensors' data, in the first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<Digest>,
    /// Of all parts, or what the server says of the tensors where the files are out of reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
}

/// Speeds with so many tokens before the answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub depth: Option<u64>,
    /// Tokens per second, each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prompt: Option<Spread>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<Spread>,
    /// From the request to the first token, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_token_ms: Option<Spread>,
    /// Whether a person rounded it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub approximate: bool,
}

/// The answer to a task, by which quants are told apart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Whether it came to an end by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub self_correction: Option<bool>,
    /// The places where it took something back.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub doubts: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quality: Option<String>,
    /// Where it was asked for in another way than the server was started with, by the names that presets use.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sampling: BTreeMap<String, f64>,
}

/// Memory in use, per GPU in device order, and of the system.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Memory {
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vram_mib: Vec<u64>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weights_mib: Vec<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ram_gb: Option<f64>,
    /// What llama.cpp allocates on each device, as it says itself, and as it was computed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
}

/// One device, `CUDA0` or `Host`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub predicted: Option<Buffers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probed: Option<Buffers>,
}

/// MiB, rounded down as llama.cpp prints them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Buffers {
    pub model: u64,
    pub context: u64,
    pub compute: u64,
}

impl Buffers {
    pub const fn total(self) -> u64 {
        self.model.saturating_add(self.context).saturating_add(self.compute)
    }
}

impl Memory {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Llama {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl Gguf {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands out references")]
fn is_false(value: &bool) -> bool {
    !value
}

impl Default for Run {
    fn default() -> Self {
        Self {
            v: VERSION,
            at: None,
            source: Source::default(),
            by: String::new(),
            what: What::default(),
            key: Key::default(),
            url: None,
            args: Vec::new(),
            gpus: Vec::new(),
            layers: Vec::new(),
            ctx_size: None,
            outcome: Outcome::default(),
            device: None,
            speeds: Vec::new(),
            answers: Vec::new(),
            memory: Memory::default(),
            trial: None,
            eval: None,
            note: None,
        }
    }
}

/// The number of the layout alone, which is read first.
#[derive(Deserialize)]
struct Layout {
    v: u32,
}

impl Run {
    pub(super) fn parse(line: &str) -> Result<Self, String> {
        let no_run = |error: serde_json::Error| format!("no run: {error}");
        let layout: Layout = serde_json::from_str(line).map_err(no_run)?;
        if layout.v > VERSION {
            return Err(format!("written by a newer composegen (layout {})", layout.v));
        }
        serde_json::from_str(line).map_err(no_run)
    }

    /// The speeds at a depth; without one, the first that were taken. One with a decode speed comes first, as a run may
    /// have taken only prompts at some depths.
    pub fn speed(&self, depth: Option<u64>) -> Option<&Speed> {
        let mut there =
            self.speeds.iter().filter(|speed| depth.is_none() || speed.depth == depth).peekable();
        let first = there.peek().copied();
        there.find(|speed| speed.decode.is_some()).or(first)
    }

    pub fn decode(&self, depth: Option<u64>) -> Option<&Spread> {
        self.speed(depth).and_then(|speed| speed.decode.as_ref())
    }

    pub fn preset(&self) -> Option<&str> {
        self.key.preset.as_ref().map(|preset| preset.name.as_str())
    }
}

/// One line, without its end: JSON escapes line breaks within texts.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}

impl Key {
    /// In what the keys differ, as far as both are known: name of the part and both values.
    pub fn differences(&self, other: &Self) -> Vec<(&'static str, String, String)> {
        let of = |key: &Self| {
            let preset = key.preset.as_ref();
            let digest = |digest: &Option<Digest>| digest.as_ref().map(short);
            let devices = (!key.devices.is_empty()).then(|| key.devices.join(" + "));
            [
                ("preset", preset.map(|preset| preset.name.clone())),
                ("preset digest", preset.and_then(|preset| digest(&preset.digest))),
                ("llama.cpp build", key.llama.build.map(|build| format!("b{build}"))),
                ("llama.cpp commit", key.llama.commit.clone()),
                ("image", digest(&key.image)),
                ("model file", key.gguf.file.clone()),
                ("model header", digest(&key.gguf.header)),
                ("model bytes", key.gguf.bytes.map(|bytes| bytes.to_string())),
                ("devices", devices),
                ("driver", key.driver.clone()),
            ]
        };
        let both = of(self).into_iter().zip(of(other));
        both.filter_map(|((name, ours), (_, theirs))| match (ours, theirs) {
            (Some(ours), Some(theirs)) if ours != theirs => Some((name, ours, theirs)),
            _ => None,
        })
        .collect()
    }
}

fn short(digest: &Digest) -> String {
    digest.as_str().trim_start_matches("sha256:").chars().take(12).collect()
}

#[cfg(test)]
mod tests {
    use super::{Gguf, Key, Llama, Outcome, Run, Speed};
    use crate::artifact::Digest;
    use crate::bench::Spread;

    #[test]
    fn reads_what_it_prints() {
        let run = Run {
            at: Some("2026-02-13T10:30:00Z".parse().unwrap()),
            key: Key {
                llama: Llama { build: Some(11434), commit: Some("abc".to_owned()) },
                image: Some(Digest::of(b"i")),
                gguf: Gguf { header: Some(Digest::of(b"h")), bytes: Some(9), file: None },
                devices: vec!["RTX 4090".to_owned()],
                ..Key::default()
            },
            outcome: Outcome::OutOfMemory,
            speeds: vec![Speed {
                depth: Some(512),
                decode: Spread::new(vec![21.4, 21.3]),
                ..Speed::default()
            }],
            note: Some("two\nlines, ü".to_owned()),
            ..Run::default()
        };
        let line = run.to_string();
        assert!(
            !line.contains('\n') && line.starts_with("{\"v\":1,\"at\":\"2026-02-13T10:30:00Z\"")
        );
        assert_eq!(Run::parse(&line), Ok(run));
        // What a later version adds is passed over.
        let more = line.replacen("\"v\":1", "\"v\":1,\"later\":[1]", 1);
        assert!(Run::parse(&more).is_ok());
    }

    #[test]
    fn the_first_speed_is_one_of_an_answer() {
        let speed = |depth, prompt, decode| Speed {
            depth: Some(depth),
            prompt: Spread::new(prompt),
            decode: Spread::new(decode),
            ..Speed::default()
        };
        let prompts = speed(512, vec![300.0], Vec::new());
        let answers = speed(4096, Vec::new(), vec![20.0]);
        let run = Run { speeds: vec![prompts.clone(), answers.clone()], ..Run::default() };
        assert_eq!(run.speed(None), Some(&answers));
        assert_eq!((run.speed(Some(512)), run.decode(Some(512))), (Some(&prompts), None));
        assert_eq!(Run { speeds: vec![prompts.clone()], ..run }.speed(None), Some(&prompts));
    }

    #[test]
    fn only_what_both_know_differs() {
        let build = |build| Key { llama: Llama { build, commit: None }, ..Key::default() };
        assert!(build(None).differences(&build(Some(1))).is_empty());
        let found = build(Some(2)).differences(&build(Some(1)));
        assert_eq!(found, [("llama.cpp build", "b2".to_owned(), "b1".to_owned())]);
    }
}
