//! What can be tuned besides layers and context: which values to try, what they do to memory, how to judge them.

use serde::{Deserialize, Serialize};

/// One key of the preset with the values to try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimension {
    /// As in a preset, without its table: `ubatch_size`.
    pub key: String,
    /// What the preset has.
    pub base: String,
    /// In the order in which they are tried.
    pub values: Vec<String>,
    pub memory: Memory,
    pub judge: Judge,
}

/// What a value does to the memory of the cards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// A larger number takes as much or more.
    Grows,
    /// None of its values matters.
    Same,
    /// It cannot be told.
    Unknown,
}

/// Which speed decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Judge {
    Prompt,
    Decode,
}

/// What can be named in `--also`: the short name, the key, the values, and what is known of it.
const KNOWN: &[(&str, &str, &[&str], Memory, Judge)] = &[
    ("ubatch", "ubatch_size", &["512", "1024", "2048", "4096"], Memory::Grows, Judge::Prompt),
    ("threads", "threads", &[], Memory::Same, Judge::Decode),
    ("load-mode", "load_mode", &["mmap", "none"], Memory::Same, Judge::Decode),
    // Types that lose nothing one can measure. Coarser ones are faster and worse, which no speed tells.
    ("cache-type", "cache_type", &["f16", "q8_0"], Memory::Unknown, Judge::Decode),
];

impl Dimension {
    /// A dimension by its short name. `base` is what the preset has, `cores` how many the machine has.
    pub fn named(name: &str, base: &str, cores: Option<u32>) -> Result<Self, String> {
        let Some((_, key, values, memory, judge)) = KNOWN.iter().find(|(known, ..)| *known == name)
        else {
            let names: Vec<&str> = KNOWN.iter().map(|(name, ..)| *name).collect();
            return Err(format!("`{name}` cannot be tuned: choose from {}", names.join(", ")));
        };
        let values = match (name, cores) {
            ("threads", Some(cores)) => threads(cores),
            ("threads", None) => {
                return Err(
                    "`threads` cannot be tuned without the number of cores: say it in the hardware file"
                        .to_owned(),
                );
            }
            _ => values.iter().map(|value| (*value).to_owned()).collect(),
        };
        Ok(Self {
            key: (*key).to_owned(),
            base: base.to_owned(),
            values: values.into_iter().filter(|value| value != base).collect(),
            memory: *memory,
            judge: *judge,
        })
    }
}

/// All cores, all but one and two, which leaves the server something, and half of them, where memory is the limit.
fn threads(cores: u32) -> Vec<String> {
    let mut list: Vec<u32> =
        vec![cores, cores.saturating_sub(1), cores.saturating_sub(2), cores / 2];
    list.retain(|count| *count > 0);
    list.dedup();
    list.into_iter().map(|count| count.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::Dimension;

    #[test]
    fn by_name() {
        let ubatch = Dimension::named("ubatch", "2048", None).unwrap();
        assert_eq!(
            (ubatch.key.as_str(), ubatch.values.join(" ")),
            ("ubatch_size", "512 1024 4096".into())
        );
        assert_eq!(Dimension::named("threads", "8", Some(8)).unwrap().values, ["7", "6", "4"]);
        assert_eq!(Dimension::named("threads", "", Some(1)).unwrap().values, ["1"]);
        assert!(Dimension::named("threads", "", None).unwrap_err().contains("hardware file"));
        assert!(Dimension::named("temp", "1", None).unwrap_err().contains("ubatch, threads"));
    }
}
