//! What to run where: memory, placement, argv. Pure thinking, no IO.

pub mod memory;
