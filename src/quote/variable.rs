//! A reference to an environment variable, for files that must not hold its value: one form per reader.

use super::{Found, Refused};

/// `[A-Za-z_][A-Za-z0-9_]*`, what every shell takes for a name.
pub fn is_name(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A word of a POSIX shell that ends the script where the variable is unset or empty.
pub fn shell(name: &str) -> Result<String, Refused> {
    Ok(format!("\"${{{}:?holds the key of the server}}\"", named("a shell word", name)?))
}

/// The value of a `.env` line, which Compose and python-dotenv fill in from their own environment.
pub fn dotenv(name: &str) -> Result<String, Refused> {
    Ok(format!("${{{}}}", named("a .env value", name)?))
}

/// The name itself is not repeated: somebody may have given the key in its place.
fn named<'a>(sink: &'static str, name: &'a str) -> Result<&'a str, Refused> {
    if is_name(name) {
        return Ok(name);
    }
    let found = Found::Text("this name of a variable".to_owned());
    Err(Refused { sink, found, why: "a name is letters, digits and `_`, and begins with no digit" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::quote;

    #[test]
    fn each_reader_gets_its_form() {
        assert_eq!(shell("KEY").unwrap(), r#""${KEY:?holds the key of the server}""#);
        let file = format!("A={}\n", dotenv("KEY").unwrap());
        let read =
            quote::dotenv::decode(&file, &|name| (name == "KEY").then(|| "s3cret".to_owned()));
        assert_eq!(read.unwrap(), [("A".to_owned(), "s3cret".to_owned())]);
    }

    #[test]
    fn what_is_no_name_is_refused_and_not_repeated() {
        for name in ["", "1A", "sk-abc", "A B", "A}$(x)", "é"] {
            let error = shell(name).unwrap_err().to_string();
            assert!(name.is_empty() || !error.contains(name), "{error}");
            assert!(dotenv(name).is_err());
        }
    }
}
