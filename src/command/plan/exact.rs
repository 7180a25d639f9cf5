//! A plan confirmed by the build that will run it: llama.cpp's own figures for it and for its neighbours.

use serde::Serialize;

use super::alternatives::Alternative;
use super::{Case, argv};
use crate::cli;
use crate::command::Failure;
use crate::command::probe::{About, Answered, Prober, keep};
use crate::ledger::PresetKey;
use crate::plan::memory::{Room, fits};
use crate::plan::placement::Placement;
use crate::probe::{Answer, Question, Row, differences, rooms};
use crate::terminal::{Align, Terminal, table};

/// One placement as llama.cpp says it.
#[derive(Debug, Serialize)]
pub(super) struct Exact {
    change: String,
    /// Within the margin on every device, by llama.cpp's figures.
    fits: bool,
    /// Whether the estimate says the same, to the MiB.
    equal: bool,
    devices: Vec<Row>,
    /// MiB left of what is free on each device; less than nothing where it does not fit.
    left_mib: Vec<i64>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
}

pub(super) fn ask(
    case: &Case,
    placement: &Placement,
    others: &[Alternative],
    args: &cli::Plan,
    terminal: &mut Terminal,
) -> Result<Vec<Exact>, Failure> {
    let image =
        args.exact.image.clone().or_else(|| case.image.clone()).ok_or_else(|| Failure::Usage {
            message: "name the image to ask in --image; without a preset there is none to take"
                .to_owned(),
        })?;
    if case.host.gpus.iter().any(|gpu| gpu.remote.is_some()) {
        return Err(Failure::Usage {
            message: "an image can be shown the GPUs of one machine, not those of workers"
                .to_owned(),
        });
    }
    let mut placements = vec![("this plan", placement)];
    let neighbours = others.iter().filter(|other| other.is_neighbour());
    placements.extend(neighbours.map(|other| (other.change.as_str(), &other.placement)));
    let words: Vec<Vec<String>> =
        placements.iter().map(|(_, placement)| argv(case, placement)).collect();
    let question = |words: &Vec<String>| Question::new(&case.host.gpus, &case.model.parts, words);
    let questions: Vec<Question> = words.iter().map(question).collect();
    let asked = Prober::new(&image, &case.file, &case.model)?.ask(&questions)?;
    if !args.exact.no_ledger {
        let answered = placements.iter().zip(&words).zip(&asked.answers);
        let answered = answered.filter_map(|(((_, placement), words), answer)| match answer {
            Answer::Rows(rows) => {
                Some(Answered { words, layers: Vec::new(), rows, ours: &placement.estimate })
            }
            Answer::Failed(_) => None,
        });
        let answered: Vec<Answered<'_>> = answered.collect();
        // What is asked about is a plan, which the preset need not hold.
        let preset = case.preset.clone().map(|name| PresetKey { name, digest: None });
        let Case { file, model, host, .. } = case;
        let about = About { preset, file, model, gpus: &host.gpus };
        keep(&args.file.ledger, &about, &asked, &answered, terminal)?;
    }
    let exact = |((change, placement), answer): ((&str, &Placement), Answer)| match answer {
        Answer::Rows(devices) => {
            let rooms = rooms(&devices, &case.host.gpus, &case.margin);
            Exact {
                change: change.to_owned(),
                fits: fits(&rooms),
                equal: differences(&devices, &placement.estimate).is_empty(),
                devices,
                left_mib: rooms.iter().map(Room::left_mib).collect(),
                refused: Vec::new(),
            }
        }
        Answer::Failed(refused) => Exact {
            change: change.to_owned(),
            fits: false,
            equal: false,
            devices: Vec::new(),
            left_mib: Vec::new(),
            refused,
        },
    };
    Ok(placements.into_iter().zip(asked.answers).map(exact).collect())
}

/// Nothing where nothing was asked.
pub(super) fn text(exact: &[Exact]) -> String {
    if exact.is_empty() {
        return String::new();
    }
    let row = |exact: &Exact| {
        let list = |of: &dyn Fn(&Row) -> u64| {
            let on_gpus = exact.devices.iter().filter(|row| row.name != "Host");
            on_gpus.map(|row| of(row).to_string()).collect::<Vec<_>>().join(" + ")
        };
        let left: Vec<String> = exact.left_mib.iter().map(ToString::to_string).collect();
        vec![
            exact.change.clone(),
            if exact.refused.is_empty() { list(&Row::total) } else { exact.refused.join("; ") },
            left.join(", "),
            if exact.fits { "yes" } else { "no" }.to_owned(),
            if exact.equal { "same" } else { "differs" }.to_owned(),
        ]
    };
    let head = [
        ("PROBED", Align::Left),
        ("MIB PER DEVICE", Align::Left),
        ("LEFT", Align::Left),
        ("FITS", Align::Left),
        ("ESTIMATE", Align::Left),
    ];
    format!("\n{}", table(&head, exact.iter().map(row).collect()))
}
