//! Runs `.wast` scripts, the form in which WebAssembly's own conformance tests are written.
//!
//! In: the text of a script and a [`Config`]. Out: a [`Report`] with the number of assertions that held and a
//! [`Failure`] with file, line and column for everything that did not. Whatever a script contains, the rest of it
//! still runs: a module that cannot be loaded is one failure, and so is each assertion that then finds no instance.
//!
//! Everything goes through the public interface of crate `vm`, as any embedder would use it.

mod expect;
mod host;
mod script;
mod value;

use std::fmt;
use std::io;
use std::path::Path;
use std::time::{Duration, Instant};
use vm::{Features, MemoryMode, Tier, Validation};

/// How the modules of a script are run.
#[derive(Clone, Debug)]
pub struct Config {
    /// What executes functions.
    pub tier: Tier,
    /// With [`Tier::Auto`], after how many calls and iterations something is compiled; see [`vm::Config::tier_threshold`].
    pub tier_threshold: Option<u32>,
    /// How many threads compile; with 0 the guest waits.
    pub compile_threads: Option<usize>,
    /// How memory accesses are kept in bounds.
    pub memory_mode: MemoryMode,
    /// When function bodies are validated. `assert_invalid` always validates everything.
    pub validation: Validation,
    /// Whether fuel is consumed; there is always enough of it.
    pub fuel: bool,
    /// Whether NaNs are canonical; see [`vm::Config::deterministic`].
    pub deterministic: bool,
    /// A cache in which every module is compiled ahead and from which it is read again before it runs.
    pub cache: Option<vm::Cache>,
    /// The proposals that modules may use.
    pub features: Features,
    /// How long one script may run before its guests are stopped.
    pub timeout: Option<Duration>,
    /// Whether garbage is collected at every allocation of so many; 0 when there is a reason to.
    pub gc_stress: u32,
    /// Which functions are compiled, if not all.
    pub jit_filter: Option<vm::CompileFilter>,
    /// Changes to the compiler's passes; see [`vm::Config::change_passes`].
    pub jit_passes: String,
    /// Whether calls of `spectest.print*` write their arguments to standard output.
    pub print: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            tier: Tier::default(),
            tier_threshold: None,
            compile_threads: None,
            memory_mode: MemoryMode::default(),
            validation: Validation::default(),
            fuel: false,
            deterministic: false,
            cache: None,
            features: all_features(),
            timeout: None,
            gc_stress: 0,
            jit_filter: None,
            jit_passes: String::new(),
            print: false,
        }
    }
}

impl Config {
    /// The engine settings that this configuration stands for.
    fn engine_config(&self) -> vm::Config {
        let mut config = vm::Config::new();
        config
            .tier(self.tier)
            .memory_mode(self.memory_mode)
            .validation(self.validation)
            .fuel(self.fuel)
            .deterministic(self.deterministic)
            .cache(self.cache.clone())
            .gc_stress(self.gc_stress)
            .features(self.features)
            .compile_filter(self.jit_filter.clone());
        if let Err(e) = config.change_passes(&self.jit_passes) {
            panic!("{e}");
        }
        if let Some(n) = self.tier_threshold {
            config.tier_threshold(n);
        }
        if let Some(n) = self.compile_threads {
            config.compile_threads(n);
        }
        config
    }
}

/// WebAssembly 3.0 and the finished proposals beyond it: what a script may use unless told otherwise.
pub fn all_features() -> Features {
    vm::default_features()
}

/// What came of running a script.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Report {
    /// Number of `assert_*` directives that held.
    pub passed: u64,
    /// Everything that went wrong, in the order of the script.
    pub failed: Vec<Failure>,
}

impl Report {
    /// Adds the outcome of another script, or of a thread of this one.
    pub fn merge(&mut self, other: Report) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
    }
}

/// One directive that failed.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Name of the script.
    pub file: String,
    /// Line of the directive, counted from 1.
    pub line: usize,
    /// Column of the directive, counted from 1.
    pub col: usize,
    /// What was expected and what happened.
    pub message: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.line, self.col, self.message)
    }
}

/// Runs the script in a file.
///
/// # Errors
/// When the file cannot be read. Text that is no script is a [`Failure`], not an error.
pub fn run_file(path: &Path, config: &Config) -> io::Result<Report> {
    let bytes = std::fs::read(path)?;
    let name = path.display().to_string();
    Ok(match String::from_utf8(bytes) {
        Ok(source) => run(&name, &source, config),
        Err(e) => {
            let good = e.utf8_error().valid_up_to();
            let line = 1 + e.as_bytes()[..good].iter().filter(|&&b| b == b'\n').count();
            one_failure(&name, line, 1, "malformed UTF-8 encoding".into())
        }
    })
}

/// Runs the script `source`; `file` names it in failures.
pub fn run(file: &str, source: &str, config: &Config) -> Report {
    let deadline = config.timeout.map(|t| Instant::now() + t);
    let syntax_error = |e: wast::Error| {
        let (line, col) = e.span().linecol_in(source);
        one_failure(file, line + 1, col + 1, e.message())
    };
    let mut lexer = wast::lexer::Lexer::new(source);
    lexer.allow_confusing_unicode(true); // the official scripts test identifiers with such characters
    let buffer = match wast::parser::ParseBuffer::new_with_lexer(lexer) {
        Ok(buffer) => buffer,
        Err(e) => return syntax_error(e),
    };
    match wast::parser::parse::<wast::Wast<'_>>(&buffer) {
        Ok(script) => script::run(script::Source { file, text: source }, config, deadline, script.directives),
        Err(e) => syntax_error(e),
    }
}

fn one_failure(file: &str, line: usize, col: usize, message: String) -> Report {
    Report { passed: 0, failed: vec![Failure { file: file.into(), line, col, message }] }
}
