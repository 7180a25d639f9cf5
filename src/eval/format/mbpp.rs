//! MBPP, whole and sanitized: a sentence, and assertions that the model is shown
//! (<https://github.com/google-research/google-research/tree/master/mbpp>).

use serde::Deserialize;
use serde_json::Value;

use super::{SuiteError, defined, read, word};
use crate::eval::{Code, Problem, Tests};

#[derive(Deserialize)]
struct Line {
    task_id: Value,
    /// The whole one.
    text: Option<String>,
    /// The sanitized one.
    prompt: Option<String>,
    /// The solution that is known: only the names in it are taken.
    #[serde(default)]
    code: String,
    test_list: Vec<String>,
    test_setup_code: Option<String>,
    #[serde(default)]
    test_imports: Vec<String>,
    #[serde(default)]
    challenge_test_list: Vec<String>,
}

pub(super) fn problem(line: &str) -> Result<Problem, SuiteError> {
    let line: Line = read(line)?;
    let text = line.text.or(line.prompt).ok_or_else(|| SuiteError::new("no `text` or `prompt`"))?;
    Ok(Problem { id: word(&line.task_id), text, shown: line.test_list, ..Problem::default() })
}

pub(super) fn tests(line: &str) -> Result<Tests, SuiteError> {
    let line: Line = read(line)?;
    let mut setup = line.test_imports.join("\n");
    setup.push('\n');
    setup.push_str(&line.test_setup_code.unwrap_or_default());
    let tests = [line.test_list, line.challenge_test_list].concat();
    let all = format!("{setup}\n{}", tests.join("\n"));
    let mut names = defined(&line.code);
    names.retain(|name| all.contains(name.as_str()));
    Ok(Tests::Code(Code { setup, tests, names, alias: None }))
}

#[cfg(test)]
mod tests {
    use super::{problem, tests};
    use crate::eval::Tests;

    #[test]
    fn both_kinds() {
        let whole = r#"{"text":"Add two numbers.","code":"def helper(x):\r\n  return x\r\ndef sum(a, b):\r\n  return a + b","task_id":7,"test_setup_code":"","test_list":["assert sum(1, 2) == 3"],"challenge_test_list":["assert sum(-1, 1) == 0"]}"#;
        let read = problem(whole).unwrap();
        assert_eq!(
            (read.id.as_str(), read.text.as_str(), read.shown.len()),
            ("7", "Add two numbers.", 1)
        );
        let Tests::Code(code) = tests(whole).unwrap() else { panic!() };
        assert_eq!((code.tests.len(), code.names), (2, vec!["sum".to_owned()]));
        let sanitized = r#"{"source_file":"x","task_id":8,"prompt":"Root it.","code":"def f(x):\n  return x","test_imports":["import math"],"test_list":["assert math.isclose(f(4), 2)"]}"#;
        assert_eq!(problem(sanitized).unwrap().text, "Root it.");
        let Tests::Code(code) = tests(sanitized).unwrap() else { panic!() };
        assert_eq!(code.setup, "import math\n");
        assert!(problem(r#"{"task_id":1,"test_list":[]}"#).is_err());
    }
}
