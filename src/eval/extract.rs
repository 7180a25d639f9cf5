//! The code in an answer.

/// A fenced block.
struct Block<'a> {
    /// The first word behind the fence.
    language: &'a str,
    code: String,
    closed: bool,
}

/// The last block that can be Python, without what the model thought aloud before. Where there is no block at all, the
/// answer itself, if it looks like code.
pub fn code(answer: &str) -> Option<String> {
    let spoken = answer.rsplit_once("</think>").map_or(answer, |(_, spoken)| spoken);
    let blocks = blocks(spoken);
    let python = |block: &&Block<'_>| {
        let language = block.language.to_ascii_lowercase();
        let known = ["", "python", "py", "python3", "python2", "py3"].contains(&language.as_str());
        known && !block.code.trim().is_empty()
    };
    // A block without an end is what a limit of tokens left; one that has an end is better.
    let ended = blocks.iter().rev().filter(|block| block.closed).find(python);
    if let Some(block) = ended.or_else(|| blocks.iter().rev().find(python)) {
        return Some(block.code.clone());
    }
    let code = spoken.trim_matches(['\n', '\r']).trim_end();
    (blocks.is_empty() && looks_like_code(code)).then(|| format!("{code}\n"))
}

fn looks_like_code(text: &str) -> bool {
    let starts =
        ["def ", "class ", "import ", "from ", "print(", "return ", "for ", "while ", "async def "];
    let line = |line: &str| starts.iter().any(|start| line.trim_start().starts_with(start));
    // Prose begins with a word of its own.
    text.lines().find(|text| !text.trim().is_empty()).is_some_and(|first| {
        line(first) && !first.trim_end().ends_with(['.', '!', '?'])
            || first.starts_with([' ', '\t']) && text.lines().any(line)
    })
}

fn blocks(text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some((indent, fence, length, rest)) = fence_of(line) else { continue };
        // ` ``` ` within a line is no fence.
        if fence == '`' && rest.contains('`') {
            continue;
        }
        let language = rest.split_whitespace().next().unwrap_or_default();
        let language = language.trim_matches(['{', '}', '.']);
        let mut block = Block { language, code: String::new(), closed: false };
        for line in lines.by_ref() {
            let ends = fence_of(line).is_some_and(|(inner, mark, count, rest)| {
                mark == fence && count >= length && rest.trim().is_empty() && inner <= indent + 3
            });
            if ends {
                block.closed = true;
                break;
            }
            block.code.push_str(without_indent(line, indent));
            block.code.push('\n');
        }
        blocks.push(block);
    }
    blocks
}

/// Blanks before it, its mark, its length, and what stands behind it.
fn fence_of(line: &str) -> Option<(usize, char, usize, &str)> {
    let inside = line.trim_start_matches([' ', '\t']);
    let mark = inside.chars().next().filter(|mark| matches!(mark, '`' | '~'))?;
    let rest = inside.trim_start_matches(mark);
    let length = inside.len() - rest.len();
    (length >= 3).then_some((line.len() - inside.len(), mark, length, rest))
}

/// A block in a list stands as far in as its fence.
fn without_indent(line: &str, indent: usize) -> &str {
    let blanks = line.len() - line.trim_start_matches([' ', '\t']).len();
    line.get(blanks.min(indent)..).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::code;

    #[test]
    fn the_last_block_of_python() {
        for (answer, expected) in [
            ("First:\n```python\na = 1\n```\nBetter:\n```python\na = 2\n```\nDone.", "a = 2\n"),
            ("```\nprint(1)\n```", "print(1)\n"),
            ("~~~py\nprint(1)\n~~~", "print(1)\n"),
            (
                "```python\nx = 1\n```\nRun it:\n```bash\npython x.py\n```\n```text\n1\n```",
                "x = 1\n",
            ),
            (
                "1. So:\n   ```python\n   def f():\n       return 1\n   ```",
                "def f():\n    return 1\n",
            ),
            ("````python\ns = '''\n```\n'''\n````", "s = '''\n```\n'''\n"),
            ("<think>```python\nwrong\n```</think>\n```python\nright\n```", "right\n"),
            ("```python\nx = 1\n```\nand\n```python\ny = ", "x = 1\n"),
            ("```python\ndef f():\n    return", "def f():\n    return\n"),
            ("```python\n\n```\n```Python3\nx\n```", "x\n"),
            ("def f():\n    return 1\n", "def f():\n    return 1\n"),
            ("    return 1", "    return 1\n"),
            ("Use ```x``` here:\n```python\nx\n```", "x\n"),
            ("```{.python}\nx\n```", "x\n"),
        ] {
            assert_eq!(code(answer).as_deref(), Some(expected), "{answer}");
        }
    }

    #[test]
    fn no_code() {
        for answer in [
            "",
            "I cannot do that.",
            "<think>def f(): pass</think>",
            "```bash\nls\n```",
            "```python\n```",
            "From here on it is easy.",
            "for this I have no answer.",
        ] {
            assert_eq!(code(answer), None, "{answer}");
        }
    }
}
