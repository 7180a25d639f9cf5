//! What one build of llama-server says that it accepts: its `--help` read, and an argv held against it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use super::{Removed, canonical, find, nearest, removed};

/// The options of a build, by what it printed for `--version` and `--help`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accepted {
    /// 11434 of `b11434`; absent where it was built without a number.
    pub build: Option<u32>,
    pub commit: Option<String>,
    spellings: BTreeSet<String>,
}

/// An option that a build does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    pub spelling: String,
    /// Whether the build that the table of options is from has it.
    pub known: bool,
    pub removed: Option<Removed>,
    pub nearest: Option<&'static str>,
}

impl Accepted {
    /// From what `--version` and `--help` print, in any order. `None` where that is no help of llama-server.
    pub fn read(text: &str) -> Option<Self> {
        let mut accepted = Self::default();
        let mut lines = text.lines().map(str::trim_end).peekable();
        while let Some(line) = lines.next() {
            if let Some(version) = line.strip_prefix("version: ") {
                (accepted.build, accepted.commit) = version_of(version);
            }
            // Section titles begin with dashes, too.
            if !line.starts_with('-') || line.starts_with("---") {
                continue;
            }
            let follows = lines.peek().filter(|next| next.starts_with(' ')).copied();
            // Listed to be refused.
            let gone = |text: &str| text.contains("the argument has been removed");
            if !gone(line) && !follows.is_some_and(gone) {
                accepted.spellings.extend(head(line));
            }
        }
        accepted.spellings.contains("--model").then_some(accepted)
    }

    pub fn has(&self, spelling: &str) -> bool {
        self.spellings.contains(&canonical(spelling))
    }

    /// The options of an argv that this build does not have, each once.
    pub fn lacking<S: AsRef<str>>(&self, argv: &[S]) -> Vec<Lacking> {
        let mut lacking: Vec<Lacking> = Vec::new();
        for word in options(argv).into_iter().filter(|word| !self.has(word)) {
            let spelling = canonical(word);
            if lacking.iter().any(|known| known.spelling == spelling) {
                continue;
            }
            let flag = find(&spelling).filter(|flag| flag.server && !flag.removed);
            lacking.push(Lacking {
                known: flag.is_some(),
                removed: removed(&spelling),
                nearest: nearest(&spelling),
                spelling,
            });
        }
        lacking
    }

    /// `b11434`, or what is known instead.
    pub fn name(&self) -> String {
        match (self.build, &self.commit) {
            (Some(build), _) => format!("b{build}"),
            (None, Some(commit)) => format!("of commit {commit}"),
            (None, None) => "of an unknown build".to_owned(),
        }
    }
}

/// `0.6.0-dev (build 11434, commit abc1234)`, and as older builds had it, `11434 (abc1234)`. Of a tree without a
/// history the number is 0 or 1, and the commit `unknown`.
fn version_of(text: &str) -> (Option<u32>, Option<String>) {
    let words: Vec<&str> =
        text.split([' ', '(', ')', ',']).filter(|word| !word.is_empty()).collect();
    let behind = |name: &str| {
        let at = words.iter().position(|word| *word == name)?;
        words.get(at + 1).copied()
    };
    let (build, commit) = match behind("build") {
        Some(build) => (Some(build), behind("commit")),
        None => (words.first().copied(), words.get(1).copied()),
    };
    let build = build.and_then(|build| build.parse().ok()).filter(|build| *build > 1);
    (build, commit.filter(|commit| *commit != "unknown").map(str::to_owned))
}

/// The spellings at the beginning of an entry: `-fa,   --flash-attn [on|off|auto]    set ...`.
fn head(line: &str) -> Vec<String> {
    let mut found = Vec::new();
    for word in line.split_whitespace() {
        let spelling = word.trim_end_matches(',');
        if !spelling.starts_with('-') {
            break;
        }
        found.push(spelling.to_owned());
        if spelling == word {
            break;
        }
    }
    found
}

/// The words of an argv that name options, known or not, without their values.
fn options<S: AsRef<str>>(argv: &[S]) -> Vec<&str> {
    let mut words = argv.iter().map(AsRef::as_ref).peekable();
    let mut found = Vec::new();
    while let Some(word) = words.next() {
        found.push(word);
        if let Some(flag) = find(word) {
            for _ in 0..flag.kind.words() {
                words.next();
            }
        } else {
            // How many values it takes, nobody knows; a negative number is one.
            let value = |word: &&str| !word.starts_with('-') || word.parse::<f64>().is_ok();
            while words.next_if(value).is_some() {}
        }
    }
    found
}

/// What a file keeps of it: the build, the commit, and a spelling on each line.
impl fmt::Display for Accepted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let build = self.build.map(|build| build.to_string()).unwrap_or_default();
        writeln!(f, "build {build}\ncommit {}", self.commit.as_deref().unwrap_or_default())?;
        self.spellings.iter().try_for_each(|spelling| writeln!(f, "{spelling}"))
    }
}

/// What is read is no such file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotKept;

impl FromStr for Accepted {
    type Err = NotKept;

    fn from_str(text: &str) -> Result<Self, NotKept> {
        let mut lines = text.lines();
        let mut field = |name: &str| {
            let value = lines.next()?.strip_prefix(name)?.strip_prefix(' ')?;
            Some((!value.is_empty()).then(|| value.to_owned()))
        };
        let build = field("build").ok_or(NotKept)?;
        let commit = field("commit").ok_or(NotKept)?;
        let build = build.map(|build| build.parse().map_err(|_| NotKept)).transpose()?;
        let spellings: BTreeSet<String> = lines.map(str::to_owned).collect();
        if spellings.iter().all(|spelling| spelling.starts_with('-')) && !spellings.is_empty() {
            Ok(Self { build, commit, spellings })
        } else {
            Err(NotKept)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Accepted, Lacking, options};
    use crate::flags::{all, removed};

    /// What llama-server b11434 printed, with the descriptions left out.
    const HELP: &str = include_str!("../../tests/it/flags/help-b11434.txt");
    const VERSION: &str =
        "version: 0.6.0-dev (build 11434, commit abc1234)\nbuilt with GNU 14.2.0\n";

    fn b11434() -> Accepted {
        Accepted::read(&format!("{VERSION}{HELP}")).unwrap()
    }

    #[test]
    fn the_help_and_the_table_name_the_same_options() {
        let accepted = b11434();
        assert_eq!(accepted.name(), "b11434");
        assert_eq!(accepted.commit.as_deref(), Some("abc1234"));
        let table = all().iter().filter(|flag| flag.server && !flag.removed);
        let table: Vec<&str> =
            table.flat_map(|flag| flag.spellings.iter().chain(&flag.negated)).copied().collect();
        for spelling in &table {
            assert!(accepted.has(spelling), "{spelling}");
        }
        assert_eq!(accepted.spellings.len(), table.len());
        // It is in the list, to be refused.
        assert!(!accepted.has("--draft-max") && removed("--draft-max").is_some());
        assert!(accepted.has("--ctx_size"));
    }

    #[test]
    fn versions_of_both_forms() {
        for (text, build, name) in [
            ("version: 5120 (84778e97)\n", Some(5120), "b5120"),
            ("version: 1 (unknown)\n", None, "of an unknown build"),
            ("version: 0.6.0-dev (build 0, commit 84778e97)\n", None, "of commit 84778e97"),
        ] {
            let accepted = Accepted::read(&format!("{text}{HELP}")).unwrap();
            assert_eq!((accepted.build, accepted.name().as_str()), (build, name), "{text}");
        }
        assert_eq!(Accepted::read("sh: 1: llama-server: not found\n"), None);
    }

    #[test]
    fn what_an_older_build_lacks_is_named() {
        // As a build from before `--load-mode` and `--fit` would print it.
        let help: String = HELP
            .lines()
            .filter(|line| !line.contains("--load-mode") && !line.contains("--fit "))
            .flat_map(|line| [line, "\n"])
            .collect();
        let old = Accepted::read(&format!("version: 6000 (abc)\n{help}")).unwrap();
        let argv = ["--fit", "off", "--jinja", "--load-mode", "none", "--zzz", "-1", "--load-mode"];
        let lacking = old.lacking(&argv);
        let found: Vec<(&str, bool)> =
            lacking.iter().map(|l| (l.spelling.as_str(), l.known)).collect();
        assert_eq!(found, [("--fit", true), ("--load-mode", true), ("--zzz", false)]);
        assert_eq!(b11434().lacking(&["-c", "4096", "--no-jinja", "-ot", "-x=CPU"]), []);
        let gone: Vec<Lacking> = b11434().lacking(&["--no-mmap", "--ctxsize", "5"]);
        assert!(gone[0].removed.is_some() && !gone[0].known);
        assert_eq!(gone[1].nearest, Some("--ctx-size"));
    }

    #[test]
    fn values_are_no_options() {
        assert_eq!(
            options(&["-m", "--jinja", "--zzz", "-0.5", "x", "-c", "5"]),
            ["-m", "--zzz", "-c"]
        );
    }

    #[test]
    fn what_is_kept_is_read_again() {
        let accepted = b11434();
        assert_eq!(accepted.to_string().parse(), Ok(accepted.clone()));
        let nameless = Accepted { build: None, commit: None, ..accepted };
        assert_eq!(nameless.to_string().parse(), Ok(nameless));
        for wrong in ["", "build 1\n", "build x\ncommit \n--a\n", "build \ncommit \nsh: no\n"] {
            assert!(wrong.parse::<Accepted>().is_err(), "{wrong:?}");
        }
    }
}
