//! Handlers, by family. Each family is generic over its operations and over where operands come from.

pub(crate) mod access;
pub(crate) mod atomic;
pub(crate) mod bulk;
pub(crate) mod call;
pub(crate) mod chain;
pub(crate) mod control;
pub(crate) mod exception;
pub(crate) mod gc;
pub(crate) mod memory;
pub(crate) mod num;
pub(crate) mod vector;
