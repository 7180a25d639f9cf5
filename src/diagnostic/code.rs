//! Every finding has a name. The table below is also `docs/codes.md`.

use std::fmt;

/// Whether a finding stops a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    Error,
    Warning,
}

macro_rules! codes {
    ($($variant:ident $severity:ident $name:literal $explain:literal)*) => {
        /// The name of a kind of finding, stable across releases.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $(#[doc = $explain] $variant,)* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// In kebab case, as it is printed and looked up.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }

            /// What the finding means, in a sentence or two.
            pub const fn explain(self) -> &'static str {
                match self { $(Self::$variant => $explain,)* }
            }
        }
    };
}

codes! {
    Syntax Error "syntax"
        "The file is not TOML."
    UnknownKey Error "unknown-key"
        "The table has no such key. The nearest known one is offered."
    WrongType Error "wrong-type"
        "The value has another type than the key takes."
    OutOfRange Error "out-of-range"
        "The value lies outside of what llama.cpp accepts or what makes sense."
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
