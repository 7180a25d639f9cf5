//! One value on its way to llama-server: through the environment, to a flag.

use crate::diagnostic::Location;
use crate::table::{Emit, Key, Kind};

/// Why a value is what it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    File(Location),
    /// Our own default, with its reason.
    Default(&'static str),
}

/// A value for one flag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// `context.ctx_size`.
    pub path: String,
    /// The environment variable that carries it into the container.
    pub env: String,
    pub emit: Emit,
    pub boolean: bool,
    /// As llama-server takes it; of a boolean `true` or `false`.
    pub word: String,
    pub origin: Origin,
}

impl Setting {
    pub fn new(table: &str, key: &Key, emit: Emit, word: String, origin: Origin) -> Self {
        Self {
            path: format!("{table}.{}", key.name),
            env: env_name(key.name),
            emit,
            boolean: key.kind == Kind::Boolean,
            word,
            origin,
        }
    }

    /// The value of the environment variable; `None` where the flag is simply not given.
    pub fn env_value(&self) -> Option<&str> {
        if !self.boolean {
            return (!self.word.is_empty()).then_some(&self.word);
        }
        let yes = self.word == "true";
        match (yes != self.is_inverse(), self.emit.off) {
            (true, _) => Some("1"),
            (false, Some(_)) => Some("0"),
            (false, None) => None,
        }
    }

    /// The variable says "no" where the key says "yes".
    pub fn is_inverse(&self) -> bool {
        self.env == NO_CONTEXT_SHIFT
    }
}

/// The one switch that the environment spells in the negative.
const NO_CONTEXT_SHIFT: &str = "NO_CONTEXT_SHIFT";

/// The environment variable of a key: the key in capitals. Single words get a prefix, so that a variable which a
/// shell happens to export (HOST, TEMP, THREADS) never reaches the server by accident.
pub fn env_name(key: &str) -> String {
    match key {
        "context_shift" => NO_CONTEXT_SHIFT.to_owned(),
        "file" => "MODEL".to_owned(),
        "fit" | "port" => key.to_ascii_uppercase(),
        // OpenSSL reads SSL_CERT_FILE, and many shells export it.
        key if key.contains('_') && !key.starts_with("ssl_") => key.to_ascii_uppercase(),
        key => format!("LLAMA_{}", key.to_ascii_uppercase()),
    }
}

#[cfg(test)]
mod tests {
    use super::env_name;

    #[test]
    fn names_of_variables() {
        for (key, env) in [
            ("ctx_size", "CTX_SIZE"),
            ("context_shift", "NO_CONTEXT_SHIFT"),
            ("fit", "FIT"),
            ("file", "MODEL"),
            ("temp", "LLAMA_TEMP"),
            ("n_cpu_moe", "N_CPU_MOE"),
            ("ssl_cert_file", "LLAMA_SSL_CERT_FILE"),
        ] {
            assert_eq!(env_name(key), env);
        }
    }
}
