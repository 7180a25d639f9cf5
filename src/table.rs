//! Typed TOML tables, declared once per key: name, type, range, flag and documentation stand in one row, and
//! reading, inheriting, listing and the JSON Schema all follow from it. Knows nothing of llama.cpp.
//!
//! Reading never stops at the first finding: what is wrong becomes a diagnostic with its place, what is right
//! is kept, so that one run shows everything there is to mend.

mod key;
mod reader;
pub mod schema;
pub(crate) mod value;

use crate::diagnostic::Location;

pub use key::{Emit, Key};
pub use reader::{Reader, document};
pub use value::{Kind, Number, Value};
pub(crate) use value::{choice, lists};

/// A value that a file sets, and where it does so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Set<T> {
    pub value: T,
    pub at: Location,
    /// Of a list, where each item stands.
    pub items: Vec<Location>,
}

impl<T> Set<T> {
    /// Where an item of a list stands; the whole value where it is no list.
    pub fn item(&self, index: usize) -> Location {
        self.items.get(index).unwrap_or(&self.at).clone()
    }
}

/// What a file may say about a key. Most keys are not set, and a preset has more than a hundred: a box keeps it small.
pub type Field<T> = Option<Box<Set<T>>>;

/// One key with the value it has, as [`Table::each`] hands them out.
pub struct Entry<'a> {
    pub table: &'static str,
    pub key: &'static Key,
    /// The value in the form llama-server takes it, and where it was set.
    pub set: Option<(String, &'a Location)>,
}

impl Entry<'_> {
    /// `context.ctx_size`, or the bare key at the top of the file.
    pub fn path(&self) -> String {
        if self.table.is_empty() {
            self.key.name.to_owned()
        } else {
            format!("{}.{}", self.table, self.key.name)
        }
    }
}

/// A table of the file with a fixed set of keys.
pub trait Table: Sized + Default {
    const KEYS: &'static [Key];
    const DOC: &'static str;

    fn read(reader: &mut Reader<'_>, table: &toml::de::DeTable<'_>) -> Self;

    /// Takes from `parent` what is not set here.
    #[must_use]
    fn inherit(self, parent: &Self) -> Self;

    /// Visits every key in the order of declaration, set or not.
    fn each<'a>(&'a self, table: &'static str, visit: &mut dyn FnMut(Entry<'a>));
}

/// Declares a [`Table`]: per row documentation, key, type, an optional range, and what it becomes on the
/// command line of llama-server (`=> "--flag"`, for a boolean also `, "--no-flag"`).
macro_rules! table {
    (
        $(#[doc = $doc:literal])+
        $vis:vis struct $name:ident {
            $(
                $(#[doc = $key_doc:literal])+
                $key:ident: $type:ty $(, $low:literal ..= $high:literal)? $(=> $on:literal $(/ $off:literal)?)? ;
            )+
        }
    ) => {
        $(#[doc = $doc])+
        #[derive(Clone, Debug, Default, PartialEq)]
        $vis struct $name {
            $($(#[doc = $key_doc])+ pub $key: $crate::table::Field<$type>,)+
        }

        impl $crate::table::Table for $name {
            const KEYS: &'static [$crate::table::Key] = &[$(
                $crate::table::Key {
                    name: stringify!($key),
                    doc: concat!($($key_doc),+),
                    kind: <$type as $crate::table::Value>::KIND,
                    range: $crate::table::table!(@range $($low, $high)?),
                    emit: $crate::table::table!(@emit $($on $(/ $off)?)?),
                },
            )+];
            const DOC: &'static str = concat!($($doc),+);

            fn read(
                reader: &mut $crate::table::Reader<'_>,
                table: &toml::de::DeTable<'_>,
            ) -> Self {
                let mut keys = Self::KEYS.iter();
                Self { $($key: reader.field::<$type>(table, keys.next()),)+ }
            }

            fn inherit(self, parent: &Self) -> Self {
                Self { $($key: self.$key.or_else(|| parent.$key.clone()),)+ }
            }

            fn each<'a>(
                &'a self,
                table: &'static str,
                visit: &mut dyn FnMut($crate::table::Entry<'a>),
            ) {
                let mut keys = Self::KEYS.iter();
                $(if let Some(key) = keys.next() {
                    let set = self.$key.as_ref().map(|set| {
                        ($crate::table::Value::word(&set.value), &set.at)
                    });
                    visit($crate::table::Entry { table, key, set });
                })+
            }
        }
    };
    (@range) => { None };
    (@range $low:literal, $high:literal) => { Some(($low as f64, $high as f64)) };
    (@emit) => { None };
    (@emit $on:literal) => { Some($crate::table::Emit { on: $on, off: None }) };
    (@emit $on:literal / $off:literal) => { Some($crate::table::Emit { on: $on, off: Some($off) }) };
}
pub(crate) use table;
