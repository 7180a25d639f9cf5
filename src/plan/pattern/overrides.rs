//! The value of `-ot`: `pattern=buffer` pieces joined by `,`, the first that matches a tensor's name deciding.

use std::fmt;
use std::str::FromStr;

use super::{Matcher, PatternError};

/// One rule. The pattern holds neither `,` nor `=`, which llama.cpp cannot read inside one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Override {
    pattern: String,
    buffer: String,
}

/// Rules in the order in which they are tried.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Overrides(Vec<Override>);

/// A rule that llama.cpp's grammar cannot say or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverrideError {
    #[error("`{piece}` names no buffer")]
    NoBuffer { piece: String, value: String },
    #[error("the pattern `{pattern}` holds a `{sign}`")]
    Unsayable { pattern: String, sign: char },
    #[error("the buffer name `{buffer}` holds a `,`")]
    Buffer { buffer: String },
}

impl OverrideError {
    /// What to do instead.
    pub fn help(&self) -> String {
        match self {
            Self::NoBuffer { piece, value } if piece.is_empty() && value.is_empty() => {
                "write pieces like `exps=CPU`, joined by `,`".to_owned()
            }
            Self::NoBuffer { piece, .. } if piece.is_empty() => {
                "take out the `,` too many".to_owned()
            }
            Self::NoBuffer { .. } => {
                "write it `pattern=buffer`; the value is cut at every `,`, so \
                 a pattern can hold none: spell out what `{1,3}` repeats, or use `(a|b)`"
                    .to_owned()
            }
            Self::Unsayable { sign: ',', .. } => {
                "llama.cpp cuts the value at every `,`: spell out \
                 what `{1,3}` repeats, or use `(a|b)`"
                    .to_owned()
            }
            Self::Unsayable { .. } => "llama.cpp cuts each piece at its first `=`: match the \
                 character with `.`, or what `(?=…)` looks for as part of the pattern"
                .to_owned(),
            Self::Buffer { .. } => "name one buffer for each pattern".to_owned(),
        }
    }
}

impl Override {
    pub fn new(
        pattern: impl Into<String>,
        buffer: impl Into<String>,
    ) -> Result<Self, OverrideError> {
        let (pattern, buffer) = (pattern.into(), buffer.into());
        match pattern.chars().find(|c| matches!(c, ',' | '=')) {
            Some(sign) => Err(OverrideError::Unsayable { pattern, sign }),
            None if buffer.contains(',') => Err(OverrideError::Buffer { buffer }),
            None => Ok(Self { pattern, buffer }),
        }
    }

    /// For patterns made here, which hold neither sign.
    pub(super) fn sayable(pattern: impl Into<String>, buffer: impl Into<String>) -> Self {
        Self { pattern: pattern.into(), buffer: buffer.into() }
    }

    pub fn pattern(&self) -> &str {
        &self.pattern
    }

    /// The name of a buffer type, such as `CPU` or `CUDA0`.
    pub fn buffer(&self) -> &str {
        &self.buffer
    }
}

impl Overrides {
    pub fn rules(&self) -> &[Override] {
        &self.0
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What llama.cpp would refuse, or what only fails while it loads the model: every rule with a buffer that is
    /// neither `CPU` nor one of the devices, and every pattern that is no regex of its dialect.
    pub fn check(&self, devices: &[String]) -> Vec<Fault> {
        let mut faults = Vec::new();
        for (rule, Override { pattern, buffer }) in self.0.iter().enumerate() {
            if buffer != "CPU" && !devices.contains(buffer) {
                let devices = devices.to_vec();
                faults.push(Fault::UnknownBuffer { rule, buffer: buffer.clone(), devices });
            }
            if let Err(error) = Matcher::new(pattern) {
                faults.push(Fault::Pattern { rule, error });
            }
        }
        faults
    }
}

/// A rule that llama.cpp can read and will not run.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    #[error("`{buffer}` is no buffer of this machine")]
    UnknownBuffer { rule: usize, buffer: String, devices: Vec<String> },
    #[error("{error}")]
    Pattern { rule: usize, error: PatternError },
}

impl Fault {
    /// Index of the rule.
    pub const fn rule(&self) -> usize {
        match self {
            Self::UnknownBuffer { rule, .. } | Self::Pattern { rule, .. } => *rule,
        }
    }

    /// What to do instead.
    pub fn help(&self) -> String {
        match self {
            Self::Pattern { error, .. } => error.help().to_owned(),
            Self::UnknownBuffer { buffer, devices, .. } => {
                let mut known = devices.iter().map(String::as_str).chain(["CPU"]);
                let wanted = buffer.trim();
                if let Some(known) = known.clone().find(|known| known.eq_ignore_ascii_case(wanted))
                {
                    return format!("write `{known}`; names are compared as they stand");
                }
                let names: Vec<String> = known.by_ref().map(|name| format!("`{name}`")).collect();
                let names = names.join(", ");
                if buffer.contains('=') {
                    return format!(
                        "a piece is cut at its first `=`, so a pattern can hold none; the buffers are {names}"
                    );
                }
                format!("write one of {names}; llama.cpp takes no other buffer type of a device")
            }
        }
    }
}

impl FromStr for Overrides {
    type Err = OverrideError;

    /// Reads as llama.cpp does: cut at every `,`, each piece at its first `=`, nothing trimmed.
    fn from_str(value: &str) -> Result<Self, OverrideError> {
        let read = |piece: &str| match piece.split_once('=') {
            Some((pattern, buffer)) => Ok(Override::sayable(pattern, buffer)),
            None => Err(OverrideError::NoBuffer { piece: piece.into(), value: value.into() }),
        };
        value.split(',').map(read).collect::<Result<_, _>>().map(Self)
    }
}

impl From<Vec<Override>> for Overrides {
    fn from(rules: Vec<Override>) -> Self {
        Self(rules)
    }
}

impl fmt::Display for Override {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.pattern, self.buffer)
    }
}

impl fmt::Display for Overrides {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rule) in self.0.iter().enumerate() {
            write!(f, "{}{rule}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{Override, Overrides};

    #[test]
    fn reads_what_it_prints() {
        for value in [
            r"blk\.([0-9]|1[0-2])\.=CUDA0,blk\.(1[3-8])\.=CUDA1,exps=CPU",
            "exps=CPU",
            "=CPU",
            "a=",
            " a = CPU",
            "a=CPU=CUDA0",
            "exps=RPC0[10.0.0.2:50052]",
            "a=CUDA0,a=CUDA1",
        ] {
            assert_eq!(value.parse::<Overrides>().unwrap().to_string(), value);
        }
        let rules = "a=CPU=CUDA0".parse::<Overrides>().unwrap();
        assert_eq!(rules.rules()[0].buffer(), "CPU=CUDA0");
    }

    #[test]
    fn names_the_piece_and_the_way_out() {
        for (value, message, help) in [
            ("", "`` names no buffer", "write pieces like `exps=CPU`"),
            ("exps", "`exps` names no buffer", "write it `pattern=buffer`"),
            ("exps=CPU,", "`` names no buffer", "take out the `,` too many"),
            (r"blk\.\d{1,2}\.=CPU", r"`blk\.\d{1` names no buffer", "write it `pattern=buffer`"),
        ] {
            let error = value.parse::<Overrides>().unwrap_err();
            assert_eq!(error.to_string(), message);
            assert!(error.help().starts_with(help), "{}", error.help());
        }
    }

    #[test]
    fn refuses_what_cannot_be_said() {
        for (pattern, buffer, message) in [
            ("a{1,2}", "CPU", "the pattern `a{1,2}` holds a `,`"),
            ("a(?=b)", "CPU", "the pattern `a(?=b)` holds a `=`"),
            ("a", "CUDA0,CUDA1", "the buffer name `CUDA0,CUDA1` holds a `,`"),
        ] {
            assert_eq!(Override::new(pattern, buffer).unwrap_err().to_string(), message);
        }
        assert!(Override::new(r"a(?!b)", "CPU").is_ok());
    }

    #[test]
    fn finds_what_fails_later() {
        let devices = ["CUDA0".to_owned(), "CUDA1".to_owned()];
        let check = |value: &str| -> Vec<(usize, String, String)> {
            let faults = value.parse::<Overrides>().unwrap().check(&devices);
            faults.iter().map(|f| (f.rule(), f.to_string(), f.help())).collect()
        };
        assert_eq!(check("a=CUDA0,b=CUDA1,exps=CPU"), []);
        for (value, rule, message, help) in [
            (
                "a=CUDA0,b=CUDA2",
                1,
                "`CUDA2` is no buffer of this machine",
                "write one of `CUDA0`, `CUDA1`, `CPU`; llama.cpp takes no other buffer type of a device",
            ),
            (
                "a=CUDA_Host",
                0,
                "`CUDA_Host` is no buffer of this machine",
                "write one of `CUDA0`, `CUDA1`, `CPU`; llama.cpp takes no other buffer type of a device",
            ),
            (
                "a= cpu",
                0,
                "` cpu` is no buffer of this machine",
                "write `CPU`; names are compared as they stand",
            ),
            (
                "a(?=b)=CPU",
                0,
                "`b)=CPU` is no buffer of this machine",
                "a piece is cut at its first `=`, so a pattern can hold none; the buffers are `CUDA0`, `CUDA1`, `CPU`",
            ),
            (
                "a=CPU,*b=CPU",
                1,
                "the pattern `*b` is no regex that llama.cpp can read: `*` has nothing to repeat",
                "put before it what it repeats, as in `.*`, or `\\` to mean the character itself",
            ),
        ] {
            let found = check(value);
            assert_eq!(found[0], (rule, message.to_owned(), help.to_owned()), "{value}");
        }
        // The piece that lost its `=` has a broken pattern as well.
        assert_eq!(check("a(?=b)=CPU").len(), 2);
    }
}
