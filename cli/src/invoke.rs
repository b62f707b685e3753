//! `--invoke`: arguments from text by the function's type, and results back to text.
//!
//! Numbers are written as in the text format of WebAssembly (`-7`, `0xff`, `1_000`, `1.5e3`, `0x1.8p3`, `inf`,
//! `nan:0x200000`). A v128 is `0x` and 32 hexadecimal digits, or a shape and its lanes (`"i32x4 1 2 3 4"`); a reference
//! can only be `null`. What is printed can be given back.

use std::ffi::OsStr;
use vm::{FuncType, V128, Val, ValType};
use wast::parser::{Parse, ParseBuffer};
use wast::token::{F32, F64};

/// The values for all parameters.
pub(crate) fn arguments(name: &str, ty: &FuncType, args: &[impl AsRef<OsStr>]) -> Result<Vec<Val>, String> {
    if args.len() != ty.params.len() {
        return Err(format!("`{name}` is {ty}: it takes {} arguments, but {} were given", ty.params.len(), args.len()));
    }
    let parse = |(i, (text, ty)): (usize, (&dyn AsRef<OsStr>, &ValType))| {
        let text = text.as_ref().to_string_lossy();
        value(&text, *ty).ok_or_else(|| format!("argument {} of `{name}`: {text:?} is not {}", i + 1, expected(*ty)))
    };
    let texts = args.iter().map(|a| a as &dyn AsRef<OsStr>);
    texts.zip(&ty.params).enumerate().map(parse).collect()
}

/// What an argument of the type looks like.
fn expected(ty: ValType) -> &'static str {
    match ty {
        ValType::I32 => "an i32 such as 42, -1 or 0xff",
        ValType::I64 => "an i64 such as 42, -1 or 0xff",
        ValType::F32 => "an f32 such as 1.5, -2e3, inf or nan",
        ValType::F64 => "an f64 such as 1.5, -2e3, inf or nan",
        ValType::V128 => "a v128 such as 0x and 32 digits, or \"i32x4 1 2 3 4\"",
        ValType::Ref(_) => "a reference, of which only null can be given here",
    }
}

fn value(text: &str, ty: ValType) -> Option<Val> {
    match ty {
        ValType::I32 => token::<i32>(text).map(Val::I32),
        ValType::I64 => token::<i64>(text).map(Val::I64),
        ValType::F32 => token::<F32>(text).map(|v| Val::F32(v.bits)),
        ValType::F64 => token::<F64>(text).map(|v| Val::F64(v.bits)),
        ValType::V128 => v128(text).map(|v| Val::V128(V128(v))),
        ValType::Ref(_) if text == "null" => Val::default_for(ty).ok(),
        ValType::Ref(_) => None,
    }
}

fn v128(text: &str) -> Option<u128> {
    match text.strip_prefix("0x") {
        Some(digits) if digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit()) => {
            u128::from_str_radix(digits, 16).ok()
        }
        Some(_) => None,
        None => token::<wast::core::V128Const>(text).map(|v| u128::from_le_bytes(v.to_le_bytes())),
    }
}

/// Parses the whole of `text` as one item of the text format.
fn token<T: for<'a> Parse<'a>>(text: &str) -> Option<T> {
    let buffer = ParseBuffer::new(text).ok()?;
    wast::parser::parse::<T>(&buffer).ok()
}

/// A result as it is printed.
pub(crate) fn text(val: &Val) -> String {
    match val {
        Val::I32(v) => v.to_string(),
        Val::I64(v) => v.to_string(),
        Val::F32(bits) => {
            let payload = bits & 0x7f_ffff;
            float(f64::from(f32::from_bits(*bits)), f32::from_bits(*bits), u64::from(payload), 0x40_0000)
        }
        Val::F64(bits) => {
            let payload = bits & 0xf_ffff_ffff_ffff;
            float(f64::from_bits(*bits), f64::from_bits(*bits), payload, 0x8_0000_0000_0000)
        }
        Val::V128(V128(bits)) => format!("{bits:#034x}"),
        Val::FuncRef(None) | Val::ExternRef(None) | Val::AnyRef(_) | Val::ExnRef(_) => "null".into(),
        Val::FuncRef(Some(_)) => "<function>".into(),
        Val::ExternRef(Some(_)) => "<host value>".into(),
    }
}

/// `wide` decides on sign and class; `number` is printed with as few digits as tell it from its neighbours.
fn float(wide: f64, number: impl std::fmt::Display, payload: u64, canonical: u64) -> String {
    let sign = if wide.is_sign_negative() { "-" } else { "" };
    if !wide.is_nan() {
        number.to_string()
    } else if payload == canonical {
        format!("{sign}nan")
    } else {
        format!("{sign}nan:{payload:#x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ty(params: &[ValType]) -> FuncType {
        FuncType { params: params.into(), results: [].into() }
    }

    /// Parses `given` and prints it again.
    fn round(given: &str, ty: ValType) -> Option<String> {
        value(given, ty).map(|v| text(&v))
    }

    #[test]
    fn numbers_are_read_and_printed() {
        for (ty, given, printed) in [
            (ValType::I32, "42", "42"),
            (ValType::I32, "-1", "-1"),
            (ValType::I32, "4294967295", "-1"),
            (ValType::I32, "0xff", "255"),
            (ValType::I32, "1_000", "1000"),
            (ValType::I64, "-0x8000000000000000", "-9223372036854775808"),
            (ValType::F32, "1.5", "1.5"),
            (ValType::F32, "0.1", "0.1"),
            (ValType::F32, "3", "3"),
            (ValType::F64, "-0", "-0"),
            (ValType::F64, "0x1.8p3", "12"),
            (ValType::F64, "1e-7", "0.0000001"),
            (ValType::F64, "-inf", "-inf"),
            (ValType::F64, "nan", "nan"),
            (ValType::F32, "-nan:0x1", "-nan:0x1"),
            (ValType::F64, "nan:0x8000000000001", "nan:0x8000000000001"),
            (ValType::V128, "i32x4 1 2 3 4", "0x00000004000000030000000200000001"),
            (ValType::V128, "0x00000004000000030000000200000001", "0x00000004000000030000000200000001"),
            (ValType::FUNCREF, "null", "null"),
            (ValType::EXTERNREF, "null", "null"),
        ] {
            assert_eq!(round(given, ty).as_deref(), Some(printed), "{given} : {ty}");
            assert_eq!(round(printed, ty).as_deref(), Some(printed), "{printed} : {ty}");
        }
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        for (ty, given) in [
            (ValType::I32, "4294967296"),
            (ValType::I32, "-2147483649"),
            (ValType::I32, "1.5"),
            (ValType::I32, ""),
            (ValType::I32, "1 2"),
            (ValType::I32, "(i32.const 1)"),
            (ValType::I32, "\u{0}"),
            (ValType::I64, "x"),
            (ValType::F32, "one"),
            (ValType::F64, "1e999"),
            (ValType::V128, "0x1"),
            (ValType::V128, "i32x4 1 2 3"),
            (ValType::FUNCREF, "0"),
        ] {
            assert!(value(given, ty).is_none(), "{given:?} : {ty}");
        }
    }

    #[test]
    fn messages_name_function_argument_and_type() {
        let t = ty(&[ValType::I32, ValType::F64]);
        let e = arguments("f", &t, &["1"]).unwrap_err();
        assert!(e.contains("takes 2 arguments, but 1 were given"), "{e}");
        let e = arguments("f", &t, &["1", "x"]).unwrap_err();
        assert!(e.contains("argument 2 of `f`: \"x\" is not an f64"), "{e}");
    }
}
