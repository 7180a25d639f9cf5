//! What a dry run printed: one line of JSON with the memory of each device, or why there is none.

use serde::{Deserialize, Serialize};

use crate::hardware::Gpu;
use crate::plan::memory::{Estimate, Room};
use crate::units::Bytes;

/// What llama.cpp would allocate on one device, in whole MiB as it prints them (rounded down).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// `CUDA0`, `Host`.
    pub name: String,
    /// Weights.
    pub model: u64,
    /// KV cache and recurrent state.
    pub context: u64,
    /// Compute buffer.
    pub compute: u64,
}

impl Row {
    pub const fn total(&self) -> u64 {
        self.model + self.context + self.compute
    }
}

/// The devices in llama.cpp's order, or the lines that tell why there are none.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    Rows(Vec<Row>),
    Failed(Vec<String>),
}

#[derive(Deserialize)]
struct Line {
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    msg: String,
    #[serde(default)]
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    rows: Vec<Row>,
}

impl Answer {
    /// From all that the dry run printed.
    pub fn read(text: &str) -> Self {
        let mut said: Vec<String> = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let Ok(read) = serde_json::from_str::<Line>(line) else {
                said.push(line.to_owned());
                continue;
            };
            if read.kind == "fit_memory_breakdown"
                && let Some(data) = read.data
            {
                return Self::Rows(data.rows);
            }
            said.push(read.msg.trim().to_owned());
        }
        let tells = |line: &&String| {
            let line = line.to_lowercase();
            ["error", "fail", "unknown", "invalid", "cannot", "unable"]
                .iter()
                .any(|word| line.contains(word))
        };
        let telling: Vec<String> = said.iter().filter(tells).cloned().collect();
        let lines = if telling.is_empty() { said } else { telling };
        let last = lines.len().saturating_sub(4);
        Self::Failed(lines.into_iter().skip(last).collect())
    }
}

/// The rows beside what is free on these GPUs; what the driver itself takes is not counted. Margins are in the GPUs'
/// order, and none where the list ends.
pub fn rooms(rows: &[Row], gpus: &[Gpu], margin: &[Bytes]) -> Vec<Room> {
    let room = |row: &Row| {
        // `--device` may leave some out: the number is that of the GPU in the list.
        let index: usize = row.name.strip_prefix("CUDA")?.parse().ok()?;
        Some(Room {
            device: row.name.clone(),
            used: Bytes::from_mib(row.total()),
            free: gpus.get(index)?.free,
            margin: margin.get(index).copied().unwrap_or(Bytes::ZERO),
        })
    };
    rows.iter().filter_map(room).collect()
}

/// Devices on which the estimate says another number of MiB than llama.cpp, with what each says in all.
pub fn differences(rows: &[Row], estimate: &Estimate) -> Vec<(String, u64, u64)> {
    let mut found = Vec::new();
    for row in rows {
        let host = &estimate.host;
        let ours = if row.name == "Host" {
            [host.model, host.context, host.compute]
        } else if let Some(device) = estimate.devices.iter().find(|device| device.name == row.name)
        {
            [device.model, device.context, device.compute]
        } else {
            continue;
        };
        let ours = ours.map(|bytes| bytes.0 >> 20);
        if ours != [row.model, row.context, row.compute] {
            found.push((row.name.clone(), row.total(), ours.iter().sum()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    // As llama-server b11434 prints them; the first is cut to two devices.
    const ANSWER: &str = r#"{"type":"log","level":"info","msg":"fitting params\n"}
{"type":"fit_memory_breakdown","data":{"rows":[{"name":"CUDA0","total":24564,"free":23671,"self":20010,"model":15940,"context":2226,"compute":1844},{"name":"Host","self":42,"model":40,"context":0,"compute":2}]}}
{"type":"log","msg":"later\n"}"#;

    #[test]
    fn rows_are_read() {
        let Answer::Rows(rows) = Answer::read(ANSWER) else { panic!("no rows") };
        let names: Vec<(&str, u64)> =
            rows.iter().map(|row| (row.name.as_str(), row.total())).collect();
        assert_eq!(names, [("CUDA0", 20010), ("Host", 42)]);
    }

    #[test]
    fn what_tells_the_failure_is_kept() {
        let text = "{\"type\":\"log\",\"msg\":\"loading\"}\nerror while handling argument \"-ot\": unknown buffer type\nusage";
        let Answer::Failed(lines) = Answer::read(text) else { panic!("rows") };
        assert_eq!(lines, ["error while handling argument \"-ot\": unknown buffer type"]);
        assert_eq!(
            Answer::read("one\ntwo"),
            Answer::Failed(vec!["one".to_owned(), "two".to_owned()])
        );
    }
}
