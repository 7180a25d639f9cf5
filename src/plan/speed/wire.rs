//! What a token sends over a link to a worker of llama.cpp's RPC backend and gets back: bytes, and calls that are answered.
//!
//! Counted in ggml-rpc.cpp of b11434. A tensor is written with 314 bytes around its data and without an answer; it is
//! read by a call of 321 bytes, whose answer has 8 bytes beside the data; a graph that is the device's last one again
//! is a call of 13 bytes, another one sends 296 bytes for each of its tensors. So a run of blocks costs one round trip
//! per token. Where the run is interrupted, or a device computes experts alone, each piece is a graph of its own.

use serde::Serialize;

use super::CONSTANTS;
use crate::gguf::Model;
use crate::hardware::Link;

/// A tensor's description on the wire.
const TENSOR: f64 = 296.0;
/// Around what is written: command, length, description, cache flag, offset.
const WRITE: f64 = 9.0 + TENSOR + 9.0;
/// Around what is read: the call, and the length before the answer.
const READ: f64 = 9.0 + TENSOR + 16.0 + 8.0;
/// The same graph once more.
const AGAIN: f64 = 13.0;
/// A nearly empty context: the attention mask of 256 cells, positions, and where the cache is written.
const INPUTS: f64 = 4.0 * WRITE + 2.0 * 256.0 + 4.0 + 2.0 * 8.0;

/// What a model sends, in bytes per token.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// The state between two blocks.
    pub state: f64,
    /// What the output gives.
    pub logits: f64,
    /// Experts that work on a token.
    pub experts_used: f64,
}

impl Shape {
    /// States and logits are in single precision.
    pub fn of(model: &Model) -> Self {
        Self {
            state: 4.0 * model.embedding_length as f64,
            logits: 4.0 * model.vocabulary as f64,
            experts_used: model.experts.map_or(0.0, |experts| experts.used as f64),
        }
    }
}

/// The way to one device.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Wire {
    pub link: Link,
    pub shape: Shape,
}

/// What goes over a link to one device and back, per token.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Crossing {
    /// What the cluster calls the other machine.
    pub host: String,
    pub device: String,
    pub bytes: f64,
    /// Of them, those that a batch has once and not for each of its tokens.
    #[serde(skip)]
    pub fixed: f64,
    /// How often the token waits for an answer.
    pub round_trips: f64,
    pub seconds: f64,
    #[serde(skip)]
    pub gbit: f64,
}

/// Bytes that come with each token, bytes beside them, and answers that are waited for.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Load {
    pub tokens: f64,
    pub fixed: f64,
    pub round_trips: f64,
}

impl std::ops::Add for Load {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            tokens: self.tokens + other.tokens,
            fixed: self.fixed + other.fixed,
            round_trips: self.round_trips + other.round_trips,
        }
    }
}

impl Wire {
    /// A run of blocks: the state there and back.
    pub fn run(self, runs: f64) -> Load {
        Load {
            tokens: 2.0 * self.shape.state,
            fixed: INPUTS + WRITE + AGAIN + READ,
            round_trips: 1.0,
        } * runs
    }

    /// Blocks of such a run whose experts are computed elsewhere: the state back and there in the middle.
    pub fn interruptions(self, blocks: f64) -> Load {
        let routing = 8.0 * self.shape.experts_used;
        let graph = TENSOR * CONSTANTS.attention_tensors;
        Load {
            tokens: 2.0 * self.shape.state + routing,
            fixed: 3.0 * READ + WRITE + graph,
            round_trips: 3.0,
        } * blocks
    }

    /// Blocks whose experts alone are computed there.
    pub fn experts(self, blocks: f64) -> Load {
        let routing = 8.0 * self.shape.experts_used;
        let graph = TENSOR * CONSTANTS.expert_tensors;
        Load {
            tokens: 2.0 * self.shape.state + routing,
            fixed: 3.0 * WRITE + READ + graph,
            round_trips: 1.0,
        } * blocks
    }

    /// The output, where the last run has it.
    pub fn output(self) -> Load {
        Load { tokens: self.shape.logits, ..Load::default() }
    }

    /// For one token.
    pub fn seconds(self, load: Load) -> f64 {
        let bits = (load.tokens + load.fixed) * 8.0;
        bits / (self.link.gbit * 1e9)
            + load.round_trips * (self.link.rtt_ms / 1e3 + CONSTANTS.call_seconds)
    }

    pub fn crossing(self, host: &str, device: &str, load: Load) -> Crossing {
        Crossing {
            host: host.to_owned(),
            device: device.to_owned(),
            bytes: load.tokens + load.fixed,
            fixed: load.fixed,
            round_trips: load.round_trips,
            seconds: self.seconds(load),
            gbit: self.link.gbit,
        }
    }
}

impl std::ops::Mul<f64> for Load {
    type Output = Self;

    fn mul(self, times: f64) -> Self {
        Self {
            tokens: self.tokens * times,
            fixed: self.fixed * times,
            round_trips: self.round_trips * times,
        }
    }
}

impl Crossing {
    /// Seconds for a batch of so many tokens.
    pub fn batch(&self, tokens: f64) -> f64 {
        let once = self.seconds - (self.bytes - self.fixed) * 8.0 / (self.gbit * 1e9);
        once + (self.bytes - self.fixed) * tokens * 8.0 / (self.gbit * 1e9)
    }
}

#[cfg(test)]
mod tests {
    use super::{Shape, Wire};
    use crate::hardware::Link;

    #[test]
    fn a_run_is_one_round_trip_and_two_states() {
        let shape = Shape { state: 8192.0, logits: 600_000.0, experts_used: 10.0 };
        let wire = Wire { link: Link { gbit: 1.0, rtt_ms: 0.5 }, shape };
        let run = wire.run(1.0);
        assert_eq!((run.tokens, run.round_trips), (16384.0, 1.0));
        // Half a millisecond of waiting, a seventh for 18 KB at one gigabit per second.
        let seconds = wire.seconds(run);
        assert!((0.000_64..0.000_80).contains(&seconds), "{seconds}");
        // What the last run gives back takes far longer than the state.
        assert!(wire.seconds(wire.output()) > 0.004);
        let crossing = wire.crossing("spare", "RPC0", run);
        assert!((crossing.batch(1.0) - seconds).abs() < 1e-12);
        // 512 states each way at 125 MB/s.
        assert!((crossing.batch(512.0) - 0.0676).abs() < 0.001, "{}", crossing.batch(512.0));
    }
}
