//! What the model is asked.

use super::Problem;

/// Where the problem goes in instructions of one's own.
pub const HOLE: &str = "{problem}";

/// The question, one message. `instructions` take the place of ours around the problem.
pub fn question(problem: &Problem, instructions: Option<&str>) -> String {
    let mut body = problem.text.trim().to_owned();
    if let Some(starter) = &problem.starter {
        let add = format!("\n\n```python\n{}\n```", starter.trim_matches('\n').trim_end());
        body.push_str(&add);
    }
    if !problem.shown.is_empty() {
        let add = format!(
            "\n\nThese tests have to pass:\n\n```python\n{}\n```",
            problem.shown.iter().map(|test| test.trim()).collect::<Vec<_>>().join("\n")
        );
        body.push_str(&add);
    }
    if let Some(instructions) = instructions {
        return instructions.replace(HOLE, &body);
    }
    let how = match (problem.program, &problem.starter, &problem.entry) {
        (true, ..) => {
            "Write a Python 3 program that solves this problem. It reads its input from standard input and prints \
             nothing but the result to standard output."
                .to_owned()
        }
        (false, Some(_), None) => {
            "Solve this problem in Python 3. Keep the names in the code that is given, and write it out whole."
                .to_owned()
        }
        (false, Some(_), Some(name)) => {
            format!("Write the Python 3 function `{name}` out whole, with the imports that it needs.")
        }
        (false, None, Some(name)) => format!("Write a Python 3 function `{name}` for this problem."),
        (false, None, None) => "Solve this problem in Python 3.".to_owned(),
    };
    format!(
        "{how} End your answer with one block of code, fenced as ```python, that holds all of it.\n\n{body}\n"
    )
}

#[cfg(test)]
mod tests {
    use super::question;
    use crate::eval::Problem;

    #[test]
    fn each_kind_is_asked_for() {
        let problem = Problem { text: " Twice. ".to_owned(), program: true, ..Problem::default() };
        assert!(question(&problem, None).contains("standard input"));
        let starter = Some("class Solution:\n    def f(self):\n".to_owned());
        let problem = Problem { text: "Twice.".to_owned(), starter, ..Problem::default() };
        let text = question(&problem, None);
        assert!(
            text.contains("Keep the names") && text.contains("    def f(self):\n```"),
            "{text}"
        );
        let problem = Problem { entry: Some("f".to_owned()), ..problem };
        assert!(question(&problem, None).contains("function `f`"));
        let shown = vec!["assert f(1) == 2\r".to_owned()];
        let problem = Problem { text: "Twice.".to_owned(), shown, ..Problem::default() };
        assert!(question(&problem, None).contains("```python\nassert f(1) == 2\n```"));
        assert_eq!(
            question(&Problem { shown: Vec::new(), ..problem }, Some("<{problem}>")),
            "<Twice.>"
        );
    }
}
