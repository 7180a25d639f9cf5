//! A bar per device: what takes how much of its memory, and what stays free.

use super::{Anchor, Chart, fitting};
use crate::report::{Bar, Kind, Memory, words};

const BAR: f64 = 18.0;
const DEVICE: f64 = 57.0;
const HEAD: f64 = 40.0;

/// `None` where nothing is known of any device.
pub fn memory(strategies: &[Memory], width: f64) -> Option<Chart> {
    if strategies.is_empty() {
        return None;
    }
    let most = strategies
        .iter()
        .flat_map(|strategy| &strategy.bars)
        .map(|bar| bar.memory_mib - bar.left_mib.unwrap_or_default().min(0.0))
        .fold(1.0, f64::max);
    let mut chart = Chart::new("memory", "Memory of each device", width);
    let mut y = legend(&mut chart, strategies);
    let mut said = Vec::new();
    for strategy in strategies {
        chart.text(
            [0.0, y + 15.0],
            Anchor::Start,
            "label strong",
            fitting(&strategy.strategy, width),
        );
        chart.text([0.0, y + 30.0], Anchor::Start, "small", fitting(&strategy.known, width));
        y += HEAD;
        for bar in &strategy.bars {
            device(&mut chart, bar, y, most);
            y += DEVICE;
        }
        let bars: Vec<String> = strategy.bars.iter().map(sentence).collect();
        said.push(format!("{}: {}", strategy.strategy, bars.join("; ")));
        y += 8.0;
    }
    chart.height.0 = y;
    chart.desc = format!("{}.", said.join(". "));
    Some(chart)
}

fn sentence(bar: &Bar) -> String {
    let parts: Vec<String> = bar
        .parts
        .iter()
        .map(|part| format!("{} {}", part.kind.words(), words::mib(part.mib)))
        .collect();
    format!("{} {}, {}", bar.device, parts.join(", "), left(bar).trim_end_matches(','))
}

fn left(bar: &Bar) -> String {
    match bar.left_mib {
        Some(left) if left < 0.0 => format!("{} MiB too much", words::mib(-left)),
        Some(left) => format!("{} MiB free", words::mib(left)),
        None => "free not known,".to_owned(),
    }
}

/// The patterns that are there, with what they mean. Gives where the bars begin.
fn legend(chart: &mut Chart, strategies: &[Memory]) -> f64 {
    let bars = || strategies.iter().flat_map(|strategy| &strategy.bars);
    let kinds = [Kind::Before, Kind::Weights, Kind::Cache, Kind::Compute, Kind::Rest, Kind::All];
    let there = |kind: &Kind| bars().any(|bar| bar.parts.iter().any(|part| part.kind == *kind));
    let mut entries: Vec<(Option<Kind>, &str)> =
        kinds.into_iter().filter(there).map(|kind| (Some(kind), kind.words())).collect();
    if bars().any(|bar| bar.in_use.is_some()) {
        entries.push((None, "in use as measured"));
    }
    let (mut x, mut y) = (0.0, 0.0);
    for (kind, words) in entries {
        let width = 22.0 + super::extent(words) + 14.0;
        if x > 0.0 && x + width > chart.width.0 {
            x = 0.0;
            y += 20.0;
        }
        match kind {
            Some(kind) => segment(chart, kind, [x, y + 2.0, 16.0, 12.0]),
            None => needle(chart, x + 8.0, y + 4.0, 10.0),
        }
        chart.text([x + 22.0, y + 12.0], Anchor::Start, "small", words);
        x += width;
    }
    y + 30.0
}

fn device(chart: &mut Chart, bar: &Bar, y: f64, most: f64) {
    let width = chart.width.0;
    let scale = |mib: f64| mib / most * width;
    let state = format!("{} of {}", left(bar), words::mib(bar.memory_mib));
    let name = if bar.card.is_empty() {
        bar.device.clone()
    } else {
        format!("{} {}", bar.device, bar.card)
    };
    let room = width - super::extent(&state) - 10.0;
    chart.text([0.0, y + 11.0], Anchor::Start, "label", fitting(&name, room));
    let over = bar.left_mib.is_some_and(|left| left < 0.0);
    let class = if over { "label strong" } else { "label" };
    chart.text([width, y + 11.0], Anchor::End, class, state);
    let top = y + 21.0;
    chart.rect([0.0, top, scale(bar.memory_mib), BAR], "free");
    let mut x = 0.0;
    for part in &bar.parts {
        let long = scale(part.mib.max(0.0));
        segment(chart, part.kind, [x, top, long, BAR]);
        let figure = words::mib(part.mib);
        if super::extent(&figure) < long {
            chart.text([x + long / 2.0, top + BAR + 12.0], Anchor::Middle, "small", figure);
        }
        x += long;
    }
    if over {
        // Where the card ends.
        let end = scale(bar.memory_mib);
        chart.line([end, top - 3.0, end, top + BAR + 3.0], "edge");
    }
    if let Some((mib, _)) = &bar.in_use {
        needle(chart, scale(*mib), top - 2.0, BAR + 4.0);
    }
}

/// A box with its pattern: stripes that tell the parts apart without any colour.
fn segment(chart: &mut Chart, kind: Kind, [x, y, width, height]: [f64; 4]) {
    if width < 0.5 {
        return;
    }
    let class = match kind {
        Kind::Before => "part before",
        Kind::Weights => "part weights",
        Kind::Cache => "part cache",
        Kind::Compute => "part compute",
        Kind::Rest => "part rest",
        Kind::All => "part all",
    };
    chart.rect([x, y, width, height], class);
    let mut d = String::new();
    let mut stroke = |from: [f64; 2], to: [f64; 2]| {
        let [x1, y1, x2, y2] = [from[0], from[1], to[0], to[1]].map(super::Px);
        d.extend([
            "M",
            &x1.to_string(),
            " ",
            &y1.to_string(),
            "L",
            &x2.to_string(),
            " ",
            &y2.to_string(),
        ]);
    };
    let upright = matches!(kind, Kind::Cache | Kind::Rest | Kind::All);
    let level = matches!(kind, Kind::Compute | Kind::Rest | Kind::All);
    // Of a whole card the stripes are further apart.
    let gap = if kind == Kind::All { 9.0 } else { 4.0 };
    let mut at = 4.0;
    while upright && at < width - 1.0 {
        stroke([x + at, y], [x + at, y + height]);
        at += gap;
    }
    let mut at = 4.0;
    while level && at < height - 1.0 {
        stroke([x, y + at], [x + width, y + at]);
        at += gap;
    }
    if !d.is_empty() {
        chart.path(d, "hatch");
    }
}

/// A line across the bar with a point on top.
fn needle(chart: &mut Chart, x: f64, y: f64, height: f64) {
    let at = |dx: f64, y: f64| format!("{} {}", super::Px(x + dx), super::Px(y));
    let d = format!(
        "M{}L{}M{}L{}L{}z",
        at(0.0, y),
        at(0.0, y + height),
        at(-3.5, y - 4.0),
        at(3.5, y - 4.0),
        at(0.0, y + 1.0)
    );
    chart.path(d, "needle");
}
