//! The dialect of llama.cpp's patterns, ECMAScript as libstdc++'s `std::regex` reads it, put into that of `fancy_regex`.
//!
//! Both know most things alike; this refuses what only the other side knows (inline flags, named groups, look-behind)
//! and spells out what they read differently (`\d` is ASCII, `[]` matches nothing, `\A` is an `A`).

mod class;

/// A pattern that `std::regex` would throw on, while llama.cpp loads the model.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{pattern}` is no regex that llama.cpp can read: {reason}")]
pub struct PatternError {
    pub pattern: String,
    /// Byte offset in the pattern at which reading it stopped.
    pub at: usize,
    reason: String,
    help: &'static str,
}

impl PatternError {
    /// What to do instead.
    pub fn help(&self) -> &str {
        self.help
    }

    pub(super) fn too_large(pattern: &str, reason: &str) -> Self {
        let (pattern, reason) = (pattern.to_owned(), reason.to_owned());
        Self { pattern, at: 0, reason, help: "write a shorter pattern" }
    }
}

/// The same regex for `fancy_regex`.
pub(super) fn translate(pattern: &str) -> Result<String, PatternError> {
    let mut reader = Reader { pattern, at: 0, out: String::new(), groups: 0, open: Vec::new() };
    reader.disjunction()?;
    // Only a `)` ends a disjunction before the pattern does.
    if reader.peek().is_some() {
        reader.fail("`)` closes nothing", WAY_OUT)
    } else {
        Ok(reader.out)
    }
}

struct Reader<'a> {
    pattern: &'a str,
    at: usize,
    out: String,
    /// Capturing groups opened so far.
    groups: usize,
    /// Those not closed yet.
    open: Vec<usize>,
}

type Step<T = ()> = Result<T, PatternError>;

/// A class that no character is in.
const NOTHING: &str = r"[^\x00-\x{10FFFF}]";
const WAY_OUT: &str = "write `\\` before the character to mean itself";

impl Reader<'_> {
    fn rest(&self) -> &str {
        self.pattern.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn eat(&mut self, text: &str) -> bool {
        let eaten = self.rest().starts_with(text);
        if eaten {
            self.at += text.len();
        }
        eaten
    }

    fn fail<T>(&self, reason: &str, help: &'static str) -> Step<T> {
        let (pattern, reason) = (self.pattern.to_owned(), reason.to_owned());
        Err(PatternError { pattern, at: self.at, reason, help })
    }

    fn disjunction(&mut self) -> Step {
        loop {
            while self.term()? {}
            if !self.eat("|") {
                return Ok(());
            }
            self.out.push('|');
        }
    }

    /// False where an alternative ends.
    fn term(&mut self) -> Step<bool> {
        let start = self.out.len();
        let Some(sign) = self.peek() else { return Ok(false) };
        match sign {
            '|' | ')' => return Ok(false),
            // After an assertion as well: it takes no quantifier.
            '*' | '+' | '?' | '{' => {
                return self.fail(
                    &format!("`{sign}` has nothing to repeat"),
                    "put before it what it repeats, as in `.*`, or `\\` to mean the character itself",
                );
            }
            '^' | '$' => {
                self.at += 1;
                self.out.push_str(if sign == '^' { r"\A" } else { r"\z" });
                return Ok(true);
            }
            '(' => {
                if self.group()? {
                    return Ok(true);
                }
            }
            '[' => self.class()?,
            '.' => {
                self.at += 1;
                self.out.push_str(r"[^\n\r]");
            }
            '\\' => {
                if self.escape()? {
                    return Ok(true);
                }
            }
            _ => {
                self.at += sign.len_utf8();
                literal(&mut self.out, sign);
            }
        }
        while self.quantifier(start)? {}
        Ok(true)
    }

    /// True where the group is an assertion.
    fn group(&mut self) -> Step<bool> {
        let opened = self.at;
        let head = ["(?:", "(?=", "(?!"].into_iter().find(|head| self.eat(head));
        if head.is_none() && self.eat("(?") {
            return self.fail(
                "after `(?` stands neither `:` nor `=` nor `!`",
                "inline flags, named groups and look-behind do not exist in llama.cpp's patterns",
            );
        }
        self.out.push_str(head.unwrap_or("("));
        if head.is_none() {
            self.at += 1;
            self.groups += 1;
            self.open.push(self.groups);
        }
        self.disjunction()?;
        if !self.eat(")") {
            self.at = opened;
            return self.fail("`(` is not closed", WAY_OUT);
        }
        if head.is_none() {
            self.open.pop();
        }
        self.out.push(')');
        Ok(matches!(head, Some("(?=" | "(?!")))
    }

    /// One quantifier for what was written since `start`. Whether it is lazy makes no difference to a search.
    fn quantifier(&mut self, start: usize) -> Step<bool> {
        let from = self.at;
        match self.peek() {
            Some('*' | '+' | '?') => self.at += 1,
            Some('{') => {
                self.at += 1;
                self.bounds()?;
            }
            _ => return Ok(false),
        }
        // A quantifier after another repeats what was repeated; unwrapped it would mean a possessive one. The second
        // alternative, which matches nothing, is for what is empty: the other dialect will not repeat that alone.
        let is_group = self.out.get(start..).is_some_and(|target| target.starts_with("(?:"));
        self.out.insert_str(start, "(?:");
        if is_group {
            self.out.extend(["|", NOTHING]);
        }
        self.out.push(')');
        self.out.push_str(self.pattern.get(from..self.at).unwrap_or_default());
        self.eat("?");
        Ok(true)
    }

    /// `3}`, `3,}` or `3,5}`.
    fn bounds(&mut self) -> Step {
        let (least, comma, most) = (self.number(), self.eat(","), self.number());
        let ordered = match (&least, &most) {
            (Some(least), Some(most)) => comma && least <= most,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if ordered && self.eat("}") {
            return Ok(());
        }
        self.fail("after `{` stands no number of repetitions", WAY_OUT)
    }

    fn number(&mut self) -> Option<u32> {
        let rest = self.rest();
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let number = rest.get(..digits)?.parse().ok()?;
        self.at += digits;
        Some(number)
    }

    /// True where the escape is an assertion.
    fn escape(&mut self) -> Step<bool> {
        self.at += 1;
        match self.peek() {
            Some('b' | 'B') => {
                let sign = self.next().unwrap_or('b');
                self.out.push_str(if sign == 'b' { r"\b" } else { r"\B" });
                return Ok(true);
            }
            Some('1'..='9') => {
                let group = self.number().unwrap_or(u32::MAX) as usize;
                if group > self.groups || self.open.contains(&group) {
                    return self.fail(
                        &format!("`\\{group}` refers to no group closed before it"),
                        "count the groups from 1",
                    );
                }
                self.out.extend([r"(?:\", &group.to_string(), ")"]);
            }
            _ => match self.escaped()? {
                Escaped::Class(class) => self.out.extend(["[", class, "]"]),
                Escaped::Char(char) => literal(&mut self.out, char),
            },
        }
        Ok(false)
    }

    /// After a backslash: what it stands for inside and outside of brackets alike.
    fn escaped(&mut self) -> Step<Escaped> {
        let Some(sign) = self.next() else {
            return self.fail("it ends in `\\`", "write `\\\\` for the character itself");
        };
        Ok(Escaped::Char(match sign {
            'd' => return Ok(Escaped::Class("0-9")),
            'D' => return Ok(Escaped::Class("^0-9")),
            's' => return Ok(Escaped::Class(r"\t-\r ")),
            'S' => return Ok(Escaped::Class(r"^\t-\r ")),
            'w' => return Ok(Escaped::Class("0-9A-Za-z_")),
            'W' => return Ok(Escaped::Class("^0-9A-Za-z_")),
            '0' => '\0',
            'b' => '\u{8}',
            'f' => '\u{c}',
            'n' => '\n',
            'r' => '\r',
            't' => '\t',
            'v' => '\u{b}',
            'c' => match self.next() {
                Some(letter) => letter,
                None => return self.fail("it ends in `\\c`", WAY_OUT),
            },
            'x' | 'u' => return self.hexadecimal(if sign == 'x' { 2 } else { 4 }),
            other => other,
        }))
    }

    fn hexadecimal(&mut self, digits: usize) -> Step<Escaped> {
        let code = self.rest().get(..digits).filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
        let char = code.and_then(|code| char::from_u32(u32::from_str_radix(code, 16).ok()?));
        match char.filter(char::is_ascii) {
            Some(char) => {
                self.at += digits;
                Ok(Escaped::Char(char))
            }
            None => self.fail(
                &format!("after `\\x` or `\\u` stand no {digits} digits of an ASCII character"),
                "write the character itself",
            ),
        }
    }
}

enum Escaped {
    Char(char),
    /// The inside of a bracketed class, negated by a `^` at its head.
    Class(&'static str),
}

fn literal(out: &mut String, char: char) {
    if r"\.+*?()|[]{}^$".contains(char) {
        out.push('\\');
    }
    out.push(char);
}

#[cfg(test)]
mod tests {
    use super::super::Matcher;

    #[test]
    fn refuses_what_llama_cpp_refuses() {
        for (pattern, at, reason) in [
            ("(blk", 0, "`(` is not closed"),
            ("blk)", 3, "`)` closes nothing"),
            ("*exps", 0, "`*` has nothing to repeat"),
            ("a|+", 2, "`+` has nothing to repeat"),
            ("^*", 1, "`*` has nothing to repeat"),
            ("blk{", 4, "after `{` stands no number of repetitions"),
            ("a{3,1}", 5, "after `{` stands no number of repetitions"),
            ("[0-9", 0, "`[` is not closed"),
            ("[9-0]", 4, "a range in `[…]` goes from a lower character to a higher one"),
            ("[[:word:]]", 1, "`[` in brackets begins no known class"),
            ("exps\\", 5, "it ends in `\\`"),
            (r"(a)\2", 5, "`\\2` refers to no group closed before it"),
            ("(?i)exps", 2, "after `(?` stands neither `:` nor `=` nor `!`"),
            ("(?<=a)b", 2, "after `(?` stands neither `:` nor `=` nor `!`"),
            (r"\xZZ", 2, "after `\\x` or `\\u` stand no 2 digits of an ASCII character"),
        ] {
            let error = Matcher::new(pattern).unwrap_err();
            assert_eq!((error.at, error.reason.as_str()), (at, reason), "{pattern}");
        }
        assert_eq!(
            Matcher::new("*exps").unwrap_err().to_string(),
            "the pattern `*exps` is no regex that llama.cpp can read: `*` has nothing to repeat"
        );
    }

    #[test]
    fn searches_as_llama_cpp_does() {
        for (pattern, name, found) in [
            ("exps", "blk.3.ffn_up_exps.weight", true),
            ("", "blk.3.ffn_up_exps.weight", true),
            (r"blk\.1\.", "blk.10.ffn_up_exps.weight", false),
            ("blk.1", "blk.10.ffn_up_exps.weight", true),
            (r"blk\.(?!1\.)\d+\.ffn", "blk.1.ffn_up_exps.weight", false),
            (r"blk\.(?!1\.)\d+\.ffn", "blk.11.ffn_up_exps.weight", true),
            (r"blk\.(\d)\1\.", "blk.33.attn_q.weight", true),
            (r"blk\.(\d)\1\.", "blk.34.attn_q.weight", false),
            ("weight$", "blk.0.attn_q.weight", true),
            ("^ssm", "blk.0.ssm_a", false),
            ("[]", "blk.0.ssm_a", false),
            (r"\A", "a", false),
            (r"\d", "blk.٣.ssm_a", false),
        ] {
            assert_eq!(
                Matcher::new(pattern).unwrap().is_match(name),
                Ok(found),
                "{pattern} {name}"
            );
        }
    }

    #[test]
    fn gives_up_rather_than_hang() {
        let matcher = Matcher::new(r"(?!y)(a|a|ab)+\1z").unwrap();
        let name = "a".repeat(60);
        assert_eq!(matcher.is_match(&name).unwrap_err().name, name);
    }
}
