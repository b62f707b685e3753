//! Objects: fields and elements, allocation, tests and casts.
//!
//! Reading and writing are handlers over the kinds of cells that objects have. Whatever makes an object or works on many
//! elements takes its operands from slots in a row and is done by the operations of `runtime::gc`; those may collect garbage,
//! so the translator leaves nothing in an accumulator alone there.

use crate::instance::InstanceData;
use crate::interp::dispatch::{Acc, Dst, Handler, Mem, Pair, RI, RS, Reg, S, SI, SR, SS, Src, handler, trap};
use crate::runtime::context::{Slot, VmContext};
use crate::runtime::gc::array::{self, Row};
use crate::runtime::gc::cast;
use crate::runtime::gc::object::{Live, array_len, element};
use crate::runtime::gc::types::{ObjectType, Width};
use crate::trap::TrapKind;
use std::marker::PhantomData;

/// What a field or element holds, and how it is extended when it is read.
pub(crate) trait Cell: 'static {
    const WIDTH: Width;
    type R: Reg;
    /// # Safety
    /// The address must be that of such a cell.
    unsafe fn load(at: *const u8) -> Self::R;
    /// # Safety
    /// As `load`.
    unsafe fn store(at: *mut u8, v: Self::R);
}

macro_rules! cells {
    ($($name:ident: $r:ty, $mem:ty, $width:ident;)*) => { $(
        pub(crate) struct $name;
        impl Cell for $name {
            const WIDTH: Width = Width::$width;
            type R = $r;
            #[inline(always)]
            unsafe fn load(at: *const u8) -> $r {
                // SAFETY: the caller's contract.
                unsafe { *at.cast::<$mem>() as $r }
            }
            #[inline(always)]
            unsafe fn store(at: *mut u8, v: $r) {
                // SAFETY: the caller's contract.
                unsafe { *at.cast::<$mem>() = v as $mem }
            }
        }
    )* };
}
cells! {
    C8S: i32, i8, W8;
    C8U: u32, u8, W8;
    C16S: i32, i16, W16;
    C16U: u32, u16, W16;
    C32: u32, u32, W32;
    C64: u64, u64, W64;
    CF32: f32, f32, W32;
    CF64: f64, f64, W64;
}

handler! {
    /// The field at offset x of the struct in b.
    fn struct_get<C: Cell, A: Src, D: Dst>(s) {
        let i = *s.inst();
        let object = A::get::<u64>(&s, i.b);
        if object == 0 {
            return s.trap(TrapKind::NullStructureReference);
        }
        D::put(&mut s, C::load((object as *const u8).add(i.x as usize)));
        s.next(1)
    }
}

handler! {
    /// The field at offset x of the struct in slot a gets b.
    fn struct_set<C: Cell, V: Src>(s) {
        let i = *s.inst();
        let object = *s.slot(i.a);
        if object == 0 {
            return s.trap(TrapKind::NullStructureReference);
        }
        C::store((object as *mut u8).add(i.x as usize), V::get::<C::R>(&s, i.b));
        s.next(1)
    }
}

handler! {
    /// The element of an array; array and index are a pair.
    fn array_get<C: Cell, P: Pair, D: Dst>(s) {
        let (object, index) = P::get::<u64, u32>(&s);
        if object == 0 {
            return s.trap(TrapKind::NullArrayReference);
        }
        if index >= array_len(object) {
            return s.trap(TrapKind::ArrayOutOfBounds);
        }
        D::put(&mut s, C::load(element(object, u64::from(index), C::WIDTH)));
        s.next(1)
    }
}

handler! {
    /// The element at slot b of the array in slot a gets c.
    fn array_set<C: Cell, V: Src>(s) {
        let i = *s.inst();
        let (object, index) = (*s.slot(i.a), *s.slot(i.b) as u32);
        if object == 0 {
            return s.trap(TrapKind::NullArrayReference);
        }
        if index >= array_len(object) {
            return s.trap(TrapKind::ArrayOutOfBounds);
        }
        C::store(element(object, u64::from(index), C::WIDTH), V::get::<C::R>(&s, i.c()));
        s.next(1)
    }
}

/// Forms of the accesses to one kind of cells.
pub(crate) struct Forms<C>(PhantomData<C>);

impl<C: Cell> Forms<C> {
    /// Object, then destination.
    pub(crate) const STRUCT_GET: &'static [Handler] =
        &[struct_get::<C, Mem, Acc>, struct_get::<C, Mem, Mem>, struct_get::<C, Acc, Acc>, struct_get::<C, Acc, Mem>];
    /// Value.
    pub(crate) const STRUCT_SET: &'static [Handler] = &[struct_set::<C, Mem>, struct_set::<C, Acc>];
    /// Pair in the order of [`crate::interp::isa::PairForm`] as far as constant indices, then destination.
    pub(crate) const ARRAY_GET: &'static [Handler] = &[
        array_get::<C, SS, Acc>,
        array_get::<C, SS, Mem>,
        array_get::<C, RS, Acc>,
        array_get::<C, RS, Mem>,
        array_get::<C, SR, Acc>,
        array_get::<C, SR, Mem>,
        array_get::<C, SI, Acc>,
        array_get::<C, SI, Mem>,
        array_get::<C, RI, Acc>,
        array_get::<C, RI, Mem>,
    ];
    /// Value.
    pub(crate) const ARRAY_SET: &'static [Handler] = &[array_set::<C, Mem>, array_set::<C, Acc>];
}

handler! {
    /// Slots a and a + 1 get the field at offset x of the struct in slot b.
    pub(crate) fn struct_get_v128(s) {
        let i = *s.inst();
        let object = *s.slot(i.b);
        if object == 0 {
            return s.trap(TrapKind::NullStructureReference);
        }
        *s.slot(i.a).cast::<[u64; 2]>() = *((object as *const u8).add(i.x as usize)).cast::<[u64; 2]>();
        s.next(1)
    }
}

handler! {
    /// The field at offset x of the struct in slot a gets slots b and b + 1.
    pub(crate) fn struct_set_v128(s) {
        let i = *s.inst();
        let object = *s.slot(i.a);
        if object == 0 {
            return s.trap(TrapKind::NullStructureReference);
        }
        *((object as *mut u8).add(i.x as usize)).cast::<[u64; 2]>() = *s.slot(i.b).cast::<[u64; 2]>();
        s.next(1)
    }
}

handler! {
    /// Slots a and a + 1 get the element at slot c of the array in slot b.
    pub(crate) fn array_get_v128(s) {
        let i = *s.inst();
        let (object, index) = (*s.slot(i.b), *s.slot(i.c()) as u32);
        if object == 0 {
            return s.trap(TrapKind::NullArrayReference);
        }
        if index >= array_len(object) {
            return s.trap(TrapKind::ArrayOutOfBounds);
        }
        *s.slot(i.a).cast::<[u64; 2]>() = *element(object, u64::from(index), Width::W128).cast::<[u64; 2]>();
        s.next(1)
    }
}

handler! {
    /// The element at slot b of the array in slot a gets slots c and c + 1.
    pub(crate) fn array_set_v128(s) {
        let i = *s.inst();
        let (object, index) = (*s.slot(i.a), *s.slot(i.b) as u32);
        if object == 0 {
            return s.trap(TrapKind::NullArrayReference);
        }
        if index >= array_len(object) {
            return s.trap(TrapKind::ArrayOutOfBounds);
        }
        *element(object, u64::from(index), Width::W128).cast::<[u64; 2]>() = *s.slot(i.c()).cast::<[u64; 2]>();
        s.next(1)
    }
}

handler! {
    /// The length of the array in b.
    fn length<A: Src, D: Dst>(s) {
        let object = A::get::<u64>(&s, s.inst().b);
        if object == 0 {
            return s.trap(TrapKind::NullArrayReference);
        }
        D::put(&mut s, array_len(object));
        s.next(1)
    }
}
/// Array, then destination.
pub(crate) const ARRAY_LEN: &[Handler] =
    &[length::<Mem, Acc>, length::<Mem, Mem>, length::<Acc, Acc>, length::<Acc, Mem>];

/// An operation on operands in a row: from an instruction's context and frame, its fields and the word behind.
///
/// # Safety
/// Handlers' contract. The answer is a reference, or a trap's number times two plus one.
#[inline(always)]
unsafe fn run_row(op: array::RowOp, ctx: *mut VmContext, fp: *mut Slot, ip: *const crate::interp::code::Inst) -> u64 {
    // SAFETY: the translator has put the type into the word behind, with the number of operand slots.
    unsafe {
        let (i, w) = (*ip, *ip.add(1));
        let at = fp.add(i.x as usize);
        let end = at.add(usize::from(w.a));
        let row = Row { context: ctx, ty: w.h as *const ObjectType, at, end, immediate: w.x, live: Live::up_to(end) };
        match op(&row) {
            Ok(reference) => reference,
            Err(kind) => (kind as u64) << 1 | 1,
        }
    }
}

macro_rules! rows {
    ($($name:ident $result:literal;)*) => { $(
        handler! {
            /// Operands from slot x on; type, number of operand slots and immediate in the word behind. A new reference
            /// goes to slot a and the accumulator. The translator relies on nothing else that is in accumulators, so that
            /// nothing of that need be kept.
            pub(crate) fn $name(s) {
                #[inline(never)]
                unsafe fn run(ctx: *mut VmContext, fp: *mut Slot, ip: *const crate::interp::code::Inst) -> u64 {
                    // SAFETY: the handler's contract.
                    unsafe { run_row(array::$name, ctx, fp, ip) }
                }
                let v = run(s.ctx, s.fp, s.ip);
                if v & 1 == 1 {
                    (s.r, s.d, s.f) = (v >> 1, 0.0, 0.0);
                    return s.leave(trap);
                }
                if $result {
                    *s.slot(s.inst().a) = v;
                }
                (s.r, s.d, s.f) = (v, 0.0, 0.0);
                s.mem = (*s.ctx).mem0_base;
                s.next(2)
            }
        }
    )* };
}
rows! {
    struct_new true;
    struct_new_default true;
    array_new true;
    array_new_default true;
    array_new_fixed true;
    array_new_data true;
    array_new_elem true;
    array_fill false;
    array_copy false;
    array_init_data false;
    array_init_elem false;
}

/// A test of references that are not null; `word` is the one behind the instruction.
pub(crate) trait RefTest: 'static {
    /// # Safety
    /// The reference must be of the hierarchy of the tested type.
    unsafe fn holds(s: &S, reference: u64, word: u64) -> bool;
}

macro_rules! tests {
    ($($name:ident |$s:ident, $r:ident, $w:ident| $e:expr;)*) => { $(
        pub(crate) struct $name;
        impl RefTest for $name {
            #[inline(always)]
            unsafe fn holds($s: &S, $r: u64, $w: u64) -> bool {
                // SAFETY: the caller's contract.
                unsafe { $e }
            }
        }
    )* };
}
#[allow(unused_unsafe)]
mod kinds {
    use super::*;
    tests! {
        All |_s, _r, _w| true;
        Nothing |_s, _r, _w| false;
        Eq |_s, r, _w| cast::is_eq(r);
        I31 |_s, r, _w| cast::is_i31(r);
        Struct |_s, r, _w| cast::is_struct(r);
        Array |_s, r, _w| cast::is_array(r);
        Object |_s, r, w| cast::is_of_type(r, w as u32, (w >> 32) as u32);
        Func |s, r, w| func_is(s.ctx, r, w as u32);
    }
}

/// Whether a function is of a type.
#[inline(never)]
unsafe fn func_is(ctx: *mut VmContext, reference: u64, id: u32) -> bool {
    // SAFETY: contexts are the first field of their instance.
    unsafe { cast::is_func_of_type((*ctx.cast::<InstanceData>()).module.engine(), reference, id) }
}

handler! {
    /// Whether the reference in b passes; null answers x. What is tested for is in the word behind.
    fn ref_test<T: RefTest, A: Src, D: Dst>(s) {
        let i = *s.inst();
        let reference = A::get::<u64>(&s, i.b);
        let v = if reference == 0 { i.x } else { u32::from(T::holds(&s, reference, (*s.ip.add(1)).h)) };
        D::put(&mut s, v);
        s.next(2)
    }
}

handler! {
    /// Traps unless the reference in slot a passes; null does if x is 1. What is tested for is in the word behind.
    fn ref_cast<T: RefTest>(s) {
        let i = *s.inst();
        let reference = *s.slot(i.a);
        let passes = if reference == 0 { i.x != 0 } else { T::holds(&s, reference, (*s.ip.add(1)).h) };
        if passes { s.next(2) } else { s.trap(TrapKind::CastFailure) }
    }
}

macro_rules! test_forms {
    ($($name:ident)*) => {
        /// By test, then reference, then destination.
        pub(crate) const REF_TEST: &[Handler] = &[$(
            ref_test::<kinds::$name, Mem, Acc>,
            ref_test::<kinds::$name, Mem, Mem>,
            ref_test::<kinds::$name, Acc, Acc>,
            ref_test::<kinds::$name, Acc, Mem>,
        )*];
        /// By test.
        pub(crate) const REF_CAST: &[Handler] = &[$(ref_cast::<kinds::$name>),*];
    };
}
test_forms!(All Nothing Eq I31 Struct Array Object Func);

/// The number of a test among the forms, and the word that goes behind the instruction.
pub(crate) fn test_form(test: cast::Test) -> (u8, u64) {
    match test {
        cast::Test::All => (0, 0),
        cast::Test::Nothing => (1, 0),
        cast::Test::Eq => (2, 0),
        cast::Test::I31 => (3, 0),
        cast::Test::Struct => (4, 0),
        cast::Test::Array => (5, 0),
        cast::Test::Object { id, depth } => (6, u64::from(id) | u64::from(depth) << 32),
        cast::Test::Func(id) => (7, u64::from(id)),
    }
}
