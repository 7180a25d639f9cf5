//! What llama-server accepts: every option of build b11434 with its spellings, kind of value and environment variable.
//!
//! Knows names, not meanings: which value is sensible beside which other is for those who think about presets.

mod accepted;
mod argv;
mod number;
mod removed;
mod table;

pub use accepted::{Accepted, Lacking, NotKept};
pub use argv::{Given, SplitError, split};
pub use number::{Number, stof, stoi};
pub use removed::{Removed, removed};
use table::TABLE;

/// One option of llama.cpp's shared argument parser.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "they are independent facts, read from a table")]
pub struct Flag {
    /// The long spelling that names the option here: `--n-gpu-layers`. A preset's key is this in snake case.
    pub long: &'static str,
    /// Every spelling that turns it on or takes the value, `long` first.
    pub spellings: Vec<&'static str>,
    /// Spellings that turn a [`Kind::Bool`] off.
    pub negated: Vec<&'static str>,
    pub kind: Kind,
    /// How llama-server's help names the value: `N`, `[on|off|auto]`.
    pub hint: Option<&'static str>,
    /// The environment variable that sets it where the command line does not.
    pub env: Option<&'static str>,
    /// llama-server takes it; other options belong to other programs of llama.cpp.
    pub server: bool,
    /// llama-fit-params takes it.
    pub fit_params: bool,
    /// llama-server knows it only to refuse it; [`removed`] says what to write instead.
    pub removed: bool,
    /// Given again it adds to what was given before, the environment included, rather than replacing it.
    pub accumulates: bool,
}

/// What follows an option on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Nothing; there is no spelling to turn it off.
    Flag,
    /// Nothing; a negated spelling turns it off.
    Bool,
    /// One word, read by [`stoi`].
    Int,
    /// One word, read by [`stof`].
    Float,
    /// One word.
    String,
    /// Two words.
    Pair,
}

impl Kind {
    /// How many words the option takes after itself.
    pub const fn words(self) -> usize {
        match self {
            Self::Flag | Self::Bool => 0,
            Self::Int | Self::Float | Self::String => 1,
            Self::Pair => 2,
        }
    }
}

impl Flag {
    /// The key by which a preset sets it: `n_gpu_layers`.
    pub fn key(&self) -> String {
        self.long.trim_start_matches('-').replace('-', "_")
    }

    /// Whether `spelling`, one of this option's, turns it off.
    pub fn is_negated(&self, spelling: &str) -> bool {
        self.negated.contains(&canonical(spelling).as_str())
    }
}

/// All options, in the order of llama.cpp's source.
pub fn all() -> &'static [Flag] {
    TABLE.flags
}

/// The build of llama.cpp that the table is from.
pub const BUILD: &str = "b11434";

/// The option of that spelling, positive or negated, long (`_` counts as `-`, as in the parser) or short.
/// Look at [`Flag::server`] and [`Flag::removed`] before calling it an option of llama-server.
pub fn find(spelling: &str) -> Option<&'static Flag> {
    TABLE.by_spelling.get(canonical(spelling).as_str()).copied()
}

/// The option of llama-server that an environment variable sets, and whether it is the `LLAMA_ARG_NO_…` form, whose
/// mere presence turns the option off whatever its value.
pub fn find_env(name: &str) -> Option<(&'static Flag, bool)> {
    if let Some(flag) = TABLE.by_env.get(name) {
        return Some((flag, false));
    }
    let positive = format!("LLAMA_ARG_{}", name.strip_prefix("LLAMA_ARG_NO_")?);
    let flag = TABLE.by_env.get(positive.as_str())?;
    (flag.kind == Kind::Bool).then_some((*flag, true))
}

/// The spelling that llama-server knows and that `spelling` was probably meant to be.
pub fn nearest(spelling: &str) -> Option<&'static str> {
    let wanted = canonical(spelling.split('=').next().unwrap_or(spelling));
    let name = wanted.trim_start_matches('-');
    let known = || all().iter().filter(|f| f.server && !f.removed).flat_map(spellings);
    // `--ngl` and `-ctx-size`: right but for the number of dashes.
    if let Some(same) = known().find(|s| s.trim_start_matches('-') == name) {
        return Some(same);
    }
    let likeness =
        |s: &str| strsim::normalized_damerau_levenshtein(s.trim_start_matches('-'), name);
    known()
        .filter(|s| s.starts_with("--"))
        .map(|s| (likeness(s), s))
        .filter(|(likeness, _)| *likeness >= 0.6)
        .max_by(|(a, _), (b, _)| a.total_cmp(b))
        .map(|(_, s)| s)
}

fn spellings(flag: &'static Flag) -> impl Iterator<Item = &'static str> {
    flag.spellings.iter().chain(&flag.negated).copied()
}

/// What the parser compares: in long options `_` is `-`.
fn canonical(spelling: &str) -> String {
    if spelling.starts_with("--") { spelling.replace('_', "-") } else { spelling.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::{Kind, all, find, find_env, nearest, removed};

    #[test]
    fn finds_every_spelling() {
        for (spelling, long, kind) in [
            ("-ngl", "--n-gpu-layers", Kind::String),
            ("--gpu-layers", "--n-gpu-layers", Kind::String),
            ("--ctx_size", "--ctx-size", Kind::Int),
            ("-no-kvu", "--kv-unified", Kind::Bool),
            ("--no_kv_offload", "--kv-offload", Kind::Bool),
            ("--no-webui", "--ui", Kind::Bool),
            ("--swa-checkpoints", "--ctx-checkpoints", Kind::Int),
            ("-cmoe", "--cpu-moe", Kind::Flag),
            ("--temperature", "--temp", Kind::Float),
            ("--control-vector-layer-range", "--control-vector-layer-range", Kind::Pair),
        ] {
            let flag = find(spelling).unwrap();
            assert_eq!((flag.long, flag.kind), (long, kind), "{spelling}");
        }
        for wrong in ["-no_kvu", "--CTX-SIZE", "ctx-size", "", "-", "--", "--ctx-size=1", "--mmap"]
        {
            assert_eq!(find(wrong), None, "{wrong}");
        }
        assert!(find("-nkvo").unwrap().is_negated("-nkvo"));
        assert!(!find("-kvo").unwrap().is_negated("-kvo"));
    }

    #[test]
    fn the_table_is_whole() {
        let server: Vec<_> = all().iter().filter(|f| f.server && !f.removed).collect();
        assert_eq!(server.len(), 251);
        assert_eq!(server.iter().filter(|f| f.env.is_none()).count(), 104);
        for flag in all() {
            assert_eq!(flag.spellings[0], flag.long);
            assert_eq!(flag.kind == Kind::Bool, !flag.negated.is_empty(), "{}", flag.long);
            assert_eq!(flag.kind.words() > 0, flag.hint.is_some(), "{}", flag.long);
            assert!(!flag.server || flag.long.starts_with("--"), "{}", flag.long);
            assert!(!flag.removed || removed(flag.long).is_some(), "{}", flag.long);
        }
        assert!(find("-ot").unwrap().accumulates && !find("-ts").unwrap().accumulates);
        assert_eq!(find("-ngl").unwrap().key(), "n_gpu_layers");
    }

    #[test]
    fn environment() {
        assert_eq!(find_env("LLAMA_API_KEY").unwrap().0.long, "--api-key");
        let (flag, off) = find_env("LLAMA_ARG_NO_JINJA").unwrap();
        assert_eq!((flag.long, off), ("--jinja", true));
        assert_eq!(
            find_env("LLAMA_ARG_NO_HOST").map(|(f, off)| (f.long, off)),
            Some(("--no-host", false))
        );
        assert_eq!(find_env("LLAMA_ARG_API_KEY"), None);
        assert_eq!(find_env("LLAMA_ARG_NO_MODEL"), None);
    }

    #[test]
    fn offers_the_nearest() {
        for (typo, meant) in [
            ("--ngl", "-ngl"),
            ("-ctx-size", "--ctx-size"),
            ("--ctxsize", "--ctx-size"),
            ("--ctx-size=4096", "--ctx-size"),
            ("--flash-atn", "--flash-attn"),
            ("--tensor-splt", "--tensor-split"),
            ("--n-cpu-mo", "--n-cpu-moe"),
        ] {
            assert_eq!(nearest(typo), Some(meant), "{typo}");
        }
        assert_eq!(nearest("--qqqqqq"), None);
        assert_eq!(nearest(""), None);
    }
}
