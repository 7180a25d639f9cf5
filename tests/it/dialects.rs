//! Every way in which a value is written, against those who read it: ports of the readers, both majors of the real
//! Compose, and real shells. Ten thousand hostile values each, the same in every run.

mod compose;
mod decoders;
mod shells;
pub(crate) mod values;
