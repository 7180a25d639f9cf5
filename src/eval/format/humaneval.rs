//! HumanEval: a function's head with its description, and a function `check` that calls it
//! (<https://github.com/openai/human-eval>).

use serde::Deserialize;
use serde_json::Value;

use super::{SuiteError, read, word};
use crate::eval::{Code, Problem, Tests};

#[derive(Deserialize)]
struct Line {
    task_id: Value,
    prompt: String,
    test: String,
    entry_point: String,
}

pub(super) fn problem(line: &str) -> Result<Problem, SuiteError> {
    let line: Line = read(line)?;
    Ok(Problem {
        id: word(&line.task_id),
        text: "Complete the last function of this code, as its documentation says.".to_owned(),
        before: stub(&line.prompt),
        starter: Some(line.prompt),
        entry: Some(line.entry_point),
        ..Problem::default()
    })
}

pub(super) fn tests(line: &str) -> Result<Tests, SuiteError> {
    let line: Line = read(line)?;
    if !line.test.contains("def check") {
        return Err(SuiteError::new("`test` defines no function `check`"));
    }
    Ok(Tests::Code(Code {
        // What the prompt defines besides is there for the tests, too: theirs, not the answer's.
        setup: format!("{}\n{}", stub(&line.prompt), line.test),
        tests: vec!["check(candidate)".to_owned()],
        names: vec![line.entry_point],
        alias: Some("candidate".to_owned()),
    }))
}

/// The prompt ends within a function; with this it is whole.
fn stub(prompt: &str) -> String {
    let last = prompt.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let indent: String = last.chars().take_while(|c| c.is_whitespace()).collect();
    let indent = if indent.is_empty() { "    " } else { &indent };
    format!("{}\n{indent}pass\n", prompt.trim_end())
}

#[cfg(test)]
mod tests {
    use super::{problem, tests};
    use crate::eval::Tests;

    const LINE: &str = r#"{"task_id":"Own/0","prompt":"import math\n\ndef helper(x):\n    return x\n\ndef twice(x):\n    \"\"\"Twice x.\"\"\"\n","canonical_solution":"    return 2 * x\n","test":"def check(candidate):\n    assert candidate(2) == 4\n","entry_point":"twice"}"#;

    #[test]
    fn a_function_to_complete() {
        let problem = problem(LINE).unwrap();
        assert_eq!((problem.id.as_str(), problem.entry.as_deref()), ("Own/0", Some("twice")));
        assert!(problem.before.ends_with("\"\"\"Twice x.\"\"\"\n    pass\n"), "{}", problem.before);
        let Tests::Code(code) = tests(LINE).unwrap() else { panic!() };
        assert!(code.setup.contains("pass\n\ndef check(candidate)"), "{}", code.setup);
        assert_eq!(
            (code.names, code.alias.as_deref()),
            (vec!["twice".to_owned()], Some("candidate"))
        );
        assert!(tests(&LINE.replace("def check", "def chuck")).is_err());
    }
}
