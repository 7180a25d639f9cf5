//! A second in UTC, as RFC 3339 writes it: `2026-02-13T10:30:00Z`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Seconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Moment(pub u64);

const DAY: u64 = 86_400;
/// Days of 400 years, after which the calendar repeats.
const ERA: u64 = 146_097;
/// From the first of March of the year 0 to 1970.
const EPOCH: u64 = 719_468;

/// Year, month and day of a day since 1970, by counting from March on: then the leap day is a year's last.
fn date(days: u64) -> (u64, u64, u64) {
    let days = days + EPOCH;
    let (era, day) = (days / ERA, days % ERA);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let of_month = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + u64::from(month <= 2), month, of_month)
}

/// The other way. `None` before 1970, and of a day 0.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    let year = year.checked_sub(u64::from(month <= 2))?;
    let (era, year) = (year / 400, year % 400);
    let month = if month > 2 { month - 3 } else { month + 9 };
    let day = (153 * month + 2) / 5 + day.checked_sub(1)?;
    (era * ERA + 365 * year + year / 4 - year / 100 + day).checked_sub(EPOCH)
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (year, month, day) = date(self.0 / DAY);
        let second = self.0 % DAY;
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

impl FromStr for Moment {
    type Err = String;

    /// The form that is printed, or a day alone: its first second.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no time: write it `2026-02-13T10:30:00Z`");
        let full = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
        let number = |from: usize, to: usize| -> Option<u64> { full.get(from..to)?.parse().ok() };
        let read = || {
            let days = days(number(0, 4)?, number(5, 7)?, number(8, 10)?)?;
            Some(Self(days * DAY + number(11, 13)? * 3600 + number(14, 16)? * 60 + number(17, 19)?))
        };
        // A 30th of February, or a sign where a digit belongs, does not print as it was written.
        read().filter(|moment| moment.to_string() == full).ok_or_else(wrong)
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Moment> for String {
    fn from(moment: Moment) -> Self {
        moment.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::Moment;

    #[test]
    fn days_of_the_calendar() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_771_000_245, "2026-02-13T16:30:45Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ] {
            assert_eq!(Moment(seconds).to_string(), text);
            assert_eq!(text.parse(), Ok(Moment(seconds)));
        }
        assert_eq!("2026-02-13".parse(), Ok(Moment(1_770_940_800)));
        for text in [
            "",
            "2026-02-30",
            "2026-13-01",
            "2026-00-01",
            "2026-03-00",
            "1969-12-31",
            "2026-02-13 16:30:45",
            "+026-02-13",
        ] {
            assert!(text.parse::<Moment>().unwrap_err().contains("write it"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn reads_what_it_prints(seconds in 0..253_402_300_800_u64) {
            prop_assert_eq!(Moment(seconds).to_string().parse(), Ok(Moment(seconds)));
        }
    }
}
