//! The model's file and what is said of it.

use super::Subject;
use crate::diagnostic::{Code, Diagnostic};
use crate::preset::value;

pub(super) fn check(subject: &mut Subject<'_>) {
    let model = &subject.preset.model;
    let Some(file) = value(&model.file) else {
        let finding = Diagnostic::new(Code::MissingKey, "no model: `model.file` is not set")
            .at(subject.place.clone())
            .help("add `[model]` and `file = \"NAME.gguf\"`, the file below the models directory");
        subject.push(finding);
        return;
    };
    if file.is_empty() {
        subject.say(
            Code::MissingKey,
            &model.file,
            "`model.file` is empty",
            "llama-server would start as a router without a model; name the GGUF",
        );
    }
    if let Some((stem, part, parts)) = split_part(file)
        && part != 1
    {
        subject.say(
            Code::NotFirstPart,
            &model.file,
            format!("`{file}` is part {part} of {parts}"),
            &format!("name the first part: `{stem}-00001-of-{parts:05}.gguf`"),
        );
    }
    if file.split('/').any(|part| part == "..") {
        subject.say(
            Code::BadReference,
            &model.file,
            format!("`{file}` leaves the models directory"),
            "give the path below `container.models_dir`, or an absolute path inside the container",
        );
    }
}

/// Stem, number and count of `stem-00002-of-00003.gguf`.
pub(super) fn split_part(file: &str) -> Option<(&str, u32, u32)> {
    let rest = file.strip_suffix(".gguf")?;
    let (rest, parts) = rest.rsplit_once("-of-")?;
    let (stem, part) = rest.rsplit_once('-')?;
    let number = |digits: &str| (digits.len() == 5).then(|| digits.parse::<u32>().ok()).flatten();
    Some((stem, number(part)?, number(parts)?))
}

#[cfg(test)]
mod tests {
    use super::split_part;

    #[test]
    fn parts_are_read_from_the_name() {
        assert_eq!(split_part("a-b-00002-of-00003.gguf"), Some(("a-b", 2, 3)));
        for whole in ["a.gguf", "a-1-of-3.gguf", "a-00001-of-00003.bin"] {
            assert_eq!(split_part(whole), None, "{whole}");
        }
    }
}
