//! What llama-server counts, from the text of `/metrics`.

/// Speeds since the server started, in tokens per second; absent where nothing was measured yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, serde::Serialize)]
pub struct Speeds {
    pub prompt: Option<f64>,
    pub generated: Option<f64>,
}

impl Speeds {
    /// From the totals: the server's own averages begin anew with each reading, whoever reads.
    pub fn read(text: &str) -> Self {
        let total = |name: &str| {
            text.lines().find_map(|line| {
                let value = line.strip_prefix("llamacpp:")?.strip_prefix(name)?;
                value.strip_prefix(' ')?.trim().parse::<f64>().ok()
            })
        };
        let per = |tokens: &str, seconds: &str| {
            let (tokens, seconds) = (total(tokens)?, total(seconds)?);
            (tokens > 0.0 && seconds > 0.0).then(|| tokens / seconds)
        };
        Self {
            prompt: per("prompt_tokens_total", "prompt_seconds_total"),
            generated: per("tokens_predicted_total", "tokens_predicted_seconds_total"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Speeds;

    /// The form is that of b11434; the numbers are chosen.
    const RECORDED: &str = "\
# HELP llamacpp:prompt_tokens_total Number of prompt tokens processed.
# TYPE llamacpp:prompt_tokens_total counter
llamacpp:prompt_tokens_total 64
llamacpp:prompt_seconds_total 0.5
llamacpp:tokens_predicted_total 30
llamacpp:tokens_predicted_seconds_total 1.2
llamacpp:prompt_tokens_seconds 12.5
llamacpp:predicted_tokens_seconds 0
";

    #[test]
    fn averages_since_the_start() {
        let speeds = Speeds::read(RECORDED);
        assert_eq!((speeds.prompt, speeds.generated), (Some(128.0), Some(25.0)));
        assert_eq!(Speeds::read("llamacpp:prompt_tokens_total 0\n"), Speeds::default());
    }
}
