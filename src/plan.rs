//! What will be written and run: strings in final form, bytes per device, and why each choice was made.
//! Pure: a plan is thought, never fetched.

pub mod image;
