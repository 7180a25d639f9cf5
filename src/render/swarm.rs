//! A stack file, and the configuration of the nodes that it runs on.

use askama::Template;
use serde_json::{Value as Json, json};

use super::filter as filters;
use crate::plan::swarm::{Node, RESOURCE, Stack};
use crate::plan::worker::{CACHE, INTERVAL_S, Worker};

#[derive(Template)]
#[template(path = "swarm.stack.yml", escape = "plain")]
struct StackFile<'a> {
    header: &'a [String],
    stack: &'a Stack<'a>,
    resource: &'static str,
    workers: Vec<(&'a Worker, Vec<(String, String)>)>,
    interval_s: u32,
    cache: &'static str,
}

pub(super) fn stack(header: &[String], stack: &Stack<'_>) -> askama::Result<String> {
    let workers = stack.service.workers.iter();
    let workers = workers.map(|worker| (worker, Stack::worker(worker))).collect();
    StackFile { header, stack, resource: RESOURCE, workers, interval_s: INTERVAL_S, cache: CACHE }
        .render()
}

/// What a node's daemon must be told; JSON has no comments, so that there is no header.
pub(super) fn daemon(node: &Node) -> askama::Result<String> {
    let mut config = json!({});
    let resources = &node.resources;
    if let Some(map) = config.as_object_mut() {
        if !resources.is_empty() {
            let runtime = json!({ "nvidia": { "path": "nvidia-container-runtime", "args": [] } });
            map.insert("default-runtime".to_owned(), "nvidia".into());
            map.insert("runtimes".to_owned(), runtime);
            map.insert("node-generic-resources".to_owned(), resources.clone().into());
        }
        // A stack cannot ask for it, so the node does for all of its containers.
        map.insert("no-new-privileges".to_owned(), Json::Bool(true));
    }
    serde_json::to_string_pretty(&config).map_err(|error| askama::Error::Custom(error.into()))
}
