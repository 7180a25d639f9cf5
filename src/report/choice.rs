//! Which strategy to run: what the presets say, with the figures that speak for it.

use serde::Serialize;

use super::{Figure, Quality, Row};
use crate::preset::record::Status;

/// One strategy to run, and why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Choice {
    pub name: String,
    pub short: String,
    pub title: String,
    /// `baseline`, `option`, or that the figures alone speak for it.
    pub role: String,
    pub reason: String,
    pub context: String,
    pub speed: Option<Figure>,
    pub answer: Option<Figure>,
    pub quality: String,
    /// Beside the first choice.
    pub beside: Option<String>,
}

/// The baselines, then the options. Where nobody marked one, the fastest with the largest context whose answers were
/// clean; the flag says that it is so.
pub(super) fn choices(rows: &[Row]) -> (Vec<Choice>, bool) {
    let of = |status: Status| rows.iter().filter(move |row| row.status == Some(status));
    let mut chosen: Vec<&Row> = of(Status::Baseline).collect();
    let unmarked = chosen.is_empty();
    if unmarked {
        let fit = |row: &&Row| {
            row.quality == Quality::Clean
                && row.decode_tps.is_some()
                && !matches!(row.status, Some(Status::Rejected | Status::Superseded))
        };
        let speed = |row: &&Row| (row.ctx_size, row.decode_tps.unwrap_or_default());
        let best = rows.iter().filter(fit).max_by(|a, b| {
            let ((a, fast), (b, faster)) = (speed(a), speed(b));
            a.cmp(&b).then(fast.total_cmp(&faster))
        });
        chosen.extend(best);
    }
    let first = chosen.first().copied();
    let options = of(Status::Option).filter(|row| first.is_none_or(|first| first.name != row.name));
    // An option without a figure has nothing to say here.
    chosen.extend(options.filter(|row| row.speed.is_some()));
    let choices = chosen.iter().map(|row| Choice {
        name: row.name.clone(),
        short: row.short.clone(),
        title: row.title.clone(),
        role: match row.status {
            Some(Status::Option) if first.is_some_and(|first| first.name != row.name) => {
                "option".to_owned()
            }
            Some(Status::Baseline) => "baseline".to_owned(),
            _ => "by its figures".to_owned(),
        },
        reason: row.reason.clone(),
        context: row.context.clone(),
        speed: row.speed.clone(),
        answer: row.answer.clone(),
        quality: row.quality_words.clone(),
        beside: first.filter(|first| first.name != row.name).and_then(|first| beside(first, row)),
    });
    (choices.collect(), unmarked)
}

/// `21 % faster than UD-Q6_K_XL`.
fn beside(first: &Row, row: &Row) -> Option<String> {
    let change = row.decode_tps? / first.decode_tps.filter(|tps| *tps > 0.0)? - 1.0;
    let percent = (change.abs() * 100.0).round();
    Some(if percent == 0.0 {
        format!("as fast as {}", first.short)
    } else {
        let way = if change > 0.0 { "faster" } else { "slower" };
        format!("{percent:.0} % {way} than {}", first.short)
    })
}

#[cfg(test)]
mod tests {
    use super::{Quality, Row, choices};
    use crate::preset::record::Status;

    fn row(name: &str, status: Option<Status>, context: u64, tps: f64, quality: Quality) -> Row {
        Row {
            name: name.to_owned(),
            short: name.to_owned(),
            status,
            ctx_size: Some(context),
            decode_tps: Some(tps),
            speed: Some(super::Figure::new("", "")),
            quality,
            ..Row::default()
        }
    }

    #[test]
    fn what_is_marked_wins_else_what_the_figures_say() {
        let rows = [
            row("fast", Some(Status::Rejected), 256, 40.0, Quality::Clean),
            row("doubtful", None, 256, 30.0, Quality::Doubts),
            row("short", None, 64, 30.0, Quality::Clean),
            row("good", Some(Status::Option), 256, 20.0, Quality::Clean),
            row("slower", Some(Status::Option), 256, 19.0, Quality::Clean),
        ];
        let (found, unmarked) = choices(&rows);
        assert!(unmarked);
        let names: Vec<_> = found.iter().map(|choice| choice.name.as_str()).collect();
        assert_eq!(names, ["good", "slower"]);
        assert_eq!(found[1].beside.as_deref(), Some("5 % slower than good"));
        assert_eq!((found[0].role.as_str(), found[1].role.as_str()), ("by its figures", "option"));
        let mut rows = rows.to_vec();
        rows.push(row("marked", Some(Status::Baseline), 64, 10.0, Quality::Unknown));
        let (found, unmarked) = choices(&rows);
        assert!(!unmarked);
        assert_eq!(found[0].name, "marked");
        assert_eq!(choices(&[]), (Vec::new(), true));
    }
}
