//! What is asked for while measuring: prompts of an exact length, and one task whose answers tell quants apart.

/// Prose and code, as an agent would send them. Its tokens are repeated up to the length that is wanted.
pub const TEXT: &str = "\
A lighthouse keeper writes down the weather four times a day: wind, visibility, the height of the waves, and the \
barometer. Ships that pass at night are counted by their lights. When the fog comes in, the horn sounds every thirty \
seconds, and the log says for how long. At the end of the month the sheets go to the harbour office, where somebody \
adds them up.\n\n\
fn mean(readings: &[f64]) -> Option<f64> {\n    let count = readings.len();\n    (count > 0).then(|| \
readings.iter().sum::<f64>() / count as f64)\n}\n\n\
The office found that two of the sheets did not agree. One said 1013 hectopascal at noon, the other 1031; somebody had \
swapped two digits. Since then each sum is taken twice, by different people, and only equal results are filed. \
\n\nSELECT day, avg(pressure) FROM log WHERE station = 'north' GROUP BY day ORDER BY day DESC LIMIT 31;\n\n";

/// Large enough to go wrong in, small enough to be right at once.
pub const TASK: &str = "\
Write a Python function `merge_intervals(intervals)` that takes a list of `(start, end)` tuples in any order and returns \
a new sorted list in which overlapping or touching intervals are merged. Handle an empty list, and raise `ValueError` \
for an interval whose start is after its end. Give the function with a docstring and three short examples, and nothing \
else.";

/// A prompt of exactly so many tokens. Each turn begins elsewhere in the text, so that no two are alike.
pub fn tokens(text: &[u64], length: u64, turn: usize) -> Vec<u64> {
    // A step that shares no divisor with most lengths visits all places.
    let skip = turn.wrapping_mul(37) % text.len().max(1);
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    text.iter().cycle().skip(skip).take(length).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::tokens;

    #[test]
    fn of_the_length_that_is_wanted() {
        let text: Vec<u64> = (0..100).collect();
        assert_eq!(tokens(&text, 3, 0), [0, 1, 2]);
        assert_eq!(tokens(&text, 3, 1), [37, 38, 39]);
        let long = tokens(&text, 250, 2);
        assert_eq!((long.len(), long[0], long[26]), (250, 74, 0));
        assert!(tokens(&[], 5, 1).is_empty());
    }
}
