//! One integration crate: it links once, and each module is one promise of the project.

mod gguf;
