//! What the tests of this folder share: a seeded generator of numbers, and engines of every configuration.
//!
//! In: a seed. Out: the same sequence on every machine, so that a failure's seed repeats it.

#![allow(dead_code)] // each test uses a part

use vm::{Config, Engine, MemoryMode, Tier};

/// A splitmix64 generator.
#[derive(Clone)]
pub(crate) struct Rng(u64);

impl Rng {
    pub(crate) fn new(seed: u64) -> Rng {
        Rng(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5851_f42d_4c95_7f2d)
    }
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `n`.
    pub(crate) fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
    /// True in that many cases of a hundred.
    pub(crate) fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }
    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
    pub(crate) fn bytes(&mut self, n: usize) -> Vec<u8> {
        (0..n).map(|_| self.next() as u8).collect()
    }
}

/// A configuration under which the same module must behave the same.
pub(crate) struct Mode {
    pub(crate) name: &'static str,
    pub(crate) engine: Engine,
    pub(crate) fuel: bool,
}

/// Guarded and checked memories, each with and without fuel: in the interpreter, compiled, and from one into the other at every
/// opportunity.
pub(crate) fn modes(change: impl Fn(&mut Config)) -> Vec<Mode> {
    use MemoryMode::{Auto as Guarded, Checked};
    let rows = [
        ("guarded", Tier::Interp, Guarded, false),
        ("checked", Tier::Interp, Checked, false),
        ("guarded+fuel", Tier::Interp, Guarded, true),
        ("checked+fuel", Tier::Interp, Checked, true),
        ("jit", Tier::Jit, Guarded, false),
        ("jit checked", Tier::Jit, Checked, false),
        ("jit+fuel", Tier::Jit, Guarded, true),
        ("jit checked+fuel", Tier::Jit, Checked, true),
        ("auto", Tier::Auto, Guarded, false),
        ("auto checked+fuel", Tier::Auto, Checked, true),
    ];
    rows.map(|(name, tier, memory, fuel)| {
        let mut config = Config::new();
        config.tier(tier).tier_threshold(0).compile_threads(0).memory_mode(memory).fuel(fuel);
        change(&mut config);
        Mode { name, engine: Engine::new(&config).expect("the settings can be met"), fuel }
    })
    .into()
}

/// A count that an environment variable may raise.
pub(crate) fn count(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// The seeds to run: all below the count of `variable`, or only `VM_FUZZ_SEED`.
pub(crate) fn seeds(variable: &str, default: u64) -> std::ops::Range<u64> {
    match std::env::var("VM_FUZZ_SEED").ok().and_then(|v| v.parse::<u64>().ok()) {
        Some(seed) => seed..seed + 1,
        None => 0..count(variable, default),
    }
}

/// Runs `test` in a thread with a large native stack.
pub(crate) fn with_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
