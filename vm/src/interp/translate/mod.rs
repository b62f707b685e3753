//! A function body to register code, in one pass together with its validation.
//!
//! In: a module and one of its functions. Out: [`FuncCode`], in which local variables and operand stack have become
//! frame slots. Invariant at every label: each value on the operand stack lies in its own slot (an entry at height h in
//! the slot `stack base + h`, a local in its local's slot) and no accumulator is relied on; between labels operands may be
//! locals not yet copied, constants, or values that so far exist only in an accumulator.
//!
//! `builder` keeps the operand stack and emits; `control` does blocks, branches and calls; `operators` maps WebAssembly
//! operators to both, `objects` those on structs and arrays.
//!
//! Preconditions, each with a test in `vm/tests/preconditions` (`fusions`) in which it does not hold:
//! - An instruction is changed or taken back only if it is the last one and lies behind the last label.
//! - Two become one only if the first's result is in the accumulator alone, and is used once; constants fit their
//!   fields with their sign.
//! - A local that changes gives its older value a slot first, where the operand stack still has it.
//! - A counted loop adds to the very local that it compares, on the left, and branches back when that holds.
//! - An address takes in an addition only in 32 bits: with an offset only if both parts are registers.

mod builder;
mod control;
mod names;
mod objects;
mod operators;

use super::code::{FuncCode, Inst, Loop};
use super::exec::exception::TryRange;
use super::isa::Shape;
use crate::error::{Error, ModuleError, Result};
use crate::module::Module;
use builder::{Builder, Emitted, LoopRange, Needs};
use std::fmt::Write;
use wasmparser::{FuncValidatorAllocations, Operator};

/// A translated function with where its instructions come from.
struct Translated {
    code: Vec<Emitted>,
    tries: Vec<TryRange>,
    /// Loops at which compiled code can take over.
    loops: Vec<LoopRange>,
    /// Index of the first instruction and offset in the module, per operator that emitted any.
    offsets: Vec<(u32, u32)>,
}

/// Translates a function and makes calls go to its code.
///
/// # Errors
/// When the body is not valid, or larger than the code's limits.
pub(crate) fn translate_and_publish(module: &Module, own_func: u32, guarded: bool) -> Result<*const Inst> {
    let translated = translate(module, own_func, guarded, false)?;
    let insts = translated.code.iter().map(Emitted::encode).collect();
    let tries = translated.tries.into();
    let loops = translated.loops.iter().map(|l| Loop::new(l.start, l.end, l.offset)).collect();
    Ok(module.code(guarded).publish(FuncCode { func: own_func, insts, tries, loops }))
}

fn translate(module: &Module, own_func: u32, guarded: bool, with_offsets: bool) -> Result<Translated> {
    let mut needs = Needs::default();
    // Each attempt can only find more to need, so the third finds nothing new.
    for _ in 0..3 {
        match translate_with(module, own_func, guarded, with_offsets, needs)? {
            Ok(t) => return Ok(t),
            Err(more) => needs = more,
        }
    }
    Err(Error::Module(ModuleError {
        message: "the function needs a larger frame than the interpreter can make".into(),
        offset: None,
        function: Some(own_func + module.inner.raw.imported_funcs()),
        function_name: None,
    }))
}

fn translate_with(
    module: &Module,
    own_func: u32,
    guarded: bool,
    with_offsets: bool,
    needs: Needs,
) -> Result<Result<Translated, Needs>> {
    let invalid = |e: &wasmparser::Error| module.body_error(own_func, e);
    let allocs = FuncValidatorAllocations::default();
    let (mut validator, mut reader) = wasm::validate_body(&module.inner.raw, &module.inner.bytes, own_func, allocs);
    validator.read_locals(&mut reader).map_err(|e| invalid(&e))?;
    let mut builder = Builder::new(module, own_func, guarded, needs);
    let locals: Vec<_> = (0..validator.len_locals()).map_while(|i| validator.get_local_type(i)).collect();
    builder.begin(&locals);
    let mut offsets = Vec::new();
    let mut ops = wasmparser::OperatorsReader::new(reader);
    while !ops.eof() {
        let offset = ops.original_position();
        let op = ops.read().map_err(|e| invalid(&e))?;
        // What an operator needs to know of types it must see before the validator changes its stack.
        let select_type = match op {
            Operator::Select => validator.get_operand_type(1).flatten(),
            _ => None,
        };
        validator.op(offset, &op).map_err(|e| invalid(&e))?;
        builder.offset = offset as u32;
        builder.taken = u32::MAX;
        let before = builder.code.len() as u32;
        builder.operator(&op, select_type);
        if with_offsets {
            // Instructions that were merged into earlier ones have left their places to what comes now.
            while offsets.pop_if(|&mut (i, _)| i > before).is_some() {}
            // What traps is an access, not the addition that has become part of it.
            if builder.taken < before {
                while offsets.pop_if(|&mut (i, _)| i > builder.taken).is_some() {}
                offsets.push((builder.taken, offset as u32));
            }
            offsets.push((before, offset as u32));
        }
    }
    ops.finish().map_err(|e| invalid(&e))?;
    Ok(builder.finish().map(|f| Translated { code: f.code, tries: f.tries, loops: f.loops, offsets }))
}

/// Offset in the module of the operator that an instruction was made for; for a function's entry, of its first one.
pub(crate) fn offset_of(module: &Module, own_func: u32, guarded: bool, inst: usize) -> Option<u32> {
    let t = translate(module, own_func, guarded, true).ok()?;
    let i = t.offsets.partition_point(|&(first, _)| first as usize <= inst);
    t.offsets.get(i.saturating_sub(1)).map(|&(_, offset)| offset)
}

/// The register code of a function beside its WebAssembly, as text.
pub(crate) fn disassemble(module: &Module, own_func: u32) -> Result<String> {
    let guarded = module.inner.raw.memories.first().is_some_and(crate::runtime::memory::LinearMemory::can_guard);
    let t = translate(module, own_func, guarded, true)?;
    let body = module.inner.raw.bodies[own_func as usize].range();
    let mut texts = Vec::new();
    let reader = wasmparser::BinaryReader::new(&module.inner.bytes[body.clone()], body.start as u64);
    if let Ok(ops) = wasmparser::FunctionBody::new(reader).get_operators_reader() {
        texts.extend(ops.into_iter_with_offsets().map_while(|r| r.ok()).map(|(op, at)| (at as u32, names::text(&op))));
    }
    let mut out = String::new();
    let mut marks = t.offsets.iter().peekable();
    let mut texts = texts.iter().peekable();
    for (i, e) in t.code.iter().enumerate() {
        let mut upto = None;
        while let Some((_, offset)) = marks.next_if(|(first, _)| *first as usize <= i) {
            upto = Some(*offset);
        }
        while let Some((at, text)) = texts.next_if(|(at, _)| upto.is_some_and(|u| *at <= u)) {
            let _ = writeln!(out, "{at:#8x}  {text}");
        }
        let _ = writeln!(out, "            {i:5}  {}", print(e, i));
    }
    for (at, text) in texts {
        let _ = writeln!(out, "{at:#8x}  {text}");
    }
    Ok(out)
}

/// One instruction as text: `s3` is a slot, `r` an accumulator, `#5` an immediate, `->9` a target.
fn print(e: &Emitted, index: usize) -> String {
    let Some(op) = e.op else { return format!(".data {:#x} {:#x}", e.h, e.x) };
    let (a, b, c, d) = (e.a, e.b, e.x as u16, (e.x >> 16) as u16);
    let target = |x: u32| format!("->{}", index as i64 + i64::from(x as i32));
    let text = match op.shape {
        Shape::Binary => {
            let dst = if e.form & 1 == 1 { format!("s{a}, r =") } else { "r =".into() };
            let imm = format!("#{}", e.x as i32);
            let pair = [
                format!("s{b}, s{c}"),
                format!("r, s{c}"),
                format!("s{b}, r"),
                format!("s{b}, {imm}"),
                format!("r, {imm}"),
                format!("{imm}, s{b}"),
                format!("{imm}, r"),
                format!("s{b}, #wide"),
                "r, #wide".into(),
                format!("#wide, s{b}"),
                "#wide, r".into(),
            ];
            format!("{dst} {}", pair[usize::from(e.form >> 1)])
        }
        Shape::Chain => {
            let dst = if e.form & 1 == 1 { format!("s{a}, r =") } else { "r =".into() };
            let x = if e.form >= 12 { "r".into() } else { format!("s{b}") };
            let y = if e.form / 6 % 2 == 1 { format!("#{}", c as i16) } else { format!("s{c}") };
            let z = match e.form / 2 % 3 {
                0 => format!("s{d}"),
                1 => format!("#{}", d as i16),
                _ => format!("s{d} on the left"),
            };
            format!("{dst} {x}, {y}; {z}")
        }
        Shape::LoadChain => {
            let dst = if e.form & 1 == 1 { format!("s{a}, r =") } else { "r =".into() };
            let base = if e.form & 4 == 4 { "r".into() } else { format!("s{b}") };
            let loaded = format!("[{base} + {d}]");
            if e.form & 2 == 2 { format!("{dst} s{c}, {loaded}") } else { format!("{dst} {loaded}, s{c}") }
        }
        Shape::Branch => {
            let imm = b as i16;
            let pair = [
                format!("s{a}, s{b}"),
                format!("r, s{b}"),
                format!("s{a}, r"),
                format!("s{a}, #{imm}"),
                format!("r, #{imm}"),
            ];
            let not = if e.form & 2 == 2 { "not " } else { "" };
            format!("{not}{} {}", pair[usize::from(e.form >> 2)], target(e.x))
        }
        Shape::Unary | Shape::Load => {
            let dst = if e.form & 1 == 1 { format!("s{a}, r =") } else { "r =".into() };
            let from = match (op.shape, e.form >> 1) {
                (Shape::Unary, 0) => format!("s{b}"),
                (Shape::Unary, _) => "r".into(),
                (_, 0) => format!("[s{b} + {}]", e.x),
                (_, 1) => format!("[r + {}]", e.x),
                (_, 2) => format!("[s{b} + s{c} + {d}]"),
                (_, 3) => format!("[r + s{c} + {d}]"),
                (_, 4) => format!("[{}]", e.x),
                (_, 5) => format!("[s{b} + s{c} * {} + {}]", d & 0xff, d >> 8),
                (_, 6) => format!("[s{b} + r * {} + {}]", d & 0xff, d >> 8),
                (_, 7) => format!("[s{b} + {}]", e.x as i32),
                _ => format!("[r + {}]", e.x as i32),
            };
            format!("{dst} {from}")
        }
        Shape::Store => match e.form {
            0 => format!("[s{a} + {}] = s{b}", e.x),
            1 => format!("[r + {}] = s{b}", e.x),
            2 => format!("[s{a} + {}] = r", e.x),
            3 => format!("[s{a} + {}] = #{}", e.x, b as i16),
            4 => format!("[r + {}] = #{}", e.x, b as i16),
            5 => format!("[r + {}] = r", e.x),
            6 => format!("[s{b} + s{c} + {d}] = s{a}"),
            7 => format!("[{}] = s{b}", e.x),
            8 => format!("[{}] = r", e.x),
            10 => format!("[s{b} + s{c} * {} + {}] = s{a}", d & 0xff, d >> 8),
            11 => format!("[s{a} + {}] = s{b}", e.x as i32),
            12 => format!("[s{a} + {}] = #{}", e.x as i32, b as i16),
            _ => format!("[{}] = #{}", e.x, b as i16),
        },
        Shape::Fields(fields) => {
            let one = |f| match f {
                'a' => format!("s{a}"),
                'b' => format!("s{b}"),
                'c' => format!("s{c}"),
                'd' => format!("s{d}"),
                'f' => format!("func {}", u32::from(a) | u32::from(b) << 16),
                'o' => target(e.x),
                _ => format!("#{}", e.x),
            };
            let list: Vec<String> = fields.chars().map(one).collect();
            format!("{} ({})", list.join(", "), e.form)
        }
    };
    format!("{} {text}", op.name)
}
