//! Compose's times: `90s`, `1m30s`, `15m`.

/// Whole seconds; `None` where it is no time.
pub(super) fn seconds(text: &str) -> Option<u32> {
    let mut rest = text;
    let mut millis: u64 = 0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at(digits);
        let number: u64 = number.parse().ok()?;
        let end = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, next) = after.split_at(end);
        let unit = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        millis = millis.checked_add(number.checked_mul(unit)?)?;
        rest = next;
    }
    if text.is_empty() { None } else { u32::try_from(millis / 1000).ok() }
}

#[cfg(test)]
mod tests {
    use super::seconds;

    #[test]
    fn times() {
        for (text, number) in [
            ("90s", Some(90)),
            ("1m30s", Some(90)),
            ("15m", Some(900)),
            ("1h", Some(3600)),
            ("1500ms", Some(1)),
            ("", None),
            ("90", None),
            ("9 s", None),
            ("-1s", None),
        ] {
            assert_eq!(seconds(text), number, "{text}");
        }
    }
}
