//! `composegen list`: all strategies beside each other.

use std::io::Write as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::Serialize;

use super::{Failure, load, report};
use crate::cli::{Format, List};
use crate::preset::record::{Measured, Status};
use crate::preset::resolve::Library;
use crate::preset::value;
use crate::strategy::Strategy;
use crate::terminal::{Align, Terminal, table};

pub(super) fn run(args: &List, terminal: &mut Terminal) -> Result<(), Failure> {
    let paths = presets(&args.dir)?;
    if paths.is_empty() {
        return Err(Failure::File(format!("no presets (*.toml) in `{}`", args.dir)));
    }
    let mut library = Library::new(&load);
    let mut rows = Vec::new();
    for path in &paths {
        let resolved = library.resolve(path).map_err(|e| Failure::File(e.to_string()))?;
        let layers = value(&resolved.preset.model.layers).copied();
        let quant = value(&resolved.preset.model.quant).cloned();
        let model = value(&resolved.preset.model.name).cloned();
        rows.extend(Strategy::new(&resolved, None).map(|s| Row::new(&s, model, quant, layers)));
    }
    report(&library.findings, &library.sources, false, terminal)?;
    let key = |row: &Row| {
        let (group, label, name) = order(row.label.as_deref(), &row.name);
        (group, label.to_owned(), name.to_owned())
    };
    rows.sort_by_cached_key(key);
    match args.output.format {
        Format::Json => {
            let text = serde_json::to_string_pretty(&rows).map_err(std::io::Error::other)?;
            writeln!(terminal.out, "{text}")?;
        }
        Format::Text => write!(terminal.out, "{}", text(rows))?,
    }
    Ok(())
}

/// The presets of a directory, in the order of their names.
pub(super) fn presets(dir: &Utf8Path) -> Result<Vec<Utf8PathBuf>, Failure> {
    let entries = fs_err::read_dir(dir.as_std_path()).map_err(|e| Failure::File(e.to_string()))?;
    let mut paths = Vec::new();
    for entry in entries {
        let path = entry.map_err(|e| Failure::File(e.to_string()))?.path();
        let Ok(path) = Utf8PathBuf::from_path_buf(path) else { continue };
        if path.extension() == Some("toml") && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// What the table shows of a strategy.
#[derive(Serialize)]
struct Row {
    name: String,
    label: Option<String>,
    model: Option<String>,
    quant: Option<String>,
    ctx_size: Option<u64>,
    cache_type_k: Option<String>,
    cache_type_v: Option<String>,
    layers_per_gpu: Vec<u32>,
    layers_on_gpus: Option<u32>,
    layers: Option<i64>,
    decode_tps: Option<f64>,
    approximate: bool,
    tokens: Option<i64>,
    quality: Option<String>,
    status: Status,
    reason: Option<String>,
}

impl Row {
    fn new(
        strategy: &Strategy,
        model: Option<String>,
        quant: Option<String>,
        layers: Option<i64>,
    ) -> Self {
        let last = strategy.measured.last();
        let get = |flag| strategy.word(flag).map(str::to_owned);
        Self {
            name: strategy.name.clone(),
            label: strategy.label.clone(),
            model,
            quant,
            ctx_size: get("--ctx-size").and_then(|word| word.parse().ok()),
            cache_type_k: get("--cache-type-k"),
            cache_type_v: get("--cache-type-v"),
            layers_per_gpu: strategy.layers.clone(),
            layers_on_gpus: (!strategy.layers.is_empty()).then(|| strategy.layers.iter().sum()),
            layers,
            decode_tps: last.and_then(|m| value(&m.decode_tps)).map(|n| n.value),
            approximate: last.and_then(|m: &Measured| value(&m.approximate)) == Some(&true),
            tokens: last.and_then(|m| value(&m.tokens)).copied(),
            quality: last.and_then(|m| value(&m.quality)).cloned(),
            status: strategy.status,
            reason: strategy.reason.clone(),
        }
    }
}

/// Numbered strategies first, in their order, then the rest by name.
pub(super) fn order<'a>(label: Option<&'a str>, name: &'a str) -> (u8, &'a str, &'a str) {
    let label = label.unwrap_or_default();
    let numbered = label.starts_with(|c: char| c.is_ascii_digit());
    (u8::from(!numbered), label, name)
}

fn text(rows: Vec<Row>) -> String {
    let head = [
        ("STRAT", Align::Left),
        ("NAME", Align::Left),
        ("MODEL", Align::Left),
        ("QUANT", Align::Left),
        ("CONTEXT", Align::Right),
        ("KV", Align::Left),
        ("GPU LAYERS", Align::Right),
        ("SPEED", Align::Right),
        ("QUALITY", Align::Left),
        ("STATUS", Align::Left),
    ];
    let dash = || "-".to_owned();
    let rows = rows.into_iter().map(|row| {
        let split = row.layers_per_gpu.iter().map(u32::to_string).collect::<Vec<_>>().join("+");
        let layers = match (row.layers_on_gpus, row.layers) {
            (Some(on), Some(all)) => format!("{split} = {on}/{all}"),
            (Some(_), None) => split,
            _ => dash(),
        };
        let kv = match (row.cache_type_k, row.cache_type_v) {
            (Some(k), Some(v)) if k == v => k,
            (None, None) => dash(),
            (k, v) => format!("{}/{}", k.unwrap_or_else(dash), v.unwrap_or_else(dash)),
        };
        let about = if row.approximate { "~" } else { "" };
        vec![
            row.label.unwrap_or_default(),
            row.name,
            row.model.unwrap_or_else(dash),
            row.quant.unwrap_or_else(dash),
            row.ctx_size.map_or_else(dash, context),
            kv,
            layers,
            row.decode_tps.map_or_else(dash, |tps| format!("{about}{tps:.1} t/s")),
            row.quality.unwrap_or_else(dash),
            row.status.to_string(),
        ]
    });
    table(&head, rows.collect())
}

/// `256K` where it is a whole number of 1024 tokens.
fn context(tokens: u64) -> String {
    if tokens > 0 && tokens.is_multiple_of(1024) {
        format!("{}K", tokens / 1024)
    } else {
        tokens.to_string()
    }
}
