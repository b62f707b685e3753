//! Single accesses to guest memory.
//!
//! On x86-64 each is one instruction in assembly with the interpreter's instruction, frame and context pointers pinned to
//! the registers that the fault handler reads: a fault in a guard page is then a trap with an exact place. Elsewhere there
//! are no guard pages, every access has been checked, and plain reads and writes do.

use crate::runtime::context::Slot;
use crate::runtime::table::TableData;

/// `value`, where a comparison has found `last` below `len`. A processor that runs ahead of that comparison gets 0 if it is not: the
/// mask depends on the numbers, which are not guessed.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn masked(value: u64, last: u64, len: u64) -> u64 {
    let mask: u64;
    // SAFETY: registers only.
    unsafe {
        std::arch::asm!(
            "cmp {last}, {len}", "sbb {mask}, {mask}",
            last = in(reg) last, len = in(reg) len, mask = lateout(reg) mask, options(pure, nomem, nostack)
        );
    }
    value & mask
}

#[cfg(not(target_arch = "x86_64"))]
#[inline(always)]
pub(crate) fn masked(value: u64, _: u64, _: u64) -> u64 {
    value
}

/// A table's element, if there is one of that index.
///
/// # Safety
/// The table must be one of the running instance's.
#[inline(always)]
pub(crate) unsafe fn element(table: *const TableData, index: u64) -> Option<*mut Slot> {
    // SAFETY: the caller's contract; the index is below the length.
    unsafe {
        let len = (*table).vm.len as u64;
        (index < len).then(|| (*table).vm.base.add(masked(index, index, len) as usize))
    }
}

/// A scalar access: what is read or written, and how the value is extended.
pub(crate) trait Access: 'static {
    /// Bytes accessed.
    const WIDTH: u64;
    type R: super::super::dispatch::Reg;
    /// # Safety
    /// `base + at` must be accessible or in a guard page of the running store's memory.
    unsafe fn load(base: *mut u8, at: u64, ip: usize, fp: usize, ctx: usize) -> Self::R;
    /// # Safety
    /// As `load`.
    unsafe fn store(base: *mut u8, at: u64, v: Self::R, ip: usize, fp: usize, ctx: usize);
}

#[cfg(all(target_arch = "x86_64", target_os = "linux"))]
macro_rules! access {
    ($($name:ident: $r:ty, $mem:ty, $class:ident, load $load:literal, store $store:literal;)*) => { $(
        pub(crate) struct $name;
        impl Access for $name {
            const WIDTH: u64 = size_of::<$mem>() as u64;
            type R = $r;
            #[inline(always)]
            unsafe fn load(base: *mut u8, at: u64, ip: usize, fp: usize, ctx: usize) -> $r {
                let v: $r;
                // SAFETY: reads accessible memory, or faults and is abandoned.
                unsafe {
                    std::arch::asm!(
                        $load, v = lateout($class) v, b = in(reg) base, i = in(reg) at,
                        in("rdi") ip, in("rsi") fp, in("rcx") ctx, options(nostack, preserves_flags, readonly)
                    );
                }
                v
            }
            #[inline(always)]
            unsafe fn store(base: *mut u8, at: u64, v: $r, ip: usize, fp: usize, ctx: usize) {
                // SAFETY: writes accessible memory, or faults and is abandoned.
                unsafe {
                    std::arch::asm!(
                        $store, v = in($class) v, b = in(reg) base, i = in(reg) at,
                        in("rdi") ip, in("rsi") fp, in("rcx") ctx, options(nostack, preserves_flags)
                    );
                }
            }
        }
    )* };
}

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
macro_rules! access {
    ($($name:ident: $r:ty, $mem:ty, $class:ident, load $load:literal, store $store:literal;)*) => { $(
        pub(crate) struct $name;
        impl Access for $name {
            const WIDTH: u64 = size_of::<$mem>() as u64;
            type R = $r;
            #[inline(always)]
            unsafe fn load(base: *mut u8, at: u64, _: usize, _: usize, _: usize) -> $r {
                // SAFETY: the range has been checked: there are no guard pages on this target.
                unsafe { base.add(at as usize).cast::<$mem>().read_unaligned() as $r }
            }
            #[inline(always)]
            unsafe fn store(base: *mut u8, at: u64, v: $r, _: usize, _: usize, _: usize) {
                // SAFETY: as above.
                unsafe { base.add(at as usize).cast::<$mem>().write_unaligned(v as $mem) }
            }
        }
    )* };
}

// Every scalar load and store: the type of the value, the type in memory, and the two instructions.
access! {
    A32: i32, i32, reg, load "mov {v:e}, dword ptr [{b} + {i}]", store "mov dword ptr [{b} + {i}], {v:e}";
    A64: i64, i64, reg, load "mov {v}, qword ptr [{b} + {i}]", store "mov qword ptr [{b} + {i}], {v}";
    AF32: f32, f32, xmm_reg, load "movss {v}, dword ptr [{b} + {i}]", store "movss dword ptr [{b} + {i}], {v}";
    AF64: f64, f64, xmm_reg, load "movsd {v}, qword ptr [{b} + {i}]", store "movsd qword ptr [{b} + {i}], {v}";
    A32I8: i32, i8, reg, load "movsx {v:e}, byte ptr [{b} + {i}]", store "mov byte ptr [{b} + {i}], {v:l}";
    A32U8: u32, u8, reg, load "movzx {v:e}, byte ptr [{b} + {i}]", store "mov byte ptr [{b} + {i}], {v:l}";
    A32I16: i32, i16, reg, load "movsx {v:e}, word ptr [{b} + {i}]", store "mov word ptr [{b} + {i}], {v:x}";
    A32U16: u32, u16, reg, load "movzx {v:e}, word ptr [{b} + {i}]", store "mov word ptr [{b} + {i}], {v:x}";
    A64I8: i64, i8, reg, load "movsx {v}, byte ptr [{b} + {i}]", store "mov byte ptr [{b} + {i}], {v:l}";
    A64U8: u64, u8, reg, load "movzx {v:e}, byte ptr [{b} + {i}]", store "mov byte ptr [{b} + {i}], {v:l}";
    A64I16: i64, i16, reg, load "movsx {v}, word ptr [{b} + {i}]", store "mov word ptr [{b} + {i}], {v:x}";
    A64U16: u64, u16, reg, load "movzx {v:e}, word ptr [{b} + {i}]", store "mov word ptr [{b} + {i}], {v:x}";
    A64I32: i64, i32, reg, load "movsxd {v}, dword ptr [{b} + {i}]", store "mov dword ptr [{b} + {i}], {v:e}";
    A64U32: u64, u32, reg, load "mov {v:e}, dword ptr [{b} + {i}]", store "mov dword ptr [{b} + {i}], {v:e}";
}

/// Reads 16 bytes.
///
/// # Safety
/// As [`Access::load`].
#[inline(always)]
pub(crate) unsafe fn load_v128(base: *mut u8, at: u64, ip: usize, fp: usize, ctx: usize, to: *mut u8) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    // SAFETY: reads accessible memory, or faults and is abandoned; `to` is a pair of slots.
    unsafe {
        std::arch::asm!(
            "movdqu {v}, xmmword ptr [{b} + {i}]", "movdqu xmmword ptr [{t}], {v}",
            v = out(xmm_reg) _, b = in(reg) base, i = in(reg) at, t = in(reg) to,
            in("rdi") ip, in("rsi") fp, in("rcx") ctx, options(nostack, preserves_flags)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    // SAFETY: the range has been checked: there are no guard pages on this target.
    unsafe {
        let _ = (ip, fp, ctx);
        to.cast::<[u8; 16]>().write_unaligned(base.add(at as usize).cast::<[u8; 16]>().read_unaligned());
    }
}

/// Writes 16 bytes.
///
/// # Safety
/// As [`Access::store`].
#[inline(always)]
pub(crate) unsafe fn store_v128(base: *mut u8, at: u64, ip: usize, fp: usize, ctx: usize, from: *const u8) {
    #[cfg(all(target_arch = "x86_64", target_os = "linux"))]
    // SAFETY: writes accessible memory, or faults before any byte is written and is abandoned.
    unsafe {
        std::arch::asm!(
            "movdqu {v}, xmmword ptr [{f}]", "movdqu xmmword ptr [{b} + {i}], {v}",
            v = out(xmm_reg) _, b = in(reg) base, i = in(reg) at, f = in(reg) from,
            in("rdi") ip, in("rsi") fp, in("rcx") ctx, options(nostack, preserves_flags)
        );
    }
    #[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
    // SAFETY: as in `load_v128`.
    unsafe {
        let _ = (ip, fp, ctx);
        base.add(at as usize).cast::<[u8; 16]>().write_unaligned(from.cast::<[u8; 16]>().read_unaligned());
    }
}
