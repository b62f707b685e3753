//! What the processor offers to the compiler.
//!
//! In virtual machines every `cpuid` is a visit to the hypervisor, so that only those are asked for that matter: the standard
//! library's detection asks for everything that it knows of.

use std::sync::OnceLock;

/// The features that code may use here.
pub(crate) fn features() -> jit::CpuFeatures {
    static FEATURES: OnceLock<jit::CpuFeatures> = OnceLock::new();
    *FEATURES.get_or_init(detect)
}

#[cfg(target_arch = "x86_64")]
fn detect() -> jit::CpuFeatures {
    use std::arch::x86_64::{__cpuid, __cpuid_count};
    let bit = |register: u32, n: u32| register >> n & 1 == 1;
    let (one, seven, extended) = (__cpuid(1), __cpuid_count(7, 0), __cpuid(0x8000_0001));
    // The system must keep the upper halves of registers, too.
    let wide = bit(one.ecx, 28) && crate::sys::keeps_wide_registers(one.ecx);
    jit::CpuFeatures {
        popcnt: bit(one.ecx, 23),
        lzcnt: bit(extended.ecx, 5),
        bmi1: bit(seven.ebx, 3),
        bmi2: bit(seven.ebx, 8),
        avx: wide,
        avx2: wide && bit(seven.ebx, 5),
        fma: wide && bit(one.ecx, 12),
        sse42: bit(one.ecx, 20),
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn detect() -> jit::CpuFeatures {
    jit::CpuFeatures::default()
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    #[test]
    fn the_standard_library_sees_the_same() {
        use std::is_x86_feature_detected as has;
        let expected = jit::CpuFeatures {
            popcnt: has!("popcnt"),
            lzcnt: has!("lzcnt"),
            bmi1: has!("bmi1"),
            bmi2: has!("bmi2"),
            avx: has!("avx"),
            avx2: has!("avx2"),
            fma: has!("fma"),
            sse42: has!("sse4.2"),
        };
        assert_eq!(super::features(), expected);
    }
}
