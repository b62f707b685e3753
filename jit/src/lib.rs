//! The optimizing compiler: a function body and its module's types in, machine code and tables out.
//!
//! Nothing here touches files, threads, globals or executable memory. `compile` reads as the list of its phases; each is a
//! module of that name whose header says what comes in, what goes out and the invariant.
//!
//! ```text
//!   body ──frontend──► ir ──passes──► ir ──schedule──► ir ──x64::lower──► machine instructions
//!                                                                              │ regalloc
//!                                      Code ◄──x64::emit── with registers ◄────┘
//! ```

#![forbid(unsafe_code)]

pub mod abi;
pub mod budget;
pub mod frontend;
pub mod ir;
pub mod passes;
pub mod regalloc;
pub mod schedule;
pub mod tunables;
pub mod x64;

use abi::TrapCode;
use serde::{Deserialize, Serialize};
use std::fmt::Write;
use std::time::{Duration, Instant};
use wasm::{TypeId, TypeRegistry};

/// What the processor offers beyond the baseline (SSE4.1 on x86-64).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default, Serialize, Deserialize)]
#[allow(missing_docs)] // each is the processor feature of that name
pub struct CpuFeatures {
    pub popcnt: bool,
    pub lzcnt: bool,
    pub bmi1: bool,
    pub bmi2: bool,
    pub avx: bool,
    pub avx2: bool,
    pub fma: bool,
    pub sse42: bool,
}

/// What may differ between two compilations of the same function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Default, Serialize, Deserialize)]
pub struct Settings {
    /// The processor's features.
    pub cpu: CpuFeatures,
    /// Whether memory 0 is guarded: its base is in a register and never moves, accesses out of bounds fault.
    pub guarded: bool,
    /// Whether the base of memory 0 is in the GS segment too (x86-64).
    pub segment: bool,
    /// Whether code charges fuel, with the interpreter's exact counts.
    pub fuel: bool,
    /// Whether every NaN that an operator makes is the canonical one, so that results are the same everywhere.
    pub canonical_nans: bool,
    /// Whether code polls the interrupt flag at loops and function entries.
    pub interruptible: bool,
    /// Whether null is taken for an element of a table whose index is out of bounds, by processors that run ahead of the check.
    pub mask_tables: bool,
    /// Whether indices of memories that are checked become zero in that case.
    pub mask_memories: bool,
    /// Switches of the passes.
    pub passes: passes::Switches,
    /// Limits that cannot change what code does.
    pub tunables: tunables::Tunables,
}

/// A module as the compiler sees it.
#[derive(Clone, Copy)]
pub struct ModuleEnv<'a> {
    /// Its tables.
    pub module: &'a wasm::Module,
    /// Its bytes.
    pub bytes: &'a [u8],
    /// The engine's types.
    pub types: &'a TypeRegistry,
    /// What holds for it as a whole.
    pub facts: &'a frontend::ModuleFacts,
}

/// What is to be compiled of a function.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash, Serialize, Deserialize)]
pub enum Entry {
    /// The function.
    Function,
    /// The rest of the function from the loop header on, for on-stack replacement: a function of the one parameter "address of the
    /// interpreter's frame" (`rdi`), from whose canonical slots it takes locals and operand stack. The loop is given by the
    /// offset in the module's bytes of its `loop` operator.
    Loop(u32),
}

/// A place in code that depends on the process: the 32 bits at `at`. The runtime fills in the distance from their end to what they lead to;
/// the ids of types are in place.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reloc {
    /// Offset of the 32 bits in the code.
    pub at: u32,
    /// What it leads to.
    pub target: RelocTarget,
}

/// What a relative call or jump leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum RelocTarget {
    /// One of the module's own functions, counted without imports: its code, or a stub that goes through its native cell with the cell's address in `rax`.
    Func(u32),
    /// The adapter [`exit_adapter`] with [`Exit::Reference`] of that function type.
    ReferenceAdapter(TypeId),
    /// Nothing: the place has the id of that type, not negative.
    TypeId(TypeId),
}

/// A place that may trap.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct TrapSite {
    /// Offset in the code of the instruction that faults.
    pub at: u32,
    /// Why.
    pub code: TrapCode,
    /// The [position](Place) of the WebAssembly instruction.
    pub wasm: u32,
}

/// A place in a function that was built into another. *Positions* are offsets in the module of instructions of the function that is
/// compiled, or, from [`INLINED`](Place::INLINED) on, numbers of places.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Place {
    /// The function, one of the module's own, counted without imports.
    pub own_func: u32,
    /// Offset in the module.
    pub wasm: u32,
    /// Position of the call that it was built into the place of.
    pub caller: u32,
}

impl Place {
    /// From this position on they are numbers of places. In a module that is longer nothing is built into anything.
    pub const INLINED: u32 = 1 << 31;

    /// The place at a position, if it is not one of the function itself.
    pub fn at(places: &[Place], position: u32) -> Option<&Place> {
        places.get(position.checked_sub(Place::INLINED)? as usize)
    }

    /// Offset in the module of what is at a position.
    pub fn offset(places: &[Place], position: u32) -> u32 {
        Place::at(places, position).map_or(position, |p| p.wasm)
    }

    /// Offset, in the function itself, of the call in whose place the position is; the same if it is in no other function.
    pub fn outermost(places: &[Place], mut position: u32) -> u32 {
        while let Some(p) = Place::at(places, position) {
            position = p.caller;
        }
        position
    }
}

/// Where code goes on after an exception from a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Landing {
    /// Offset of the call's return address.
    pub at: u32,
    /// Offset of the code to go on at.
    pub to: u32,
    /// Number, from 1, of the list in [`Code::tags`] of what the clauses there catch; 0 if that may be anything.
    pub tags: u8,
}

/// Machine code of one function or adapter. Position-independent but for its relocations; entered at its first byte.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// The code, then its constants (16-byte aligned in the vector, so place it at a multiple of 16; 32 is better).
    pub bytes: Vec<u8>,
    /// How many of `bytes` are instructions.
    pub code_len: u32,
    /// Distance from `rsp` to the return address in the body.
    pub frame_size: u32,
    /// The registers that the prologue pushes, a bit each, in the order of their numbers and right below the return address.
    pub saved: u32,
    /// How that distance grows in the prologue: from that offset on it is that many bytes. The first entry is `(0, 0)`, the last
    /// one `(end of the prologue, frame_size)`.
    pub prologue: Vec<(u32, u32)>,
    /// Sorted by `at`.
    pub relocs: Vec<Reloc>,
    /// Sorted by `at`.
    pub traps: Vec<TrapSite>,
    /// Sorted: offset of the return address of each call, and [position](Place) of the instruction that calls.
    pub calls: Vec<(u32, u32)>,
    /// Sorted by `at`: calls whose exceptions are caught here.
    pub landings: Vec<Landing>,
    /// Lists of tags, by index in the module, that landings speak of.
    pub tags: Vec<Box<[u32]>>,
    /// The places that positions name.
    pub places: Vec<Place>,
    /// What it cost.
    pub stats: CodeStats,
}

/// Figures of one compilation.
#[derive(Clone, Debug, Default)]
pub struct CodeStats {
    /// Bytes of the WebAssembly body.
    pub wasm_bytes: u32,
    /// Values of the intermediate representation, arguments of calls and branches among them.
    pub values: u32,
    /// Steps of what is not in proportion to the values: of the front end, and of walks of the register allocator.
    pub steps: u64,
    /// Time per phase, in order.
    pub phases: Vec<(&'static str, Duration)>,
    /// What register allocation did.
    pub regalloc: regalloc::Stats,
}

/// Why a function was not compiled.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CompileError {
    /// The body is not valid.
    #[error("{message} (at offset {offset:#x})")]
    Invalid {
        /// What the validator says.
        message: String,
        /// Where, in the module's bytes.
        offset: u64,
    },
    /// More would be made of it than is worth while; the function stays in the interpreter.
    #[error("not compiled: {what}")]
    TooMuch {
        /// What there is too much of.
        what: &'static str,
        /// Where that was seen, in the module's bytes, if in the body.
        offset: Option<u64>,
    },
    /// The compiler cannot do it; the function stays in the interpreter.
    #[error("not compiled: {what} (at offset {offset:#x})")]
    Unsupported {
        /// What it cannot do.
        what: &'static str,
        /// Where, in the module's bytes.
        offset: u64,
    },
}

impl From<budget::TooMuch> for CompileError {
    fn from(budget::TooMuch(what): budget::TooMuch) -> CompileError {
        CompileError::TooMuch { what, offset: None }
    }
}

/// A stage of the pipeline to be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Stage {
    /// Intermediate code as the front end made it.
    Ir,
    /// Intermediate code after a pass.
    After(passes::Pass),
    /// Intermediate code with every value in its place.
    Scheduled,
    /// Machine instructions before registers are allocated.
    Lowered,
    /// Machine instructions with registers.
    Allocated,
    /// Machine code (hexadecimal behind the instructions with registers).
    Asm,
}

/// Which functions an exit adapter calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Hash)]
pub enum Exit {
    /// One of the module's own that is not compiled; `rax` is its native cell's address.
    Own,
    /// A reference's, `rax` is the `VmFuncRef`.
    Reference,
}

/// Measures phases one after another.
struct Clock {
    last: Instant,
    phases: Vec<(&'static str, Duration)>,
}

impl Clock {
    fn start() -> Clock {
        Clock { last: Instant::now(), phases: Vec::new() }
    }
    fn phase(&mut self, name: &'static str) {
        let now = Instant::now();
        self.phases.push((name, now - self.last));
        self.last = now;
    }
}

/// Compiles one of a module's own functions.
///
/// # Errors
/// When the body is not valid, or contains what the compiler cannot do.
pub fn compile(env: &ModuleEnv<'_>, own_func: u32, entry: Entry, settings: &Settings) -> Result<Code, CompileError> {
    observed(env, own_func, entry, settings, &mut |_, _| {})
}

/// The text of a stage, made if it is asked for.
type Text<'a> = &'a dyn Fn() -> String;

/// Compiles a function; `observe` hears of every stage.
fn observed(
    env: &ModuleEnv<'_>,
    own_func: u32,
    entry: Entry,
    settings: &Settings,
    observe: &mut dyn FnMut(Stage, Text<'_>),
) -> Result<Code, CompileError> {
    let mut clock = Clock::start();
    let (mut f, steps) = frontend::build_counting(env, own_func, entry, settings)?;
    clock.phase("frontend");
    observe(Stage::Ir, &|| f.to_string());
    passes::run(&mut f, settings, &mut |row, f, time| {
        clock.phases.push((row.name, time));
        observe(Stage::After(row.pass), &|| f.to_string());
    });
    clock.last = Instant::now();
    let schedule = schedule::run(&mut f, settings);
    clock.phase("schedule");
    observe(Stage::Scheduled, &|| f.to_string());
    let lowered = x64::lower(&f, &schedule, env, settings);
    clock.phase("lower");
    observe(Stage::Lowered, &|| x64::list(&lowered, None));
    let limits = budget::Limits::new(env, own_func);
    let walks = limits.walks.of(lowered.input.clobbers.len() + lowered.input.blocks.len());
    let places = regalloc::allocate_within(&lowered.input, &x64::regs(settings), walks)?;
    clock.phase("regalloc");
    observe(Stage::Allocated, &|| x64::list(&lowered, Some(&places)));
    if cfg!(debug_assertions)
        && let Err(e) = regalloc::check(&lowered.input, &x64::regs(settings), &places)
    {
        panic!("register allocation of function {own_func}: {e}");
    }
    let mut code = x64::emit(&lowered, &places);
    clock.phase("emit");
    observe(Stage::Asm, &|| x64::list(&lowered, Some(&places)) + &hexadecimal(&code));
    if code.bytes.len() > limits.code {
        return Err(budget::TooMuch("too much machine code").into());
    }
    code.stats = CodeStats {
        wasm_bytes: env.module.bodies[own_func as usize].range().len() as u32,
        values: (f.insts.len() + f.pool.len()) as u32,
        phases: clock.phases,
        steps: steps + places.stats.steps,
        regalloc: places.stats,
    };
    Ok(code)
}

/// A stage of a function's compilation as text; of a pass that runs several times, what each has made. Nothing if the stage is never
/// reached.
///
/// # Errors
/// As [`compile`].
pub fn inspect(
    env: &ModuleEnv<'_>,
    own_func: u32,
    entry: Entry,
    settings: &Settings,
    stage: Stage,
) -> Result<String, CompileError> {
    let mut found: Vec<String> = Vec::new();
    observed(env, own_func, entry, settings, &mut |at, text| {
        if at == stage {
            found.push(text());
        }
    })?;
    Ok(found.join("\n"))
}

fn hexadecimal(code: &Code) -> String {
    let mut text = format!("code: {} bytes, frame {}\n", code.code_len, code.frame_size);
    for (i, line) in code.bytes.chunks(16).enumerate() {
        let _ = write!(text, "{:6x} ", i * 16); // writing to a String does not fail
        for b in line {
            let _ = write!(text, " {b:02x}");
        }
        text.push('\n');
    }
    text
}

pub use x64::adapter::{entry_adapter, exit_adapter};
