//! Settings of an engine.

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
    /// Whatever this version has that is best: at present the interpreter.
    #[default]
    Auto,
}

/// How accesses to linear memory are kept in bounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum MemoryMode {
    /// Guard pages where the memory's type and the host allow it, explicit checks elsewhere.
    #[default]
    Auto,
    /// Explicit checks always.
    Checked,
}

/// Settings from which an [`Engine`](crate::Engine) is made.
#[derive(Clone, Debug)]
pub struct Config {
    pub(crate) fuel: bool,
    pub(crate) validation: Validation,
    pub(crate) tier: Tier,
    pub(crate) max_stack: usize,
    pub(crate) memory_mode: MemoryMode,
    pub(crate) features: Features,
    pub(crate) budget: u32,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            fuel: false,
            validation: Validation::default(),
            tier: Tier::default(),
            max_stack: 8 << 20,
            memory_mode: MemoryMode::default(),
            features: wasm::default_features(),
            budget: 20_000,
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
    /// How many loop iterations and calls a guest runs between two looks at interruption and deadline.
    pub fn interrupt_interval(&mut self, n: u32) -> &mut Self {
        self.budget = n.max(1);
        self
    }
}
