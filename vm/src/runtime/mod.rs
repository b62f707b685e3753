//! What running code works on: contexts, memories, tables, and the operations on them that need more than a few
//! machine instructions.

pub(crate) mod bulk;
pub(crate) mod context;
pub(crate) mod exception;
pub(crate) mod gc;
pub(crate) mod image;
pub(crate) mod limits;
pub(crate) mod memory;
pub(crate) mod parking;
pub(crate) mod pool;
pub(crate) mod stacks;
pub(crate) mod table;
