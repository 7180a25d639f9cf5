//! Which problems of a suite are meant.

use std::fmt;

use super::Problem;

/// Conditions that all have to hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Dates as `2025-01-31`, both included.
    pub from: Option<String>,
    pub to: Option<String>,
    pub difficulty: Vec<String>,
    pub ids: Vec<String>,
    /// The first so many that are left.
    pub limit: Option<usize>,
}

impl Filter {
    pub fn admits(&self, problem: &Problem) -> bool {
        let date = problem.date.as_deref();
        // A problem without a date is in no span of dates.
        let since = self.from.as_deref().is_none_or(|from| date.is_some_and(|date| date >= from));
        let until = self.to.as_deref().is_none_or(|to| date.is_some_and(|date| date <= to));
        let difficulty = self.difficulty.is_empty()
            || problem.difficulty.as_ref().is_some_and(|own| {
                self.difficulty.iter().any(|wanted| wanted.eq_ignore_ascii_case(own))
            });
        since && until && difficulty && (self.ids.is_empty() || self.ids.contains(&problem.id))
    }
}

/// Whether it is a day as `2025-01-31`, so that days can be compared as texts.
pub fn day(text: &str) -> Result<String, String> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<u32>().ok();
    let digits = text.len() == 10
        && text
            .bytes()
            .enumerate()
            .all(|(i, byte)| if i == 4 || i == 7 { byte == b'-' } else { byte.is_ascii_digit() });
    let real = matches!((number(5..7), number(8..10)), (Some(1..=12), Some(1..=31)));
    if digits && real { Ok(text.to_owned()) } else { Err("write a day as 2025-01-31".to_owned()) }
}

/// In words, for the ledger; nothing where nothing is filtered.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        words.extend(self.from.as_ref().map(|day| format!("from {day}")));
        words.extend(self.to.as_ref().map(|day| format!("to {day}")));
        if !self.difficulty.is_empty() {
            words.push(self.difficulty.join(" or "));
        }
        if !self.ids.is_empty() {
            words.push(self.ids.join(" or "));
        }
        words.extend(self.limit.map(|count| format!("the first {count}")));
        f.write_str(&words.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, day};
    use crate::eval::Problem;

    #[test]
    fn by_day_and_difficulty() {
        let problem = |date: &str, difficulty: &str| Problem {
            id: date.to_owned(),
            date: Some(date.to_owned()),
            difficulty: Some(difficulty.to_owned()),
            ..Problem::default()
        };
        let filter = Filter {
            from: Some("2024-08-01".to_owned()),
            to: Some("2025-01-31".to_owned()),
            difficulty: vec!["easy".to_owned(), "hard".to_owned()],
            ..Filter::default()
        };
        for (date, difficulty, admitted) in [
            ("2024-08-01", "easy", true),
            ("2025-01-31", "Hard", true),
            ("2024-07-31", "easy", false),
            ("2025-02-01", "easy", false),
            ("2024-09-01", "medium", false),
        ] {
            assert_eq!(filter.admits(&problem(date, difficulty)), admitted, "{date} {difficulty}");
        }
        assert!(!filter.admits(&Problem::default()));
        assert!(Filter::default().admits(&Problem::default()));
        assert_eq!(filter.to_string(), "from 2024-08-01, to 2025-01-31, easy or hard");
        assert_eq!(Filter::default().to_string(), "");
    }

    #[test]
    fn days() {
        assert!(day("2025-01-31").is_ok());
        for text in [
            "",
            "2025-1-31",
            "2025-13-01",
            "2025-01-32",
            "01-01-2025",
            "2025/01/01",
            "2025-01-3\u{663}",
        ] {
            assert!(day(text).is_err(), "{text}");
        }
    }
}
