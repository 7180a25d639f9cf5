//! The report as a page, as Markdown, and its charts as files.

use askama::Template;

use super::filter as filters;
use super::{RenderError, finish};
use crate::artifact::Artifact;
use crate::report::chart::{Chart, Item, Px};
use crate::report::{Changes, Report};

#[derive(Template)]
#[template(path = "report/report.html")]
struct Page<'a> {
    report: &'a Report,
    /// Ids of the sections that are there, and their names.
    sections: Vec<(&'static str, &'static str)>,
}

#[derive(Template)]
#[template(path = "report/report.md")]
struct Markdown<'a> {
    report: &'a Report,
}

#[derive(Template)]
#[template(path = "report/changes.md")]
struct ChangesMarkdown<'a> {
    changes: &'a Changes,
}

#[derive(Template)]
#[template(path = "report/chart.svg")]
struct Svg<'a> {
    chart: &'a Chart,
    /// Width and height with a margin around.
    outer: (Px, Px),
}

/// One HTML file that needs nothing else.
pub fn html(report: &Report) -> Result<Artifact, RenderError> {
    let sections = [
        ("choice", "Which to run", true),
        ("strategies", "All strategies", true),
        ("memory", "Memory", !report.memory.is_empty()),
        ("prediction", "Prediction", !report.compared.is_empty()),
        ("attempts", "Attempts", !report.trails.is_empty()),
        ("scores", "Coding benchmarks", !report.evals.is_empty()),
        ("runs", "Measurements", !report.runs.is_empty()),
        ("known", "How the figures are known", true),
    ];
    let sections = sections.into_iter().filter(|section| section.2).map(|(id, name, _)| (id, name));
    finish("report.html", Page { report, sections: sections.collect() }.render())
}

/// For a pull request or a README.
pub fn markdown(report: &Report) -> Result<Artifact, RenderError> {
    finish("report.md", Markdown { report }.render())
}

/// What a change did, for a pull request.
pub fn changes(changes: &Changes) -> Result<Artifact, RenderError> {
    finish("changes.md", ChangesMarkdown { changes }.render())
}

/// Each chart as a file of its own.
pub fn svgs(report: &Report) -> Result<Vec<Artifact>, RenderError> {
    let svg = |chart: &Chart| {
        let outer = (Px(chart.width.0 + 24.0), Px(chart.height.0 + 24.0));
        finish(&format!("{}.svg", chart.id), Svg { chart, outer }.render())
    };
    report.charts.iter().map(|drawing| svg(&drawing.wide)).collect()
}
