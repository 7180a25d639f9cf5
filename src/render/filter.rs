//! The encoders of `quote` under the names that templates use: `{{ value|yaml }}`. A value that the sink
//! cannot hold fails the render with the reason.

#![expect(clippy::inline_always, reason = "askama::filter_fn expands to it")]

use std::fmt::Display;

use askama::filters::Safe;
use askama::{Error, Result, Values};

use crate::quote::{self, Refused};

fn safe(written: std::result::Result<String, Refused>) -> Result<Safe<String>> {
    written.map(Safe).map_err(Error::custom)
}

/// A scalar of a compose file, in double quotes, safe from interpolation.
#[askama::filter_fn]
pub fn yaml(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::yaml::compose(&value.to_string()))
}

/// A scalar of a YAML file that nobody interpolates.
#[askama::filter_fn]
pub fn scalar(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::yaml::scalar(&value.to_string()))
}

/// A name in a YAML file, in quotes only where a reader would take it for something else.
#[askama::filter_fn]
pub fn yaml_word(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::yaml::word(&value.to_string()))
}

/// The text behind `:-` in a compose file's `${NAME:-…}`.
#[askama::filter_fn]
pub fn default_text(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::interpolation::default_text(&value.to_string()))
}

/// A JSON string.
#[askama::filter_fn]
pub fn json_string(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::json::encode(&value.to_string()))
}

/// A string of a TOML file.
#[askama::filter_fn]
pub fn toml_string(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::toml::encode(&value.to_string()))
}

/// A shell's word for what an environment variable holds; it stops the script where that is nothing.
#[askama::filter_fn]
pub fn sh_variable(name: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::variable::shell(&name.to_string()))
}

/// The value of a `.env` line that is what an environment variable holds.
#[askama::filter_fn]
pub fn dotenv_variable(name: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::variable::dotenv(&name.to_string()))
}

/// The value of a `.env` line.
#[askama::filter_fn]
pub fn dotenv(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::dotenv::encode(&value.to_string()))
}

/// The value in an ENV, LABEL or ARG instruction.
#[askama::filter_fn]
pub fn dockerfile(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::dockerfile::encode(&value.to_string()))
}

/// A list as the exec form of ENTRYPOINT, CMD or HEALTHCHECK.
#[askama::filter_fn]
pub fn exec(argv: impl AsRef<[String]>, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::exec::encode(argv.as_ref()))
}

/// One word for a POSIX shell.
#[askama::filter_fn]
pub fn sh(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::shell::encode(&value.to_string()))
}

/// A word in a Quadlet unit's key that holds words.
#[askama::filter_fn]
pub fn unit_word(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::systemd::word(&value.to_string()))
}

/// The whole value of a Quadlet unit's key.
#[askama::filter_fn]
pub fn unit_line(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::systemd::line(&value.to_string()))
}

/// A value of a manifest that nobody expands.
#[askama::filter_fn]
pub fn manifest(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::kubernetes::scalar(&value.to_string()))
}

/// A value of a manifest that Kubernetes expands.
#[askama::filter_fn]
pub fn kubernetes(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::kubernetes::encode(&value.to_string()))
}

/// The text of a comment, behind its `# `.
#[askama::filter_fn]
pub fn comment(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::comment::encode(&value.to_string()))
}

/// Words in a line or a cell of Markdown.
#[askama::filter_fn]
pub fn md(value: impl Display, _: &dyn Values) -> Result<Safe<String>> {
    safe(quote::markdown::encode(&value.to_string()))
}

/// A dash where there is nothing to print.
#[askama::filter_fn]
pub fn dash(value: impl Display, _: &dyn Values) -> Result<String> {
    let text = value.to_string();
    Ok(if text.is_empty() { "\u{2013}".to_owned() } else { text })
}

#[cfg(test)]
mod tests {
    use askama::Template;

    use crate::render::filter as filters;

    #[derive(Template)]
    #[template(
        source = "{{ word }} {{ v|yaml }} {{ v|scalar }} {{ v|dotenv }} {{ v|dockerfile }} {{ v|sh }} {{ list|exec }} # {{ note|comment }} {{ n }}",
        ext = "plain"
    )]
    struct Page<'a> {
        word: &'a str,
        v: &'a str,
        list: Vec<String>,
        note: &'a str,
        n: f64,
    }

    fn page<'a>(word: &'a str, v: &'a str, note: &'a str) -> Result<String, String> {
        Page { word, v, list: vec![v.to_owned()], note, n: -0.5 }
            .render()
            .map_err(|e| e.to_string())
    }

    #[test]
    fn each_sink_gets_its_own_form() {
        assert_eq!(
            page("w", r"a$ \", "x y").as_deref(),
            Ok(r#"w "a$$ \\" "a$ \\" "a\$ \\" "a\$ \\" 'a$ \' ["a$ \\"] # x y -0.5"#)
        );
    }

    #[test]
    fn a_forgotten_filter_and_a_refused_value_fail_the_render() {
        assert!(page("two words", "", "").is_err());
        let error = page("w", "", "a\nRUN x").unwrap_err();
        assert!(error.contains("a comment cannot hold the line break at byte 1"), "{error}");
        assert!(page("w", "l1\nl2", "").unwrap_err().contains("a Dockerfile word"));
    }
}
