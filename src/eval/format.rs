//! The files that suites come in: which format it is, and one problem of each line.
//!
//! A line is read twice: for what is asked, and, when an answer is there, for the tests, which can be many megabytes.

mod humaneval;
mod livecodebench;
mod mbpp;
mod own;

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Problem, Tests};

/// How a suite is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `code_generation_lite`, one problem a line.
    LiveCodeBench,
    HumanEval,
    Mbpp,
    /// One problem a line, or a TOML file that [`lines`] has made such lines of.
    Own,
}

/// What is wrong with a suite.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct SuiteError {
    pub why: String,
}

impl SuiteError {
    fn new(why: impl Into<String>) -> Self {
        Self { why: why.into() }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LiveCodeBench => "livecodebench",
            Self::HumanEval => "humaneval",
            Self::Mbpp => "mbpp",
            Self::Own => "own",
        })
    }
}

impl Format {
    /// By the fields of a line.
    pub fn of(line: &str) -> Result<Self, SuiteError> {
        let value: Value = serde_json::from_str(line)
            .map_err(|error| SuiteError::new(format!("no JSON: {error}")))?;
        let Value::Object(fields) = value else {
            return Err(SuiteError::new("a line is to be one JSON object, a problem"));
        };
        let has = |name: &str| fields.contains_key(name);
        if has("question_content") && has("public_test_cases") {
            Ok(Self::LiveCodeBench)
        } else if has("entry_point") && has("prompt") {
            Ok(Self::HumanEval)
        } else if has("test_list") {
            Ok(Self::Mbpp)
        } else if has("id") && has("text") {
            Ok(Self::Own)
        } else {
            let names: Vec<&str> = fields.keys().map(String::as_str).take(8).collect();
            Err(SuiteError::new(format!(
                "no format that is known here has the fields {}; LiveCodeBench has question_content and \
                 public_test_cases, HumanEval prompt and entry_point, MBPP test_list, one's own id and text",
                names.join(", ")
            )))
        }
    }

    /// What the line asks.
    pub fn problem(self, line: &str) -> Result<Problem, SuiteError> {
        match self {
            Self::LiveCodeBench => livecodebench::problem(line),
            Self::HumanEval => humaneval::problem(line),
            Self::Mbpp => mbpp::problem(line),
            Self::Own => own::problem(line),
        }
    }

    /// What the line's answers are judged by; never none at all.
    pub fn tests(self, line: &str) -> Result<Tests, SuiteError> {
        let tests = match self {
            Self::LiveCodeBench => livecodebench::tests(line),
            Self::HumanEval => humaneval::tests(line),
            Self::Mbpp => mbpp::tests(line),
            Self::Own => own::tests(line),
        }?;
        if tests.count() == 0 {
            return Err(SuiteError::new("it has no tests"));
        }
        Ok(tests)
    }
}

/// The problems of a TOML file as lines of the same format in JSON, and the name that it gives itself.
pub fn lines(toml: &str) -> Result<(Option<String>, Vec<String>), SuiteError> {
    own::lines(toml)
}

fn read<T: DeserializeOwned>(line: &str) -> Result<T, SuiteError> {
    serde_json::from_str(line).map_err(|error| SuiteError::new(error.to_string()))
}

/// A number or a text, as text.
fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// The functions and classes that Python code defines at its top.
fn defined(code: &str) -> Vec<String> {
    let mut names = Vec::new();
    for line in code.lines() {
        let line = line.strip_prefix("async ").unwrap_or(line);
        let Some(rest) = line.strip_prefix("def ").or_else(|| line.strip_prefix("class ")) else {
            continue;
        };
        let name: String =
            rest.trim_start().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
        if !name.is_empty() && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::{Format, defined};

    #[test]
    fn told_by_its_fields() {
        for (line, format) in [
            (r#"{"question_content":"","public_test_cases":"[]","x":1}"#, Format::LiveCodeBench),
            (r#"{"task_id":"a","prompt":"","entry_point":"f"}"#, Format::HumanEval),
            (r#"{"task_id":1,"text":"","test_list":[]}"#, Format::Mbpp),
            (r#"{"id":"a","text":"b"}"#, Format::Own),
        ] {
            assert_eq!(Format::of(line), Ok(format));
        }
        let error = Format::of(r#"{"a":1,"b":2}"#).unwrap_err().to_string();
        assert!(error.contains("fields a, b; LiveCodeBench"), "{error}");
        assert!(Format::of("[1]").is_err() && Format::of("{").is_err());
    }

    #[test]
    fn what_code_defines() {
        let code = "import x\ndef f(a):\n    def g(): pass\nclass Node:\n    def h(self): pass\nasync def  k ( b):\n def z(): pass";
        assert_eq!(defined(code), ["f", "Node", "k"]);
    }
}
