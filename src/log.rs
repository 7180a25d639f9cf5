//! What llama-server says about itself, read line by line: how far it has come, and why it ended. Values in, values
//! out; where the lines come from is not known here.

pub mod breakdown;
pub mod devices;
pub mod failure;
pub mod metrics;
pub mod progress;

/// The line without the time and the level that llama-server puts before it: `0.00.016.733 I srv ...`.
fn text(line: &str) -> &str {
    let line = line.trim_end();
    let Some((time, rest)) = line.split_once(' ') else { return line };
    let clock = time.split('.').count() == 4
        && time.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    match rest.split_once(' ') {
        Some(("I" | "W" | "E" | "D", text)) if clock => text,
        _ => line,
    }
}

/// What stands between two pieces of a line.
fn between<'a>(line: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(before)?;
    rest.split_once(after).map(|(found, _)| found)
}

/// What the entrypoint says where a container has no NVIDIA driver.
pub(crate) fn without_driver(line: &str) -> Option<&str> {
    let said =
        line.strip_prefix("composegen: ").filter(|said| said.starts_with("no NVIDIA driver"))?;
    said.split(';').next()
}

/// Why no GPU is used, by the line that says so: llama-server goes on without.
fn without_gpu(line: &str) -> Option<&str> {
    let cuda = || line.split_once("ggml_cuda_init: failed to initialize CUDA: ");
    without_driver(line).or_else(|| cuda().map(|(_, why)| why))
}
