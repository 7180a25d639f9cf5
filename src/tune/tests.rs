//! Tuning against histories that happened, and against machines that never were.

mod machine;
mod seed;
