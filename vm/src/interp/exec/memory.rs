//! Loads and stores.
//!
//! *Plain* forms access memory 0 of an instance whose memory 0 is guarded: no check. *Checked* forms name their memory,
//! compare with its length, and read its base anew each time; the word behind them holds the 64-bit offset.

use super::access::{self, Access};
use crate::interp::dispatch::{Acc, Dst, Handler, Mem, Reg, S, Src, handler};
use crate::runtime::memory::LinearMemory;
use crate::trap::TrapKind;
use std::marker::PhantomData;

/// How the address of a plain access is found.
pub(crate) trait Address {
    unsafe fn get(s: &S, field: u16) -> u64;
}
impl Address for Mem {
    #[inline(always)]
    unsafe fn get(s: &S, field: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe { u64::from(u32::from_slot(s.slot(field))) + u64::from(s.inst().x) }
    }
}
impl Address for Acc {
    #[inline(always)]
    unsafe fn get(s: &S, _: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe { u64::from(s.r as u32) + u64::from(s.inst().x) }
    }
}
/// A part of the immediate, `N` of its bytes from byte `FROM` on, read by itself: taking it out of the whole would need
/// one register more than there is.
#[inline(always)]
unsafe fn part<const FROM: usize, const N: usize>(s: &S) -> u32 {
    // SAFETY: handlers' contract; the immediate has four bytes, aligned. Volatile keeps the reads apart.
    unsafe {
        let at = (&raw const (*s.ip).x).cast::<u8>();
        let from = if cfg!(target_endian = "little") { FROM } else { 4 - FROM - N };
        match N {
            1 => u32::from(at.add(from).read_volatile()),
            _ => u32::from(at.add(from).cast::<u16>().read_volatile()),
        }
    }
}

/// Slot b plus slot c, offset d.
pub(crate) struct Sum;
impl Address for Sum {
    #[inline(always)]
    unsafe fn get(s: &S, field: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe {
            let c = u32::from_slot(s.slot(part::<0, 2>(s) as u16));
            u64::from(u32::from_slot(s.slot(field)).wrapping_add(c)) + u64::from(part::<2, 2>(s))
        }
    }
}
/// Accumulator plus slot c, offset d.
pub(crate) struct SumAcc;
impl Address for SumAcc {
    #[inline(always)]
    unsafe fn get(s: &S, _: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe {
            let c = u32::from_slot(s.slot(part::<0, 2>(s) as u16));
            u64::from((s.r as u32).wrapping_add(c)) + u64::from(part::<2, 2>(s))
        }
    }
}
/// The immediate alone.
pub(crate) struct Absolute;
impl Address for Absolute {
    #[inline(always)]
    unsafe fn get(s: &S, _: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe { u64::from(s.inst().x) }
    }
}

/// Slot b plus slot c times the low byte of d; the high byte of d is the offset. (A shift by a variable amount would need
/// the register that holds the context.)
pub(crate) struct Scaled;
impl Address for Scaled {
    #[inline(always)]
    unsafe fn get(s: &S, field: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe { scaled(s, field, u32::from_slot(s.slot(part::<0, 2>(s) as u16))) }
    }
}
/// As [`Scaled`] with the accumulator in the place of slot c.
pub(crate) struct ScaledAcc;
impl Address for ScaledAcc {
    #[inline(always)]
    unsafe fn get(s: &S, field: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe { scaled(s, field, s.r as u32) }
    }
}
#[inline(always)]
unsafe fn scaled(s: &S, base: u16, index: u32) -> u64 {
    // SAFETY: handlers' contract.
    unsafe {
        let scaled = index.wrapping_mul(part::<2, 1>(s));
        u64::from(u32::from_slot(s.slot(base)).wrapping_add(scaled)) + u64::from(part::<3, 1>(s))
    }
}
/// The slot plus the immediate, in 32 bits.
pub(crate) struct Wrapped;
impl Address for Wrapped {
    #[inline(always)]
    unsafe fn get(s: &S, field: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe { u64::from(u32::from_slot(s.slot(field)).wrapping_add(s.inst().x)) }
    }
}
/// The accumulator plus the immediate, in 32 bits.
pub(crate) struct WrappedAcc;
impl Address for WrappedAcc {
    #[inline(always)]
    unsafe fn get(s: &S, _: u16) -> u64 {
        // SAFETY: handlers' contract.
        unsafe { u64::from((s.r as u32).wrapping_add(s.inst().x)) }
    }
}

handler! {
    fn load<X: Access, A: Address, D: Dst>(s) {
        let at = A::get(&s, s.inst().b);
        let v = X::load(s.mem, at, s.ip as usize, s.fp as usize, s.ctx as usize);
        D::put(&mut s, v);
        s.next(1)
    }
}

/// An operand that may be a 16-bit immediate: the value of a store, the operands of joined operations.
pub(crate) trait Short {
    unsafe fn get<T: Reg>(s: &S, field: u16) -> T;
}
impl Short for Mem {
    #[inline(always)]
    unsafe fn get<T: Reg>(s: &S, field: u16) -> T {
        // SAFETY: handlers' contract.
        unsafe { T::from_slot(s.slot(field)) }
    }
}
impl Short for Acc {
    #[inline(always)]
    unsafe fn get<T: Reg>(s: &S, _: u16) -> T {
        T::from_acc(s)
    }
}
/// A 16-bit immediate, sign-extended.
pub(crate) struct Imm;
impl Short for Imm {
    #[inline(always)]
    unsafe fn get<T: Reg>(_: &S, field: u16) -> T {
        T::imm16(field)
    }
}

handler! {
    /// Address in a, value in b, offset in x.
    fn store<X: Access, A: Address, V: Short>(s) {
        let i = *s.inst();
        let at = A::get(&s, i.a);
        X::store(s.mem, at, V::get::<X::R>(&s, i.b), s.ip as usize, s.fp as usize, s.ctx as usize);
        s.next(1)
    }
}

handler! {
    /// Value in a, address in b and c, offset in d.
    fn store_sum<X: Access, A: Address, V: Short>(s) {
        let at = A::get(&s, s.inst().b);
        X::store(s.mem, at, V::get::<X::R>(&s, s.inst().a), s.ip as usize, s.fp as usize, s.ctx as usize);
        s.next(1)
    }
}

/// Checks an access of `width` bytes; answers the base of the memory and the address within it.
///
/// # Safety
/// The memory index must be one of the instance's.
#[inline(always)]
pub(crate) unsafe fn checked(s: &S, memory: u16, index: u64, width: u64) -> Result<(*mut u8, u64), TrapKind> {
    // SAFETY: the caller's contract; a data word with the offset follows.
    unsafe {
        let m: *mut LinearMemory = *(*s.ctx).memories.add(memory as usize);
        let offset = (*s.ip.add(1)).h;
        let at = index.checked_add(offset).ok_or(TrapKind::MemoryOutOfBounds)?;
        let end = at.checked_add(width).ok_or(TrapKind::MemoryOutOfBounds)?;
        if end <= (*m).vm.len() as u64 { Ok(((*m).vm.base, at)) } else { Err(TrapKind::MemoryOutOfBounds) }
    }
}

handler! {
    /// Address in b, memory in c. Slots of 32-bit indices are zero-extended, so one form serves both widths.
    fn load_checked<X: Access, A: Src, D: Dst>(s) {
        let i = *s.inst();
        match checked(&s, i.c(), A::get::<u64>(&s, i.b), X::WIDTH) {
            Ok((base, at)) => {
                let v = X::load(base, at, s.ip as usize, s.fp as usize, s.ctx as usize);
                D::put(&mut s, v);
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}

handler! {
    /// Address in a, value in b, memory in c.
    fn store_checked<X: Access, V: Src>(s) {
        let i = *s.inst();
        let v = V::get::<X::R>(&s, i.b);
        match checked(&s, i.c(), u64::from_slot(s.slot(i.a)), X::WIDTH) {
            Ok((base, at)) => {
                X::store(base, at, v, s.ip as usize, s.fp as usize, s.ctx as usize);
                s.next(2)
            }
            Err(kind) => s.trap(kind),
        }
    }
}

/// Forms of an access's handlers.
pub(crate) struct Forms<X>(PhantomData<X>);
impl<X: Access> Forms<X> {
    /// Address in the order of [`crate::interp::isa::LoadForm`], then destination.
    pub(crate) const LOAD: &'static [Handler] = &[
        load::<X, Mem, Acc>,
        load::<X, Mem, Mem>,
        load::<X, Acc, Acc>,
        load::<X, Acc, Mem>,
        load::<X, Sum, Acc>,
        load::<X, Sum, Mem>,
        load::<X, SumAcc, Acc>,
        load::<X, SumAcc, Mem>,
        load::<X, Absolute, Acc>,
        load::<X, Absolute, Mem>,
        load::<X, Scaled, Acc>,
        load::<X, Scaled, Mem>,
        load::<X, ScaledAcc, Acc>,
        load::<X, ScaledAcc, Mem>,
        load::<X, Wrapped, Acc>,
        load::<X, Wrapped, Mem>,
        load::<X, WrappedAcc, Acc>,
        load::<X, WrappedAcc, Mem>,
    ];
    /// Address and value, in the order of [`crate::interp::isa::StoreForm`].
    pub(crate) const STORE: &'static [Handler] = &[
        store::<X, Mem, Mem>,
        store::<X, Acc, Mem>,
        store::<X, Mem, Acc>,
        store::<X, Mem, Imm>,
        store::<X, Acc, Imm>,
        store::<X, Acc, Acc>,
        store_sum::<X, Sum, Mem>,
        store::<X, Absolute, Mem>,
        store::<X, Absolute, Acc>,
        store::<X, Absolute, Imm>,
        store_sum::<X, Scaled, Mem>,
        store::<X, Wrapped, Mem>,
        store::<X, Wrapped, Imm>,
    ];
    /// Address (slot, accumulator), then destination.
    pub(crate) const LOAD_CHECKED: &'static [Handler] = &[
        load_checked::<X, Mem, Acc>,
        load_checked::<X, Mem, Mem>,
        load_checked::<X, Acc, Acc>,
        load_checked::<X, Acc, Mem>,
    ];
    /// Value (slot, accumulator).
    pub(crate) const STORE_CHECKED: &'static [Handler] = &[store_checked::<X, Mem>, store_checked::<X, Acc>];
}

/// Field a, read after the address has been computed: volatile keeps it there.
#[inline(always)]
unsafe fn field_a(s: &S) -> u16 {
    // SAFETY: handlers' contract.
    unsafe { (&raw const (*s.ip).a).read_volatile() }
}

handler! {
    fn v128_load<A: Address>(s) {
        let at = A::get(&s, s.inst().b);
        let to = s.slot(field_a(&s)).cast();
        access::load_v128(s.mem, at, s.ip as usize, s.fp as usize, s.ctx as usize, to);
        s.next(1)
    }
}

handler! {
    /// Value in a, address in b (and c).
    fn v128_store<A: Address>(s) {
        let at = A::get(&s, s.inst().b);
        let from = s.slot(field_a(&s)).cast();
        access::store_v128(s.mem, at, s.ip as usize, s.fp as usize, s.ctx as usize, from);
        s.next(1)
    }
}

/// Plain vector accesses, by address in the order of [`crate::interp::isa::LoadForm`].
pub(crate) const V128_LOAD: &[Handler] = &[
    v128_load::<Mem>,
    v128_load::<Acc>,
    v128_load::<Sum>,
    v128_load::<SumAcc>,
    v128_load::<Absolute>,
    v128_load::<Scaled>,
    v128_load::<ScaledAcc>,
    v128_load::<Wrapped>,
    v128_load::<WrappedAcc>,
];
/// As [`V128_LOAD`].
pub(crate) const V128_STORE: &[Handler] = &[
    v128_store::<Mem>,
    v128_store::<Acc>,
    v128_store::<Sum>,
    v128_store::<SumAcc>,
    v128_store::<Absolute>,
    v128_store::<Scaled>,
    v128_store::<ScaledAcc>,
    v128_store::<Wrapped>,
    v128_store::<WrappedAcc>,
];
