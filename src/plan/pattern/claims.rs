//! Which rule gets which tensor: every pattern is searched for in every name, and the first that is found decides.

use super::{Matcher, Override, Overrides, PatternError, TooComplex};

/// What each rule does to a model's tensors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims<'n, 'r> {
    /// In the order of the rules.
    pub rules: Vec<Claim<'n, 'r>>,
    /// Names that no rule matches.
    pub free: Vec<&'n str>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim<'n, 'r> {
    pub rule: &'r Override,
    /// The names that the rule decides, in the model's order.
    pub names: Vec<&'n str>,
    /// The names that it matches as well, each with the index of the earlier rule that decides it.
    pub lost: Vec<(&'n str, usize)>,
}

/// Whether a rule does anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Decides,
    /// Its pattern occurs in no name.
    MatchesNothing,
    /// Everything it matches was decided before it, by the rules of these indices.
    Shadowed(Vec<usize>),
}

/// Why the rules could not be tried.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    #[error(transparent)]
    Pattern(#[from] PatternError),
    #[error(transparent)]
    TooComplex(#[from] TooComplex),
}

impl Claim<'_, '_> {
    pub fn verdict(&self) -> Verdict {
        if !self.names.is_empty() {
            return Verdict::Decides;
        }
        let mut by: Vec<usize> = self.lost.iter().map(|(_, rule)| *rule).collect();
        by.sort_unstable();
        by.dedup();
        if by.is_empty() { Verdict::MatchesNothing } else { Verdict::Shadowed(by) }
    }
}

/// Tries the rules on the names as llama.cpp does while it loads a model.
pub fn claims<'n, 'r>(
    overrides: &'r Overrides,
    names: impl IntoIterator<Item = &'n str>,
) -> Result<Claims<'n, 'r>, ClaimError> {
    let claim = |rule| Claim { rule, names: Vec::new(), lost: Vec::new() };
    let mut rules: Vec<Claim<'n, 'r>> = overrides.rules().iter().map(claim).collect();
    let matchers: Vec<Matcher> =
        overrides.rules().iter().map(|r| Matcher::new(r.pattern())).collect::<Result<_, _>>()?;
    let mut free = Vec::new();
    for name in names {
        let mut winner = None;
        for (index, (matcher, claim)) in matchers.iter().zip(&mut rules).enumerate() {
            if !matcher.is_match(name)? {
                continue;
            }
            match winner {
                None => {
                    winner = Some(index);
                    claim.names.push(name);
                }
                Some(earlier) => claim.lost.push((name, earlier)),
            }
        }
        if winner.is_none() {
            free.push(name);
        }
    }
    Ok(Claims { rules, free })
}

#[cfg(test)]
mod tests {
    use super::super::override_string;
    use super::{Verdict, claims};

    const KINDS: [&str; 5] = [
        "attn_q.weight",
        "ffn_up_exps.weight",
        "ffn_down_exps.weight",
        "ffn_up_shexp.weight",
        "ssm_a",
    ];

    fn names(layers: u32) -> Vec<String> {
        let of_layer = |layer| KINDS.map(|kind| format!("blk.{layer}.{kind}"));
        ["token_embd.weight".to_owned()].into_iter().chain((0..layers).flat_map(of_layer)).collect()
    }

    #[test]
    fn the_first_match_decides() {
        let overrides = override_string(&[13, 6], &[]).parse().unwrap();
        let names = names(48);
        let claims = claims(&overrides, names.iter().map(String::as_str)).unwrap();
        let counts: Vec<_> = claims.rules.iter().map(|c| (c.names.len(), c.lost.len())).collect();
        assert_eq!(counts, [(13 * 5, 0), (6 * 5, 0), (29 * 2, 19 * 2)]);
        assert_eq!(claims.free.len(), 1 + 29 * 3);
        assert_eq!(claims.rules[2].names[0], "blk.19.ffn_up_exps.weight");
        assert_eq!(claims.rules[2].lost[0], ("blk.0.ffn_up_exps.weight", 0));
        assert_eq!(claims.rules[2].lost[37], ("blk.18.ffn_down_exps.weight", 1));
        assert!(claims.rules.iter().all(|claim| claim.verdict() == Verdict::Decides));
    }

    #[test]
    fn finds_rules_that_do_nothing() {
        let value = r"exps=CPU,blk\.(48)\.=CUDA1,ffn_up_exps=CUDA0,blk\.1\.ffn_.*_exps=CUDA0";
        let overrides = value.parse().unwrap();
        let names = names(4);
        let claims = claims(&overrides, names.iter().map(String::as_str)).unwrap();
        let verdicts: Vec<Verdict> = claims.rules.iter().map(super::Claim::verdict).collect();
        assert_eq!(
            verdicts,
            [
                Verdict::Decides,
                Verdict::MatchesNothing,
                Verdict::Shadowed(vec![0]),
                Verdict::Shadowed(vec![0])
            ]
        );
    }

    #[test]
    fn says_which_pattern_is_wrong() {
        let overrides = "exps=CPU,(=CPU".parse().unwrap();
        let error = claims(&overrides, ["a"]).unwrap_err();
        assert!(error.to_string().starts_with("the pattern `(` is no regex"), "{error}");
    }
}
