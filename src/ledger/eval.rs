//! What a coding benchmark came to: one line of the ledger, whoever ran it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::artifact::Digest;

/// Scores of one model, at one setting, on one suite.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Eval {
    /// The suite's name.
    pub suite: String,
    /// Of the suite's file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Which of its problems: dates, difficulty, a limit. In words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// The model's name, as the server or whoever published it gives it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Where a published figure stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problems: Option<u64>,
    /// Answers to each problem.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// Answers that passed, of `problems` times `samples`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub passed: Option<u64>,
    /// From 0 to 1.
    pub pass_at_1: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The chance that one of all samples passes, where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pass_at_n: Option<f64>,
    /// How often an answer failed for which reason.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub failures: BTreeMap<String, u64>,
    /// Tokens of all answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Of all answers, each from the request to its end. Answers that ran side by side count each.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Answers that took something back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubted: Option<u64>,
    /// By the names that presets use, and `max_tokens`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sampling: BTreeMap<String, f64>,
    /// Of each difficulty, where the suite knows it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub difficulty: BTreeMap<String, Part>,
}

/// Where pass@1 lies with 95 % certainty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
    /// `wilson`, or `clustered` where a problem has several samples.
    pub method: String,
}

/// A part of the suite.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Part {
    pub problems: u64,
    pub passed: u64,
    pub pass_at_1: f64,
}

impl Eval {
    pub fn tokens_per_answer(&self) -> Option<f64> {
        Some(self.tokens? as f64 / self.answers()? as f64)
    }

    pub fn seconds_per_answer(&self) -> Option<f64> {
        Some(self.seconds? / self.answers()? as f64)
    }

    fn answers(&self) -> Option<u64> {
        let answers = self.problems?.checked_mul(self.samples.unwrap_or(1));
        answers.filter(|answers| *answers > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Run, What};
    use super::{Eval, Interval};

    #[test]
    fn reads_what_it_prints() {
        let eval = Eval {
            suite: "ours".to_owned(),
            problems: Some(4),
            samples: Some(2),
            passed: Some(5),
            pass_at_1: 0.625,
            interval: Some(Interval { low: 0.2, high: 0.9, method: "clustered".to_owned() }),
            tokens: Some(80),
            seconds: Some(16.0),
            sampling: [("temp".to_owned(), 0.6)].into(),
            ..Eval::default()
        };
        assert_eq!((eval.tokens_per_answer(), eval.seconds_per_answer()), (Some(10.0), Some(2.0)));
        let run = Run { what: What::Eval, eval: Some(eval), ..Run::default() };
        let line = run.to_string();
        assert!(line.contains(r#""what":"eval""#) && !line.contains("url"), "{line}");
        assert_eq!(Run::parse(&line), Ok(run));
        // What somebody published has little more than a figure.
        let line = r#"{"v":1,"source":"reported","by":"a paper","what":"eval","outcome":"ok","eval":{"suite":"ours","pass_at_1":0.5}}"#;
        assert_eq!(Run::parse(line).unwrap().eval.unwrap().tokens_per_answer(), None);
        // More answers than there can be.
        let many = Some(u64::MAX);
        let eval = Eval { problems: many, samples: many, tokens: Some(1), ..Eval::default() };
        assert_eq!(eval.tokens_per_answer(), None);
    }
}
