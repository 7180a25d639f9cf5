//! Why llama-server ended: from its exit code, from what the engine says of the container, and from the log.

mod clue;

use crate::exit::Exit;

/// What is known of a server that ended, or never began.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ending<'a> {
    pub exit_code: Option<i64>,
    /// The kernel ended it for want of memory, as the engine saw it.
    pub oom_killed: bool,
    /// What the engine said where it could not start the container.
    pub engine: &'a str,
    /// Whether the model had been loaded before.
    pub was_ready: bool,
    /// The log's last lines, in order.
    pub lines: &'a [String],
}

/// The class of a failure, with what the log tells about it.
#[derive(Clone, Debug, PartialEq)]
pub enum Failure {
    /// A GPU had no room for a buffer.
    GpuMemory {
        device: Option<String>,
        buffer: Buffer,
        wanted_mib: Option<f64>,
        phase: Phase,
    },
    /// The machine, or the container's limit, had none.
    HostMemory {
        wanted_mib: Option<f64>,
        killed: bool,
    },
    ModelFile {
        file: String,
        trouble: Trouble,
    },
    UnknownArchitecture {
        name: String,
    },
    /// llama-server or the entrypoint did not take a flag or a value.
    Flag {
        said: String,
    },
    Port {
        said: String,
    },
    NoGpu {
        said: String,
    },
    /// Compiled for a CPU that this one is not.
    Instruction,
    /// Somebody stopped or killed it.
    Stopped {
        signal: i64,
    },
    Unknown {
        code: Option<i64>,
        said: Option<String>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Buffer {
    Weights,
    /// The KV cache, or the states of recurrent layers.
    Context,
    Compute,
    Unnamed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Load,
    /// CUDA takes some memory no earlier than the first large prompt.
    Prompt,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    Missing,
    MissingPart,
    NotFirstPart,
    CutOff,
    NoGguf,
}

/// Signals as a shell adds them to 128.
const ILLEGAL: i64 = 132;
const ABORT: i64 = 134;
const KILL: i64 = 137;
const TERM: i64 = 143;

impl Failure {
    /// Finds the class. What the log says goes before what the exit code could mean.
    pub fn of(ending: &Ending<'_>) -> Self {
        if let Some(failure) = clue::engine(ending.engine) {
            return failure;
        }
        let read = clue::log(ending);
        match (ending.exit_code, read) {
            _ if ending.oom_killed => Self::HostMemory { wanted_mib: None, killed: true },
            (_, Some(failure)) => failure,
            (Some(ILLEGAL), None) => Self::Instruction,
            (Some(code @ (KILL | TERM)), None) => Self::Stopped { signal: code - 128 },
            (code, None) if !ending.engine.is_empty() => {
                Self::Unknown { code, said: Some(ending.engine.to_owned()) }
            }
            (code, None) => Self::Unknown { code, said: clue::last_error(ending.lines) },
        }
    }

    pub const fn exit(&self) -> Exit {
        match self {
            Self::GpuMemory { .. } => Exit::GpuMemory,
            Self::HostMemory { .. } => Exit::HostMemory,
            Self::ModelFile { .. } => Exit::ModelFile,
            Self::UnknownArchitecture { .. } => Exit::Architecture,
            Self::Flag { .. } => Exit::Flag,
            Self::Port { .. } => Exit::Port,
            Self::NoGpu { .. } => Exit::NoGpu,
            Self::Instruction => Exit::Instruction,
            Self::Stopped { .. } | Self::Unknown { .. } => Exit::Ended,
        }
    }

    /// What happened, in one sentence.
    pub fn sentence(&self) -> String {
        let size =
            |mib: &Option<f64>| mib.map(|mib| format!(" of {mib:.0} MiB")).unwrap_or_default();
        match self {
            Self::GpuMemory { device, buffer, wanted_mib, phase } => {
                let device = device.as_deref().unwrap_or("a GPU");
                let what = match buffer {
                    Buffer::Weights => "a buffer of weights",
                    Buffer::Context => "the context's buffer",
                    Buffer::Compute => "the compute buffer",
                    Buffer::Unnamed => "a buffer",
                };
                let when = match phase {
                    Phase::Load => "while the model was loaded",
                    Phase::Prompt => "at a prompt, after the model was loaded",
                };
                format!("{device} has no memory for {what}{} {when}", size(wanted_mib))
            }
            Self::HostMemory { killed: true, .. } => {
                "the kernel ended llama-server for want of memory".to_owned()
            }
            Self::HostMemory { wanted_mib, .. } => {
                format!("the machine has no memory for a buffer{}", size(wanted_mib))
            }
            Self::ModelFile { file, trouble } => match trouble {
                Trouble::Missing => format!("the model `{file}` is not there"),
                Trouble::MissingPart => format!("`{file}`, a part of the model, is not there"),
                Trouble::NotFirstPart => format!("`{file}` is not the model's first part"),
                Trouble::CutOff => format!("the model is cut off: {file}"),
                Trouble::NoGguf => format!("the model is no GGUF file: {file}"),
            },
            Self::UnknownArchitecture { name } => {
                format!("this llama.cpp does not know the architecture `{name}`")
            }
            Self::Flag { said } => format!("llama-server refused an argument: {said}"),
            Self::Port { said } => format!("the port cannot be opened: {said}"),
            Self::NoGpu { said } => format!("the container has not the GPUs it needs: {said}"),
            Self::Instruction => {
                "llama-server ran into an instruction that this CPU does not have".to_owned()
            }
            Self::Stopped { signal: 9 } => "llama-server was killed from outside".to_owned(),
            Self::Stopped { .. } => "llama-server was stopped from outside".to_owned(),
            Self::Unknown { code, said } => {
                let code = code.map_or_else(
                    || "llama-server did not start".to_owned(),
                    |code| format!("llama-server ended with exit code {code}"),
                );
                said.as_ref().map_or_else(|| code.clone(), |said| format!("{code}: {said}"))
            }
        }
    }

    /// What to do about it.
    pub fn help(&self) -> &'static str {
        match self {
            Self::GpuMemory { buffer: Buffer::Weights, .. } => {
                "put fewer layers or experts on this GPU: `composegen plan PRESET` finds how many fit"
            }
            Self::GpuMemory { buffer: Buffer::Context, .. } => {
                "make `ctx_size` smaller, quantize the KV cache, or put fewer experts on this GPU (`composegen plan PRESET`)"
            }
            Self::GpuMemory { phase: Phase::Prompt, .. } => {
                "leave a larger margin on this GPU (`composegen plan PRESET --margin MIB`), or make `ubatch_size` smaller"
            }
            Self::GpuMemory { .. } => {
                "make `ubatch_size` smaller, or put fewer experts on this GPU (`composegen plan PRESET`)"
            }
            Self::HostMemory { killed: true, .. } => {
                "raise or remove `container.memory_limit`, end other programs, or take a smaller model or context"
            }
            Self::HostMemory { .. } => "make `ctx_size` smaller, or take a smaller model",
            Self::ModelFile { trouble, .. } => match trouble {
                Trouble::Missing => {
                    "put it into the directory that `container.models_dir` names, or correct `model.file`"
                }
                Trouble::MissingPart => "download this part into the same directory as the others",
                Trouble::NotFirstPart => {
                    "name the part that ends in `-00001-of-...` in `model.file`"
                }
                Trouble::CutOff => "download it again; its size is not what its header says",
                Trouble::NoGguf => {
                    "download it again, and look whether it is an error page or a pointer file"
                }
            },
            Self::UnknownArchitecture { .. } => {
                "build a newer llama.cpp: `composegen update`, then `composegen build PRESET --image`"
            }
            Self::Flag { .. } => {
                "correct the preset's key or `extra_args`; `composegen run PRESET -- llama-server --help` lists what this build takes"
            }
            Self::Port { .. } => "end what listens there, or choose another `server.port`",
            Self::NoGpu { .. } => {
                "`composegen doctor PRESET` says whether the driver or NVIDIA's container toolkit is missing; which GPU comes first is said by `uuid` in the hardware file"
            }
            Self::Instruction => {
                "set `cpu.isa` of the hardware file to what this CPU has, or leave it out, and build the image again"
            }
            Self::Stopped { .. } => "start it again with `composegen up PRESET`",
            Self::Unknown { .. } => {
                "`log_prefix` and `verbosity = 4` in the preset's `[server]` make the log say more"
            }
        }
    }
}

#[cfg(test)]
mod tests;
