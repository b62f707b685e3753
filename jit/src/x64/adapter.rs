//! Adapters between the interpreter's slots and the registers of compiled code, one per function type.
//!
//! In: a function type. Out: [`Code`] without relocations. Invariant: an adapter leaves the native stack and the registers
//! that calls keep as it found them, writes slots only at and above the address it was given, and its prologue table
//! tells at every instruction how far the return address is.
//!
//! ```text
//!   interpreter ──entry_adapter / osr_adapter──► compiled code ──exit_adapter──► helper: interpreter, host
//!                                                  compiled code ◄──tail_adapter──┘ when that ends in a tail call
//! ```
//!
//! Parameters and results lie in consecutive slots (a v128 takes two), with the upper half of a 32-bit integer zero.

use crate::abi::{self, Helper, Place, TrapCode};
use crate::{Code, CodeStats, Exit, TrapSite};
use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};
use wasm::layout::{SLOT, context, store};
use wasm::{FuncType, ValType};

/// Second word of what the helpers of exit adapters answer: the results lie in the slots.
pub const CALL_RETURNED: u32 = 0;
/// As [`CALL_RETURNED`]: it failed, the reason is in the store.
pub const CALL_FAILED: u32 = 1;
/// As [`CALL_RETURNED`]: it ended in a tail call of compiled code. The first word is the [`tail_adapter`] of that function's
/// type, the parameters lie in the slots, and the store has the code's address.
pub const CALL_TAIL: u32 = 2;

type Asm = VecAssembler<X64Relocation>;

/// Calls compiled code from C: `fn(slots: *mut u64, code: *const u8)`, with `r15` and `r14` set. Parameters come from the
/// slots, results go there.
pub fn entry_adapter(ty: &FuncType) -> Code {
    entry(ty, |asm| load_params(asm, ty))
}

/// As [`entry_adapter`] for the entry at a loop of a function of that type: its one parameter is the slots' address.
pub fn osr_adapter(ty: &FuncType) -> Code {
    entry(ty, |asm| dynasm!(asm; .arch x64; mov rdi, rbx))
}

fn entry(ty: &FuncType, params: impl FnOnce(&mut Asm)) -> Code {
    let mut out = Adapter::new();
    let asm = &mut out.asm;
    dynasm!(asm; .arch x64; push rbx);
    out.prologue.push((asm.offset().0 as u32, 8));
    dynasm!(asm; .arch x64; mov rbx, rdi; mov rax, rsi);
    params(asm);
    dynasm!(asm; .arch x64; call rax);
    out.calls.push((asm.offset().0 as u32, 0));
    store_results(asm, ty);
    dynasm!(asm; .arch x64; pop rbx; ret);
    out.finish(8, 1 << RBX)
}

/// Jumps from a frame that is done to compiled code: `rdi` the slots of the parameters, `rsi` the code. What is on the
/// native stack is the return address of the frame's caller.
pub fn tail_adapter(ty: &FuncType) -> Code {
    let mut out = Adapter::new();
    let asm = &mut out.asm;
    // Every integer register may be a parameter's; vector registers beyond those of parameters are free.
    dynasm!(asm; .arch x64; movq xmm15, rsi; mov rax, rdi);
    load_params_from(asm, ty, RAX);
    dynasm!(asm; .arch x64; movq rax, xmm15; jmp rax);
    out.finish(0, 0)
}

/// Stands in for a function of that type that is not compiled, or (with [`Exit::Reference`]) is another instance's or the
/// host's: the runtime's helper calls it. With `fuel`, what is left of it is in the store meanwhile.
pub fn exit_adapter(ty: &FuncType, exit: Exit, fuel: bool) -> Code {
    let helper = match exit {
        Exit::Own => Helper::CallOwn,
        Exit::Reference => Helper::CallReference,
    };
    let mut out = Adapter::new();
    let asm = &mut out.asm;
    dynasm!(asm; .arch x64; push rbx);
    out.prologue.push((asm.offset().0 as u32, 8));
    dynasm!(asm; .arch x64; push rbp);
    out.prologue.push((asm.offset().0 as u32, 16));
    dynasm!(asm; .arch x64; sub rsp, 8);
    out.prologue.push((asm.offset().0 as u32, 24));
    dynasm!(asm; .arch x64
        ; mov rbp, [r15 + context::STORE as i32]
        ; cmp rsp, [rbp + store::NATIVE_LIMIT as i32]
        ; jb >exhausted
        ; mov rbx, [rbp + store::SLOT_TOP as i32]
        ; cmp rbx, [rbp + store::STACK_LIMIT as i32]
        ; ja >exhausted
    );
    store_params(asm, ty);
    if fuel {
        dynasm!(asm; .arch x64; mov [rbp + store::FUEL as i32], Rq(abi::FUEL));
    }
    dynasm!(asm; .arch x64
        ; mov rdi, r15
        ; mov rsi, rax
        ; mov rdx, rbx
        ; mov rax, [r15 + context::HELPERS as i32]
        ; call QWORD [rax + helper as i32 * 8]
    );
    out.calls.push((asm.offset().0 as u32, 0));
    if fuel {
        dynasm!(asm; .arch x64; mov Rq(abi::FUEL), [rbp + store::FUEL as i32]);
    }
    dynasm!(asm; .arch x64
        ; cmp edx, CALL_RETURNED as i32
        ; jne >other
    );
    load_results(asm, ty);
    dynasm!(asm; .arch x64
        ; add rsp, 8
        ; pop rbp
        ; pop rbx
        ; ret
        ; other:
        ; cmp edx, CALL_FAILED as i32
        ; je >failed
        // It ended in a tail call of compiled code: `rax` is the tail adapter of that function's type.
        ; mov rdi, rbx
        ; mov rsi, [rbp + store::TAIL_CODE as i32]
        ; add rsp, 8
        ; pop rbp
        ; pop rbx
        ; jmp rax
        ; exhausted:
    );
    out.trap(TrapCode::CallStackExhausted);
    dynasm!(out.asm; .arch x64; failed:);
    out.traps.push(TrapSite { at: out.asm.offset().0 as u32, code: TrapCode::Raised, wasm: 0 });
    dynasm!(out.asm; .arch x64; call QWORD [r15 + context::RAISE as i32]);
    out.finish(24, 1 << RBX | 1 << RBP)
}

/// An adapter in the making.
struct Adapter {
    asm: Asm,
    prologue: Vec<(u32, u32)>,
    traps: Vec<TrapSite>,
    calls: Vec<(u32, u32)>,
}

impl Adapter {
    fn new() -> Adapter {
        Adapter { asm: Asm::new(0), prologue: vec![(0, 0)], traps: Vec::new(), calls: Vec::new() }
    }

    fn trap(&mut self, code: TrapCode) {
        self.traps.push(TrapSite { at: self.asm.offset().0 as u32, code, wasm: 0 });
        dynasm!(self.asm; .arch x64; ud2);
    }

    fn finish(self, frame_size: u32, saved: u32) -> Code {
        // Labels are all defined above, and nothing is out of reach of a 32-bit displacement.
        let bytes = self.asm.finalize().expect("an adapter's labels are its own");
        Code {
            code_len: bytes.len() as u32,
            bytes,
            frame_size,
            saved,
            prologue: self.prologue,
            relocs: Vec::new(),
            traps: self.traps,
            calls: self.calls,
            landings: Vec::new(),
            tags: Vec::new(),
            places: Vec::new(),
            stats: CodeStats::default(),
        }
    }
}

const RAX: u8 = 0;
const RBX: u8 = 3;
const RBP: u8 = 5;
const R10: u8 = 10;
const R11: u8 = 11;

/// Pairs each value's place with the displacement of its slot.
fn with_slots(places: Vec<(ValType, Place)>) -> impl DoubleEndedIterator<Item = (ValType, Place, i32)> + Clone {
    let mut slot = 0;
    let list: Vec<_> = places
        .into_iter()
        .map(|(ty, place)| {
            let at = slot * SLOT as i32;
            slot += ty.slots() as i32;
            (ty, place, at)
        })
        .collect();
    list.into_iter()
}

fn load_params(asm: &mut Asm, ty: &FuncType) {
    // The code's address is in rax.
    load_params_from(asm, ty, RBX);
}

/// Slots to where parameters belong; the slots' address is in `base`, which is not a parameter's register. Values of the
/// area go first, through registers that parameters may need afterwards.
fn load_params_from(asm: &mut Asm, ty: &FuncType, base: u8) {
    let places = with_slots(abi::params(ty));
    load_area(asm, places.clone(), base);
    for (ty, place, at) in places {
        load_register(asm, ty, place, base, at);
    }
}

fn load_register(asm: &mut Asm, ty: ValType, place: Place, base: u8, at: i32) {
    match (place, ty) {
        (Place::Int(r), ValType::I32) => dynasm!(asm; .arch x64; mov Rd(r), [Rq(base) + at]),
        (Place::Int(r), _) => dynasm!(asm; .arch x64; mov Rq(r), [Rq(base) + at]),
        (Place::Vec(r), ValType::F32) => dynasm!(asm; .arch x64; movss Rx(r), [Rq(base) + at]),
        (Place::Vec(r), ValType::F64) => dynasm!(asm; .arch x64; movsd Rx(r), [Rq(base) + at]),
        (Place::Vec(r), _) => dynasm!(asm; .arch x64; movups Rx(r), [Rq(base) + at]),
        (Place::Area(_), _) => {}
    }
}

/// Slots to the argument area, by way of r10 and r11.
fn load_area(asm: &mut Asm, places: impl Iterator<Item = (ValType, Place, i32)>, base: u8) {
    area(asm, places, |asm, ty, to, at| {
        dynasm!(asm; .arch x64; mov Rq(R10), [Rq(base) + at]; mov [Rq(R11) + to], Rq(R10));
        if ty == ValType::V128 {
            dynasm!(asm; .arch x64; mov Rq(R10), [Rq(base) + at + 8]; mov [Rq(R11) + to + 8], Rq(R10));
        }
    });
}

/// The argument area to slots at rbx, by way of r10 and r11.
fn store_area(asm: &mut Asm, places: impl Iterator<Item = (ValType, Place, i32)>) {
    area(asm, places, |asm, ty, from, at| {
        match ty {
            ValType::I32 | ValType::F32 => dynasm!(asm; .arch x64; mov Rd(R10), [Rq(R11) + from]),
            _ => dynasm!(asm; .arch x64; mov Rq(R10), [Rq(R11) + from]),
        }
        dynasm!(asm; .arch x64; mov [rbx + at], Rq(R10));
        if ty == ValType::V128 {
            dynasm!(asm; .arch x64; mov Rq(R10), [Rq(R11) + from + 8]; mov [rbx + at + 8], Rq(R10));
        }
    });
}

/// Does `each` for the values of the argument area (type, place in it, displacement of the slot), whose address is in r11.
fn area(
    asm: &mut Asm,
    places: impl Iterator<Item = (ValType, Place, i32)>,
    mut each: impl FnMut(&mut Asm, ValType, i32, i32),
) {
    let mut addressed = false;
    for (ty, place, at) in places {
        let Place::Area(offset) = place else { continue };
        if !std::mem::replace(&mut addressed, true) {
            dynasm!(asm; .arch x64; mov Rq(R11), [r15 + context::ARGS as i32]);
        }
        each(asm, ty, offset as i32, at);
    }
}

fn store_register(asm: &mut Asm, ty: ValType, place: Place, at: i32) {
    match (place, ty) {
        // A 32-bit move clears the upper half.
        (Place::Int(r), ValType::I32) => dynasm!(asm; .arch x64; mov Rd(r), Rd(r); mov [rbx + at], Rq(r)),
        (Place::Int(r), _) => dynasm!(asm; .arch x64; mov [rbx + at], Rq(r)),
        (Place::Vec(r), ValType::F32) => dynasm!(asm; .arch x64; movss [rbx + at], Rx(r)),
        (Place::Vec(r), ValType::F64) => dynasm!(asm; .arch x64; movsd [rbx + at], Rx(r)),
        (Place::Vec(r), _) => dynasm!(asm; .arch x64; movups [rbx + at], Rx(r)),
        (Place::Area(_), _) => {}
    }
}

/// Parameters to slots at rbx; rax stays.
fn store_params(asm: &mut Asm, ty: &FuncType) {
    let places = with_slots(abi::params(ty));
    for (ty, place, at) in places.clone() {
        store_register(asm, ty, place, at);
    }
    store_area(asm, places);
}

/// Results to slots at rbx.
fn store_results(asm: &mut Asm, ty: &FuncType) {
    let places = with_slots(abi::results(ty));
    for (ty, place, at) in places.clone() {
        store_register(asm, ty, place, at);
    }
    store_area(asm, places);
}

/// Slots at rbx to where results belong.
fn load_results(asm: &mut Asm, ty: &FuncType) {
    let places = with_slots(abi::results(ty));
    load_area(asm, places.clone(), RBX);
    for (ty, place, at) in places {
        load_register(asm, ty, place, RBX, at);
    }
}
