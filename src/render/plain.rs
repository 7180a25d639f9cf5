//! The escaper of every template: it escapes nothing and refuses whatever is not a plain word, so that a
//! hole whose filter was forgotten is an error and never an artifact that its reader misunderstands.

use std::fmt::{Error, Result, Write};

use askama::filters::Escaper;

/// Passes letters, digits and `. _ / : @ + , = -`: they mean themselves in the middle of a line of every
/// format we write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Plain;

pub fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "._/:@+,=-".contains(c)
}

impl Escaper for Plain {
    fn write_escaped_str<W: Write>(&self, mut dest: W, string: &str) -> Result {
        if !string.chars().all(is_plain) {
            return Err(Error);
        }
        dest.write_str(string)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_pass_and_the_rest_is_refused() {
        for text in ["262144", "-0.5", "llama.cpp", "10001:10001", "/models", "89-real", ""] {
            let mut out = String::new();
            assert_eq!(Plain.write_escaped_str(&mut out, text), Ok(()));
            assert_eq!(out, text);
        }
        for text in ["a b", "$x", "a\n", "\"", "'", "é", "a#b", "*", "{", "\\", "a;b", "~", "%"] {
            let mut out = String::new();
            assert_eq!(Plain.write_escaped_str(&mut out, text), Err(Error), "{text:?}");
            assert_eq!(out, "");
        }
    }
}
