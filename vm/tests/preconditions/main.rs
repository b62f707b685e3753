//! Preconditions of every transformation, one by one, where they do not hold.
//!
//! In: modules in which everything looks as a transformation wants it, but for one thing, with calls and what these give. The lists
//! stand at the heads of the files that transform: `jit/src` (front end, passes, schedule, selection, emission) and
//! `vm/src/interp/translate`. Out: the interpreter gives what the case says; all other ways of executing give the same values,
//! traps with their frames, memories, globals and tables, and with fuel stop at the same places with as much of it left.

#[path = "../support/mod.rs"]
mod support;

mod calls;
mod control;
mod fusions;
mod loads;
mod loops;
mod numbers;
mod rotation;
mod selection;
mod threads;

use std::collections::hash_map::DefaultHasher;
use std::fmt::Write;
use std::hash::{Hash, Hasher};
use std::sync::OnceLock;
use support::Execution;
use vm::{
    CompileFilter, Config, Engine, Error, Extern, Func, Instance, Linker, MemoryMode, Module, Processor, Store, V128,
    Val, ValType,
};

/// One case. `calls` are lines `NAME ARGUMENTS -> RESULTS`, or `-> KIND` of a trap; numbers are bits, those of floats too.
struct Case {
    /// What does not hold.
    why: &'static str,
    text: &'static str,
    /// A module whose exports the other one may import from `lib`.
    lib: &'static str,
    calls: &'static [&'static str],
}

/// A case by itself.
const fn case(why: &'static str, text: &'static str, calls: &'static [&'static str]) -> Case {
    Case { why, text, lib: "(module)", calls }
}

/// A case that imports.
const fn linked(why: &'static str, lib: &'static str, text: &'static str, calls: &'static [&'static str]) -> Case {
    Case { why, text, lib, calls }
}

/// A way of executing.
struct Way {
    name: &'static str,
    engine: Engine,
    fuel: bool,
}

fn ways() -> &'static [Way] {
    use Execution::{Compiled, Interpreted, Mixed, Replaced};
    static WAYS: OnceLock<Vec<Way>> = OnceLock::new();
    WAYS.get_or_init(|| {
        let way = |name, execution: Execution, memory, fuel, change: fn(&mut Config)| {
            let mut config = Config::new();
            let filter = CompileFilter::parse("!interpreted").expect("a name");
            execution.set(config.memory_mode(memory).fuel(fuel).compile_filter(Some(filter)));
            change(&mut config);
            Way { name, engine: Engine::new(&config).expect("the settings can be met"), fuel }
        };
        let (auto, checked, masked) = (MemoryMode::Auto, MemoryMode::Checked, MemoryMode::Masked);
        vec![
            way("interpreted", Interpreted, auto, false, |_| ()),
            way("interpreted, checked", Interpreted, checked, false, |_| ()),
            way("compiled", Compiled, auto, false, |_| ()),
            way("compiled, checked", Compiled, checked, false, |_| ()),
            way("compiled, masked", Compiled, masked, false, |_| ()),
            way("compiled, old processor", Compiled, auto, false, |c| _ = c.processor(Processor::baseline())),
            way("compiled, level 0", Compiled, auto, false, |c| _ = c.optimisation(0)),
            way("compiled, level 1", Compiled, auto, false, |c| _ = c.optimisation(1)),
            way("mixed", Mixed, auto, false, |_| ()),
            way("mixed, checked", Mixed, checked, false, |_| ()),
            way("replaced", Replaced, auto, false, |_| ()),
            way("replaced, checked", Replaced, checked, false, |_| ()),
            way("interpreted, fuel", Interpreted, auto, true, |_| ()),
            way("compiled, fuel", Compiled, auto, true, |_| ()),
            way("compiled, checked, fuel", Compiled, checked, true, |_| ()),
            way("mixed, fuel", Mixed, auto, true, |_| ()),
            way("replaced, fuel", Replaced, auto, true, |_| ()),
        ]
    })
}

/// A call to be made, and what it is to give.
struct Call {
    name: &'static str,
    args: Vec<&'static str>,
    expected: String,
}

fn parse(line: &'static str) -> Call {
    let (call, expected) = line.split_once("->").unwrap_or_else(|| panic!("no `->` in {line}"));
    let mut words = call.split_whitespace();
    let name = words.next().unwrap_or_else(|| panic!("no name in {line}"));
    let expected = expected.split_whitespace().map(|w| number(w).map_or(w.into(), |n| format!("{n:#x}")));
    Call { name, args: words.collect(), expected: expected.collect::<Vec<_>>().join(" ") }
}

/// A number of any width; negative ones as 64 bits.
fn number(word: &str) -> Option<u128> {
    let (sign, digits) = word.strip_prefix('-').map_or((false, word), |w| (true, w));
    let n = match digits.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16).ok()?,
        None => digits.parse().ok()?,
    };
    Some(if sign { (n as i64).wrapping_neg() as u64 as u128 } else { n })
}

fn argument(word: &str, ty: ValType) -> Val {
    let n = number(word).unwrap_or_else(|| panic!("{word} is no number"));
    match ty {
        ValType::I32 => Val::I32(n as i32),
        ValType::I64 => Val::I64(n as i64),
        ValType::F32 => Val::F32(n as u32),
        ValType::F64 => Val::F64(n as u64),
        ValType::V128 => Val::V128(V128(n)),
        ValType::Ref(_) => panic!("a reference cannot be written down"),
    }
}

fn bits(v: &Val) -> u128 {
    match v {
        Val::I32(n) => u128::from(*n as u32),
        Val::I64(n) => u128::from(*n as u64),
        Val::F32(n) => u128::from(*n),
        Val::F64(n) => u128::from(*n),
        Val::V128(v) => v.0,
        Val::FuncRef(f) => u128::from(f.is_some()),
        Val::ExternRef(e) => u128::from(e.is_some()),
        Val::AnyRef(a) => u128::from(a.is_some()),
        other => panic!("{other:?}"),
    }
}

/// Makes a call: what it gives, and behind that the frames of a trap.
fn make(store: &mut Store<()>, f: Func, call: &Call) -> (String, String) {
    let ty = f.ty(&*store);
    assert_eq!(ty.params.len(), call.args.len(), "{}", call.name);
    let args: Vec<Val> = call.args.iter().zip(ty.params.iter()).map(|(w, &t)| argument(w, t)).collect();
    let mut results = vec![Val::I32(0); ty.results.len()];
    match f.call(&mut *store, &args, &mut results) {
        Ok(()) => (results.iter().map(|v| format!("{:#x}", bits(v))).collect::<Vec<_>>().join(" "), String::new()),
        Err(Error::Trap(t)) => {
            let frames = t.backtrace().iter().map(|f| format!("{}@{:x?}", f.func_index, f.code_offset));
            (format!("{:?}", t.kind()), frames.collect::<Vec<_>>().join(" "))
        }
        Err(e) => panic!("{}: {e}", call.name),
    }
}

/// What can be seen of an instance from outside.
fn state(store: &mut Store<()>, instance: Instance) -> String {
    let items: Vec<_> = instance.exports(&mut *store).map(|e| (e.name().to_string(), e.into_extern())).collect();
    let mut out = String::new();
    for (name, item) in items {
        match item {
            Extern::Memory(m) => {
                let mut hasher = DefaultHasher::new();
                m.data(&*store).hash(&mut hasher);
                let _ = write!(out, " {name}: {} pages {:x}", m.size(&*store), hasher.finish());
            }
            Extern::Global(g) => {
                let _ = write!(out, " {name}: {:x}", bits(&g.get(&*store)));
            }
            Extern::Table(t) => {
                let _ = write!(out, " {name}: {} elements", t.size(&*store));
            }
            _ => {}
        }
    }
    out
}

/// An instance of a case's module.
fn instance(way: &Way, c: &Case) -> (Store<()>, Instance) {
    let module = |text| Module::new(&way.engine, text).unwrap_or_else(|e| panic!("{}: {e}", c.why));
    let mut store = Store::new(&way.engine, ());
    if way.fuel {
        store.set_fuel(1 << 30).expect("fuel is on");
    }
    let mut linker: Linker<()> = Linker::new(&way.engine);
    linker.func_wrap("host", "same", |n: i32| n).expect("new");
    linker.func_wrap("host", "low", |n: i64| n as i32).expect("new");
    linker.module(&mut store, "lib", &module(c.lib)).unwrap_or_else(|e| panic!("{}: {e}", c.why));
    let module = module(c.text);
    module.validate_bodies().unwrap_or_else(|e| panic!("{}: {e}", c.why));
    let instance = linker.instantiate(&mut store, &module).unwrap_or_else(|e| panic!("{}: {e}", c.why));
    (store, instance)
}

/// All calls, twice, since the first may have had functions compiled; with fuel each also with too little of it.
fn run(way: &Way, c: &Case, wrong: Option<&mut Vec<String>>) -> Vec<String> {
    let (mut store, instance) = instance(way, c);
    let calls: Vec<Call> = c.calls.iter().map(|l| parse(l)).collect();
    let (mut log, mut unexpected) = (Vec::new(), Vec::new());
    for round in 0..2 {
        for call in &calls {
            let f = instance.get_func(&mut store, call.name).unwrap_or_else(|| panic!("{}: no {}", c.why, call.name));
            let before = store.get_fuel().unwrap_or(0);
            let (given, frames) = make(&mut store, f, call);
            // A case may count its calls.
            if round == 0 && given != call.expected {
                unexpected.push(format!("{}: {} {:?} gives {given}", c.why, call.name, call.args));
            }
            let took = before - store.get_fuel().unwrap_or(0);
            log.push(format!("{} {:?} gives {given} {frames}{}", call.name, call.args, state(&mut store, instance)));
            if !way.fuel || round > 0 {
                continue;
            }
            log.push(format!("took {took}"));
            let step = (took / 10).max(1) as usize;
            for fuel in (0..took).step_by(step).chain((took.max(2) - 2)..took) {
                store.set_fuel(fuel).expect("fuel is on");
                let (given, frames) = make(&mut store, f, call);
                let left = store.get_fuel().expect("fuel is on");
                log.push(format!("with {fuel} {given} {frames} {left}{}", state(&mut store, instance)));
            }
            store.set_fuel(1 << 30).expect("fuel is on");
        }
    }
    if let Some(wrong) = wrong {
        wrong.append(&mut unexpected);
    }
    log
}

/// Runs cases in every way.
fn check(cases: &[Case]) {
    let mut wrong = Vec::new();
    for c in cases {
        let mut logs: Vec<Vec<String>> = Vec::new();
        for (n, way) in ways().iter().enumerate() {
            let log = run(way, c, (n == 0).then_some(&mut wrong));
            // Those with fuel are compared with each other.
            let first = if way.fuel { ways().iter().position(|w| w.fuel) } else { Some(0) };
            if let Some(first) = first.and_then(|n| logs.get(n)) {
                let differs = log.iter().zip(first).find(|(have, want)| have != want);
                wrong.extend(differs.map(|(have, want)| format!("{}, {}: {have}\n    for {want}", c.why, way.name)));
                assert_eq!(log.len(), first.len(), "{}, {}", c.why, way.name);
            }
            let refused = way.engine.compile_stats().refused;
            assert!(!refused.keys().any(|why| why.contains("a bug")), "{}, {}: {refused:?}", c.why, way.name);
            logs.push(log);
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}
