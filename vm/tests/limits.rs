//! What a guest can make grow stays within the store's limits, grows without being copied each time, and what is too large is an error.
//!
//! In: modules that ask for much. Out: -1, an error or a trap where it is too much.

use vm::{
    Config, Engine, Error, Instance, MemoryMode, Module, RefType, Result, Store, StoreLimits, Table, TableType, Tier,
    TrapKind, Val,
};

const TIERS: [Tier; 2] = [Tier::Interp, Tier::Jit];

fn engine(tier: Tier) -> Engine {
    Engine::new(Config::new().tier(tier)).expect("the settings can be met")
}

fn instance(engine: &Engine, limits: StoreLimits, text: &str) -> (Store<()>, Result<Instance>) {
    let module = Module::new(engine, text).expect("a module");
    let mut store = Store::new(engine, ());
    store.limits(limits);
    let instance = Instance::new(&mut store, &module, &[]);
    (store, instance)
}

/// What a function of no parameters returns.
fn call(store: &mut Store<()>, instance: Instance, name: &str) -> Result<i32> {
    instance.get_typed_func::<(), i32>(&mut *store, name).expect("exported").call(store, ())
}

#[test]
fn everything_together_stays_within_the_total() {
    let text = r#"(module (memory $a 1) (memory $b 0) (table $t 0 externref) (type $array (array (mut i64)))
        (global $keep (mut anyref) (ref.null any))
        (func (export "a") (result i32) (memory.grow $a (i32.const 1)))
        (func (export "b") (result i32) (memory.grow $b (i32.const 1)))
        (func (export "t") (result i32) (table.grow $t (ref.null extern) (i32.const 8192)))
        (func (export "array") (result i32)
            (global.set $keep (array.new_default $array (i32.const 4096))) (i32.const 1)))"#;
    for tier in TIERS {
        let limits = StoreLimits { total_bytes: Some(5 << 16), ..StoreLimits::default() };
        let (mut store, instance) = instance(&engine(tier), limits, text);
        let instance = instance.expect("within the limit");
        let answers = ["a", "b", "t", "array"].map(|f| call(&mut store, instance, f).expect("no trap"));
        assert_eq!(answers, [1, 0, 0, 1]);
        // The array takes two blocks of the heap: nothing is left.
        assert_eq!(["a", "b", "t"].map(|f| call(&mut store, instance, f).expect("no trap")), [-1; 3]);
        let trap = call(&mut store, instance, "array").expect_err("the first is still there");
        assert_eq!(trap.as_trap().map(|t| t.kind()), Some(TrapKind::HeapExhausted));
    }
}

#[test]
fn what_does_not_fit_is_not_made() {
    let limits = StoreLimits { total_bytes: Some(1 << 20), ..StoreLimits::default() };
    for text in [
        "(module (memory 9) (memory 9))",
        "(module (table 131073 funcref))",
        "(module (memory 8) (table 65537 funcref))",
    ] {
        let (_, instance) = instance(&engine(Tier::Interp), limits, text);
        assert!(matches!(instance, Err(Error::Limit(_))), "{text}");
    }
    // More than any system has, without a limit.
    let mut store = Store::new(&engine(Tier::Interp), ());
    let ty = TableType { element: RefType::EXTERNREF, min: 1 << 60, max: None, is64: true };
    assert!(matches!(Table::new(&mut store, ty, Val::ExternRef(None)), Err(Error::Limit(_))));
}

#[test]
fn memories_without_guard_pages_grow_where_they_are() {
    let text = r#"(module (memory (export "m") i64 1 100000) (func (export "grow") (result i32)
        (i64.store (i64.const 8) (i64.const 7))
        (i32.wrap_i64 (memory.grow (i64.const 1)))))"#;
    let checked = text.replace("i64 1 100000", "1 60000").replace("(i64.const 8)", "(i32.const 8)");
    let checked = checked.replace("(i32.wrap_i64 (memory.grow (i64.const 1)))", "(memory.grow (i32.const 1))");
    for text in [text, &checked] {
        let engine = Engine::new(Config::new().memory_mode(MemoryMode::Checked)).expect("the settings can be met");
        let (mut store, instance) = instance(&engine, StoreLimits::default(), text);
        let instance = instance.expect("an instance");
        let memory = instance.get_memory(&mut store, "m").expect("exported");
        let (mut moves, mut at) = (0, memory.data(&store).as_ptr());
        for size in 1..=2000 {
            assert_eq!(call(&mut store, instance, "grow").expect("no trap"), size);
            let now = memory.data(&store).as_ptr();
            moves += u32::from(now != at);
            at = now;
        }
        // None where there is address space; doubling where there is little.
        assert!(moves < 12, "{moves}");
        assert_eq!((memory.size(&store), memory.data(&store)[8]), (2001, 7));
    }
}

#[test]
fn exceptions_that_the_guest_keeps_count() {
    let params = "i64 ".repeat(500);
    let values = "(i64.const 1) ".repeat(500);
    let text = format!(
        r#"(module (tag $e (param {params})) (table $t 10000 exnref) (global $n (mut i32) (i32.const 0))
        (func $throw (throw $e {values}))
        (func (export "keep") (result i32)
            (loop $again
                (table.set $t (global.get $n) (block $h (result exnref) (try_table (catch_all_ref $h) (call $throw)) (unreachable)))
                (global.set $n (i32.add (global.get $n) (i32.const 1)))
                (br_if $again (i32.lt_u (global.get $n) (i32.const 10000))))
            (i32.const 0))
        (func (export "drop") (result i32) (local $n i32)
            (loop $again
                (block $h (result exnref) (try_table (catch_all_ref $h) (call $throw)) (unreachable))
                (drop)
                (br_if $again (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 10000))))
            (local.get $n))
        (func (export "kept") (result i32) (global.get $n)))"#
    );
    for tier in TIERS {
        let limits = StoreLimits { gc_heap_bytes: Some(8 << 20), ..StoreLimits::default() };
        let (mut store, instance) = instance(&engine(tier), limits, &text);
        let instance = instance.expect("an instance");
        assert_eq!(call(&mut store, instance, "drop").expect("each is gone before the limit"), 10_000);
        assert!(call(&mut store, instance, "keep").is_err());
        let kept = call(&mut store, instance, "kept").expect("no trap");
        assert!((1000..2100).contains(&kept), "{kept}");
    }
}

#[test]
fn code_stays_within_its_limit_and_the_rest_is_interpreted() {
    let long = |n: usize| {
        format!(
            "(func (export \"f{n}\") (result i32) (i32.const {n}) {})",
            "(i32.popcnt) (i32.const 3) (i32.mul)".repeat(n)
        )
    };
    let text = format!("(module {})", [1, 200, 2000, 4000].map(long).join("\n"));
    let results = |most: Option<u64>| {
        let mut config = Config::new();
        let engine =
            Engine::new(config.tier(Tier::Jit).compile_log(true).max_code(most)).expect("the settings can be met");
        let (mut store, instance) = instance(&engine, StoreLimits::default(), &text);
        let instance = instance.expect("an instance");
        let values = ["f1", "f200", "f2000", "f4000"].map(|f| call(&mut store, instance, f).expect("no trap"));
        (values, engine.compile_stats().functions)
    };
    let (values, all) = results(None);
    assert_eq!(all, 4);
    for (most, compiled) in [(64, 0..=1), (1 << 20, 1..=2), (1 << 30, 4..=4)] {
        let (limited, n) = results(Some(most));
        assert_eq!(limited, values);
        assert!(compiled.contains(&n), "{n} of 4 with {most} bytes");
    }
}
