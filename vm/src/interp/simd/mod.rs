//! Vector operations: what they compute, and the tables that list them.

pub(crate) mod lanes;
pub(crate) mod ops;
