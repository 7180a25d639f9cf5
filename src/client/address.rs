//! Where a client finds the server: scheme, host, port and prefix, without the `/v1` that some clients want behind it.

use std::net::IpAddr;

use super::ClientError;
use crate::strategy::Strategy;

/// As the compose file publishes it. An address that stands for all of this machine's is replaced by the loopback one.
pub(super) fn published(strategy: &Strategy) -> String {
    let scheme = if strategy.word("--ssl-cert-file").is_some() { "https" } else { "http" };
    let host = match strategy.container.publish.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) if address.is_unspecified() => "127.0.0.1".to_owned(),
        Ok(IpAddr::V6(address)) if address.is_unspecified() => "[::1]".to_owned(),
        Ok(IpAddr::V6(address)) => format!("[{address}]"),
        _ => strategy.container.publish.clone(),
    };
    let prefix = strategy.word("--api-prefix").unwrap_or_default();
    format!("{scheme}://{host}:{}{prefix}", strategy.port)
}

/// One that a user gave, for a server on another machine or behind a proxy.
pub(super) fn given(url: &str) -> Result<String, ClientError> {
    let refuse = |why| Err(ClientError::Url { why });
    let Some((scheme, rest)) = url.split_once("://") else {
        return refuse("it has no `http://` or `https://`");
    };
    if !matches!(scheme, "http" | "https") {
        return refuse("it is neither `http://` nor `https://`");
    }
    if rest.contains('@') {
        return refuse("it holds a name or a password, which would be written into the file");
    }
    if rest.contains(['?', '#']) {
        return refuse("something stands behind its path");
    }
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._~:/[]%".contains(c);
    if !rest.chars().all(plain) {
        return refuse("a character in it is none of an address; write others as `%20`");
    }
    let rest = rest.trim_end_matches('/');
    let rest = rest.strip_suffix("/v1").unwrap_or(rest).trim_end_matches('/');
    let host = rest.split('/').next().unwrap_or_default();
    let name = match host.strip_prefix('[') {
        Some(inside) => inside.split(']').next().unwrap_or_default(),
        None => host.split(':').next().unwrap_or_default(),
    };
    if name.is_empty() {
        return refuse("it names no host");
    }
    Ok(format!("{scheme}://{rest}"))
}

#[cfg(test)]
mod tests {
    use super::given;

    #[test]
    fn addresses_are_taken_with_and_without_v1() {
        for (url, base) in [
            ("http://rig:8080", "http://rig:8080"),
            ("http://rig:8080/v1/", "http://rig:8080"),
            ("https://example.org/llama/v1", "https://example.org/llama"),
            ("http://[::1]:8080/", "http://[::1]:8080"),
        ] {
            assert_eq!(given(url).unwrap(), base);
        }
    }

    #[test]
    fn what_is_no_address_is_refused_and_a_password_not_repeated() {
        for url in [
            "",
            "rig:8080",
            "ftp://rig",
            "http://",
            "http:///v1",
            "http://[]",
            "http://a b",
            "http://a?x",
            "http://a\nb",
            "http://$(x)",
            "http://me:s3cret@rig",
        ] {
            let error = given(url).unwrap_err().to_string();
            assert!(!error.contains("s3cret"), "{error}");
        }
    }
}
