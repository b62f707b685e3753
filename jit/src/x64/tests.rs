//! What selection makes of small functions, counted.

use super::inst::Mem;
use crate::{CpuFeatures, Entry, ModuleEnv, Settings, frontend, passes, schedule};
use wasm::TypeRegistry;

/// How many instructions of the first function access the place at 16 in memory, on a processor that has everything or little.
fn accesses(body: &str, all: bool) -> usize {
    let text =
        format!("(module (memory 1 1 shared) (func (param i32) (result i32) (local $c i32) (local $r i32) {body}))");
    let bytes = wat::parse_str(text).expect("a module");
    let types = TypeRegistry::default();
    let module = wasm::parse(&bytes, wasm::default_features(), &types).expect("a valid module");
    let facts = frontend::ModuleFacts::new(&module, &bytes, &types);
    let env = ModuleEnv { module: &module, bytes: &bytes, types: &types, facts: &facts };
    let cpu =
        CpuFeatures { avx: all, avx2: all, bmi1: all, bmi2: all, sse42: all, lzcnt: all, ..CpuFeatures::default() };
    let settings = Settings { cpu, guarded: true, segment: true, ..Settings::default() };
    let mut f = frontend::build(&env, 0, Entry::Function, &settings).expect("it can be compiled");
    passes::run(&mut f, &settings, &mut |_, _, _| {});
    let schedule = schedule::run(&mut f, &settings);
    let lowered = super::lower(&f, &schedule, &env, &settings);
    lowered.insts.iter().filter(|i| i.mem != Mem::No && i.disp == 16).count()
}

/// Another thread may write in between: two reads would give a comparison and the branch on it different outcomes.
#[test]
fn a_load_is_executed_once_however_often_what_is_made_of_it_is_used() {
    let conditions = [
        "(i32.eq (i32.load (i32.const 16)) (i32.const 5))",
        "(i32.lt_u (local.get 0) (i32.load (i32.const 16)))",
        "(i32.lt_u (i32.load8_u (i32.const 16)) (i32.const 7))",
        "(i32.load8_u (i32.const 16))",
        "(i32.and (i32.load (i32.const 16)) (local.get 0))",
        "(i32.eqz (i32.and (i32.load (i32.const 16)) (i32.const 12)))",
        "(i64.eqz (i64.and (i64.load (i32.const 16)) (i64.const 12)))",
        "(f64.lt (f64.const 1) (f64.load (i32.const 16)))",
        "(f32.eq (f32.load (i32.const 16)) (f32.const 1))",
        "(v128.any_true (v128.load (i32.const 16)))",
        "(i32x4.all_true (v128.load (i32.const 16)))",
        "(i32x4.all_true (i32x4.ne (v128.const i32x4 1 1 1 1) (v128.load (i32.const 16))))",
    ];
    let uses = [
        // As a branch and as a number, behind it and before.
        "(if (local.get $c) (then (i32.store (i32.const 64) (i32.const 9)))) (local.get $c)",
        "(local.set $r (i32.add (local.get $c) (local.get 0))) (if (local.get $c) (then (i32.store (i32.const 64) (local.get $r)))) (local.get $r)",
        // As two selections, of integers and floats, and one of the opposite.
        "(i32.add (select (i32.const 5) (local.get 0) (local.get $c)) (select (local.get 0) (i32.const 7) (i32.eqz (local.get $c))))",
        "(i32.add (i32.trunc_sat_f64_s (select (f64.const 5) (f64.convert_i32_s (local.get 0)) (local.get $c))) (local.get $c))",
        // As a check.
        "(i32.store (i32.const 64) (local.get $c)) (if (i32.eqz (local.get $c)) (then (unreachable))) (local.get $c)",
    ];
    for condition in conditions {
        for used in uses {
            for all in [true, false] {
                let body = format!("(local.set $c {condition}) {used}");
                assert_eq!(accesses(&body, all), 1, "{body}");
            }
        }
    }
    assert_eq!(accesses("(i32.add (i32.load (i32.const 16)) (i32.load16_u (i32.const 16)))", true), 1, "known");
}
