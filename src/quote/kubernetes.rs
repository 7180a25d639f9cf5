//! A text in a manifest, which Kustomize reads and writes anew before Kubernetes reads it, and of which Kubernetes expands
//! values of `env`, `command` and `args`: there `$(NAME)` is a variable and `$$` a dollar.

use super::{Malformed, NUL, Refused, refuse, yaml};

const SINK: &str = "a manifest";
const KUSTOMIZE: &str = "Kustomize writes it in a way that it does not read";

/// What Kubernetes expands. Domain: as [`scalar`].
pub fn encode(value: &str) -> Result<String, Refused> {
    scalar(&value.replace('$', "$$"))
}

/// What nobody expands, such as the data of a `ConfigMap`. Domain: text without NUL, DEL, the control characters from
/// U+0080 to U+009F, U+FFFE and U+FFFF.
pub fn scalar(value: &str) -> Result<String, Refused> {
    refuse(SINK, value, |c| match c {
        '\0' => Some(NUL),
        '\u{7f}'..='\u{9f}' | '\u{fffe}' | '\u{ffff}' => Some(KUSTOMIZE),
        _ => None,
    })?;
    yaml::scalar(value)
}

/// What a container gets for a scalar, where `lookup` answers for the variables before it; a reference to one that is not
/// there stays as it is (Kubernetes, `third_party/forked/golang/expansion`).
pub fn decode(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Malformed> {
    expand(&yaml::decode(text)?, lookup)
}

/// The expansion alone, of a text whose YAML has been read.
pub fn expand(text: &str, lookup: &dyn Fn(&str) -> Option<String>) -> Result<String, Malformed> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        let at = text.len() - after.len() - 1;
        rest = match after.chars().next() {
            Some('$') => {
                out.push('$');
                after.get(1..).unwrap_or_default()
            }
            Some('(') => {
                let inside = after.get(1..).unwrap_or_default();
                if let Some((name, behind)) = inside.split_once(')') {
                    out.push_str(&lookup(name).unwrap_or_else(|| format!("$({name})")));
                    behind
                } else {
                    out.push_str("$(");
                    inside
                }
            }
            // It goes on with the second byte of the character as if it were one.
            Some(c) if !c.is_ascii() => {
                return Err(Malformed { what: "a dollar that breaks the character behind it", at });
            }
            _ => {
                out.push('$');
                after
            }
        };
    }
    out.push_str(rest);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<&str>) {
        let lookup = |name: &str| (name == "A").then(|| "x".to_owned());
        assert_eq!(expand(text, &lookup).ok().as_deref(), expected, "{text}");
    }

    #[test]
    fn expands_as_kubernetes_does() {
        check("$(A)$(B)$$(A)", Some("x$(B)$(A)"));
        check("$A ${A} $ $1$", Some("$A ${A} $ $1$"));
        check("$$$(A)$$$$", Some("$x$$"));
        check("$(A", Some("$(A"));
        check("$()", Some("$()"));
        check("$é", None);
    }

    #[test]
    fn dollars_come_back() {
        assert_eq!(encode("$(A) \"$x\"").as_deref(), Ok(r#""$$(A) \"$$x\"""#));
        for value in ["", "$", "$$", "$(A)", "$é", "a$(", "$$(A)$"] {
            let written = encode(value).unwrap();
            assert_eq!(decode(&written, &|_| Some("LIVE".to_owned())).as_deref(), Ok(value));
        }
        for text in ["\0", "\u{7f}", "\u{85}", "\u{ffff}"] {
            assert!(encode(text).is_err() && scalar(text).is_err(), "{text:?}");
        }
    }
}
