//! Values between scripts and runtime.
//!
//! In: constants and patterns as `wast` parses them. Out: the runtime's values, and whether a value fits a pattern.
//! Floats are compared by their bits, except where the pattern names a class of NaNs.

use vm::{AnyRef, AsContext, AsContextMut, ExternRef, RefKind, V128, Val, ValType};
use wast::core::{AbstractHeapType, HeapType, NanPattern, V128Pattern, WastArgCore, WastRetCore};
use wast::token::{F32, F64};
use wast::{WastArg, WastRet};

/// The runtime's value for an argument of a call; `ty` is the type of the parameter, where known.
pub(crate) fn argument(ctx: impl AsContextMut, arg: &WastArg<'_>, ty: Option<&ValType>) -> Result<Val, String> {
    let WastArg::Core(arg) = arg else {
        return Err("arguments of components are not supported".into());
    };
    Ok(match arg {
        WastArgCore::I32(v) => Val::I32(*v),
        WastArgCore::I64(v) => Val::I64(*v),
        WastArgCore::F32(v) => Val::F32(v.bits),
        WastArgCore::F64(v) => Val::F64(v.bits),
        WastArgCore::V128(v) => Val::V128(V128(u128::from_le_bytes(v.to_le_bytes()))),
        WastArgCore::RefExtern(n) => Val::ExternRef(Some(ExternRef::new(ctx, *n))),
        WastArgCore::RefHost(n) => Val::AnyRef(Some(ExternRef::new(ctx, *n).to_any())),
        WastArgCore::RefNull(heap) => null(heap, ty),
    })
}

/// A null: of the parameter's hierarchy where that is known, since a type index says nothing without its module.
fn null(heap: &HeapType<'_>, ty: Option<&ValType>) -> Val {
    use AbstractHeapType as H;
    if let Some(Ok(val)) = ty.map(|t| Val::default_for(*t)) {
        return val;
    }
    match heap {
        HeapType::Abstract { ty: H::Extern | H::NoExtern, .. } => Val::ExternRef(None),
        HeapType::Abstract { ty: H::Exn | H::NoExn, .. } => Val::ExnRef(None),
        HeapType::Abstract { ty: H::Func | H::NoFunc, .. } | HeapType::Concrete(_) | HeapType::Exact(_) => {
            Val::FuncRef(None)
        }
        HeapType::Abstract { .. } => Val::AnyRef(None),
    }
}

/// Checks the results of a call against the patterns, in number and in value.
pub(crate) fn check_results(ctx: impl AsContext, actual: &[Val], expected: &[WastRet<'_>]) -> Result<(), String> {
    let context = ctx.as_context();
    if actual.len() != expected.len() {
        return Err(format!("expected {} results, got {}", expected.len(), actual.len()));
    }
    for (i, (val, pattern)) in actual.iter().zip(expected).enumerate() {
        let WastRet::Core(pattern) = pattern else {
            return Err("results of components are not supported".into());
        };
        if !fits(&context, val, pattern) {
            let place = if actual.len() > 1 { format!(" as result {i}") } else { String::new() };
            return Err(format!("expected {}{place}, got {}", describe_pattern(pattern), describe(val)));
        }
    }
    Ok(())
}

/// Whether a value fits a pattern.
fn fits(ctx: &impl AsContext, val: &Val, pattern: &WastRetCore<'_>) -> bool {
    match (val, pattern) {
        (_, WastRetCore::Either(cases)) => cases.iter().any(|case| fits(ctx, val, case)),
        (Val::I32(a), WastRetCore::I32(b)) => a == b,
        (Val::I64(a), WastRetCore::I64(b)) => a == b,
        (Val::F32(a), WastRetCore::F32(p)) => f32_fits(*a, p),
        (Val::F64(a), WastRetCore::F64(p)) => f64_fits(*a, p),
        (Val::V128(V128(a)), WastRetCore::V128(p)) => v128_fits(*a, p),
        (_, WastRetCore::RefNull(heap)) => null_fits(val, heap.as_ref()),
        (Val::ExternRef(Some(_)), WastRetCore::RefExtern(None)) => true,
        (Val::ExternRef(Some(r)), WastRetCore::RefExtern(Some(n))) => {
            r.data(ctx).is_ok_and(|v| v.downcast_ref::<u32>() == Some(n))
        }
        (Val::AnyRef(Some(r)), pattern) => any_fits(ctx, *r, pattern),
        // Which function an index means depends on the module of the script, so that any function will do.
        (Val::FuncRef(Some(_)), WastRetCore::RefFunc(_)) => true,
        _ => false,
    }
}

/// Whether a reference of the `any` hierarchy fits a pattern.
fn any_fits(ctx: &impl AsContext, r: AnyRef, pattern: &WastRetCore<'_>) -> bool {
    let Ok(kind) = r.kind(ctx) else { return false };
    match pattern {
        WastRetCore::RefAny => true,
        WastRetCore::RefEq => kind != RefKind::Host,
        WastRetCore::RefI31 | WastRetCore::RefI31Shared => matches!(kind, RefKind::I31(_)),
        WastRetCore::RefStruct => matches!(kind, RefKind::Struct(_)),
        WastRetCore::RefArray => matches!(kind, RefKind::Array(_)),
        WastRetCore::RefHost(n) => r.to_extern().data(ctx).is_ok_and(|v| v.downcast_ref::<u32>() == Some(n)),
        _ => false,
    }
}

/// Whether the value is a null of the hierarchy of `heap`; any null without one.
fn null_fits(val: &Val, heap: Option<&HeapType<'_>>) -> bool {
    use AbstractHeapType as H;
    let abstract_type = match heap {
        Some(HeapType::Abstract { ty, .. }) => Some(*ty),
        Some(HeapType::Concrete(_) | HeapType::Exact(_)) | None => None,
    };
    match (val, abstract_type) {
        (Val::FuncRef(None), None | Some(H::Func | H::NoFunc)) => true,
        (Val::ExternRef(None), None | Some(H::Extern | H::NoExtern)) => true,
        (Val::ExnRef(None), None | Some(H::Exn | H::NoExn)) => true,
        (Val::AnyRef(None), None) => true,
        (Val::AnyRef(None), Some(t)) => {
            !matches!(t, H::Func | H::NoFunc | H::Extern | H::NoExtern | H::Exn | H::NoExn | H::Cont | H::NoCont)
        }
        _ => false,
    }
}

/// Canonical: only the highest bit of the payload is set. Arithmetic: it is set, and others may be.
fn f32_fits(bits: u32, pattern: &NanPattern<F32>) -> bool {
    match pattern {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff == 0x7fc0_0000,
        NanPattern::ArithmeticNan => bits & 0x7fc0_0000 == 0x7fc0_0000,
        NanPattern::Value(v) => bits == v.bits,
    }
}

/// As [`f32_fits`].
fn f64_fits(bits: u64, pattern: &NanPattern<F64>) -> bool {
    match pattern {
        NanPattern::CanonicalNan => bits & 0x7fff_ffff_ffff_ffff == 0x7ff8_0000_0000_0000,
        NanPattern::ArithmeticNan => bits & 0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000,
        NanPattern::Value(v) => bits == v.bits,
    }
}

/// Lane by lane, lane 0 in the lowest bits.
fn v128_fits(bits: u128, pattern: &V128Pattern) -> bool {
    match pattern {
        V128Pattern::I8x16(lanes) => lanes.iter().enumerate().all(|(i, v)| (bits >> (8 * i)) as i8 == *v),
        V128Pattern::I16x8(lanes) => lanes.iter().enumerate().all(|(i, v)| (bits >> (16 * i)) as i16 == *v),
        V128Pattern::I32x4(lanes) => lanes.iter().enumerate().all(|(i, v)| (bits >> (32 * i)) as i32 == *v),
        V128Pattern::I64x2(lanes) => lanes.iter().enumerate().all(|(i, v)| (bits >> (64 * i)) as i64 == *v),
        V128Pattern::F32x4(lanes) => lanes.iter().enumerate().all(|(i, p)| f32_fits((bits >> (32 * i)) as u32, p)),
        V128Pattern::F64x2(lanes) => lanes.iter().enumerate().all(|(i, p)| f64_fits((bits >> (64 * i)) as u64, p)),
    }
}

/// A value for people: its number, its bits where they matter, and its type.
pub(crate) fn describe(val: &Val) -> String {
    match val {
        Val::I32(v) => format!("{v} : i32"),
        Val::I64(v) => format!("{v} : i64"),
        Val::F32(bits) => format!("{} ({bits:#010x}) : f32", f32::from_bits(*bits)),
        Val::F64(bits) => format!("{} ({bits:#018x}) : f64", f64::from_bits(*bits)),
        Val::V128(V128(bits)) => format!("{bits:#034x} : v128"),
        Val::FuncRef(None) => "null : funcref".into(),
        Val::FuncRef(Some(_)) => "a function : funcref".into(),
        Val::ExternRef(None) => "null : externref".into(),
        Val::ExternRef(Some(_)) => "a reference : externref".into(),
        Val::AnyRef(None) => "null : anyref".into(),
        Val::AnyRef(Some(_)) => "a reference : anyref".into(),
        Val::ExnRef(_) => "null : exnref".into(),
    }
}

/// A pattern for people.
fn describe_pattern(pattern: &WastRetCore<'_>) -> String {
    match pattern {
        WastRetCore::I32(v) => describe(&Val::I32(*v)),
        WastRetCore::I64(v) => describe(&Val::I64(*v)),
        WastRetCore::F32(NanPattern::Value(v)) => describe(&Val::F32(v.bits)),
        WastRetCore::F64(NanPattern::Value(v)) => describe(&Val::F64(v.bits)),
        WastRetCore::F32(p) => format!("{p:?} : f32"),
        WastRetCore::F64(p) => format!("{p:?} : f64"),
        WastRetCore::Either(cases) => cases.iter().map(describe_pattern).collect::<Vec<_>>().join(" or "),
        other => format!("{other:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nan_classes() {
        let canonical: NanPattern<F32> = NanPattern::CanonicalNan;
        let arithmetic: NanPattern<F32> = NanPattern::ArithmeticNan;
        for (bits, is_canonical, is_arithmetic) in [
            (0x7fc0_0000, true, true),
            (0xffc0_0000, true, true),
            (0x7fc0_0001, false, true),
            (0x7f80_0001, false, false),
            (0x7f80_0000, false, false),
            (0x3f80_0000, false, false),
        ] {
            assert_eq!(f32_fits(bits, &canonical), is_canonical, "{bits:#x}");
            assert_eq!(f32_fits(bits, &arithmetic), is_arithmetic, "{bits:#x}");
        }
    }

    #[test]
    fn zeros_of_both_signs_differ() {
        assert!(!f64_fits((-0.0f64).to_bits(), &NanPattern::Value(F64 { bits: 0 })));
        assert!(f64_fits(0, &NanPattern::Value(F64 { bits: 0 })));
    }

    #[test]
    fn lanes_are_compared_one_by_one() {
        let bits = 0x7fc0_0000_0000_0003_0000_0002_ffff_ffffu128;
        let lanes = |last| {
            let v = |bits| NanPattern::Value(F32 { bits });
            V128Pattern::F32x4([v(0xffff_ffff), v(2), v(3), last])
        };
        assert!(v128_fits(bits, &lanes(NanPattern::CanonicalNan)));
        assert!(!v128_fits(bits, &lanes(NanPattern::Value(F32 { bits: 0 }))));
        assert!(v128_fits(bits, &V128Pattern::I32x4([-1, 2, 3, 0x7fc0_0000])));
        assert!(!v128_fits(bits, &V128Pattern::I32x4([-1, 2, 4, 0x7fc0_0000])));
    }
}
