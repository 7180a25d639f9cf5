//! Options that are gone, and what to write instead.

use std::fmt;
use std::sync::LazyLock;

use super::canonical;
use super::table::{rows, words};

/// An option that llama-server once took and now refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Removed {
    /// The spelling asked for.
    pub flag: &'static str,
    /// What says the same on a command line today: `--load-mode none`.
    pub argv: Option<&'static str>,
    /// What says the same in a preset: `load_mode = "none"`.
    pub key: Option<&'static str>,
    pub remark: Option<&'static str>,
}

/// What became of an option that llama-server no longer has; `None` for one that it has or never had.
pub fn removed(spelling: &str) -> Option<Removed> {
    static GONE: LazyLock<Vec<Removed>> = LazyLock::new(read);
    let spelling = canonical(spelling);
    GONE.iter().find(|gone| gone.flag == spelling).copied()
}

fn read() -> Vec<Removed> {
    let some = |column: &'static str| (!column.is_empty()).then_some(column);
    rows(include_str!("gone.tsv"))
        .flat_map(|columns| {
            let [spellings, argv, key, remark] = columns[..] else {
                unreachable!("four columns in {columns:?}")
            };
            let (argv, key, remark) = (some(argv), some(key), some(remark));
            words(spellings).map(move |flag| Removed { flag, argv, key, remark })
        })
        .collect()
}

/// What to do instead, as a help line: ``write `load_mode = "none"` (`--load-mode none` on a command line)``.
impl fmt::Display for Removed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.key, self.argv) {
            (Some(key), Some(argv)) => write!(f, "write `{key}` (`{argv}` on a command line)")?,
            (None, Some(argv)) => write!(f, "write `{argv}`")?,
            (Some(key), None) => write!(f, "write `{key}`")?,
            (None, None) => return f.write_str(self.remark.unwrap_or("leave it out")),
        }
        self.remark.map_or(Ok(()), |remark| write!(f, "; {remark}"))
    }
}

#[cfg(test)]
mod tests {
    use super::super::find;
    use super::super::table::{rows, words};
    use super::removed;

    #[test]
    fn names_the_successor() {
        for (flag, help) in [
            ("--no-mmap", "write `load_mode = \"none\"` (`--load-mode none` on a command line)"),
            ("--no_mmap", "write `load_mode = \"none\"` (`--load-mode none` on a command line)"),
            ("-dio", "write `load_mode = \"dio\"` (`--load-mode dio` on a command line)"),
            ("--logdir", "write `--log-file FNAME`"),
            ("-cd", "the draft model takes the context of the main one; leave it out"),
        ] {
            assert_eq!(removed(flag).unwrap().to_string(), help);
        }
        assert_eq!(removed("--load-mode"), None);
    }

    #[test]
    fn what_is_gone_is_gone_and_its_successor_is_there() {
        for columns in rows(include_str!("gone.tsv")) {
            for gone in words(columns[0]) {
                assert!(find(gone).is_none_or(|f| f.removed || !f.server), "{gone}");
            }
            for option in columns[1].split(' ').filter(|word| word.starts_with('-')) {
                assert!(find(option).is_some_and(|f| f.server && !f.removed), "{option}");
            }
            for key in columns[2].split(" and ").filter_map(|pair| pair.split(" = ").next()) {
                let flag = format!("--{}", key.replace('_', "-"));
                assert!(key.is_empty() || find(&flag).is_some_and(|f| f.key() == key), "{key}");
            }
        }
    }
}
