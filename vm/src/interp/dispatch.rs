//! What handlers pass from one to the next, and how.
//!
//! Eight values live in machine registers for the whole run: instruction pointer, frame pointer, base of memory 0,
//! context, budget, and three accumulators (integer or reference, f64, f32). Where the compiler makes sibling calls
//! (`vm_tail_calls`, set by the build script for optimised builds) a handler ends by calling the next one; elsewhere it
//! returns the eight values to a loop. Handlers are written once for both.

use super::code::Inst;
use crate::runtime::context::{Slot, VmContext};
use crate::trap::TrapKind;

/// A handler. The C calling convention passes all eight values in registers.
pub(crate) type Handler =
    unsafe extern "C" fn(*const Inst, *mut Slot, *mut u8, *mut VmContext, i64, u64, f64, f32) -> Exit;

/// The values handlers pass on.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct S {
    pub(crate) ip: *const Inst,
    pub(crate) fp: *mut Slot,
    pub(crate) mem: *mut u8,
    pub(crate) ctx: *mut VmContext,
    /// Loop iterations and calls left until interruption and deadline are looked at.
    pub(crate) bg: i64,
    /// Integer accumulator.
    pub(crate) r: u64,
    /// f64 accumulator.
    pub(crate) d: f64,
    /// f32 accumulator.
    pub(crate) f: f32,
}

/// What a handler returns: nothing when it called its successor itself.
#[cfg(vm_tail_calls)]
pub(crate) type Exit = ();
/// What a handler returns to the dispatch loop; a null instruction pointer ends it.
#[cfg(not(vm_tail_calls))]
pub(crate) type Exit = S;

impl S {
    /// Goes on at `ip`.
    ///
    /// # Safety
    /// `ip` must point to an instruction of valid register code that fits the frame.
    #[inline(always)]
    pub(crate) unsafe fn go(self, ip: *const Inst) -> Exit {
        #[cfg(vm_tail_calls)]
        // SAFETY: the first word of an instruction is the address of its handler.
        unsafe {
            let h: Handler = std::mem::transmute((*ip).h);
            h(ip, self.fp, self.mem, self.ctx, self.bg, self.r, self.d, self.f)
        }
        #[cfg(not(vm_tail_calls))]
        S { ip, ..self }
    }

    /// Goes on `n` words further.
    ///
    /// # Safety
    /// As [`S::go`].
    #[inline(always)]
    pub(crate) unsafe fn next(self, n: usize) -> Exit {
        // SAFETY: the caller's contract.
        unsafe { self.go(self.ip.add(n)) }
    }

    /// Goes on at a branch target, `offset` words from the present instruction.
    ///
    /// # Safety
    /// As [`S::go`].
    #[inline(always)]
    pub(crate) unsafe fn branch(self, offset: u32) -> Exit {
        // SAFETY: the caller's contract.
        unsafe { self.go(self.ip.offset(offset as i32 as isize)) }
    }

    /// Ends the run with a trap at the present instruction.
    ///
    /// # Safety
    /// To be called from a handler, as its end.
    #[inline(always)]
    pub(crate) unsafe fn trap(self, kind: TrapKind) -> Exit {
        // SAFETY: the values are those of the running handler.
        unsafe { trap(self.ip, self.fp, self.mem, self.ctx, self.bg, kind as u64, self.d, self.f) }
    }

    /// Leaves by a cold function with the signature of handlers.
    ///
    /// # Safety
    /// As the function's own contract.
    #[inline(always)]
    pub(crate) unsafe fn leave(self, to: Handler) -> Exit {
        // SAFETY: the caller's contract.
        unsafe { to(self.ip, self.fp, self.mem, self.ctx, self.bg, self.r, self.d, self.f) }
    }

    /// Counts one loop iteration or call; when the budget is used up, looks at interruption and deadline first.
    ///
    /// # Safety
    /// As [`S::go`] with `ip`.
    #[inline(always)]
    pub(crate) unsafe fn count_and_go(mut self, ip: *const Inst) -> Exit {
        self.bg -= 1;
        self.ip = ip;
        // SAFETY: the caller's contract.
        unsafe { if self.bg < 0 { self.leave(super::exec::control::budget_used_up) } else { self.go(ip) } }
    }

    /// A slot of the frame.
    ///
    /// # Safety
    /// The slot must lie in the frame.
    #[inline(always)]
    pub(crate) unsafe fn slot(&self, i: u16) -> *mut Slot {
        // SAFETY: the caller's contract.
        unsafe { self.fp.add(i as usize) }
    }

    /// The present instruction.
    ///
    /// # Safety
    /// `ip` is valid whenever a handler runs.
    #[inline(always)]
    pub(crate) unsafe fn inst(&self) -> &Inst {
        // SAFETY: the caller's contract.
        unsafe { &*self.ip }
    }
}

/// Defines a handler: `handler!(fn name<Generics: Bounds>(s) { … })`. The body is an expression that ends the handler.
macro_rules! handler {
    ($(#[$meta:meta])* $vis:vis fn $name:ident $(<$($g:ident : $b:path),* $(; $(const $c:ident : $ct:ty),*)?>)? ($s:ident) $body:block) => {
        $(#[$meta])*
        #[allow(unused_mut, unused_unsafe)]
        $vis unsafe extern "C" fn $name $(<$($g: $b,)* $($(const $c: $ct),*)?>)? (
            ip: *const $crate::interp::code::Inst,
            fp: *mut u64,
            mem: *mut u8,
            ctx: *mut $crate::runtime::context::VmContext,
            bg: i64,
            r: u64,
            d: f64,
            f: f32,
        ) -> $crate::interp::dispatch::Exit {
            let mut $s = $crate::interp::dispatch::S { ip, fp, mem, ctx, bg, r, d, f };
            // SAFETY: handlers run only on register code that the translator made from a validated body: slots lie
            // in the frame, indices in the instance's spaces, branch targets in the code; the frame's size was
            // checked when it was entered.
            unsafe { $body }
        }
    };
}
pub(crate) use handler;

handler! {
    /// Records where and why the guest stopped, and ends the run. The kind comes in the integer accumulator.
    #[cold]
    #[inline(never)]
    pub(crate) fn trap(s) {
        let kind: TrapKind = std::mem::transmute(s.r as u8);
        let store = &mut *(*s.ctx).store;
        store.site = Some(crate::runtime::context::TrapSite { ip: s.ip as usize, fp: s.fp, context: s.ctx, returning: false });
        store.unwind = Some(crate::runtime::context::Unwind::Trap(kind));
        finish(s)
    }
}

/// Ends the run.
#[inline(always)]
pub(crate) fn finish(s: S) -> Exit {
    #[cfg(vm_tail_calls)]
    {
        let _ = s;
    }
    #[cfg(not(vm_tail_calls))]
    S { ip: std::ptr::null(), ..s }
}

/// Runs register code until it ends.
///
/// # Safety
/// `s` must describe a frame at the entry of valid register code.
pub(crate) unsafe fn run(s: S) {
    #[cfg(vm_tail_calls)]
    // SAFETY: the caller's contract.
    unsafe {
        s.go(s.ip);
    }
    #[cfg(not(vm_tail_calls))]
    {
        let mut s = s;
        while !s.ip.is_null() {
            // SAFETY: the caller's contract, kept up by every handler.
            s = unsafe {
                let h: Handler = std::mem::transmute((*s.ip).h);
                h(s.ip, s.fp, s.mem, s.ctx, s.bg, s.r, s.d, s.f)
            };
        }
    }
}

/// Kinds of values, by the accumulator they use.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Class {
    /// Integers and references.
    Int = 0,
    F32 = 1,
    F64 = 2,
    /// Vectors, which have no accumulator and take two slots.
    V128 = 3,
}

/// A type of values that live in slots and accumulators.
pub(crate) trait Reg: Copy + 'static {
    const CLASS: Class = Class::Int;
    unsafe fn from_slot(at: *const Slot) -> Self;
    unsafe fn to_slot(self, at: *mut Slot);
    fn from_acc(s: &S) -> Self;
    fn to_acc(self, s: &mut S);
    /// The immediate of the present instruction.
    unsafe fn imm(s: &S) -> Self;
    /// A 16-bit immediate.
    fn imm16(v: u16) -> Self;
}

macro_rules! int_reg {
    ($t:ty, $bits:ty) => {
        impl Reg for $t {
            #[inline(always)]
            unsafe fn from_slot(at: *const Slot) -> Self {
                // SAFETY: the caller passes a slot of the frame.
                unsafe { *at as $t }
            }
            #[inline(always)]
            unsafe fn to_slot(self, at: *mut Slot) {
                // SAFETY: as above.
                unsafe { *at = self as $bits as u64 }
            }
            #[inline(always)]
            fn from_acc(s: &S) -> Self {
                s.r as $t
            }
            #[inline(always)]
            fn to_acc(self, s: &mut S) {
                s.r = self as $bits as u64;
            }
            #[inline(always)]
            unsafe fn imm(s: &S) -> Self {
                // SAFETY: the present instruction is valid.
                unsafe { s.inst().x as i32 as $t }
            }
            #[inline(always)]
            fn imm16(v: u16) -> Self {
                v as i16 as $t
            }
        }
    };
}
int_reg!(i32, u32);
int_reg!(u32, u32);
int_reg!(i64, u64);
int_reg!(u64, u64);

impl Reg for f32 {
    const CLASS: Class = Class::F32;
    #[inline(always)]
    unsafe fn from_slot(at: *const Slot) -> Self {
        // SAFETY: the caller passes a slot of the frame.
        unsafe { *at.cast::<f32>() }
    }
    #[inline(always)]
    unsafe fn to_slot(self, at: *mut Slot) {
        // SAFETY: as above. The upper half of an f32's slot is never looked at.
        unsafe { *at.cast::<f32>() = self }
    }
    #[inline(always)]
    fn from_acc(s: &S) -> Self {
        s.f
    }
    #[inline(always)]
    fn to_acc(self, s: &mut S) {
        s.f = self;
    }
    #[inline(always)]
    unsafe fn imm(s: &S) -> Self {
        // SAFETY: the present instruction is valid.
        f32::from_bits(unsafe { s.inst().x })
    }
    #[inline(always)]
    fn imm16(v: u16) -> Self {
        f32::from(v)
    }
}

impl Reg for f64 {
    const CLASS: Class = Class::F64;
    #[inline(always)]
    unsafe fn from_slot(at: *const Slot) -> Self {
        // SAFETY: the caller passes a slot of the frame.
        unsafe { *at.cast::<f64>() }
    }
    #[inline(always)]
    unsafe fn to_slot(self, at: *mut Slot) {
        // SAFETY: as above.
        unsafe { *at.cast::<f64>() = self }
    }
    #[inline(always)]
    fn from_acc(s: &S) -> Self {
        s.d
    }
    #[inline(always)]
    fn to_acc(self, s: &mut S) {
        s.d = self;
    }
    #[inline(always)]
    unsafe fn imm(s: &S) -> Self {
        // SAFETY: the present instruction is valid. The translator uses this form for what f32 represents exactly.
        f64::from(f32::from_bits(unsafe { s.inst().x }))
    }
    #[inline(always)]
    fn imm16(v: u16) -> Self {
        f64::from(v)
    }
}

/// Where a pair of operands comes from.
pub(crate) trait Pair {
    /// Whether one operand is the word behind the instruction.
    const WIDE: bool = false;
    unsafe fn get<A: Reg, B: Reg>(s: &S) -> (A, B);
    /// As `get`, for compare-and-branch instructions, whose last two fields are the offset.
    unsafe fn get_branch<A: Reg, B: Reg>(s: &S) -> (A, B);
}

macro_rules! pair {
    ($(#[$doc:meta])* $name:ident, |$s:ident| $a:expr, $b:expr; branch $ba:expr, $bb:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;
        impl Pair for $name {
            #[inline(always)]
            unsafe fn get<A: Reg, B: Reg>($s: &S) -> (A, B) {
                // SAFETY: handlers' contract.
                unsafe { ($a, $b) }
            }
            #[inline(always)]
            unsafe fn get_branch<A: Reg, B: Reg>($s: &S) -> (A, B) {
                // SAFETY: handlers' contract.
                unsafe { ($ba, $bb) }
            }
        }
    };
}
pair!(/// Two slots.
    SS, |s| A::from_slot(s.slot(s.inst().b)), B::from_slot(s.slot(s.inst().c()));
    branch A::from_slot(s.slot(s.inst().a)), B::from_slot(s.slot(s.inst().b)));
pair!(/// Accumulator and slot.
    RS, |s| A::from_acc(s), B::from_slot(s.slot(s.inst().c()));
    branch A::from_acc(s), B::from_slot(s.slot(s.inst().b)));
pair!(/// Slot and accumulator.
    SR, |s| A::from_slot(s.slot(s.inst().b)), B::from_acc(s);
    branch A::from_slot(s.slot(s.inst().a)), B::from_acc(s));
pair!(/// Slot and immediate.
    SI, |s| A::from_slot(s.slot(s.inst().b)), B::imm(s);
    branch A::from_slot(s.slot(s.inst().a)), B::imm16(s.inst().b));
pair!(/// Accumulator and immediate.
    RI, |s| A::from_acc(s), B::imm(s);
    branch A::from_acc(s), B::imm16(s.inst().b));
pair!(/// Immediate and slot.
    IS, |s| A::imm(s), B::from_slot(s.slot(s.inst().b));
    branch A::imm16(s.inst().b), B::from_slot(s.slot(s.inst().a)));
pair!(/// Immediate and accumulator.
    IR, |s| A::imm(s), B::from_acc(s);
    branch A::imm16(s.inst().b), B::from_acc(s));

/// The 64 bits of the word behind.
///
/// # Safety
/// The present instruction must be followed by a data word.
#[inline(always)]
unsafe fn wide<T: Reg>(s: &S) -> T {
    // SAFETY: the caller's contract; a data word is as good as a slot.
    unsafe { T::from_slot(&raw const (*s.ip.add(1)).h) }
}
macro_rules! wide_pair {
    ($(#[$doc:meta])* $name:ident, |$s:ident| $a:expr, $b:expr) => {
        $(#[$doc])*
        pub(crate) struct $name;
        impl Pair for $name {
            const WIDE: bool = true;
            #[inline(always)]
            unsafe fn get<A: Reg, B: Reg>($s: &S) -> (A, B) {
                // SAFETY: handlers' contract.
                unsafe { ($a, $b) }
            }
            #[inline(always)]
            unsafe fn get_branch<A: Reg, B: Reg>(s: &S) -> (A, B) {
                // SAFETY: handlers' contract.
                unsafe { Self::get(s) }
            }
        }
    };
}
wide_pair!(/// Slot and word behind.
    SW, |s| A::from_slot(s.slot(s.inst().b)), wide(s));
wide_pair!(/// Accumulator and word behind.
    RW, |s| A::from_acc(s), wide(s));
wide_pair!(/// Word behind and slot.
    WS, |s| wide(s), B::from_slot(s.slot(s.inst().b)));
wide_pair!(/// Word behind and accumulator.
    WR, |s| wide(s), B::from_acc(s));

/// Where one operand comes from.
pub(crate) trait Src {
    unsafe fn get<T: Reg>(s: &S, field: u16) -> T;
}
/// The accumulator of the type, as operand or as result.
pub(crate) struct Acc;
/// A slot as operand; accumulator and slot as result.
pub(crate) struct Mem;
impl Src for Acc {
    #[inline(always)]
    unsafe fn get<T: Reg>(s: &S, _: u16) -> T {
        T::from_acc(s)
    }
}
impl Src for Mem {
    #[inline(always)]
    unsafe fn get<T: Reg>(s: &S, field: u16) -> T {
        // SAFETY: handlers' contract.
        unsafe { T::from_slot(s.slot(field)) }
    }
}

/// Where a result goes: always to the accumulator, and to slot `a` if so asked.
pub(crate) trait Dst {
    unsafe fn put<T: Reg>(s: &mut S, v: T);
}
impl Dst for Acc {
    #[inline(always)]
    unsafe fn put<T: Reg>(s: &mut S, v: T) {
        v.to_acc(s);
    }
}
impl Dst for Mem {
    #[inline(always)]
    unsafe fn put<T: Reg>(s: &mut S, v: T) {
        // SAFETY: handlers' contract.
        unsafe { v.to_slot(s.slot(s.inst().a)) };
        v.to_acc(s);
    }
}
