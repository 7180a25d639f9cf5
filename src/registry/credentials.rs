//! How the user's Docker configuration says who they are at a registry: `config.json`, and the helpers that it names.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::process::{Command, Stdio};

use serde::Deserialize;

/// What a registry is told.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// What `docker login` got in place of a password.
    IdentityToken(String),
}

/// Without the secret, wherever it is printed.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Password { user, .. } => write!(f, "{user} with a password"),
            Self::IdentityToken(_) => f.write_str("a token"),
        }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum CredentialsError {
    #[error("`{file}` is no configuration of Docker's: {why}")]
    Config { file: String, why: String },
    #[error("cannot run `docker-credential-{helper}`, which `{file}` names: {source}")]
    NoHelper { helper: String, file: String, source: io::Error },
    #[error("`docker-credential-{helper} get` failed for {registry}: {message}")]
    Helper { helper: String, registry: String, message: String },
    #[error(
        "`docker-credential-{helper} get` answered something else than its JSON for {registry}"
    )]
    Answer { helper: String, registry: String },
}

/// Where the answer is to be had.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Nowhere,
    Here(Credentials),
    Helper(String),
}

#[derive(Default, Deserialize)]
struct Config {
    #[serde(default)]
    auths: BTreeMap<String, Auth>,
    #[serde(default, rename = "credHelpers")]
    helpers: BTreeMap<String, String>,
    #[serde(default, rename = "credsStore")]
    store: Option<String>,
}

#[derive(Clone, Default, Deserialize)]
struct Auth {
    /// Both by a colon, in base64.
    #[serde(default, rename = "auth")]
    both: String,
    #[serde(default)]
    username: String,
    #[serde(default)]
    password: String,
    #[serde(default, rename = "identitytoken")]
    identity_token: String,
}

/// Docker Hub's name in the configuration.
const HUB: &str = "https://index.docker.io/v1/";

/// What the configuration calls a registry.
fn key(registry: &str) -> &str {
    if matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io") {
        HUB
    } else {
        registry
    }
}

/// The host of a key, which older versions of `docker login` wrote as a URL.
fn host(key: &str) -> &str {
    let bare = key.trim_start_matches("https://").trim_start_matches("http://");
    bare.split('/').next().unwrap_or(bare)
}

/// Who the user is at `registry`; `None` where they are nobody in particular. `text` is that of `file`, if it is there.
///
/// # Errors
/// Where the configuration or a helper that it names cannot be used. That a helper knows nobody is no error.
pub fn find(
    file: &str,
    text: Option<&str>,
    registry: &str,
) -> Result<Option<Credentials>, CredentialsError> {
    let Some(text) = text else { return Ok(None) };
    match source(file, text, registry)? {
        Source::Nowhere => Ok(None),
        Source::Here(credentials) => Ok(Some(credentials)),
        Source::Helper(helper) => ask(&helper, file, key(registry)),
    }
}

fn source(file: &str, text: &str, registry: &str) -> Result<Source, CredentialsError> {
    let wrong = |why: String| CredentialsError::Config { file: file.to_owned(), why };
    let config: Config = if text.trim().is_empty() {
        Config::default()
    } else {
        serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?
    };
    // As the docker CLI looks: the registry's own helper, the store, the file.
    let key = key(registry);
    if let Some(helper) = config.helpers.get(key).or(config.store.as_ref()) {
        return Ok(Source::Helper(helper.clone()));
    }
    let found = config.auths.get(key).or_else(|| {
        config.auths.iter().find(|(known, _)| host(known) == host(key)).map(|(_, auth)| auth)
    });
    let Some(auth) = found else { return Ok(Source::Nowhere) };
    if !auth.identity_token.is_empty() {
        return Ok(Source::Here(Credentials::IdentityToken(auth.identity_token.clone())));
    }
    let (user, password) = if auth.both.is_empty() {
        (auth.username.clone(), auth.password.clone())
    } else {
        let said = || wrong(format!("the `auth` of {registry} is no base64 of NAME:PASSWORD"));
        let bytes = base64(&auth.both).ok_or_else(said)?;
        let text = String::from_utf8(bytes).map_err(|_| said())?;
        let (user, password) = text.split_once(':').ok_or_else(said)?;
        (user.to_owned(), password.trim_end_matches('\0').to_owned())
    };
    // `docker logout` may leave an empty entry behind.
    if user.is_empty() {
        return Ok(Source::Nowhere);
    }
    Ok(Source::Here(Credentials::Password { user, password }))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    username: String,
    secret: String,
}

/// What a helper says when it was asked for nothing that it has.
const NOT_FOUND: &str = "credentials not found";

fn ask(helper: &str, file: &str, registry: &str) -> Result<Option<Credentials>, CredentialsError> {
    let none = |source| CredentialsError::NoHelper {
        helper: helper.to_owned(),
        file: file.to_owned(),
        source,
    };
    let mut child = Command::new(format!("docker-credential-{helper}"))
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(none)?;
    if let Some(mut input) = child.stdin.take() {
        // One that needs no question may have ended already.
        let _ = input.write_all(registry.as_bytes());
    }
    let output = child.wait_with_output().map_err(none)?;
    let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    if !output.status.success() {
        let message = format!("{said} {}", String::from_utf8_lossy(&output.stderr).trim());
        if message.contains(NOT_FOUND) {
            return Ok(None);
        }
        let message = message.trim().replace('\n', "; ");
        return Err(CredentialsError::Helper {
            helper: helper.to_owned(),
            registry: registry.to_owned(),
            message,
        });
    }
    let answer: Answer = serde_json::from_str(&said).map_err(|_| CredentialsError::Answer {
        helper: helper.to_owned(),
        registry: registry.to_owned(),
    })?;
    Ok(Some(if answer.username == "<token>" {
        Credentials::IdentityToken(answer.secret)
    } else {
        Credentials::Password { user: answer.username, password: answer.secret }
    }))
}

/// The bytes of standard base64; `None` for any other text.
fn base64(text: &str) -> Option<Vec<u8>> {
    let digits = text.trim_end_matches('=');
    if digits.len() % 4 == 1 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut held, mut bits) = (0_u32, 0);
    for digit in digits.bytes() {
        let value = match digit {
            b'A'..=b'Z' => digit - b'A',
            b'a'..=b'z' => digit - b'a' + 26,
            b'0'..=b'9' => digit - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        held = held << 6 | u32::from(value);
        bits += 6;
        if bits >= 8 {
            bits -= 8;
            bytes.push((held >> bits & 0xff) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::{Credentials, CredentialsError, Source, base64, source};

    fn from(text: &str, registry: &str) -> Source {
        source("config.json", text, registry).unwrap()
    }

    fn password(user: &str, password: &str) -> Source {
        let (user, password) = (user.to_owned(), password.to_owned());
        Source::Here(Credentials::Password { user, password })
    }

    #[test]
    fn base64_is_the_standard_one() {
        for (text, bytes) in
            [("", ""), ("YQ==", "a"), ("YWI=", "ab"), ("YWJj", "abc"), ("YWJj/+8", "abc\u{ff}")]
        {
            let expected: Vec<u8> = if text.ends_with('8') {
                vec![b'a', b'b', b'c', 0xff, 0xef]
            } else {
                bytes.bytes().collect()
            };
            assert_eq!(base64(text), Some(expected), "{text}");
        }
        for wrong in ["a", "a b=", "YWJj-_", "=a"] {
            assert_eq!(base64(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn the_file_is_read_as_the_docker_cli_reads_it() {
        let text = r#"{"auths":{"r.example:5000":{"auth":"bWU6cGE6c3M="},"https://old.example/v1/":{"auth":"YTpi"},
            "https://index.docker.io/v1/":{"auth":"aHViOng="},"t.example":{"auth":"YTpi","identitytoken":"T"},
            "plain.example":{"username":"u","password":"p"},"out.example":{}},
            "credHelpers":{"gcr.io":"gcloud"},"HttpHeaders":{"a":"b"}}"#;
        assert_eq!(from(text, "r.example:5000"), password("me", "pa:ss"));
        assert_eq!(from(text, "old.example"), password("a", "b"));
        assert_eq!(from(text, "docker.io"), password("hub", "x"));
        assert_eq!(from(text, "plain.example"), password("u", "p"));
        assert_eq!(
            from(text, "t.example"),
            Source::Here(Credentials::IdentityToken("T".to_owned()))
        );
        assert_eq!(from(text, "gcr.io"), Source::Helper("gcloud".to_owned()));
        for nobody in ["out.example", "r.example:5001", "example"] {
            assert_eq!(from(text, nobody), Source::Nowhere, "{nobody}");
        }
        assert_eq!(from("", "a.example"), Source::Nowhere);
        let stored = r#"{"auths":{"a.example":{}},"credsStore":"desktop","credHelpers":{"b.example":"own"}}"#;
        assert_eq!(from(stored, "a.example"), Source::Helper("desktop".to_owned()));
        assert_eq!(from(stored, "b.example"), Source::Helper("own".to_owned()));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_secret() {
        for text in [
            r#"{"auths":{"a.example":{"auth":"!"}}}"#,
            r#"{"auths":{"a.example":{"auth":"YWI="}}}"#,
        ] {
            let error = source("config.json", text, "a.example").unwrap_err();
            assert!(error.to_string().contains("NAME:PASSWORD"), "{error}");
        }
        let error = source("config.json", "{", "a.example").unwrap_err();
        assert!(matches!(error, CredentialsError::Config { .. }));
        let secret = Credentials::Password { user: "me".into(), password: "s3cret".into() };
        assert_eq!(format!("{secret:?}"), "me with a password");
    }
}
