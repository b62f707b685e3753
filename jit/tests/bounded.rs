//! Bodies of which each part leads to each other one: what is made of them, and the steps it takes, grow as their length does, or they
//! are refused.
//!
//! Counts, no times: they are the same on every machine.

use jit::frontend::ModuleFacts;
use jit::{Code, CompileError, Entry, ModuleEnv, Settings};

fn settings() -> Settings {
    Settings { guarded: true, interruptible: true, mask_tables: true, ..Settings::default() }
}

/// Compiles the first function of a module.
fn compile(text: &str) -> Result<Code, CompileError> {
    let bytes = wat::parse_str(text).expect("a module");
    let types = wasm::TypeRegistry::default();
    let module = wasm::parse(&bytes, wasm::default_features(), &types).expect("a valid module");
    let facts = ModuleFacts::new(&module, &bytes, &types);
    let env = ModuleEnv { module: &module, bytes: &bytes, types: &types, facts: &facts };
    jit::compile(&env, 0, Entry::Function, &settings())
}

/// What a compilation made, and its steps.
fn counts(code: &Code) -> [u64; 3] {
    [u64::from(code.stats.values), code.stats.steps, code.bytes.len() as u64]
}

/// A function that is not inlined.
const CALLED: &str = "(import \"m\" \"g\" (func $g (param i32)))";

/// A body with the function's head.
fn function(head: &str, body: &str) -> String {
    format!("(module {CALLED} (memory 1) (func {head} {body}))")
}

fn times(n: usize, part: impl Fn(usize) -> String) -> String {
    (0..n).map(part).collect()
}

/// Compiles a body of two lengths, of which one is four times the other.
fn grows(name: &str, n: usize, text: impl Fn(usize) -> String) {
    let [small, large] = [n, 4 * n].map(|n| compile(&text(n)).unwrap_or_else(|e| panic!("{name} of {n}: {e}")));
    for (before, after) in counts(&small).into_iter().zip(counts(&large)) {
        assert!(after <= 5 * before + 2000, "{name}: {:?} became {:?}", counts(&small), counts(&large));
    }
}

/// Compiles a body that is too much.
fn refused(name: &str, text: &str) {
    match compile(text) {
        Err(CompileError::TooMuch { .. }) => {}
        Err(e) => panic!("{name}: {e}"),
        Ok(code) => panic!("{name}: compiled to {} bytes", code.bytes.len()),
    }
}

#[test]
fn structures_in_each_other() {
    let nest = |open: &'static str, inside: &'static str| {
        move |n: usize| function("(param i32)", &format!("{}{}{}", open.repeat(n), inside.repeat(n), " end".repeat(n)))
    };
    grows("loops", 150, nest("loop ", "local.get 0 call $g "));
    grows("blocks around tables", 150, nest("block ", "block block local.get 0 br_table 0 1 0 end end "));
    grows("ifs", 150, |n| {
        let body = format!("{}{}", "local.get 0 if ".repeat(n), "else local.get 0 call $g end ".repeat(n));
        function("(param i32)", &body)
    });
    grows("branches to every depth", 150, |n| {
        let branches = times(n, |i| format!("local.get 0 i32.const {i} i32.eq br_if {i} "));
        function("(param i32)", &format!("{}{branches}{}", "block ".repeat(n), "end ".repeat(n)))
    });
    grows("one large table", 150, |n| {
        let table = times(n, |i| format!("{i} "));
        let ends = "end local.get 0 call $g ".repeat(n);
        function("(param i32)", &format!("{}local.get 0 br_table {table}{ends}", "block ".repeat(n)))
    });
}

#[test]
fn structures_behind_each_other() {
    let row = |part: &'static str| move |n: usize| function("(param i32) (local i32)", &part.repeat(n));
    grows("diamonds", 150, row("local.get 0 if local.get 0 call $g else local.get 1 call $g end "));
    grows("loops", 100, row("loop local.get 0 i32.const 1 i32.sub local.tee 0 br_if 0 end "));
    grows("calls caught", 60, |n| {
        let call = "block try_table (catch_all 0) local.get 0 call $g end end ".repeat(n);
        function("(param i32)", &call)
    });
    grows("legacy clauses", 60, |n| {
        let clauses = "catch $t i32.const 1 call $g ".repeat(n);
        format!("(module {CALLED} (tag $t) (func (param i32) try local.get 0 call $g {clauses} end))")
    });
    grows("fields of a large struct", 60, |n| {
        let fields = "(field (mut i32)) ".repeat(n);
        let gets = times(n, |i| format!("local.get 0 struct.get $s {i} call $g "));
        format!("(module (type $s (struct {fields})) {CALLED} (func (param (ref $s)) {gets}))")
    });
}

#[test]
fn values_that_are_live_everywhere() {
    let locals = |n: usize| "(param i32) ".to_string() + &format!("(local {})", "i32 ".repeat(n));
    grows("behind calls", 100, |n| {
        let set = times(n, |i| format!("local.get 0 i32.const {i} i32.mul local.set {} ", i + 1));
        let get = times(n, |i| format!("local.get {} call $g ", i + 1));
        function(&locals(n), &format!("{set}{}{get}", "local.get 0 call $g ".repeat(n)))
    });
    // As many loops: their number times that of values.
    let n = 10_000;
    let set = times(n, |i| format!("local.get 0 i32.const {i} i32.mul local.set {} ", i + 1));
    let loops = times(n, |i| format!("loop local.get {0} i32.const 1 i32.sub local.tee {0} br_if 0 end ", i + 1));
    let get = times(n, |i| format!("local.get {} call $g ", i + 1));
    refused("through loops", &function(&locals(n), &format!("{set}{loops}{get}")));
}

#[test]
fn locals_that_loops_assign_at_every_depth() {
    let text = |depth: usize, n: usize| {
        let inside = times(n, |i| format!("local.get {0} local.get 0 i32.add local.set {0} ", i + 1));
        let use_all = times(n, |i| format!("local.get {} call $g ", i + 1));
        let body = format!(
            "{}{inside}local.get 0 br_if 0 {}{use_all}",
            "loop ".repeat(depth),
            "local.get 0 br_if 0 end ".repeat(depth - 1) + "end "
        );
        function(&format!("(param i32) (local {})", "i32 ".repeat(n)), &body)
    };
    assert!(compile(&text(10, 100)).is_ok());
    refused("400 loops of 1000 locals", &text(400, 1000));
}

#[test]
fn results_that_are_passed_on() {
    let text = |n: usize| {
        let results = "i64 ".repeat(1000);
        let types = format!("(type $t (func (param {results}) (result {results})))");
        let calls = format!("{}{}{}", "i64.const 7 ".repeat(1000), "call $g ".repeat(n), "drop ".repeat(1000));
        format!("(module {types} (func {calls}) (func $g (type $t) unreachable))")
    };
    assert!(compile(&text(2)).is_ok());
    refused("1000 results 400 times", &text(400));
}

#[test]
fn the_same_body_gives_the_same_code() {
    let text = function("(param i32)", &"loop local.get 0 call $g local.get 0 br_if 0 end ".repeat(50));
    let [a, b] = [compile(&text), compile(&text)].map(|c| c.expect("compiles"));
    assert_eq!((a.bytes, a.stats.values, a.stats.steps), (b.bytes, b.stats.values, b.stats.steps));
}
