//! Random structured programs, run by the interpreter and by a walk over their tree.
//!
//! In: seeds (`VM_FUZZ_PROGRAMS` raises their number, `VM_FUZZ_SEED` picks one or a range, `VM_FUZZ_TRACE` names each before
//! it runs). Out: equal results, traps with their frames, memories, globals and fuel, in every configuration.

mod ast;
mod emit;
mod evaluate;
mod generate;
mod ops;
#[path = "../support/mod.rs"]
mod support;

use ast::{Program, Ty};
use evaluate::{State, Stop};
use support::{Mode, Rng};
use vm::{Linker, Module, Store, TrapKind, Val};

fn value(ty: Ty, bits: u64) -> Val {
    match ty {
        Ty::I32 => Val::I32(bits as i32),
        Ty::I64 => Val::I64(bits as i64),
        Ty::F32 => Val::F32(bits as u32),
        Ty::F64 => Val::F64(bits),
    }
}

fn bits(v: Val) -> u64 {
    match v {
        Val::I32(v) => u64::from(v as u32),
        Val::I64(v) => v as u64,
        Val::F32(v) => u64::from(v),
        Val::F64(v) => v,
        other => panic!("no program has a value like {other:?}"),
    }
}

/// What one call must come to.
struct Expected {
    function: usize,
    args: Vec<u64>,
    outcome: Result<Vec<u64>, TrapKind>,
    memory: Vec<u8>,
    globals: Vec<u64>,
}

/// Calls every function several times, until the oracle gives up.
fn expectations(program: &Program, seed: u64) -> Vec<Expected> {
    let mut rng = Rng::new(seed ^ 0xa5a5);
    let mut state = State::new(program);
    let mut expected = Vec::new();
    for round in 0..3 {
        for (function, f) in program.functions.iter().enumerate() {
            let args: Vec<u64> = f
                .params
                .iter()
                .map(|&ty| if round == 0 { rng.below(20) as u64 & ints(ty) } else { generate::constant(&mut rng, ty) })
                .collect();
            state.steps = 0;
            let outcome = match state.call(function, &args) {
                Ok(values) => Ok(values),
                Err(Stop::Trap(kind)) => Err(kind),
                Err(Stop::Throw(_)) => Err(TrapKind::UncaughtException),
                _ => return expected,
            };
            let (memory, globals) = (state.memory.clone(), state.globals.clone());
            let trapped = outcome.is_err();
            expected.push(Expected { function, args, outcome, memory, globals });
            if trapped {
                // The oracle's depth is of no use behind a trap.
                state = resume(program, state);
            }
        }
    }
    expected
}

fn resume<'p>(program: &'p Program, old: State<'p>) -> State<'p> {
    let mut state = State::new(program);
    state.memory = old.memory;
    state.globals = old.globals;
    state
}

/// Zero for floats, whose small integers would be denormal.
fn ints(ty: Ty) -> u64 {
    if matches!(ty, Ty::I32 | Ty::I64) { u64::MAX } else { 0 }
}

fn check(mode: &Mode, bytes: &[u8], program: &Program, expected: &[Expected], what: &str) -> Vec<Notes> {
    let module = Module::new(&mode.engine, bytes).unwrap_or_else(|e| panic!("{what}: {e}"));
    module.validate_bodies().unwrap_or_else(|e| panic!("{what}: the generated module is not valid: {e}"));
    (0..mode.rounds).map(|_| run(mode, &module, program, expected, what)).collect()
}

/// What the tree knows nothing of: the frames of each trap, and the fuel left behind each call.
type Notes = Vec<(Vec<(u32, Option<u32>)>, Option<u64>)>;

/// Makes the calls in a new store.
fn run(mode: &Mode, module: &Module, program: &Program, expected: &[Expected], what: &str) -> Notes {
    let mut notes = Vec::new();
    let mut store = Store::new(&mode.engine, ());
    if mode.fuel {
        store.set_fuel(1 << 40).expect("fuel is on");
    }
    let instance = Linker::new(&mode.engine).instantiate(&mut store, module).expect("nothing is imported");
    let memory = instance.get_memory(&mut store, "memory").expect("exported");
    for (i, e) in expected.iter().enumerate() {
        let f = &program.functions[e.function];
        let what = format!("{what}, call {i}: f{}({:x?})", e.function, e.args);
        let func = instance.get_func(&mut store, &format!("f{}", e.function)).expect("exported");
        let args: Vec<Val> = f.params.iter().zip(&e.args).map(|(&t, &v)| value(t, v)).collect();
        let mut results: Vec<Val> = f.results.iter().map(|&t| value(t, 0)).collect();
        let mut frames = Vec::new();
        let outcome = func.call(&mut store, &args, &mut results).map_err(|err| match err.as_trap() {
            Some(trap) => {
                frames.extend(trap.backtrace().iter().map(|f| (f.func_index, f.code_offset)));
                trap.kind()
            }
            None => panic!("{what}: {err}"),
        });
        let outcome = outcome.map(|()| results.into_iter().map(bits).collect::<Vec<_>>());
        assert_eq!(outcome, e.outcome, "{what}");
        notes.push((frames, store.get_fuel().ok().filter(|_| mode.fuel)));
        let have = memory.data(&store);
        if let Some(at) = have.iter().zip(&e.memory).position(|(a, b)| a != b) {
            panic!("{what}: memory differs at {at:#x}: {:#x}, expected {:#x}", have[at], e.memory[at]);
        }
        for (g, &want) in e.globals.iter().enumerate() {
            let global = instance.get_global(&mut store, &format!("g{g}")).expect("exported");
            assert_eq!(bits(global.get(&store)), want, "{what}: global {g}");
        }
    }
    notes
}

/// The fuel that was left behind each call; nothing where it is not counted.
fn fuel(notes: &Notes) -> Option<Vec<u64>> {
    notes.iter().map(|n| n.1).collect()
}

/// Frames are those of the first notes, fuel that of the first notes with any.
fn compare(all: &[(Notes, &'static str)], seed: u64) {
    let counted = all.iter().find_map(|(n, _)| fuel(n));
    let frames = |n: &Notes| n.iter().map(|n| n.0.clone()).collect::<Vec<_>>();
    for (notes, name) in all {
        assert_eq!(frames(notes), frames(&all[0].0), "seed {seed}: frames in {name}");
        let fuel = fuel(notes);
        assert!(fuel.is_none() || fuel == counted, "seed {seed}: fuel in {name}: {fuel:?}, not {counted:?}");
    }
}

#[test]
fn programs_do_what_their_trees_say() {
    support::with_large_stack(|| {
        let modes = support::modes(|_| ());
        let seeds = support::seeds("VM_FUZZ_PROGRAMS", 600);
        let total = seeds.end - seeds.start;
        let (mut compared, mut returned) = (0u64, 0u64);
        for seed in seeds {
            if std::env::var_os("VM_FUZZ_TRACE").is_some() {
                println!("seed {seed}");
            }
            let program = generate::program(seed);
            let expected = expectations(&program, seed);
            compared += u64::from(!expected.is_empty());
            returned += u64::from(expected.iter().any(|e| e.outcome.is_ok()));
            let bytes = emit::encode(&program);
            if std::env::var_os("VM_FUZZ_DUMP").is_some() {
                std::fs::write(format!("program-{seed}.wasm"), &bytes).expect("a writable folder");
            }
            let mut all = Vec::new();
            let random = support::random_mode(seed);
            for mode in modes.iter().chain([&random]) {
                let notes = check(mode, &bytes, &program, &expected, &format!("seed {seed}, {}", mode.name));
                all.extend(notes.into_iter().map(|n| (n, mode.name)));
            }
            compare(&all, seed);
        }
        println!("{compared} of {total} programs compared, {returned} with calls that returned");
        // Most programs must have an outcome, or the generator tests nothing.
        assert!(total == 1 || (compared * 2 > total && returned * 3 > total), "{compared}, {returned} of {total}");
    });
}
