//! A range of values of one key, as the command line gives it: `temp=0.6,0.8,1.0`. Names and ranges are those of a
//! preset: what stands in `[sampling]` a request can carry, other numbers a server has to be started with.

use std::collections::BTreeMap;
use std::str::FromStr;

use super::batching::Batching;
use super::context::Context;
use super::placement::Placement;
use super::sampling::Sampling;
use super::server::Server;
use super::speculative::Speculative;
use crate::table::{Key, Kind, Table as _};

/// One key and the values it takes, in the order in which they were given.
#[derive(Clone, Debug, PartialEq)]
pub struct Sweep {
    pub key: &'static str,
    pub values: Vec<f64>,
}

/// One value of each key, by the preset's names.
pub type Point = BTreeMap<&'static str, f64>;

/// Where llama-server's requests call a key otherwise than its command line (server-task.cpp of b11434).
const RENAMED: &[(&str, &str)] = &[
    ("temp", "temperature"),
    ("dynatemp_exp", "dynatemp_exponent"),
    ("mirostat_lr", "mirostat_eta"),
    ("mirostat_ent", "mirostat_tau"),
];

/// What a request calls a key of the preset.
pub fn field(key: &str) -> &str {
    RENAMED.iter().find(|(name, _)| *name == key).map_or(key, |(_, field)| field)
}

/// The keys that a request can carry.
pub fn keys() -> impl Iterator<Item = &'static Key> {
    Sampling::KEYS.iter().filter(|key| is_number(key))
}

/// The keys that become flags of llama-server, so that each value takes a start. Another port would be another server.
pub fn flags() -> impl Iterator<Item = &'static Key> {
    let tables = [Context::KEYS, Placement::KEYS, Batching::KEYS, Speculative::KEYS, Server::KEYS]
        .into_iter();
    tables.flatten().filter(|key| is_number(key) && key.emit.is_some() && key.name != "port")
}

fn is_number(key: &Key) -> bool {
    matches!(key.kind, Kind::Number | Kind::Integer)
}

/// The flag of llama-server that carries a key.
pub fn flag(key: &str) -> Option<&'static str> {
    flags().find(|known| known.name == key).and_then(|known| known.emit).map(|emit| emit.on)
}

impl FromStr for Sweep {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        read(text, keys).map_err(|name| {
            format!("`{name}` is no number of a preset's `[sampling]`: {}", list(keys()))
        })?
    }
}

impl Sweep {
    /// Also one of a key that a server has to be started with.
    pub fn of_any(text: &str) -> Result<Self, String> {
        read(text, || keys().chain(flags())).map_err(|name| {
            format!(
                "`{name}` is no number that can be swept; in requests: {}; with a start for each value: {}",
                list(keys()),
                list(flags())
            )
        })?
    }
}

fn list(keys: impl Iterator<Item = &'static Key>) -> String {
    keys.map(|key| key.name).collect::<Vec<_>>().join(", ")
}

/// The outer error is the name, where no key has it.
fn read<K: Iterator<Item = &'static Key>>(
    text: &str,
    keys: impl Fn() -> K,
) -> Result<Result<Sweep, String>, String> {
    let Some((name, values)) = text.split_once('=') else {
        return Ok(Err("write KEY=VALUE,VALUE: temp=0.6,0.8,1.0".to_owned()));
    };
    let name = name.trim().replace('-', "_");
    let Some(key) = keys().find(|key| key.name == name || field(key.name) == name) else {
        return Err(name);
    };
    let values = values.split(',').map(|word| number(key, word.trim()));
    let values = values.collect::<Result<Vec<f64>, String>>();
    Ok(values.and_then(|values| {
        let twice = values
            .iter()
            .enumerate()
            .find(|(i, value)| values.iter().take(*i).any(|other| other.total_cmp(value).is_eq()));
        match twice {
            Some((_, twice)) => Err(format!("`{twice}` stands twice in it")),
            None => Ok(Sweep { key: key.name, values }),
        }
    }))
}

fn number(key: &Key, word: &str) -> Result<f64, String> {
    let (low, high) = key.range.unwrap_or((f64::MIN, f64::MAX));
    let whole = key.kind == Kind::Integer;
    word.parse::<f64>()
        .ok()
        .filter(|number| (low..=high).contains(number) && (!whole || number.fract() == 0.0))
        .ok_or_else(|| {
            let kind = if whole { "a whole number" } else { "a number" };
            format!("`{word}` is not {kind} from {low} to {high}, as `{}` has to be", key.name)
        })
}

/// Every combination, the last key changing fastest; one point without any key where nothing is swept.
pub fn points(sweeps: &[Sweep]) -> Result<Vec<Point>, String> {
    let mut points = vec![Point::new()];
    for sweep in sweeps {
        if points.iter().any(|point| point.contains_key(sweep.key)) {
            return Err(format!("`{}` is swept twice: give all its values in one list", sweep.key));
        }
        points = points
            .iter()
            .flat_map(|point| {
                sweep.values.iter().map(move |value| {
                    let mut point = point.clone();
                    point.insert(sweep.key, *value);
                    point
                })
            })
            .collect();
    }
    Ok(points)
}

/// A number as JSON: whole ones without a fraction, since some keys take no other.
pub fn json(value: f64) -> serde_json::Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole, and below what a float holds exactly"
    )]
    if value.fract() == 0.0 && value.abs() < 9e15 {
        serde_json::Value::from(value as i64)
    } else {
        serde_json::Value::from(value)
    }
}

/// `temp=0.6, top_k=20`; empty where nothing is set.
pub fn words(point: &Point) -> String {
    point.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::{Sweep, field, flag, flags, json, keys, points, words};

    #[test]
    fn a_list_of_values() {
        let sweep: Sweep = "temp=0.6, 0.8,1.0".parse().unwrap();
        assert_eq!((sweep.key, sweep.values.as_slice()), ("temp", [0.6, 0.8, 1.0].as_slice()));
        assert_eq!("temperature=0".parse::<Sweep>().unwrap().key, "temp");
        assert_eq!("top-k=20,40".parse::<Sweep>().unwrap().key, "top_k");
        for key in keys() {
            let (low, _) = key.range.unwrap();
            assert!(format!("{}={low}", key.name).parse::<Sweep>().is_ok(), "{}", key.name);
        }
        for (text, why) in [
            ("temp", "write KEY=VALUE"),
            ("temp=", "`` is not a number from 0 to 100"),
            ("temp=-1", "`-1` is not"),
            ("temp=NaN", "`NaN` is not"),
            ("top_k=1.5", "`1.5` is not a whole number"),
            ("temp=1,1.0", "stands twice"),
            ("samplers=1", "no number of a preset's"),
            ("ctx_size=1", "no number of a preset's"),
        ] {
            let error = text.parse::<Sweep>().unwrap_err();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn what_takes_a_start() {
        let sweep = Sweep::of_any("ubatch-size=256,512").unwrap();
        assert_eq!((sweep.key, flag(sweep.key)), ("ubatch_size", Some("--ubatch-size")));
        assert_eq!((Sweep::of_any("temp=1").unwrap().key, flag("temp")), ("temp", None));
        for (text, why) in [
            ("port=1,2", "`port` is no number that can be swept; in requests: temp, "),
            ("cache_type_k=8", "with a start for each value: ctx_size, "),
            ("size_gib=1", "no number that can be swept"),
            ("ubatch-size=0.5", "`0.5` is not a whole number from 1 to"),
            ("ctx_size", "write KEY=VALUE"),
        ] {
            let error = Sweep::of_any(text).unwrap_err();
            assert!(error.contains(why), "{error}");
        }
        // A name means one key.
        let all: Vec<&str> = keys().chain(flags()).map(|key| key.name).collect();
        let mut once = all.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), all.len());
    }

    #[test]
    fn every_combination() {
        let sweeps: Vec<Sweep> =
            ["temp=0.6,1", "top_k=20,40"].iter().map(|text| text.parse().unwrap()).collect();
        let all: Vec<String> = points(&sweeps).unwrap().iter().map(words).collect();
        assert_eq!(
            all,
            ["temp=0.6, top_k=20", "temp=0.6, top_k=40", "temp=1, top_k=20", "temp=1, top_k=40"]
        );
        assert_eq!(points(&[]).unwrap().len(), 1);
        assert!(points(&[sweeps[0].clone(), sweeps[0].clone()]).is_err());
        assert_eq!((field("temp"), field("top_p")), ("temperature", "top_p"));
        assert_eq!(
            (json(20.0).to_string(), json(0.6).to_string()),
            ("20".to_owned(), "0.6".to_owned())
        );
    }
}
