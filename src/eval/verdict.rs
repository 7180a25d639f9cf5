//! Whether an answer passed, and what it was allowed to take.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Bounds of one run of an answer's code.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Limits {
    /// Of one test, by the clock on the wall.
    pub seconds: f64,
    pub memory_mib: u32,
    /// Processes and threads.
    pub processes: u32,
    /// Of all files together; they lie in memory.
    pub files_mib: u32,
    /// What a test may print, standard error included.
    pub output_mib: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self { seconds: 10.0, memory_mib: 2048, processes: 64, files_mib: 64, output_mib: 16 }
    }
}

/// Why an answer did not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fault {
    /// Another result than the one that is right.
    Wrong,
    /// It raised, could not be compiled, or ended with an error.
    Raised,
    /// A test took too long.
    Time,
    Memory,
    /// It printed too much.
    Output,
    /// There is no code in it.
    NoCode,
    /// It reached the limit of tokens, and what there was of it did not pass.
    CutOff,
    /// The server refused the question.
    Refused,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Wrong => "wrong",
            Self::Raised => "raised",
            Self::Time => "time",
            Self::Memory => "memory",
            Self::Output => "output",
            Self::NoCode => "no-code",
            Self::CutOff => "cut-off",
            Self::Refused => "refused",
        })
    }
}

/// What came of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// Absent: it passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<Fault>,
    /// The test that failed, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub test: Option<u64>,
    /// How many tests there are.
    pub tests: u64,
    /// What is known of the failure, on one line.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

/// A longer text says no more.
const DETAIL: usize = 300;

impl Verdict {
    pub fn passed(&self) -> bool {
        self.fault.is_none()
    }

    pub fn pass(tests: usize) -> Self {
        Self { tests: tests as u64, ..Self::default() }
    }

    /// `test` counts from 0.
    pub fn fail(fault: Fault, test: Option<usize>, tests: usize, detail: &str) -> Self {
        let line = detail.trim().chars().map(|c| if c.is_control() { ' ' } else { c });
        Self {
            fault: Some(fault),
            test: test.map(|test| test as u64 + 1),
            tests: tests as u64,
            detail: line.take(DETAIL).collect(),
        }
    }

    /// What an answer that has not come to its end failed by is mostly that.
    #[must_use]
    pub fn of_unfinished(mut self) -> Self {
        if self.fault.is_some() {
            self.fault = Some(Fault::CutOff);
        }
        self
    }
}

/// `wrong at test 3 of 7: …`
impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(fault) = self.fault else { return f.write_str("passed") };
        write!(f, "{fault}")?;
        if let Some(test) = self.test {
            write!(f, " at test {test} of {}", self.tests)?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}
