//! Split models: how parts are called, and whether the parts that were found make one model. No IO here.

use super::{Finding, Header, Metadata, Tensor};
use crate::units::Bytes;

/// One file of a model.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Part {
    /// The file's name, without its folder.
    pub name: String,
    /// Bytes of the file.
    pub length: Bytes,
    /// Bytes that its header and tensors need.
    pub expected_length: Bytes,
    /// Where its tensor data begin.
    pub data_start: u64,
    pub tensors: usize,
}

/// What all the files of a model say together.
#[derive(Clone, Debug, PartialEq)]
pub struct Files {
    pub metadata: Metadata,
    pub tensors: Vec<Tensor>,
    pub parts: Vec<Part>,
    pub findings: Vec<Finding>,
}

/// The name of a part, taken apart: `model-00002-of-00003.gguf`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartName<'a> {
    pub prefix: &'a str,
    /// From 1.
    pub number: u32,
    pub count: u32,
}

impl<'a> PartName<'a> {
    /// Absent where the name is not exactly of the form that llama.cpp writes and looks for.
    pub fn parse(name: &'a str) -> Option<Self> {
        let (rest, count) = name.strip_suffix(".gguf")?.rsplit_once("-of-")?;
        let (prefix, number) = rest.rsplit_once('-')?;
        let digits = |text: &str| {
            let plain = text.len() == 5 && text.bytes().all(|digit| digit.is_ascii_digit());
            text.parse::<u32>().ok().filter(|number| plain && *number > 0)
        };
        let (number, count) = (digits(number)?, digits(count)?);
        (number <= count).then_some(Self { prefix, number, count })
    }

    /// The name of another part of the same model.
    pub fn sibling(&self, number: u32) -> String {
        format!("{}-{number:05}-of-{:05}.gguf", self.prefix, self.count)
    }
}

/// Puts the headers of a model together. The first has the metadata; `missing` names the files that are not there.
///
/// Each header comes with its file's name and the number (from 1) that this name gives it.
pub fn join(parts: Vec<(String, u32, Header)>, missing: Vec<String>) -> Files {
    let mut files = Files {
        metadata: Metadata::default(),
        tensors: Vec::new(),
        parts: Vec::new(),
        findings: Vec::new(),
    };
    let found = parts.len() + missing.len();
    let mut promised = None;
    for (index, (name, number, mut header)) in parts.into_iter().enumerate() {
        let split = |key: &str| header.metadata.u64(key);
        let count = split("split.count").unwrap_or(1);
        let mut wrong = |key: &str, expected: u64, found: u64| {
            if expected != found {
                let (part, key) = (name.clone(), key.to_owned());
                files.findings.push(Finding::WrongPart { part, key, expected, found });
            }
        };
        if found > 1 {
            wrong("split.count", found as u64, count);
            wrong("split.no", u64::from(number - 1), split("split.no").unwrap_or(0));
        } else if count > 1 {
            files.findings.push(Finding::RenamedPart { part: name.clone(), count });
        }
        promised = promised.or(split("split.tensors.count"));
        let (length, expected) = (header.length, header.expected_length);
        let part = name.clone();
        if length <= header.data_start && expected > header.data_start {
            files.findings.push(Finding::HeaderOnly { part });
        } else if length < expected {
            files.findings.push(Finding::Truncated { part, expected, found: length });
        }
        files.findings.append(&mut header.findings);
        files.parts.push(Part {
            name,
            length: Bytes(length),
            expected_length: Bytes(expected),
            data_start: header.data_start,
            tensors: header.tensors.len(),
        });
        for tensor in &mut header.tensors {
            tensor.part = index;
        }
        files.tensors.append(&mut header.tensors);
        if index == 0 {
            files.metadata = header.metadata;
        }
    }
    repeated(&mut files);
    let tensors = files.tensors.len() as u64;
    match promised {
        // Missing parts explain missing tensors.
        Some(expected) if found > 1 && missing.is_empty() && expected != tensors => {
            files.findings.push(Finding::TensorCount { expected, found: tensors });
        }
        _ => {}
    }
    if !missing.is_empty() {
        files.findings.push(Finding::MissingParts { missing });
    }
    files
}

fn repeated(files: &mut Files) {
    let mut names = std::collections::HashSet::new();
    for tensor in &files.tensors {
        if !names.insert(tensor.name.as_str()) {
            let part = files.parts.get(tensor.part).map(|part| part.name.clone());
            let (tensor, part) = (tensor.name.clone(), part.unwrap_or_default());
            files.findings.push(Finding::RepeatedTensor { tensor, part });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::PartName;

    #[test]
    fn names_of_parts_are_taken_apart_as_llama_cpp_does() {
        let part = PartName::parse("a-b-of-c-00002-of-00003.gguf").unwrap();
        assert_eq!((part.prefix, part.number, part.count), ("a-b-of-c", 2, 3));
        assert_eq!(part.sibling(1), "a-b-of-c-00001-of-00003.gguf");
        for odd in [
            "model.gguf",
            "model-2-of-3.gguf",
            "model-00004-of-00003.gguf",
            "model-00000-of-00003.gguf",
            "model-00001-of-00003.gguf.part",
            "model-+0001-of-00003.gguf",
            "model-000001-of-000003.gguf",
        ] {
            assert_eq!(PartName::parse(odd), None, "{odd}");
        }
    }
}
