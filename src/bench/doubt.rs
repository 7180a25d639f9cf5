//! Signs that an answer corrected itself on the way: the cheapest way to tell a quant that is too coarse.

use std::sync::LazyLock;

use regex::Regex;

/// Where sentences begin in which a model takes something back. "Actually" and "wait" also live in code and prose, so
/// they count only at the start of a sentence.
static SIGNS: LazyLock<Option<Regex>> = LazyLock::new(|| {
    Regex::new(
        r"(?im)(?:^|[.!?:)\x60]\s+|[*_#>-]\s*)(?P<sign>(?:hmm+,? |oh,? |but )?wait\b[*_,.!: -]|actually,|on second thought|hold on\b|no, (?:that|this)(?:'s| is) (?:wrong|not)|let me (?:re-?(?:write|think|consider|do|check|work)|fix|correct|try again|start over)|i made (?:a|an) (?:mistake|error)|there(?:'s| is) (?:an? )?(?:issue|problem|bug|mistake|error) (?:with|in) (?:the|my|this) (?:above|previous|code|implementation|solution|approach|logic)|here(?:'s| is) (?:the|a) (?:corrected|fixed|revised) )",
    )
    .ok()
});

/// The signs in order, each as it stands in the answer.
pub fn doubts(answer: &str) -> Vec<String> {
    let Some(signs) = SIGNS.as_ref() else { return Vec::new() };
    let sign =
        |found: regex::Captures<'_>| found.name("sign").map(|sign| sign.as_str().trim().to_owned());
    signs.captures_iter(answer).filter_map(sign).collect()
}

#[cfg(test)]
mod tests {
    use super::doubts;

    #[test]
    fn what_a_doubting_model_writes() {
        for (answer, count) in [
            ("def f(): pass\n\nWait, there's an issue with the above code.", 1),
            ("It works. Actually, let me rewrite that.\nLet me fix the loop.", 2),
            ("Hmm, wait. That is O(n^2).", 1),
            ("**Wait**, no.", 1),
            ("- Wait, the index is off.\n- On second thought it is fine.", 2),
            ("There is a bug in the previous version. Here's the corrected code:", 2),
            ("I made a mistake above.", 1),
        ] {
            assert_eq!(doubts(answer).len(), count, "{answer}: {:?}", doubts(answer));
        }
    }

    #[test]
    fn what_a_sure_model_writes() {
        for answer in [
            "Here is the function:\n```python\nasync def f():\n    await wait_for(x)\n    wait(5)\n```",
            "The thread must wait, then it may actually start. There is an issue tracker.",
            "Let me explain: the problem with recursion is its depth.",
            "What this actually does: it waits.",
            "",
        ] {
            assert!(doubts(answer).is_empty(), "{answer}: {:?}", doubts(answer));
        }
    }
}
