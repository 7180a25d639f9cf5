//! One's own problems: one JSON object a line, or tables of a TOML file.

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{SuiteError, read};
use crate::eval::{Calls, Case, Code, Problem, Stream, Tests};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    id: String,
    text: String,
    difficulty: Option<String>,
    date: Option<String>,
    starter: Option<String>,
    #[serde(default)]
    before: String,
    /// The function that `args` and `result` are of.
    function: Option<String>,
    #[serde(default)]
    case: Vec<Example>,
    /// Python, each entry a test.
    #[serde(default)]
    tests: Vec<String>,
    #[serde(default)]
    setup: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Example {
    stdin: Option<String>,
    stdout: Option<String>,
    args: Option<Vec<Value>>,
    result: Option<Value>,
}

/// The whole TOML file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    name: Option<String>,
    #[serde(default)]
    problem: Vec<toml::Table>,
}

pub(super) fn lines(text: &str) -> Result<(Option<String>, Vec<String>), SuiteError> {
    let file: File = toml::from_str(text).map_err(|error| SuiteError::new(error.to_string()))?;
    if file.problem.is_empty() {
        return Err(SuiteError::new("there is no `[[problem]]` in it"));
    }
    let lines =
        file.problem.iter().map(|table| json(&toml::Value::Table(table.clone())).to_string());
    Ok((file.name, lines.collect()))
}

fn json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.clone().into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(yes) => (*yes).into(),
        toml::Value::Datetime(date) => date.to_string().into(),
        toml::Value::Array(list) => list.iter().map(json).collect(),
        toml::Value::Table(table) => Value::Object(
            table.iter().map(|(key, value)| (key.clone(), json(value))).collect::<Map<_, _>>(),
        ),
    }
}

pub(super) fn problem(line: &str) -> Result<Problem, SuiteError> {
    let line: Line = read(line)?;
    Ok(Problem {
        program: line.case.iter().any(|case| case.stdin.is_some() || case.stdout.is_some()),
        id: line.id,
        text: line.text,
        starter: line.starter,
        before: line.before,
        difficulty: line.difficulty,
        date: line.date.map(|date| date.chars().take(10).collect()),
        entry: line.function,
        ..Problem::default()
    })
}

pub(super) fn tests(line: &str) -> Result<Tests, SuiteError> {
    let line: Line = read(line)?;
    let names = line.function.iter().cloned().collect();
    match (line.case.is_empty(), line.tests.is_empty()) {
        (true, _) => {
            let code = Code { setup: line.setup, tests: line.tests, names, alias: None };
            return Ok(Tests::Code(code));
        }
        (false, false) => return Err(SuiteError::new("it has both `case` and `tests`")),
        (false, true) => {}
    }
    let mut streams = Vec::new();
    let mut cases = Vec::new();
    for (i, case) in line.case.into_iter().enumerate() {
        match case {
            Example { stdin, stdout: Some(output), args: None, result: None } => {
                streams.push(Stream { input: stdin.unwrap_or_default(), output });
            }
            Example { stdin: None, stdout: None, args: Some(args), result: Some(result) } => {
                let args = args.iter().map(Value::to_string).collect();
                cases.push(Case { args, result: result.to_string() });
            }
            _ => {
                return Err(SuiteError::new(format!(
                    "case {}: it has either `stdin` and `stdout`, or `args` and `result`",
                    i + 1
                )));
            }
        }
    }
    match (line.function, streams.is_empty(), cases.is_empty()) {
        (_, false, true) => Ok(Tests::Streams(streams)),
        (Some(function), true, false) => Ok(Tests::Calls(Calls { function, cases })),
        (None, true, _) => {
            Err(SuiteError::new("cases with `args` need the name of the `function`"))
        }
        _ => Err(SuiteError::new("cases are either all `stdin` or all `args`")),
    }
}

#[cfg(test)]
mod tests {
    use super::{lines, problem, tests};
    use crate::eval::Tests;

    #[test]
    fn a_toml_file() {
        let text = "name = \"ours\"\n[[problem]]\nid = \"a\"\ntext = \"Twice.\"\ndate = 2026-01-02\nfunction = \"f\"\n\
            [[problem.case]]\nargs = [1, [2.5, \"x\"]]\nresult = { y = true }\n\
            [[problem]]\nid = \"b\"\ntext = \"Echo.\"\n[[problem.case]]\nstdin = \"1\"\nstdout = \"1\"\n\
            [[problem]]\nid = \"c\"\ntext = \"Do.\"\ntests = [\"assert f() == 1\"]\n";
        let (name, lines) = lines(text).unwrap();
        assert_eq!((name.as_deref(), lines.len()), (Some("ours"), 3));
        assert_eq!(problem(&lines[0]).unwrap().date.as_deref(), Some("2026-01-02"));
        let Tests::Calls(calls) = tests(&lines[0]).unwrap() else { panic!() };
        assert_eq!(calls.cases[0].args, ["1", r#"[2.5,"x"]"#]);
        assert_eq!(calls.cases[0].result, r#"{"y":true}"#);
        assert!(problem(&lines[1]).unwrap().program);
        assert!(matches!(tests(&lines[1]), Ok(Tests::Streams(streams)) if streams.len() == 1));
        assert!(matches!(tests(&lines[2]), Ok(Tests::Code(code)) if code.tests.len() == 1));
    }

    #[test]
    fn what_is_not_whole_is_named() {
        for (line, why) in [
            (
                r#"{"id":"a","text":"b","function":"f","case":[{"args":[1]}]}"#,
                "case 1: it has either",
            ),
            (r#"{"id":"a","text":"b","case":[{"args":[1],"result":1}]}"#, "need the name"),
            (
                r#"{"id":"a","text":"b","case":[{"args":[],"result":1},{"stdout":""}]}"#,
                "either all",
            ),
            (r#"{"id":"a","text":"b","case":[{"stdout":""}],"tests":[""]}"#, "both"),
            (r#"{"id":"a","text":"b","tets":[]}"#, "unknown field `tets`"),
        ] {
            let error = tests(line).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        assert!(lines("name = \"x\"").unwrap_err().to_string().contains("[[problem]]"));
        assert!(lines("problems = []").unwrap_err().to_string().contains("unknown field"));
    }
}
