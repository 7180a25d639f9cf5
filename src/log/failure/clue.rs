//! The lines that give a failure away, in llama-server's words and in the engine's.

use super::{ABORT, Buffer, Ending, Failure, Phase, Trouble};
use crate::log::{between, text, without_driver, without_gpu};

/// What the engine says where it cannot start a container.
pub(super) fn engine(said: &str) -> Option<Failure> {
    let has = |part: &str| said.contains(part);
    let said = || said.trim().to_owned();
    if has("port is already allocated")
        || has("address already in use")
        || has("cannot assign requested address")
    {
        return Some(Failure::Port { said: said() });
    }
    let gpu = has("could not select device driver")
        || has("nvidia-container-cli")
        || has("unresolvable CDI devices");
    if gpu || has("nvidia.com/gpu") {
        return Some(Failure::NoGpu { said: said() });
    }
    if has("bind source path does not exist") || has("no such file or directory") && has("mount") {
        return Some(Failure::ModelFile { file: said(), trouble: Trouble::Missing });
    }
    None
}

/// The first line that tells a class; later ones repeat it in other words.
pub(super) fn log(ending: &Ending<'_>) -> Option<Failure> {
    let texts: Vec<&str> = ending.lines.iter().map(|line| text(line)).collect();
    // What was said on an earlier start is not why it ended now.
    let start = texts.iter().rposition(|line| line.starts_with("composegen: llama-server"));
    let (_, texts) = texts.split_at(start.unwrap_or(0));
    // Without a driver no device has its name, and whatever names one is called wrong.
    texts
        .iter()
        .find_map(|line| without_driver(line))
        .map(|said| Failure::NoGpu { said: said.to_owned() })
        .or_else(|| gpu_memory(texts, ending))
        .or_else(|| texts.iter().find_map(|line| model(line)))
        .or_else(|| texts.iter().find_map(|line| argument(line)))
        .or_else(|| host_memory(texts))
        .or_else(|| texts.iter().find_map(|line| port(line)))
        .or_else(|| texts.iter().find_map(|line| no_gpu(line)))
}

fn gpu_memory(texts: &[&str], ending: &Ending<'_>) -> Option<Failure> {
    if let Some(line) = texts.iter().find(|line| line.contains("cudaMalloc failed: out of memory"))
    {
        let device = between(line, "on device ", ":").map(|number| format!("CUDA{number}"));
        let wanted_mib = between(line, "allocating ", " MiB").and_then(|mib| mib.parse().ok());
        let has = |part: &str| texts.iter().any(|line| line.contains(part));
        let buffer = if has("error loading model: unable to allocate") {
            Buffer::Weights
        } else if has("buffer for kv cache") || has("buffer for rs cache") {
            Buffer::Context
        } else if has("compute pp buffers") || has("failed to allocate compute buffers") {
            Buffer::Compute
        } else {
            Buffer::Unnamed
        };
        let phase = if ending.was_ready { Phase::Prompt } else { Phase::Load };
        return Some(Failure::GpuMemory { device, buffer, wanted_mib, phase });
    }
    // Memory that CUDA takes when it first needs it.
    let at = texts.iter().position(|line| line.contains("CUDA error: out of memory"))?;
    let device = texts.iter().skip(at).find_map(|line| between(line, "current device: ", ","));
    let device = device.map(|number| format!("CUDA{number}"));
    let late = ending.was_ready || ending.exit_code == Some(ABORT);
    let phase = if late { Phase::Prompt } else { Phase::Load };
    Some(Failure::GpuMemory { device, buffer: Buffer::Compute, wanted_mib: None, phase })
}

fn model(line: &str) -> Option<Failure> {
    let file = |file: &str, trouble| Some(Failure::ModelFile { file: file.to_owned(), trouble });
    if let Some((_, path)) = line.split_once("failed to load GGUF split from ") {
        return file(path, Trouble::MissingPart);
    }
    if line.contains("(No such file or directory)")
        && let Some(path) = between(line, "failed to open GGUF file '", "'")
    {
        // The line after it says so, too, but this one comes first.
        return file(path, if later_part(path) { Trouble::MissingPart } else { Trouble::Missing });
    }
    if let Some(path) = between(line, "no model at ", ";") {
        return file(path, Trouble::Missing);
    }
    if line.contains("illegal split file idx") {
        return file(between(line, "(file: ", ")").unwrap_or(line), Trouble::NotFirstPart);
    }
    if let Some((_, said)) = line.split_once("error loading model: ")
        && said.contains("corrupted or incomplete")
    {
        return file(said, Trouble::CutOff);
    }
    if let Some((_, said)) = line.split_once("gguf_init_from_reader: ") {
        return file(said, Trouble::NoGguf);
    }
    let name = between(line, "unknown model architecture: '", "'")?;
    Some(Failure::UnknownArchitecture { name: name.to_owned() })
}

/// `model-00002-of-00003.gguf`: any part but the first.
fn later_part(path: &str) -> bool {
    let number = path.rsplit_once("-of-").and_then(|(before, _)| before.rsplit_once('-'));
    number.and_then(|(_, number)| number.parse::<u32>().ok()).is_some_and(|number| number > 1)
}

fn argument(line: &str) -> Option<Failure> {
    const SAID: &[&str] = &[
        "error: invalid argument: ",
        "error while handling argument ",
        "error while handling environment variable ",
        "quantized V cache requires flash_attn",
        "quantized V cache was requested",
        "Unexpected character within '[...]' in regular expression",
        "chat template parsing error",
    ];
    let entrypoint = line.strip_prefix("composegen: ").filter(|said| {
        said.contains("; write ")
            || said.contains("EXTRA_ARGS has")
            || said.contains("cannot read ")
    });
    if let Some(said) = entrypoint {
        return Some(Failure::Flag { said: said.to_owned() });
    }
    SAID.iter().any(|part| line.contains(part)).then(|| {
        let said = line.strip_prefix("error: ").unwrap_or(line);
        Failure::Flag { said: said.to_owned() }
    })
}

fn host_memory(texts: &[&str]) -> Option<Failure> {
    let has = |part: &str| texts.iter().any(|line| line.contains(part));
    let bytes = texts.iter().find_map(|line| {
        line.split_once(
            "ggml_backend_cpu_buffer_type_alloc_buffer: failed to allocate buffer of size ",
        )
    });
    if bytes.is_none() && !has("unable to allocate CPU buffer") && !has("std::bad_alloc") {
        return None;
    }
    let bytes = bytes.and_then(|(_, bytes)| bytes.trim().parse::<f64>().ok());
    Some(Failure::HostMemory { wanted_mib: bytes.map(|bytes| bytes / 1_048_576.0), killed: false })
}

fn port(line: &str) -> Option<Failure> {
    let (_, said) = line.split_once("couldn't bind HTTP server socket, ")?;
    Some(Failure::Port { said: said.to_owned() })
}

fn no_gpu(line: &str) -> Option<Failure> {
    let device = || line.split_once("error while handling argument \"--device\": ");
    let said = without_gpu(line).or_else(|| device().map(|(_, said)| said))?;
    Some(Failure::NoGpu { said: said.to_owned() })
}

/// The last thing that looks like an error.
pub(super) fn last_error(lines: &[String]) -> Option<String> {
    let error = lines.iter().rev().find(|line| {
        line.split(' ').nth(1) == Some("E") && !line.contains("exiting due to")
            || line.starts_with("error")
            || line.starts_with("composegen: ")
    });
    error
        .or_else(|| lines.iter().rev().find(|line| !line.trim().is_empty()))
        .map(|line| text(line).to_owned())
}
