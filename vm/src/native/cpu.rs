//! What the processor offers to the compiler.

/// The features that code may use here.
pub(crate) fn features() -> jit::CpuFeatures {
    #[cfg(target_arch = "x86_64")]
    {
        use std::is_x86_feature_detected as has;
        jit::CpuFeatures {
            popcnt: has!("popcnt"),
            lzcnt: has!("lzcnt"),
            bmi1: has!("bmi1"),
            bmi2: has!("bmi2"),
            avx: has!("avx"),
            avx2: has!("avx2"),
            fma: has!("fma"),
            sse42: has!("sse4.2"),
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    jit::CpuFeatures::default()
}
