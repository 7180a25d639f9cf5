//! The rows of an oracle: a model's header, GPUs, flags, and what llama-server said it would allocate.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use composegen::hardware::Gpu;
use composegen::units::Bytes;
use serde::Deserialize;

#[derive(Deserialize)]
pub(crate) struct Row {
    pub(crate) model: String,
    pub(crate) rig: Option<String>,
    pub(crate) gpus: Option<String>,
    pub(crate) args: Vec<String>,
    #[serde(default)]
    pub(crate) devices: BTreeMap<String, Measured>,
}

#[derive(Clone, Copy, Deserialize)]
pub(crate) struct Measured {
    pub(crate) model: u64,
    pub(crate) context: u64,
    pub(crate) compute: u64,
}

/// The rigs of the oracle's measured rows.
pub(crate) const RIGS: &[(&str, &str)] = &[
    ("4090+5070ti", "24564:23671:8.9,16303:12761:12.0"),
    ("4090", "24564:23900:8.9"),
    ("3060", "12288:11900:8.6"),
    ("8gb", "8192:7900:8.9"),
    ("2x3090", "24576:24000:8.6,24576:24100:8.6"),
    ("3x16", "16384:15900:8.9,16384:15900:8.9,16384:15900:8.9"),
    ("24+12", "24576:24000:8.9,12288:11900:8.9"),
    ("12+24", "12288:11900:8.9,24576:24000:8.9"),
    ("5090", "32607:31800:12.0"),
    ("4x24", "24576:24000:8.9,24576:24000:8.9,24576:24000:8.9,24576:24000:8.9"),
];

pub(crate) fn gpus(text: &str) -> Result<Vec<Gpu>, String> {
    text.split(',').map(gpu).collect()
}

fn gpu(text: &str) -> Result<Gpu, String> {
    let mut parts = text.split(':');
    let mut mib = || parts.next().and_then(|n| n.parse().ok()).map(Bytes::from_mib);
    let (memory, free) = mib().zip(mib()).ok_or_else(|| format!("`{text}` is no GPU"))?;
    let compute_capability = parts.next().unwrap_or("8.9").parse()?;
    Ok(Gpu {
        name: String::new(),
        memory,
        free,
        compute_capability,
        bandwidth_gbs: None,
        pci: None,
        uuid: None,
        remote: None,
    })
}

pub(crate) fn find(model: &str, folders: &[Utf8PathBuf]) -> Result<Utf8PathBuf, String> {
    for folder in folders {
        let one = folder.join(format!("{model}.gguf"));
        if one.exists() {
            return Ok(one);
        }
        let first = format!("{model}-00001-of-");
        let files = folder.read_dir_utf8().map_err(|e| format!("{folder}: {e}"))?;
        for file in files.flatten() {
            if file.file_name().starts_with(&first) {
                return Ok(file.into_path());
            }
        }
    }
    Err(format!("no header of {model}"))
}
