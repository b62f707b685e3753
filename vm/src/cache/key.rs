//! What tells compiled code of one module apart from all other compiled code.
//!
//! In: the module's bytes, this build of the compiler, the processor, the settings that change code. Out: digests of them. Code
//! may run where all of them are equal; in an artifact the processor's features may also be a part of those that are here.

use crate::MemoryMode;
use crate::config::Config;
use crate::parallel;
use crate::sys::{guards_available, segment_available};
use jit::{CpuFeatures, Settings};
use serde::{Deserialize, Serialize};
use std::hash::{DefaultHasher, Hash, Hasher};

/// A BLAKE3 digest.
pub(crate) type Digest = [u8; 32];

/// A hash of the sources and the toolchain that this runtime was built from.
const BUILD: &str = env!("VM_BUILD");

/// How much is hashed by several threads.
const PARALLEL: usize = 4 << 20;

/// The digest of bytes.
pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let mut h = blake3::Hasher::new();
    let h = match parallel::pool().filter(|_| bytes.len() >= PARALLEL) {
        Some(pool) => pool.install(|| h.update_rayon(bytes)),
        None => h.update(bytes),
    };
    *h.finalize().as_bytes()
}

/// A hash of what nobody has an interest in forging: fast for little, and the same in every process of this build.
pub(crate) fn fingerprint(of: impl Hash) -> u128 {
    let half = |salt: u8| {
        let mut h = DefaultHasher::new();
        (salt, &of).hash(&mut h);
        u128::from(h.finish())
    };
    half(0) << 64 | half(1)
}

/// This build in short, so that files of others are not misread.
pub(crate) fn build() -> u32 {
    fingerprint(BUILD) as u32
}

/// What code depends on apart from module and processor.
fn base(config: &Config) -> u128 {
    let guarded = config.memory_mode == MemoryMode::Auto && guards_available();
    base_of(config.features.bits(), config.fuel, config.deterministic, config.interruption, guarded)
}

fn base_of(features: u64, fuel: bool, deterministic: bool, interruption: bool, guarded: bool) -> u128 {
    fingerprint((BUILD, features, fuel, deterministic, interruption, guarded))
}

/// Whether this build, with whatever settings but the default proposals, has made code for that base.
pub(crate) fn is_of_this_build(base: u128) -> bool {
    let features = wasm::default_features().bits();
    let bit = |n: u8, i: u8| n >> i & 1 == 1;
    (0..16).any(|n| base_of(features, bit(n, 0), bit(n, 1), bit(n, 2), bit(n, 3)) == base)
}

/// What a file of compiled code is for. All of it is in the key, so that no two settings share code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) base: u128,
    pub(crate) cpu: CpuFeatures,
    /// Whether code finds the base of memory 0 in the GS segment.
    pub(crate) segment: bool,
    pub(crate) mask_tables: bool,
    pub(crate) mask_memories: bool,
    pub(crate) passes: jit::passes::Switches,
    pub(crate) tunables: jit::tunables::Tunables,
}

impl Target {
    /// That of the code which an engine with these settings makes.
    pub(crate) fn of(config: &Config) -> Target {
        Target {
            base: base(config),
            cpu: config.cpu(),
            segment: segment_available() && config.segment(),
            mask_tables: true,
            mask_memories: config.memory_mode == MemoryMode::Masked,
            passes: config.passes,
            tunables: config.tunables,
        }
    }

    /// The key of code of a module.
    pub(crate) fn key(&self, module: &Digest) -> Digest {
        let mut h = blake3::Hasher::new();
        h.update(&fingerprint(self).to_le_bytes()).update(module);
        *h.finalize().as_bytes()
    }

    /// What the links of files depend on, of which there may be several kinds.
    pub(crate) fn salt(&self, kind: u8) -> u128 {
        fingerprint((kind, self))
    }

    /// As settings of the compiler.
    pub(crate) fn settings(&self, config: &Config, guarded: bool) -> Settings {
        Settings {
            cpu: self.cpu,
            guarded,
            segment: guarded && self.segment,
            fuel: config.fuel,
            canonical_nans: config.deterministic,
            interruptible: config.interruption,
            mask_tables: self.mask_tables,
            mask_memories: self.mask_memories,
            passes: self.passes,
            tunables: self.tunables,
        }
    }
}

/// Whether code for the first processor runs on the second.
pub(crate) fn runs_on(code: &CpuFeatures, here: &CpuFeatures) -> bool {
    let needs = |wanted: bool, has: bool| !wanted || has;
    needs(code.popcnt, here.popcnt)
        && needs(code.lzcnt, here.lzcnt)
        && needs(code.bmi1, here.bmi1)
        && needs(code.bmi2, here.bmi2)
        && needs(code.avx, here.avx)
        && needs(code.avx2, here.avx2)
        && needs(code.fma, here.fma)
        && needs(code.sse42, here.sse42)
}

/// Digits of a digest, or of its beginning.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| char::from(DIGITS[usize::from(n)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
}
