//! What a series of measurements says: its middle and spread, whether two series differ, and whether an answer
//! doubted itself. Values in, values out; who measured is not known here.

pub mod doubt;
pub mod prompt;
pub mod spread;
pub mod turns;
pub mod verdict;

pub use doubt::doubts;
pub use spread::Spread;
pub use verdict::Verdict;
