//! What was asked and judged already, one line of JSON each, so that an interrupted run goes on where it was. A line is
//! keyed by everything that shaped what stands in it; a question at another setting is another question.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Limits, Verdict};
use crate::artifact::Digest;

/// The layout of a line.
const VERSION: u32 = 1;

/// An answer as the server gave it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Answer {
    pub text: String,
    /// What was thought aloud apart from the answer, where the server tells it apart.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reasoning: String,
    /// Where the server says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// From the request to the end.
    pub seconds: f64,
    /// Whether the model ended it, not the limit of tokens.
    pub finished: bool,
}

/// One line. `problem`, `sample` and `setting` are for a reader; the key alone counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    v: u32,
    key: String,
    problem: String,
    sample: u64,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    setting: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    answer: Option<Answer>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verdict: Option<Verdict>,
}

/// All that is known from a journal. Of two lines with the same key the later one counts.
#[derive(Clone, Debug, Default)]
pub struct Journal {
    pub answers: HashMap<String, Answer>,
    pub verdicts: HashMap<String, Verdict>,
    /// Lines that were cut off or written by a later version.
    pub skipped: usize,
}

impl Journal {
    pub fn parse(text: &str) -> Self {
        let mut journal = Self::default();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            match serde_json::from_str::<Line>(line) {
                Ok(Line { v: VERSION, key, answer: Some(answer), .. }) => {
                    journal.answers.insert(key, answer);
                }
                Ok(Line { v: VERSION, key, verdict: Some(verdict), .. }) => {
                    journal.verdicts.insert(key, verdict);
                }
                _ => journal.skipped += 1,
            }
        }
        journal
    }
}

/// Which problem a line is about, for its reader.
#[derive(Clone, Copy, Debug)]
pub struct About<'a> {
    pub problem: &'a str,
    pub sample: u64,
    pub setting: &'a str,
}

pub fn answer_line(key: &str, about: About<'_>, answer: &Answer) -> String {
    line(key, about, Some(answer.clone()), None)
}

pub fn verdict_line(key: &str, about: About<'_>, verdict: &Verdict) -> String {
    line(key, about, None, Some(verdict.clone()))
}

fn line(key: &str, about: About<'_>, answer: Option<Answer>, verdict: Option<Verdict>) -> String {
    let About { problem, sample, setting } = about;
    let line = Line {
        v: VERSION,
        key: key.to_owned(),
        problem: problem.to_owned(),
        sample,
        setting: setting.to_owned(),
        answer,
        verdict,
    };
    // Nothing in it can fail to become JSON: its keys are texts.
    serde_json::to_string(&line).unwrap_or_default()
}

/// The key of an answer. `server` is all that is known to shape what it answers: model, file, build, its own defaults,
/// the preset's flags.
pub fn answer_key(
    server: &Value,
    suite: &Digest,
    problem: &str,
    sample: u64,
    request: &Value,
) -> String {
    key(&json!([VERSION, "answer", server, suite.as_str(), problem, sample, request]))
}

/// The key of a verdict: the program that ran, the tests (by the digest of the problem's line), the limits, the image,
/// and the digest of what judges.
pub fn verdict_key(
    program: &str,
    line: &Digest,
    limits: &Limits,
    image: &str,
    judge: &Digest,
) -> String {
    let program = Digest::of(program.as_bytes());
    key(&json!([
        VERSION,
        "verdict",
        program.as_str(),
        line.as_str(),
        limits,
        image,
        judge.as_str()
    ]))
}

fn key(parts: &Value) -> String {
    let digest = Digest::of(parts.to_string().as_bytes());
    digest.as_str().trim_start_matches("sha256:").to_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{About, Answer, Journal, answer_key, answer_line, verdict_key, verdict_line};
    use crate::artifact::Digest;
    use crate::eval::{Fault, Limits, Verdict};

    const ABOUT: About<'_> = About { problem: "a/1", sample: 0, setting: "temp=0.6" };

    #[test]
    fn reads_what_it_writes_wherever_it_was_cut() {
        let answer = Answer {
            text: "x\ny".to_owned(),
            tokens: Some(3),
            finished: true,
            ..Answer::default()
        };
        let verdict = Verdict::fail(Fault::Wrong, Some(2), 7, "no\nway");
        let lines = [answer_line("k1", ABOUT, &answer), verdict_line("k2", ABOUT, &verdict)];
        assert!(lines.iter().all(|line| !line.contains('\n')));
        let text = format!("{}\n{}\n", lines[0], lines[1]);
        let journal = Journal::parse(&text);
        assert_eq!(
            (journal.answers.get("k1"), journal.verdicts.get("k2")),
            (Some(&answer), Some(&verdict))
        );
        assert_eq!(journal.skipped, 0);
        for end in lines[0].len() + 2..text.len() - 1 {
            let journal = Journal::parse(&text[..end]);
            assert_eq!((journal.answers.len(), journal.verdicts.len(), journal.skipped), (1, 0, 1));
        }
        let newer = text.replacen("\"v\":1", "\"v\":2", 1);
        assert_eq!(Journal::parse(&newer).skipped, 1);
        let again = Answer { text: "z".to_owned(), ..answer };
        let both = format!("{text}{}", answer_line("k1", ABOUT, &again));
        assert_eq!(Journal::parse(&both).answers["k1"].text, "z");
    }

    #[test]
    fn another_setting_is_another_key() {
        let (suite, other) = (Digest::of(b"s"), Digest::of(b"t"));
        let request = json!({"temperature": 0.6, "seed": 1});
        let server = json!({"model": "a"});
        let mut keys = vec![
            answer_key(&server, &suite, "p", 0, &request),
            answer_key(&json!({"model": "b"}), &suite, "p", 0, &request),
            answer_key(&server, &other, "p", 0, &request),
            answer_key(&server, &suite, "q", 0, &request),
            answer_key(&server, &suite, "p", 1, &request),
            answer_key(&server, &suite, "p", 0, &json!({"temperature": 0.8, "seed": 1})),
        ];
        let limits = Limits::default();
        let longer = Limits { seconds: 11.0, ..limits };
        keys.extend([
            verdict_key("x", &suite, &limits, "i", &suite),
            verdict_key("y", &suite, &limits, "i", &suite),
            verdict_key("x", &other, &limits, "i", &suite),
            verdict_key("x", &suite, &longer, "i", &suite),
            verdict_key("x", &suite, &limits, "j", &suite),
            verdict_key("x", &suite, &limits, "i", &other),
        ]);
        let count = keys.len();
        assert_eq!(keys[0], answer_key(&server, &suite, "p", 0, &request));
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count);
    }
}
