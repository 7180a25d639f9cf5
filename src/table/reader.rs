//! Turns a parsed TOML table into typed fields, and everything that is wrong with it into diagnostics.

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Field, Key, Set, Table, Value};
use crate::diagnostic::{Code, Diagnostic, FileId, Location};

/// A file's text as TOML. What cannot be read is a finding, and the rest is there.
pub fn document<'t>(
    file: FileId,
    text: &'t str,
    findings: &mut Vec<Diagnostic>,
) -> Spanned<DeTable<'t>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        let at = error.span().map(|span| Location::new(file, &span));
        findings.push(Diagnostic::new(Code::Syntax, error.message()).at(at));
    }
    root
}

/// Reads the tables of one file.
pub struct Reader<'a> {
    pub file: FileId,
    pub findings: &'a mut Vec<Diagnostic>,
    /// What to say of a key that the table does not have, where more is known than its spelling.
    pub stray: fn(&str) -> Option<(Code, String)>,
}

impl Reader<'_> {
    pub fn location<T>(&self, spanned: &Spanned<T>) -> Location {
        Location::new(self.file, &spanned.span())
    }

    /// Reads the table under `name`, which may be absent, and reports keys it does not know.
    pub fn table<T: Table>(&mut self, root: &DeTable<'_>, name: &'static str) -> T {
        let Some(value) = root.get(name) else { return T::default() };
        match value.get_ref() {
            DeValue::Table(table) => {
                self.unknown(table, name, &T::KEYS.iter().map(|k| k.name));
                T::read(self, table)
            }
            other => {
                let message = format!("`{name}` is a table, found {}", describe(other));
                let at = self.location(value);
                self.findings.push(
                    Diagnostic::new(Code::WrongType, message)
                        .at(at)
                        .help(format!("write `[{name}]` and its keys below it")),
                );
                T::default()
            }
        }
    }

    /// Reads an array of tables (`[[name]]`), which may be absent.
    pub fn tables<T: Table>(&mut self, root: &DeTable<'_>, name: &'static str) -> Vec<T> {
        let entries = self.entries(root, name);
        let read = |table: &DeTable<'_>| {
            self.unknown(table, name, &T::KEYS.iter().map(|k| k.name));
            T::read(self, table)
        };
        entries.into_iter().map(read).collect()
    }

    /// The entries of an array of tables as they stand, which may be absent.
    pub fn entries<'t, 'd>(
        &mut self,
        root: &'t DeTable<'d>,
        name: &'static str,
    ) -> Vec<&'t DeTable<'d>> {
        let Some(value) = root.get(name) else { return Vec::new() };
        let items = value.get_ref().as_array().map(|array| array.iter().collect::<Vec<_>>());
        let tables = items.and_then(|items| {
            items.into_iter().map(|item| item.get_ref().as_table()).collect::<Option<Vec<_>>>()
        });
        let Some(tables) = tables else {
            let at = self.location(value);
            self.findings.push(
                Diagnostic::new(Code::WrongType, format!("`{name}` is a list of tables"))
                    .at(at)
                    .help(format!("write `[[{name}]]` and the keys of one entry below it")),
            );
            return Vec::new();
        };
        tables
    }

    /// Reads one key. `key` is an option because the declaration walks its own rows.
    pub fn field<T: Value>(&mut self, table: &DeTable<'_>, key: Option<&'static Key>) -> Field<T> {
        let key = key?;
        let value = table.get(key.name)?;
        let at = self.location(value);
        let Some(read) = T::read(value.get_ref()) else {
            self.findings.push(wrong_type(key, value.get_ref()).at(self.wrong_item::<T>(value)));
            return None;
        };
        if let Some((low, high)) = key.range
            && let Some((i, number)) =
                read.numbers().into_iter().enumerate().find(|(_, n)| !(low..=high).contains(n))
        {
            let item = value.get_ref().as_array().and_then(|list| list.get(i));
            let at = self.location(item.unwrap_or(value));
            self.findings.push(
                Diagnostic::new(
                    Code::OutOfRange,
                    format!("`{}` cannot be {}", key.name, plain(number)),
                )
                .at(at)
                .help(format!(
                    "give {} from {} to {}",
                    key.kind,
                    plain(low),
                    plain(high)
                )),
            );
            return None;
        }
        let items = value.get_ref().as_array();
        let items = items.map(|list| list.iter().map(|item| self.location(item)).collect());
        Some(Box::new(Set { value: read, at, items: items.unwrap_or_default() }))
    }

    /// The item of a list because of which it cannot be read: the first that alone makes no list of its own.
    fn wrong_item<T: Value>(&self, value: &Spanned<DeValue<'_>>) -> Location {
        let list = value.get_ref().as_array();
        let wrong = list.and_then(|list| {
            list.iter().find(|item| {
                let mut alone = toml::de::DeArray::new();
                alone.push((*item).clone());
                T::read(&DeValue::Array(alone)).is_none()
            })
        });
        self.location(wrong.unwrap_or(value))
    }

    /// Reports every key of `table` that is not among `known`.
    pub fn unknown(
        &mut self,
        table: &DeTable<'_>,
        name: &str,
        known: &(impl Iterator<Item = &'static str> + Clone),
    ) {
        for key in table.keys() {
            if known.clone().any(|k| k == key.get_ref().as_ref()) {
                continue;
            }
            let place = if name.is_empty() { "here".into() } else { format!("in `[{name}]`") };
            let (code, help) = (self.stray)(key.get_ref()).unwrap_or_else(|| {
                let help = match nearest(key.get_ref(), known.clone()) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("known keys: {}", known.clone().collect::<Vec<_>>().join(", ")),
                };
                (Code::UnknownKey, help)
            });
            let at = self.location(key);
            self.findings.push(
                Diagnostic::new(code, format!("no key `{}` {place}", key.get_ref()))
                    .at(at)
                    .help(help),
            );
        }
    }
}

fn wrong_type(key: &Key, found: &DeValue<'_>) -> Diagnostic {
    let message = format!("`{}` is {}, found {}", key.name, key.kind, describe(found));
    let mut finding = Diagnostic::new(Code::WrongType, message);
    if let super::Kind::Choice(words) = key.kind
        && let Some(text) = found.as_str()
        && let Some(near) = nearest(text, words.iter().copied())
    {
        finding = finding.help(format!("did you mean \"{near}\"?"));
    } else if let Some(text) = found.as_str()
        && (text.parse::<f64>().is_ok() || text == "true" || text == "false")
    {
        finding = finding.help(format!("write it without quotes: `{} = {text}`", key.name));
    }
    finding
}

/// The known word that differs least from `word`, if it is near enough to be what was meant.
fn nearest<'k>(word: &str, known: impl Iterator<Item = &'k str>) -> Option<&'k str> {
    known
        .map(|candidate| (strsim::jaro_winkler(word, candidate), candidate))
        .filter(|(score, _)| *score > 0.84)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

fn describe(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) if text.chars().count() <= 40 => format!("the string \"{text}\""),
        DeValue::Integer(number) => format!("the number {number}"),
        DeValue::Float(number) => format!("the number {number}"),
        DeValue::Boolean(yes) => format!("`{yes}`"),
        DeValue::Array(items) => format!("a list of {}", items.iter().len()),
        DeValue::Table(_) => "a table".to_owned(),
        other => format!("a value of type {}", other.type_str()),
    }
}

fn plain(number: f64) -> String {
    format!("{number}")
}
