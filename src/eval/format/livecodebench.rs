//! LiveCodeBench's `code_generation_lite` (<https://huggingface.co/datasets/livecodebench/code_generation_lite>): programs
//! that read standard input, and methods of a class. Hidden tests are JSON, or JSON in a pickle in zlib in base64.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;

use super::{SuiteError, read};
use crate::eval::{Calls, Case, Problem, Stream, Tests, pickle};

/// What the tests of one problem unpack to, at most.
const MOST: usize = 1 << 30;

#[derive(Deserialize)]
struct Line {
    question_title: String,
    question_content: String,
    question_id: String,
    contest_date: String,
    #[serde(default)]
    starter_code: String,
    difficulty: String,
    public_test_cases: String,
    #[serde(default)]
    private_test_cases: String,
    metadata: Option<Value>,
}

#[derive(Deserialize)]
struct Test {
    input: String,
    output: String,
    testtype: String,
}

/// What solutions on these platforms may take for granted, as the benchmark's own harness does.
const BEFORE: &str = "\
import sys
sys.setrecursionlimit(50000)
from string import *
from re import *
from datetime import *
from collections import *
from heapq import *
from bisect import *
from copy import *
from math import *
from random import *
from statistics import *
from itertools import *
from functools import *
from operator import *
from io import *
from json import *
from builtins import *
from typing import *
import string, re, datetime, collections, heapq, bisect, copy, math, random, statistics
import itertools, functools, operator, io, sys, json
";

pub(super) fn problem(line: &str) -> Result<Problem, SuiteError> {
    let line: Line = read(line)?;
    let function = function(line.metadata.as_ref())?;
    let starter = line.starter_code.trim_end();
    let date = line.contest_date.get(..10).unwrap_or(&line.contest_date);
    Ok(Problem {
        id: line.question_id,
        text: format!("{}\n\n{}", line.question_title.trim(), line.question_content.trim()),
        starter: (!starter.trim().is_empty()).then(|| starter.to_owned()),
        program: function.is_none(),
        before: BEFORE.to_owned(),
        difficulty: Some(line.difficulty),
        date: Some(date.to_owned()),
        ..Problem::default()
    })
}

pub(super) fn tests(line: &str) -> Result<Tests, SuiteError> {
    let line: Line = read(line)?;
    let wrong = |field: &str, why: String| SuiteError::new(format!("`{field}`: {why}"));
    let mut all: Vec<Test> = serde_json::from_str(&line.public_test_cases)
        .map_err(|error| wrong("public_test_cases", error.to_string()))?;
    all.extend(hidden(&line.private_test_cases).map_err(|why| wrong("private_test_cases", why))?);
    let function = function(line.metadata.as_ref())?;
    let kind = if function.is_some() { "functional" } else { "stdin" };
    if let Some(other) = all.iter().find(|test| test.testtype != kind) {
        return Err(SuiteError::new(format!(
            "a test is `{}`, but `metadata` says that the problem is `{kind}`",
            other.testtype
        )));
    }
    Ok(match function {
        None => {
            let stream = |test: Test| Stream { input: test.input, output: test.output };
            Tests::Streams(all.into_iter().map(stream).collect())
        }
        Some(function) => {
            let case = |test: Test| Case {
                args: test.input.split('\n').map(str::to_owned).collect(),
                result: test.output,
            };
            Tests::Calls(Calls { function, cases: all.into_iter().map(case).collect() })
        }
    })
}

/// `metadata` is an object, or one as a text.
fn function(metadata: Option<&Value>) -> Result<Option<String>, SuiteError> {
    let parsed = match metadata {
        Some(Value::String(text)) if !text.is_empty() => serde_json::from_str(text)
            .map_err(|error| SuiteError::new(format!("`metadata`: {error}")))?,
        Some(value) => value.clone(),
        None => Value::Null,
    };
    Ok(parsed.get("func_name").and_then(Value::as_str).map(str::to_owned))
}

fn hidden(text: &str) -> Result<Vec<Test>, String> {
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).map_err(|error| error.to_string());
    }
    let packed = STANDARD.decode(text.trim()).map_err(|error| format!("no base64: {error}"))?;
    let pickled = miniz_oxide::inflate::decompress_to_vec_zlib_with_limit(&packed, MOST)
        .map_err(|error| format!("no zlib: {error}"))?;
    let json = pickle::text(&pickled).map_err(|why| format!("no pickle of a text: {why}"))?;
    serde_json::from_str(&json).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{hidden, problem, tests};
    use crate::eval::Tests;

    /// `base64(zlib(pickle.dumps(json)))` of `[{"input": "2", "output": "4", "testtype": "stdin"}]`, made by Python 3.11.
    const PACKED: &str =
        "eJxrYJlqwQABPSbR1UqZeQWlJUpWCkpGSjoKSvmlJVCuCYhbklpcUlJZkAoSKC5JycxTqo2dogcAOmkSrQ==";

    fn line(metadata: &str, public: &str, private: &str) -> String {
        json!({
            "question_title": "Twice", "question_content": "Print twice the number.", "platform": "own",
            "question_id": "own_1", "contest_id": "own", "contest_date": "2024-09-01T00:00:00",
            "starter_code": "", "difficulty": "easy", "public_test_cases": public,
            "private_test_cases": private, "metadata": metadata,
        })
        .to_string()
    }

    #[test]
    fn programs_and_methods() {
        let public = r#"[{"input":"1","output":"2","testtype":"stdin"}]"#;
        let program = line("{}", public, PACKED);
        let read = problem(&program).unwrap();
        assert!(read.program && read.starter.is_none());
        assert_eq!(read.date.as_deref(), Some("2024-09-01"));
        let Tests::Streams(streams) = tests(&program).unwrap() else { panic!() };
        let pairs: Vec<(&str, &str)> =
            streams.iter().map(|s| (s.input.as_str(), s.output.as_str())).collect();
        assert_eq!(pairs, [("1", "2"), ("2", "4")]);

        let public = r#"[{"input":"[1, 2]\n3","output":"[3]","testtype":"functional"}]"#;
        let method = line(r#"{"func_name":"twice"}"#, public, "[]");
        assert!(!problem(&method).unwrap().program);
        let Tests::Calls(calls) = tests(&method).unwrap() else { panic!() };
        assert_eq!((calls.function.as_str(), calls.cases.len()), ("twice", 1));
        assert_eq!(calls.cases[0].args, ["[1, 2]", "3"]);
        let mixed = tests(&line("{}", public, "")).unwrap_err().to_string();
        assert!(mixed.contains("`functional`, but"), "{mixed}");
    }

    #[test]
    fn what_is_hidden_badly_is_named() {
        for (text, why) in [("!", "no base64"), ("aGk=", "no zlib"), ("[1]", "invalid type")] {
            let error = hidden(text).err().unwrap();
            assert!(error.contains(why), "{error}");
        }
    }
}
