//! How the server is reached and restarted.

use std::net::IpAddr;

use super::Subject;
use crate::diagnostic::{Code, Diagnostic};
use crate::preset::value;

pub(super) fn check(subject: &mut Subject<'_>) {
    reach(subject);
    restart(subject);
    formats(subject);
}

fn reach(subject: &mut Subject<'_>) {
    let preset = subject.preset;
    let container = &preset.container;
    if let Some(host) = value(&preset.server.host)
        && !host.split(',').any(|address| matches!(address, "0.0.0.0" | "::"))
    {
        subject.say(
            Code::HealthUnreachable,
            &preset.server.host,
            format!("inside the container the server would listen on `{host}` alone"),
            "leave `host` out (0.0.0.0) and choose the address on the host with `container.publish`",
        );
    }
    if let Some(prefix) = value(&preset.server.api_prefix) {
        let plain = |c: char| c.is_ascii_alphanumeric() || "/-_.~".contains(c);
        if !prefix.starts_with('/') || prefix.ends_with('/') || !prefix.chars().all(plain) {
            subject.say(
                Code::BadReference,
                &preset.server.api_prefix,
                format!("`{prefix}` is no path before a route"),
                "write it like `/llama`: letters, digits, `-`, `_`, `.`, no slash at the end",
            );
        }
    }
    let Some(publish) = value(&container.publish) else { return };
    match publish.parse::<IpAddr>() {
        Err(_) => subject.say(
            Code::BadReference,
            &container.publish,
            format!("`{publish}` is no IP address"),
            "write 127.0.0.1 for this machine alone, 0.0.0.0 for everybody",
        ),
        Ok(address) if !address.is_loopback() && preset.server.api_key_file.is_none() => {
            subject.say(
                Code::ExposedPort,
                &container.publish,
                format!("the server is published on {address} without an API key"),
                "name a key file in `server.api_key_file`; published ports also pass by ufw",
            );
        }
        Ok(_) => {}
    }
}

fn restart(subject: &mut Subject<'_>) {
    let container = &subject.preset.container;
    let Some(policy) = value(&container.restart) else { return };
    let retries = policy.strip_prefix("on-failure").map(|rest| rest.strip_prefix(':'));
    let known = match retries {
        Some(Some(number)) => number.parse::<u16>().is_ok_and(|n| n > 0),
        Some(None) => false,
        None => matches!(policy.as_str(), "no" | "always" | "unless-stopped"),
    };
    if !known {
        subject.say(
            Code::BadReference,
            &container.restart,
            format!("`{policy}` is no restart policy"),
            "one of \"no\", \"on-failure:3\", \"unless-stopped\", \"always\"",
        );
    } else if matches!(policy.as_str(), "always" | "unless-stopped") {
        subject.say(
            Code::EndlessRestart,
            &container.restart,
            format!("`{policy}` starts a server for ever that does not fit"),
            "use \"on-failure:3\"; it gives up on a plan that cannot work",
        );
    }
}

fn formats(subject: &mut Subject<'_>) {
    let container = &subject.preset.container;
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '_';
    if let Some(project) = value(&container.project)
        && !(project.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
            && project.chars().all(word))
    {
        subject.say(
            Code::BadReference,
            &container.project,
            format!("`{project}` is no Compose project name"),
            "lower-case letters, digits, `-` and `_`, beginning with a letter or digit",
        );
    }
    if let Some(user) = value(&container.user) {
        let number = |id: &str| !id.is_empty() && id.parse::<u32>().is_ok();
        if !user.split_once(':').is_some_and(|(uid, gid)| number(uid) && number(gid)) {
            subject.say(
                Code::BadReference,
                &container.user,
                format!("`{user}` is no user and group"),
                "write two numbers: \"10001:10001\"",
            );
        }
    }
    let volumes = container.volumes.iter();
    for (set, i, volume) in
        volumes.flat_map(|set| set.value.iter().enumerate().map(move |(i, v)| (set, i, v)))
    {
        let mut parts = volume.split(':');
        let (host, inside, mode) = (parts.next(), parts.next(), parts.next());
        let well = host.is_some_and(|h| !h.is_empty())
            && inside.is_some_and(|i| i.starts_with('/'))
            && matches!(mode, None | Some("ro" | "rw"))
            && parts.next().is_none();
        if !well {
            let finding = Diagnostic::new(Code::BadReference, format!("`{volume}` is no mount"))
                .at(set.item(i))
                .help("write `host:/container` or `host:/container:ro`");
            subject.push(finding);
        }
    }
    for (name, text) in value(&container.environment).into_iter().flatten() {
        let variable = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !variable || text.is_object() || text.is_array() {
            subject.say(
                Code::BadReference,
                &container.environment,
                format!("`{name}` is no environment variable with a plain value"),
                "names are letters, digits and `_`; values are strings, numbers or booleans",
            );
        }
    }
    if let Some(file) = value(&subject.preset.server.api_key_file)
        && file.is_empty()
    {
        subject.say(
            Code::BadReference,
            &subject.preset.server.api_key_file,
            "the API key's file has no name",
            "write for example `api_key_file = \"secrets/api_key\"`",
        );
    }
}
