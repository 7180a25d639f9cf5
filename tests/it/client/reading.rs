//! A file of a client, read by the parser of its format.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use composegen::artifact::Artifact;
use composegen::quote;
use serde_json::{Map, Value};

/// The content, whatever the format was.
pub(super) struct Tree(Value);

pub(super) fn read(file: &Artifact) -> Result<Tree, String> {
    let text = &file.text;
    let value = match file.path.extension() {
        Some("json") => serde_json::from_str(text).map_err(|e| e.to_string())?,
        Some("toml") => {
            let table: toml::Table = toml::from_str(text).map_err(|e| e.to_string())?;
            serde_json::to_value(table).map_err(|e| e.to_string())?
        }
        Some("yaml" | "yml") => serde_saphyr::from_str(text).map_err(|e| e.to_string())?,
        Some("env") => object(
            quote::dotenv::decode(text, &|name| Some(format!("value of {name}")))
                .map_err(|e| e.to_string())?,
        ),
        Some("sh") => object(sourced(text)?),
        other => return Err(format!("no reader for {other:?}")),
    };
    Ok(Tree(value))
}

fn object(pairs: impl IntoIterator<Item = (String, String)>) -> Value {
    Value::Object(
        pairs.into_iter().map(|(name, text)| (name, Value::String(text))).collect::<Map<_, _>>(),
    )
}

/// What the real shell exports after it has read the file.
fn sourced(text: &str) -> Result<BTreeMap<String, String>, String> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file.sh"), text).unwrap();
    let output = Command::new("/bin/sh")
        .args(["-euc", ". ./file.sh\nexec env -0"])
        .current_dir(dir.path())
        .env_clear()
        .env("LLAMA_API_KEY", "value of LLAMA_API_KEY")
        .output()
        .unwrap();
    if !output.status.success() || !output.stderr.is_empty() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned());
    }
    // Nothing was run on the way.
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "{text}");
    let text = String::from_utf8(output.stdout).unwrap();
    let pairs = text.split_terminator('\0').filter_map(|pair| pair.split_once('='));
    let ours = pairs
        .filter(|(name, _)| !matches!(*name, "PWD" | "LLAMA_API_KEY" | "_" | "SHLVL" | "OLDPWD"));
    Ok(ours.map(|(name, text)| (name.to_owned(), text.to_owned())).collect())
}

impl Tree {
    /// The path of each leaf: `[]` for an element of a list, `*` for a key that is the model's name.
    pub(super) fn paths(&self, model: &str) -> BTreeSet<String> {
        let mut paths = BTreeSet::new();
        walk(&self.0, String::new(), model, &mut |path, _| {
            paths.insert(path);
        });
        paths
    }

    /// All that the file says the model is called.
    pub(super) fn models(&self) -> Vec<String> {
        const PLACES: &[&str] = &[
            "model",
            "small_model",
            "weak-model",
            "[].models[].id",
            "models[].model",
            "llama-vscode.ai_model",
            "modelProviders.openai[].id",
            "model.name",
            "OPENAI_MODEL",
            "ANTHROPIC_MODEL",
            "env.ANTHROPIC_MODEL",
            "env.CLAUDE_CODE_SUBAGENT_MODEL",
            "CLAUDE_CODE_SUBAGENT_MODEL",
        ];
        let mut models = Vec::new();
        walk(&self.0, String::new(), "", &mut |path, value| {
            if PLACES.contains(&path.as_str()) {
                models.push(value.as_str().unwrap_or("no string").to_owned());
            }
        });
        // A key that is the name.
        let map = self.0.as_object();
        models.extend(
            map.into_iter()
                .flatten()
                .filter(|(key, _)| key.starts_with("openai/"))
                .map(|(key, _)| key.clone()),
        );
        let nested = self.0.pointer("/provider/llama-server/models").and_then(Value::as_object);
        models.extend(nested.into_iter().flatten().map(|(key, _)| key.clone()));
        models
    }
}

fn walk(value: &Value, path: String, model: &str, visit: &mut dyn FnMut(String, &Value)) {
    let join = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let named =
                    !model.is_empty() && (key == model || *key == format!("openai/{model}"));
                walk(value, join(if named { "*" } else { key }), model, visit);
            }
        }
        Value::Array(list) => {
            for value in list {
                walk(value, format!("{path}[]"), model, visit);
            }
        }
        leaf => visit(path, leaf),
    }
}
