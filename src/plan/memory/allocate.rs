//! Runs through a scheduled graph as ggml's graph allocator does and measures each backend's peak.

use super::arena::Arena;
use super::graph::{Graph, Id, Op, Place};
use super::rig::Rig;
use super::schedule::Scheduled;

#[derive(Clone, Copy, Default)]
struct State {
    /// Nodes that still have to read the tensor.
    readers: u32,
    /// Views of it that are still needed.
    views: u32,
    allocated: Option<Room>,
}

/// Where a tensor lies, and the bytes that it takes there.
#[derive(Clone, Copy)]
struct Room {
    place: Place,
    offset: u64,
    bytes: u64,
}

struct Allocator<'a> {
    graph: &'a Graph,
    rig: &'a Rig,
    states: Vec<State>,
    arenas: Vec<Arena>,
}

/// Bytes of the compute buffer of every GPU, then of the host.
pub(super) fn peaks(graph: &Graph, rig: &Rig, scheduled: &Scheduled) -> Vec<u64> {
    let mut allocator = Allocator {
        graph,
        rig,
        states: vec![State::default(); graph.len()],
        arenas: (0..=rig.host().0).map(|at| Arena::new(rig.alignment(Place(at)))).collect(),
    };
    allocator.run(scheduled);
    allocator.arenas.iter().map(Arena::peak).collect()
}

impl Allocator<'_> {
    fn state(&self, id: Id) -> State {
        self.states.get(id.index()).copied().unwrap_or_default()
    }

    fn update(&mut self, id: Id, change: impl FnOnce(&mut State)) {
        if let Some(state) = self.states.get_mut(id.index()) {
            change(state);
        }
    }

    fn run(&mut self, scheduled: &Scheduled) {
        let graph = self.graph;
        for (leaf, place) in &scheduled.leafs {
            self.allocate(*leaf, *place);
        }
        for (id, place) in &scheduled.nodes {
            let node = &graph[*id];
            if let Some((root, _)) = node.view
                && node.op != Op::None
            {
                self.update(root, |state| state.views += 1);
            }
            if node.input {
                self.allocate(*id, *place);
            }
            for source in node.src.all() {
                self.update(source, |state| state.readers += 1);
                if graph[source].input {
                    self.allocate(source, *place);
                }
            }
        }
        for (id, place) in &scheduled.nodes {
            let node = &graph[*id];
            for source in node.src.all() {
                self.allocate(source, *place);
            }
            self.allocate(*id, *place);
            for source in node.src.all() {
                self.read(source);
            }
        }
    }

    /// One reader of the tensor is done; frees what nobody needs any more.
    fn read(&mut self, id: Id) {
        self.update(id, |state| state.readers = state.readers.saturating_sub(1));
        let state = self.state(id);
        if state.readers > 0 || state.views > 0 {
            return;
        }
        match self.graph[id].view {
            Some((root, _)) => {
                self.update(root, |state| state.views = state.views.saturating_sub(1));
                let root_state = self.state(root);
                if root_state.views == 0 && root_state.readers == 0 {
                    self.free(root);
                }
            }
            None => self.free(id),
        }
    }

    fn free(&mut self, id: Id) {
        if self.graph[id].output {
            return;
        }
        let Some(Room { place, offset, bytes }) = self.state(id).allocated else { return };
        if let Some(arena) = self.arenas.get_mut(usize::from(place.0)) {
            arena.give(offset, bytes);
        }
        self.update(id, |state| state.allocated = None);
    }

    fn allocate(&mut self, id: Id, place: Place) {
        if self.state(id).allocated.is_some() {
            return;
        }
        let tensor = &self.graph[id];
        if tensor.home.is_some() || tensor.view.is_some() {
            return;
        }
        if tensor.op.can_overwrite() {
            for parent in tensor.src.all() {
                if self.overwrite(id, parent) {
                    return;
                }
            }
        }
        let bytes = self.rig.bytes(self.graph, id, place);
        if let Some(arena) = self.arenas.get_mut(usize::from(place.0)) {
            let offset = arena.take(bytes);
            self.update(id, |state| state.allocated = Some(Room { place, offset, bytes }));
        }
    }

    /// Puts a result where its source was, if this is the source's last reader.
    fn overwrite(&mut self, id: Id, parent: Id) -> bool {
        let state = self.state(parent);
        let Some(Room { place, offset, bytes: had }) = state.allocated else { return false };
        let (node, source) = (&self.graph[id], &self.graph[parent]);
        if source.output || !node.same_layout(source) || state.readers != 1 || state.views != 0 {
            return false;
        }
        let needs = self.rig.bytes(self.graph, id, place);
        self.update(id, |state| state.allocated = Some(Room { place, offset, bytes: needs }));
        self.update(parent, |state| state.allocated = None);
        if let Some(arena) = self.arenas.get_mut(usize::from(place.0)) {
            let (had, needs) = (arena.aligned(had), arena.aligned(needs));
            if had > needs {
                arena.give(offset + needs, had - needs);
            }
        }
        true
    }
}
