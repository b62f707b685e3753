//! The programs: a typed tree that is both translated to WebAssembly and evaluated directly.
//!
//! Values are 64 bits; types are known from the tree.

use crate::ops::{AtomicOp, BinaryOp, UnaryOp};

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Ty {
    I32,
    I64,
    F32,
    F64,
}

pub(crate) const TYPES: [Ty; 4] = [Ty::I32, Ty::I64, Ty::F32, Ty::F64];

/// A load or store: the bytes in memory and what they become.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Access {
    pub(crate) ty: Ty,
    pub(crate) bytes: u32,
    pub(crate) signed: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum Expr {
    Const(Ty, u64),
    Local(u32),
    Global(u32),
    Tee(u32, Box<Expr>),
    Unary(&'static UnaryOp, Box<Expr>),
    Binary(&'static BinaryOp, Box<Expr>, Box<Expr>),
    Load(Access, Box<Expr>, u32),
    /// An atomic operation on so many bytes at an aligned address: its operands; the old value comes out.
    Atomic(&'static AtomicOp, Box<Expr>, u32, Vec<Expr>),
    /// First, second, condition.
    Select(Box<[Expr; 3]>),
    Call(usize, Vec<Expr>),
    /// Through the table, as the type of the function given.
    CallIndirect(usize, Box<Expr>, Vec<Expr>),
    If(Ty, Box<[Expr; 3]>),
    /// A block whose label takes a value.
    Block(Ty, u32, Vec<Stmt>, Box<Expr>),
    /// Statements in the midst of an expression, operands of outer expressions still on the stack.
    Seq(Vec<Stmt>, Box<Expr>),
    /// A value branches out of nested blocks by a `br_table`; behind each an operation with a constant follows.
    Switch {
        ty: Ty,
        value: Box<Expr>,
        index: Box<Expr>,
        steps: Vec<(&'static BinaryOp, u64)>,
    },
    /// An i32 into a vector's lane and out again.
    ThroughVector(Box<Expr>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// Add, tee, compare, branch back.
    Post,
    /// Add, set, get, compare, branch back.
    PostApart,
    /// Subtract one, tee, branch back unless zero.
    Down,
    /// Compare and leave at the head, branch back always.
    Pre,
}

#[derive(Clone, Debug)]
pub(crate) struct Loop {
    pub(crate) shape: Shape,
    pub(crate) ty: Ty,
    pub(crate) counter: u32,
    pub(crate) start: u64,
    pub(crate) step: u64,
    pub(crate) test: &'static BinaryOp,
    pub(crate) bound: Expr,
    /// Labels of a block around the loop and of one around its body.
    pub(crate) labels: Option<(u32, u32)>,
    pub(crate) body: Vec<Stmt>,
}

/// What a turn of a [`Cycle`] begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Head {
    /// A branch out of the loop, unless the test holds.
    Leave,
    /// An `if` with an arm for either outcome.
    Choose,
    /// The same, without an `else`.
    ChooseOne,
}

/// A loop that is continued from wherever its label is in reach. It ends because the test counts turns down, and holds only while
/// some are left; where it may not have held, branches back ask for that themselves.
#[derive(Clone, Debug)]
pub(crate) struct Cycle {
    /// That of the header, and of a block around.
    pub(crate) label: u32,
    pub(crate) exit: Option<u32>,
    /// Operands that the loop is entered with: their types, the first values, and locals that they go to.
    pub(crate) types: Vec<Ty>,
    pub(crate) first: Vec<Expr>,
    pub(crate) carried: Vec<u32>,
    pub(crate) counter: u32,
    pub(crate) turns: u64,
    pub(crate) head: Head,
    pub(crate) test: Expr,
    /// What follows the test if it holds and if not, and what follows both.
    pub(crate) yes: Vec<Stmt>,
    pub(crate) no: Vec<Stmt>,
    pub(crate) tail: Vec<Stmt>,
    /// Values that the loop ends with, if nothing branches out of it, and the locals that they go to.
    pub(crate) results: Vec<(Ty, Expr, u32)>,
}

#[derive(Clone, Debug)]
pub(crate) enum Stmt {
    Set(u32, Expr),
    /// All values first, then all sets, the last value first.
    SetAll(Vec<u32>, Vec<Expr>),
    SetGlobal(u32, Expr),
    Store(Access, Expr, u32, Expr),
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    Block(u32, Vec<Stmt>),
    Loop(Box<Loop>),
    /// Arms in nested blocks; the flag says whether an arm leaves or falls through to the next.
    Switch(Expr, Vec<(Vec<Stmt>, bool)>),
    /// A branch with values, which are dropped when it is not taken.
    BrIf(u32, Vec<Expr>, Expr),
    Br(u32, Vec<Expr>),
    /// To one of several labels that take the same types.
    BrTable(Vec<u32>, Vec<Expr>, Expr),
    /// A block whose label takes several values, which go to locals.
    Values {
        label: u32,
        types: Vec<Ty>,
        body: Vec<Stmt>,
        values: Vec<Expr>,
        to: Vec<u32>,
    },
    Cycle(Box<Cycle>),
    ReturnIf(Expr, Vec<Expr>),
    Drop(Expr),
    /// A call whose results all go to locals.
    CallSet(usize, Vec<Expr>, Vec<u32>),
    /// Throws an exception of a tag when the condition holds.
    ThrowIf(usize, Vec<Expr>, Expr),
    Try(Box<Try>),
    /// Throws again what a clause of that `try` has caught when the condition holds.
    RethrowIf(u32, Expr),
}

/// Types of the values of each tag's exceptions.
pub(crate) const TAGS: [&[Ty]; 4] = [&[], &[Ty::I32], &[Ty::F64, Ty::I64], &[Ty::I64, Ty::F32, Ty::I32]];

#[derive(Clone, Debug)]
pub(crate) struct Try {
    /// Whether it is written with the legacy operators.
    pub(crate) legacy: bool,
    /// That of its end.
    pub(crate) label: u32,
    pub(crate) body: Vec<Stmt>,
    pub(crate) handling: Handling,
}

#[derive(Clone, Debug)]
pub(crate) enum Handling {
    Clauses(Vec<Clause>),
    /// Legacy: to what is active around the structure with that label, or to the caller.
    Delegate(Option<u32>),
}

#[derive(Clone, Debug)]
pub(crate) struct Clause {
    /// The tag, or all.
    pub(crate) tag: Option<usize>,
    /// Where the values go.
    pub(crate) to: Vec<Option<u32>>,
    /// The reference, kept in a local of its own: by its number among those. Only in clauses that are not legacy.
    pub(crate) reference: Option<u32>,
    pub(crate) body: Vec<Stmt>,
}

#[derive(Clone, Debug)]
pub(crate) struct Function {
    pub(crate) params: Vec<Ty>,
    pub(crate) results: Vec<Ty>,
    /// Locals, parameters included.
    pub(crate) locals: Vec<Ty>,
    /// Vector locals behind them, never used: they move the slots that follow.
    pub(crate) vectors: u32,
    /// Locals behind those for references to exceptions.
    pub(crate) references: u32,
    pub(crate) body: Vec<Stmt>,
    pub(crate) end: End,
}

#[derive(Clone, Debug)]
pub(crate) enum End {
    Values(Vec<Expr>),
    TailCall(usize, Vec<Expr>),
}

#[derive(Clone, Debug)]
pub(crate) struct Program {
    pub(crate) functions: Vec<Function>,
    pub(crate) globals: Vec<(Ty, u64)>,
    pub(crate) data: Vec<u8>,
}
