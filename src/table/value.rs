//! The types a key can have: how each is read from TOML, and the word llama-server gets for it.

use std::fmt;

use serde::Serialize;
use toml::de::DeValue;

/// The shape of a value, for messages and for the JSON Schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Boolean,
    Integer,
    Number,
    Text,
    /// One of a few words.
    Choice(&'static [&'static str]),
    /// Whole numbers, or one of a few words.
    IntegerOr(&'static [&'static str]),
    Texts,
    Integers,
    /// A list of whole numbers, or of a few words.
    IntegersOr(&'static [&'static str]),
    Numbers,
    /// Lists of whole numbers in a list.
    Groups,
    /// A table of the user's own keys.
    Free,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Boolean => f.write_str("true or false"),
            Self::Integer => f.write_str("a whole number"),
            Self::Number => f.write_str("a number"),
            Self::Text => f.write_str("a string"),
            Self::Choice(words) => write!(f, "one of {}", quoted(words)),
            Self::IntegerOr(words) => write!(f, "a whole number or {}", quoted(words)),
            Self::Texts => f.write_str("a list of strings"),
            Self::Integers => f.write_str("a list of whole numbers"),
            Self::IntegersOr(words) => {
                write!(f, "a list of whole numbers or {}", quoted(words))
            }
            Self::Numbers => f.write_str("a list of numbers"),
            Self::Groups => f.write_str("a list of lists of whole numbers"),
            Self::Free => f.write_str("a table"),
        }
    }
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|w| format!("\"{w}\"")).collect::<Vec<_>>().join(", ")
}

/// A type that a key can have.
pub trait Value: Clone {
    const KIND: Kind;

    /// `None` where the TOML value has another type or is not among the choices.
    fn read(value: &DeValue<'_>) -> Option<Self>;

    /// As llama-server takes it: a list joined by commas, a boolean as `true` or `false`.
    fn word(&self) -> String;

    /// The numbers in it, to be held against the key's range.
    fn numbers(&self) -> Vec<f64> {
        Vec::new()
    }
}

/// A decimal number that keeps the digits its author wrote: `1.0` stays `1.0`.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    pub value: f64,
    pub text: String,
}

impl Serialize for Number {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value)
    }
}

fn integer(value: &DeValue<'_>) -> Option<i64> {
    let integer = value.as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

impl Value for i64 {
    const KIND: Kind = Kind::Integer;
    fn read(value: &DeValue<'_>) -> Option<Self> {
        integer(value)
    }
    fn word(&self) -> String {
        self.to_string()
    }
    fn numbers(&self) -> Vec<f64> {
        vec![*self as f64]
    }
}

impl Value for u32 {
    const KIND: Kind = Kind::Integer;
    fn read(value: &DeValue<'_>) -> Option<Self> {
        Self::try_from(integer(value)?).ok()
    }
    fn word(&self) -> String {
        self.to_string()
    }
    fn numbers(&self) -> Vec<f64> {
        vec![f64::from(*self)]
    }
}

impl Value for Number {
    const KIND: Kind = Kind::Number;
    fn read(value: &DeValue<'_>) -> Option<Self> {
        if let Some(whole) = integer(value) {
            return Some(Self { value: whole as f64, text: whole.to_string() });
        }
        let text = value.as_float()?.as_str().replace('_', "");
        let text = text.strip_prefix('+').unwrap_or(&text).to_owned();
        let value = text.parse::<f64>().ok().filter(|v| v.is_finite())?;
        Some(Self { value, text })
    }
    fn word(&self) -> String {
        self.text.clone()
    }
    fn numbers(&self) -> Vec<f64> {
        vec![self.value]
    }
}

impl Value for bool {
    const KIND: Kind = Kind::Boolean;
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_bool()
    }
    fn word(&self) -> String {
        self.to_string()
    }
}

impl Value for String {
    const KIND: Kind = Kind::Text;
    fn read(value: &DeValue<'_>) -> Option<Self> {
        value.as_str().map(str::to_owned)
    }
    fn word(&self) -> String {
        self.clone()
    }
}

/// All items, or nothing where one of them is of another type.
pub(crate) fn list<T: Value>(value: &DeValue<'_>) -> Option<Vec<T>> {
    value.as_array()?.iter().map(|item| T::read(item.get_ref())).collect()
}

pub(crate) fn joined<T: Value>(items: &[T]) -> String {
    items.iter().map(Value::word).collect::<Vec<_>>().join(",")
}

/// Lists of a type as values of their own.
macro_rules! lists {
    ($($item:ty => $kind:ident $(($words:expr))?),+) => {$(
        impl $crate::table::Value for Vec<$item> {
            const KIND: $crate::table::Kind = $crate::table::Kind::$kind $(($words))?;
            fn read(value: &toml::de::DeValue<'_>) -> Option<Self> {
                $crate::table::value::list(value)
            }
            fn word(&self) -> String {
                $crate::table::value::joined(self)
            }
            fn numbers(&self) -> Vec<f64> {
                self.iter().flat_map($crate::table::Value::numbers).collect()
            }
        }
    )+};
}
pub(crate) use lists;
lists! { String => Texts, u32 => Integers, Number => Numbers }

impl Value for Vec<Vec<u32>> {
    const KIND: Kind = Kind::Groups;
    fn read(value: &DeValue<'_>) -> Option<Self> {
        list(value)
    }
    fn word(&self) -> String {
        let groups: Vec<String> = self.iter().map(|group| format!("[{}]", group.word())).collect();
        groups.join(",")
    }
    fn numbers(&self) -> Vec<f64> {
        self.iter().flat_map(Value::numbers).collect()
    }
}

/// Keys and values of the user's own, kept as JSON (llama-server takes them in that form).
impl Value for serde_json::Map<String, serde_json::Value> {
    const KIND: Kind = Kind::Free;
    fn read(value: &DeValue<'_>) -> Option<Self> {
        match json(value)? {
            serde_json::Value::Object(map) => Some(map),
            _ => None,
        }
    }
    fn word(&self) -> String {
        serde_json::Value::Object(self.clone()).to_string()
    }
}

fn json(value: &DeValue<'_>) -> Option<serde_json::Value> {
    Some(match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(_) => integer(value)?.into(),
        DeValue::Float(_) => Number::read(value)?.value.into(),
        DeValue::Boolean(yes) => (*yes).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => serde_json::Value::Array(
            items.iter().map(|i| json(i.get_ref())).collect::<Option<_>>()?,
        ),
        DeValue::Table(table) => serde_json::Value::Object(
            table
                .iter()
                .map(|(key, value)| Some((key.get_ref().to_string(), json(value.get_ref())?)))
                .collect::<Option<_>>()?,
        ),
    })
}

/// Declares a type with a fixed set of words.
macro_rules! choice {
    ($(#[doc = $doc:literal])+ $vis:vis enum $name:ident { $($(#[doc = $vdoc:literal])* $variant:ident = $word:literal,)+ }) => {
        $(#[doc = $doc])+
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        $vis enum $name { $($(#[doc = $vdoc])* $variant,)+ }

        impl $name {
            pub const WORDS: &'static [&'static str] = &[$($word,)+];

            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)+ }
            }

            pub fn from_word(word: &str) -> Option<Self> {
                match word { $($word => Some(Self::$variant),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl $crate::table::Value for $name {
            const KIND: $crate::table::Kind = $crate::table::Kind::Choice(Self::WORDS);
            fn read(value: &toml::de::DeValue<'_>) -> Option<Self> {
                Self::from_word(value.as_str()?)
            }
            fn word(&self) -> String {
                self.as_str().to_owned()
            }
        }
    };
}
pub(crate) use choice;
