//! The instruction set: one entry per operation, with its name, the classes of its operands and result, the handlers of
//! its forms, and how to print it. Translator, printer and checks derive from it.

use super::dispatch::{Class, Handler, Reg};
use super::exec::chain::{self, chains, load_chains};
use super::exec::num::{Binary, Compare, Unary, binary_ops, canonical_ops, compare_ops, op, trapping_ops, unary_ops};
use super::exec::{access, atomic, bulk, call, control, exception, gc, memory, num, vector};
use super::simd::ops::*;

/// What the fields of an instruction mean, for the printer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Shape {
    /// a, then a pair by form ([`PAIR`]), destination in the form's lowest bit.
    Binary,
    /// A pair by form, then negation and direction; offset in x.
    Branch,
    /// a, and three operands by form; destination in the form's lowest bit.
    Chain,
    /// a, an address, and another operand in c; destination in the form's lowest bit.
    LoadChain,
    /// a, b or accumulator; destination in the form's lowest bit.
    Unary,
    /// a, address by form.
    Load,
    /// Address and value by form.
    Store,
    /// The named fields, in order.
    Fields(&'static str),
}

/// One operation.
pub(crate) struct OpInfo {
    pub(crate) name: &'static str,
    pub(crate) shape: Shape,
    /// Class of the first operand.
    pub(crate) input: Class,
    /// Class of the result.
    pub(crate) output: Class,
    pub(crate) forms: &'static [Handler],
}

/// A reference to an operation; operations are told apart by address.
pub(crate) type Op = &'static OpInfo;

/// Whether both are the same operation.
pub(crate) fn same(a: Op, b: Op) -> bool {
    std::ptr::eq(a, b)
}

/// Pairs of operands, in the order of the forms of `Binary` and (the first five) `Branch`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum PairForm {
    SlotSlot = 0,
    AccSlot = 1,
    SlotAcc = 2,
    SlotImm = 3,
    AccImm = 4,
    ImmSlot = 5,
    ImmAcc = 6,
    SlotWide = 7,
    AccWide = 8,
    WideSlot = 9,
    WideAcc = 10,
}

impl PairForm {
    pub(crate) fn of_binary(form: u8) -> PairForm {
        use PairForm::*;
        [SlotSlot, AccSlot, SlotAcc, SlotImm, AccImm, ImmSlot, ImmAcc, SlotWide, AccWide, WideSlot, WideAcc]
            [usize::from(form >> 1)]
    }
}

/// Addresses of loads, in the order of their forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum LoadForm {
    Slot = 0,
    Acc = 1,
    Sum = 2,
    SumAcc = 3,
    Absolute = 4,
    Scaled = 5,
    ScaledAcc = 6,
    Wrapped = 7,
    WrappedAcc = 8,
}

/// Address and value of stores, in the order of their forms.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum StoreForm {
    SlotSlot = 0,
    AccSlot = 1,
    SlotAcc = 2,
    SlotImm = 3,
    AccImm = 4,
    AccAcc = 5,
    SumSlot = 6,
    AbsoluteSlot = 7,
    AbsoluteAcc = 8,
    AbsoluteImm = 9,
    ScaledSlot = 10,
    WrappedSlot = 11,
    WrappedImm = 12,
}

macro_rules! binary_infos {
    ($($name:ident: $a:ty, $b:ty => $r:ty, |$x:ident, $y:ident| $e:expr;)*) => { $(
        pub(crate) static $name: OpInfo = OpInfo {
            name: stringify!($name),
            shape: Shape::Binary,
            input: <<op::$name as Binary>::A as Reg>::CLASS,
            output: <<op::$name as Binary>::R as Reg>::CLASS,
            forms: if is_64_bit(stringify!($name)) {
                num::Forms::<op::$name>::BINARY
            } else {
                num::Forms::<op::$name>::BINARY_32
            },
        };
    )* };
}

/// Whether constants of an operation may need 64 bits.
const fn is_64_bit(name: &str) -> bool {
    let n = name.as_bytes();
    n[1] == b'6'
}
macro_rules! compare_infos {
    ($($name:ident $br:ident: $a:ty, |$x:ident, $y:ident| $e:expr;)*) => { $(
        pub(crate) static $name: OpInfo = OpInfo {
            name: stringify!($name),
            shape: Shape::Binary,
            input: <<op::$name as Compare>::A as Reg>::CLASS,
            output: Class::Int,
            forms: num::Forms::<op::Truth<op::$name>>::BINARY_32,
        };
        pub(crate) static $br: OpInfo = OpInfo {
            name: stringify!($br),
            shape: Shape::Branch,
            input: <<op::$name as Compare>::A as Reg>::CLASS,
            output: Class::Int,
            forms: num::Forms::<op::$name>::BRANCH,
        };
    )*
        /// Comparisons with their branching forms.
        pub(crate) static COMPARISONS: &[(Op, Op)] = &[$((&$name, &$br)),*];
    };
}
macro_rules! unary_infos {
    ($($name:ident: $a:ty => $r:ty, |$x:ident| $e:expr;)*) => { $(
        pub(crate) static $name: OpInfo = OpInfo {
            name: stringify!($name),
            shape: Shape::Unary,
            input: <<op::$name as Unary>::A as Reg>::CLASS,
            output: <<op::$name as Unary>::R as Reg>::CLASS,
            forms: num::UnaryForms::<op::$name>::ALL,
        };
    )* };
}

/// Scalar accesses: `WebAssembly name, checked name, access`.
macro_rules! accesses {
    ($m:ident) => {
        $m! {
            load I32Load I32LoadChecked A32;
            load I64Load I64LoadChecked A64;
            load F32Load F32LoadChecked AF32;
            load F64Load F64LoadChecked AF64;
            load I32Load8S I32Load8SChecked A32I8;
            load I32Load8U I32Load8UChecked A32U8;
            load I32Load16S I32Load16SChecked A32I16;
            load I32Load16U I32Load16UChecked A32U16;
            load I64Load8S I64Load8SChecked A64I8;
            load I64Load8U I64Load8UChecked A64U8;
            load I64Load16S I64Load16SChecked A64I16;
            load I64Load16U I64Load16UChecked A64U16;
            load I64Load32S I64Load32SChecked A64I32;
            load I64Load32U I64Load32UChecked A64U32;
            store I32Store I32StoreChecked A32;
            store I64Store I64StoreChecked A64;
            store F32Store F32StoreChecked AF32;
            store F64Store F64StoreChecked AF64;
            store I32Store8 I32Store8Checked A32U8;
            store I32Store16 I32Store16Checked A32U16;
            store I64Store8 I64Store8Checked A64U8;
            store I64Store16 I64Store16Checked A64U16;
            store I64Store32 I64Store32Checked A64U32;
        }
    };
}
pub(crate) use accesses;

macro_rules! access_infos {
    ($($kind:ident $name:ident $checked:ident $x:ident;)*) => { $( access_infos!(@$kind $name $checked $x); )* };
    (@load $name:ident $checked:ident $x:ident) => {
        pub(crate) static $name: OpInfo = OpInfo {
            name: stringify!($name),
            shape: Shape::Load,
            input: Class::Int,
            output: <<access::$x as access::Access>::R as Reg>::CLASS,
            forms: memory::Forms::<access::$x>::LOAD,
        };
        pub(crate) static $checked: OpInfo = OpInfo {
            name: stringify!($checked),
            shape: Shape::Unary,
            input: Class::Int,
            output: <<access::$x as access::Access>::R as Reg>::CLASS,
            forms: memory::Forms::<access::$x>::LOAD_CHECKED,
        };
    };
    (@store $name:ident $checked:ident $x:ident) => {
        pub(crate) static $name: OpInfo = OpInfo {
            name: stringify!($name),
            shape: Shape::Store,
            input: <<access::$x as access::Access>::R as Reg>::CLASS,
            output: Class::Int,
            forms: memory::Forms::<access::$x>::STORE,
        };
        pub(crate) static $checked: OpInfo = OpInfo {
            name: stringify!($checked),
            shape: Shape::Fields("ab"),
            input: <<access::$x as access::Access>::R as Reg>::CLASS,
            output: Class::Int,
            forms: memory::Forms::<access::$x>::STORE_CHECKED,
        };
    };
}

/// Kinds of cells in objects, with the accesses to fields and elements of each.
macro_rules! cells {
    ($m:ident) => {
        $m! {
            C8S StructGet8S StructSet8S ArrayGet8S ArraySet8S;
            C8U StructGet8 StructSet8 ArrayGet8 ArraySet8;
            C16S StructGet16S StructSet16S ArrayGet16S ArraySet16S;
            C16U StructGet16 StructSet16 ArrayGet16 ArraySet16;
            C32 StructGet32 StructSet32 ArrayGet32 ArraySet32;
            C64 StructGet64 StructSet64 ArrayGet64 ArraySet64;
            CF32 StructGetF32 StructSetF32 ArrayGetF32 ArraySetF32;
            CF64 StructGetF64 StructSetF64 ArrayGetF64 ArraySetF64;
        }
    };
}

macro_rules! cell_infos {
    ($($cell:ident $get:ident $set:ident $array_get:ident $array_set:ident;)*) => {
        $(
            pub(crate) static $get: OpInfo = OpInfo {
                name: stringify!($get),
                shape: Shape::Load,
                input: Class::Int,
                output: <<gc::$cell as gc::Cell>::R as Reg>::CLASS,
                forms: gc::Forms::<gc::$cell>::STRUCT_GET,
            };
            pub(crate) static $set: OpInfo = OpInfo {
                name: stringify!($set),
                shape: Shape::Fields("abx"),
                input: <<gc::$cell as gc::Cell>::R as Reg>::CLASS,
                output: Class::Int,
                forms: gc::Forms::<gc::$cell>::STRUCT_SET,
            };
            pub(crate) static $array_get: OpInfo = OpInfo {
                name: stringify!($array_get),
                shape: Shape::Binary,
                input: Class::Int,
                output: <<gc::$cell as gc::Cell>::R as Reg>::CLASS,
                forms: gc::Forms::<gc::$cell>::ARRAY_GET,
            };
            pub(crate) static $array_set: OpInfo = OpInfo {
                name: stringify!($array_set),
                shape: Shape::Fields("abc"),
                input: <<gc::$cell as gc::Cell>::R as Reg>::CLASS,
                output: Class::Int,
                forms: gc::Forms::<gc::$cell>::ARRAY_SET,
            };
        )*
        /// By kind of cell: get and set of fields, then of elements.
        pub(crate) static CELLS: &[[Op; 4]] = &[$([&$get, &$set, &$array_get, &$array_set]),*];
    };
}

macro_rules! plain {
    ($($name:ident $fields:literal $class:ident $forms:expr;)*) => { $(
        pub(crate) static $name: OpInfo = OpInfo {
            name: stringify!($name),
            shape: Shape::Fields($fields),
            input: Class::Int,
            output: Class::$class,
            forms: $forms,
        };
    )* };
}

macro_rules! vector_infos {
    ($fields:literal $out:ident $forms:ident: $($name:ident $($rest:ident)*;)*) => { $(
        pub(crate) static $name: OpInfo = OpInfo {
            name: stringify!($name),
            shape: Shape::Fields($fields),
            input: Class::V128,
            output: Class::$out,
            forms: vector::Forms::<vector::op::$name>::$forms,
        };
    )* };
}

/// The entries.
#[allow(non_upper_case_globals)]
pub(crate) mod ops {
    use super::*;
    use crate::interp::exec::control::Typed;

    macro_rules! chain_infos {
        ($($first:ident $second:ident $name:ident: $t:ty;)*) => {
            $(
                pub(crate) static $name: OpInfo = OpInfo {
                    name: stringify!($name),
                    shape: Shape::Chain,
                    input: <$t as Reg>::CLASS,
                    output: <$t as Reg>::CLASS,
                    forms: chain::Forms::<chain::pair::$name>::ALL,
                };
            )*
            /// Pairs of operations with the instruction that does both.
            pub(crate) static CHAINS: &[(Op, Op, Op)] = &[$((&$first, &$second, &$name)),*];
        };
    }
    chains!(chain_infos);

    macro_rules! load_chain_infos {
        ($($load:ident $second:ident $name:ident: $x:ident, $t:ty;)*) => {
            $(
                pub(crate) static $name: OpInfo = OpInfo {
                    name: stringify!($name),
                    shape: Shape::LoadChain,
                    input: <$t as Reg>::CLASS,
                    output: <$t as Reg>::CLASS,
                    forms: chain::LoadForms::<chain::load::$name>::ALL,
                };
            )*
            /// Loads and operations on what they load, with the instruction that does both.
            pub(crate) static LOAD_CHAINS: &[(Op, Op, Op)] = &[$((&$load, &$second, &$name)),*];
        };
    }
    load_chains!(load_chain_infos);
    binary_ops!(binary_infos);
    trapping_ops!(binary_infos);
    compare_ops!(compare_infos);
    unary_ops!(unary_infos);
    canonical_ops!(unary_infos);
    accesses!(access_infos);
    cells!(cell_infos);

    /// Whether a reference is of a type.
    pub(crate) static RefTest: OpInfo =
        OpInfo { name: "RefTest", shape: Shape::Unary, input: Class::Int, output: Class::Int, forms: gc::REF_TEST };
    /// The length of an array.
    pub(crate) static ArrayLen: OpInfo =
        OpInfo { name: "ArrayLen", shape: Shape::Unary, input: Class::Int, output: Class::Int, forms: gc::ARRAY_LEN };

    plain! {
        Enter "abx" Int control::ENTER;
        EnterLarge "ax" Int &[control::enter_large];
        ReturnNone "a" Int &[control::return_none];
        ReturnInt "ab" Int Typed::<u64>::RETURN;
        ReturnF32 "ab" F32 Typed::<f32>::RETURN;
        ReturnF64 "ab" F64 Typed::<f64>::RETURN;
        ReturnImm "ax" Int &[control::return_imm];
        ReturnMany "abx" Int &[control::return_many];
        Br "o" Int &[control::br, control::br_back];
        AddBranch "abcd" Int num::ADD_BRANCH;
        BrTable "ax" Int control::BR_TABLE;
        Unreachable "" Int &[control::unreachable];
        Unsupported "" Int &[control::unsupported];
        Throw "fx" Int &[exception::throw];
        ThrowRef "a" Int &[exception::throw_ref];
        Fuel "x" Int &[control::fuel];
        Copy "ab" Int &[control::copy];
        CopyTwo "abcd" Int &[control::copy_two];
        CopyV128 "ab" V128 &[control::copy_v128];
        CopyFar "" Int &[control::copy_far];
        CopyMany "x" Int &[control::copy_many];
        Spill "a" Int control::SPILL;
        Const32 "ax" Int &[control::const32];
        Const64 "a" Int &[control::const64];
        Const128 "a" V128 &[control::const128];
        SelectInt "abcd" Int Typed::<u64>::SELECT;
        SelectF32 "abcd" F32 Typed::<f32>::SELECT;
        SelectF64 "abcd" F64 Typed::<f64>::SELECT;
        SelectV128 "abcd" V128 control::SELECT_V128;
        GlobalGetInt "ax" Int Typed::<u64>::GLOBAL_GET;
        GlobalGetF32 "ax" F32 Typed::<f32>::GLOBAL_GET;
        GlobalGetF64 "ax" F64 Typed::<f64>::GLOBAL_GET;
        GlobalGetV128 "ax" V128 &[control::global_get_v128];
        GlobalSetInt "ax" Int Typed::<u64>::GLOBAL_SET;
        GlobalSetF32 "ax" F32 Typed::<f32>::GLOBAL_SET;
        GlobalSetF64 "ax" F64 Typed::<f64>::GLOBAL_SET;
        GlobalSetV128 "ax" V128 &[control::global_set_v128];
        Call "fx" Int &[call::call];
        CallImport "fx" Int &[call::call_import];
        CallIndirect "abx" Int call::CALL_INDIRECT;
        CallRef "ax" Int &[call::call_ref];
        ReturnCall "f" Int &[call::return_call];
        ReturnCallImport "f" Int &[call::return_call_import];
        ReturnCallIndirect "abx" Int &[call::return_call_indirect];
        ReturnCallRef "a" Int &[call::return_call_ref];
        MemorySize "ax" Int bulk::MEMORY_SIZE;
        MemoryGrow "abx" Int &[bulk::memory_grow];
        MemoryFill "abcd" Int &[bulk::memory_fill];
        MemoryCopy "abcd" Int &[bulk::memory_copy];
        MemoryInit "abcd" Int &[bulk::memory_init];
        DataDrop "x" Int &[bulk::data_drop];
        ElemDrop "x" Int &[bulk::elem_drop];
        TableInit "abcd" Int &[bulk::table_init];
        TableCopy "abc" Int &[bulk::table_copy];
        TableFill "abcd" Int &[bulk::table_fill];
        TableGet "abx" Int &[bulk::table_get];
        TableSet "abx" Int &[bulk::table_set];
        TableSize "ax" Int &[bulk::table_size];
        TableGrow "abcd" Int &[bulk::table_grow];
        RefFunc "ax" Int &[bulk::ref_func];
        RefAsNonNull "a" Int &[bulk::ref_as_non_null];
        RefCast "ax" Int gc::REF_CAST;
        StructGetV128 "abx" V128 &[gc::struct_get_v128];
        StructSetV128 "abx" V128 &[gc::struct_set_v128];
        ArrayGetV128 "abc" V128 &[gc::array_get_v128];
        ArraySetV128 "abc" V128 &[gc::array_set_v128];
        StructNew "ax" Int &[gc::struct_new];
        StructNewDefault "ax" Int &[gc::struct_new_default];
        ArrayNew "ax" Int &[gc::array_new];
        ArrayNewDefault "ax" Int &[gc::array_new_default];
        ArrayNewFixed "ax" Int &[gc::array_new_fixed];
        ArrayNewData "ax" Int &[gc::array_new_data];
        ArrayNewElem "ax" Int &[gc::array_new_elem];
        ArrayFill "x" Int &[gc::array_fill];
        ArrayCopy "x" Int &[gc::array_copy];
        ArrayInitData "x" Int &[gc::array_init_data];
        ArrayInitElem "x" Int &[gc::array_init_elem];
        AddSub128 "ab" Int &[bulk::add_sub_128];
        MulWide "ab" Int &[bulk::mul_wide];
        AtomicLoad "ab" Int atomic::LOAD;
        AtomicStore "bc" Int atomic::STORE;
        AtomicAdd "abc" Int atomic::ADD;
        AtomicSub "abc" Int atomic::SUB;
        AtomicAnd "abc" Int atomic::AND;
        AtomicOr "abc" Int atomic::OR;
        AtomicXor "abc" Int atomic::XOR;
        AtomicXchg "abc" Int atomic::XCHG;
        AtomicCmpxchg "abcd" Int atomic::CMPXCHG;
        AtomicNotify "abc" Int &[atomic::notify];
        AtomicWait "abcd" Int atomic::WAIT;
        AtomicFence "" Int &[atomic::atomic_fence];
        Shuffle "abc" V128 &[vector::shuffle];
        V128Load "abcd" V128 memory::V128_LOAD;
        V128Store "abcd" V128 memory::V128_STORE;
        V128LoadChecked "abc" V128 &[vector::load_v128];
        V128StoreChecked "abc" V128 &[vector::store_v128];
        V128LoadWiden "abc" V128 vector::LOADS;
        V128LoadLane "abcd" V128 vector::LOAD_LANE;
        V128StoreLane "abcd" V128 vector::STORE_LANE;
    }

    /// Comparisons that can end a counted loop, in the order of the forms of `AddBranch`.
    pub(crate) static COUNTING: [Op; 10] =
        [&BrI32Eq, &BrI32Ne, &BrI32LtS, &BrI32LtU, &BrI32GtS, &BrI32GtU, &BrI32LeS, &BrI32LeU, &BrI32GeS, &BrI32GeU];

    macro_rules! unary { ($($t:tt)*) => { vector_infos! { "ab" V128 UNARY: $($t)* } } }
    macro_rules! binary { ($($t:tt)*) => { vector_infos! { "abc" V128 BINARY: $($t)* } } }
    macro_rules! ternary { ($($t:tt)*) => { vector_infos! { "abcd" V128 TERNARY: $($t)* } } }
    macro_rules! shift { ($($t:tt)*) => { vector_infos! { "abc" V128 SHIFT: $($t)* } } }
    macro_rules! test { ($($t:tt)*) => { vector_infos! { "ab" Int TEST: $($t)* } } }
    macro_rules! splat { ($($t:tt)*) => { vector_infos! { "ab" V128 SPLAT: $($t)* } } }
    macro_rules! replace { ($($t:tt)*) => { vector_infos! { "abcd" V128 REPLACE: $($t)* } } }
    macro_rules! extract {
        ($($name:ident $t:ident $f:ident;)*) => { $(
            pub(crate) static $name: OpInfo = OpInfo {
                name: stringify!($name),
                shape: Shape::Fields("abd"),
                input: Class::V128,
                output: <$t as Reg>::CLASS,
                forms: vector::Forms::<vector::op::$name>::EXTRACT,
            };
        )* };
    }
    simd_unary!(unary);
    simd_canonical!(unary);
    simd_binary!(binary);
    simd_ternary!(ternary);
    simd_shift!(shift);
    simd_test!(test);
    simd_splat!(splat);
    simd_extract!(extract);
    simd_replace!(replace);
}
