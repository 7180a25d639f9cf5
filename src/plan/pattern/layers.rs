//! Layer numbers as a pattern that a person can review: `blk\.([0-9]|1[0-2])\.` for layers 0 to 12.
//!
//! The style is one alternative per digit pattern, ascending, with classes written `[0-1]` even for two digits.
//! Within it the pattern is the shortest. The parentheses are always there, so that a change of range changes one place.

use std::ops::RangeInclusive;

use super::{Override, Overrides};

/// The pattern for a contiguous range of layers; `None` where the range is empty.
pub fn layers_regex(layers: RangeInclusive<u32>) -> Option<String> {
    let (first, last) = layers.into_inner();
    (first <= last).then(|| block(&[(u64::from(first), u64::from(last))]))
}

/// The pattern for any set of layers; `None` where it is empty.
pub fn layer_set_regex(layers: impl IntoIterator<Item = u32>) -> Option<String> {
    let mut layers: Vec<u64> = layers.into_iter().map(u64::from).collect();
    layers.sort_unstable();
    let mut spans: Vec<Span> = Vec::new();
    for layer in layers {
        match spans.last_mut() {
            Some((_, last)) if layer <= *last + 1 => *last = layer,
            _ => spans.push((layer, layer)),
        }
    }
    (!spans.is_empty()).then(|| block(&spans))
}

/// What `-ot` takes to put so many layers on each device, one device after the other from layer 0 on, and the routed
/// experts of all other layers on the CPU. A device with zero layers gets no rule; one without a name is `CUDA` and
/// its index.
pub fn override_string(layers: &[u32], devices: &[String]) -> String {
    let mut rules = Vec::new();
    let mut next: u32 = 0;
    for (index, count) in layers.iter().enumerate().filter(|(_, count)| **count > 0) {
        let end = next.saturating_add(*count);
        let device = devices.get(index).cloned().unwrap_or_else(|| format!("CUDA{index}"));
        rules.extend(layers_regex(next..=end - 1).map(|regex| Override::sayable(regex, device)));
        next = end;
    }
    rules.push(Override::sayable("exps", "CPU"));
    Overrides::from(rules).to_string()
}

/// Numbers from the first to the last, both included.
type Span = (u64, u64);

fn block(spans: &[Span]) -> String {
    let mut alternatives = Vec::new();
    // One digit, two digits, …: a pattern of digits says its own length.
    for digits in 1..=10 {
        let (low, high) = (if digits == 1 { 0 } else { power(digits - 1) }, power(digits) - 1);
        alternatives.extend(alternate(&clip(spans, low, high), digits));
    }
    format!(r"blk\.({})\.", alternatives.join("|"))
}

/// The digit patterns, ascending, for numbers written with exactly so many digits, leading zeros included.
fn alternate(spans: &[Span], digits: u32) -> Vec<String> {
    if digits == 0 || spans.is_empty() {
        return if spans.is_empty() { Vec::new() } else { vec![String::new()] };
    }
    if *spans == [(0, power(digits) - 1)] {
        return vec!["[0-9]".repeat(digits as usize)];
    }
    // Leading digits with the same tails stand in one class.
    let mut groups: Vec<(Vec<u64>, Vec<Span>)> = Vec::new();
    let step = power(digits - 1);
    for digit in 0..10 {
        let tails: Vec<Span> = clip(spans, digit * step, digit * step + step - 1)
            .iter()
            .map(|(first, last)| (first - digit * step, last - digit * step))
            .collect();
        if tails.is_empty() {
            continue;
        }
        match groups.iter_mut().find(|(_, known)| *known == tails) {
            Some((heads, _)) => heads.push(digit),
            None => groups.push((vec![digit], tails)),
        }
    }
    let tails = |tails: &[Span]| alternate(tails, digits - 1);
    groups
        .iter()
        .flat_map(|(heads, t)| tails(t).into_iter().map(|tail| format!("{}{tail}", class(heads))))
        .collect()
}

/// `3`, `[3-8]`, `[159]`, `[0-37]`.
fn class(digits: &[u64]) -> String {
    let mut text = String::new();
    let mut rest = digits;
    while let [first, ..] = rest {
        let run = rest.iter().zip(*first..).take_while(|(digit, want)| *digit == want).count();
        let (of_run, after) = rest.split_at(run);
        rest = after;
        match of_run {
            [a, .., b] if run > 2 || run == digits.len() => {
                text.extend([a.to_string(), "-".to_owned(), b.to_string()]);
            }
            _ => text.extend(of_run.iter().map(ToString::to_string)),
        }
    }
    if digits.len() == 1 { text } else { format!("[{text}]") }
}

/// What of the spans lies between the two.
fn clip(spans: &[Span], low: u64, high: u64) -> Vec<Span> {
    let within = |(first, last): &Span| (low.max(*first), high.min(*last));
    spans.iter().map(within).filter(|(first, last)| first <= last).collect()
}

const fn power(digits: u32) -> u64 {
    10_u64.pow(digits)
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::{layer_set_regex, layers_regex, override_string};

    /// Layers among 0 to 999 that the pattern finds in llama.cpp's names, by an engine of its own.
    fn found(pattern: &str) -> Vec<u32> {
        static NAMES: LazyLock<String> = LazyLock::new(|| {
            (0..1000).map(|layer| format!("blk.{layer}.w")).collect::<Vec<_>>().join("\n")
        });
        let regex = regex::Regex::new(pattern).unwrap();
        let number = |m: regex::Match<'_>| m.as_str()[4..m.len() - 1].parse().unwrap();
        regex.find_iter(&NAMES).map(number).collect()
    }

    #[test]
    fn prints_the_tables_that_people_look_up() {
        for (first, last, inside) in [
            (0, 10, "[0-9]|10"),
            (0, 11, "[0-9]|1[0-1]"),
            (0, 12, "[0-9]|1[0-2]"),
            (0, 13, "[0-9]|1[0-3]"),
            (0, 14, "[0-9]|1[0-4]"),
            (0, 15, "[0-9]|1[0-5]"),
            (0, 16, "[0-9]|1[0-6]"),
            (0, 17, "[0-9]|1[0-7]"),
            (0, 18, "[0-9]|1[0-8]"),
            (0, 19, "[0-9]|1[0-9]"),
            (13, 17, "1[3-7]"),
            (13, 18, "1[3-8]"),
            (13, 19, "1[3-9]"),
            (15, 20, "1[5-9]|20"),
            (15, 21, "1[5-9]|2[0-1]"),
            (15, 22, "1[5-9]|2[0-2]"),
            (18, 23, "1[8-9]|2[0-3]"),
            (18, 24, "1[8-9]|2[0-4]"),
            (18, 25, "1[8-9]|2[0-5]"),
            // Beyond the tables.
            (9, 9, "9"),
            (19, 19, "19"),
            (9, 10, "9|10"),
            (0, 29, "[0-9]|[1-2][0-9]"),
            (15, 34, "1[5-9]|2[0-9]|3[0-4]"),
            (95, 255, "9[5-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]"),
            (100, 129, "1[0-2][0-9]"),
        ] {
            assert_eq!(layers_regex(first..=last).unwrap(), format!(r"blk\.({inside})\."));
        }
        #[expect(clippy::reversed_empty_ranges, reason = "that is the case to be refused")]
        let empty = layers_regex(5..=4);
        assert_eq!(empty, None);
    }

    #[test]
    fn every_range_is_right_and_as_short_as_can_be() {
        // One digit, two digits and the first with three; every class begins and ends at every place in there.
        let bounds = || (0..45).chain(88..112);
        for last in bounds() {
            for first in bounds().filter(|first| *first <= last) {
                let pattern = layers_regex(first..=last).unwrap();
                assert_eq!(found(&pattern), (first..=last).collect::<Vec<_>>(), "{pattern}");
                let (pieces, length) = shortest(first, last);
                assert_eq!(pattern.matches('|').count() + 1, pieces, "{pattern}");
                assert_eq!(pattern.len(), r"blk\.()\.".len() + length, "{pattern}");
            }
        }
    }

    /// The fewest alternatives of the style, and their least length, by trying every way to cut the range up.
    fn shortest(first: u32, last: u32) -> (usize, usize) {
        let mut best = vec![(0, 0)];
        for end in first..=last {
            let cut = |start: u32| {
                let (pieces, length) = best[(start - first) as usize];
                let bar = usize::from(pieces > 0);
                piece(start, end).map(|text| (pieces + 1, length + bar + text.len()))
            };
            best.push((first..=end).filter_map(cut).min().unwrap());
        }
        best[best.len() - 1]
    }

    /// The one alternative for exactly these numbers: equal leading digits, one class, then any digits.
    fn piece(start: u32, end: u32) -> Option<String> {
        let (a, b) = (start.to_string(), end.to_string());
        if a == b {
            return Some(a);
        }
        let split = a.bytes().zip(b.bytes()).position(|(a, b)| a != b)?;
        let tails = (&a[split + 1..], &b[split + 1..]);
        let whole = tails.0.bytes().all(|d| d == b'0') && tails.1.bytes().all(|d| d == b'9');
        (a.len() == b.len() && whole).then(|| {
            let class = format!("[{}-{}]", &a[split..=split], &b[split..=split]);
            format!("{}{class}{}", &a[..split], "[0-9]".repeat(tails.0.len()))
        })
    }

    #[test]
    fn sets() {
        for (layers, inside) in [
            (&[1, 3, 5][..], "[135]"),
            (&[3, 7, 11, 15, 19, 23, 27], "[37]|1[159]|2[37]"),
            (&[0, 1, 2, 3, 7], "[0-37]"),
            (&[0, 1, 5], "[015]"),
            (&[11, 13, 21, 23], "[1-2][13]"),
            (&[2, 2, 1], "[1-2]"),
        ] {
            let pattern = layer_set_regex(layers.iter().copied()).unwrap();
            assert_eq!(pattern, format!(r"blk\.({inside})\."));
        }
        assert_eq!(layer_set_regex([]), None);
    }

    proptest! {
        #[test]
        fn every_set_is_right(layers in proptest::collection::btree_set(0..1000_u32, 1..60)) {
            let pattern = layer_set_regex(layers.iter().copied()).unwrap();
            prop_assert_eq!(found(&pattern), layers.into_iter().collect::<Vec<_>>());
        }

        #[test]
        fn every_range_is_right(first in 0..1000_u32, length in 0..1000_u32) {
            let last = 999.min(first + length);
            let pattern = layers_regex(first..=last).unwrap();
            prop_assert_eq!(found(&pattern), (first..=last).collect::<Vec<_>>());
        }
    }

    #[test]
    fn override_strings() {
        let devices = ["CUDA0".to_owned(), "CUDA1".to_owned()];
        for (layers, string) in [
            (&[13, 6][..], r"blk\.([0-9]|1[0-2])\.=CUDA0,blk\.(1[3-8])\.=CUDA1,exps=CPU"),
            (&[15, 7], r"blk\.([0-9]|1[0-4])\.=CUDA0,blk\.(1[5-9]|2[0-1])\.=CUDA1,exps=CPU"),
            (&[0, 6], r"blk\.([0-5])\.=CUDA1,exps=CPU"),
            (&[1, 0, 1], r"blk\.(0)\.=CUDA0,blk\.(1)\.=CUDA2,exps=CPU"),
            (&[], "exps=CPU"),
        ] {
            assert_eq!(override_string(layers, &devices), string);
        }
        assert!(!override_string(&[u32::MAX, 5], &devices).contains("CUDA1"));
    }
}
