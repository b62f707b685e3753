//! Functions as text, which [`super::parse`] reads back.
//!
//! ```text
//! func (i32) -> (i32) {
//! block0:
//!   v0:i32 = arg #0
//! ~ v1:i32 = iconst #1
//! ~ v2:i32 = add v0, v1
//!   br_if v2, block1, block2 @1f
//! …
//! }
//! ```
//!
//! A line that begins with `~` is a floating instruction, shown where it is first needed. Behind `@` stands the offset in
//! the module, hexadecimal.

use super::{Alias, Block, FloatCc, Func, Inst, IntCc, MemKind, Op, Rmw, SimdOp, Type, Value};
use crate::Place;
use crate::abi::{Helper, TrapCode};
use std::fmt::{self, Display, Write};

/// What an instruction's `aux` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Aux {
    None,
    IntCc,
    FloatCc,
    Kind,
    Trap,
    Lane,
    Likely,
    Catches,
}

/// What an instruction's `idx` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Idx {
    None,
    Number,
    Simd,
    Alias,
    Rmw,
    Helper,
    Block,
    Table,
}

/// What an instruction's `imm` means.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Imm {
    None,
    Number,
    Bits,
    Vector,
    Block,
}

/// All trap codes, by number.
pub(super) const TRAPS: [TrapCode; 23] = {
    use TrapCode::*;
    [
        Unreachable,
        MemoryOutOfBounds,
        TableOutOfBounds,
        UndefinedElement,
        UninitializedElement,
        IndirectCallTypeMismatch,
        IntegerDivideByZero,
        IntegerOverflow,
        InvalidConversionToInteger,
        CallStackExhausted,
        UnalignedAtomic,
        NullReference,
        NullFunctionReference,
        NullExceptionReference,
        NullStructureReference,
        NullArrayReference,
        NullI31Reference,
        ArrayOutOfBounds,
        CastFailure,
        UnsupportedInstruction,
        OutOfFuel,
        Interrupted,
        Raised,
    ]
};

/// The meaning of an operation's fields.
pub(super) fn fields(op: Op) -> (Aux, Idx, Imm) {
    use Op as O;
    match op {
        O::Iconst | O::Fuel => (Aux::None, Idx::None, Imm::Number),
        O::Fconst => (Aux::None, Idx::None, Imm::Bits),
        O::Vconst | O::VShuffle => (Aux::None, Idx::None, Imm::Vector),
        O::Call | O::CallNear | O::CallFar | O::CallAny => (Aux::Catches, Idx::Number, Imm::None),
        O::TypeId | O::Arg | O::Proj | O::TailCall | O::TailCallNear | O::TailCallFar | O::TailCallAny => {
            (Aux::None, Idx::Number, Imm::None)
        }
        O::Icmp => (Aux::IntCc, Idx::None, Imm::None),
        O::Fcmp => (Aux::FloatCc, Idx::None, Imm::None),
        O::VUn | O::VBin | O::VTer | O::VShift | O::VSplat | O::VTest => (Aux::None, Idx::Simd, Imm::None),
        O::VExtract | O::VReplace => (Aux::Lane, Idx::Simd, Imm::None),
        O::Load | O::Store | O::CLoad | O::AtomicLoad | O::AtomicStore | O::AtomicCas => {
            (Aux::Kind, Idx::None, Imm::Number)
        }
        O::PLoad | O::PStore | O::ELoad | O::EStore => (Aux::Kind, Idx::Alias, Imm::Number),
        O::FLoad => (Aux::Trap, Idx::None, Imm::Number),
        O::AtomicRmw => (Aux::Kind, Idx::Rmw, Imm::Number),
        O::TrapIf | O::Trap => (Aux::Trap, Idx::None, Imm::None),
        O::Helper => (Aux::None, Idx::Helper, Imm::None),
        O::Jump => (Aux::None, Idx::Block, Imm::None),
        O::BrIf => (Aux::Likely, Idx::Block, Imm::Block),
        O::BrTable => (Aux::None, Idx::Table, Imm::None),
        O::CatchEdge => (Aux::None, Idx::Block, Imm::Block),
        _ => (Aux::None, Idx::None, Imm::None),
    }
}

impl Type {
    /// Its name in listings.
    pub fn text(self) -> &'static str {
        match self {
            Type::Void => "void",
            Type::I32 => "i32",
            Type::I64 => "i64",
            Type::F32 => "f32",
            Type::F64 => "f64",
            Type::V128 => "v128",
        }
    }
}

impl Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

impl Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "block{}", self.0)
    }
}

/// A list with commas.
fn list<T>(out: &mut String, items: impl IntoIterator<Item = T>, mut each: impl FnMut(&mut String, T)) {
    for (i, item) in items.into_iter().enumerate() {
        out.push_str(if i == 0 { "" } else { ", " });
        each(out, item);
    }
}

/// Writing into a string cannot fail.
/// A position: an offset in the module, behind which calls that functions were built into the place of follow.
pub(crate) fn print_position(out: &mut String, places: &[Place], mut position: u32) {
    while let Some(p) = Place::at(places, position) {
        put(out, format_args!("{:x}/{}<", p.wasm, p.own_func));
        position = p.caller;
    }
    put(out, format_args!("{position:x}"));
}

fn put(out: &mut String, args: fmt::Arguments<'_>) {
    let _ = out.write_fmt(args);
}

impl Func {
    /// The function as text.
    pub fn print(&self) -> String {
        let mut out = String::from("func (");
        list(&mut out, &self.params, |o, t| o.push_str(t.text()));
        out.push_str(") -> (");
        list(&mut out, &self.results, |o, t| o.push_str(t.text()));
        out.push_str(") {\n");
        let mut shown = vec![false; self.insts.len()];
        for b in &self.blocks {
            for &v in &b.insts {
                shown[v.index()] = true;
            }
        }
        for i in 0..self.blocks.len() {
            self.print_block(&mut out, Block(i as u32), &mut shown);
        }
        out.push_str("}\n");
        out
    }

    fn print_block(&self, out: &mut String, block: Block, shown: &mut [bool]) {
        let b = &self.blocks[block.index()];
        if b.insts.is_empty() && b.params.is_empty() && block != Func::ENTRY {
            return;
        }
        put(out, format_args!("{block}"));
        if !b.params.is_empty() {
            out.push('(');
            list(out, &b.params, |o, &p| put(o, format_args!("{p}:{}", self.ty(p))));
            out.push(')');
        }
        out.push_str(if b.cold { " cold:\n" } else { ":\n" });
        for &v in &b.insts {
            self.print_floating(out, v, shown);
            out.push_str("  ");
            self.print_inst(out, v);
            out.push('\n');
        }
    }

    /// The floating instructions that one needs and that have not been shown.
    fn print_floating(&self, out: &mut String, v: Value, shown: &mut [bool]) {
        let mut stack: Vec<(Value, usize)> = vec![(v, 0)];
        while let Some((at, next)) = stack.last_mut() {
            let args = self.args(*at);
            if let Some(&a) = args.get(*next) {
                *next += 1;
                if self.inst(a).op.is_pure() && !shown[a.index()] {
                    shown[a.index()] = true;
                    stack.push((a, 0));
                }
                continue;
            }
            let done = *at;
            stack.pop();
            if done != v {
                out.push_str("~ ");
                self.print_inst(out, done);
                out.push('\n');
            }
        }
    }

    /// One instruction as text, without indentation.
    pub fn print_inst(&self, out: &mut String, v: Value) {
        let i = self.inst(v);
        if i.ty != Type::Void {
            put(out, format_args!("{v}:{} = ", i.ty));
        } else {
            put(out, format_args!("{v} = "));
        }
        out.push_str(i.op.text());
        let (aux, idx, imm) = fields(i.op);
        match aux {
            Aux::IntCc => put(out, format_args!(".{}", IntCc::from_code(i.aux).text())),
            Aux::FloatCc => put(out, format_args!(".{}", FloatCc::from_code(i.aux).text())),
            Aux::Kind if i.aux != 0 => put(out, format_args!(".{}", MemKind::from_code(i.aux).text())),
            Aux::Trap => put(out, format_args!(".{:?}", TRAPS[usize::from(i.aux)])),
            Aux::Catches if i.aux != 0 => out.push_str(".catches"),
            Aux::Likely if i.aux != 0 => out.push_str(if i.aux == 1 { ".likely" } else { ".unlikely" }),
            _ => {}
        }
        match idx {
            Idx::Alias => put(out, format_args!("/{}", Alias::from_code(i.idx as u8).text())),
            Idx::Simd => put(out, format_args!("/{}", SimdOp::from_code(i.idx).text())),
            Idx::Rmw => put(out, format_args!("/{}", Rmw::from_code(i.idx as u8).text())),
            Idx::Helper => put(out, format_args!("/{:?}", Helper::ALL[i.idx as usize])),
            _ => {}
        }
        self.print_operands(out, v, i, aux, idx, imm);
        if i.pos != 0 {
            out.push_str(" @");
            print_position(out, &self.places, i.pos);
        }
    }

    fn print_operands(&self, out: &mut String, v: Value, i: &Inst, aux: Aux, idx: Idx, imm: Imm) {
        if i.op == Op::Jump {
            put(out, format_args!(" {}", Block(i.idx)));
            if !self.args(v).is_empty() {
                out.push('(');
                list(out, self.args(v), |o, a| put(o, format_args!("{a}")));
                out.push(')');
            }
            return;
        }
        let mut words: Vec<String> = self.args(v).iter().map(|a| a.to_string()).collect();
        if aux == Aux::Lane {
            words.push(format!("lane {}", i.aux));
        }
        match idx {
            Idx::Number => words.push(format!("#{}", i.idx)),
            Idx::Block => words.push(Block(i.idx).to_string()),
            Idx::Table => words.extend(self.tables[i.idx as usize].iter().map(|b| b.to_string())),
            _ => {}
        }
        match imm {
            Imm::Number if i.imm != 0 || matches!(i.op, Op::Iconst | Op::Fuel) => words.push(format!("#{}", i.imm)),
            Imm::Bits => words.push(format!("#{:#x}", i.imm as u64)),
            Imm::Vector => words.push(format!("#{:#x}", self.vectors[i.imm as usize])),
            Imm::Block => words.push(Block(i.imm as u32).to_string()),
            _ => {}
        }
        if !words.is_empty() {
            out.push(' ');
            list(out, words, |o, w| o.push_str(&w));
        }
    }
}

impl Display for Func {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.print())
    }
}
