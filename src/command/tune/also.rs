//! `--also`: what is tuned besides layers and context, and what the preset has of each.

use crate::command::Failure;
use crate::preset::context::CacheType;
use crate::preset::placement::LoadMode;
use crate::strategy::Strategy;
use crate::tune::Dimension;

/// The keys that can be tuned, with llama-server's flags.
pub(super) const KEYS: [(&str, &[&str]); 4] = [
    ("ubatch_size", &["--ubatch-size"]),
    ("threads", &["--threads"]),
    ("load_mode", &["--load-mode"]),
    ("cache_type", &["--cache-type-k", "--cache-type-v"]),
];

/// Their short names.
const NAMES: [(&str, &str); 4] = [
    ("ubatch", "ubatch_size"),
    ("threads", "threads"),
    ("load-mode", "load_mode"),
    ("cache-type", "cache_type"),
];

fn usage<T>(message: String) -> Result<T, Failure> {
    Err(Failure::Usage { message })
}

/// What a strategy has of a key, or what llama-server takes where it says nothing.
pub(super) fn base(strategy: &Strategy, key: &str) -> String {
    let word = |flag: &str| strategy.word(flag).map(str::to_owned);
    let cores = strategy.host.as_deref().and_then(|host| host.cpu.cores);
    match key {
        "ubatch_size" => word("--ubatch-size").unwrap_or_else(|| "512".to_owned()),
        "threads" => word("--threads")
            .filter(|word| word != "-1")
            .or_else(|| cores.map(|cores| cores.to_string()))
            .unwrap_or_else(|| "-1".to_owned()),
        "load_mode" => word("--load-mode").unwrap_or_else(|| LoadMode::Auto.to_string()),
        _ => {
            let of = |flag| word(flag).unwrap_or_else(|| CacheType::F16.to_string());
            let (k, v) = (of("--cache-type-k"), of("--cache-type-v"));
            if k == v { k } else { format!("{k}/{v}") }
        }
    }
}

/// Reads what was given, `ubatch=512,1024,threads` in one or in several.
pub(super) fn dimensions(given: &[String], strategy: &Strategy) -> Result<Vec<Dimension>, Failure> {
    let mut asked: Vec<(String, Vec<String>)> = Vec::new();
    for word in given.iter().flat_map(|one| one.split(',')) {
        match (word.split_once('='), NAMES.iter().any(|(name, _)| *name == word)) {
            (Some((name, value)), _) => asked.push((name.to_owned(), vec![value.to_owned()])),
            (None, false) if asked.last().is_some_and(|(_, values)| !values.is_empty()) => {
                asked.last_mut().into_iter().for_each(|(_, values)| values.push(word.to_owned()));
            }
            (None, _) => asked.push((word.to_owned(), Vec::new())),
        }
    }
    let cores = strategy.host.as_deref().and_then(|host| host.cpu.cores);
    let mut dimensions: Vec<Dimension> = Vec::new();
    for (name, values) in asked {
        let key = NAMES.iter().find(|(known, _)| *known == name).map_or("", |(_, key)| *key);
        let base = base(strategy, key);
        // Values of one's own need no cores to be made from.
        let cores = cores.or((!values.is_empty()).then_some(1));
        let mut dimension = Dimension::named(&name, &base, cores)
            .or_else(|message| usage(format!("`--also {name}`: {message}")))?;
        if base.contains('/') {
            return usage(format!(
                "`--also {name}`: the preset has {base} for K and V, and both are tuned as one; give them one type first"
            ));
        }
        for value in &values {
            valid(&name, value)?;
        }
        if !values.is_empty() {
            dimension.values = values.into_iter().filter(|value| *value != base).collect();
            dimension.values.dedup();
        }
        if dimensions.iter().any(|known| known.key == dimension.key) {
            return usage(format!("`--also {name}` is given twice"));
        }
        dimensions.push(dimension);
    }
    Ok(dimensions)
}

fn valid(name: &str, value: &str) -> Result<(), Failure> {
    let number = |most: u64| value.parse::<u64>().is_ok_and(|number| (1..=most).contains(&number));
    let (right, form) = match name {
        "ubatch" => (number(1 << 20), "tokens, such as 1024".to_owned()),
        "threads" => (number(1024), "a number of threads".to_owned()),
        "load-mode" => (LoadMode::from_word(value).is_some(), LoadMode::WORDS.join(", ")),
        _ => (CacheType::from_word(value).is_some(), CacheType::WORDS.join(", ")),
    };
    if right { Ok(()) } else { usage(format!("`--also {name}={value}`: write {form}")) }
}
