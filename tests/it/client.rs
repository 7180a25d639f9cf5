//! What clients are given: reviewed as snapshots, read back by each format's own parser, and every key with its source.

#[cfg(feature = "bench")]
mod check;
mod command;
mod reading;

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use composegen::artifact::Artifact;
use composegen::check::check;
use composegen::client::{Client, ClientError, Connection, keys};
use composegen::command::client_artifacts;
use composegen::diagnostic::Severity;
use composegen::preset::resolve::Library;
use composegen::strategy::Strategy;

use crate::repository::{root, snapshots};
use reading::Tree;

/// The connection of a preset that is given as text, which has to pass the check.
fn connection_of(
    text: &str,
    url: Option<&str>,
    key: Option<&str>,
) -> Result<Connection, ClientError> {
    let load = |path: &Utf8Path| match path.as_str() {
        "presets/own.toml" => Ok(text.to_owned()),
        _ => std::fs::read_to_string(root().join(path)),
    };
    let mut library = Library::new(&load);
    let resolved = library.resolve(Utf8Path::new("presets/own.toml")).unwrap();
    check(&resolved, None, &mut library.findings);
    let errors: Vec<_> =
        library.findings.iter().filter(|f| f.severity() == Severity::Error).collect();
    assert!(errors.is_empty(), "{errors:?}");
    Connection::new(&Strategy::new(&resolved, None).unwrap(), &resolved.preset, url, key)
}

fn own(text: &str) -> Connection {
    connection_of(text, None, None).unwrap()
}

fn files(client: Client, connection: &Connection) -> Vec<Artifact> {
    client_artifacts(client, connection, &[Utf8PathBuf::from("../presets/own.toml")]).unwrap()
}

/// One without a key, and one with everything that changes a file.
fn samples() -> [(&'static str, Connection); 2] {
    let plain = own("extends = \"base/qwen3-coder-next\"\n[model]\nfile = \"q.gguf\"\n");
    let full = "extends = \"base/qwen3-coder-next\"\n[model]\nfile = \"q.gguf\"\nmmproj = \"p.gguf\"\n\
                [batching]\nparallel = 2\n[server]\napi_key_file = \"secrets/api_key\"\nport = 9000\n\
                api_prefix = \"/llama\"\ntimeout = 900\n[container]\npublish = \"0.0.0.0\"\n";
    [("plain", plain), ("full", own(full))]
}

#[test]
fn every_file_is_reviewed() {
    for (sample, connection) in samples() {
        for client in Client::ALL {
            for file in files(client, &connection) {
                let folder = format!("client/{client}");
                let name = format!("{sample}-{}", file.path);
                snapshots(&folder).bind(|| insta::assert_snapshot!(name, file.text));
            }
        }
    }
}

#[test]
fn every_key_has_a_source_and_every_source_a_key() {
    let mut found: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for (_, connection) in samples() {
        for client in Client::ALL {
            for file in files(client, &connection) {
                let name = file.path.as_str().replace(&connection.name, "NAME");
                let tree = reading::read(&file).unwrap();
                let paths = tree.paths(&connection.model);
                found.entry((client.name().to_owned(), name)).or_default().extend(paths);
            }
        }
    }
    let mut known: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for key in keys::all() {
        let of_file = known.entry((key.client.to_owned(), key.file.to_owned())).or_default();
        assert!(of_file.insert(key.path.to_owned()), "twice: {key:?}");
    }
    assert_eq!(found, known);
}

#[test]
fn the_page_names_every_key() {
    const MARKS: [&str; 2] =
        ["<!-- keys: made from src/client/keys.tsv -->\n", "<!-- end of keys -->\n"];
    let path = root().join("docs/clients.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = text.split_once(MARKS[0]).unwrap();
    let (_, after) = rest.split_once(MARKS[1]).unwrap();
    let current = [before, MARKS[0], &keys::page(), "\n", MARKS[1], after].concat();
    if std::env::var_os("COMPOSEGEN_WRITE").is_some() {
        std::fs::write(&path, &current).unwrap();
    }
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(
        text == current,
        "docs/clients.md is out of date; COMPOSEGEN_WRITE=1 cargo test client"
    );
    for client in Client::ALL {
        assert!(before.contains(&format!("`{client}`")), "the page says nothing of {client}");
    }
}

/// Names that each format, or what reads it, could take for something else.
const HOSTILE: &[&str] = &[
    "plain",
    "a b",
    "it's",
    "\"quoted\"",
    "\"; rm -rf /; \"",
    "$HOME",
    "${HOME}",
    "$(touch x)",
    "`touch x`",
    "back\\slash\\",
    "trail\\",
    "# no comment",
    "a # b",
    ": {x}",
    "- item",
    "&anchor *alias !tag",
    "yes",
    "null",
    "123",
    "1e3",
    "{\"a\": 1}",
    "[m]",
    "é ☃ 😀",
    "\u{a0}",
    "%s%n",
    "!history",
    "~",
    "</script>",
    "//comment /* x */",
    "{{ x }}",
    "'''",
    "\"\"\"",
];

#[test]
fn hostile_names_arrive_as_they_are_or_are_refused() {
    let mut refused = Vec::new();
    for name in HOSTILE {
        let [(_, plain), (_, full)] = samples();
        for mut connection in [plain, full] {
            connection.model = (*name).to_owned();
            for client in Client::ALL {
                if let Err(error) = client.check(&connection) {
                    assert!(matches!(error, ClientError::Replaced { .. }), "{error}");
                    assert!(client_artifacts(client, &connection, &[]).is_err());
                    refused.push(format!("{client}: {name}"));
                    continue;
                }
                for file in files(client, &connection) {
                    let tree = reading::read(&file)
                        .unwrap_or_else(|e| panic!("{client} {}: {e}\n{}", file.path, file.text));
                    let of_model = tree.models();
                    let whole = |found: &String| {
                        found == name
                            || *found == format!("openai/{name}")
                            || *found == format!("llama-server/{name}")
                    };
                    assert!(!of_model.is_empty(), "{client} {}", file.path);
                    assert!(of_model.iter().all(whole), "{client} {}: {of_model:?}", file.path);
                    // Nothing beside the name has changed.
                    let mut same = connection.clone();
                    same.model = "plain".to_owned();
                    let other = files(client, &same);
                    let other = other.iter().find(|other| other.path == file.path).unwrap();
                    let paths = |tree: &Tree, name: &str| tree.paths(name);
                    assert_eq!(
                        paths(&tree, name),
                        paths(&reading::read(other).unwrap(), "plain"),
                        "{client} {}",
                        file.path
                    );
                }
            }
        }
    }
    refused.sort();
    refused.dedup();
    let expected = ["$(touch x)", "$HOME", "${HOME}"].map(|name| format!("qwen-code: {name}"));
    let mut expected = expected.to_vec();
    expected.push("vscode: ${HOME}".to_owned());
    expected.sort();
    assert_eq!(refused, expected);
}

#[test]
fn what_a_client_would_replace_is_refused() {
    for (client, name) in [
        (Client::Opencode, "a{env:HOME}"),
        (Client::Opencode, "{file:~/.ssh/id}"),
        (Client::Continue, "${{ secrets.X }}"),
        (Client::Vscode, "${input:x}"),
        (Client::QwenCode, "a$b"),
    ] {
        let [(_, mut connection), _] = samples();
        connection.model = name.to_owned();
        let error = client.check(&connection).unwrap_err();
        assert!(error.to_string().contains(client.name()) && !error.help().is_empty());
    }
}

#[test]
fn a_line_break_in_the_name_is_refused() {
    for alias in ["a\\nb", "a\\rb", "a\\u0007b", "a\\u2028b"] {
        let text = format!(
            "[model]\nfile = \"q.gguf\"\n[context]\nctx_size = 4096\n[server]\nalias = [\"{alias}\"]\n"
        );
        let error = connection_of(&text, None, None).unwrap_err();
        assert!(matches!(error, ClientError::Model { .. }), "{error}");
    }
}

#[test]
fn the_real_slot_and_the_real_name() {
    let slot = |context: &str, batching: &str| {
        let text = format!(
            "[model]\nfile = \"d/q.gguf\"\ncontext_length = 131072\n[context]\n{context}\n[batching]\n{batching}\n"
        );
        let connection = own(&text);
        assert_eq!(connection.input + connection.output, connection.slot);
        (connection.slot, connection.slots, connection.output)
    };
    assert_eq!(slot("ctx_size = 65536", "parallel = 1"), (65536, 1, 16384));
    assert_eq!(slot("ctx_size = 65536", "parallel = 4"), (16384, 4, 4096));
    // As a server of b11434 says it of itself.
    assert_eq!(slot("ctx_size = 10000", "parallel = 3"), (3584, 3, 896));
    assert_eq!(slot("ctx_size = 65536", ""), (65536, 4, 16384));
    assert_eq!(slot("ctx_size = 65536\nkv_unified = true", "parallel = 4"), (65536, 4, 16384));
    assert_eq!(
        slot("ctx_size = 65536\nkv_unified = true\nkv_unified_per_slot = 32768", "parallel = 4"),
        (32768, 4, 8192)
    );
    assert_eq!(slot("", "parallel = 1"), (131_072, 1, 32000));
    assert_eq!(slot("ctx_size = 65536\nn_predict = 2048", "parallel = 1"), (65536, 1, 2048));
    let none = connection_of("[model]\nfile = \"q.gguf\"\n", None, None).unwrap_err();
    assert_eq!(none, ClientError::NoContext);

    let model = |server: &str| {
        own(&format!(
            "[model]\nfile = \"d/q.gguf\"\n[context]\nctx_size = 4096\n[server]\n{server}\n"
        ))
        .model
    };
    assert_eq!(model("alias = [\"zeta\", \"alpha\"]"), "alpha", "the server sorts them");
    assert_eq!(model(""), "/models/d/q.gguf");
}

#[test]
fn the_address_is_the_published_one() {
    let base = |rest: &str| {
        own(&format!("[model]\nfile = \"q.gguf\"\n[context]\nctx_size = 4096\n{rest}\n")).base
    };
    assert_eq!(base(""), "http://127.0.0.1:8080");
    assert_eq!(base("[container]\npublish = \"0.0.0.0\"\n"), "http://127.0.0.1:8080");
    assert_eq!(base("[container]\npublish = \"::\"\n"), "http://[::1]:8080");
    assert_eq!(base("[container]\npublish = \"192.168.1.5\"\n"), "http://192.168.1.5:8080");
    assert_eq!(
        base(
            "[server]\nport = 9000\napi_prefix = \"/x\"\nssl_cert_file = \"/c\"\nssl_key_file = \"/k\"\n"
        ),
        "https://127.0.0.1:9000/x"
    );
    let text = "[model]\nfile = \"q.gguf\"\n[context]\nctx_size = 4096\n";
    let given = connection_of(text, Some("http://rig.lan:1/v1"), Some("MY_KEY")).unwrap();
    assert_eq!((given.base.as_str(), given.key.as_deref()), ("http://rig.lan:1", Some("MY_KEY")));
    assert_eq!(connection_of(text, None, Some("sk-1")).unwrap_err(), ClientError::KeyName);
}
