//! Instances one after the other and at the same time: what one has left behind is nothing to the next.
//!
//! In: modules with and without enough data for an image, of several sizes, in every tier and with both kinds of memory.
//! Out: every instance begins as the specification says, whatever its memory's pages, stacks and tables were before.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use support::{Execution, Rng};
use vm::{
    Caller, Config, Engine, Error, Extern, Instance, Linker, Memory, MemoryMode, Module, Store, Table, TrapKind, Val,
};

const ALL: [Execution; 4] = [Execution::Interpreted, Execution::Compiled, Execution::Mixed, Execution::Replaced];
const PAGE: usize = 64 << 10;

/// Engines of every tier with every kind of memory.
fn engines() -> Vec<Engine> {
    let make = |(execution, mode): (Execution, MemoryMode)| {
        let mut config = Config::new();
        execution.set(&mut config);
        config.memory_mode(mode);
        Engine::new(&config).expect("the settings can be met")
    };
    ALL.iter().flat_map(|&e| [(e, MemoryMode::Auto), (e, MemoryMode::Checked)]).map(make).collect()
}

fn module(engine: &Engine, text: &str) -> Module {
    let module = Module::new(engine, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    module.validate_bodies().unwrap_or_else(|e| panic!("{e}\n{text}"));
    module
}

fn memory(store: &mut Store<()>, instance: Instance) -> Memory {
    instance.get_memory(store, "memory").expect("exported")
}

fn kind(e: &Error) -> Option<TrapKind> {
    if let Error::Trap(t) = e { Some(t.kind()) } else { None }
}

/// Bytes that differ from place to place.
fn data(seed: u64, len: usize) -> Vec<u8> {
    Rng::new(seed).bytes(len).into_iter().map(|b| b | 1).collect()
}

fn escaped(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("\\{b:02x}")).collect()
}

/// A module whose memory begins with some segments, and what it is to hold then.
struct Shape {
    text: String,
    first: Vec<u8>,
}

fn shape(pages: usize, segments: &[(usize, usize)]) -> Shape {
    let mut first = vec![0; pages * PAGE];
    let mut text = format!(
        r#"(module (memory (export "memory") {pages} 40)
        (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
        (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))"#
    );
    for (i, &(at, len)) in segments.iter().enumerate() {
        let bytes = data(i as u64, len);
        first[at..at + len].copy_from_slice(&bytes);
        text.push_str(&format!("(data (i32.const {at}) \"{}\")\n", escaped(&bytes)));
    }
    text.push(')');
    Shape { text, first }
}

fn shapes() -> Vec<Shape> {
    vec![
        shape(1, &[]),
        shape(1, &[(100, 50)]),
        shape(3, &[(5000, 40_000)]),
        // Overlapping segments, the later one wins; the second begins before the first.
        shape(2, &[(20_000, 30_000), (10_001, 20_000), (0, 1), (2 * PAGE - 3, 3)]),
        shape(30, &[(4096, 20_000), (10 * PAGE + 17, 4097), (20 * PAGE, 8192), (25 * PAGE + 1, 2), (30 * PAGE - 1, 1)]),
    ]
}

/// Writes all over a memory, by guest and host, and grows it.
fn spoil(store: &mut Store<()>, instance: Instance, rng: &mut Rng) {
    let memory = memory(store, instance);
    let fill = instance.get_typed_func::<(i32, i32, i32), ()>(&mut *store, "fill").expect("exported");
    let write = instance.get_typed_func::<(i32, i32), ()>(&mut *store, "store").expect("exported");
    let grow = instance.get_typed_func::<i32, i32>(&mut *store, "grow").expect("exported");
    if rng.chance(40) {
        assert!(grow.call(&mut *store, 1 + rng.below(3) as i32).expect("no trap") >= 0);
    }
    let size = memory.data_size(&*store);
    for _ in 0..rng.below(6) {
        let at = rng.below(size - 4);
        write.call(&mut *store, (at as i32, -1)).expect("in bounds");
        let at = rng.below(size);
        memory.data_mut(store)[at] = 0xee;
    }
    if rng.chance(30) {
        let at = rng.below(size);
        let len = rng.below(size - at);
        fill.call(&mut *store, (at as i32, 0xdd, len as i32)).expect("in bounds");
    }
    if rng.chance(20) {
        // More ranges than one look at the pages answers.
        memory.data_mut(store).iter_mut().step_by(2 * 4096).for_each(|b| *b = 0xcc);
    }
    if rng.chance(30) {
        write.call(&mut *store, (size as i32 - 3, 0)).expect_err("out of bounds");
    }
}

fn check(store: &mut Store<()>, instance: Instance, first: &[u8]) {
    let memory = memory(store, instance);
    assert!(memory.data(&*store) == first, "the memory does not begin as it should");
}

/// Makes an instance, looks at its memory, also at what it grows by, and leaves it spoilt.
fn round(engine: &Engine, module: &Module, first: &[u8], rng: &mut Rng) {
    let mut store = Store::new(engine, ());
    let instance = Instance::new(&mut store, module, &[]).expect("nothing is imported");
    check(&mut store, instance, first);
    if rng.chance(30) {
        let memory = memory(&mut store, instance);
        memory.grow(&mut store, 2).expect("below the maximum");
        assert!(memory.data(&store)[first.len()..].iter().all(|&b| b == 0));
    }
    spoil(&mut store, instance, rng);
}

#[test]
fn memories_begin_anew_whatever_was_there_before() {
    let shapes = shapes();
    for (n, engine) in engines().iter().enumerate() {
        let modules: Vec<_> = shapes.iter().map(|s| module(engine, &s.text)).collect();
        let mut rng = Rng::new(n as u64);
        for _ in 0..150 {
            let i = rng.below(shapes.len());
            round(engine, &modules[i], &shapes[i].first, &mut rng);
        }
    }
}

#[test]
fn many_memories_at_once_begin_anew() {
    let shapes = shapes();
    let engine = Engine::default();
    let modules: Vec<_> = shapes.iter().map(|s| module(&engine, &s.text)).collect();
    let mut rng = Rng::new(7);
    let mut live = Vec::new();
    for _ in 0..600 {
        let i = rng.below(shapes.len());
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &modules[i], &[]).expect("nothing is imported");
        check(&mut store, instance, &shapes[i].first);
        spoil(&mut store, instance, &mut rng);
        live.push(store);
        // More than any pool keeps, and then fewer.
        while live.len() > 150 || rng.chance(45) && !live.is_empty() {
            live.swap_remove(rng.below(live.len()));
        }
    }
}

#[test]
fn modules_come_and_go() {
    let shapes = shapes();
    let engine = Engine::default();
    let mut rng = Rng::new(11);
    for _ in 0..60 {
        let s = rng.pick(&shapes);
        let module = module(&engine, &s.text);
        (0..4).for_each(|_| round(&engine, &module, &s.first, &mut rng));
    }
}

#[test]
fn threads_make_and_drop_instances() {
    let shapes = shapes();
    for engine in engines() {
        let modules: Vec<_> = shapes.iter().map(|s| module(&engine, &s.text)).collect();
        std::thread::scope(|scope| {
            for thread in 0..4 {
                let (engine, modules, shapes) = (&engine, &modules, &shapes);
                scope.spawn(move || {
                    let mut rng = Rng::new(100 + thread);
                    for _ in 0..60 {
                        let i = rng.below(shapes.len());
                        round(engine, &modules[i], &shapes[i].first, &mut rng);
                    }
                });
            }
        });
    }
}

/// 20,000 bytes of data, which are enough for an image.
fn plenty() -> String {
    escaped(&data(3, 20_000))
}

#[test]
fn segments_are_dropped_as_if_they_had_been_copied() {
    let text = format!(
        r#"(module (memory (export "memory") 1)
        (data $active (i32.const 0) "{}") (data $passive "passive") (data $empty (i32.const 65536) "")
        (func (export "again") (param i32) (memory.init $active (i32.const 0) (i32.const 0) (local.get 0)))
        (func (export "init") (memory.init $passive (i32.const 3) (i32.const 0) (i32.const 7)) (data.drop $passive)))"#,
        plenty()
    );
    for engine in engines() {
        let module = module(&engine, &text);
        for _ in 0..4 {
            let mut store = Store::new(&engine, ());
            let i = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
            let again = i.get_typed_func::<i32, ()>(&mut store, "again").expect("exported");
            again.call(&mut store, 0).expect("nothing of a dropped segment can be had");
            let e = again.call(&mut store, 1).expect_err("the segment is dropped");
            assert_eq!(kind(&e), Some(TrapKind::MemoryOutOfBounds));
            let init = i.get_typed_func::<(), ()>(&mut store, "init").expect("exported");
            init.call(&mut store, ()).expect("the segment is there");
            assert_eq!(&memory(&mut store, i).data(&store)[3..10], b"passive");
            init.call(&mut store, ()).expect_err("now it is dropped");
        }
    }
}

#[test]
fn what_traps_on_the_way_leaves_what_came_before_it() {
    // A function of the failed instance stays reachable through the table and reads that instance's memory.
    let text = |data: &str, elem: &str| {
        format!(
            r#"(module (import "m" "table" (table 2 funcref)) (memory 1)
            (func $first (result i32) (i32.load8_u (i32.const 0)))
            (func $last (result i32) (i32.load8_u (i32.const 30000)))
            (elem (table 0) (i32.const 0) func $first $last) {elem}
            (data (i32.const 0) "{}") {data})"#,
            plenty()
        )
    };
    let first = i32::from(data(3, 1)[0]);
    let cases = [
        (text("", "(elem (table 0) (i32.const 2) func $first)"), TrapKind::TableOutOfBounds, 0),
        (text("(data (i32.const 65536) \"x\")", ""), TrapKind::MemoryOutOfBounds, first),
        (
            text("(data (i32.const 65530) \"1234567\") (data (i32.const 30000) \"x\")", ""),
            TrapKind::MemoryOutOfBounds,
            first,
        ),
    ];
    for engine in engines() {
        for (text, trap, expected) in &cases {
            let module = module(&engine, text);
            for _ in 0..3 {
                let mut store = Store::new(&engine, ());
                let ty = vm::TableType { element: vm::RefType::FUNCREF, is64: false, min: 2, max: None };
                let table = Table::new(&mut store, ty, Val::FuncRef(None)).expect("a small table");
                let e = Instance::new(&mut store, &module, &[table.into()]).expect_err("a segment is out of bounds");
                assert_eq!(kind(&e), Some(*trap));
                for (i, expected) in [(0, *expected), (1, 0)] {
                    let Some(Val::FuncRef(Some(f))) = table.get(&store, i) else { panic!("the segment was written") };
                    let f = f.typed::<(), i32>(&store).expect("its type");
                    assert_eq!(f.call(&mut store, ()).expect("no trap"), expected);
                }
            }
        }
    }
}

#[test]
fn start_functions_that_trap_leave_nothing_to_the_next_instance() {
    let text = format!(
        r#"(module (import "h" "fail" (global $fail i32)) (memory (export "memory") 1 8)
        (data (i32.const 0) "{}")
        (func $start
            (if (global.get $fail) (then
                (memory.fill (i32.const 0) (i32.const 9) (i32.const 65536))
                (drop (memory.grow (i32.const 2)))
                (i32.store (i32.const 70000) (i32.const 77))
                unreachable)))
        (start $start))"#,
        plenty()
    );
    let mut first = data(3, 20_000);
    first.resize(PAGE, 0);
    for engine in engines() {
        let module = module(&engine, &text);
        for round in 0..6 {
            let mut store = Store::new(&engine, ());
            let ty = vm::GlobalType { content: vm::ValType::I32, mutable: false };
            let fail = round % 3 != 2;
            let global = vm::Global::new(&mut store, ty, Val::I32(i32::from(fail))).expect("its type");
            let made = Instance::new(&mut store, &module, &[global.into()]);
            if fail {
                let e = made.expect_err("the start function traps");
                assert_eq!(kind(&e), Some(TrapKind::Unreachable));
            } else {
                check(&mut store, made.expect("it does not trap"), &first);
            }
        }
    }
}

#[test]
fn limits_hold_for_memories_with_images() {
    let engine = Engine::default();
    let module = module(&engine, &shape(3, &[(0, 30_000)]).text);
    for limit in [2 * PAGE, 3 * PAGE, 4 * PAGE] {
        let mut store = Store::new(&engine, ());
        store.limits(vm::StoreLimits { memory_bytes: Some(limit as u64), ..Default::default() });
        let made = Instance::new(&mut store, &module, &[]);
        assert_eq!(made.is_ok(), limit >= 3 * PAGE);
        if let Ok(i) = made {
            assert_eq!(memory(&mut store, i).grow(&mut store, 1).is_ok(), limit >= 4 * PAGE);
        }
    }
}

/// A function with more parameters and results than registers take, in which every one matters.
fn wide() -> String {
    let sum = (0..24).map(|i| format!("(i64.mul (local.get {i}) (i64.const {}))", i + 1)).collect::<Vec<_>>();
    let sum = sum.iter().skip(1).fold(sum[0].clone(), |a, b| format!("(i64.add {a} {b})"));
    let (params, args) = ("i64 ".repeat(24), (0..24).map(|i| format!("(i64.const {i})")).collect::<String>());
    format!(
        r#"(module (import "h" "back" (func $back (param i32) (result i32)))
        (func $wide (param {params}) (result i64 i64 i64 i64 i64 i64 i64) {sum}
            i64.const 1 i64.const 2 i64.const 3 i64.const 4 i64.const 5 i64.const 6)
        (func (export "run") (param i32) (result i64)
            (if (local.get 0) (then (drop (call $back (i32.sub (local.get 0) (i32.const 1))))))
            (call $wide {args}) i64.add i64.add i64.add i64.add i64.add i64.add)
        (func (export "deep") (param i32) (result i32)
            (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (call 3 (i32.sub (local.get 0) (i32.const 1)))))
                (else (i32.const 0)))))"#
    )
}

const WIDE: i64 = 21 + 4600;

#[test]
fn stacks_go_from_store_to_store_and_thread_to_thread() {
    for engine in engines() {
        let module = module(&engine, &wide());
        let mut linker: Linker<u32> = Linker::new(&engine);
        let back = |mut c: Caller<'_, u32>, n: i32| -> vm::Result<i32> {
            let run = c.get_export("run").and_then(Extern::into_func).expect("exported");
            assert_eq!(run.typed::<i32, i64>(&c)?.call(&mut c, n)?, WIDE);
            Ok(n)
        };
        linker.func_wrap("h", "back", back).expect("new");
        let pre = linker.instantiate_pre(&module).expect("all is there");
        drop(linker);
        let make = || {
            let mut store = Store::new(&engine, 0);
            let instances =
                [pre.instantiate(&mut store).expect("it fits"), pre.instantiate(&mut store).expect("it fits")];
            (store, instances)
        };
        let mut stores: Vec<_> = (0..6).map(|_| make()).collect();
        for round in 0..3 {
            std::thread::scope(|scope| {
                for (i, (store, instances)) in stores.iter_mut().enumerate() {
                    scope.spawn(move || {
                        for instance in instances.iter() {
                            let run = instance.get_typed_func::<i32, i64>(&mut *store, "run").expect("exported");
                            assert_eq!(run.call(&mut *store, (i % 3) as i32).expect("no trap"), WIDE);
                            if i % 3 != round {
                                continue;
                            }
                            let deep = instance.get_typed_func::<i32, i32>(&mut *store, "deep").expect("exported");
                            let depth = [10, 5000, 40_000][i / 2];
                            assert_eq!(deep.call(&mut *store, depth).expect("no trap"), depth);
                            deep.call(&mut *store, i32::MAX).expect_err("too deep");
                        }
                    });
                }
            });
            for (store, instances) in &mut stores {
                let run = instances[0].get_typed_func::<i32, i64>(&mut *store, "run").expect("exported");
                assert_eq!(run.call(&mut *store, 4).expect("no trap"), WIDE);
            }
        }
    }
}

#[test]
fn a_store_runs_while_another_waits() {
    for engine in engines() {
        let module = module(&engine, &wide());
        let mut linker: Linker<u32> = Linker::new(&engine);
        let (inner_engine, inner_module) = (engine.clone(), module.clone());
        // Runs another store in the middle of a call, makes an instance in the first one, or panics.
        let back = move |mut c: Caller<'_, u32>, n: i32| -> vm::Result<i32> {
            match n {
                5 => std::panic::resume_unwind(Box::new("quiet")),
                6 => {
                    let f = vm::Func::wrap(&mut c, |n: i32| n);
                    let i = Instance::new(&mut c, &inner_module, &[f.into()])?;
                    let run = i.get_typed_func::<i32, i64>(&mut c, "run")?;
                    assert_eq!(run.call(&mut c, 1)?, WIDE);
                }
                n => {
                    let mut store = Store::new(&inner_engine, ());
                    let f = vm::Func::wrap(&mut store, |n: i32| n);
                    let i = Instance::new(&mut store, &inner_module, &[f.into()])?;
                    let run = i.get_typed_func::<i32, i64>(&mut store, "run")?;
                    assert_eq!(run.call(&mut store, n)?, WIDE);
                }
            }
            Ok(n)
        };
        linker.func_wrap("h", "back", back).expect("new");
        let pre = linker.instantiate_pre(&module).expect("all is there");
        let mut store = Store::new(&engine, 0);
        let i = pre.instantiate(&mut store).expect("it fits");
        let run = i.get_typed_func::<i32, i64>(&mut store, "run").expect("exported");
        for n in [0, 1, 2, 6, 7, 6, 7, 1] {
            if n == 6 {
                catch_unwind(AssertUnwindSafe(|| run.call(&mut store, n))).expect_err("the host panics");
            } else {
                assert_eq!(run.call(&mut store, n).expect("no trap"), WIDE);
            }
        }
    }
}

#[test]
fn engines_with_stacks_of_several_sizes_share_a_thread() {
    let text = r#"(module (func $f (export "f") (param i32) (result i32) local.get 0
        if (result i32) (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))) else i32.const 0 end))"#;
    let functions = [128 << 10, 1 << 20, 8 << 20].into_iter().map(|bytes| {
        let engine = Engine::new(support::config().max_stack(bytes)).expect("the settings can be met");
        let mut store = Store::new(&engine, ());
        let i = Instance::new(&mut store, &module(&engine, text), &[]).expect("nothing is imported");
        let f = i.get_typed_func::<i32, i32>(&mut store, "f").expect("exported");
        (store, f)
    });
    let mut functions: Vec<_> = functions.collect();
    let mut depths = vec![Vec::new(); functions.len()];
    for _ in 0..3 {
        for ((store, f), depths) in functions.iter_mut().zip(&mut depths) {
            let mut fits = |n| f.call(&mut *store, n).map(|m| assert_eq!(m, n)).is_ok();
            let (mut low, mut high) = (0, 10_000_000);
            while high - low > 1 {
                let middle = (low + high) / 2;
                if fits(middle) { low = middle } else { high = middle }
            }
            depths.push(low);
        }
    }
    for d in &depths {
        // Compiled code may take over on the way, whose frames have another size.
        assert!(d[0] > 500 && d[1] == d[2], "{depths:?}");
    }
    assert!(depths[0][2] < depths[1][2] && depths[1][2] < depths[2][2], "{depths:?}");
}

#[test]
fn prepared_modules_name_what_is_wrong() {
    let (engine, other) = (Engine::default(), Engine::default());
    let m = module(&engine, r#"(module (import "h" "f" (func (param i32))) (import "h" "m" (memory 1)))"#);
    let mut linker: Linker<()> = Linker::new(&engine);
    let e = linker.instantiate_pre(&m).err().expect("both are missing").to_string();
    assert!(e.contains("unknown import `h` `f`"), "{e}");
    linker.func_wrap("h", "f", |_: i64| ()).expect("new");
    let mut store = Store::new(&engine, ());
    let ty = vm::MemoryType { is64: false, shared: false, min: 1, max: None, page_size_log2: 16 };
    let memory = Memory::new(&mut store, ty).expect("a page");
    linker.define(&store, "h", "m", memory).expect("new");
    let e = linker.instantiate_pre(&m).err().expect("the type is another").to_string();
    assert!(e.contains("incompatible import type for `h` `f`"), "{e}");
    linker.allow_shadowing(true).func_wrap("h", "f", |_: i32| ()).expect("again");
    let pre = linker.instantiate_pre(&m).expect("all is there");
    pre.instantiate(&mut store).expect("the memory's store");
    let clone = pre.clone();
    assert!(clone.instantiate(Store::new(&engine, ())).is_err(), "the memory is another store's");
    assert!(pre.instantiate(Store::new(&other, ())).is_err(), "another engine");
    let foreign = module(&other, "(module)");
    assert!(linker.instantiate_pre(&foreign).is_err(), "another engine's module");
    assert_eq!(pre.module().imports().len(), 2);
}
