//! A compiled pattern: whether llama.cpp's `std::regex_search` finds it in a tensor's name.

use super::PatternError;
use super::ecmascript::translate;

/// One pattern, ready to be searched for.
#[derive(Clone, Debug)]
pub struct Matcher {
    pattern: String,
    regex: fancy_regex::Regex,
}

/// The search took more steps than a reviewable pattern needs; llama.cpp would take them all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern `{pattern}` takes too many steps on `{name}`")]
pub struct TooComplex {
    pub pattern: String,
    pub name: String,
}

impl Matcher {
    pub fn new(pattern: &str) -> Result<Self, PatternError> {
        let regex = fancy_regex::Regex::new(&translate(pattern)?)
            .map_err(|error| PatternError::too_large(pattern, &error.to_string()))?;
        Ok(Self { pattern: pattern.to_owned(), regex })
    }

    /// Whether the pattern occurs anywhere in the name, not anchored.
    pub fn is_match(&self, name: &str) -> Result<bool, TooComplex> {
        let too_complex = |_| TooComplex { pattern: self.pattern.clone(), name: name.to_owned() };
        self.regex.is_match(name).map_err(too_complex)
    }
}
