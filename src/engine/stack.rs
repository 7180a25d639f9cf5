//! What a Swarm says of a stack: its services, where their tasks are, and what became of those before.

use std::collections::HashMap;

use bollard::models::{Node, NodeState, Service, Task, TaskState};
use bollard::query_parameters::{
    ListNodesOptions, ListServicesOptionsBuilder, ListTasksOptionsBuilder,
};

use super::{Engine, EngineError, labels};

/// One service of a stack.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Part {
    pub service: String,
    pub strategy: String,
    /// What the cluster calls the machine; absent for the server.
    pub host: Option<String>,
    /// The node of the newest task that has one.
    pub node: Option<String>,
    /// Why that node takes part no more: `down`, `disconnected`; or `drained`, `paused`.
    pub node_is: Option<String>,
    pub running: bool,
    /// Of the newest task: `running`, `starting`, `pending`.
    pub state: String,
    /// What is wrong with it, or what ended the last one before it.
    pub error: Option<String>,
    pub exit_code: Option<i64>,
    /// Tasks that ended, as far as the Swarm remembers.
    pub ended: usize,
    pub image: String,
}

impl Part {
    /// Whether it does not run and is not on its way for the first time either.
    pub fn is_lost(&self) -> bool {
        let first = self.ended == 0
            && matches!(
                self.state.as_str(),
                "new" | "allocated" | "assigned" | "accepted" | "preparing" | "ready" | "starting"
            );
        self.node_is.is_some() || !self.running && !first
    }
}

const NAMESPACE: &str = "com.docker.stack.namespace";

impl Engine {
    /// The services of a stack, by name.
    pub async fn stack(&self, name: &str) -> Result<Vec<Part>, EngineError> {
        let said = |error| EngineError::of(format!("look at stack {name}"), error);
        let filters = HashMap::from([("label", vec![format!("{NAMESPACE}={name}")])]);
        let options = ListServicesOptionsBuilder::new().filters(&filters).build();
        let services = self.docker.list_services(Some(options)).await.map_err(said)?;
        let options = ListTasksOptionsBuilder::new().filters(&filters).build();
        let tasks = self.docker.list_tasks(Some(options)).await.map_err(said)?;
        let nodes = self.docker.list_nodes(None::<ListNodesOptions>).await.map_err(said)?;
        let mut parts: Vec<Part> =
            services.iter().map(|service| part(service, &tasks, &nodes)).collect();
        parts.sort_by(|a, b| a.service.cmp(&b.service));
        Ok(parts)
    }
}

fn part(service: &Service, tasks: &[Task], nodes: &[Node]) -> Part {
    let spec = service.spec.as_ref();
    let container = spec
        .and_then(|spec| spec.task_template.as_ref())
        .and_then(|template| template.container_spec.as_ref());
    let label = |name: &str| container?.labels.as_ref()?.get(name).cloned();
    let mut own: Vec<&Task> = tasks.iter().filter(|task| task.service_id == service.id).collect();
    own.sort_by_key(|task| std::cmp::Reverse(task.created_at));
    let state = |task: &Task| task.status.as_ref().and_then(|status| status.state);
    let over = |task: &&&Task| {
        use TaskState::{COMPLETE, FAILED, ORPHANED, REJECTED, REMOVE, SHUTDOWN};
        let over = [COMPLETE, FAILED, ORPHANED, REJECTED, REMOVE, SHUTDOWN];
        state(task).is_some_and(|state| over.contains(&state))
    };
    let newest = own.first();
    let placed = own.iter().find(|task| task.node_id.as_ref().is_some_and(|id| !id.is_empty()));
    let node = placed.and_then(|task| nodes.iter().find(|node| node.id == task.node_id));
    let error = |task: &&Task| {
        let said = task.status.as_ref()?.err.clone()?;
        (!said.is_empty()).then_some(said)
    };
    let last = own.iter().find(over);
    let exit_code =
        last.and_then(|task| task.status.as_ref()?.container_status.as_ref()?.exit_code);
    Part {
        service: spec.and_then(|spec| spec.name.clone()).unwrap_or_default(),
        strategy: label(labels::STRATEGY).unwrap_or_default(),
        host: label(labels::HOST),
        node: node.and_then(|node| node.description.as_ref()?.hostname.clone()),
        node_is: node.and_then(unwell),
        running: newest.is_some_and(|task| state(task) == Some(TaskState::RUNNING)),
        state: newest.and_then(|task| state(task)).map(|s| s.to_string()).unwrap_or_default(),
        error: newest.and_then(error).or_else(|| last.and_then(error)),
        exit_code,
        ended: own.iter().filter(over).count(),
        image: container.and_then(|container| container.image.clone()).unwrap_or_default(),
    }
}

/// Why a node runs nothing, if it does not.
fn unwell(node: &Node) -> Option<String> {
    use bollard::models::NodeSpecAvailabilityEnum as Availability;
    let state = node.status.as_ref().and_then(|status| status.state)?;
    if state != NodeState::READY {
        return Some(state.to_string());
    }
    match node.spec.as_ref()?.availability? {
        Availability::DRAIN => Some("drained".to_owned()),
        Availability::PAUSE => Some("paused".to_owned()),
        _ => None,
    }
}
