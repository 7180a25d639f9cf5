//! Reads numbers as llama-server does, with `std::stoi` and `std::stof`: as far as the text is a number, and no further.

/// What was read, and what was silently left over: `256K` is 256 and `K`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number<'a, T> {
    pub value: T,
    pub ignored: &'a str,
}

/// `None` where `std::stoi` throws: no digits, or more than 32 bits hold.
pub fn stoi(text: &str) -> Option<Number<'_, i32>> {
    let start = text.trim_start_matches(SPACE);
    let signed = start.strip_prefix(['-', '+']).unwrap_or(start);
    let digits = signed.len() - after_digits(signed).len();
    let (number, ignored) = start.split_at(start.len() - signed.len() + digits);
    Some(Number { value: number.parse().ok()?, ignored })
}

/// `None` where `std::stof` throws. The hexadecimal form of C, which nobody writes here, is not read.
pub fn stof(text: &str) -> Option<Number<'_, f32>> {
    let start = text.trim_start_matches(SPACE);
    let signed = start.strip_prefix(['-', '+']).unwrap_or(start);
    let word = ["infinity", "inf", "nan"]
        .iter()
        .find(|word| signed.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)));
    let rest = match word {
        Some(word) => signed.get(word.len()..)?,
        None => after_decimal(signed),
    };
    let (number, ignored) = start.split_at(start.len() - rest.len());
    let value: f32 = number.parse().ok()?;
    // Out of range is an exception of `std::stof`, not infinity.
    (word.is_some() || value.is_finite()).then_some(Number { value, ignored })
}

/// What `isspace` calls a space.
const SPACE: [char; 6] = [' ', '\t', '\n', '\u{b}', '\u{c}', '\r'];

fn after_digits(text: &str) -> &str {
    text.trim_start_matches(|c: char| c.is_ascii_digit())
}

/// Past `12`, `12.`, `.5`, `12.5`, each with or without an exponent.
fn after_decimal(text: &str) -> &str {
    let rest = after_digits(text);
    let rest = rest.strip_prefix('.').map_or(rest, after_digits);
    let Some(exponent) = rest.strip_prefix(['e', 'E']) else { return rest };
    let digits = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
    let after = after_digits(digits);
    if after.len() == digits.len() { rest } else { after }
}

#[cfg(test)]
mod tests {
    use super::{stof, stoi};

    #[test]
    fn integers() {
        for (text, value, ignored) in [
            ("262144", 262_144, ""),
            ("256K", 256, "K"),
            (" -1", -1, ""),
            ("+7.5", 7, ".5"),
            ("0x10", 0, "x10"),
            ("2147483647", i32::MAX, ""),
        ] {
            let read = stoi(text).unwrap();
            assert_eq!((read.value, read.ignored), (value, ignored), "{text}");
        }
        for wrong in ["", "K", "-", "--1", "2147483648", "auto", "é"] {
            assert_eq!(stoi(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn floats() {
        for (text, value, ignored) in [
            ("0.7", 0.7, ""),
            ("1.", 1.0, ""),
            (".5", 0.5, ""),
            ("1e-3", 1e-3, ""),
            ("1e", 1.0, "e"),
            ("1e+x", 1.0, "e+x"),
            ("13/6", 13.0, "/6"),
            ("-inf", f32::NEG_INFINITY, ""),
        ] {
            let read = stof(text).unwrap();
            assert_eq!((read.value, read.ignored), (value, ignored), "{text}");
        }
        for wrong in ["", ".", "-", "e5", "1e99", "x"] {
            assert_eq!(stof(wrong), None, "{wrong}");
        }
    }
}
