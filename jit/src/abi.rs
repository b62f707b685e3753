//! The contract between compiled code and the runtime: registers, calls, traps, helpers.
//!
//! **Registers.** `r15` holds the context (`VmContext`) in all compiled code of an instance and is kept by every call. The base of
//! guarded memory 0 is the base of the GS segment where the system lets programs set that ([`crate::Settings::segment`]),
//! else it is in `r14`, likewise kept. Where fuel is counted, `r13` holds what is left of it in all compiled code: adapters bring
//! it to the store and back, and whoever looks at a fault finds it there. `rbx`, `rbp`, `r12`, (without fuel) `r13` and (with the segment) `r14` are kept by calls, all other
//! registers are not. An i32 in an integer register is always zero-extended. There is no frame pointer: between prologue and
//! epilogue the return address is at `rsp + frame_size`. `rsp` is 16-byte aligned there whenever the function makes calls.
//!
//! **Calls of functions.** Integer and reference parameters take [`INT_ARGS`] in order, floats and vectors
//! [`VEC_ARGS`] in order, each list on its own. What does not fit goes to the store's argument area (`VmContext::args` points
//! to it): every such parameter has [`ARG_AREA_STRIDE`] bytes there, in order, and is read by the callee before anything
//! else runs. Results the same way with [`INT_RESULTS`] and [`VEC_RESULTS`]; the caller reads the area right after the
//! return. An i32 is zero-extended in registers and in slots.
//!
//! **Who is called.** Every own function has a *native cell*, a pointer to code; compiled calls go through it when the
//! callee's code is not known. `rax` then holds the cell's address, which is how the adapter behind the cell of an
//! uncompiled function knows the callee. A call through a reference to a function of the same instance takes the code from the
//! reference, whose address is in `rax`: code of its own, or what goes through the cell. Imported functions, and references to functions of other instances, are
//! called through an adapter for their type with the `VmFuncRef` in `rax`.
//!
//! **Helpers** are C functions of the runtime, called through `VmContext::helpers`, first argument the context, all
//! arguments and the result 64-bit integers. Those that can fail return `{ value, failed }` in `rax` and `rdx`; the reason
//! is in the store. Compiled code then calls through `VmContext::raise`, from which it does not come back: an instruction of [`RAISE_LEN`]
//! bytes that has a trap [`TrapCode::Raised`] in the table, but costs no fault.
//!
//! **Traps** are faults at known places: a guard page, `ud2`, `div`. [`crate::Code::traps`] has the kind of each.
//!
//! **Exceptions** that a frame of compiled code lets through are traps like others. The runtime looks for a caller in whose
//! [`crate::Code::landings`] the call is, with a clause for the exception's tag: that one goes on at the address given there, with the stack pointer as behind the call, the registers
//! that calls keep restored by [`crate::Code::saved`] of the frames in between, and the exception in `VmContext::exception`. The code
//! there resets that and tries its clauses; the results of the call mean nothing then.
//!
//! **Stack.** A function that calls helpers, or has a frame larger than [`MAX_UNCHECKED_FRAME`], compares `rsp` less its frame with
//! `VmStore::native_limit` first. All others rely on the guard pages under the native stack.

use serde::{Deserialize, Serialize};
use wasm::{FuncType, ValType};

/// Integer registers of arguments: rdi, rsi, rdx, rcx, r8, r9, r10, r11.
pub const INT_ARGS: [u8; 8] = [7, 6, 2, 1, 8, 9, 10, 11];
/// Vector registers of arguments: xmm0 to xmm7.
pub const VEC_ARGS: [u8; 8] = [0, 1, 2, 3, 4, 5, 6, 7];
/// Integer registers of results: rax, rdx, rcx, rdi.
pub const INT_RESULTS: [u8; 4] = [0, 2, 1, 7];
/// Vector registers of results: xmm0 to xmm3.
pub const VEC_RESULTS: [u8; 4] = [0, 1, 2, 3];
/// The register of what is left of the fuel, if it is counted: r13.
pub const FUEL: u8 = 13;
/// Bytes per value in the argument area.
pub const ARG_AREA_STRIDE: u32 = 16;
/// Size of the argument area in bytes: as many values as a function may have parameters or results.
pub const ARG_AREA_SIZE: usize = 1024 * ARG_AREA_STRIDE as usize;
/// Length in bytes of the call after a failure of a helper.
pub const RAISE_LEN: u32 = 7;
/// Greatest frame in bytes without a check of the stack. The guard area under the native stack is larger than this.
pub const MAX_UNCHECKED_FRAME: u32 = 16 << 10;

/// Where a parameter or result is passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// An integer register, by its number.
    Int(u8),
    /// A vector register, by its number.
    Vec(u8),
    /// That many bytes into the argument area.
    Area(u32),
}

fn assign(types: &[ValType], ints: &[u8], vecs: &[u8], place: &mut dyn FnMut(ValType, Place)) {
    let (mut int, mut vec, mut area) = (ints.iter(), vecs.iter(), 0);
    for &ty in types {
        let register = match ty {
            ValType::F32 | ValType::F64 | ValType::V128 => vec.next().map(|&r| Place::Vec(r)),
            _ => int.next().map(|&r| Place::Int(r)),
        };
        place(
            ty,
            register.unwrap_or_else(|| {
                area += ARG_AREA_STRIDE;
                Place::Area(area - ARG_AREA_STRIDE)
            }),
        );
    }
}

/// Where each parameter is passed.
pub fn params(ty: &FuncType) -> Vec<(ValType, Place)> {
    let mut places = Vec::with_capacity(ty.params.len());
    assign(&ty.params, &INT_ARGS, &VEC_ARGS, &mut |t, p| places.push((t, p)));
    places
}

/// Where each result is passed.
pub fn results(ty: &FuncType) -> Vec<(ValType, Place)> {
    let mut places = Vec::with_capacity(ty.results.len());
    assign(&ty.results, &INT_RESULTS, &VEC_RESULTS, &mut |t, p| places.push((t, p)));
    places
}

macro_rules! trap_codes {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Why compiled code stops at a place.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
        #[repr(u8)]
        #[allow(missing_docs)] // the specification's traps
        pub enum TrapCode { $($(#[$doc])* $name,)* }
        impl TrapCode {
            /// All of them, by number.
            pub const ALL: &[TrapCode] = &[$(TrapCode::$name,)*];
        }
    };
}

trap_codes! {
    Unreachable,
    MemoryOutOfBounds,
    TableOutOfBounds,
    UndefinedElement,
    UninitializedElement,
    IndirectCallTypeMismatch,
    IntegerDivideByZero,
    IntegerOverflow,
    InvalidConversionToInteger,
    CallStackExhausted,
    UnalignedAtomic,
    NullReference,
    NullFunctionReference,
    NullExceptionReference,
    NullStructureReference,
    NullArrayReference,
    NullI31Reference,
    ArrayOutOfBounds,
    CastFailure,
    UnsupportedInstruction,
    OutOfFuel,
    /// A poll at a loop or function entry found the interrupt flag set: the runtime looks why, and may let the code go on at
    /// the instruction behind the `ud2`.
    Interrupted,
    /// A helper failed, and code calls the runtime: the store has the reason.
    Raised,
}

macro_rules! helpers {
    ($($(#[$doc:meta])* $name:ident ($args:expr) -> $ret:ident;)*) => {
        /// The runtime's functions that compiled code calls; the number is the index into `VmContext::helpers`.
        #[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
        #[repr(u16)]
        pub enum Helper { $($(#[$doc])* $name,)* }
        impl Helper {
            /// All helpers in order.
            pub const ALL: &[Helper] = &[$(Helper::$name,)*];
            /// Name, number of arguments behind the context, and what it returns.
            pub fn signature(self) -> (&'static str, u8, HelperResult) {
                match self { $(Helper::$name => (stringify!($name), $args, HelperResult::$ret),)* }
            }
        }
    };
}

/// What a helper returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum HelperResult {
    /// Nothing; cannot fail.
    Nothing,
    /// A value in `rax`; cannot fail.
    Value,
    /// `{ value, failed }` in `rax` and `rdx`; the value is not looked at after a failure.
    Fallible,
}

helpers! {
    /// Memory index, delta in pages; answers the old size or -1 (as the memory's index type, zero-extended).
    MemoryGrow(2) -> Value;
    /// Memory index, destination, value, length.
    MemoryFill(4) -> Fallible;
    /// Destination memory, source memory, destination, source, length.
    MemoryCopy(5) -> Fallible;
    /// Memory, segment, destination, source, length.
    MemoryInit(5) -> Fallible;
    /// Segment.
    DataDrop(1) -> Nothing;
    /// Table, index.
    TableGet(2) -> Fallible;
    /// Table, index, reference.
    TableSet(3) -> Fallible;
    /// Table.
    TableSize(1) -> Value;
    /// Table, delta, initial value; answers the old size or -1 (as the table's index type, zero-extended).
    TableGrow(3) -> Value;
    /// Table, index, reference, length.
    TableFill(4) -> Fallible;
    /// Destination table, source table, destination, source, length.
    TableCopy(5) -> Fallible;
    /// Table, segment, destination, source, length.
    TableInit(5) -> Fallible;
    /// Segment.
    ElemDrop(1) -> Nothing;
    /// Function index (in the module's index space); answers the reference.
    RefFunc(1) -> Value;
    /// Memory, effective address (index + offset, checked for overflow by the code), expected i32, timeout in ns; traps when unaligned or out of bounds.
    AtomicWait32(4) -> Fallible;
    /// As `AtomicWait32` with an i64.
    AtomicWait64(4) -> Fallible;
    /// Memory, effective address, count.
    AtomicNotify(3) -> Fallible;
    /// Whether a function reference that is not null has that type (canonical id) or a subtype: 1 or 0.
    FuncRefIs(2) -> Value;
    /// Tag; the values lie in the argument area in order, one per 16 bytes. Always fails.
    Throw(1) -> Fallible;
    /// Exception reference (0 traps). Always fails.
    ThrowRef(1) -> Fallible;
    /// Tag, values as for `Throw`; answers the reference to the new exception.
    MakeException(1) -> Fallible;
    /// Exception reference, tag; answers 1 if the exception is of that tag, else 0.
    ExceptionIs(2) -> Value;
    /// Exception reference, number of a slot; answers what the slot of its values holds.
    ExceptionValue(2) -> Value;
    /// Exception reference, and 1 if a clause hands it out: the exception has been caught, and is over in case of 0.
    ExceptionCaught(2) -> Nothing;
    /// Type; answers a struct of zeros.
    StructNew(1) -> Fallible;
    /// Type, length; answers an array of zeros.
    ArrayNew(2) -> Fallible;
    /// Type, length, lower and upper half of the value of all elements.
    ArrayNewOf(4) -> Fallible;
    /// Type, data segment, offset there, length.
    ArrayNewData(4) -> Fallible;
    /// Type, element segment, offset there, length.
    ArrayNewElem(4) -> Fallible;
    /// Array, start, length, lower and upper half of the value.
    ArrayFill(5) -> Fallible;
    /// Destination, start there, source, start there, length.
    ArrayCopy(5) -> Fallible;
    /// Array, start, offset in the data segment, length, segment.
    ArrayInitData(5) -> Fallible;
    /// Array, start, offset in the element segment, length, segment.
    ArrayInitElem(5) -> Fallible;
    /// For adapters: native cell's address, address of the slots. Calls an own function in the interpreter.
    CallOwn(2) -> Fallible;
    /// For adapters: `VmFuncRef`, address of the slots. Calls a host function or one of another instance.
    CallReference(2) -> Fallible;
}
