//! Modules of several sizes, for the benchmarks of instantiation: each exports `run`, which touches what the module has.

/// Nothing but a function.
pub(crate) const EMPTY: &str = r#"(module (func (export "run") (result i32) i32.const 7))"#;

/// A page of memory with some data, a small table, a global, an import.
pub(crate) const SMALL: &str = r#"(module
    (import "host" "log" (func $log (param i32)))
    (memory (export "memory") 1 16)
    (data (i32.const 1024) "some bytes that are there from the start")
    (data (i32.const 4096) "\00\01\02\03\04\05\06\07")
    (table (export "table") 16 funcref)
    (elem (i32.const 3) $one $two $one $two)
    (global $g (export "g") (mut i64) (i64.const 42))
    (type $get (func (result i32)))
    (func $one (result i32) i32.const 1)
    (func $two (result i32) i32.const 2)
    (func (export "run") (result i32)
        (i32.store (i32.const 1032) (call_indirect (type $get) (i32.const 4)))
        (i32.add (i32.load (i32.const 1024)) (i32.load (i32.const 1032)))))"#;

/// 64 KiB of data in 1 MiB of memory, and a table of 1,000 functions.
pub(crate) fn large() -> String {
    let mut text = String::from(
        r#"(module
        (import "host" "log" (func $log (param i32)))
        (memory (export "memory") 16 256)
        (table 1000 funcref)
        (type $get (func (result i32)))
        (global $g (export "g") (mut i32) (i32.const 65536))
        (func (export "run") (result i32)
            (i32.store (i32.const 70000) (call_indirect (type $get) (i32.const 700)))
            (i32.add (i32.load (i32.const 20000)) (i32.load (i32.const 70000))))
        (data (i32.const 16384) ""#,
    );
    for i in 0..65536u32 {
        text.push((b'a' + (i.wrapping_mul(2_654_435_761) >> 24) as u8 % 26) as char);
    }
    text.push_str("\")\n");
    for i in 0..1000 {
        text.push_str(&format!("(func $f{i} (result i32) i32.const {i})\n"));
    }
    text.push_str("(elem (i32.const 0) func");
    (0..1000).for_each(|i| text.push_str(&format!(" $f{i}")));
    text.push_str("))");
    text
}
