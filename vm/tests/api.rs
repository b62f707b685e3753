//! What an embedder sees: host functions, nesting, interruption, limits, threads.
//!
//! In: small modules and a host that does unusual things. Out: the documented results and errors; never a crash.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};
use vm::{
    AsContextMut, Caller, Config, Engine, Error, Extern, ExternRef, Func, FuncType, Global, GlobalType, Instance,
    Linker, Memory, MemoryMode, MemoryType, Module, RefType, Result, SharedMemory, Store, StoreLimits, Table,
    TableType, Trap, TrapKind, V128, Val, ValType,
};

fn module(engine: &Engine, text: &str) -> Module {
    let module = Module::new(engine, text).unwrap_or_else(|e| panic!("{e}\n{text}"));
    module.validate_bodies().unwrap_or_else(|e| panic!("{e}\n{text}"));
    module
}

/// An engine, a store and an instance of a module without imports.
fn instance(config: &Config, text: &str) -> (Store<()>, Instance) {
    let engine = Engine::new(config).expect("the settings can be met");
    let mut store = Store::new(&engine, ());
    if store.get_fuel().is_ok() {
        store.set_fuel(1 << 40).expect("fuel is on");
    }
    let instance = Instance::new(&mut store, &module(&engine, text), &[]).expect("nothing is imported");
    (store, instance)
}

fn kind<T>(outcome: Result<T>) -> TrapKind {
    match outcome {
        Ok(_) => panic!("it should have trapped"),
        Err(e) => e.as_trap().unwrap_or_else(|| panic!("no trap: {e}")).kind(),
    }
}

const FOREVER: &str = r#"(module (func (export "loop") (loop br 0)) (func $f (export "tail") return_call $f)
    (func (export "in_loop") (local i32) (loop (br_if 0 (i32.ne (local.tee 0 (i32.add (local.get 0) (i32.const 2))) (i32.const 1))))))"#;

// ---- host functions

#[test]
fn typed_host_functions_of_many_arities() {
    let engine = support::engine();
    let mut linker: Linker<Vec<u64>> = Linker::new(&engine);
    linker.func_wrap("h", "none", |mut c: Caller<'_, Vec<u64>>| c.data_mut().push(0)).expect("new");
    linker.func_wrap("h", "two", |a: i32, b: i64| (b, a)).expect("new");
    linker.func_wrap("h", "floats", |a: f32, b: f64| -> Result<(f64, f32)> { Ok((b * 2.0, a + 1.0)) }).expect("new");
    linker.func_wrap("h", "vector", |a: i32, v: V128, b: u64| (V128(v.0 + u128::from(b)), a)).expect("new");
    type Nine = (i32, i32, i32, i32, i32, i32, i32, i32, i32);
    let nine = |a: i32, b: i64, c: f32, d: f64, e: V128, f: u32, g: u64, h: i32, i: i32| -> Nine {
        (i, h, g as i32, f as i32, e.0 as i32, d as i32, c as i32, b as i32, a)
    };
    linker.func_wrap("h", "nine", nine).expect("new");
    let text = r#"(module
        (import "h" "none" (func $none)) (import "h" "two" (func $two (param i32 i64) (result i64 i32)))
        (import "h" "floats" (func $floats (param f32 f64) (result f64 f32)))
        (import "h" "vector" (func $vector (param i32 v128 i64) (result v128 i32)))
        (import "h" "nine" (func $nine (param i32 i64 f32 f64 v128 i32 i64 i32 i32)
            (result i32 i32 i32 i32 i32 i32 i32 i32 i32)))
        (export "two" (func $two))
        (func (export "run") (result i64 i32 f64 f32 v128 i32)
          call $none (call $two (i32.const -5) (i64.const -6)) (call $floats (f32.const 1.5) (f64.const 2.5))
          (call $vector (i32.const 9) (v128.const i64x2 -1 7) (i64.const 2)) call $none)
        (func (export "nine") (result i32 i32 i32 i32 i32 i32 i32 i32 i32)
          (call $nine (i32.const 1) (i64.const 2) (f32.const 3) (f64.const 4) (v128.const i32x4 5 6 7 8) (i32.const 6)
            (i64.const 7) (i32.const 8) (i32.const 9))))"#;
    let mut store = Store::new(&engine, Vec::new());
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let run = instance.get_typed_func::<(), (i64, i32, f64, f32, V128, i32)>(&mut store, "run").expect("its type");
    let r = run.call(&mut store, ()).expect("it returns");
    assert_eq!(r, (-6, -5, 5.0, 2.5, V128((8u128 << 64) + 1), 9));
    let nine = instance.get_typed_func::<(), Nine>(&mut store, "nine").expect("its type");
    assert_eq!(nine.call(&mut store, ()).expect("it returns"), (9, 8, 7, 6, 5, 4, 3, 2, 1));
    // An imported function that is exported again is called by the host directly.
    let two = instance.get_typed_func::<(i32, i64), (i64, i32)>(&mut store, "two").expect("its type");
    assert_eq!(two.call(&mut store, (1, 2)).expect("it returns"), (2, 1));
    assert_eq!(store.into_data(), [0, 0]);
}

#[test]
fn references_go_in_and_out() {
    let engine = support::engine();
    let text = r#"(module (import "h" "swap" (func $swap (param externref funcref) (result funcref externref)))
        (table $t (export "t") 2 funcref) (table $e 2 externref)
        (func (export "run") (param externref funcref) (result externref i32)
          (call $swap (local.get 0) (local.get 1)) local.set 0 local.set 1
          (table.set $t (i32.const 1) (local.get 1)) (table.set $e (i32.const 0) (local.get 0))
          (table.get $e (i32.const 0)) (call_indirect $t (result i32) (i32.const 1))))"#;
    let mut store = Store::new(&engine, ());
    let mut linker = Linker::new(&engine);
    linker.func_wrap("h", "swap", |e: Option<ExternRef>, f: Option<Func>| (f, e)).expect("new");
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let run = instance
        .get_typed_func::<(Option<ExternRef>, Option<Func>), (Option<ExternRef>, i32)>(&mut store, "run")
        .expect("its type");
    let e = ExternRef::new(&mut store, String::from("hello"));
    let f = Func::wrap(&mut store, || 77i32);
    let (back, n) = run.call(&mut store, (Some(e), Some(f))).expect("it returns");
    assert_eq!(n, 77);
    let data = back.expect("the same reference").data(&store).expect("of this store");
    assert_eq!(data.downcast_ref::<String>().map(String::as_str), Some("hello"));
    assert_eq!(kind(run.call(&mut store, (None, None))), TrapKind::UninitializedElement);
    let wrong = Func::wrap(&mut store, |_: i32| ());
    assert_eq!(kind(run.call(&mut store, (None, Some(wrong)))), TrapKind::IndirectCallTypeMismatch);
}

#[derive(Debug, thiserror::Error, PartialEq)]
#[error("no more {0}")]
struct Exhausted(&'static str);

#[test]
fn host_errors_and_traps_arrive_unchanged() {
    let engine = support::engine();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker
        .func_wrap("h", "f", |n: i32| -> Result<i32> {
            match n {
                0 => Err(Error::host(Exhausted("tea"))),
                1 => Err(Trap::new(TrapKind::IntegerOverflow).into()),
                n => Ok(n),
            }
        })
        .expect("new");
    let text = r#"(module (import "h" "f" (func $f (param i32) (result i32)))
        (func $deep (export "deep") (param i32 i32) (result i32) local.get 1
          if (result i32) (call $deep (local.get 0) (i32.sub (local.get 1) (i32.const 1)))
          else (call $f (local.get 0)) end))"#;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let deep = instance.get_typed_func::<(i32, i32), i32>(&mut store, "deep").expect("its type");
    for depth in [0, 1, 1000] {
        let error = deep.call(&mut store, (0, depth)).expect_err("the host fails");
        assert_eq!(error.downcast_ref::<Exhausted>(), Some(&Exhausted("tea")));
        let error = deep.call(&mut store, (1, depth)).expect_err("the host traps");
        let trap = error.as_trap().expect("a trap");
        assert_eq!(trap.kind(), TrapKind::IntegerOverflow);
        assert!(trap.backtrace().iter().all(|f| f.func_index == 1 && f.func_name.as_deref() == Some("deep")));
        assert!(!trap.backtrace().is_empty());
        assert_eq!(deep.call(&mut store, (5, depth)).expect("it returns"), 5);
    }
}

#[test]
fn a_panic_goes_on_behind_the_guest() {
    let engine = support::engine();
    let mut linker: Linker<u32> = Linker::new(&engine);
    linker
        .func_wrap("h", "f", |mut c: Caller<'_, u32>, n: i32| {
            *c.data_mut() += 1;
            assert!(n != 3, "three it must not be");
        })
        .expect("new");
    let inner =
        r#"(module (import "h" "f" (func $f (param i32))) (func (export "g") (param i32) local.get 0 call $f))"#;
    let outer = r#"(module (import "i" "g" (func $g (param i32)))
        (func (export "run") (param i32) local.get 0 call $g local.get 0 call $g))"#;
    let mut store = Store::new(&engine, 0);
    linker.module(&mut store, "i", &module(&engine, inner)).expect("all is there");
    let instance = linker.instantiate(&mut store, &module(&engine, outer)).expect("all is there");
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run").expect("its type");
    for _ in 0..50 {
        let panic = catch_unwind(AssertUnwindSafe(|| run.call(&mut store, 3))).expect_err("it panics");
        let text = panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref().cloned());
        assert!(text.is_some_and(|t: String| t.contains("three it must not be")));
        // The store is as good as before.
        run.call(&mut store, 4).expect("it returns");
    }
    assert_eq!(*store.data(), 150);
}

#[test]
fn results_of_a_dynamic_host_function_are_checked() {
    let engine = support::engine();
    let mut linker: Linker<()> = Linker::new(&engine);
    let ty = FuncType { params: Box::new([]), results: Box::new([ValType::I32]) };
    linker
        .func_new("h", "f", ty, |_, _, results| {
            results[0] = Val::I64(1);
            Ok(())
        })
        .expect("new");
    let text = r#"(module (import "h" "f" (func $f (result i32))) (func (export "run") (result i32) call $f))"#;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let run = instance.get_typed_func::<(), i32>(&mut store, "run").expect("its type");
    assert!(matches!(run.call(&mut store, ()), Err(Error::Api(_))));
}

// ---- misuse that has an answer

#[test]
fn wrong_arguments_are_errors() {
    let text = r#"(module (func (export "f") (param i32 externref) (result i64) i64.const 1))"#;
    let (mut store, instance) = instance(&support::config(), text);
    let f = instance.get_func(&mut store, "f").expect("exported");
    let null = Val::ExternRef(None);
    let mut one = [Val::I32(0)];
    let cases: [&[Val]; 5] =
        [&[], &[Val::I32(1)], &[Val::I64(1), null], &[Val::I32(1), Val::FuncRef(None)], &[Val::I32(1), null, null]];
    for args in cases {
        assert!(matches!(f.call(&mut store, args, &mut one), Err(Error::Api(_))), "{args:?}");
    }
    assert!(matches!(f.call(&mut store, &[Val::I32(1), null], &mut []), Err(Error::Api(_))));
    f.call(&mut store, &[Val::I32(1), null], &mut one).expect("all fits");
    assert_eq!(one[0].i64(), Some(1));
    assert!(f.typed::<i32, i64>(&store).is_err());
    assert!(f.typed::<(i32, Option<ExternRef>), i32>(&store).is_err());
    assert!(f.typed::<(i32, Option<ExternRef>), i64>(&store).is_ok());
    assert!(instance.get_func(&mut store, "g").is_none());
    assert!(instance.get_typed_func::<(), ()>(&mut store, "g").is_err());
}

#[test]
fn handles_of_another_store_are_errors() {
    let text = r#"(module (func $f (export "f") (param externref)) (memory (export "m") 1)
        (table (export "t") 1 funcref) (global (export "g") (mut i32) (i32.const 0)))"#;
    let engine = support::engine();
    let module = module(&engine, text);
    let (mut a, mut b) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let instance = Instance::new(&mut a, &module, &[]).expect("nothing is imported");
    let f = instance.get_func(&mut a, "f").expect("exported");
    let typed = f.typed::<Option<ExternRef>, ()>(&a).expect("its type");
    let foreign = ExternRef::new(&mut b, 1);
    assert!(f.call(&mut b, &[Val::ExternRef(None)], &mut []).is_err());
    assert!(typed.call(&mut b, None).is_err());
    assert!(typed.call(&mut a, Some(foreign)).is_err());
    assert!(f.call(&mut a, &[Val::ExternRef(Some(foreign))], &mut []).is_err());
    assert!(f.typed::<Option<ExternRef>, ()>(&b).is_err());
    assert!(foreign.data(&a).is_err());
    let table = instance.get_table(&mut a, "t").expect("exported");
    assert!(table.set(&mut b, 0, Val::FuncRef(None)).is_err());
    assert!(table.grow(&mut b, 1, Val::FuncRef(None)).is_err());
    let own = Func::wrap(&mut b, || ());
    assert!(table.set(&mut a, 0, Val::FuncRef(Some(own))).is_err());
    assert!(table.set(&mut a, 0, Val::FuncRef(Some(f))).is_ok());
    assert!(table.set(&mut a, 1, Val::FuncRef(Some(f))).is_err());
    let memory = instance.get_memory(&mut a, "m").expect("exported");
    assert!(memory.grow(&mut b, 1).is_err());
    assert!(memory.read(&a, usize::MAX, &mut [0]).is_err());
    assert!(memory.write(&mut a, 65535, &[0, 0]).is_err());
    memory.write(&mut a, 65534, &[1, 2]).expect("within the memory");
    let import = r#"(module (import "m" "f" (func (param externref))))"#;
    let importer = self::module(&engine, import);
    assert!(Instance::new(&mut b, &importer, &[f.into()]).is_err());
    let mut linker = Linker::new(&engine);
    linker.define(&a, "m", "f", f).expect("new");
    assert!(linker.instantiate(&mut b, &importer).is_err());
    linker.instantiate(&mut a, &importer).expect("its own store");
}

#[test]
fn results_where_the_api_promises_results() {
    let engine = support::engine();
    let (mut a, mut b) = (Store::new(&engine, ()), Store::new(&engine, ()));
    let ty = MemoryType { min: 1, max: None, is64: false, shared: false, page_size_log2: 16 };
    let memory = Memory::new(&mut a, ty).expect("a small memory");
    let global = Global::new(&mut a, GlobalType { content: ValType::I32, mutable: true }, Val::I32(1)).expect("fits");
    // Each answers a `Result`, so a handle of another store is an error.
    type Call = Box<dyn FnOnce(&mut Store<()>) -> Result<()>>;
    let calls: [(&str, Call); 3] = [
        ("Memory::read", Box::new(move |b| memory.read(b, 0, &mut [0]))),
        ("Memory::write", Box::new(move |b| memory.write(b, 0, &[0]))),
        ("Global::set", Box::new(move |b| global.set(b, Val::I32(2)))),
    ];
    for (name, call) in calls {
        let outcome = catch_unwind(AssertUnwindSafe(|| call(&mut b)));
        assert!(matches!(outcome, Ok(Err(_))), "{name} panics or succeeds with another store's handle");
    }
    assert!(global.set(&mut a, Val::I64(2)).is_err());
    assert!(Global::new(&mut a, GlobalType { content: ValType::I32, mutable: false }, Val::F32(1)).is_err());
    assert!(Memory::new(&mut a, MemoryType { min: 2, max: Some(1), ..ty }).is_err());
    assert!(Memory::new(&mut a, MemoryType { min: 65537, ..ty }).is_err());
    assert!(Memory::new(&mut a, MemoryType { shared: true, max: Some(1), ..ty }).is_err());
    assert!(SharedMemory::new(&engine, ty).is_err());
    let table = TableType {
        element: RefType { nullable: true, heap: vm::HeapType::Extern },
        min: 1,
        max: Some(3),
        is64: false,
    };
    assert!(Table::new(&mut a, table, Val::FuncRef(None)).is_err());
    let t = Table::new(&mut a, table, Val::ExternRef(None)).expect("a small table");
    assert!(t.grow(&mut a, 3, Val::ExternRef(None)).is_err());
    assert_eq!(t.grow(&mut a, 2, Val::ExternRef(None)).expect("up to its maximum"), 1);
    assert!(t.get(&a, 3).is_none());
    assert!(Store::new(&engine, ()).set_fuel(1).is_err());
}

#[test]
fn missing_and_unsuitable_imports_are_named() {
    let engine = support::engine();
    let m = module(&engine, r#"(module (import "env" "thing" (func (param i32))))"#);
    let mut store = Store::new(&engine, ());
    let linker = Linker::new(&engine);
    let error = linker.instantiate(&mut store, &m).map(|_| ()).expect_err("nothing is there");
    assert!(error.to_string().starts_with("unknown import"), "{error}");
    assert!(error.to_string().contains("thing"));
    assert_eq!(linker.missing_imports(&m).len(), 1);
    let memory =
        Memory::new(&mut store, MemoryType { min: 1, max: None, is64: false, shared: false, page_size_log2: 16 });
    let wrong = [Func::wrap(&mut store, || ()).into(), Extern::from(memory.expect("a small memory"))];
    for item in wrong {
        let error = Instance::new(&mut store, &m, &[item]).map(|_| ()).expect_err("it does not fit");
        assert!(error.to_string().starts_with("incompatible import type"), "{error}");
    }
    assert!(Instance::new(&mut store, &m, &[]).is_err());
    let mut linker = Linker::new(&engine);
    linker.define_unknown_imports_as_traps(&m).expect("only a function is missing");
    let with = r#"(module (import "env" "thing" (func $f (param i32))) (func (export "run") i32.const 1 call $f))"#;
    let i = linker.instantiate(&mut store, &module(&engine, with)).expect("all is there");
    let run = i.get_typed_func::<(), ()>(&mut store, "run").expect("exported");
    assert_eq!(kind(run.call(&mut store, ())), TrapKind::UnknownImport);
}

// ---- nesting

#[test]
fn host_and_guest_nest_until_the_stack_is_exhausted() {
    let engine = support::engine();
    let mut linker: Linker<u32> = Linker::new(&engine);
    linker
        .func_wrap("h", "again", |mut c: Caller<'_, u32>| -> Result<i32> {
            *c.data_mut() += 1;
            let run = c.get_export("run").and_then(Extern::into_func).expect("exported");
            let n = run.typed::<(), i32>(&c)?.call(&mut c, ())?;
            Ok(n + 1)
        })
        .expect("new");
    linker
        .func_wrap("h", "to", |mut c: Caller<'_, u32>, n: i32| -> Result<i32> {
            let to = c.get_export("to").and_then(Extern::into_func).expect("exported");
            if n == 0 { Ok(0) } else { Ok(1 + to.typed::<i32, i32>(&c)?.call(&mut c, n - 1)?) }
        })
        .expect("new");
    let text = r#"(module (import "h" "again" (func $again (result i32))) (import "h" "to" (func $to (param i32) (result i32)))
        (func (export "run") (result i32) i32.const 5 call $again i32.add)
        (func (export "to") (param i32) (result i32) local.get 0 local.get 0 call $to local.get 0 i32.sub i32.add))"#;
    let mut store = Store::new(&engine, 0);
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let run = instance.get_typed_func::<(), i32>(&mut store, "run").expect("exported");
    let to = instance.get_typed_func::<i32, i32>(&mut store, "to").expect("exported");
    let mut depths = Vec::new();
    for _ in 0..3 {
        *store.data_mut() = 0;
        assert_eq!(kind(run.call(&mut store, ())), TrapKind::CallStackExhausted);
        depths.push(*store.data());
        assert_eq!(to.call(&mut store, 20).expect("it returns"), 20);
    }
    // Functions may have been compiled at their first calls.
    assert!(depths[0] > 20 && depths[0].abs_diff(depths[1]) <= 2 && depths[1] == depths[2], "{depths:?}");
}

#[test]
fn host_functions_call_host_functions() {
    let engine = support::engine();
    let mut store = Store::new(&engine, None::<Func>);
    let f = Func::wrap(&mut store, |mut c: Caller<'_, Option<Func>>, n: i32| -> Result<i32> {
        let f = c.data().expect("set below");
        if n == 0 { Ok(0) } else { Ok(1 + f.typed::<i32, i32>(&c)?.call(&mut c, n - 1)?) }
    });
    *store.data_mut() = Some(f);
    let typed = f.typed::<i32, i32>(&store).expect("its type");
    assert_eq!(typed.call(&mut store, 50).expect("it returns"), 50);
}

/// Names the variable by which the test below knows that it is its own child.
const CHILD: &str = "VM_TEST_CHILD";

/// Were it possible, the process would end: so a child process tries.
#[test]
fn a_guest_cannot_make_the_host_recurse_without_end() {
    if std::env::var_os(CHILD).is_none() {
        let name = "a_guest_cannot_make_the_host_recurse_without_end";
        let this = std::env::current_exe().expect("the path of this test");
        let output = std::process::Command::new(this).args(["--exact", name]).env(CHILD, "1").output();
        let output = output.expect("a child process");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        return;
    }
    let engine = support::engine();
    let mut linker: Linker<Option<Func>> = Linker::new(&engine);
    linker
        .func_wrap("h", "call", |mut c: Caller<'_, Option<Func>>| -> Result<()> {
            let f = c.data().expect("registered before");
            f.call(&mut c, &[], &mut [])
        })
        .expect("new");
    linker
        .func_wrap("h", "register", |mut c: Caller<'_, Option<Func>>, f: Option<Func>| *c.data_mut() = f)
        .expect("new");
    let text = r#"(module (import "h" "call" (func $call)) (import "h" "register" (func $register (param funcref)))
        (elem declare func $call) (func (export "run") (call $register (ref.func $call)) call $call))"#;
    let mut store = Store::new(&engine, None);
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let run = instance.get_typed_func::<(), ()>(&mut store, "run").expect("exported");
    assert_eq!(kind(run.call(&mut store, ())), TrapKind::CallStackExhausted);
}

/// Panics without a message on the terminal.
fn panic_quietly() -> ! {
    std::panic::resume_unwind(Box::new("quiet"))
}

#[test]
fn a_store_whose_host_panicked_moves_to_another_thread() {
    let engine = support::engine();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker
        .func_wrap("h", "f", |n: i32| {
            if n == 0 {
                panic_quietly()
            }
        })
        .expect("new");
    let text =
        r#"(module (import "h" "f" (func $f (param i32))) (func (export "run") (param i32) local.get 0 call $f))"#;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let run = instance.get_typed_func::<i32, ()>(&mut store, "run").expect("exported");
    for _ in 0..3 {
        assert!(catch_unwind(AssertUnwindSafe(|| run.call(&mut store, 0))).is_err());
        // On another native stack, and one frame deeper than any before.
        store = std::thread::spawn(move || {
            run.call(&mut store, 1).expect("the panic is over");
            store
        })
        .join()
        .expect("it does not panic");
    }
}

#[test]
fn panics_of_functions_that_the_host_calls_take_no_stack() {
    let engine = support::engine();
    let mut store = Store::new(&engine, ());
    let ty = FuncType { params: vec![ValType::I64; 1000].into(), results: Box::new([]) };
    let f = Func::new(&mut store, ty, |_, _, _| panic_quietly());
    let args = vec![Val::I64(0); 1000];
    for _ in 0..2500 {
        let outcome = catch_unwind(AssertUnwindSafe(|| f.call(&mut store, &args, &mut [])));
        assert!(outcome.is_err(), "the stack is used up: {outcome:?}");
    }
    let m = module(&engine, r#"(module (func (export "f") (result i32) i32.const 1))"#);
    let i = Instance::new(&mut store, &m, &[]).expect("nothing is imported");
    let f = i.get_typed_func::<(), i32>(&mut store, "f").expect("exported");
    assert_eq!(f.call(&mut store, ()).expect("it returns"), 1);
}

#[test]
fn a_panic_caught_between_two_runs_of_guests_ends_there() {
    let engine = support::engine();
    let mut linker: Linker<()> = Linker::new(&engine);
    linker.func_wrap("h", "panic", || -> () { panic_quietly() }).expect("new");
    linker
        .func_wrap("h", "guard", |mut c: Caller<'_, ()>| -> Result<i32> {
            let inner = c.get_export("inner").and_then(Extern::into_func).expect("exported");
            match catch_unwind(AssertUnwindSafe(|| inner.call(&mut c, &[], &mut []))) {
                Ok(outcome) => outcome.map(|()| 1),
                Err(_) => Ok(2),
            }
        })
        .expect("new");
    let text = r#"(module (import "h" "panic" (func $panic)) (import "h" "guard" (func $guard (result i32))) (memory 1)
        (func (export "inner") call $panic)
        (func (export "run") (param i64) (result i64 i32 i32)
          (i64.add (local.get 0) (i64.const 5)) call $guard call $guard)
        (func (export "out") (result i32) call $guard drop (i32.load (i32.const -1))))"#;
    let mut store = Store::new(&engine, ());
    let instance = linker.instantiate(&mut store, &module(&engine, text)).expect("all is there");
    let run = instance.get_typed_func::<i64, (i64, i32, i32)>(&mut store, "run").expect("exported");
    let out = instance.get_typed_func::<(), i32>(&mut store, "out").expect("exported");
    for _ in 0..20 {
        assert_eq!(run.call(&mut store, 1 << 40).expect("it returns"), ((1 << 40) + 5, 2, 2));
        // A fault of guarded memory is still the guest's.
        assert_eq!(kind(out.call(&mut store, ())), TrapKind::MemoryOutOfBounds);
    }
}

#[test]
fn modules_and_linkers_of_another_engine_are_errors() {
    let (a, b) = (support::engine(), support::engine());
    // The same index of canonical type means other things to the two engines.
    let shift = module(&b, "(module (type (func (param f64))) (type (func (result v128))) (func))");
    assert_eq!(shift.function_count(), 1);
    let m = module(&a, r#"(module (import "h" "f" (func (result i32))))"#);
    let mut store = Store::new(&b, ());
    let f = Func::wrap(&mut store, || 1i32);
    assert!(Instance::new(&mut store, &m, &[f.into()]).is_err());
    let mut linker: Linker<()> = Linker::new(&a);
    linker.func_wrap("h", "f", || 1i32).expect("new");
    assert!(linker.instantiate(&mut store, &m).is_err());
    let m = module(&b, r#"(module (import "h" "f" (func (result i32))))"#);
    assert!(linker.instantiate(&mut store, &m).is_err());
}

#[test]
fn the_depth_of_the_stack_is_configured() {
    let text = r#"(module (func $f (export "f") (param i32) (result i32) local.get 0
        if (result i32) (i32.add (i32.const 1) (call $f (i32.sub (local.get 0) (i32.const 1)))) else i32.const 0 end))"#;
    let depth = |bytes: usize| {
        let (mut store, i) = instance(support::config().max_stack(bytes), text);
        let f = i.get_typed_func::<i32, i32>(&mut store, "f").expect("exported");
        let (mut low, mut high) = (0, 100_000_000);
        while high - low > 1 {
            let middle = (low + high) / 2;
            match f.call(&mut store, middle) {
                Ok(n) => {
                    assert_eq!(n, middle);
                    low = middle;
                }
                Err(e) => {
                    assert_eq!(e.as_trap().map(Trap::kind), Some(TrapKind::CallStackExhausted));
                    high = middle;
                }
            }
        }
        low
    };
    let (small, large) = (depth(64 << 10), depth(1 << 20));
    // Compiled code may also use what is kept for the host.
    assert!(small > 100 && large > small + 10_000, "{small} {large}");
}

// ---- across instances

fn chain(engine: &Engine, store: &mut Store<()>) -> [Instance; 2] {
    // Two instances that call each other by way of a table they share.
    let first = r#"(module $first (table (export "t") 2 funcref) (type $t (func (param i32 i64) (result i64)))
        (memory 1) (func $go (export "go") (param i32 i64) (result i64)
          local.get 0 i32.eqz if local.get 1 return end
          (i32.store8 (i32.const 0) (local.get 0))
          (return_call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (i64.const 1)) (i32.const 1)))
        (func $trap (export "trap") (param i32 i64) (result i64) (i64.load (i32.const -1)))
        (func $call (export "call") (param i32 i64) (result i64)
          (i64.add (i64.const 1) (call_indirect (type $t) (local.get 0) (local.get 1) (i32.const 1))))
        (elem (i32.const 0) $go))"#;
    let second = r#"(module $second (import "first" "t" (table 2 funcref)) (type $t (func (param i32 i64) (result i64)))
        (import "first" "go" (func $go (type $t))) (import "first" "trap" (func $trap (type $t)))
        (memory 1) (func $back (export "back") (param i32 i64) (result i64)
          local.get 0 i32.eqz if local.get 1 return end
          (i32.store8 (i32.const 1) (local.get 0))
          (return_call $go (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (i64.const 2))))
        (func $fail (export "fail") (param i32 i64) (result i64)
          (i64.add (i64.const 1) (call $trap (local.get 0) (local.get 1))))
        (elem (i32.const 1) $back))"#;
    let mut linker = Linker::new(engine);
    let a = linker.instantiate(&mut *store, &module(engine, first)).expect("nothing is imported");
    linker.instance(&mut *store, "first", a).expect("new");
    let b = linker.instantiate(&mut *store, &module(engine, second)).expect("all is there");
    [a, b]
}

#[test]
fn tail_calls_across_instances_take_no_stack() {
    for memory in [MemoryMode::Auto, MemoryMode::Checked] {
        let engine =
            Engine::new(support::config().max_stack(64 << 10).memory_mode(memory)).expect("the settings can be met");
        let mut store = Store::new(&engine, ());
        let [a, b] = chain(&engine, &mut store);
        for (i, name) in [(a, "go"), (b, "back")] {
            let f = i.get_typed_func::<(i32, i64), i64>(&mut store, name).expect("exported");
            assert_eq!(f.call(&mut store, (1_000_000, 0)).expect("it returns"), 1_500_000);
        }
        // Called, not tail called, from the first into the second and on.
        let call = a.get_typed_func::<(i32, i64), i64>(&mut store, "call").expect("exported");
        assert_eq!(call.call(&mut store, (1_000_000, 0)).expect("it returns"), 1_500_001);
    }
}

#[test]
fn a_trap_in_another_instance_names_the_frames_of_both() {
    let engine = support::engine();
    let mut store = Store::new(&engine, ());
    let [a, b] = chain(&engine, &mut store);
    let fail = b.get_func(&mut store, "fail").expect("exported");
    let table = a.get_table(&mut store, "t").expect("exported");
    table.set(&mut store, 1, Val::FuncRef(Some(fail))).expect("it fits");
    let call = a.get_typed_func::<(i32, i64), i64>(&mut store, "call").expect("exported");
    for _ in 0..3 {
        let error = call.call(&mut store, (1, 1)).expect_err("it traps");
        let trap = error.as_trap().expect("a trap");
        assert_eq!(trap.kind(), TrapKind::MemoryOutOfBounds);
        let frames: Vec<_> =
            trap.backtrace().iter().map(|f| (f.module_name.as_deref(), f.func_name.as_deref())).collect();
        let want = [(Some("first"), Some("trap")), (Some("second"), Some("fail")), (Some("first"), Some("call"))];
        assert_eq!(frames, want);
        assert!(trap.backtrace().iter().all(|f| f.code_offset.is_some()));
        assert!(error.to_string().contains("second!fail"), "{error}");
    }
}

// ---- interruption, deadline, fuel

#[test]
fn another_thread_interrupts() {
    for name in ["loop", "tail", "in_loop"] {
        let (mut store, i) = instance(&support::config(), FOREVER);
        let f = i.get_typed_func::<(), ()>(&mut store, name).expect("exported");
        let handle = store.interrupt_handle();
        let over = Arc::new(AtomicBool::new(false));
        let thread = std::thread::spawn({
            let over = over.clone();
            move || {
                while !over.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(5));
                    handle.interrupt();
                }
            }
        });
        assert_eq!(kind(f.call(&mut store, ())), TrapKind::Interrupted, "{name}");
        over.store(true, Ordering::Relaxed);
        thread.join().expect("it does not panic");
    }
}

#[test]
fn a_deadline_stops_and_can_be_lifted() {
    let text = r#"(module (func (export "loop") (loop br 0)) (func (export "short") (result i32) i32.const 3))"#;
    let (mut store, i) = instance(&support::config(), text);
    let f = i.get_typed_func::<(), ()>(&mut store, "loop").expect("exported");
    for ms in [0, 1, 20] {
        store.set_deadline(Some(Instant::now() + Duration::from_millis(ms)));
        assert_eq!(kind(f.call(&mut store, ())), TrapKind::DeadlineExceeded);
    }
    store.set_deadline(None);
    let short = i.get_typed_func::<(), i32>(&mut store, "short").expect("exported");
    assert_eq!(short.call(&mut store, ()).expect("it returns"), 3);
}

#[test]
fn fuel_is_exact_and_alike() {
    let text = r#"(module (memory 1) (global $g (export "g") (mut i32) (i32.const 0))
        (func $leaf (param i32) (result i32) local.get 0 i32.const 3 i32.mul)
        (func (export "run") (param i32) (local i32)
          loop
            (global.set $g (i32.add (global.get $g) (call $leaf (local.get 1))))
            (i32.store (i32.and (local.get 1) (i32.const 1023)) (local.get 1))
            (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (i32.const 1))) (local.get 0)))
          end))"#;
    let runs = [MemoryMode::Auto, MemoryMode::Checked].map(|memory| {
        let (mut store, i) = instance(support::config().fuel(true).memory_mode(memory), text);
        let run = i.get_typed_func::<i32, ()>(&mut store, "run").expect("exported");
        let mut used = Vec::new();
        for n in [1, 2, 3, 1000] {
            store.set_fuel(1_000_000).expect("fuel is on");
            run.call(&mut store, n).expect("there is enough");
            used.push(1_000_000 - store.get_fuel().expect("fuel is on"));
        }
        // Every iteration costs the same, and one unit less than a run needs is not enough.
        let per = used[1] - used[0];
        assert_eq!(used[2] - used[1], per);
        assert_eq!(used[3], used[0] + 999 * per);
        assert!(per >= 15, "{per}");
        store.set_fuel(used[3]).expect("fuel is on");
        run.call(&mut store, 1000).expect("there is just enough");
        assert_eq!(store.get_fuel().expect("fuel is on"), 0);
        store.set_fuel(used[3] - 1).expect("fuel is on");
        assert_eq!(kind(run.call(&mut store, 1000)), TrapKind::OutOfFuel);
        let global = i.get_global(&mut store, "g").expect("exported");
        let mut stops = Vec::new();
        for fuel in 0..200 {
            global.set(&mut store, Val::I32(0)).expect("it is mutable");
            store.set_fuel(fuel).expect("fuel is on");
            let error = run.call(&mut store, 1 << 30).expect_err("there is never enough");
            assert_eq!(error.as_trap().map(Trap::kind), Some(TrapKind::OutOfFuel));
            stops.push(global.get(&store).i32());
        }
        (used, stops)
    });
    assert_eq!(runs[0], runs[1]);
}

// ---- limits

#[test]
fn the_store_limits_growth_and_numbers() {
    let text = r#"(module (memory (export "m") 1) (table $t 1 externref)
        (func (export "grow") (param i32) (result i32) local.get 0 memory.grow)
        (func (export "table") (param i32) (result i32) ref.null extern local.get 0 table.grow $t))"#;
    for memory_mode in [MemoryMode::Auto, MemoryMode::Checked] {
        let engine = Engine::new(support::config().memory_mode(memory_mode)).expect("the settings can be met");
        let m = module(&engine, text);
        let mut store = Store::new(&engine, ());
        store.limits(StoreLimits {
            memory_bytes: Some(4 << 16),
            table_elements: Some(10),
            instances: Some(2),
            ..StoreLimits::default()
        });
        let i = Instance::new(&mut store, &m, &[]).expect("within the limits");
        let grow = i.get_typed_func::<i32, i32>(&mut store, "grow").expect("exported");
        let table = i.get_typed_func::<i32, i32>(&mut store, "table").expect("exported");
        let answers: Vec<i32> = [0, 2, 2, -1, 1, 1].map(|n| grow.call(&mut store, n).expect("no trap")).into();
        assert_eq!(answers, [1, 1, -1, -1, 3, -1]);
        let answers: Vec<i32> = [9, 1, -1, 0].map(|n| table.call(&mut store, n).expect("no trap")).into();
        assert_eq!(answers, [1, -1, -1, 10]);
        assert!(i.get_memory(&mut store, "m").expect("exported").grow(&mut store, 1).is_err());
        Instance::new(&mut store, &m, &[]).expect("two are allowed");
        assert!(matches!(Instance::new(&mut store, &m, &[]), Err(Error::Limit(_))));
        let mut store = Store::new(&engine, ());
        store.limits(StoreLimits { memories: Some(1), tables: Some(1), ..StoreLimits::default() });
        Instance::new(&mut store, &m, &[]).expect("one of each");
        assert!(matches!(Instance::new(&mut store, &m, &[]), Err(Error::Limit(_))));
    }
}

#[test]
fn growth_moves_no_data() {
    let text = r#"(module (memory (export "m") 1 200) (func (export "run") (result i32) (local i32)
        loop
          (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (memory.size))
          (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))
        end
        (local.set 0 (memory.size))
        loop (result i32)
          (if (i32.ne (i32.load (i32.sub (i32.mul (local.get 0) (i32.const 65536)) (i32.const 4))) (local.get 0)) (then unreachable))
          (local.set 0 (i32.sub (local.get 0) (i32.const 1)))
          (br_if 0 (local.get 0)) (memory.size)
        end))"#;
    for memory_mode in [MemoryMode::Auto, MemoryMode::Checked] {
        let (mut store, i) = instance(support::config().memory_mode(memory_mode), text);
        let run = i.get_typed_func::<(), i32>(&mut store, "run").expect("exported");
        assert_eq!(run.call(&mut store, ()).expect("it returns"), 200);
    }
}

#[test]
fn hosts_and_other_instances_grow_what_a_guest_uses() {
    let owner = r#"(module (memory (export "m") 1 4000) (table (export "t") 1 1000 funcref)
        (func (export "grow") (param i32) (result i32) local.get 0 memory.grow))"#;
    let user = r#"(module (import "o" "m" (memory 1)) (import "o" "t" (table 1 funcref)) (import "o" "grow" (func $grow (param i32) (result i32)))
        (import "h" "host" (func $host)) (elem declare func $three) (type $t (func (result i32)))
        (export "m" (memory 0)) (export "t" (table 0))
        (func $three (result i32) i32.const 3)
        (func (export "run") (param i32) (result i32) (local i32 i32)
          loop
            (i32.store (local.get 0) (i32.add (i32.load (local.get 0)) (i32.const 1)))
            (i32.add (i32.load (local.get 0)) (block (result i32) (drop (call $grow (i32.const 7))) call $host (i32.load (local.get 0))))
            local.set 2 (i32.store offset=4 (local.get 0) (local.get 2))
            (table.set (i32.sub (table.size) (i32.const 1)) (ref.func $three))
            (br_if 0 (i32.lt_u (local.tee 1 (i32.add (local.get 1) (call_indirect (type $t) (i32.sub (table.size) (i32.const 1))))) (i32.const 300)))
          end
          (i32.store (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 4)) (i32.const 1))
          (i32.load offset=4 (local.get 0))))"#;
    for memory_mode in [MemoryMode::Auto, MemoryMode::Checked] {
        let engine = Engine::new(support::config().memory_mode(memory_mode)).expect("the settings can be met");
        let mut linker: Linker<()> = Linker::new(&engine);
        linker
            .func_wrap("h", "host", |mut c: Caller<'_, ()>| -> Result<()> {
                let memory = c.get_export("m").and_then(Extern::into_memory).expect("exported");
                memory.grow(&mut c, 1)?;
                let table = c.get_export("t").and_then(Extern::into_table).expect("exported");
                table.grow(&mut c, 3, Val::FuncRef(None)).map(|_| ())
            })
            .expect("new");
        let mut store = Store::new(&engine, ());
        let o = linker.instantiate(&mut store, &module(&engine, owner)).expect("nothing is imported");
        linker.instance(&mut store, "o", o).expect("new");
        let i = linker.instantiate(&mut store, &module(&engine, user)).expect("all is there");
        let run = i.get_typed_func::<i32, i32>(&mut store, "run").expect("exported");
        assert_eq!(run.call(&mut store, 65528).expect("it returns"), 200);
        let memory = o.get_memory(&mut store, "m").expect("exported");
        assert_eq!(memory.size(&store), 1 + 100 * 8);
        assert_eq!(memory.data(&store).last_chunk(), Some(&[1, 0, 0, 0]));
    }
}

// ---- threads

#[test]
fn a_store_moves_to_another_thread() {
    let text = r#"(module (memory 1) (func (export "f") (param i32) (result i32) (i32.load (local.get 0))))"#;
    let (store, i) = instance(&support::config(), text);
    let mut store = store;
    for _ in 0..4 {
        store = std::thread::spawn(move || {
            let f = i.get_typed_func::<i32, i32>(&mut store, "f").expect("exported");
            assert_eq!(f.call(&mut store, 8).expect("it returns"), 0);
            assert_eq!(kind(f.call(&mut store, -8)), TrapKind::MemoryOutOfBounds);
            store
        })
        .join()
        .expect("it does not panic");
    }
}

#[test]
fn many_stores_run_one_module_at_once() {
    let engine = support::engine();
    let mut text = String::from("(module (memory 1)");
    for i in 0..50 {
        text.push_str(&format!(
            "(func (export \"f{i}\") (param i32) (result i32) (i32.store (i32.const {i}) (local.get 0)) (i32.add (i32.load (i32.const {i})) (i32.const {i})))"
        ));
    }
    text.push(')');
    let m = Module::new(&engine, text).expect("well formed");
    let barrier = Barrier::new(8);
    std::thread::scope(|scope| {
        for t in 0..8 {
            let (m, engine, barrier) = (&m, &engine, &barrier);
            scope.spawn(move || {
                // All find the functions not yet translated.
                barrier.wait();
                for _ in 0..20 {
                    let mut store = Store::new(engine, ());
                    let i = Instance::new(&mut store, m, &[]).expect("nothing is imported");
                    for n in 0..50 {
                        let f = i.get_typed_func::<i32, i32>(&mut store, &format!("f{n}")).expect("exported");
                        assert_eq!(f.call(&mut store, t * 1000).expect("it returns"), t * 1000 + n);
                    }
                }
            });
        }
    });
}

const SHARED: &str = r#"(module (import "m" "m" (memory 1 2 shared))
    (func (export "wait") (param i32 i32 i64) (result i32) (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
    (func (export "notify") (param i32 i32) (result i32) (memory.atomic.notify (local.get 0) (local.get 1)))
    (func (export "add") (param i32 i32) (result i32) (local i32)
      loop (drop (i32.atomic.rmw.add (local.get 0) (i32.const 1)))
        (br_if 0 (i32.lt_u (local.tee 2 (i32.add (local.get 2) (i32.const 1))) (local.get 1))) end
      (i32.atomic.load (local.get 0)))
    (func (export "set") (param i32 i32) (i32.atomic.store (local.get 0) (local.get 1)))
    (func (export "grow") (result i32) (memory.grow (i32.const 1)))
    (func (export "last") (result i32) (i32.load (i32.const 131068))))"#;

fn sharer(engine: &Engine, m: &Module, memory: &SharedMemory) -> (Store<()>, Instance) {
    let mut store = Store::new(engine, ());
    let i = Instance::new(&mut store, m, &[memory.clone().into()]).expect("it fits");
    (store, i)
}

#[test]
fn threads_share_a_memory() {
    let engine = support::engine();
    let m = module(&engine, SHARED);
    let ty = MemoryType { min: 1, max: Some(2), is64: false, shared: true, page_size_log2: 16 };
    let memory = SharedMemory::new(&engine, ty).expect("a small memory");
    let waiting = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (mut store, i) = sharer(&engine, &m, &memory);
                let add = i.get_typed_func::<(i32, i32), i32>(&mut store, "add").expect("exported");
                add.call(&mut store, (16, 10_000)).expect("it returns");
                let wait = i.get_typed_func::<(i32, i32, i64), i32>(&mut store, "wait").expect("exported");
                waiting.fetch_add(1, Ordering::SeqCst);
                // Either notified, or too late: the value has changed.
                assert!([0, 1].contains(&wait.call(&mut store, (32, 0, -1)).expect("it returns")));
            });
        }
        let (mut store, i) = sharer(&engine, &m, &memory);
        let notify = i.get_typed_func::<(i32, i32), i32>(&mut store, "notify").expect("exported");
        while waiting.load(Ordering::SeqCst) < 4 {
            std::thread::yield_now();
        }
        let set = i.get_typed_func::<(i32, i32), ()>(&mut store, "set").expect("exported");
        set.call(&mut store, (32, 1)).expect("it returns");
        assert!((0..=4).contains(&notify.call(&mut store, (32, -1)).expect("it returns")));
    });
    let (mut store, i) = sharer(&engine, &m, &memory);
    let add = i.get_typed_func::<(i32, i32), i32>(&mut store, "add").expect("exported");
    assert_eq!(add.call(&mut store, (16, 1)).expect("it returns"), 40_001);
    let wait = i.get_typed_func::<(i32, i32, i64), i32>(&mut store, "wait").expect("exported");
    assert_eq!(wait.call(&mut store, (16, 5, -1)).expect("it returns"), 1);
    assert_eq!(wait.call(&mut store, (16, 40_001, 1000)).expect("it returns"), 2);
    assert_eq!(kind(wait.call(&mut store, (17, 0, 0))), TrapKind::UnalignedAtomic);
    assert_eq!(kind(wait.call(&mut store, (65536, 0, 0))), TrapKind::MemoryOutOfBounds);
    // Growth is seen by stores that were there before.
    let (mut other, j) = sharer(&engine, &m, &memory);
    let last = j.get_typed_func::<(), i32>(&mut other, "last").expect("exported");
    assert_eq!(kind(last.call(&mut other, ())), TrapKind::MemoryOutOfBounds);
    let grow = i.get_typed_func::<(), i32>(&mut store, "grow").expect("exported");
    assert_eq!(grow.call(&mut store, ()).expect("it returns"), 1);
    assert_eq!(last.call(&mut other, ()).expect("it returns"), 0);
    assert_eq!(grow.call(&mut store, ()).expect("it returns"), -1);
    assert_eq!(memory.size(), 2);
}

#[test]
fn a_waiting_guest_is_interrupted() {
    let engine = support::engine();
    let m = module(&engine, SHARED);
    let ty = MemoryType { min: 1, max: Some(2), is64: false, shared: true, page_size_log2: 16 };
    let memory = SharedMemory::new(&engine, ty).expect("a small memory");
    let (mut store, i) = sharer(&engine, &m, &memory);
    let wait = i.get_typed_func::<(i32, i32, i64), i32>(&mut store, "wait").expect("exported");
    store.set_deadline(Some(Instant::now() + Duration::from_millis(30)));
    assert_eq!(kind(wait.call(&mut store, (0, 0, -1))), TrapKind::DeadlineExceeded);
    store.set_deadline(None);
    let handle = store.interrupt_handle();
    let thread = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(30));
        handle.interrupt();
    });
    assert_eq!(kind(wait.call(&mut store, (0, 0, -1))), TrapKind::Interrupted);
    thread.join().expect("it does not panic");
}

/// A store whose instantiation failed half way can be used on.
#[test]
fn failed_instantiations_leave_the_store_usable() {
    let engine = support::engine();
    let mut store = Store::new(&engine, ());
    let table = r#"(module (table (export "t") 4 funcref))"#;
    let i = Instance::new(&mut store, &module(&engine, table), &[]).expect("nothing is imported");
    let t = i.get_export(&mut store, "t").expect("exported");
    let failing = r#"(module (import "m" "t" (table 4 funcref)) (memory 1) (elem (i32.const 0) $f) (func $f (result i32)
        i32.const 6) (data (i32.const 65536) "x"))"#;
    let outcome = Instance::new(&mut store.as_context_mut(), &module(&engine, failing), std::slice::from_ref(&t));
    assert_eq!(kind(outcome), TrapKind::MemoryOutOfBounds);
    // The function that was put into the table lives on.
    let Some(Val::FuncRef(Some(f))) = t.into_table().expect("a table").get(&store, 0) else { panic!("no function") };
    assert_eq!(f.typed::<(), i32>(&store).expect("its type").call(&mut store, ()).expect("it returns"), 6);
    let starts = r#"(module (func $s unreachable) (start $s))"#;
    assert_eq!(kind(Instance::new(&mut store, &module(&engine, starts), &[])), TrapKind::Unreachable);
}
