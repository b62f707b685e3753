//! What the interpreter makes of bodies of which each part leads to each other one: as much as they are long.
//!
//! In: bodies of two lengths. Out: results, and the numbers of instructions, which grow as the lengths do; no times.

use vm::{Config, Engine, Linker, Module, Store, Tier, Val};

fn module(tier: Tier, text: &str) -> Module {
    let mut config = Config::new();
    config.tier(tier);
    let engine = Engine::new(&config).expect("the settings can be met");
    Module::new(&engine, text).unwrap_or_else(|e| panic!("{e}\n{text}"))
}

/// Instructions and data words of a function's register code.
fn instructions(text: &str, func: u32) -> usize {
    let code = module(Tier::Interp, text).disassemble(func).expect("the function is valid");
    // Lines of WebAssembly begin with an offset.
    code.lines().filter(|l| !l.trim_start().starts_with("0x")).count()
}

/// Calls `f` with a number, in a tier.
fn call(tier: Tier, text: &str, n: i32) -> Vec<Val> {
    let module = module(tier, text);
    let mut store = Store::new(module.engine(), ());
    let instance = Linker::new(module.engine()).instantiate(&mut store, &module).expect("nothing is missing");
    let f = instance.get_func(&mut store, "f").expect("exported");
    let mut results = vec![Val::I32(0); f.ty(&store).results.len()];
    f.call(&mut store, &[Val::I32(n)], &mut results).expect("does not trap");
    results
}

/// `count` branches, each taking a hundred values of several types along to where they lie one lower, of which the `n`-th is taken.
fn branches(count: usize) -> String {
    let types = "i32 i64 f32 f64 v128 ".repeat(20);
    let values: String = (0..20)
        .map(|i| {
            let k = i * 10;
            format!(
                "i32.const {k} i64.const {} f32.const {} f64.const {} v128.const i64x2 {} {} ",
                k + 1,
                k + 2,
                k + 3,
                k + 4,
                k + 5
            )
        })
        .collect();
    let branches: String = (0..count).map(|i| format!("local.get 0 i32.const {i} i32.eq br_if 0 ")).collect();
    // The sum of all values, the topmost first.
    let sum = "local.set 6 local.set 5 local.set 4 local.set 3 local.set 2
        local.get 1 i64.const 3 i64.mul
        local.get 2 i64.extend_i32_s i64.add local.get 3 i64.add
        local.get 4 i64.trunc_f32_s i64.add local.get 5 i64.trunc_f64_s i64.add
        local.get 6 i64x2.extract_lane 0 i64.add local.get 6 i64x2.extract_lane 1 i64.sub local.set 1 "
        .repeat(20);
    format!(
        r#"(module (func (export "f") (param i32) (result i64) (local i64 i32 i64 f32 f64 v128)
            block (result {types})
              i32.const 99 drop i64.const 7 call $id drop
              i32.const 5 call $same
              {values}
              {branches}
              i32.const -1 call $same drop
              br 0
            end
            {sum} local.get 1)
          (func $id (param i64) (result i64) local.get 0)
          (func $same (param i32) (result i32) local.get 0))"#
    )
}

#[test]
fn many_values_are_taken_along_by_few_instructions() {
    let (few, many) = (branches(4), branches(16));
    for n in [0, 3, 7, 15, 16, -1] {
        let expected = call(Tier::Jit, &many, n);
        assert_eq!(format!("{expected:?}"), format!("{:?}", call(Tier::Interp, &many, n)), "{n}");
        assert_eq!(format!("{expected:?}"), format!("{:?}", call(Tier::Interp, &few, n)), "{n}");
    }
    let (small, large) = (instructions(&few, 0), instructions(&many, 0));
    assert!(large - small < 12 * 12, "{small} for 4 branches, {large} for 16");
}

#[test]
fn loops_in_each_other_are_found_again() {
    // What is in an inner loop is in those around it.
    let text = format!(
        r#"(module (func (export "f") (param i32) (result i32) (local i32)
            {} local.get 1 i32.const 1 i32.add local.tee 1 local.get 0 i32.lt_u br_if 0 {} local.get 1))"#,
        "loop ".repeat(300),
        "local.get 1 i32.const 7 i32.rem_u br_if 0 end ".repeat(299) + "end "
    );
    let expected = call(Tier::Interp, &text, 100_000);
    assert_eq!(format!("{expected:?}"), format!("{:?}", call(Tier::Auto, &text, 100_000)));
}
