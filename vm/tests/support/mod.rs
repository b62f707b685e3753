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
    /// How often a module is to be run, each time in a store of its own.
    pub(crate) rounds: u32,
}

/// How guests are executed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Execution {
    /// By the interpreter.
    Interpreted,
    /// All compiled.
    Compiled,
    /// Compiled at the first call, which itself goes on in the interpreter.
    Mixed,
    /// By the interpreter up to a loop, from there on compiled.
    Replaced,
    /// By the interpreter until other threads have compiled what is hot.
    Background,
}

impl Execution {
    /// Sets what makes it so.
    pub(crate) fn set(self, config: &mut Config) {
        match self {
            Execution::Interpreted => config.tier(Tier::Interp),
            Execution::Compiled => config.tier(Tier::Jit),
            Execution::Mixed => config.tier(Tier::Auto).compile_threads(0).tier_threshold(1),
            Execution::Background => config.tier(Tier::Auto).compile_threads(2).tier_threshold(3),
            Execution::Replaced => config.tier(Tier::Auto).compile_threads(0).tier_threshold(0),
        };
    }
}

/// The settings that `VM_TEST_TIER` asks for: `interp`, `jit`, `mixed` or `osr`.
pub(crate) fn config() -> Config {
    let mut config = Config::new();
    match std::env::var("VM_TEST_TIER").as_deref() {
        Ok("interp") => Execution::Interpreted.set(&mut config),
        Ok("jit") => Execution::Compiled.set(&mut config),
        Ok("mixed") => Execution::Mixed.set(&mut config),
        Ok("osr") => Execution::Replaced.set(&mut config),
        Ok(other) => panic!("VM_TEST_TIER: {other}"),
        Err(_) => {}
    }
    config
}

/// An engine with those.
pub(crate) fn engine() -> Engine {
    Engine::new(&config()).expect("the settings can be met")
}

/// Every way of executing, with guarded and checked memories, with and without fuel. The interpreter comes first.
pub(crate) fn modes(change: impl Fn(&mut Config)) -> Vec<Mode> {
    use Execution::{Background, Compiled, Interpreted, Mixed, Replaced};
    let rows = [
        ("guarded", Interpreted, MemoryMode::Auto, false),
        ("checked", Interpreted, MemoryMode::Checked, false),
        ("guarded+fuel", Interpreted, MemoryMode::Auto, true),
        ("checked+fuel", Interpreted, MemoryMode::Checked, true),
        ("compiled", Compiled, MemoryMode::Auto, false),
        ("compiled+checked", Compiled, MemoryMode::Checked, false),
        ("compiled+fuel", Compiled, MemoryMode::Auto, true),
        ("compiled+checked+fuel", Compiled, MemoryMode::Checked, true),
        ("compiled+masked", Compiled, MemoryMode::Masked, false),
        ("mixed", Mixed, MemoryMode::Auto, false),
        ("mixed+fuel", Mixed, MemoryMode::Auto, true),
        ("mixed+checked", Mixed, MemoryMode::Checked, false),
        ("replaced", Replaced, MemoryMode::Auto, false),
        ("replaced+checked", Replaced, MemoryMode::Checked, false),
        ("replaced+fuel", Replaced, MemoryMode::Auto, true),
        ("background", Background, MemoryMode::Auto, false),
        ("background+fuel", Background, MemoryMode::Auto, true),
    ];
    let mut modes: Vec<Mode> = rows.map(|row| mode(row, &change)).into();
    for row in [("O0", Compiled, MemoryMode::Auto, false), ("O0+fuel", Replaced, MemoryMode::Checked, true)] {
        modes.push(mode(row, &|c| change(c.optimisation(0))));
    }
    for row in [("O1", Compiled, MemoryMode::Auto, false), ("O1+fuel", Compiled, MemoryMode::Checked, true)] {
        modes.push(mode(row, &|c| change(c.optimisation(1))));
    }
    modes
}

/// A name, how guests are executed, the kind of memory, and whether fuel is counted.
type Row = (&'static str, Execution, MemoryMode, bool);

fn mode((name, execution, memory, fuel): Row, change: &dyn Fn(&mut Config)) -> Mode {
    let mut config = Config::new();
    execution.set(config.memory_mode(memory).fuel(fuel));
    change(&mut config);
    // Where it is a matter of chance what is compiled when.
    let rounds = if matches!(execution, Execution::Background) { 3 } else { 1 };
    Mode { name, engine: Engine::new(&config).expect("the settings can be met"), fuel, rounds }
}

/// A mode with passes and limits of the compiler, and all else, chosen by a number.
pub(crate) fn random_mode(seed: u64) -> Mode {
    use Execution::{Compiled, Mixed, Replaced};
    let mut rng = Rng::new(seed ^ 0x5bd1);
    let rows = [("random", Compiled), ("random+mixed", Mixed), ("random+replaced", Replaced)];
    let (name, execution) = *rng.pick(&rows);
    let memory = *rng.pick(&[MemoryMode::Auto, MemoryMode::Auto, MemoryMode::Checked, MemoryMode::Masked]);
    let choice = format!("random:{}", rng.next());
    mode((name, execution, memory, rng.chance(50)), &|config| {
        config.change_passes(&choice).expect("a choice");
    })
}

/// Modes that collect garbage all the time.
pub(crate) fn stressed() -> Vec<Mode> {
    use Execution::{Compiled, Interpreted, Replaced};
    let rows = [("stressed", Interpreted, 1), ("compiled+stressed", Compiled, 2), ("replaced+stressed", Replaced, 1)];
    rows.map(|(name, execution, stress)| {
        let mut config = Config::new();
        execution.set(config.gc_stress(stress));
        Mode { name, engine: Engine::new(&config).expect("the settings can be met"), fuel: false, rounds: 1 }
    })
    .into()
}

impl Mode {
    /// The compiler has not broken down, which would leave functions to the interpreter and so go unnoticed.
    pub(crate) fn assert_compiler_is_well(&self, what: &str) {
        let refused = self.engine.compile_stats().refused;
        assert!(!refused.keys().any(|why| why.contains("a bug")), "{what}, {}: {refused:?}", self.name);
    }
}

/// A count that an environment variable may raise.
pub(crate) fn count(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

/// The seeds to run: all below the count of `variable`, or those of `VM_FUZZ_SEED`, which is one seed or `first..end`.
pub(crate) fn seeds(variable: &str, default: u64) -> std::ops::Range<u64> {
    let Ok(chosen) = std::env::var("VM_FUZZ_SEED") else { return 0..count(variable, default) };
    let number = |text: &str| text.parse::<u64>().unwrap_or_else(|e| panic!("VM_FUZZ_SEED={chosen}: {e}"));
    match chosen.split_once("..") {
        Some((first, end)) => number(first)..number(end),
        None => number(&chosen)..number(&chosen) + 1,
    }
}

/// Runs `test` in a thread with a large native stack.
pub(crate) fn with_large_stack(test: impl FnOnce() + Send + 'static) {
    let thread = std::thread::Builder::new().stack_size(256 << 20).spawn(test).expect("a thread");
    if let Err(panic) = thread.join() {
        std::panic::resume_unwind(panic);
    }
}
