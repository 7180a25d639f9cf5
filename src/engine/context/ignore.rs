//! `.dockerignore` patterns, as Docker reads them: in order, the last that matches decides, `!` takes back.

/// One file's patterns.
#[derive(Clone, Debug, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Clone, Debug)]
struct Rule {
    /// The parts between slashes.
    parts: Vec<Vec<char>>,
    exception: bool,
}

impl Ignore {
    pub fn parse(text: &str) -> Self {
        let rules = text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#'));
        let rule = |line: &str| {
            let (exception, pattern) =
                line.strip_prefix('!').map_or((false, line), |pattern| (true, pattern.trim()));
            let parts = pattern.split('/').filter(|part| !part.is_empty() && *part != ".");
            Rule { parts: parts.map(|part| part.chars().collect()).collect(), exception }
        };
        Self { rules: rules.map(rule).filter(|rule| !rule.parts.is_empty()).collect() }
    }

    /// Whether a file of the context stays behind; `path` has `/` between its parts.
    pub fn ignores(&self, path: &str) -> bool {
        let parts: Vec<Vec<char>> = path.split('/').map(|part| part.chars().collect()).collect();
        let mut ignored = false;
        for rule in &self.rules {
            // A pattern that matches a directory matches what lies in it.
            let hit = (1..=parts.len())
                .any(|depth| parts.get(..depth).is_some_and(|parent| all(&rule.parts, parent)));
            if hit {
                ignored = !rule.exception;
            }
        }
        ignored
    }

    /// Whether a directory need not be looked into: it is ignored, and no exception can lie below.
    pub fn ignores_all_below(&self, path: &str) -> bool {
        let depth = path.split('/').count();
        let parts: Vec<Vec<char>> = path.split('/').map(|part| part.chars().collect()).collect();
        let reaches = |rule: &Rule| {
            let doubled = rule.parts.iter().any(|part| part == &['*', '*']);
            doubled
                || rule.parts.len() > depth
                    && rule.parts.get(..depth).is_some_and(|start| all(start, &parts))
        };
        self.ignores(path) && !self.rules.iter().any(|rule| rule.exception && reaches(rule))
    }
}

/// `**` stands for any number of parts, none too.
fn all(pattern: &[Vec<char>], path: &[Vec<char>]) -> bool {
    match (pattern.split_first(), path.split_first()) {
        (None, None) => true,
        (Some((first, rest)), _) if first == &['*', '*'] => {
            all(rest, path) || path.split_first().is_some_and(|(_, path)| all(pattern, path))
        }
        (Some((first, rest)), Some((part, path))) => one(first, part) && all(rest, path),
        _ => false,
    }
}

/// One part: `*`, `?`, `[a-z]`, `[^a]` and `\` before a character that is meant as it is.
fn one(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => {
            (0..=text.len()).any(|skip| text.get(skip..).is_some_and(|text| one(rest, text)))
        }
        Some(('?', rest)) => text.split_first().is_some_and(|(_, text)| one(rest, text)),
        Some(('[', rest)) => {
            let Some((char, text)) = text.split_first() else { return false };
            class(rest, *char).is_some_and(|(hit, rest)| hit && one(rest, text))
        }
        Some(('\\', rest)) if !rest.is_empty() => literal(rest, text),
        Some(_) => literal(pattern, text),
    }
}

fn literal(pattern: &[char], text: &[char]) -> bool {
    match (pattern.split_first(), text.split_first()) {
        (Some((wanted, pattern)), Some((found, text))) => wanted == found && one(pattern, text),
        _ => false,
    }
}

/// Whether the class has the character, and what follows the class.
fn class(pattern: &[char], char: char) -> Option<(bool, &[char])> {
    let (negated, mut rest) = match pattern.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, pattern),
    };
    let mut hit = false;
    let mut first = true;
    loop {
        let (&low, after) = rest.split_first()?;
        if low == ']' && !first {
            return Some((hit != negated, after));
        }
        first = false;
        rest = after;
        let mut high = low;
        if let Some(('-', after)) = rest.split_first()
            && let Some((&end, after)) = after.split_first()
            && end != ']'
        {
            (high, rest) = (end, after);
        }
        hit |= (low..=high).contains(&char);
    }
}

#[cfg(test)]
mod tests {
    use super::Ignore;

    #[test]
    fn the_last_match_decides() {
        // As the template writes it for a local source.
        let ours = Ignore::parse(
            "# a comment\n*\n!entrypoint.sh\n!src\nsrc/.git\nsrc/build\nsrc/build-*\nsrc/**/*.gguf\n",
        );
        for (path, ignored) in [
            ("entrypoint.sh", false),
            (".env", true),
            ("models/a.gguf", true),
            ("src/CMakeLists.txt", false),
            ("src/deep/er/a.c", false),
            ("src/.git/config", true),
            ("src/build/x.o", true),
            ("src/build-info.c.in", true),
            ("src/builder/x", false),
            ("src/a.gguf", true),
            ("src/deep/er/a.gguf", true),
        ] {
            assert_eq!(ours.ignores(path), ignored, "{path}");
        }
        assert!(ours.ignores_all_below("models"));
        assert!(ours.ignores_all_below("src/.git"));
        assert!(!ours.ignores_all_below("src"));
        assert!(!Ignore::parse("*\n!a/b/c").ignores_all_below("a"));
    }

    #[test]
    fn parts_are_globs() {
        let hits = |pattern: &str, path: &str| Ignore::parse(pattern).ignores(path);
        assert!(hits("*.o", "a.o") && !hits("*.o", "x/a.o") && hits("**/*.o", "x/y/a.o"));
        assert!(hits("a?c", "abc") && !hits("a?c", "ac"));
        assert!(hits("[a-c]x", "bx") && !hits("[a-c]x", "dx") && hits("[^a]x", "bx"));
        assert!(hits(r"\*", "*") && !hits(r"\*", "a"));
        assert!(hits("/a/", "a/b") && hits("./a", "a"));
        assert!(!hits("[a", "a"), "a class without an end matches nothing");
    }
}
