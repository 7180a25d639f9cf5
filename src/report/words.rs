//! How figures are written on the page.

use crate::ledger::Moment;

/// `256K` where it is a whole number of 1024 tokens.
pub(super) fn context(tokens: u64) -> String {
    if tokens > 0 && tokens.is_multiple_of(1024) {
        format!("{}K", tokens / 1024)
    } else {
        tokens.to_string()
    }
}

pub(super) fn day(at: Moment) -> String {
    at.to_string().chars().take(10).collect()
}

/// `13+6`.
pub(super) fn plus(layers: &[u32]) -> String {
    layers.iter().map(ToString::to_string).collect::<Vec<_>>().join("+")
}

/// `+4.3 %`, with a true minus sign.
pub(super) fn percent(share: f64) -> String {
    let text = format!("{:+.1} %", share * 100.0);
    match text.as_str() {
        "+0.0 %" | "-0.0 %" => "0.0 %".to_owned(),
        _ => text.replace('-', "\u{2212}"),
    }
}

/// MiB without decimals.
pub(super) fn mib(mib: f64) -> String {
    format!("{mib:.0}").replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::{context, percent};

    #[test]
    fn figures() {
        assert_eq!([262_144, 0, 40_960, 1000].map(context), ["256K", "0", "40K", "1000"]);
        assert_eq!([0.0432, -0.1, -0.0001].map(percent), ["+4.3 %", "\u{2212}10.0 %", "0.0 %"]);
    }
}
