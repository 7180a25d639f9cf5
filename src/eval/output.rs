//! Whether a program printed what was expected, by the rules of LiveCodeBench: line by line, without the blanks at both
//! ends; where a line differs, number by number.

/// The first line that differs, from 1, with what was expected and what came.
pub fn difference(expected: &str, printed: &str) -> Option<(usize, String, String)> {
    let lines = |text: &str| -> Vec<String> {
        text.trim().lines().map(|line| line.trim().to_owned()).collect()
    };
    let (expected, printed) = (lines(expected), lines(printed));
    for i in 0..expected.len().max(printed.len()) {
        let (right, came) = (expected.get(i), printed.get(i));
        let same = match (right, came) {
            (Some(right), Some(came)) => right == came || same_numbers(right, came),
            _ => false,
        };
        if !same {
            let word = |line: Option<&String>| {
                line.map_or_else(|| "nothing".to_owned(), |line| quoted(line))
            };
            return Some((i + 1, word(right), word(came)));
        }
    }
    None
}

fn quoted(line: &str) -> String {
    let short: String = line.chars().take(80).collect();
    if short.len() < line.len() { format!("`{short}…`") } else { format!("`{short}`") }
}

/// Whether both lines are the same numbers, however they are written.
fn same_numbers(one: &str, other: &str) -> bool {
    let read = |line: &str| line.split_whitespace().map(Decimal::read).collect::<Option<Vec<_>>>();
    match (read(one), read(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

/// A decimal number of any length, exactly: `0.50` and `5e-1` are equal.
#[derive(Debug, PartialEq, Eq)]
struct Decimal {
    negative: bool,
    /// Without zeros at both ends; empty for zero.
    digits: String,
    /// The power of ten of the last digit.
    exponent: i64,
}

impl Decimal {
    fn read(word: &str) -> Option<Self> {
        let (negative, rest) = match word.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, word.strip_prefix('+').unwrap_or(word)),
        };
        let (mantissa, power) = match rest.split_once(['e', 'E']) {
            Some((mantissa, power)) => (mantissa, power.parse::<i32>().ok()?),
            None => (rest, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all = [whole, fraction].concat();
        if all.is_empty() || !all.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let significant = all.trim_end_matches('0');
        let dropped = all.len() - significant.len();
        let digits = significant.trim_start_matches('0').to_owned();
        let zero = digits.is_empty();
        let exponent = i64::from(power) - length(fraction.len()) + length(dropped);
        Some(Self {
            negative: negative && !zero,
            exponent: if zero { 0 } else { exponent },
            digits,
        })
    }
}

/// No line is longer than that.
fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::difference;

    #[test]
    fn the_same() {
        for (expected, printed) in [
            ("3\n", "3"),
            ("1 2\n3", "  1 2 \r\n3\n\n"),
            ("0.5", "0.50"),
            ("100", "1e2"),
            ("-0", "0"),
            ("1 2.0", "1.0 2"),
            ("123456789012345678901234567890", "123456789012345678901234567890.0"),
            ("", "\n"),
        ] {
            assert_eq!(difference(expected, printed), None, "{expected:?} {printed:?}");
        }
    }

    #[test]
    fn not_the_same() {
        for (expected, printed, line) in [
            ("3", "4", 1),
            ("a\nb", "a", 2),
            ("a", "a\nb", 2),
            ("yes", "Yes", 1),
            ("1 2", "1  3", 1),
            ("0.1", "0.10000001", 1),
            ("123456789012345678901234567890", "123456789012345678901234567891", 1),
            ("1", "", 1),
            ("nan", "nan 1", 1),
            ("1", "-1", 1),
            ("10", "1", 1),
        ] {
            let found = difference(expected, printed).map(|(line, ..)| line);
            assert_eq!(found, Some(line), "{expected:?} {printed:?}");
        }
        let long = "9".repeat(200);
        let (_, right, came) = difference(&long, "").unwrap();
        assert!(right.ends_with("…`") && right.len() < 100, "{right}");
        assert_eq!(came, "nothing");
    }
}
