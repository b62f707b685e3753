//! The intermediate representation: SSA with block parameters.
//!
//! A value is the instruction that makes it. Instructions with effects lie in blocks in order; pure ones float: equal ones
//! are one value (hash-consing), and only [`crate::schedule`] gives them places. Invariant: every value dominates its uses
//! (a floating one when its arguments do); a block with several successors has only successors with one
//! predecessor and without parameters.

pub mod cfg;
mod ops;
pub mod parse;
pub mod print;
pub mod simd;
pub mod tree;
pub mod verify;

pub use ops::{Arity, Effect, Op};
pub use simd::SimdOp;

use crate::Place;

/// The type of a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs)] // the names are the specification's
pub enum Type {
    /// No value.
    Void,
    I32,
    /// Also references and pointers.
    I64,
    F32,
    F64,
    V128,
}

impl Type {
    /// Whether it is i32 or i64.
    pub fn is_int(self) -> bool {
        matches!(self, Type::I32 | Type::I64)
    }
    /// Width in bytes.
    pub fn bytes(self) -> u32 {
        match self {
            Type::Void => 0,
            Type::I32 | Type::F32 => 4,
            Type::I64 | Type::F64 => 8,
            Type::V128 => 16,
        }
    }
    /// The type of WebAssembly values of a type.
    pub fn of(ty: wasm::ValType) -> Type {
        match ty {
            wasm::ValType::I32 => Type::I32,
            wasm::ValType::F32 => Type::F32,
            wasm::ValType::F64 => Type::F64,
            wasm::ValType::V128 => Type::V128,
            wasm::ValType::I64 | wasm::ValType::Ref(_) => Type::I64,
        }
    }
}

/// A value, and the instruction that makes it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Value(pub u32);

impl Value {
    /// No value.
    pub const NONE: Value = Value(u32::MAX);
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// A block.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub struct Block(pub u32);

impl Block {
    /// As an index.
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$d:meta])* $v:ident $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        #[allow(missing_docs)] // the names say it, or the text does
        pub enum $name { $($(#[$d])* $v,)* }
        impl $name {
            /// All of them.
            pub const ALL: &[$name] = &[$($name::$v,)*];
            /// From the number in an instruction's field.
            pub fn from_code(code: u8) -> $name { Self::ALL[code as usize] }
            /// Its name in listings.
            pub fn text(self) -> &'static str { match self { $($name::$v => $text,)* } }
        }
    };
}

codes! {
    /// Conditions of integer comparisons.
    IntCc { Eq "eq", Ne "ne", LtS "lt_s", LtU "lt_u", GtS "gt_s", GtU "gt_u", LeS "le_s", LeU "le_u", GeS "ge_s", GeU "ge_u", }
}

impl IntCc {
    /// The opposite condition.
    pub fn negate(self) -> IntCc {
        use IntCc::*;
        [Ne, Eq, GeS, GeU, LeS, LeU, GtS, GtU, LtS, LtU][self as usize]
    }
    /// The condition with the operands exchanged.
    pub fn swap(self) -> IntCc {
        use IntCc::*;
        [Eq, Ne, GtS, GtU, LtS, LtU, GeS, GeU, LeS, LeU][self as usize]
    }
}

codes! {
    /// Conditions of float comparisons. All but `Ne` are false when an operand is NaN; those that begin with U are the negations of the
    /// others and true then.
    FloatCc { Eq "eq", Ne "ne", Lt "lt", Gt "gt", Le "le", Ge "ge", Uge "uge", Ule "ule", Ugt "ugt", Ult "ult", }
}

impl FloatCc {
    /// The opposite condition.
    pub fn negate(self) -> FloatCc {
        use FloatCc::*;
        [Ne, Eq, Uge, Ule, Ugt, Ult, Lt, Gt, Le, Ge][self as usize]
    }
    /// The condition with the operands exchanged.
    pub fn swap(self) -> FloatCc {
        use FloatCc::*;
        [Eq, Ne, Gt, Lt, Ge, Le, Ule, Uge, Ult, Ugt][self as usize]
    }
}

codes! {
    /// What a memory access reads or writes. With the instruction's type (for stores: the value's type) it says everything:
    /// `Whole` is the type's own width; the others are narrower and extend (loads) or truncate (stores; either signedness).
    MemKind {
        Whole "", S8 "8_s", U8 "8_u", S16 "16_s", U16 "16_u", S32 "32_s", U32 "32_u",
        /// Vector loads that extend 64 bits.
        V8x8S "8x8_s", V8x8U "8x8_u", V16x4S "16x4_s", V16x4U "16x4_u", V32x2S "32x2_s", V32x2U "32x2_u",
        /// Vector loads of one lane into all.
        Splat8 "8_splat", Splat16 "16_splat", Splat32 "32_splat", Splat64 "64_splat",
        /// Vector loads of one lane, the others zero.
        Zero32 "32_zero", Zero64 "64_zero",
    }
}

impl MemKind {
    /// Bytes accessed, for a value of that type.
    pub fn bytes(self, ty: Type) -> u32 {
        use MemKind::*;
        match self {
            Whole => ty.bytes(),
            S8 | U8 | Splat8 => 1,
            S16 | U16 | Splat16 => 2,
            S32 | U32 | Splat32 | Zero32 => 4,
            _ => 8,
        }
    }
}

codes! {
    /// What pointer accesses reach; those of different classes never overlap.
    Alias {
        /// Globals of the instance.
        Global "global",
        /// Base and length of memories.
        MemoryDesc "memory_desc",
        /// Base and length of tables.
        TableDesc "table_desc",
        /// Elements of tables.
        Table "table",
        /// Linear memories other than guarded memory 0.
        Memory "memory",
        /// Fields of structs that can be written.
        Field "field",
        /// Elements of arrays that can be written.
        Element "element",
        /// What never changes in an object once it is made: its type, the length of an array, fields and elements that cannot be written.
        Fixed "fixed",
        /// The argument area, frames of the interpreter: whatever is not of interest to load elimination.
        Other "other",
    }
}

codes! {
    /// What an atomic read-modify-write does.
    Rmw { Add "add", Sub "sub", And "and", Or "or", Xor "xor", Xchg "xchg", }
}

/// One instruction. Which fields mean something, and what, is in the table of operations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Inst {
    /// What it does.
    pub op: Op,
    /// Type of its value.
    pub ty: Type,
    /// A condition, kind, lane or trap code.
    pub aux: u8,
    /// An index: of a function, block, type, helper, vector operation.
    pub idx: u32,
    /// Arguments; for variadic operations start and length in the pool.
    pub args: [Value; 3],
    /// A constant, offset, or second index.
    pub imm: i64,
    /// Offset in the module of the WebAssembly instruction it was made for.
    pub pos: u32,
}

impl Inst {
    /// An instruction without arguments or immediates, to be completed by struct update.
    pub fn new(op: Op, ty: Type) -> Inst {
        Inst { op, ty, aux: 0, idx: 0, args: [Value::NONE; 3], imm: 0, pos: 0 }
    }
}

/// A block.
#[derive(Clone, Default, Debug)]
pub struct BlockData {
    /// Values defined on entry.
    pub params: Vec<Value>,
    /// Instructions with effects, the terminator last; after scheduling, all.
    pub insts: Vec<Value>,
    /// Blocks that may come before.
    pub preds: Vec<Block>,
    /// Whether it is expected to run rarely.
    pub cold: bool,
}

/// A function.
#[derive(Clone, Debug, Default)]
pub struct Func {
    /// Instructions by the number of their value.
    pub insts: Vec<Inst>,
    /// Blocks; the first is the entry.
    pub blocks: Vec<BlockData>,
    /// Arguments of variadic instructions.
    pub pool: Vec<Value>,
    /// Vector constants and shuffle masks.
    pub vectors: Vec<u128>,
    /// Targets of `br_table`s.
    pub tables: Vec<Vec<Block>>,
    /// Types of the function's parameters.
    pub params: Vec<Type>,
    /// Types of its results.
    pub results: Vec<Type>,
    /// Lists of tags for [`Op::CatchEdge`].
    pub tags: Vec<Box<[u32]>>,
    /// Places in functions built into this one.
    pub places: Vec<Place>,
    cons: Cons,
}

/// The table of pure instructions: open addressing over value numbers.
#[derive(Clone, Debug, Default)]
struct Cons {
    slots: Vec<u32>,
    used: usize,
}

fn hash(i: &Inst) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut h = u64::from(i.op as u8) | u64::from(i.ty as u8) << 8 | u64::from(i.aux) << 16 | u64::from(i.idx) << 32;
    for word in [u64::from(i.args[0].0) | u64::from(i.args[1].0) << 32, u64::from(i.args[2].0), i.imm as u64] {
        h = (h.rotate_left(5) ^ word).wrapping_mul(K);
    }
    h ^ h >> 29
}

impl Func {
    /// An empty function with its entry block.
    pub fn new() -> Func {
        Func { blocks: vec![BlockData::default()], ..Func::default() }
    }
    /// The position of a place, as which equal ones that follow each other are one.
    pub fn place(&mut self, place: Place) -> u32 {
        if self.places.last() != Some(&place) {
            self.places.push(place);
        }
        Place::INLINED + self.places.len() as u32 - 1
    }
    /// The first block.
    pub const ENTRY: Block = Block(0);

    /// The instruction that makes a value.
    pub fn inst(&self, v: Value) -> &Inst {
        &self.insts[v.index()]
    }
    /// A value's type.
    pub fn ty(&self, v: Value) -> Type {
        self.insts[v.index()].ty
    }
    /// The arguments of an instruction.
    pub fn args(&self, v: Value) -> &[Value] {
        let i = &self.insts[v.index()];
        match i.op.arity() {
            Arity::Fixed(n) => &i.args[..n as usize],
            Arity::Variadic => &self.pool[i.args[0].index()..][..i.args[1].index()],
        }
    }
    /// The arguments of an instruction, to be changed.
    pub fn args_mut(&mut self, v: Value) -> &mut [Value] {
        let i = &mut self.insts[v.index()];
        match i.op.arity() {
            Arity::Fixed(n) => &mut i.args[..n as usize],
            Arity::Variadic => &mut self.pool[i.args[0].index()..][..i.args[1].index()],
        }
    }
    /// A new block.
    pub fn new_block(&mut self) -> Block {
        self.blocks.push(BlockData::default());
        Block(self.blocks.len() as u32 - 1)
    }
    /// A new parameter of a block.
    pub fn new_param(&mut self, block: Block, ty: Type) -> Value {
        let v = self.raw(Inst { idx: block.0, ..Inst::new(Op::Param, ty) });
        self.blocks[block.index()].params.push(v);
        v
    }
    /// Adds an instruction that is in no block yet.
    pub fn raw(&mut self, inst: Inst) -> Value {
        self.insts.push(inst);
        Value(self.insts.len() as u32 - 1)
    }
    /// Puts arguments into the pool, for the fields of a variadic instruction.
    pub fn list(&mut self, args: &[Value]) -> [Value; 3] {
        let start = self.pool.len() as u32;
        self.pool.extend_from_slice(args);
        [Value(start), Value(args.len() as u32), Value::NONE]
    }
    /// The pure instruction that equals this one, made if there is none. Does not simplify.
    pub fn pure(&mut self, inst: Inst) -> Value {
        debug_assert!(inst.op.is_pure());
        if (self.cons.used + 1) * 2 > self.cons.slots.len() {
            self.grow_cons();
        }
        let mask = self.cons.slots.len() - 1;
        let mut at = hash(&inst) as usize & mask;
        loop {
            match self.cons.slots[at] {
                u32::MAX => break,
                v => {
                    let known = &self.insts[v as usize];
                    if (Inst { pos: known.pos, ..inst }) == *known {
                        return Value(v);
                    }
                }
            }
            at = (at + 1) & mask;
        }
        let v = self.raw(inst);
        self.cons.slots[at] = v.0;
        self.cons.used += 1;
        v
    }
    fn grow_cons(&mut self) {
        let old = std::mem::take(&mut self.cons.slots);
        let size = (old.len() * 2).max(256);
        self.cons.slots = vec![u32::MAX; size];
        for v in old.into_iter().filter(|&v| v != u32::MAX) {
            let mut at = hash(&self.insts[v as usize]) as usize & (size - 1);
            while self.cons.slots[at] != u32::MAX {
                at = (at + 1) & (size - 1);
            }
            self.cons.slots[at] = v;
        }
    }
    /// Forgets which pure instructions exist: to be called by a pass that has changed arguments in place. Later ones
    /// are then made anew.
    pub fn forget_pure(&mut self) {
        self.cons = Cons::default();
    }
    /// An i32 or i64 constant.
    pub fn iconst(&mut self, ty: Type, imm: i64) -> Value {
        let imm = if ty == Type::I32 { i64::from(imm as i32) } else { imm };
        self.pure(Inst { imm, ..Inst::new(Op::Iconst, ty) })
    }
    /// The value of an integer constant (i32: sign-extended).
    pub fn as_iconst(&self, v: Value) -> Option<i64> {
        let i = self.inst(v);
        (i.op == Op::Iconst).then_some(i.imm)
    }
    /// A vector constant's index in `vectors`.
    pub fn vector(&mut self, bits: u128) -> i64 {
        // The last few are likely to be asked for again.
        let start = self.vectors.len().saturating_sub(32);
        if let Some(i) = self.vectors[start..].iter().position(|&v| v == bits) {
            return (start + i) as i64;
        }
        self.vectors.push(bits);
        self.vectors.len() as i64 - 1
    }
    /// Appends an instruction with effects to a block.
    pub fn push(&mut self, block: Block, inst: Inst) -> Value {
        let v = self.raw(inst);
        self.blocks[block.index()].insts.push(v);
        v
    }
    /// The terminator of a block, if it has one.
    pub fn terminator(&self, block: Block) -> Option<Value> {
        self.blocks[block.index()].insts.last().copied().filter(|&v| self.inst(v).op.is_terminator())
    }
    /// The call that a block ends with, and its projections, if an exception may come back from it.
    pub fn catching_call(&self, block: Block) -> Option<&[Value]> {
        let insts = &self.blocks[block.index()].insts;
        let (&last, rest) = insts.split_last().filter(|(t, _)| self.inst(**t).op == Op::CatchEdge)?;
        debug_assert!(self.inst(last).op.is_terminator());
        let call = rest.iter().rposition(|&v| self.inst(v).op != Op::Proj)?;
        (self.inst(rest[call]).op.effect() == Effect::Call).then_some(&rest[call..])
    }
    /// Calls `f` with each successor of a block.
    pub fn successors(&self, block: Block, mut f: impl FnMut(Block)) {
        let Some(t) = self.terminator(block) else { return };
        let i = self.inst(t);
        match i.op {
            Op::Jump => f(Block(i.idx)),
            Op::BrIf | Op::CatchEdge => {
                f(Block(i.idx));
                f(Block(i.imm as u32));
            }
            Op::BrTable => self.tables[i.idx as usize].iter().for_each(|&b| f(b)),
            _ => {}
        }
    }
}
