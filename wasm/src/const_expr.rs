//! Constant expressions: initialisers of globals, tables, and segment offsets.

use crate::types::{HeapType, TypeId, ValType};
use serde::{Deserialize, Serialize};

/// A constant expression: a short program for a stack machine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ConstExpr(pub Box<[ConstOp]>);

/// One instruction of a constant expression.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[allow(missing_docs)] // each is the instruction of that name
pub enum ConstOp {
    I32Const(i32),
    I64Const(i64),
    F32Const(u32),
    F64Const(u64),
    V128Const(u128),
    RefNull(HeapType),
    RefFunc(u32),
    GlobalGet(u32),
    I32Add,
    I32Sub,
    I32Mul,
    I64Add,
    I64Sub,
    I64Mul,
    StructNew(TypeId),
    StructNewDefault(TypeId),
    ArrayNew(TypeId),
    ArrayNewDefault(TypeId),
    /// With the number of elements.
    ArrayNewFixed(TypeId, u32),
    RefI31,
    AnyConvertExtern,
    ExternConvertAny,
}

impl ConstExpr {
    /// Whether evaluating it makes objects, so that doing so twice is not the same as doing so once.
    pub fn allocates(&self) -> bool {
        use ConstOp as C;
        self.0.iter().any(|op| {
            matches!(
                op,
                C::StructNew(_)
                    | C::StructNewDefault(_)
                    | C::ArrayNew(_)
                    | C::ArrayNewDefault(_)
                    | C::ArrayNewFixed(..)
            )
        })
    }

    /// The expression that yields the default value of a type.
    pub fn default_of(ty: ValType) -> ConstExpr {
        let op = match ty {
            ValType::I32 => ConstOp::I32Const(0),
            ValType::I64 => ConstOp::I64Const(0),
            ValType::F32 => ConstOp::F32Const(0),
            ValType::F64 => ConstOp::F64Const(0),
            ValType::V128 => ConstOp::V128Const(0),
            ValType::Ref(r) => ConstOp::RefNull(r.heap),
        };
        ConstExpr(Box::new([op]))
    }
}
