//! What is run: the code of an answer with what its problem puts before it.

use super::Problem;

/// Larger ones are refused; no answer is that long.
pub const MOST: usize = 1 << 20;

/// The whole program. Where a function was to be completed, the answer may be its body alone.
pub fn program(problem: &Problem, code: &str) -> String {
    let Some((entry, starter)) = problem.entry.as_ref().zip(problem.starter.as_ref()) else {
        return format!("{}\n{code}", problem.before);
    };
    let defines = code.lines().any(|line| {
        let line = line.trim_start();
        let line = line.strip_prefix("async ").unwrap_or(line);
        line.strip_prefix("def ").is_some_and(|rest| {
            rest.trim_start()
                .strip_prefix(entry.as_str())
                .is_some_and(|rest| rest.trim_start().starts_with(['(', '[']))
        })
    });
    // An answer may also give the function by another way: `f = lambda x: x`.
    let assigns = code.lines().any(|line| {
        line.strip_prefix(entry.as_str()).is_some_and(|rest| rest.trim_start().starts_with('='))
    });
    if defines || assigns {
        return format!("{}\n{code}", problem.before);
    }
    let inside = code.lines().find(|line| !line.trim().is_empty());
    let indented = inside.is_some_and(|line| line.starts_with([' ', '\t']));
    let body = if indented { code.to_owned() } else { indent(code) };
    format!("{}\n{body}", starter.trim_end())
}

fn indent(code: &str) -> String {
    let line = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("    {line}\n") };
    code.lines().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::program;
    use crate::eval::Problem;

    #[test]
    fn a_function_or_its_body() {
        let problem = Problem {
            starter: Some("import math\ndef f(x):\n    \"\"\"Twice.\"\"\"\n".to_owned()),
            before: "import math\ndef f(x):\n    \"\"\"Twice.\"\"\"\n    pass\n".to_owned(),
            entry: Some("f".to_owned()),
            ..Problem::default()
        };
        let whole = "    pass\n\ndef f (x):\n    return 2 * x\n";
        assert!(program(&problem, "def f (x):\n    return 2 * x\n").ends_with(whole));
        assert!(program(&problem, "f = lambda x: 2 * x\n").contains("    pass\n\nf = lambda"));
        let body = "    \"\"\"Twice.\"\"\"\n    return 2 * x\n";
        assert!(program(&problem, "    return 2 * x\n").ends_with(body));
        assert!(program(&problem, "return 2 * x").ends_with(body));
        assert!(program(&problem, "def ff(x):\n    return 1").contains("    def ff(x)"));
        let plain = Problem { before: "import sys\n".to_owned(), ..Problem::default() };
        assert_eq!(program(&plain, "x\n"), "import sys\n\nx\n");
    }
}
