//! Evaluates constant expressions.
//!
//! In: an instance whose globals are initialised as far as validation lets the expression see them. Out: the value's slots. Making
//! an object may collect garbage: operands that lie on the expression's own stack are then told to be alive.

use crate::error::{Error, Result};
use crate::instance::InstanceData;
use crate::runtime::context::{Slot, VmStore};
use crate::runtime::gc::object::{Live, element, new_array, new_struct, new_struct_of, put};
use crate::runtime::gc::types::ObjectType;
use crate::runtime::gc::{self, types::Width};
use smallvec::SmallVec;
use std::ptr;
use wasm::{ConstExpr, ConstOp, TypeId};

/// Evaluates a constant expression of an instance.
///
/// # Errors
/// When there is no room for an object.
///
/// # Safety
/// The instance's store must be borrowed exclusively; if the expression makes objects, there must be no reference to what a
/// collection looks at.
pub(crate) unsafe fn evaluate(d: *mut InstanceData, expr: &ConstExpr) -> Result<[Slot; 2]> {
    let mut stack = Stack::default();
    for op in &expr.0 {
        let value = match *op {
            ConstOp::I32Const(v) => [u64::from(v as u32), 0],
            ConstOp::I64Const(v) => [v as u64, 0],
            ConstOp::F32Const(v) => [u64::from(v), 0],
            ConstOp::F64Const(v) => [v, 0],
            ConstOp::V128Const(v) => [v as u64, (v >> 64) as u64],
            ConstOp::RefNull(_) => [0, 0],
            // SAFETY: the caller's contract.
            ConstOp::RefFunc(f) => [unsafe { (*d).func_ref(f) } as u64, 0],
            // SAFETY: globals before the one being made are initialised, and validation allows no others.
            ConstOp::GlobalGet(g) => unsafe { (*(*d).global(g)).value },
            ConstOp::RefI31 => [gc::i31(stack.pop()?[0] as u32), 0],
            // Both hierarchies have the same form.
            ConstOp::AnyConvertExtern | ConstOp::ExternConvertAny => continue,
            ConstOp::StructNew(t)
            | ConstOp::StructNewDefault(t)
            | ConstOp::ArrayNew(t)
            | ConstOp::ArrayNewDefault(t)
            | ConstOp::ArrayNewFixed(t, _) => {
                // SAFETY: the caller's contract.
                let made = unsafe { make(d, *op, t, &stack)? };
                stack.0.truncate(stack.0.len() - made.1);
                [made.0, 0]
            }
            ConstOp::I32Add
            | ConstOp::I32Sub
            | ConstOp::I32Mul
            | ConstOp::I64Add
            | ConstOp::I64Sub
            | ConstOp::I64Mul => {
                let ([b, _], [a, _]) = (stack.pop()?, stack.pop()?);
                [binary(*op, a, b), 0]
            }
        };
        stack.0.push(value);
    }
    stack.pop()
}

/// Values of two slots each.
#[derive(Default)]
struct Stack(SmallVec<[[Slot; 2]; 4]>);

impl Stack {
    fn pop(&mut self) -> Result<[Slot; 2]> {
        // Validation guarantees operands.
        self.0.pop().ok_or_else(|| Error::api("a constant expression lacks operands"))
    }

    fn top(&self, n: usize) -> Result<&[[Slot; 2]]> {
        let from = self.0.len().checked_sub(n).ok_or_else(|| Error::api("a constant expression lacks operands"))?;
        Ok(&self.0[from..])
    }
}

fn binary(op: ConstOp, a: Slot, b: Slot) -> Slot {
    let (x, y) = (a as u32, b as u32);
    match op {
        ConstOp::I32Add => u64::from(x.wrapping_add(y)),
        ConstOp::I32Sub => u64::from(x.wrapping_sub(y)),
        ConstOp::I32Mul => u64::from(x.wrapping_mul(y)),
        ConstOp::I64Add => a.wrapping_add(b),
        ConstOp::I64Sub => a.wrapping_sub(b),
        _ => a.wrapping_mul(b),
    }
}

/// Makes an object; the reference, and the number of operands that are used up.
///
/// # Safety
/// As [`evaluate`].
unsafe fn make(d: *mut InstanceData, op: ConstOp, ty: TypeId, stack: &Stack) -> Result<(u64, usize)> {
    let live = Live { top: ptr::null(), others: &stack.0, native: ptr::null() };
    // SAFETY: the caller's contract; validation has seen to it that operands are of the types of fields or elements.
    unsafe {
        let vm: *mut VmStore = (*d).context.store;
        let engine = (*d).module.engine();
        let found = engine.object_type(ty).ok_or_else(|| Error::api("a constant of no type of objects"))?;
        let ty: *const ObjectType = found.as_ptr();
        let value = match op {
            ConstOp::StructNew(_) => {
                let gc::types::Shape::Struct { fields, .. } = &found.as_ref().shape else {
                    return Err(Error::api("no struct"));
                };
                let operands = stack.top(fields.len())?;
                let mut slots: SmallVec<[Slot; 8]> = SmallVec::new();
                for (f, v) in fields.iter().zip(operands) {
                    slots.extend_from_slice(&v[..f.width.slots()]);
                }
                (new_struct_of(vm, ty, slots.as_ptr(), live)?, fields.len())
            }
            ConstOp::ArrayNew(_) => {
                let operands = stack.top(2)?;
                let len = operands[1][0] as u32;
                (filled(vm, ty, len, &|_| operands[0], live)?, 2)
            }
            ConstOp::ArrayNewFixed(_, len) => {
                let operands = stack.top(len as usize)?;
                (filled(vm, ty, len, &|i| operands[i], live)?, len as usize)
            }
            ConstOp::ArrayNewDefault(_) => (new_array(vm, ty, stack.top(1)?[0][0] as u32, live)?, 1),
            _ => (new_struct(vm, ty, live)?, 0),
        };
        Ok(value)
    }
}

/// Makes an array with elements of these values.
///
/// # Safety
/// As [`new_array`].
unsafe fn filled(
    vm: *mut VmStore,
    ty: *const ObjectType,
    len: u32,
    value: &dyn Fn(usize) -> [Slot; 2],
    live: Live<'_>,
) -> Result<u64> {
    // SAFETY: the caller's contract; elements up to the length are the array's.
    unsafe {
        let width: Width = (*ty).element()?;
        let made = new_array(vm, ty, len, live)?;
        for i in 0..len as usize {
            put(element(made, i as u64, width), width, value(i).as_ptr());
        }
        Ok(made)
    }
}
