//! Traps: what went wrong in the guest, in the specification's words, and where.

use std::fmt;

/// The kinds of traps.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
#[non_exhaustive]
#[repr(u8)]
pub enum TrapKind {
    /// The `unreachable` instruction.
    Unreachable,
    /// A load, store or bulk operation outside its memory.
    MemoryOutOfBounds,
    /// An access outside its table, other than by a call.
    TableOutOfBounds,
    /// An indirect call through an index outside its table.
    UndefinedElement,
    /// An indirect call through a null element.
    UninitializedElement,
    /// An indirect call of a function of another type.
    IndirectCallTypeMismatch,
    /// Integer division or remainder by zero.
    IntegerDivideByZero,
    /// A division, or a conversion from a float, whose result does not fit.
    IntegerOverflow,
    /// A conversion to an integer of NaN.
    InvalidConversionToInteger,
    /// Calls nested too deeply.
    CallStackExhausted,
    /// An atomic access at an address that is not a multiple of its width.
    UnalignedAtomic,
    /// `memory.atomic.wait` on a memory that is not shared.
    ExpectedSharedMemory,
    /// A null reference where one is required.
    NullReference,
    /// A null function reference was called.
    NullFunctionReference,
    /// Access to a field of null.
    NullStructureReference,
    /// Access to an element of null, or its length.
    NullArrayReference,
    /// The value of null as an i31.
    NullI31Reference,
    /// An access outside its array.
    ArrayOutOfBounds,
    /// A cast of a reference that is not of that type.
    CastFailure,
    /// The heap of structs and arrays has no room for another, even after a collection.
    HeapExhausted,
    /// `throw_ref` of null.
    NullExceptionReference,
    /// More exceptions are referred to than a store keeps.
    TooManyExceptions,
    /// An exception that nobody caught.
    UncaughtException,
    /// The store's fuel is used up.
    OutOfFuel,
    /// The embedder interrupted the guest.
    Interrupted,
    /// The store's deadline has passed.
    DeadlineExceeded,
    /// A function whose body is not valid was called; only with deferred validation.
    InvalidFunction,
    /// An instruction that this version cannot run was reached.
    UnsupportedInstruction,
    /// An imported function that nobody provided was called.
    UnknownImport,
}

impl TrapKind {
    /// The trap as the specification's test suite spells it.
    pub fn message(self) -> &'static str {
        match self {
            TrapKind::Unreachable => "unreachable",
            TrapKind::MemoryOutOfBounds => "out of bounds memory access",
            TrapKind::TableOutOfBounds => "out of bounds table access",
            TrapKind::UndefinedElement => "undefined element",
            TrapKind::UninitializedElement => "uninitialized element",
            TrapKind::IndirectCallTypeMismatch => "indirect call type mismatch",
            TrapKind::IntegerDivideByZero => "integer divide by zero",
            TrapKind::IntegerOverflow => "integer overflow",
            TrapKind::InvalidConversionToInteger => "invalid conversion to integer",
            TrapKind::CallStackExhausted => "call stack exhausted",
            TrapKind::UnalignedAtomic => "unaligned atomic",
            TrapKind::ExpectedSharedMemory => "expected shared memory",
            TrapKind::NullReference => "null reference",
            TrapKind::NullFunctionReference => "null function reference",
            TrapKind::NullStructureReference => "null structure reference",
            TrapKind::NullArrayReference => "null array reference",
            TrapKind::NullI31Reference => "null i31 reference",
            TrapKind::ArrayOutOfBounds => "out of bounds array access",
            TrapKind::CastFailure => "cast failure",
            TrapKind::HeapExhausted => "garbage-collected heap exhausted",
            TrapKind::NullExceptionReference => "null exception reference",
            TrapKind::TooManyExceptions => "too many exceptions",
            TrapKind::UncaughtException => "uncaught exception",
            TrapKind::OutOfFuel => "all fuel consumed",
            TrapKind::Interrupted => "interrupted",
            TrapKind::DeadlineExceeded => "deadline exceeded",
            TrapKind::InvalidFunction => "invalid function body",
            TrapKind::UnsupportedInstruction => "unsupported instruction",
            TrapKind::UnknownImport => "unknown import called",
        }
    }
}

/// One frame of a backtrace.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Frame {
    /// Name of the module, if its name section has one.
    pub module_name: Option<String>,
    /// Function index.
    pub func_index: u32,
    /// Name of the function from the name section, or the name it is exported under.
    pub func_name: Option<String>,
    /// Offset of the instruction in the module's bytes.
    pub code_offset: Option<u32>,
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code_offset {
            Some(o) => write!(f, "{o:#8x}: ")?,
            None => write!(f, "       ?: ")?,
        }
        write!(f, "{}!", self.module_name.as_deref().unwrap_or("<module>"))?;
        match &self.func_name {
            Some(n) => write!(f, "{n} (function {})", self.func_index),
            None => write!(f, "<function {}>", self.func_index),
        }
    }
}

/// A trap of the guest.
#[derive(Clone, Debug)]
pub struct Trap {
    pub(crate) kind: TrapKind,
    pub(crate) detail: Option<String>,
    pub(crate) backtrace: Vec<Frame>,
    pub(crate) omitted: usize,
    /// The store and the exception, for a trap that is one: a guest further out may still catch it.
    pub(crate) exception: Option<(crate::store::StoreId, u64)>,
}

impl Trap {
    /// A trap as a host function may raise it.
    pub fn new(kind: TrapKind) -> Trap {
        Trap { kind, detail: None, backtrace: Vec::new(), omitted: 0, exception: None }
    }
    /// A trap with an explanation beyond its kind.
    pub fn with_detail(kind: TrapKind, detail: impl Into<String>) -> Trap {
        Trap { kind, detail: Some(detail.into()), backtrace: Vec::new(), omitted: 0, exception: None }
    }
    /// What went wrong.
    pub fn kind(&self) -> TrapKind {
        self.kind
    }
    /// The guest's frames, innermost first; very deep stacks keep both ends.
    pub fn backtrace(&self) -> &[Frame] {
        &self.backtrace
    }
}

impl fmt::Display for Trap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind.message())?;
        if let Some(d) = &self.detail {
            write!(f, ": {d}")?;
        }
        if self.backtrace.is_empty() {
            return Ok(());
        }
        write!(f, "\nbacktrace of the guest (innermost first):")?;
        for (i, frame) in self.backtrace.iter().enumerate() {
            if self.omitted > 0 && i == self.backtrace.len() / 2 {
                write!(f, "\n      … {} frames left out …", self.omitted)?;
            }
            write!(f, "\n  {frame}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Trap {}
