//! Byte offsets of what running code shares with the runtime: the one table of layouts.
//!
//! The runtime declares the same structures as `#[repr(C)]` and asserts every offset below at compile time;
//! compiled code and interpreter use nothing else. All targets have 64-bit pointers.

/// Size of a value slot in bytes; a v128 takes two.
pub const SLOT: u32 = 8;

/// Offsets into `VmContext`, one per instance.
pub mod context {
    /// Pointer to the store's runtime state.
    pub const STORE: usize = 0;
    /// Base address of memory 0 when it is a guarded reservation, else null.
    pub const MEM0_BASE: usize = 8;
    /// Array of code cells of the module's own functions.
    pub const CELLS: usize = 16;
    /// Array of pointers to function references of imported functions.
    pub const IMPORTS: usize = 24;
    /// Array of pointers to global values.
    pub const GLOBALS: usize = 32;
    /// Array of pointers to memories.
    pub const MEMORIES: usize = 40;
    /// Array of pointers to tables.
    pub const TABLES: usize = 48;
    /// Array of function references of the module's own functions, filled on first use.
    pub const FUNC_REFS: usize = 56;
    /// Array of the addresses of the helpers of compiled code.
    pub const HELPERS: usize = 64;
    /// The store's argument area of compiled calls.
    pub const ARGS: usize = 72;
    /// Interrupt flag, 64 bits of which the lower 32 are not zero when the guest shall look why.
    pub const INTERRUPT: usize = 80;
    /// Array of the native cells of the module's own functions.
    pub const NATIVE_CELLS: usize = 88;
    /// The reference to the exception that a call in compiled code has just ended with; 0 after any other end.
    pub const EXCEPTION: usize = 96;
    /// Array of pointers to the types of objects, by index of the module's types; null for types of functions.
    pub const OBJECT_TYPES: usize = 104;
    /// The first [`INLINE_GLOBALS`] of the module's own globals themselves, 16 bytes each.
    pub const OWN_GLOBALS: usize = 112;
    /// How many of the module's own globals (counted without imported ones) lie in the context.
    pub const INLINE_GLOBALS: usize = 8;
    /// Array of where the next objects of each size class go ([`bump`](super::bump)).
    pub const BUMPS: usize = 240;
    /// What compiled code calls after a helper has failed.
    pub const RAISE: usize = 248;
}

/// Offsets into the store's runtime state.
pub mod store {
    /// End of the slots that frames of the interpreter may use.
    pub const STACK_LIMIT: usize = 0;
    /// Remaining fuel, i64; the guest is out of fuel when it is negative.
    pub const FUEL: usize = 8;
    /// Lowest `rsp` with which compiled code may call helpers and adapters.
    pub const NATIVE_LIMIT: usize = 16;
    /// First free slot of the interpreter's stack while compiled code runs.
    pub const SLOT_TOP: usize = 24;
    /// Compiled code to go on at when a call by an exit adapter ended in a tail call.
    pub const TAIL_CODE: usize = 32;
}

/// Offsets into `VmFuncRef`, what a function reference points to.
pub mod func_ref {
    /// Pointer to the callee's context, null for host functions.
    pub const CONTEXT: usize = 0;
    /// Canonical type id, u32.
    pub const TYPE_ID: usize = 8;
    /// Function index within its module, u32.
    pub const FUNC_INDEX: usize = 12;
    /// Machine code to call with the reference's address in `rax`: the callee's, or what finds it by the native cell.
    pub const CODE: usize = 16;
    /// Address of the callee's native cell (a pointer to its machine code), null for host functions.
    pub const NATIVE: usize = 24;
    /// Pointer to the code cell.
    pub const CELL: usize = 32;
    /// Host function, or null.
    pub const HOST: usize = 40;
    /// Slots that the callee's parameters take, u32: its return address follows them.
    pub const PARAM_SLOTS: usize = 48;
    /// Size of the structure.
    pub const SIZE: usize = 56;
}

/// Offsets into `VmMemory`.
pub mod memory {
    /// Base address.
    pub const BASE: usize = 0;
    /// Length in bytes.
    pub const LEN: usize = 8;
}

/// Offsets into `VmTable`.
pub mod table {
    /// Address of the first element; elements are one slot each.
    pub const BASE: usize = 0;
    /// Number of elements.
    pub const LEN: usize = 8;
}

/// Offsets into objects of the garbage-collected heap. All objects lie at multiples of 16.
pub mod object {
    /// Pointer to the object's type.
    pub const TYPE: usize = 0;
    /// First field of a struct; where the others lie says [`StructLayout`](crate::StructLayout).
    pub const FIELDS: usize = 8;
    /// Number of elements of an array, u32.
    pub const LEN: usize = 8;
    /// First element of an array.
    pub const ELEMENTS: usize = 16;
}

/// Where the next objects of a size class go: into the room from the first address to the second, all of it zeros.
pub mod bump {
    /// The next object.
    pub const NEXT: usize = 0;
    /// The end of the room.
    pub const END: usize = 8;
    /// Bytes of the structure.
    pub const SIZE: usize = 16;
}

/// Offsets into what an object's type pointer leads to.
pub mod object_type {
    /// Canonical id, u32.
    pub const ID: usize = 0;
    /// Number of declared supertypes, u32.
    pub const DEPTH: usize = 4;
    /// Ids of the declared supertypes, the outermost first, then the type's own, each u32; zeros behind.
    pub const DISPLAY: usize = 8;
    /// 0 for structs, [`KIND_ARRAY`] for arrays, u32.
    pub const KIND: usize = 264;
    /// The kind of arrays.
    pub const KIND_ARRAY: u32 = 1;
    /// Entries of the display: one more than the validator allows supertypes.
    pub const DISPLAY_LEN: usize = 64;
}
