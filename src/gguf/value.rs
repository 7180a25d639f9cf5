//! Metadata values as they are kept: scalars, short texts and short arrays; the rest is counted.

use std::collections::BTreeMap;

use serde::Serialize;

/// A metadata value. Integers of every width become one of two, since converters disagree about widths.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    Uint(u64),
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    /// A text too long to keep: its bytes.
    LongText {
        bytes: u64,
    },
    Uints(Vec<u64>),
    Ints(Vec<i64>),
    Floats(Vec<f64>),
    Bools(Vec<bool>),
    /// An array of texts, or one too long to keep: its elements.
    Counted {
        elements: u64,
    },
}

impl Value {
    /// A whole number that is not negative, whatever its width; a float counts where it has no fraction.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Uint(value) => Some(*value),
            Self::Int(value) => u64::try_from(*value).ok(),
            Self::Bool(value) => Some(u64::from(*value)),
            Self::Float(value) => whole(*value),
            _ => None,
        }
    }

    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Self::Uint(value) => Some(*value as f64),
            Self::Int(value) => Some(*value as f64),
            Self::Float(value) => Some(*value),
            _ => None,
        }
    }

    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            _ => self.as_u64().map(|value| value != 0),
        }
    }

    /// The elements of an array as whole numbers; booleans are 0 and 1. Absent for scalars and counted arrays.
    pub fn as_array(&self) -> Option<Vec<u64>> {
        match self {
            Self::Uints(values) => Some(values.clone()),
            Self::Ints(values) => values.iter().map(|value| u64::try_from(*value).ok()).collect(),
            Self::Floats(values) => values.iter().map(|value| whole(*value)).collect(),
            Self::Bools(values) => Some(values.iter().map(|value| u64::from(*value)).collect()),
            _ => None,
        }
    }

    /// Elements of an array, kept or counted.
    pub fn elements(&self) -> Option<u64> {
        match self {
            Self::Uints(values) => Some(values.len() as u64),
            Self::Ints(values) => Some(values.len() as u64),
            Self::Floats(values) => Some(values.len() as u64),
            Self::Bools(values) => Some(values.len() as u64),
            Self::Counted { elements } => Some(*elements),
            _ => None,
        }
    }
}

/// Floats beyond 2^53 are no longer whole numbers for sure, and no size we ask for is that large.
fn whole(value: f64) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to fit")]
    let number = (0.0..9.0e15).contains(&value).then_some(value as u64)?;
    (value.fract() == 0.0).then_some(number)
}

/// All metadata of a file, by key.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Metadata(BTreeMap<String, Value>);

impl Metadata {
    pub fn get(&self, key: &str) -> Option<&Value> {
        self.0.get(key)
    }

    /// Sorted by key.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// False where the key was there already; its value then stays.
    pub(super) fn insert(&mut self, key: String, value: Value) -> bool {
        match self.0.entry(key) {
            std::collections::btree_map::Entry::Vacant(free) => {
                free.insert(value);
                true
            }
            std::collections::btree_map::Entry::Occupied(_) => false,
        }
    }

    pub fn u64(&self, key: &str) -> Option<u64> {
        self.get(key)?.as_u64()
    }

    pub fn f64(&self, key: &str) -> Option<f64> {
        self.get(key)?.as_f64()
    }

    pub fn str(&self, key: &str) -> Option<&str> {
        self.get(key)?.as_str()
    }

    pub fn array_u64(&self, key: &str) -> Option<Vec<u64>> {
        self.get(key)?.as_array()
    }
}

#[cfg(test)]
mod tests {
    use super::Value;

    #[test]
    fn numbers_are_read_whatever_their_width_and_sign() {
        assert_eq!(Value::Int(48).as_u64(), Some(48));
        assert_eq!(Value::Int(-1).as_u64(), None);
        assert_eq!(Value::Float(8.0).as_u64(), Some(8));
        for odd in [8.5, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert_eq!(Value::Float(odd).as_u64(), None, "{odd}");
        }
        assert_eq!(Value::Text("8".into()).as_u64(), None);
        assert_eq!(Value::Uint(7).as_f64(), Some(7.0));
        assert_eq!(Value::Uint(0).as_bool(), Some(false));
    }

    #[test]
    fn arrays_are_read_whatever_their_element() {
        assert_eq!(Value::Ints(vec![0, 8]).as_array(), Some(vec![0, 8]));
        assert_eq!(Value::Ints(vec![0, -8]).as_array(), None);
        assert_eq!(Value::Bools(vec![true, false]).as_array(), Some(vec![1, 0]));
        assert_eq!(Value::Counted { elements: 9 }.as_array(), None);
        assert_eq!(Value::Counted { elements: 9 }.elements(), Some(9));
        assert_eq!(Value::Uint(9).elements(), None);
    }
}
