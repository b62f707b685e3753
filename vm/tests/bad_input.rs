//! Input that is damaged, absurd or merely enormous.
//!
//! In: modules cut short, changed and random; modules at and beyond the limits. Out: an error or a correct result, never
//! a panic, a hang or memory without bound. A watchdog ends a test that hangs; nothing depends on how fast it is.

mod support;

use std::fmt::Write;
use std::sync::mpsc;
use std::time::Duration;
use support::Rng;
use vm::{
    Config, Engine, Error, Extern, Instance, Linker, Module, Result, Store, StoreLimits, TrapKind, V128, Val,
    Validation,
};
use wasm_encoder as enc;

/// Runs a test and ends the process, with its name, should it never end.
fn watched(name: &'static str, test: impl FnOnce() + Send + 'static) {
    let (done, ended) = mpsc::channel::<()>();
    std::thread::spawn(move || {
        if ended.recv_timeout(Duration::from_secs(600)) == Err(mpsc::RecvTimeoutError::Timeout) {
            eprintln!("{name} hangs");
            std::process::abort();
        }
    });
    support::with_large_stack(test);
    drop(done);
}

fn engine(validation: Validation) -> Engine {
    Engine::new(Config::new().validation(validation)).expect("the settings can be met")
}

/// A store that cannot grow without bound.
fn store(engine: &Engine) -> Store<()> {
    let mut store = Store::new(engine, ());
    store.limits(StoreLimits { memory_bytes: Some(64 << 20), table_elements: Some(1 << 20), ..StoreLimits::default() });
    store
}

/// Reads a module, instantiates it and calls whatever it exports without parameters. Any error will do.
fn try_all(engine: &Engine, bytes: &[u8]) -> Result<()> {
    let module = Module::new(engine, bytes)?;
    let _ = module.validate_bodies();
    let _ = module.name();
    for f in 0..module.function_count().min(40) {
        let _ = module.disassemble(f);
        let _ = module.func_name(f);
    }
    let mut store = store(engine);
    if engine_counts_fuel(&store) {
        store.set_fuel(20_000)?;
    }
    let mut linker = Linker::new(engine);
    linker.define_unknown_imports_as_traps(&module)?;
    let instance = linker.instantiate(&mut store, &module)?;
    let exports: Vec<Extern> = instance.exports(&mut store).map(|e| e.into_extern()).collect();
    for f in exports.into_iter().filter_map(Extern::into_func) {
        let ty = f.ty(&store);
        let args: Option<Vec<Val>> = ty.params.iter().map(|&t| Val::default_for(t).ok()).collect();
        let mut results = vec![Val::I32(0); ty.results.len()];
        if let Some(args) = args {
            let _ = f.call(&mut store, &args, &mut results);
        }
    }
    Ok(())
}

fn engine_counts_fuel(store: &Store<()>) -> bool {
    store.get_fuel().is_ok()
}

/// Modules with something in every section.
fn samples() -> Vec<Vec<u8>> {
    let full = r#"(module $full
        (type $t (func (param i32) (result i32)))
        (import "a" "f" (func $f (param i32) (result i32)))
        (table $tab 4 8 funcref) (memory $m 1 2) (global $g (mut i64) (i64.const 0x123456789abcdef))
        (export "run" (func $run)) (export "memory" (memory $m)) (export "loop" (func $loop))
        (start $start) (elem (i32.const 1) func $f $run) (elem $passive funcref (ref.null func) (ref.func $run))
        (func $start i32.const 8 i64.const -1 i64.store)
        (func $run (type $t) (local i64 f32 v128)
            local.get 0 if (result i32) local.get 0 i32.const 1 i32.sub i32.const 1 call_indirect (type $t)
            else i32.const 7 end
            block (param i32) (result i32) local.get 0 br_table 0 0 0 end
            f32.const 1.5 local.set 2 i8x16.splat local.tee 3 i32x4.extract_lane 1)
        (func $loop (result i32) (local i32) loop local.get 0 i32.const 1 i32.add local.tee 0 i32.const 100 i32.lt_u br_if 0 end
            local.get 0 memory.size drop i32.const 0 i32.const 3 i32.const 4 memory.fill)
        (data (i32.const 16) "text") (data $d "\00\01\02"))"#;
    let proposals = r#"(module
        (memory i64 1) (memory 1 1 shared) (table i64 2 externref) (tag (param i32))
        (func (export "wide") (param i64 i64) (result i64 i64) local.get 0 local.get 1 local.get 1 local.get 0 i64.add128)
        (func (export "tail") (param i32) (result i32) local.get 0 i32.eqz if i32.const 1 return end
            local.get 0 i32.const 1 i32.sub return_call 1)
        (func (export "atomic") (result i32) i32.const 0 i32.const 1 i32.atomic.rmw.add 1)
        (func (export "try") (result i32) (block $h (result i32) (try_table (catch 0 $h) i32.const 3 throw 0) i32.const 9))
        (func (export "copy") i64.const 0 i64.const 8 i64.const 3 memory.copy)
        (func (export "lanes") (result v128) v128.const i32x4 1 2 3 4 i32.const 5 i8x16.splat i16x8.mul))"#;
    [full, proposals].iter().map(|t| wat::parse_str(t).expect("the sample is well formed")).collect()
}

/// Engines that are made once: their canonical types are shared by all the modules of a test.
fn engines() -> [Engine; 2] {
    let make = |v| {
        let mut config = Config::new();
        config.validation(v).fuel(true);
        Engine::new(&config).expect("the settings can be met")
    };
    [make(Validation::Lazy), make(Validation::Eager)]
}

#[test]
fn every_truncation() {
    watched("every_truncation", || {
        for bytes in samples() {
            for engine in engines() {
                assert!(Module::validate(&engine, &bytes).is_ok());
                let _ = try_all(&engine, &bytes);
                for n in 0..bytes.len() {
                    let _ = try_all(&engine, &bytes[..n]);
                }
                assert!(try_all(&engine, &bytes[..bytes.len() / 2]).is_err());
            }
        }
    });
}

#[test]
fn every_byte_changed() {
    watched("every_byte_changed", || {
        let mut rng = Rng::new(1);
        for bytes in samples() {
            let [engine, _] = engines();
            for i in 0..bytes.len() {
                for change in [1 << rng.below(8), 0x80, 0xff, rng.next() as u8 | 1] {
                    let mut changed = bytes.clone();
                    changed[i] ^= change;
                    let _ = try_all(&engine, &changed);
                }
            }
            // The magic number is not negotiable.
            let mut changed = bytes.clone();
            changed[0] ^= 1;
            assert!(matches!(try_all(&engine, &changed), Err(Error::Module(_))));
        }
    });
}

#[test]
fn bytes_inserted_removed_and_swapped() {
    watched("bytes_inserted_removed_and_swapped", || {
        let mut rng = Rng::new(2);
        let [engine, _] = engines();
        for bytes in samples() {
            for _ in 0..support::count("VM_FUZZ_DAMAGE", 1500) {
                let mut changed = bytes.clone();
                for _ in 0..1 + rng.below(4) {
                    let i = 8 + rng.below(changed.len() - 9);
                    match rng.below(4) {
                        0 => changed.insert(i, rng.next() as u8),
                        1 => drop(changed.remove(i)),
                        2 => {
                            let j = 8 + rng.below(changed.len() - 9);
                            changed.swap(i, j);
                        }
                        _ => changed[i] = *rng.pick(&[0, 1, 0x7f, 0x80, 0xff, 0x40, 0x0b, 0xfd, 0xfc, 0x10]),
                    }
                    if changed.len() < 20 {
                        break;
                    }
                }
                let _ = try_all(&engine, &changed);
            }
        }
    });
}

#[test]
fn random_bytes() {
    watched("random_bytes", || {
        let mut rng = Rng::new(3);
        let [engine, _] = engines();
        for i in 0..2000 {
            let n = rng.below(300);
            let mut bytes = rng.bytes(n);
            if i % 2 == 0 {
                bytes.splice(..0, *b"\0asm\x01\0\0\0");
            }
            if let Err(e) = try_all(&engine, &bytes) {
                assert!(!e.to_string().is_empty());
            }
        }
        for text in
            ["", "(", "(module", ";; nothing", "(module))", "(module (func (export \"\u{0}\")))", "\u{feff}(module)"]
        {
            let _ = try_all(&engine, text.as_bytes());
        }
    });
}

// ---- absurd sizes

/// A module of one section with this content, behind the header.
fn section(id: u8, content: &[u8]) -> Vec<u8> {
    let mut m = b"\0asm\x01\0\0\0".to_vec();
    m.push(id);
    leb(&mut m, content.len() as u64);
    m.extend(content);
    m
}

fn leb(out: &mut Vec<u8>, mut n: u64) {
    loop {
        let byte = n as u8 & 0x7f;
        n >>= 7;
        if n == 0 {
            return out.push(byte);
        }
        out.push(byte | 0x80);
    }
}

/// The body of a function without parameters and results, in a module that exports it as "f".
fn with_body(body: &[u8]) -> Vec<u8> {
    let mut m = enc::Module::new();
    let mut types = enc::TypeSection::new();
    types.ty().function([], []);
    let mut functions = enc::FunctionSection::new();
    functions.function(0);
    let mut exports = enc::ExportSection::new();
    exports.export("f", enc::ExportKind::Func, 0);
    let mut code = enc::CodeSection::new();
    code.raw(body);
    m.section(&types).section(&functions).section(&exports).section(&code);
    m.finish()
}

#[test]
fn counts_without_contents() {
    watched("counts_without_contents", || {
        let [engine, _] = engines();
        for id in 0..=14 {
            for count in [1, 1000, 100_000, 0xffff_ffff] {
                let mut content = Vec::new();
                leb(&mut content, count);
                assert!(id == 0 || Module::new(&engine, section(id, &content)).is_err(), "section {id}");
                content.extend([0; 3]);
                let _ = Module::new(&engine, section(id, &content));
            }
            // A section longer than the module.
            let mut bytes = section(id, &[]);
            bytes.pop();
            leb(&mut bytes, 0xffff_ffff);
            assert!(Module::new(&engine, bytes).is_err());
        }
    });
}

#[test]
fn four_billion_locals() {
    let mut body = vec![1];
    leb(&mut body, 0xffff_ffff);
    body.extend([0x7f, 0x0b]);
    let mut twice = vec![2];
    for _ in 0..2 {
        leb(&mut twice, 0xffff_ffff);
        twice.push(0x7e);
    }
    twice.push(0x0b);
    for body in [body, twice] {
        let bytes = with_body(&body);
        let error = Module::new(&engine(Validation::Eager), &bytes).map(|_| ()).expect_err("too many locals");
        assert_eq!(error.function(), Some(0));
        assert!(error.offset().is_some());
        assert_eq!(call_lazily(&bytes), TrapKind::InvalidFunction);
    }
}

/// The trap of calling "f" of a module whose bodies are validated late.
fn call_lazily(bytes: &[u8]) -> TrapKind {
    let engine = engine(Validation::Lazy);
    let module = Module::new(&engine, bytes).expect("the body is not looked at");
    let mut store = store(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &module).expect("nothing is imported");
    let f = instance.get_typed_func::<(), ()>(&mut store, "f").expect("exported");
    let first = f.call(&mut store, ()).expect_err("the body is not valid");
    let again = f.call(&mut store, ()).expect_err("nor is it the next time");
    let kind = first.as_trap().expect("a trap").kind();
    assert_eq!(again.as_trap().expect("a trap").kind(), kind);
    kind
}

#[test]
fn a_million_types_and_many_functions() {
    watched("a_million_types_and_many_functions", || {
        let engine = engine(Validation::Eager);
        // The limit of the specification's JavaScript embedding is a million types.
        let mut content = Vec::new();
        leb(&mut content, 1_000_000);
        for i in 0..1_000_000u32 {
            let params = (0..4).map(|j| [0x7f, 0x7e, 0x7d, 0x7c][(i >> (2 * j)) as usize & 3]);
            content.extend([0x60, 4]);
            content.extend(params);
            content.push(0);
        }
        Module::new(&engine, section(1, &content)).expect("a million types are allowed");
        content.splice(..3, {
            let mut n = Vec::new();
            leb(&mut n, 1_000_001);
            n
        });
        content.extend([0x60, 0, 0]);
        assert!(Module::new(&engine, section(1, &content)).is_err());

        // A chain of 100,000 functions: each calls the next.
        let count = 100_000u32;
        let mut types = enc::TypeSection::new();
        types.ty().function([], [enc::ValType::I32]);
        let (mut functions, mut code) = (enc::FunctionSection::new(), enc::CodeSection::new());
        for i in 0..count {
            functions.function(0);
            let mut f = enc::Function::new([]);
            if i + 1 < count && i % 1000 != 999 {
                f.instruction(&enc::Instruction::Call(i + 1)).instruction(&enc::Instruction::I32Const(1));
                f.instruction(&enc::Instruction::I32Add);
            } else {
                f.instruction(&enc::Instruction::I32Const(i as i32));
            }
            f.instruction(&enc::Instruction::End);
            code.function(&f);
        }
        let mut exports = enc::ExportSection::new();
        exports.export("first", enc::ExportKind::Func, 0).export("late", enc::ExportKind::Func, 98_000);
        let mut m = enc::Module::new();
        m.section(&types).section(&functions).section(&exports).section(&code);
        let module = Module::new(&engine, m.finish()).expect("100,000 functions are allowed");
        let mut store = store(&engine);
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        for (name, want) in [("first", 999 + 999), ("late", 98_999 + 999)] {
            let f = instance.get_typed_func::<(), i32>(&mut store, name).expect("exported");
            assert_eq!(f.call(&mut store, ()).expect("it returns"), want);
        }
    });
}

#[test]
fn many_imports_and_exports() {
    watched("many_imports_and_exports", || {
        let engine = engine(Validation::Eager);
        let mut text = String::from("(module");
        for i in 0..3000 {
            let _ = write!(text, "(import \"m\" \"f{i}\" (func (result i32)))");
        }
        for i in 0..3000 {
            let _ = write!(text, "(export \"e{i}\" (func {i}))");
        }
        text.push(')');
        let module = Module::new(&engine, text).expect("well formed");
        let mut linker = Linker::new(&engine);
        for i in 0..3000 {
            linker.func_wrap("m", &format!("f{i}"), move || -> i32 { i }).expect("a new name");
        }
        let mut store = store(&engine);
        let instance = linker.instantiate(&mut store, &module).expect("all is there");
        for i in [0, 1, 1499, 2999] {
            let f = instance.get_typed_func::<(), i32>(&mut store, &format!("e{i}")).expect("exported");
            assert_eq!(f.call(&mut store, ()).expect("it returns"), i);
        }
        assert_eq!(instance.exports(&mut store).len(), 3000);
        assert!(Linker::<()>::new(&engine).instantiate(&mut store, &module).is_err());
    });
}

#[test]
fn fifty_thousand_nested_blocks() {
    watched("fifty_thousand_nested_blocks", || {
        for opener in [0x02u8, 0x03] {
            let mut body = vec![0];
            for _ in 0..50_000 {
                body.extend([opener, 0x40]);
            }
            body.extend(std::iter::repeat_n(0x0b, 50_001));
            run_f(&with_body(&body)).expect("nesting has no limit");
        }
        let mut body = vec![0];
        for _ in 0..50_000 {
            body.extend([0x41, 1, 0x04, 0x40]);
        }
        // From the innermost straight out.
        body.push(0x0c);
        leb(&mut body, 49_999);
        body.extend(std::iter::repeat_n(0x0b, 50_001));
        run_f(&with_body(&body)).expect("nesting has no limit");
        // Never closed.
        let mut body = vec![0];
        body.extend([0x02, 0x40].repeat(50_000));
        assert!(Module::validate(&engine(Validation::Lazy), with_body(&body)).is_err());
    });
}

/// Runs "f" of a module.
fn run_f(bytes: &[u8]) -> Result<()> {
    let engine = engine(Validation::Lazy);
    let module = Module::new(&engine, bytes)?;
    let mut store = store(&engine);
    let instance = Linker::new(&engine).instantiate(&mut store, &module)?;
    instance.get_typed_func::<(), ()>(&mut store, "f")?.call(&mut store, ())
}

#[test]
fn a_huge_br_table() {
    watched("a_huge_br_table", || {
        let targets = 60_000usize;
        let mut text = String::from(
            "(module (func (export \"f\") (param i32) (result i32) block block block block local.get 0 br_table",
        );
        for i in 0..targets {
            let _ = write!(text, " {}", i % 4);
        }
        text.push_str(" 3 end i32.const 10 return end i32.const 11 return end i32.const 12 return end i32.const 13))");
        let engine = engine(Validation::Eager);
        let module = Module::new(&engine, text).expect("well formed");
        let mut store = store(&engine);
        let instance = Instance::new(&mut store, &module, &[]).expect("nothing is imported");
        let f = instance.get_typed_func::<i32, i32>(&mut store, "f").expect("exported");
        for i in [0, 1, 2, 3, 4, 32767, 32768, 59_998, 59_999, 60_000, 60_001, i32::MAX, -1] {
            let want = usize::try_from(i).ok().filter(|&i| i < targets).map_or(13, |i| 10 + (i % 4) as i32);
            assert_eq!(f.call(&mut store, i).expect("it returns"), want, "{i}");
        }
        // A count without its labels.
        let mut body = vec![0, 0x41, 0, 0x0e];
        leb(&mut body, 0xffff_fff0);
        body.extend([0, 0x0b]);
        assert!(Module::validate(&engine, with_body(&body)).is_err());
    });
}

#[test]
fn enormous_memories_and_tables() {
    watched("enormous_memories_and_tables", || {
        let engine = engine(Validation::Lazy);
        let texts = [
            "(module (memory 65536))",
            "(module (memory 65537))",
            "(module (memory i64 0x1000000000000))",
            "(module (memory i64 0xffffffffffff))",
            "(module (memory i64 0x10000000))",
            "(module (table 0xffffffff funcref))",
            "(module (table 10000000 funcref))",
            "(module (table i64 0xffffffffffffffff externref))",
            "(module (memory 0xffffffff (pagesize 1)))",
            "(module (memory 1 65536 shared))",
            "(module (memory i64 1 0x1000000000000 shared))",
        ];
        for text in texts {
            // Without limits the system decides, with them the store; either way there is an answer.
            for limited in [true, false] {
                let Ok(module) = Module::new(&engine, text) else { continue };
                let mut store = Store::new(&engine, ());
                if limited {
                    store.limits(StoreLimits {
                        memory_bytes: Some(1 << 20),
                        table_elements: Some(1000),
                        ..Default::default()
                    });
                }
                let outcome = Instance::new(&mut store, &module, &[]);
                if limited && !text.contains("shared") {
                    assert!(matches!(outcome, Err(Error::Limit(_))), "{text}");
                }
            }
        }
    });
}

// ---- frames beyond the reach of 16 bits

fn one(ty: &str) -> &'static str {
    match ty {
        "i32" => "(i32.const 1)",
        "i64" => "(i64.const 1)",
        "f32" => "(f32.const 1)",
        _ => "(f64.const 1)",
    }
}

fn call_one(text: &str, args: &[Val], fuel: bool) -> Vec<Val> {
    let mut config = Config::new();
    config.fuel(fuel).max_stack(64 << 20);
    let engine = Engine::new(&config).expect("the settings can be met");
    let module = Module::new(&engine, text).expect("well formed");
    module.validate_bodies().expect("valid");
    let mut store = store(&engine);
    if fuel {
        store.set_fuel(1 << 40).expect("fuel is on");
    }
    let instance = Linker::new(&engine).instantiate(&mut store, &module).expect("nothing is imported");
    let f = instance.get_func(&mut store, "f").expect("exported");
    let mut results = vec![Val::I32(0); f.ty(&store).results.len()];
    f.call(&mut store, args, &mut results).unwrap_or_else(|e| panic!("{e}"));
    results
}

#[test]
fn fifty_thousand_vector_locals() {
    watched("fifty_thousand_vector_locals", || {
        let locals = "v128 ".repeat(49_990);
        // Behind 99,980 slots: a counted loop, memory, calls, a vector, all four number types.
        let text = format!(
            r#"(module (memory 1)
            (func $twice (param i32 f64) (result f64 i32) local.get 1 local.get 1 f64.add local.get 0 i32.const 2 i32.mul)
            (func (export "f") (param $n i32) (result i32 i64 f32 f64 v128)
              (local {locals}) (local $i i32) (local $sum i64) (local $f f32) (local $d f64) (local $v v128)
              loop $l
                (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (local.get $i))))
                (i32.store offset=8 (i32.shl (local.get $i) (i32.const 2)) (i32.mul (local.get $i) (local.get $i)))
                (local.set $f (f32.add (local.get $f) (f32.convert_i32_s (i32.load offset=8 (i32.shl (local.get $i) (i32.const 2))))))
                (local.set $v (i32x4.add (local.get $v) (i32x4.splat (local.get $i))))
                (local.set 49990 (local.get $v))
                (call $twice (local.get $i) (f64.const 0.5))
                drop
                local.get $d f64.add local.set $d
                (br_if $l (i32.lt_s (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get $n)))
              end
              local.get $i local.get $sum local.get $f local.get $d (v128.xor (local.get 49990) (i32x4.splat (i32.const 1)))))"#
        );
        for fuel in [false, true] {
            let r = call_one(&text, &[Val::I32(100)], fuel);
            let lane = (4950u128 ^ 1) * 0x1_0000_0001_0000_0001_0000_0001;
            assert_eq!(r[0].i32(), Some(100));
            assert_eq!(r[1].i64(), Some(4950));
            // The sum of squares below 100, exact in f32.
            assert_eq!(r[2].f32(), Some(328_350.0));
            assert_eq!(r[3].f64(), Some(100.0));
            assert!(matches!(r[4], Val::V128(V128(v)) if v == lane), "{:x?}", r[4]);
        }
    });
}

#[test]
fn operand_stacks_of_seventy_thousand_values() {
    watched("operand_stacks_of_seventy_thousand_values", || {
        for ty in ["i32", "i64", "f32", "f64"] {
            let n = 70_000usize;
            // The argument pushed so often, each time with something added so that nothing stays a mere copy.
            let push = format!("(local.set $x ({ty}.add (local.get $x) {})) local.get $x ", one(ty)).repeat(n);
            let add = format!("{ty}.add ").repeat(n - 1);
            let text = format!(
                r#"(module (func $g (param {ty} {ty}) (result {ty}) local.get 0 local.get 1 {ty}.sub)
                (func (export "f") (param $x {ty}) (result {ty} {ty}) (local $i i32) (local $c {ty})
                  {push}
                  (loop $l
                    (local.set $c ({ty}.add (local.get $c) (call $g (local.get $x) {one})))
                    (br_if $l (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 10))))
                  local.get $x {one} call $g
                  {ty}.add
                  block (param {ty}) (result {ty}) {one} {ty}.add local.get $i i32.const 10 i32.eq br_if 0 unreachable end
                  {add}
                  local.get $c))"#,
                one = one(ty)
            );
            let zero = match ty {
                "i32" => Val::I32(0),
                "i64" => Val::I64(0),
                "f32" => Val::F32(0),
                _ => Val::F64(0),
            };
            let n = n as u64;
            let (exact, times) = (n * (n + 1) / 2 + n, 10 * (n - 1));
            // In single precision the sum is rounded at every step, from the top of the stack down.
            let rounded = (1..n).rev().fold((n + n) as f32, |sum, k| sum + k as f32);
            let r = call_one(&text, &[zero], ty == "i64");
            match ty {
                "i32" => assert_eq!((r[0].i32(), r[1].i32()), (Some(exact as i32), Some(times as i32))),
                "i64" => assert_eq!((r[0].i64(), r[1].i64()), (Some(exact as i64), Some(times as i64))),
                "f32" => assert_eq!((r[0].f32(), r[1].f32()), (Some(rounded), Some(times as f32))),
                _ => assert_eq!((r[0].f64(), r[1].f64()), (Some(exact as f64), Some(times as f64))),
            }
        }
    });
}

#[test]
fn an_operand_stack_of_vectors() {
    watched("an_operand_stack_of_vectors", || {
        let n = 40_000;
        let push = "(local.set $i (i32.add (local.get $i) (i32.const 1))) (i32x4.splat (local.get $i)) ".repeat(n);
        let add = "i32x4.add ".repeat(n - 1);
        let text = format!(
            r#"(module (func $g (param v128 v128) (result v128) local.get 1 local.get 0 i32x4.sub)
            (func (export "f") (param $i i32) (result v128) {push} (call $g (v128.const i32x4 1 2 3 4) (v128.const i32x4 5 5 5 5))
              local.get $i if (param v128 v128) (result v128) i32x4.add else drop end {add}))"#
        );
        let r = call_one(&text, &[Val::I32(0)], false);
        let sum = (n * (n + 1) / 2) as u128;
        let want = (0..4u128).map(|lane| (sum + 4 - lane) << (32 * lane)).sum::<u128>();
        assert!(matches!(r[0], Val::V128(V128(v)) if v == want), "{:x?} {want:x}", r[0]);
    });
}

#[test]
fn a_thousand_parameters_and_results() {
    watched("a_thousand_parameters_and_results", || {
        for ty in ["i32", "i64", "f32", "f64", "v128"] {
            let list = format!("{ty} ").repeat(1000);
            let gets: String = (0..1000).rev().fold(String::new(), |s, i| format!("{s} local.get {i}"));
            let text = format!(
                "(module (type $t (func (param {list}) (result {list}))) (table funcref (elem $reverse))
                (func $reverse (type $t) {gets})
                (func (export \"f\") (type $t) {gets} call $reverse call $reverse i32.const 0 call_indirect (type $t)))"
            );
            let args: Vec<Val> = (0..1000)
                .map(|i| match ty {
                    "i32" => Val::I32(i),
                    "i64" => Val::I64(i.into()),
                    "f32" => Val::F32((i as f32).to_bits()),
                    "f64" => Val::F64(f64::from(i).to_bits()),
                    _ => Val::V128(V128(i as u128 | (i as u128) << 100)),
                })
                .collect();
            let results = call_one(&text, &args, false);
            // Four reversals.
            let same = args.iter().zip(&results).all(|(a, b)| format!("{a:?}") == format!("{b:?}"));
            assert!(same, "{ty}");
        }
        let too_many = format!("(module (type (func (param {}))))", "i32 ".repeat(1001));
        assert!(Module::new(&Engine::default(), too_many).is_err());
    });
}

#[test]
fn large_frames_exhaust_the_stack_in_order() {
    watched("large_frames_exhaust_the_stack_in_order", || {
        let locals = "v128 ".repeat(40_000);
        let text = format!(
            "(module (func $f (export \"f\") (local {locals}) (local i64) (local.set 40000 (i64.const 3)) call $f))"
        );
        let bytes = wat::parse_str(text).expect("well formed");
        let error = run_f(&bytes).expect_err("endless recursion");
        assert_eq!(error.as_trap().map(|t| t.kind()), Some(TrapKind::CallStackExhausted));
    });
}

// ---- bodies that are not valid

#[test]
fn invalid_bodies_early_and_late() {
    let text = r#"(module (import "m" "f" (func $import))
        (func $good (export "good") (result i32) i32.const 4)
        (func $f (export "f") i32.const 1)
        (func (export "g") (result i32) call $f i32.const 2))"#;
    // The text parser does not validate.
    let bytes = wat::parse_str(text).expect("well formed");
    let error = Module::new(&engine(Validation::Eager), &bytes).map(|_| ()).expect_err("the body is not valid");
    assert_eq!(error.function(), Some(2));
    let offset = error.offset().expect("an offset");
    assert!((1..bytes.len() as u64).contains(&offset));
    assert!(error.to_string().contains("function 2"), "{error}");

    let engine = engine(Validation::Lazy);
    let module = Module::new(&engine, &bytes).expect("the body is not looked at");
    assert!(Module::validate(&engine, &bytes).is_err());
    let mut store = store(&engine);
    let mut linker = Linker::new(&engine);
    linker.func_wrap("m", "f", || ()).expect("a new name");
    let instance = linker.instantiate(&mut store, &module).expect("all is there");
    for _ in 0..3 {
        for name in ["f", "g"] {
            let f = instance.get_func(&mut store, name).expect("exported");
            let mut results = vec![Val::I32(0); f.ty(&store).results.len()];
            let error = f.call(&mut store, &[], &mut results).expect_err("the body is not valid");
            let trap = error.as_trap().expect("a trap");
            assert_eq!(trap.kind(), TrapKind::InvalidFunction);
            assert!(error.to_string().starts_with("invalid function body"), "{error}");
            let chain: Vec<u32> = trap.backtrace().iter().map(|f| f.func_index).collect();
            assert_eq!(chain, if name == "f" { vec![2] } else { vec![2, 3] });
        }
        let good = instance.get_typed_func::<(), i32>(&mut store, "good").expect("exported");
        assert_eq!(good.call(&mut store, ()).expect("the others are not affected"), 4);
    }
    assert!(module.disassemble(2).is_err());
    assert!(module.disassemble(0).is_err());
    assert!(module.disassemble(4_000_000).is_err());
}

#[test]
fn among_many_invalid_bodies_the_first_is_named() {
    let mut text = String::from("(module");
    for i in 0..500 {
        text.push_str(if i % 100 == 77 { "(func i32.const 0)" } else { "(func)" });
    }
    text.push(')');
    let error = Module::new(&engine(Validation::Eager), text).map(|_| ()).expect_err("five are not valid");
    assert_eq!(error.function(), Some(77));
}
