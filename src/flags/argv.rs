//! Cuts an argv for llama-server into options and their values, by the rules of its own parser.

use super::{Flag, Removed, canonical, find, nearest, removed};

/// An option as it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given<'a> {
    pub flag: &'static Flag,
    /// A negated spelling was used.
    pub negated: bool,
    /// As many as [`super::Kind::words`] says.
    pub values: Vec<&'a str>,
    /// Index of the option's own word in the argv.
    pub position: usize,
}

impl<'a> Given<'a> {
    /// The first value; empty for options that take none.
    pub fn value(&self) -> &'a str {
        self.values.first().copied().unwrap_or_default()
    }
}

/// Why llama-server would not start with this argv.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SplitError {
    #[error("`{word}` is no option of llama-server")]
    Unknown { word: String, position: usize, nearest: Option<&'static str> },
    #[error("llama-server takes no `{}=VALUE`", .flag.long)]
    Joined { flag: &'static Flag, position: usize, value: String },
    #[error("`{word}` is an option of another program of llama.cpp, not of llama-server")]
    Foreign { word: String, position: usize },
    #[error("llama-server no longer has `{}`", .removed.flag)]
    Removed { removed: Removed, position: usize },
    #[error("`{word}` is not followed by its value")]
    MissingValue { word: String, position: usize, flag: &'static Flag },
}

impl SplitError {
    /// Index of the word in the argv.
    pub const fn position(&self) -> usize {
        match self {
            Self::Unknown { position, .. }
            | Self::Joined { position, .. }
            | Self::Foreign { position, .. }
            | Self::Removed { position, .. }
            | Self::MissingValue { position, .. } => *position,
        }
    }

    /// What to do instead, where that is known.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unknown { word, nearest, .. } => match nearest {
                Some(nearest) => Some(format!("did you mean `{nearest}`?")),
                None if word.contains(' ') => {
                    Some("write an option and its value as two words".to_owned())
                }
                None => None,
            },
            Self::Joined { flag, value, .. } => {
                Some(format!("write two words: `{}` and `{value}`", flag.long))
            }
            Self::Foreign { .. } => Some("leave it out".to_owned()),
            Self::Removed { removed, .. } => Some(removed.to_string()),
            Self::MissingValue { flag, word, .. } => {
                Some(format!("write `{word} {}`", flag.hint.unwrap_or("VALUE")))
            }
        }
    }
}

/// The options of an argv (without the program's own name), in order.
///
/// An option's value is the next word, whatever it looks like: `--model -c` names a file `-c`. llama-server stops at
/// the first error; here all are found: after a word that is no option, what follows up to the next `-` is skipped.
pub fn split<S: AsRef<str>>(argv: &[S]) -> Result<Vec<Given<'_>>, Vec<SplitError>> {
    let mut given = Vec::new();
    let mut errors = Vec::new();
    let mut words = argv.iter().map(AsRef::as_ref).enumerate().peekable();
    while let Some((position, word)) = words.next() {
        let Some(flag) = find(word).filter(|flag| flag.server && !flag.removed) else {
            errors.push(refuse(word, position));
            while words.next_if(|(_, word)| !word.starts_with('-')).is_some() {}
            continue;
        };
        let values: Vec<&str> =
            words.by_ref().take(flag.kind.words()).map(|(_, value)| value).collect();
        if values.len() == flag.kind.words() {
            given.push(Given { flag, negated: flag.is_negated(word), values, position });
        } else {
            errors.push(SplitError::MissingValue { word: word.to_owned(), position, flag });
        }
    }
    if errors.is_empty() { Ok(given) } else { Err(errors) }
}

fn refuse(word: &str, position: usize) -> SplitError {
    if let Some(removed) = removed(word) {
        return SplitError::Removed { removed, position };
    }
    let joined = word.split_once('=').and_then(|(name, value)| Some((find(name)?, value)));
    if let Some((flag, value)) = joined.filter(|(flag, _)| flag.server) {
        return SplitError::Joined { flag, position, value: value.to_owned() };
    }
    let word = canonical(word);
    if find(&word).is_some() {
        return SplitError::Foreign { word, position };
    }
    let nearest = if word.starts_with('-') { nearest(&word) } else { None };
    SplitError::Unknown { word, position, nearest }
}

#[cfg(test)]
mod tests {
    use super::{SplitError, split};

    fn given(argv: &[&str]) -> Vec<(&'static str, bool, String, usize)> {
        let given = split(argv).unwrap();
        given.iter().map(|g| (g.flag.long, g.negated, g.values.join(" "), g.position)).collect()
    }

    #[test]
    fn takes_the_next_word_whatever_it_looks_like() {
        assert_eq!(
            given(&["-c", "65536", "-nkvo", "--tensor_split", "-1,2", "-m", "--jinja", "-m", ""]),
            [
                ("--ctx-size", false, "65536".to_owned(), 0),
                ("--kv-offload", true, String::new(), 2),
                ("--tensor-split", false, "-1,2".to_owned(), 3),
                ("--model", false, "--jinja".to_owned(), 5),
                ("--model", false, String::new(), 7),
            ]
        );
        assert_eq!(given(&["--control-vector-layer-range", "1", "2", "--slots"])[1].0, "--slots");
        assert_eq!(given(&[]), []);
    }

    #[test]
    fn finds_all_errors() {
        for (argv, messages) in [
            (&["-c"][..], &["`-c` is not followed by its value"][..]),
            (
                &["--control-vector-layer-range", "1"],
                &["`--control-vector-layer-range` is not followed by its value"],
            ),
            (&["--ctx-size=5", "-ngl", "all"], &["llama-server takes no `--ctx-size=VALUE`"]),
            (
                &["--no-mmap", "--zzz", "5", "foo", "-ngl", "all", "--prompt-cache", "f"],
                &[
                    "llama-server no longer has `--no-mmap`",
                    "`--zzz` is no option of llama-server",
                    "`--prompt-cache` is an option of another program of llama.cpp, not of llama-server",
                ],
            ),
            (&["-ngl", "all", "file.gguf"], &["`file.gguf` is no option of llama-server"]),
            (&["--draft-max", "5"], &["llama-server no longer has `--draft-max`"]),
            (&["--n_ctx", "5"], &["`--n-ctx` is no option of llama-server"]),
            (&["-c 5"], &["`-c 5` is no option of llama-server"]),
            (&[""], &["`` is no option of llama-server"]),
        ] {
            let errors = split(argv).unwrap_err();
            let found: Vec<String> = errors.iter().map(ToString::to_string).collect();
            assert_eq!(found, messages, "{argv:?}");
        }
    }

    #[test]
    fn says_the_way_out() {
        for (argv, help) in [
            (&["--ctx-size=5"][..], "write two words: `--ctx-size` and `5`"),
            (&["-c"], "write `-c N`"),
            (&["--ctxsize", "5"], "did you mean `--ctx-size`?"),
            (
                &["--mlock"],
                "write `load_mode = \"mmap+mlock\"` (`--load-mode mmap+mlock` on a command line); `mlock` alone reads the file instead of mapping it",
            ),
        ] {
            let errors: Vec<SplitError> = split(argv).unwrap_err();
            assert_eq!(errors[0].help().as_deref(), Some(help));
        }
    }
}
