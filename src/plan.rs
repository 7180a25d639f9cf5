//! Strategy, model and hardware in; placement, memory and argv out. Thinks without any IO.

pub mod pattern;
