//! Control: entering and leaving functions, branches, copies, constants, select, globals, fuel.

use crate::interp::code::Inst;
use crate::interp::dispatch::{Acc, Dst, Handler, Mem, Reg, Src, finish, handler};
use crate::native::enter::enter_loop;
use crate::runtime::context::VmGlobal;
use crate::tier::heat;
use crate::trap::TrapKind;
use std::marker::PhantomData;

handler! {
    /// First instruction of a function: slot a gets the return address from the accumulator, the `ZEROED` slots behind it
    /// are zeroed, and x slots must fit the stack.
    fn enter<; const ZEROED: usize>(s) {
        let i = *s.inst();
        let ret = s.slot(i.a);
        *ret = s.r;
        if s.fp.wrapping_add(i.x as usize) > (*(*s.ctx).store).stack_limit {
            return s.trap(TrapKind::CallStackExhausted);
        }
        let locals = ret.add(1);
        let mut at = 0;
        while at < ZEROED {
            *locals.add(at) = 0;
            at += 1;
        }
        let next = s.ip.add(1);
        s.count_and_go(next)
    }
}
/// By the number of slots to zero.
pub(crate) const ENTER: &[Handler] = &[
    enter::<0>,
    enter::<1>,
    enter::<2>,
    enter::<3>,
    enter::<4>,
    enter::<5>,
    enter::<6>,
    enter::<7>,
    enter::<8>,
    enter::<9>,
    enter::<10>,
    enter::<11>,
    enter::<12>,
    enter::<13>,
    enter::<14>,
    enter::<15>,
    enter::<16>,
];

handler! {
    /// As `enter`; the number of slots to zero is in the word behind.
    pub(crate) fn enter_large(s) {
        let i = *s.inst();
        let ret = s.slot(i.a);
        *ret = s.r;
        if s.fp.wrapping_add(i.x as usize) > (*(*s.ctx).store).stack_limit {
            return s.trap(TrapKind::CallStackExhausted);
        }
        std::ptr::write_bytes(ret.add(1), 0, (*s.ip.add(1)).h as usize);
        let next = s.ip.add(2);
        s.count_and_go(next)
    }
}

/// Goes on in the caller.
macro_rules! go_back {
    ($s:ident, $i:ident) => {{
        let ip = *$s.slot($i.a) as *const Inst;
        // The last word of a call says how far behind the caller's frame this one begins.
        $s.fp = $s.fp.sub((*ip.sub(1)).x as usize);
        $s.go(ip)
    }};
}

handler! {
    /// Returns nothing.
    pub(crate) fn return_none(s) {
        let i = *s.inst();
        go_back!(s, i)
    }
}

// Where the one result of a return comes from: it goes to slot 0 and to the accumulator of its type.
handler! {
    pub(crate) fn return_one<T: Reg, A: Src>(s) {
        let i = *s.inst();
        let v = A::get::<T>(&s, i.b);
        // The return address may lie in slot 0: read it first.
        let ip = *s.slot(i.a) as *const Inst;
        v.to_slot(s.fp);
        v.to_acc(&mut s);
        s.fp = s.fp.sub((*ip.sub(1)).x as usize);
        s.go(ip)
    }
}

handler! {
    /// Returns the immediate x.
    pub(crate) fn return_imm(s) {
        let i = *s.inst();
        let ip = *s.slot(i.a) as *const Inst;
        s.r = u64::from(i.x);
        *s.fp = s.r;
        s.fp = s.fp.sub((*ip.sub(1)).x as usize);
        s.go(ip)
    }
}

handler! {
    /// Returns b slots from slot x on.
    pub(crate) fn return_many(s) {
        let i = *s.inst();
        let ip = *s.slot(i.a) as *const Inst;
        copy_slots(s.fp.add(i.x as usize), s.fp, i.b as usize);
        s.fp = s.fp.sub((*ip.sub(1)).x as usize);
        s.go(ip)
    }
}

/// Copies slots downwards or to where they do not overlap.
///
/// # Safety
/// Both ranges must be valid, and `to` not lie within the source behind its start.
#[inline(always)]
pub(crate) unsafe fn copy_slots(from: *const u64, to: *mut u64, n: usize) {
    for i in 0..n {
        // SAFETY: the caller's contract. Volatile, so that no call of memmove puts a frame into a handler.
        unsafe { to.add(i).write_volatile(*from.add(i)) };
    }
}

handler! {
    pub(crate) fn br<>(s) {
        let offset = s.inst().x;
        s.branch(offset)
    }
}

handler! {
    pub(crate) fn br_back(s) {
        let to = s.ip.offset(s.inst().x as i32 as isize);
        s.count_and_go(to)
    }
}

handler! {
    /// Index in a, x targets behind (the last is the default), each with its offset in x.
    fn br_table<A: Src>(s) {
        let i = *s.inst();
        let index = A::get::<u32>(&s, i.a).min(i.x - 1);
        let offset = (*s.ip.add(1 + index as usize)).x;
        s.branch(offset)
    }
}
pub(crate) const BR_TABLE: &[Handler] = &[br_table::<Mem>, br_table::<Acc>];

handler! {
    /// Looks whether the guest is to stop; goes on at the instruction it is called with.
    #[cold]
    #[inline(never)]
    pub(crate) fn budget_used_up(s) {
        let store = &mut *(*s.ctx).store;
        if let Some(kind) = store.interrupt.reason(store.deadline) {
            return s.trap(kind);
        }
        s.bg = store.budget;
        let ip = s.ip;
        if store.sampled {
            let sample = heat::sample(s.ctx, ip, s.bg);
            s.bg = sample.budget;
            if !sample.native.is_null() {
                s.r = sample.native as u64;
                return s.leave(enter_loop);
            }
        }
        s.go(ip)
    }
}

handler! {
    pub(crate) fn unreachable(s) {
        s.trap(TrapKind::Unreachable)
    }
}

handler! {
    /// An instruction this version cannot run.
    pub(crate) fn unsupported(s) {
        s.trap(TrapKind::UnsupportedInstruction)
    }
}

handler! {
    /// Charges x units of fuel.
    pub(crate) fn fuel(s) {
        let store = (*s.ctx).store;
        (*store).fuel -= i64::from(s.inst().x);
        if (*store).fuel < 0 { s.trap(TrapKind::OutOfFuel) } else { s.next(1) }
    }
}

handler! {
    /// Slot a gets slot b.
    pub(crate) fn copy(s) {
        let i = *s.inst();
        *s.slot(i.a) = *s.slot(i.b);
        s.next(1)
    }
}

handler! {
    /// Slot a gets slot b, then slot c gets slot d.
    pub(crate) fn copy_two(s) {
        let i = *s.inst();
        *s.slot(i.a) = *s.slot(i.b);
        *s.slot(i.c()) = *s.slot(i.d());
        s.next(1)
    }
}

handler! {
    /// Slots a and a + 1 get slots b and b + 1.
    pub(crate) fn copy_v128(s) {
        let i = *s.inst();
        let v = *s.slot(i.b).cast::<[u64; 2]>();
        *s.slot(i.a).cast::<[u64; 2]>() = v;
        s.next(1)
    }
}

handler! {
    /// The word behind names two slots by 32-bit numbers: the lower half gets the value of the upper.
    pub(crate) fn copy_far(s) {
        let far = (*s.ip.add(1)).h;
        *s.fp.add(far as u32 as usize) = *s.fp.add((far >> 32) as usize);
        s.next(2)
    }
}

handler! {
    /// The word behind names two slots by 32-bit numbers: x slots from the lower half on get the values of those from the upper on.
    pub(crate) fn copy_many(s) {
        let (count, far) = (s.inst().x as usize, (*s.ip.add(1)).h);
        let (from, to) = (s.fp.add((far >> 32) as usize), s.fp.add(far as u32 as usize));
        std::ptr::copy(from, to, count);
        s.next(2)
    }
}

handler! {
    /// Slot a gets the accumulator.
    fn spill<T: Reg, A: Src>(s) {
        let i = *s.inst();
        A::get::<T>(&s, 0).to_slot(s.slot(i.a));
        s.next(1)
    }
}
/// The integer, f32 and f64 accumulators.
pub(crate) const SPILL: &[Handler] = &[spill::<u64, Acc>, spill::<f32, Acc>, spill::<f64, Acc>];

handler! {
    /// Slot a gets the immediate x, zero-extended.
    pub(crate) fn const32(s) {
        let i = *s.inst();
        *s.slot(i.a) = u64::from(i.x);
        s.next(1)
    }
}

handler! {
    /// Slot a gets the word behind.
    pub(crate) fn const64(s) {
        let i = *s.inst();
        *s.slot(i.a) = (*s.ip.add(1)).h;
        s.next(2)
    }
}

handler! {
    /// Slots a and a + 1 get the words of the data behind.
    pub(crate) fn const128(s) {
        let i = *s.inst();
        let v = *s.ip.add(1).cast::<[u64; 2]>();
        *s.slot(i.a).cast::<[u64; 2]>() = v;
        s.next(2)
    }
}

handler! {
    /// Slot b or slot c, by the condition in d.
    fn select<T: Reg, C: Src, D: Dst>(s) {
        let i = *s.inst();
        let (x, y) = (T::from_slot(s.slot(i.b)), T::from_slot(s.slot(i.c())));
        let v = std::hint::select_unpredictable(C::get::<u32>(&s, i.d()) != 0, x, y);
        D::put(&mut s, v);
        s.next(1)
    }
}

handler! {
    fn select_v128<C: Src>(s) {
        let i = *s.inst();
        let from = std::hint::select_unpredictable(C::get::<u32>(&s, i.d()) != 0, s.slot(i.b), s.slot(i.c()));
        let v = *from.cast::<[u64; 2]>();
        *s.slot(i.a).cast::<[u64; 2]>() = v;
        s.next(1)
    }
}
pub(crate) const SELECT_V128: &[Handler] = &[select_v128::<Mem>, select_v128::<Acc>];

handler! {
    fn global_get<T: Reg, D: Dst>(s) {
        let g: *mut VmGlobal = *(*s.ctx).globals.add(s.inst().x as usize);
        let v = T::from_slot((*g).value.as_ptr());
        D::put(&mut s, v);
        s.next(1)
    }
}

handler! {
    fn global_set<T: Reg, A: Src>(s) {
        let i = *s.inst();
        let g: *mut VmGlobal = *(*s.ctx).globals.add(i.x as usize);
        A::get::<T>(&s, i.a).to_slot((*g).value.as_mut_ptr());
        s.next(1)
    }
}

handler! {
    pub(crate) fn global_get_v128(s) {
        let i = *s.inst();
        *s.slot(i.a).cast::<[u64; 2]>() = (**(*s.ctx).globals.add(i.x as usize)).value;
        s.next(1)
    }
}

handler! {
    pub(crate) fn global_set_v128(s) {
        let i = *s.inst();
        (**(*s.ctx).globals.add(i.x as usize)).value = *s.slot(i.a).cast::<[u64; 2]>();
        s.next(1)
    }
}

/// Forms that depend on the type of a value alone.
pub(crate) struct Typed<T>(PhantomData<T>);
impl<T: Reg + 'static> Typed<T> {
    /// Condition (slot, accumulator), then destination.
    pub(crate) const SELECT: &'static [Handler] =
        &[select::<T, Mem, Acc>, select::<T, Mem, Mem>, select::<T, Acc, Acc>, select::<T, Acc, Mem>];
    /// Destination.
    pub(crate) const GLOBAL_GET: &'static [Handler] = &[global_get::<T, Acc>, global_get::<T, Mem>];
    /// Source (slot, accumulator).
    pub(crate) const GLOBAL_SET: &'static [Handler] = &[global_set::<T, Mem>, global_set::<T, Acc>];
    /// Source (slot, accumulator).
    pub(crate) const RETURN: &'static [Handler] = &[return_one::<T, Mem>, return_one::<T, Acc>];
}

handler! {
    /// Ends the run: the outermost function has returned.
    pub(crate) fn exit(s) {
        (*(*s.ctx).store).budget_left = s.bg;
        finish(s)
    }
}
