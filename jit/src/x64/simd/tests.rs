//! That every vector operation is selected, with and without AVX, and how shuffles are recognised. What the code computes is
//! compared with the interpreter where code can be run: in `vm`.

use super::shuffles::{consecutive, immediate, interleaving, wider, word_blend};
use crate::ir::simd::SimdForm;
use crate::ir::{Func, Inst, MemKind, Op, SimdOp, Type, Value};
use crate::{CpuFeatures, ModuleEnv, Settings};

/// A function that applies the operation to its arguments and stores what comes out.
fn function(op: SimdOp) -> Func {
    let mut f = Func::new();
    f.params = vec![Type::I64, Type::V128, Type::V128, Type::V128, op.scalar(), Type::I32];
    let args: Vec<Value> = (0..6)
        .map(|n| {
            let ty = f.params[n as usize];
            f.push(Func::ENTRY, Inst { idx: n, ..Inst::new(Op::Arg, ty) })
        })
        .collect();
    let (ty, operands) = match op.form() {
        SimdForm::Shift => (Type::V128, [args[1], args[5], Value::NONE]),
        SimdForm::Splat => (Type::V128, [args[4], Value::NONE, Value::NONE]),
        SimdForm::Replace => (Type::V128, [args[1], args[4], Value::NONE]),
        SimdForm::Extract | SimdForm::Test => (op.scalar(), [args[1], Value::NONE, Value::NONE]),
        _ => (Type::V128, [args[1], args[2], args[3]]),
    };
    let v = f.pure(Inst { idx: op as u32, aux: 1, args: operands, ..Inst::new(op.form().op(), ty) });
    let args = [args[0], v, Value::NONE];
    f.push(Func::ENTRY, Inst { aux: MemKind::Whole as u8, args, ..Inst::new(Op::PStore, Type::Void) });
    let args = f.list(&[]);
    f.push(Func::ENTRY, Inst { args, ..Inst::new(Op::Return, Type::Void) });
    f
}

#[test]
fn every_operation_is_selected() {
    let types = wasm::TypeRegistry::default();
    let bytes = b"\0asm\x01\0\0\0";
    let module = wasm::parse(bytes, wasm::default_features(), &types).expect("the empty module");
    let facts = crate::frontend::ModuleFacts::new(&module, bytes, &types);
    let env = ModuleEnv { module: &module, bytes, types: &types, facts: &facts };
    for avx in [false, true] {
        let cpu = CpuFeatures { avx, avx2: avx, sse42: avx, ..CpuFeatures::default() };
        let settings = Settings { cpu, ..Settings::default() };
        for &op in SimdOp::ALL {
            let mut f = function(op);
            let schedule = crate::schedule::run(&mut f, &settings);
            let lowered = crate::x64::lower(&f, &schedule, &env, &settings);
            // More than entry, store and return; the store may do the extraction too.
            assert!(lowered.insts.len() > 3 || op.form() == SimdForm::Extract, "{op:?}");
        }
    }
}

#[test]
fn shuffles_are_recognised() {
    let from = |f: fn(u8) -> u8| std::array::from_fn(|i| f(i as u8));
    assert_eq!(interleaving(from(|i| i / 2 + i % 2 * 16)), Some(0x60));
    assert_eq!(interleaving(from(|i| 8 + i / 4 * 2 + i % 2 + i / 2 % 2 * 16)), Some(0x69));
    assert_eq!(interleaving(from(|i| i % 8 + 8 + i / 8 * 16)), Some(0x6d));
    assert_eq!(interleaving(from(|i| i)), None);
    assert_eq!(consecutive(from(|i| i + 5)), Some(5));
    assert_eq!(consecutive(from(|i| i ^ 1)), None);
    assert_eq!(wider::<4>(from(|i| i ^ 12), 4), Some([3, 2, 1, 0]));
    assert_eq!(wider::<4>(from(|i| i ^ 2), 4), None);
    assert_eq!(wider::<8>(from(|i| i ^ 2), 2), Some([1, 0, 3, 2, 5, 4, 7, 6]));
    assert_eq!(immediate(&[3, 2, 1, 0]), 0b00_01_10_11);
    assert_eq!(word_blend(from(|i| i + i / 2 % 2 * 16)), Some(0b1010_1010));
    assert_eq!(word_blend(from(|i| i + i % 2 * 16)), None);
}
