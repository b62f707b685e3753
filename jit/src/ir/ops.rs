//! The one table of IR operations: name, number of arguments, effect.

/// How many arguments an operation has.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arity {
    /// That many, at most three.
    Fixed(u8),
    /// Any number, kept in the function's pool.
    Variadic,
}

/// What an operation does besides computing its result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Effect {
    /// Nothing: equal ones are the same value, and the schedule decides where it is computed.
    Pure,
    /// Stays at its place in its block but changes nothing and cannot trap (arguments, projections).
    Pinned,
    /// May trap, changes nothing.
    Trap,
    /// Reads memory; may trap if it reads guest memory.
    Read,
    /// Writes memory; may trap if it writes guest memory.
    Write,
    /// Runs code that may do anything.
    Call,
    /// Ends its block.
    Terminator,
}

macro_rules! ops {
    ($($(#[$doc:meta])* $name:ident $text:literal $arity:ident $(($n:literal))? $effect:ident;)*) => {
        /// An operation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        #[allow(missing_docs)] // those without a text are the specification's
        pub enum Op { $($(#[$doc])* $name,)* }
        impl Op {
            /// All operations.
            pub const ALL: &[Op] = &[$(Op::$name,)*];
            const INFO: &[(&'static str, Arity, Effect)] = &[$(($text, Arity::$arity $(($n))?, Effect::$effect),)*];
            /// Its name in listings.
            pub fn text(self) -> &'static str { Self::INFO[self as usize].0 }
            /// Number of arguments.
            pub fn arity(self) -> Arity { Self::INFO[self as usize].1 }
            /// What it does besides computing.
            pub fn effect(self) -> Effect { Self::INFO[self as usize].2 }
            /// Whether it is a call that an exception may come back from, `aux` being its field.
            pub fn is_catching(self, aux: u8) -> bool {
                matches!(self, Op::Call | Op::CallNear | Op::CallFar | Op::CallAny) && aux != 0
            }
            /// Whether it may float.
            pub fn is_pure(self) -> bool { self.effect() == Effect::Pure }
            /// Whether it ends a block.
            pub fn is_terminator(self) -> bool { self.effect() == Effect::Terminator }
        }
    };
}

ops! {
    /// Integer constant `imm` (i32: sign-extended into it).
    Iconst "iconst" Fixed(0) Pure;
    /// Float constant, bits in `imm`.
    Fconst "fconst" Fixed(0) Pure;
    /// Vector constant, index into `Func::vectors` in `imm`.
    Vconst "vconst" Fixed(0) Pure;
    /// Canonical id `idx` of a type of the module, an i32 or i64 that is not negative. It is no constant: code from a file may be given
    /// another one when it is loaded.
    TypeId "type_id" Fixed(0) Pure;
    /// The context pointer.
    Ctx "ctx" Fixed(0) Pure;
    /// Base of memory 0, when guarded.
    MemBase "membase" Fixed(0) Pure;
    /// Parameter of a block (in its list of parameters, not of instructions).
    Param "param" Fixed(0) Pinned;
    /// Argument `idx` of the function; in the entry block.
    Arg "arg" Fixed(0) Pinned;

    // Integers, i32 or i64 as the result's type. Shift counts are of the same type and taken modulo the width.
    Add "add" Fixed(2) Pure;
    Sub "sub" Fixed(2) Pure;
    Mul "mul" Fixed(2) Pure;
    /// Upper half of the signed product.
    MulHiS "mulhi_s" Fixed(2) Pure;
    /// Upper half of the unsigned product.
    MulHiU "mulhi_u" Fixed(2) Pure;
    And "and" Fixed(2) Pure;
    Or "or" Fixed(2) Pure;
    Xor "xor" Fixed(2) Pure;
    Shl "shl" Fixed(2) Pure;
    ShrS "shr_s" Fixed(2) Pure;
    ShrU "shr_u" Fixed(2) Pure;
    Rotl "rotl" Fixed(2) Pure;
    Rotr "rotr" Fixed(2) Pure;
    Clz "clz" Fixed(1) Pure;
    Ctz "ctz" Fixed(1) Pure;
    Popcnt "popcnt" Fixed(1) Pure;
    /// Sign-extends the lowest 8 bits (result i32 or i64, argument of the same type).
    Ext8S "ext8_s" Fixed(1) Pure;
    Ext16S "ext16_s" Fixed(1) Pure;
    /// i64 only.
    Ext32S "ext32_s" Fixed(1) Pure;
    /// Traps on zero, and `DivS` on overflow. Never emitted with a divisor that is a constant other than 0 or -1:
    /// simplification expands those (a constant divisor of 0 becomes a trap).
    DivS "div_s" Fixed(2) Trap;
    DivU "div_u" Fixed(2) Trap;
    RemS "rem_s" Fixed(2) Trap;
    RemU "rem_u" Fixed(2) Trap;
    /// i64 to i32.
    Wrap "wrap" Fixed(1) Pure;
    /// i32 to i64.
    ExtS "ext_s" Fixed(1) Pure;
    /// i32 to i64.
    ExtU "ext_u" Fixed(1) Pure;
    /// Comparison with condition `aux` ([`super::IntCc`]); i32 result.
    Icmp "icmp" Fixed(2) Pure;
    /// Comparison with condition `aux` ([`super::FloatCc`]); i32 result.
    Fcmp "fcmp" Fixed(2) Pure;
    /// Condition (i32, any value but 0 is true), value if so, value if not.
    Select "select" Fixed(3) Pure;

    // Floats, f32 or f64 as the result's type.
    FAdd "fadd" Fixed(2) Pure;
    FSub "fsub" Fixed(2) Pure;
    FMul "fmul" Fixed(2) Pure;
    FDiv "fdiv" Fixed(2) Pure;
    FMin "fmin" Fixed(2) Pure;
    FMax "fmax" Fixed(2) Pure;
    FCopysign "fcopysign" Fixed(2) Pure;
    FAbs "fabs" Fixed(1) Pure;
    FNeg "fneg" Fixed(1) Pure;
    FSqrt "fsqrt" Fixed(1) Pure;
    FCeil "fceil" Fixed(1) Pure;
    FFloor "ffloor" Fixed(1) Pure;
    FTrunc "ftrunc" Fixed(1) Pure;
    FNearest "fnearest" Fixed(1) Pure;
    /// f32 to f64.
    Promote "promote" Fixed(1) Pure;
    /// f64 to f32.
    Demote "demote" Fixed(1) Pure;
    /// Signed integer (by the argument's type) to float (by the result's type).
    SToF "s_to_f" Fixed(1) Pure;
    UToF "u_to_f" Fixed(1) Pure;
    /// Float to integer, both by their types; traps on NaN (`InvalidConversionToInteger`) and what does not fit (`IntegerOverflow`).
    FToS "f_to_s" Fixed(1) Trap;
    FToU "f_to_u" Fixed(1) Trap;
    FToSSat "f_to_s_sat" Fixed(1) Pure;
    FToUSat "f_to_u_sat" Fixed(1) Pure;
    /// Same bits, other type of the same width.
    Bitcast "bitcast" Fixed(1) Pure;

    // Vectors: `idx` is a `SimdOp`.
    VUn "v_un" Fixed(1) Pure;
    VBin "v_bin" Fixed(2) Pure;
    VTer "v_ter" Fixed(3) Pure;
    /// Vector, i32 count.
    VShift "v_shift" Fixed(2) Pure;
    /// Scalar.
    VSplat "v_splat" Fixed(1) Pure;
    /// Vector; lane in `aux`; scalar result.
    VExtract "v_extract" Fixed(1) Pure;
    /// Vector, scalar; lane in `aux`.
    VReplace "v_replace" Fixed(2) Pure;
    /// Two vectors; lanes in `Func::vectors[imm]`.
    VShuffle "v_shuffle" Fixed(2) Pure;
    /// Vector; i32 result.
    VTest "v_test" Fixed(1) Pure;

    // Memory. `aux` is a `MemKind`, which says width, extension and, with the type, the result.
    /// Guarded memory 0: i32 index, constant offset `imm` (u32). Traps by fault.
    Load "load" Fixed(1) Read;
    /// Guarded memory 0: i32 index, value.
    Store "store" Fixed(2) Write;
    /// At pointer + `imm` (i32); cannot trap. `idx` is an [`super::Alias`].
    PLoad "pload" Fixed(1) Read;
    /// Pointer, value; otherwise as `pload`.
    PStore "pstore" Fixed(2) Write;
    /// An element of an array: object, i64 index. At object + index * width + `imm`, the width being at most 8; otherwise as `pload`. The object
    /// stays an operand, so that no pointer into it is all that is left of it where garbage may be collected.
    ELoad "eload" Fixed(2) Read;
    /// Object, value, i64 index; otherwise as `eload`.
    EStore "estore" Fixed(3) Write;
    /// As `pload` of what never changes while the function runs and is valid at any time.
    CLoad "cload" Fixed(1) Pure;
    /// An i32 at pointer + `imm`, where the pointer may be null: traps then with code `aux`. Never changes.
    FLoad "fload" Fixed(1) Trap;
    /// Pointer (+ `imm`); sequentially consistent like all atomics. May fault.
    AtomicLoad "atomic_load" Fixed(1) Write;
    /// Pointer, value.
    AtomicStore "atomic_store" Fixed(2) Write;
    /// Pointer, value; `idx` is an [`super::Rmw`]; answers the old value.
    AtomicRmw "atomic_rmw" Fixed(2) Write;
    /// Pointer, expected, replacement, the latter two wrapped to the cell's width; returns the old value, zero-extended.
    AtomicCas "atomic_cas" Fixed(3) Write;
    Fence "fence" Fixed(0) Write;

    /// Traps with code `aux` when its i32 argument is not 0.
    TrapIf "trap_if" Fixed(1) Trap;
    /// Charges `imm` units of fuel, traps when that is more than is left.
    Fuel "fuel" Fixed(0) Trap;
    /// Looks at the interrupt flag.
    Poll "poll" Fixed(0) Trap;

    // Calls. The instruction's value is the first result; `proj` gives the others. `aux` is 1 when an exception may come back, for
    // which a `catch_edge` follows.
    /// Own function `idx` (in the module's index space).
    Call "call" Variadic Call;
    /// Through the reference that is the first argument, known to be of this instance; `idx` is the canonical type.
    CallNear "call_near" Variadic Call;
    /// Through the reference that is the first argument, known to be of the host or of another instance.
    CallFar "call_far" Variadic Call;
    /// Through the reference that is the first argument.
    CallAny "call_any" Variadic Call;
    /// Helper `idx` ([`crate::abi::Helper`]); the context is passed without being written down.
    Helper "helper" Variadic Call;
    /// Result `idx` (from 1) of the call that is its argument; directly behind it.
    Proj "proj" Fixed(1) Pinned;

    /// To block `idx` with arguments.
    Jump "jump" Variadic Terminator;
    /// To block `idx` if the i32 argument is not 0, else to block `imm`. Neither has parameters or other predecessors. `aux`: 1 when
    /// the first is likely, 2 when the second is.
    BrIf "br_if" Fixed(1) Terminator;
    /// By i32 index into `Func::tables[idx]`, the last of which is the default. Targets have no parameters or other predecessors.
    BrTable "br_table" Fixed(1) Terminator;
    /// To block `idx` if the call before it, which is marked and has nothing but its projections behind it, came back with an
    /// exception, which then is in the context; else to block `imm`, at no cost. The call has results in the latter only. Neither has
    /// parameters or other predecessors.
    /// `aux`: number, from 1, of the list in `Func::tags` of what is caught, or 0 for anything.
    CatchEdge "catch_edge" Fixed(0) Terminator;
    Return "return" Variadic Terminator;
    /// Traps with code `aux`.
    Trap "trap" Fixed(0) Terminator;
    TailCall "tail_call" Variadic Terminator;
    TailCallNear "tail_call_near" Variadic Terminator;
    TailCallFar "tail_call_far" Variadic Terminator;
    TailCallAny "tail_call_any" Variadic Terminator;
}
