//! Findings as a compiler shows them: the line, the marked text, and what to do instead.

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use crate::diagnostic::{Diagnostic, Location, Severity, Sources};

/// All findings, errors and warnings in the order in which they were made, a blank line between them.
pub fn render(findings: &[Diagnostic], sources: &Sources, color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let renderer = renderer.decor_style(DecorStyle::Ascii).term_width(120);
    let mut text = String::new();
    for finding in findings {
        text.push_str(&renderer.render(&[group(finding, sources)]));
        text.push_str("\n\n");
    }
    text
}

/// `2 errors, 1 warning`; nothing for nothing.
pub fn summary(findings: &[Diagnostic]) -> Option<String> {
    let count = |severity| findings.iter().filter(|f| f.severity() == severity).count();
    let parts: Vec<String> = [(Severity::Error, "error"), (Severity::Warning, "warning")]
        .into_iter()
        .map(|(severity, word)| (count(severity), word))
        .filter(|(n, _)| *n > 0)
        .map(|(n, word)| format!("{n} {word}{}", if n == 1 { "" } else { "s" }))
        .collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn group<'a>(finding: &'a Diagnostic, sources: &'a Sources) -> Group<'a> {
    let level = match finding.severity() {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let mut group =
        Group::with_title(level.primary_title(visible(&finding.message)).id(finding.code.as_str()));
    if let Some(at) = &finding.at {
        let label = finding.label.clone();
        let same = |(other, _): &&(Location, String)| other.file == at.file;
        let mut snippet = snippet(at, sources);
        snippet = snippet.map(|s| {
            s.annotation(AnnotationKind::Primary.span(span(at, sources)).label(label)).annotations(
                finding.related.iter().filter(same).map(|(other, label)| {
                    AnnotationKind::Context.span(span(other, sources)).label(label.as_str())
                }),
            )
        });
        if let Some(snippet) = snippet {
            group = group.element(snippet);
        }
        for (other, label) in finding.related.iter().filter(|related| !same(related)) {
            if let Some(snippet) = self::snippet(other, sources) {
                group = group.element(snippet.annotation(
                    AnnotationKind::Context.span(span(other, sources)).label(label.as_str()),
                ));
            }
        }
    }
    if let Some(help) = &finding.help {
        group = group.element(Level::HELP.message(help.as_str()));
    }
    group
}

/// A value quoted in a message may hold anything; on the screen it stays on its line and moves no cursor.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    shown
}

fn snippet<'a, T: Clone>(at: &Location, sources: &'a Sources) -> Option<Snippet<'a, T>> {
    let source = sources.get(at.file)?;
    Some(Snippet::source(source.text.as_str()).path(source.path.as_str()).line_start(1))
}

/// The marked text, kept inside of the file and to its first line where it is longer than a screen.
fn span(at: &Location, sources: &Sources) -> std::ops::Range<usize> {
    let text = sources.get(at.file).map(|source| source.text.as_str()).unwrap_or_default();
    let start = floor(text, at.span.0);
    let end = floor(text, at.span.1).max(start);
    match text.get(start..end).filter(|marked| marked.lines().count() > 6) {
        Some(marked) => start..start + marked.lines().next().map_or(0, str::len),
        None => start..end,
    }
}

fn floor(text: &str, mut at: usize) -> usize {
    at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}
