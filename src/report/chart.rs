//! Charts as lists of lines, boxes and words with their places: SVG but for the angle brackets.
//!
//! Nothing is told by colour alone: marks differ in shape, parts of a bar in their pattern, and each value stands
//! beside its mark as text.

mod answers;
mod axis;
mod compared;
mod context;
mod depths;
mod memory;
mod scores;
mod trails;

use std::fmt;

pub use answers::answers;
pub use compared::compared;
pub use context::context;
pub use depths::depths;
pub use memory::memory;
pub use scores::scores;
pub use trails::trails;

use super::Quality;

/// Every chart that there can be, by the name of its file.
pub const IDS: [&str; 7] = [
    "speed-by-context",
    "time-to-answer",
    "speed-by-depth",
    "memory",
    "prediction",
    "attempts",
    "scores",
];

/// A drawing with a title and what it says in words.
#[derive(Clone, Debug, PartialEq)]
pub struct Chart {
    /// The name of its file.
    pub id: &'static str,
    /// What ids inside of it end with, so that two drawings of one page share none.
    pub suffix: &'static str,
    pub title: String,
    pub desc: String,
    pub width: Px,
    pub height: Px,
    pub items: Vec<Item>,
}

/// A coordinate, printed with one decimal at most.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
pub struct Px(pub f64);

impl fmt::Display for Px {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{:.1}", self.0);
        let text = text.strip_suffix(".0").unwrap_or(&text);
        f.write_str(if text == "-0" { "0" } else { text })
    }
}

/// What is drawn, in the order in which it is drawn. `class` says what it is; the style sheet, how it looks.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    Rect { x: Px, y: Px, width: Px, height: Px, class: &'static str },
    Path { d: String, class: &'static str },
    Text { x: Px, y: Px, anchor: &'static str, class: &'static str, text: String },
}

impl Chart {
    fn new(id: &'static str, title: impl Into<String>, width: f64) -> Self {
        Self {
            id,
            suffix: "wide",
            title: title.into(),
            desc: String::new(),
            width: Px(width),
            height: Px(0.0),
            items: Vec::new(),
        }
    }

    #[must_use]
    pub(super) fn narrow(mut self) -> Self {
        self.suffix = "narrow";
        self
    }

    fn rect(&mut self, [x, y, width, height]: [f64; 4], class: &'static str) {
        let [x, y, width, height] = [x, y, width, height].map(Px);
        self.items.push(Item::Rect { x, y, width, height, class });
    }

    fn line(&mut self, [x1, y1, x2, y2]: [f64; 4], class: &'static str) {
        let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(Px);
        self.items.push(Item::Path { d: format!("M{x1} {y1}L{x2} {y2}"), class });
    }

    fn path(&mut self, d: String, class: &'static str) {
        self.items.push(Item::Path { d, class });
    }

    fn text(
        &mut self,
        [x, y]: [f64; 2],
        anchor: Anchor,
        class: &'static str,
        text: impl Into<String>,
    ) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.items.push(Item::Text { x: Px(x), y: Px(y), anchor, class, text: text.into() });
    }

    /// A mark of about ten units around a point.
    fn mark(&mut self, [x, y]: [f64; 2], mark: Mark) {
        let p = |dx: f64, dy: f64| format!("{} {}", Px(x + dx), Px(y + dy));
        let (d, class) = match mark {
            Mark::Dot => (format!("M{}a5 5 0 1 0 10 0a5 5 0 1 0 -10 0z", p(-5.0, 0.0)), "mark dot"),
            Mark::Triangle => {
                (format!("M{}L{}L{}z", p(0.0, -5.5), p(5.5, 4.5), p(-5.5, 4.5)), "mark triangle")
            }
            Mark::Diamond => (
                format!("M{}L{}L{}L{}z", p(0.0, -5.5), p(5.5, 0.0), p(0.0, 5.5), p(-5.5, 0.0)),
                "mark diamond",
            ),
            Mark::Cross => (
                format!("M{}L{}M{}L{}", p(-4.5, -4.5), p(4.5, 4.5), p(-4.5, 4.5), p(4.5, -4.5)),
                "mark cross",
            ),
        };
        self.path(d, class);
    }

    /// Marks with what they mean, from left to right, wrapping. Gives the height that it took.
    fn legend(&mut self, [x, y]: [f64; 2], entries: &[(Mark, &str)]) -> f64 {
        let (mut at, mut line) = (x, y);
        for (mark, words) in entries {
            let width = 16.0 + extent(words) + 14.0;
            if at > x && at + width > self.width.0 {
                at = x;
                line += 18.0;
            }
            self.mark([at + 6.0, line - 4.0], *mark);
            self.text([at + 16.0, line], Anchor::Start, "small", *words);
            at += width;
        }
        line - y + 18.0
    }
}

/// How a text stands to its point.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Anchor {
    Start,
    Middle,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    Dot,
    Triangle,
    Diamond,
    Cross,
}

const QUALITIES: [(Mark, &str); 3] = [
    (Mark::Dot, "clean answer"),
    (Mark::Triangle, "corrects itself"),
    (Mark::Diamond, "not judged"),
];

impl Mark {
    fn of(quality: Quality) -> Self {
        match quality {
            Quality::Clean => Self::Dot,
            Quality::Doubts => Self::Triangle,
            Quality::Unknown => Self::Diamond,
        }
    }
}

/// The legend of those qualities that are there.
fn qualities(there: impl Iterator<Item = Quality>) -> Vec<(Mark, &'static str)> {
    let there: Vec<Mark> = there.map(Mark::of).collect();
    QUALITIES.into_iter().filter(|(mark, _)| there.contains(mark)).collect()
}

/// How wide a text of the usual size is, at most: a bit more than the average of common typefaces, bold ones included.
fn extent(text: &str) -> f64 {
    text.chars().count() as f64 * EM
}

const EM: f64 = 7.2;

/// As much of a text as fits into a width.
fn fitting(text: &str, width: f64) -> String {
    if extent(text) <= width {
        return text.to_owned();
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a few characters")]
    let count = (width / EM).max(2.0) as usize;
    let mut cut: String = text.chars().take(count - 1).collect();
    cut.push('\u{2026}');
    cut
}

#[cfg(test)]
mod tests {
    use super::{Px, fitting};

    #[test]
    fn coordinates_are_short() {
        let text = |n: f64| Px(n).to_string();
        assert_eq!([1.0, -0.04, 2.55, -3.25].map(text), ["1", "0", "2.5", "-3.2"]);
        assert_eq!(fitting("abcdefgh", 30.0), "abc\u{2026}");
        assert_eq!(fitting("abc", 30.0), "abc");
    }
}
