//! A coding benchmark without any IO: what a suite's file asks, the code in an answer, what the tests of it are, and what
//! the verdicts come to. Who asks the server and who runs the code is not known here.

pub mod extract;
pub mod filter;
pub mod format;
pub mod journal;
pub mod output;
mod pickle;
pub mod program;
pub mod prompt;
pub mod score;
pub mod verdict;

pub use filter::Filter;
pub use format::{Format, SuiteError};
pub use verdict::{Fault, Limits, Verdict};

/// One problem of a suite.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problem {
    pub id: String,
    /// What is to be done, in words.
    pub text: String,
    /// Code that the answer goes on from.
    pub starter: Option<String>,
    /// Tests that the suite shows to the model.
    pub shown: Vec<String>,
    /// The function that is to be completed, where an answer may be its body alone.
    pub entry: Option<String>,
    /// Whether the answer is a program that reads standard input.
    pub program: bool,
    /// Python that stands before the answer.
    pub before: String,
    /// `easy`, `medium`, `hard`, or what else the suite calls it.
    pub difficulty: Option<String>,
    /// `2025-01-31`.
    pub date: Option<String>,
}

/// What an answer is judged by. An answer never sees the results that are expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Tests {
    /// Input and output of a program.
    Streams(Vec<Stream>),
    /// Python that calls what the answer defines. It runs apart from the answer.
    Code(Code),
    /// Calls of one function.
    Calls(Calls),
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    pub input: String,
    pub output: String,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Code {
    /// Run once, before the tests.
    pub setup: String,
    /// Each is a test.
    pub tests: Vec<String>,
    /// What the answer has to define, also where Python has something of that name. Other names that nobody else
    /// defines are looked for in the answer, too.
    pub names: Vec<String>,
    /// Another name for the answer's first, as HumanEval calls it `candidate`.
    pub alias: Option<String>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Of the answer's class `Solution`, where it has one.
    pub function: String,
    pub cases: Vec<Case>,
}

/// One call, in JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Case {
    pub args: Vec<String>,
    pub result: String,
}

impl Tests {
    pub const fn count(&self) -> usize {
        match self {
            Self::Streams(streams) => streams.len(),
            Self::Code(code) => code.tests.len(),
            Self::Calls(calls) => calls.cases.len(),
        }
    }
}
