//! Settings of an engine.

use crate::cache::Cache;
use crate::error::{Error, Result};
use crate::tier::filter::CompileFilter;
use jit::CpuFeatures;
use jit::passes::Switches;
use jit::tunables::Tunables;
use wasm::Features;

/// When function bodies are validated.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Validation {
    /// At a function's first call: an invalid body traps then, at every call.
    #[default]
    Lazy,
    /// All of them when the module is created, in parallel.
    Eager,
}

/// What executes functions.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Tier {
    /// The register interpreter.
    Interp,
    /// Machine code: all functions are compiled before a module runs. What the compiler cannot do stays in the interpreter.
    Jit,
    /// The interpreter at first; what it runs often is compiled in the background meanwhile, and moves over.
    #[default]
    Auto,
}

/// How a profiler gets to know compiled code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Profile {
    /// A list of addresses and names in `/tmp/perf-PID.map`, which `perf report` reads.
    PerfMap,
    /// Code with its offsets in the module, in `jit-PID.dump` in the present directory, for `perf inject --jit`. The recording
    /// must use the monotonic clock (`perf record -k 1`).
    JitDump,
}

/// How accesses to linear memory are kept in bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MemoryMode {
    /// Guard pages where the memory's type and the host allow it, explicit checks elsewhere.
    #[default]
    Auto,
    /// Explicit checks always.
    Checked,
    /// As [`MemoryMode::Checked`], and compiled code reads within the memory even while the processor runs ahead of a check.
    Masked,
}

/// Samples that a threshold is made of, if there is room for so many.
const SAMPLES: u32 = 16;
/// Loop iterations and calls between two samples at most. A prime, so that no loop nest is always seen at the same place.
const SAMPLE_INTERVAL: u32 = 1_009;

/// Settings from which an [`Engine`](crate::Engine) is made.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) fuel: bool,
    pub(crate) deterministic: bool,
    pub(crate) validation: Validation,
    pub(crate) tier: Tier,
    pub(crate) max_stack: usize,
    pub(crate) memory_mode: MemoryMode,
    pub(crate) features: Features,
    pub(crate) budget: u32,
    pub(crate) interruption: bool,
    pub(crate) threshold: u32,
    pub(crate) compile_threads: Option<usize>,
    pub(crate) compile_log: bool,
    pub(crate) profile: Option<Profile>,
    pub(crate) gdb: bool,
    pub(crate) passes: Switches,
    pub(crate) tunables: Tunables,
    pub(crate) filter: Option<CompileFilter>,
    pub(crate) cache: Option<Cache>,
    pub(crate) gc_stress: u32,
    pub(crate) max_code: Option<u64>,
    pub(crate) max_module: u64,
    cpu: Option<Processor>,
}

/// What compiled code may use of a processor beyond the baseline of its architecture.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Processor {
    pub(crate) features: CpuFeatures,
    pub(crate) segment: bool,
}

impl Processor {
    /// What every processor of the architecture has that this runtime supports.
    pub fn baseline() -> Processor {
        Processor { features: CpuFeatures::default(), segment: false }
    }

    /// The one this runs on.
    pub fn native() -> Processor {
        Processor { features: crate::native::cpu::features(), segment: crate::sys::segment_available() }
    }

    /// The names of what can be switched on beyond the baseline.
    pub const FEATURES: &[&str] = &["sse4.2", "popcnt", "lzcnt", "bmi1", "bmi2", "avx", "avx2", "fma", "fsgsbase"];

    /// Switches something on; false if there is nothing of that name.
    pub fn enable(&mut self, feature: &str) -> bool {
        let f = &mut self.features;
        let flag = match feature {
            "sse4.2" => &mut f.sse42,
            "popcnt" => &mut f.popcnt,
            "lzcnt" => &mut f.lzcnt,
            "bmi1" => &mut f.bmi1,
            "bmi2" => &mut f.bmi2,
            "avx" => &mut f.avx,
            "avx2" => &mut f.avx2,
            "fma" => &mut f.fma,
            "fsgsbase" => &mut self.segment,
            _ => return false,
        };
        *flag = true;
        // One implies the other, and the compiler takes that for granted.
        f.avx |= f.avx2 || f.fma;
        true
    }
}

/// Offsets in a module have 32 bits.
const MAX_MODULE: u64 = u32::MAX as u64;

impl Default for Config {
    fn default() -> Self {
        Config {
            fuel: false,
            deterministic: false,
            validation: Validation::default(),
            tier: Tier::default(),
            max_stack: 8 << 20,
            memory_mode: MemoryMode::default(),
            features: wasm::default_features(),
            budget: 20_000,
            interruption: true,
            threshold: 2_000,
            compile_threads: None,
            compile_log: false,
            profile: None,
            gdb: false,
            passes: Switches::default(),
            tunables: Tunables::default(),
            filter: None,
            cache: None,
            gc_stress: 0,
            max_code: None,
            max_module: MAX_MODULE,
            cpu: None,
        }
    }
}

impl Config {
    /// The default settings.
    pub fn new() -> Config {
        Config::default()
    }
    /// Whether guests consume fuel: one unit per WebAssembly instruction, charged per basic block.
    pub fn fuel(&mut self, on: bool) -> &mut Self {
        self.fuel = on;
        self
    }
    /// Whether guests compute the same bits on every processor and in every tier: NaNs that arithmetic makes are the canonical ones.
    /// Off, their signs and payloads are any that the specification allows, and may differ from tier to tier. Relaxed vector
    /// instructions are their strict relatives (a multiplication and addition are rounded twice) in either case. It costs a comparison
    /// per floating-point operation. What comes from outside, such as clocks and random numbers, is the embedder's to fix.
    pub fn deterministic(&mut self, on: bool) -> &mut Self {
        self.deterministic = on;
        self
    }
    /// When function bodies are validated.
    pub fn validation(&mut self, v: Validation) -> &mut Self {
        self.validation = v;
        self
    }
    /// What executes functions.
    pub fn tier(&mut self, t: Tier) -> &mut Self {
        self.tier = t;
        self
    }
    /// Bytes of guest stack per store, at least 64 KiB.
    pub fn max_stack(&mut self, bytes: usize) -> &mut Self {
        self.max_stack = bytes.max(64 << 10);
        self
    }
    /// How accesses to linear memory are kept in bounds.
    pub fn memory_mode(&mut self, m: MemoryMode) -> &mut Self {
        self.memory_mode = m;
        self
    }
    /// The proposals that modules may use.
    pub fn features(&mut self, f: Features) -> &mut Self {
        self.features = f;
        self
    }
    /// Whether guests can be stopped by [`InterruptHandle`](crate::InterruptHandle) and deadlines while compiled code runs,
    /// which then looks at every loop iteration and call. The interpreter always looks.
    pub fn interruption(&mut self, on: bool) -> &mut Self {
        self.interruption = on;
        self
    }
    /// With [`Tier::Auto`], after about how many calls and loop iterations a function is compiled. With 0, for tests, every
    /// loop goes on in compiled code at its first iteration, and no function is entered in it.
    pub fn tier_threshold(&mut self, n: u32) -> &mut Self {
        self.threshold = n;
        self
    }
    /// How many threads compile; with 0 the guest waits for each compilation. Without this setting there is one less than
    /// there are processors, and at least one.
    pub fn compile_threads(&mut self, n: usize) -> &mut Self {
        self.compile_threads = Some(n);
        self
    }
    /// Whether single compilations are kept for [`Engine::compile_stats`](crate::Engine::compile_stats).
    pub fn compile_log(&mut self, on: bool) -> &mut Self {
        self.compile_log = on;
        self
    }
    /// Lets a profiler know compiled code.
    pub fn profile(&mut self, p: Option<Profile>) -> &mut Self {
        self.profile = p;
        self
    }
    /// Lets GDB know the names of compiled functions.
    pub fn gdb(&mut self, on: bool) -> &mut Self {
        self.gdb = on;
        self
    }
    /// Where compiled code is kept for the next time.
    pub fn cache(&mut self, cache: Option<Cache>) -> &mut Self {
        self.cache = cache;
        self
    }
    /// What code is compiled for, if not for the processor it is compiled on. It must be able to run here, unless nothing is run.
    pub fn processor(&mut self, p: Processor) -> &mut Self {
        self.cpu = Some(p);
        self
    }
    /// How much the compiler tries to improve code: 0, 1 or, which is the default, 2.
    pub fn optimisation(&mut self, level: u8) -> &mut Self {
        self.passes = Switches::level(level);
        self
    }
    /// Which passes of the compiler run, and its limits; code does the same whatever they are.
    #[doc(hidden)]
    pub fn passes(&mut self, switches: Switches, tunables: Tunables) -> &mut Self {
        (self.passes, self.tunables) = (switches, tunables);
        self
    }
    /// Changes which passes of the compiler run: names, each behind `-` or `+`, separated by commas; `all` or `none` first; or
    /// `random:N` for passes and limits that the number chooses.
    ///
    /// # Errors
    /// When there is no pass of a name; the message lists them.
    pub fn change_passes(&mut self, text: &str) -> Result<&mut Self> {
        if let Some(seed) = text.strip_prefix("random:") {
            let seed = seed.parse().map_err(|_| Error::api(format!("`{seed}` is not a number")))?;
            let (switches, tunables) = jit::tunables::random(seed);
            return Ok(self.passes(switches, tunables));
        }
        self.passes = self.passes.change(text).map_err(|e| Error::api(e.to_string()))?;
        Ok(self)
    }
    /// Which functions are compiled, if not all; the others stay in the interpreter. Such an engine keeps no code and uses none that
    /// was kept.
    pub fn compile_filter(&mut self, filter: Option<CompileFilter>) -> &mut Self {
        self.filter = filter;
        self
    }
    /// Collects garbage at every n-th allocation of a store, for tests. 0, the default: when there is a reason to.
    pub fn gc_stress(&mut self, n: u32) -> &mut Self {
        self.gc_stress = n;
        self
    }
    /// Bytes of compiled code of each module. Functions whose compilation may take more memory than that are left to the interpreter too.
    pub fn max_code(&mut self, bytes: Option<u64>) -> &mut Self {
        self.max_code = bytes;
        self
    }
    /// Bytes of a module's file. It is not read if it has more; 4 GiB is the most in any case.
    pub fn max_module(&mut self, bytes: u64) -> &mut Self {
        self.max_module = bytes.min(MAX_MODULE);
        self
    }
    /// How many loop iterations and calls a guest runs between two looks at interruption and deadline.
    pub fn interrupt_interval(&mut self, n: u32) -> &mut Self {
        self.budget = n.max(1);
        self
    }

    pub(crate) fn cpu(&self) -> CpuFeatures {
        self.cpu.map_or_else(crate::native::cpu::features, |p| p.features)
    }
    pub(crate) fn segment(&self) -> bool {
        self.cpu.is_none_or(|p| p.segment)
    }
    /// Threads that compile while nobody else wants the processors.
    pub(crate) fn eager_threads(&self) -> usize {
        let all = || std::thread::available_parallelism().map_or(1, |n| n.get());
        self.compile_threads.unwrap_or_else(all)
    }
    /// Threads that compile.
    pub(crate) fn threads(&self) -> usize {
        let others = || std::thread::available_parallelism().map_or(1, |n| n.get().saturating_sub(1).max(1));
        self.compile_threads.unwrap_or_else(others)
    }
    /// Loop iterations and calls between two samples of the interpreter.
    pub(crate) fn interval(&self) -> u32 {
        match self.tier {
            Tier::Auto => (self.threshold / SAMPLES).clamp(1, SAMPLE_INTERVAL).min(self.budget),
            Tier::Interp | Tier::Jit => self.budget,
        }
    }
    /// Samples after which something is compiled.
    pub(crate) fn samples(&self) -> u32 {
        (self.threshold / self.interval()).max(1)
    }
}
