//! What `plan` places beside what llama-server's `--fit` places at the same margin, and how long that takes.
//!
//! `placement --headers DIR [--granularity layer] [FIT.jsonl]`: rows of `model`, `rig` or `gpus`
//! (`TOTAL:FREE:CAPABILITY,...` in MiB), `base` (or `args`) flags, `margin` and what `--fit` ended with in `devices`.
//! Without rows only the times are printed: of the seed's case, and of 94 blocks on 8 GPUs.

#![allow(
    clippy::indexing_slicing,
    clippy::format_push_string,
    reason = "a program for the terminal, over constants and what was just counted"
)]

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::time::Instant;

use camino::{Utf8Path, Utf8PathBuf};
use composegen::gguf::{self, Model};
use composegen::hardware::Gpu;
use composegen::plan::memory::Request;
use composegen::plan::placement::{Granularity, Placement, Task, place};
use composegen::plan::speed::System;
use composegen::units::Bytes;
use serde::Deserialize;

#[derive(Deserialize)]
struct Row {
    model: String,
    rig: Option<String>,
    gpus: Option<String>,
    #[serde(alias = "args")]
    base: Vec<String>,
    margin: u64,
    #[serde(default)]
    devices: BTreeMap<String, Measured>,
    #[serde(default)]
    over_margin: bool,
}

#[derive(Deserialize)]
struct Measured {
    model: u64,
    context: u64,
    compute: u64,
}

const RIGS: &[(&str, &str)] = &[
    ("4090+5070ti", "24564:23671:8.9:1008,16303:12761:12.0:896"),
    ("3x16", "16384:15900:8.9,16384:15900:8.9,16384:15900:8.9"),
    ("12+24", "12288:11900:8.9:360,24576:24000:8.9:936"),
];

fn gpus(text: &str) -> Result<Vec<Gpu>, String> {
    text.split(',').map(gpu).collect()
}

fn gpu(text: &str) -> Result<Gpu, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let number = |i: usize| parts.get(i).and_then(|n| n.parse::<u64>().ok());
    let (memory, free) = number(0).zip(number(1)).ok_or_else(|| format!("`{text}` is no GPU"))?;
    Ok(Gpu {
        name: String::new(),
        memory: Bytes::from_mib(memory),
        free: Bytes::from_mib(free),
        compute_capability: parts.get(2).unwrap_or(&"8.9").parse()?,
        bandwidth_gbs: parts.get(3).and_then(|n| n.parse().ok()),
        pci: None,
        uuid: None,
        remote: None,
    })
}

fn find(model: &str, folder: &Utf8Path) -> Result<Model, String> {
    let entries = folder.read_dir_utf8().map_err(|e| e.to_string())?;
    let mut files: Vec<Utf8PathBuf> =
        entries.flatten().map(camino::Utf8DirEntry::into_path).collect();
    files.sort();
    let named = |f: &&Utf8PathBuf| {
        f.file_stem().is_some_and(|s| s == model || s.starts_with(&format!("{model}-00001-of-")))
    };
    let file = files.iter().find(named).ok_or_else(|| format!("no header of {model}"))?;
    gguf::open(file).map_err(|e| e.to_string())
}

/// The model with its blocks repeated until there are so many.
fn stretched(mut model: Model, blocks: u32) -> Model {
    let had = model.block_count;
    let (layers, tensors) = (model.layers.clone(), model.tensors.clone());
    model.tensors.retain(|tensor| tensor.layer.is_none());
    model.layers.clear();
    for block in 0..blocks {
        let of = block % had;
        let mut layer = layers[of as usize].clone();
        layer.index = block;
        model.layers.push(layer);
        for tensor in tensors.iter().filter(|tensor| tensor.layer == Some(of)) {
            let mut tensor = tensor.clone();
            tensor.name = format!("blk.{block}.{}", tensor.base());
            tensor.layer = Some(block);
            model.tensors.push(tensor);
        }
    }
    model.block_count = blocks;
    model
}

fn timed(name: &str, model: &Model, gpus: &[Gpu], args: &str) -> Result<String, String> {
    let args: Vec<&str> = args.split_whitespace().collect();
    let request = Request::from_args(&args).map_err(|e| e.to_string())?;
    let margin = [Bytes::from_mib(1024)];
    let task = Task {
        model,
        gpus,
        system: System { ram_gbs: Some(50.0), ..System::default() },
        ram: None,
        request: &request,
        margin: &margin,
        granularity: Granularity::Tensor,
        layers: &[],
    };
    let (mut best, mut estimates) = (f64::INFINITY, 0);
    for _ in 0..7 {
        let start = Instant::now();
        estimates = place(&task).map_err(|e| e.to_string())?.estimates;
        best = best.min(start.elapsed().as_secs_f64() * 1e3);
    }
    Ok(format!("{name}: {best:.1} ms, {estimates} estimates\n"))
}

fn sum(placement: &Placement) -> u64 {
    placement.estimate.devices.iter().map(|device| device.model.0).sum::<u64>() >> 20
}

fn run() -> Result<String, String> {
    let mut folder = None;
    let mut file = None;
    let mut granularity = Granularity::Tensor;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "--headers" => folder = args.next().map(Utf8PathBuf::from),
            "--granularity" => {
                if args.next().as_deref() == Some("layer") {
                    granularity = Granularity::Layer;
                }
            }
            _ => file = Some(arg),
        }
    }
    let folder = folder.ok_or("--headers DIR is needed")?;
    let mut text = String::new();
    if let Some(file) = file {
        let rows = fs_err::read_to_string(&file).map_err(|e| e.to_string())?;
        let (mut fewer, mut over, mut ahead, mut count) = (0, 0, 0_i64, 0_i64);
        for line in rows.lines().filter(|line| !line.trim().is_empty()) {
            let row: Row = serde_json::from_str(line).map_err(|e| e.to_string())?;
            let rig = || RIGS.iter().find(|rig| Some(rig.0) == row.rig.as_deref()).map(|rig| rig.1);
            let gpus = gpus(row.gpus.as_deref().or_else(rig).ok_or("a row without gpus")?)?;
            let model = find(&row.model, &folder)?;
            let request = Request::from_args(&row.base).map_err(|e| e.to_string())?;
            let margin = [Bytes::from_mib(row.margin)];
            let task = Task {
                model: &model,
                gpus: &gpus,
                system: System { ram_gbs: Some(50.0), ..System::default() },
                ram: None,
                request: &request,
                margin: &margin,
                granularity,
                layers: &[],
            };
            let start = Instant::now();
            let placement = place(&task).map_err(|e| e.to_string())?;
            let time = start.elapsed().as_secs_f64() * 1e3;
            let left = |device: &composegen::plan::memory::DeviceMemory| {
                device.free.mib() - device.total().mib() - row.margin as f64
            };
            let left: Vec<String> =
                placement.estimate.devices.iter().map(|d| format!("{:.0}", left(d))).collect();
            let cuda = row.devices.iter().filter(|(name, _)| name.starts_with("CUDA"));
            let theirs: u64 = cuda.clone().map(|(_, device)| device.model).sum();
            let free: Vec<String> = cuda
                .zip(&gpus)
                .map(|((_, d), gpu)| {
                    let used = d.model + d.context + d.compute + row.margin;
                    format!("{:.0}", gpu.free.mib() - used as f64)
                })
                .collect();
            let ours = sum(&placement);
            let ts: Vec<String> = placement.tensor_split.iter().map(ToString::to_string).collect();
            let lead = i64::try_from(ours).unwrap_or(0) - i64::try_from(theirs).unwrap_or(0);
            if !row.over_margin {
                fewer += u32::from(lead < 0);
                ahead += lead;
                count += 1;
            }
            over += u32::from(!placement.fits);
            text += &format!(
                "{}{} {} {} margin {}: {ours} MiB, --fit {theirs} ({lead:+}), left {} (--fit {}), -ts {}, {} rules, {} estimates, {time:.0} ms{}\n",
                if lead < 0 && !row.over_margin { "! " } else { "" },
                row.model,
                row.rig.as_deref().or(row.gpus.as_deref()).unwrap_or_default(),
                row.base.join(" "),
                row.margin,
                left.join("/"),
                free.join("/"),
                ts.join(","),
                placement.rules.len(),
                placement.estimates,
                if row.over_margin { ", --fit over its margin" } else { "" },
            );
        }
        text += &format!(
            "{count} rows where --fit keeps its margin: fewer weights on GPUs in {fewer}, {:.0} MiB more on average; {over} plans do not fit\n",
            ahead as f64 / count.max(1) as f64
        );
    }
    let seed = find("qcn-ud6", &folder)?;
    let flags = "-c 262144 -b 2048 -ub 2048 -np 1 -fa on -ctk q8_0 -ctv q8_0";
    text += &timed("seed (48 blocks, 2 GPUs)", &seed, &gpus(RIGS[0].1)?, flags)?;
    let large = stretched(find("qwen3moe-30b", &folder)?, 94);
    let eight = ["8192:7900:8.9"; 8].join(",");
    let flags = "-c 65536 -b 2048 -ub 512 -np 1 -fa on -ctk q8_0 -ctv q8_0";
    text += &timed("94 blocks, 8 GPUs", &large, &gpus(&eight)?, flags)?;
    Ok(text)
}

#[expect(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]
fn main() -> ExitCode {
    match run() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}
