//! File tests: `passes/*.txt` is IR before and after one pass, `frontend/*.wat` a module and the IR of its functions.
//!
//! With `BLESS=1` in the environment what comes out is written as what is expected.
//!
//! A pass test begins with `// pass: NAME`; the function follows, then a line `// expect` and the result. A front end test is
//! a module whose leading `;;` lines may set `unguarded`, `mask_memories`, `uninlined`, `fuel`, `poll`, `passes` (run them all) and `loop N`
//! (the entry is the N-th loop of the last function, from 0); the lines behind it that begin with `;; ` are the result.

use jit::frontend::{self, ModuleFacts};
use jit::ir::Func;
use jit::{CpuFeatures, Entry, ModuleEnv, Settings, passes};
use std::fmt::Write;
use std::path::{Path, PathBuf};

fn files(dir: &str, extension: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(dir);
    let entries = std::fs::read_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
    let mut files: Vec<PathBuf> = entries.map(|f| f.expect("a readable folder").path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == extension));
    files.sort();
    assert!(!files.is_empty(), "no tests in {}", dir.display());
    files
}

/// Compares, or writes when blessing; answers whether it is as it should be.
fn compare(path: &Path, expected: &str, got: &str, whole: &str) -> bool {
    if expected.trim() == got.trim() {
        return true;
    }
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, whole).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        return true;
    }
    println!("{}: expected\n{expected}\ngot\n{got}", path.display());
    false
}

fn pass_test(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).expect("a readable test");
    let (input, expected) = text.split_once("// expect\n").unwrap_or((&text, ""));
    let name = input.lines().find_map(|l| l.strip_prefix("// pass: ")).expect("a line `// pass: NAME`");
    let mut f = Func::parse(input).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    f.verify().unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    assert_eq!(Func::parse(&f.print()).expect("what was printed can be read").print(), f.print());
    assert!(passes::run_one(&mut f, name), "{}: no pass {name}", path.display());
    f.verify().unwrap_or_else(|e| panic!("{} after {name}: {e}", path.display()));
    let got = f.print();
    compare(path, expected, &got, &format!("{input}// expect\n{got}"))
}

#[test]
fn passes_do_what_their_files_say() {
    assert!(files("passes", "txt").iter().filter(|f| !pass_test(f)).count() == 0, "some pass tests fail");
}

/// Offset of the n-th loop of a body.
fn loop_offset(module: &wasm::Module, bytes: &[u8], own_func: u32, n: usize) -> u32 {
    let body = module.bodies[own_func as usize];
    let reader = wasmparser::BinaryReader::new_features(&bytes[body.range()], body.start.into(), module.features());
    let ops = wasmparser::FunctionBody::new(reader).get_operators_reader().expect("a body");
    let loops = ops.into_iter_with_offsets().filter_map(|r| {
        let (op, at) = r.expect("an operator");
        matches!(op, wasmparser::Operator::Loop { .. }).then_some(at as u32)
    });
    loops.collect::<Vec<_>>()[n]
}

fn frontend_text(path: &Path, source: &str) -> String {
    let options: String = source.lines().take_while(|l| l.starts_with(";;")).collect();
    let has = |w: &str| options.contains(w);
    let bytes = wat::parse_str(source).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let types = wasm::TypeRegistry::default();
    let module = wasm::parse(&bytes, wasm::default_features(), &types).expect("a module");
    let facts = ModuleFacts::new(&module, &bytes, &types);
    let env = ModuleEnv { module: &module, bytes: &bytes, types: &types, facts: &facts };
    let all = passes::Switches::default();
    let settings = Settings {
        cpu: CpuFeatures::default(),
        guarded: !has("unguarded"),
        segment: false,
        fuel: has("fuel"),
        interruptible: has("poll"),
        canonical_nans: false,
        mask_tables: true,
        mask_memories: has("mask_memories"),
        passes: if has("uninlined") { all.without(passes::Pass::Inline) } else { all },
        tunables: Default::default(),
    };
    let number = |s: &str| s.split_whitespace().next().and_then(|n| n.parse::<usize>().ok()).expect("a number");
    let target = options.split_once("loop ").map(|(_, n)| number(n));
    let mut out = String::new();
    let last = module.bodies.len() as u32 - 1;
    for f in 0..=last {
        let entry = match target {
            Some(n) if f == last => Entry::Loop(loop_offset(&module, &bytes, f, n)),
            _ => Entry::Function,
        };
        match frontend::build(&env, f, entry, &settings) {
            Ok(mut func) => {
                func.verify().unwrap_or_else(|e| panic!("{} function {f}: {e}", path.display()));
                if has("passes") {
                    passes::run(&mut func, &settings, &mut |_, _, _| {});
                }
                out.push_str(&func.print());
            }
            Err(e) => {
                let _ = writeln!(out, "{e}");
            }
        }
    }
    out
}

fn frontend_test(path: &Path) -> bool {
    let text = std::fs::read_to_string(path).expect("a readable test");
    // The module ends where the last line does that is not a comment.
    let lines: Vec<&str> = text.lines().collect();
    let end = lines.iter().rposition(|l| !l.starts_with(";;") && !l.trim().is_empty()).expect("a module");
    let source: String = lines.iter().take(end + 1).map(|l| format!("{l}\n")).collect();
    let expected: String = lines.iter().skip(end + 1).map(|l| format!("{}\n", l.trim_start_matches(";; "))).collect();
    let got = frontend_text(path, &source);
    let commented: String = got.lines().map(|l| format!(";; {l}\n")).collect();
    compare(path, &expected, &got, &format!("{source}\n{commented}"))
}

#[test]
fn front_end_makes_what_the_files_say() {
    assert!(files("frontend", "wat").iter().filter(|f| !frontend_test(f)).count() == 0, "some front end tests fail");
}
