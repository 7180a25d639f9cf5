//! A preset as its file says it: every value with its place, nothing decided yet.
//!
//! The keys are llama-server's long flag names in snake case. [`parse`] reads a file, [`resolve`] merges it with
//! what it extends, [`check`] says what cannot work, and [`schema`] tells editors.

pub mod batching;
pub mod chat;
pub mod container;
pub mod context;
pub mod image;
pub mod model;
pub mod parse;
pub mod placement;
pub mod record;
pub mod resolve;
pub mod sampling;
pub mod schema;
pub mod server;
pub mod speculative;
pub mod sweep;
pub mod target;

use crate::table::{Entry, Field, Table, table};

table! {
    /// What the strategy is and what it builds on.
    pub struct Head {
        /// Preset that this one builds on: a name in this directory, or a path.
        extends: String;
        /// The machine: a name in `hardware/` beside the presets, or a path.
        hardware: String;
        /// The machines that the model is split over, in place of `hardware`: a name in `clusters/` beside the presets, or a path.
        cluster: String;
        /// A short label for tables, such as a number.
        label: String;
        /// One line about the strategy.
        title: String;
        /// Where the strategy stands.
        status: record::Status;
        /// Why it stands there.
        reason: String;
        /// What the artifacts are written for; `--target` on the command line wins.
        target: target::Target;
        /// More arguments for llama-server, word by word, after all others.
        extra_args: Vec<String>;
    }
}

/// One file, typed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Preset {
    pub head: Head,
    pub model: model::Model,
    pub context: context::Context,
    pub placement: placement::Placement,
    pub batching: batching::Batching,
    pub sampling: sampling::Sampling,
    pub chat: chat::Chat,
    pub speculative: speculative::Speculative,
    pub server: server::Server,
    pub image: image::Image,
    pub container: container::Container,
    pub measured: Vec<record::Measured>,
    pub attempts: Vec<record::Attempt>,
}

impl Preset {
    /// Takes from the parent what is not set here. What was measured, and what the strategy is called, is its own.
    #[must_use]
    pub fn inherit(self, parent: &Self) -> Self {
        let own = self.head.clone();
        Self {
            head: Head {
                label: own.label,
                title: own.title,
                status: own.status,
                reason: own.reason,
                ..self.head.inherit(&parent.head)
            },
            model: self.model.inherit(&parent.model),
            context: self.context.inherit(&parent.context),
            placement: self.placement.inherit(&parent.placement),
            batching: self.batching.inherit(&parent.batching),
            sampling: self.sampling.inherit(&parent.sampling),
            chat: self.chat.inherit(&parent.chat),
            speculative: self.speculative.inherit(&parent.speculative),
            server: self.server.inherit(&parent.server),
            image: self.image.inherit(&parent.image),
            container: self.container.inherit(&parent.container),
            measured: self.measured,
            attempts: self.attempts,
        }
    }

    /// Every key of every table in the order of declaration, set or not.
    pub fn each<'a>(&'a self, visit: &mut dyn FnMut(Entry<'a>)) {
        self.head.each("", visit);
        self.model.each("model", visit);
        self.context.each("context", visit);
        self.placement.each("placement", visit);
        self.batching.each("batching", visit);
        self.sampling.each("sampling", visit);
        self.chat.each("chat", visit);
        self.speculative.each("speculative", visit);
        self.server.each("server", visit);
        self.image.each("image", visit);
        self.container.each("container", visit);
    }
}

/// The value of a field, if it is set.
pub fn value<T>(field: &Field<T>) -> Option<&T> {
    field.as_ref().map(|set| &set.value)
}

/// The table and key that carry a flag of llama-server, given by its long spelling.
pub fn key_of(flag: &str) -> Option<(&'static str, &'static str)> {
    let mut found = None;
    Preset::default().each(&mut |entry| {
        if entry.key.emit.is_some_and(|emit| emit.on == flag) {
            found = Some((entry.table, entry.key.name));
        }
    });
    found
}

#[cfg(test)]
mod tests {
    use super::Preset;
    use crate::flags;

    #[test]
    fn every_key_is_a_flag_of_llama_server() {
        let mut seen = 0;
        Preset::default().each(&mut |entry| {
            let Some(emit) = entry.key.emit else { return };
            let flag = flags::find(emit.on).unwrap_or_else(|| panic!("{} is no flag", emit.on));
            assert!(flag.server && !flag.removed, "{}", emit.on);
            let name = flag.spellings.iter().any(|s| s[2..].replace('-', "_") == entry.key.name);
            assert!(name || emit.on == "--model", "{} for {}", entry.path(), emit.on);
            let off = emit.off.map(|off| flags::find(off).unwrap().is_negated(off));
            assert_eq!(flag.kind == flags::Kind::Bool, off == Some(true), "{}", emit.on);
            seen += 1;
        });
        assert!(seen > 100, "{seen}");
    }
}
